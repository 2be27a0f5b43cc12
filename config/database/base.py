"""Django's PostgreSQL backend, which asks the database less often whether it is still there."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        """Before each request Django asks this of a connection that was kept, by a statement.

        A server that ends a session says so over the connection, and a network that fails shows by
        the keepalives. So where nothing has come, nothing is wrong.
        """
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
