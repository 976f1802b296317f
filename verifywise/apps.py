from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class VerifyWiseConfig(AppConfig):
    name = "verifywise"
    verbose_name = "VerifyWise"

    def ready(self) -> None:
        from inventory.attestations import when_values_change
        from inventory.people import when_names_change
        from verifywise import (
            checks,  # noqa: F401 - they register
            pipeline,
        )

        when_values_change(pipeline.judge_again)
        when_names_change(pipeline.judge_renamed)


class ConsoleConfig(AdminConfig):
    """Django's admin with our own site."""

    default_site = "verifywise.site.Console"
