"""The three records kept outside the product: what shoppers were told, what the gateway charged,
what the queue did."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

# Answers that tell a shopper that the purchase is made.
ACKNOWLEDGED = 303


@dataclass(frozen=True, kw_only=True)
class Press:
    """One POST of a purchase with its answer; `status` is 0 when none came."""

    at: float
    purchase: str
    seconds: float
    status: int
    location: str = ""


class Presses:
    """What shoppers did, and what they were told."""

    def __init__(self, presses: Iterable[Press] = ()) -> None:
        self.presses = list(presses)

    def acknowledged(self) -> dict[str, set[str]]:
        """Purchase → the addresses it was told its order has."""
        told: dict[str, set[str]] = {}
        for press in self.presses:
            if press.status == ACKNOWLEDGED:
                told.setdefault(press.purchase, set()).add(press.location)
        return told

    def waits(self) -> list[float]:
        """From the first press of each purchase to its first acknowledgement, in seconds."""
        first: dict[str, float] = {}
        told: dict[str, float] = {}
        for press in self.presses:
            first[press.purchase] = min(first.get(press.purchase, press.at), press.at)
            if press.status == ACKNOWLEDGED:
                ended = press.at + press.seconds
                told[press.purchase] = min(told.get(press.purchase, ended), ended)
        return sorted(told[purchase] - first[purchase] for purchase in told)


class PostLog(Presses):
    """Writes each press into a file as well."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("w", buffering=1)
        self._lock = threading.Lock()

    def add(self, purchase: str, *, began: float, status: int, location: str = "") -> None:
        press = Press(
            at=began,
            purchase=purchase,
            seconds=time.time() - began,
            status=status,
            location=location,
        )
        with self._lock:
            self.presses.append(press)
            self._file.write(json.dumps(asdict(press)) + "\n")

    def close(self) -> None:
        self._file.close()

    def so_far(self) -> Presses:
        with self._lock:
            return Presses(self.presses)


@dataclass(frozen=True)
class Charge:
    order: str
    amount_minor: int
    currency: str
    at: float = field(default=0, compare=False)  # seconds since 1970
    parcels: int = field(default=0, compare=False)  # that were charged one by one, when sent
    payment: str = field(default="", compare=False)  # its id at the gateway


def charges_in(ledger: Path) -> list[Charge]:
    """From the file itself, which the gateway only ever adds to. What is charged of one payment
    parcel by parcel is one charge, from its first parcel on."""
    charges: dict[str, Charge] = {}
    for entry in lines_of(ledger):
        if entry["kind"] not in ("charged", "captured"):
            continue
        parcel = entry["kind"] == "captured"
        payment = entry["intent"]["id"] if parcel else entry["payment_intent"]
        name = payment if parcel else f"charge {len(charges)}"
        before = charges.get(name)
        charges[name] = Charge(
            entry["order"],
            entry["intent"]["amount_received"] if parcel else entry["amount"],
            entry["currency"].upper(),
            at=before.at if before else datetime.fromisoformat(entry["at"]).timestamp(),
            parcels=(before.parcels if before else 0) + parcel,
            payment=payment,
        )
    return list(charges.values())


def refunds_in(ledger: Path) -> Iterator[tuple[str, str, int]]:
    """Order, key and amount of each refund that the gateway made."""
    for entry in lines_of(ledger):
        if entry["kind"] == "refunded":
            metadata = entry["refund"]["metadata"]
            yield entry["order"], metadata["refund_key"], entry["amount"]


def journal_of(path: Path) -> Counter[str]:
    """How often the queue did what."""
    return Counter(entry["did"] for entry in lines_of(path))


@dataclass(frozen=True)
class Deletion:
    """The end in the queue of a message about settling a payment."""

    order: str
    generation: int
    at: float


def deletions_in(journal: Path) -> Iterator[Deletion]:
    bodies: dict[str, dict[str, Any]] = {}
    for entry in lines_of(journal):
        if entry["did"] == "sent":
            bodies[entry["message"]] = json.loads(entry["body"])
        elif entry["did"] == "deleted":
            body = bodies.get(entry["message"], {})
            if body.get("kind") == "settle_payment":
                yield Deletion(body["order"], body["generation"], entry["at"])


def replaced_in(logs: Path) -> set[tuple[str, int]]:
    """Order and generation of each message in whose place the shop published another."""
    found = set()
    for log in logs.glob("*.log"):
        for line in log.open(errors="replace"):
            if '"A message whose processes died was replaced' in line:
                entry = json.loads(line)
                found.add((entry["order"], entry["generation"]))
    return found


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as lines:
        for line in lines:
            if line.endswith("\n"):  # the last may just be being written
                yield json.loads(line)
