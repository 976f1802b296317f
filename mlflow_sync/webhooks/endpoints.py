"""Webhooks: MLflow tells that a model changed, and that model is read at once.

A delivery is a row. Of those that wait, one run reads all the models together, and what
comes in while a run works waits for the next: a burst of a hundred deliveries is a few
runs, and they share the server's one budget with every other sync.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts import audit
from accounts.permissions import require
from accounts.roles import Permission
from inventory.models import RegisteredModel
from mlflow_sync.exceptions import SyncAlreadyActive, UndecryptableSecret
from mlflow_sync.models import (
    GRACE,
    SyncRun,
    TrackingServer,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)
from mlflow_sync.models.webhooks import new_secret
from mlflow_sync.queueing import request_sync
from mlflow_sync.webhooks.signatures import Message

# What MLflow tells of that is in the inventory. It tells of no other change of it:
# stages, descriptions, model tags, runs and deletions are found by the hourly sync.
EVENTS = (
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
)
MOST_NAMES = 200  # models of one targeted run; more are quicker read as a whole
KEPT = timedelta(days=30)
DEFAULT_WORKSPACE = "default"

_LOCK_SPACE = 10  # advisory locks: who delivers, and who ends a run, see each other
_NOTED_EVERY = timedelta(hours=1)  # refused deliveries, however many, one entry
_NOBODYS = secrets.token_urlsafe(32)  # what is compared with where there is no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a delivery says, of which we take the model's name only."""

    event: str
    model_name: str = ""
    workspace: str = ""  # empty: of a server without workspaces


# Acts


def enable(server: TrackingServer) -> WebhookEndpoint:
    """Give a server an address and a secret, which is in `told_once`.

    Raises ValidationError where it has them, or was removed.
    """
    require(Permission.MANAGE_SERVERS)
    with transaction.atomic():
        server = _locked(server)
        if server.removed_at:
            raise ValidationError(f"{server} was removed.")
        if WebhookEndpoint.objects.filter(server=server).exists():
            raise ValidationError(f"The webhook of {server} is enabled already.")
        endpoint = WebhookEndpoint.objects.create(server=server)
        endpoint.told_once = new_secret()
        WebhookSecret.objects.create(endpoint=endpoint, current=endpoint.told_once)
        audit.record("webhook.enabled", server)
    return endpoint


def renew_secret(server: TrackingServer) -> WebhookEndpoint:
    """Make another secret, which is in `told_once`; the one before is believed a day more.

    Raises ValidationError where the webhook is not enabled. To end a secret that
    somebody else may know at once, disable the webhook.
    """
    require(Permission.MANAGE_SERVERS)
    with transaction.atomic():
        server = _locked(server)
        endpoint = _endpoint_of(server)
        endpoint.told_once = new_secret()
        rows = WebhookSecret.objects.filter(endpoint=endpoint)
        try:
            secret = rows.get()
            secret.previous, secret.previous_until = secret.current, now() + GRACE
        except UndecryptableSecret:  # no key opens it: nothing could be believed anyway
            secret = WebhookSecret(
                pk=rows.values_list("pk", flat=True).get(), endpoint=endpoint
            )
        secret.current, secret.made_at = endpoint.told_once, now()
        secret.save()
        audit.record(
            "webhook.secret_renewed",
            server,
            changes={"previous_until": secret.previous_until},
        )
    return endpoint


def disable(server: TrackingServer) -> None:
    """Forget the address and its secrets at once; what came there stays on record.

    Raises ValidationError where the webhook is not enabled.
    """
    require(Permission.MANAGE_SERVERS)
    with transaction.atomic():
        server = _locked(server)
        _endpoint_of(server).delete()
        audit.record("webhook.disabled", server)


def _locked(server: TrackingServer) -> TrackingServer:
    """Return the server as it is now; two acts on its webhook come one after the other."""
    rows = TrackingServer.objects.select_related("source")
    return rows.select_for_update(of=("self",), no_key=True).get(pk=server.pk)


def _endpoint_of(server: TrackingServer) -> WebhookEndpoint:
    endpoint = WebhookEndpoint.objects.filter(server=server).first()
    if endpoint is None:
        raise ValidationError(f"The webhook of {server} is not enabled.")
    return endpoint


# Deliveries


def sender(key: str, message: Message) -> WebhookEndpoint | None:
    """Return the endpoint of a key, if the message is signed with its secret, else None.

    Takes as long where there is no such key. Refusals at a known address, whoever sends
    them and how often, are one entry on the trail an hour. Costs one query.
    """
    endpoint = (
        WebhookEndpoint.objects.select_related("server__source", "secret")
        .filter(key=key, server__removed_at=None)
        .first()
    )
    valid = endpoint.secret.valid() if endpoint else (_NOBODYS,)
    is_signed = message.is_signed_with(valid)
    if endpoint is None or is_signed:
        return endpoint
    due = Q(refused_at=None) | Q(refused_at__lt=now() - _NOTED_EVERY)
    if WebhookEndpoint.objects.filter(due, pk=endpoint.pk).update(refused_at=now()):
        audit.record(
            "webhook.refused",
            endpoint.server,
            reason="A delivery was not signed with the webhook's secret. Others within "
            "the hour are not noted.",
        )
    return None


def receive(
    server: TrackingServer, delivery_id: str, told: Told
) -> WebhookDelivery | None:
    """Keep what a server told, and have its model read; None if it was told before."""
    workspace = server.workspace or DEFAULT_WORKSPACE
    outcome = WebhookDelivery.Outcome.ACCEPTED
    if told.event not in EVENTS:
        outcome = WebhookDelivery.Outcome.UNKNOWN_EVENT
    elif told.workspace and told.workspace != workspace:
        outcome = WebhookDelivery.Outcome.OTHER_WORKSPACE
    delivery = WebhookDelivery(
        server=server,
        delivery_id=delivery_id,
        event=told.event,
        model_name=told.model_name,
        outcome=outcome,
    )
    try:
        with transaction.atomic():
            delivery.save()
    except IntegrityError:  # delivery_is_taken_once
        return None
    if outcome == WebhookDelivery.Outcome.ACCEPTED:
        follow_up(server)
    return delivery


def follow_up(server: TrackingServer) -> SyncRun | None:
    """Ask for one run that reads all models of which deliveries wait.

    Does nothing while a sync of the server is queued or running, whose end asks again;
    nor while the server is paused or removed. The deliveries are then this run's, also
    when it fails: what it could not read is read by the next whole sync. Call inside
    `acting_for`. Costs two queries where nothing waits.
    """
    # Who delivers waits here as well, until we have committed. Or a delivery could come
    # in, and find a run active, just as the run's end finds no delivery.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_SPACE, server.pk])
    waiting = WebhookDelivery.objects.waiting().filter(server=server)
    distinct = waiting.order_by("model_name").values_list("model_name", flat=True)
    names = list(distinct.distinct()[: MOST_NAMES + 1])
    if not names or not _is_free(server):
        return None
    targets = names if len(names) <= MOST_NAMES else []
    try:
        run = request_sync(server, trigger=SyncRun.Trigger.WEBHOOK, targets=targets)
    except SyncAlreadyActive:  # somebody has just asked for one
        return None
    waiting.update(handled_by=run)
    return run


def _is_free(server: TrackingServer) -> bool:
    """Tell whether the server may be read now, and no registry run has it.

    A run that only reads files gives way.
    """
    return (
        TrackingServer.objects.filter(pk=server.pk, removed_at=None)
        .filter(Q(paused_until=None) | Q(paused_until__lte=now()))
        .exclude(sync_runs__in=SyncRun.objects.of_registry().active())
        .exists()
    )


def settle(run: SyncRun) -> SyncRun | None:
    """Say what a run that is over means for deliveries, and follow up on those that wait.

    One that read the whole registry has read the models of all that came before it
    began. Call inside `acting_for`.
    """
    if run.has_read and run.started_at:
        if run.reach == SyncRun.Reach.REGISTRY:
            WebhookDelivery.objects.waiting().filter(
                server=run.server, received_at__lte=run.started_at
            ).update(handled_by=run)
        known = RegisteredModel.objects.filter(source=run.server.source)
        run.webhook_deliveries.exclude(model_name__in=known.values("name")).exclude(
            model_name__in=run.failures.values("model_name")
        ).update(outcome=WebhookDelivery.Outcome.UNKNOWN_MODEL)
    return follow_up(run.server)


def forget_old() -> int:
    """Delete deliveries that are older than KEPT; return how many."""
    old = WebhookDelivery.objects.filter(received_at__lt=now() - KEPT)
    count, _ = old.delete()
    return count
