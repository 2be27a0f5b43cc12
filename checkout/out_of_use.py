"""What of the web edge could act twice after a backup was restored; see
`checkout.orders.restoring.acts_twice`."""

from datetime import datetime, timedelta
from importlib import import_module

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models import F

from checkout.models import Cart
from checkout.orders.restoring.acts_twice import OutOfUse, register
from checkout.orders.restoring.restores import is_from_before_a_restore
from checkout.runtime.clock import database_now

BATCH = 1000

# No cart is changed so often between a backup and its restore. A form carries its cart's version,
# so none that was shown before the restore fits the cart any more.
FURTHER = 1_000_000

# A shopper has an e-mail or a statement of account by then, or has ordered again.
TOLD_FOR = timedelta(days=7)


def outdate_forms() -> int:
    """A shopper whose order is lost still has its form, and a browser repeats it. By it the cart,
    which is open again, would be ordered and charged a second time."""
    return Cart.objects.filter(closed_at=None).update(version=F("version") + FURTHER)


def may_be_of_a_lost_order(cart: Cart, *, now: datetime) -> bool:
    """Whether the cart was open when a backup was restored lately. Its order may be lost, and then
    a page that is opened anew would order it a second time without a word."""
    return cart.version >= FURTHER and is_from_before_a_restore(now - TOLD_FOR)


def end_sessions_of_staff() -> int:
    """A member of staff may have signed out since, or been locked out, and that is forgotten."""
    staff = {str(pk) for pk in User.objects.filter(is_staff=True).values_list("pk", flat=True)}
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    ended = 0
    alive = Session.objects.filter(expire_date__gt=database_now())
    for session in alive.iterator(chunk_size=BATCH):
        if store.decode(session.session_data).get(SESSION_KEY) in staff:
            ended += Session.objects.filter(pk=session.pk).delete()[0]
    return ended


register(
    OutOfUse(what="checkout forms that were shown before", put=outdate_forms),
    OutOfUse(what="sessions of staff", put=end_sessions_of_staff),
)
