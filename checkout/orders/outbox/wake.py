"""How a message that was just stored wakes a publisher that has nothing to do.

While a publisher waits it holds a lock, and listens. The trigger of the messages' table asks for
the same lock, shared, and does not wait for it:

- It gets the lock: no publisher waits, so nobody is told. The lock is kept until the transaction
  has ended, and until then no publisher begins to wait. It looks again in a moment instead.
- It does not get the lock: the transaction notifies whoever waits when it commits.

So no message is overlooked, and a publisher that is at work is told nothing. That matters, because
Postgres lets one transaction at a time commit a notification (PostgreSQL source,
`PreCommit_Notify`): if every order notified, orders would wait for each other.
"""

from django.conf import settings
from django.db import connection

from checkout.orders.outbox.publish import is_anything_due

# The trigger knows both.
LOCK = 7340022
CHANNEL = "orders_outbox"


def wait_for_message(seconds: float) -> bool:
    """Wait until a message is due, and so long at most. False at once where another publisher waits
    already, where an order is being stored at this moment, and behind PgBouncer, whose connections
    cannot listen."""
    if settings.DATABASE_BEHIND_PGBOUNCER:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if cursor.fetchone() == (False,):
            return False
        try:
            cursor.execute(f"LISTEN {CHANNEL}")
            return is_anything_due() or _is_told(seconds)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _is_told(seconds: float) -> bool:
    told = connection.connection.notifies(timeout=seconds, stop_after=1)
    return any(True for _ in told)
