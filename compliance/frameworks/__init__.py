"""The frameworks: which control of which law or standard has evidence, and what lacks.

`control_map` and `counting` are pure; `standings` keeps how versions stand, as they are
judged, and `report` reads it for the console, the API and the exports.
"""
