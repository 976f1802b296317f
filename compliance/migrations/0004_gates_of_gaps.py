"""Give the gaps that are there the gate that the catalogue has for their rules.

Those of missing fields, and of rules that a plug-in brings, are hints until they are
judged again.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from accounts import tenancy
from compliance.catalogue import Gate, catalogue


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    gaps = apps.get_model("compliance", "Gap").objects
    for organization in apps.get_model("accounts", "Organization").objects.all():
        with tenancy.acting_for(organization):
            for gate in Gate:
                rules = [
                    entry.id
                    for entry in catalogue().rules.values()
                    if entry.gate is gate
                ]
                gaps.filter(rule_id__in=rules).update(gate=gate.value)


class Migration(migrations.Migration):
    dependencies = [("compliance", "0003_published_policies_stay")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
