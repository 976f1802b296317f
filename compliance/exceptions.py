"""What can go wrong with rules, policies and waivers. The messages are for people."""

from __future__ import annotations

from collections.abc import Mapping


class CatalogueError(Exception):
    """The catalogue and the code of the rules do not fit: the program cannot start."""


class ParameterError(Exception):
    """A threshold is unknown, or is not a number."""


class PolicyError(Exception):
    """A policy says what it cannot say: `faults` maps each place to a sentence.

    A place is `packs`, `rules.VW-INV-001` or `parameters.stale_staging_days`; that of a
    file which is no policy at all is empty.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(" ".join(faults.values()))
        self.faults = faults


class PolicyConflict(Exception):
    """Somebody else was faster: nothing was changed. The message is for people."""


class WaiverSettled(Exception):
    """The act came too late, or for the wrong waiver: it is in no state for it."""
