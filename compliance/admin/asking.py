"""The form by which one asks for a waiver: for gaps, for a rule, or for longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from compliance import waivers
from compliance.exceptions import WaiverSettled
from compliance.models import Gap, Waiver
from compliance.waivers import Terms

Kind, Scope = Waiver.Kind, Waiver.Scope


class AskForm(forms.Form):
    """What is asked for is asked for by validation; it stands in `asked` then.

    Wider scopes are offered where one gap is looked at: its rule on the model, and on
    all models. A renewal keeps the kind and the scope of what it renews.
    """

    kind = forms.ChoiceField(
        choices=Kind.choices, widget=UnfoldAdminRadioSelectWidget, label="What it is"
    )
    scope = forms.ChoiceField(
        widget=UnfoldAdminRadioSelectWidget, label="What it is for"
    )
    reason = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Whoever decides reads it, and an auditor after them.",
    )
    ends_on = forms.DateField(
        required=False,
        label="Last day",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="It ends by itself, and can be renewed. “Not applicable” needs none.",
    )

    asked: list[Waiver]

    def __init__(
        self,
        data: Any = None,
        *,
        gaps: Sequence[Gap],
        renews: Waiver | None,
        kind: str = "",
    ) -> None:
        super().__init__(
            data, initial={"kind": kind or Kind.WAIVER, "scope": Scope.GAP}
        )
        self.gaps, self.renews = gaps, renews
        if renews is not None:
            del self.fields["kind"], self.fields["scope"]
        elif (choices := self._scopes()) and len(choices) > 1:
            self.fields["scope"].choices = choices  # type: ignore[attr-defined]  # a choice field
        else:
            del self.fields["scope"]

    @property
    def heading(self) -> str:
        if self.renews is not None:
            return f"Renew: {self.renews}"
        if len(self.gaps) == 1:
            return f"Ask for a waiver of {self.gaps[0]}"
        return f"Ask for waivers of {len(self.gaps)} gaps"

    def _scopes(self) -> list[tuple[str, str]]:
        if len(self.gaps) != 1:
            return []
        gap, scopes = self.gaps[0], [(Scope.GAP.value, "This gap only")]
        if gap.version is not None:
            model = gap.version.registered_model
            scopes.append((Scope.MODEL.value, f"The rule on all versions of {model}"))
        return [*scopes, (Scope.ORGANIZATION.value, "The rule on all models")]

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if self.errors:
            return told
        try:
            with transaction.atomic():
                self.asked = self._ask(told)
        except WaiverSettled as error:
            self.add_error(None, str(error))
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                self.add_error(
                    name if name in self.fields else NON_FIELD_ERRORS, messages
                )
        return told

    def _ask(self, told: dict[str, Any]) -> list[Waiver]:
        reason, ends_on = told["reason"], told["ends_on"]
        if self.renews is not None:
            return [waivers.renew(self.renews, reason=reason, ends_on=ends_on)]
        terms = Terms(kind=Kind(told["kind"]), reason=reason, ends_on=ends_on)
        scope = told.get("scope", Scope.GAP)
        if scope == Scope.GAP:
            return waivers.ask_for_gaps(self.gaps, terms)
        (gap,) = self.gaps
        model = gap.version.registered_model if gap.version else None
        return [
            waivers.ask_for_rule(
                gap.rule_id,
                terms,
                registered_model=model if scope == Scope.MODEL else None,
            )
        ]
