"""Who is who over REST: the names that are mapped to members, those that are nobody's."""

from __future__ import annotations

from typing import Any, ClassVar

from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import PersonSerializer
from accounts.models import Membership
from accounts.rest import ReadOnlyTenantViewSet
from accounts.roles import Permission
from inventory.api.filters import IdFilter
from inventory.models import PersonName
from inventory.people import map_names, unmap_name, unresolved_names


class PersonNameSerializer(serializers.ModelSerializer[PersonName]):
    """A name that models are told with, and the person who bears it."""

    person = PersonSerializer()

    class Meta:
        model = PersonName
        fields = ("id", "name", "person", "made_at")
        read_only_fields = fields


class NewPersonNameSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    person = serializers.IntegerField(help_text="The id of a member's user.")


class SeenNameSerializer(serializers.Serializer[Any]):
    """A name that is nobody's, and of how many present versions and models it is told."""

    name = serializers.CharField()
    owner_of = serializers.IntegerField(source="owned", help_text="Versions.")
    approver_of = serializers.IntegerField(source="approved", help_text="Versions.")
    models = serializers.SerializerMethodField()

    def get_models(self, seen: Any) -> int:
        return len(seen.models)


class PersonNameFilter(FilterSet):
    person = IdFilter("person")


class PersonNameViewSet(mixins.DestroyModelMixin, ReadOnlyTenantViewSet[PersonName]):
    """Who the names are that owners and approvers are told by, beside e-mail addresses."""

    queryset = PersonName.objects.select_related("person")
    serializer_class = PersonNameSerializer
    filterset_class = PersonNameFilter
    permissions: ClassVar = {
        "create": Permission.EDIT_GOVERNANCE,
        "destroy": Permission.EDIT_GOVERNANCE,
    }
    search_fields = ("name", "person__name", "person__email")
    ordering_fields: ClassVar = {"name": "folded", "made_at": "made_at"}
    ordering = ("name",)

    @extend_schema(
        request=NewPersonNameSerializer, responses={201: PersonNameSerializer}
    )
    def create(self, request: Request) -> Response:
        wanted = NewPersonNameSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        told = wanted.validated_data
        member = Membership.objects.active().filter(user=told["person"]).first()
        if member is None:
            raise serializers.ValidationError(
                {"person": f"No active member has the id {told['person']}."}
            )
        (entry,) = map_names({told["name"]: member.user}).entries
        return Response(self.get_serializer(entry).data, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: PersonName) -> None:
        unmap_name(instance)

    @extend_schema(responses=SeenNameSerializer(many=True), filters=False)
    @action(detail=False, pagination_class=None)
    def unresolved(self, request: Request) -> Response:
        """List the names that are nobody's, the most frequent first."""
        return Response(SeenNameSerializer(unresolved_names(), many=True).data)
