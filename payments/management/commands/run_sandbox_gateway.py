from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.runtime.loop import stop_signals
from checkout.user_input.whole_numbers import whole_argument
from payments.sandbox.faults import BadSpecification, Faults, parse
from payments.sandbox.ledger import LedgerError
from payments.sandbox.serving import GATEWAYS, SERVES, WEBHOOKS, sandbox_of


class Command(BaseCommand):
    help = f"{SERVES} without moving money, for demo and tests."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--of", choices=GATEWAYS, default=GATEWAYS[0], help="The gateway whose API is served."
        )
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument(
            "--port", type=whole_argument(most=65_535), required=True, help="0 takes any free port"
        )
        parser.add_argument("--webhook-url", default="", help=WEBHOOKS)
        parser.add_argument("--webhook-secret", default="", help="The secret that signs events.")
        parser.add_argument(
            "--faults",
            default="",
            help="step:fault=probability, separated by commas. Steps: open, confirm, retrieve, "
            "cancel, refund, list, *. Faults: late, silent, reset, 500, 429, 503.",
        )
        parser.add_argument(
            "--seed", type=whole_argument(), default=0, help="Repeats the same faults by chance."
        )
        parser.add_argument(
            "--ledger", type=Path, default=Path(".local/sandbox-ledger.jsonl"), help="What is kept."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG and settings.SANDBOX_GATEWAY_ALLOWED is not True:
            raise CommandError("Without DEBUG the sandbox needs SANDBOX_GATEWAY_ALLOWED=True.")
        host, port = options["host"], options["port"]
        with stop_signals() as stopping:
            try:
                server = sandbox_of(
                    options["of"],
                    host=host,
                    port=port,
                    ledger_path=options["ledger"],
                    faults=Faults(parse(options["faults"]), options["seed"]),
                    webhook_url=options["webhook_url"],
                    webhook_secret=options["webhook_secret"],
                )
            except BadSpecification as error:
                raise CommandError(f"--faults: {error}") from error
            except (OSError, OverflowError, LedgerError) as error:
                raise CommandError(f"Cannot listen on {host}:{port}: {error}") from error
            server.start()
            self.stdout.write(f"Sandbox gateway listening on {server.url}")
            stopping.wait()
            server.stop()
