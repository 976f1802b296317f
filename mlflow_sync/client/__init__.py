"""How MLflow is read: the only package that knows HTTP.

`connection` is what is needed to reach a server, `pool` and `transport` send the few
requests that are allowed, `failures` says in sentences what went wrong, `rows`, `logged`
and `artifacts` make snapshots, `batching` asks for several listings at once, `streaming`
takes files of any size, `probing` tests a connection, and `Client` ties them together.
"""

from mlflow_sync.client.artifacts import NOTHING_KNOWN
from mlflow_sync.client.batching import Listings
from mlflow_sync.client.client import Client
from mlflow_sync.client.connection import AuthMethod, Connection
from mlflow_sync.client.logged import LoggedPage
from mlflow_sync.client.pace import Pace
from mlflow_sync.client.probing import Identity, Probe
from mlflow_sync.client.streaming import FileStream

__all__ = (
    "NOTHING_KNOWN",
    "AuthMethod",
    "Client",
    "Connection",
    "FileStream",
    "Identity",
    "Listings",
    "LoggedPage",
    "Pace",
    "Probe",
)
