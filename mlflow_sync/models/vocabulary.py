"""The words of an organization: its own keys and values, beside the project's."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.walls import TenantModel
from inventory.records import FIELDS

LONGEST_TOLD = 250  # MLflow's own limit of keys
FIELD_LENGTH = 60


class VocabularyEntry(TenantModel):
    """What one of the organization's words means: a key states a field, a word a value.

    Entries are added and removed, never changed: the trail has who said what when.
    """

    class Kind(models.TextChoices):
        KEY = "key", "Key"
        WORD = "word", "Word"

    kind = models.CharField(max_length=4, choices=Kind)
    field = models.CharField(
        max_length=FIELD_LENGTH, help_text="A field of the record, by its name."
    )
    told = models.CharField(
        max_length=LONGEST_TOLD, help_text="The key, or the value, as MLflow tells it."
    )
    word = models.CharField(
        "means",
        max_length=LONGEST_TOLD,
        blank=True,
        help_text="What a word means; empty for a key.",
    )

    folded = models.CharField(max_length=LONGEST_TOLD, editable=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    made_at = models.DateTimeField(default=now)

    class Meta(TenantModel.Meta):
        verbose_name = "word of the organization"
        verbose_name_plural = "words of the organization"
        ordering = ("field", "kind", "told", "id")
        constraints = (
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "kind", "field", "folded"],
                name="one_entry_per_word_and_field",
            ),
            models.CheckConstraint(
                condition=Q(kind="key", word="") | (Q(kind="word") & ~Q(word="")),
                name="word_of_vocabulary_means_something",
            ),
        )

    def __str__(self) -> str:
        if self.kind == VocabularyEntry.Kind.KEY:
            return f"the key {self.told} states {self.label}"
        return f"“{self.told}” means {self.word} of {self.label}"

    def get_absolute_url(self) -> str:
        return reverse("admin:mlflow_sync_vocabularyentry_changelist")

    @property
    def label(self) -> str:
        field = FIELDS.get(self.field)
        return field.label.lower() if field else self.field
