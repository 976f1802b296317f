"""Stored secrets cannot be read wrongly, searched, or written in the clear."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync.checks import keys_open_the_canary
from mlflow_sync.exceptions import UndecryptableSecret
from mlflow_sync.models import KeyCanary, TrackingServer, TrackingServerSecret
from mlflow_sync.servers import Credentials, save_server

SECRET = "s3cr3t-t0ken"


@pytest.fixture
def secret(in_acme: tenancy.Acting) -> TrackingServerSecret:
    server = save_server(
        TrackingServer(url="http://127.0.0.1:5000", auth_method="token"),
        name="Production",
        credentials=Credentials(token=SECRET),
    )
    return TrackingServerSecret.objects.get(server=server)


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM mlflow_sync_trackingserversecret")
        return str(cursor.fetchone()[0])


@pytest.fixture
def use_keys(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes these the keys of the running process."""
    from encrypted_model_fields import fields

    def use(*keys: str) -> None:
        settings.FIELD_ENCRYPTION_KEY = list(keys)
        monkeypatch.setattr(fields, "CRYPTER", fields.get_crypter())

    return use


def test_a_secret_is_stored_encrypted_and_read_as_it_was(
    secret: TrackingServerSecret,
) -> None:
    assert SECRET not in stored()
    assert TrackingServerSecret.objects.get().token == SECRET


def test_a_pasted_ciphertext_is_kept_as_text(secret: TrackingServerSecret) -> None:
    ciphertext = stored()
    secret.token = ciphertext
    secret.full_clean()

    assert secret.token == ciphertext


def test_a_bulk_update_encrypts_too(secret: TrackingServerSecret) -> None:
    secret.token = "another"
    TrackingServerSecret.objects.bulk_update([secret], ["token"])

    assert "another" not in stored()
    assert TrackingServerSecret.objects.get().token == "another"


def test_a_secret_cannot_be_searched(secret: TrackingServerSecret) -> None:
    with pytest.raises(TypeError, match="cannot be searched"):
        TrackingServerSecret.objects.filter(token=SECRET).exists()


def test_a_row_that_no_key_opens_is_an_error_and_not_its_ciphertext(
    secret: TrackingServerSecret, use_keys: Any
) -> None:
    use_keys(Fernet.generate_key().decode())

    with pytest.raises(UndecryptableSecret):
        TrackingServerSecret.objects.get()


def test_a_row_in_the_clear_is_an_error_too(secret: TrackingServerSecret) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mlflow_sync_trackingserversecret SET token = 'clear'")

    with pytest.raises(UndecryptableSecret):
        TrackingServerSecret.objects.get()


def test_a_dump_holds_no_secret(secret: TrackingServerSecret) -> None:
    dump = serializers.serialize("json", TrackingServerSecret.objects.all())

    assert SECRET not in dump
    assert stored() not in dump


def test_history_holds_no_secret(secret: TrackingServerSecret) -> None:
    names = {field.name for field in TrackingServer.history.model._meta.get_fields()}

    assert not names & {"username", "password", "token", "headers"}


def test_the_keys_can_be_rotated_and_the_old_one_dropped(
    secret: TrackingServerSecret, use_keys: Any, settings: Any
) -> None:
    old, new = settings.FIELD_ENCRYPTION_KEY[0], Fernet.generate_key().decode()
    keys_open_the_canary(None, databases=["default"])
    use_keys(new, old)

    call_command("rotate_encryption_keys")

    use_keys(new)
    assert TrackingServerSecret.objects.get().token == SECRET
    assert keys_open_the_canary(None, databases=["default"]) == []


def test_a_rotation_without_the_old_key_changes_nothing(
    secret: TrackingServerSecret, use_keys: Any
) -> None:
    before = stored()
    use_keys(Fernet.generate_key().decode())

    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("rotate_encryption_keys")

    assert stored() == before


def test_a_start_with_another_key_is_refused_with_a_hint(
    db: None, use_keys: Any
) -> None:
    assert keys_open_the_canary(None, databases=["default"]) == []
    assert KeyCanary.objects.get().word == KeyCanary.WORD
    use_keys(Fernet.generate_key().decode())

    (error,) = keys_open_the_canary(None, databases=["default"])

    assert error.id == "mlflow_sync.E001"
    assert "FIELD_ENCRYPTION_KEY" in error.msg
    assert error.hint


def test_another_organization_sees_no_secret(
    secret: TrackingServerSecret, borealis: Organization
) -> None:
    with tenancy.acting_for(borealis):
        assert not TrackingServerSecret.objects.exists()
