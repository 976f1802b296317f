"""Where a version stands: by its native stage unless None, then an alias, then a tag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inventory.records import Stage, Told
from mlflow_sync.normalize.sources import Candidate, Place, Resolved, by_belief
from mlflow_sync.normalize.text import fold
from mlflow_sync.normalize.vocabulary import Vocabulary

_ORDER = (Stage.PRODUCTION, Stage.STAGING, Stage.ARCHIVED)
# What is said of a whole model or experiment does not say which version it means.
_OF_MANY = (Place.MODEL_TAG, Place.EXPERIMENT_TAG)


class _Statement(NamedTuple):
    stage: Stage | None
    status: str
    told: Told


def lifecycle(
    candidates: Sequence[Candidate],
    *,
    native_stage: str,
    aliases: Sequence[str],
    vocabulary: Vocabulary,
) -> tuple[Resolved, Resolved | None]:
    """Return the lifecycle stage, and the deployment status if anything states one.

    `candidates` are those of deployment_status. Of several aliases the one nearest to
    production counts. A tag of the registered model fills the deployment status weakly,
    and makes no version a production version.
    """
    said = list(_statements(candidates, native_stage, aliases, vocabulary))
    staged = [statement for statement in said if statement.stage]
    if staged:
        stage = Resolved(
            staged[0].stage,
            staged[0].told,
            tuple(
                (statement.stage, statement.told)
                for statement in staged
                if statement.stage != staged[0].stage
            ),
        )
    else:
        stage = Resolved(Stage.NONE, Told("stage", native_stage or Stage.NONE), ())
    if not said:
        return stage, None
    return stage, Resolved(
        said[0].status,
        said[0].told,
        tuple(
            (statement.status, statement.told)
            for statement in said
            if fold(statement.status) != fold(said[0].status)
        ),
    )


def _statements(
    candidates: Sequence[Candidate],
    native_stage: str,
    aliases: Sequence[str],
    vocabulary: Vocabulary,
) -> Iterator[_Statement]:
    if fold(native_stage) not in ("", "none"):
        yield _statement(native_stage, Told("stage", native_stage), vocabulary)
    named = (_statement(alias, Told("alias", alias), vocabulary) for alias in aliases)
    yield from sorted(
        (statement for statement in named if statement.stage),
        key=lambda statement: _ORDER.index(statement.stage),
    )
    for candidate in by_belief(candidates):
        if candidate.value is None:
            continue
        if candidate.place in _OF_MANY:
            weak = candidate._replace(weak=True)
            yield _Statement(None, candidate.value, weak.source())
        else:
            yield _statement(candidate.value, candidate.source(), vocabulary)


def _statement(word: str, told: Told, vocabulary: Vocabulary) -> _Statement:
    stage = vocabulary.stages.get(fold(word))
    return _Statement(stage, stage.value.lower() if stage else word, told)
