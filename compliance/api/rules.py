"""The rules over REST: data and code of the project, under the policy in force."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from compliance.api.fields import GATES, KINDS, SeverityField
from compliance.engine import Rule, rulebook
from compliance.models import Gap
from compliance.policies import in_force


class RuleSerializer(serializers.Serializer[Rule]):
    """A rule: what it demands, how grave a miss is, and how it is put right.

    Severity, gate and thresholds are those of the policy in force.
    """

    id = serializers.CharField(source="entry.id")
    title = serializers.CharField(source="entry.title")
    severity = SeverityField(source="entry.severity")
    gate = serializers.ChoiceField(choices=GATES, source="entry.gate")
    kind = serializers.ChoiceField(choices=KINDS, source="entry.kind")
    check = serializers.CharField(source="entry.check", help_text="What is demanded.")
    when = serializers.CharField(source="entry.when", help_text="Of which versions.")
    fix = serializers.CharField(
        source="entry.fix", help_text="How a miss is put right."
    )
    attestable_fields = serializers.ListField(
        child=serializers.CharField(),
        source="entry.fields",
        help_text="Of the record: those that close a gap when people attest them.",
    )
    controls = serializers.ListField(
        child=serializers.CharField(),
        source="entry.controls",
        help_text="What a pass is evidence for.",
    )
    packs = serializers.ListField(child=serializers.CharField(), source="entry.packs")
    is_switched_on = serializers.SerializerMethodField()
    reads = serializers.ListField(
        child=serializers.CharField(), help_text="The facts that it reads."
    )
    thresholds = serializers.SerializerMethodField()
    origin = serializers.CharField(source="entry.origin")
    doubt = serializers.CharField(source="entry.doubt")
    version = serializers.IntegerField(source="entry.version")

    def get_is_switched_on(self, rule: Rule) -> bool:
        return rule.id in self.context["on"]

    def get_thresholds(self, rule: Rule) -> dict[str, float]:
        known = self.context["thresholds"]
        return {name: known[name] for name in rule.thresholds}


RULE_ID = OpenApiParameter("id", str, OpenApiParameter.PATH, description="VW-PRIV-001")


class RuleViewSet(GenericViewSet[Any]):
    """The rules that have code, in the order of the catalogue, as the policy has them."""

    queryset = Gap.objects.none()  # rules are code and data files, not rows
    serializer_class = RuleSerializer
    metadata_class = None
    lookup_value_regex = "[^/]+"

    def list(self, request: Request) -> Response:
        rules = self.paginate_queryset(self._rules()) or ()
        return self.get_paginated_response(self._told(rules))

    @extend_schema(parameters=[RULE_ID])
    def retrieve(self, request: Request, pk: str) -> Response:
        for rule in self._rules():
            if rule.id == pk:
                return Response(self._told([rule])[0])
        raise Http404

    def _told(self, rules: Iterable[Rule]) -> Any:
        """Costs one query: the policy in force."""
        content = in_force().content
        context = {
            **self.get_serializer_context(),
            "on": {rule.id for rule in content.rules_on()},
            "thresholds": content.thresholds,
        }
        graded = list(map(content.graded, rules))
        return self.get_serializer_class()(graded, many=True, context=context).data

    def _rules(self) -> Any:
        return self.filter_queryset(list(rulebook))  # type: ignore[arg-type]  # no rows
