"""The keys that an organization's registry really uses, and what they speak of."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from django.db import connection

from inventory.models import Experiment, ModelVersion, RegisteredModel, Run
from mlflow_sync.normalize.redaction import is_redacted
from mlflow_sync.normalize.vocabulary import Claims, Vocabulary

LONGEST_SAMPLE = 80  # characters
MOST_KEYS = 1000

# Place -> where its keys are. What is no longer told is not asked.
_PLACES = {
    "version tag": (ModelVersion, "tags", "WHERE absent_since IS NULL"),
    "model tag": (RegisteredModel, "tags", "WHERE absent_since IS NULL"),
    "run tag": (Run, "tags", ""),
    "run parameter": (Run, "params", ""),
    "experiment tag": (Experiment, "tags", ""),
}
_COUNTED = """
    SELECT '{place}', told.key, count(*), min(left(told.value, {longest}))
    FROM {table}, LATERAL jsonb_each_text({table}.{column}) AS told
    {present} GROUP BY told.key
"""


@dataclass(slots=True)
class SeenKey:
    """A key, how often it is told where, and which fields it states now."""

    key: str
    places: dict[str, int] = field(default_factory=dict)
    sample: str = ""
    fields: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        return sum(self.places.values())


def seen_keys(vocabulary: Vocabulary) -> list[SeenKey]:
    """Return the keys that were read, those that nobody understands first.

    MLflow's own keys are left out where they state nothing. Costs one query.
    """
    statement = " UNION ALL ".join(
        _COUNTED.format(
            place=place,
            table=connection.ops.quote_name(model._meta.db_table),
            column=column,
            present=present,
            longest=LONGEST_SAMPLE,
        )
        for place, (model, column, present) in _PLACES.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows: list[tuple[str, str, int, str]] = cursor.fetchall()
    found: defaultdict[str, SeenKey] = defaultdict(lambda: SeenKey(""))
    for place, key, number, sample in rows:
        seen = found[key]
        seen.key = key
        seen.places[place] = number
        if not is_redacted(sample):
            seen.sample = seen.sample or sample
        seen.fields = tuple(
            dict.fromkeys((*seen.fields, *_fields(key, place, vocabulary)))
        )
    keys = (
        seen
        for seen in found.values()
        if seen.fields or not seen.key.startswith("mlflow.")
    )
    return sorted(keys, key=lambda seen: (bool(seen.fields), -seen.number, seen.key))[
        :MOST_KEYS
    ]


def _fields(key: str, place: str, vocabulary: Vocabulary) -> list[str]:
    claims: Claims = {
        "version tag": vocabulary.registry_tags,
        "model tag": vocabulary.registry_tags,
        "run parameter": vocabulary.params,
    }.get(place, vocabulary.run_tags)
    return [claim.field for claim in claims.of(key)]
