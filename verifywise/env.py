"""Settings from the environment: each from NAME, or from the file that NAME_FILE names.

Whatever is wrong stops the start with a SettingError: one sentence that names the
variable, and never holds its value.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from croniter import croniter
from cryptography.fernet import Fernet
from environ import Env

from verifywise import postgres

logger = logging.getLogger(__name__)

BOOLEANS = {"true": True, "yes": True, "1": True} | {
    "false": False, "no": False, "0": False,
}  # fmt: skip
EMBEDDED = "verifywise"  # the embedded database and its role
SHORTEST_KEY = 32  # characters of a SECRET_KEY or of an audit key
KEY_MAKERS: Mapping[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "FIELD_ENCRYPTION_KEY": lambda: Fernet.generate_key().decode(),
    "AUDIT_KEYS": lambda: secrets.token_urlsafe(48),
}


class SettingError(Exception):
    """A setting is missing or wrong; one sentence that names it, without its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The secrets of an installation; of several keys the newest comes first."""

    secret_key: str
    field_encryption_keys: tuple[str, ...]
    audit_keys: tuple[str, ...]


def text(name: str, *, default: str = "") -> str:
    """Return a text without the blanks around it; an empty one counts as not given."""
    return (_given(name) or "").strip() or default


def secret(name: str, *, default: str | None = None) -> str:
    """Return a secret as given; without a default it is required, empty is wrong."""
    value = _given(name)
    if value is None and default is None:
        raise SettingError(f"{name} is not set: give it as {name} or {name}_FILE.")
    if value is not None and not value.strip():
        raise SettingError(f"{name} is set, but empty.")
    return value or default or ""


def boolean(name: str, *, default: bool) -> bool:
    value = text(name).lower()
    if value and value not in BOOLEANS:
        raise SettingError(f"{name} must be true, false, yes, no, 1 or 0.")
    return BOOLEANS.get(value, default)


def integer(name: str, *, default: int, least: int, most: int) -> int:
    value = text(name, default=str(default))
    if not value.isascii() or not value.removeprefix("-").isdecimal():
        raise SettingError(f"{name} must be a whole number.")
    if not least <= int(value) <= most:
        raise SettingError(f"{name} must be between {least} and {most}.")
    return int(value)


def names(name: str, *, default: Sequence[str]) -> list[str]:
    """Return the parts of a comma-separated list, without empty ones."""
    return [part.strip() for part in text(name).split(",") if part.strip()] or list(
        default
    )


def cron(name: str, *, default: str) -> str:
    """Return a cron expression of five fields."""
    value = text(name, default=default)
    if len(value.split()) != 5 or not croniter.is_valid(value):  # noqa: PLR2004
        raise SettingError(
            f"{name} must be a cron expression of five fields, such as “{default}”."
        )
    return value


def database_url(url: str) -> dict[str, Any]:
    """Return Django's database settings for postgres://user:password@host:port/name.

    Parameters after a question mark, such as sslmode, are libpq's.
    """
    if not url.startswith(("postgres://", "postgresql://")):
        raise SettingError(
            "DATABASE_URL must begin with postgres:// or postgresql://, "
            "because VerifyWise runs on PostgreSQL only."
        )
    try:
        database: dict[str, Any] = Env.db_url_config(url)
    except ValueError:  # its message may quote a part of the password
        raise SettingError(
            "DATABASE_URL cannot be read as postgres://user:password@host:port/name; "
            "in a password, write / as %2F, ? as %3F, # as %23 and @ as %40."
        ) from None
    if not database["NAME"]:
        raise SettingError("DATABASE_URL does not end with the name of a database.")
    return database


def email_url(name: str) -> dict[str, Any]:
    """Return Django's e-mail settings for smtp+tls://user:password@host:port and such.

    Not given, mail is written to the console.
    """
    url = text(name, default="consolemail://")
    try:
        if url.partition("://")[0] not in Env.EMAIL_SCHEMES or "?" in url:
            raise ValueError
        mail: dict[str, Any] = Env.email_url_config(url)
        if url.startswith("smtp") and not mail["EMAIL_HOST"]:
            raise ValueError
    except ValueError:  # that of a wrong port may quote a part of the password
        raise SettingError(
            f"{name} must be smtp+tls://user:password@host:port, with smtp+ssl or smtp "
            "for other servers, or consolemail://."
        ) from None
    return mail


def embedded_database(
    data_dir: Path, *, settings: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Start the embedded PostgreSQL if need be, and return Django's database settings.

    `settings` are PostgreSQL's own, for a server that is started now.
    """
    try:
        socket = postgres.ensure_running(data_dir / "postgres", settings=settings)
        postgres.provision(socket, user=EMBEDDED, database=EMBEDDED)
    except postgres.EmbeddedPostgresError as error:
        raise SettingError(str(error)) from error
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": EMBEDDED,
        "USER": EMBEDDED,
        "HOST": str(socket),
        "PORT": str(postgres.PORT),
    }


def required_keys() -> Keys:
    """Return the keys, all of which must be given."""
    return _checked({name: (name, secret(name)) for name in KEY_MAKERS})


def kept_keys(data_dir: Path) -> Keys:
    """Return the keys; those not given are made once, and kept under `data_dir`/keys."""
    given = {name: secret(name, default="") for name in KEY_MAKERS}
    missing = [name for name, value in given.items() if not value]
    folder = data_dir / "keys"
    try:
        kept = _keep(folder, missing) if missing else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"The keys in {folder} cannot be kept or read ({error}): "
            f"give {' and '.join(missing)}, or set another DATA_DIR."
        ) from error
    return _checked(
        {
            name: (str(folder / name), kept[name]) if name in kept else (name, value)
            for name, value in given.items()
        }
    )


def _given(name: str) -> str | None:
    """Return what NAME or the file of NAME_FILE says, None if neither is set."""
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if path is None:
        return value
    if value is not None:
        raise SettingError(f"{name} and {name}_FILE are both set: give one of them.")
    try:
        content = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingError(
            f"{name}_FILE names {path}, which cannot be read: {error.strerror}."
        ) from error
    except UnicodeDecodeError:
        raise SettingError(f"{name}_FILE names {path}, which is not text.") from None
    if not content.strip():
        raise SettingError(f"{name}_FILE names {path}, which is empty.")
    return content


def _keep(folder: Path, missing: Iterable[str]) -> dict[str, str]:
    """Return the missing keys from a folder, and make what is not there.

    Processes that start at once wait for each other and agree on the same keys.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in missing:
            if not (folder / name).exists():
                _write(folder / name, KEY_MAKERS[name]())
                made.append(name)
        os.fsync(lock)  # a key must not be lost once something was encrypted with it
    finally:
        os.close(lock)
    if made:
        logger.warning(
            "Made %s in %s: keep a copy, what they protect cannot be read without them.",
            ", ".join(made),
            folder,
        )
    return {
        name: (folder / name).read_text(encoding="utf-8").strip() for name in missing
    }


def _write(path: Path, value: str) -> None:
    """Write a private file whole, or not at all."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(
        os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
    ) as file:
        file.write(f"{value}\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def _checked(found: Mapping[str, tuple[str, str]]) -> Keys:
    """Check each key; `found` maps a variable to where its value is from, and to it."""
    origin, secret_key = found["SECRET_KEY"]
    if len(secret_key) < SHORTEST_KEY:
        raise SettingError(f"{origin} is shorter than {SHORTEST_KEY} characters.")
    return Keys(
        secret_key=secret_key,
        field_encryption_keys=_listed(
            *found["FIELD_ENCRYPTION_KEY"],
            right=_is_fernet_key,
            wanted="a Fernet key (32 bytes in url-safe base64)",
        ),
        audit_keys=_listed(
            *found["AUDIT_KEYS"],
            right=lambda key: len(key) >= SHORTEST_KEY,
            wanted=f"a key of {SHORTEST_KEY} characters or more",
        ),
    )


def _listed(
    origin: str, value: str, *, right: Callable[[str], bool], wanted: str
) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in value.split(","))
    for position, key in enumerate(keys, start=1):
        if not right(key):
            raise SettingError(
                f"{origin}: entry {position} of {len(keys)} is not {wanted}."
            )
        if key in keys[: position - 1]:
            raise SettingError(
                f"{origin}: entry {position} of {len(keys)} is there twice."
            )
    return keys


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True
