"""Errors of the API as problem details (RFC 9457), which name the field at fault."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts.exceptions import NotAllowed
from accounts.middleware import MemberRequest


def problem_details(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer with type, title, status, detail, and one entry in `errors` a field.

    The request's transaction is rolled back: a refused request leaves nothing behind.
    Unknown exceptions return None and become Django's 500.
    """
    request = cast(MemberRequest, context["request"]._request)
    request.failed = True
    if isinstance(error, NotAllowed):
        error = exceptions.PermissionDenied(str(error))
    response = exception_handler(error, context)
    if response is None:
        return None
    errors = (
        _fields(error.detail) if isinstance(error, exceptions.ValidationError) else []
    )
    status = HTTPStatus(response.status_code)
    response.data = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": _sentence(error, errors),
        **({"errors": errors} if errors else {}),
    }
    response.content_type = "application/problem+json"
    return response


def _sentence(error: Exception, errors: list[dict[str, str]]) -> str:
    if errors:
        first = errors[0]
        return (
            f"{first['field']}: {first['detail']}"
            if first["field"]
            else first["detail"]
        )
    if isinstance(error, Http404):
        return "There is no such thing, or it is not yours to see."
    if isinstance(error, PermissionDenied):
        return "Your role does not allow this."
    return str(getattr(error, "detail", error))


def _fields(detail: Any, at: str = "") -> list[dict[str, str]]:
    """Flatten DRF's nested errors into (field, detail) pairs; paths use dots."""
    if isinstance(detail, dict):
        return [
            found
            for name, inner in detail.items()
            for found in _fields(
                inner,
                at if name == "non_field_errors" else f"{at}.{name}".lstrip("."),
            )
        ]
    if isinstance(detail, list):
        return [found for inner in detail for found in _fields(inner, at)]
    return [{"field": at, "detail": str(detail)}]
