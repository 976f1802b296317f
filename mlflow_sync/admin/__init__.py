"""Tracking servers and sync runs in the console."""

from __future__ import annotations

from mlflow_sync.admin.runs import SyncRunAdmin
from mlflow_sync.admin.servers import TrackingServerAdmin
from mlflow_sync.admin.vocabulary import VocabularyEntryAdmin

__all__ = ("SyncRunAdmin", "TrackingServerAdmin", "VocabularyEntryAdmin")
