"""The sides of the shop's gateways that call, for workers and commands."""

from collections.abc import Iterator, Mapping
from typing import Protocol, Self

from checkout.catalogue.gateways import gateway_names, part_of
from payments.gateways.base import Gateway, GatewayMisconfigured

# The refusal of a gateway that the shop has no more.
NOT_CONFIGURED = "not_in_payment_gateways"


class OfGateway(Protocol):
    """A payment knows its gateway for ever."""

    @property
    def gateway(self) -> str: ...


class Gateways:
    """The gateways by name, the one for new payments first. Threads of a process share one."""

    def __init__(self, by_name: Mapping[str, Gateway]) -> None:
        self._by_name = dict(by_name)

    @classmethod
    def load(cls) -> Self:
        return cls({name: part_of(name, "client.make")() for name in gateway_names()})

    @property
    def first(self) -> str:
        return next(iter(self._by_name))

    def of(self, payment: OfGateway) -> Gateway:
        """The payment's own gateway. Where the shop has it no more, only a person can help: nobody
        else knows what became of the payment."""
        gateway = self.named(payment.gateway)
        if gateway is None:
            raise GatewayMisconfigured(NOT_CONFIGURED)
        return gateway

    def named(self, name: str) -> Gateway | None:
        return self._by_name.get(name)

    def items(self) -> Iterator[tuple[str, Gateway]]:
        return iter(self._by_name.items())
