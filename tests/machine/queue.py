"""The payments queue inside the test's own process: SQS's rules, no network, a clock of its own."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from itertools import count

from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from django.conf import settings

from checkout.orders.queue.setup import COMMON_ATTRIBUTES, MAX_RECEIVE_COUNT
from checkout.orders.queue.sqs import BATCH, Incoming, Outgoing, PaymentsQueue
from config.local.sqs_double.fifo import FifoQueue, HandleRefused, Message, NotInFlight
from tests.machine.hands import stop_here

WORKING, DEAD = "payments.fifo", "payments-dead-letters.fifo"

ATTRIBUTES = COMMON_ATTRIBUTES | {"DelaySeconds": "0"}


class Trouble(Enum):
    """What meets the next batch that is sent."""

    UNREACHABLE = "nothing was sent"
    REPLY_LOST = "sent, and the sender is not told"
    PARTLY_TAKEN = "only the first of the batch is taken"


class InProcessQueue(PaymentsQueue):
    def __init__(self, clock: Callable[[], float]) -> None:
        self.url = "in-process"
        self.troubles: deque[Trouble] = deque()
        self.delivered: list[Incoming] = []
        self._clock = clock
        sequence = count(1)
        self._dead = self._fifo(DEAD, {}, sequence)
        redrive = f'{{"deadLetterTargetArn": "{DEAD}", "maxReceiveCount": {MAX_RECEIVE_COUNT}}}'
        self._fifo_queue = self._fifo(WORKING, {"RedrivePolicy": redrive}, sequence)

    def _fifo(self, name: str, more: dict[str, str], sequence: "count[int]") -> FifoQueue:
        return FifoQueue(
            name,
            ATTRIBUTES | more,
            dead_letters=lambda arn: self._dead,
            note=lambda what, **particulars: None,
            sequence=sequence,
            created_at=self._clock(),
        )

    def send(self, messages: Sequence[Outgoing]) -> set[int]:
        stop_here("before send")
        trouble = self.troubles.popleft() if self.troubles else None
        if trouble is Trouble.UNREACHABLE:
            raise EndpointConnectionError(endpoint_url=self.url)
        taken = messages[:1] if trouble is Trouble.PARTLY_TAKEN else messages
        for message in taken:
            self._fifo_queue.send(
                message.body,
                group=message.group,
                deduplication_id=message.deduplication_id,
                attributes={},
                now=self._clock(),
            )
        stop_here("after send")
        if trouble is Trouble.REPLY_LOST:
            raise ReadTimeoutError(endpoint_url=self.url)
        return set(range(len(taken)))

    def receive(
        self,
        *,
        at_most: int,
        wait_seconds: int,
        attempt_id: str = "",
        hide_seconds: int | None = None,
    ) -> list[Incoming]:
        received = [
            Incoming(
                id=message.id,
                body=message.body,
                receipt_handle=message.handle,
                receive_count=message.receives,
            )
            for message in self._fifo_queue.receive(
                at_most=min(at_most, BATCH),
                visibility_seconds=settings.MESSAGE_VISIBILITY_SECONDS,
                now=self._clock(),
            )
        ]
        self.delivered += received
        return received

    def can_be_received(self) -> bool:
        return self._fifo_queue.can_be_received(self._clock())

    def delete(self, receipt_handles: Sequence[str]) -> int:
        return self._refused(
            lambda handle: self._fifo_queue.delete(handle, now=self._clock()), receipt_handles
        )

    def change_visibility(self, receipt_handles: Iterable[str], *, seconds: int) -> int:
        return self._refused(
            lambda handle: self._fifo_queue.change_visibility(handle, seconds, now=self._clock()),
            receipt_handles,
        )

    def _refused(self, act: Callable[[str], None], handles: Iterable[str]) -> int:
        refused = 0
        for handle in handles:
            try:
                act(handle)
            except (HandleRefused, NotInFlight, ValueError):
                refused += 1
        return refused

    def show_early(self, handle: str) -> None:
        """Delivered to a second worker while the first is still at it."""
        for message in self._fifo_queue.in_hand([handle]):
            self._fifo_queue.show_early(message, self._clock())

    def purge(self) -> None:
        self._fifo_queue.purge(self._clock())

    def waiting(self) -> list[Message]:
        """Received or not, but not yet deleted."""
        return self._fifo_queue.messages(self._clock())

    def dead_letters(self) -> list[Message]:
        return self._dead.messages(self._clock())
