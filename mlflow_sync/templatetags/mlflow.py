"""Pieces of the pages about servers and syncs: `{% load mlflow %}`."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from mlflow_sync import markup
from mlflow_sync.models import SyncRun

register = template.Library()

register.filter("server_status", markup.server_status)
register.filter("delivery_outcome", markup.delivery_outcome)


@register.filter
def run_status(run: SyncRun) -> SafeString:
    return markup.run_status(run.status, error=run.error)


@register.filter
def count(run: SyncRun, name: str) -> int:
    return run.count(name)
