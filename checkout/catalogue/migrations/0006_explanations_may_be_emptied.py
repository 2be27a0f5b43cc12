from django.db import migrations

# What staff typed of an order's goods may name its customer, and is emptied when that person is
# erased. Everything else that was recorded stays as it was, whoever asks.
EMPTYING_PASSES = """
    CREATE OR REPLACE FUNCTION catalogue_stockmovement_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.order_id > 0 AND NEW.explanation = ''
            AND to_jsonb(NEW) - 'explanation' = to_jsonb(OLD) - 'explanation' THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'Stock movements are only added: correct one by another'
            USING ERRCODE = 'restrict_violation';
    END $$;
"""
NOTHING_PASSES = """
    CREATE OR REPLACE FUNCTION catalogue_stockmovement_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'Stock movements are only added: correct one by another'
            USING ERRCODE = 'restrict_violation';
    END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('catalogue', '0005_rows_may_change_places'),
    ]

    operations = [migrations.RunSQL(EMPTYING_PASSES, NOTHING_PASSES)]
