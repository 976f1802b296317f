"""What exists: sources, registered models, their versions, runs and experiments.

Rows are written by `inventory.store` from records. A version that is no longer told
is marked absent, never deleted: the evidence outlives the model.
"""

from __future__ import annotations

from inventory.models.attestations import (
    Attestation,
    AttestationQuerySet,
    EvidenceFile,
)
from inventory.models.people import LONGEST_NAME, PersonName, folded
from inventory.models.registry import (
    AliasEvent,
    LifecycleEvent,
    ModelVersion,
    Observed,
    RegisteredModel,
    RegisteredModelQuerySet,
    known_fields,
)
from inventory.models.runs import Experiment, Run
from inventory.models.sources import (
    NAME_LENGTH,
    Ingested,
    Perishable,
    PresentQuerySet,
    Source,
)
from inventory.models.unregistered import (
    UnregisteredModel,
    UnregisteredModelQuerySet,
)

__all__ = (
    "LONGEST_NAME",
    "NAME_LENGTH",
    "AliasEvent",
    "Attestation",
    "AttestationQuerySet",
    "EvidenceFile",
    "Experiment",
    "Ingested",
    "LifecycleEvent",
    "ModelVersion",
    "Observed",
    "Perishable",
    "PersonName",
    "PresentQuerySet",
    "RegisteredModel",
    "RegisteredModelQuerySet",
    "Run",
    "Source",
    "UnregisteredModel",
    "UnregisteredModelQuerySet",
    "folded",
    "known_fields",
)
