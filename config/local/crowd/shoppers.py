"""The shoppers: impatient, on bad lines, pressing again. The same seed makes the same crowd.

A shopper is a generator that yields how many seconds pass before it goes on; a few threads lead a
whole crowd of them.
"""

import heapq
import random
import re
import string
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import requests
from urllib3.exceptions import NewConnectionError

from config.local.crowd.browser import TYPED, Answer, OverHttp, Shopper, read_form
from config.local.crowd.records import ACKNOWLEDGED, PostLog

Life = Generator[float, None, None]

STRIPE, MOLLIE, TRANSFER = "stripe", "mollie", "bank_transfer"

SKUS = ("NB-A5-DOT", "NB-A6-PLAIN", "PEN-FTN-M", "PEN-GEL-05", "PCL-HB-12")

GOOD_CARD = "pm_card_visa"
DECLINED_CARD = "pm_card_chargeDeclined"
CARD_WITH_QUESTION = "pm_card_authenticationRequired"
CARDS = {GOOD_CARD: 0.8, DECLINED_CARD: 0.1, CARD_WITH_QUESTION: 0.1}

# Where parcels go. Each country has prices and taxes of its own.
PLACES = {
    "IE": {"country": "IE", "city": TYPED["city"], "postcode": TYPED["postcode"]},
    "DE": {"country": "DE", "city": "Bremen", "postcode": "28195"},
    "AT": {"country": "AT", "city": "Graz", "postcode": "8010"},
}
# One with few uses and one with none to spare, as they are typed, and one that nobody issued.
FEW, ONE, UNKNOWN = "FEW-USES", "ONE-USE", "NO-SUCH"
CODES = ("", "", "", FEW, FEW.lower(), FEW, ONE, UNKNOWN)

# How long a shopper waits for an answer before pressing again.
PATIENCE_SECONDS = (0.3, 1.0, 4.0, 10.0)

# More than any outage of the drill lasts, at one or two seconds each.
TRIES = 90

# The form comes back: with another total, or with what cannot be had named at its field.
ASKED_AGAIN = (409, 422)
METHODS = re.compile(r'name="delivery_method"[^>]*value="(\w+)"')
CODE_REFUSED = re.compile(r'id="id_code_error"|There is no such code|This code has been used')

TOTAL = re.compile(r'class="total">.*?<strong>\D*([\d,]+)\.(\d\d)\D*</strong>', re.DOTALL)
FINAL = 'data-final="true"'
BANK = re.compile(r'href="(http://[^"]*/sandbox/bank/[^"]*)"')
GATEWAYS_PAGE = re.compile(r'href="(http://[^"]*/checkout/(tr_\w+))"')
REFERENCE = re.compile(r"<dt>Reference</dt><dd>([\d-]+)</dd>")

# How customers pay, and what those do who are sent to Mollie's page.
WAYS = {STRIPE: 0.5, MOLLIE: 0.35, TRANSFER: 0.15}
AT_MOLLIE = {"paid": 0.6, "failed": 0.1, "canceled": 0.1, "pending": 0.15, "": 0.05}

# How long a bank takes that has promised the money.
PROMISED_SECONDS = (2, 15)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one shopper is going to do."""

    purchase: str  # an e-mail address, unique to this purchase
    basket: Sequence[tuple[str, int]]
    card: str
    presses: Sequence[int]  # how many at once, one after the other
    patience_seconds: float
    sends_again_after_seconds: float | None
    pays_again: bool
    answer_to_bank: str  # approve, refuse, or nothing at all
    seed: int
    country: str = "IE"
    method: int = 0  # the place of a delivery method among those that are offered
    code: str = ""
    way: str = STRIPE
    at_mollie: str = ""  # what they choose on its page; empty: they close it
    sends_money: bool = True  # by transfer

    @property
    def is_sure(self) -> bool:
        """Whether this purchase is charged, come what may."""
        return self.way == STRIPE and self.card == GOOD_CARD

    @property
    def amount_minor(self) -> int:
        """For designs without a catalogue: an amount that nearly each purchase has for itself."""
        return 1000 + self.seed % 9000


def plan_of(number: int, seed: int) -> Plan:
    chance = random.Random(f"{seed}/{number}")
    presses = chance.choice([1, 1, 2, 3, 4, 5])
    at_once = chance.randint(1, presses) if chance.random() < 0.5 else 1
    return Plan(
        purchase=f"shopper-{number:06d}@example.com",
        basket=[
            (sku, chance.randint(1, 3)) for sku in chance.sample(SKUS, chance.choice([1, 1, 2, 3]))
        ],
        card=chance.choices(list(CARDS), list(CARDS.values()))[0],
        presses=[at_once, *[1] * (presses - at_once)],
        patience_seconds=chance.choice(PATIENCE_SECONDS),
        sends_again_after_seconds=chance.uniform(1, 20) if chance.random() < 0.25 else None,
        pays_again=chance.random() < 0.8,
        answer_to_bank=chance.choice(["approve", "approve", "approve", "refuse", ""]),
        seed=chance.getrandbits(31),
        country=chance.choice(list(PLACES)),
        method=chance.randrange(2),
        code=chance.choice(CODES),
        way=chance.choices(list(WAYS), list(WAYS.values()))[0],
        at_mollie=chance.choices(list(AT_MOLLIE), list(AT_MOLLIE.values()))[0],
        sends_money=chance.random() < 0.8,
    )


class Balanced(OverHttp):
    """A browser behind a load balancer: a process that refuses connections is passed over."""

    def __init__(self, urls: Sequence[str], chance: random.Random) -> None:
        super().__init__(chance.choice(urls))
        self.urls = urls
        self._chance = chance

    def get(self, path: str) -> Answer:
        return self._balance(lambda: super(Balanced, self).get(path))

    def post(self, path: str, data: dict[str, str]) -> Answer:
        return self._balance(lambda: super(Balanced, self).post(path, data))

    def copy(self) -> "Balanced":
        """Another connection of the same browser."""
        other = Balanced(self.urls, self._chance)
        other.timeout_seconds = self.timeout_seconds
        other.session.cookies.update(self.session.cookies)
        return other

    def _balance(self, ask: Callable[[], Answer]) -> Answer:
        self.base_url = self._chance.choice(self.urls)
        try:
            return ask()
        except requests.ConnectionError as error:
            if not (error.args and isinstance(_reason(error), NewConnectionError)):
                raise  # something may have been done
            self.base_url = next((url for url in self.urls if url != self.base_url), self.base_url)
            return ask()


def _reason(error: requests.ConnectionError) -> object:
    return getattr(error.args[0], "reason", None)


class Buyer(Protocol):
    """How a plan is carried out on one design."""

    gave_up: int

    def __call__(self, plan: Plan, urls: Sequence[str], log: PostLog) -> Life: ...


class GaveUp(Exception):
    """The shopper tried for minutes and got no answer."""


class AtOurShop:
    """A shopper at the product's own pages."""

    def __init__(self, *, phone: str = "") -> None:
        self.phone = phone  # some ways of delivery ask for it
        self.send_transfer: Callable[[str, int], None] = _nowhere
        # Purchase → what the pages said that were sent: minor units, and the code that was typed.
        self.seen: dict[str, set[tuple[int, str]]] = defaultdict(set)
        self.gave_up = 0
        self.refused: list[str] = []  # answers that no shopper should get

    def __call__(self, plan: Plan, urls: Sequence[str], log: PostLog) -> Life:
        chance = random.Random(plan.seed)
        web = Balanced(urls, chance)
        method = _chosen(plan) if plan.way == STRIPE else ""
        typed = TYPED | {"email": plan.purchase, "payment_method": method, "gateway": plan.way}
        typed |= PLACES[plan.country] | {"code": plan.code}
        if self.phone:
            typed["phone"] = self.phone
        shopper = Shopper(web, typed)
        try:
            yield from self._buy(plan, shopper, web, log, chance)
        except GaveUp:
            self.gave_up += 1
        finally:
            web.session.close()

    def _buy(
        self, plan: Plan, shopper: Shopper, web: Balanced, log: PostLog, chance: random.Random
    ) -> Life:
        for sku, quantity in plan.basket:
            yield from _add_to_cart(shopper, sku, quantity, chance)
        page = yield from _until(200, lambda: web.get("/checkout/"), chance)
        form = self._fill(plan, page, shopper.typed | _method(plan, page))
        location, form = yield from self._press(plan, form, web, log, chance)
        if plan.sends_again_after_seconds is not None:
            yield plan.sends_again_after_seconds
            yield from self._press(plan, form, web, log, chance)
        yield from self._see_it_through(plan, location, shopper, web, chance)

    def _fill(self, plan: Plan, page: Answer, typed: Mapping[str, str]) -> dict[str, str]:
        """The page's form, filled in, and what is said above it noted."""
        form = read_form(page.text, "/checkout/") | dict(typed)
        if total := TOTAL.search(page.text):
            minor = int(total[1].replace(",", "") + total[2])
            self.seen[plan.purchase].add((minor, form["code"].upper()))
        return form

    def _press(
        self, plan: Plan, form: dict[str, str], web: Balanced, log: PostLog, chance: random.Random
    ) -> Generator[float, None, tuple[str, dict[str, str]]]:
        """The order's address, and the form that led to it: one that came back with another total,
        or with a code that cannot be had, is sent as it came back, without that code."""
        location = ""
        presses = list(plan.presses)
        for _ in range(TRIES):
            at_once = presses.pop(0) if presses else 1
            patience = plan.patience_seconds if presses else PATIENCE_SECONDS[-1]
            answers = press_at_once(at_once, form, web, plan.purchase, log, patience)
            for answer in answers:
                if answer.status == ACKNOWLEDGED:
                    location = answer.location
                elif answer.status not in (0, 503, *ASKED_AGAIN):
                    self.refused.append(f"{answer.status}: {answer.words[:300]}")
            asked = [answer for answer in answers if answer.status in ASKED_AGAIN]
            if asked and not location:
                form = self._fill(plan, asked[-1], _kept(form, asked[-1]))
            if location and not presses:
                return location, form
            yield chance.uniform(0.1, 2.0)
        raise GaveUp

    def _see_it_through(
        self, plan: Plan, location: str, shopper: Shopper, web: Balanced, chance: random.Random
    ) -> Life:
        if plan.way != STRIPE:
            yield from self._pay_otherwise(plan, location, shopper, web, chance)
            return
        if plan.card == GOOD_CARD:
            yield chance.uniform(0, 5)
            yield from _until(200, lambda: web.get(location), chance)
            return
        for _ in range(TRIES):
            page = yield from _until(200, lambda: web.get(location), chance)
            bank = BANK.search(page.text)
            if plan.card == CARD_WITH_QUESTION and bank:
                if plan.answer_to_bank:
                    yield from self._answer_bank(bank[1], plan.answer_to_bank, chance)
                return
            if f'action="{location}pay/"' in page.text:
                if plan.pays_again:
                    yield from _try(lambda: shopper.pay_again(location, GOOD_CARD), chance)
                return
            if FINAL in page.text:
                return  # staff or the customer cancelled the order
            yield chance.uniform(1, 3)

    def _pay_otherwise(
        self, plan: Plan, location: str, shopper: Shopper, web: Balanced, chance: random.Random
    ) -> Life:
        for _ in range(TRIES):
            page = yield from _until(200, lambda: web.get(location), chance)
            there = GATEWAYS_PAGE.search(page.text)
            if reference := REFERENCE.search(page.text):
                if plan.sends_money and (total := TOTAL.search(page.text)):
                    self.send_transfer(reference[1], int(total[1].replace(",", "") + total[2]))
                return
            if there and plan.way == MOLLIE:
                yield from _choose_at_mollie(plan, there[1], there[2], chance)
                if plan.at_mollie in ("paid", "pending") or not plan.pays_again:
                    return
                yield from _pay_by_card(location, shopper, web, chance)
                return
            if FINAL in page.text or f'action="{location}pay/"' in page.text:
                return
            yield chance.uniform(0.5, 3)

    def _answer_bank(self, url: str, answer: str, chance: random.Random) -> Life:
        yield chance.uniform(0, 3)
        requests.post(url, data={"answer": answer}, allow_redirects=False, timeout=10)


def _choose_at_mollie(plan: Plan, url: str, payment_id: str, chance: random.Random) -> Life:
    if not plan.at_mollie:
        return
    yield chance.uniform(0, 3)
    choice = {"status": plan.at_mollie}
    requests.post(url, data=choice, allow_redirects=False, timeout=10)
    if plan.at_mollie == "pending":
        yield chance.uniform(*PROMISED_SECONDS)
        kept = chance.choice(["paid", "paid", "paid", "failed"])
        moved = {"payment": payment_id, "status": kept}
        base = url.partition("/checkout/")[0]
        requests.post(f"{base}/sandbox/payments", json=moved, timeout=10)


def _pay_by_card(location: str, shopper: Shopper, web: Balanced, chance: random.Random) -> Life:
    """After Mollie's page, which was closed, or on which nothing was paid."""
    for _ in range(TRIES):
        page = yield from _until(200, lambda: web.get(location), chance)
        if f'action="{location}pay/"' in page.text:
            yield from _try(lambda: shopper.pay_again(location, GOOD_CARD, gateway=STRIPE), chance)
            return
        if FINAL in page.text:
            return
        yield chance.uniform(0.5, 3)


def _nowhere(number: str, amount_minor: int) -> None:
    raise RuntimeError(f"There is no bank to which {number} could be paid.")


class AtAnotherShop:
    """The same shopper at a design that knows no form token: the same POST again."""

    def __init__(self) -> None:
        self.gave_up = 0

    def __call__(self, plan: Plan, urls: Sequence[str], log: PostLog) -> Life:
        chance = random.Random(plan.seed)
        web = Balanced(urls, chance)
        card = DECLINED_CARD if plan.card == DECLINED_CARD else GOOD_CARD
        form = {"purchase": plan.purchase, "amount": str(plan.amount_minor), "payment_method": card}
        presses = list(plan.presses)
        for _ in range(TRIES):
            at_once = presses.pop(0) if presses else 1
            patience = plan.patience_seconds if presses else PATIENCE_SECONDS[-1] + 5
            answers = press_at_once(at_once, form, web, plan.purchase, log, patience)
            if any(answer.status in (ACKNOWLEDGED, 402) for answer in answers):
                # A shopper who sees the order does not press any more, whatever was planned.
                return
            yield chance.uniform(0.1, 2.0)
        self.gave_up += 1


def _chosen(plan: Plan) -> str:
    """Half of the cards come as a confirmation token, which is used once. In letters alone: digits
    could look like a card's number."""
    if plan.seed % 2:
        return plan.card
    letters = random.Random(plan.seed).choices(string.ascii_lowercase, k=16)
    return f"ctoken_{''.join(letters)}_{plan.card.removeprefix('pm_')}"


def _method(plan: Plan, page: Answer) -> dict[str, str]:
    """The way of delivery that this shopper prefers, if the page lets them choose."""
    offered = METHODS.findall(page.text)
    return {"delivery_method": offered[plan.method % len(offered)]} if offered else {}


def _kept(form: Mapping[str, str], page: Answer) -> dict[str, str]:
    """What the shopper leaves in a form that comes back. The rest is of the page."""
    kept = {name: value for name, value in form.items() if name in {*TYPED, "code"}}
    return kept | {"code": ""} if CODE_REFUSED.search(page.text) else kept


def press_at_once(
    times: int, form: dict[str, str], web: Balanced, purchase: str, log: PostLog, patience: float
) -> list[Answer]:
    """That many POSTs of the form in the same moment; no answer has the status 0."""
    answers: list[Answer] = []

    def press(line: Balanced) -> None:
        line.timeout_seconds = patience
        began = time.time()
        try:
            answer = line.post("/checkout/", form)
        except requests.RequestException:
            answer = Answer(0, "", "")
        log.add(purchase, began=began, status=answer.status, location=answer.location)
        answers.append(answer)

    lines = [web.copy() for _ in range(times)]
    others = [threading.Thread(target=press, args=[line]) for line in lines[1:]]
    for other in others:
        other.start()
    press(lines[0])
    for other in others:
        other.join()
    for line in lines:
        line.session.close()
    return answers


def _try(ask: Callable[[], Answer], chance: random.Random) -> Generator[float, None, Answer]:
    """Until there is an answer that is no error of the server."""
    for _ in range(TRIES):
        try:
            answer = ask()
        except requests.RequestException:
            answer = Answer(0, "", "")
        if 0 < answer.status < 500:
            return answer
        yield chance.uniform(0.2, 2.0)
    raise GaveUp


def _add_to_cart(shopper: Shopper, sku: str, quantity: int, chance: random.Random) -> Life:
    for _ in range(TRIES):
        page = yield from _until(200, lambda: shopper.web.get("/"), chance)
        fields = read_form(page.text, "/cart/add/") | {"sku": sku, "quantity": str(quantity)}
        answer = yield from _try(lambda: shopper.web.post("/cart/add/", fields), chance)  # noqa: B023 - called at once
        if answer.status in (302, 303):
            return
    raise GaveUp


def _until(
    status: int, ask: Callable[[], Answer], chance: random.Random
) -> Generator[float, None, Answer]:
    answer = yield from _try(ask, chance)
    assert answer.status == status, (answer.status, answer.words[:300])
    return answer


class Crowd:
    """Leads its shoppers with a few threads, each of them when its time has come."""

    def __init__(self, threads: int) -> None:
        self.finished = 0
        self.failures: list[str] = []
        self._numbers = count()
        self._due: list[tuple[float, int, Life]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._lead, name=f"shoppers-{n}", daemon=True)
            for n in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def add(self, life: Life, *, after_seconds: float) -> None:
        with self._changed:
            due = time.monotonic() + after_seconds
            heapq.heappush(self._due, (due, next(self._numbers), life))
            self._changed.notify()

    def stop(self) -> None:
        """On return nobody acts any more, neither at the shop nor at the bank."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()  # each step ends by itself: every request has a time-out

    def _lead(self) -> None:
        while (life := self._next()) is not None:
            try:
                pause = next(life)
            except StopIteration:
                self._count()
            except Exception as error:  # of one shopper: the others go on
                self.failures.append(f"{type(error).__name__}: {error}")
                self._count()
            else:
                self.add(life, after_seconds=pause)

    def _count(self) -> None:
        with self._changed:
            self.finished += 1

    def _next(self) -> Life | None:
        with self._changed:
            while not self._closed:
                pause = self._due[0][0] - time.monotonic() if self._due else None
                if pause is not None and pause <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(pause)
        return None
