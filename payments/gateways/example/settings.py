"""A gateway in memory needs no settings. A real one reads its credentials here."""

from payments.gateways.settings import Environment, GatewaySettings


def read(env: Environment) -> GatewaySettings:
    return GatewaySettings()
