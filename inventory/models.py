"""What exists: sources, registered models, their versions, runs and experiments.

Rows are written by `inventory.store` from records. A version that is no longer told
is marked absent, never deleted: the evidence outlives the model.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.walls import SameOrganization, TenantHistory, TenantModel
from inventory.records import (
    CANONICAL_FIELDS,
    GOVERNANCE_FIELDS,
    ModelRecord,
    Redaction,
    RunRecord,
    Stage,
    is_known,
)

NAME_LENGTH = 1000  # MLflow sets no bound that every backend keeps
STAGES = [(stage.value, stage.value) for stage in Stage]


class Source(TenantModel):
    """Where models come from: an MLflow tracking server, or people's own entries."""

    class Kind(models.TextChoices):
        MLFLOW = "mlflow", "MLflow"

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.MLFLOW)
    is_demo = models.BooleanField(default=False, editable=False)

    created_at = models.DateTimeField(default=now, editable=False)

    class Meta(TenantModel.Meta):
        ordering = ("name",)
        constraints = (
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "name"],
                name="source_name_is_unique",
                violation_error_message="There is a source of this name already.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Ingested(TenantModel):
    """A row that a source told us, and the digest by which a change of it is found."""

    source = models.ForeignKey(Source, models.CASCADE, related_name="+")
    redactions = models.JSONField(
        default=list, help_text="Values not stored: place, key and kind of each."
    )
    fingerprint = models.CharField(max_length=64)
    first_seen_at = models.DateTimeField(default=now)
    changed_at = models.DateTimeField(default=now)

    class Meta(TenantModel.Meta):
        abstract = True


class Perishable(Ingested):
    """A row that its source may stop telling: absence is not deletion."""

    absent_since = models.DateTimeField(
        null=True, blank=True, help_text="When a sync first found it gone."
    )

    class Meta(Ingested.Meta):
        abstract = True

    @property
    def is_absent(self) -> bool:
        return self.absent_since is not None


class PresentQuerySet(models.QuerySet["Perishable"]):
    def present(self) -> PresentQuerySet:
        return self.filter(absent_since=None)


class RegisteredModel(Perishable):
    """A logical model, such as “credit-scoring”, with its versions below it."""

    name = models.CharField(max_length=NAME_LENGTH)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(null=True, blank=True)
    last_updated_at = models.DateTimeField(null=True, blank=True)
    tags = models.JSONField(default=dict)
    aliases = models.JSONField(default=dict, help_text="alias -> version")
    latest_versions = models.JSONField(default=dict, help_text="stage -> version")

    objects = PresentQuerySet.as_manager()
    history = TenantHistory(excluded_fields=["fingerprint", "changed_at"])

    class Meta(Perishable.Meta):
        ordering = ("name", "id")
        constraints = (
            *Perishable.Meta.constraints,
            SameOrganization(field="source", name="same_inventory_model_source"),
            models.UniqueConstraint(
                fields=["organization", "source", "name"],
                condition=Q(absent_since=None),
                name="one_present_model_per_name",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("admin:inventory_registeredmodel_change", args=[self.pk])

    def record(self) -> ModelRecord:
        """Return the row as the record it was written from."""
        return ModelRecord(
            **_columns_of(ModelRecord, self, apart=("redactions",)),
            redactions=tuple(Redaction(**told) for told in self.redactions),
        )


class Experiment(Ingested):
    """A logical container for runs; MLflow's id of it is unique per source only."""

    experiment_id = models.CharField(max_length=64)
    name = models.CharField(max_length=NAME_LENGTH)
    artifact_location = models.TextField(blank=True)
    lifecycle_stage = models.CharField(max_length=20)
    created_at = models.DateTimeField(null=True, blank=True)
    last_updated_at = models.DateTimeField(null=True, blank=True)
    tags = models.JSONField(default=dict)

    class Meta(Ingested.Meta):
        ordering = ("name",)
        constraints = (
            *Ingested.Meta.constraints,
            SameOrganization(field="source", name="same_inventory_experiment_source"),
            models.UniqueConstraint(
                fields=["organization", "source", "experiment_id"],
                name="one_experiment_per_id",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Run(Ingested):
    """A training run with all that it logged, after redaction."""

    run_id = models.CharField(max_length=64)
    experiment_id = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=NAME_LENGTH, blank=True)
    status = models.CharField(max_length=20, blank=True)
    lifecycle_stage = models.CharField(max_length=20)
    user_id = models.CharField(max_length=256, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    artifact_uri = models.TextField(blank=True)
    tags = models.JSONField(default=dict)
    params = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    unusable_metrics = models.JSONField(default=dict)
    dataset_inputs = models.JSONField(default=list)

    class Meta(Ingested.Meta):
        ordering = ("-started_at",)
        constraints = (
            *Ingested.Meta.constraints,
            SameOrganization(field="source", name="same_inventory_run_source"),
            models.UniqueConstraint(
                fields=["organization", "source", "run_id"], name="one_run_per_id"
            ),
        )

    def __str__(self) -> str:
        return self.name or self.run_id

    def record(self) -> RunRecord:
        """Return the row as the record it was written from."""
        return RunRecord(
            **_columns_of(RunRecord, self, apart=("redactions", "dataset_inputs")),
            dataset_inputs=tuple(self.dataset_inputs),
            redactions=tuple(Redaction(**told) for told in self.redactions),
        )


class ModelVersion(Perishable):
    """The canonical record of one model version (`inventory.records.FIELDS`).

    Identity is (source, model, version, creation time): a version that was deleted and
    made again under its old number is another record.
    """

    registered_model = models.ForeignKey(
        RegisteredModel, models.CASCADE, related_name="versions"
    )
    version_number = models.PositiveIntegerField("version")
    run = models.ForeignKey(
        Run, models.SET_NULL, null=True, blank=True, related_name="versions"
    )

    # 1 identity
    description = models.TextField(blank=True)
    business_purpose = models.TextField(blank=True)
    owner = models.TextField(blank=True)
    # 2 lifecycle
    lifecycle_stage = models.CharField(
        max_length=10, choices=STAGES, default=Stage.NONE.value
    )
    created_at = models.DateTimeField()
    last_updated_at = models.DateTimeField(null=True, blank=True)
    deployment_status = models.TextField(blank=True)
    source_run_id = models.CharField(max_length=64, blank=True)
    source_artifact_uri = models.TextField(blank=True)
    # 3 training
    training_status = models.CharField(max_length=20, blank=True)
    training_started_at = models.DateTimeField(null=True, blank=True)
    training_ended_at = models.DateTimeField(null=True, blank=True)
    metrics = models.JSONField(default=dict)
    hyperparameters = models.JSONField(default=dict)
    evaluation_tags = models.JSONField(default=dict)
    # 4 lineage
    experiment_id = models.CharField(max_length=64, blank=True)
    experiment_name = models.CharField(max_length=NAME_LENGTH, blank=True)
    code_commit = models.TextField(blank=True)
    training_entrypoint = models.TextField(blank=True)
    dataset_reference = models.TextField(blank=True)
    artifact_uri = models.TextField(blank=True)
    # 5 risk
    risk_category = models.TextField(blank=True)
    regulatory_scope = models.JSONField(default=list)
    data_sensitivity = models.TextField(blank=True)
    privacy_assessment_status = models.TextField(blank=True)
    compliance_approver = models.TextField(blank=True)
    security_assessment_version = models.TextField(blank=True)
    # 6 artifacts
    runtime_environment = models.JSONField(default=dict)
    artifact_manifest = models.JSONField(default=list)
    evidence_files = models.JSONField(default=list)
    # 7 what standards ask for beyond
    governance = models.JSONField(default=dict)

    version_description = models.TextField(blank=True)
    native_stage = models.CharField(max_length=20, blank=True)
    aliases = models.JSONField(default=list)
    tags = models.JSONField(default=dict)
    registration_status = models.CharField(max_length=40, blank=True)
    run_found = models.BooleanField(default=False)
    dataset_inputs = models.JSONField(default=list)
    signature = models.JSONField(default=dict)
    flavors = models.JSONField(default=list)

    artifacts_fingerprint = models.CharField(
        max_length=64, blank=True, help_text="Empty: artifacts were never listed."
    )

    provenance = models.JSONField(default=dict, help_text="field -> who told it")
    others = models.JSONField(default=dict, help_text="field -> what lost against it")
    incomplete = models.JSONField(
        default=dict, help_text="section -> why it could not be read"
    )
    known_fields = models.PositiveSmallIntegerField(default=0)

    objects = PresentQuerySet.as_manager()
    history = TenantHistory(excluded_fields=["fingerprint", "changed_at"])

    class Meta(Perishable.Meta):
        ordering = ("registered_model", "-version_number")
        constraints = (
            *Perishable.Meta.constraints,
            SameOrganization(field="source", name="same_inventory_version_source"),
            SameOrganization(
                field="registered_model", name="same_inventory_version_model"
            ),
            SameOrganization(field="run", name="same_inventory_version_run"),
            models.UniqueConstraint(
                fields=["organization", "registered_model", "version_number"],
                condition=Q(absent_since=None),
                name="one_present_version_per_number",
            ),
        )
        indexes = (
            # The console's filters, and “what changed since the last evaluation”.
            models.Index(
                fields=["organization", "lifecycle_stage"], name="version_by_stage"
            ),
            models.Index(fields=["organization", "owner"], name="version_by_owner"),
            models.Index(fields=["organization", "changed_at"], name="version_changed"),
        )

    def __str__(self) -> str:
        return f"{self.registered_model.name} version {self.version_number}"

    def get_absolute_url(self) -> str:
        return reverse("admin:inventory_modelversion_change", args=[self.pk])

    @property
    def model_name(self) -> str:
        """Cost: a query, unless the registered model was selected along."""
        return self.registered_model.name

    def value(self, name: str) -> Any:
        """Return the value of any field of the record, None where it is unknown."""
        if name in GOVERNANCE_FIELDS:
            return self.governance.get(name)
        return getattr(self, name)

    @property
    def completeness(self) -> tuple[int, int]:
        """Return how many of the canonical fields are known, and how many there are."""
        return self.known_fields, len(CANONICAL_FIELDS)

    @property
    def is_incomplete(self) -> bool:
        """Tell whether a section could not be read (not whether fields are empty)."""
        return bool(self.incomplete)


class LifecycleEvent(TenantModel):
    """A version moved from one stage to another, at some moment between two syncs."""

    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="lifecycle")
    from_stage = models.CharField(max_length=10, choices=STAGES, blank=True)
    to_stage = models.CharField(max_length=10, choices=STAGES)
    told_by = models.CharField(
        max_length=300, help_text="What said so, such as “alias champion”."
    )
    observed_after = models.DateTimeField(
        null=True, blank=True, help_text="The last sync that still saw it as it was."
    )
    observed_before = models.DateTimeField(help_text="The sync that saw it moved.")

    class Meta(TenantModel.Meta):
        ordering = ("-observed_before", "-id")
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="version", name="same_inventory_lifecycle_version"),
        )

    def __str__(self) -> str:
        return f"{self.version}: {self.from_stage or 'new'} → {self.to_stage}"


def _columns_of(
    record: type[ModelRecord | RunRecord], row: models.Model, *, apart: tuple[str, ...]
) -> dict[str, Any]:
    """Return the fields of a record that its row holds in the same shape."""
    return {
        item.name: getattr(row, item.name)
        for item in fields(record)
        if item.name not in apart
    }


def known_fields(version: ModelVersion) -> int:
    """Count the canonical fields that say anything; a stage of “None” does."""
    return sum(is_known(version.value(name)) for name in CANONICAL_FIELDS)
