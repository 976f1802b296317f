"""Policies over REST: what is in force, what was, and the draft of what will be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import PersonSerializer
from accounts.rest import ReadOnlyTenantViewSet
from accounts.roles import Permission
from compliance import policies
from compliance.api.fields import SEVERITIES
from compliance.catalogue import Severity
from compliance.markup import title
from compliance.models import Policy
from compliance.models.policies import TITLE_LENGTH
from compliance.policy import DEFAULTS, Content, changes
from compliance.preview import Preview, preview

CONTENT = (
    "packs: the packs that are on; rules: of each rule by its id what is otherwise than "
    "catalogued (switched_on, severity, gate); parameters: thresholds by name."
)
CONFLICT = OpenApiResponse(description="Somebody else was faster; nothing was changed.")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "The first policy",
            response_only=True,
            value={
                "id": 3,
                "number": 1,
                "title": "Stricter on fairness",
                "content": {
                    "packs": ["starter", "eu_ai_act"],
                    "rules": {"VW-INV-004": {"switched_on": False}},
                    "parameters": {"demographic_parity_max": 0.05},
                },
                "digest": "9f2c…",
                "changes": ["The pack “EU AI Act” is switched on."],
                "revision": 2,
                "drafted_by": {"id": 2, "email": "olga@example.org", "name": "Olga"},
                "drafted_at": "2026-11-20T08:00:00Z",
                "changed_by": {"id": 2, "email": "olga@example.org", "name": "Olga"},
                "changed_at": "2026-11-20T08:10:00Z",
                "published_by": {
                    "id": 1,
                    "email": "alice@example.org",
                    "name": "Alice",
                },
                "published_at": "2026-11-20T09:00:00Z",
                "reason": "Agreed by the committee of 19 November.",
            },
        )
    ]
)
class PolicySerializer(serializers.ModelSerializer[Policy]):
    """A published policy, or the draft: then `number` is null."""

    content = serializers.DictField(help_text=CONTENT)
    changes = serializers.ListField(
        child=serializers.CharField(),
        help_text="What it changes about the one before, in sentences.",
    )
    drafted_by = PersonSerializer(allow_null=True)
    changed_by = PersonSerializer(allow_null=True)
    published_by = PersonSerializer(allow_null=True)

    class Meta:
        model = Policy
        fields = (
            "id",
            "number",
            "title",
            "content",
            "digest",
            "changes",
            "revision",
            "drafted_by",
            "drafted_at",
            "changed_by",
            "changed_at",
            "published_by",
            "published_at",
            "reason",
        )
        read_only_fields = fields


class NewPolicySerializer(serializers.Serializer[Any]):
    title = serializers.CharField(
        required=False, allow_blank=True, max_length=TITLE_LENGTH
    )
    content = serializers.DictField(required=False, help_text=CONTENT)


class RevisionSerializer(serializers.Serializer[Any]):
    revision = serializers.IntegerField(
        help_text="The revision of the draft as it was seen."
    )


class DraftChangeSerializer(RevisionSerializer, NewPolicySerializer):
    """What is left out of it stays."""


class PublicationSerializer(RevisionSerializer):
    reason = serializers.CharField(help_text="Why it is published.")


class YamlSerializer(serializers.Serializer[Any]):
    yaml = serializers.CharField(trim_whitespace=False)


class ImportSerializer(YamlSerializer):
    title = serializers.CharField(
        required=False, allow_blank=True, max_length=TITLE_LENGTH
    )


class FourEyesSerializer(serializers.Serializer[Any]):
    is_on = serializers.BooleanField(
        help_text="Whether somebody else than its editors has to publish a draft."
    )


class InForceSerializer(serializers.Serializer[Any]):
    """What applies now; number 0 is the project's defaults, which have no id."""

    number = serializers.IntegerField()
    policy = PolicySerializer(allow_null=True)
    content = serializers.DictField(help_text=CONTENT)
    four_eyes = serializers.BooleanField()


class DifferenceSerializer(serializers.Serializer[Any]):
    against = serializers.IntegerField(help_text="0 is the project's defaults.")
    changes = serializers.ListField(child=serializers.CharField())


class ExampleSerializer(serializers.Serializer[Any]):
    subject = serializers.ChoiceField(choices=("version", "source"))
    id = serializers.IntegerField()
    name = serializers.CharField()


class RuleEffectSerializer(serializers.Serializer[Any]):
    rule_id = serializers.CharField()
    title = serializers.CharField()
    opened = serializers.IntegerField(help_text="The reopened among them.")
    closed = serializers.IntegerField()
    refreshed = serializers.IntegerField(help_text="That stay, told otherwise.")
    undecided = serializers.IntegerField(help_text="That can be checked no longer.")
    waived = serializers.IntegerField(help_text="That a waiver in force is over.")
    examples = ExampleSerializer(many=True, help_text="A few of them.")


class SeverityEffectSerializer(serializers.Serializer[Any]):
    severity = serializers.ChoiceField(choices=SEVERITIES)
    before = serializers.IntegerField(help_text="Open gaps now.")
    after = serializers.IntegerField(help_text="Open gaps then.")


class PreviewSerializer(serializers.Serializer[Any]):
    """What the policy would do to the present inventory. Nothing was written."""

    sentence = serializers.CharField()
    versions = serializers.IntegerField(help_text="That were judged for it.")
    changed = serializers.IntegerField(
        help_text="Versions and sources with another result."
    )
    opened = serializers.IntegerField()
    closed = serializers.IntegerField()
    refreshed = serializers.IntegerField()
    by_severity = SeverityEffectSerializer(
        many=True, help_text="Missing fields are not among them."
    )
    rules = RuleEffectSerializer(many=True)


def told(found: Preview) -> Mapping[str, Any]:
    """Return a preview as it is told over REST."""
    return {
        "sentence": found.sentence(),
        "versions": found.versions,
        "changed": found.changed,
        "opened": found.opens,
        "closed": found.closes,
        "refreshed": found.regrades,
        "by_severity": [
            {
                "severity": level.name.lower(),
                "before": found.before[level],
                "after": found.after[level],
            }
            for level in sorted(Severity, reverse=True)
        ],
        "rules": [
            {
                "rule_id": rule_id,
                "title": title(rule_id),
                "opened": effect.opened,
                "closed": effect.closed,
                "refreshed": effect.refreshed,
                "undecided": effect.undecided,
                "waived": effect.waived,
                "examples": effect.examples,
            }
            for rule_id, effect in found.effects()
        ],
    }


class PolicyViewSet(ReadOnlyTenantViewSet[Policy]):
    """The policies: the draft, if there is one, then the published ones, newest first."""

    queryset = Policy.objects.select_related("drafted_by", "changed_by", "published_by")
    serializer_class = PolicySerializer
    permissions: ClassVar = {
        "create": Permission.DRAFT_POLICY,
        "partial_update": Permission.DRAFT_POLICY,
        "discard": Permission.DRAFT_POLICY,
        "import_yaml": Permission.DRAFT_POLICY,
        "publish": Permission.PUBLISH_POLICY,
        "four_eyes": Permission.MANAGE_MEMBERS,
    }
    search_fields = ("title", "reason")
    query_parameters: ClassVar = ()

    @extend_schema(
        request=NewPolicySerializer, responses={201: PolicySerializer, 409: CONFLICT}
    )
    def create(self, request: Request) -> Response:
        """Start a draft, with what is in force unless a content is told."""
        draft = policies.start_draft(**self._wanted(NewPolicySerializer))
        return Response(self._draft(draft), status=status.HTTP_201_CREATED)

    @extend_schema(
        request=DraftChangeSerializer, responses={200: PolicySerializer, 409: CONFLICT}
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Save the draft."""
        draft = policies.save_draft(
            self.get_object(), **self._wanted(DraftChangeSerializer)
        )
        return Response(self._draft(draft))

    @extend_schema(request=RevisionSerializer, responses={204: None, 409: CONFLICT})
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: str) -> Response:
        """Delete the draft."""
        policies.discard_draft(self.get_object(), **self._wanted(RevisionSerializer))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        request=PublicationSerializer, responses={200: PolicySerializer, 409: CONFLICT}
    )
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: str) -> Response:
        """Put the draft in force; every version is judged anew in the background."""
        policy = policies.publish(
            self.get_object(), **self._wanted(PublicationSerializer)
        )
        return Response(self._draft(policy))

    @extend_schema(responses=PreviewSerializer)
    @action(detail=True, methods=["get"])
    def preview(self, request: Request, pk: str) -> Response:
        """Say what the policy would open and close, were it in force now."""
        found = preview(self.get_object().said)
        return Response(PreviewSerializer(told(found)).data)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "against",
                int,
                description="The number of the other; unless told the one before it.",
            )
        ],
        responses=DifferenceSerializer,
    )
    @action(detail=True, methods=["get"], query_parameters=("against",))
    def diff(self, request: Request, pk: str) -> Response:
        """Say in sentences what the policy changes about another one."""
        policy = self.get_object()
        number = self._against(policy)
        return Response(
            {
                "against": number,
                "changes": changes(self._numbered(number), policy.said),
            }
        )

    @extend_schema(responses=YamlSerializer)
    @action(detail=True, methods=["get"])
    def export(self, request: Request, pk: str) -> Response:
        """Tell the policy as a YAML file."""
        return Response({"yaml": policies.export(self.get_object())})

    @extend_schema(
        request=ImportSerializer, responses={200: PolicySerializer, 409: CONFLICT}
    )
    @action(detail=False, methods=["post"], url_path="import")
    def import_yaml(self, request: Request) -> Response:
        """Take a YAML file for the draft: a new one, or the one there is."""
        wanted = self._wanted(ImportSerializer)
        draft = policies.import_draft(wanted.pop("yaml"), **wanted)
        return Response(self._draft(draft))

    @extend_schema(responses=InForceSerializer)
    @action(detail=False, methods=["get"], url_path="in-force")
    def in_force(self, request: Request) -> Response:
        """Tell what applies now."""
        current = policies.in_force()
        row = self.get_queryset().filter(number=current.number).first()
        return Response(
            InForceSerializer(
                {
                    "number": current.number,
                    "policy": row,
                    "content": current.content.to_json(),
                    "four_eyes": policies.four_eyes(),
                }
            ).data
        )

    @extend_schema(request=FourEyesSerializer, responses=FourEyesSerializer)
    @action(detail=False, methods=["post"], url_path="four-eyes")
    def four_eyes(self, request: Request) -> Response:
        """Say whether it takes two people to publish."""
        wanted = self._wanted(FourEyesSerializer)
        policies.set_four_eyes(**wanted)
        return Response(wanted)

    def _wanted(self, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """Return what the body asks for, a content already understood."""
        told = serializer(data=self.request.data)
        told.is_valid(raise_exception=True)
        wanted: dict[str, Any] = dict(told.validated_data)
        if "content" in wanted:
            wanted["content"] = policies.understood(wanted["content"])
        return wanted

    def _draft(self, policy: Policy) -> Any:
        return PolicySerializer(self.get_queryset().get(pk=policy.pk)).data

    def _against(self, policy: Policy) -> int:
        asked = self.request.query_params.get("against")
        if asked is None:
            return policies.in_force().number if policy.is_draft else policy.number - 1  # type: ignore[operator]  # published
        if not asked.isdecimal():
            raise ValidationError({"against": "Give the number of a policy."})
        return int(asked)

    def _numbered(self, number: int) -> Content:
        if number == 0:
            return DEFAULTS
        found = self.get_queryset().filter(number=number).first()
        if found is None:
            raise Http404
        return found.said
