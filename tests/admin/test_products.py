"""A product's page beside a running shop: nothing that was not typed is written."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product, StockMovement
from checkout.catalogue.stock import reserve_stock
from checkout.orders.admin.lists import ReadOnly, ReadOnlyInline
from checkout.orders.cancelling import cancel_free
from checkout.orders.dispatch.returns import ReturnedPieces, take_return
from checkout.orders.models import Order
from checkout.orders.placing.place import place_order
from checkout.orders.states import DispatchStatus
from config.admin.changed_fields import FieldByFieldAdmin, FieldByFieldForm
from tests.admin.conftest import signed_in
from tests.support.audited import violations
from tests.support.factories import OpenBasket, line, placed_order, purchase
from tests.support.shopper import read_form
from tests.support.waiting import until_somebody_waits

LIST = "/admin/catalogue/product/"


def page_of(product: Product) -> str:
    return f"{LIST}{product.pk}/change/"


def opened(client: Client, address: str, action: str = "") -> dict[str, str]:
    """The form as a browser would send it back, unchanged."""
    return read_form(client.get(address).content.decode(), action)


def words(page: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.decode()))


def refreshed(product: Product) -> Product:
    return Product.objects.get(pk=product.pk)


@pytest.fixture
def product(shelf: list[Product]) -> Product:
    return shelf[0]


def test_description_saved_after_seven_were_sold_leaves_the_stock(
    grocer: Client, product: Product
) -> None:
    form = opened(grocer, page_of(product))
    for _ in range(7):
        placed_order(product)

    answer = grocer.post(page_of(product), form | {"description": "Cotton.", "stock": "100000"})

    assert answer.status_code == 302
    assert (refreshed(product).stock, refreshed(product).description) == (99_993, "Cotton.")


def test_piece_that_is_sold_while_the_page_is_saved_stays_sold(
    grocer: Client, product: Product
) -> None:
    """The page is saved by a request that has read the product and then waits for the sale."""
    form = opened(grocer, page_of(product)) | {"description": "Cotton."}
    order = placed_order(product)

    def save() -> int:
        try:
            return grocer.post(page_of(product), form).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            reserve_stock({product.pk: 1}, order_id=order.pk)
            saved = pool.submit(save)
            until_somebody_waits("waiting for the sale")
        assert saved.result(timeout=20) == 302

    assert (refreshed(product).stock, refreshed(product).description) == (99_998, "Cotton.")


@pytest.mark.parametrize(
    "elsewhere", [{"price_minor": 1200}, {"is_on_sale": False}, {"name": "Notebook, new"}]
)
def test_what_was_not_typed_here_stays_as_somebody_else_saved_it(
    grocer: Client, product: Product, elsewhere: dict[str, object]
) -> None:
    form = opened(grocer, page_of(product))
    Product.objects.filter(pk=product.pk).update(**elsewhere)

    assert grocer.post(page_of(product), form | {"description": "New."}).status_code == 302

    now = refreshed(product)
    assert {name: getattr(now, name) for name in elsewhere} == elsewhere
    assert now.description == "New."


def test_two_who_change_the_same_field_are_told_of_both_values(
    grocer: Client, product: Product
) -> None:
    form = opened(grocer, page_of(product)) | {"name": "Mine"}
    Product.objects.filter(pk=product.pk).update(name="Theirs")

    refused = grocer.post(page_of(product), form)

    told = words(refused.content)
    assert "was “Notebook 01” and is “Theirs” now" in told
    assert "make it “Mine”" in told
    assert refreshed(product).name == "Theirs"

    again = read_form(refused.content.decode(), "")
    assert grocer.post(page_of(product), again).status_code == 302
    assert refreshed(product).name == "Mine"


def test_taken_off_sale_by_somebody_else_stays_off_sale(grocer: Client, product: Product) -> None:
    """A recalled product, on whose page a price is typed."""
    form = opened(grocer, page_of(product))
    Product.objects.filter(pk=product.pk).update(is_on_sale=False)

    grocer.post(page_of(product), form | {"description": "Sold."})

    assert refreshed(product).is_on_sale is False


def test_the_same_change_by_two_people_is_no_conflict(grocer: Client, product: Product) -> None:
    form = opened(grocer, page_of(product)) | {"name": "Notebook, ruled"}
    Product.objects.filter(pk=product.pk).update(name="Notebook, ruled")

    assert grocer.post(page_of(product), form).status_code == 302


def test_line_ends_and_spaces_of_a_browser_are_no_change_by_somebody_else(
    grocer: Client, product: Product
) -> None:
    Product.objects.filter(pk=product.pk).update(description="One \n\nTwo ")
    form = opened(grocer, page_of(product))
    form["initial-description"] = form["initial-description"].replace("\n", "\r\n")

    answer = grocer.post(page_of(product), form | {"description": "One\r\n\r\nThree"})

    assert answer.status_code == 302
    assert refreshed(product).description.split() == ["One", "Three"]


def test_form_that_does_not_say_what_it_showed_changes_nothing(
    grocer: Client, product: Product
) -> None:
    typed = {"sku": product.sku, "name": "Other", "slug": product.slug, "description": "Paper."}

    answer = grocer.post(page_of(product), typed | {"price_minor": "1", "is_on_sale": "on"})

    assert answer.status_code == 200
    assert refreshed(product).name == "Notebook 01"


def test_new_product_begins_with_a_movement(grocer: Client, product: Product) -> None:
    add = f"{LIST}add/"
    form = opened(grocer, add) | {"sku": "INK", "name": "Ink", "slug": "ink", "pieces": "30"}
    form["price_minor"] = "5"

    first, second = grocer.post(add, form), grocer.post(add, form)

    assert (first.status_code, second.status_code) == (302, 200)  # the SKU is taken by then
    ink = Product.objects.get(sku="INK")
    [opening] = ink.movements.all()
    assert (ink.stock, opening.change, opening.kind) == (30, 30, "opening")
    assert opening.actor == "grocer"


# Its stock


def stock_of(product: Product) -> str:
    return f"{LIST}{product.pk}/stock/"


def typed(kind: str, number: str, why: str = "Shelf 3") -> dict[str, str]:
    return {"kind": kind, "number": number, "why": why}


def post_stock(client: Client, product: Product, form: dict[str, str]) -> bytes:
    return client.post(stock_of(product), form, follow=True).content


@pytest.mark.parametrize(
    ("entered", "left", "change"),
    [
        (typed("received", "+20"), 100_017, 20),
        (typed("received", "20"), 100_017, 20),
        (typed("corrected", "-1"), 99_996, -1),
        (typed("corrected", "\N{MINUS SIGN}1"), 99_996, -1),
        (typed("corrected", "+3"), 100_000, 3),
    ],
)
def test_change_is_added_to_the_stock_as_it_is_when_saved(
    grocer: Client, product: Product, entered: dict[str, str], left: int, change: int
) -> None:
    form = opened(grocer, stock_of(product)) | entered
    for _ in range(3):
        placed_order(product)

    told = words(post_stock(grocer, product, form))

    assert f"There are {left} now" in told
    assert refreshed(product).stock == left
    movement = product.movements.latest("id")
    assert (movement.change, movement.kind) == (change, entered["kind"])
    assert (movement.actor, movement.explanation) == ("grocer", "Shelf 3")
    assert "Shelf 3" in told  # on the product's page


def test_double_click_counts_once(grocer: Client, product: Product) -> None:
    form = opened(grocer, stock_of(product)) | typed("corrected", "-1")

    for _ in range(2):
        assert grocer.post(stock_of(product), form).status_code == 302

    assert refreshed(product).stock == 99_999


def test_used_form_with_another_number_asks_before_it_adds(
    grocer: Client, product: Product
) -> None:
    """After the browser's Back."""
    form = opened(grocer, stock_of(product))
    grocer.post(stock_of(product), form | typed("received", "20"))

    refused = grocer.post(stock_of(product), form | typed("received", "5"))

    assert "This form was saved before: +20 received" in words(refused.content)
    assert refreshed(product).stock == 100_020
    grocer.post(stock_of(product), read_form(refused.content.decode(), ""))
    assert refreshed(product).stock == 100_025


def test_count_is_written_as_the_difference(grocer: Client, product: Product) -> None:
    form = opened(grocer, stock_of(product)) | typed("counted", "99990")

    for _ in range(2):
        assert grocer.post(stock_of(product), form).status_code == 302

    movement = product.movements.latest("id")
    assert (refreshed(product).stock, movement.change) == (99_990, -10)
    assert movement.explanation == "There are 99990. Shelf 3"


def test_count_beside_a_sale_is_asked_about_and_undoes_no_sale(
    grocer: Client, product: Product
) -> None:
    form = opened(grocer, stock_of(product)) | typed("counted", "100000")
    placed_order(product)

    refused = grocer.post(stock_of(product), form)

    assert "This page said 100000, and there are 99999 now" in words(refused.content)
    assert refreshed(product).stock == 99_999
    again = read_form(refused.content.decode(), "")
    assert again["number"] == "100000"
    grocer.post(stock_of(product), again)
    assert refreshed(product).stock == 100_000  # counted after the sale, says who was asked


def test_count_that_agrees_is_written_down(grocer: Client, product: Product) -> None:
    form = opened(grocer, stock_of(product)) | typed("counted", "100000")

    grocer.post(stock_of(product), form)

    assert product.movements.latest("id").change == 0


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        (typed("counted", "+12"), "A count has no sign"),
        (typed("corrected", "12"), "Type +12 or -12"),
        (typed("corrected", "-1", why=""), "Why?"),
        (typed("received", "-5"), "above zero"),
        (typed("received", "0"), "changes nothing"),
        (typed("received", "1.000"), "without separators"),
        (typed("received", "1,000"), "without separators"),
        (typed("received", "1_0"), "without separators"),
        (typed("received", "\N{ARABIC-INDIC DIGIT FIVE}"), "without separators"),
        (typed("corrected", "-100001"), "no more than 100000 can be taken away"),
    ],
)
def test_what_could_mean_something_else_is_refused_in_words(
    grocer: Client, product: Product, entered: dict[str, str], said: str
) -> None:
    form = opened(grocer, stock_of(product)) | entered

    refused = grocer.post(stock_of(product), form)

    assert said in words(refused.content)
    assert entered["number"] in refused.content.decode()
    assert refreshed(product).stock == 100_000


def test_page_shows_its_movements_in_a_constant_number_of_statements(
    grocer: Client, product: Product
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            grocer.get(page_of(product))
        return len(captured)

    statements()  # the first one also reads what is kept in memory
    few = statements()
    for _ in range(30):
        placed_order(product)

    assert statements() == few
    order = placed_order(product)
    assert order.number in grocer.get(page_of(product)).content.decode()


# Goods that come back (tests/admin/test_goods.py has the pages)


def test_order_for_nothing_of_which_a_part_came_back_gives_back_the_rest(
    product: Product,
) -> None:
    """A release that did not write down what it sent had sent it."""
    Product.objects.filter(pk=product.pk).update(price_minor=0)
    basket = OpenBasket([line(refreshed(product), 3)])
    order = place_order(purchase(), basket, now=timezone.now())
    Order.objects.update(dispatch_status=DispatchStatus.NOT_RECORDED)
    wanted = {order.lines.get().pk: ReturnedPieces(1, 1)}
    take_return(order, wanted, by="ada", why="", key="k" * 32, now=timezone.now())

    assert cancel_free(order, reason="Cancelled by hand", now=timezone.now())

    assert refreshed(product).stock == 100_000
    assert violations() == []


# Every other form


def test_every_form_of_the_admin_saves_field_by_field() -> None:
    """Read-only pages, forms of this kind, and nothing that would go past both."""
    for model, model_admin in admin.site._registry.items():
        assert isinstance(model_admin, FieldByFieldAdmin), model
        assert not model_admin.list_editable, model
        assert all(
            issubclass(inline, ReadOnlyInline) or issubclass(inline.form, FieldByFieldForm)
            for inline in model_admin.inlines
        )
        if isinstance(model_admin, ReadOnly):
            assert all(issubclass(inline, ReadOnlyInline) for inline in model_admin.inlines)


@pytest.fixture
def root(transactional_db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_user_saved_beside_a_sign_in_and_a_group_by_somebody_else(root: Client) -> None:
    user = User.objects.create_user("ada", email="ada@example.com", is_staff=True)
    one, two = Group.objects.create(name="one"), Group.objects.create(name="two")
    address = f"/admin/auth/user/{user.pk}/change/"
    form = opened(root, address)
    signed_in_at = timezone.now()
    User.objects.filter(pk=user.pk).update(last_login=signed_in_at, is_active=False)
    user.groups.add(two)

    answer = root.post(address, form | {"first_name": "Ada", "groups": str(one.pk)})

    assert answer.status_code == 302
    user = User.objects.get(pk=user.pk)
    assert (user.first_name, user.last_login, user.is_active) == ("Ada", signed_in_at, False)
    assert {group.name for group in user.groups.all()} == {"one", "two"}


def test_email_of_a_user_that_two_people_change_is_asked_about(root: Client) -> None:
    user = User.objects.create_user("ada", email="ada@example.com")
    address = f"/admin/auth/user/{user.pk}/change/"
    form = opened(root, address) | {"email": "ada@mine.example"}
    User.objects.filter(pk=user.pk).update(email="ada@theirs.example")

    refused = root.post(address, form)

    assert "is “ada@theirs.example” now" in words(refused.content)
    assert User.objects.get(pk=user.pk).email == "ada@theirs.example"


def test_time_that_two_people_change_is_asked_about_and_can_then_be_saved(root: Client) -> None:
    user = User.objects.create_user("ada", last_login=timezone.now())
    address = f"/admin/auth/user/{user.pk}/change/"
    form = opened(root, address) | {"last_login_0": "2026-01-01", "last_login_1": "10:00:00"}
    User.objects.filter(pk=user.pk).update(last_login=timezone.now())
    User.objects.filter(pk=user.pk).update(last_login=timezone.now() - timedelta(days=400))

    refused = root.post(address, form)

    assert "Somebody else changed this" in words(refused.content)
    assert root.post(address, read_form(refused.content.decode(), "")).status_code == 302
    login = User.objects.get(pk=user.pk).last_login
    assert login is not None
    assert login.year == 2026


def test_group_keeps_a_permission_that_somebody_else_added(root: Client) -> None:
    group = Group.objects.create(name="clerks")
    address = f"/admin/auth/group/{group.pk}/change/"
    form = opened(root, address)
    theirs = Permission.objects.get(codename="move_stock")
    mine = Permission.objects.get(codename="view_product")
    group.permissions.add(theirs)

    assert root.post(address, form | {"permissions": str(mine.pk)}).status_code == 302

    assert set(group.permissions.all()) == {theirs, mine}


def test_group_catalogue_edits_products_and_moves_stock_and_sees_no_customer(
    grocer: Client, product: Product
) -> None:
    assert grocer.get(f"{LIST}add/").status_code == 200
    assert grocer.get(stock_of(product)).status_code == 200
    assert grocer.get("/admin/orders/order/").status_code == 403
    assert StockMovement.objects.exists()
    assert signed_in("looks", group="read-only").get(stock_of(product)).status_code == 403
