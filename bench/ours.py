"""One sync of one server in a process of its own, measured from inside.

`python -m bench.ours ORGANIZATION URL REQUESTS [--artifacts]` prints one JSON object,
and writes what it asked of the server to the file REQUESTS. The organization and the
server are made if need be; the second call is the sync without a change.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "verifywise.settings")
django.setup()

from accounts import tenancy
from accounts.models import Organization
from bench import recording
from bench.database import tell_the_planner, writes
from mlflow_sync import sync
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import request_sync
from mlflow_sync.servers import save_server
from verifywise import pipeline

# What a sync without a change may write: its own record and the trail.
ALLOWED = {
    "mlflow_sync_syncrun",
    "accounts_auditevent",
    "accounts_audithead",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("organization")
    parser.add_argument("url")
    parser.add_argument("requests", type=Path)
    parser.add_argument("--artifacts", action="store_true")
    asked = parser.parse_args()

    organization, _ = Organization.objects.get_or_create(
        slug=asked.organization, defaults={"name": asked.organization}
    )
    with tenancy.acting_for(organization, origin="command"):
        server = TrackingServer.objects.select_related("source").first()
        if server is None:
            server = save_server(
                TrackingServer(url=asked.url, is_enabled=False), name="bench"
            )
        run = request_sync(
            server,
            trigger=SyncRun.Trigger.COMMAND,
            with_artifacts=asked.artifacts,
            enqueue=False,
        )
    before = writes()
    requests = recording.record()
    began = time.perf_counter()
    finished = sync.advance(organization, run.pk, patience=float("inf"))
    synced = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipeline.judge(organization, only_due=True)
    judged = time.perf_counter()
    after = writes()
    assert finished is not None
    assert finished.status == SyncRun.Status.SUCCEEDED, finished.error
    assert finished.count("requests") == len(requests), "a request was not recorded"
    recording.write(asked.requests, requests)
    tell_the_planner()
    print(
        json.dumps(
            {
                "seconds": synced - began,
                "judged_seconds": judged - began,
                "requests": len(requests),
                "registry_requests": sum(each.is_of_registry for each in requests),
                "connections": server.concurrency,
                "versions": finished.count("versions"),
                "created": finished.count("created"),
                "peak_mb": peak,
                "unexpected_writes": {
                    table: count - before.get(table, 0)
                    for table, count in after.items()
                    if count > before.get(table, 0) and table not in ALLOWED
                },
            }
        )
    )


if __name__ == "__main__":
    main()
