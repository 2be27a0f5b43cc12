"""What support sees: the order's whole story on one page, and nothing that can be edited."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from tests.support.factories import CUSTOMER, placed_order
from tests.support.till import Till

LIST = "/admin/orders/order/"


@pytest.fixture
def support(db: None) -> Client:
    user = User.objects.create_user("support", password="look", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def paid(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[0], shelf[1])
    till.settle(order)
    order.refresh_from_db()
    return order


def page_of(support: Client, order: Order) -> str:
    return support.get(f"{LIST}{order.pk}/change/").content.decode()


def test_one_page_tells_lines_events_messages_and_payments(support: Client, paid: Order) -> None:
    page = page_of(support, paid)

    for told in (
        paid.number,
        CUSTOMER.email,
        "Notebook 01",
        "Notebook 02",
        "Order placed",
        "Payment succeeded",
        "settle",
        paid.payments.get().gateway_payment_id,
        "Confirm: paid",
    ):
        assert told in page


def test_nothing_on_it_can_be_changed(support: Client, paid: Order) -> None:
    page = page_of(support, paid)

    assert 'name="_save"' not in page
    assert support.post(f"{LIST}{paid.pk}/change/", {"status": "refunded"}).status_code == 403
    assert support.post(f"{LIST}{paid.pk}/delete/", {"post": "yes"}).status_code == 403
    assert support.get(f"{LIST}add/").status_code == 403
    paid.refresh_from_db()
    assert paid.status == "paid"


def test_not_even_by_a_superuser(paid: Order, admin_client: Client) -> None:
    assert admin_client.post(f"{LIST}{paid.pk}/change/", {"status": "refunded"}).status_code == 403
    assert admin_client.post(f"{LIST}{paid.pk}/delete/", {"post": "yes"}).status_code == 403
    actions = {"action": "delete_selected", "_selected_action": str(paid.pk)}
    admin_client.post(LIST, actions)
    assert Order.objects.filter(pk=paid.pk).exists()


@pytest.mark.parametrize(
    "typed",
    [
        lambda order: order.number,
        lambda order: order.number.replace("-", ""),
        lambda order: f" {order.number} ",
        lambda order: order.reference,
        lambda order: order.email.upper(),
    ],
    ids=[
        "number",
        "number without hyphen",
        "number with spaces",
        "reference",
        "e-mail in capitals",
    ],
)
def test_an_order_is_found_by_what_support_is_told(
    support: Client, paid: Order, typed: "object"
) -> None:
    assert callable(typed)

    found = support.get(LIST, {"q": typed(paid)}).content.decode()

    assert paid.number in found
    assert paid.number not in support.get(LIST, {"q": "somebody@else.example"}).content.decode()


def test_list_runs_the_same_statements_for_any_number_of_orders(
    support: Client, shelf: list[Product]
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert support.get(LIST).status_code == 200
        return len(captured)

    placed_order(shelf[0])
    with_one = statements()
    for _ in range(30):
        placed_order(shelf[0])

    assert statements() == with_one


def test_list_never_counts_all_orders(support: Client, paid: Order) -> None:
    """Django offers to count what each filter would show, which takes seconds for a million."""
    with CaptureQueriesContext(connection) as captured:
        page = support.get(LIST, {"_facets": "True"}).content.decode()

    counting = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert all("LIMIT" in sql for sql in counting)
    assert "Show counts" not in page


def test_staff_without_the_permission_see_no_orders(paid: Order) -> None:
    client = Client()
    client.force_login(User.objects.create_user("new", password="look", is_staff=True))

    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}{paid.pk}/change/").status_code == 403
