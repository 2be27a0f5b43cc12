"""Placing without a web server around it: ours, and django-oscar's. One process, one at a time."""

import json
import sys
import time
from importlib.util import find_spec

from tests.tools.bench.figures import Contender, Figures, Round, take_turns
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import Basket
from tests.tools.bench.purchases import Purchase, token_of
from tests.tools.bench.stage import Stage

OSCAR = [sys.executable, "-m", "tests.tools.bench.contenders.oscar_shop"]


def in_process(stage: Stage, options: Options, figures: Figures) -> None:
    orders = options.pick(quick=30, full=200, tiny=2)
    contenders: dict[str, Contender] = {"ours, in process": lambda _: _ours(orders)}
    if has_oscar := find_spec("oscar") is not None and not (options.quick or options.tiny):
        stage.make_database("oscar", like="template1")
        _run_oscar(stage, "--prepare")
        contenders["django-oscar, in process"] = lambda _: _oscar(stage, orders)
    rounds = options.pick(quick=1, full=3, tiny=1)
    turns = take_turns(
        contenders, rounds=rounds, say=options.say, warm_up=not (options.quick or options.tiny)
    )
    for name, taken in turns.items():
        figures.add_contender(name, taken)
    if has_oscar:
        ours, oscar = turns.values()
        figures.add_ratio("ours ÷ django-oscar, in process", ours, oscar)


def _ours(orders: int) -> Round:
    seconds = [_place(purchase) for purchase in Basket().filled(orders)]
    return Round(orders / sum(seconds), seconds)


def _place(purchase: Purchase) -> float:
    from django.utils import timezone

    from checkout.cart import CartBasket
    from checkout.catalogue.gateways import gateway_names
    from checkout.orders.placing.place import place_order
    from checkout.orders.placing.purchase import Customer, PlaceOrder
    from tests.support.shopper import TYPED

    typed = TYPED | {"email": purchase.email}
    payment_method = typed.pop("payment_method")
    now = timezone.now()
    token = token_of(purchase, now=now)
    wanted = PlaceOrder(
        checkout_id=purchase.cart,
        customer=Customer.typed(typed),
        gateway=gateway_names()[0],
        payment_method=payment_method,
        currency=token.currency,
        content_digest="0" * 64,
    )
    began = time.perf_counter()
    place_order(wanted, CartBasket(token, now), now=now)
    return time.perf_counter() - began


def _oscar(stage: Stage, orders: int) -> Round:
    seconds: list[float] = json.loads(_run_oscar(stage, "--orders", str(orders)))
    return Round(orders / sum(seconds), seconds)


def _run_oscar(stage: Stage, *arguments: str) -> str:
    return stage.run([*OSCAR, *arguments], {"DATABASE_URL": stage.url("oscar")})
