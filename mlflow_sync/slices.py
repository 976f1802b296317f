"""One slice of a run, whatever it reads: under which identity it begins, how it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync import breaker, lease
from mlflow_sync.client import AuthMethod, Connection, Identity
from mlflow_sync.exceptions import SyncError
from mlflow_sync.models import SyncRun
from mlflow_sync.normalize.text import clean_text
from mlflow_sync.queueing import enqueue_sync
from mlflow_sync.servers import connection_to

logger = logging.getLogger(__name__)

LENGTH = 240.0  # seconds of work after which a run lets others have the worker
INTERNAL = "An internal error stopped the sync; the log of the worker tells more."
LABELS = {
    AuthMethod.NONE: "No user name and no token",
    AuthMethod.BASIC: "User name and password",
    AuthMethod.TOKEN: "Bearer token",
}
IDENTITY_LENGTH = 200


class Work(Protocol):
    """What a slice does. `failed` tells whether something could not be read."""

    organization: Organization
    run: SyncRun
    failed: bool

    def work(self) -> bool:
        """Go on from the run's place; return whether that was the rest of it."""
        ...


def identify(run: SyncRun) -> Connection:
    """Note under which identity a server is read; return how to reach it.

    Raises SyncError where a setting is wrong. Whoever calls saves the run.
    """
    server = run.server
    connection = connection_to(server)
    secret = getattr(server, "secret", None)
    run.source_uri, run.workspace = server.url, server.workspace
    run.identity = LABELS[AuthMethod(connection.auth_method)]
    if connection.headers:
        run.identity += f", header {', '.join(sorted(connection.headers))}"
    run.credential_fingerprint = secret.fingerprint() if secret else ""
    return connection


@contextmanager
def storing(organization: Organization, run: SyncRun) -> Iterator[None]:
    """Write in one transaction, in which the run is certainly ours."""
    with tenancy.acting_for(organization, origin="sync"):
        lease.hold(run)
        yield


def note_identity(run: SyncRun, identity: Identity) -> None:
    """Note which MLflow answered, and as whom it knows us; works in `storing`."""
    if identity.username:
        run.identity += f", known to MLflow as “{clean_text(identity.username)}”"
    run.identity = run.identity[:IDENTITY_LENGTH]
    run.mlflow_version = identity.mlflow_version
    run.save(update_fields=["identity", "mlflow_version"])


def do(slice_: Work) -> None:
    """Do a slice and say how it ended.

    What MLflow can cause ends as a failed run, whose `error` is a sentence; anything
    else is a bug: the run is closed, and the exception goes on.
    """
    organization, run = slice_.organization, slice_.run
    failed = SyncRun.Status.FAILED
    try:
        done = slice_.work()
    except SyncError as error:
        logger.warning("Sync of %s failed: %s", run.server, error)
        with tenancy.acting_for(organization, origin="sync"):
            lease.finish(organization, run, failed, error=str(error), kind=error.kind)
            breaker.note_failure(run.server, kind=error.kind, error=str(error))
    except KeyboardInterrupt:
        told = "The sync was interrupted."
        lease.finish(organization, run, failed, error=told, kind="interrupted")
        raise
    except lease.LeaseLost:
        raise
    except Exception:
        lease.finish(organization, run, failed, error=INTERNAL, kind="internal")
        raise
    else:
        with tenancy.acting_for(organization, origin="sync"):
            if not done:
                lease.pause(organization, run)
                enqueue_sync(run)
                return
            partial = SyncRun.Status.PARTIAL
            status = partial if slice_.failed else SyncRun.Status.SUCCEEDED
            lease.finish(organization, run, status)
            breaker.note_success(run.server)
