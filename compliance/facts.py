"""What a rule may read: plain facts about one model version, or about one source.

Pure data. `evidence.gather_facts` makes them of rows; rules never see a row. A fact
bears the name of the record's field; None and empty mean unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from inventory.records import SENSITIVITIES, Redaction, Stage

STAGED = (Stage.STAGING, Stage.PRODUCTION)
PERSONAL = ("personal", "special_category", "phi")
REGULATED_DOMAINS = ("healthcare", "finance", "legal")
# What law or a supervisor imposes. Another regulation is told as “other”.
MANDATORY = frozenset(
    {"eu_ai_act", "gdpr", "hipaa", "fda_part11", "sr11_7", "sr26_2", "other"}
)
# The aliases that name the version in service.
PRODUCTION_ALIASES = frozenset({"champion", "production", "prod", "live", "canary"})
NO_CATEGORY = ("", "none", "n/a", "not_applicable", "not applicable")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """All that is known of one model version at the time of an evaluation.

    Every field of `inventory.records.FIELDS` under its own name, then what only rows
    together can tell. Times are aware UTC datetimes.
    """

    model_name: str
    version_number: int
    today: date

    description: str = ""
    business_purpose: str = ""
    owner: str = ""

    lifecycle_stage: str = Stage.NONE
    created_at: datetime | None = None
    last_updated_at: datetime | None = None
    deployment_status: str = ""
    source_run_id: str = ""
    source_artifact_uri: str = ""

    training_status: str = ""
    training_started_at: datetime | None = None
    training_ended_at: datetime | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    evaluation_tags: Mapping[str, str] = field(default_factory=dict)

    experiment_id: str = ""
    experiment_name: str = ""
    code_commit: str = ""
    training_entrypoint: str = ""
    dataset_reference: str = ""
    artifact_uri: str = ""

    risk_category: str = ""
    regulatory_scope: tuple[str, ...] = ()  # eu_ai_act, gdpr, …, or none alone
    data_sensitivity: str = ""
    privacy_assessment_status: str = ""
    compliance_approver: str = ""
    security_assessment_version: str = ""

    runtime_environment: Mapping[str, Any] = field(default_factory=dict)
    artifact_manifest: tuple[Mapping[str, Any], ...] = ()
    evidence_files: tuple[Mapping[str, Any], ...] = ()

    intended_use: str | None = None
    out_of_scope_use: str | None = None
    limitations: str | None = None
    operator_role: str | None = None
    jurisdictions: tuple[str, ...] | None = None
    annex_iii_category: str | None = None
    article_6_3_basis: str | None = None
    profiles_natural_persons: bool | None = None
    affected_groups: tuple[str, ...] | None = None
    decision_automation: str | None = None
    human_oversight_ref: str | None = None
    customer_facing: bool | None = None
    criticality: str | None = None
    financial_impact_usd: float | None = None
    deployment_traffic_percent: float | None = None
    deployment_target: str | None = None
    rollback_ease: str | None = None
    baseline_ref: str | None = None
    primary_metric: str | None = None
    decision_threshold: str | None = None
    fairness_metrics: Mapping[str, float] | None = None
    evaluation_dataset_reference: str | None = None
    input_schema: Mapping[str, Any] | None = None
    unit_tests_pass_rate: float | None = None
    security_scan_status: str | None = None
    base_model: str | None = None
    fria_ref: str | None = None
    dpia_ref: str | None = None
    declaration_ref: str | None = None
    eu_database_id: str | None = None
    monitoring_plan_ref: str | None = None
    next_review_due: str | None = None
    retain_until: str | None = None
    legal_hold: bool | None = None
    declared_tier: str | None = None
    declared_ai_act_class: str | None = None
    domain: str | None = None
    model_type: str | None = None
    model_card_uri: str | None = None
    approval_claim: str | None = None
    code_dirty: bool | None = None
    code_repository: str | None = None
    greater_is_better: bool | None = None
    security_scan_date: str | None = None
    schema_validation_status: str | None = None
    dpia_date: str | None = None
    fairness_checked_claim: str | None = None
    license: str | None = None  # of the base model
    security_vulnerabilities: float | None = None  # how many a scan found
    risk_acceptance_ref: str | None = None  # of a format that runs code when loaded
    explanation_ref: str | None = None
    transparency_notice: str | None = None
    legal_clearance_ref: str | None = None
    article_6_3_grounds: str | None = None
    public_body: bool | None = None
    fria_date: str | None = None
    predetermined_changes_ref: str | None = None
    decommission_ref: str | None = None

    native_stage: str = ""
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)  # of the version
    dataset_inputs: tuple[Mapping[str, str], ...] = ()
    signature: Mapping[str, Any] = field(default_factory=dict)
    flavors: tuple[str, ...] = ()
    incomplete: Mapping[str, str] = field(default_factory=dict)  # section -> reason
    redactions: tuple[Redaction, ...] = ()  # of the version, its model and its run

    disputes: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # field -> what each source says, the one believed first

    run_found: bool = False
    artifacts_read: bool = False  # were listed at least once
    run_deleted: bool = False
    owner_is_weak: bool = False  # told only by a source that proves no accountability
    approver_is_member: bool | None = None  # active, with a role that may decide

    absent_since: datetime | None = None  # the source tells it no longer

    # What only other versions of the model, or other runs, can tell.
    production_versions: int = 0  # how many of the model are in production
    champions: int = 0  # how many of those bear an alias of production
    traffic_declared: bool = False  # each of those declares its share of the traffic
    serving_signature: Mapping[str, Any] = field(default_factory=dict)  # of another one
    baseline_metrics: Mapping[str, float] = field(default_factory=dict)
    purpose_or_data_since: date | None = None  # the same dataset and purpose since then

    # What decisions and model cards tell. Empty until there are any.
    approvals_set_up: bool = False
    approved_at: datetime | None = None  # of a valid approval in VerifyWise
    production_since: datetime | None = None  # when a sync first saw it there
    previous_approved_version: int | None = None
    approved_types: tuple[str, ...] = ()  # model types of approved earlier versions
    material_digest: str = ""
    approved_digest: str = ""  # the material digest that was signed
    approved_files: Mapping[str, str] = field(default_factory=dict)  # path -> SHA-256
    override_signed: bool = False  # of a declared risk below the computed one
    annex_iv_not_applicable: tuple[str, ...] = ()  # signed statements, by item
    cards_set_up: bool = False
    card_sections: tuple[str, ...] = ()  # that the card covers
    card_digest: str = ""  # the record's digest when the card was made
    record_digest: str = ""

    @property
    def is_production(self) -> bool:
        """The record's stage has weighed native stage, alias and tag already."""
        return self.lifecycle_stage == Stage.PRODUCTION

    @property
    def is_staged(self) -> bool:
        """In staging or beyond."""
        return self.lifecycle_stage in STAGED

    @property
    def is_candidate(self) -> bool:
        """On its way to production, or there."""
        return self.is_staged or self.deployment_target == "production"

    @property
    def aims_at_production(self) -> bool | None:
        """Production is where it is or shall be; None while nobody says where."""
        if self.is_production:
            return True
        if self.deployment_target is None:
            return None
        return self.deployment_target == "production"

    @property
    def has_personal_data(self) -> bool | None:
        """None while the sensitivity is undeclared or outside the vocabulary."""
        if self.data_sensitivity not in SENSITIVITIES:
            return None
        return self.data_sensitivity in PERSONAL

    @property
    def has_regulated_domain(self) -> bool:
        return (self.domain or "").casefold() in REGULATED_DOMAINS

    @property
    def is_regulated(self) -> bool | None:
        """In a regulated domain, or in the scope of a mandatory framework.

        A declared scope decides; a domain that is not regulated proves nothing as
        long as nobody has said which regulations apply.
        """
        if self.has_regulated_domain or MANDATORY.intersection(self.regulatory_scope):
            return True
        return False if self.regulatory_scope else None

    @property
    def has_annex_iii_category(self) -> bool:
        category = self.annex_iii_category or ""
        return category.casefold() not in NO_CATEGORY

    @property
    def has_no_annex_iii_category(self) -> bool:
        """Somebody has declared that none applies."""
        category = self.annex_iii_category or ""
        return category != "" and not self.has_annex_iii_category

    @property
    def affects_people(self) -> bool | None:
        """Decisions about people; None while nobody has declared either way."""
        if self.profiles_natural_persons or (
            self.affected_groups and self.affected_groups != ("none",)
        ):
            return True
        if (
            self.profiles_natural_persons is False
            or self.affected_groups == ("none",)
            or self.decision_automation == "none"
        ):
            return False
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """How fresh our knowledge of one source is, and how safely it is read.

    The sync belongs to another part of the program, so these facts are handed in.
    """

    source_id: int
    name: str
    now: datetime
    added_at: datetime
    last_synced_at: datetime | None = None  # the end of the last successful sync
    sync_interval: timedelta | None = None  # None: not scheduled
    is_encrypted: bool | None = None  # None: the source is no server
    is_verified: bool = False  # its certificate is
    is_local: bool = False  # the connection does not leave the machine
    has_identity: bool = False  # we say who we are
    can_write: bool | None = None  # None: it cannot be tested without writing


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """One decided step of an approval, by whom."""

    by: str  # a member's address
    is_final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFacts:
    """What an approval was granted on, or a waiver: to be met, or ended, by a day."""

    name: str
    due_on: date
    is_closed: bool = False
    is_justified: bool = True  # has an owner and a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """One approval request, for the rules about processes."""

    request_id: int
    now: datetime
    requested_at: datetime
    decided_at: datetime | None = None
    requester: str = ""
    owner: str = ""
    run_user: str = ""
    version_creator: str = ""
    steps: tuple[StepFacts, ...] = ()
    conditions: tuple[ConditionFacts, ...] = ()


def day_of(told: str | None) -> date | None:
    """Read a day, or the day of a time, in ISO 8601; None where it is neither.

    >>> day_of("2026-01-31T10:00:00Z")
    datetime.date(2026, 1, 31)
    """
    try:
        return date.fromisoformat((told or "").strip()[:10])
    except ValueError:
        return None
