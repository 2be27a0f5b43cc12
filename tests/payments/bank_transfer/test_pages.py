"""What customers and staff see of a bank transfer."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from checkout.orders.models import Mail, Order
from payments.gateways.bank_transfer.bank_file import read_bank_file
from payments.gateways.bank_transfer.models import ReceivedTransfer
from payments.gateways.load import Gateways
from tests.payments.bank_transfer.conftest import came, deliver
from tests.support.mailer import send_mails
from tests.support.shopper import Shopper

FILE = """Reference;Date;Amount;Currency;Text
B-1;27.11.2026;"10,01";EUR;{number} thanks
B-2;2026-11-28;"7.00";EUR;no idea
B-3;2026-11-28;-5.00;EUR;rent
B-4;yesterday;5.00;EUR;x
B-5;2026-11-28;5.00;USD;x
"""


def test_page_tells_account_amount_and_reference(shopper: Shopper, gateways: Gateways) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout() | {"gateway": "bank_transfer"}
    location = shopper.submit(form).location
    deliver(gateways)

    page = shopper.web.get(location).words

    order = Order.objects.get()
    assert "We wait for your transfer" in page
    assert "DE89 3704 0044 0532 0130 00" in page
    assert "Nothing is taken from your account: you send the money yourself." in page
    assert order.number in page
    assert "Your bank has a question" not in page
    assert order.payment_method == ""

    came(order.number)
    deliver(gateways)
    page = shopper.web.get(location).words
    assert "Your money has arrived." in page
    assert "DE89" not in page


def test_mail_tells_account_amount_and_reference(order: Order) -> None:
    send_mails()

    assert [each.kind for each in Mail.objects.all()] == ["received", "money_awaited"]
    received, awaited = mail.outbox
    assert "on its way to your bank" not in received.body
    assert "IBAN: DE89 3704 0044 0532 0130 00" in awaited.body
    assert f"Reference: {order.number}" in awaited.body
    assert "€10.01" in awaited.subject


def test_file_of_the_bank_is_read() -> None:
    rows = read_bank_file(FILE.format(number="100014-86").encode())

    assert [row.line for row in rows] == [2, 3, 4, 5, 6]
    assert rows[0].entry is not None
    assert (rows[0].entry.amount_minor, str(rows[0].entry.booked_on)) == (1001, "2026-11-27")
    assert [bool(row.entry) for row in rows] == [True, True, False, False, False]
    assert [row.problem for row in rows[2:]] == [
        "",
        "The date is written as 2026-11-29 or 29.11.2026.",
        "The shop's account is in EUR.",
    ]


def test_command_records_what_it_can_and_says_what_not(
    order: Order, gateways: Gateways, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bank.csv"
    file.write_text(FILE.format(number=order.number))

    for _ in range(2):
        with pytest.raises(CommandError, match="2 of 5 rows were refused"):
            call_command("record_transfers", str(file), "--by", "ada")
    deliver(gateways)

    order.refresh_from_db()
    assert order.status == "paid"
    said = capsys.readouterr().out
    assert "1 for its order, 1 for a person, 1 no money that came, 2 refused." in said
    assert "2 recorded before" in said


def test_same_file_again_asks_once_what_is_known(
    tmp_path: Path, django_assert_num_queries: DjangoAssertNumQueries, db: None
) -> None:
    file = tmp_path / "bank.csv"
    rows = [f"B-{number};2026-11-28;5.00;EUR;no idea" for number in range(50)]
    file.write_text("\n".join(["Reference;Date;Amount;Currency;Text", *rows]))
    call_command("record_transfers", str(file), "--by", "ada")

    with django_assert_num_queries(1):
        call_command("record_transfers", str(file), "--by", "ada")

    assert ReceivedTransfer.objects.count() == 50


def test_file_that_is_none_records_nothing(tmp_path: Path) -> None:
    file = tmp_path / "bank.csv"
    file.write_text("Amount,Text\n5.00,x\n")

    with pytest.raises(CommandError, match=r"Nothing was recorded\. The file has no column"):
        call_command("record_transfers", str(file), "--by", "ada")


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="ink and quill"))
    return client


def test_staff_record_and_assign_by_the_admins_pages(
    order: Order, gateways: Gateways, staff: Client
) -> None:
    list_page = "/admin/bank_transfer/receivedtransfer/"
    typed = {
        "bank_reference": "B-1",
        "booked_on": "2026-11-27",
        "amount_minor": "10.01",
        "text": "ink",
    }
    answer = staff.post(f"{list_page}record/", typed)
    assert answer.status_code == 302, answer.content
    received = ReceivedTransfer.objects.get()
    page = f"{list_page}{received.pk}/change/"
    assert "Say for which order it is" in staff.get(page).content.decode()

    answer = staff.post(
        f"{list_page}{received.pk}/assign/", {"number": order.number, "why": "They rang"}
    )
    assert answer.status_code == 302
    deliver(gateways)

    order.refresh_from_db()
    assert order.status == "paid"
    assert "Say for which" not in staff.get(page).content.decode()


def test_staff_without_the_permission_record_nothing(order: Order) -> None:
    client = Client()
    client.force_login(User.objects.create_user("bob", is_staff=True))

    for page in ("record/", "1/assign/", "1/aside/"):
        answer = client.post(f"/admin/bank_transfer/receivedtransfer/{page}", {})
        assert answer.status_code == 403
