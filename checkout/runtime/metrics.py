"""Figures for Prometheus, counted after the commit: none is ahead of what is stored.

A web server of several processes needs `PROMETHEUS_MULTIPROC_DIR`, an empty folder of its own (see
prometheus-client, "Multiprocess Mode"); without it each process shows its own figures alone.
"""

import os

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Seconds. From a database's millisecond to a gateway's minute and an outage's hour.
FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SLOW = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600)

# --- Counted where it happens ---------------------------------------------------------------------

ORDERS_PLACED = Counter("shop_orders_placed", "Orders stored.")
RESUBMISSIONS = Counter(
    "shop_resubmissions_absorbed",
    "Presses that came again and made no second order.",
    ["content"],  # same, changed
)
LIMITS_REACHED = Counter("shop_limits_reached", "Presses put off.", ["limit", "scope"])
PUBLISHED = Counter("shop_messages_published", "Messages that SQS took.")
PUBLISH_SECONDS = Histogram(
    "shop_publish_seconds", "From a message's due time until SQS took it.", buckets=SLOW
)
HANDLED = Counter("shop_messages_handled", "Messages by what became of them.", ["outcome"])
HANDLE_SECONDS = Histogram(
    "shop_handle_seconds", "A worker's work on one message.", ["kind"], buckets=FAST
)
OUTCOMES = Counter(
    "shop_payment_outcomes",
    "Payments recorded: paid, declined, needs_action, and surplus, which is a second charge.",
    ["outcome"],
)
PAID_SECONDS = Histogram(
    "shop_order_paid_seconds", "From an order's placing until it was paid.", buckets=SLOW
)
ATTEMPTS = Histogram(
    "shop_payment_attempts",
    "How often a payment was asked about until its outcome was known.",
    buckets=(1, 2, 3, 4, 5, 7, 10, 15, 20, 30),
)
GATEWAY_SECONDS = Histogram(
    "shop_gateway_call_seconds", "Calls to the gateway.", ["step", "outcome"], buckets=FAST
)
LEASES_EXPIRED = Counter(
    "shop_leases_expired", "Payments taken over from a worker that never came back."
)
WEBHOOKS = Counter("shop_webhooks", "Events of the gateway by what became of them.", ["result"])
MAILS = Counter("shop_mails", "E-mails by what became of a try.", ["result"])
WEBHOOKS_SENT = Counter(
    "shop_webhooks_sent",
    "Webhooks to other systems by what became of a try.",
    ["result"],  # delivered, refused (another answer than 2xx), failed (none), given_up
)

# --- Looked up every few seconds, by whoever has the right to ask ---------------------------------


def _looked_up(name: str, documentation: str, *labels: str) -> Gauge:
    """A figure of the whole shop: of several processes, the one that looked last is right."""
    return Gauge(name, documentation, labels, multiprocess_mode="livemostrecent")


OUTBOX_AGE = _looked_up(
    "shop_outbox_age_seconds", "How long the oldest due message has waited for a publisher."
)
MAILS_AGE = _looked_up("shop_mails_age_seconds", "How long the oldest due e-mail has waited.")
WEBHOOKS_AGE = _looked_up(
    "shop_webhooks_age_seconds", "How long the oldest due webhook to another system has waited."
)
NEEDS_PERSON = _looked_up("shop_orders_needing_a_person", "Orders before a person.")
WAITING_TOO_LONG = _looked_up(
    "shop_orders_waiting_too_long",
    "Orders whose payment should be decided, and is not after 20 minutes.",
)
TO_SEND_AGE = _looked_up(
    "shop_to_send_age_seconds", "For how long the oldest order that is to be sent has been paid."
)
PAUSED = _looked_up("shop_payments_paused", "1 while payments are paused by hand.")
LOST_ORDERS = _looked_up(
    "shop_lost_orders",
    "Orders that the gateway or the queue names and this database does not have, not yet seen to.",
)
GATEWAY_REFUSES = _looked_up(
    "shop_gateway_refuses_shop", "1 while the gateway refuses the shop itself, such as its key."
)
# The state is waiting, in_hand or delayed.
QUEUE_MESSAGES = _looked_up(
    "shop_queue_messages", "Messages of the queue, approximately, as SQS counts them.", "state"
)
BACKLOG_PER_WORKER = _looked_up(
    "shop_backlog_per_worker", "Messages that wait in the queue, for each worker that lives."
)
DEAD_LETTERS = _looked_up("shop_dead_letters", "Messages in the dead-letter queue.")
ALIVE = Gauge(
    "shop_alive_timestamp_seconds",
    "When a process of this kind last got somewhere.",
    ["kind"],
    multiprocess_mode="max",
)


FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def process_ended(pid: int) -> None:
    """Drop what the process measured, not its counts (prometheus-client, "Multiprocess Mode")."""
    if os.environ.get(FOLDER):
        mark_process_dead(pid)  # type: ignore[no-untyped-call] # prometheus_client left it untyped


def exposition() -> bytes:
    """The figures of all processes that share this one's folder, or of this process alone."""
    if not os.environ.get(FOLDER):
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # prometheus_client left it untyped
    return generate_latest(registry)
