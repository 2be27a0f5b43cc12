"""The address to which the gateway sends its events."""

import re

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from checkout.orders.ways_to_pay.web_side import BadEvent, BadSignature, NoEvents, web_sides
from checkout.runtime import metrics
from checkout.runtime.clock import database_now
from checkout.runtime.faultpoints import fault_points
from payments.receive_hint import receive_hint

MAX_BODY_BYTES = 64 * 1024
LENGTH = re.compile(r"[0-9]{1,9}")


@csrf_exempt
@require_POST
def webhook(request: HttpRequest, gateway: str) -> HttpResponse:
    """Answers 200 for a repetition too: gateways send again what is answered otherwise."""
    web = web_sides().get(gateway)
    if web is None:
        raise Http404
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    if not LENGTH.fullmatch(length) or int(length) > MAX_BODY_BYTES:
        return HttpResponse("Too large.\n", status=413, content_type="text/plain")
    body = request.body
    now = database_now()
    try:
        hint = web.read_event(body, request.headers, now=now)
        with fault_points("webhook stored"):
            is_new = receive_hint(hint, gateway=gateway, now=now)
    except NoEvents:
        raise Http404 from None
    except BadSignature:
        metrics.WEBHOOKS.labels("bad_signature").inc()
        return HttpResponse("Bad signature.\n", status=400, content_type="text/plain")
    except BadEvent:
        metrics.WEBHOOKS.labels("not_an_event").inc()
        return HttpResponse("Not an event.\n", status=400, content_type="text/plain")
    metrics.WEBHOOKS.labels("stored" if is_new else "known").inc()
    return HttpResponse("Stored.\n" if is_new else "Known.\n", content_type="text/plain")
