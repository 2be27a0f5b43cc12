import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.models import WebhookEndpoint, WebhookKind
from checkout.orders.webhooks import endpoints
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_yes, aligned, moment, must_agree, progress_on
from checkout.user_input.whole_numbers import whole_argument


class Command(BaseCommand):
    help = (
        "The shop's other systems that are told of orders. `add` and `rotate` print a secret, "
        "this once. After `rotate` both secrets sign for a week. `enable` switches on what "
        "answered 410 Gone; what happened meanwhile has waited. With `--since`, `add` and `enable` "
        "have it told as well of what happened before and never reached it. `remove` gives up "
        "what waits for an endpoint, and asks first. The "
        "shop calls what is added here, inside its own network too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(
            dest="act", required=True, metavar="list|add|rotate|enable|remove"
        )
        listing = acts.add_parser("list", help="All endpoints, without their secrets.")
        adding = acts.add_parser("add", help="Tell a system of what happens from now on.")
        adding.add_argument("url", help="https://… (http only to this machine).")
        adding.add_argument(
            "--kinds",
            type=lambda written: written.split(","),
            default=[],
            help=f"Separated by commas, of {', '.join(WebhookKind.values)} (default: all).",
        )
        rotating = acts.add_parser("rotate", help="Make a new secret.")
        enabling = acts.add_parser("enable", help="Switch on again, and send what has waited.")
        for act in (adding, enabling):
            act.add_argument(
                "--since",
                type=moment,
                metavar="TIME",
                help="Tell it of what happened since then: 36h, 14d, 2026-11-01 or …T12:00+01:00.",
            )
        removing = acts.add_parser("remove", help="Send nothing there any more.")
        add_yes(removing)
        for act in (rotating, enabling, removing):
            act.add_argument("id", type=whole_argument(), help="As `list` tells it.")
        for act in (listing, adding, rotating, enabling, removing):
            act.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            told, words = getattr(self, f"_{options['act']}")(options)
        except endpoints.EndpointRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(told) if options["json"] else words)

    def _list(self, options: dict[str, Any]) -> tuple[Any, str]:
        found = endpoints.list_endpoints()
        told = [_as_json(each.endpoint) | {"waiting": each.waiting} for each in found]
        rows = [["id", "state", "waiting", "kinds", "url"]]
        for each in found:
            endpoint = each.endpoint
            state = "on" if endpoint.is_active else f"off: {endpoint.off_reason}"
            kinds = ",".join(endpoint.kinds)
            rows.append([str(endpoint.pk), state, str(each.waiting), kinds, endpoint.url])
        return told, "\n".join(aligned(rows)) if found else "No endpoints."

    def _add(self, options: dict[str, Any]) -> tuple[Any, str]:
        return _with_secret(
            endpoints.add_endpoint(options["url"], options["kinds"], **self._catching_up(options))
        )

    def _rotate(self, options: dict[str, Any]) -> tuple[Any, str]:
        return _with_secret(endpoints.rotate_secret(options["id"], now=database_now()))

    def _enable(self, options: dict[str, Any]) -> tuple[Any, str]:
        endpoint = endpoints.switch_on(options["id"], **self._catching_up(options))
        waiting = endpoints.waiting_for(endpoint.pk)
        told = _as_json(endpoint) | {"waiting": waiting}
        return told, f"Endpoint {endpoint.pk} is on; {waiting} deliveries go out."

    def _catching_up(self, options: dict[str, Any]) -> dict[str, Any]:
        progress = progress_on(self.stderr, "deliveries written")
        return {"since": options["since"], "progress": progress}

    def _remove(self, options: dict[str, Any]) -> tuple[Any, str]:
        question = f"Remove endpoint {options['id']}? What waits for it is given up."
        must_agree(question, self.stderr, yes=options["yes"])
        given_up = endpoints.remove_endpoint(options["id"], now=database_now())
        told = {"id": options["id"], "given_up": given_up}
        return told, f"Endpoint {options['id']} is removed; {given_up} deliveries were given up."


def _as_json(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.pk,
        "url": endpoint.url,
        "kinds": endpoint.kinds,
        "is_active": endpoint.is_active,
        "off_reason": endpoint.off_reason,
    }


def _with_secret(endpoint: WebhookEndpoint) -> tuple[Any, str]:
    told = _as_json(endpoint) | {"secret": endpoint.secret}
    return told, f"Endpoint {endpoint.pk}. Its secret, shown this once:\n{endpoint.secret}"
