"""What is shown to be run in MLflow's stead, quoted for its language."""

from __future__ import annotations

import ast
import json
import subprocess
from typing import Any

import pytest

from mlflow_sync.models import TrackingServer
from mlflow_sync.webhooks.commands import Commands, changing, creating
from mlflow_sync.webhooks.endpoints import EVENTS

NASTY = "http://127.0.0.1:1/'$(touch x)\"`touch y`"
URL = "https://verifywise.example/webhooks/mlflow/acme/key/"


def a_server(url: str = "http://mlflow:5000/ml", **fields: str) -> TrackingServer:
    """Return a server that is in no database."""
    return TrackingServer(organization_id=1, url=url, **fields)


def shell(command: str) -> tuple[list[str], Any]:
    """Return the arguments and the input with which a shell would call curl."""
    told = subprocess.run(
        ["bash", "-e"],
        input='curl() { printf "%s\\0" "$@"; cat; }\n' + command,
        env={"WEBHOOK_ID": "w1", "MLFLOW_TRACKING_TOKEN": "t1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    *arguments, body = told.split("\0")
    return arguments, json.loads(body)


def made(**fields: str) -> Commands:
    server = a_server(**fields)
    return creating(server, url=URL, secret="vwhs_s3cret")


def test_curl_sends_what_mlflow_expects() -> None:
    arguments, body = shell(made().curl)

    assert "http://mlflow:5000/ml/api/2.0/mlflow/webhooks" in arguments
    assert body == {
        "name": "verifywise",
        "url": URL,
        "secret": "vwhs_s3cret",
        "events": [
            {"entity": "REGISTERED_MODEL", "action": "CREATED"},
            {"entity": "MODEL_VERSION", "action": "CREATED"},
            {"entity": "MODEL_VERSION_TAG", "action": "SET"},
            {"entity": "MODEL_VERSION_TAG", "action": "DELETED"},
            {"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"},
            {"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"},
        ],
    }


def test_the_secret_is_in_no_argument_that_others_on_the_machine_could_read() -> None:
    arguments, _ = shell(made().curl)

    assert not any("s3cret" in argument for argument in arguments)


@pytest.mark.parametrize(
    ("fields", "arguments"),
    [
        ({"auth_method": "basic"}, ["-u", "admin"]),
        ({"auth_method": "token"}, ["-H", "Authorization: Bearer t1"]),
        ({"workspace": "team a"}, ["-H", "X-MLFLOW-WORKSPACE: team a"]),
    ],
)
def test_curl_says_who_calls_and_where(
    fields: dict[str, str], arguments: list[str]
) -> None:
    found, _ = shell(made(**fields).curl)

    assert arguments in [found[n : n + 2] for n in range(len(found))]


def test_a_nasty_url_stays_one_argument() -> None:
    server = a_server(url=NASTY, workspace="w'$(x)ü😀")

    for commands in (
        creating(server, url=URL, secret="s"),
        changing(server, url=URL, secret="s"),
    ):
        arguments, _ = shell(commands.curl)
        assert any(argument.startswith(NASTY) for argument in arguments)
        texts = {
            node.value
            for node in ast.walk(ast.parse(commands.python))
            if isinstance(node, ast.Constant)
        }
        assert {NASTY, "w'$(x)ü😀", URL, "s"} <= texts


def test_another_secret_is_given_to_the_webhook_there_is() -> None:
    server = a_server(url="http://mlflow:5000")
    arguments, body = shell(changing(server, url=URL, secret="new").curl)

    assert "PATCH" in arguments
    assert "http://mlflow:5000/api/2.0/mlflow/webhooks/w1" in arguments
    assert body == {"secret": "new"}


def test_python_names_the_events() -> None:
    (call,) = [
        node
        for node in ast.walk(ast.parse(made().python))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "create_webhook"
    ]
    told = {each.arg: ast.literal_eval(each.value) for each in call.keywords}

    assert told["events"] == list(EVENTS)
    assert told["url"] == URL
