import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Clients that are there have sent no total so far, and go on working without one.
KNOWN_CLIENTS = """
    INSERT INTO checkout_apiclient (user_id, accepts_any_total)
    SELECT id, true FROM auth_user WHERE username LIKE 'api:%'
"""


class Migration(migrations.Migration):
    dependencies = [
        ("checkout", "0002_api"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiClient",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="api_client",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("accepts_any_total", models.BooleanField(db_default=False, default=False)),
            ],
        ),
        migrations.RunSQL(KNOWN_CLIENTS, migrations.RunSQL.noop, elidable=False),
    ]
