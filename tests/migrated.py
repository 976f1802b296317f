"""A database that is migrated once, of which each test process takes a copy.

Migrating costs 20 s of a processor, a copy half a second. It is kept with the server for
later runs, as long as the program and what it stands on stay as they are.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from psycopg import sql

from verifywise.postgres_server import SUPERUSER

ROOT = Path(__file__).resolve().parent.parent
OURS = ("verifywise", "accounts", "inventory", "mlflow_sync", "compliance")
PREFIX = "migrated_"
UNFINISHED = "migrating"
MIGRATING = 0x5654  # the advisory lock of `migrated`


def migrated() -> str:
    """Return the name of the database, made by whoever comes first.

    Only where the server is ours.
    """
    name = PREFIX + _digest()
    place = connection.settings_dict
    with psycopg.connect(
        host=place["HOST"],
        port=place["PORT"],
        user=SUPERUSER,
        dbname="postgres",
        autocommit=True,  # databases are made and dropped outside of transactions
    ) as superuser:
        superuser.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
        found = superuser.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX]
        ).fetchall()
        if (name,) not in found:
            for (former,) in found:
                drop = sql.SQL("DROP DATABASE {}").format(sql.Identifier(former))
                superuser.execute(drop)
            _migrate(UNFINISHED)
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(UNFINISHED), sql.Identifier(name)
            )
            superuser.execute(rename)
    return name


def _migrate(name: str) -> None:
    """Make a database as the tests' own are made; half of one is thrown away."""
    configured: dict[str, Any] = settings.DATABASES["default"]
    places = (configured, connection.settings_dict)
    former = [(place["NAME"], place["TEST"]["NAME"]) for place in places]
    connection.settings_dict["TEST"]["NAME"] = name
    try:
        connection.creation.create_test_db(
            verbosity=0, autoclobber=True, serialize=False
        )
    finally:
        connection.close()
        for place, (used, tests) in zip(places, former, strict=True):
            place["NAME"], place["TEST"]["NAME"] = used, tests


def _digest() -> str:
    """Tell the program apart from any other, and the packages it stands on."""
    files = [*ROOT.glob("requirements/*.txt")]
    for app in OURS:
        files += (ROOT / app).rglob("*.py")
    found = sha256()
    for file in sorted(files):
        content = file.read_bytes()
        found.update(f"{file.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return found.hexdigest()[:16]
