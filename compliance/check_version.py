"""Finding one version by its names, and checking it: for the command and the API."""

from __future__ import annotations

from accounts.models import Organization
from accounts.tenancy import current_organization_id
from compliance.catalogue import Entry
from compliance.check_formats import CheckedVersion
from compliance.checking import check, checked_rules
from compliance.engine import rulebook
from compliance.evaluation import evaluate_organization
from compliance.models import Evaluation, Gap
from compliance.policies import in_force
from inventory.models import ModelVersion


def versions_called(
    model: str, version: int, *, server: str = ""
) -> list[ModelVersion]:
    """Return the present versions of this name: of several servers, several.

    Costs one query, in the organization that is being acted for.
    """
    found = ModelVersion.objects.present().filter(
        registered_model__name=model, version_number=version
    )
    if server:
        found = found.filter(source__name=server)
    return list(
        found.select_related("registered_model", "source").order_by("source__name")
    )


def check_version(version: ModelVersion) -> CheckedVersion:
    """Judge a version if it is due, and answer from its results and its gaps."""
    organization = Organization.objects.get(pk=current_organization_id())
    evaluate_organization(organization, only_due=True, version_ids=[version.pk])
    evaluation = Evaluation.objects.filter(version=version).first()
    live = list(
        Gap.objects.live().filter(version=version).select_related("waiver__decided_by")
    )
    rules = checked_rules(
        evaluation.results if evaluation else {},
        entries=entries(),
        open_gaps=[gap.rule_id for gap in live if gap.is_open],
        waived_gaps={
            gap.rule_id: gap.waiver.sentence
            for gap in live
            if gap.is_waived and gap.waiver
        },
    )
    return CheckedVersion(
        id=version.pk,
        model=version.model_name,
        version=version.version_number,
        organization=organization.slug,
        server=version.source.name,
        lifecycle_stage=version.lifecycle_stage,
        judged_at=evaluation.changed_at if evaluation else None,
        check=check(rules, is_judged=evaluation is not None),
    )


def entries() -> dict[str, Entry]:
    """Return each rule as the policy in force has it, in the order of the rulebook.

    Of a rule that it leaves out, what the catalogue says. Costs one query.
    """
    as_judged = {rule.id: rule.entry for rule in in_force().content.rules_on()}
    return {rule.id: as_judged.get(rule.id, rule.entry) for rule in rulebook}
