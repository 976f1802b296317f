"""The acts on tracking servers."""

from __future__ import annotations

import logging

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Organization, User
from accounts.roles import Role
from mlflow_sync.exceptions import UndecryptableSecret
from mlflow_sync.models import SyncRun, TrackingServer, TrackingServerSecret
from mlflow_sync.queueing import request_sync
from mlflow_sync.servers import Credentials, remove_server, save_server
from mlflow_sync.servers import (
    test_server as ask_server,
)
from tests.servers import ADMIN, MlflowServer, free_port

SECRETS = Credentials(
    username="nina",
    password="pässword-1",
    token="t0ken-2",
    headers={"X-Api-Key": "k3y-3"},
)
TOLD = ("nina", "pässword-1", "t0ken-2", "k3y-3")


@pytest.fixture
def server(in_acme: tenancy.Acting) -> TrackingServer:
    return save_server(
        TrackingServer(url="https://mlflow.example.org/ml/", auth_method="basic"),
        name="Production",
        credentials=SECRETS,
    )


@pytest.mark.parametrize(
    ("url", "is_encrypted", "is_local"),
    [
        ("https://mlflow.example.org/ml", True, False),
        ("http://mlflow.example.org", False, False),
        ("http://localhost:5000", False, True),
        ("http://127.0.0.9:5000", False, True),
        ("http://[::1]:5000", False, True),
        ("http://10.0.0.1", False, False),
    ],
)
def test_a_server_tells_how_safely_it_is_reached(
    in_acme: tenancy.Acting, url: str, is_encrypted: bool, is_local: bool
) -> None:
    server = TrackingServer(url=url)
    assert (server.is_encrypted, server.is_local) == (is_encrypted, is_local)


def test_a_header_of_the_customers_own_is_an_identity(server: TrackingServer) -> None:
    assert server.has_identity
    server.auth_method = TrackingServer.AuthMethod.NONE
    assert server.has_identity
    secret = TrackingServerSecret.objects.get(server=server)
    secret.headers = ""
    secret.save()
    assert not server.has_identity


def test_credentials_that_no_key_opens_are_an_identity(server: TrackingServer) -> None:
    server.auth_method = TrackingServer.AuthMethod.NONE
    table = TrackingServerSecret._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET headers = 'gAAAAAB'")  # noqa: S608
    assert server.has_identity


def test_a_saved_server_keeps_its_credentials_apart(server: TrackingServer) -> None:
    assert server.url == "https://mlflow.example.org/ml"
    secret = TrackingServerSecret.objects.get(server=server)
    assert secret.username == "nina"
    assert secret.header_values() == {"X-Api-Key": "k3y-3"}


def test_saving_without_credentials_keeps_them(server: TrackingServer) -> None:
    server.read_timeout = 30
    save_server(server)

    assert TrackingServerSecret.objects.get(server=server).password == "pässword-1"


def test_an_empty_credential_forgets_it(server: TrackingServer) -> None:
    save_server(server, credentials=Credentials(token=""))

    secret = TrackingServerSecret.objects.get(server=server)
    assert (secret.token, secret.password) == ("", "pässword-1")


def test_a_new_url_forgets_what_was_given_for_the_old_one(
    server: TrackingServer,
) -> None:
    server.url = "https://elsewhere.example.org"
    server.auth_method = "none"
    save_server(server)

    assert TrackingServerSecret.objects.get(server=server).password == ""


def test_credentials_that_no_key_opens_can_be_given_anew(
    server: TrackingServer,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mlflow_sync_trackingserversecret SET password = 'clear'")
    with pytest.raises(UndecryptableSecret):
        save_server(server)

    save_server(server, credentials=Credentials(username="nina", password="new"))

    secret = TrackingServerSecret.objects.get(server=server)
    assert (secret.password, secret.token) == ("new", "")


@pytest.mark.parametrize(
    ("fields", "at", "sentence"),
    [
        ({"url": "ftp://x.example.org"}, "url", "http:// or https://"),
        ({"url": "https://"}, "url", "the server's name"),
        ({"url": "http://[::1"}, "url", "not a URL"),
        ({"url": "https://nina:pw@x.example.org"}, "url", "they have fields"),
        ({"url": "https://x.example.org/?a=1"}, "url", "what follows"),
        ({"read_timeout": 0}, "read_timeout", "greater than or equal to 1"),
        ({"auth_method": "magic"}, "auth_method", "not a valid choice"),
        ({"auth_method": "token"}, "__all__", "The token is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_field_and_nothing_is_kept(
    in_acme: tenancy.Acting, fields: dict[str, object], at: str, sentence: str
) -> None:
    server = TrackingServer(**{"url": "https://x.example.org"} | fields)  # type: ignore[misc]

    with pytest.raises(ValidationError) as refusal:
        save_server(server, name="Wrong")

    told = getattr(refusal.value, "message_dict", {"__all__": refusal.value.messages})
    assert sentence in " ".join(told[at])
    assert not TrackingServer.objects.exists()


def test_a_name_of_one_word_is_a_servers_name_too(in_acme: tenancy.Acting) -> None:
    server = save_server(
        TrackingServer(url="http://mlflow:5000"), name="In the cluster"
    )

    assert server.url == "http://mlflow:5000"


def test_a_name_is_given_once(server: TrackingServer) -> None:
    with pytest.raises(ValidationError) as refusal:
        save_server(TrackingServer(url="https://x.example.org"), name="Production")

    assert "name" in refusal.value.message_dict


def test_the_name_of_a_removed_server_leads_to_it(server: TrackingServer) -> None:
    remove_server(server)

    with pytest.raises(ValidationError) as refusal:
        save_server(TrackingServer(url="https://x.example.org"), name="Production")
    assert "was removed" in refusal.value.message_dict["name"][0]

    save_server(server, credentials=SECRETS)
    assert server.removed_at is None


def test_no_credential_is_on_the_trail_in_a_repr_or_in_the_log(
    acme: Organization, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with tenancy.acting_for(acme):
        server = save_server(
            TrackingServer(url=f"http://127.0.0.1:{free_port()}", auth_method="basic"),
            name="Production",
            credentials=SECRETS,
        )
        result = ask_server(server)
        told = [repr(each) for each in (SECRETS, server, server.secret, result)]
    told.append(caplog.text)
    with tenancy.acting_for(acme):
        events = list(AuditEvent.objects.all())
    told += [str(event.changes) + event.reason for event in events]
    for secret in TOLD:
        assert not [text for text in told if secret in text], secret
    (added,) = [event for event in events if event.action == "tracking_server.added"]
    assert added.changes["credentials"] == ["headers", "password", "token", "username"]


def test_the_fingerprint_names_the_credential_without_telling_it(
    server: TrackingServer, settings: object
) -> None:
    secret = TrackingServerSecret.objects.get(server=server)
    first = secret.fingerprint()
    secret.password = "pässword-2"

    assert len(first) == 16
    assert secret.fingerprint() != first


def test_a_test_says_what_answers_and_as_whom(
    in_acme: tenancy.Acting, basic_auth_server: MlflowServer
) -> None:
    user, password = ADMIN
    server = save_server(
        TrackingServer(url=basic_auth_server.url, auth_method="basic"),
        name="Guarded",
        credentials=Credentials(username=user, password=password),
    )

    result = ask_server(server)

    assert result.passed, result.message
    assert "MLflow 3." in result.message
    assert "admin" in result.message
    assert server.last_test_passed
    assert server.mlflow_version.startswith("3.")


def test_a_failed_test_is_remembered_with_its_sentence(in_acme: tenancy.Acting) -> None:
    server = save_server(
        TrackingServer(url=f"http://127.0.0.1:{free_port()}"), name="Nobody"
    )

    result = ask_server(server)

    assert not result.passed
    assert server.last_test_passed is False
    assert server.last_test_message == result.message
    assert result.kind == "refused"


def test_a_removed_server_forgets_its_credentials_and_keeps_its_models(
    server: TrackingServer,
) -> None:
    remove_server(server)

    assert server.removed_at is not None
    assert TrackingServerSecret.objects.get(server=server).password == ""
    assert server.source.pk is not None


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_only_administrators_manage_servers(
    acme: Organization, server: TrackingServer, max_: User, role: Role
) -> None:
    with tenancy.acting_for(acme, actor=max_, role=role):
        with pytest.raises(NotAllowed):
            save_server(server)
        with pytest.raises(NotAllowed):
            remove_server(server)


def test_an_auditor_cannot_start_a_sync(
    acme: Organization, server: TrackingServer, audrey: User
) -> None:
    with (
        tenancy.acting_for(acme, actor=audrey, role=Role.AUDITOR),
        pytest.raises(
            NotAllowed, match="“Start a sync” is not open to the role “Auditor”"
        ),
    ):
        request_sync(server, trigger=SyncRun.Trigger.MANUAL)
