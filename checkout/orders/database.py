"""What it means that the database did not do what it was asked."""

from django.db import InterfaceError, InternalError, OperationalError

# The connection broke, the server restarts or is read-only, or something was waited for too long.
# On a fresh connection, and in a moment, the same may work.
CONNECTION_ERRORS = (OperationalError, InterfaceError, InternalError)
