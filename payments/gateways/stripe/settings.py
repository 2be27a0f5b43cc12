"""Stripe's settings. The Payment Element is shown where there is a publishable key, and the test
cards of the sandbox where there is none."""

from payments.gateways.settings import Environment, GatewaySettings

# Stripe docs, "Integration security guide", Content Security Policy.
POLICY_SOURCES = {
    "script-src": ["https://js.stripe.com", "https://*.js.stripe.com"],
    "frame-src": ["https://js.stripe.com", "https://*.js.stripe.com", "https://hooks.stripe.com"],
    "connect-src": ["https://api.stripe.com"],
}


def read(env: Environment) -> GatewaySettings:
    publishable_key = env.secret(
        "STRIPE_PUBLISHABLE_KEY",
        begins=["pk_"],
        hint="It is printed in every checkout page, so no other key may stand there.",
    )
    return GatewaySettings(
        values={
            "STRIPE_API_BASE": env.address("STRIPE_API_BASE"),  # Stripe's own if unset
            # Restricted keys begin with rk_ (Stripe docs, "API keys").
            "STRIPE_SECRET_KEY": env.secret(
                "STRIPE_SECRET_KEY",
                begins=["sk_", "rk_"],
                hint="Publishable keys cannot charge anybody.",
            ),
            "STRIPE_PUBLISHABLE_KEY": publishable_key,
            # Signing secrets of Stripe's webhooks; two while one replaces the other.
            "STRIPE_WEBHOOK_SECRETS": env.secrets("STRIPE_WEBHOOK_SECRETS", begins=["whsec_"]),
        },
        policy_sources=POLICY_SOURCES if publishable_key else {},
        log_levels={"stripe": "WARNING"},
    )
