"""What accounts, sign-ins and the API store of a person; see `checkout.orders.privacy`."""

from collections.abc import Sequence
from typing import Any

from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django_otp.plugins.otp_totp.models import TOTPDevice

from checkout.models import ApiClient, ApiRequest
from checkout.orders.mail.address import one_spelling
from checkout.orders.models import Order
from checkout.orders.privacy.parts import PartOfOrder, PartOfPerson, columns, register
from checkout.orders.privacy.person import accounts_of

STAYS = "The account {} stays: {}."


def _export_accounts(email: str) -> list[dict[str, Any]]:
    return [columns(account, "password") for account in accounts_of(email)]


def _erase_accounts(email: str) -> Sequence[str]:
    """The row stays and names nobody: an order that its customer places at this moment, and
    whatever else refers to it, still finds it. Nobody can sign in to it, and its sessions end."""
    kept = []
    for account in accounts_of(email).select_for_update(of=("self",)):
        if why := _why_it_stays(account):
            kept.append(STAYS.format(account.pk, why))
        else:
            _erase_account(account)
    return kept


def _why_it_stays(account: User) -> str:
    if account.is_staff or account.is_superuser:
        return "it belongs to staff, which another administrator ends in the admin"
    if ApiClient.objects.filter(user=account).exists():
        return "it is a program's, and its keys lead to orders"
    if Order.objects.filter(customer=account, erased_at=None).exists():
        return "its customer needs it for the orders that are not finished"
    return ""


def _erase_account(account: User) -> None:
    name = f"erased-{account.pk}"
    account.username, account.email = name, ""
    account.first_name = account.last_name = ""
    account.is_active, account.last_login = False, None
    account.set_unusable_password()
    account.save()
    account.groups.clear()
    account.user_permissions.clear()
    TOTPDevice.objects.filter(user=account).delete()
    of_accounts = ContentType.objects.get_for_model(User)
    about = LogEntry.objects.filter(content_type=of_accounts, object_id=str(account.pk))
    about.update(object_repr=name, change_message="")


def _attempts_of(email: str) -> list[AccessAttempt]:
    """Whoever tries to sign in may spell the address in any way, and it is stored as it was typed.
    `prune` keeps this table small."""
    address = one_spelling(email).casefold()
    return [
        attempt
        for attempt in AccessAttempt.objects.all().iterator()
        if one_spelling(attempt.username or "").casefold() == address
    ]


def _export_attempts(email: str) -> list[dict[str, Any]]:
    return [columns(attempt) for attempt in _attempts_of(email)]


def _erase_attempts(email: str) -> Sequence[str]:
    AccessAttempt.objects.filter(pk__in=[each.pk for each in _attempts_of(email)]).delete()
    return []


def _export_requests(order: Order) -> list[dict[str, Any]]:
    asked = ApiRequest.objects.filter(order=order)
    told = asked.values("operation", "key", "fingerprint", "status_code", "created_at")
    return [dict(request) for request in told]


register(
    PartOfOrder(name="requests_of_programs", export=_export_requests),
    PartOfPerson(name="accounts", export=_export_accounts, erase=_erase_accounts),
    PartOfPerson(name="failed_sign_ins", export=_export_attempts, erase=_erase_attempts),
)
