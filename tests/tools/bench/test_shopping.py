"""What is measured while something dies is measured from the right moment, and a purchase that went
wrong ends the measure."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from checkout.orders.models import Order
from config.local.crowd.records import PostLog
from tests.support.processes import eventually
from tests.support.shopper import Answer
from tests.tools.bench import orders
from tests.tools.bench.purchases import Purchase
from tests.tools.bench.shopping import PRESS_AGAIN_SECONDS, Shoppers, check_paid_once
from tests.tools.bench.worker_processes import children

PAID = Answer(200, "", '<section data-status="paid">')
PLACED = Answer(200, "", '<section data-status="placed">')
ORDER = Answer(303, "/orders/x/", "")
AWAY = Answer(503, "", "")


class ScriptedShop:
    def __init__(self, *answers: Answer | requests.RequestException) -> None:
        self.answers = list(answers)

    def get(self, path: str) -> Answer:
        assert path == "/orders/x/status/"
        return self.post(path, {})

    def post(self, path: str, data: dict[str, str]) -> Answer:
        answer = self.answers.pop(0)
        if isinstance(answer, requests.RequestException):
            raise answer
        return answer


@pytest.fixture
def shoppers(tmp_path: Path) -> Iterator[Shoppers]:
    log = PostLog(tmp_path / "presses.jsonl")
    yield Shoppers(log)
    log.close()


def test_purchase_counts_from_the_press_that_was_put_off(shoppers: Shoppers) -> None:
    web = ScriptedShop(AWAY, requests.ConnectionError(), ORDER, AWAY, PLACED, PAID)

    pauses = list(shoppers.life(Purchase(1), {}, web))

    first, *_ = shoppers.log.presses
    assert pauses[:2] == [PRESS_AGAIN_SECONDS] * 2
    assert [press.status for press in shoppers.log.presses] == [503, 0, 303]
    assert shoppers.put_off == 2
    assert shoppers.waits() == [shoppers.paid_at[Purchase(1).email] - first.at]


def test_answer_that_no_shopper_may_get_ends_the_purchase(shoppers: Shoppers) -> None:
    with pytest.raises(RuntimeError, match=r"answered 500: *Oh"):
        list(shoppers.life(Purchase(1), {}, ScriptedShop(Answer(500, "", "<h1>Oh</h1>"))))
    assert shoppers.waits() == []


@pytest.mark.parametrize(
    ("status", "charges", "words"),
    [
        ("paid", 1, ""),
        ("paid", 2, "1 were charged by 2 charges"),
        ("paid", 0, "0 were charged"),
        ("placed", 1, "of which 0 are paid"),
    ],
)
def test_whoever_was_not_charged_once_for_a_paid_order_is_told_of(
    transactional_db: None, tmp_path: Path, status: str, charges: int, words: str
) -> None:
    [number] = orders.place(1, published=True)
    Order.objects.filter(number=number).update(status=status)
    ledger = tmp_path / "ledger.jsonl"
    charge = {
        "at": datetime.now(UTC).isoformat(),
        "kind": "charged",
        "order": number,
        "payment_intent": "pi_1",
        "amount": 3000,
        "currency": "eur",
    }
    ledger.write_text(f"{json.dumps(charge)}\n" * charges)

    if not words:
        check_paid_once([Purchase(1)], ledger)
        return
    with pytest.raises(RuntimeError, match=words):
        check_paid_once([Purchase(1)], ledger)


def test_children_of_a_process_are_found() -> None:
    program = "import subprocess; subprocess.run(['sleep', '60'])"
    parent = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    try:
        eventually(lambda: len(children(parent.pid)) == 1, what="the start of a child")
        assert parent.pid in children(os.getpid())
    finally:
        for pid in (*children(parent.pid), parent.pid):
            os.kill(pid, 9)
        parent.wait()
