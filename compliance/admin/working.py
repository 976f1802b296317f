"""The page on which people assign gaps, set due dates and comment: of one, or of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import Membership, User
from accounts.pages import RecordPage
from accounts.roles import Permission
from compliance import work
from compliance.models import Gap
from inventory.models.attestations import DOCUMENTS

NOBODY, MODEL_OWNER = "nobody", "model"


class WorkForm(forms.Form):
    """An act is the last step of validation; `done` says in a sentence what came of it."""

    heading: ClassVar[str]
    button: ClassVar[str]
    lead: ClassVar[str] = ""
    done: str

    def __init__(self, data: Any = None, *, gaps: Sequence[Gap]) -> None:
        super().__init__(data)
        self.gaps = gaps

    def act(self) -> str:
        """Do it, and say what came of it. May raise ValidationError."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if not self.errors:
            try:
                with transaction.atomic():
                    self.done = self.act()
            except ValidationError as error:
                for name, sentences in error.message_dict.items():
                    place = name if name in self.fields else NON_FIELD_ERRORS
                    self.add_error(place, sentences)
        return told


class AssignForm(WorkForm):
    heading, button = "Assign", "Assign"
    lead = "Whoever owns a gap sees to it that it is closed. It stays theirs when it reopens."

    owner = forms.ChoiceField(widget=UnfoldAdminSelectWidget, label="Owner")

    def __init__(self, data: Any = None, *, gaps: Sequence[Gap]) -> None:
        super().__init__(data, gaps=gaps)
        self.members = {str(each.user_id): each for each in work.workers()}
        choices = [("", "Choose …"), *owner_choices(self.members.values())]
        self.fields["owner"].choices = choices  # type: ignore[attr-defined]  # a choice field

    def act(self) -> str:
        chosen = self.cleaned_data["owner"]
        if chosen == MODEL_OWNER:
            done = work.assign_to_model_owners(self.gaps)
            told = f"{counted(done.changed)} assigned to the owners of their models."
            return f"{told} {done.left_in_words}".strip()
        owner: User | None = None if chosen == NOBODY else self.members[chosen].user
        done = work.assign(self.gaps, owner=owner)
        whose = "nobody’s now" if owner is None else f"{owner}’s now"
        number = len(self.gaps)
        return f"{number} {'gap is' if number == 1 else 'gaps are'} {whose}."


class DueForm(WorkForm):
    heading, button = "Set the due date", "Set it"

    due_on = forms.DateField(
        required=False,
        label="Due",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="The last day on which it is in time, in UTC. Empty: no day is set.",
    )

    def act(self) -> str:
        due_on = self.cleaned_data["due_on"]
        done = work.set_due(self.gaps, due_on=due_on)
        if due_on is None:
            return f"{counted(done.changed)} left without a due date."
        return f"{counted(done.changed)} given the due date {due_on:%-d %B %Y}."


class CommentForm(WorkForm):
    heading, button = "Comment", "Comment"
    lead = "Comments are added, and stay as they were said."

    text = forms.CharField(
        required=False,
        label="Comment",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )

    def act(self) -> str:
        comments = work.comment(self.gaps, text=self.cleaned_data["text"])
        return f"{counted(comments)} commented on."


ACTS = {"assign": AssignForm, "due": DueForm, "comment": CommentForm}


class WorkPages(RecordPage[Gap]):
    """What the gaps' admin class shows of work: the page that asks, and forms of one gap."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.work_view)
        return [path("work/", view, name="compliance_gap_work"), *super().get_urls()]

    def work_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the rest of an act, and do it. Costs two queries before that."""
        if not self._may("work"):
            raise PermissionDenied(
                f"“{Permission.WORK_ON_GAPS.label}” is not open to your role."
            )
        form_class = ACTS.get(request.GET.get("act", ""))
        if form_class is None:
            raise Http404
        gaps = self._gaps(request.GET.get("gaps", ""))
        form = form_class(request.POST or None, gaps=gaps)
        if request.method == "POST" and form.is_valid():
            messages.success(request, form.done)
            return redirect(self._back(request, gaps))
        heading = (
            f"{form.heading}: {gaps[0] if len(gaps) == 1 else f'{len(gaps)} gaps'}"
        )
        shows_owners = isinstance(form, AssignForm)
        owners = work.model_owners(gaps) if shows_owners else {}
        context = {
            **self.list_context(request, form.heading),
            "title": heading,
            "heading": heading,
            "form": form,
            "rows": [(gap, owners.get(gap.pk)) for gap in gaps],
            "shows_owners": shows_owners,
            "back": self._back(request, gaps),
        }
        return TemplateResponse(request, "compliance/gap_work.html", context)

    def work_context(self, gap: Any) -> dict[str, Any]:
        """Return what the page of a gap offers. Costs a query where one may work on it."""
        if not self._may("work"):
            return {"may_work": False}
        members = [] if gap.is_closed else work.workers()
        named = gap.model_owner or {}
        fits = [each.user for each in members if each.user.email == named.get("email")]
        return {
            "may_work": True,
            "owner_choices": owner_choices(members)[2:],
            "is_owner_offered": gap.owner_id in {each.user_id for each in members},
            "suggested": fits[0] if fits and fits[0] != gap.owner else None,
            "work_addresses": {act: work_address(act, [gap.pk]) for act in ACTS},
        }

    def _gaps(self, told: str) -> list[Gap]:
        """Return the gaps of an address, 404 where one of them is not there."""
        ids = told.split(",")
        if not all(pk.isdecimal() for pk in ids):
            raise Http404
        gaps = list(
            Gap.objects.filter(pk__in=ids)
            .select_related("version__registered_model", "source", "owner")
            .defer(*(f"version__{name}" for name in DOCUMENTS))
        )
        if len(gaps) != len(set(ids)):
            raise Http404
        return gaps

    def _back(self, request: HttpRequest, gaps: Sequence[Gap]) -> str:
        """Return where who is done is led: the page of a gap, or the list as it was."""
        filters = request.GET.get("back")
        if len(gaps) == 1 and filters is None:
            return self.address(gaps[0])
        page = reverse("admin:compliance_gap_changelist")
        return f"{page}?{filters}" if filters else page


def owner_choices(members: Iterable[Membership]) -> list[tuple[str, str]]:
    """Return whom a gap can be assigned to: nobody, the model's owner, each member."""
    return [
        (NOBODY, "Nobody"),
        (MODEL_OWNER, "The owner of the model"),
        *((str(each.user_id), str(each.user)) for each in members),
    ]


def work_address(act: str, gaps: Iterable[int], *, back: str | None = None) -> str:
    """Return where one is asked for the rest; `back` is what the list was narrowed by."""
    query = {"act": act, "gaps": ",".join(map(str, gaps))}
    if back is not None:
        query["back"] = back
    return f"{reverse('admin:compliance_gap_work')}?{urlencode(query)}"


def counted(rows: Sequence[Any]) -> str:
    return "1 gap was" if len(rows) == 1 else f"{len(rows)} gaps were"
