"""How severities, gates and kinds of rules are told over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from compliance.catalogue import Gate, Kind, Severity

SEVERITIES = [(severity.name.lower(), severity.label) for severity in Severity]
GATES = [(gate.value, gate.label) for gate in Gate]
KINDS = [(kind.value, kind.value) for kind in Kind]


@extend_schema_field(serializers.ChoiceField(choices=SEVERITIES))
class SeverityField(serializers.Field[Any, Any, Any, Any]):
    """A severity by its name, as the catalogue writes it."""

    def to_representation(self, value: int) -> str:
        return Severity(value).name.lower()
