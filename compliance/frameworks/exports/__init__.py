"""A framework report as a file: JSON, XLSX, CSV and OSCAL assessment results.

`gathering.export_of` is the one way in. It reads the report once, as of one moment; the
rest is pure, so that the same report of the same moment is the same file, but for the
header that says when and by whom the file was made.
"""
