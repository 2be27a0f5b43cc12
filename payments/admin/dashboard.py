"""How the shop is doing, on one page. Reads the last day and what is open, never all of history."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Count, Max, Min, Q, Sum
from django.db.models.functions import TruncHour
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from checkout.catalogue.money import money, show_money
from checkout.orders.admin.warehouse.to_send import to_send_in_words
from checkout.orders.dispatch.to_send import orders_to_send
from checkout.orders.models import Order, ProcessAlive, QueueSeen
from checkout.orders.operations.liveness import STALE_AFTER_SECONDS
from checkout.orders.operations.shop_state import ShopState
from checkout.orders.states import EXPIRING, PAID_FOR, UNSETTLED, OrderStatus
from checkout.runtime.clock import database_now
from payments.books.lost_orders import unseen_count
from payments.models import Dispute
from payments.settling.refused_shop import current_refusals

HOURS = 24

# The time from order to paid is measured over the newest so many orders.
LATEST = 1_000

# The size of a chart and the gap between its bars, in the units of the drawing.
WIDTH, HEIGHT, GAP = 24 * 20, 100, 4

# Without one of these something stands still, so each kind is shown even if nobody has started it.
NEEDED = ("publisher", "worker", "mailer")

# For first payments of the newest paid orders: the seconds from placing to settling.
TIME_TO_PAID = """
    SELECT count(*),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds),
           percentile_cont(0.99) WITHIN GROUP (ORDER BY seconds)
    FROM (
        SELECT extract(epoch FROM payment.settled_at - placed.placed_at) AS seconds
        FROM (
            SELECT id, placed_at FROM orders_order WHERE placed_at >= %(since)s
            ORDER BY id DESC LIMIT %(latest)s
        ) AS placed
        JOIN payments_payment AS payment ON payment.order_id = placed.id
        WHERE payment.status = 'paid' AND payment.round = 1 AND NOT payment.is_surplus
    ) AS took
"""


@dataclass(frozen=True)
class Bar:
    x: int
    y: int
    height: int
    hour: datetime
    words: str


@dataclass(frozen=True)
class Chart:
    title: str
    total: str
    most: str
    bars: list[Bar]

    width, height, bar_width = WIDTH, HEIGHT, WIDTH // HOURS - GAP


def dashboard_view(request: HttpRequest, each_context: dict[str, Any]) -> HttpResponse:
    if not request.user.has_perm("orders.view_order"):
        raise PermissionDenied
    now = database_now()
    context = each_context | {"title": "The last 24 hours", **figures(now=now)}
    return TemplateResponse(request, "payments/admin_dashboard.html", context)


def figures(*, now: datetime) -> dict[str, Any]:
    """What the page shows; as many statements for a million orders as for ten."""
    state = ShopState(now=now)
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    recent = Order.objects.filter(placed_at__gte=first).order_by()
    hours = {
        row["hour"]: row
        for row in recent.annotate(hour=TruncHour("placed_at"))
        .values("hour")
        .annotate(
            orders=Count("pk"),
            absorbed=Sum("resubmission_count"),
            revenue=Sum("total_minor", filter=Q(status__in=sorted(PAID_FOR)), default=0),
            sent_back=Sum("refunded_minor", default=0),
        )
    }
    for row in hours.values():
        row["revenue"] -= row["sent_back"]
    return {
        "charts": [
            _chart("Orders", hours, "orders", first, str),
            _chart("Revenue", hours, "revenue", first, _amount),
            _chart("Presses that came again, absorbed", hours, "absorbed", first, str),
        ],
        "time_to_paid": _time_to_paid(first),
        "states": _states(recent, state),
        "disputes": Dispute.objects.filter(closed_at=None).aggregate(
            open=Count("pk"), due_at=Min("due_at")
        ),
        "outbox": {"messages": state.messages["due"], "oldest": state.oldest_due_at},
        "queue": QueueSeen.objects.first(),
        "processes": _processes(now=now),
        "pause": state.pause,
        "refusals": current_refusals(),
        "lost_orders": unseen_count(),
        "to_send": to_send_in_words(),
        "oldest_to_send": orders_to_send().first(),
    }


def _amount(minor: int) -> str:
    return show_money(money(minor, settings.SHOP_CURRENCY))


def _chart(title: str, hours: dict[datetime, Any], name: str, first: datetime, show: Any) -> Chart:
    times = [first + timedelta(hours=number) for number in range(HOURS)]
    values = [max(0, hours[time][name] or 0) if time in hours else 0 for time in times]
    highest = max(values) or 1
    bars = [
        Bar(
            x=number * (WIDTH // HOURS) + GAP // 2,
            y=HEIGHT - (height := max(round(value / highest * HEIGHT), 1 if value else 0)),
            height=height,
            hour=time,
            words=show(value),
        )
        for number, (time, value) in enumerate(zip(times, values, strict=True))
    ]
    return Chart(title, show(sum(values)), show(max(values)), bars)


def _time_to_paid(since: datetime) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(TIME_TO_PAID, {"since": since, "latest": LATEST})
        count, median, slowest = cursor.fetchone() or (0, None, None)
    return {"orders": count, "median": median, "p99": slowest}


def _states(recent: Any, state: ShopState) -> list[dict[str, Any]]:
    """Open ones of all time, by the index over what is not paid; final ones of the last day."""
    waiting = sorted(UNSETTLED | EXPIRING)
    still_open = (
        Order.objects.filter(status__in=waiting)
        .order_by()
        .values("status")
        .annotate(orders=Count("pk"), since=Min("status_changed_at"))
    )
    final = recent.exclude(status__in=waiting).values("status").annotate(orders=Count("pk"))
    found = {row["status"]: row for row in [*still_open, *final]}
    rows = [
        {
            "label": status.label,
            "status": status.value,
            "is_open": status in waiting,
            "orders": found.get(status, {}).get("orders", 0),
            "since": found.get(status, {}).get("since"),
        }
        for status in OrderStatus
    ]
    return [
        *rows,
        {"label": "Waiting too long", "attention": "waiting", "orders": state.waiting_too_long},
        {"label": "Needs a person", "attention": "person", "orders": state.for_a_person},
    ]


def _processes(*, now: datetime) -> list[dict[str, Any]]:
    """How many of each kind get anywhere, and when the last of them was seen."""
    fresh = Q(seen_at__gt=now - timedelta(seconds=STALE_AFTER_SECONDS))
    found = {
        row["kind"]: row
        for row in ProcessAlive.objects.order_by()
        .values("kind")
        .annotate(alive=Count("pk", filter=fresh), seen_at=Max("seen_at"))
    }
    never = {"alive": 0, "seen_at": None}
    return [{"kind": kind, **found.get(kind, never)} for kind in sorted({*NEEDED, *found})]
