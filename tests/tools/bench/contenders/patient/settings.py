from payments.gateways.settings import Environment, GatewaySettings


def read(env: Environment) -> GatewaySettings:
    return GatewaySettings()
