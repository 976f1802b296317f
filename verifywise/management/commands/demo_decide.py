"""Let the demo's people attest, waive and publish; `make demo` calls it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management.base import BaseCommand
from django.db.models import Count, Q
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Membership, Organization
from accounts.roles import Role
from compliance import policies, waivers
from compliance.catalogue import Severity
from compliance.models import Gap, Policy, Waiver
from compliance.policy import DEFAULTS, read
from inventory.attestations import attest
from inventory.evidence import keep_file
from inventory.models import Attestation, ModelVersion, RegisteredModel
from verifywise import pipeline
from verifywise.demo.decisions import ASSESSMENT, DECISIONS, Attested, Published, Waived


class Command(BaseCommand):
    help = (
        "Let the people of the demo attest values, ask for waivers and approve them, and "
        "publish a policy. What was decided before is left as it is."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        demo = Organization.objects.filter(is_demo=True, closed_at=None)
        for organization in demo.filter(slug__in=DECISIONS):
            decisions = DECISIONS[organization.slug]
            before = _gap_counts(organization)
            for each in decisions.attested:
                _attest(organization, each)
            self.stdout.write(
                f"{organization}: gaps before attesting: {before}; "
                f"after: {_gap_counts(organization)}."
            )
            for waived in decisions.waived:
                _waive(organization, waived)
            if decisions.published and _publish(organization, decisions.published):
                pipeline.judge(organization)


@contextmanager
def _acting_as(organization: Organization, email: str) -> Iterator[None]:
    with tenancy.acting_for(organization):
        member = Membership.objects.select_related("user").get(user__email=email)
    with tenancy.acting_for(
        organization, actor=member.user, role=Role(member.role), origin="command"
    ):
        yield


def _attest(organization: Organization, told: Attested) -> None:
    with _acting_as(organization, told.by):
        model = RegisteredModel.objects.present().filter(name=told.model).first()
        if model is None:
            return
        versions = list(
            ModelVersion.objects.present()
            .filter(registered_model=model, version_number=told.version)
            .select_related("registered_model")
            if told.version
            else ()
        )
        models = [] if told.version else [model]
        attested = Attestation.objects.filter(
            Q(version__in=versions) | Q(registered_model__in=models), field=told.field
        )
        if attested.exists() or not (versions or models):
            return
        attest(
            field=told.field,
            value=told.value,
            reason=told.reason,
            models=models,
            versions=versions,
            expires_on=now().date() + timedelta(days=told.lasts)
            if told.lasts
            else None,
            evidence_file=keep_file(
                SimpleUploadedFile(told.file, ASSESSMENT.encode(), "text/plain")
            )
            if told.file
            else None,
        )


def _waive(organization: Organization, told: Waived) -> None:
    with _acting_as(organization, told.asked_by):
        gap = (
            Gap.objects.open()
            .present()
            .filter(
                version__registered_model__name=told.model,
                version__version_number=told.version,
                rule_id=told.rule_id,
            )
            .first()
        )
        if gap is None or Waiver.objects.filter(gap=gap).exists():
            return
        terms = waivers.Terms(
            kind=Waiver.Kind.WAIVER,
            reason=told.reason,
            ends_on=now().date() + timedelta(days=told.lasts),
        )
        (waiver,) = waivers.ask_for_gaps([gap], terms)
    if told.approved_by:
        with _acting_as(organization, told.approved_by):
            waivers.approve(waiver, reason=told.decision)


def _publish(organization: Organization, told: Published) -> bool:
    """Publish the policy, unless somebody has drafted or published one."""
    with _acting_as(organization, told.drafted_by):
        if Policy.objects.exists():
            return False
        content = read({**DEFAULTS.to_json(), **told.differs})
        draft = policies.start_draft(title=told.title, content=content)
    with _acting_as(organization, told.published_by):
        policies.publish(draft, revision=draft.revision, reason=told.reason)
    return True


def _gap_counts(organization: Organization) -> str:
    """Say how many gaps are open, worst first, and apart how many fields are missing."""
    with tenancy.acting_for(organization):
        rows = Gap.objects.open().present().order_by().values_list("kind", "severity")
        counts = {(kind, grade): n for kind, grade, n in rows.annotate(n=Count("pk"))}
    told = [
        f"{counts.get((Gap.Kind.RULE, grade), 0)} {grade.label.lower()}"
        for grade in sorted(Severity, reverse=True)
    ]
    missing = sum(
        n for (kind, _), n in counts.items() if kind == Gap.Kind.MISSING_FIELD
    )
    return f"{', '.join(told)}, {missing} missing fields"
