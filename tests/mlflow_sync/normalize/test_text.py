"""Text, URIs and times as PostgreSQL and people can have them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_sync.normalize.text import (
    cached_by_key,
    clean_document,
    clean_mapping,
    clean_text,
    clean_uri,
    fold,
    utc,
)

ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("\x00\ud800\udfff")))


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (None, ""),
        ("", ""),
        ("plain", "plain"),
        ("a\x00b", "a�b"),
        ("\ud800 alone", "� alone"),
        ("Müller 🙂 #?%", "Müller 🙂 #?%"),
    ],
)
def test_what_postgresql_cannot_store_is_replaced(told: str | None, kept: str) -> None:
    assert clean_text(told) == kept


@given(ANY_TEXT)
def test_any_text_can_be_stored_after_cleaning(text: str) -> None:
    cleaned = clean_text(text)

    cleaned.encode()  # no lone surrogate is left
    assert "\x00" not in cleaned
    assert clean_text(cleaned) == cleaned


def test_keys_are_cleaned_as_values_are() -> None:
    assert clean_mapping({"k\x00": "v\x00"}) == {"k�": "v�"}


def test_a_document_is_cleaned_in_depth_and_cut_off_where_it_has_no_end() -> None:
    endless: list[object] = []
    for _ in range(100):
        endless = [endless]

    cleaned = clean_document(
        {"a\x00": ["\ud800", float("nan"), float("inf"), 1, True, None, {1, 2}]}
    )

    assert cleaned == {"a�": ["�", None, None, 1, True, None, None]}
    assert json.dumps(clean_document(endless)).count("[") == 50


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("s3://KEY:SECRET@bucket/models/1", "s3://bucket/models/1"),
        ("s3://bucket/models/1", "s3://bucket/models/1"),
        ("gs://bucket/m?X-Goog-Signature=abc", "gs://bucket/m"),
        (
            "abfss://models@acme.dfs.core.windows.net/1",
            "abfss://models@acme.dfs.core.windows.net/1",
        ),
        (
            "wasbs://models:key@acme.blob.core.windows.net/1?sv=1&sig=x%2By",
            "wasbs://models@acme.blob.core.windows.net/1",
        ),
        (
            "abfs://models@acme.dfs.core.windows.net/1",
            "abfs://models@acme.dfs.core.windows.net/1",
        ),
        (
            "r2://models@0a1b.r2.cloudflarestorage.com/1",
            "r2://models@0a1b.r2.cloudflarestorage.com/1",
        ),
        (
            "b2://models:key@s3.us-west-002.backblazeb2.com/1",
            "b2://models@s3.us-west-002.backblazeb2.com/1",
        ),
        ("oci://models@acme/1", "oci://models@acme/1"),
        ("sftp://etl:hunter2@filer:22/models", "sftp://filer:22/models"),
        ("ftp://etl@filer/models", "ftp://filer/models"),
        ("hdfs://etl:hunter2@nn:8020/m", "hdfs://nn:8020/m"),
        ("viewfs://cluster/m", "viewfs://cluster/m"),
        ("runs:/0a1b/model", "runs:/0a1b/model"),
        ("C:\\mlruns\\1", "C:\\mlruns\\1"),
        ("nfs://etl@filer/models", "nfs://filer/models"),
        ("file:///mnt/models/a@b", "file:///mnt/models/a@b"),
        ("/mnt/models/1?x", "/mnt/models/1?x"),
        ("dbfs:/databricks/mlflow/1", "dbfs:/databricks/mlflow/1"),
        ("dbfs://scope:prefix@databricks/1", "dbfs://databricks/1"),
        ("mlflow-artifacts:/1/abc/artifacts", "mlflow-artifacts:/1/abc/artifacts"),
        ("mlflow-artifacts://u:p@host:5000/1", "mlflow-artifacts://host:5000/1"),
        ("models:/m-0123", "models:/m-0123"),
        ("models:/loans@champion", "models:/loans@champion"),
        ("https://u:p@ss@host/x", "https://host/x"),
        ("https://u:p/ss@host/x", "https://host/x"),
        ("https://host:8443/x@v1?version=2", "https://host:8443/x@v1?version=2"),
        ("https://[::1]:5000/x@v1", "https://[::1]:5000/x@v1"),
        ("https://h/x?a=1&access_token=t#y", "https://h/x"),
        ("https://h/x?AWSAccessKeyId=k&Signature=s&Expires=1", "https://h/x"),
        ("jdbc:postgresql://u:p@db/x?password=p", "jdbc:postgresql://db/x"),
        ("http://[bad", "http://[bad"),
        (" s3://b/\x00 ", "s3://b/�"),
        (None, ""),
    ],
)
def test_a_uri_of_any_backend_loses_its_credentials_alone(
    told: str | None, kept: str
) -> None:
    assert clean_uri(told) == kept


@given(ANY_TEXT)
def test_a_password_survives_in_no_uri(tail: str) -> None:
    assert "hunter2" not in clean_uri(f"https://etl:hunter2@host/{tail}")


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (1_700_000_000_123, datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)),
        (1, datetime(1970, 1, 1, 0, 0, 0, 1000, UTC)),
        (253_402_300_799_999, datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)),
        (None, None),
        (0, None),
        (-1, None),
        (253_402_300_800_000, None),
        (10**30, None),
    ],
)
def test_a_time_is_aware_and_one_that_no_calendar_holds_is_missing(
    told: int | None, kept: datetime | None
) -> None:
    assert utc(told) == kept


def test_keys_are_compared_without_case_and_separators() -> None:
    assert {fold(key) for key in ("Model-Owner", "model.owner", "MODEL:OWNER")} == {
        "model_owner"
    }
    assert fold("a b/c") == "a_b_c"


def test_keys_are_remembered_and_long_values_are_not() -> None:
    asked = []
    length = cached_by_key(lambda text: asked.append(text) or len(text))

    assert [length(text) for text in ("key", "key", "v" * 999, "v" * 999)] == [
        3, 3, 999, 999,
    ]  # fmt: skip
    assert asked == ["key", "v" * 999, "v" * 999]
