"""The hourly sync of each server, as a schedule of django-q2."""

from __future__ import annotations

from django.conf import settings
from django.db import connection
from django_q.models import Schedule

from mlflow_sync.models import TrackingServer

_LOCK_SPACE = 8  # advisory locks: django-q2 lets two schedules have one name


def schedule_sync(server: TrackingServer) -> None:
    """Make, renew or remove the schedule of a server; doing it twice changes nothing."""
    name = f"sync of server {server.pk}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_SPACE, server.pk])
    if not server.is_enabled:
        Schedule.objects.filter(name=name).delete()
        return
    Schedule.objects.update_or_create(
        name=name,
        defaults={
            "func": settings.SCHEDULED_SYNC_JOB,
            "args": f"{server.organization_id},{server.pk}",
            "schedule_type": Schedule.CRON,
            "cron": settings.SYNC_CRON,
            "repeats": -1,
        },
    )
