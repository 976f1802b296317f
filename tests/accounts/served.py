"""The project's addresses, and pages that do what a request can do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import include, path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import audit, tenancy
from accounts.models import AuditEvent
from accounts.permissions import require
from accounts.roles import Permission
from inventory.models import Source

LISTED = "{% for source in sources %}{{ source.name }}{% endfor %}"


def write() -> None:
    source = Source.objects.create(name="Half-written")
    audit.record("source.added", source)


def state(request: HttpRequest) -> JsonResponse:
    """Tell what can be seen, over which connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_backend_pid(), current_setting('app.organization', true)"
        )
        pid, setting = cursor.fetchone()
    acting = tenancy.current()
    return JsonResponse(
        {
            "pid": pid,
            "setting": setting or "",
            "sources": [source.name for source in Source.objects.all()],
            "events": AuditEvent.objects.count(),
            "acting": acting.organization_name if acting else None,
        }
    )


def rendered_late(request: HttpRequest) -> HttpResponse:
    template = engines["django"].from_string(LISTED)
    return TemplateResponse(request, template, {"sources": Source.objects.all()})


def streamed(request: HttpRequest) -> HttpResponse:
    def lines() -> Iterator[str]:
        for source in Source.objects.order_by("pk").iterator(chunk_size=100):
            acting = tenancy.current()
            who = acting.actor if acting else None
            yield f"{source.name} for {who}\n"

    return StreamingHttpResponse(lines())


def endless(request: HttpRequest) -> HttpResponse:
    def lines() -> Iterator[str]:
        while True:
            for source in Source.objects.all():
                yield source.name * 10_000

    return StreamingHttpResponse(lines())


def breaking_off(request: HttpRequest) -> HttpResponse:
    def lines() -> Iterator[str]:
        write()
        yield "begun\n"
        raise RuntimeError("in the middle of a stream")

    return StreamingHttpResponse(lines())


def crash(request: HttpRequest) -> HttpResponse:
    write()
    raise RuntimeError("after writing")


def crash_in_template(request: HttpRequest) -> HttpResponse:
    write()

    class Crashing:
        def __str__(self) -> str:
            raise RuntimeError("while rendering")

    template = engines["django"].from_string("{{ it }}")
    return TemplateResponse(request, template, {"it": Crashing()})


def not_found(request: HttpRequest) -> HttpResponse:
    write()
    raise Http404


def answers_500(request: HttpRequest) -> HttpResponse:
    write()
    return HttpResponse("Something went wrong.", status=500)


def breaks_a_key(request: HttpRequest) -> HttpResponse:
    """Point into another organization, which is found at COMMIT only."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO inventory_registeredmodel (organization_id, source_id, name, "
            "description, redactions, fingerprint, first_seen_at, changed_at, tags, "
            "aliases, latest_versions) VALUES (%s, %s, 'm', '', '[]', 'f', now(), "
            "now(), '{}', '{}', '{}')",
            [tenancy.current_organization_id(), request.GET["source"]],
        )
    audit.record("model.added")
    return HttpResponse("This is never seen.")


def refused(request: HttpRequest) -> HttpResponse:
    write()
    require(Permission.MANAGE_SERVERS)
    return HttpResponse("Allowed.")


class Rejecting(APIView):
    """Writes, and then finds a field wrong: an error that DRF handles."""

    def get(self, request: Request) -> Response:
        write()
        raise serializers.ValidationError({"url": ["This is no URL."]})


urlpatterns: list[Any] = [
    path("", include("verifywise.urls")),
    path("test/state", state),
    path("test/rendered-late", rendered_late),
    path("test/streamed", streamed),
    path("test/endless", endless),
    path("test/breaking-off", breaking_off),
    path("test/crash", crash),
    path("test/crash-in-template", crash_in_template),
    path("test/not-found", not_found),
    path("test/answers-500", answers_500),
    path("test/breaks-a-key", breaks_a_key),
    path("test/refused", refused),
    path("test/rejecting", Rejecting.as_view()),
]
