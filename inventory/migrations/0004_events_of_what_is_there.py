"""Begin the history of aliases and absences with what is stored already.

Since when nobody knows; at the latest since the row was last written.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from accounts import tenancy

BATCH = 500


def begin(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for organization in apps.get_model("accounts", "Organization").objects.all():
        with tenancy.acting_for(organization):
            _begin_aliases(apps)
            _end_absent_versions(apps)


def _begin_aliases(apps: Apps) -> None:
    event = apps.get_model("inventory", "AliasEvent")
    models = apps.get_model("inventory", "RegisteredModel").objects
    present = models.filter(absent_since=None).exclude(aliases={})
    events = [
        event(
            registered_model=model,
            alias=alias,
            to_version=number,
            observed_before=model.changed_at,
        )
        for model in present.iterator(chunk_size=BATCH)
        for alias, number in sorted(model.aliases.items())
    ]
    event.objects.bulk_create(events, batch_size=BATCH)


def _end_absent_versions(apps: Apps) -> None:
    event = apps.get_model("inventory", "LifecycleEvent")
    versions = apps.get_model("inventory", "ModelVersion").objects
    absent = versions.exclude(absent_since=None).only("lifecycle_stage", "absent_since")
    events = [
        event(
            version=version,
            from_stage=version.lifecycle_stage,
            observed_before=version.absent_since,
        )
        for version in absent.iterator(chunk_size=BATCH)
    ]
    event.objects.bulk_create(events, batch_size=BATCH)


class Migration(migrations.Migration):
    dependencies = [("inventory", "0003_alias_events")]

    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
