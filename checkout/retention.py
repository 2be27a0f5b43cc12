"""When old rows of carts, sessions and the API are deleted; see `checkout.runtime.retention`."""

from datetime import timedelta

from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.db.models.functions import Coalesce

from checkout.models import ApiToken, Cart
from checkout.runtime.retention import End, register

DAY = timedelta(days=1)

PEOPLE = "As many as there are people; staff end them in the admin."

register(
    End(
        table="sessions.Session",
        why="Nobody comes back with a session that has expired.",
        after=DAY,
        ended=lambda before: Session.objects.filter(expire_date__lt=before).order_by("expire_date"),
    ),
    End(
        table="checkout.Cart",
        why="Its session has expired long since. What was bought is in the order.",
        after=90 * DAY,
        ended=lambda before: (
            Cart.objects.annotate(changed=Coalesce("changed_at", "created_at"))
            .filter(changed__lt=before)
            .order_by("changed")
        ),
    ),
    End(table="checkout.CartLine", why="Goes with its cart."),
    End(table="checkout.ApiClient", why="One for each app that was ever let in."),
    End(
        table="checkout.ApiToken",
        why="It has expired. Those that never expire stay until they are withdrawn.",
        after=30 * DAY,
        ended=lambda before: ApiToken.objects.filter(expiry__lt=before).order_by("expiry"),
    ),
    End(
        table="checkout.ApiRequest",
        why="Stays as long as its order: a key leads to its order for ever.",
    ),
    End(
        table="axes.AccessAttempt",
        why="Locks nobody out after 15 minutes.",
        after=30 * DAY,
        ended=lambda before: AccessAttempt.objects.filter(attempt_time__lt=before).order_by(
            "attempt_time"
        ),
    ),
    End(table="axes.AccessAttemptExpiration", why="Goes with its attempt."),
    End(table="axes.AccessFailureLog", why="Switched off: nothing is written."),
    End(table="axes.AccessLog", why="Switched off: nothing is written."),
    End(table="admin.LogEntry", why="What staff changed, and when, is asked for years later."),
    End(table="auth.User", why=PEOPLE),
    End(table="auth.User_groups", why=PEOPLE),
    End(table="auth.User_user_permissions", why=PEOPLE),
    End(table="otp_totp.TOTPDevice", why=PEOPLE),
    End(table="auth.Group", why="Made by migrations and by hand."),
    End(table="auth.Group_permissions", why="Made by migrations and by hand."),
    End(table="auth.Permission", why="Made by migrations."),
    End(table="contenttypes.ContentType", why="Made by migrations."),
    End(table="catalogue.Product", why="As many as there are products; orders name them."),
    End(table="catalogue.TaxRate", why="Staff enter a few a year."),
    End(
        table="catalogue.DeliveryMethod",
        why="As many as there are ways to send; staff delete them.",
    ),
    End(table="catalogue.DeliveryPrice", why="Goes with its method."),
    End(table="catalogue.DiscountCode", why="Staff make them, and delete those that nobody used."),
    End(table="texts.ShopText", why="One for each kind and language; staff write and delete them."),
    End(table="catalogue.StockMovement", why="Their sum is the stock, and audits add them up."),
)
