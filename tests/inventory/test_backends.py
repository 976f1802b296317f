"""A URI names the backend that stores the artifacts."""

from __future__ import annotations

import pytest

from inventory.backends import backend_of


@pytest.mark.parametrize(
    ("uri", "label"),
    [
        ("s3://bucket/1/models/m-1/artifacts", "Amazon S3"),
        ("S3://bucket/1", "Amazon S3"),
        ("s3a://bucket/1", "Amazon S3"),
        ("gs://bucket/1", "Google Cloud Storage"),
        ("abfss://models@acme.dfs.core.windows.net/1", "Azure Data Lake Storage"),
        ("wasbs://models@acme.blob.core.windows.net/1", "Azure Blob Storage"),
        ("r2://models@0a1b.r2.cloudflarestorage.com/1", "Cloudflare R2"),
        ("b2://models@s3.us-west-002.backblazeb2.com/1", "Backblaze B2"),
        ("oci://models@acme/1", "Oracle Object Storage"),
        ("oss://bucket/1", "Alibaba Cloud OSS"),
        ("dbfs:/databricks/mlflow-tracking/1", "Databricks file system"),
        ("hdfs://namenode:8020/mlflow/1", "Hadoop file system"),
        ("viewfs://cluster/mlflow/1", "Hadoop file system"),
        ("nfs://filer/mlflow/1", "NFS"),
        ("ftp://filer/mlflow/1", "FTP"),
        ("sftp://filer/mlflow/1", "SFTP"),
        ("http://mlflow.example.com/1", "Web server"),
        ("https://mlflow.example.com/1", "Web server"),
        ("file:///mnt/mlflow/1", "Files of the server"),
        ("/mnt/mlflow/1", "Files of the server"),
        ("./mlruns/1", "Files of the server"),
        ("mlruns/1", "Files of the server"),
        ("C:\\mlruns\\1", "Files of the server"),
        ("\\\\filer\\mlruns", "Files of the server"),
        ("mlflow-artifacts:/1/0a1b/artifacts", "MLflow artifact proxy"),
        ("mlflow-artifacts://mlflow:5000/1", "MLflow artifact proxy"),
        ("runs:/0a1b/model", "MLflow run"),
        ("models:/m-0a1b2c", "MLflow logged model"),
        ("models:/credit-scoring/3", "MLflow model registry"),
        ("models:/m-0a1b/3", "MLflow model registry"),
        ("models:/loans@champion", "MLflow model registry"),
        ("acme+store://x/1", "acme+store"),
        ("", ""),
    ],
)
def test_a_uri_names_its_backend(uri: str, label: str) -> None:
    assert backend_of(uri) == label
