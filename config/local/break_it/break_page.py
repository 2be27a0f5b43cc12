"""The page's memory: which workflow is chosen, what was done last, and what a look at it finds."""

import threading
import time

from config.local.break_it.acts import Acts
from config.local.break_it.buttons import Pressing, groups_of
from config.local.break_it.diary import Diary
from config.local.break_it.faults import Fault, Hit, faults_of, hits_of
from config.local.break_it.figures import AWAY, Count
from config.local.break_it.page import View, parts_of, whole_page
from config.local.break_it.scenes import (
    SHOP,
    RunningShop,
    drop_databases,
    end_stand_in,
    scene_of_the_shop,
    start_stand_in,
)
from config.local.break_it.words import WORKFLOWS, name_of, starting

# However many look, the records are read so often at most.
FRESH_SECONDS = 0.8


class BreakPage:
    def __init__(self, shop: RunningShop, diary: Diary) -> None:
        self._shop = shop
        self._diary = diary
        self._shops_own = scene_of_the_shop(shop)
        self._counts = {SHOP: Count(self._shops_own)}
        self._scene = self._shops_own
        self._acts = Acts(shop, lambda: self._scene, diary)
        self._groups = groups_of(self._acts)
        self._pressing = Pressing(self._groups, diary)
        self._said = ""
        self._starting = ""  # the workflow that is being started, if one is
        self._deciding, self._looking = threading.Lock(), threading.Lock()
        self._looked_at, self._looked_at_scene = 0.0, self._scene
        self._hits: list[Hit] = []
        self._faults: list[Fault] = []
        if shop.postgres:
            drop_databases(shop.database)

    def html(self, purchase: str) -> str:
        return whole_page(self._view(purchase), self._groups)

    def parts(self, purchase: str) -> dict[str, str]:
        view = self._view(purchase)
        more = {"in_words": view.in_words, "said": view.said, "starting": view.starting}
        return parts_of(view) | more

    def press(self, key: str) -> str | None:
        if workflow := self._starting:
            return self._not_yet(workflow)
        said = self._pressing.press(key)
        return said and self._done(said)

    def send_shoppers(self, count: int) -> str:
        # Who is being sent arrives before another workflow is chosen.
        with self._deciding:
            if self._starting:
                return self._not_yet(self._starting)
            return self._done(self._pressing.act(lambda: self._acts.send_shoppers(count)))

    def choose(self, key: str) -> str | None:
        """Switch to a workflow; None where there is no such. The shop itself runs on."""
        if key not in WORKFLOWS:
            return None
        with self._deciding:
            if self._starting:
                return self._not_yet(self._starting)
            self._starting = key
        self._done(starting(key))
        try:
            return self._done(self._pressing.act(lambda: self._switch_to(key)))
        finally:
            self._starting = ""

    def _not_yet(self, workflow: str) -> str:
        name = name_of(workflow)
        return self._done(
            f"Nothing was done, because {name} is still being started. "
            f"Press again when this page says “Chosen: {name}”."
        )

    def _done(self, said: str) -> str:
        """Whoever looks next sees what came of it."""
        self._said, self._looked_at = said, 0.0
        return said

    def _switch_to(self, key: str) -> str:
        name, words = WORKFLOWS[key]
        if key != self._scene.key:
            before, self._scene = self._scene, self._shops_own
            if not before.is_shop:
                end_stand_in(self._shop, before)
            if key != SHOP:
                scene = start_stand_in(self._shop, key)
                self._counts[key] = Count(scene)
                self._scene = scene
        return f"Chosen: {name}. {words} The figures are those of its own shoppers."

    def _view(self, purchase: str) -> View:
        with self._looking:
            scene = self._scene
            count = self._counts[scene.key]
            is_fresh = time.monotonic() - self._looked_at < FRESH_SECONDS
            if not is_fresh or scene is not self._looked_at_scene or not count.last.shoppers:
                count.look()
                self._look_for_faults(count)
                self._looked_at, self._looked_at_scene = time.monotonic(), scene
        return View(
            shop=self._shop,
            scene=scene,
            diary=self._diary,
            figures=count.last,
            hits=self._hits,
            faults=self._faults,
            numbers={order.purchase: order.number for order in count.evidence.orders},
            said=self._said,
            starting=self._starting,
            state=self._acts.state(),
            purchase=purchase,
        )

    def _look_for_faults(self, count: Count) -> None:
        scene, evidence = count.scene, count.evidence
        try:
            self._hits = hits_of(scene, self._shop.wire, evidence.orders)
        except AWAY:
            self._hits = []  # the bank is just being started, or ended
        self._faults = faults_of(scene, self._diary, self._hits, evidence)
