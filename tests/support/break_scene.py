"""A scene of the page that breaks the demo, with what a test makes up for it."""

import json
import time
from collections.abc import Set
from dataclasses import replace
from pathlib import Path
from typing import cast

from config.local.break_it.scenes import RunningShop, Scene
from config.local.crowd.orders import MadeOrder
from config.local.crowd.records import ACKNOWLEDGED, PostLog
from config.local.crowd.shoppers import GOOD_CARD, AtAnotherShop, Plan, plan_of
from config.local.designs.stand_in import Addresses, StandIn
from config.local.watching import Watch

LONG_AGO = 1000.0


class DesignOfTests(StandIn):
    """A workflow whose orders a test makes up."""

    def __init__(self) -> None:
        super().__init__("old")
        self.made: list[MadeOrder] = []
        self.left = 0

    def orders(self, at: Addresses) -> list[MadeOrder]:
        return self.made

    def unfinished(self, at: Addresses) -> int:
        return self.left

    def unknown_charges(self, at: Addresses, charged: Set[str]) -> int:
        return 0


def scene_of_tests(folder: Path) -> Scene:
    (folder / "ledger.jsonl").touch()
    return Scene(
        key="old",
        folder=folder,
        urls=[],
        sandbox_url="",
        ledger=folder / "ledger.jsonl",
        queue="",
        database="",
        buyer=AtAnotherShop(),
        log=PostLog(folder / "posts.jsonl"),
        roles={},
        journal=None,
        stand_in=DesignOfTests(),
        addresses=Addresses({}, []),
        began=time.time() - 2 * LONG_AGO,
    )


def shop_of(folder: Path) -> RunningShop:
    """The shop of somebody who brought their own Postgres and SQS."""
    return RunningShop(
        name="Quill & Co.",
        url="",
        folder=folder,
        database="",
        sandbox_url="",
        ledger=folder / "ledger.jsonl",
        queue="",
        watch=Watch(lambda part, died: None),
    )


def shopper(scene: Scene, name: str, *, told: str = "", card: str = GOOD_CARD) -> Plan:
    """Who was told that their order has this number."""
    plan = replace(plan_of(1, 1), purchase=name, card=card, way="stripe")
    scene.plans.append(plan)
    scene.crowd.finished += 1
    if told:
        press(scene, name, location=f"/orders/{told}/")
    return plan


def press(
    scene: Scene,
    name: str,
    *,
    after: float = 0,
    seconds: float = 0.1,
    status: int = ACKNOWLEDGED,
    location: str = "",
) -> None:
    """It began so many seconds after that long ago."""
    scene.log.add(name, began=time.time() - LONG_AGO + after, status=status, location=location)
    scene.log.presses[-1] = replace(scene.log.presses[-1], seconds=seconds)


def order(
    scene: Scene, number: str, purchase: str, *, status: str = "paid", changed_at: float = 0
) -> None:
    made = MadeOrder(
        number=number,
        purchase=purchase,
        amount_minor=1000,
        currency="EUR",
        status=status,
        location=f"/orders/{number}/",
        changed_at=changed_at,
    )
    cast(DesignOfTests, scene.stand_in).made.append(made)


def charge(
    scene: Scene, number: str, *, amount: int = 1000, at: float | None = None, intent: str = "pi_1"
) -> None:
    moment = time.time() - LONG_AGO if at is None else at
    entry = {
        "kind": "charged",
        "order": number,
        "amount": amount,
        "currency": "eur",
        "payment_intent": intent,
        "at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(moment)),
    }
    with scene.ledger.open("a") as ledger:
        ledger.write(json.dumps(entry) + "\n")
