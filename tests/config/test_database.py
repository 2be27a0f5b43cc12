"""What Postgres is told, so that a stuck first attempt never holds the next press up for long."""

import pytest
from django.db import connection


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("default_transaction_isolation", "read committed"),
        ("lock_timeout", "3s"),
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("client_connection_check_interval", "5s"),
    ],
)
def test_connection_carries_its_limits(limit: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [limit])

        assert cursor.fetchone() == (value,)
