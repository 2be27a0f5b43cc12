"""`Prefer: wait=N`: the response is held back until the order has news (RFC 7240).

Between two queries a waiting request holds no database connection. It does hold a thread of the web
server, so only a few may wait at once; any further request is answered at once and may ask again.
"""

import re
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection

from checkout.orders.models import Order
from checkout.runtime.retry import pauses

# All three are seconds.
WAIT_AT_MOST = 20
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 1.0

WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,6})"?\s*(?=$|[,;])', re.IGNORECASE | re.ASCII)

places = threading.BoundedSemaphore(max(0, settings.API_WAITING_AT_MOST))


def preferred_wait(header: str) -> int:
    """The seconds that the client wants to wait; RFC 7240 has a server ignore unreadable ones."""
    asked = WAIT.search(header)
    return min(int(asked[1]), WAIT_AT_MOST) if asked else 0


def wait_until(
    is_worth_telling: Callable[[Order], bool], read_order: Callable[[], Order], *, seconds: int
) -> tuple[Order, bool]:
    """The order as it is when the wait ends, and whether a wait was granted at all."""
    order = read_order()
    if not seconds or not places.acquire(blocking=False):
        return order, False
    try:
        for pause in pauses(
            first=FIRST_PAUSE, longest=LONGEST_PAUSE, growth=1.5, within=seconds, at_least=0
        ):
            if is_worth_telling(order):
                break
            connection.close()
            time.sleep(pause)
            order = read_order()
        return order, True
    finally:
        places.release()
