"""A connection is checked before anything is sent, and keeps its secrets."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace

import pytest
import trustme

from mlflow_sync.client import AuthMethod, Connection
from mlflow_sync.exceptions import FailureKind, SyncError

FULL = Connection(
    "https://mlflow.internal.example:8443/ml flow/",
    auth_method=AuthMethod.BASIC,
    username="reader",
    password="pässwörd",
    headers={"X-Api-Key": "key-4711"},
    workspace="risk",
    ca_bundle=trustme.CA().cert_pem.bytes().decode(),
)


def test_the_repr_tells_neither_secret_nor_host():
    told = repr(replace(FULL, username="", auth_method="token", token="tok-123"))
    for secret in ("pässwörd", "key-4711", "tok-123", "internal", "CERTIFICATE"):
        assert secret not in told


def test_the_url_is_taken_apart():
    assert (FULL.scheme, FULL.host, FULL.port) == (
        "https",
        "mlflow.internal.example",
        8443,
    )
    assert FULL.base_path == "/ml%20flow"
    assert Connection("http://[::1]:5000").host == "::1"


def test_basic_credentials_are_sent_as_utf_8_which_mlflow_decodes():
    scheme, _, credentials = FULL.request_headers()["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert b64decode(credentials).decode() == "reader:pässwörd"


def test_only_the_chosen_method_is_sent():
    both = replace(FULL, auth_method="token", token="tok-123")
    assert both.request_headers()["Authorization"] == "Bearer tok-123"
    neither = replace(FULL, auth_method="none")
    assert "Authorization" not in neither.request_headers()


def test_workspace_and_extra_headers_are_sent():
    headers = FULL.request_headers()
    assert headers["X-MLFLOW-WORKSPACE"] == "risk"
    assert headers["X-Api-Key"] == "key-4711"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"url": "mlflow:5000"}, "The URL does not start with http:// or https://."),
        ({"url": "ftp://host"}, "The URL does not start with http:// or https://."),
        ({"url": "http://"}, "The URL names no valid host and port."),
        ({"url": "http://host:99999"}, "The URL is not a valid URL."),
        ({"url": "http://[::1"}, "The URL is not a valid URL."),
        (
            {"url": "http://me:secret@host"},
            "The URL holds a user name or password, which have own fields.",
        ),
        (
            {"url": "http://host/#/models"},
            "The URL goes on after a ? or #, which must be left out.",
        ),
        (
            {"auth_method": "kerberos"},
            "The authentication method is none of none, basic and token.",
        ),
        ({"username": ""}, "The user name is missing."),
        (
            {"username": "a:b"},
            "The user name holds a colon, which HTTP does not allow.",
        ),
        ({"auth_method": "token"}, "The token is missing."),
        (
            {"auth_method": "token", "token": "secret\r\nX-Evil: 1"},
            "The token has a character that HTTP does not allow.",
        ),
        (
            {"headers": {"X Key": "secret"}},
            "A header's name has a character that HTTP does not allow.",
        ),
        (
            {"headers": {"X-Key": "secret\nHost: evil"}},
            "The value of the header X-Key has a character that HTTP does not allow.",
        ),
        (
            {"headers": {"X-Key": "secret ✓"}},
            "The value of the header X-Key has a character that HTTP does not allow.",
        ),
        ({"headers": {"ORIGIN": "secret"}}, "The header ORIGIN cannot be set."),
        (
            {"headers": {"authorization": "secret"}},
            "The header Authorization cannot be set beside an authentication method.",
        ),
        ({"ca_bundle": "secret"}, "The CA bundle holds no certificate in PEM form."),
        ({"ca_bundle": "secret ✓"}, "The CA bundle holds no certificate in PEM form."),
        (
            {"workspace": "a\nb"},
            "The workspace has a character that HTTP does not allow.",
        ),
    ],
)
def test_each_wrong_setting_is_named_without_its_secret(fault, sentence):
    with pytest.raises(SyncError) as caught:
        replace(FULL, **fault)
    assert str(caught.value) == sentence
    assert caught.value.kind is FailureKind.BAD_SETTING
    assert caught.value.permanent
    assert "secret" not in repr(caught.value)
