"""What can go wrong with rules and their thresholds. The messages are for people."""

from __future__ import annotations


class CatalogueError(Exception):
    """The catalogue and the code of the rules do not fit: the program cannot start."""


class ParameterError(Exception):
    """A threshold is unknown, or is not a number."""
