"""Mollie's settings. Its page is Mollie's own, so the shop's pages load nothing from there."""

from payments.gateways.settings import Environment, GatewaySettings


def read(env: Environment) -> GatewaySettings:
    return GatewaySettings(
        values={
            "MOLLIE_API_BASE": env.address("MOLLIE_API_BASE"),  # Mollie's own if unset
            # Mollie docs, "Authentication": API keys.
            "MOLLIE_API_KEY": env.secret(
                "MOLLIE_API_KEY",
                begins=["test_", "live_"],
                hint="It stands in Mollie's dashboard under Developers, API keys.",
            ),
        }
    )
