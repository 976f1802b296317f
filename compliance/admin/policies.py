"""The policies: what is in force, the draft and its form, the preview, publishing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from accounts import markup, tenancy
from accounts.pages import RecordPage
from accounts.roles import Permission
from compliance import policies
from compliance.admin.policy_rows import posted, shown_packs, shown_parameters
from compliance.catalogue import Gate, Severity
from compliance.exceptions import PolicyConflict
from compliance.models import Policy
from compliance.models.policies import TITLE_LENGTH
from compliance.policy import DEFAULTS, Content, changes
from compliance.policy_files import LARGEST
from compliance.preview import preview
from inventory.models import ModelVersion

LIST = "admin:compliance_policy_changelist"
CHANGES_LISTED = 2


@admin.register(Policy)
class PolicyAdmin(RecordPage[Policy]):
    """Published policies are read; the draft is changed by the acts of `policies`."""

    permissions: ClassVar[dict[str, Permission]] = {
        "view": Permission.VIEW,
        "draft": Permission.DRAFT_POLICY,
        "publish": Permission.PUBLISH_POLICY,
        "four_eyes": Permission.MANAGE_MEMBERS,
    }
    record_template = "compliance/policy.html"
    list_before_template = "compliance/policies_head.html"
    list_display = (
        "shown_name",
        "shown_title",
        "shown_changes",
        "shown_drafted",
        "shown_published",
    )
    list_display_links = ("shown_name",)
    list_select_related = ("drafted_by", "published_by")
    sortable_by = ()
    actions = None

    def for_page(self, rows: QuerySet[Policy]) -> QuerySet[Policy]:
        return rows.select_related("drafted_by", "changed_by", "published_by")

    # The list

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Costs three queries beside the list's: in force, draft, organization."""
        about = {
            "current": policies.in_force(),
            "draft": Policy.objects.drafts().first(),
            "four_eyes": policies.four_eyes(),
            **self._may_what(),
        }
        return super().changelist_view(request, about | (extra_context or {}))

    @admin.display(description="policy")
    def shown_name(self, policy: Policy) -> SafeString:
        return format_html('<span class="vw-name">{}</span>', policy)

    @admin.display(description="about")
    def shown_title(self, policy: Policy) -> str:
        return policy.title

    @admin.display(description="changes")
    def shown_changes(self, policy: Policy) -> SafeString:
        if not policy.changes:
            return markup.NOTHING
        more = len(policy.changes) - CHANGES_LISTED
        sentences = [*policy.changes[:CHANGES_LISTED]]
        if more > 0:
            sentences.append(f"And {more} more.")
        return format_html(
            '<span class="vw-detail">{}</span>',
            format_html_join(" ", "{}", ((each,) for each in sentences)),
        )

    @admin.display(description="drafted")
    def shown_drafted(self, policy: Policy) -> SafeString:
        return _by_and_at(policy.drafted_by, policy.drafted_at)

    @admin.display(description="published")
    def shown_published(self, policy: Policy) -> SafeString:
        if policy.published_at is None:
            return markup.chip("Draft", "medium")
        return _by_and_at(policy.published_by, policy.published_at)

    # The page of one

    def get_urls(self) -> list[URLPattern]:
        def to(view: Any, address: str, name: str) -> URLPattern:
            guarded = self.admin_site.admin_view(view)
            return path(address, guarded, name=f"compliance_policy_{name}")  # type: ignore[no-any-return]  # the stubs'

        return [
            to(self.defaults_view, "defaults/", "defaults"),
            to(self.start_view, "start/", "start"),
            to(self.import_view, "import/", "import"),
            to(self.four_eyes_view, "four-eyes/", "four_eyes"),
            to(self.edit_view, "<int:pk>/edit/", "edit"),
            to(self.preview_view, "<int:pk>/preview/", "preview"),
            to(self.export_view, "<int:pk>/export/", "export"),
            to(self.publish_view, "<int:pk>/publish/", "publish"),
            to(self.discard_view, "<int:pk>/discard/", "discard"),
            *super().get_urls(),
        ]

    def record_context(self, request: HttpRequest, row: Policy) -> dict[str, Any]:
        """Costs up to six queries: numbers, in force, the other, editors, progress."""
        published = Policy.objects.published().order_by("number")
        numbers = [0, *(each.number or 0 for each in published.only("number"))]
        newest = numbers[-1]
        usual = newest if row.number is None else max(row.number - 1, 0)
        asked = request.GET.get("against", "")
        against = int(asked) if asked.isdecimal() and int(asked) in numbers else usual
        said = row.said
        acting = tenancy.current()
        editors = (
            [editor.user for editor in row.editors.select_related("user")]
            if row.is_draft
            else []
        )
        return {
            **self._shown(said.to_json(), {}),
            **self._may_what(),
            "policy": row,
            "is_in_force": row.number == newest,
            "newest": newest,
            "against": against,
            "others": [number for number in numbers if number != row.number],
            "differences": changes(_numbered(against), said),
            "editors": editors,
            "four_eyes": row.is_draft and policies.four_eyes(),
            "is_editor": acting is not None and acting.actor in editors,
            "progress": _progress(newest) if row.number == newest else None,
        }

    def defaults_view(self, request: HttpRequest) -> HttpResponse:
        """Show version 0, which has no row."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = Policy(
            number=0,
            title="The project’s defaults",
            content=DEFAULTS.to_json(),
            digest=DEFAULTS.digest,
        )
        context = {
            **self.list_context(request, str(row)),
            "original": row,
            **self.record_context(request, row),
        }
        return TemplateResponse(request, self.record_template, context)

    def export_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._row(request, pk)
        name = f"policy-{row.number}" if row.number else "policy-draft"
        return HttpResponse(
            policies.export(row),
            content_type="application/yaml; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}.yaml"'},
        )

    def preview_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._row(request, pk)
        found = preview(row.said)
        context = self.page_context(
            request,
            row,
            policy=row,
            found=found,
            effects=found.effects(),
            levels=[
                (level, found.before[level], found.after[level])
                for level in sorted(Severity, reverse=True)
            ],
            crumbs=[*self.crumbs(row), ("Preview", "")],
            **self._may_what(),
        )
        return TemplateResponse(request, "compliance/policy_preview.html", context)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the draft's form; what it cannot say stays in it, with the reason."""
        row = self._row(request, pk)
        if not self._may("draft"):
            raise PermissionDenied
        if not row.is_draft:
            return redirect(row)
        said, title, revision = row.said.to_json(), row.title, str(row.revision)
        faults: Mapping[str, str] = {}
        if request.method == "POST":
            said = posted(request.POST, kept=said)
            title = request.POST.get("title", "")
            revision = request.POST.get("revision", "")
            try:
                saved = policies.save_draft(
                    row,
                    revision=_whole(revision),
                    title=title,
                    content=policies.understood(said),
                )
            except ValidationError as error:
                faults = _faults(error)
            except PolicyConflict as conflict:
                faults = {"": str(conflict)}
            else:
                messages.success(request, "The draft was saved.")
                if "preview" in request.POST:
                    return redirect("admin:compliance_policy_preview", saved.pk)
                return redirect(saved)
        context = self.page_context(
            request,
            row,
            **self._shown(said, faults),
            policy=row,
            title=f"Edit {row}",
            told_title=title,
            title_length=TITLE_LENGTH,
            revision=revision,
            faults=faults,
            severities=sorted(Severity, reverse=True),
            gates=list(Gate),
            crumbs=[*self.crumbs(row), ("Edit", "")],
        )
        return TemplateResponse(request, "compliance/policy_form.html", context)

    # Acts

    @method_decorator(require_POST)
    def start_view(self, request: HttpRequest) -> HttpResponse:
        def start() -> HttpResponse:
            draft = policies.start_draft()
            return redirect("admin:compliance_policy_edit", draft.pk)

        return self._act(request, start, back=reverse(LIST))

    @method_decorator(require_POST)
    def import_view(self, request: HttpRequest) -> HttpResponse:
        def take() -> HttpResponse:
            file = request.FILES.get("file")
            if file is None:
                raise ValidationError("Choose a file with a policy in YAML.")
            draft = policies.import_draft(file.read(LARGEST + 1))
            messages.success(request, f"{file.name} was taken for the draft.")
            return redirect(draft)

        return self._act(request, take, back=reverse(LIST))

    @method_decorator(require_POST)
    def four_eyes_view(self, request: HttpRequest) -> HttpResponse:
        def switch() -> HttpResponse:
            is_on = request.POST.get("is_on") == "yes"
            policies.set_four_eyes(is_on=is_on)
            who = "somebody who did not edit it" if is_on else "its editors as well"
            messages.success(request, f"A draft is now published by {who}.")
            return redirect(LIST)

        return self._act(request, switch, back=reverse(LIST))

    @method_decorator(require_POST)
    def publish_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._row(request, pk)

        def put_in_force() -> HttpResponse:
            policy = policies.publish(
                row,
                revision=_whole(request.POST.get("revision", "")),
                reason=request.POST.get("reason", ""),
            )
            messages.success(
                request,
                f"{policy} is in force. Every version is judged anew in the background.",
            )
            return redirect(policy)

        return self._act(request, put_in_force, back=row.get_absolute_url())

    @method_decorator(require_POST)
    def discard_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._row(request, pk)

        def discard() -> HttpResponse:
            revision = _whole(request.POST.get("revision", ""))
            policies.discard_draft(row, revision=revision)
            messages.success(request, "The draft was discarded.")
            return redirect(LIST)

        return self._act(request, discard, back=row.get_absolute_url())

    def _act(
        self, request: HttpRequest, act: Callable[[], HttpResponse], *, back: str
    ) -> HttpResponse:
        """Do it, or say why not, where one came from."""
        try:
            return act()
        except PolicyConflict as conflict:
            messages.warning(request, str(conflict))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return redirect(back)

    # What pages share

    def _row(self, request: HttpRequest, pk: int) -> Policy:
        row = self.visible(request, str(pk))
        if row is None:
            raise Http404
        return row

    def _may_what(self) -> dict[str, bool]:
        return {
            "may_draft": self._may("draft"),
            "may_publish": self._may("publish"),
            "may_four_eyes": self._may("four_eyes"),
        }

    def _shown(
        self, said: Mapping[str, Any], faults: Mapping[str, str]
    ) -> dict[str, Any]:
        packs = shown_packs(said, faults)
        rules = [shown for pack in packs for shown in pack.rules]
        return {
            "packs": packs,
            "parameters": shown_parameters(said, faults),
            "rules_on": sum(shown.is_on for shown in rules),
            "rules_known": len(rules),
        }


def _by_and_at(user: Any, at: Any) -> SafeString:
    return format_html(
        '{} <span class="vw-subtle">{}</span>', user or "", markup.moment(at)
    )


def _numbered(number: int) -> Content:
    found = Policy.objects.filter(number=number).first()
    return found.said if found else DEFAULTS


def _progress(number: int) -> dict[str, int]:
    """Count the present versions, and those that are judged under the policy."""
    return ModelVersion.objects.present().aggregate(
        present=Count("pk"),
        judged=Count("pk", filter=Q(evaluation__policy=number)),
    )


def _faults(error: ValidationError) -> dict[str, str]:
    if not hasattr(error, "error_dict"):
        return {"": " ".join(error.messages)}
    return {
        place: " ".join(sentences) for place, sentences in error.message_dict.items()
    }


def _whole(text: str) -> int:
    """Return the revision of a form; 0, which no draft has, where it is none."""
    return int(text) if text.isdecimal() else 0
