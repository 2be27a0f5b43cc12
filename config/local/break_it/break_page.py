"""The page's memory: which workflow is chosen, what was done last, and what a look at it finds."""

import threading
import time

from config.local.break_it.acts import Acts
from config.local.break_it.buttons import Pressing, groups_of
from config.local.break_it.diary import Diary
from config.local.break_it.figures import Count
from config.local.break_it.page import WORKFLOWS, View, parts_of, verdict_in_words, whole_page
from config.local.break_it.scenes import (
    SHOP,
    RunningShop,
    drop_databases,
    end_stand_in,
    scene_of_the_shop,
    start_stand_in,
)

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
        self._choosing, self._looking, self._sending = (threading.Lock() for _ in range(3))
        self._looked_at = 0.0
        if shop.postgres:
            drop_databases(shop.database)

    def html(self, purchase: str) -> str:
        return whole_page(self._view(purchase), self._groups)

    def parts(self, purchase: str) -> dict[str, str]:
        view = self._view(purchase)
        return parts_of(view) | {"in_words": verdict_in_words(view.figures), "said": view.said}

    def press(self, key: str) -> str | None:
        said = self._pressing.press(key)
        return said and self._done(said)

    def send_shoppers(self, count: int) -> str:
        with self._sending:
            return self._done(self._pressing.act(lambda: self._acts.send_shoppers(count)))

    def choose(self, key: str) -> str | None:
        """Switch to a workflow; None where there is no such. The shop itself runs on."""
        if key not in WORKFLOWS:
            return None
        with self._choosing:
            return self._done(self._pressing.act(lambda: self._switch_to(key)))

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
            if time.monotonic() - self._looked_at > FRESH_SECONDS or count.last.shoppers == 0:
                count.look()
                self._looked_at = time.monotonic()
        return View(
            shop=self._shop,
            scene=scene,
            diary=self._diary,
            figures=count.last,
            said=self._said,
            state=self._acts.state(),
            purchase=purchase,
        )
