"""Gaps as work over REST: assigned, given a due date, commented on; one or many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import PersonSerializer
from accounts.models import User
from accounts.rest import TenantViewSet
from accounts.roles import Permission
from compliance import work
from compliance.models import Gap, GapComment

NO_MEMBER = "No active member who may work on gaps has the id {}."


class GapCommentSerializer(serializers.ModelSerializer[GapComment]):
    """What somebody said about a gap."""

    author = PersonSerializer(allow_null=True)

    class Meta:
        model = GapComment
        fields = ("id", "at", "author", "text")
        read_only_fields: tuple[str, ...] = fields


class AssignmentSerializer(serializers.Serializer[Any]):
    """Whom gaps are given to: a member, nobody (null), or the owners of their models."""

    owner = serializers.IntegerField(
        allow_null=True, required=False, help_text="The id of a member's user, or null."
    )
    to_model_owner = serializers.BooleanField(
        default=False, help_text="To the member whom the version's owner names."
    )

    def validate(self, told: dict[str, Any]) -> dict[str, Any]:
        if told["to_model_owner"] == ("owner" in told):
            raise serializers.ValidationError(
                {"owner": "Say either an owner, or to_model_owner."}
            )
        return told


class DueSerializer(serializers.Serializer[Any]):
    due_on = serializers.DateField(
        allow_null=True,
        help_text="The last day on which it is in time, in UTC; null: no day is set.",
    )


class TextSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(allow_blank=True)


class GapsSerializer(serializers.Serializer[Any]):
    gaps = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        allow_empty=False,
        max_length=work.MOST_AT_ONCE,
        help_text=f"Ids, {work.MOST_AT_ONCE} at most: the act is for all, or for none.",
    )


class AssignGapsSerializer(AssignmentSerializer, GapsSerializer):
    """Which gaps, and whom they are given to."""


class DueGapsSerializer(DueSerializer, GapsSerializer):
    """Which gaps, and until when they are to be closed."""


class CommentGapsSerializer(TextSerializer, GapsSerializer):
    """Which gaps, and what is said about them."""


class LeftSerializer(serializers.Serializer[Any]):
    """Gaps that were left as they were, because of the owner of their model."""

    model_owner = serializers.CharField(help_text="As it is told; empty: it is not.")
    gaps = serializers.IntegerField()


class WorkDoneSerializer(serializers.Serializer[Any]):
    """Which gaps are otherwise now, and which were left because nobody could be found."""

    changed = serializers.ListField(child=serializers.IntegerField())
    left = LeftSerializer(many=True)


class Work(TenantViewSet[Gap]):
    """The acts on gaps as work, each for one and for many."""

    permissions: ClassVar = dict.fromkeys(
        ("assign", "assign_many", "due", "due_many", "comments", "comment_many"),
        Permission.WORK_ON_GAPS,
    ) | {"list_comments": Permission.VIEW}

    @extend_schema(request=AssignmentSerializer, responses=WorkDoneSerializer)
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str) -> Response:
        """Give it to a member who may work on gaps, to its model's owner, or to nobody."""
        told = _told(AssignmentSerializer, request)
        return _done(_assign([self.get_object()], told))

    @extend_schema(request=AssignGapsSerializer, responses=WorkDoneSerializer)
    @action(detail=False, methods=["post"], url_path="assign-many")
    def assign_many(self, request: Request) -> Response:
        """Give gaps to a member, to the owners of their models, or to nobody."""
        told = _told(AssignGapsSerializer, request)
        return _done(_assign(_gaps(told["gaps"]), told))

    @extend_schema(request=DueSerializer, responses=WorkDoneSerializer)
    @action(detail=True, methods=["post"])
    def due(self, request: Request, pk: str) -> Response:
        """Say until when it is to be closed."""
        told = _told(DueSerializer, request)
        return _done(work.set_due([self.get_object()], due_on=told["due_on"]))

    @extend_schema(request=DueGapsSerializer, responses=WorkDoneSerializer)
    @action(detail=False, methods=["post"], url_path="due-many")
    def due_many(self, request: Request) -> Response:
        """Say until when gaps are to be closed."""
        told = _told(DueGapsSerializer, request)
        return _done(work.set_due(_gaps(told["gaps"]), due_on=told["due_on"]))

    @extend_schema(request=TextSerializer, responses={201: GapCommentSerializer})
    @action(detail=True, methods=["post"], pagination_class=None)
    def comments(self, request: Request, pk: str) -> Response:
        """Say something about it."""
        told = _told(TextSerializer, request)
        (said,) = work.comment([self.get_object()], text=told["text"])
        return Response(GapCommentSerializer(said).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=GapCommentSerializer(many=True), filters=False)
    @comments.mapping.get
    def list_comments(self, request: Request, pk: str) -> Response:
        """List what was said about it, the first comment first."""
        rows = self.get_object().comments.select_related("author")
        return Response(GapCommentSerializer(rows, many=True).data)

    @extend_schema(request=CommentGapsSerializer, responses={201: WorkDoneSerializer})
    @action(detail=False, methods=["post"], url_path="comment-many")
    def comment_many(self, request: Request) -> Response:
        """Say the same about several gaps."""
        told = _told(CommentGapsSerializer, request)
        said = work.comment(_gaps(told["gaps"]), text=told["text"])
        done = work.Done(changed=[comment.gap for comment in said])
        return _done(done, status.HTTP_201_CREATED)


def _told(serializer: type[serializers.Serializer[Any]], request: Request) -> Any:
    wanted = serializer(data=request.data)
    wanted.is_valid(raise_exception=True)
    return wanted.validated_data


def _gaps(ids: Sequence[int]) -> list[Gap]:
    """Return the gaps of these ids, or say which one there is not."""
    found = Gap.objects.only("pk").in_bulk(ids)
    if missing := [pk for pk in ids if pk not in found]:
        told = f"There is none with the id {missing[0]}."
        raise serializers.ValidationError({"gaps": told})
    return list(found.values())


def _assign(gaps: Sequence[Gap], told: Any) -> work.Done:
    if told["to_model_owner"]:
        return work.assign_to_model_owners(gaps)
    owner: User | None = None
    if told["owner"] is not None:
        workers = {each.user_id: each.user for each in work.workers()}
        owner = workers.get(told["owner"])
        if owner is None:
            fault = NO_MEMBER.format(told["owner"])
            raise serializers.ValidationError({"owner": fault})
    return work.assign(gaps, owner=owner)


def _done(done: work.Done, code: int = status.HTTP_200_OK) -> Response:
    told = {
        "changed": [gap.pk for gap in done.changed],
        "left": [
            {"model_owner": name, "gaps": count}
            for name, count in sorted(done.left.items())
        ],
    }
    return Response(WorkDoneSerializer(told).data, status=code)
