from django.db import migrations

# `checkout.orders.outbox.wake` says how this works, and knows the same lock and the same channel.
CREATE = """
CREATE FUNCTION orders_wake_publisher() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared(7340022) THEN
        PERFORM pg_notify('orders_outbox', '');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER orders_outboxmessage_wake
    AFTER INSERT OR UPDATE OF available_at ON orders_outboxmessage
    FOR EACH STATEMENT EXECUTE FUNCTION orders_wake_publisher();
"""

DROP = """
DROP TRIGGER orders_outboxmessage_wake ON orders_outboxmessage;
DROP FUNCTION orders_wake_publisher();
"""


class Migration(migrations.Migration):

    dependencies = [("orders", "0040_restored_backups")]

    operations = [migrations.RunSQL(CREATE, DROP)]
