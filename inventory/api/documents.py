"""What the documents of a record hold, for the schema: their columns are plain JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class MetricPointSerializer(serializers.Serializer[Any]):
    """Where on its way, and when, a run logged the last value of a metric."""

    step = serializers.IntegerField(required=False)
    at = serializers.DateTimeField(required=False)


class DatasetInputSerializer(serializers.Serializer[Any]):
    """A dataset that the run read. What it held is never read."""

    name = serializers.CharField()
    digest = serializers.CharField()
    context = serializers.CharField(help_text="The input's tag mlflow.data.context.")
    source_type = serializers.CharField()
    source = serializers.CharField(  # type: ignore[assignment]  # not Field.source
        help_text="Mostly JSON of MLflow's, without credentials."
    )
