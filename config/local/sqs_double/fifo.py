"""One FIFO queue as the Amazon SQS Developer Guide describes it, without a network and a clock.

Every step takes the time as an argument. A step costs the same with ten messages and with a
hundred thousand: whatever time brings about waits in heaps, and groups that can be received from
stand in a line of their own.
"""

import heapq
import json
import secrets
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

# "Exactly-once processing in Amazon SQS" (Developer Guide).
DEDUPLICATION_SECONDS = 300

# ReceiveMessage (API Reference), ReceiveRequestAttemptId.
ATTEMPT_SECONDS = 300

# "Amazon SQS visibility timeout" (Developer Guide): counted from the receive.
LONGEST_INVISIBLE_SECONDS = 12 * 60 * 60

# "Amazon SQS FIFO queue quotas" (Developer Guide).
MOST_IN_FLIGHT = 120_000

# Writes into the journal what was done, with its particulars.
Note = Callable[..., None]


class HandleRefused(Exception):
    """The receipt handle is not one of this queue's, or not the one of the latest receive."""


class NotInFlight(Exception):
    """The message waits for a receive: there is no visibility to change."""


@dataclass(eq=False)
class Message:
    body: str
    group: str
    deduplication_id: str
    attributes: dict[str, Any]
    sequence: int
    sent_at: float
    visible_at: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receives: int = 0
    first_received_at: float = 0
    received_at: float = 0
    handle: str = ""  # of the latest receive
    invisible_until: float = 0  # 0: not in flight
    dead_letter_source: str = ""
    is_gone: bool = False

    @property
    def sequence_number(self) -> str:
        return f"{self.sequence:020d}"


@dataclass
class _Group:
    waiting: OrderedDict[int, Message] = field(default_factory=OrderedDict)  # in flight ones too
    in_flight: int = 0


@dataclass(frozen=True)
class _Attempt:
    until: float
    handles: list[tuple[Message, str]]


class FifoQueue:
    def __init__(
        self,
        name: str,
        attributes: dict[str, str],
        *,
        dead_letters: Callable[[str], "FifoQueue | None"],
        note: Note,
        sequence: "count[int]",
        created_at: float,
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.created_at = created_at
        self.changed_at = created_at
        self.purged_at = float("-inf")
        self.tags: dict[str, str] = {}
        self._dead_letters = dead_letters
        self._note = note
        self._sequence = sequence
        self._groups: dict[str, _Group] = {}
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._messages: dict[int, Message] = {}
        self._in_order: deque[Message] = deque()  # as sent, for the end of their retention
        self._lapses: list[tuple[float, int]] = []
        self._delayed: list[tuple[float, int]] = []
        self._sent: OrderedDict[tuple[str, str], tuple[float, Message]] = OrderedDict()
        self._attempts: dict[str, _Attempt] = {}
        self._in_flight = 0
        # Ends each receipt handle, so that no other queue takes it for one of a deleted message.
        self._signature = "-" + secrets.token_urlsafe(6)

    # --- What its attributes say --------------------------------------------------------------

    def number(self, attribute: str) -> int:
        return int(self.attributes[attribute])

    @property
    def deduplicates_by_content(self) -> bool:
        return self.attributes["ContentBasedDeduplication"] == "true"

    @property
    def redrive(self) -> tuple[str, int] | None:
        """The dead-letter queue's ARN and the receives after which a message goes there."""
        policy = json.loads(self.attributes.get("RedrivePolicy") or "{}")
        if not policy:
            return None
        return policy["deadLetterTargetArn"], int(policy["maxReceiveCount"])

    def counts(self, now: float) -> tuple[int, int, int]:
        """Visible, in flight, delayed."""
        self.pass_time(now)
        delayed = len(self._delayed)
        return len(self._messages) - self._in_flight - delayed, self._in_flight, delayed

    def messages(self, now: float) -> list[Message]:
        self.pass_time(now)
        return list(self._messages.values())

    # --- Sending ------------------------------------------------------------------------------

    def send(
        self,
        body: str,
        *,
        group: str,
        deduplication_id: str,
        attributes: dict[str, Any],
        now: float,
        late_by: float = 0,
    ) -> Message:
        """Take the message in, or answer the one that was sent under this id within five minutes,
        deleted or not."""
        self.pass_time(now)
        key = self._deduplication_key(group, deduplication_id)
        if key in self._sent:
            known = self._sent[key][1]
            self._note("deduplicated", queue=self.name, message=known.id, group=group)
            return known
        message = Message(
            body=body,
            group=group,
            deduplication_id=deduplication_id,
            attributes=attributes,
            sequence=next(self._sequence),
            sent_at=now,
            visible_at=now + self.number("DelaySeconds") + late_by,
        )
        self._sent[key] = (now + DEDUPLICATION_SECONDS, message)
        self._note(
            "sent",
            queue=self.name,
            message=message.id,
            group=group,
            deduplication_id=deduplication_id,
            body=body,
        )
        self._put(message, now)
        return message

    def take_dead_letter(self, message: Message, *, source: str, now: float) -> None:
        """The deduplication id is replaced by the message id, the time of sending starts anew
        ("Using dead-letter queues in Amazon SQS", Developer Guide)."""
        self._put(
            Message(
                body=message.body,
                group=message.group,
                deduplication_id=message.id,
                attributes=message.attributes,
                sequence=next(self._sequence),
                sent_at=now,
                visible_at=now,
                id=message.id,
                receives=message.receives,
                first_received_at=message.first_received_at,
                dead_letter_source=source,
            ),
            now,
        )

    def _deduplication_key(self, group: str, deduplication_id: str) -> tuple[str, str]:
        by_group = self.attributes["DeduplicationScope"] == "messageGroup"
        return (group if by_group else "", deduplication_id)

    def _put(self, message: Message, now: float) -> None:
        self._messages[message.sequence] = message
        self._in_order.append(message)
        group = self._groups.setdefault(message.group, _Group())
        group.waiting[message.sequence] = message
        if message.visible_at > now:
            heapq.heappush(self._delayed, (message.visible_at, message.sequence))
        self._look_at(message.group, now)

    # --- Receiving ----------------------------------------------------------------------------

    def receive(
        self, *, at_most: int, visibility_seconds: float, now: float, attempt_id: str = ""
    ) -> list[Message]:
        self.pass_time(now)
        if attempt_id and (again := self._same_attempt(attempt_id, visibility_seconds, now)):
            return again
        received: list[Message] = []
        for _ in range(len(self._ready)):
            if len(received) >= at_most or self._in_flight >= MOST_IN_FLIGHT:
                break
            name, _ = self._ready.popitem(last=False)
            group = self._groups[name]
            for message in list(_first(group.waiting.values(), at_most - len(received))):
                if message.visible_at > now:
                    break  # and so is whatever follows it in its group
                if self._is_spent(message):
                    self._move_to_dead_letters(message, now)
                    continue
                self._hand_out(message, group, visibility_seconds, now)
                received.append(message)
            self._look_at(name, now)
        if attempt_id:
            handles = [(message, message.handle) for message in received]
            self._attempts[attempt_id] = _Attempt(now + ATTEMPT_SECONDS, handles)
        return received

    def can_be_received(self, now: float) -> bool:
        self.pass_time(now)
        return bool(self._ready)

    def next_change(self) -> float | None:
        """When time alone may make a message receivable."""
        times = [heap[0][0] for heap in (self._lapses, self._delayed) if heap]
        return min(times, default=None)

    def _hand_out(self, message: Message, group: _Group, seconds: float, now: float) -> None:
        message.receives += 1
        message.first_received_at = message.first_received_at or now
        message.received_at = now
        token = secrets.token_urlsafe(24)
        message.handle = f"{message.sequence}.{message.receives}.{token}{self._signature}"
        self._note(
            "received",
            queue=self.name,
            message=message.id,
            group=message.group,
            receives=message.receives,
        )
        if seconds > 0:
            group.in_flight += 1
            self._in_flight += 1
            self._hide(message, now + seconds)

    def _same_attempt(self, attempt_id: str, seconds: float, now: float) -> list[Message]:
        """The answer of an earlier receive whose reply was lost: the same messages under the same
        handles, hidden anew, as long as nothing was done with any of them."""
        attempt = self._attempts.get(attempt_id)
        if attempt is None or attempt.until <= now or not attempt.handles:
            return []
        for message, handle in attempt.handles:
            if message.is_gone or message.handle != handle or not message.invisible_until:
                return []
        for message, _ in attempt.handles:
            self._hide(message, now + seconds)
        return [message for message, _ in attempt.handles]

    def _is_spent(self, message: Message) -> bool:
        redrive = self.redrive
        return (
            redrive is not None
            and message.receives >= redrive[1]
            and self._dead_letters(redrive[0]) is not None
        )

    def _move_to_dead_letters(self, message: Message, now: float) -> None:
        redrive = self.redrive
        target = self._dead_letters(redrive[0]) if redrive else None
        assert target
        self._drop(message)
        self._note("moved", queue=self.name, to=target.name, message=message.id)
        target.take_dead_letter(message, source=self.name, now=now)

    # --- With a receipt handle ----------------------------------------------------------------

    def delete(self, handle: str, *, now: float) -> None:
        self.pass_time(now)
        message = self._named_by(handle)
        if message and not message.invisible_until:
            raise HandleRefused  # the visibility timeout is over
        if message:
            self._note("deleted", queue=self.name, message=message.id, group=message.group)
            self._drop(message)
            self._look_at(message.group, now)

    def deliver_again(self, handle: str, *, now: float) -> bool:
        """A fault: a message that was received once is not deleted, and comes a second time."""
        self.pass_time(now)
        message = self._named_by(handle)
        if message is None or message.receives > 1 or not message.invisible_until:
            return False
        self._note("delivered twice", queue=self.name, message=message.id, group=message.group)
        self.show_early(message, now)
        return True

    def forget(self, message: Message, *, now: float) -> None:
        """Taken out without a receipt handle, by SQS itself."""
        self._drop(message)
        self._look_at(message.group, now)

    def change_visibility(self, handle: str, seconds: float, *, now: float) -> None:
        self.pass_time(now)
        message = self._named_by(handle)
        if message is None or not message.invisible_until:
            raise NotInFlight
        if now + seconds > message.received_at + LONGEST_INVISIBLE_SECONDS:
            raise ValueError("Total VisibilityTimeout for the message is beyond the limit")
        for attempt_id, attempt in list(self._attempts.items()):
            if any(held == handle for _, held in attempt.handles):
                del self._attempts[attempt_id]
        self._note("hidden", queue=self.name, message=message.id, seconds=seconds)
        self._hide(message, now + seconds)
        self.pass_time(now)

    def in_hand(self, handles: Iterable[str]) -> list[Message]:
        found = [self._messages.get(int(handle.partition(".")[0])) for handle in handles]
        return [message for message in found if message]

    def show_early(self, message: Message, at: float) -> None:
        """A fault: its visibility ends before it should, whatever its receiver does."""
        if message.invisible_until:
            self._hide(message, at)

    def _named_by(self, handle: str) -> Message | None:
        """None: it was deleted before, which is fine."""
        sequence, _, rest = handle.partition(".")
        if not sequence.isdecimal() or not rest.endswith(self._signature):
            raise HandleRefused
        message = self._messages.get(int(sequence))
        if message and message.handle != handle:
            raise HandleRefused
        return message

    # --- Time ---------------------------------------------------------------------------------

    def pass_time(self, now: float) -> None:
        """Whatever was to happen by now, happens."""
        while self._sent and next(iter(self._sent.values()))[0] <= now:
            self._sent.popitem(last=False)
        while self._delayed and self._delayed[0][0] <= now:
            _, sequence = heapq.heappop(self._delayed)
            if message := self._messages.get(sequence):
                self._look_at(message.group, now)
        while self._lapses and self._lapses[0][0] <= now:
            at, sequence = heapq.heappop(self._lapses)
            message = self._messages.get(sequence)
            if message and message.invisible_until == at:
                message.invisible_until = 0
                self._in_flight -= 1
                self._groups[message.group].in_flight -= 1
                self._note("lapsed", queue=self.name, message=message.id, group=message.group)
                self._look_at(message.group, now)
        oldest = now - self.number("MessageRetentionPeriod")
        while self._in_order and (self._in_order[0].is_gone or self._in_order[0].sent_at < oldest):
            message = self._in_order.popleft()
            if not message.is_gone:
                self._note("expired", queue=self.name, message=message.id, group=message.group)
                self._drop(message)
                self._look_at(message.group, now)
        for attempt_id in [key for key, made in self._attempts.items() if made.until <= now]:
            del self._attempts[attempt_id]

    def purge(self, now: float) -> int:
        """Everything goes, in flight or not. The deduplication ids stay known."""
        purged = len(self._messages)
        self._note("purged", queue=self.name, count=purged)
        for message in self._messages.values():
            message.is_gone = True
        for held in (self._messages, self._groups, self._ready, self._in_order):
            held.clear()
        self._lapses.clear()
        self._delayed.clear()
        self._in_flight = 0
        self.purged_at = now
        return purged

    def _hide(self, message: Message, until: float) -> None:
        message.invisible_until = until
        heapq.heappush(self._lapses, (until, message.sequence))

    def _drop(self, message: Message) -> None:
        message.is_gone = True
        del self._messages[message.sequence]
        group = self._groups[message.group]
        del group.waiting[message.sequence]
        if message.invisible_until:
            message.invisible_until = 0
            group.in_flight -= 1
            self._in_flight -= 1
        if not group.waiting:
            del self._groups[message.group]
            self._ready.pop(message.group, None)

    def _look_at(self, name: str, now: float) -> None:
        """Into the line or out of it: a group with a message in flight is locked."""
        group = self._groups.get(name)
        head = next(iter(group.waiting.values()), None) if group else None
        if group and head and not group.in_flight and head.visible_at <= now:
            self._ready.setdefault(name)
        else:
            self._ready.pop(name, None)


def _first(messages: Iterable[Message], most: int) -> Iterable[Message]:
    for _, message in zip(range(most), messages, strict=False):
        yield message
