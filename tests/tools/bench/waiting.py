"""The shopper's wait for an answer to the press, while the gateway or SQS is slow or away.

People press at a steady pace; publisher and worker run beside. The same for the old workflow, in
which the request calls the gateway: it gives up after 10 s, so it is measured by few presses.
"""

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from urllib.parse import urlencode

from config.local.designs import base
from config.local.processes import Child, free_port, wait_until
from tests.tools.bench import orders
from tests.tools.bench.contenders import patient
from tests.tools.bench.figures import Contender, Figures, Round, take_turns
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import Basket, OverHttp
from tests.tools.bench.placing import prepare
from tests.tools.bench.stage import Stage, await_answer

HEALTHY = "all well"
NEVER = 1e6

SLOW = [("gateway 30 s", 30.0), ("gateway never answers", NEVER)]

# Presses a second, well below what a small machine can take. And so many presses that the 99th
# percentile is not the one press that met a checkpoint.
PACE = 50.0

# Longer than a process needs until it asks SQS.
START_SECONDS = 5.0

# Nobody waits for those who hang.
KILL = 0.1

# As many at a time as wait for the old workflow.
OLD_AT_ONCE = 8


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("shopper's wait")
    prepare(stage, "waiting")
    presses = options.pick(quick=40, full=300, tiny=4)
    web = stage.web(environment=patient.OFFERED)
    with stage.queue() as queue, web as ports, nobody_answers() as hanging:

        def contender(seconds: float, sqs: str) -> Contender:
            def turn(number: int) -> Round:
                with _beside(stage, seconds, sqs):
                    waits = OverHttp(ports).place(Basket().filled(presses), a_second=PACE)
                queue.purge()
                orders.forget_unsettled()
                return waits

            return turn

        refusing = f"http://127.0.0.1:{free_port()}"
        contenders = {
            HEALTHY: contender(0.0, queue.url),
            "gateway 30 s": contender(30.0, queue.url),
            "gateway never answers": contender(NEVER, queue.url),
            "SQS refuses": contender(0.0, refusing),
            "SQS hangs": contender(0.0, hanging),
        }
        if options.quick:
            del contenders["gateway 30 s"], contenders["SQS refuses"]
        rounds = options.pick(quick=1, full=3, tiny=1)
        turns = take_turns(contenders, rounds=rounds, say=options.say, warm_up=not options.quick)
    for name, taken in turns.items():
        figures.add(f"{name}, median", "ms", [turn.percentile(0.5) * 1000 for turn in taken])
        figures.add(f"{name}, 99 %", "ms", [turn.percentile(0.99) * 1000 for turn in taken])
    for name, taken in list(turns.items())[1:]:
        pairs = zip(taken, turns[HEALTHY], strict=True)
        ratios = [slow.percentile(0.99) / well.percentile(0.99) for slow, well in pairs]
        figures.add(f"99 %, {name} ÷ {HEALTHY}", "ratio", ratios)
    _old(stage, options, figures)
    stage.drop_database("waiting")
    return figures


@contextmanager
def _beside(stage: Stage, gateway_seconds: float, sqs: str) -> Iterator[None]:
    environment = {
        **patient.OFFERED,
        patient.SECONDS: str(gateway_seconds),
        "AWS_ENDPOINT_URL": sqs,
    }
    with (
        stage.manage(
            "run_outbox_publisher", "--skip-checks", environment=environment, seconds=KILL
        ) as publisher,
        stage.manage(
            "run_payment_worker", "--skip-checks", environment=environment, seconds=KILL
        ) as worker,
    ):
        for process in (publisher, worker):
            # Their starts are no part of it. Where SQS hangs they say nothing for longer.
            wait_until(partial(_has_spoken, process), seconds=START_SECONDS)
        yield


def _has_spoken(process: Child) -> bool:
    return bool(process.last_lines(1))


@contextmanager
def nobody_answers() -> Iterator[str]:
    """An address that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _old(stage: Stage, options: Options, figures: Figures) -> None:
    base.prepare(stage.url_in_use)
    slow = options.pick(quick=SLOW[:0], full=SLOW, tiny=SLOW[:0])
    for name, seconds in [(HEALTHY, 0.0), *slow]:
        presses = OLD_AT_ONCE if seconds else options.pick(quick=40, full=160, tiny=2)
        options.say(f"old workflow, {name}")
        waits = _press_the_old(stage, seconds, presses)
        figures.add(f"old workflow, {name}, 99 %", "ms", [waits.percentile(0.99) * 1000])
    first, *others = [f for f in figures.figures if f.name.startswith("old workflow")]
    for other in others:
        figures.add(f"{other.name} ÷ {HEALTHY}", "ratio", [other.median / first.median])


def _press_the_old(stage: Stage, gateway_seconds: float, presses: int) -> Round:
    web, gateway_port = free_port(), free_port()
    run = [sys.executable, "-m"]
    environment: Mapping[str, str] = {"STRIPE_API_BASE": f"http://127.0.0.1:{gateway_port}"}
    slow = [
        *run,
        "tests.tools.bench.contenders.slow_gateway",
        str(gateway_port),
        str(gateway_seconds),
    ]
    old = [*run, "config.local.designs.old", "web", "--port", str(web)]
    with ExitStack() as started:
        started.enter_context(stage.running("gateway", slow))
        process = started.enter_context(stage.running("old", old, environment))
        await_answer(process, f"http://127.0.0.1:{web}/readyz")
        over_http = OverHttp([web], connections=OLD_AT_ONCE)
        sent = over_http.send_requests([_old_press(n) for n in range(presses)], a_second=PACE)
    return Round(presses / sent.took, sent.seconds)


def _old_press(n: int) -> bytes:
    body = urlencode({"purchase": f"bench-{n}", "amount": "3000", "payment_method": "pm_card_visa"})
    head = f"POST /checkout/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"{head}{body}".encode()
