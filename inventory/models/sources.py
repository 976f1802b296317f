"""Where models come from, and what all rows that a source told have in common."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Self, TypeVar

from django.db import models
from django.utils.timezone import now

from accounts.walls import TenantHistory, TenantModel

Row = TypeVar("Row", bound=models.Model)
NAME_LENGTH = (
    600  # MLflow keeps to 256 on most backends; an index row holds 2,704 bytes
)


class Source(TenantModel):
    """Where models come from: an MLflow tracking server, or people's own entries."""

    class Kind(models.TextChoices):
        MLFLOW = "mlflow", "MLflow"

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.MLFLOW)
    is_demo = models.BooleanField(default=False, editable=False)

    created_at = models.DateTimeField(default=now, editable=False)

    history = TenantHistory()

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


class PresentQuerySet(models.QuerySet[Row]):
    def present(self) -> Self:
        return self.filter(absent_since=None)


def columns_of(
    record: type[Any], row: models.Model, *, apart: tuple[str, ...]
) -> dict[str, Any]:
    """Return the fields of a record that its row holds in the same shape."""
    return {
        item.name: getattr(row, item.name)
        for item in fields(record)
        if item.name not in apart
    }
