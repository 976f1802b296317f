"""The frameworks: which control of which law or standard has evidence, and what lacks.

`control_map` and `counting` are pure. `standings` keeps how versions stand, as they are
judged, `tallies` counts them as they move, and `report` and `lines` read both for the
console, the API and the exports.
"""
