"""Many presses of one form in the same moment, over two web processes."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.support.processes import ShopProcesses
from tests.support.shopper import Answer, OverHttp, Shopper, somebody_else

AT_ONCE = 16


def press_at_once(processes: ShopProcesses, *, rounds: int) -> None:
    """Each round is a purchase of its own, sent by sixteen connections; all of them must be told
    of one order."""
    addresses = [processes.web().url, processes.web().url]
    browser = OverHttp(addresses[0])
    shopper = Shopper(browser)
    together = threading.Barrier(AT_ONCE)

    def press(connection: OverHttp, form: dict[str, str]) -> Answer:
        together.wait()
        return Shopper(connection).submit(form)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(rounds):
            shopper.add_to_cart("SKU-01")
            form = shopper.open_checkout() | somebody_else()
            presses = [browser.same_browser_at(addresses[n % 2]) for n in range(AT_ONCE)]
            answers = list(pool.map(press, presses, [form] * AT_ONCE))
            assert [answer.status for answer in answers] == [303] * AT_ONCE
            assert len({answer.location for answer in answers}) == 1
