"""An invoice is seen by whoever may see its order, as a page and as a PDF, and by nobody else."""

from io import BytesIO

import pymupdf_fonts
import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client
from django.utils import timezone
from fontTools.ttLib import TTFont
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.invoices.document import document_of
from checkout.orders.invoices.pdf import BOLD, REGULAR, as_pdf
from checkout.orders.links import link_path
from checkout.orders.models import Invoice, Order
from payments.models import Payment
from payments.refunds import request_refund
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.order_with_parts import order_with_parts, rules_of_ireland
from tests.support.sellers import SELLER
from tests.support.shopper import Shopper
from tests.support.till import Till


@pytest.fixture(autouse=True)
def _sells(settings: Settings) -> None:
    settings.SELLER = SELLER


@pytest.fixture
def order(shelf: list[Product], till: Till) -> Order:
    rules_of_ireland()
    order = order_with_parts(shelf)
    till.settle(order)
    order.refresh_from_db()
    return order


def refunded(order: Order, till: Till) -> Invoice:
    request_refund(
        Payment.objects.get(),
        amount_minor=1000,
        reason="Torn",
        requested_by=None,
        now=timezone.now(),
    )
    till.deliver_messages()
    return Invoice.objects.get(kind="credit_note")


def address(invoice: Invoice, *, pdf: bool = False) -> str:
    end = ".pdf" if pdf else "/"
    return f"/orders/{invoice.order.reference}/invoices/{invoice.number}{end}"


def opened(order: Order) -> Client:
    client = Client()
    client.get(link_path(order))
    return client


def test_the_page_says_what_was_frozen_and_leads_to_the_pdf(order: Order) -> None:
    invoice = Invoice.objects.get()
    # Whatever happens to the order since then.
    Order.objects.update(full_name="Somebody Else", company="Other Ltd", billing=None)

    page = opened(order).get(address(invoice)).content.decode()

    for words in (
        *("Halfmoon Stationers GmbH", "DE123456789", "HRB 1234 B"),
        *("Accounts of Quillfeather", "1 Ledger Street", "IE6388047V"),
        *(invoice.number, order.number, "Notebook 01", "SKU-01", "€20.02"),
        *("Discount (HELLO10)", "23\xa0%", "13.5\xa0%", "€31.94", "Nothing is left to pay"),
        address(invoice, pdf=True),
    ):
        assert words in page, words
    assert "Somebody Else" not in page


def test_a_credit_note_names_its_invoice_and_the_tax_that_it_takes_back(
    order: Order, till: Till
) -> None:
    note = refunded(order, till)
    page = opened(order).get(address(note)).content.decode()

    assert "Credit note" in page
    assert f"{Invoice.objects.get(kind='invoice').number} of " in page
    assert "€10.00" in page
    assert "Nothing is left to pay" not in page


@pytest.mark.parametrize("pdf", [False, True])
def test_whoever_may_not_see_the_order_finds_no_invoice(
    order: Order, shelf: list[Product], till: Till, pdf: bool
) -> None:
    other = placed_order(shelf[3])
    till.settle(other)
    mine, theirs = Invoice.objects.get(order=order), Invoice.objects.get(order=other)
    own = opened(order)
    staff = Client()
    user = User.objects.create_user("ada", is_staff=True)
    staff.force_login(user)

    assert own.get(address(mine, pdf=pdf)).status_code == 200
    assert Client().get(address(mine, pdf=pdf)).status_code == 404
    assert own.get(address(theirs, pdf=pdf)).status_code == 404
    crossed = address(mine, pdf=pdf).replace(mine.number, theirs.number)
    assert own.get(crossed).status_code == 404
    assert staff.get(address(mine, pdf=pdf)).status_code == 404
    user.user_permissions.add(Permission.objects.get(codename="view_order"))
    assert staff.get(address(mine, pdf=pdf)).status_code == 200


def test_the_pdf_is_one_and_nobody_keeps_it(order: Order) -> None:
    invoice = Invoice.objects.get()
    response = opened(order).get(address(invoice, pdf=True))

    assert response.headers["Content-Type"] == "application/pdf"
    assert invoice.number in response.headers["Content-Disposition"]
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["X-Robots-Tag"] == "noindex"
    assert response.content.startswith(b"%PDF-")


def test_the_pdf_is_the_same_later(order: Order, settings: Settings) -> None:
    invoice = Invoice.objects.get()
    before = as_pdf(invoice)
    Order.objects.update(full_name="Somebody Else", billing=None, status="refunded")
    order.lines.update(name="Renamed")
    settings.SELLER = None
    settings.SHOP_NAME = "Another name"

    assert as_pdf(Invoice.objects.get()) == before


def test_the_order_page_links_invoice_and_credit_note(order: Order, till: Till) -> None:
    note = refunded(order, till)
    page = opened(order).get(f"/orders/{order.reference}/").content.decode()

    for invoice in (Invoice.objects.get(kind="invoice"), note):
        assert address(invoice) in page
        assert address(invoice, pdf=True) in page


def test_an_order_without_an_invoice_links_none(shelf: list[Product], shopper: Shopper) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")

    assert "invoices" not in opened(order).get(f"/orders/{order.reference}/").content.decode()


def test_an_invoice_speaks_the_language_of_its_order(order: Order, shelf: list[Product]) -> None:
    invoice = Invoice.objects.get()
    invoice.content |= {"language": "de", "placed_on": "2026-03-02"}
    document = document_of(invoice)

    assert document.title == "Rechnung"
    assert dict(document.sums)["Waren"] == "30,04\xa0€"
    assert document.total == "31,94\xa0€"
    assert "Irland" in document.buyer
    assert ("Bestellt am", "2. März 2026") in document.facts
    assert b"%PDF" in as_pdf(invoice)


@pytest.mark.parametrize(
    ("tax_id", "said"),
    [
        ("DE123456789", "VAT ID: DE123456789"),
        ("IE 6388047V", "VAT ID: IE 6388047V"),
        ("30/123/45678", "Tax ID: 30/123/45678"),
        ("12-3456789", "Tax ID: 12-3456789"),
    ],
)
def test_a_number_of_a_country_is_called_a_vat_id(order: Order, tax_id: str, said: str) -> None:
    invoice = Invoice.objects.get()
    invoice.content["seller"]["tax_id"] = tax_id

    assert document_of(invoice).legal[0] == said


# The letters of the three scripts as people type them: Latin of every European language and of
# Vietnamese, Greek with its old accents, Cyrillic of all states that write it.
TYPED = [
    *(chr(code) for code in range(0x20, 0x7F)),
    *(chr(code) for code in range(0xA0, 0x180)),
    *"ȘșȚțẞƠơƯưǍǎǦǧǨǩǪǫƏə",
    *(chr(code) for code in range(0x1EA0, 0x1EFA)),
    *"ΆΈΉΊΌΎΏΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫάέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ",
    *"ἀἁἂἃἄἅἆἇἈὀὐὠᾳῃῳῶῖῆᾶ",
    *(chr(code) for code in range(0x400, 0x460)),
    *"ҐґҒғҖҗҘҙҚқҠҡҢңҤҥҪҫҮүҰұҲҳҶҷҺһӀӁӐӑӒӓӔӕӖӗӘәӢӣӤӥӦӧӨөӮӯӰӱӲӳӴӵӸӹ",
    *"€£₽₴₺₸№–—‘’‚“”„…•·×\xa0\u202f",
]


@pytest.mark.parametrize("name", [REGULAR, BOLD])
def test_the_font_has_every_letter_that_customers_type(name: str) -> None:
    known = TTFont(BytesIO(pymupdf_fonts.myfont(name))).getBestCmap()

    assert [letter for letter in TYPED if ord(letter) not in known] == []


def test_a_buyer_of_each_script_is_in_the_pdf_without_a_missing_letter(
    order: Order, caplog: pytest.LogCaptureFixture
) -> None:
    invoice = Invoice.objects.get()
    invoice.content["buyer"] |= {
        "full_name": "Νικόλαος Παπαδόπουλος",
        "company": "ТОВ «Їжак і Ґава»",
        "address": "Đường Nguyễn Huệ 12, Łódź, Škofja",
    }
    with caplog.at_level("WARNING", logger="fpdf"):
        pdf = as_pdf(invoice)

    assert not [record for record in caplog.records if record.name.startswith("fpdf")]
    assert len(pdf) < 200_000


def test_an_invoice_of_many_lines_goes_over_pages(order: Order) -> None:
    invoice = Invoice.objects.get()
    invoice.content["lines"] = [
        {**invoice.content["lines"][0], "name": f"Notebook {n}: {'long ' * 30}"} for n in range(60)
    ]

    assert as_pdf(invoice).count(b"/Type /Page\n") > 3


def test_receipt_and_refund_mail_lead_to_their_invoice_through_the_orders_own_link(
    order: Order, till: Till
) -> None:
    note = refunded(order, till)
    send_mails()
    invoice = Invoice.objects.get(kind="invoice")

    for issued, subject, words in (
        (invoice, "Your receipt", "Invoice"),
        (note, "We sent money back", "Credit note"),
    ):
        [message] = [each for each in mail.outbox if each.subject.startswith(subject)]
        [html] = [str(body) for body, _ in message.alternatives]  # type: ignore[attr-defined] # it has an HTML part
        link = f"{link_path(order)}?invoice={issued.number}"
        assert link in message.body
        assert f'{link}">{words} {issued.number}<' in html
        answer = Client().get(link)
        assert (answer.status_code, answer.headers["Location"]) == (303, address(issued))
    others = [each for each in mail.outbox if each.subject.startswith("We have your order")]
    assert all("invoice=" not in each.body for each in others)


@pytest.mark.parametrize("number", ["", "INV", "//evil.example", "INV-2026-000001/../..", "%00"])
def test_a_link_with_another_number_opens_the_order_alone(order: Order, number: str) -> None:
    answer = Client().get(f"{link_path(order)}?invoice={number}")

    assert answer.status_code in (303, 400)
    if answer.status_code == 303:
        assert answer.headers["Location"] == f"/orders/{order.reference}/"
