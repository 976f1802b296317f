"""Nobody changes or removes an entry of the audit trail: the table refuses."""

from django.db import migrations

CREATE = """
CREATE FUNCTION accounts_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit trail is append-only: % is refused.', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_is_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_audit_is_append_only();
CREATE TRIGGER audit_head_stays BEFORE DELETE ON accounts_audithead
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_is_append_only();
CREATE TRIGGER audit_head_goes_forward BEFORE UPDATE ON accounts_audithead
    FOR EACH ROW WHEN (
        NEW.sequence <= OLD.sequence OR NEW.organization_id <> OLD.organization_id
    )
    EXECUTE FUNCTION accounts_audit_is_append_only();
CREATE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON accounts_audithead
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_audit_is_append_only();
"""

DROP = """
DROP TRIGGER audit_head_no_truncate ON accounts_audithead;
DROP TRIGGER audit_head_goes_forward ON accounts_audithead;
DROP TRIGGER audit_head_stays ON accounts_audithead;
DROP TRIGGER audit_no_truncate ON accounts_auditevent;
DROP TRIGGER audit_no_change ON accounts_auditevent;
DROP FUNCTION accounts_audit_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
