"""The Content-Security-Policy: a page loads nothing from elsewhere and has no inline scripts."""

from collections.abc import Mapping

from csp.constants import NONE, SELF

Directives = dict[str, list[str]]


def content_security_policy(*of_gateways: Mapping[str, list[str]]) -> dict[str, Directives]:
    """The setting of django-csp. A gateway's addresses are allowed only where its fields are
    shown."""
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
    for of_gateway in of_gateways:
        for directive, sources in of_gateway.items():
            directives[directive] = [*directives.get(directive, []), *sources]
    return {"DIRECTIVES": directives}
