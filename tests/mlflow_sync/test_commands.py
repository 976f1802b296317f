"""The commands that set up servers and sync them, as people type them."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync.models import TrackingServer
from mlflow_sync.servers import save_server
from tests.mlflow_sync.files.deployed import Deployed, sha256, sync_model
from tests.registry import Registry, unique
from tests.servers import ADMIN, MlflowServer, free_port
from tests.wire import gate

pytestmark = pytest.mark.django_db(transaction=True)


def add(*args: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(
        "add_tracking_server",
        "--organization=acme",
        "--name=Production",
        *args,
        stdout=out,
        stderr=err,
    )
    return out.getvalue().strip(), err.getvalue().strip()


def test_a_server_is_added_tested_and_its_id_printed(
    acme: Organization, mlflow_server: MlflowServer
) -> None:
    printed, told = add(f"--url={mlflow_server.url}")

    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
    assert printed == str(server.pk)
    assert "MLflow 3." in told


def test_an_existing_name_is_changed_and_keeps_what_is_not_given(
    acme: Organization, mlflow_server: MlflowServer
) -> None:
    first, _ = add(f"--url={mlflow_server.url}", "--read-timeout=17")
    second, _ = add(f"--url={mlflow_server.url}", "--workspace=")

    assert first == second
    with tenancy.acting_for(acme):
        assert TrackingServer.objects.get().read_timeout == 17


def test_credentials_come_from_variables(
    acme: Organization,
    basic_auth_server: MlflowServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user, password = ADMIN
    monkeypatch.setenv("MLFLOW_READER", password)

    _, told = add(
        f"--url={basic_auth_server.url}",
        f"--username={user}",
        "--password-env=MLFLOW_READER",
    )

    assert "knows us as “admin”" in told


def test_a_proxys_path_token_and_header_can_all_be_given(
    acme: Organization, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "t0ken")
    monkeypatch.setenv("API_KEY", "k3y")
    wanted = {"Authorization": "Bearer t0ken", "X-Api-Key": "k3y"}
    with gate(mlflow_server.url, path="/ml", wanted=wanted) as proxy:
        _, told = add(
            f"--url={proxy.url}", "--token-env=TOKEN", "--header=X-Api-Key=API_KEY"
        )

    assert "answers" in told


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--url=nonsense",), "url: Give the URL with http"),
        (("--url=http://x.example.org", "--token-env=NOT_SET"), "NOT_SET is not set"),
        (("--url=http://x.example.org", "--header=Broken"), "write NAME=VARIABLE"),
        (("--url=http://x.example.org", "--ca-bundle=/nowhere.pem"), "cannot be read"),
        (("--url=http://x.example.org", "--auth-method=basic"), "user name is missing"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    acme: Organization, args: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        add(*args)

    with tenancy.acting_for(acme):
        assert not TrackingServer.objects.exists()


def test_an_unknown_organization_is_named(db: None) -> None:
    with pytest.raises(CommandError, match="There is no organization 'acme'"):
        add("--url=http://127.0.0.1:5000")


def sync(*args: str) -> tuple[int, list[dict[str, Any]]]:
    out, code = StringIO(), 0
    try:
        call_command("sync", "--organization=acme", "--json", *args, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def test_sync_prints_an_object_a_server_and_says_by_its_exit_code_how_it_went(
    acme: Organization, mlflow_server: MlflowServer, registry: Registry
) -> None:
    registry.model(unique("told"))
    add(f"--url={mlflow_server.url}", "--without-artifacts")

    code, (told,) = sync()

    assert code in (0, 3)  # other tests may have left a purged run on this server
    assert set(told) == {
        "server", "status", "models", "out_of_scope", "versions", "created", "updated",
        "unchanged", "incomplete", "absent", "files", "changed_files",
        "unavailable_files", "unregistered", "requests", "bytes", "seconds", "error",
    }  # fmt: skip
    assert told["server"] == "Production"
    assert told["models"] > 0


def test_files_that_are_due_are_read_in_the_foreground(
    acme: Organization, own_registry: Registry
) -> None:
    model = Deployed(own_registry, {"model.pkl": b"weights"})
    add(f"--url={own_registry.server.url}")
    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
    sync_model(acme, server, model)
    out = StringIO()

    code, (told,) = sync("--files")
    call_command("sync", "--organization=acme", "--files", stdout=out)

    assert code == 0
    assert (told["status"], told["files"], told["versions"]) == ("succeeded", 1, 1)
    assert out.getvalue().startswith("Production: succeeded, 0 files read (0 changed, ")
    with tenancy.acting_for(acme):
        assert model.manifest()["model.pkl"]["sha256"] == sha256(b"weights")
        server.hash_files = False
        save_server(server)

    code, (told,) = sync("--files")

    assert code == 1
    assert told["error"] == "Production is set to hash no files."


def test_a_sync_that_fails_exits_with_one_and_a_sentence(acme: Organization) -> None:
    add(f"--url=http://127.0.0.1:{free_port()}")

    code, (told,) = sync()

    assert code == 1
    assert told["status"] == "failed"
    assert told["error"]


def test_syncing_without_any_server_says_so(acme: Organization) -> None:
    with pytest.raises(CommandError, match="no tracking server"):
        call_command("sync", "--organization=acme")


def test_a_ca_bundle_that_is_no_text_is_named(
    acme: Organization, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.der"
    bundle.write_bytes(b"\x30\x82\xff")

    with pytest.raises(CommandError, match="cannot be read as PEM"):
        add("--url=https://x.example.org", f"--ca-bundle={bundle}")
