"""The guards of the promise, each with the edit that takes it out and the test that must then fail.

Nothing here is believed without a run: `python -m tests.tools.guards` makes each edit in a copy of
the source and runs its test.
"""

from dataclasses import dataclass

PLACING = "checkout/orders/placing/place.py"
STATEMENT = "checkout/orders/placing/one_statement.py"
OUTBOX = "checkout/orders/outbox/publish.py"
SETTLEMENT = "payments/settling/settle_order.py"
STEPS = "payments/settling/steps/before_call.py"
PAID_AT_ONCE = "payments/settling/steps/first_charge.py"
LEASES = "payments/settling/leases.py"
STRIPE = "payments/gateways/stripe/client.py"

TEST_ADAPTER = "tests/payments/test_stripe_adapter.py"
TEST_FREE = "tests/checkout/test_free_orders.py"
TEST_REFUSALS = "tests/payments/test_refusals.py"
TEST_PLACING = "tests/orders/test_placing.py"
TEST_TWIN = "tests/checkout/test_placing_statement.py"
TEST_OUTBOX = "tests/orders/test_outbox.py"
WAKE = "checkout/orders/outbox/wake.py"
WAKE_TRIGGER = "checkout/orders/migrations/0041_wake_the_publisher.py"
TEST_WAKE = "tests/orders/test_wake.py"
TEST_RESUBMISSION = "tests/checkout/test_resubmission.py"
TEST_SETTLEMENT = "tests/payments/test_settlement.py"
TEST_FIRST_CHARGE = "tests/payments/test_first_charge.py"
TEST_WORKER = "tests/payments/test_worker.py"
TEST_DEATHS = "tests/acceptance/test_deaths.py"
TEST_WEBHOOKS = "tests/orders/test_webhooks.py"
STOCK_CHANGES = "checkout/catalogue/stock_changes.py"
TEST_STOCK = "tests/catalogue/test_stock.py"
TEST_PRODUCTS = "tests/admin/test_products.py"
TEST_STOCK_PROPERTY = (
    "tests/admin/test_stock_property.py::test_movements_are_the_stock_and_no_sale_is_undone"
)
TEST_KEY = "tests/api/test_idempotency_key.py"
FULFILMENT = "checkout/api/fulfilment/views.py"
TEST_FULFILMENT = "tests/api/test_fulfilment.py"
TEST_EXPECTED = "tests/api/test_expected_total.py"
TEST_SEEN = "tests/checkout/test_total_seen.py"
TEST_PAGE_TOTALS = "tests/totals/test_page_totals.py::test_no_order_has_another_total_than_its_page"
CODES = "checkout/orders/code_uses.py"
CANCELLING = "checkout/orders/cancelling.py"
DISPATCH_TABLES = "checkout/orders/migrations/0023_dispatch.py"
REFUND_LINES = "payments/refund_lines.py"
TEST_DISPATCH = "tests/orders/test_dispatch.py"
TEST_GOODS = "tests/admin/test_goods.py"
CAPTURE = "payments/capturing/capture.py"
SWEEP = "checkout/orders/outbox/sweep.py"
TEST_CAPTURE = "tests/payments/test_capture.py"
TEST_REFUND_LINES = "tests/payments/test_refund_lines.py"
TEST_CODES = "tests/orders/test_code_uses.py"
ISSUE = "checkout/orders/invoices/issue.py"
TEST_INVOICES = "tests/orders/invoices/test_issuing.py"
TAKE_OVER = "payments/restoring/take_over.py"
TAKE_OVER_RUN = "payments/restoring/run.py"
GIVE_UP = "payments/restoring/give_up_lost.py"
RESTORES = "checkout/orders/restoring/restores.py"
RESTORED_NUMBERS = "checkout/orders/restoring/numbers.py"
TEST_TAKE_OVER = "tests/payments/restoring/test_take_over.py"
TEST_RESTORE = "tests/payments/restoring/test_after_restore.py"
TEST_RESTORED_NUMBERS = "tests/payments/restoring/test_numbers.py"
MIGRATE = "checkout/management/commands/migrate.py"
TEST_MIGRATE = "tests/config/test_migrate_beside_the_shop.py"
TEST_GIVE_UP = "tests/payments/restoring/test_give_up_lost.py"


@dataclass(frozen=True)
class Edit:
    file: str
    old: str  # occurs in the file once
    new: str


@dataclass(frozen=True)
class Guard:
    name: str
    without: str  # what goes wrong then
    edits: tuple[Edit, ...]
    test: str  # pytest's id


def _guard(name: str, without: str, file: str, old: str, new: str, test: str) -> Guard:
    return Guard(name, without, (Edit(file, old, new),), test)


GUARDS = [
    Guard(
        "unique constraint",
        "two requests of one checkout id make two orders",
        (
            Edit(
                "checkout/orders/models/order.py",
                'models.UniqueConstraint(fields=["checkout_id"], name=CHECKOUT_UNIQUE),\n',
                "\n",
            ),
            Edit(
                "checkout/orders/migrations/0001_initial.py",
                "models.UniqueConstraint(fields=('checkout_id',), "
                "name='orders_order_checkout_uniq'), ",
                "",
            ),
            Edit(  # which the database would refuse without it
                "checkout/migrations/0002_api.py",
                "to_field='checkout_id'",
                "to_field='checkout_id', db_constraint=False",
            ),
        ),
        f"{TEST_PLACING}::test_sixteen_at_once_without_a_cart_lock_make_one_order",
    ),
    _guard(
        "insert first",
        "the loser of a race gets an error instead of the winner's order",
        PLACING,
        "if _constraint_name(error) != CHECKOUT_UNIQUE:",
        "if find_order(request.checkout_id) is None or True:",
        f"{TEST_PLACING}::test_the_constraint_alone_keeps_a_checkout_id_to_one_order",
    ),
    _guard(
        "outbox in the transaction",
        "an order whose COMMIT went unanswered is never sent to the worker",
        PLACING,
        "        ask_first(order.pk, OutboxMessage.Kind.SETTLE_PAYMENT, at=now)\n",
        """        transaction.on_commit(
            lambda: ask_first(order.pk, OutboxMessage.Kind.SETTLE_PAYMENT, at=now)
        )
""",
        f"{TEST_TWIN}::test_reply_to_commit_that_is_lost_leaves_an_order_with_its_message",
    ),
    _guard(
        "alone in its transaction",
        "an order that was acknowledged goes with the transaction around it",
        PLACING,
        "transaction.atomic(durable=True) if connection.in_atomic_block else nullcontext()",
        "transaction.atomic()",
        f"{TEST_TWIN}::test_placing_inside_a_transaction_is_refused",
    ),
    Guard(
        "outbox in the statement",
        "an order whose COMMIT went unanswered is never sent to the worker",
        (
            Edit(
                STATEMENT,
                """,
message AS (
    INSERT INTO orders_outboxmessage (order_id, kind, generation, available_at, traceparent)
    SELECT id, %(message)s, 1, %(placed_at)s, %(traceparent)s FROM new_order
)
""",
                "\n",
            ),
            Edit(
                PLACING,
                "    return order if is_placed else None\n",
                "    OutboxMessage.objects.create(order=order, kind='settle_payment', "
                "available_at=now)\n"
                "    return order if is_placed else None\n",
            ),
        ),
        "tests/acceptance/test_resubmission.py::test_connection_cut_after_commit_was_sent",
    ),
    _guard(
        "version in the statement",
        "a cart that was changed is ordered as it is now, at a total that happens to be the same",
        "checkout/cart.py",
        " AND cart.version = %(version)s",
        "",
        f"{TEST_TWIN}::test_cart_that_changes_while_the_press_waits_is_asked_about",
    ),
    _guard(
        "total in the statement",
        "the shopper pays another price than the one on the page",
        STATEMENT,
        "            AND b.price_minor = q.unit_price_minor AND b.weight_grams",
        "            AND b.weight_grams",
        f"{TEST_TWIN}::test_price_that_changes_while_the_press_waits_is_not_charged",
    ),
    _guard(
        "cart used up by the statement",
        "a second request of the same form orders again",
        "checkout/cart.py",
        "FROM new_order WHERE checkout_id = %(cart)s",
        "FROM new_order WHERE checkout_id IS NULL",
        f"{TEST_RESUBMISSION}::test_checkout_of_a_bought_cart_shows_its_order",
    ),
    _guard(
        "delete after commit",
        "a worker that dies takes its message with it",
        "payments/worker/worker.py",
        "        held = [self._in_flight.take(message) for message in messages]\n",
        "        held = [self._in_flight.take(message) for message in messages]\n"
        "        [self._in_flight.let_go(one, delete=True) for one in held]\n",
        f"{TEST_WORKER}::test_nothing_is_deleted_before_its_outcome_is_committed",
    ),
    _guard(
        "what a dead process held is given back",
        "its orders wait for the end of leases and visibility time-outs",
        "checkout/runtime/supervisor.py",
        "        if in_hand:\n",
        "        if in_hand and not in_hand:\n",
        f"{TEST_DEATHS}::test_order_in_hand_of_a_killed_child_is_paid_without_waiting_for_any_time_out",
    ),
    _guard(
        "leases of a dead process end",
        "its messages come again, and find its leases",
        "payments/worker/give_back.py",
        "            return end_leases(owner, order_numbers=order_numbers)",
        "            return 0",
        f"{TEST_DEATHS}::test_order_in_hand_of_a_killed_child_is_paid_without_waiting_for_any_time_out",
    ),
    _guard(
        "receive of a dead process",
        "what SQS hands to it after its death waits for the visibility time-out",
        "payments/worker/give_back.py",
        "    if not attempt_id:",
        "    if attempt_id:",
        f"{TEST_DEATHS}::test_message_handed_to_a_receive_whose_process_is_gone_comes_back",
    ),
    _guard(
        "a death is not counted for ever",
        "messages of processes that died five times become dead letters",
        "payments/worker/give_back.py",
        "    replaced = [message for message in tired if _replace(message)]",
        "    replaced = []",
        f"{TEST_DEATHS}::test_message_whose_processes_died_often_does_not_become_a_dead_letter",
    ),
    _guard(
        "own lease after a lost connection",
        "a restart of Postgres costs each message in hand the rest of its lease",
        LEASES,
        " | Q(lease_token=token)",
        "",
        f"{TEST_WORKER}::test_broken_connection_costs_no_receive_and_the_lease_goes_on",
    ),
    _guard(
        "leases are renewed",
        "a slow gateway has two workers settle one payment",
        "payments/worker/worker.py",
        "            renew_leases(\n",
        "            (lambda *a, **k: 0)(\n",
        f"{TEST_WORKER}::test_lease_is_renewed_while_its_worker_waits_for_the_gateway",
    ),
    _guard(
        "claims are renewed",
        "a slow mail server has two mailers send one mail",
        "checkout/runtime/claiming.py",
        "                renew(claimed, lasts=lasts)",
        "                pass",
        "tests/orders/test_claiming.py"
        "::test_mail_whose_mailer_waits_for_the_server_is_not_taken_over",
    ),
    _guard(
        "repeated receive",
        "a lost reply of SQS hides its messages",
        "payments/worker/worker.py",
        "                    attempt_id=self._in_flight.attempt_id,",
        '                    attempt_id=__import__("uuid").uuid4().hex,',
        f"{TEST_WORKER}::test_receive_whose_reply_was_lost_is_repeated_as_the_same",
    ),
    _guard(
        "placing waits for a restart",
        "a shopper reads an error while Postgres restarts",
        "checkout/orders/placing/place.py",
        "within=PATIENCE_SECONDS, at_least",
        "within=0, at_least",
        f"{TEST_PLACING}::test_restart_of_two_seconds_is_waited_for",
    ),
    _guard(
        "stored key",
        "a repeated call is another call to the gateway",
        "payments/settling/gateway_calls.py",
        "request_of(payment), idempotency_key=payment.open_key\n",
        "request_of(payment), idempotency_key=__import__('uuid').uuid4().hex\n",
        f"{TEST_SETTLEMENT}::test_worker_that_dies_before_storing_the_id_confirms_nothing_else",
    ),
    _guard(
        "no new round after unknown",
        "a second card is charged while the first may have been",
        SETTLEMENT,
        "        return _try_later(round_, PaymentStatus.UNKNOWN, error)\n    except (NotExecuted",
        '        record_decline(payment, "unknown", now=round_.now)\n'
        "        return Result.DECLINED\n"
        "    except (NotExecuted",
        f"{TEST_SETTLEMENT}::test_unknown_outcome_never_opens_a_round_for_a_new_card",
    ),
    _guard(
        "what is set aside is taken by no lease",
        "what is sent is never charged, since its payment is told to be in process",
        "payments/settling/leases.py",
        " if status != PaymentStatus.AUTHORISED]",
        "]",
        "tests/payments/test_capture.py::test_worker_that_read_the_order_before_its_price_was_set_"
        "aside_leaves_the_payment_as_it_is",
    ),
    _guard(
        "messages of one order in turn",
        "all but one of those that come together find it taken, and cost a receive more each",
        "payments/worker/worker.py",
        "        for of_one_order in by_order(held):",
        "        for of_one_order in ([one] for one in held):",
        "tests/payments/test_worker.py::test_messages_of_one_order_that_come_together_are_received_"
        "once_each",
    ),
    _guard(
        "no transaction across the gateway call",
        "a slow gateway holds row locks, and a rollback forgets a charge",
        "payments/settling/gateway_calls.py",
        "        if connection.in_atomic_block:",
        "        if False:",
        f"{TEST_SETTLEMENT}::test_settling_inside_a_transaction_is_refused",
    ),
    _guard(
        "sweep",
        "what the queue loses stays lost",
        "checkout/orders/outbox/sweep.py",
        "            .filter(sweep_at__lte=now)",
        "            .filter(sweep_at__lte=now, pk=0)",
        f"{TEST_OUTBOX}::test_order_whose_message_was_lost_is_published_again",
    ),
    _guard(
        "pause before each call",
        "payments are paused, and a settlement under way still moves money",
        "payments/settling/gateway_calls.py",
        'return "payments_are_paused" if is_paused() else ""',
        'return ""',
        "tests/payments/test_pausing.py::test_settlement_under_way_stops_before_its_next_call",
    ),
    _guard(
        "note of a redriven letter",
        "a redrive that was killed is done a second time",
        "checkout/orders/operations/dead_letters.py",
        "        if _notes_of(order, letter):\n            return Done.ALREADY\n",
        "",
        "tests/orders/test_dead_letters.py"
        "::test_redrive_that_was_killed_before_the_delete_is_finished_by_the_next",
    ),
    _guard(
        "lease by the database's clock",
        "a worker whose clock is wrong ends the lease of another",
        LEASES,
        "Q(lease_until__lt=Now())",
        "Q(lease_until__lt=__import__('django.utils.timezone').utils.timezone.now())",
        f"{TEST_SETTLEMENT}::test_clock_of_a_worker_that_is_wrong_does_not_end_a_lease",
    ),
    _guard(
        "webhook re-fetch",
        "whoever can make a webhook can make an order paid",
        "payments/receive_hint.py",
        "            if hint.is_our_own:\n                return True\n",
        "            if hint.kind == 'payment_intent.succeeded':\n"
        "                Payment.objects.filter(order=order).update(status='paid')\n"
        "                Order.objects.filter(pk=order.pk).update(status='paid')\n",
        "tests/payments/test_webhooks.py::test_claim_of_a_charge_that_never_was_pays_nothing",
    ),
    _guard(
        "refund at the payment's own gateway",
        "money is sent back by a gateway that never had it, or not at all",
        "payments/settling/gateway_calls.py",
        "answer = self.gateways.of(refund.payment).refund(",
        "answer = [*self.gateways.items()][0][1].refund(",
        "tests/payments/test_gateways.py::test_old_payment_is_refunded_where_it_was_made",
    ),
    _guard(
        "a payment's gateway is stored",
        "a shop that puts another gateway first asks that one about old payments",
        "payments/settling/settle_order.py",
        "gateway = order.gateway or gateways.first\n",
        "gateway = gateways.first\n",
        "tests/payments/test_gateways.py::test_payment_is_made_by_the_gateway_that_its_order_names",
    ),
    _guard(
        "promises that could not be asked about",
        "a gateway that is away for a day puts every debit before a person",
        SETTLEMENT,
        "        if order.status == OrderStatus.PROMISED:\n"
        "            status = PaymentStatus.PROMISED  # not to be asked is no doubt\n",
        "",
        "tests/payments/test_promised.py"
        "::test_gateway_that_does_not_answer_for_a_day_raises_no_doubt",
    ),
    _guard(
        "promises at the moment of cancelling",
        "an order is cancelled whose money is on its way",
        "payments/settling/close_payment.py",
        "    elif answer.state is GatewayState.PROMISED and _is_waited_for(payment):\n"
        "        record_promise(payment, now=calls.clock())\n",
        "",
        "tests/payments/test_promised.py"
        "::test_promise_that_the_shop_has_not_heard_of_is_not_cancelled",
    ),
    _guard(
        "debits are promises",
        "a SEPA debit is put before a person after a day, and may be paid otherwise",
        "payments/gateways/stripe/client.py",
        '    if intent.status == "processing" and _method_type(intent) in DEBITS:',
        "    if False:",
        "tests/payments/test_promised.py::test_sepa_debit_at_stripe_takes_as_long",
    ),
    _guard(
        "tokens that were used up",
        "a payment is declined that was charged before its answer was lost",
        "payments/gateways/stripe/client.py",
        "        answer = self.retrieve(payment_id)\n"
        "        if answer.state is GatewayState.OPEN:\n"
        "            raise refusal\n"
        "        return answer\n",
        "        raise refusal\n",
        "tests/payments/test_stripe_adapter.py"
        "::test_token_that_an_earlier_confirmation_used_up_is_asked_about",
    ),
    _guard(
        "what a gateway is told",
        "a repeated call is refused as another one, since staff corrected the address meanwhile",
        "payments/settling/request.py",
        "    details: Details = payment.details or {}\n",
        "    everything = Abilities(remembers_keys_for=None, wants_customer=True)\n"
        "    details: Details = details_of(payment.order, everything)\n",
        "tests/payments/test_told_to_gateways.py"
        "::test_repeated_call_is_the_same_whatever_was_corrected_meanwhile",
    ),
    _guard(
        "news whose question was lost",
        "an order whose money is here waits a day for it",
        "checkout/orders/outbox/sweep.py",
        "    unsettled.filter(sweep_at__isnull=False).update(sweep_at=sooner)\n",
        "",
        "tests/payments/bank_transfer/test_receive.py"
        "::test_money_whose_question_the_queue_lost_is_asked_for_by_the_sweep",
    ),
    _guard(
        "news whose second question was lost too",
        "an order whose money is here waits a day for it",
        "checkout/orders/outbox/sweep.py",
        "    if is_seldom or web_side_of(order).asks_every:\n        return next_sweep(now)\n",
        "    if is_seldom or web_side_of(order).asks_every:\n"
        "        return now + timedelta(days=1)\n",
        "tests/payments/test_promised.py"
        "::test_news_of_a_promise_whose_question_the_queue_lost_is_asked_for_by_the_sweep",
    ),
    _guard(
        "news that came while the worker asked",
        "what the worker heard before puts off by a day what it has not asked about",
        "checkout/orders/outbox/sweep.py",
        "    as_read = Order.objects.filter(pk=order.pk, sweep_at=order.sweep_at)\n",
        "    as_read = Order.objects.filter(pk=order.pk)\n",
        "tests/payments/bank_transfer/test_receive.py"
        "::test_money_that_comes_while_the_worker_asks_is_not_forgotten",
    ),
    _guard(
        "a parcel that left while the worker looked",
        "a parcel whose message was lost is charged days later",
        "payments/capturing/capture.py",
        "    put_off_look(as_read, until=",
        "    put_off_look(order, until=",
        "tests/payments/test_capture.py"
        "::test_parcel_that_leaves_while_a_worker_looks_at_the_rest_is_charged",
    ),
    _guard(
        "hooks that nobody signed",
        "anybody fills a table, and has the gateway asked without end",
        "payments/receive_hint.py",
        "    ask_at = now if hint.is_signed else _when_to_ask(hint, now=now)\n",
        "    ask_at = now\n",
        "tests/payments/test_mollie.py::test_hooks_that_anybody_sends_fill_no_table_and_ask_seldom",
    ),
    Guard(
        "bank entry recorded once",
        "the same statement given twice pays twice, and money is sent back that never came",
        (
            Edit(
                "payments/gateways/bank_transfer/receive.py",
                "bank_reference=entry.bank_reference,\n",
                "bank_reference=f'{entry.bank_reference} {now}',\n",
            ),
        ),
        "tests/payments/bank_transfer/test_receive.py::"
        "test_entry_is_recorded_once_by_the_banks_reference",
    ),
    _guard(
        "way to pay offered there",
        "a shop is paid by a way that it does not offer for the country or the total",
        PLACING,
        "    if quote.total_minor and request.gateway not in ways:\n",
        "    if False:\n",
        "tests/checkout/test_ways_to_pay.py::"
        "test_way_that_is_not_offered_there_is_refused_and_nothing_typed_is_lost",
    ),
    _guard(
        "conditional stock update",
        "more is sold than is there",
        "checkout/catalogue/stock.py",
        " AND p.stock >= l.quantity",
        "",
        f"{TEST_PLACING}::test_three_pieces_make_three_orders_however_many_ask",
    ),
    _guard(
        "movement of the one statement",
        "an order takes stock and nothing says so",
        STATEMENT,
        "FROM new_order, bought ORDER BY sku\n",
        "FROM new_order, bought WHERE false\n",
        f"{TEST_TWIN}::test_both_ways_say_and_store_the_same",
    ),
    _guard(
        "count beside a sale",
        "a count that was made before a sale puts the sold pieces on sale again",
        STOCK_CHANGES,
        "        if product.stock != seen:",
        "        if False:",
        TEST_STOCK_PROPERTY,
    ),
    _guard(
        "change under the lock",
        "of two people who change the stock at once, one is undone",
        STOCK_CHANGES,
        "Product.objects.select_for_update().get(pk=entry.product_id)",
        "Product.objects.get(pk=entry.product_id)",
        f"{TEST_STOCK}::test_eight_people_at_once_lose_no_piece",
    ),
    _guard(
        "key of a stock form",
        "a double click changes the stock twice",
        STOCK_CHANGES,
        "return StockMovement.objects.filter(key=entry.key).first()",
        "return None",
        f"{TEST_PRODUCTS}::test_double_click_counts_once",
    ),
    _guard(
        "no more on sale again than is with the shop",
        "staff who put too much back meet an error page instead of a sentence",
        "checkout/orders/dispatch/put_back.py",
        "if any(count > can_go_on_sale(lines[line_id]) for line_id, count in wanted.items()):",
        "if False:",
        f"{TEST_GOODS}::test_returned_goods_go_on_sale_later_and_once",
    ),
    _guard(
        "movements are only added",
        "somebody rewrites what became of the stock",
        "checkout/catalogue/migrations/0002_stock_movements.py",
        "        migrations.RunSQL(REFUSE, ALLOW),\n",
        "",
        f"{TEST_STOCK}::test_database_lets_nobody_rewrite_a_movement",
    ),
    _guard(
        "what the page showed",
        "of two people at one product, the later one wins without knowing",
        "config/admin/changed_fields.py",
        "elif not self._is_many(name) and self._differs(name, now[name]):",
        "elif False:",
        f"{TEST_PRODUCTS}::test_two_who_change_the_same_field_are_told_of_both_values",
    ),
    _guard(
        "only what was changed",
        "pieces that are sold while a description is saved are sold again",
        "config/admin/changed_fields.py",
        "obj.save(update_fields=changed)",
        "obj.save()",
        f"{TEST_PRODUCTS}::test_piece_that_is_sold_while_the_page_is_saved_stays_sold",
    ),
    _guard(
        "generation in the deduplication id",
        "SQS drops what the sweep publishes again",
        "checkout/orders/models/order.py",
        'f"{self.order.reference}-{self.pk}-{self.generation}"',
        'f"{self.order.reference}-{self.pk}"',
        f"{TEST_OUTBOX}::test_order_whose_message_was_lost_is_published_again",
    ),
    _guard(
        "nonce in the session",
        "a form that leaked is good in another session",
        "checkout/tokens.py",
        "    if nonce is None or not hmac.compare_digest(token_nonce.encode(), nonce.encode()):",
        "    if False:",
        f"{TEST_RESUBMISSION}::test_another_sessions_token_reveals_nothing",
    ),
    _guard(
        "look-up before expiry",
        "a used form that has expired offers the purchase a second time",
        "checkout/views/checkout.py",
        "    # This comes before any check that could refuse: a used token leads to its order, for "
        "ever.\n",
        "    if token.has_expired(now):\n"
        "        return page.show(notices.page_expired(), status=409)\n",
        f"{TEST_RESUBMISSION}::test_resubmit_a_day_later_leads_to_the_order",
    ),
    _guard(
        "one-time token",
        "each rendering of the form is a purchase of its own",
        "checkout/views/checkout_page.py",
        '            "checkout_id": cart.pk,',
        "            \"checkout_id\": __import__('uuid').uuid4(),",
        f"{TEST_RESUBMISSION}::test_form_rendered_twice_carries_one_purchase",
    ),
    _guard(
        "cart locked and closed with the order",
        "a second request of the same form orders again",
        "checkout/cart.py",
        "if not seen.update(closed_at=self.now):",
        "if not seen.exists():",
        f"{TEST_TWIN}::test_both_ways_say_and_store_the_same",
    ),
    _guard(
        "id stored before money moves",
        "a payment that nobody knows of is charged beside the one that is known",
        STEPS,
        "WHERE id = %(payment)s AND gateway_payment_id = ''",
        "WHERE id = %(payment)s",
        f"{TEST_SETTLEMENT}::test_overtaken_worker_neither_confirms_nor_keeps_what_it_opened",
    ),
    _guard(
        "charged at once only while no person has to look",
        "an order is paid, and the question that its payment answered stays open",
        PAID_AT_ONCE,
        " AND needs_person = ''\n",
        "\n",
        f"{TEST_FIRST_CHARGE}::test_both_ways_store_the_same",
    ),
    _guard(
        "charged at once only as the only payment",
        "a second charge is no surplus, and nobody hears of it",
        PAID_AT_ONCE,
        "        AND NOT EXISTS (SELECT FROM payments_payment other\n"
        "                        WHERE other.order_id = locked.id AND other.id <> p.id)\n",
        "",
        f"{TEST_FIRST_CHARGE}::test_both_ways_store_the_same",
    ),
    _guard(
        "charged at once only in the round that is wanted",
        "a card of an earlier round pays as if it were the current one",
        PAID_AT_ONCE,
        "\n        AND payment_round = %(round)s\n",
        "\n",
        f"{TEST_FIRST_CHARGE}::test_both_ways_store_the_same",
    ),
    _guard(
        "charged at once only where nobody was first",
        "what a webhook has recorded is recorded again",
        PAID_AT_ONCE,
        " AND p.status = ANY(%(sources)s::varchar[])\n",
        " AND %(sources)s::varchar[] IS NOT NULL\n",
        f"{TEST_FIRST_CHARGE}::test_both_ways_store_the_same",
    ),
    _guard(
        "order locked before it is believed",
        "an order is paid as it was before the wait, and not as it is",
        PAID_AT_ONCE,
        "    FOR UPDATE\n",
        "",
        f"{TEST_FIRST_CHARGE}::test_change_that_is_waited_for_is_seen",
    ),
    _guard(
        "only whoever stored the id begins to confirm",
        "a call is written down that nobody makes, and support looks for its money",
        STEPS,
        "end_call=END_CALL, begin_call=BEGIN_CALL)",
        "end_call=END_CALL, begin_call=BEGIN_CALL.replace("
        "'FROM stored', 'FROM (SELECT %(payment)s::bigint AS id) p'))",
        f"{TEST_SETTLEMENT}::test_overtaken_worker_neither_confirms_nor_keeps_what_it_opened",
    ),
    _guard(
        "no call is written down during a pause",
        "the gateway is called although it asked not to be",
        "payments/settling/gateway_calls.py",
        "        if self.refused():\n            return None\n",
        "",
        f"{TEST_SETTLEMENT}::test_pause_that_begins_during_a_call_lets_no_other_begin",
    ),
    _guard(
        "guarded update of a payment",
        "an old answer undoes the outcome",
        "payments/settling/outcomes.py",
        "Payment.objects.filter(pk=payment.pk, status__in=sources_of(to)).update(",
        "Payment.objects.filter(pk=payment.pk).update(",
        f"{TEST_SETTLEMENT}::test_overtaken_worker_with_an_old_answer_does_not_undo_the_outcome",
    ),
    _guard(
        "only what SQS took is recorded",
        "a message that was refused is never sent",
        OUTBOX,
        "for place in sorted(taken)}, None",
        "for place in range(len(batch))}, None",
        f"{TEST_OUTBOX}::test_only_what_sqs_took_is_recorded",
    ),
    _guard(
        "a publisher looks once more before it waits",
        "a message that was stored a moment before waits until the next look",
        WAKE,
        "return is_anything_due() or _is_told(seconds)",
        "return _is_told(seconds)",
        f"{TEST_WAKE}::test_message_that_was_stored_just_before_is_not_waited_for",
    ),
    _guard(
        "no publisher begins to wait while a message is stored",
        "a message that is committed in that moment waits until the next look",
        WAKE_TRIGGER,
        "IF NOT pg_try_advisory_xact_lock_shared(7340022) THEN",
        "IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory') THEN",
        f"{TEST_WAKE}::test_publisher_does_not_begin_to_wait_while_a_message_is_stored",
    ),
    _guard(
        "nobody is told while no publisher waits",
        "orders wait for each other, since one transaction at a time commits a notification",
        WAKE_TRIGGER,
        "IF NOT pg_try_advisory_xact_lock_shared(7340022) THEN",
        "IF pg_try_advisory_xact_lock_shared(7340022) IS NOT NULL THEN",
        f"{TEST_WAKE}::test_nobody_is_told_while_no_publisher_waits",
    ),
    Guard(
        "one delivery for an event and an endpoint",
        "a system is told twice of one event, under two ids",
        (
            Edit(
                "checkout/orders/webhooks/enqueue.py",
                "    ON CONFLICT ON CONSTRAINT orders_webhookdelivery_once_uniq DO NOTHING\n",
                "",
            ),
            Edit(
                "checkout/orders/migrations/0009_webhooks.py",
                "models.UniqueConstraint(fields=('event', 'endpoint'), "
                "name='orders_webhookdelivery_once_uniq')",
                "",
            ),
        ),
        f"{TEST_WEBHOOKS}::test_event_that_is_recorded_again_makes_no_second_delivery",
    ),
    _guard(
        "claim of a webhook",
        "two senders send the same at once",
        "checkout/runtime/claiming.py",
        "claimed_until=Now() + lasts, ",
        "",
        f"{TEST_WEBHOOKS}::test_claim_of_a_dead_sender_runs_out",
    ),
    _guard(
        "webhooks of an order in their order",
        "a system hears that an order is paid, and then that its payment failed",
        "checkout/orders/webhooks/send.py",
        'pk=Subquery(oldest.values("pk")[:1]), ',
        "",
        f"{TEST_WEBHOOKS}::test_later_event_of_an_order_waits_until_the_earlier_is_taken",
    ),
    _guard(
        "deadline for all of a webhook",
        "a system that sends a byte now and then keeps a sender for ever",
        "checkout/orders/webhooks/http.py",
        "wire.cut_after(DEADLINE_SECONDS)",
        "wire.cut_after(10_000)",
        f"{TEST_WEBHOOKS}::test_slow_system_is_cut_off",
    ),
    _guard(
        "threads of one endpoint",
        "a system that hangs holds up all others",
        "checkout/orders/webhooks/sender.py",
        "if count >= EACH]",
        "if count >= TOGETHER]",
        f"{TEST_WEBHOOKS}::test_slow_system_delays_no_other",
    ),
    _guard(
        "address of a webhook looked at when it is reached",
        "a name that leads elsewhere later has the shop call its cloud's credentials",
        "checkout/orders/webhooks/http.py",
        "        if is_forbidden(connected.getpeername()[0]):\n",
        "        if False:\n",
        f"{TEST_WEBHOOKS}::test_address_is_looked_at_again_when_it_is_reached",
    ),
    _guard(
        "key claimed with the work",
        "a request that comes again is answered as if it were the first",
        "checkout/api/purchases/basket.py",
        "        self.claim()\n",
        "",
        f"{TEST_KEY}::test_same_key_and_same_request_is_given_the_first_answer",
    ),
    _guard(
        "keys of one client",
        "a client's key leads to another client's order",
        "checkout/api/idempotency.py",
        'f"{self.client_id}:{self.key}"',
        "self.key",
        f"{TEST_KEY}::test_key_of_another_client_is_another_purchase",
    ),
    _guard(
        "request's fingerprint",
        "another request under a used key is answered as if it were done",
        "checkout/api/idempotency.py",
        "return (earlier.operation, earlier.fingerprint) == (self.operation, self.fingerprint)",
        "return True",
        f"{TEST_KEY}::test_same_key_and_another_request_is_refused",
    ),
    _guard(
        "own orders alone",
        "a client reads, pays and cancels orders of others",
        "checkout/api/base_view.py",
        "Order.objects.filter(customer_id=request.user.pk)",
        "Order.objects.all()",
        "tests/api/test_authorization.py::test_order_of_the_pages_is_seen_by_no_client",
    ),
    _guard(
        "parcel's key claimed with it",
        "a parcel that a program sends again is answered as another one, or refused",
        FULFILMENT,
        "claim_key(asked, order.checkout_id,",
        "dict(asked=asked, order=order.checkout_id,",
        f"{TEST_FULFILMENT}::test_eight_requests_with_one_key_at_once_send_one_parcel",
    ),
    _guard(
        "scope of the warehouse",
        "every client reads the names and addresses of all customers",
        FULFILMENT,
        '    scopes: ClassVar = {"GET": Scope.FULFIL, "HEAD": Scope.FULFIL}\n',
        '    scopes: ClassVar = {"GET": Scope.READ, "HEAD": Scope.READ}\n',
        "tests/api/test_authorization.py::test_addresses_of_others_are_seen_with_the_scope_that_is_about_them_alone",
    ),
    _guard(
        "permission of people",
        "every customer who is signed in reads the names and addresses of all others",
        "checkout/api/permissions.py",
        "return permission is None or request.user.has_perm(permission)",
        "return True",
        f"{TEST_FULFILMENT}::test_person_sees_other_peoples_addresses_with_a_permission_alone",
    ),
    _guard(
        "warehouse's scope is named",
        "a client that is made as before reads the names and addresses of all customers",
        "checkout/models.py",
        "USUAL_SCOPES = [Scope.READ, Scope.WRITE]",
        "USUAL_SCOPES = list(Scope)",
        "tests/api/test_clients.py::test_client_sees_addresses_of_others_only_where_that_is_named",
    ),
    _guard(
        "webhooks in the statement",
        "other systems are not told of an order whose placing went as usual",
        STATEMENT,
        "    WHERE e.removed_at IS NULL AND %(webhook)s::varchar = ANY (e.kinds)\n",
        "    WHERE FALSE\n",
        f"{TEST_TWIN}::test_webhooks_of_a_cart_are_written_by_the_statement_that_places_it",
    ),
    _guard(
        "expected total",
        "a program is charged a total that it never showed",
        "checkout/api/purchases/basket.py",
        "return self.expected_minor is None or expected == (total_minor, settings.SHOP_CURRENCY)",
        "return True",
        f"{TEST_EXPECTED}::test_price_that_rises_in_the_same_moment_is_noticed",
    ),
    _guard(
        "token of the page",
        "a page that asks again is charged the total of the page before it",
        "checkout/views/checkout_page.py",
        "return sent.checkout_id != cart.pk or shows_the_same",
        "return True",
        f"{TEST_SEEN}::test_total_of_a_page_that_put_the_press_off_is_the_one_that_counts",
    ),
    _guard(
        "what costs nothing is paid in placing",
        "an order that no gateway can take waits for ever",
        PLACING,
        "    if order.is_free:\n        pay_with_nothing",
        "    if False:\n        pay_with_nothing",
        f"{TEST_FREE}::test_free_cart_asks_for_no_card_and_is_paid_at_once",
    ),
    _guard(
        "what costs nothing never reaches the gateway",
        "the gateway is asked for nothing, and refuses",
        SETTLEMENT,
        "    if order.is_free:\n",
        "    if False:\n",
        f"{TEST_FREE}::test_free_order_of_an_earlier_release_is_paid_without_the_gateway",
    ),
    _guard(
        "only free orders are cancelled after they were paid",
        "a paid order is cancelled and its money kept",
        "checkout/orders/cancelling.py",
        "    if not order.is_free:\n        return False\n",
        "",
        f"{TEST_FREE}::test_paid_order_that_cost_something_is_never_cancelled_as_a_free_one",
    ),
    _guard(
        "amounts before placing",
        "an order is stored that can never be paid",
        PLACING,
        "    if refusal := refusal_of(quote.total_minor, request.currency, request.gateway):\n",
        "    refusal = refusal_of(quote.total_minor, request.currency, request.gateway)\n"
        "    if False:\n",
        "tests/checkout/test_chargeable_amounts.py::"
        "test_program_is_told_the_limits_and_keeps_its_key",
    ),
    _guard(
        "the gateway's own unit",
        "5,000 krónur are charged as 50",
        STRIPE,
        "        return to_stripe(amount_minor, currency)\n",
        "        return amount_minor\n",
        f"{TEST_ADAPTER}::test_what_is_charged_is_the_money_of_the_page",
    ),
    _guard(
        "a refusal of one request is no refusal of the shop",
        "one order is asked about for ever and can be neither paid otherwise nor cancelled",
        STRIPE,
        "        return refusal(code)\n",
        "        return GatewayMisconfigured(code)\n",
        f"{TEST_ADAPTER}::test_a_refusal_of_one_request_is_no_refusal_of_the_shop",
    ),
    _guard(
        "closed before a refused confirmation counts",
        "a card that an earlier confirm has charged is told as declined",
        SETTLEMENT,
        "        answer = calls.cancel(payment)\n        if answer.state",
        "        raise\n        if answer.state",
        f"{TEST_REFUSALS}::test_refusal_to_confirm_what_was_charged_before_is_no_decline",
    ),
    _guard(
        "no round after a payment that another account may have charged",
        "a second card is charged while the first may have been, in another account",
        "payments/settling/unknown_outcome.py",
        "    if may_have_been_charged(payment):\n",
        "    if False:\n",
        f"{TEST_REFUSALS}::"
        "test_payment_that_may_have_been_charged_in_another_account_is_for_a_person",
    ),
    _guard(
        "one page for a refused shop",
        "a withdrawn key pages somebody once for each order and each try",
        "payments/settling/refused_shop.py",
        "    if begun:\n",
        "    if True:\n",
        "tests/payments/test_refused_shop.py::"
        "test_refusal_that_comes_back_soon_is_the_same_and_later_another",
    ),
    _guard(
        "money that moved",
        "a customer who was charged twice reads that it was once",
        "payments/books/money.py",
        "count(*) FILTER (WHERE status = %(paid)s),",
        "least(count(*) FILTER (WHERE status = %(paid)s), 1),",
        "tests/checkout/test_order_page.py"
        "::test_page_of_an_order_charged_twice_says_nowhere_that_it_was_charged_once",
    ),
    _guard(
        "wish to cancel",
        "an order that its customer wanted to pay again is told as cancelled at their wish",
        "checkout/orders/paying.py",
        '            cancelled_by="",\n',
        "",
        "tests/orders/test_mails_of_states.py"
        "::test_wish_to_cancel_ends_when_its_customer_pays_again",
    ),
    _guard(
        "a body is whole",
        "a press that was cut off on its way is stored with half of its last field",
        "checkout/middleware/wsgi.py",
        "        if len(body) < wanted:\n",
        "        if False:\n",
        "tests/checkout/test_over_the_wire.py::test_press_that_was_cut_off_is_refused",
    ),
    _guard(
        "installation of a payment",
        "another installation's charge pays an order of ours, and its open payments are cancelled",
        "checkout/orders/identity/matching.py",
        "    is_ours = identity.installation == installation_id()\n",
        "    is_ours = True\n",
        "tests/payments/test_whose_payment.py::test_open_payment_of_somebody_else_is_not_cancelled",
    ),
    _guard(
        "reference of the order that is settled",
        "a message of an order that a backup lost charges the order that was given its number",
        SETTLEMENT,
        " AND %(reference)s::varchar IN (reference, '')",
        "",
        "tests/payments/test_whose_message.py"
        "::test_message_of_a_lost_order_settles_no_other_and_is_put_before_a_person",
    ),
    _guard(
        "installation of a message",
        "another installation's message is settled by us and taken away from its workers",
        "payments/worker/handle.py",
        "    if names_another(order):\n",
        "    if False:\n",
        "tests/payments/test_whose_message.py"
        "::test_message_of_another_installation_is_put_back_for_it",
    ),
    _guard(
        "order that a charge names",
        "a charge of another order pays this one",
        "payments/settling/outcomes.py",
        "    if could_name(answer.order, payment.order):\n",
        "    if True:\n",
        "tests/payments/test_whose_payment.py::test_answer_that_names_another_order_pays_nothing",
    ),
    _guard(
        "no refund beside a dispute",
        "the customer gets the money back twice: by the refund and by their bank",
        "payments/settling/refunds.py",
        "    if is_disputed(refund.payment.order_id):  # since it was asked for\n",
        "    if False:\n",
        "tests/payments/test_disputes.py"
        "::test_refund_asked_for_before_the_dispute_is_not_sent_by_the_worker",
    ),
    _guard(
        "a refund that came back is believed",
        "the order says that its money was sent back, and its customer has none",
        "payments/settling/refunds.py",
        "        record_came_back(refund, now=now)\n",
        "        pass\n",
        "tests/payments/test_refund_came_back.py"
        "::test_hint_has_the_order_say_that_the_money_came_back",
    ),
    _guard(
        "no more is charged than is set aside",
        "a mistake anywhere charges more for the parcels of an order than the order costs",
        "payments/migrations/0028_capture_at_dispatch.py",
        "models.F('capture_minor'), '+', models.F('released_minor')",
        "models.F('capture_minor'), '-', models.F('released_minor')",
        f"{TEST_CAPTURE}::test_database_refuses_more_than_was_set_aside",
    ),
    _guard(
        "doubt about a capture asks first",
        "a parcel whose charge got no answer is charged again when the gateway has forgotten keys",
        CAPTURE,
        "    answer = calls.retrieve(payment) if capture.tries else None\n",
        "    answer = None\n",
        f"{TEST_CAPTURE}::test_lost_answer_is_asked_for_when_keys_are_forgotten",
    ),
    _guard(
        "the rest is given up only when nothing is due, under one lock",
        "a parcel that leaves in that moment has left, and its money is given up at the bank",
        CAPTURE,
        "    if rest is Rest.IS_FREE:\n",
        "    if is_charged and order.dispatch_status not in TO_SEND:\n",
        f"{TEST_CAPTURE}::test_parcel_that_leaves_while_a_worker_looks_at_the_rest_is_charged",
    ),
    _guard(
        "a capture's own key",
        "two workers with one parcel in hand charge it twice",
        "payments/settling/gateway_calls.py",
        "                idempotency_key=capture.key,\n",
        "                idempotency_key=str(time.monotonic_ns()),\n",
        f"{TEST_CAPTURE}::test_worker_that_is_overtaken_at_the_gateway_charges_nothing_more",
    ),
    _guard(
        "a parcel that was asked for",
        "each message about an order charges its last parcel again",
        "payments/capturing/parcels.py",
        "    waiting = [shipment for shipment in shipments if shipment.pk not in asked_for]\n",
        "    waiting = shipments\n",
        f"{TEST_CAPTURE}::test_parcel_that_cannot_be_charged_is_put_before_a_person",
    ),
    _guard(
        "nothing is sent that cannot be charged",
        "a parcel leaves although the bank keeps its money no longer",
        "checkout/orders/dispatch/ship.py",
        "    if order.authorised_until is not None and order.authorised_until <= now:\n",
        "    if False:\n",
        f"{TEST_CAPTURE}::test_nothing_is_sent_after_the_end_although_nobody_has_looked",
    ),
    _guard(
        "what is charged once goes in one parcel",
        "the second parcel of an order leaves and can never be charged",
        "checkout/orders/dispatch/ship.py",
        "    if order.goes_in_one_parcel and order.authorised_until and wanted != left:\n",
        "    if False:\n",
        f"{TEST_CAPTURE}::test_what_is_charged_once_only_goes_in_one_parcel",
    ),
    _guard(
        "a declined card that is set aside after all",
        "the bank keeps money for an order that is paid with another card",
        "payments/settling/check_order.py",
        " or answer.state is GatewayState.AUTHORISED\n",
        "\n",
        f"{TEST_CAPTURE}::test_declined_card_that_is_set_aside_after_all_is_given_up",
    ),
    Guard(
        "what was sent is not cancelled",
        "goods that are with the customer are put on sale, and nobody asks for their money",
        (
            Edit(SWEEP, "            .exclude(dispatch_status__in=WAS_SENT)\n", ""),
            Edit(
                CANCELLING, "        if asked.dispatch_status in WAS_SENT:\n", "        if False:\n"
            ),
        ),
        f"{TEST_CAPTURE}::test_what_was_sent_and_never_charged_is_neither_cancelled_nor_put_on_sale",
    ),
    _guard(
        "a cancelled order keeps who cancelled it",
        "what is charged at the gateway's own site of a cancelled order is kept",
        "checkout/orders/transitions.py",
        "source not in {*PAID_FOR, OrderStatus.AUTHORISED}\n",
        "source not in PAID_FOR\n",
        f"{TEST_CAPTURE}::test_charge_at_the_site_of_what_was_cancelled_goes_back",
    ),
    Guard(
        "our refunds are read after the gateway's, and looked for again",
        "a refund that a worker sends meanwhile is entered a second time, as the gateway's own",
        (
            Edit(  # asked once our own were read
                "payments/settling/refunds.py",
                "enter_refunds(payment, calls.refunds_of(payment), now=calls.clock())",
                "enter_refunds(payment, (r for _ in [0] for r in calls.refunds_of(payment)), "
                "now=calls.clock())",
            ),
            Edit(
                "payments/settling/refunds.py",
                "if made.refund_key and payment.refunds.filter(key=made.refund_key).exists():",
                "if False:",
            ),
        ),
        "tests/payments/test_refunds.py"
        "::test_refund_that_a_worker_sends_while_the_gateway_lists_refunds_is_entered_once",
    ),
    _guard(
        "a card that paid closes the others",
        "the bank's page of another card, open in another tab, charges a second time",
        "payments/settling/outcomes.py",
        "    if any(other.gateway_payment_id for other in live):\n",
        "    if False:\n",
        "tests/payments/test_attention.py::test_card_that_paid_closes_the_bank_page_of_another",
    ),
    _guard(
        "a refund's amount is shown back",
        "an amount that was understood otherwise than it was meant is sent back at once",
        "payments/admin/payments.py",
        " and not form.is_confirmed:\n",
        " and False:\n",
        "tests/payments/test_refunds.py::test_amount_is_shown_back_before_money_moves",
    ),
    _guard(
        "what could mean two amounts is refused",
        "1.234 is taken for a dinar and a bit where a thousand were meant, or the other way round",
        "checkout/catalogue/typed_amounts.py",
        "    if plain and grouped and not ",
        "    if False and plain and grouped and not ",
        "tests/catalogue/test_typed_amounts.py"
        "::test_what_could_mean_two_amounts_is_refused_with_both",
    ),
    _guard(
        "a link of an earlier version opens nothing",
        "whoever got the mail by mistake goes on reading the order after its address was corrected",
        "checkout/views/find.py",
        "    if order is None or opener != Opener.of(order):\n",
        "    if order is None:\n",
        "tests/checkout/test_stopped_links.py::test_old_link_opens_nothing_after_a_correction",
    ),
    _guard(
        "an order is cancelled as the page said",
        "money that the page did not tell of goes back, since the order was paid meanwhile",
        "checkout/views/order/cancel.py",
        '    is_as_shown = way_to_cancel(order) == request.POST.get("way")\n',
        "    is_as_shown = True\n",
        "tests/checkout/test_cancelling.py"
        "::test_order_that_was_paid_meanwhile_is_shown_anew_with_what_goes_back",
    ),
    _guard(
        "an e-mail is sent again once for a page",
        "a double click mails the customer twice",
        "checkout/orders/mail/by_staff.py",
        "        if done.exists():\n",
        "        if False:\n",
        "tests/admin/test_mail.py::test_mail_is_sent_again_once_for_a_page",
    ),
    _guard(
        "total of the page",
        "whatever staff changed since the page was shown is charged unseen",
        "checkout/cart.py",
        "        return (total_minor, settings.SHOP_CURRENCY) == shown\n",
        "        return True\n",
        TEST_PAGE_TOTALS,
    ),
    _guard(
        "code counted under its lock",
        "a customer with two devices has twice what everybody may have once",
        CODES,
        "DiscountCode.objects.select_for_update().filter(which)",
        "DiscountCode.objects.filter(which)",
        f"{TEST_CODES}::test_one_customer_at_many_devices_has_the_code_once",
    ),
    _guard(
        "code counted within its limit",
        "the last use of a code is had by all who press in the same moment, or they get an error",
        CODES,
        "DiscountCode.objects.filter(within_limit, pk=row.pk)",
        "DiscountCode.objects.filter(pk=row.pk)",
        f"{TEST_CODES}::test_sixty_four_shoppers_at_once_have_ten_uses_between_them",
    ),
    _guard(
        "code given back on cancel",
        "a code is used up by orders that nobody paid",
        CANCELLING,
        "        give_code_back(order.pk)\n",
        "",
        f"{TEST_CODES}::test_code_is_given_back_when_its_order_is_cancelled",
    ),
    _guard(
        "code taken again on revival",
        "an order that was paid late has a use of the code that somebody else has as well",
        CANCELLING,
        "            use_code_again(order.pk)\n",
        "",
        f"{TEST_CODES}::test_late_payment_of_an_order_whose_code_is_gone_goes_back",
    ),
    _guard(
        "the similar order is locked first",
        "cancelling an order and ordering the same again wait for each other",
        PLACING,
        '        Order.objects.select_for_update().only("pk").get(pk=request.again_of.pk)\n',
        "        pass\n",
        f"{TEST_CODES}::test_cancelling_and_ordering_the_same_again_never_wait_in_a_circle",
    ),
    _guard(
        "wrong codes are counted",
        "codes are guessed as fast as pages are made",
        "checkout/orders/placing/quoting.py",
        "    if WRONG_CODE.intersection(refusals):\n",
        "    if False:\n",
        "tests/orders/test_code_tries.py::test_after_too_many_wrong_codes_none_is_looked_up",
    ),
    _guard(
        "only finished orders are erased",
        "an order that is paid and not sent loses the address that it is sent to",
        "checkout/orders/privacy/erase.py",
        "        if reasons := [reason for part in parts for reason in part.unfinished(order)]:\n"
        "            return reasons\n",
        "",
        "tests/orders/privacy/test_erasing.py"
        "::test_order_that_is_not_finished_is_left_and_named_and_others_are_erased",
    ),
    _guard(
        "erasing waits for the order's lock",
        "a refund is asked for beside it, and the customer of an unfinished order is erased",
        "checkout/orders/privacy/erase.py",
        "Order.objects.select_for_update().get(pk=order_id)",
        "Order.objects.get(pk=order_id)",
        "tests/orders/privacy/test_erasing.py"
        "::test_refund_that_is_asked_for_at_that_moment_is_waited_for",
    ),
    _guard(
        "nobody is written to after erasing",
        "the mailer tries to send to an empty address",
        "checkout/orders/mail/words.py",
        "    if mail.order.erased_at:\n        return True",
        "    if False:\n        return True",
        "tests/orders/privacy/test_erasing.py::test_nothing_is_written_to_nobody",
    ),
    _guard(
        "an erased order is not revived",
        "a payment that arrives late has goods sent to nobody",
        "checkout/orders/cancelling.py",
        "    if order.erased_at:",
        "    if False:",
        "tests/orders/privacy/test_erasing.py::test_late_payment_of_an_erased_order_is_sent_back",
    ),
    _guard(
        "one open withdrawal",
        "a customer who confirms on two pages has two statements, and staff decide about both",
        "checkout/orders/migrations/0029_withdrawals_are_taken_up.py",
        "condition=models.Q(('status', 'stated')), name='orders_withdrawal_stated_uniq'",
        "condition=models.Q(('status', 'nothing')), name='orders_withdrawal_stated_uniq'",
        "tests/orders/test_withdrawals.py::test_eight_at_once_are_one_statement_and_one_mail",
    ),
    _guard(
        "a withdrawal is decided once",
        "two of staff who agree in the same moment send the money back twice, or refuse it as well",
        "checkout/orders/withdrawals/decide.py",
        "Withdrawal.objects.filter(pk=statement.pk, status=Status.STATED).update(**decision)",
        "Withdrawal.objects.filter(pk=statement.pk).update(**decision)",
        "tests/payments/test_withdrawals.py::"
        "test_decided_by_many_at_once_is_decided_once_with_one_refund",
    ),
    _guard(
        "a withdrawal is taken up once",
        "the customer is written to twice",
        "checkout/orders/withdrawals/take_up.py",
        "        if row.taken_up_at is not None:\n            return False\n",
        "",
        "tests/orders/test_withdrawals.py::test_eight_at_once_are_one_statement_and_one_mail",
    ),
    _guard(
        "check of refunded pieces",
        "the price of one piece is sent back twice",
        DISPATCH_TABLES,
        "models.Q(('quantity__gte', models.F('refunded')))",
        "models.Q(('quantity__gte', 0))",
        f"{TEST_REFUND_LINES}::test_database_refuses_a_piece_that_is_refunded_twice",
    ),
    _guard(
        "check of pieces on sale again",
        "one piece is put back on sale twice, or while it is with the customer",
        DISPATCH_TABLES,
        "models.Q(('put_back__lte', django.db.models.expressions.CombinedExpression("
        "models.F('called_off'), '+', models.F('returned'))))",
        "models.Q(('put_back__gte', 0))",
        f"{TEST_DISPATCH}::test_database_refuses_numbers_that_cannot_be",
    ),
    _guard(
        "key of a return",
        "a page that is sent twice takes the goods in twice, or ends on an error page",
        "checkout/orders/dispatch/returns.py",
        "if earlier := GoodsReturn.objects.filter(key=key).first():",
        "if earlier := GoodsReturn.objects.none().first():",
        f"{TEST_DISPATCH}::test_return_is_taken_in_once_however_often_it_is_pressed",
    ),
    _guard(
        "key of a refund by lines",
        "a double click sends the price of two pieces back, or ends on an error page",
        REFUND_LINES,
        "if earlier := payment.refunds.filter(key=key).first():",
        "if earlier := payment.refunds.none().first():",
        f"{TEST_REFUND_LINES}::test_one_key_is_one_refund",
    ),
    _guard(
        "what is refunded is called off",
        "a piece is sent whose price was sent back",
        REFUND_LINES,
        "    call_off(order, unsent, restock=False, by=by, why=why, key=key)\n",
        "",
        f"{TEST_REFUND_LINES}::test_what_is_refunded_before_it_was_sent_is_never_sent",
    ),
    _guard(
        "a cancelled order is swept",
        "the money of a cancelled order is kept when its message is lost",
        CANCELLING,
        "cancelled_by=who, sweep_at=next_sweep(now)",
        "cancelled_by=who",
        "tests/payments/test_cancelled_after_paid.py::"
        "test_lost_message_of_a_cancelled_order_is_swept",
    ),
    _guard(
        "a parcel that never left is not refunded and sent",
        "a piece whose price was sent back is sent after its parcel was taken back as a mistake",
        "checkout/orders/dispatch/ship.py",
        '        _call_off_refunded(order, by=by, why=why, key=f"undone-{shipment.pk}")\n',
        "",
        f"{TEST_REFUND_LINES}::"
        "test_parcel_taken_back_after_its_pieces_were_refunded_is_not_sent_again",
    ),
    _guard(
        "one after the other takes an invoice's number",
        "two payments at once take the same number",
        ISSUE,
        """    INSERT INTO orders_invoicecounter (series, year, last)
    SELECT %(series)s::varchar, %(year)s::int, 1 FROM wanted
    ON CONFLICT ON CONSTRAINT orders_invoicecounter_year_uniq
    DO UPDATE SET last = orders_invoicecounter.last + 1
    RETURNING last
""",
        """    SELECT 1 + coalesce(max(sequence), 0) AS last FROM orders_invoice
    WHERE series = %(series)s::varchar AND year = %(year)s::int
""",
        f"{TEST_INVOICES}::test_two_payments_at_once_take_numbers_in_turn",
    ),
    _guard(
        "one invoice of an order",
        "a repetition asks for a second number",
        ISSUE,
        """
      AND NOT EXISTS (SELECT FROM orders_invoice i
                      WHERE i.order_id = o.id AND i.kind = %(kind)s::varchar)""",
        "",
        f"{TEST_INVOICES}::test_a_repetition_takes_no_number",
    ),
    _guard(
        "less what was credited",
        "a refund that came back and is sent again is credited twice",
        "checkout/orders/invoices/credit.py",
        "refunded_minor - sum(note.total_minor for note in notes)",
        "refunded_minor",
        f"{TEST_INVOICES}::test_a_refund_that_came_back_and_is_sent_again_has_no_second_credit_note",
    ),
    _guard(
        "ids of payments that a backup has lost",
        "a worker opens a lost payment again and charges a second time",
        TAKE_OVER,
        "payment = None if asked.dry_run else _store(asked, order, theirs)",
        "payment = None",
        f"{TEST_TAKE_OVER}::test_charge_is_recorded_for_its_order_and_made_once",
    ),
    _guard(
        "round of a lost payment",
        "a customer at their bank's page is told that their card was declined",
        TAKE_OVER,
        '        order.save(update_fields=["payment_round", "gateway"])\n',
        "",
        f"{TEST_TAKE_OVER}::"
        "test_second_round_of_the_lost_time_is_the_one_that_its_customer_is_asked_about",
    ),
    _guard(
        "payments that came to nothing in the lost time",
        "a card is charged whose customer was told that it was declined",
        TAKE_OVER,
        'return order.status in UNSETTLED and not current.exclude(gateway_payment_id="").exists()',
        "return False",
        f"{TEST_TAKE_OVER}::test_order_that_was_cancelled_in_the_lost_time_is_not_charged",
    ),
    _guard(
        "what was asked for before a restore is looked for",
        "a refund is sent again that was sent in the lost time",
        "payments/restoring/out_of_use.py",
        "return refunds.update(tries=1) + captures.update(tries=1)",
        "return 0",
        f"{TEST_TAKE_OVER}::test_refund_that_was_asked_for_before_and_sent_since_is_found",
    ),
    _guard(
        "keys of refunds that a backup has lost",
        "a refund's button that is pressed again after a restore sends it again",
        "payments/settling/refunds.py",
        '"key": made.refund_key[:64] or new_key(),',
        '"key": new_key(),',
        f"{TEST_TAKE_OVER}::test_refund_of_the_lost_time_is_entered_under_its_key",
    ),
    _guard(
        "charges of parcels that a backup has lost",
        "a parcel that is marked as sent again is charged again",
        TAKE_OVER_RUN,
        "    yield from take_over_captures(asked)\n",
        "",
        f"{TEST_TAKE_OVER}::test_parcel_that_was_charged_in_the_lost_time_is_not_charged_again",
    ),
    _guard(
        "pause while books are taken over",
        "workers charge while the gateway's list is read",
        TAKE_OVER_RUN,
        "report.paused = pause_payments(reason=PAUSE_REASON, by=wish.by, now=clock())",
        "report.paused = True",
        f"{TEST_RESTORE}::test_what_is_done_is_said",
    ),
    _guard(
        "numbers of lost orders",
        "a restored database gives a lost order's number to another",
        RESTORED_NUMBERS,
        "    wanted = last + ORDERS_UNHEARD_OF\n",
        "    wanted = 0\n",
        f"{TEST_RESTORED_NUMBERS}::test_no_order_gets_the_number_of_a_lost_one",
    ),
    _guard(
        "ids of lost rows",
        "SQS drops a message that has the name of one from the lost time",
        RESTORES,
        "        move_row_ids()\n",
        "",
        f"{TEST_RESTORED_NUMBERS}::test_ids_of_rows_do_not_come_again",
    ),
    _guard(
        "numbers of lost invoices",
        "two customers have an invoice of one number",
        RESTORED_NUMBERS,
        "        counter.last = seen.sequence\n",
        "",
        f"{TEST_RESTORED_NUMBERS}::test_numbers_of_lost_invoices_are_left_out_and_the_audit_knows",
    ),
    _guard(
        "names of messages that waited",
        "SQS drops a message that was sent in the lost time too",
        "checkout/orders/restoring/out_of_use.py",
        'generation=F("generation") + FURTHER, ',
        "",
        f"{TEST_RESTORE}::test_message_that_waits_is_no_repetition_for_the_queue",
    ),
    _guard(
        "forms from before a restore",
        "the form of a lost order that is sent again is a second order",
        "checkout/out_of_use.py",
        'update(version=F("version") + FURTHER)',
        "count()",
        "tests/checkout/test_after_a_restore.py"
        "::test_press_that_is_repeated_places_no_second_order",
    ),
    _guard(
        "a question about the total makes no form of after a restore",
        "a page that was left open orders a lost order again when another country is chosen",
        "checkout/views/checkout_page.py",
        "            if is_total_asked and self._is_from_before_a_restore()\n",
        "            if False\n",
        "tests/checkout/test_after_a_restore.py"
        "::test_question_about_the_total_makes_no_new_form_of_it",
    ),
    _guard(
        "a page that is opened anew asks to look first",
        "a shopper whose order is lost reloads the page and orders again without a word",
        "checkout/views/checkout.py",
        "    if page.cart and may_be_of_a_lost_order(page.cart, now=page.now):\n",
        "    if False:\n",
        "tests/checkout/test_after_a_restore.py"
        "::test_page_that_is_opened_anew_says_it_before_the_press",
    ),
    _guard(
        "sessions of staff from before a restore",
        "somebody who was locked out in the lost time is signed in again",
        "checkout/out_of_use.py",
        "ended += Session.objects.filter(pk=session.pk).delete()[0]",
        "ended += 1",
        "tests/checkout/test_after_a_restore.py::test_staff_sign_in_again_and_shoppers_stay",
    ),
    _guard(
        "a restore is noted once",
        "a second run of after_restore outdates the forms of those who buy",
        RESTORES,
        "        if restore_noted(since=since):\n            return {}\n",
        "",
        "tests/checkout/test_after_a_restore.py::test_carts_are_put_out_of_use_once",
    ),
    _guard(
        "agreement about a lost order",
        "the money of lost orders goes back without a person",
        GIVE_UP,
        "next_try_at__lte=clock(), seen_to_at=None",
        "seen_to_at=None",
        f"{TEST_GIVE_UP}::test_nothing_is_sent_back_before_a_person_has_agreed",
    ),
    _guard(
        "refund of a lost order is looked for",
        "a lost order counts as seen to while its money is still on its way",
        GIVE_UP,
        "next((each for each in refunds if each.refund_key == lost.refund_key), None)",
        "None",
        f"{TEST_GIVE_UP}::test_refund_that_is_on_its_way_is_waited_for",
    ),
    _guard(
        "what was sent back of a lost order",
        "more than is left of a lost order's charge is asked for",
        GIVE_UP,
        "    left = theirs.charged_minor - sent\n",
        "    left = theirs.charged_minor\n",
        f"{TEST_GIVE_UP}::test_what_was_sent_back_by_hand_is_not_sent_again",
    ),
    _guard(
        "whose payment it is",
        "the money of an order that is here goes back as that of a lost one",
        GIVE_UP,
        "    _must_be_lost(lost, theirs)\n",
        "",
        f"{TEST_GIVE_UP}::test_payment_that_is_not_of_a_lost_order_is_left_alone",
    ),
    _guard(
        "statements of a migration at once",
        "a press waits for as long as Django draws the models of a migration, and may be refused",
        MIGRATE,
        "        self._is_holding = self.atomic_migration\n",
        "        self._is_holding = False\n",
        f"{TEST_MIGRATE}::test_nobody_waits_while_a_migration_works_out_its_changes",
    ),
    _guard(
        "a migration that took long waits no more",
        "whoever reads two tables that a migration changes meets an error page",
        MIGRATE,
        "> PATIENCE_SECONDS:\n",
        "> 60:\n",
        f"{TEST_MIGRATE}::test_it_is_the_migration_that_gives_way_and_not_the_shop",
    ),
    _guard(
        "code of a migration after its statements",
        "a migration whose code reads what it has just changed fails",
        MIGRATE,
        "StatementsAtOnce if is_sql_alone else GivesWay",
        "StatementsAtOnce",
        f"{TEST_MIGRATE}::test_code_of_a_migration_finds_what_was_changed_before_it",
    ),
    _guard(
        "names of constraints after the statements",
        "a migration that drops a constraint which it made itself fails",
        MIGRATE,
        "        self._run_held()\n        return super()._constraint_names",
        "        return super()._constraint_names",
        f"{TEST_MIGRATE}::test_change_that_reads_the_database_finds_what_was_changed_before_it",
    ),
    _guard(
        "nothing is taken off what is being cancelled",
        "a customer who was charged nothing is told of a refund, and the books count it",
        "payments/refund_lines.py",
        "    if order.status == OrderStatus.AUTHORISED and order.is_cancelled_and_paid:\n",
        "    if False:\n",
        f"{TEST_CAPTURE}::test_nothing_is_taken_off_an_order_that_is_being_cancelled",
    ),
    _guard(
        "a mistake's charge pays for the next parcel",
        "the audit calls an order wrong of which all that was sent is charged",
        "payments/books/audit.py",
        "is_fault=is_owed",
        "is_fault=None",
        f"{TEST_CAPTURE}::test_audit_knows_a_parcel_that_a_charge_for_a_mistake_has_paid_for",
    ),
    _guard(
        "a parcel that is owed is found",
        "the audit is silent about a parcel that nobody has charged",
        "payments/books/captures.py",
        "    return parcels_cost_minor(order, lines, sent) > payment.capture_minor\n",
        "    return False\n",
        f"{TEST_CAPTURE}::test_audit_finds_a_parcel_that_was_not_charged",
    ),
]
