from django.conf import settings
from django.db import migrations

from checkout.orders.mail.address import one_spelling


def spell_addresses(apps, schema_editor):
    """Accounts from before addresses were spelt in one way. An account whose name is another's in
    one spelling keeps its own: nobody is signed in as somebody else."""
    users = apps.get_model("auth", "User").objects.order_by("pk")
    for user in users.filter(email__regex=r"[^\x01-\x7f]").iterator():
        spelt = one_spelling(user.email)
        name = one_spelling(user.username).lower() if "@" in user.username else user.username
        is_free = not users.filter(username=name).exclude(pk=user.pk).exists()
        if is_free and len(name) <= 150 and len(spelt) <= 254:
            users.filter(pk=user.pk).update(email=spelt, username=name)


class Migration(migrations.Migration):

    dependencies = [
        ('checkout', '0005_cart_last_press'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(spell_addresses, migrations.RunPython.noop, elidable=True),
    ]
