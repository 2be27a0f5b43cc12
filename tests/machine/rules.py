"""What can happen to a shop, as rules of which Hypothesis makes runs."""

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial, wraps
from typing import Any, ClassVar

from hypothesis import HealthCheck, seed
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from payments.gateways.base import OutcomeUnknown
from payments.sandbox.faults import STEPS
from tests.machine.queue import Trouble
from tests.machine.shop import (
    NO_CODE,
    SHELF,
    Clock,
    Form,
    Shop,
    World,
    orders,
    paid_payments,
    pick,
    share,
)
from tests.support.lost_replies import reply_to_commit_lost

STEPS_IN_A_RUN = 40

METHODS = st.sampled_from(
    [
        "pm_card_visa",
        "pm_card_visa",
        "pm_card_visa",
        "pm_card_chargeDeclined",
        "pm_card_chargeDeclinedInsufficientFunds",
        "pm_card_authenticationRequired",
        "pm_card_authenticationRequired",
        "pm_sandbox_slow",
        "pm_sandbox_timeout_after_charge",
        "pm_sandbox_error_after_charge",
        "pm_sandbox_unavailable",
        "pm_of_another_shop",
    ]
)
NUMBERS = st.integers(0, 999)  # picks one of what there is by then
VISITORS = st.integers(0, 2)
QUANTITIES = st.integers(0, 3)
PERCENTS = st.sampled_from([1, 30, 50, 100, 100, 101])
SKUS = st.sampled_from(sorted(SHELF))
TYPED_CODES = st.sampled_from(["", "", "ONCE", "twice", NO_CODE])
FAULTS = st.sampled_from(["reset", "reset", "500", "429", "503", "silent"])
TROUBLES = st.sampled_from(Trouble)
MINUTE, HOUR = 60, 60 * 60
PAUSES = st.sampled_from([1, 5, MINUTE, 2 * MINUTE, 16 * MINUTE, HOUR, 25 * HOUR, 48 * HOUR])


def step(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule that is counted when it runs, by its kind where it has several."""

    def made(act: Callable[..., None]) -> Any:
        @wraps(act)
        def counted(machine: "Machine", **chosen: Any) -> None:
            kind = f" {chosen['kind']}" if "kind" in chosen else ""
            machine.steps[act.__name__ + kind] += 1
            act(machine, **chosen)

        made_rule: Any = rule(**drawn)  # type: ignore[call-overload] # mypy takes one for a bundle
        return made_rule(counted)

    return made


def kinds(*names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


class Machine(RuleBasedStateMachine):
    """Few rules of many kinds: Hypothesis leaves rules out of a run, and with them whole sides of
    the shop."""

    world: ClassVar[World]
    set_clock: ClassVar[Callable[[Clock], None]]
    steps: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.shop = Shop(self.world, type(self).set_clock)
        self.steps["runs"] += 1

    @initialize(method=METHODS, hears_webhooks=st.booleans())
    def begin(self, method: str, hears_webhooks: bool) -> None:
        self.shop.hears_webhooks = hears_webhooks
        self._buy(0, "PLENTY", method)

    def _buy(
        self,
        visitor: int,
        sku: str,
        method: str,
        *,
        code: str = "",
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        shopper = self.shop.visitors[visitor]
        self.shop.put_in_cart(shopper, sku, 1)
        form = self.shop.open_checkout(shopper)
        if meanwhile:
            meanwhile()
        if form:
            form.code = code
            self.shop.submit(form, method)
            again = shopper.forms[-1]
            if again is not form:  # with the total of the code, or without the code
                self.shop.submit(again, method)

    @invariant()
    def promises_hold(self) -> None:
        self.shop.check()

    def teardown(self) -> None:
        try:
            if sys.exception() is None:
                self.shop.settle_everything()
                self.steps.update(self.shop.outcomes())
        finally:
            self.shop.abandon()

    # The shopper

    @step(
        kind=kinds(
            "placed", "published", "published and lost", "settled", "settled", "price changes"
        ),
        visitor=VISITORS,
        sku=SKUS,
        method=METHODS,
        code=TYPED_CODES,
    )
    def buys(self, kind: str, visitor: int, sku: str, method: str, code: str) -> None:
        reprice = partial(self.shop.reprice, sku, 1)
        is_repriced = kind == "price changes"
        self._buy(visitor, sku, method, code=code, meanwhile=reprice if is_repriced else None)
        if kind.startswith("published"):
            self.shop.run(self.shop.publish)
        if kind == "published and lost":
            self.shop.queue.purge()
        elif kind == "settled":
            self.shop.move_everything()

    @step(kind=kinds("opens", "changes"), visitor=VISITORS, sku=SKUS, quantity=QUANTITIES)
    def checkout(self, kind: str, visitor: int, sku: str, quantity: int) -> None:
        """In a second tab, when a checkout page is open already."""
        shopper = self.shop.visitors[visitor]
        if kind == "opens":
            self.shop.put_in_cart(shopper, sku, quantity)
            self.shop.open_checkout(shopper)
        else:
            self.shop.change_cart(shopper, sku, quantity)

    def unsent(self) -> list[Form]:
        return [form for form in self.shop.forms() if not form.fields]

    def sent(self) -> list[Form]:
        return [form for form in self.shop.forms() if form.fields]

    @precondition(lambda self: self.unsent())
    @step(kind=kinds("heard", "heard", "reply to COMMIT lost"), number=NUMBERS, method=METHODS)
    def submits(self, kind: str, number: int, method: str) -> None:
        with reply_to_commit_lost() if kind == "reply to COMMIT lost" else nullcontext():
            self.shop.submit(pick(self.unsent(), number), method)

    @precondition(lambda self: self.sent())
    @step(
        kind=kinds("the same twice", "other content", "from another visit", "another total"),
        number=NUMBERS,
        method=METHODS,
    )
    def submits_again(self, kind: str, number: int, method: str) -> None:
        form = pick(self.sent(), number)
        match kind:
            case "the same twice":
                self.shop.send_again(form)
                self.shop.send_again(form)
            case "other content":
                self.shop.send_again(form, city="Galway", payment_method=method, code="TWICE")
            case "from another visit":
                place = self.shop.visitors.index(form.shopper) + 1
                self.shop.send_forged(form.token, visitor=pick(self.shop.visitors, place))
            case "another total":
                self.shop.send_forged(form.with_total(1), visitor=form.shopper)

    @step(
        kind=kinds("only looks", "presses", "presses", "presses twice"),
        number=NUMBERS,
        method=METHODS,
    )
    def pays_again(self, kind: str, number: int, method: str) -> None:
        """By a page that was looked at before, when there is one."""
        order = pick(orders(), number)
        presses = {"only looks": 0, "presses": 1, "presses twice": 2}[kind]
        if not presses:
            self.shop.look_at(order)
        for _ in range(presses):
            self.shop.pay_again(order, method)

    @precondition(lambda self: self.shop.asked_by_the_bank())
    @step(
        kind=kinds("approves", "approves too late", "refuses"),
        number=NUMBERS,
        comes_back=st.booleans(),
    )
    def bank(self, kind: str, number: int, comes_back: bool) -> None:
        intent_id, order_number = pick(self.shop.asked_by_the_bank(), number)
        if kind == "approves too late":  # by now the shop has given the order up
            self.shop.clock.advance(25 * HOUR)
            self.shop.expire()
            self.shop.move_everything()
        self.shop.answer_the_bank(intent_id, approved=kind != "refuses")
        if comes_back:
            self.shop.come_back(order_number)

    # Staff

    @step(kind=kinds("price", "stock"), sku=SKUS, change=st.integers(-2, 3))
    def staff_changes(self, kind: str, sku: str, change: int) -> None:
        if kind == "price":
            self.shop.reprice(sku, change)
        else:
            self.shop.add_stock(sku, change)

    @precondition(lambda self: self.shop.has_charges())
    @step(kind=kinds("once", "twice", "at the gateway's site"), number=NUMBERS, percent=PERCENTS)
    def refunds(self, kind: str, number: int, percent: int) -> None:
        payment = pick(paid_payments(), number)
        if kind == "at the gateway's site":
            if self.shop.hears_webhooks:
                self.shop.refund_at_the_site(payment, share(payment, percent))
            return
        for _ in range(2 if kind == "twice" else 1):
            self.shop.refund(payment, share(payment, percent))

    # Publisher and worker

    @precondition(lambda self: self.shop.has_due())
    @step(kind=kinds("lives", "dies"), stops=st.integers(0, 2))
    def publishes(self, kind: str, stops: int) -> None:
        """Dies with a claim in hand, or with messages sent that it has not recorded."""
        self.shop.run(self.shop.publish, dies_after=stops if kind == "dies" else None)

    @precondition(lambda self: self.shop.queue.can_be_received())
    @step(kind=kinds("lives", "dies"), stops=st.integers(0, 6))
    def works(self, kind: str, stops: int) -> None:
        """Dies before or after any of its calls to the gateway, or before it deletes."""
        message = self.shop.receive()
        assert message
        act = partial(self.shop.work_on, message)
        self.shop.run(act, dies_after=stops if kind == "dies" else None)

    @precondition(lambda self: self.shop.free_hand() and self.shop.has_due())
    @step()
    def begins_to_publish(self) -> None:
        self.shop.begin(self.shop.publish)

    @precondition(lambda self: self.shop.free_hand() and self.shop.queue.can_be_received())
    @step()
    def begins_to_work(self) -> None:
        message = self.shop.receive()
        assert message
        self.shop.begin(partial(self.shop.work_on, message))

    @precondition(lambda self: self.shop.busy_hands())
    @step(kind=kinds("one stop", "to its end", "to its death", "unheard"), number=NUMBERS)
    def goes_on(self, kind: str, number: int) -> None:
        """Unheard: the gateway may have been asked by then, or not."""
        hand = pick(self.shop.busy_hands(), number)
        match kind:
            case "one stop":
                hand.go_on()
            case "to its end":
                hand.finish()
            case "to its death":
                hand.die()
            case "unheard" if self.shop.is_at_the_gateway(hand):
                hand.go_on(OutcomeUnknown("connection_lost"))

    @precondition(lambda self: self.shop.has_due() or self.shop.queue.can_be_received())
    @step()
    def moves_everything(self) -> None:
        self.shop.move_everything()

    # Gateway, webhooks, queue, time

    @step(kind=kinds("fault", "fault", "out", "back"), at=st.sampled_from(STEPS), fault=FAULTS)
    def gateway(self, kind: str, at: str, fault: str) -> None:
        if kind == "fault":
            self.shop.sandbox.faults.script(f"{at}:{fault}")
        else:
            self.shop.sandbox.faults.outage = kind == "out"

    @precondition(lambda self: self.shop.hears_webhooks and self.shop.webhooks.events())
    @step(number=NUMBERS, times=st.integers(1, 2))
    def hears_of_an_event(self, number: int, times: int) -> None:
        """Any event there ever was: late, again, and in any order."""
        for _ in range(times):
            self.shop.tell(pick(self.shop.webhooks.events(), number))

    @precondition(lambda self: self.shop.queue.delivered)
    @step(
        kind=kinds("purged", "shows early", "delivers again", "sends badly"),
        number=NUMBERS,
        trouble=TROUBLES,
    )
    def queue(self, kind: str, number: int, trouble: Trouble) -> None:
        match kind:
            case "purged":
                self.shop.queue.purge()
            case "shows early":
                early = pick(self.shop.queue.delivered, number)
                self.shop.queue.show_early(early.receipt_handle)
            case "delivers again":  # a message that may have been deleted long ago
                again = pick(self.shop.queue.delivered, number)
                self.shop.run(partial(self.shop.work_on, again))
            case "sends badly":
                self.shop.queue.troubles.append(trouble)

    @step(kind=kinds("and nothing else", "sweep", "expiry", "both"), seconds=PAUSES)
    def time_passes(self, kind: str, seconds: int) -> None:
        self.shop.clock.advance(seconds)
        if kind in {"expiry", "both"}:
            self.shop.expire()
        if kind in {"sweep", "both"}:
            self.shop.sweep()


def run(machine: type[Machine], *, runs: int, with_seed: int, **more: Any) -> None:
    seed(with_seed)(machine)
    run_state_machine_as_test(
        machine,
        settings=example_settings(
            max_examples=runs,
            stateful_step_count=STEPS_IN_A_RUN,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            **more,
        ),
    )
