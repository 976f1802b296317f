"""What the words of a purpose suggest, as data: areas of Annex III, prohibited practices.

Source: `suspicions.yaml`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import yaml

from compliance.catalogue import FOLDER

_PARTED = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Suspicions:
    annex_iii: Mapping[str, re.Pattern[str]]  # category -> words
    prohibited: re.Pattern[str]
    people_facing: re.Pattern[str]

    def area(self, *texts: str | None) -> tuple[str, str] | None:
        """Return the first category of Annex III that texts suggest, and the words."""
        plain = _plain(texts)
        for category, words in self.annex_iii.items():
            if found := words.search(plain):
                return category, found[0].strip()
        return None


@cache
def suspicions() -> Suspicions:
    """Read the lists, once."""
    told = yaml.safe_load((FOLDER / "suspicions.yaml").read_text(encoding="utf-8"))
    return Suspicions(
        annex_iii={key: _pattern(words) for key, words in told["annex_iii"].items()},
        prohibited=_pattern(told["prohibited"]),
        people_facing=_pattern(told["people_facing"]),
    )


def found(words: re.Pattern[str], *texts: str | None) -> str:
    """Return the words that a text shares with a list, “” where it shares none."""
    match = words.search(_plain(texts))
    return match[0].strip() if match else ""


def _plain(texts: Iterable[str | None]) -> str:
    """Return texts in lower case, each word between spaces; no word spans two texts."""
    return " | ".join(
        f" {_PARTED.sub(' ', text.casefold()).strip()} " for text in texts if text
    )


def _pattern(words: Iterable[str]) -> re.Pattern[str]:
    listed = (
        f" {re.escape(word[:-1])}\\w*(?= )"
        if word.endswith("*")
        else f" {re.escape(word)}(?= )"
        for word in words
    )
    return re.compile("|".join(listed))
