"""Who says what about a field, and whom we believe.

Each tag, parameter, metric or input that speaks of a field makes a candidate. Strong
ones come before weak ones, then the nearer place before the farther, then the order of
the keys in the vocabulary. A text that the field cannot hold still wins its place: the
field stays empty and the text is shown, for a lesser source must not talk over it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import IntEnum
from operator import itemgetter
from typing import Any, NamedTuple

from inventory.records import ExperimentRecord, ModelRecord, RunRecord, Told
from mlflow_sync.normalize.redaction import is_redacted
from mlflow_sync.normalize.text import fold
from mlflow_sync.normalize.values import boolean
from mlflow_sync.normalize.vocabulary import Claim, Claims, Vocabulary

_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")  # of an image
_LONGEST_RAW = 500  # characters of a told text that are shown beside a value


class Place(IntEnum):
    """Where something is told, the most trusted first."""

    VERSION_TAG = 0
    MODEL_TAG = 1
    RUN_TAG = 2
    RUN_METRIC = 3
    DATASET_INPUT = 4
    RUN_PARAMETER = 5
    EXPERIMENT_TAG = 6
    RUN_INFO = 7
    VERSION_INFO = 8
    ARTIFACT = 9


LABELS = {place: place.name.lower().replace("_", " ") for place in Place}


class Candidate(NamedTuple):
    """What one source says of one field; candidates sort by whom we believe."""

    weak: bool
    place: Place
    rank: int
    key: str
    told: str
    value: Any  # None: nothing that the field can hold

    def source(self) -> Told:
        return Told(
            LABELS[self.place], self.key, self.weak, _raw(self.told, self.value)
        )


Candidates = dict[str, list[Candidate]]


class Resolved(NamedTuple):
    value: Any
    told: Told
    others: tuple[tuple[Any, Told], ...]


def collect(
    tags: Mapping[str, str],
    *,
    version_user: str,
    model: ModelRecord,
    run: RunRecord | None,
    experiment: ExperimentRecord | None,
    vocabulary: Vocabulary,
) -> Candidates:
    """Return what version, model, run and experiment say, by field and unsorted."""
    found: Candidates = defaultdict(list)
    _tell(found, Place.VERSION_TAG, tags, vocabulary.registry_tags, vocabulary)
    _tell(found, Place.MODEL_TAG, model.tags, vocabulary.registry_tags, vocabulary)
    users = {"version.user_id": version_user}
    if run is not None:
        _tell(found, Place.RUN_TAG, run.tags, vocabulary.run_tags, vocabulary)
        _tell(found, Place.RUN_PARAMETER, run.params, vocabulary.params, vocabulary)
        _tell_metrics(found, run.metrics, vocabulary)
        _tell_inputs(found, run.dataset_inputs, vocabulary)
        users["run.user_id"] = run.user_id
    if experiment is not None:
        place = Place.EXPERIMENT_TAG
        _tell(found, place, experiment.tags, vocabulary.run_tags, vocabulary)
    for key, user in users.items():
        if user and (claim := vocabulary.info.get(key)):
            place = Place.RUN_INFO if key.startswith("run.") else Place.VERSION_INFO
            candidate = Candidate(True, place, claim.rank, "user_id", user, user)
            found[claim.field].append(candidate)
    return found


def resolve(field: str, candidates: list[Candidate]) -> Resolved:
    """Return the value of a field, who told it, and who says something else."""
    if len(candidates) == 1:
        (winner,) = candidates
        return Resolved(winner.value, winner.source(), ())
    winner, *losers = by_belief(candidates)
    return Resolved(
        winner.value,
        winner.source(),
        tuple(
            (loser.value, loser.source())
            for loser in losers
            if not _agree(field, winner, loser)
        ),
    )


def by_belief(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return candidates with the one we believe first."""
    return sorted(candidates, key=itemgetter(0, 1, 2))


def _agree(field: str, winner: Candidate, loser: Candidate) -> bool:
    ours, theirs = winner.value, loser.value
    if not (isinstance(ours, str) and isinstance(theirs, str)):
        return bool(ours == theirs and (ours is not None or winner.told == loser.told))
    if field == "code_commit" and _COMMIT.fullmatch(theirs):  # one may be abbreviated
        return ours.startswith(theirs) or theirs.startswith(ours)
    return fold(ours) == fold(theirs)


def _raw(told: str, value: Any) -> str:
    """Return the text told where it is not what is kept, cut to what can be shown."""
    if isinstance(value, tuple):
        value = ",".join(value)
    elif isinstance(value, float):
        value = f"{value:g}"
    elif isinstance(value, bool):
        value = str(value).lower()
    return "" if value == told else told[:_LONGEST_RAW]


def _tell(
    found: Candidates,
    place: Place,
    told: Mapping[str, str],
    claims: Claims,
    vocabulary: Vocabulary,
) -> None:
    """Add what the tags or parameters of one place say."""
    said: Candidates = defaultdict(list)
    in_company = []
    for key, text in told.items():
        for claim in claims.of(key):
            candidate = _candidate(place, claim, key, text.strip(), vocabulary)
            if candidate is None:
                continue
            if claim.in_company:
                in_company.append((claim.field, candidate))
            else:
                said[claim.field].append(candidate)
    if len(said.get("dataset_reference", ())) > 1:
        said["dataset_reference"] = _joined(said["dataset_reference"], vocabulary)
    for field, candidates in said.items():
        found[field] += candidates
    if in_company and any(
        not candidate.weak for field in vocabulary.company for candidate in said[field]
    ):
        for field, candidate in in_company:
            found[field].append(candidate)


def _candidate(
    place: Place, claim: Claim, key: str, told: str, vocabulary: Vocabulary
) -> Candidate | None:
    """Return what a text under a key says of a field, None if it is not about it."""
    if not told:
        return None
    reading = vocabulary.readings.get(claim.field)
    if claim.if_known and (reading is None or fold(told) not in reading.words):
        return None
    weak = claim.weak
    text = claim.if_present or (f"{key}={told}" if claim.with_key else told)
    value: Any = text
    if is_redacted(told) and not claim.if_present:
        value = None
    elif claim.if_true and (answer := boolean(told)) is not None:
        # That there is no personal data does not say what data there is.
        value, weak = (claim.if_true, weak) if answer else (None, True)
    elif claim.field == "code_commit":
        commit = told.lower()
        value, weak = (commit, weak) if _COMMIT.fullmatch(commit) else (told, True)
    elif claim.field == "runtime_environment":
        value = told if _DIGEST.search(told) else None
    elif reading is not None:
        value = reading.read(text, key=key)
    if claim.field == "fairness_metrics" and value is not None:
        value = {n: v for n, v in value.items() if type(v) in (int, float)} or None
    return Candidate(weak, place, claim.rank, key, told, value)


def _joined(candidates: list[Candidate], vocabulary: Vocabulary) -> list[Candidate]:
    """Join the name, version and digest of a dataset which one place tells apart."""
    candidates = by_belief(candidates)
    parts: list[Candidate] = []
    for keys in vocabulary.dataset_parts:
        named = (c for c in candidates if c.value and fold(c.key) in keys)
        parts += [part] if (part := next(named, None)) else []
    if len(parts) < 2:  # noqa: PLR2004
        return candidates
    reference = "@".join(dict.fromkeys(part.told for part in parts))
    whole = Candidate(
        False,
        parts[0].place,
        min(part.rank for part in parts),
        ", ".join(part.key for part in parts),
        reference,
        reference,
    )
    return [whole, *(c for c in candidates if c not in parts)]


def _tell_metrics(
    found: Candidates, metrics: Mapping[str, float], vocabulary: Vocabulary
) -> None:
    place = Place.RUN_METRIC
    for key, value in metrics.items():
        for claim in vocabulary.metrics.of(key):
            candidate = _candidate(place, claim, key, f"{value:g}", vocabulary)
            if candidate is not None:
                found[claim.field].append(candidate)
    fairness = {
        key: value
        for key, value in metrics.items()
        if vocabulary.fairness.match(fold(key))
    }
    if fairness:
        candidate = Candidate(False, place, 0, ", ".join(fairness), "", fairness)
        found["fairness_metrics"].append(candidate)


def _tell_inputs(
    found: Candidates, inputs: Iterable[Mapping[str, str]], vocabulary: Vocabulary
) -> None:
    """Add the datasets that a run read: those without a context weakly, as training."""
    by_context: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for dataset in inputs:
        context = dataset.get("context", "")
        reference = "@".join(
            part for part in (dataset.get("name"), dataset.get("digest")) if part
        )
        field = vocabulary.contexts.get(fold(context))
        if not context:
            field = "dataset_reference"
        if field and reference:
            by_context[field, context].append(reference)
    for (field, context), references in by_context.items():
        reference = ", ".join(dict.fromkeys(references))
        found[field].append(
            Candidate(
                not context, Place.DATASET_INPUT, 0, context, reference, reference
            )
        )
