"""Which waiver in force covers a gap. Pure: the waivers come as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """A waiver in force; with neither gap nor model it covers the rule everywhere."""

    waiver_id: int
    rule_id: str
    gap_id: int | None = None
    registered_model_id: int | None = None
    until: date | None = None  # the last day, None: until it is revoked
    sentence: str = ""  # who waived it, until when and why

    @property
    def lasts(self) -> tuple[date, int]:
        """Orders covers: of two, the one that lasts longer, then the older one."""
        return self.until or date.max, -self.waiver_id


class Covers:
    """The waivers in force of an organization, found by what they cover."""

    def __init__(self, covers: Iterable[Cover]) -> None:
        self._found: dict[tuple[str, int | None, int | None], Cover] = {}
        for cover in sorted(covers, key=lambda cover: cover.lasts):
            key = (cover.rule_id, cover.gap_id, cover.registered_model_id)
            self._found[key] = cover

    def of(
        self, rule_id: str, *, gap_id: int | None, registered_model_id: int | None
    ) -> Cover | None:
        """Return the cover that lasts longest, None where nothing covers the gap."""
        if not self._found:
            return None
        found = (
            self._found.get((rule_id, gap_id, None)),
            self._found.get((rule_id, None, registered_model_id)),
            self._found.get((rule_id, None, None)),
        )
        return max(filter(None, found), key=lambda cover: cover.lasts, default=None)
