"""The table of draft-ietf-httpapi-idempotency-key-header, a test for each row, and more rows."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from checkout.api.idempotency import IdempotentRequest, claim_key
from checkout.catalogue.models import Product
from checkout.models import ApiRequest
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus
from checkout.runtime import metrics
from tests.support.api_caller import DECLINED, ORDERS, PURCHASE, Caller
from tests.support.factories import placed_order
from tests.support.till import Till, assert_one_order_one_charge


def test_first_request_is_done_and_answered(caller: Caller) -> None:
    answer = caller.place("k-1")

    order = Order.objects.get()
    assert answer.status == 201
    assert answer.headers["Location"] == f"{ORDERS}{order.reference}/"
    assert "Idempotent-Replayed" not in answer.headers
    told = answer.json
    assert (told["number"], told["reference"]) == (order.number, order.reference)
    assert (told["status"], told["charged"], told["total"]) == ("placed", "unknown", "20.02")
    assert told["currency"] == "EUR"


@pytest.mark.django_db(transaction=True)
def test_same_key_and_same_request_is_given_the_first_answer(caller: Caller, till: Till) -> None:
    first = caller.place("k-1")
    till.settle(Order.objects.get())

    again = caller.place("k-1")

    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert assert_one_order_one_charge(till).resubmission_count == 1


def test_same_request_in_other_words_is_the_same(caller: Caller) -> None:
    """Spaces and the order of names say nothing."""
    turned = dict(reversed(PURCHASE.items()))
    caller.place("k-1")

    again = caller.place("k-1", turned)

    assert again.headers["Idempotent-Replayed"] == "true"


# Of `PURCHASE`, as the release before delivery and codes stored it.
EARLIER_FINGERPRINT = "c804ed28a42e26259b50d90d8bb91b890de78260659798541e119a9cce72696d"


def test_key_of_the_release_before_leads_to_its_order(caller: Caller) -> None:
    """What a request says that knows no new field is digested as it was then."""
    first = caller.place("k-1")
    ApiRequest.objects.update(fingerprint=EARLIER_FINGERPRINT)

    again = caller.place("k-1")

    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("delivery_method", ""),
        *(("code", "TENTH"), ("address2", "Floor 3"), ("region", "Cork"), ("company", "Quill")),
        *(("phone", "+353 21 555 0100"), ("vat_id", "IE6388047V"), ("billing", {"country": "IE"})),
    ],
)
def test_same_key_with_a_new_field_is_another_request(
    caller: Caller, field: str, value: object
) -> None:
    caller.place("k-1")

    other = caller.place("k-1", PURCHASE | {field: value})

    assert other.problem == "idempotency-key-reused"
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_same_key_and_another_request_is_refused(caller: Caller, till: Till) -> None:
    caller.place("k-1")

    other = caller.place("k-1", PURCHASE | {"city": "Galway"})

    assert (other.status, other.problem) == (422, "idempotency-key-reused")
    assert other.json["charged"] == "unknown"  # of the first one, which is under way
    order = assert_one_order_one_charge(till)
    assert order.city == "Cork"
    assert order.events.filter(kind="resubmitted_changed").count() == 1
    assert caller.place("k-1", PURCHASE | {"city": "Galway"}).json["charged"] is True


def test_key_is_looked_up_before_anything_else_is_judged(caller: Caller) -> None:
    """What was bought is sold out, or the request would not pass any more: the first answer."""
    caller.place("k-1")
    Product.objects.update(stock=0, is_on_sale=False)

    assert caller.place("k-1").headers["Idempotent-Replayed"] == "true"


BAD_KEYS = [
    *(
        "",
        '""',
        "k" * 256,
        '"' + "k" * 256 + '"',
        "two words",
        '"open',
        '"a";v=1',
        "schl\u00fcssel",
    ),
    *("a,b", '"a", "b"'),  # two headers, as servers join them
]


@pytest.mark.parametrize("path", ["", "{reference}/pay/", "{reference}/cancel/"])
def test_request_without_a_good_key_is_refused(caller: Caller, path: str) -> None:
    address = ORDERS + path.format(reference="r" * 22)

    def refusal(key: str | None) -> tuple[int, str, object]:
        json = "application/json"
        answer = caller.send("POST", address, b"{}", Content_Type=json, Idempotency_Key=key)
        return answer.status, answer.problem, answer.json["charged"]

    assert refusal(None) == (400, "idempotency-key-missing", False)
    for bad in BAD_KEYS:
        assert refusal(bad) == (400, "idempotency-key-malformed", False), bad
    assert not ApiRequest.objects.exists()


@pytest.mark.parametrize("key", ["k" * 255, '"with \\"quotes\\" and spaces"', "8e03978e-40d5"])
def test_key_is_a_string_in_quotes_or_without(caller: Caller, key: str) -> None:
    assert caller.place(key).status == 201


def test_quotes_are_no_part_of_the_key(caller: Caller) -> None:
    caller.place('"k-1"')

    assert caller.place("k-1").headers["Idempotent-Replayed"] == "true"


def test_key_of_another_client_is_another_purchase(caller: Caller, another_caller: Caller) -> None:
    ours, theirs = caller.place("k-1"), another_caller.place("k-1")

    assert (ours.status, theirs.status) == (201, 201)
    assert ours.json["reference"] != theirs.json["reference"]
    assert Order.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_key_of_one_endpoint_is_refused_by_another(caller: Caller, till: Till) -> None:
    address = caller.place("k-1", DECLINED).headers["Location"]
    till.deliver_messages()
    payment = {"payment_method": "pm_card_visa"}

    assert caller.post(f"{address}pay/", payment, "k-1").problem == "idempotency-key-reused"
    assert caller.post(f"{address}cancel/", {}, "k-1").problem == "idempotency-key-reused"
    assert caller.post(f"{address}pay/", payment, "k-2").status == 202
    assert caller.post(f"{address}cancel/", {}, "k-2").problem == "idempotency-key-reused"
    assert caller.place("k-2").problem == "idempotency-key-reused"
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_key_of_one_order_is_refused_by_another(caller: Caller, till: Till) -> None:
    addresses = [caller.place(None, DECLINED).headers["Location"] for _ in range(2)]
    till.deliver_messages()
    payment = {"payment_method": "pm_card_visa"}
    caller.post(f"{addresses[0]}pay/", payment, "k-1")

    other = caller.post(f"{addresses[1]}pay/", payment, "k-1")

    assert (other.status, other.problem) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (PURCHASE | {"city": ""}, 422),
        (PURCHASE | {"lines": [{"sku": "LAST", "quantity": 2}], "expected_total": "258.00"}, 409),
        (PURCHASE | {"lines": [{"sku": "NOTHING", "quantity": 1}]}, 422),
    ],
    ids=["invalid", "sold out", "unknown"],
)
def test_request_that_was_refused_leaves_its_key_free(
    caller: Caller, content: dict[str, object], status: int
) -> None:
    refused = caller.place("k-1", content)

    assert refused.status == status
    assert refused.json["charged"] is False
    assert not ApiRequest.objects.exists()
    assert caller.place("k-1").status == 201


class Elsewhere:
    """Another process's first request with a key, stopped before its COMMIT."""

    def __init__(self, asked: IdempotentRequest) -> None:
        self._asked = asked
        self._claimed, self._may_end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Callable[[], None]:
        self._thread.start()
        assert self._claimed.wait(10)
        return self._may_end.set

    def __exit__(self, *_: object) -> None:
        self._may_end.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            with transaction.atomic():
                now, placed = timezone.now(), OrderStatus.PLACED
                claim_key(
                    self._asked,
                    self._asked.checkout_id,
                    status_code=201,
                    order_status=placed,
                    now=now,
                )
                self._claimed.set()
                self._may_end.wait(20)
                transaction.set_rollback(True)
        finally:
            connection.close()


def first_elsewhere(caller: Caller) -> Elsewhere:
    caller.place("another")
    client_id = ApiRequest.objects.get().client_id
    operation = ApiRequest.Operation.PLACE
    return Elsewhere(
        IdempotentRequest(client_id=client_id, key="k-1", operation=operation, fingerprint="f")
    )


@pytest.mark.django_db(transaction=True)
def test_first_request_that_is_still_at_work_is_waited_for_but_not_long(caller: Caller) -> None:
    with first_elsewhere(caller):
        answer = caller.place("k-1")

    assert (answer.status, answer.problem) == (409, "idempotency-key-in-use")
    assert answer.headers["Retry-After"] == "1"
    assert answer.json["charged"] == "unknown"
    assert caller.place("k-1").status == 201


@pytest.mark.django_db(transaction=True)
def test_second_request_does_the_work_when_the_first_gives_it_up(caller: Caller) -> None:
    with first_elsewhere(caller) as give_up:
        threading.Timer(0.5, give_up).start()
        answer = caller.place("k-1")

    assert answer.status == 201
    assert "Idempotent-Replayed" not in answer.headers


def test_key_lives_as_long_as_its_order(caller: Caller) -> None:
    """No command prunes it, and the database keeps both together."""
    caller.place("k-1")
    Order.objects.update(placed_at=timezone.now() - timedelta(days=3650))

    assert caller.place("k-1").headers["Idempotent-Replayed"] == "true"


def test_repeats_are_counted_with_those_of_the_pages(caller: Caller) -> None:
    before = metrics.RESUBMISSIONS.labels("same")._value.get()
    caller.place("k-1")
    caller.place("k-1")

    assert metrics.RESUBMISSIONS.labels("same")._value.get() == before + 1


def test_order_of_the_pages_and_key_do_not_meet(caller: Caller, shelf: list[Product]) -> None:
    placed_order(shelf[0])

    assert caller.place("k-1").status == 201
    assert Order.objects.count() == 2
