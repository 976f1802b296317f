"""Where artifacts lie: the backend that a URI names, in words.

Pure. URIs of any backend are stored as told, without credentials, and never opened.
"""

from __future__ import annotations

import re

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # one letter is a drive
_LABELS = {
    "Amazon S3": "s3 s3a s3n",
    "Google Cloud Storage": "gs",
    "Azure Data Lake Storage": "abfs abfss adl",
    "Azure Blob Storage": "wasb wasbs",
    "Cloudflare R2": "r2",
    "Backblaze B2": "b2",
    "Oracle Object Storage": "oci",
    "Alibaba Cloud OSS": "oss",
    "Databricks file system": "dbfs",
    "Hadoop file system": "hdfs viewfs",
    "NFS": "nfs",
    "FTP": "ftp",
    "SFTP": "sftp",
    "Web server": "http https",
    "Files of the server": "file",
    "MLflow artifact proxy": "mlflow-artifacts",
    "MLflow run": "runs",
}
_LABEL_OF = {
    scheme: label for label, schemes in _LABELS.items() for scheme in schemes.split()
}
_LOGGED_MODEL = re.compile(r"models:/+m-[0-9A-Za-z]+(?:/artifacts)?/*")


def backend_of(uri: str) -> str:
    """Return what stores the artifacts of a URI, "" where there is none.

    `models:` and `runs:` name things of MLflow; only the server knows where these lie.
    A scheme that we do not know is told as it is.
    """
    if not uri:
        return ""
    scheme = match[1].lower() if (match := _SCHEME.match(uri)) else "file"
    if scheme == "models":
        is_logged = _LOGGED_MODEL.fullmatch(uri)
        return "MLflow logged model" if is_logged else "MLflow model registry"
    return _LABEL_OF.get(scheme, scheme)
