"""E-mails that a visitor asks for who has proved nothing yet: a new account, a new password, the
link to an order; and the one that acknowledges a withdrawal whose order was not found.

A request only stores that a visitor asked. It does so by the same statement and with the same
answer whether there is such an account or order or not, so that neither words nor time give that
away. The mailer looks the account or order up when it sends the mail. It makes the link that opens
an account then, so that no token is kept.
"""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.formats import date_format
from django.utils.http import urlsafe_base64_encode
from django.utils.timezone import localtime
from django.utils.translation import get_language, gettext, override

from checkout.orders.mail.enqueue import queue_link
from checkout.orders.mail.headers import headers
from checkout.orders.models import AccountMail

SALT = "account.sign-up.v1"

# How long the link to make an account is valid.
LINK_LIVES = timedelta(days=1)

# An address gets one mail of a kind in each such stretch of time, however often one is asked for.
STRETCH_SECONDS = 600

Kind = AccountMail.Kind


def queue_account_mail(
    kind: AccountMail.Kind, email: str, *, now: datetime, then: str = "", number: str = ""
) -> None:
    """`then` is the page to which a new account leads, `number` the order that it is about."""
    stretch = int(now.timestamp()) // STRETCH_SECONDS * STRETCH_SECONDS
    mail = AccountMail(
        kind=kind,
        email=email.lower(),
        language=get_language() or "",
        number=number,
        then=then[:300],
        stretch=datetime.fromtimestamp(stretch, tz=UTC),
        available_at=now,
        created_at=now,
    )
    AccountMail.objects.bulk_create([mail], ignore_conflicts=True)


def compose_account_mail(mail: AccountMail, *, now: datetime) -> EmailMessage | None:
    """Compose the mail. None: there is nothing to send, such as a password for an account that does
    not exist. The link to an order is a mail about that order, if that order exists."""
    if mail.kind == Kind.FIND_ORDER:
        queue_link(mail.number, mail.email, now=now)
        return None
    with override(mail.language or settings.LANGUAGE_CODE):
        if mail.kind == Kind.WITHDRAWAL:
            about = {"number": mail.number, "moment": _moment(mail)}
            return _message(mail, "withdrawal", mail.email, **about)
        user = _account_of(mail.email)
        if mail.kind == Kind.PASSWORD and user is None:
            return None
        name, page = _page(mail, user)
        to = user.email if user else mail.email
        return _message(mail, name, to, link=f"{settings.SHOP_URL}{page}")


def _message(mail: AccountMail, name: str, to: str, **context: str) -> EmailMessage:
    context["shop"] = settings.SHOP_NAME
    return EmailMessage(
        subject=render_to_string(f"emails/{name}_subject.txt", context).strip(),
        body=render_to_string(f"emails/{name}.txt", context),
        to=[to],
        headers=headers(mail.message_id),
    )


def _moment(mail: AccountMail) -> str:
    return date_format(localtime(mail.created_at), gettext("j F Y, H:i:s e"))


def _page(mail: AccountMail, user: User | None) -> tuple[str, str]:
    """The name of the mail's templates, and the page to which its link leads."""
    if user is None:
        return "sign_up", reverse("sign_up_new", args=[sign_up_token(mail.email, mail.then)])
    name = "password" if mail.kind == Kind.PASSWORD else "signed_up_before"
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return name, reverse("password_new", args=[uid, default_token_generator.make_token(user)])


def _account_of(email: str) -> User | None:
    """An active account, by an address that stays the same when Unicode folds it, as in Django."""
    return next(iter(PasswordResetForm().get_users(email)), None)


def sign_up_token(email: str, then: str) -> str:
    return signing.dumps([email, then], salt=SALT)


def read_sign_up_token(token: str) -> tuple[str, str] | None:
    """The address that was proved, and the page to go on to. None: not our token, or too old."""
    try:
        email, then = signing.loads(token, salt=SALT, max_age=LINK_LIVES)
    except (signing.BadSignature, TypeError, ValueError):
        return None
    return email, then
