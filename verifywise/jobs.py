"""What the workers do. Jobs carry ids only, are idempotent, and enter the organization
they work for; who delivers one twice does no harm.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django_q.tasks import async_task

from accounts import tenancy
from accounts.models import Organization
from compliance import waivers
from inventory import attestations
from mlflow_sync import breaker, lease, queueing, servers
from mlflow_sync.exceptions import SyncAlreadyActive, SyncError
from mlflow_sync.files import runs as file_runs
from mlflow_sync.models import SyncRun, TrackingServer, WebhookDelivery
from mlflow_sync.webhooks import endpoints
from verifywise import pipeline

logger = logging.getLogger(__name__)


def sync(organization_id: int, run_id: int) -> None:
    """Do the next slice of a sync run, at most five minutes of it."""
    pipeline.advance(Organization.objects.get(pk=organization_id), run_id)


def scheduled_sync(organization_id: int, server_id: int) -> None:
    """Start the hourly sync of a server, unless it is paused or cannot be reached.

    A server that failed when it was last asked is tested first; only if that fails too
    is the sync skipped, with the reason on the record.
    """
    organization = Organization.objects.get(pk=organization_id)
    if organization.closed_at:
        return
    servers_here = TrackingServer.objects.select_related("source")
    with tenancy.acting_for(organization, origin="scheduler"):
        server = servers_here.get(pk=server_id)
        if not server.is_enabled:
            return
        if server.is_paused:
            logger.info("%s is paused until %s", server, server.paused_until)
            return
    result = _test_again(organization, server)
    with tenancy.acting_for(organization, origin="scheduler"):
        server = servers_here.get(pk=server_id)
        if not server.is_enabled:
            return
        try:
            run = queueing.request_sync(
                server,
                trigger=SyncRun.Trigger.SCHEDULE,
                enqueue=result is None or result.passed,
            )
        except SyncAlreadyActive as active:
            logger.info("%s", active)
            return
        if result and not result.passed:
            lease.close(
                run,
                SyncRun.Status.SKIPPED,
                error=f"Skipped, because the connection test failed: {result.message}",
                kind=result.kind,
            )
            breaker.note_failure(server, kind=result.kind, error=result.message)


def _test_again(
    organization: Organization, server: TrackingServer
) -> servers.TestResult | None:
    """Test a server that failed when last asked, while no transaction is open."""
    if server.last_test_passed is not False and not server.failures_in_row:
        return None
    try:
        with tenancy.acting_for(organization, origin="scheduler"):
            connection = servers.connection_to(server)
        result = servers.ask_server(connection)
    except SyncError as error:
        result = servers.TestResult(passed=False, message=str(error), kind=error.kind)
    with tenancy.acting_for(organization, origin="scheduler"):
        return servers.remember_test(server, result)


def tend() -> None:
    """Every few minutes: take up the runs of workers that died or never came.

    And follow up on what webhooks told and nobody asked for yet: the server was paused,
    or the run that was in the way ended without a worker. What a run was asked for and
    did not read, because it failed, waits for the next whole sync. Files that are due
    are asked for last, of servers that nothing else is read of.
    """
    for organization in Organization.objects.filter(closed_at=None):
        with tenancy.acting_for(organization, origin="scheduler"):
            for server in TrackingServer.objects.filter(
                sync_runs__status__in=SyncRun.ACTIVE
            ).select_related("source"):
                queueing.revive(server)
            waiting = WebhookDelivery.objects.waiting().order_by().values("server")
            for server in TrackingServer.objects.filter(pk__in=waiting).select_related(
                "source"
            ):
                endpoints.follow_up(server)
            file_runs.tend()


def end_waivers() -> None:
    """Once a day, just after midnight in UTC: open again what is waived no longer."""
    for organization in Organization.objects.filter(closed_at=None):
        with tenancy.acting_for(organization, origin="scheduler"):
            waivers.lapse()


def forget_deliveries() -> None:
    """Once a day: delete what webhooks told long ago, organization by organization."""
    for organization in Organization.objects.all():
        with tenancy.acting_for(organization, origin="scheduler"):
            endpoints.forget_old()


def evaluate_everybody() -> None:
    """Once a day: judge again what time alone can break, organization by organization."""
    for organization_id in Organization.objects.filter(closed_at=None).values_list(
        "pk", flat=True
    ):
        async_task(settings.EVALUATION_JOB, organization_id)


def evaluate_due(organization_id: int) -> None:
    """Judge what is due, such as all under a new policy; at most five minutes of it.

    The rest is for the next job. One that dies leaves what is due to whoever comes next:
    its own repetition, the next sync, the daily judgement.
    """
    organization = Organization.objects.get(pk=organization_id)
    if not organization.closed_at and not pipeline.judge_due(organization):
        async_task(settings.DUE_EVALUATION_JOB, organization_id)


def evaluate(organization_id: int) -> None:
    """Judge all versions of an organization as of today."""
    organization = Organization.objects.get(pk=organization_id)
    if not organization.closed_at:
        pipeline.judge(organization)


def lapse_attestations() -> None:
    """Once a day: end the attestations whose last day is over, and judge again."""
    for organization in Organization.objects.filter(closed_at=None):
        with tenancy.acting_for(organization, origin="scheduler"):
            attestations.lapse()
