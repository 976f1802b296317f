from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People"

    def ready(self) -> None:
        from accounts import audit, checks, signing_in  # noqa: F401 - they register

        connection_created.connect(checks.refuse_privileged_role)
