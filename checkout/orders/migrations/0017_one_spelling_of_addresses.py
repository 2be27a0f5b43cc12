from django.db import migrations

from checkout.orders.mail.address import one_spelling

WINDOW = 5000


def spell_addresses(apps, schema_editor):
    """Addresses from before they were spelt in one way: few, for most are plain ASCII. In windows,
    each of which commits, so that the shop goes on writing to the table. May be run again."""
    orders = apps.get_model("orders", "Order").objects.order_by("pk")
    last = 0
    while window := list(orders.filter(pk__gt=last).values_list("pk", flat=True)[:WINDOW]):
        first, last = window[0], window[-1]
        odd = orders.filter(pk__gte=first, pk__lte=last, email__regex=r"[^\x01-\x7f]")
        for pk, email in list(odd.values_list("pk", "email")):
            spelt = one_spelling(email)
            if spelt != email and len(spelt) <= 254:
                orders.filter(pk=pk, email=email).update(email=spelt)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('orders', '0016_names'),
    ]

    operations = [
        migrations.RunPython(spell_addresses, migrations.RunPython.noop, elidable=True),
    ]
