"""What every gateway has to do for the promise to hold. A shop's own adapter runs this too.

Subclass `GatewayContract`, give it a `gateway` fixture, and name the payment methods.
"""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import pytest

from checkout.catalogue.amounts import AmountLimits
from checkout.orders.identity.order_identity import OrderIdentity
from payments.gateways.base import (
    DisputeState,
    Gateway,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    NoSuchPayment,
    PaymentMethodRefused,
    PaymentRefused,
    PaymentRequest,
    RefundRefused,
    RefundState,
)
from tests.support.asked import asked

RETURN_URL = "https://shop.example/orders/x/"


def key() -> str:
    return f"contract-{secrets.token_hex(8)}"


def limits(gateway: Gateway, currency: str) -> AmountLimits:
    known = gateway.limits(currency)
    assert known is not None, f"It does not take {currency}."
    return known


def _must_list(gateway: Gateway) -> None:
    if not gateway.abilities.lists:
        pytest.skip("It lists nothing.")


class GatewayContract:
    approved = "pm_card_visa"
    declined = "pm_card_chargeDeclined"
    asks_customer = "pm_card_authenticationRequired"
    # What an opened payment is: one that is opened and confirmed at once waits for its customer.
    opens_as = GatewayState.OPEN
    knows_methods = True
    takes_every_currency = False
    # Empty: the gateway knows no such thing.
    promised = ""
    disputed_by_its_bank = ""
    disputed_for = "fraudulent"  # the gateway's word for it
    asked_about_by_its_bank = ""
    refunds_can_fail_late = False
    # What the account is paid out in, and others with another unit or step.
    settled_in = "EUR"
    currencies: tuple[str, ...] = ("EUR", "JPY", "KWD")

    @cached_property
    def requests(self) -> dict[str, PaymentRequest]:
        """What was asked for, by the payment that it opened."""
        return {}

    def open(
        self,
        gateway: Gateway,
        method: str = "",
        idempotency_key: str = "",
        *,
        amount_minor: int = 1250,
        currency: str = "EUR",
        order: OrderIdentity | None = None,
        captures_later: bool = False,
    ) -> GatewayPayment:
        request = asked(
            self.chosen(method or self.approved),
            order=order or OrderIdentity(number="100001-19"),
            amount_minor=amount_minor,
            currency=currency,
            return_url=RETURN_URL,
            captures_later=captures_later,
        )
        opened = gateway.open(request, idempotency_key=idempotency_key or key())
        self.requests[opened.id] = request
        return opened

    def confirm(
        self, gateway: Gateway, payment: GatewayPayment, idempotency_key: str = ""
    ) -> GatewayPayment:
        request = self.requests[payment.id]
        return gateway.confirm(payment.id, request, idempotency_key=idempotency_key or key())

    def chosen(self, method: str) -> str:
        """What the gateway's part of the form gives for this method."""
        return method

    def paid(self, gateway: Gateway) -> GatewayPayment:
        return self.confirm(gateway, self.open(gateway))

    def charges(self, gateway: Gateway, payment: GatewayPayment) -> int | None:
        """How often money moved for the payment, by the gateway's own books and not by its answers.
        None where nobody can look into them."""
        return None

    def end_promise(self, gateway: Gateway, payment: GatewayPayment, *, money_came: bool) -> None:
        """Have the bank send what it has promised, or not."""
        raise NotImplementedError

    def test_opening_moves_no_money(self, gateway: Gateway) -> None:
        opened = self.open(gateway)

        assert (opened.state, opened.order.number) == (self.opens_as, "100001-19")
        assert gateway.retrieve(opened.id).state is self.opens_as
        assert self.charges(gateway, opened) in (0, None)

    def test_names_of_the_order_are_kept_and_told(self, gateway: Gateway) -> None:
        since = datetime.now(UTC) - timedelta(seconds=2)
        order = OrderIdentity(
            number="100001-19",
            reference="reference-" + secrets.token_urlsafe(16),
            installation=secrets.token_urlsafe(16),
        )
        opened = self.open(gateway, order=order)
        declined = self.open(gateway, self.declined, order=order)

        told = [
            opened,
            gateway.retrieve(opened.id),
            self.confirm(gateway, opened),
            self.confirm(gateway, declined),
        ]
        if gateway.abilities.lists:
            listed = [each for each in gateway.list_since(since) if each.id == opened.id]
            assert len(listed) == 1
            told += listed

        assert {payment.order for payment in told} == {order}

    def test_order_that_names_no_installation_is_told_so(self, gateway: Gateway) -> None:
        order = OrderIdentity(number="100001-19")

        assert gateway.retrieve(self.open(gateway, order=order).id).order == order

    def test_opening_again_under_one_key_is_the_same_payment(self, gateway: Gateway) -> None:
        one_key = key()

        assert self.open(gateway, "", one_key).id == self.open(gateway, "", one_key).id

    def test_another_question_under_one_key_is_refused(self, gateway: Gateway) -> None:
        one_key = key()
        self.open(gateway, self.approved, one_key)

        with pytest.raises(PaymentRefused):
            self.open(gateway, self.approved, one_key, amount_minor=1251)

    def test_method_that_does_not_exist_is_refused(self, gateway: Gateway) -> None:
        if not self.knows_methods:
            pytest.skip("It knows no methods.")
        with pytest.raises(PaymentMethodRefused):
            self.confirm(gateway, self.open(gateway, "pm_that_does_not_exist"))

    def test_confirming_charges_the_amount(self, gateway: Gateway) -> None:
        paid = self.paid(gateway)

        assert (paid.state, paid.amount_minor, paid.currency) == (GatewayState.PAID, 1250, "EUR")
        assert gateway.retrieve(paid.id) == paid

    def test_confirming_again_is_the_same_charge(self, gateway: Gateway) -> None:
        opened, one_key = self.open(gateway), key()

        answers = [self.confirm(gateway, opened, one_key) for _ in range(2)]
        answers.append(self.confirm(gateway, opened, key()))

        assert {answer.state for answer in answers} == {GatewayState.PAID}
        assert self.charges(gateway, opened) in (1, None)

    def test_decline_is_an_answer_and_final(self, gateway: Gateway) -> None:
        if not self.declined:
            pytest.skip("It declines nobody.")
        opened = self.open(gateway, self.declined)

        declined = self.confirm(gateway, opened)

        assert declined.state is GatewayState.DECLINED
        assert declined.decline_code
        assert self.confirm(gateway, opened).state is GatewayState.DECLINED

    def test_customer_who_must_act_is_told_where(self, gateway: Gateway) -> None:
        if not self.asks_customer:
            pytest.skip("It sends its customer nowhere.")
        opened = self.open(gateway, self.asks_customer)

        asking = self.confirm(gateway, opened)

        assert asking.state is GatewayState.NEEDS_ACTION
        assert asking.action_url.startswith("http")
        assert gateway.retrieve(opened.id).state is GatewayState.NEEDS_ACTION

    @pytest.mark.parametrize("money_came", [True, False], ids=["came", "did not come"])
    def test_promise_is_told_and_kept_until_it_ends(
        self, gateway: Gateway, money_came: bool
    ) -> None:
        if not self.promised:
            pytest.skip("No bank promises it money.")
        opened = self.open(gateway, self.promised)

        assert self.confirm(gateway, opened).state is GatewayState.PROMISED
        assert gateway.retrieve(opened.id).state is GatewayState.PROMISED
        assert gateway.cancel(opened.id, idempotency_key=key()).state is GatewayState.PROMISED
        assert self.charges(gateway, opened) in (0, None)

        self.end_promise(gateway, opened, money_came=money_came)

        end = GatewayState.PAID if money_came else GatewayState.DECLINED
        assert gateway.retrieve(opened.id).state is end
        assert self.charges(gateway, opened) in (int(money_came), None)

    @pytest.mark.parametrize("stage", ["opened", "declined", "asked"])
    def test_cancelled_payment_can_never_be_charged(self, gateway: Gateway, stage: str) -> None:
        methods = {"declined": self.declined, "asked": self.asks_customer}
        if not methods.get(stage, "opened"):
            pytest.skip("It knows no such stage.")
        payment = self.open(gateway, methods.get(stage, self.approved))
        if stage != "opened":
            self.confirm(gateway, payment)

        cancelled = gateway.cancel(payment.id, idempotency_key=key())

        assert cancelled.state is GatewayState.CANCELLED
        # One that does not always cancel tells of what was over before as what it was.
        over = {GatewayState.CANCELLED}
        over |= set() if gateway.abilities.cancels else {GatewayState.DECLINED}
        assert self.confirm(gateway, payment).state in over
        assert gateway.cancel(payment.id, idempotency_key=key()).state is GatewayState.CANCELLED
        assert self.charges(gateway, payment) in (0, None)

    def test_cancelling_what_is_paid_says_so(self, gateway: Gateway) -> None:
        paid = self.paid(gateway)

        assert gateway.cancel(paid.id, idempotency_key=key()).state is GatewayState.PAID

    def test_unknown_payment_is_said_to_be_unknown(self, gateway: Gateway) -> None:
        with pytest.raises(NoSuchPayment):
            gateway.retrieve("pi_that_does_not_exist")

    def test_amount_is_the_same_money_on_both_sides(self, gateway: Gateway) -> None:
        for currency in self.currencies:
            known = limits(gateway, currency)
            amount_minor = known.smallest_minor + 120 * known.step_minor

            opened = self.open(gateway, amount_minor=amount_minor, currency=currency)
            paid = self.confirm(gateway, opened)
            refund = gateway.refund(
                paid.id,
                amount_minor=known.step_minor,
                currency=currency,
                refund_key="a",
                idempotency_key=key(),
            )

            told = {(payment.amount_minor, payment.currency) for payment in (opened, paid)}
            assert told == {(amount_minor, currency)}
            assert (refund.amount_minor, refund.currency) == (known.step_minor, currency)

    def test_smallest_and_largest_amount_are_taken(self, gateway: Gateway) -> None:
        known = limits(gateway, self.settled_in)

        for amount_minor in (known.smallest_minor, known.largest_minor):
            opened = self.open(gateway, amount_minor=amount_minor, currency=self.settled_in)
            assert (opened.state, opened.amount_minor) == (self.opens_as, amount_minor)

    def test_amount_beyond_the_limits_is_refused(self, gateway: Gateway) -> None:
        if self.takes_every_currency:
            pytest.skip("It takes every amount.")
        known = limits(gateway, self.settled_in)

        for amount_minor in (known.smallest_minor - 1, known.largest_minor + 1):
            with pytest.raises(PaymentRefused):
                self.open(gateway, amount_minor=amount_minor, currency=self.settled_in)

    def test_amount_between_two_steps_is_refused(self, gateway: Gateway) -> None:
        for currency in self.currencies:
            known = limits(gateway, currency)
            if known.step_minor == 1:
                continue
            amount_minor = known.smallest_minor + 120 * known.step_minor
            with pytest.raises(PaymentRefused):
                self.open(gateway, amount_minor=amount_minor + 1, currency=currency)
            paid = self.confirm(
                gateway, self.open(gateway, amount_minor=amount_minor, currency=currency)
            )
            with pytest.raises(RefundRefused):
                gateway.refund(
                    paid.id,
                    amount_minor=known.step_minor + 1,
                    currency=currency,
                    refund_key="a",
                    idempotency_key=key(),
                )

    def test_currency_that_nobody_pays_with_has_no_limits(self, gateway: Gateway) -> None:
        if self.takes_every_currency:
            pytest.skip("It takes every currency.")
        assert gateway.limits("XXX") is None

    def test_list_tells_every_payment_newest_first(self, gateway: Gateway) -> None:
        _must_list(gateway)
        since = datetime.now(UTC) - timedelta(seconds=2)
        made = [self.open(gateway).id for _ in range(3)]

        listed = [payment.id for payment in gateway.list_since(since)]

        assert [payment_id for payment_id in listed if payment_id in made] == made[::-1]

    def test_refund_sends_a_part_and_then_the_rest(self, gateway: Gateway) -> None:
        paid = self.paid(gateway)

        for amount, name in ((250, "first"), (1000, "second")):
            refund = gateway.refund(
                paid.id, amount_minor=amount, currency="EUR", refund_key=name, idempotency_key=key()
            )
            assert (refund.amount_minor, refund.payment_id) == (amount, paid.id)
            assert refund.state in {RefundState.SUCCEEDED, RefundState.PENDING}

        assert [refund.refund_key for refund in gateway.refunds_of(paid.id)] == ["second", "first"]
        assert gateway.retrieve(paid.id).state is GatewayState.PAID

    def test_more_than_is_left_is_refused(self, gateway: Gateway) -> None:
        paid = self.paid(gateway)
        gateway.refund(
            paid.id, amount_minor=1000, currency="EUR", refund_key="a", idempotency_key=key()
        )

        for amount in (251, 1250):
            with pytest.raises(RefundRefused):
                gateway.refund(
                    paid.id,
                    amount_minor=amount,
                    currency="EUR",
                    refund_key="b",
                    idempotency_key=key(),
                )

    def test_refund_of_what_was_never_charged_is_refused(self, gateway: Gateway) -> None:
        opened = self.open(gateway)

        with pytest.raises(RefundRefused):
            gateway.refund(
                opened.id, amount_minor=1, currency="EUR", refund_key="a", idempotency_key=key()
            )

    def test_refund_again_under_one_key_is_the_same(self, gateway: Gateway) -> None:
        paid, one_key = self.paid(gateway), key()

        refunds = {
            gateway.refund(
                paid.id, amount_minor=500, currency="EUR", refund_key="a", idempotency_key=one_key
            ).id
            for _ in range(3)
        }

        assert len(refunds) == 1

    def test_list_of_refunds_tells_them_all(self, gateway: Gateway) -> None:
        _must_list(gateway)
        since = datetime.now(UTC) - timedelta(seconds=2)
        paid = self.paid(gateway)
        made = gateway.refund(
            paid.id, amount_minor=5, currency="EUR", refund_key="a", idempotency_key=key()
        )

        assert made.id in [refund.id for refund in gateway.list_refunds_since(since)]

    def disputed(self, gateway: Gateway, method: str) -> GatewayDispute:
        """A payment that its bank disputes, as soon as the gateway tells of that."""
        paid = self.confirm(gateway, self.open(gateway, method))
        for _ in range(60):
            if found := gateway.disputes_of(paid.id):
                return found[0]
            time.sleep(0.5)
        raise AssertionError("no dispute was told of")

    def decide(self, gateway: Gateway, dispute: GatewayDispute, *, won: bool) -> None:
        """Have the bank decide, which no shop can do in earnest."""
        raise NotImplementedError

    def fail_refund(self, gateway: Gateway, refund: GatewayRefund) -> None:
        """Have a refund that has succeeded fail all the same, as a bank may days later."""
        raise NotImplementedError

    def test_payment_that_nobody_disputes_has_no_dispute(self, gateway: Gateway) -> None:
        assert gateway.disputes_of(self.paid(gateway).id) == []

    @pytest.mark.parametrize("won", [True, False], ids=["won", "lost"])
    def test_dispute_is_told_from_its_opening_to_its_outcome(
        self, gateway: Gateway, won: bool
    ) -> None:
        if not self.disputed_by_its_bank:
            pytest.skip("It knows no disputes.")
        since = datetime.now(UTC) - timedelta(seconds=2)
        dispute = self.disputed(gateway, self.disputed_by_its_bank)
        assert dispute.state is DisputeState.NEEDS_RESPONSE
        assert (dispute.amount_minor, dispute.currency) == (1250, "EUR")
        assert dispute.reason == self.disputed_for
        assert dispute.due_at is not None
        assert dispute.due_at > dispute.opened_at
        if gateway.abilities.lists:
            assert dispute.id in [one.id for one in gateway.list_disputes_since(since)]
        with pytest.raises(RefundRefused):
            gateway.refund(
                dispute.payment_id,
                amount_minor=1,
                currency="EUR",
                refund_key="a",
                idempotency_key=key(),
            )

        self.decide(gateway, dispute, won=won)

        (told,) = gateway.disputes_of(dispute.payment_id)
        assert told.state is (DisputeState.WON if won else DisputeState.LOST)
        assert gateway.retrieve(dispute.payment_id).state is GatewayState.PAID

    def test_inquiry_takes_no_money(self, gateway: Gateway) -> None:
        if not self.asked_about_by_its_bank:
            pytest.skip("It knows no inquiries.")
        inquiry = self.disputed(gateway, self.asked_about_by_its_bank)

        assert inquiry.state is DisputeState.INQUIRY

    def test_refund_that_fails_after_its_success_says_so_and_can_be_made_again(
        self, gateway: Gateway
    ) -> None:
        if not self.refunds_can_fail_late:
            pytest.skip("Its refunds cannot be made to fail.")
        since = datetime.now(UTC) - timedelta(seconds=2)
        paid = self.paid(gateway)
        made = gateway.refund(
            paid.id, amount_minor=1250, currency="EUR", refund_key="a", idempotency_key=key()
        )
        assert made.state is RefundState.SUCCEEDED

        self.fail_refund(gateway, made)

        assert gateway.refunds_of(paid.id) == [replace(made, state=RefundState.FAILED)]
        if gateway.abilities.lists:
            listed = {refund.id: refund.state for refund in gateway.list_refunds_since(since)}
            assert listed[made.id] is RefundState.FAILED
        again = gateway.refund(
            paid.id, amount_minor=1250, currency="EUR", refund_key="b", idempotency_key=key()
        )
        assert again.state is RefundState.SUCCEEDED

    def test_threads_may_share_it(self, gateway: Gateway) -> None:
        with ThreadPoolExecutor(4) as pool:
            states = list(pool.map(lambda _: self.paid(gateway).state, range(8)))

        assert states == [GatewayState.PAID] * 8
