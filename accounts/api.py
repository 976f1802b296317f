"""The API of members, their tokens and the audit trail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import chain, saved_views, tenancy
from accounts.members import (
    add_member,
    change_role,
    issue_token,
    remove_member,
    revoke_token,
)
from accounts.models import ApiToken, AuditEvent, Membership, SavedView, User
from accounts.permissions import MemberPermission
from accounts.rest import ReadOnlyTenantViewSet
from accounts.roles import Permission, Role

LONGEST_LIFE = 3650  # days


class PersonSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("id", "email", "name")


class MemberSerializer(serializers.ModelSerializer[Membership]):
    user = PersonSerializer(read_only=True)

    class Meta:
        model = Membership
        fields = ("id", "user", "role", "created_at")
        read_only_fields = ("created_at",)


class NewMemberSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField()
    name = serializers.CharField(required=False, default="", max_length=200)
    role = serializers.ChoiceField(choices=Role.choices)


class MemberViewSet(ReadOnlyTenantViewSet[Membership]):
    """The members of the organization. Who has no account yet is given one."""

    queryset = Membership.objects.select_related("user").order_by("user__email")
    serializer_class = MemberSerializer
    permissions: ClassVar = {
        "create": Permission.MANAGE_MEMBERS,
        "partial_update": Permission.MANAGE_MEMBERS,
        "destroy": Permission.MANAGE_MEMBERS,
    }
    filterset_fields = ("role",)
    search_fields = ("user__email", "user__name")
    ordering_fields = ("user__email", "role", "created_at")

    @extend_schema(request=NewMemberSerializer, responses={201: MemberSerializer})
    def create(self, request: Request) -> Response:
        wanted = NewMemberSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        told = wanted.validated_data
        membership = add_member(
            told["email"], role=Role(told["role"]), name=told["name"]
        )
        answer = self.get_serializer(membership).data
        return Response(answer, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        membership = self.get_object()
        wanted = self.get_serializer(membership, data=request.data)
        wanted.is_valid(raise_exception=True)
        change_role(membership, Role(wanted.validated_data["role"]))
        return Response(self.get_serializer(membership).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        remove_member(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    id = serializers.CharField(source="token_key", read_only=True)

    class Meta:
        model = ApiToken
        fields: tuple[str, ...] = ("id", "name", "created", "expiry")
        read_only_fields = ("created", "expiry")


class NewTokenSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    days = serializers.IntegerField(
        default=90, min_value=1, max_value=LONGEST_LIFE, help_text="How long it works."
    )


class IssuedTokenSerializer(TokenSerializer):
    token = serializers.CharField(
        source="told_once", read_only=True, help_text="The token: it is not told again."
    )

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")


class TokenViewSet(ReadOnlyTenantViewSet[ApiToken]):
    """The caller's own API tokens, in the organization they call for."""

    queryset = ApiToken.objects.order_by("created")
    serializer_class = TokenSerializer
    permissions: ClassVar = {"create": Permission.VIEW, "destroy": Permission.VIEW}
    lookup_field = "token_key"
    lookup_url_kwarg = "pk"
    search_fields = ("name",)
    ordering_fields = ("name", "created", "expiry")

    def get_queryset(self) -> QuerySet[ApiToken]:
        return super().get_queryset().filter(user=tenancy.current_actor())

    @extend_schema(request=NewTokenSerializer, responses={201: IssuedTokenSerializer})
    def create(self, request: Request) -> Response:
        wanted = NewTokenSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        told = wanted.validated_data
        token = issue_token(told["name"], expires_in=timedelta(days=told["days"]))
        answer = IssuedTokenSerializer(token).data
        return Response(answer, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        revoke_token(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class AuditEventSerializer(serializers.ModelSerializer[AuditEvent]):
    """All that the digest is taken over, the digest and its signature."""

    organization = serializers.IntegerField(source="organization_id")
    at = serializers.DateTimeField(format=chain.TIME)

    class Meta:
        model = AuditEvent
        fields = (
            "format",
            "organization",
            "sequence",
            "at",
            "actor_id",
            "actor_name",
            "actor_role",
            "origin",
            "request_id",
            "action",
            "object_type",
            "object_id",
            "object_label",
            "changes",
            "reason",
            "key_id",
            "previous_digest",
            "digest",
            "signature",
        )


class AuditEventFilter(filters.FilterSet):
    after = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    before = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")
    actor = filters.NumberFilter(field_name="actor_id")

    class Meta:
        model = AuditEvent
        fields = ("action", "origin", "object_type", "object_id", "request_id")


class TrailPages(CursorPagination):
    """50 entries a page, by number; `page_size` asks for up to 500."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering = "-sequence"


class AuditEventViewSet(ReadOnlyTenantViewSet[AuditEvent]):
    """The audit trail, newest first. An entry is found under its sequence number."""

    queryset = AuditEvent.objects.all()
    serializer_class = AuditEventSerializer
    permissions: ClassVar = {
        "list": Permission.READ_TRAIL,
        "retrieve": Permission.READ_TRAIL,
    }
    pagination_class = TrailPages
    filterset_class = AuditEventFilter
    lookup_field = "sequence"
    search_fields = ("object_label", "actor_name", "action", "reason")
    ordering_fields: tuple[str, ...] = ()  # a cursor has one order


class SavedViewSerializer(serializers.ModelSerializer[SavedView]):
    """A list as somebody narrowed it, under a name."""

    list_name = serializers.CharField(help_text="Which list it is of, such as “gaps”.")
    query = serializers.CharField(
        help_text="Filters of that list in the console, as after the ? of its address."
    )
    user = PersonSerializer(read_only=True)

    class Meta:
        model = SavedView
        fields = ("id", "list_name", "name", "query", "is_shared", "user", "created_at")
        read_only_fields = ("created_at",)

    def create(self, validated_data: dict[str, Any]) -> SavedView:
        return saved_views.save_view(**validated_data)


class ChangedViewSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(required=False)
    is_shared = serializers.BooleanField(required=False)


class SavedViewFilter(filters.FilterSet):
    list_name = filters.CharFilter("list_name")


class SavedViewViewSet(
    mixins.CreateModelMixin, mixins.DestroyModelMixin, ReadOnlyTenantViewSet[SavedView]
):
    """Lists as they were narrowed, under a name: the caller's own, and shared ones."""

    queryset = SavedView.objects.select_related("user")
    serializer_class = SavedViewSerializer
    filterset_class = SavedViewFilter
    permissions: ClassVar = {
        "create": Permission.VIEW,
        "partial_update": Permission.VIEW,
        "destroy": Permission.VIEW,
    }
    search_fields = ("name",)
    ordering_fields: ClassVar = {"name": "name", "created_at": "created_at"}
    ordering = ("name",)

    def get_queryset(self) -> QuerySet[SavedView]:
        visible = SavedView.objects.visible_to(tenancy.current_actor()).values("pk")
        return super().get_queryset().filter(pk__in=visible)

    @extend_schema(request=ChangedViewSerializer, responses=SavedViewSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        view = self.get_object()
        wanted = ChangedViewSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        told = {"name": view.name, "is_shared": view.is_shared} | wanted.validated_data
        changed = saved_views.change_view(view, **told)
        return Response(self.get_serializer(changed).data)

    def perform_destroy(self, instance: SavedView) -> None:
        saved_views.delete_view(instance)


class MyOrganizationSerializer(serializers.ModelSerializer[Membership]):
    id = serializers.IntegerField(source="organization_id")
    name = serializers.CharField(source="organization.name")
    slug = serializers.SlugField(source="organization.slug")

    class Meta:
        model = Membership
        fields = ("id", "name", "slug", "role")


class MeSerializer(serializers.Serializer[Any]):
    user = PersonSerializer()
    organization = MyOrganizationSerializer()
    permissions = serializers.ListField(
        child=serializers.ChoiceField(Permission.choices)
    )


class MeViewSet(viewsets.GenericViewSet[Membership]):
    """Who calls, for which organization, and what they may do there."""

    permission_classes = (MemberPermission,)
    serializer_class = MeSerializer
    metadata_class = None
    pagination_class = None
    filter_backends = ()

    @extend_schema(responses=forced_singular_serializer(MeSerializer))  # type: ignore[no-untyped-call]
    def list(self, request: Request) -> Response:
        acting = tenancy.current() or tenancy.Acting()
        membership = Membership.objects.select_related("organization").get(
            user=acting.actor, organization_id=tenancy.current_organization_id()
        )
        told = {
            "user": acting.actor,
            "organization": membership,
            "permissions": [name for name in Permission if acting.may(name)],
        }
        return Response(MeSerializer(told).data)

    @extend_schema(responses=MyOrganizationSerializer(many=True))
    @action(detail=False)
    def organizations(self, request: Request) -> Response:
        """The organizations that the caller is a member of; a token is for one only."""
        acting = tenancy.current() or tenancy.Acting()
        memberships = tenancy.memberships_of(acting.actor) if acting.actor else []
        return Response(MyOrganizationSerializer(memberships, many=True).data)
