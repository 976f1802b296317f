"""Runs and experiments, one row per source and MLflow's id."""

from __future__ import annotations

from django.db import models

from accounts.walls import SameOrganization
from inventory.models.sources import NAME_LENGTH, Ingested, columns_of
from inventory.records import ExperimentRecord, Redaction, RunRecord


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

    def record(self) -> ExperimentRecord:
        """Return the row as the record it was written from."""
        return ExperimentRecord(
            **columns_of(ExperimentRecord, self, apart=("redactions",)),
            redactions=tuple(Redaction(**told) for told in self.redactions),
        )


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
    metric_points = models.JSONField(default=dict, help_text="name -> step and time")
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
            **columns_of(RunRecord, self, apart=("redactions", "dataset_inputs")),
            dataset_inputs=tuple(self.dataset_inputs),
            redactions=tuple(Redaction(**told) for told in self.redactions),
        )
