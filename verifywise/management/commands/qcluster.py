"""Start a worker: django-q2's cluster, after the checks of a start."""

from __future__ import annotations

import sys
from typing import Any

from django.db import connection
from django_q.management.commands.qcluster import Command as QCluster

from verifywise.checks import check_start
from verifywise.schedules import ensure_standing


class Command(QCluster):
    def handle(self, *args: Any, **options: Any) -> None:
        check_start()
        ensure_standing()
        connection.close()  # the cluster forks
        sys.stdout.flush()
        super().handle(*args, **options)
