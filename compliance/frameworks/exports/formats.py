"""The formats there are, in the order that people choose from."""

from __future__ import annotations

from compliance.frameworks.exports.csv_files import csv_files
from compliance.frameworks.exports.export import Format
from compliance.frameworks.exports.json_file import json_file
from compliance.frameworks.exports.oscal import oscal_file
from compliance.frameworks.exports.workbook import workbook

FORMATS = {
    each.key: each
    for each in (
        Format(
            key="xlsx",
            label="Workbook (XLSX)",
            content_type=(
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
            ),
            suffix=".xlsx",
            write=workbook,
        ),
        Format(
            key="csv",
            label="Tables (CSV in a ZIP file)",
            content_type="application/zip",
            suffix=".csv.zip",
            write=csv_files,
        ),
        Format(
            key="json",
            label="JSON",
            content_type="application/json",
            suffix=".json",
            write=json_file,
        ),
        Format(
            key="oscal",
            label="OSCAL assessment results (JSON)",
            content_type="application/json",
            suffix=".oscal.json",
            write=oscal_file,
        ),
    )
}
