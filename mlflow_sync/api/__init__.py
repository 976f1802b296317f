"""MLflow over REST: tracking servers, the record of every sync, and webhooks."""

from mlflow_sync.api.receiver import Receiver
from mlflow_sync.api.runs import SyncRunSerializer, SyncRunViewSet
from mlflow_sync.api.servers import TrackingServerViewSet
from mlflow_sync.api.vocabulary import VocabularyEntryViewSet

__all__ = (
    "Receiver",
    "SyncRunSerializer",
    "SyncRunViewSet",
    "TrackingServerViewSet",
    "VocabularyEntryViewSet",
)
