"""What the documents of a record hold: their columns are plain JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


@extend_schema_field({"type": ["integer", "string"]})
class _IntegerOrText(serializers.JSONField):
    """A number, or what was told instead of one."""


class MetricPointSerializer(serializers.Serializer[Any]):
    """Where on its way, and when, a run logged the last value of a metric."""

    step = serializers.IntegerField(required=False)
    at = serializers.DateTimeField(required=False)


class FlavorSerializer(serializers.Serializer[Any]):
    """One way of loading a model, as MLmodel describes it."""

    version = serializers.CharField(
        required=False, help_text="Of the library that the flavor stands for."
    )
    loader = serializers.CharField(required=False)
    serialization = serializers.CharField(required=False)


class MlmodelSerializer(serializers.Serializer[Any]):
    """What MLmodel tells besides the signature. A time or size that is none is as told."""

    flavors = serializers.DictField(child=FlavorSerializer(), required=False)
    python = serializers.CharField(required=False)
    mlflow_version = serializers.CharField(required=False)
    logged_at = serializers.CharField(
        required=False, help_text="ISO 8601, in UTC; else as it was told."
    )
    model_size_bytes = _IntegerOrText(required=False)
    model_uuid = serializers.CharField(required=False)
    model_id = serializers.CharField(required=False)
    serialization = serializers.ListField(child=serializers.CharField(), required=False)
    unsafe = serializers.BooleanField(
        required=False, help_text="True where one of the formats runs code when loaded."
    )


class PackageSerializer(serializers.Serializer[Any]):
    """What one line of an environment file names."""

    manager = serializers.CharField(help_text="pip or conda.")
    name = serializers.CharField(required=False)
    specifier = serializers.CharField(required=False)
    version = serializers.CharField(
        required=False, help_text="Where exactly one is allowed."
    )
    purl = serializers.CharField(required=False, help_text="Package URL.")
    extras = serializers.ListField(child=serializers.CharField(), required=False)
    marker = serializers.CharField(required=False)
    scope = serializers.CharField(
        required=False, help_text="“build” for what only builds the environment."
    )
    told = serializers.CharField(
        required=False, help_text="The line, where it is no plain requirement."
    )


class EnvironmentSerializer(serializers.Serializer[Any]):
    """What a model runs in, from the files that describe it and the tag of an image."""

    files = serializers.ListField(child=serializers.CharField(), required=False)
    python = serializers.CharField(required=False)
    image = serializers.CharField(required=False)
    dependencies = serializers.ListField(child=serializers.CharField(), required=False)
    conda_dependencies = serializers.ListField(
        child=serializers.CharField(), required=False
    )
    build_dependencies = serializers.ListField(
        child=serializers.CharField(), required=False
    )
    packages = PackageSerializer(many=True, required=False)


class FileSerializer(serializers.Serializer[Any]):
    """A file of a version; that of its run besides begins with `runs:/<run id>/`."""

    path = serializers.CharField()
    state = serializers.CharField(
        help_text="hashed, too_large, unavailable or not_asked."
    )
    sha256 = serializers.CharField(required=False)


class ChangedFileSerializer(serializers.Serializer[Any]):
    """What a file is found to be now, where it is not what was first read."""

    sha256 = serializers.CharField(
        required=False, help_text="Left out while only another size is known."
    )
    size = serializers.IntegerField()
    found_at = serializers.DateTimeField()


class ManifestRowSerializer(FileSerializer):
    size = serializers.IntegerField(allow_null=True, help_text="In bytes.")
    type = serializers.CharField()
    reason = serializers.CharField(
        required=False, help_text="Why the content is not known."
    )
    hashed_at = serializers.DateTimeField(
        required=False, help_text="When it was first read; `sha256` is as of then."
    )
    verified_at = serializers.DateTimeField(
        required=False, help_text="When it was last read to its end."
    )
    asked_at = serializers.DateTimeField(
        required=False, help_text="When it was last asked for in vain."
    )
    changed = ChangedFileSerializer(required=False)
    unsafe = serializers.BooleanField(
        required=False,
        help_text="True where loading it runs code, as far as names and MLmodel tell.",
    )
    format = serializers.CharField(required=False, help_text="Of an unsafe file.")


class EvidenceFileSerializer(FileSerializer):
    kind = serializers.CharField(
        help_text="model card, bias report, explanation, evaluation report, signature "
        "or environment."
    )


class DatasetInputSerializer(serializers.Serializer[Any]):
    """A dataset that the run read. What it held is never read."""

    name = serializers.CharField()
    digest = serializers.CharField()
    context = serializers.CharField(  # type: ignore[assignment]  # not Field.context
        help_text="The input's tag mlflow.data.context."
    )
    source_type = serializers.CharField()
    source = serializers.CharField(  # type: ignore[assignment]  # not Field.source
        help_text="Mostly JSON of MLflow's, without credentials."
    )


class ToldSerializer(serializers.Serializer[Any]):
    """Where a value came from."""

    source = serializers.CharField(  # type: ignore[assignment]  # not Field.source
        help_text="“version tag”, “run info”, …"
    )
    key = serializers.CharField(default="")
    weak = serializers.BooleanField(
        default=False, help_text="It fills the field, and does not prove it."
    )
    raw = serializers.CharField(
        default="", help_text="What was told, where it differs from the value kept."
    )
    attestation = serializers.IntegerField(
        required=False, help_text="The attestation, where that is what counts."
    )


class ToldOtherwiseSerializer(ToldSerializer):
    """A value that lost against another source."""

    value = serializers.JSONField()


class IngestedSerializer(serializers.Serializer[Any]):
    """What the source tells of an attested field."""

    value = serializers.JSONField()
    told = ToldSerializer(allow_null=True, help_text="Null: nobody tells anything.")
    seen = serializers.JSONField(
        help_text="What it told when somebody last decided; null: nothing."
    )
    attestation = serializers.IntegerField(help_text="What counts instead.")


class CompletenessSerializer(serializers.Serializer[Any]):
    known = serializers.IntegerField()
    applicable = serializers.IntegerField()


class FileCountsSerializer(serializers.Serializer[Any]):
    """How many files are in which state; those that changed are counted apart."""

    hashed = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="Listed, and not read.")
    too_large = serializers.IntegerField()
    changed = serializers.IntegerField(
        help_text="No longer what they were when they were first read."
    )
