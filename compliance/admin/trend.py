"""The page of the trend: open gaps over time, what was opened and closed, and why."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from accounts.pages import Page
from compliance.models import Gap
from compliance.trend import LENGTHS, trend
from compliance.trend_chart import AREA, BARS, LEFT, WIDTH, WORST_FIRST, chart

USUAL = 90  # days


class TrendPages(Page[Gap]):
    """What the gaps' admin class shows of their trend, beside the list."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.trend_view)
        return [path("trend/", view, name="compliance_gap_trend"), *super().get_urls()]

    def trend_view(self, request: HttpRequest) -> HttpResponse:
        """Draw the trend, and tell it as a table. Costs two queries.

        What is no choice, as in an old link, is the usual one.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.get("days", "")
        length = int(asked) if asked in map(str, LENGTHS) else USUAL
        kinds = {kind.value: kind for kind in Gap.Kind}
        kind = kinds.get(request.GET.get("kind", ""), Gap.Kind.RULE)
        found = trend(length, kind=kind)
        first, *between, last = found.days
        marked = {policy.day for policy in found.policies}
        context = {
            **self.list_context(request, "Trend"),
            "lengths": LENGTHS,
            "length": length,
            "kinds": [(value, words) for value, words in Gap.Kind.choices],
            "kind": kind.value,
            "severities": WORST_FIRST,
            "today": last,
            "policies": found.policies,
            "chart": chart(found.days, found.policies),
            "size": {"width": WIDTH, "left": LEFT, "area": AREA, "bars": BARS},
            "days": [
                last,
                *(
                    day
                    for day in reversed(between)
                    if day.is_eventful or day.day in marked
                ),
                first,
            ],
            "opened": sum(sum(day.opened.values()) for day in found.days),
            "closed": sum(sum(day.closed.values()) for day in found.days),
        }
        return TemplateResponse(request, "compliance/trend.html", context)
