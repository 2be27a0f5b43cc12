"""Publisher, mailer and webhook sender in one process, for a shop of one machine.

Each is a thread that runs the same loop as its own command. They share nothing but the process: a
mail server that is slow delays no message to the queue.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from django.db import connection

from checkout.orders.mail import mailer
from checkout.orders.operations.liveness import Alive
from checkout.orders.outbox import publisher
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.orders.webhooks import sender

LOOK_SECONDS = 0.1

Loop = Callable[[threading.Event, Alive], None]


def run_senders(
    queue: PaymentsQueue, stopping: threading.Event, *, on_beat: Callable[[], None]
) -> None:
    """Run all three until `stopping` is set. An error that ends one of them ends the others, and is
    raised: whoever watches over the process starts it again. `on_beat` is called while all of them
    make progress."""
    loops: dict[str, Loop] = {
        "publisher": partial(publisher.run, queue),
        "mailer": mailer.run,
        "webhook_sender": sender.run,
    }
    alive: list[Alive] = []

    def beat() -> None:
        if all(each.is_fresh() for each in alive):
            on_beat()

    alive += [Alive(kind, on_beat=beat) for kind in loops]
    ending = threading.Event()
    with ThreadPoolExecutor(len(loops), thread_name_prefix="senders") as threads:
        running = [
            threads.submit(_run, loop, ending, each)
            for loop, each in zip(loops.values(), alive, strict=True)
        ]
        while not (stopping.wait(LOOK_SECONDS) or any(map(Future.done, running))):
            pass
        ending.set()
    for each in running:
        each.result()


def _run(loop: Loop, ending: threading.Event, alive: Alive) -> None:
    try:
        loop(ending, alive)
    finally:
        connection.close()  # of this thread, which ends here
