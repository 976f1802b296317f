"""The acts on waivers: ask, approve, refuse, withdraw, renew, revoke, let lapse.

Each checks the permission, makes the change and notes the audit entry in one go. What
ends a waiver, or puts it in force, moves the gaps it covers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.timezone import now

from accounts import audit, tenancy
from accounts.exceptions import NotAllowed
from accounts.models import User
from accounts.permissions import require
from accounts.roles import Permission
from compliance import waiving
from compliance.engine import rulebook
from compliance.exceptions import WaiverSettled
from compliance.gaps import lock_gaps, over_by_itself
from compliance.judgement import GAP_KINDS
from compliance.models import Gap, Waiver
from inventory.models import RegisteredModel

Kind, Scope, Status = Waiver.Kind, Waiver.Scope, Waiver.Status

OWN = "Nobody decides on a waiver that they asked for themselves."
NOT_YOURS = "Only {} can withdraw this: they asked for it."
NO_PERSON = "A waiver is asked for, and decided on, by a person."


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked for, whatever it is for. `ends_on` is the last day, in UTC."""

    kind: Waiver.Kind
    reason: str
    ends_on: date | None = None

    def checked(self) -> Terms:
        """Return the terms without space around the reason.

        Raises ValidationError with all that is wrong, by field.
        """
        terms = Terms(kind=self.kind, reason=self.reason.strip(), ends_on=self.ends_on)
        faults = dict(terms._faults())
        if faults:
            raise ValidationError(faults)
        return terms

    def _faults(self) -> list[tuple[str, str]]:
        faults = []
        if not self.reason:
            faults.append(("reason", "Say why: there is no waiver without a reason."))
        if fault := self._fault_of_end():
            faults.append(("ends_on", fault))
        return faults

    def _fault_of_end(self) -> str:
        today, is_waiver = now().date(), self.kind is Kind.WAIVER
        if self.ends_on is None:
            return "A waiver has a last day: say until when." if is_waiver else ""
        if self.ends_on <= today:
            return f"The last day has to be after today, which is {_day(today)}."
        latest = today + timedelta(days=settings.WAIVER_MAX_DAYS)
        if is_waiver and self.ends_on > latest:
            return (
                f"A waiver lasts {settings.WAIVER_MAX_DAYS} days at most: until "
                f"{_day(latest)}. It can be renewed."
            )
        return ""


def ask_for_gaps(gaps: Sequence[Gap], terms: Terms) -> list[Waiver]:
    """Ask for a waiver of each of these gaps: for all of them, or for none.

    Raises ValidationError naming the field. Costs four queries, however many gaps.
    """
    require(Permission.ASK_WAIVER)
    terms = terms.checked()
    lock_gaps()  # two people may ask at once: the second is told so
    faults = [
        f"{gap} is closed: there is nothing to waive." for gap in gaps if gap.is_closed
    ]
    wanted = [_wanted(terms, Scope.GAP, gap.rule_id, gap=gap) for gap in gaps]
    if not wanted:
        faults.append("Choose a gap.")
    asked = Waiver.objects.filter(gap__in=gaps)
    requested = set(asked.requested().values_list("gap", flat=True))
    in_force: set[int | None] = set(asked.in_force().values_list("gap", flat=True))
    for waiver in wanted:
        faults += _fault_of_twin(waiver, waiver.gap_id in requested, in_force)
    if faults:
        raise ValidationError({"gap": faults})
    Waiver.objects.bulk_create(wanted)
    for waiver in wanted:
        _record("waiver.requested", waiver, waiver.reason)
    return wanted


def ask_for_rule(
    rule_id: str, terms: Terms, *, registered_model: RegisteredModel | None = None
) -> Waiver:
    """Ask for a waiver of a rule on a model, or without one in the whole organization.

    Raises ValidationError naming the field.
    """
    require(Permission.ASK_WAIVER)
    faults: dict[str, str | list[str]] = {}
    try:
        terms = terms.checked()
    except ValidationError as error:
        faults |= error.message_dict
    if fault := _fault_of_rule(rule_id, on_model=registered_model is not None):
        faults["rule_id"] = fault
    if faults:
        raise ValidationError(faults)
    scope = Scope.ORGANIZATION if registered_model is None else Scope.MODEL
    lock_gaps()  # as above
    twins = Waiver.objects.filter(
        rule_id=rule_id, scope=scope, registered_model=registered_model
    )
    waiver = _wanted(terms, scope, rule_id, registered_model=registered_model)
    in_force: set[int | None] = {None} if twins.in_force().exists() else set()
    if found := _fault_of_twin(waiver, twins.requested().exists(), in_force):
        raise ValidationError({"rule_id": found})
    waiver.save()
    _record("waiver.requested", waiver, waiver.reason)
    return waiver


def renew(waiver: Waiver, *, reason: str, ends_on: date | None) -> Waiver:
    """Ask for what a waiver in force, or one that expired, is about, for longer.

    Raises ValidationError naming the field, WaiverSettled for any other waiver.
    """
    require(Permission.ASK_WAIVER)
    waiver = _locked(waiver)
    if waiver.current_status not in (Status.APPROVED, Status.EXPIRED):
        raise WaiverSettled(f"{waiver} {_is(waiver)}: ask for a new one.")
    terms = Terms(kind=Kind(waiver.kind), reason=reason, ends_on=ends_on).checked()
    if waiver.gap is not None and waiver.gap.is_closed:
        raise WaiverSettled(f"{waiver.gap} is closed: there is nothing to waive.")
    renewal = _wanted(
        terms,
        Scope(waiver.scope),
        waiver.rule_id,
        gap=waiver.gap,
        registered_model=waiver.registered_model,
        renews=waiver,
    )
    twins = Waiver.objects.requested().filter(
        rule_id=waiver.rule_id,
        gap=waiver.gap,
        registered_model=waiver.registered_model,
    )
    if twins.exists():
        raise WaiverSettled(f"{waiver} is asked for already.")
    renewal.save()
    _record("waiver.renewal_requested", renewal, renewal.reason)
    return renewal


def approve(waiver: Waiver, *, reason: str) -> Waiver:
    """Put a waiver in force, and waive the gaps it covers.

    Raises ValidationError naming the field, WaiverSettled where it is decided already,
    NotAllowed where the approver asked for it.
    """
    require(Permission.APPROVE_WAIVER)
    waiver = _decidable(waiver)
    reason = _given(reason)
    if waiver.is_over:
        raise ValidationError(
            {"ends_on": f"Its last day, {_day(waiver.ends_on)}, has passed."}
        )
    if waiver.gap is not None and waiver.gap.is_closed:
        raise ValidationError(
            {"gap": f"{waiver.gap} is closed: there is nothing to waive."}
        )
    _decide(waiver, Status.APPROVED, reason)
    waived = waiving.settle(waiver, sentence=waiver.sentence)
    _record("waiver.approved", waiver, reason, waived=waived.waived)
    return waiver


def refuse(waiver: Waiver, *, reason: str) -> Waiver:
    """Decide against a waiver. Raises as `approve`."""
    require(Permission.APPROVE_WAIVER)
    waiver = _decidable(waiver)
    _decide(waiver, Status.REFUSED, _given(reason))
    _record("waiver.refused", waiver, waiver.decision)
    return waiver


def withdraw(waiver: Waiver, *, reason: str) -> Waiver:
    """Take back what one asked for oneself, before it is decided. Raises as `approve`."""
    require(Permission.ASK_WAIVER)
    waiver = _locked(waiver)
    if waiver.requested_by != _person():
        _not_allowed(NOT_YOURS.format(waiver.requested_by))
    _expect(waiver, Status.REQUESTED)
    _end(waiver, Status.WITHDRAWN, _given(reason), by=_person())
    _record("waiver.withdrawn", waiver, waiver.ending)
    return waiver


def revoke(waiver: Waiver, *, reason: str) -> Waiver:
    """End a waiver in force before its last day; its gaps are open again."""
    require(Permission.APPROVE_WAIVER)
    waiver, person = _locked(waiver), _person()
    _expect(waiver, Status.APPROVED)
    reason = _given(reason)
    _end(waiver, Status.REVOKED, reason, by=person)
    sentence = f"The waiver was revoked by {person}: {reason}"
    reopened = waiving.settle(waiver, sentence=sentence).unwaived
    _record("waiver.revoked", waiver, reason, reopened=reopened)
    return waiver


def lapse(today: date | None = None) -> int:
    """End the waivers, and the requests, whose last day is over; return how many.

    Costs one query where there is none.
    """
    today = today or now().date()
    if not Waiver.objects.overdue(today).exists():
        return 0
    lock_gaps()
    overdue = list(Waiver.objects.overdue(today).select_related(*_ALONG))
    for waiver in overdue:
        sentence = over_by_itself(waiver.ends_on or today)
        was_in_force = waiver.status == Status.APPROVED
        _end(waiver, Status.EXPIRED, sentence, by=None)
        settled = waiving.settle(waiver, sentence=sentence) if was_in_force else None
        reopened = settled.unwaived if settled else 0
        _record("waiver.expired", waiver, sentence, reopened=reopened)
    return len(overdue)


_ALONG = (
    "gap__version__registered_model",
    "gap__source",
    "registered_model",
    "requested_by",
    "decided_by",
)


def _wanted(terms: Terms, scope: Waiver.Scope, rule_id: str, **of: object) -> Waiver:
    return Waiver(
        kind=terms.kind,
        reason=terms.reason,
        ends_on=terms.ends_on,
        scope=scope,
        rule_id=rule_id,
        requested_by=_person(),
        **of,
    )


def _fault_of_twin(
    waiver: Waiver, is_requested: bool, in_force: set[int | None]
) -> list[str]:
    """Say where there is the same already: asked for, or in force."""
    if is_requested:
        return [f"{waiver} is asked for already."]
    if waiver.gap_id in in_force:
        return [f"{waiver} is in force already: renew it to make it last longer."]
    return []


def _fault_of_rule(rule_id: str, *, on_model: bool) -> str:
    rule = rulebook.get(rule_id)
    if not rule_id:
        return "Name the rule."
    if rule is None:
        return f"There is no rule {rule_id}."
    if rule.entry.kind not in GAP_KINDS:
        return f"The rule {rule_id} makes no gaps: there is nothing to waive."
    if on_model and not rule.entry.kind.judges_versions:
        return f"The rule {rule_id} judges sources, not models."
    return ""


def _locked(waiver: Waiver) -> Waiver:
    """Return the waiver as it is now, while nobody else decides on any."""
    lock_gaps()
    return Waiver.objects.select_related(*_ALONG).get(pk=waiver.pk)


def _decidable(waiver: Waiver) -> Waiver:
    waiver = _locked(waiver)
    if waiver.requested_by == _person():
        _not_allowed(OWN)
    _expect(waiver, Status.REQUESTED)
    return waiver


def _expect(waiver: Waiver, status: Waiver.Status) -> None:
    if waiver.current_status != status:
        raise WaiverSettled(f"{waiver} {_is(waiver)}.")


def _is(waiver: Waiver) -> str:
    """Say how it stands with a waiver, and by whom."""
    match waiver.current_status:
        case Status.REQUESTED:
            return "is asked for, and not decided on yet"
        case Status.APPROVED | Status.REFUSED as status:
            return f"is {status.label.lower()} already, by {waiver.decided_by}"
        case Status.EXPIRED:
            return "has expired"
        case status:
            by = f" by {waiver.ended_by}" if waiver.ended_by else ""
            return f"was {status.label.lower()}{by}"


def _decide(waiver: Waiver, status: Waiver.Status, reason: str) -> None:
    waiver.status, waiver.decision = status, reason
    waiver.decided_by, waiver.decided_at = _person(), now()
    waiver.save()


def _end(
    waiver: Waiver, status: Waiver.Status, reason: str, *, by: User | None
) -> None:
    waiver.status, waiver.ending = status, reason
    waiver.ended_by, waiver.ended_at = by, now()
    waiver.save()


def _given(reason: str) -> str:
    if not reason.strip():
        raise ValidationError({"reason": "Say why."})
    return reason.strip()


def _person() -> User:
    if (person := tenancy.current_actor()) is None:
        raise NotAllowed(NO_PERSON)
    return person


def _not_allowed(reason: str) -> None:
    audit.refuse("act.refused", reason=reason)
    raise NotAllowed(reason)


def _record(action: str, waiver: Waiver, reason: str, **gaps: int) -> None:
    changes: dict[str, object] = {
        "kind": waiver.kind,
        "scope": waiver.scope,
        "ends_on": waiver.ends_on,
        **gaps,
    }
    if waiver.renews_id:
        changes["renews"] = waiver.renews_id
    audit.record(action, waiver, changes=changes, reason=reason)


def _day(day: date | None) -> str:
    return f"{day:%-d %B %Y}" if day else ""
