"""Errors of the API and of webhooks as problem details (RFC 9457), which name the field at fault."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from accounts.middleware import MemberRequest
from compliance.exceptions import PolicyConflict, WaiverSettled
from mlflow_sync.exceptions import SyncAlreadyActive, UndecryptableSecret

MEDIA_TYPE = "application/problem+json"
ROOTS = ("/api/", "/webhooks/")
NOT_FOUND = "There is no such thing, or it is not yours to see."
NOT_ALLOWED = "Your role does not allow this."
OF_NO_FIELD = (api_settings.NON_FIELD_ERRORS_KEY, NON_FIELD_ERRORS)
CONFLICTS = (PolicyConflict, SyncAlreadyActive, UndecryptableSecret, WaiverSettled)


class Conflict(exceptions.APIException):
    """What was asked for does not go together with how things stand."""

    status_code = HTTPStatus.CONFLICT


def problem_details(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer with type, title, status, detail, and one entry in `errors` a field.

    The request's transaction is rolled back: a refused request leaves nothing behind.
    Unknown exceptions return None and become a 500 that says nothing of its cause.
    """
    request = context["request"]
    cast(MemberRequest, request._request).failed = True
    if isinstance(error, CONFLICTS):
        error = Conflict(str(error))
    response = exception_handler(error, context)
    if response is None:
        return None
    errors = (
        _fields(error.detail) if isinstance(error, exceptions.ValidationError) else []
    )
    response.data = problem(response.status_code, _sentence(error, errors), errors)
    response.content_type = MEDIA_TYPE
    # Whatever the view speaks (YAML, HTML): problems are JSON.
    request.accepted_renderer = JSONRenderer()
    request.accepted_media_type = MEDIA_TYPE
    return response


def problem(
    status: int, detail: str, errors: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """Return the members of a problem; `errors` are of a body or a query at fault."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        **({"errors": errors} if errors else {}),
    }


def _sentence(error: Exception, errors: list[dict[str, str]]) -> str:
    if errors:
        return " ".join(
            f"{found['field']}: {found['detail']}"
            if found["field"]
            else found["detail"]
            for found in errors
        )
    if isinstance(error, Http404):
        return NOT_FOUND
    if isinstance(error, PermissionDenied):
        return str(error) or NOT_ALLOWED
    return str(getattr(error, "detail", error))


def _fields(detail: Any, at: str = "") -> list[dict[str, str]]:
    """Flatten DRF's nested errors into (field, detail) pairs; paths use dots."""
    if isinstance(detail, dict):
        return [
            found
            for name, inner in detail.items()
            for found in _fields(
                inner, at if name in OF_NO_FIELD else f"{at}.{name}".lstrip(".")
            )
        ]
    if isinstance(detail, list):
        return [found for inner in detail for found in _fields(inner, at)]
    return [{"field": at, "detail": str(detail)}]


# Errors outside of any view: Django's handlers (`verifywise.urls`), in our own words
# where programs call, and as Django has them everywhere else.


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _outside(
        request,
        HTTPStatus.BAD_REQUEST,
        "The request could not be understood.",
        lambda: defaults.bad_request(request, exception),
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _outside(
        request,
        HTTPStatus.FORBIDDEN,
        str(exception) or NOT_ALLOWED,
        lambda: defaults.permission_denied(request, exception),
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _outside(
        request,
        HTTPStatus.NOT_FOUND,
        NOT_FOUND,
        lambda: defaults.page_not_found(request, exception),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    return _outside(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong on our side, and nothing was changed. "
        "The server's log tells more.",
        lambda: defaults.server_error(request),
    )


def _outside(
    request: HttpRequest,
    status: HTTPStatus,
    detail: str,
    elsewhere: Callable[[], HttpResponse],
) -> HttpResponse:
    if not request.path.startswith(ROOTS):
        return elsewhere()
    return JsonResponse(problem(status, detail), status=status, content_type=MEDIA_TYPE)
