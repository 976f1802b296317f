"""The routes of the API, below /api/."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.urls import re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from accounts.api import (
    AuditEventViewSet,
    MemberViewSet,
    MeViewSet,
    SavedViewViewSet,
    TokenViewSet,
)
from compliance.api import (
    CheckVersionViewSet,
    FrameworkViewSet,
    GapViewSet,
    PolicyViewSet,
    RuleViewSet,
    WaiverViewSet,
)
from inventory.api import (
    AttestationViewSet,
    ChangeHistoryViewSet,
    CoverageViewSet,
    EvidenceFileViewSet,
    PersonNameViewSet,
    SourceViewSet,
    UnregisteredModelViewSet,
)
from mlflow_sync.api import (
    SyncRunViewSet,
    TrackingServerViewSet,
    VocabularyEntryViewSet,
)
from verifywise import openapi  # noqa: F401 - tells the schema how one signs in
from verifywise.model_inventory import RegisteredModelViewSet, VersionViewSet

ROUTES = (
    ("registered-models", RegisteredModelViewSet),
    ("modelInventory", VersionViewSet),
    ("model-inventory-change-history", ChangeHistoryViewSet),
    ("gaps", GapViewSet),
    ("rules", RuleViewSet),
    ("coverage", CoverageViewSet),
    ("frameworks", FrameworkViewSet),
    ("policies", PolicyViewSet),
    ("attestations", AttestationViewSet),
    ("evidence-files", EvidenceFileViewSet),
    ("person-names", PersonNameViewSet),
    ("waivers", WaiverViewSet),
    ("check-version", CheckVersionViewSet),
    ("unregistered-models", UnregisteredModelViewSet),
    ("sources", SourceViewSet),
    ("tracking-servers", TrackingServerViewSet),
    ("sync-runs", SyncRunViewSet),
    ("vocabulary-entries", VocabularyEntryViewSet),
    ("saved-views", SavedViewViewSet),
    ("me", MeViewSet),
    ("members", MemberViewSet),
    ("tokens", TokenViewSet),
    ("audit-events", AuditEventViewSet),
)


class Router(SimpleRouter):
    """Addresses end with a slash, and work without it: a redirect would lose a body."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


router = Router()
for prefix, viewset in ROUTES:
    router.register(prefix, viewset, basename=prefix)

urlpatterns = [
    *router.urls,
    re_path("^schema/?$", SpectacularAPIView.as_view(), name="schema"),
    re_path(
        "^docs/?$",
        login_required(SpectacularSwaggerSplitView.as_view(url_name="schema")),
        name="docs",
    ),
]
