"""Registered models, their versions, and how versions moved between stages."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from accounts.walls import SameOrganization, TenantHistory, TenantModel
from inventory.backends import backend_of
from inventory.manifest import FileCounts
from inventory.models.runs import Run
from inventory.models.sources import (
    NAME_LENGTH,
    Perishable,
    PresentQuerySet,
    columns_of,
)
from inventory.records import (
    CANONICAL_FIELDS,
    GOVERNANCE_FIELDS,
    ModelRecord,
    Redaction,
    Stage,
    is_known,
)

STAGES = [(stage.value, stage.value) for stage in Stage]


class RegisteredModelQuerySet(PresentQuerySet["RegisteredModel"]):
    def in_scope(self) -> Self:
        return self.filter(out_of_scope="")

    def out_of_scope(self) -> Self:
        return self.exclude(out_of_scope="")


class RegisteredModel(Perishable):
    """A logical model, such as “credit-scoring”, with its versions below it.

    One that is out of scope is listed with its name, its times and the reason; its
    versions are not read.
    """

    name = models.CharField(max_length=NAME_LENGTH)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(null=True, blank=True)
    last_updated_at = models.DateTimeField(null=True, blank=True)
    tags = models.JSONField(default=dict)
    aliases = models.JSONField(default=dict, help_text="alias -> version")
    latest_versions = models.JSONField(default=dict, help_text="stage -> version")
    out_of_scope = models.TextField(
        blank=True, help_text="Why its versions are not read. Empty: they are."
    )

    objects = RegisteredModelQuerySet.as_manager()
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
            **columns_of(ModelRecord, self, apart=("redactions",)),
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
    mlmodel = models.JSONField("MLmodel", default=dict)
    artifact_root = models.TextField(blank=True)

    artifacts_fingerprint = models.CharField(
        max_length=64, blank=True, help_text="Empty: artifacts were never listed."
    )

    provenance = models.JSONField(default=dict, help_text="field -> who told it")
    others = models.JSONField(default=dict, help_text="field -> what lost against it")
    ingested = models.JSONField(
        default=dict, help_text="attested field -> what its source told of it"
    )
    incomplete = models.JSONField(
        default=dict, help_text="section -> why it could not be read"
    )
    known_fields = models.PositiveSmallIntegerField(default=0)

    # Counted of the manifest, so that nobody has to read all manifests to count.
    files_hashed = models.PositiveIntegerField(default=0)
    files_waiting = models.PositiveIntegerField(default=0)
    files_too_large = models.PositiveIntegerField(default=0)
    files_changed = models.PositiveIntegerField(default=0)
    files_due_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="From when on files of it are to be hashed, or verified, by a job.",
    )

    objects = PresentQuerySet.as_manager()
    history = TenantHistory(
        excluded_fields=[
            "fingerprint", "changed_at", "files_hashed", "files_waiting",
            "files_too_large", "files_changed", "files_due_at",
        ]
    )  # fmt: skip

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
            # The console's filters, and “what changed since the last evaluation”. None
            # on owner: a text of any length does not fit into an index.
            models.Index(
                fields=["organization", "lifecycle_stage"], name="version_by_stage"
            ),
            models.Index(fields=["organization", "changed_at"], name="version_changed"),
            models.Index(
                fields=["organization", "source", "files_due_at"],
                condition=Q(files_due_at__isnull=False),
                name="version_files_due",  # asked for every few minutes
            ),
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
    def artifact_backend(self) -> str:
        """What stores the files, as far as MLflow tells where they lie."""
        return backend_of(self.artifact_root or self.source_artifact_uri)

    @property
    def completeness(self) -> tuple[int, int]:
        """Return how many of the canonical fields are known, and how many there are."""
        return self.known_fields, len(CANONICAL_FIELDS)

    @property
    def is_left_out(self) -> bool:
        """Tell whether it is no longer read because its model is out of scope.

        Cost: of an absent one a query, unless the registered model was selected along.
        """
        return self.is_absent and bool(self.registered_model.out_of_scope)

    @property
    def is_in_production(self) -> bool:
        """Tell whether it is in production, and still told by its source."""
        return self.lifecycle_stage == Stage.PRODUCTION and not self.is_absent

    def count_files(self) -> None:
        counts = FileCounts.of(self.artifact_manifest)
        self.files_hashed, self.files_waiting = counts.hashed, counts.waiting
        self.files_too_large, self.files_changed = counts.too_large, counts.changed

    @property
    def is_incomplete(self) -> bool:
        """Tell whether a section could not be read (not whether fields are empty)."""
        return bool(self.incomplete)


class Observed(TenantModel):
    """Something moved at some moment between two syncs: MLflow tells no exact one."""

    observed_after = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the last sync began that still saw it as it was; null: unknown.",
    )
    observed_before = models.DateTimeField(help_text="The sync that saw it moved.")

    class Meta(TenantModel.Meta):
        abstract = True


class LifecycleEvent(Observed):
    """A version moved from one stage to another; it came, or was no longer told."""

    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="lifecycle")
    from_stage = models.CharField(
        max_length=10,
        choices=STAGES,
        blank=True,
        help_text="Empty: it was not told before.",
    )
    to_stage = models.CharField(
        max_length=10,
        choices=STAGES,
        blank=True,
        help_text="Empty: it is no longer told.",
    )
    told_by = models.CharField(
        max_length=300,
        blank=True,
        help_text="What said so, such as “alias champion”; empty: it is no longer told.",
    )

    class Meta(Observed.Meta):
        ordering = ("-observed_before", "-id")
        constraints = (
            *Observed.Meta.constraints,
            SameOrganization(field="version", name="same_inventory_lifecycle_version"),
        )

    def __str__(self) -> str:
        return (
            f"{self.version}: {self.from_stage or 'new'} → "
            f"{self.to_stage or 'no longer told'}"
        )


class AliasEvent(Observed):
    """An alias of a model was set, moved to another version, or removed.

    A model that is no longer told tells no alias either; told again, it begins anew.
    """

    registered_model = models.ForeignKey(
        RegisteredModel, models.CASCADE, related_name="alias_events"
    )
    alias = models.TextField()
    from_version = models.PositiveIntegerField(
        null=True, blank=True, help_text="Null: the alias was not there."
    )
    to_version = models.PositiveIntegerField(
        null=True, blank=True, help_text="Null: the alias is no longer there."
    )

    class Meta(Observed.Meta):
        ordering = ("-observed_before", "-id")
        constraints = (
            *Observed.Meta.constraints,
            SameOrganization(
                field="registered_model", name="same_inventory_alias_model"
            ),
            models.CheckConstraint(
                condition=(Q(from_version__isnull=False) | Q(to_version__isnull=False))
                & (
                    Q(from_version=None)
                    | Q(to_version=None)
                    | ~Q(from_version=F("to_version"))
                ),
                name="alias_event_is_a_move",
            ),
        )

    def __str__(self) -> str:
        before, after = (
            "none" if number is None else f"version {number}"
            for number in (self.from_version, self.to_version)
        )
        return f"{self.registered_model} @{self.alias}: {before} → {after}"


def known_fields(version: ModelVersion) -> int:
    """Count the canonical fields that say anything; a stage of “None” does."""
    return sum(is_known(version.value(name)) for name in CANONICAL_FIELDS)
