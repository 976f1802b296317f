"""What has changed is found by digests, without normalizing what has not.

A record's fingerprint covers all it is made from: the rows as MLflow told them, the
vocabulary, and the version of our own code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType

from inventory.records import ModelRecord, Section
from mlflow_sync.normalize.vocabulary import Vocabulary
from mlflow_sync.snapshots import (
    ExperimentSnapshot,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)

# Raise it when the same rows have to give another record than before.
NORMALIZER_VERSION = 2

_COMPLETE: Mapping[Section, str] = MappingProxyType({})


def normalizer_fingerprint(vocabulary: Vocabulary) -> str:
    """Return what tells whether the same rows would give the same records again."""
    return _digest(NORMALIZER_VERSION, vocabulary.fingerprint)


def row_fingerprint(
    snapshot: ModelSnapshot | RunSnapshot | ExperimentSnapshot,
    *,
    vocabulary: Vocabulary,
) -> str:
    """Return the fingerprint that the record of a row will have."""
    return _digest(
        NORMALIZER_VERSION, sorted(vocabulary.people_keys), snapshot.fingerprint
    )


def version_fingerprint(
    snapshot: VersionSnapshot,
    *,
    model: ModelRecord,
    run_fingerprint: str | None,
    experiment_fingerprint: str | None,
    artifacts_fingerprint: str | None,
    vocabulary: Vocabulary,
    incomplete: Mapping[Section, str] = _COMPLETE,
) -> str:
    """Return the fingerprint that the record of a version will have.

    Of its model a version reads description, tags and its own aliases: a new sibling,
    or an alias that moves between two others, leaves it as it is. The fingerprints of
    run and experiment are their records', which `row_fingerprint` tells without
    normalizing; that of the artifacts is `ReadArtifacts.fingerprint`.
    """
    aliases = sorted(
        alias
        for alias, number in model.aliases.items()
        if str(number) == snapshot.version
    )
    return _digest(
        NORMALIZER_VERSION,
        vocabulary.fingerprint,
        snapshot.fingerprint,
        [model.description, model.tags, aliases],
        run_fingerprint,
        experiment_fingerprint,
        artifacts_fingerprint,
        incomplete,
    )


def _digest(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()
