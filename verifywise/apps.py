from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class VerifyWiseConfig(AppConfig):
    name = "verifywise"
    verbose_name = "VerifyWise"

    def ready(self) -> None:
        from verifywise import checks  # noqa: F401 - they register


class ConsoleConfig(AdminConfig):
    """Django's admin with our own site."""

    default_site = "verifywise.site.Console"
