"""The overview: what an officer wants to know first."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    return context
