from argparse import BooleanOptionalAction
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.api.authentication import NAME, create_client
from checkout.models import USUAL_SCOPES, Scope
from checkout.runtime.terminal import add_json, as_json
from checkout.user_input.whole_numbers import whole_argument

DAYS_AT_MOST = 3650


class Command(BaseCommand):
    help = (
        "Make a token for the API client NAME, and print it once. A client that exists already "
        "gets one more token, so that the earlier one can be replaced without a pause; "
        "withdraw_api_token ends the earlier one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The client's name: small letters, digits and hyphens.")
        parser.add_argument(
            "--scopes",
            nargs="+",
            choices=Scope.values,
            default=[scope.value for scope in USUAL_SCOPES],
            help=(
                "What the token allows (default: orders:read orders:write, which are about its own "
                "orders alone). orders:fulfil shows the names and addresses of everybody whose "
                "order is to be sent."
            ),
        )
        parser.add_argument(
            "--expires",
            type=whole_argument(least=1, most=DAYS_AT_MOST),
            metavar="DAYS",
            help="The token ends after so many days (default: never).",
        )
        parser.add_argument(
            "--accept-any-total",
            action=BooleanOptionalAction,
            default=None,
            help=(
                "Whether the client may place orders without `expected_total` and pay whatever "
                "they cost. Without either option a new client may not, and nothing changes for a "
                "client that exists already."
            ),
        )
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        name, days = options["name"], options["expires"]
        if not NAME.fullmatch(name):
            raise CommandError("A name has small letters, digits and hyphens, at most 60.")
        expires_in = timedelta(days=days) if days else None
        made = create_client(
            name,
            options["scopes"],
            expires_in=expires_in,
            accepts_any_total=options["accept_any_total"],
        )
        payload = {
            "client": name,
            "token": made.token,
            "id": made.id,
            "scopes": made.scopes.split(),
        }
        self.stdout.write(as_json(payload) if options["json"] else made.token)
        if made.others:
            self.stderr.write(
                f"{name} has {made.others} more tokens, which stay good until they are withdrawn."
            )
        self.stderr.write(
            f"This is token {made.id}. Show it to nobody else. It is not printed again."
        )
