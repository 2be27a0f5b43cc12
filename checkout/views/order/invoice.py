"""An invoice or a credit note, as a page made for printing and as a PDF.

Whoever may see the order may see its invoices; to all others there are none.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from checkout.access import OrderHidden, visible_order
from checkout.orders.invoices.document import document_of
from checkout.orders.models import Invoice, Order


@never_cache
@require_safe
def invoice_page(request: HttpRequest, reference: str, number: str) -> HttpResponse:
    order = visible_order(request, reference)
    document = document_of(_invoice(order, number))
    with override(document.language):
        response = render(request, "orders/invoice.html", {"order": order, "document": document})
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@never_cache
@require_safe
def invoice_pdf(request: HttpRequest, reference: str, number: str) -> HttpResponse:
    # Most processes never make a PDF, and what makes one is large.
    from checkout.orders.invoices.pdf import as_pdf

    invoice = _invoice(visible_order(request, reference), number)
    response = HttpResponse(as_pdf(invoice), content_type="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="{invoice.number}.pdf"'
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _invoice(order: Order, number: str) -> Invoice:
    """The invoice of this number, if it is this order's. Raises `OrderHidden`."""
    invoice = Invoice.objects.filter(order=order, number=number).first()
    if invoice is None:
        raise OrderHidden
    return invoice
