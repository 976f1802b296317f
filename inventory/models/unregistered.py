"""Models that were logged and never registered: what a registry does not show."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import OuterRef, Subquery
from django.urls import reverse

from accounts.walls import SameOrganization
from inventory.models.runs import Experiment
from inventory.models.sources import NAME_LENGTH, Perishable, PresentQuerySet


class UnregisteredModelQuerySet(PresentQuerySet["UnregisteredModel"]):
    def listed(self) -> Self:
        """Return those that are there, and still not registered."""
        return self.in_state(UnregisteredModel.State.UNREGISTERED)

    def with_experiments(self) -> Self:
        """Annotate the names of their experiments, None where one is not known."""
        experiments = Experiment.objects.filter(
            source=OuterRef("source"), experiment_id=OuterRef("experiment_id")
        )
        return self.annotate(experiment_name=Subquery(experiments.values("name")[:1]))

    def in_state(self, state: str) -> Self:
        if state == UnregisteredModel.State.REGISTERED:
            return self.exclude(registered_at=None)
        is_absent = state == UnregisteredModel.State.ABSENT
        return self.filter(registered_at=None, absent_since__isnull=not is_absent)


class UnregisteredModel(Perishable):
    """A model that a run logged and no version of the registry is made from.

    `external_id` is what registers it: `models:/m-…`, or `runs:/<run>/<path>`. Rows are
    compared with MLflow's order of ids, hence the collation.
    """

    class Kind(models.TextChoices):
        LOGGED_MODEL = "logged_model", "Logged model"
        RUN = "run", "Files of a run"

    class State(models.TextChoices):
        UNREGISTERED = "unregistered", "Unregistered"
        REGISTERED = "registered", "Registered since"
        ABSENT = "absent", "No longer told"

    kind = models.CharField(max_length=12, choices=Kind)
    external_id = models.CharField("address", max_length=NAME_LENGTH, db_collation="C")
    name = models.CharField(max_length=NAME_LENGTH)
    model_type = models.TextField(
        blank=True, help_text="Its type, or its flavors, as far as they were told."
    )
    status = models.CharField(max_length=40, blank=True)
    run_id = models.CharField(max_length=64, blank=True, db_collation="C")
    experiment_id = models.CharField(max_length=64)
    experiment_name: str | None  # annotated by `with_experiments`
    created_at = models.DateTimeField(null=True, blank=True)

    registered_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When a sync first found a version made from it.",
    )

    objects = UnregisteredModelQuerySet.as_manager()

    class Meta(Perishable.Meta):
        ordering = ("-created_at", "id")
        constraints = (
            *Perishable.Meta.constraints,
            SameOrganization(field="source", name="same_inventory_unregistered_source"),
            models.UniqueConstraint(
                fields=["organization", "source", "external_id"],
                name="one_unregistered_model_per_address",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("admin:inventory_unregisteredmodel_change", args=[self.pk])

    @property
    def state(self) -> State:
        """Return what became of it, as `in_state` finds it."""
        if self.registered_at is not None:
            return self.State.REGISTERED
        return self.State.ABSENT if self.is_absent else self.State.UNREGISTERED
