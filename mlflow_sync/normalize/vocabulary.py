"""The words in which MLflow's free tags, parameters and metrics speak of our fields.

`vocabulary.yaml` is the table, explained at its head. It is turned once into lookups
by folded key, so that resolving a version costs one look per tag, not one per field.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from inventory.records import FIELDS, GOVERNANCE_FIELDS, Field, Stage
from mlflow_sync.normalize.text import fold
from mlflow_sync.normalize.values import PARSERS, Reading

TABLE = Path(__file__).with_name("vocabulary.yaml")

_SPLIT = r"[,;|]"
_OPTIONS = frozenset(
    {
        "keys", "weak", "keys_if_known", "params", "metrics", "info", "contexts",
        "words", "vocabulary", "if_true", "if_present", "silent", "split",
        "parse", "weak_on_runs", "not_on_runs", "only_in_company", "joined", "people",
    }
)  # fmt: skip
_STAGES = {
    "production": Stage.PRODUCTION,
    "staging": Stage.STAGING,
    "archived": Stage.ARCHIVED,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What one key says about one field; the lowest rank among strong claims wins."""

    field: str
    rank: int
    weak: bool = False
    if_known: bool = False  # counts only where the value is a word of the field
    with_key: bool = False  # the key is part of what is told: baseline_auc=0.9
    if_true: str = ""  # the word that yes stands for; no says nothing
    if_present: str = ""  # the word that any value stands for
    in_company: bool = False  # counts only beside a key of `Vocabulary.company`


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of the keys of one kind of place, by folded key and by prefix."""

    exact: Mapping[str, tuple[Claim, ...]]
    by_prefix: tuple[tuple[str, Claim], ...]
    prefixes: tuple[str, ...]

    def of(self, key: str) -> tuple[Claim, ...]:
        folded = fold(key)
        if found := self.exact.get(folded):
            return found
        if folded.startswith(self.prefixes):
            return tuple(
                claim for prefix, claim in self.by_prefix if folded.startswith(prefix)
            )
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """All that an organization's words mean; `fingerprint` changes when a word does."""

    registry_tags: Claims  # of versions and registered models
    run_tags: Claims  # of runs and experiments
    params: Claims
    metrics: Claims
    info: Mapping[str, Claim]  # "run.user_id", "version.user_id"
    readings: Mapping[str, Reading]  # by field
    contexts: Mapping[str, str]  # context of a dataset input -> field
    dataset_parts: tuple[frozenset[str], ...]  # folded keys: names, versions, digests
    stages: Mapping[str, Stage]  # folded alias or word -> stage
    company: frozenset[str]  # fields
    people_keys: frozenset[str]  # folded keys that name people, whose e-mail may stay
    evaluation_prefixes: tuple[str, ...]
    fairness: re.Pattern[str]
    fingerprint: str


@cache
def table() -> Mapping[str, Any]:
    """Return vocabulary.yaml. The first call reads the file."""
    return MappingProxyType(yaml.safe_load(TABLE.read_text(encoding="utf-8")))


@cache
def default_vocabulary() -> Vocabulary:
    """Return the project's own vocabulary."""
    return vocabulary_from(table())


def vocabulary_from(data: Mapping[str, Any]) -> Vocabulary:
    """Turn a table of the form of vocabulary.yaml into lookups.

    Raises ValueError naming the field and the option that cannot be.
    """
    fields: dict[str, Mapping[str, Any]] = {name: {} for name in GOVERNANCE_FIELDS}
    fields |= data["fields"]
    for name, options in fields.items():
        _check(name, options)
    stages = {
        fold(word): _STAGES[stage]
        for stage, words in data["stages"].items()
        for word in words
    }
    image = [
        (key, Claim("runtime_environment", rank))
        for rank, key in enumerate(data["image_keys"])
    ]
    tags = [*image, *(pair for name in fields for pair in _tag_claims(name, fields))]
    on_runs = [
        (key, _on_runs(claim, key, fields.get(claim.field, {}))) for key, claim in tags
    ]
    dataset = fields["dataset_reference"]
    return Vocabulary(
        registry_tags=_claims(tags),
        run_tags=_claims((key, claim) for key, claim in on_runs if claim),
        params=_claims(_listed(fields, "params")),
        metrics=_claims(_listed(fields, "metrics")),
        info=MappingProxyType(
            {key: replace(claim, weak=True) for key, claim in _listed(fields, "info")}
        ),
        readings=MappingProxyType(
            {
                name: _reading(FIELDS[name], options, stages)
                for name, options in fields.items()
            }
        ),
        contexts=MappingProxyType(
            {
                context: name
                for name, options in fields.items()
                for context in options.get("contexts", ())
            }
        ),
        dataset_parts=tuple(
            frozenset(map(fold, keys)) for keys in dataset.get("joined", ())
        ),
        stages=MappingProxyType(stages),
        company=frozenset(data["company"]),
        people_keys=frozenset(
            fold(key)
            for key, claim in tags
            if fields.get(claim.field, {}).get("people")
        ),
        evaluation_prefixes=tuple(map(fold, data["evaluation_prefixes"])),
        fairness=re.compile(
            "|".join(fnmatch.translate(fold(p)) for p in data["fairness_patterns"])
        ),
        fingerprint=hashlib.sha256(
            json.dumps(dict(data), sort_keys=True).encode()
        ).hexdigest(),
    )


def _check(name: str, options: Mapping[str, Any]) -> None:
    if name not in FIELDS:
        raise ValueError(f"vocabulary: {name} is not a field of the record.")
    if unknown := options.keys() - _OPTIONS:
        raise ValueError(f"vocabulary: {name} has unknown options {sorted(unknown)}.")
    if (parse := options.get("parse", "number")) not in PARSERS:
        raise ValueError(f"vocabulary: {name} is parsed by an unknown “{parse}”.")


def _tag_claims(
    name: str, fields: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Claim]]:
    """Yield the tag keys of a field, its own name first, in the order that wins."""
    options = fields[name]
    keys = dict.fromkeys([name, *options.get("keys", ())])
    if_true = {fold(key): word for key, word in options.get("if_true", {}).items()}
    listed = [
        *((key, {"with_key": key.endswith("*")}) for key in keys),
        *((key, {"if_known": True}) for key in options.get("keys_if_known", ())),
        *((key, {"if_present": word}) for key, word in options.get("if_present", {}).items()),
        *((key, {"weak": True}) for key in options.get("weak", ())),
    ]  # fmt: skip
    for rank, (key, more) in enumerate(listed):
        yield key, Claim(name, rank, if_true=if_true.get(fold(key), ""), **more)


def _on_runs(claim: Claim, key: str, options: Mapping[str, Any]) -> Claim | None:
    """Return what a key says on a run or an experiment, where false friends live."""
    if key in options.get("not_on_runs", ()):
        return None
    return replace(
        claim,
        weak=claim.weak or key in options.get("weak_on_runs", ()),
        in_company=key in options.get("only_in_company", ()),
    )


def _listed(
    fields: Mapping[str, Mapping[str, Any]], option: str
) -> Iterator[tuple[str, Claim]]:
    for name, options in fields.items():
        for rank, key in enumerate(options.get(option, ())):
            yield key, Claim(name, rank, with_key=key.endswith("*"))


def _claims(pairs: Iterable[tuple[str, Claim]]) -> Claims:
    exact: defaultdict[str, list[Claim]] = defaultdict(list)
    by_prefix = []
    for key, claim in pairs:
        if key.endswith("*"):
            by_prefix.append((fold(key[:-1]), claim))
        else:
            exact[fold(key)].append(claim)
    return Claims(
        exact=MappingProxyType({key: tuple(claims) for key, claims in exact.items()}),
        by_prefix=tuple(by_prefix),
        prefixes=tuple(prefix for prefix, _ in by_prefix),
    )


def _reading(
    field: Field, options: Mapping[str, Any], stages: Mapping[str, Stage]
) -> Reading:
    words = {fold(word): word for word in field.choices}
    words |= {fold(word): word for word in options.get("vocabulary", ())}
    words |= {fold(told): word for told, word in options.get("words", {}).items()}
    words |= {fold(word): word for word in options.get("words", {}).values()}
    if field.name == "deployment_status":
        words |= {word: stage.value.lower() for word, stage in stages.items()}
    return Reading(
        kind=field.kind,
        words=MappingProxyType(words),
        silent=frozenset(map(fold, options.get("silent", ()))),
        split=re.compile(options.get("split", _SPLIT)),
        parse=PARSERS[options.get("parse", "number")],
    )
