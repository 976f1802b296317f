"""Nobody changes or removes a published policy: the table refuses."""

from django.db import migrations

CREATE = """
CREATE FUNCTION compliance_policy_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Policy % is published and stays as it is: % is refused.',
        OLD.number, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER policy_stays BEFORE UPDATE OR DELETE ON compliance_policy
    FOR EACH ROW WHEN (OLD.number IS NOT NULL)
    EXECUTE FUNCTION compliance_policy_stays();
"""

DROP = """
DROP TRIGGER policy_stays ON compliance_policy;
DROP FUNCTION compliance_policy_stays();
"""


class Migration(migrations.Migration):
    dependencies = [("compliance", "0002_policies")]

    operations = [migrations.RunSQL(CREATE, DROP)]
