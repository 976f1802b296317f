"""What to run so that MLflow sends webhooks: VerifyWise itself never writes to MLflow.

MLflow lets only its administrators do it, where it knows who calls. Everything told is
quoted for its language.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from mlflow_sync.models import TrackingServer
from mlflow_sync.webhooks.endpoints import EVENTS

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
    events = "".join(f"        {_literal(event)},\n" for event in EVENTS)
    return Commands(
        curl=_curl(server, "POST", shlex.quote(server.url + API), body),
        python=f"{_client(server)}\nclient.create_webhook(\n"
        f"    name={_literal(NAME)},\n"
        f"    url={_literal(url)},\n"
        f"    secret={_literal(secret)},\n"
        f"    events=[\n{events}    ],\n)\n",
    )


def changing(server: TrackingServer, *, url: str, secret: str) -> Commands:
    """Return how the webhook in MLflow is given another secret."""
    address = f'{shlex.quote(server.url + API)}/"$WEBHOOK_ID"'
    return Commands(
        curl=_curl(server, "PATCH", address, {"secret": secret}),
        python=f"{_client(server)}\nfor webhook in client.list_webhooks():\n"
        f"    if webhook.url == {_literal(url)}:\n"
        f"        client.update_webhook(webhook.webhook_id, secret={_literal(secret)})\n",
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
        f"mlflow.set_workspace({_literal(server.workspace)})\n"
        if server.workspace
        else ""
    )
    return f"import mlflow\n\nclient = mlflow.MlflowClient({_literal(server.url)})\n{workspace}"


def _literal(text: str) -> str:
    """Return a text in Python, with double quotes as in the rest of what is shown."""
    return json.dumps(text, ensure_ascii=False)
