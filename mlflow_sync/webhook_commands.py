"""What to run so that MLflow sends webhooks: VerifyWise itself never writes to MLflow.

MLflow lets only its administrators do it, where it knows who calls. Everything told is
quoted for its language.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from mlflow_sync.models import TrackingServer
from mlflow_sync.webhooks import EVENTS

NAME = "verifywise"
API = "/api/2.0/mlflow/webhooks"


@dataclass(frozen=True, slots=True)
class Commands:
    """The same thing twice: choose one. The secret is in no argument of a program."""

    curl: str
    python: str


def creating(server: TrackingServer, *, url: str, secret: str) -> Commands:
    """Return how the webhook is made in MLflow."""
    body = {
        "name": NAME,
        "url": url,
        "secret": secret,
        "events": [
            dict(zip(("entity", "action"), event.upper().split("."), strict=True))
            for event in EVENTS
        ],
    }
    events = "".join(f"        {json.dumps(event)},\n" for event in EVENTS)
    return Commands(
        curl=_curl(server, "POST", shlex.quote(server.url + API), body),
        python=f"{_client(server)}\nclient.create_webhook(\n"
        f"    name={json.dumps(NAME)},\n"
        f"    url={url!r},\n"
        f"    secret={secret!r},\n"
        f"    events=[\n{events}    ],\n)\n",
    )


def changing(server: TrackingServer, *, url: str, secret: str) -> Commands:
    """Return how the webhook in MLflow is given another secret."""
    address = f'{shlex.quote(server.url + API)}/"$WEBHOOK_ID"'
    return Commands(
        curl=_curl(server, "PATCH", address, {"secret": secret}),
        python=f"{_client(server)}\nfor webhook in client.list_webhooks():\n"
        f"    if webhook.url == {url!r}:\n"
        f"        client.update_webhook(webhook.webhook_id, secret={secret!r})\n",
    )


def _curl(server: TrackingServer, method: str, address: str, body: object) -> str:
    lines = [f"curl -sS --fail-with-body -X {method} {address}"]
    if server.auth_method == TrackingServer.AuthMethod.BASIC:
        lines.append("-u admin")  # asks for the password
    elif server.auth_method == TrackingServer.AuthMethod.TOKEN:
        lines.append('-H "Authorization: Bearer $MLFLOW_TRACKING_TOKEN"')
    if server.workspace:
        lines.append(f"-H {shlex.quote(f'X-MLFLOW-WORKSPACE: {server.workspace}')}")
    lines.append("-H 'Content-Type: application/json'")
    lines.append("-d @- <<'END'")
    return " \\\n  ".join(lines) + f"\n{json.dumps(body)}\nEND\n"


def _client(server: TrackingServer) -> str:
    workspace = (
        f"mlflow.set_workspace({server.workspace!r})\n" if server.workspace else ""
    )
    return f"import mlflow\n\nclient = mlflow.MlflowClient({server.url!r})\n{workspace}"
