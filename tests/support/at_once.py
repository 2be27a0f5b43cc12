"""Acts that begin in the same moment, each over a connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connections

from checkout.orders.action_impossible import ActionImpossible


def at_once(*acts: Callable[[], object]) -> list[object]:
    """What each act answered, or why it was impossible."""
    together = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        together.wait()
        try:
            return act()
        except ActionImpossible as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def done(answers: list[object]) -> list[object]:
    return [each for each in answers if not isinstance(each, ActionImpossible)]
