"""Dead letters: the messages that the workers gave up, and what a person does about them.

The outbox redrives a dead letter: a new generation of the message and a note that this dead letter
caused it are committed together, and only then is the dead letter deleted. A command that is killed
in between is repeated, finds the note and only deletes. SQS's own redrive would bring back the old
message, which the outbox does not know.

Reading hides dead letters for a while, from other readers too. In the end they are shown again.
"""

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from django.db import transaction

from checkout.orders.history import note_staff
from checkout.orders.identity.matching import names_another, orders_named
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.orders.numbers import parse_order_number
from checkout.orders.outbox.enqueue import publish_again
from checkout.orders.outbox.messages import FutureVersion, OrderMessage, PoisonMessage, decode
from checkout.orders.outbox.sweep import put_off_sweep
from checkout.orders.queue.sqs import BATCH, QUEUE_ERRORS, Incoming, PaymentsQueue
from checkout.orders.states import EXPIRING, UNSETTLED
from checkout.runtime.faultpoints import fault_points
from checkout.runtime.terminal import Progress

logger = logging.getLogger(__name__)

# A reader that was killed hides dead letters from others for no longer than this.
HIDE_SECONDS = 60

# Reading ends before the first dead letters are visible again, so that a list shows each once.
LIST_SECONDS = 40

# A poll that waits asks all of SQS's servers; one that does not asks only some.
WAIT_SECONDS = 1

# SQS lets a FIFO queue have 120,000 messages in flight.
READ_AT_MOST = 100_000


ANOTHERS = "of another installation, whose people see to it"
LOST = "of an order that this installation placed and its database has lost"


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    id: str  # short, for people; the same whenever the dead letter is read
    message_id: str
    order: str  # the order's number; empty when the dead letter names none
    kind: str
    generation: int | None
    receive_count: int
    first_sent_at: datetime | None
    order_status: str
    why: str  # the last event that is known of the order
    problem: str  # why it cannot be redriven; empty when it can be
    is_anothers: bool  # it belongs to another installation on the same queue: leave it
    body: str
    order_id: int | None = field(repr=False)  # in our database

    def __str__(self) -> str:
        return f"Dead letter {self.id}"


@dataclass(frozen=True, kw_only=True)
class Letters:
    letters: list[DeadLetter]
    # SQS's approximate count of those that could not be read. Another reader has them in hand, or
    # they stand behind ten of their message group, which SQS shows only when those are gone.
    unread: int


class Done(Enum):
    QUEUED = "queued again"
    WAITING = "a message for the order waits already, letter removed"
    ALREADY = "was queued again before, letter removed"
    NOTHING_LEFT = "nothing left to do, letter removed"
    DISCARDED = "discarded"
    IMPOSSIBLE = "cannot be redriven"
    ANOTHERS = "left alone"
    KEPT = "done, but SQS did not delete the letter: repeat this"
    NOT_FOUND = "no such letter can be read"


LEFT_THERE = frozenset({Done.IMPOSSIBLE, Done.ANOTHERS})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    id: str
    order: str = ""
    kind: str = ""
    done: Done
    problem: str = ""

    @property
    def is_good(self) -> bool:
        return self.done not in {*LEFT_THERE, Done.KEPT, Done.NOT_FOUND}


def list_dead_letters(queue: PaymentsQueue, *, progress: Progress = lambda count: None) -> Letters:
    """`queue` is the payments queue, here and below. Raises what boto3 raises."""
    end = time.monotonic() + LIST_SECONDS
    letters: list[DeadLetter] = []
    with closing(Reading(queue.dead_letter_queue())) as reading:
        for batch in reading.batches():
            letters += _describe(batch)
            progress(len(letters))
            if time.monotonic() >= end:
                break
        unread = max(0, reading.queue.counts().all - len(letters))
    return Letters(letters=letters, unread=unread)


def redrive(
    queue: PaymentsQueue,
    ids: Collection[str] | None,
    *,
    by: str,
    reason: str = "",
    now: datetime,
    progress: Progress = lambda count: None,
) -> list[Outcome]:
    """Have the workers try again. `ids` of None means every dead letter that can be redriven."""
    return _act_on(queue, ids, lambda letter: _redrive(letter, by, reason, now), progress)


def discard(queue: PaymentsQueue, id_: str, *, by: str, reason: str, now: datetime) -> Outcome:
    """Delete a dead letter for good. The sweep still publishes what its order needs."""
    [outcome] = _act_on(queue, [id_], lambda letter: _discard(letter, by, reason, now))
    return outcome


def _act_on(
    queue: PaymentsQueue,
    ids: Collection[str] | None,
    act: Callable[[DeadLetter], Done],
    progress: Progress = lambda count: None,
) -> list[Outcome]:
    missing = set(ids or ())
    outcomes: list[Outcome] = []
    with closing(Reading(queue.dead_letter_queue())) as reading:
        for batch in reading.batches():
            for letter in _describe(batch):
                names = {letter.id, letter.message_id}
                if ids is not None and not names & missing:
                    continue
                missing -= names
                done = act(letter)
                if done not in LEFT_THERE and not reading.delete(letter.message_id):
                    done = Done.KEPT
                problem = letter.problem if done in LEFT_THERE else ""
                about = {"id": letter.id, "order": letter.order, "kind": letter.kind}
                outcomes.append(Outcome(**about, done=done, problem=problem))
            progress(len(outcomes))
            if ids is not None and not missing:
                break
    return outcomes + [Outcome(id=id_, done=Done.NOT_FOUND) for id_ in sorted(missing)]


def _redrive(letter: DeadLetter, by: str, reason: str, now: datetime) -> Done:
    if letter.problem:
        return Done.ANOTHERS if letter.is_anothers else Done.IMPOSSIBLE
    with transaction.atomic():
        # The lock makes two people who redrive the same dead letter wait for each other's note.
        order = Order.objects.select_for_update().get(pk=letter.order_id or 0)
        if _notes_of(order, letter):
            return Done.ALREADY
        if not _is_anything_left(order, letter.kind):
            done = Done.NOTHING_LEFT
        elif publish_again(order.pk, letter.kind, now=now):
            done = Done.QUEUED
            put_off_sweep(order.pk, now=now)
        else:
            done = Done.WAITING
        note_staff(order.pk, f"{letter}: {done.value}", by=by, why=reason, now=now)
    logger.info("A dead letter was redriven", extra={"order": letter.order, "action": done.value})
    return done


def _discard(letter: DeadLetter, by: str, reason: str, now: datetime) -> Done:
    if letter.is_anothers:
        return Done.ANOTHERS
    with transaction.atomic():
        order = Order.objects.select_for_update().filter(pk=letter.order_id or 0).first()
        if order and not _notes_of(order, letter):
            note_staff(order.pk, f"{letter}: discarded", by=by, why=reason, now=now)
    logger.warning(
        "A dead letter was discarded",
        extra={"order": letter.order, "letter": letter.id, "by": by, "reason": reason},
    )
    return Done.DISCARDED


def _notes_of(order: Order, letter: DeadLetter) -> bool:
    """Whether a command has acted on this dead letter, and was killed before it deleted it."""
    noted = order.events.filter(kind=OrderEvent.Kind.STAFF, reason__startswith=str(letter))
    return noted.exists()


def _is_anything_left(order: Order, kind: str) -> bool:
    match kind:
        case OutboxMessage.Kind.SETTLE_PAYMENT:
            return order.status in UNSETTLED
        case OutboxMessage.Kind.CANCEL_ORDER:
            return order.status in EXPIRING
        case _:  # a question to the gateway, or refunds, which only the worker knows of
            return True


def _describe(batch: list[Incoming]) -> list[DeadLetter]:
    contents = [_read_body(message.body) for message in batch]
    orders = _orders_of([content.order for content, _ in contents if content])
    whys = _last_known(orders.values())
    written = _written(orders.values())
    letters = []
    for message, (content, problem) in zip(batch, contents, strict=True):
        order = orders.get(content.order) if content else None
        is_anothers = content is not None and names_another(content.order)
        if is_anothers:
            problem = ANOTHERS
        elif content and order is None:
            problem = LOST if content.order.installation else "no order has this number"
        elif content and content.kind not in OutboxMessage.Kind.values:
            problem = "of a kind that this release does not know"
        about = (content.order.number, content.kind) if content else ("", "")
        letters.append(
            DeadLetter(
                id=_short(message.id),
                message_id=message.id,
                order=about[0],
                kind=about[1],
                generation=content.generation if content else None,
                receive_count=message.receive_count,
                first_sent_at=_first_sent(
                    message.sent_at, written.get((order.pk, about[1]), []) if order else []
                ),
                order_status=order.status if order else "",
                why=whys.get(order.pk, "") if order else problem,
                problem=problem,
                is_anothers=is_anothers,
                body=message.body,
                order_id=order.pk if order else None,
            )
        )
    return letters


def _orders_of(named: Collection[OrderIdentity]) -> dict[OrderIdentity, Order]:
    """Find orders by reference and installation, or by the number alone where a message of an older
    release has nothing else."""
    by_reference = {order.reference: order for order in orders_named(named)}
    numbers = [
        one.number
        for one in named
        if not one.installation and parse_order_number(one.number) == one.number
    ]
    by_number = {order.number: order for order in Order.objects.filter(number__in=numbers)}
    found = {
        one: by_reference.get(one.reference) if one.installation else by_number.get(one.number)
        for one in named
        if not names_another(one)
    }
    return {one: order for one, order in found.items() if order}


def _read_body(body: str) -> tuple[OrderMessage | None, str]:
    try:
        return decode(body), ""
    except PoisonMessage as error:
        return None, str(error)
    except FutureVersion:
        return None, "of a newer release"


def _last_known(orders: Collection[Order]) -> dict[int, str]:
    """The reason why a person must look at each order, or else the last event of the order."""
    events = (
        OrderEvent.objects.filter(order__in=[order.pk for order in orders])
        .exclude(kind=OrderEvent.Kind.MAILED)
        .order_by("order_id", "-id")
        .distinct("order_id")
        .values_list("order_id", "reason")
    )
    whys = dict(events)
    return {order.pk: order.needs_person or whys.get(order.pk, "") for order in orders}


def _written(orders: Collection[Order]) -> dict[tuple[int, str], list[datetime]]:
    times: defaultdict[tuple[int, str], list[datetime]] = defaultdict(list)
    for message in OutboxMessage.objects.filter(order__in=orders):
        times[message.order_id, message.kind].append(message.created_at)
    return times


def _first_sent(sent_at: datetime | None, written: list[datetime]) -> datetime | None:
    """SQS counts a dead letter's time from when it was moved to the dead-letter queue (Developer
    Guide, "Using dead-letter queues"). The newest message that was written before is this one."""
    before = [moment for moment in written if sent_at is None or moment <= sent_at]
    return max(before, default=sent_at)


def _short(message_id: str) -> str:
    """Return twelve hexadecimal digits. A whole id may look like the number of a card."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:12]


@dataclass
class Reading:
    queue: PaymentsQueue
    held: dict[str, str] = field(default_factory=dict)  # message id → its newest receipt handle
    seen: set[str] = field(default_factory=set)

    def batches(self) -> Iterator[list[Incoming]]:
        """Read each once, until SQS shows none, or must have shown all that are held again."""
        in_vain = 0
        while in_vain <= len(self.held) // BATCH + 1 and len(self.seen) < READ_AT_MOST:
            batch = self.queue.receive(
                at_most=BATCH, wait_seconds=WAIT_SECONDS, hide_seconds=HIDE_SECONDS
            )
            if not batch:
                return
            fresh = list({m.id: m for m in batch if m.id not in self.seen}.values())
            self.held |= {message.id: message.receipt_handle for message in batch}
            self.seen |= {message.id for message in batch}
            in_vain = 0 if fresh else in_vain + 1
            if fresh:
                yield fresh

    def delete(self, message_id: str) -> bool:
        with fault_points("dead letter deleted"):
            failed = self.queue.delete([self.held[message_id]])
        if not failed:
            del self.held[message_id]
        return not failed

    def close(self) -> None:
        """Show again what is still held."""
        try:
            self.queue.change_visibility(self.held.values(), seconds=0)
        except QUEUE_ERRORS as error:
            logger.warning(
                "Letters stay hidden for a minute", extra={"error": type(error).__name__}
            )
