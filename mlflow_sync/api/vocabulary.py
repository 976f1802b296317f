"""The organization's own words over REST, with the keys seen and a preview."""

from __future__ import annotations

from typing import Any, ClassVar

from django_filters import CharFilter, ChoiceFilter
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest import ReadOnlyTenantViewSet
from accounts.roles import Permission
from mlflow_sync.mapping.acts import add_entry, preview_entry, remove_entry
from mlflow_sync.mapping.own import own_vocabulary
from mlflow_sync.mapping.seen import seen_keys
from mlflow_sync.models import VocabularyEntry


class VocabularyEntrySerializer(serializers.ModelSerializer[VocabularyEntry]):
    """What one of the organization's words means."""

    kind = serializers.ChoiceField(choices=VocabularyEntry.Kind.choices)
    field = serializers.CharField(help_text="A field of the record, by its name.")
    told = serializers.CharField(
        trim_whitespace=False, help_text="The key, or the value, as MLflow tells it."
    )
    word = serializers.CharField(
        required=False, default="", allow_blank=True, help_text="What a word means."
    )

    class Meta:
        model = VocabularyEntry
        fields = ("id", "kind", "field", "told", "word", "made_at")
        read_only_fields = ("made_at",)

    def entry(self) -> VocabularyEntry:
        return VocabularyEntry(**self.validated_data)

    def create(self, validated_data: dict[str, Any]) -> VocabularyEntry:
        return add_entry(VocabularyEntry(**validated_data))


class ChangedVersionSerializer(serializers.Serializer[Any]):
    model_version = serializers.IntegerField(source="version.pk")
    model_name = serializers.CharField(source="version.model_name")
    version_number = serializers.IntegerField(source="version.version_number")
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class WordEffectSerializer(serializers.Serializer[Any]):
    """Of how many versions a field would become known, change, or be lost."""

    sentence = serializers.CharField()
    versions = serializers.IntegerField(help_text="That were looked at.")
    known = serializers.IntegerField()
    changed = serializers.IntegerField()
    lost = serializers.IntegerField()
    examples = ChangedVersionSerializer(many=True)


class SeenKeySerializer(serializers.Serializer[Any]):
    """A key that the registry uses."""

    key = serializers.CharField()
    places = serializers.DictField(
        child=serializers.IntegerField(), help_text="Place -> how often."
    )
    sample = serializers.CharField()
    states = serializers.ListField(
        child=serializers.CharField(),
        source="fields",
        help_text="The fields that it states now.",
    )


class VocabularyEntryFilter(FilterSet):
    kind = ChoiceFilter(choices=VocabularyEntry.Kind.choices)
    field = CharFilter("field")


class VocabularyEntryViewSet(
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    ReadOnlyTenantViewSet[VocabularyEntry],
):
    """The organization's own keys and values, beside the project's vocabulary."""

    queryset = VocabularyEntry.objects.all()
    serializer_class = VocabularyEntrySerializer
    filterset_class = VocabularyEntryFilter
    permissions: ClassVar = {
        "create": Permission.EDIT_GOVERNANCE,
        "destroy": Permission.EDIT_GOVERNANCE,
        "preview": Permission.EDIT_GOVERNANCE,
    }
    search_fields = ("told", "field", "word")
    ordering_fields: ClassVar = {"field": "field", "told": "told", "made_at": "made_at"}
    ordering = ("field", "told")

    def perform_destroy(self, instance: VocabularyEntry) -> None:
        remove_entry(instance)

    @extend_schema(
        request=VocabularyEntrySerializer,
        responses={status.HTTP_200_OK: WordEffectSerializer},
    )
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Tell what an entry would change, without saving it."""
        told = VocabularyEntrySerializer(data=request.data)
        told.is_valid(raise_exception=True)
        return Response(WordEffectSerializer(preview_entry(told.entry())).data)

    @extend_schema(responses=SeenKeySerializer(many=True), filters=False)
    @action(detail=False, pagination_class=None)
    def keys(self, request: Request) -> Response:
        """List the keys that were seen, those that state no field first."""
        found = seen_keys(own_vocabulary())
        return Response(SeenKeySerializer(found, many=True).data)
