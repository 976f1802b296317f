"""Remove what the demo brought."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts import audit, tenancy
from accounts.models import Organization, User
from compliance.frameworks import standings
from compliance.gaps import lock_gaps
from compliance.models import FrameworkTally, RuleSet
from inventory.models import (
    Attestation,
    EvidenceFile,
    ModelVersion,
    RegisteredModel,
    Source,
)
from mlflow_sync.models import TrackingServer
from mlflow_sync.servers import remove_server
from verifywise.demo.cases import ORGANIZATIONS

REASON = "The demo was removed."


class Command(BaseCommand):
    help = (
        "Remove the demo: its models with all that is known of them, its tracking "
        "servers, its people's sign-ins. An organization in which you have a source of "
        "your own stays open. The audit trail stays, as always."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        removed = 0
        for organization in Organization.objects.filter(is_demo=True, closed_at=None):
            with tenancy.acting_for(organization, origin="command"):
                removed += _remove(organization)
        with tenancy.acting_for(Organization.installation(), origin="command"):
            _close_accounts()
        self.stdout.write(f"Removed the demo with its {removed} models.")


def _remove(organization: Organization) -> int:
    """Remove the demo's rows from an organization; return how many models there were."""
    lock_gaps()  # whoever judges meanwhile waits for us, or we for them
    sources = Source.objects.filter(is_demo=True)
    ids = list(sources.values_list("pk", flat=True))
    removed = RegisteredModel.objects.filter(source__in=ids).count()
    for server in TrackingServer.objects.filter(source__in=ids):
        remove_server(server)  # takes its schedule away
    _remove_attestations(ids)
    sources.delete()
    # Evidence outlives what it is about; what was pretended from the start need not.
    for model in (TrackingServer, RegisteredModel, ModelVersion):
        model.history.filter(source_id__in=ids).delete()
    Source.history.filter(id__in=ids).delete()
    FrameworkTally.objects.all().delete()
    standings.catch_up()  # counts anew what is left
    audit.record("demo.removed", organization, changes={"models": removed})
    if not Source.objects.exists():
        RuleSet.objects.all().delete()
        organization.closed_at = now()
        organization.save()
        audit.record("organization.closed", organization, reason=REASON)
    return removed


def _remove_attestations(sources: list[int]) -> None:
    """Remove what was attested of the demo's models, which they are kept by, and proved."""
    attestations = Attestation.objects.filter(
        Q(registered_model__source__in=sources) | Q(version__source__in=sources)
    )
    told = attestations.exclude(evidence_file=None)
    proofs = set(told.values_list("evidence_file", flat=True))
    attestations.delete()
    others = Attestation.objects.exclude(evidence_file=None).values("evidence_file")
    for proof in EvidenceFile.objects.filter(pk__in=proofs).exclude(pk__in=others):
        proof.delete()
        transaction.on_commit(partial(proof.file.delete, save=False))


def _close_accounts() -> None:
    """Close the accounts of the demo's people who belong to no open organization."""
    told = {person.email for item in ORGANIZATIONS for person in item.people}
    for user in User.objects.filter(email__in=told, is_active=True):
        if not tenancy.memberships_of(user):
            user.is_active = False
            user.save()
            audit.record("account.closed", user, reason=REASON)
