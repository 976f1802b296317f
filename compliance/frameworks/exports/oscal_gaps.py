"""The open gaps that an OSCAL file names: the worst of each control, and how many more."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from compliance.frameworks.counting import State

if TYPE_CHECKING:
    from compliance.frameworks.control_map import Control
    from compliance.frameworks.lines import GapLine

MOST = 20  # gaps that are named of one control; the other formats have all


class Named(NamedTuple):
    gaps: list[GapLine]
    left_out: int


class OpenGaps:
    """Takes gaps one by one; of each rule it keeps as many as could be named."""

    def __init__(self) -> None:
        self._number: Counter[str] = Counter()
        self._kept: defaultdict[str, list[tuple[int, int, GapLine]]] = defaultdict(list)
        self._seen = 0

    def take(self, gaps: Iterable[GapLine]) -> None:
        for gap in gaps:
            if gap.state is not State.OPEN:
                continue
            self._seen += 1
            self._number[gap.rule_id] += 1
            kept = self._kept[gap.rule_id]
            kept.append((-gap.severity, self._seen, gap))
            if len(kept) > 2 * MOST:
                kept.sort()
                del kept[MOST:]

    def of(self, control: Control) -> Named:
        """Return the gaps of the control's rules to be named, the worst first."""
        kept = sorted(each for rule in control.rules for each in self._kept[rule])
        number = sum(self._number[rule] for rule in control.rules)
        named = [gap for _, _, gap in kept[:MOST]]
        return Named(gaps=named, left_out=number - len(named))
