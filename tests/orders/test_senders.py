"""Publisher, mailer and webhook sender as threads of one process: none is left half alive."""

import threading

import pytest

from checkout.orders.mail import mailer
from checkout.orders.operations import liveness
from checkout.orders.operations.liveness import Alive
from checkout.orders.operations.senders import run_senders
from checkout.orders.outbox import publisher
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.orders.webhooks import sender

pytestmark = pytest.mark.django_db(transaction=True)


def waits(stopping: threading.Event, alive: Alive) -> None:
    stopping.wait()


def test_part_that_fails_ends_the_others_and_is_told(
    queue: PaymentsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def notes_its_end(stopping: threading.Event, alive: Alive) -> None:
        stopping.wait()
        ended.set()

    def fails(stopping: threading.Event, alive: Alive) -> None:
        raise RuntimeError("no mail")

    monkeypatch.setattr(sender, "run", notes_its_end)
    monkeypatch.setattr(mailer, "run", fails)

    with pytest.raises(RuntimeError, match="no mail"):
        run_senders(queue, threading.Event(), on_beat=lambda: None)

    assert ended.is_set()


def test_process_is_alive_only_while_each_part_is(
    queue: PaymentsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, mailer_hangs, second = (threading.Event() for _ in range(3))

    def beats_twice(stopping: threading.Event, alive: Alive) -> None:
        alive.beat()
        first.set()
        mailer_hangs.wait(20)
        alive.beat()
        second.set()
        stopping.wait()

    monkeypatch.setattr(liveness, "FILE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(publisher, "run", lambda queue, stopping, alive: stopping.wait())
    monkeypatch.setattr(mailer, "run", waits)
    monkeypatch.setattr(sender, "run", beats_twice)
    monkeypatch.setattr(
        Alive, "is_fresh", lambda self: self.kind != "mailer" or not mailer_hangs.is_set()
    )
    beats: list[str] = []
    stopping = threading.Event()
    running = threading.Thread(
        target=run_senders,
        args=(queue, stopping),
        kwargs={"on_beat": lambda: beats.append("alive")},
    )

    running.start()
    assert first.wait(20)
    assert beats == ["alive"]
    mailer_hangs.set()
    assert second.wait(20)
    stopping.set()
    running.join(timeout=20)

    assert beats == ["alive"]
