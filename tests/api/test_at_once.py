import os

import pytest

from checkout.catalogue.models import Product
from checkout.models import ApiRequest
from checkout.orders.models import Order
from tests.support.api_at_once import AT_ONCE, send_at_once
from tests.support.api_caller import Caller
from tests.support.long import at_length
from tests.support.processes import ShopProcesses

FEW_ROUNDS = 3
ROUNDS = int(os.environ.get("API_KEYS_ROUNDS", "30"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(max(240, ROUNDS))
@pytest.mark.parametrize("rounds", [FEW_ROUNDS, *at_length(ROUNDS)])
def test_sixteen_requests_with_one_key_over_two_processes_make_one_order(
    caller: Caller, processes: ShopProcesses, rounds: int
) -> None:
    """Three rounds, or thirty. `python -m tests.tools.bench.api_keys --rounds 1000` makes more."""
    addresses = [processes.web().url, processes.web().url]

    tally = send_at_once(caller, addresses, rounds=rounds)

    orders = Order.objects.count()
    print(
        f"\n{rounds} rounds of {AT_ONCE}: {orders} orders, answers by status {dict(tally.statuses)}"
    )
    assert tally.statuses == {201: rounds * AT_ONCE}
    references = {reference for told in tally.told for reference in told}
    assert {len(told) for told in tally.told} == {1}
    assert references == set(Order.objects.values_list("reference", flat=True))
    assert len(references) == ApiRequest.objects.count() == rounds
    assert tally.replays == rounds * (AT_ONCE - 1)
    assert Product.objects.get(sku="SKU-01").stock == 100_000 - 2 * rounds
