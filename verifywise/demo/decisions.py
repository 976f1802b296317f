"""What the demo's people decide once its models were read: attestations, waivers, a policy.

Pure data, no Django and no MLflow: the command `demo_decide` acts on it, the seeder
tags what MLflow tells later, and `docs/demo.md` shows `table()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifywise.demo.acme.people import ALICE, GRACE, NINA, SAM
from verifywise.demo.borealis import BOB, CARLA, DEV


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """A value of one version, or of all versions of a model where none is named."""

    model: str
    version: int | None = None
    field: str
    value: Any
    reason: str
    by: str
    lasts: int = 0  # days; 0 is without end
    file: str = ""  # name of what proves it
    drifts_to: tuple[str, str] | None = None  # the tag that MLflow tells later


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """A waiver of a gap of a version; without `approved_by` it is only asked for."""

    model: str
    version: int
    rule_id: str
    reason: str
    lasts: int  # days
    asked_by: str
    approved_by: str = ""
    decision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The first policy of an organization: what differs from the project's defaults."""

    title: str
    reason: str
    drafted_by: str
    published_by: str
    differs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    attested: tuple[Attested, ...]
    waived: tuple[Waived, ...]
    published: Published | None = None


ASSESSMENT = """\
Data protection impact assessment DPIA-044: customer-churn, version 2

Necessity: a call before a customer leaves; no decision follows from the score alone.
Risks: an age effect in the list of calls; the share of customers over 60 is reported
each month. Residual risk: low. Consulted: the data protection officer.
"""

OF_ACME = Decisions(
    attested=(
        Attested(
            model="collections-priority",
            field="business_purpose",
            value="Order the calls of the collections team.",
            reason="Asked of the head of collections.",
            by=GRACE,
        ),
        Attested(
            model="collections-priority",
            field="declared_tier",
            value="high",
            reason="A wrong order costs debtors money, and GDPR applies.",
            by=GRACE,
        ),
        Attested(
            model="collections-priority",
            field="regulatory_scope",
            value=["gdpr"],
            reason="The team works on the files of debtors.",
            by=GRACE,
        ),
        Attested(
            model="customer-churn",
            version=2,
            field="privacy_assessment_status",
            value="completed",
            reason="DPIA-044 was signed, and never noted in MLflow.",
            by=GRACE,
            file="DPIA-044.txt",
        ),
        Attested(
            model="aml-alert-ranking",
            version=2,
            field="baseline_ref",
            value="rules of 2023",
            reason="The rules it replaced were measured on the same alerts.",
            by=GRACE,
            lasts=180,
        ),
        Attested(
            model="mortgage-default",
            version=3,
            field="data_sensitivity",
            value="personal",
            reason="The model is right: the rows are of applicants.",
            by=GRACE,
        ),
        Attested(
            model="atm-cash-demand",
            version=3,
            field="code_commit",
            value="5d2e8f0c1b7a49e3a6f4d0c2b1e98a7765f3d210",
            reason="The notebook was committed the day after.",
            by=SAM,
        ),
        Attested(
            model="next-best-offer",
            version=1,
            field="dataset_reference",
            value="offers@2f6c1e9",
            reason="The run read the same extract as that of version 2.",
            by=GRACE,
            drifts_to=("dataset_version", "offers@8b1e77c"),
        ),
    ),
    waived=(
        Waived(
            model="claims-triage",
            version=2,
            rule_id="VW-APR-004",
            reason="The approver of insurance models starts next month.",
            lasts=45,
            asked_by=NINA,
            approved_by=GRACE,
            decision="Version 2 stays in staging until then.",
        ),
        Waived(
            model="credit-scoring",
            version=3,
            rule_id="VW-FAIR-002",
            reason="A mitigated version 4 is in training.",
            lasts=30,
            asked_by=NINA,
        ),
    ),
    published=Published(
        title="Stricter on fairness",
        reason="Agreed by the model risk committee.",
        drafted_by=GRACE,
        published_by=ALICE,
        differs={
            "rules": {"VW-OPS-004": {"severity": "high"}},
            "parameters": {"demographic_parity_max": 0.08},
        },
    ),
)
OF_BOREALIS = Decisions(
    attested=(
        Attested(
            model="no-show-prediction",
            version=1,
            field="security_assessment_version",
            value="B-2262",
            reason="The assessment is in the security team's register.",
            by=CARLA,
        ),
        Attested(
            model="sepsis-early-warning",
            version=2,
            field="declared_ai_act_class",
            value="high",
            reason="It is part of a medical device.",
            by=CARLA,
        ),
        Attested(
            model="sepsis-early-warning",
            version=2,
            field="declared_tier",
            value="high",
            reason="A missed sepsis costs lives.",
            by=CARLA,
        ),
    ),
    waived=(
        Waived(
            model="bed-demand-forecast",
            version=2,
            rule_id="VW-ENV-001",
            reason="Version 3 is logged with its environment.",
            lasts=20,
            asked_by=DEV,
            approved_by=CARLA,
            decision="Until version 3 takes over.",
        ),
        Waived(
            model="bed-demand-forecast",
            version=1,
            rule_id="VW-LIN-001",
            reason="It was registered before runs were kept.",
            lasts=60,
            asked_by=BOB,
        ),
    ),
)
DECISIONS: Mapping[str, Decisions] = {"acme": OF_ACME, "borealis": OF_BOREALIS}


def table() -> str:
    """Return the attestations and waivers as Markdown, in one table."""
    lines = ["| Of | What | By | Why |", "| --- | --- | --- | --- |"]
    for decisions in DECISIONS.values():
        for each in decisions.attested:
            of = f"{each.model} {each.version or '(all versions)'}"
            value = (
                ", ".join(each.value) if isinstance(each.value, list) else each.value
            )
            lines.append(
                f"| {of} | `{each.field}` is attested: {value}{_more(each)} "
                f"| {each.by} | {each.reason} |"
            )
        for waived in decisions.waived:
            decided = (
                f"; {waived.approved_by}" if waived.approved_by else ", not decided yet"
            )
            lines.append(
                f"| {waived.model} {waived.version} | a waiver of {waived.rule_id} for "
                f"{waived.lasts} days | {waived.asked_by}{decided} | {waived.reason} |"
            )
    return "\n".join((*lines, ""))


def _more(each: Attested) -> str:
    told = [f"for {each.lasts} days"] if each.lasts else []
    told += [f"with the file {each.file}"] if each.file else []
    told += [f"MLflow says {each.drifts_to[1]} since"] if each.drifts_to else []
    return "".join(f", {word}" for word in told)
