"""What a gateway has to do that sets an amount aside and charges it later.

Subclass `CaptureContract` in place of `GatewayContract`, of which it is one, for a gateway whose
abilities say `captures_later`.
"""

from datetime import UTC, datetime
from typing import cast

import pytest

from payments.gateways.base import (
    CapturingGateway,
    Gateway,
    GatewayPayment,
    GatewayState,
    PaymentRefused,
    RefundRefused,
)
from tests.payments.gateway_contract import GatewayContract, key


class CaptureContract(GatewayContract):
    # A way to pay of which the whole amount is charged at once; empty: there is none.
    charged_at_once = ""
    # A way to pay that can be charged once only: `approved`, where all are so; empty: none is.
    charged_once = ""

    def charged(self, gateway: Gateway, payment: GatewayPayment) -> int | None:
        """How much money moved for the payment, by the gateway's own books. None where nobody can
        look into them."""
        return None

    def end_authorisation(self, gateway: Gateway, payment: GatewayPayment) -> None:
        """Have time pass until the bank keeps nothing of the payment any longer."""
        pytest.skip("Nobody can have a week pass there.")

    def set_aside(self, gateway: Gateway, method: str = "") -> GatewayPayment:
        return self.confirm(gateway, self.open(gateway, method, captures_later=True))

    def capture(
        self,
        gateway: Gateway,
        payment: GatewayPayment,
        amount_minor: int,
        idempotency_key: str = "",
        *,
        is_last: bool = False,
    ) -> GatewayPayment:
        return cast(CapturingGateway, gateway).capture(
            payment.id,
            amount_minor=amount_minor,
            currency="EUR",
            is_last=is_last,
            idempotency_key=idempotency_key or key(),
        )

    def test_it_says_that_it_captures_later(self, gateway: Gateway) -> None:
        assert gateway.abilities.captures_later

    def test_amount_is_set_aside_and_not_charged(self, gateway: Gateway) -> None:
        held = self.set_aside(gateway)

        assert (held.state, held.amount_minor) == (GatewayState.AUTHORISED, 1250)
        assert (held.captured_minor, held.charged_minor) == (0, 0)
        assert held.authorised_until is not None
        assert held.authorised_until > datetime.now(UTC)
        assert gateway.retrieve(held.id) == held
        assert self.charged(gateway, held) in (0, None)

    def test_all_of_it_is_charged_as_the_last(self, gateway: Gateway) -> None:
        held = self.set_aside(gateway)

        paid = self.capture(gateway, held, 1250, is_last=True)

        assert (paid.state, paid.amount_minor) == (GatewayState.PAID, 1250)
        assert gateway.retrieve(held.id) == paid
        assert self.charged(gateway, held) in (1250, None)

    def test_last_charge_of_a_part_gives_up_the_rest(self, gateway: Gateway) -> None:
        held = self.set_aside(gateway)

        paid = self.capture(gateway, held, 800, is_last=True)

        assert (paid.state, paid.amount_minor) == (GatewayState.PAID, 800)
        assert self.capture(gateway, held, 450, is_last=True) == paid
        assert self.charged(gateway, held) in (800, None)

    def test_parts_are_charged_one_after_the_other(self, gateway: Gateway) -> None:
        held = self.set_aside(gateway)
        if not held.captures_parts:
            pytest.skip("The account cannot charge in parts.")

        first = self.capture(gateway, held, 500)
        second = self.capture(gateway, held, 750, is_last=True)

        assert (first.state, first.captured_minor) == (GatewayState.AUTHORISED, 500)
        assert (second.state, second.amount_minor) == (GatewayState.PAID, 1250)
        assert self.charged(gateway, held) in (1250, None)

    def test_charge_again_under_one_key_is_the_same(self, gateway: Gateway) -> None:
        held, one_key = self.set_aside(gateway), key()
        is_last = not held.captures_parts

        answers = [self.capture(gateway, held, 400, one_key, is_last=is_last) for _ in range(3)]

        assert [answer.charged_minor for answer in answers] == [400] * 3
        assert self.charged(gateway, held) in (400, None)

    def test_more_than_is_set_aside_is_refused(self, gateway: Gateway) -> None:
        held = self.set_aside(gateway)

        with pytest.raises(PaymentRefused):
            self.capture(gateway, held, 1251, is_last=True)

        assert gateway.retrieve(held.id).state is GatewayState.AUTHORISED
        assert self.charged(gateway, held) in (0, None)

    def test_what_is_given_up_is_never_charged(self, gateway: Gateway) -> None:
        held = self.set_aside(gateway)

        assert gateway.cancel(held.id, idempotency_key=key()).state is GatewayState.CANCELLED
        assert self.capture(gateway, held, 1250, is_last=True).state is GatewayState.CANCELLED
        assert gateway.retrieve(held.id).state is GatewayState.CANCELLED
        assert self.charged(gateway, held) in (0, None)

    def test_giving_up_the_rest_keeps_what_was_charged(self, gateway: Gateway) -> None:
        held = self.set_aside(gateway)
        if not held.captures_parts:
            pytest.skip("The account cannot charge in parts.")
        self.capture(gateway, held, 500)

        paid = gateway.cancel(held.id, idempotency_key=key())

        assert (paid.state, paid.amount_minor) == (GatewayState.PAID, 500)
        assert gateway.retrieve(held.id).charged_minor == 500

    @pytest.mark.parametrize("charged_minor", [0, 500])
    def test_what_the_bank_keeps_no_longer_is_never_charged(
        self, gateway: Gateway, charged_minor: int
    ) -> None:
        held = self.set_aside(gateway)
        if charged_minor and not held.captures_parts:
            pytest.skip("The account cannot charge in parts.")
        if charged_minor:
            self.capture(gateway, held, charged_minor)
        self.end_authorisation(gateway, held)

        told = [gateway.retrieve(held.id), self.capture(gateway, held, 750, is_last=True)]

        over = {GatewayState.CANCELLED, GatewayState.EXPIRED}
        states = {GatewayState.PAID} if charged_minor else over
        assert all(each.state in states for each in told)
        assert {each.charged_minor for each in told} == {charged_minor}
        assert self.charged(gateway, held) in (charged_minor, None)

    def test_customer_who_must_act_sets_the_amount_aside_by_that(self, gateway: Gateway) -> None:
        if not self.asks_customer:
            pytest.skip("It sends its customer nowhere.")
        asking = self.set_aside(gateway, self.asks_customer)

        assert asking.state is GatewayState.NEEDS_ACTION
        assert self.charged(gateway, asking) in (0, None)

    def test_only_what_was_charged_is_sent_back(self, gateway: Gateway) -> None:
        held = self.set_aside(gateway)
        for amount_minor in (1, 1250):
            with pytest.raises(RefundRefused):
                gateway.refund(
                    held.id,
                    amount_minor=amount_minor,
                    currency="EUR",
                    refund_key="a",
                    idempotency_key=key(),
                )
        self.capture(gateway, held, 500, is_last=True)

        with pytest.raises(RefundRefused):
            gateway.refund(
                held.id,
                amount_minor=501,
                currency="EUR",
                refund_key="b",
                idempotency_key=key(),
            )
        refund = gateway.refund(
            held.id, amount_minor=500, currency="EUR", refund_key="c", idempotency_key=key()
        )
        assert refund.amount_minor == 500

    def test_what_can_be_charged_once_only_says_so(self, gateway: Gateway) -> None:
        if not self.charged_once:
            pytest.skip("It charges in parts whatever it sets aside.")
        held = self.set_aside(gateway, self.charged_once)

        assert not held.captures_parts
        with pytest.raises(PaymentRefused):
            self.capture(gateway, held, 500)
        assert self.capture(gateway, held, 500, is_last=True).charged_minor == 500

    def test_way_to_pay_that_sets_nothing_aside_is_charged_at_once(self, gateway: Gateway) -> None:
        if not self.charged_at_once:
            pytest.skip("It sets every amount aside.")
        held = self.set_aside(gateway, self.charged_at_once)

        assert held.state is not GatewayState.AUTHORISED
