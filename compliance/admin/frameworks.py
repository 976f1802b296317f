"""The pages of the frameworks: all of them, one with its controls, a control's versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.timezone import now

from accounts.pages import Crumb, Page
from accounts.roles import Permission
from compliance.frameworks.control_map import Framework as FrameworkOfMap
from compliance.frameworks.control_map import Strength, control_map
from compliance.frameworks.counting import NO_EVIDENCE, State
from compliance.frameworks.exports.formats import FORMATS
from compliance.frameworks.lines import (
    GapLine,
    VersionLine,
    control_standings,
    lines_called,
)
from compliance.frameworks.moments import moment_of
from compliance.frameworks.report import (
    KINDS,
    ControlLine,
    Report,
    Scope,
    kind_of,
    report,
    summaries,
)
from compliance.frameworks.taking import taken
from compliance.models import Framework

LIST = "admin:compliance_framework_changelist"
ONE = "admin:compliance_framework_report"
CONTROL = "admin:compliance_framework_control"
VERSIONS_PER_PAGE = 50

KIND_LABELS = {
    "with_gaps": "With open gaps",
    "undecided": "Cannot be decided",
    "evidenced": "Evidence of every version",
    "partly": "Evidence of some versions",
    "bare": "No evidence yet",
    "by_product": "By what VerifyWise does",
    "outside": "Outside its reach",
}
EVIDENCE_LABELS = {
    **{strength.value: f"{strength.label} evidence" for strength in Strength},
    Strength.CONTEXT.value: "Context only",
    NO_EVIDENCE: "No evidence",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a filter, and how many there are of it."""

    value: str
    label: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """A version in the table of a control, with its values in the columns' order."""

    pk: int
    line: VersionLine
    values: list[Any]
    gaps: tuple[GapLine, ...]


@admin.register(Framework)
class FrameworkAdmin(Page[Framework]):
    """Evidence for the controls of laws and standards, now or as of a day."""

    permissions: ClassVar = {"view": Permission.VIEW, "export": Permission.EXPORT}
    actions = None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.list_view), name="compliance_framework_changelist"),
            path(
                "<slug:framework_id>/",
                view(self.report_view),
                name="compliance_framework_report",
            ),
            path(
                "<slug:framework_id>/export/<slug:format_key>/",
                view(self.export_view),
                name="compliance_framework_export",
            ),
            path(
                "<slug:framework_id>/<str:control_id>/",
                view(self.control_view),
                name="compliance_framework_control",
            ),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Show all frameworks. Costs one query."""
        scope = self._scope(request)
        found = summaries(scope)
        return self._page(
            request,
            "compliance/frameworks.html",
            scope,
            crumbs=[("Frameworks", "")],
            summaries=[(each, _segments(each)) for each in found],
            versions=found[0].versions if found else 0,
            kinds=KIND_LABELS,
            day=(scope.at or now()).date(),
        )

    def report_view(self, request: HttpRequest, framework_id: str) -> HttpResponse:
        """Show a framework's controls. Costs three queries, at any number of versions."""
        framework = _framework(framework_id)
        scope = self._scope(request)
        found = report(framework, scope)
        kinds = [(kind_of(each, found.versions), each) for each in found.controls]
        kind = request.GET.get("kind", "")
        numbers = dict.fromkeys(KINDS, 0)
        for each, _ in kinds:
            numbers[each] += 1
        return self._page(
            request,
            "compliance/framework.html",
            scope,
            title=framework.name,
            crumbs=[
                ("Frameworks", self._address(LIST, scope)),
                (framework.name, ""),
            ],
            report=found,
            framework=framework,
            successor=control_map().frameworks.get(framework.superseded_by),
            formats=FORMATS.values() if self._may("export") else (),
            lines=[line for each, line in kinds if kind in ("", each)],
            kind=kind if kind in KINDS else "",
            kinds=[
                Choice(each, KIND_LABELS[each], numbers[each])
                for each in KINDS
                if numbers[each]
            ],
            evidence_labels=EVIDENCE_LABELS,
            day=found.moment.date(),
        )

    def control_view(
        self, request: HttpRequest, framework_id: str, control_id: str
    ) -> HttpResponse:
        """Show a control's evidence, version by version. Costs eleven queries at most."""
        framework = _framework(framework_id)
        control = framework.controls.get(control_id)
        if control is None:
            raise Http404
        scope = self._scope(request)
        found = report(framework, scope)
        line = next(each for each in found.controls if each.control is control)
        evidence = _chosen(request, "evidence", EVIDENCE_LABELS)
        state = _chosen(request, "state", [each.value for each in State])
        page = None
        if control.is_about_versions:
            rows = control_standings(
                framework, control, scope, evidence=evidence, state=state
            )
            numbers = rows.values_list("version_id", flat=True)
            page = Paginator(numbers, VERSIONS_PER_PAGE).get_page(request.GET.get("p"))
        return self._page(
            request,
            "compliance/control.html",
            scope,
            title=control.reference,
            crumbs=[
                ("Frameworks", self._address(LIST, scope)),
                (framework.name, self._address(ONE, scope, framework.id)),
                (control.reference, ""),
            ],
            report=found,
            framework=framework,
            control=control,
            line=line,
            page=page,
            rows=_shown(found, line, page.object_list) if page else [],
            evidence=evidence,
            evidences=_evidence_choices(line),
            state=state,
            states=[
                Choice(each.value, each.label, line.states[each])
                for each in State
                if line.states[each]
            ],
            day=found.moment.date(),
        )

    def export_view(
        self, request: HttpRequest, framework_id: str, format_key: str
    ) -> HttpResponseBase:
        """Return a framework's report as a file, and say in the trail who took it."""
        framework = _framework(framework_id)
        if format_key not in FORMATS:
            raise Http404
        return taken(framework, self._scope(request), format_key)

    def _page(
        self, request: HttpRequest, template: str, scope: Scope, **more: Any
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.list_context(request, "Frameworks"),
            "scope": scope,
            "narrowed": urlencode(_narrowed(scope)),
            "today": now().date(),
        }
        return TemplateResponse(request, template, context | more)

    def _scope(self, request: HttpRequest) -> Scope:
        """Read what a member narrowed to; what cannot be understood is said, and now."""
        try:
            moment = moment_of(request.GET.get("as_of", ""), now=now())
        except ValueError as fault:
            messages.error(request, f"As of: {fault} This is as of now.")
            moment = None
        return Scope(
            in_production=request.GET.get("in_production") == "1",
            declared=request.GET.get("declared") == "1",
            at=moment,
        )

    @staticmethod
    def _address(page: str, scope: Scope, *args: str) -> str:
        query = urlencode(_narrowed(scope))
        return reverse(page, args=args) + (f"?{query}" if query else "")

    def list_crumb(self) -> Crumb:
        return "Frameworks", reverse(LIST)


def _framework(framework_id: str) -> FrameworkOfMap:
    framework = control_map().frameworks.get(framework_id)
    if framework is None:
        raise Http404
    return framework


def _narrowed(scope: Scope) -> dict[str, str]:
    told = {
        "in_production": "1" if scope.in_production else "",
        "declared": "1" if scope.declared else "",
        "as_of": scope.at.isoformat() if scope.at else "",
    }
    return {name: value for name, value in told.items() if value}


def _chosen(request: HttpRequest, name: str, known: Iterable[str]) -> str:
    told = request.GET.get(name, "")
    return told if told in known else ""


def _segments(summary: Any) -> Mapping[str, int]:
    return {kind: getattr(summary, kind) for kind in KINDS}


def _evidence_choices(line: ControlLine) -> list[Choice]:
    return [
        Choice(each, EVIDENCE_LABELS[each], number)
        for each, number in line.evidence.items()
        if number
    ]


def _shown(
    found: Report, line: ControlLine, version_ids: Iterable[int | None]
) -> list[ShownVersion]:
    """Return the rows of a page, as they were called and what they told then."""
    names = [each.field.name for each in line.fields]
    rules = set(line.control.rules)
    lines = lines_called(
        found.framework, found.scope, version_ids, moment=found.moment, fields=names
    )
    return [
        ShownVersion(
            pk=each.version_id,
            line=each,
            values=[each.values[name] for name in names],
            gaps=tuple(gap for gap in each.gaps if gap.rule_id in rules),
        )
        for each in lines
    ]
