"""What a file is made of, and what a format is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compliance.frameworks.lines import GapLine, VersionLine
    from compliance.frameworks.report import Report

NOTICE = (
    "This report counts evidence for controls, as a model registry shows it. A value "
    "that is recorded is evidence that it was recorded, not that it is true or enough. "
    "The report gives no score, and does not say that a law or a standard is met: that "
    "is for a person to conclude."
)
NAMESPACE = "urn:verifywise:framework-report"
_ROOT = uuid.uuid5(uuid.NAMESPACE_URL, NAMESPACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of file; `write` returns its bytes in pieces, as they are ready."""

    key: str
    label: str
    content_type: str
    suffix: str
    write: Callable[[Export], Iterator[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A report, the versions and gaps behind it, and who asked for a file of it when."""

    format: Format
    organization: str
    slug: str
    report: Report
    map_digest: str
    versions: Callable[[], Iterable[VersionLine]]  # read when asked for, once a file
    source_gaps: tuple[GapLine, ...]
    generated_at: datetime
    generated_by: str

    @property
    def file_name(self) -> str:
        """Return a name such as `acme-EUAIA-2026-11-29.xlsx`, of the report's day."""
        day = self.report.moment.astimezone(UTC).date()
        framework = self.report.framework.id
        return f"{self.slug}-{framework}-{day}{self.format.suffix}"

    @property
    def content_type(self) -> str:
        return self.format.content_type

    def chunks(self) -> Iterator[bytes]:
        """Return the bytes of the file, in pieces.

        Reads the versions as it goes, so it has to be used up in the transaction in
        which the export was gathered, or in one that acts for the same organization.
        """
        return self.format.write(self)

    def subject_id(self, *names: object) -> str:
        """Return the id of something of the organization, the same in every report."""
        return _id(self.slug, names)

    def object_id(self, *names: object) -> str:
        """Return the id of something in the report of this scope and moment."""
        report = self.report
        scope = report.scope
        return _id(
            self.slug,
            (
                report.framework.id,
                scope.in_production,
                scope.declared,
                moment_text(report.moment),
                *names,
            ),
        )

    def file_id(self) -> str:
        """Return the id of this very file: it belongs to when and by whom it was made."""
        return self.object_id(
            self.format.key, moment_text(self.generated_at), self.generated_by
        )


def moment_text(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC: `2026-11-29T22:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def gaps_in_order(gaps: Iterable[GapLine]) -> list[GapLine]:
    """Return gaps in the order that all files have them in."""
    return sorted(gaps, key=lambda gap: (gap.subject.source, gap.rule_id))


def _id(slug: str, names: tuple[object, ...]) -> str:
    told = "\x1f".join(str(name) for name in (slug, *names))
    return str(uuid.uuid5(_ROOT, told))
