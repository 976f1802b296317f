"""The inventory over REST: sources, registered models, canonical records, changes.

`verifywise.model_inventory` adds to models and records what the apps above know of
them: their gaps, and as of when each section was read.
"""

from inventory.api.attestations import AttestationViewSet
from inventory.api.coverage import CoverageViewSet
from inventory.api.evidence import EvidenceFileViewSet
from inventory.api.models import (
    RegisteredModelFilter,
    RegisteredModelSerializer,
    RegisteredModelViewSet,
    SourceReference,
    SourceViewSet,
)
from inventory.api.people import PersonNameViewSet
from inventory.api.unregistered import UnregisteredModelViewSet
from inventory.api.versions import (
    DOCUMENTS,
    ChangeHistoryViewSet,
    VersionFilter,
    VersionSerializer,
    VersionViewSet,
)

__all__ = (
    "DOCUMENTS",
    "AttestationViewSet",
    "ChangeHistoryViewSet",
    "CoverageViewSet",
    "EvidenceFileViewSet",
    "PersonNameViewSet",
    "RegisteredModelFilter",
    "RegisteredModelSerializer",
    "RegisteredModelViewSet",
    "SourceReference",
    "SourceViewSet",
    "UnregisteredModelViewSet",
    "VersionFilter",
    "VersionSerializer",
    "VersionViewSet",
)
