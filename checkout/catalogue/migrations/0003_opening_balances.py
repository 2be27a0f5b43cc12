"""The stock that is there when movements begin. A release that knows no movements may go on selling
beside this one: `manage.py reconcile_stock --repair` records what it did, once it has ended."""

from django.db import migrations

OPEN = """
    INSERT INTO catalogue_stockmovement (product_id, change, kind)
    SELECT id, stock, 'opening' FROM catalogue_product WHERE stock <> 0 ORDER BY id
"""


class Migration(migrations.Migration):
    dependencies = [("catalogue", "0002_stock_movements")]

    operations = [migrations.RunSQL(OPEN, migrations.RunSQL.noop)]
