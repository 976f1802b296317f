"""What drf-spectacular cannot find out by itself: how one signs in, and the problems."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator

from verifywise.problems import MEDIA_TYPE, problem

ANSWERS = {
    HTTPStatus.BAD_REQUEST: "A field or a parameter is at fault; `errors` names it.",
    HTTPStatus.UNAUTHORIZED: "Nobody is signed in, or the token is not valid.",
    HTTPStatus.FORBIDDEN: "The role does not allow it, or the CSRF token is missing.",
    HTTPStatus.NOT_FOUND: "There is no such thing, or it is not yours to see.",
    HTTPStatus.NOT_ACCEPTABLE: "Answers are JSON.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Bodies are JSON; an uploaded file is form data.",
}
PROBLEM = {
    "type": "object",
    "description": "An error, as problem details (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "errors": {
            "type": "array",
            "description": "One entry a field or parameter at fault.",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string", "description": "Empty: of no field."},
                    "detail": {"type": "string"},
                },
                "required": ["field", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
    "example": problem(
        HTTPStatus.BAD_REQUEST,
        "page_size: Ask for a whole number from 1 to 500.",
        [{"field": "page_size", "detail": "Ask for a whole number from 1 to 500."}],
    ),
}


class Token(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token, made in the console or at `/api/tokens/`.",
        }


class Session(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "The console's session. What changes something also needs "
            "the header X-CSRFToken.",
        }


def say_null(
    result: dict[str, Any], generator: SchemaGenerator, request: Any, public: bool
) -> dict[str, Any]:
    """Say of what may be null that it may, in the words of OpenAPI 3.1.

    DRF's paginators speak 3.0.
    """
    _say_null(result)
    return result


def _say_null(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _say_null(each)
    elif isinstance(schema, dict):
        if schema.pop("nullable", False):
            schema["type"] = [schema["type"], "null"]
        for each in schema.values():
            _say_null(each)


def declare_problems(
    result: dict[str, Any], generator: SchemaGenerator, request: Any, public: bool
) -> dict[str, Any]:
    """Declare on every operation the problems that it can answer with."""
    result["components"]["schemas"]["Problem"] = PROBLEM
    for path, operations in result["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            for status in _problems(path, operation):
                responses.setdefault(
                    str(status.value), {"description": ANSWERS[status]}
                )
            for code, response in responses.items():
                if int(code) >= HTTPStatus.BAD_REQUEST:
                    reference = {"$ref": "#/components/schemas/Problem"}
                    response["content"] = {MEDIA_TYPE: {"schema": reference}}
            operation["responses"] = dict(sorted(responses.items()))
    return result


def _problems(path: str, operation: dict[str, Any]) -> list[HTTPStatus]:
    found = [
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.BAD_REQUEST,
    ]
    if "{" in path:
        found.append(HTTPStatus.NOT_FOUND)
    if "requestBody" in operation:
        found.append(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    return found
