"""What a shop costs while nobody buys: processor time of all its processes and of Postgres, and the
memory that its processes take.

The whole shop runs as the Procfile starts it, and then once more with `run_services` in the place
of publisher, mailer, webhook sender and worker. It is warm: pages were shown, and orders placed,
settled and told by mail. Neither the queue double in the place of SQS nor the gateway and the mail
server are counted.
"""

import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from config.local.processes import free_port, wait_until
from tests.doubles.smtp import mail_server
from tests.tools.bench import orders
from tests.tools.bench.figures import Figures, turned
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import Basket, OverHttp
from tests.tools.bench.placing import prepare
from tests.tools.bench.processor import processor_seconds
from tests.tools.bench.resident import Memory, memory_of
from tests.tools.bench.stage import ROOT, START_SECONDS, Stage, answers, await_answer

PAGES = ["/", "/products/notebook-0000/", "/cart/", "/delivery/"]

# Each web process shows the pages and takes orders so many times.
WARM_UPS = 10

WEB = "web"
POSTGRES = "Postgres"
IN_ALL = "in all"

PROCESSOR_UNIT = "% of a core"

UNSENT_MAIL = "SELECT FROM orders_mail WHERE sent_at IS NULL"


@dataclass(frozen=True)
class Idle:
    """One start of the shop has cost so much, by the names of its processes."""

    processor: Mapping[str, float]  # % of a core
    memory: Mapping[str, Memory]


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("idle shop")
    prepare(stage, "idling")
    ways = {"separate commands": commands(), "run_services": {"services": "run_services"}}
    idle: dict[str, list[Idle]] = {name: [] for name in ways}
    with ExitStack() as started:
        mails = started.enter_context(mail_server())
        started.enter_context(stage.queue())
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        gateway = [f"--port={port}", f"--ledger={stage.file('idling-ledger.jsonl')}"]
        sandbox = started.enter_context(stage.manage("run_sandbox_gateway", *gateway))
        await_answer(sandbox, f"{address}/sandbox/faults")
        environment = {
            "SHOP_URL": "http://127.0.0.1",
            "EMAIL_URL": mails.url,
            "STRIPE_API_BASE": address,
        }
        for number in range(1, options.pick(quick=1, full=3, tiny=1) + 1):
            for name in turned(ways, number):
                options.say(f"a shop without customers, {name}, round {number}")
                with _shop(stage, ways[name], environment) as processes:
                    idle[name].append(_measured(stage, options, processes))
    for name, rounds in idle.items():
        _add(figures, name, rounds)
    stage.drop_database("idling")
    return figures


def commands() -> dict[str, str]:
    """The commands of the Procfile by the names that it gives their processes, without the web."""
    procfile = (ROOT / "Procfile").read_text()
    return dict(re.findall(r"^(\w+): python manage\.py (.+)$", procfile, re.MULTILINE))


@contextmanager
def _shop(
    stage: Stage, others: Mapping[str, str], environment: Mapping[str, str]
) -> Iterator[dict[str, list[int]]]:
    """The ids of its processes by their names, once it is warm."""
    with ExitStack() as started:
        web = started.enter_context(stage.web_servers(environment=environment))
        processes = {WEB: [child.pid for child in web.values()]}
        for name, command in others.items():
            arguments = shlex.split(command)
            child = started.enter_context(stage.manage(*arguments, environment=environment))
            processes[name] = [child.pid]
        _warm_up(list(web))
        yield processes


def _warm_up(ports: Sequence[int]) -> None:
    over_http = OverHttp(ports)
    for _ in range(WARM_UPS):
        for url in (f"http://127.0.0.1:{port}{page}" for port in ports for page in PAGES):
            # The first pages are asked for while all other processes are starting.
            if not wait_until(partial(answers, url), seconds=START_SECONDS):
                raise RuntimeError(f"{url} was not shown")
        over_http.place(Basket().filled(over_http.connections))
    orders.await_published()
    orders.await_settled()
    orders.await_none(UNSENT_MAIL)


def _measured(stage: Stage, options: Options, processes: Mapping[str, list[int]]) -> Idle:
    assert stage.postgres.child
    stage.checkpoint()
    # What follows the last order and the checkpoint is no part of it.
    time.sleep(options.pick(quick=3.0, full=10.0, tiny=0.5))
    counted = {**processes, POSTGRES: [stage.postgres.child.pid]}
    before = {name: processor_seconds(pids) for name, pids in counted.items()}
    began = time.monotonic()
    time.sleep(options.pick(quick=5.0, full=20.0, tiny=1.0))
    seconds = time.monotonic() - began
    processor = {
        name: (processor_seconds(pids) - before[name]) / seconds * 100
        for name, pids in counted.items()
    }
    memory = {name: memory_of(pids) for name, pids in counted.items()}
    return Idle(processor, memory)


def _add(figures: Figures, way: str, rounds: Sequence[Idle]) -> None:
    """Postgres is part of what the processor does. Its memory is told beside that of the shop's
    processes, because most of it is a cache whose size somebody sets."""
    kinds = list(rounds[0].processor)
    for kind in kinds:
        taken = [idle.processor[kind] for idle in rounds]
        figures.add(f"{way}: processor, {kind}", PROCESSOR_UNIT, taken)
    all_taken = [sum(idle.processor.values()) for idle in rounds]
    figures.add(f"{way}: processor, {IN_ALL}", PROCESSOR_UNIT, all_taken)
    for kind in kinds:
        _add_memory(figures, way, kind, [idle.memory[kind] for idle in rounds])
    sums = [
        sum((idle.memory[kind] for kind in kinds if kind != POSTGRES), Memory(0, 0))
        for idle in rounds
    ]
    _add_memory(figures, way, IN_ALL, sums)


def _add_memory(figures: Figures, way: str, kind: str, rounds: Sequence[Memory]) -> None:
    figures.add(f"{way}: memory, PSS, {kind}", "MB", [memory.pss_mb for memory in rounds])
    figures.add(f"{way}: memory, RSS, {kind}", "MB", [memory.rss_mb for memory in rounds])
