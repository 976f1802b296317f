"""Which models of a tracking server are read: by name, by tag, and what is left out.

Pure. Patterns are those of a shell: `*`, `?`, `[abc]` and `[!abc]`, and upper case is
not lower case. A model that is out of scope is listed with the reason, and no more of
it is stored than its name and its times.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from inventory.records import ModelRecord
from mlflow_sync.exceptions import BadPattern
from mlflow_sync.normalize.records import NAME_LENGTH, normalize_model
from mlflow_sync.normalize.text import clean_mapping, clean_text
from mlflow_sync.normalize.vocabulary import Vocabulary
from mlflow_sync.snapshots import ModelSnapshot

MOST = 200  # patterns of one kind

NOT_INCLUDED = "Its name matches none of the include patterns."
EXCLUDED = "Its name matches the exclude pattern “{pattern}”."
NOT_TAGGED = "It carries none of the required tags."


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is read of a server; empty, it is everything.

    A name has to match one of `include`, a tag one of `tags` (`key`, or `key=value`
    whose value is a pattern), and `exclude` wins against both.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the scope in words: “named a-* or b, without *-old, tagged team”."""
        if self.is_everything:
            return "all models"
        named = f"named {' or '.join(self.include)}" if self.include else "all"
        told = [named]
        if self.exclude:
            told.append(f"without {' and '.join(self.exclude)}")
        if self.tags:
            told.append(f"tagged {' or '.join(self.tags)}")
        return ", ".join(told)

    @property
    def is_everything(self) -> bool:
        return not (self.include or self.exclude or self.tags)

    def reason(self, model: ModelSnapshot) -> str:
        """Return why a model is out of scope, in a sentence; "" is in scope."""
        name = clean_text(model.name)
        return self.reason_of_name(name) or self.reason_of_tags(
            clean_mapping(model.tags)
        )

    def reason_of_name(self, name: str) -> str:
        for pattern in self.exclude:
            if _matches(pattern, name):
                return EXCLUDED.format(pattern=pattern)
        if self.include and not any(_matches(each, name) for each in self.include):
            return NOT_INCLUDED
        return ""

    def reason_of_tags(self, tags: Mapping[str, str]) -> str:
        if not self.tags or any(_is_tagged(wanted, tags) for wanted in self.tags):
            return ""
        return NOT_TAGGED


def normalize_within(
    snapshot: ModelSnapshot, *, scope: Scope, vocabulary: Vocabulary
) -> ModelRecord:
    """Translate a registered model, of one out of scope no more than name and times.

    The reason is part of what such a record is compared by, and what is not stored is
    not. Raises NormalizationError as `normalize_model` does.
    """
    reason = scope.reason(snapshot)
    if not reason:
        return normalize_model(snapshot, vocabulary=vocabulary)
    bare = ModelSnapshot(
        name=snapshot.name,
        creation_timestamp=snapshot.creation_timestamp,
        last_updated_timestamp=snapshot.last_updated_timestamp,
        fingerprint=repr(
            (
                reason,
                snapshot.name,
                snapshot.creation_timestamp,
                snapshot.last_updated_timestamp,
            )
        ),
    )
    record = normalize_model(bare, vocabulary=vocabulary)
    return replace(record, out_of_scope=reason)


def read_patterns(text: str) -> tuple[str, ...]:
    """Read patterns of names, one a line; empty lines are none.

    Raises BadPattern naming the line.
    """
    return tuple(pattern for _, pattern in _lines(text))


def read_tags(text: str) -> tuple[str, ...]:
    """Read required tags, `key` or `key=value` a line, as `read_patterns` does."""
    found = []
    for number, line in _lines(text):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not key:
            raise BadPattern(
                f"Line {number}: “{line}” names no tag: write “key” or “key=value”."
            )
        found.append(f"{key}{equals}{value}")
    return tuple(found)


def _lines(text: str) -> list[tuple[int, str]]:
    """Return the lines that say something, with their numbers."""
    told = [
        (number, line.strip())
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    if len(told) > MOST:
        raise BadPattern(f"These are {len(told)} lines; at most {MOST} can be given.")
    for number, line in told:
        if len(line) > NAME_LENGTH:
            raise BadPattern(
                f"Line {number} has {len(line)} characters; at most {NAME_LENGTH} "
                "can be given, the length of a name."
            )
        if fault := _fault(line):
            raise BadPattern(f"Line {number}: “{line}” {fault}")
    return told


# A set as fnmatch reads it: a "]" that comes first belongs to it.
_SET = re.compile(r"\[!?+\]?+[^\]]*+\]")


def _fault(pattern: str) -> str:
    rest = _SET.sub("", pattern)
    if "[" in rest:
        return "opens a bracket that is not closed. The sign itself is written “[[]”."
    if "]" in rest:
        return "closes a bracket that is not open. The sign itself is written “[]]”."
    return ""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).match(text) is not None


def _is_tagged(wanted: str, tags: Mapping[str, str]) -> bool:
    key, equals, value = wanted.partition("=")
    return key in tags and (not equals or _matches(value, tags[key]))
