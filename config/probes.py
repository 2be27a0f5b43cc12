"""Whether the process is alive, whether it can serve, and its metrics."""

from hmac import compare_digest

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse

from checkout.middleware.lost_connections import will_be_repeated
from checkout.runtime import metrics
from checkout.runtime.database import DATABASE_ERRORS, impatiently


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    try:
        with impatiently():
            executor = MigrationExecutor(connection)
            missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
            takes_writes = _takes_writes()
    except DATABASE_ERRORS as error:
        if will_be_repeated(request, error):
            raise
        return _not_ready("The database does not answer.")
    if not takes_writes:
        return _not_ready("The database takes no writes.")
    if missing:
        return _not_ready(f"{len(missing)} migrations are not applied: run manage.py migrate.")
    return HttpResponse("ready\n", content_type="text/plain")


def _takes_writes() -> bool:
    """A kept connection may lead to a former primary, so a new one is tried before saying no."""
    for is_last in (False, True):
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only")
            if cursor.fetchone() == ("off",):
                return True
        if not is_last and not connection.in_atomic_block:
            connection.close()
    return False


def metrics_page(request: HttpRequest) -> HttpResponse:
    """For Prometheus, with METRICS_TOKEN. It reads neither the session nor the database."""
    given = request.headers.get("Authorization", "")
    expected = f"Bearer {settings.METRICS_TOKEN}"
    if not settings.METRICS_TOKEN or not compare_digest(given.encode(), expected.encode()):
        return HttpResponse(status=404)
    return HttpResponse(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


def _not_ready(reason: str) -> HttpResponse:
    return HttpResponse(f"{reason}\n", status=503, content_type="text/plain")
