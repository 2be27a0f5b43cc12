"""`Prefer: wait=N`: an answer that is held back until the order is decided (RFC 7240).

Between two looks a waiting request holds no database connection. It does hold a thread of the web
server, so only a few may wait at once; whoever comes then is answered at once, and asks again.
"""

import re
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection

from checkout.orders.models import Order
from checkout.runtime.retry import pauses

# Seconds.
WAIT_AT_MOST = 20
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 1.0

WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,6})"?\s*(?=$|[,;])', re.IGNORECASE | re.ASCII)

places = threading.BoundedSemaphore(max(0, settings.API_WAITING_AT_MOST))


def preferred_wait(header: str) -> int:
    """Seconds; 0 where none are asked for. A preference that cannot be read is none (RFC 7240)."""
    asked = WAIT.search(header)
    return min(int(asked[1]), WAIT_AT_MOST) if asked else 0


def wait_until(
    is_worth_telling: Callable[[Order], bool], look: Callable[[], Order], *, seconds: int
) -> tuple[Order, bool]:
    """The order as it is then, and whether the wait was granted."""
    order = look()
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
            order = look()
        return order, True
    finally:
        places.release()
