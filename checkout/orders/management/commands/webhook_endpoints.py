from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.models import WebhookEndpoint, WebhookKind
from checkout.orders.webhooks import endpoints
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import (
    add_json,
    add_yes,
    aligned,
    as_json,
    moment,
    must_agree,
    progress_on,
)
from checkout.user_input.whole_numbers import whole_argument


class Command(BaseCommand):
    help = (
        "Manage the endpoints that receive webhooks about orders. `add` and `rotate` print a "
        "secret, which is never shown again. `choose` changes what an endpoint is told of. After "
        "`rotate` both secrets sign for a week. `enable` switches on an endpoint that answered 410 "
        "Gone; what happened meanwhile has waited for it. With `--since`, `add` and `enable` also "
        "send what happened before and never reached the endpoint. `remove` gives up what waits "
        "for an endpoint, and asks first. The shop calls the addresses that are added here, inside "
        "its own network too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(
            dest="act", required=True, metavar="list|add|choose|rotate|enable|remove"
        )
        listing = acts.add_parser("list", help="List all endpoints, without their secrets.")
        adding = acts.add_parser(
            "add", help="Add an endpoint that receives what happens from now on."
        )
        adding.add_argument("url", help="An https:// address (http:// only for this machine).")
        choosing = acts.add_parser(
            "choose", help="Choose of which kinds an endpoint is told from now on."
        )
        for act in (adding, choosing):
            act.add_argument(
                "--kinds",
                type=lambda written: written.split(","),
                default=[],
                help=f"Kinds, separated by commas: {', '.join(WebhookKind.values)} (default: all).",
            )
        rotating = acts.add_parser("rotate", help="Make a new secret.")
        enabling = acts.add_parser(
            "enable", help="Switch an endpoint on again, and send what has waited."
        )
        for act in (adding, enabling):
            act.add_argument(
                "--since",
                type=moment,
                metavar="TIME",
                help="Also send what happened since then: 36h, 14d, 2026-11-01 or …T12:00+01:00.",
            )
        removing = acts.add_parser("remove", help="Send nothing to an endpoint any more.")
        add_yes(removing)
        for act in (choosing, rotating, enabling, removing):
            act.add_argument("id", type=whole_argument(), help="The id that `list` shows.")
        for act in (listing, adding, choosing, rotating, enabling, removing):
            add_json(act)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            payload, words = getattr(self, f"_{options['act']}")(options)
        except endpoints.EndpointRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(as_json(payload) if options["json"] else words)

    def _list(self, options: dict[str, Any]) -> tuple[Any, str]:
        found = endpoints.list_endpoints()
        payload = [_as_json(endpoint) | {"waiting": waiting} for endpoint, waiting in found]
        rows = [["id", "state", "waiting", "kinds", "url"]]
        for endpoint, waiting in found:
            state = "on" if endpoint.is_active else f"off: {endpoint.off_reason}"
            kinds = ",".join(endpoint.kinds)
            rows.append([str(endpoint.pk), state, str(waiting), kinds, endpoint.url])
        return payload, "\n".join(aligned(rows)) if found else "There are no endpoints."

    def _add(self, options: dict[str, Any]) -> tuple[Any, str]:
        return _with_secret(
            endpoints.add_endpoint(options["url"], options["kinds"], **self._catching_up(options))
        )

    def _choose(self, options: dict[str, Any]) -> tuple[Any, str]:
        endpoint = endpoints.choose_kinds(options["id"], options["kinds"])
        words = f"Endpoint {endpoint.pk} is told of {', '.join(endpoint.kinds)}."
        return _as_json(endpoint), words

    def _rotate(self, options: dict[str, Any]) -> tuple[Any, str]:
        return _with_secret(endpoints.rotate_secret(options["id"], now=database_now()))

    def _enable(self, options: dict[str, Any]) -> tuple[Any, str]:
        endpoint = endpoints.switch_on(options["id"], **self._catching_up(options))
        waiting = endpoints.waiting_for(endpoint.pk)
        payload = _as_json(endpoint) | {"waiting": waiting}
        return payload, f"Endpoint {endpoint.pk} is on. {waiting} deliveries go out."

    def _catching_up(self, options: dict[str, Any]) -> dict[str, Any]:
        progress = progress_on(self.stderr, "deliveries written")
        return {"since": options["since"], "progress": progress}

    def _remove(self, options: dict[str, Any]) -> tuple[Any, str]:
        question = f"Remove endpoint {options['id']}? The deliveries that wait for it are given up."
        must_agree(question, self.stderr, yes=options["yes"])
        given_up = endpoints.remove_endpoint(options["id"], now=database_now())
        words = f"Endpoint {options['id']} was removed. {given_up} deliveries were given up."
        return {"id": options["id"], "given_up": given_up}, words


def _as_json(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.pk,
        "url": endpoint.url,
        "kinds": endpoint.kinds,
        "is_active": endpoint.is_active,
        "off_reason": endpoint.off_reason,
    }


def _with_secret(endpoint: WebhookEndpoint) -> tuple[Any, str]:
    payload = _as_json(endpoint) | {"secret": endpoint.secret}
    return payload, f"Endpoint {endpoint.pk}. Its secret, shown this once:\n{endpoint.secret}"
