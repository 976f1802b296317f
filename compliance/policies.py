"""The acts on policies: drafting, publishing, discarding, and whether it takes two.

An organization has at most one draft, which its officers edit in place. Who saves or
publishes says which revision they saw: where somebody else was faster, nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django_q.tasks import async_task

from accounts import audit, tenancy
from accounts.models import Organization, User
from accounts.permissions import require
from accounts.roles import Permission
from compliance.exceptions import PolicyConflict, PolicyError
from compliance.models import Policy, PolicyEditor
from compliance.policy import DEFAULTS, Content, changes, read
from compliance.policy_files import from_yaml, to_yaml

NOTHING_NEW = "The draft changes nothing about {}: there is nothing to publish."


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy that applies; number 0 is the project's defaults."""

    number: int
    content: Content

    def __str__(self) -> str:
        return f"policy {self.number}" if self.number else "the project’s defaults"


def in_force(at: datetime | None = None) -> InForce:
    """Return the policy that applies, or that did at a moment. Costs one query."""
    published = Policy.objects.published()
    if at is not None:
        published = published.filter(published_at__lte=at)
    newest = published.order_by("-number").first()
    if newest is None or newest.number is None:
        return InForce(0, DEFAULTS)
    return InForce(newest.number, newest.said)


def understood(raw: object) -> Content:
    """Return what somebody says a policy is, or raise ValidationError by its places."""
    try:
        return read(raw)
    except PolicyError as error:
        raise _refused(error) from error


def _refused(error: PolicyError) -> ValidationError:
    return ValidationError(
        {place or "content": sentence for place, sentence in error.faults.items()}
    )


def start_draft(*, title: str = "", content: Content | None = None) -> Policy:
    """Begin a draft, with what is in force unless another content is told.

    Raises PolicyConflict where there is one already.
    """
    require(Permission.DRAFT_POLICY)
    current = in_force()
    content = current.content if content is None else content
    actor = tenancy.current_actor()
    draft = Policy(
        title=title.strip(),
        content=content.to_json(),
        digest=content.digest,
        changes=changes(current.content, content),
        drafted_by=actor,
        changed_by=actor,
    )
    draft.full_clean(exclude=["changes"], validate_constraints=False)
    try:
        with transaction.atomic():
            draft.save()
    except IntegrityError as error:
        other = Policy.objects.drafts().select_related("drafted_by").first()
        by = f", begun by {other.drafted_by}" if other and other.drafted_by else ""
        raise PolicyConflict(
            f"There is a draft already{by}: publish or discard that one first."
        ) from error
    _remember_editor(draft, actor)
    audit.record(
        "policy.drafted",
        draft,
        changes={"title": draft.title, "changes": draft.changes},
    )
    return draft


def save_draft(
    draft: Policy,
    *,
    revision: int,
    title: str | None = None,
    content: Content | None = None,
) -> Policy:
    """Change a draft as `revision` was seen. Unchanged, nothing is written.

    Raises PolicyConflict where it was saved, published or discarded meanwhile.
    """
    require(Permission.DRAFT_POLICY)
    draft = _seize(draft, revision=revision)
    title = draft.title if title is None else title.strip()
    before = draft.said
    content = before if content is None else content
    if (title, content.digest) == (draft.title, draft.digest):
        return draft
    done: dict[str, Any] = {"changes": changes(before, content)}
    if title != draft.title:
        done["title"] = {"from": draft.title, "to": title}
    draft.title = title
    draft.content, draft.digest = content.to_json(), content.digest
    draft.changes = changes(in_force().content, content)
    draft.revision += 1
    draft.changed_by, draft.changed_at = tenancy.current_actor(), now()
    draft.full_clean(exclude=["changes"], validate_constraints=False)
    draft.save()
    _remember_editor(draft, draft.changed_by)
    audit.record("policy.changed", draft, changes=done)
    return draft


def import_draft(text: str | bytes, *, title: str = "") -> Policy:
    """Take a YAML file for a draft: a new one, or the content of the one there is.

    Raises ValidationError by the places of the file.
    """
    require(Permission.DRAFT_POLICY)
    try:
        content = from_yaml(text)
    except PolicyError as error:
        raise _refused(error) from error
    draft = Policy.objects.drafts().first()
    if draft is None:
        return start_draft(title=title, content=content)
    return save_draft(
        draft, revision=draft.revision, title=title or None, content=content
    )


def export(policy: Policy) -> str:
    """Return a policy as YAML, with who published it when."""
    acting = tenancy.current()
    about = f"{policy} of {acting.organization_name if acting else ''}"
    if policy.title:
        about += f": {policy.title}"
    if policy.published_at:
        about += (
            f"\nPublished by {policy.published_by} on {policy.published_at:%-d %B %Y}, "
            f"{policy.published_at:%H:%M} UTC. SHA-256 of its content: {policy.digest}"
        )
    return to_yaml(policy.said, about=about)


def discard_draft(draft: Policy, *, revision: int) -> None:
    """Delete a draft. Raises PolicyConflict where it is another one by now."""
    require(Permission.DRAFT_POLICY)
    draft = _seize(draft, revision=revision)
    audit.record(
        "policy.discarded",
        draft,
        changes={"title": draft.title, "changes": draft.changes},
    )
    draft.delete()


def publish(draft: Policy, *, revision: int, reason: str) -> Policy:
    """Put a draft in force under the next number; from then on nothing changes it.

    All versions are due with that, and judged by a job. Raises PolicyConflict as
    `save_draft` does, and ValidationError with the reason why not now.
    """
    require(Permission.PUBLISH_POLICY)
    draft = _seize(draft, revision=revision)
    current = in_force()
    actor = tenancy.current_actor()
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": "Say why the policy is published."})
    if draft.forgotten:
        raise ValidationError({"content": draft.forgotten})
    if draft.said == current.content:
        raise ValidationError({"content": NOTHING_NEW.format(current)})
    _require_four_eyes(draft, actor)
    draft.number = current.number + 1
    draft.published_by, draft.published_at = actor, now()
    draft.reason = reason
    draft.save()
    audit.record(
        "policy.published",
        draft,
        changes={
            "number": {"from": current.number, "to": draft.number},
            "digest": draft.digest,
            "changes": draft.changes,
        },
        reason=reason,
    )
    async_task(
        settings.DUE_EVALUATION_JOB,
        draft.organization_id,
        task_name=f"evaluate under policy {draft.number}",
    )
    return draft


def _require_four_eyes(draft: Policy, actor: User | None) -> None:
    if not four_eyes():
        return
    if actor is None:
        reason = "Four eyes are on: a person has to publish the policy."
    elif draft.editors.filter(user=actor).exists():
        reason = (
            "Four eyes are on: a draft is published by somebody who did not edit it, "
            f"and {actor} did."
        )
    else:
        return
    audit.refuse("policy.refused", reason=reason, label=str(draft))
    raise ValidationError(reason)


def four_eyes() -> bool:
    """Tell whether somebody else than its editors has to publish a draft."""
    return _organization().four_eyes


def set_four_eyes(*, is_on: bool) -> None:
    """Say whether it takes two people to publish; on the trail, with both values."""
    require(Permission.MANAGE_MEMBERS)
    organization = _organization(for_update=True)
    if organization.four_eyes == is_on:
        return
    organization.four_eyes = is_on
    organization.save(update_fields=["four_eyes"])
    audit.record(
        "organization.changed",
        organization,
        changes={"four_eyes": {"from": not is_on, "to": is_on}},
    )


def _organization(*, for_update: bool = False) -> Organization:
    rows = Organization.objects.all()
    if for_update:
        rows = rows.select_for_update()
    return rows.get(pk=tenancy.current_organization_id())


def _seize(draft: Policy, *, revision: int) -> Policy:
    """Return the draft, locked, as it is now, if that is what was seen."""
    # Nothing joined: a row that was waited for is told anew, what it points to is not.
    found = Policy.objects.select_for_update().filter(pk=draft.pk).first()
    if found is None:
        raise PolicyConflict("The draft was discarded meanwhile; nothing was changed.")
    if not found.is_draft:
        raise PolicyConflict(
            f"The draft is published, as policy {found.number}"
            f"{_by(found.published_by)}; nothing was changed. Start another draft."
        )
    if found.revision != revision:
        raise PolicyConflict(
            f"The draft was saved meanwhile{_by(found.changed_by)}; nothing was "
            "changed. Look at it as it is now, and do it again."
        )
    return found


def _by(user: User | None) -> str:
    return f" by {user}" if user else ""


def _remember_editor(draft: Policy, user: User | None) -> None:
    if user is not None:
        PolicyEditor.objects.get_or_create(policy=draft, user=user)
