"""Settings from the environment: what is taken, and which sentence refuses the rest."""

import logging
import os
import subprocess
import sys
import traceback
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from verifywise import env
from verifywise.env import SettingError
from verifywise.postgres import EmbeddedPostgresError

ROOT = Path(__file__).resolve().parents[2]
FERNET, OLDER_FERNET = (
    urlsafe_b64encode(letter * 32).decode() for letter in (b"n", b"o")
)
KEYS = {
    "SECRET_KEY": "s" * 32,
    "FIELD_ENCRYPTION_KEY": FERNET,
    "AUDIT_KEYS": "a" * 32,
}


@pytest.fixture(autouse=True)
def no_keys_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KEYS, "NAME"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def refusal(call: Callable[..., Any], *args: Any, **options: Any) -> str:
    with pytest.raises(SettingError) as error:
        call(*args, **options)
    # What a traceback shows is told too.
    assert "hid" not in "".join(traceback.format_exception(error.value))
    return str(error.value)


def test_a_value_comes_from_the_variable_or_from_the_file_it_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    assert env.text("NAME", default="d") == "d"
    monkeypatch.setenv("NAME", " v ")
    assert env.text("NAME") == "v"
    monkeypatch.delenv("NAME")

    (tmp_path / "name").write_text("from ü file\r\n")
    monkeypatch.setenv("NAME_FILE", str(tmp_path / "name"))
    assert env.text("NAME") == "from ü file"
    assert env.secret("NAME") == "from ü file"


def test_an_empty_text_counts_as_not_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NAME", " ")
    assert env.text("NAME", default="d") == "d"
    assert env.boolean("NAME", default=True) is True
    assert env.integer("NAME", default=7, least=1, most=9) == 7
    assert env.names("NAME", default=["d"]) == ["d"]


def test_a_secret_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NAME", " v ")
    assert env.secret("NAME") == " v "
    assert env.secret("OTHER", default="d") == "d"


def test_a_secret_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    assert refusal(env.secret, "NAME") == (
        "NAME is not set: give it as NAME or NAME_FILE."
    )
    monkeypatch.setenv("NAME", "\n")
    assert refusal(env.secret, "NAME") == "NAME is set, but empty."
    assert refusal(env.secret, "NAME", default="d") == "NAME is set, but empty."


@pytest.mark.parametrize("read", [env.text, env.secret])
def test_a_variable_given_twice_is_refused(
    read: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NAME", "v")
    monkeypatch.setenv("NAME_FILE", "/dev/null")
    assert refusal(read, "NAME") == (
        "NAME and NAME_FILE are both set: give one of them."
    )


@pytest.mark.parametrize("read", [env.text, env.secret])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read: No such file or directory."),
        (b" \n", "is empty."),
        (b"\xff\xfe", "is not text."),
    ],
)
def test_a_file_that_says_nothing_is_refused(
    read: Callable[[str], str],
    content: bytes | None,
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    path = tmp_path / "name"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("NAME_FILE", str(path))
    assert refusal(read, "NAME") == f"NAME_FILE names {path}, which {complaint}"


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("true", True),
        ("Yes", True),
        ("1", True),
        ("FALSE", False),
        ("no", False),
        (" 0 ", False),
    ],
)
def test_a_boolean_has_six_spellings(
    value: str, meant: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NAME", value)
    assert env.boolean("NAME", default=not meant) is meant


@pytest.mark.parametrize("value", ["on", "y", "2", "nein"])
def test_a_boolean_has_no_other_spelling(value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NAME", value)
    assert refusal(env.boolean, "NAME", default=False) == (
        "NAME must be true, false, yes, no, 1 or 0."
    )


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("many", "a whole number"),
        ("1.5", "a whole number"),
        ("٣", "a whole number"),
        ("-", "a whole number"),
        ("0", "between 1 and 64"),
        ("-3", "between 1 and 64"),
        ("65", "between 1 and 64"),
    ],
)
def test_an_integer_has_bounds(
    value: str, complaint: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NAME", value)
    assert refusal(env.integer, "NAME", default=2, least=1, most=64) == (
        f"NAME must be {complaint}."
    )
    monkeypatch.setenv("NAME", "64")
    assert env.integer("NAME", default=2, least=1, most=64) == 64


def test_names_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NAME", " a.example, b.example,,")
    assert env.names("NAME", default=[]) == ["a.example", "b.example"]


@pytest.mark.parametrize("value", ["hourly", "61 * * * *", "* * * *", "* * * * * *"])
def test_a_cron_expression_has_five_fields(value: str, monkeypatch: pytest.MonkeyPatch):
    assert env.cron("NAME", default="0 * * * *") == "0 * * * *"
    monkeypatch.setenv("NAME", value)
    assert refusal(env.cron, "NAME", default="0 * * * *") == (
        "NAME must be a cron expression of five fields, such as “0 * * * *”."
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_database_url_becomes_djangos_settings(scheme: str):
    url = f"{scheme}://al%40ice:p%2Fw%23+@db.example:6432/gov?sslmode=verify-full"
    assert env.database_url(url) == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "gov",
        "USER": "al@ice",
        "PASSWORD": "p/w#+",
        "HOST": "db.example",
        "PORT": 6432,
        "OPTIONS": {"sslmode": "verify-full"},
    }


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("sqlite:///hidden.db", "must begin with postgres:// or postgresql://"),
        ("mysql://u:hidden@host/db", "must begin with postgres:// or postgresql://"),
        ("hidden", "must begin with postgres:// or postgresql://"),
        ("postgres://u:hid/den@host/db", "cannot be read as postgres://"),
        ("postgres://u:hid?den@host/db", "cannot be read as postgres://"),
        ("postgres://u:hidden@host:port/db", "cannot be read as postgres://"),
        ("postgres://u:hidden@host", "does not end with the name of a database"),
        ("postgres://u:hidden@host/", "does not end with the name of a database"),
    ],
)
def test_any_other_database_url_is_refused_without_being_quoted(
    url: str, complaint: str
):
    assert refusal(env.database_url, url).startswith(f"DATABASE_URL {complaint}")


def test_an_email_url_becomes_djangos_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NAME", "smtp+tls://bot%40x.example:p%2Fw@mail.example:587")
    assert env.email_url("NAME") == {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "mail.example",
        "EMAIL_PORT": 587,
        "EMAIL_HOST_USER": "bot@x.example",
        "EMAIL_HOST_PASSWORD": "p/w",
        "EMAIL_USE_TLS": True,
        "EMAIL_FILE_PATH": "",
    }


def test_without_an_email_url_mail_is_shown_on_the_console():
    backend = "django.core.mail.backends.console.EmailBackend"
    assert env.email_url("NAME")["EMAIL_BACKEND"] == backend


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://u:hidden@mail.example",
        "smtp://u:hid/den@mail.example",
        "smtp://",
        "smtp://u:hidden@mail.example?EMAIL_USE_TLS=False",
    ],
)
def test_any_other_email_url_is_refused_without_being_quoted(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NAME", url)
    assert refusal(env.email_url, "NAME").startswith(
        "NAME must be smtp+tls://user:password@host:port"
    )


def give(monkeypatch: pytest.MonkeyPatch, **keys: str) -> None:
    for name, value in (KEYS | keys).items():
        monkeypatch.setenv(name, value)


def test_given_keys_are_taken_newest_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    give(
        monkeypatch,
        FIELD_ENCRYPTION_KEY=f"{FERNET}, {OLDER_FERNET}",
        AUDIT_KEYS=f"{'b' * 32},{'a' * 32}",
    )
    keys = env.required_keys()
    assert keys.secret_key == "s" * 32
    assert keys.field_encryption_keys == (FERNET, OLDER_FERNET)
    assert keys.audit_keys == ("b" * 32, "a" * 32)

    assert env.kept_keys(tmp_path) == keys
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("name", KEYS)
def test_each_key_is_required(name: str, monkeypatch: pytest.MonkeyPatch):
    give(monkeypatch)
    monkeypatch.delenv(name)
    assert refusal(env.required_keys).startswith(f"{name} is not set")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("SECRET_KEY", "hidden", " is shorter than 32 characters."),
        (
            "FIELD_ENCRYPTION_KEY",
            f"{FERNET},hidden",
            ": entry 2 of 2 is not a Fernet key (32 bytes in url-safe base64).",
        ),
        (
            "FIELD_ENCRYPTION_KEY",
            f"hiddén,{FERNET}",
            ": entry 1 of 2 is not a Fernet key (32 bytes in url-safe base64).",
        ),
        (
            "FIELD_ENCRYPTION_KEY",
            f"{FERNET},{FERNET}",
            ": entry 2 of 2 is there twice.",
        ),
        (
            "AUDIT_KEYS",
            f"{'a' * 32},,{'b' * 32}",
            ": entry 2 of 3 is not a key of 32 characters or more.",
        ),
        (
            "AUDIT_KEYS",
            "hidden",
            ": entry 1 of 1 is not a key of 32 characters or more.",
        ),
    ],
)
def test_a_wrong_key_is_named_by_its_place_and_not_told(
    name: str, value: str, complaint: str, monkeypatch: pytest.MonkeyPatch
):
    give(monkeypatch, **{name: value})
    assert refusal(env.required_keys) == name + complaint


def test_missing_keys_are_made_once_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    keys = env.kept_keys(tmp_path / "var")
    folder = tmp_path / "var/keys"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages == [
        f"Made SECRET_KEY, FIELD_ENCRYPTION_KEY, AUDIT_KEYS in {folder}: "
        "keep a copy, what they protect cannot be read without them."
    ]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in folder.iterdir()} == set(KEYS)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}

    assert env.kept_keys(tmp_path / "var") == keys
    assert len(caplog.messages) == 1
    assert env.kept_keys(tmp_path / "other") != keys


def test_a_given_key_wins_over_a_kept_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    kept = env.kept_keys(tmp_path)
    monkeypatch.setenv("AUDIT_KEYS", "given" * 10)
    assert env.kept_keys(tmp_path).audit_keys == ("given" * 10,)
    assert env.kept_keys(tmp_path).secret_key == kept.secret_key


def test_kept_keys_can_be_rotated_by_hand_and_are_checked_too(tmp_path: Path):
    (kept,) = env.kept_keys(tmp_path).field_encryption_keys
    path = tmp_path / "keys/FIELD_ENCRYPTION_KEY"
    path.write_text(f"{FERNET},{kept}\n")
    assert env.kept_keys(tmp_path).field_encryption_keys == (FERNET, kept)

    path.write_text("")
    assert refusal(env.kept_keys, tmp_path).startswith(f"{path}: entry 1 of 1 is not")


def test_keys_that_cannot_be_kept_are_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    said = refusal(env.kept_keys, tmp_path / "file")
    assert said.startswith(f"The keys in {tmp_path}/file/keys cannot be kept or read (")
    assert said.endswith(
        "give SECRET_KEY and FIELD_ENCRYPTION_KEY and AUDIT_KEYS, "
        "or set another DATA_DIR."
    )


def test_a_key_is_written_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    with monkeypatch.context() as patch:
        patch.setattr(env.os, "fsync", lambda _: os.write(-1, b"as on a full disk"))
        refusal(env.kept_keys, tmp_path)
    assert not (tmp_path / "keys/SECRET_KEY").exists()
    env.kept_keys(tmp_path)


STARTER = """
import sys, time
from pathlib import Path
from verifywise import env
make = env.KEY_MAKERS["SECRET_KEY"]
env.KEY_MAKERS["SECRET_KEY"] = lambda: time.sleep(0.2) or make()
print("ready", flush=True)
sys.stdin.readline()
print(env.kept_keys(Path(sys.argv[1])))
"""


def test_processes_that_start_at_once_agree_on_the_keys_and_one_says_it(
    tmp_path: Path,
):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in started]
    assert {process.returncode for process in started} == {0}
    assert len({keys for keys, _ in said}) == 1
    assert "".join(notes for _, notes in said).count("\n") == 1


def test_a_database_that_cannot_run_is_a_setting_to_change(
    tmp_path: Path,
):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="set DATA_DIR to another folder") as error:
        env.embedded_database(tmp_path / "file")
    assert isinstance(error.value.__cause__, EmbeddedPostgresError)
