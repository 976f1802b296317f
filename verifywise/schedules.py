"""What happens by itself, apart from the servers' own syncs."""

from __future__ import annotations

from django.conf import settings
from django.db import connection, transaction
from django_q.models import Schedule

_LOCK_SPACE = 9  # advisory locks: django-q2 lets two schedules have one name
_STANDING = (
    ("close the syncs of dead workers", "verifywise.jobs.tend", "*/5 * * * *"),
    (
        "end what is attested no longer",
        "verifywise.jobs.lapse_attestations",
        "5 0 * * *",
    ),
    ("end what waivers are over", "verifywise.jobs.end_waivers", "5 0 * * *"),
    ("judge what time breaks", "verifywise.jobs.evaluate_everybody", "15 0 * * *"),
    ("forget old deliveries", "verifywise.jobs.forget_deliveries", "45 0 * * *"),
)


def ensure_standing() -> None:
    """Make the standing schedules; any number of workers may do it at once."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_LOCK_SPACE])
        for name, job, cron in _STANDING:
            Schedule.objects.update_or_create(
                name=name,
                defaults={
                    "func": job,
                    "schedule_type": Schedule.CRON,
                    "cron": cron,
                    "repeats": -1,
                },
            )
        Schedule.objects.filter(func=settings.SCHEDULED_SYNC_JOB).update(
            cron=settings.SYNC_CRON  # which may be another than when they were made
        )
