"""MLflow over REST: tracking servers, and the record of every sync."""

from mlflow_sync.api.runs import SyncRunSerializer, SyncRunViewSet
from mlflow_sync.api.servers import TrackingServerViewSet

__all__ = ("SyncRunSerializer", "SyncRunViewSet", "TrackingServerViewSet")
