"""Whatever shows an order shows the parts of its total, in the same words and amounts."""

import csv
import io
import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from checkout.api.responses import OrderSerializer
from checkout.catalogue.models import DeliveryMethod, Product
from checkout.orders.mail.words import compose
from checkout.orders.models import Mail, Order, WebhookDelivery
from checkout.orders.money.parts import Parts
from checkout.orders.postal_address import billing_lines, postal_lines
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from checkout.orders.webhooks.content import body_of
from checkout.orders.webhooks.endpoints import add_endpoint
from payments.admin.order_story import story
from payments.models import Payment
from tests.support.audited import findings_of
from tests.support.factories import placed_order
from tests.support.order_with_parts import (
    BILLED,
    CODE,
    METHOD,
    PARTS,
    TAXES,
    TOTAL_MINOR,
    order_of_the_release_before,
    order_with_parts,
    rules_of_ireland,
)
from tests.support.shopper import Shopper
from tests.support.webhook_kinds import AFTER_PLACING

LIST = "/admin/orders/order/"


def paid(order: Order) -> Order:
    """Paid at a gateway that nobody asks."""
    Payment.objects.create(
        order=order,
        round=1,
        status="paid",
        amount_minor=order.total_minor,
        charged_minor=order.total_minor,
        currency=order.currency,
        payment_method="pm_card_visa",
        gateway_payment_id=f"pi_{order.pk}",
        created_at=timezone.now(),
    )
    assert transition(order.pk, OrderStatus.PAID, reason="Paid", now=timezone.now())
    order.refresh_from_db()
    return order


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    rules_of_ireland()
    return paid(order_with_parts(shelf))


@pytest.fixture
def old(shelf: list[Product]) -> Order:
    return paid(order_of_the_release_before(shelf[0]))


@pytest.fixture
def staff(transactional_db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", password="look"))
    return client


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def admin_page(staff: Client, order: Order) -> str:
    return words_of(staff.get(f"{LIST}{order.pk}/change/").content.decode())


def exported(staff: Client, which: str = "export") -> list[dict[str, str]]:
    content = staff.get(f"{LIST}{which}/").getvalue().decode("utf-8-sig")
    return list(csv.DictReader(content.splitlines()))


def mail_of(order: Order, kind: Mail.Kind = Mail.Kind.PAID) -> tuple[str, str]:
    message = compose(order.mails.get(kind=kind))
    [(page, _)] = message.alternatives
    assert isinstance(page, str)
    return str(message.body), words_of(page)


def told_by_webhook(order: Order) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(body_of(WebhookDelivery.objects.get(order=order)))["data"]
    return data


def printed_story(order: Order) -> tuple[str, dict[str, Any]]:
    table, as_json = io.StringIO(), io.StringIO()
    call_command("order_story", order.number, stdout=table)
    call_command("order_story", order.number, "--json", stdout=as_json)
    return table.getvalue(), json.loads(as_json.getvalue())


def in_this_order(words: str, *parts: str) -> bool:
    return bool(re.search(".*?".join(re.escape(part) for part in parts), words, re.DOTALL))


ALL_ROWS = [part for row in [*PARTS, ("Total", "€31.94"), *TAXES] for part in row]


def test_order_page_shows_the_parts_and_both_addresses(shopper: Shopper, order: Order) -> None:
    page = shopper.open_link(order)

    assert in_this_order(page.words, *ALL_ROWS)
    status = shopper.web.get(f"/orders/{order.reference}/status/")
    assert in_this_order(status.words, *ALL_ROWS)
    for line in (*postal_lines(order), *billing_lines(order), BILLED.phone, BILLED.vat_id):
        assert line in page.words


def test_addresses_are_written_as_their_countries_write_them(order: Order) -> None:
    order.city, order.region, order.postcode, order.country = "Austin", "TX", "78701", "US"

    assert postal_lines(order) == [
        "Ada Quillfeather",
        "Quillfeather & Daughters",
        "12 Inkwell Lane",
        "Attic",
        "Austin, TX 78701",
        "United States",
    ]
    assert billing_lines(order)[-3:] == ["Dublin", "D02 X285", "Ireland"]


def test_receipt_shows_them_in_both_forms(order: Order) -> None:
    text, page = mail_of(order)

    for told in (text, page):
        assert in_this_order(told, *ALL_ROWS)
        assert in_this_order(told, *postal_lines(order), *billing_lines(order), BILLED.vat_id)
    assert f"\nDelivery ({METHOD}): €4.90\n" in text
    assert text.splitlines()[text.splitlines().index("Total: €31.94") + 1 :][:2] == [
        f"{label}: {amount}" for label, amount in TAXES
    ]


def test_mail_before_the_payment_tells_the_parts_and_no_address(shelf: list[Product]) -> None:
    rules_of_ireland()
    order = order_with_parts(shelf)

    for told in mail_of(order, Mail.Kind.RECEIVED):
        assert in_this_order(told, *ALL_ROWS)
        for line in (*postal_lines(order)[:-1], *billing_lines(order)[:-1], BILLED.vat_id):
            assert line not in told


def test_mail_is_in_the_customers_language(order: Order) -> None:
    Order.objects.update(language="de")

    text = mail_of(Order.objects.get())[0].replace("\xa0", " ")

    assert f"Versand ({METHOD}): 4,90 €" in text
    assert "Enthält 13,5 % MwSt.: 1,07 €" in text


def test_admin_shows_the_parts_the_lines_and_the_addresses(staff: Client, order: Order) -> None:
    page = admin_page(staff, order)

    rows = [f"{label}: {amount}" for label, amount in [*PARTS, *TAXES]]
    assert " ".join(rows) in page
    assert " ".join(postal_lines(order)) in page
    assert " ".join(billing_lines(order)) in page
    assert in_this_order(page, BILLED.phone, BILLED.vat_id)
    assert in_this_order(page, "SKU-01", "€2.00", "€3.37 (23 %)", "SKU-02", "€1.00", "(13.5 %)")
    assert f"Placed, payment under way: Order placed {' · '.join(rows)}" in page


def test_orders_of_a_code_are_found_whatever_became_of_them(
    staff: Client, order: Order, shelf: list[Product]
) -> None:
    cancelled = order_with_parts(shelf)
    cancelled.code_use.is_live = False
    cancelled.code_use.save(update_fields=["is_live"])
    other = placed_order(shelf[0])

    found = staff.get(LIST, {"q": CODE.lower()}).content.decode()

    assert order.number in found
    assert cancelled.number in found
    assert other.number not in found


def test_export_has_the_parts_and_the_addresses(staff: Client, order: Order) -> None:
    [row] = exported(staff)

    assert {name: row[f"{name} (EUR)"] for name in ("goods", "discount", "delivery", "tax")} == {
        "goods": "30.04",
        "discount": "3.00",
        "delivery": "4.90",
        "tax": "5.36",
    }
    assert (row["prices_include_tax"], row["code"]) == ("yes", CODE)
    assert (row["delivery_method"], row["address2"]) == (METHOD, "Attic")
    assert (row["company"], row["vat_id"]) == (BILLED.company, BILLED.vat_id)
    assert row["phone"] == "'+353 21 4270000"  # else a spreadsheet would take it for a formula
    assert (row["billing_city"], row["billing_company"]) == ("Dublin", "")


def test_export_of_lines_has_a_row_for_each(staff: Client, order: Order) -> None:
    rows = exported(staff, "export-lines")

    assert [
        (row["number"], row["sku"], row["quantity"], row["unit_price (EUR)"]) for row in rows
    ] == [(order.number, "SKU-01", "2", "10.01"), (order.number, "SKU-02", "1", "10.02")]
    assert [
        (row["total (EUR)"], row["discount (EUR)"], row["tax_percent"], row["tax (EUR)"])
        for row in rows
    ] == [("20.02", "2.00", "23", "3.37"), ("10.02", "1.00", "13.5", "1.07")]


def test_export_of_lines_runs_no_formula_and_reads_in_german(staff: Client, order: Order) -> None:
    order.lines.filter(sku="SKU-02").update(name="=1+1", tax_percent="7.000")

    answer = staff.get(f"{LIST}export-lines/", HTTP_ACCEPT_LANGUAGE="de")
    content = answer.getvalue()

    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines(), delimiter=";"))
    assert [row["name"] for row in rows] == ["Notebook 01", "'=1+1"]
    assert [row["unit_price (EUR)"] for row in rows] == ["10,01", "10,02"]
    assert [row["tax_percent"] for row in rows] == ["23", "7"]


def test_export_of_lines_is_of_what_the_list_finds_and_needs_the_permission(
    staff: Client, order: Order, shelf: list[Product]
) -> None:
    placed_order(shelf[2])
    answer = staff.get(f"{LIST}export-lines/", {"status__exact": "paid"})
    assert len(answer.getvalue().decode().splitlines()) == 1 + 2

    nobody = Client()
    nobody.force_login(User.objects.create_user("new", password="look", is_staff=True))
    assert nobody.get(f"{LIST}export-lines/").status_code == 403


def test_export_of_lines_reads_a_thousand_orders_by_the_same_statements(
    staff: Client, shelf: list[Product]
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            exported(staff, "export-lines")
        return len(captured)

    placed_order(shelf[0])
    with_one = statements()
    for _ in range(5):
        placed_order(*shelf[:5])

    assert statements() == with_one


def test_api_tells_the_parts(order: Order) -> None:
    told = OrderSerializer(order).data

    method = DeliveryMethod.objects.get()
    assert {name: told[name] for name in ("total", "goods", "discount", "delivery", "code")} == {
        "total": "31.94",
        "goods": "30.04",
        "discount": "3.00",
        "delivery": {"method": str(method.pk), "name": METHOD, "price": "4.90"},
        "code": CODE,
    }
    assert told["prices_include_tax"] is True
    assert told["tax"] == [
        {"percent": "23", "net": "18.63", "tax": "4.29"},
        {"percent": "13.5", "net": "7.95", "tax": "1.07"},
    ]
    assert [(line["discount"], line["tax_percent"], line["tax"]) for line in told["lines"]] == [
        ("2.00", "23", "3.37"),
        ("1.00", "13.5", "1.07"),
    ]


def test_webhook_tells_amounts_and_neither_names_nor_the_code(shelf: list[Product]) -> None:
    add_endpoint("http://127.0.0.1:9/hooks", AFTER_PLACING)
    rules_of_ireland()
    order = paid(order_with_parts(shelf))

    assert told_by_webhook(order) == {
        "number": order.number,
        "reference": order.reference,
        "status": "paid",
        "currency": "EUR",
        "total_minor": TOTAL_MINOR,
        "refunded_minor": 0,
        "goods_minor": 3004,
        "discount_minor": 300,
        "delivery_minor": 490,
        "tax_minor": 536,
        "prices_include_tax": True,
    }


def test_story_tells_the_parts(order: Order) -> None:
    made_of = " · ".join(f"{label}: {amount}" for label, amount in [*PARTS, *TAXES])

    table, as_json = printed_story(order)

    assert f"€31.94 ({made_of})" in table.splitlines()[0]
    assert as_json["goods_minor"] == 3004
    assert as_json["taxes"] == order.taxes
    assert (as_json["delivery_name"], as_json["discount_code"]) == (METHOD, CODE)
    assert made_of in as_json["story"][0]["detail"]
    for private in (BILLED.phone, BILLED.company, BILLED.vat_id, "Attic", "Ledger Street"):
        assert private not in table + json.dumps(as_json)


def test_refund_page_tells_what_may_be_sent_back_for(staff: Client, order: Order) -> None:
    page = words_of(
        staff.get(f"/admin/payments/payment/{order.payments.get().pk}/refund/").content.decode()
    )

    assert f"The order cost €31.94 (Goods: €30.04 · Discount ({CODE}): -€3.00" in page
    assert "Includes 23 % VAT: €4.29" in page


def test_staff_who_read_german_read_the_same_words(order: Order, staff: Client) -> None:
    answer = staff.get(f"{LIST}{order.pk}/change/", HTTP_ACCEPT_LANGUAGE="de")

    assert f"Delivery ({METHOD}): 4,90 €" in words_of(answer.content.decode()).replace("\xa0", " ")


def test_added_tax_stands_above_the_total(order: Order) -> None:
    order.prices_include_tax, order.total_minor = False, TOTAL_MINOR + 536

    parts = Parts.of_order(order)

    assert [row.name for row in parts.rows_above] == ["goods", "discount", "delivery", "tax", "tax"]
    assert parts.rows_above[-1].label == "13.5 % VAT"
    assert parts.rows_below == []
    assert sum(row.amount.amount for row in parts.rows_above) == parts.total.amount


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        ({"discount_minor": 0}, ["Goods", "Discount (HELLO10)", f"Delivery ({METHOD})"]),
        (
            {"discount_minor": 0, "delivery_minor": 0},
            ["Goods", f"Delivery ({METHOD}, free by the code HELLO10)"],
        ),
        ({"delivery_minor": 0}, ["Goods", "Discount (HELLO10)", f"Delivery ({METHOD})"]),
        ({"delivery_name": ""}, ["Goods", "Discount (HELLO10)", "Delivery"]),
        ({"delivery_name": "", "delivery_minor": 0}, ["Goods", "Discount (HELLO10)"]),
        ({"discount_code": ""}, ["Goods", "Discount", f"Delivery ({METHOD})"]),
    ],
)
def test_each_part_has_its_label(
    order: Order, columns: dict[str, object], labels: list[str]
) -> None:
    for name, value in columns.items():
        setattr(order, name, value)

    assert [row.label for row in Parts.of_order(order).rows_above] == labels


# What reads an order of the release before.


def test_old_order_is_goods_alone_on_its_page(shopper: Shopper, old: Order) -> None:
    page = shopper.open_link(old)

    assert in_this_order(page.words, "2 × Notebook 01", "€20.02", "Total", "€20.02")
    assert 'class="part' not in page.text
    assert not re.search("VAT|Bill to|Telephone|Discount|None", page.words)
    assert in_this_order(page.words, *postal_lines(old))


def test_old_order_is_goods_alone_in_its_mails(old: Order) -> None:
    text, page = mail_of(old)

    for told in (text, page):
        assert in_this_order(told, "Total", "€20.02", *postal_lines(old))
        assert not re.search(r"VAT|Bill to|Goods|Discount|None", told)
    assert "2 × Notebook 01: €20.02\nTotal: €20.02\n\nDeliver to:\n" in text


def test_old_order_is_goods_alone_for_staff(staff: Client, old: Order) -> None:
    page = admin_page(staff, old)

    assert "Made of: Goods alone" in page
    assert "Bill to: The same address" in page
    assert " VAT" not in page
    refund = f"/admin/payments/payment/{old.payments.get().pk}/refund/"
    assert "The order cost" not in staff.get(refund).content.decode()
    [row] = exported(staff)
    amounts = [row[f"{name} (EUR)"] for name in ("goods", "discount", "delivery", "tax")]
    assert amounts == ["20.02", "0.00", "0.00", ""]
    assert (row["code"], row["delivery_method"], row["billing_city"]) == ("", "", "")
    [row] = exported(staff, "export-lines")
    assert (row["total (EUR)"], row["tax_percent"], row["tax (EUR)"]) == ("20.02", "", "")


def test_old_order_is_goods_alone_for_programs(shelf: list[Product]) -> None:
    add_endpoint("http://127.0.0.1:9/hooks", AFTER_PLACING)
    old = paid(order_of_the_release_before(shelf[0]))

    told = OrderSerializer(old).data

    assert {name: told[name] for name in ("goods", "discount", "delivery", "code", "tax")} == {
        "goods": "20.02",
        "discount": "0.00",
        "delivery": None,
        "code": "",
        "tax": [],
    }
    [line] = told["lines"]
    assert (line["discount"], line["tax_percent"], line["tax"]) == ("0.00", None, "0.00")
    hook = told_by_webhook(old)
    assert [hook[f"{name}_minor"] for name in ("goods", "discount", "delivery", "tax")] == [
        *(2002, 0, 0, 0)
    ]


def test_old_order_has_a_story_and_is_in_order(old: Order) -> None:
    table, as_json = printed_story(old)

    assert ", €20.02, sent again 0 times." in table.splitlines()[0]
    assert (as_json["goods_minor"], as_json["tax_minor"], as_json["taxes"]) == (2002, 0, [])
    assert story(old).entries[0].detail == ""
    assert [(f.count, f.rows) for f in findings_of("I6")] == [(0, [])] * 3


@pytest.mark.parametrize("make", [order_of_the_release_before, lambda product: None])
def test_page_and_admin_run_as_many_statements_for_any_parts(
    shopper: Shopper,
    staff: Client,
    shelf: list[Product],
    make: Callable[[Product], Order | None],
) -> None:
    rules_of_ireland()
    translation.deactivate()
    one = paid(make(shelf[0]) or placed_order(shelf[0]))
    with_parts = paid(order_with_parts(shelf))
    counts = []
    for each in (one, with_parts):
        shopper.open_link(each)
        admin_page(staff, each)  # Django learns its content types
        with CaptureQueriesContext(connection) as captured:
            assert shopper.web.get(f"/orders/{each.reference}/").status == 200
            admin_page(staff, each)
            OrderSerializer(each).data  # noqa: B018 - it is read when it is asked for
            compose(each.mails.get(kind=Mail.Kind.PAID))
        counts.append(len(captured))

    assert counts[0] == counts[1]
