"""The Content-Security-Policy: a page loads nothing from elsewhere and has no inline scripts."""

from csp.constants import NONE, SELF

STRIPE_ELEMENT_TEMPLATE = "payments/payment_method_stripe.html"

Directives = dict[str, list[str]]

# Stripe docs, "Integration security guide", Content Security Policy.
STRIPE: Directives = {
    "script-src": ["https://js.stripe.com", "https://*.js.stripe.com"],
    "frame-src": ["https://js.stripe.com", "https://*.js.stripe.com", "https://hooks.stripe.com"],
    "connect-src": ["https://api.stripe.com"],
}


def content_security_policy(payment_method_template: str) -> dict[str, Directives]:
    """The setting of django-csp. Stripe's addresses are allowed only where its fields are shown."""
    directives: Directives = {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # the admin's own stylesheet brings pictures along
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
    if payment_method_template == STRIPE_ELEMENT_TEMPLATE:
        for directive, sources in STRIPE.items():
            directives[directive] = [*directives.get(directive, []), *sources]
    return {"DIRECTIVES": directives}
