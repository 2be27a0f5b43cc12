"""What the page shows. The script asks for the same parts again and puts them in their places."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from config.local.break_it.buttons import Group
from config.local.break_it.diary import Diary, Kind
from config.local.break_it.figures import AWAY, Figures
from config.local.break_it.picture import as_html, story_of, when
from config.local.break_it.scenes import SHOP, RunningShop, Scene
from config.local.crowd.records import ACKNOWLEDGED
from config.local.processes import Child, children_of
from payments.sandbox.for_demo import SHOWN_AS

FOLDER = Path(__file__).resolve().parent / "assets"
TEMPLATE = Template((FOLDER / "page.html").read_text())

EVENTS, PURCHASES = 14, 8

WORKFLOWS = {
    SHOP: ("Once", "This shop: a one-time token in the form, an outbox, an idempotent worker."),
    "old": ("Old workflow", "The request stores the order, calls the bank and waits for it."),
    "notify": ("Notify", "The request announces the order; whoever hears of it charges the card."),
    "fifo-only": ("FIFO only", "A FIFO queue alone is trusted to deliver exactly once."),
}

ROLES = {
    "web": "web",
    "publisher": "publisher",
    "worker": "worker",
    "mailer": "mailer",
    **SHOWN_AS,
    "bank": "bank (sandbox)",
    "service": "topic",
}


@dataclass(kw_only=True)
class View:
    """What one look at the page is made of."""

    shop: RunningShop
    scene: Scene
    diary: Diary
    figures: Figures
    said: str
    state: list[str]  # what is broken at the moment, and stays so
    purchase: str  # whose picture is shown; empty: that of the last one


def whole_page(view: View, groups: Iterable[Group]) -> str:
    return TEMPLATE.substitute(
        parts_of(view),
        buttons="".join(_group(group) for group in groups),
        shop=escape(view.shop.url),
        said=escape(view.said),
    )


def parts_of(view: View) -> dict[str, str]:
    return {
        "workflows": "".join(_workflow(key, view.scene.key) for key in WORKFLOWS),
        "verdict": _verdict(view.figures),
        "figures": _figures(view),
        "state": "".join(f"<li>{escape(words)}</li>" for words in view.state),
        "events": _events(view),
        "processes": _processes(view),
        "purchases": _purchases(view),
        "picture": _picture(view),
    }


def verdict_in_words(figures: Figures) -> str:
    return (
        f"Duplicates: {figures.duplicates}. Lost: {figures.lost}. Wrong: {figures.wrong}. "
        f"{figures.orders} orders, {figures.charges} charges."
    )


def _group(group: Group) -> str:
    buttons = "".join(
        f'<form method="post" action="/press/{button.key}">'
        f"<button>{escape(button.label)}</button></form>"
        for button in group.buttons
    )
    return f'<div class="group" role="group" aria-label="{escape(group.title)}">' + (
        f"<h3>{escape(group.title)}</h3>{buttons}</div>"
    )


def _workflow(key: str, chosen: str) -> str:
    name, words = WORKFLOWS[key]
    pressed = "true" if key == chosen else "false"
    return (
        f'<form method="post" action="/workflow/{key}"><button aria-pressed="{pressed}">'
        f"{escape(name)}</button> <span>{escape(words)}</span></form>"
    )


def _verdict(figures: Figures) -> str:
    cells = "".join(
        f'<div class="{"zero" if count == 0 else "broken"}"><dt>{name}</dt><dd>{count}</dd></div>'
        for name, count in (
            ("Duplicates", figures.duplicates),
            ("Lost", figures.lost),
            ("Wrong", figures.wrong),
        )
    )
    examples = "".join(f"<li>{escape(row)}</li>" for row in figures.examples)
    return f"<dl>{cells}</dl>" + (f"<ul>{examples}</ul>" if examples else "")


def _figures(view: View) -> str:
    found, queue = view.figures, view.figures.queue
    gave_up = f", {found.shoppers_gave_up} gave up" if found.shoppers_gave_up else ""
    rows = [
        ("Shoppers sent", found.shoppers, f"{found.shoppers_done} have left{gave_up}"),
        ("Presses of “Place order”", found.presses, "in the shoppers' own record"),
        ("Purchases acknowledged", found.purchases, "in the shoppers' own record"),
        ("Orders", found.orders, "in the database"),
        ("Charges", found.charges, "in the bank's own ledger"),
        (
            "Orders not charged",
            found.not_charged,
            "declined, or the bank waits for an answer",
        ),
        ("Refunds", found.refunds, "in the bank's own ledger"),
        ("Orders still on their way", found.under_way, "a message, call or mail is due"),
        ("Messages waiting", queue.waiting, "in the queue"),
        ("Messages in flight", queue.in_flight, "received and not deleted"),
        ("Dead letters", queue.dead_letters, "received five times in vain"),
        ("Mails sent", found.mails, "by the mailer"),
    ]
    if view.shop.wire:
        rows.append(("Connections cut after COMMIT", view.shop.wire.cuts_made, "by this page"))
    body = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{'–' if count is None else count}</td>"
        f"<td>{escape(where)}</td></tr>"
        for name, count, where in rows
    )
    away = "<p>Not every record can be read at the moment: these figures are from before.</p>"
    return f"<table>{body}</table>" + (away if found.is_stale else "")


def _events(view: View) -> str:
    """What was done stays in view for a while, however much is told to shoppers."""
    diary = view.diary.entries([Kind.DONE, Kind.START])
    done = [(entry.at, entry.words, True) for entry in diary[-EVENTS // 2 :]]
    answers = {ACKNOWLEDGED: "was told the order's address", 0: "got no answer"}
    told = [
        (
            press.at + press.seconds,
            f"{press.purchase.partition('@')[0]} pressed and "
            + answers.get(press.status, f"was answered {press.status}"),
            False,
        )
        for press in view.scene.log.so_far().presses[-(EVENTS - len(done)) :]
    ]
    return "".join(
        f'<li class="{"done" if is_done else "told"}"><span class="when">{when(at)}</span> '
        f"{escape(words)}</li>"
        for at, words, is_done in sorted(done + told, reverse=True)
    )


def _processes(view: View) -> str:
    rows = []
    for role, children in view.scene.roles.items():
        for child in children:
            rows.append(_process(ROLES.get(role, role), child))
    if view.shop.sqs:
        rows.append(_process("SQS", view.shop.sqs.child))
    if view.shop.postgres and view.shop.postgres.child:
        rows.append(_process("Postgres", view.shop.postgres.child))
    head = "<tr><th scope=col>Process</th><th scope=col>pid</th><th scope=col>Age</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _process(name: str, child: Child) -> str:
    if not child.is_running:
        return f"<tr><th scope=row>{escape(name)}</th><td>–</td><td>stopped</td></tr>"
    below = children_of(child.pid) if name in {"web", "worker"} else []
    pids = f"{child.pid}" + (f" ({', '.join(map(str, below))})" if below else "")
    age = _age(time.time() - child.started_at)
    return f"<tr><th scope=row>{escape(name)}</th><td>{pids}</td><td>{age}</td></tr>"


def _age(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _purchases(view: View) -> str:
    presses: dict[str, int] = {}
    for press in view.scene.log.so_far().presses:
        presses[press.purchase] = presses.get(press.purchase, 0) + 1
    last = list(presses.items())[-PURCHASES:]
    return "".join(
        f'<li><a href="/?purchase={escape(purchase)}#picture">'
        f"{escape(purchase.partition('@')[0])}</a>, {count} press{'es' if count > 1 else ''}</li>"
        for purchase, count in reversed(last)
    )


def _picture(view: View) -> str:
    purchase = view.purchase or next(_seen(view), "")
    try:
        story = story_of(view.scene, view.diary, purchase) if purchase else None
    except AWAY:
        return "<p>The database does not answer, so there is no picture at the moment.</p>"
    if story is None:
        return "<p>Nobody has pressed yet. Send some shoppers.</p>"
    return as_html(story)


def _seen(view: View) -> Iterator[str]:
    """The purchases whose shoppers were answered, the last one first."""
    for press in reversed(view.scene.log.so_far().presses):
        if press.status == ACKNOWLEDGED:
            yield press.purchase
