"""Tracking servers and sync runs in the console."""

from __future__ import annotations

from mlflow_sync.admin.runs import SyncRunAdmin
from mlflow_sync.admin.servers import TrackingServerAdmin

__all__ = ("SyncRunAdmin", "TrackingServerAdmin")
