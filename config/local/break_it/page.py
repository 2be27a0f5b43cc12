"""What the page shows. The script asks for the same parts again and puts them in their places."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from config.local.break_it.buttons import Group
from config.local.break_it.diary import Diary
from config.local.break_it.faults import CUT, Fault, Hit
from config.local.break_it.feed import feed_as_html, lines_of_the_feed
from config.local.break_it.figures import AWAY, Figures
from config.local.break_it.findings import Finding
from config.local.break_it.picture import as_html, when
from config.local.break_it.scenes import RunningShop, Scene
from config.local.break_it.story import story_of
from config.local.break_it.words import (
    WORKFLOWS,
    counted,
    mails_in_words,
    name_of,
    shopper_in_words,
    starting,
)
from config.local.crowd.records import ACKNOWLEDGED
from config.local.processes import Child, children_of
from payments.sandbox.for_demo import SHOWN_AS

FOLDER = Path(__file__).resolve().parent / "assets"
TEMPLATE = Template((FOLDER / "page.html").read_text())

# How many of each kind are named; what is left out is counted.
PURCHASES, FINDINGS, HIT = 8, 3, 4

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
    hits: Sequence[Hit]
    faults: Sequence[Fault]  # the newest first
    numbers: dict[str, str]  # of orders, by their purchases
    said: str
    starting: str  # the workflow that is being started; empty: none
    state: list[str]  # what is broken at the moment, and stays so
    purchase: str  # whose picture is shown; empty: the last one that a fault has hit, or the last

    @property
    def in_words(self) -> str:
        """Few words for whoever sees no table, or not at the moment."""
        if self.starting:
            return starting(self.starting)
        found = self.figures
        return (
            f"{name_of(self.scene.key)}: duplicates {found.duplicates}, lost {found.lost}, wrong "
            f"{found.wrong}; {counted(found.orders, 'order')}, {counted(found.charges, 'charge')}"
        )


def whole_page(view: View, groups: Iterable[Group]) -> str:
    return TEMPLATE.substitute(
        parts_of(view),
        buttons="".join(_group(group) for group in groups),
        name=escape(view.shop.name),
        shop=escape(view.shop.url),
        said=escape(view.said),
    )


def parts_of(view: View) -> dict[str, str]:
    return {
        "workflows": "".join(_workflow(key, view) for key in WORKFLOWS),
        "whose": _whose(view),
        "verdict": _verdict(view.figures),
        "in_words": escape(view.in_words),
        "figures": _figures(view),
        "state": "".join(f"<li>{escape(words)}</li>" for words in view.state),
        "hits": _hits(view),
        "events": _events(view),
        "processes": _processes(view),
        "purchases": _purchases(view),
        "picture": _picture(view),
    }


def _group(group: Group) -> str:
    buttons = "".join(
        f'<form method="post" action="/press/{button.key}">'
        f"<button>{escape(button.label)}</button></form>"
        for button in group.buttons
    )
    return f'<div class="group" role="group" aria-label="{escape(group.title)}">' + (
        f"<h3>{escape(group.title)}</h3>{buttons}</div>"
    )


def _workflow(key: str, view: View) -> str:
    name, words = WORKFLOWS[key]
    is_starting = key == view.starting
    pressed = "true" if key == (view.starting or view.scene.key) else "false"
    return (
        f'<form method="post" action="/workflow/{key}" data-doing="{escape(starting(key))}">'
        f'<button aria-pressed="{pressed}"{" aria-busy=true" if is_starting else ""}>'
        f"{escape(name)}</button> <span>{escape(starting(key) if is_starting else words)}</span>"
        "</form>"
    )


def _whose(view: View) -> str:
    """Which workflow and which shoppers are counted, and whether the count may still change."""
    found = view.figures
    name = escape(name_of(view.scene.key))
    others = "what you buy yourself and the purchase that the demo began with are not"
    if not found.shoppers:
        rest = "No shopper was sent there yet."
    elif found.shoppers_done < found.shoppers:
        rest = "They still change: not all shoppers are done."
    elif not found.is_at_rest:
        rest = "They may still change: something is on its way, or was a moment ago."
    else:
        rest = "All shoppers are done and nothing is on its way: these figures are final."
    return (
        f"The figures are those of <strong>{name}</strong>. Only the shoppers that this page sent "
        f"there are counted; {others}. <strong>{rest}</strong>"
    )


def _verdict(figures: Figures) -> str:
    counts = {"Duplicates": figures.duplicates, "Lost": figures.lost, "Wrong": figures.wrong}
    apart = (
        f"{counted(figures.duplicate_orders, 'order')} and "
        f"{counted(figures.duplicate_charges, 'charge')} too many"
    )
    cells = "".join(
        f'<div class="{"broken" if count else "zero"}"><dt>{name}</dt><dd>{count}</dd>'
        + (f'<dd class="apart">{apart}</dd>' if count and name == "Duplicates" else "")
        + "</div>"
        for name, count in counts.items()
    )
    lists = "".join(_findings(name, figures.findings.get(name, [])) for name in counts)
    return f"<dl>{cells}</dl>{lists}"


def _findings(name: str, findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    items = "".join(
        f"<li>{_link(one.purchase)}{escape(one.words)}</li>" for one in findings[:FINDINGS]
    )
    more = len(findings) - FINDINGS
    items += f"<li>and {counted(more, 'more purchase')}</li>" if more > 0 else ""
    return f"<h3>{name}</h3><ul>{items}</ul>"


def _link(purchase: str, words: str = "", after: str = ": ") -> str:
    if not purchase:
        return ""
    words = words or shopper_in_words(purchase)
    return f'<a href="/?purchase={escape(purchase)}#picture">{escape(words)}</a>{after}'


def _figures(view: View) -> str:
    found, queue = view.figures, view.figures.queue
    mails = found.mails
    rows = [
        ("Shoppers sent", found.shoppers, _shoppers(found)),
        ("Presses of “Place order”", found.presses, "in the shoppers' own record"),
        ("Purchases acknowledged", found.purchases, "in the shoppers' own record"),
        ("Orders", found.orders, "in the database"),
        ("Charges", found.charges, "in the bank's own ledger"),
        (
            "Orders on their way now",
            found.under_way,
            "a message, call or mail is due at this moment, for charged ones too",
        ),
        (
            "Other orders not charged",
            found.not_charged,
            "declined, or the bank waits for its customer; some pay later, another way"
            if view.scene.is_shop
            else "declined, or left without an outcome",
        ),
        ("Refunds", found.refunds, "in the bank's own ledger"),
        *(
            [
                ("Messages waiting", queue.waiting, "in the queue"),
                ("Messages in flight", queue.in_flight, "received and not deleted"),
                ("Dead letters", queue.dead_letters, "received five times in vain"),
            ]
            if view.scene.queue
            else [("Messages", None, "this workflow has no queue")]
        ),
        (
            "Mails sent",
            None if mails is None else sum(mails.values()),
            mails_in_words(mails or {}) if view.scene.is_shop else "this workflow sends none",
        ),
    ]
    if view.shop.wire:
        cuts = sum(hit.words == CUT for hit in view.hits)
        rows.append(("Connections cut after COMMIT", cuts, "while an order was placed"))
    body = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{'–' if count is None else count}</td>"
        f"<td>{escape(where)}</td></tr>"
        for name, count, where in rows
    )
    away = "<p>Not every record can be read at the moment: these figures are from before.</p>"
    return f"<table>{body}</table>" + (away if found.is_stale else "")


def _shoppers(found: Figures) -> str:
    left = found.shoppers - found.shoppers_done
    gave_up = f", {found.shoppers_gave_up} of them gave up" if found.shoppers_gave_up else ""
    if not found.shoppers:
        return "nobody so far"
    if left:
        return f"{found.shoppers_done} are done{gave_up}, {left} still buy"
    return f"all {found.shoppers} are done{gave_up}"


def _hits(view: View) -> str:
    return "".join(
        f'<li><span class="when">{when(fault.at)}</span> {escape(fault.words)}. '
        f"{_met(fault, view.numbers)}</li>"
        for fault in view.faults
    )


def _met(fault: Fault, numbers: dict[str, str]) -> str:
    if not fault.purchases:
        return "Nothing was unfinished at that moment."
    links = ", ".join(
        _link(purchase, numbers.get(purchase, ""), after="") for purchase in fault.purchases[:HIT]
    )
    more = len(fault.purchases) - HIT
    return (
        f"{'Hit by this' if fault.is_sure else 'Not finished at that moment'}: {links}"
        f"{f' and {more} more' if more > 0 else ''}."
    )


def _events(view: View) -> str:
    return feed_as_html(lines_of_the_feed(view.scene, view.diary))


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
        f"<li>{_link(purchase, after='')}, {counted(count, 'press', 'presses')}</li>"
        for purchase, count in reversed(last)
    )


def _picture(view: View) -> str:
    purchase = view.purchase or _most_telling(view)
    try:
        story = purchase and story_of(view.scene, view.diary, view.hits, purchase)
    except AWAY:
        return "<p>The database does not answer, so there is no picture at the moment.</p>"
    if story:
        return as_html(story)
    if view.purchase:
        return f"<p>{escape(name_of(view.scene.key))} has no purchase of {escape(purchase)}.</p>"
    return "<p>Nobody has pressed yet. Send some shoppers.</p>"


def _most_telling(view: View) -> str:
    """The last purchase that a fault has hit, or else the last whose shopper was answered."""
    hit = (fault.purchases[0] for fault in view.faults if fault.purchases)
    presses = reversed(view.scene.log.so_far().presses)
    told = (press.purchase for press in presses if press.status == ACKNOWLEDGED)
    return next(hit, "") or next(told, "")
