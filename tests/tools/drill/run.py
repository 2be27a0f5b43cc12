"""One drill: start everything, let the crowd in, let things go wrong, wait, and audit."""

import os
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import requests

from config.local.crowd.comparison import Evidence, Promise, Totals, totals
from config.local.crowd.records import Charge, PostLog, charges_in, journal_of, refunds_in
from config.local.crowd.shoppers import GOOD_CARD, STRIPE, AtOurShop, Crowd, Plan, plan_of
from config.local.designs.stand_in import Addresses
from config.local.postgres import EmbeddedPostgres
from config.local.processes import Child, free_port, stop, wait_until
from config.local.sqs_double.hostile import CHANCES
from payments.sandbox.faults import NetworkFault, parse
from tests.doubles.smtp import MailServer
from tests.tools.drill.after_sale import acts_told, after_sale
from tests.tools.drill.chaos import ENOUGH, Chaos, Event, Fleet, against_processes
from tests.tools.drill.codes import Codes
from tests.tools.drill.deaths import (
    GATEWAY_SECONDS,
    HITS_AT_LEAST,
    SHOPPERS,
    SHOPPING_SECONDS,
    Deaths,
)
from tests.tools.drill.desks import RESTS
from tests.tools.drill.disasters.clocks import wrong_clocks
from tests.tools.drill.disasters.credentials import Credentials
from tests.tools.drill.disasters.failover import SYNCHRONOUS, Cluster
from tests.tools.drill.disasters.lost_queue import OF_A_LOST_QUEUE, Queues
from tests.tools.drill.disasters.plan import AT_LEAST as OF_DISASTERS
from tests.tools.drill.disasters.plan import CLOCKS, Disasters
from tests.tools.drill.other_ways import OtherWays
from tests.tools.drill.pace import Pace, Source
from tests.tools.drill.promises import (
    Measured,
    came_to_rest,
    codes_kept,
    deaths_made_good,
    known_in_time,
    measured,
    promises,
)
from tests.tools.drill.restored import Restored
from tests.tools.drill.systems import (
    DESKS,
    MANAGE,
    ROOT,
    SHOP_ENVIRONMENT,
    START_SECONDS,
    WEBHOOK_SECRET,
    WORKER_OF_A_LOST_QUEUE,
    Ours,
    System,
    answers,
    sweep_after_seconds,
)

# Promised: so long after the faults stop, nothing moves any more. In a long run that is as long as
# three sweeps take, since what a sweep publishes may be lost as well.
SETTLE_SECONDS = 180.0
SWEEPS_UNTIL_QUIET = 3

GATEWAY_FAULTS = ",".join(
    [
        "confirm:late=0.1,confirm:silent=0.09,confirm:reset=0.12,confirm:500=0.15",
        "open:late=0.07,open:reset=0.07,open:silent=0.05,open:500=0.04,*:429=0.03,*:503=0.03",
        "capture:late=0.1,capture:silent=0.05,capture:reset=0.12,capture:500=0.12",
        "cancel:reset=0.05,cancel:500=0.05",
    ]
)

# After a restore nothing has moved for so long after the time in which the sweep comes by.
QUIET_SECONDS = 10.0

# About as many as the two web processes answer at once, with those that press several times. More
# would only time out and press again, on a machine that has enough to do.
CROWD_THREADS = 32

# Hit by plan once or twice, whatever the length of a run.
RARE = {"Postgres stopped", "Postgres killed", "queue purged", "backup taken"}

# Deaths with an order in hand, after all other faults.
IN_HAND = {kind: f"{kind} had an order in hand" for kind in HITS_AT_LEAST}
AT_LEAST = OF_DISASTERS | {IN_HAND[kind]: hits for kind, hits in HITS_AT_LEAST.items()}

# A shorter run has no time for them.
DISASTERS_FROM_MINUTES = 2.0


@dataclass(frozen=True, kw_only=True)
class Options:
    shoppers: int
    seed: int
    minutes: float
    most_settle_seconds: float | None = None
    by_card_alone: bool = False  # other designs know no other way to pay
    restores: bool = False  # a backup of the middle of the run, after everything else
    standby: str = SYNCHRONOUS

    @property
    def sweep_after_seconds(self) -> float:
        return sweep_after_seconds(self.minutes)

    @property
    def settle_seconds(self) -> float:
        if self.most_settle_seconds is not None:
            return self.most_settle_seconds
        return max(SETTLE_SECONDS, SWEEPS_UNTIL_QUIET * self.sweep_after_seconds)


@dataclass(kw_only=True)
class Outcome:
    design: str
    seed: int
    totals: Totals
    presses: int
    waits: list[float]
    gave_up: int
    promises: list[Promise]
    faults: dict[str, int]
    settled_seconds: float | None  # after the faults stopped; None: not within the time
    seconds: float
    queue: dict[str, int] = field(default_factory=dict)
    acts: dict[str, int] = field(default_factory=dict)  # of clerks and support, as they were told
    measured: Measured = field(default_factory=Measured)

    @property
    def violations(self) -> int:
        return sum(len(promise.broken) for promise in self.promises)

    @property
    def too_rare(self) -> list[str]:
        return [
            kind
            for kind, hits in self.faults.items()
            if hits < AT_LEAST.get(kind, ENOUGH) and kind not in RARE
        ]

    @property
    def median_wait(self) -> float:
        return statistics.median(self.waits) if self.waits else 0

    @property
    def longest_but_one_percent(self) -> float:
        return self.waits[int(len(self.waits) * 0.99)] if self.waits else 0


class Drill:
    def __init__(self, system: System, options: Options, say: Callable[[str], None]) -> None:
        self.system = system
        self.options = options
        self.say = say
        self.folder = Path(tempfile.mkdtemp(prefix="drill-"))
        self.folder.chmod(0o755)
        self.logs = self.folder / "logs"
        postgres = EmbeddedPostgres(self.folder / "postgres", durable=True)
        self.cluster = Cluster(postgres, self.folder, options.standby)
        self.queues: Queues | None = None
        self.disasters: Disasters | None = None
        self.sandbox_url = f"http://127.0.0.1:{free_port()}"
        self.log = PostLog(self.folder / "posts.jsonl")
        self.services: list[Child] = []
        self.journals = self.folder / "desks"
        self.mails = MailServer()
        self.others = OtherWays(self.folder, options.seed)
        if isinstance(system, Ours):
            system.buyer.send_transfer = self.others.send_transfer
        self.fleet: Fleet | None = None
        self.codes: Codes | None = None
        self.restored: Restored | None = None
        self.crowd = Crowd(CROWD_THREADS)
        self._chance = random.Random(options.seed)
        self._began = time.monotonic()
        self._awaited = options.shoppers

    def run(self) -> Outcome:
        try:
            return self._run()
        finally:
            if self.fleet:
                self.fleet.end()  # first, since a shopper may wait for one that is stopped
            self.crowd.stop()
            if self.queues:
                self.queues.stop()
            stop(self.services, seconds=10)
            self.mails.stop()
            self.others.stop()
            self.cluster.stop()
            self.log.close()
            if "DRILL_KEEP" in os.environ:
                self.say(f"Kept: {self.folder}")
            else:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self) -> Outcome:
        at = self._start()
        stock = self._stock(at) if isinstance(self.system, Ours) else {}
        plans = [
            plan_of(number, self.options.seed) for number in range(1, self.options.shoppers + 1)
        ]
        if self.options.by_card_alone:
            plans = [replace(plan, way=STRIPE) for plan in plans]
        urls = [f"http://127.0.0.1:{port}" for port in at.web]
        seconds = self.options.minutes * 60
        for number, plan in enumerate(plans):
            life = self.system.buyer(plan, urls, self.log)
            self.crowd.add(life, after_seconds=number / len(plans) * seconds * 0.95)
        assert self.fleet
        if self.options.restores:
            self.restored = Restored(at, self._listed, self.others.transfers, self._go_on(at))
        chaos = Chaos(sorted(self._events(self.fleet, seconds)))
        assert self.queues
        pace = Pace(self._left_to_chance(self.queues), is_kept=not self.options.by_card_alone)
        self.queues.set_hostile(True)
        self.crowd.start()
        if isinstance(self.system, Ours):
            self.codes = Codes(at.database)
            self.codes.start()
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            chaos.tend(elapsed)
            pace.tend(elapsed / seconds)
            if self.disasters:
                self.disasters.tend()
            self.fleet.tend()
            self._progress(f"faults, {elapsed:.0f} of {seconds:.0f} s", at)
            time.sleep(0.05)
        self._stop_faults()
        self.fleet.retire(DESKS)
        faults_end = time.time()
        rests = {"the faults": self._settle(at)}
        self.fleet.retire([OF_A_LOST_QUEUE])
        deaths = None
        if isinstance(self.system, Ours) and rests["the faults"] is not None:
            plans += self._watch_deaths(at, urls, deaths := Deaths(self.fleet, at))
            rests["the deaths"] = self._settle(at)
            self._gateway({"latency_seconds": 0})
        # Nobody is left who could change anything: all that is read from here on is of one moment.
        # Simpler than processes that are stopped, which hold their locks, and than two looks that
        # agree. Only the gateway may still be at a dead worker's call, and only where the shop did
        # not come to rest, which is a verdict by itself.
        self.fleet.end()
        self.crowd.stop()
        if self.codes:
            self.codes.stop()
        outcome = self._outcome(at, plans, stock, chaos, pace, rests, faults_end, deaths)
        if self.restored:
            self.say("The database goes back to its backup")
            outcome.promises += self.restored.promises()
        return outcome

    def _listed(self) -> list[Charge]:
        """Those at gateways that tell a list of theirs: the shop's own bank has none."""
        return charges_in(self.ledger) + self.others.at_mollie()

    def _go_on(self, at: Addresses) -> Callable[[], bool]:
        """The shop's processes work until nothing moves any more, within the time for that."""

        def go_on() -> bool:
            assert self.fleet
            self.fleet.start()
            began, quiet_since = time.monotonic(), 0.0
            quiet_seconds = self.options.sweep_after_seconds + QUIET_SECONDS
            while (elapsed := time.monotonic() - began) < self.options.settle_seconds:
                self.fleet.tend()
                quiet_since = 0.0 if self.system.unfinished(at) else quiet_since or elapsed
                if quiet_since and elapsed - quiet_since >= quiet_seconds:
                    break
                time.sleep(0.5)
            self.fleet.end()
            return bool(quiet_since) and elapsed - quiet_since >= quiet_seconds

        return go_on

    # --- Before -------------------------------------------------------------------------------

    def _start(self) -> Addresses:
        self.logs.mkdir()
        self.journals.mkdir()
        self.mails.start()
        mollie_url = self.others.start()
        web = [free_port(), free_port()]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment = kept | SHOP_ENVIRONMENT
        environment["DATABASE_URL"] = self.cluster.postgres.start()
        environment["SWEEP_AFTER_SECONDS"] = f"{self.options.sweep_after_seconds:.0f}"
        environment["EMAIL_URL"] = self.mails.url
        environment["DRILL_JOURNALS"] = str(self.journals)
        environment["DRILL_STATEMENT"] = str(self.others.statement)
        environment["MOLLIE_API_BASE"] = mollie_url
        environment["STRIPE_API_BASE"] = self.sandbox_url
        environment["SHOP_URL"] = f"http://127.0.0.1:{web[0]}"
        environment["TOPIC_URL"] = f"http://127.0.0.1:{free_port()}/"
        at = Addresses(environment, web)
        sandbox = [*MANAGE, "run_sandbox_gateway", "--port", self.sandbox_url.rpartition(":")[2]]
        sandbox += ["--ledger", str(self.ledger), "--seed", str(self.options.seed)]
        sandbox += ["--faults", GATEWAY_FAULTS]
        if isinstance(self.system, Ours):
            sandbox += ["--webhook-url", f"http://127.0.0.1:{web[0]}/payments/webhooks/stripe/"]
            sandbox += ["--webhook-secret", WEBHOOK_SECRET]
        gateway = Child(
            name="sandbox",
            command=sandbox,
            log=self.folder / "sandbox.log",
            environment=environment,
            directory=ROOT,
        )
        gateway.start()
        self.services.append(gateway)
        name = self.system.purges or environment["PAYMENTS_QUEUE_NAME"]
        self.queues = Queues(self.folder, environment, self.options.seed, name)
        self.queues.open()
        self._wait_for(f"{self.sandbox_url}/sandbox/faults")
        self.system.prepare(at)
        parts = self.system.parts(at)
        if self._has_disasters:
            parts = wrong_clocks(parts, self.folder, self.options.seed)
        self.fleet = Fleet(parts, environment, self.logs)
        if self._has_disasters:
            self.cluster.attach()
            queues = self.queues
            credentials = Credentials(at.database, lambda: queues.url, self.sandbox_url)
            self.disasters = Disasters(self.cluster, queues, credentials, self.fleet)
        self.fleet.start()
        self._wait_for(*[f"http://127.0.0.1:{port}/readyz" for port in web])
        self.say(f"{self.system.name}: {len(self.fleet.members)} processes are up")
        return at

    @property
    def _has_disasters(self) -> bool:
        is_long = self.options.minutes >= DISASTERS_FROM_MINUTES
        return isinstance(self.system, Ours) and is_long

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    def _wait_for(self, *urls: str) -> None:
        for url in urls:
            if not wait_until(lambda: answers(url), seconds=START_SECONDS):  # noqa: B023 - called at once
                raise RuntimeError(f"{url} does not answer.")

    def _stock(self, at: Addresses) -> dict[int, int]:
        with psycopg.connect(at.database) as connection:
            return dict(connection.execute("SELECT id, stock FROM catalogue_product").fetchall())

    # --- Meanwhile ----------------------------------------------------------------------------

    def _events(self, fleet: Fleet, seconds: float) -> list[Event]:
        chance = self._chance
        events = against_processes(fleet, seconds, chance)
        events.append(Event(0.3 * seconds, "Postgres stopped", self._restart_postgres))
        events.append(Event(0.65 * seconds, "Postgres killed", self._kill_postgres))
        if self.restored:
            events.append(Event(0.5 * seconds, "backup taken", self.restored.take))
        if self.disasters:
            events += self.disasters.events(seconds)
        if self.system.purges and self.queues:
            events.append(Event(0.5 * seconds, "queue purged", self.queues.purge))
        if isinstance(self.system, Ours):
            for kind in ("webhooks held back", "webhooks doubled", "webhooks shuffled"):
                for number in range(ENOUGH + 4):
                    at_seconds = chance.uniform(0.02, 0.98) * seconds
                    events.append(Event(at_seconds, kind, self._webhooks(kind, number)))
        return events

    def _left_to_chance(self, queues: Queues) -> list[Source]:
        faults = f"{self.sandbox_url}/sandbox/faults"
        mollie = self.others.faults

        def make_likelier_at_mollie(kinds: Collection[str]) -> None:
            mollie.likelier = frozenset(NetworkFault(kind) for kind in kinds)

        sources = [
            Source(
                name="gateway",
                kinds=frozenset(chance.fault.value for chance in parse(GATEWAY_FAULTS)),
                hits=lambda: requests.get(faults, timeout=30).json()["hits"],
                make_likelier=lambda kinds: self._gateway({"likelier": kinds}),
            )
        ]
        if not self.options.by_card_alone:
            sources.append(
                Source(
                    name="mollie",
                    kinds=frozenset(chance.fault.value for chance in mollie.chances),
                    hits=lambda: mollie.told()["hits"],
                    make_likelier=make_likelier_at_mollie,
                )
            )
        if self.system.purges:
            sources.append(
                Source(
                    name="queue",
                    kinds=frozenset(CHANCES),
                    hits=queues.hits,
                    make_likelier=queues.make_likelier,
                )
            )
        return sources

    def _restart_postgres(self) -> bool:
        if self.disasters and self.disasters.leave_postgres_alone:
            return False
        self.cluster.postgres.stop()
        self.cluster.postgres.start()
        return True

    def _kill_postgres(self) -> bool:
        if self.disasters and self.disasters.leave_postgres_alone:
            return False
        self.cluster.postgres.kill()
        return self._restart_postgres()

    def _webhooks(self, kind: str, number: int) -> Callable[[], bool]:
        wishes: dict[str, dict[str, object]] = {
            "webhooks held back": {"hold": True, "duplicate": False},
            "webhooks doubled": {"hold": False, "duplicate": True},
            "webhooks shuffled": {"hold": False, "release": number, "latest": 20},
        }

        def ask() -> bool:
            answer = requests.post(
                f"{self.sandbox_url}/sandbox/webhooks", json=wishes[kind], timeout=10
            )
            return answer.ok

        return ask

    _next_word = 0.0

    def _progress(self, phase: str, at: Addresses) -> None:
        if time.monotonic() < self._next_word:
            return
        self._next_word = time.monotonic() + 10
        told = len(self.log.acknowledged())
        self.say(
            f"{self.system.name}, {phase}: {self.crowd.finished} of {self._awaited} "
            f"shoppers done, {len(self.log.presses)} presses, {told} acknowledged, "
            f"{self.fleet.restarts if self.fleet else 0} processes started again"
        )

    # --- Afterwards ---------------------------------------------------------------------------

    def _stop_faults(self) -> None:
        assert self.fleet
        assert self.queues
        self.queues.set_hostile(False)
        if self.disasters:
            self.disasters.end(WORKER_OF_A_LOST_QUEUE)
        self._gateway({"calm": True, "outage": False})
        self.others.faults.calm()
        last = {"hold": False, "duplicate": False, "release": self.options.seed, "latest": 50}
        if isinstance(self.system, Ours):
            requests.post(f"{self.sandbox_url}/sandbox/webhooks", json=last, timeout=30)
        self.fleet.let_all_go_on()

    def _watch_deaths(self, at: Addresses, urls: list[str], deaths: Deaths) -> list[Plan]:
        """Further shoppers buy while worker processes are killed, and nothing else goes wrong."""
        assert self.fleet
        first = self.options.shoppers + 1
        plans = [
            replace(plan_of(number, self.options.seed), card=GOOD_CARD, way=STRIPE)
            for number in range(first, first + SHOPPERS)
        ]
        self._gateway({"latency_seconds": GATEWAY_SECONDS})
        for number, plan in enumerate(plans):
            life = self.system.buyer(plan, urls, self.log)
            self.crowd.add(life, after_seconds=number / len(plans) * SHOPPING_SECONDS)
        self._awaited += len(plans)
        deaths.run(self.fleet.tend)
        return plans

    def _gateway(self, wish: dict[str, object]) -> None:
        answer = requests.post(f"{self.sandbox_url}/sandbox/faults", json=wish, timeout=30)
        answer.raise_for_status()

    def _settle(self, at: Addresses) -> float | None:
        """Until every shopper is done, nothing moves any more, and the books know all that the
        gateway charged."""
        assert self.fleet
        began = time.monotonic()
        next_look = quiet_since = 0.0
        while (elapsed := time.monotonic() - began) < self.options.settle_seconds:
            self.fleet.tend()
            self._progress(f"settling for {elapsed:.0f} s", at)
            if (looked := time.monotonic()) >= next_look:
                if self.crowd.finished < self._awaited or self._unfinished(at):
                    quiet_since = 0.0
                else:
                    quiet_since = quiet_since or elapsed
                    if elapsed - quiet_since >= 3:
                        return quiet_since
                now = time.monotonic()
                next_look = now + max(1.0, RESTS * (now - looked))  # who is looked at has to work
            time.sleep(0.1)
        return None

    def _unfinished(self, at: Addresses) -> int:
        try:
            charged = {charge.order for charge in self._charges()}
            left_behind = self.queues.left_behind() if self.queues else 0
            unfinished = self.system.unfinished(at) + self.system.unknown_charges(at, charged)
            return unfinished + left_behind
        except (psycopg.OperationalError, requests.RequestException):
            return 1

    def _charges(self) -> list[Charge]:
        return charges_in(self.ledger) + self.others.charges()

    def _outcome(
        self,
        at: Addresses,
        plans: list[Plan],
        stock: dict[int, int],
        chaos: Chaos,
        pace: Pace,
        rests: dict[str, float | None],
        faults_end: float,
        deaths: Deaths | None,
    ) -> Outcome:
        assert self.queues
        evidence = Evidence.gather(plans, self.log, self.system.orders(at), self._charges())
        kept: list[Promise] = []
        buyer = self.system.buyer
        if isinstance(buyer, AtOurShop):
            kept = promises(evidence, buyer, at, self.queues.journal, self.logs, stock)
            kept += codes_kept(self.codes, at) if self.codes else []
            refunds = [*refunds_in(self.ledger), *self.others.refunds()]
            kept += after_sale(at.database, self.journals, refunds, self.mails.accepted)
            kept.append(came_to_rest(rests, self.options.settle_seconds, len(plans)))
            kept.append(
                known_in_time(
                    evidence, faults_end, sweep_after_seconds=self.options.sweep_after_seconds
                )
            )
            kept += deaths_made_good(evidence, deaths) if deaths else []
            if self.disasters:
                kept.append(self.queues.emptied())
            kept.append(Promise("Every shopper came through", len(plans), self.crowd.failures))
        return Outcome(
            design=self.system.name,
            seed=self.options.seed,
            totals=totals(evidence),
            presses=len(self.log.presses),
            waits=self.log.waits(),
            gave_up=getattr(buyer, "gave_up", 0),
            promises=kept,
            faults=self._faults(chaos, pace, deaths.hits(evidence.orders) if deaths else Counter()),
            measured=measured(evidence, faults_end, deaths),
            settled_seconds=rests["the faults"],
            seconds=time.monotonic() - self._began,
            queue=dict(journal_of(self.queues.journal)),
            acts=dict(sorted(acts_told(self.journals).items())),
        )

    def _faults(self, chaos: Chaos, pace: Pace, met: Counter[str]) -> dict[str, int]:
        hits: Counter[str] = Counter(dict.fromkeys({e.kind for e in chaos.events}, 0))
        hits.update(chaos.hits)
        hits.update(pace.hits())
        if self.disasters and self.fleet:
            hits[CLOCKS] = len(self.fleet.members) + self.fleet.restarts
        lost = sum(press.status == 0 for press in self.log.presses)
        hits["answers lost to the shopper"] = lost
        if isinstance(self.system, Ours):
            hits.update({words: met[kind] for kind, words in IN_HAND.items()})
        return dict(sorted(hits.items()))
