from django.http import HttpRequest

from checkout.cart import session_nonce
from checkout.client_address import client_address
from checkout.orders.limits.limits import Visitor


def visitor_of(request: HttpRequest) -> Visitor:
    return Visitor.known_by(nonce=session_nonce(request.session), address=client_address(request))
