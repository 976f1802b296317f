"""Many rows in one statement are the rows that were handed in."""

from __future__ import annotations

import pytest

from compliance import bulk
from compliance.models import Gap
from tests.compliance.conftest import TODAY, YESTERDAY
from tests.rows import a_gap

pytestmark = pytest.mark.django_db

# One text goes by itself, some as lines of one; what has lines of its own as an array.
DETAILS = (
    ("",),
    ("", "", ""),
    ("No owner.", 'Said “no”, "nein"\\n and \\', ""),
    ("Two\nlines.", "None, null, {}", "\n"),
)


@pytest.mark.parametrize("details", DETAILS)
def test_texts_and_numbers_arrive_as_they_were(acme, version, details):
    like = a_gap(version, rule_id="VW-INV-001")
    rows = [
        Gap(
            version=version,
            rule_id=f"ACME-{number}",
            rule_version=number,
            kind=like.kind,
            severity=like.severity,
            detail=detail,
            opened_at=TODAY if number else YESTERDAY,
            unknown_since=None if number else TODAY,
        )
        for number, detail in enumerate(details)
    ]

    bulk.insert(rows, with_keys=True)

    for row in rows:
        told = {**vars(row)}
        stored = {**vars(Gap.objects.get(pk=row.pk))}
        for each in (told, stored):
            each.pop("_state")
        assert stored == {name: told[name] for name in stored}
