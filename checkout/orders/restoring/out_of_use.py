"""What of orders could be lost after a backup was restored; see `acts_twice`."""

from django.db.models import F

from checkout.orders.models import OutboxMessage
from checkout.orders.restoring.acts_twice import OutOfUse, register

# No message is published on purpose so often.
FURTHER = 1_000


def renew_messages() -> int:
    """What waits here may have been sent since, and SQS would drop it as a repetition of that. Each
    message may come twice, so all of them are sent under another generation."""
    waiting = OutboxMessage.objects.filter(published_at=None)
    return waiting.update(generation=F("generation") + FURTHER, claimed_until=None)


register(OutOfUse(what="messages that wait, under their old names", put=renew_messages))
