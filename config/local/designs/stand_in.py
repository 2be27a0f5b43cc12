"""The designs as a drill runs them: which processes each has, and what it holds for orders."""

import subprocess
import sys
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import requests

from config.local.crowd.orders import MadeOrder
from config.local.crowd.shoppers import AtAnotherShop, Buyer
from config.local.designs import base
from config.local.processes import free_port

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Part:
    role: str  # web, publisher, worker
    command: list[str]
    has_children: bool = False  # that do its work, and that it replaces


@dataclass(frozen=True)
class Addresses:
    """Where a system finds its database, queue and gateway, and at which ports its web serves."""

    environment: Mapping[str, str]
    web: list[int]

    @property
    def database(self) -> str:
        return self.environment["DATABASE_URL"]


class StandIn:
    """Old, notify or fifo-only, from `designs/`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module = f"config.local.designs.{name.replace('-', '_')}"
        self.buyer: Buyer = AtAnotherShop()
        self.purges = "payments.fifo" if name == "fifo-only" else ""
        self._topic = 0
        self._consumers = 0
        self._environment: Mapping[str, str] = {}

    def prepare(self, at: Addresses) -> None:
        base.prepare(at.database)
        self._environment = at.environment
        if self.name == "fifo-only":
            code = (
                "import os; from config.local.designs import fifo_only as f;"
                "f.create_queue(f.sqs(), os.environ['PAYMENTS_QUEUE_NAME'], visibility_seconds=30)"
            )
            command = [sys.executable, "-c", code]
            subprocess.run(command, env=at.environment, cwd=ROOT, check=True)

    def parts(self, at: Addresses) -> list[Part]:
        run = [sys.executable, "-m", self.module]
        web = [Part("web", [*run, "web", "--port", str(port)]) for port in at.web]
        if self.name == "fifo-only":
            return [*web, *[Part("worker", [*run, "consumer"])] * 3]
        if self.name == "notify":
            consumer, self._topic = free_port(), int(at.environment["TOPIC_URL"].split(":")[2][:-1])
            topic = [
                sys.executable,
                "-m",
                "config.local.designs.topic",
                "--seed",
                "1",
                "--hostile",
            ]
            topic += ["--port", str(self._topic), "--deliver-to", f"http://127.0.0.1:{consumer}/"]
            # The topic stands for a service of the cloud: nobody kills it.
            return [
                *web,
                Part("worker", [*run, "consumer", "--port", str(consumer)]),
                Part("service", topic),
            ]
        return web

    def orders(self, at: Addresses) -> list[MadeOrder]:
        return [
            MadeOrder(
                number=order.number,
                purchase=order.purchase,
                amount_minor=order.amount_minor,
                currency=order.currency,
                status=order.status,
                location=f"/orders/{order.number}/",
            )
            for order in base.orders(at.database)
        ]

    def unfinished(self, at: Addresses) -> int:
        """What is still under way between the request and the charge."""
        if self.name == "notify":
            url = f"http://127.0.0.1:{self._topic}/state"
            return int(requests.post(url, timeout=5).json()["pending"])
        if self.name == "fifo-only":
            url = f"{at.environment['AWS_ENDPOINT_URL']}/control/messages"
            queue = requests.get(url, timeout=30).json()[at.environment["PAYMENTS_QUEUE_NAME"]]
            return len(queue)
        return 0

    def unknown_charges(self, at: Addresses, charged: Set[str]) -> int:
        return 0  # of these designs nobody expects it
