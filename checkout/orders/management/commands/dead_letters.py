from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.operations import dead_letter_report as report
from checkout.orders.operations.dead_letters import Outcome, discard, list_dead_letters, redrive
from checkout.orders.queue.sqs import QUEUE_ERRORS, PaymentsQueue, QueueMissing
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import (
    add_by,
    add_json,
    add_reason,
    add_yes,
    as_json,
    must_agree,
    progress_on,
)


class Command(BaseCommand):
    help = (
        "Handle the messages that the workers gave up. `list` and `show` read them, which hides "
        "them from other readers for a minute at most. `redrive` writes a new message for the "
        "order and then deletes the dead letter; you may kill and repeat it at any moment. "
        "`discard` deletes a dead letter. Both ask first and leave a note with the order. Dead "
        "letters of another installation on the same queue are shown and left alone. Where this "
        "database has lost the order, as after a backup was restored, the body of the dead letter "
        "names the order's reference."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True, metavar="list|show|redrive|discard")
        listing = acts.add_parser(
            "list", help="List all dead letters, and what is known of their orders."
        )
        showing = acts.add_parser("show", help="Show one dead letter with its body.")
        showing.add_argument("id", help="The id that `list` shows, or SQS's message id.")
        driving = acts.add_parser("redrive", help="Have the workers try again.")
        which = driving.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "ids", nargs="*", default=[], metavar="id", help="The ids that `list` shows."
        )
        which.add_argument(
            "--all", action="store_true", help="Redrive every dead letter that can be."
        )
        add_reason(driving)
        throwing = acts.add_parser("discard", help="Delete a dead letter for good.")
        throwing.add_argument("id", help="The id that `list` shows, or SQS's message id.")
        add_reason(throwing, required=True)
        for act in (listing, showing, driving, throwing):
            add_json(act)
        for act in (driving, throwing):
            add_by(act)
            add_yes(act)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['act']}")(PaymentsQueue.connect(), options)
        except QueueMissing as error:
            raise CommandError(str(error)) from error
        except QUEUE_ERRORS as error:
            raise CommandError(f"SQS does not answer ({type(error).__name__}).") from error

    def _list(self, queue: PaymentsQueue, options: dict[str, Any]) -> None:
        found = list_dead_letters(queue, progress=progress_on(self.stderr, "letters read"))
        self.stdout.write(as_json(found) if options["json"] else report.letters_as_table(found))

    def _show(self, queue: PaymentsQueue, options: dict[str, Any]) -> None:
        for letter in list_dead_letters(queue).letters:
            if options["id"] in (letter.id, letter.message_id):
                text = report.letter_as_text(letter)
                self.stdout.write(as_json(letter) if options["json"] else text)
                return
        raise CommandError("No dead letter of that id can be read now.")

    def _redrive(self, queue: PaymentsQueue, options: dict[str, Any]) -> None:
        which = "all dead letters" if options["all"] else f"{len(options['ids'])} dead letters"
        question = f"Redrive {which}? Their orders may be charged or refunded."
        must_agree(question, self.stderr, yes=options["yes"])
        outcomes = redrive(
            queue,
            None if options["all"] else options["ids"],
            by=options["by"],
            reason=options["reason"] or "",
            now=database_now(),
            progress=progress_on(self.stderr, "letters redriven"),
        )
        self._tell(outcomes, options)

    def _discard(self, queue: PaymentsQueue, options: dict[str, Any]) -> None:
        must_agree("Delete this dead letter for good?", self.stderr, yes=options["yes"])
        now, by = database_now(), options["by"]
        outcome = discard(queue, options["id"], by=by, reason=options["reason"], now=now)
        self._tell([outcome], options)

    def _tell(self, outcomes: list[Outcome], options: dict[str, Any]) -> None:
        failed = sum(not outcome.is_good for outcome in outcomes)
        result = {"letters": outcomes, "failed": failed}
        words = report.outcomes_as_table(outcomes)
        self.stdout.write(as_json(result) if options["json"] else words)
        if failed:
            raise CommandError(
                f"{failed} of {len(outcomes)} dead letters are still there and need a person."
            )
