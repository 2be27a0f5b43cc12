"""What stands for other companies than Stripe: Mollie, on whose page customers pay, and the bank to
which they send transfers.

Both live in the drill's own process, where nobody kills them. What they know was paid is a record
that is kept outside of the shop.
"""

import threading
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from config.local.crowd.records import Charge
from payments.sandbox.faults import Faults, parse
from payments.sandbox.mollie.server import MollieSandbox

MOLLIE_FAULTS = ",".join(
    [
        "open:late=0.1,open:silent=0.14,open:reset=0.1,open:500=0.1",
        "retrieve:late=0.05,retrieve:silent=0.02,retrieve:reset=0.05,retrieve:500=0.05",
        "refund:reset=0.04,refund:500=0.04,cancel:reset=0.1,*:429=0.09,*:503=0.08",
    ]
)

# How soon Mollie has sent a refund to its customer's bank.
REFUND_SECONDS = 0.5

HEADINGS = "reference,date,amount,text\n"


class OtherWays:
    def __init__(self, folder: Path, seed: int) -> None:
        self.faults = Faults(chances=parse(MOLLIE_FAULTS), seed=seed)
        self._mollie: MollieSandbox | None = None
        self.statement = folder / "bank.csv"  # all that has come; each import reads all of it
        self.statement.write_text(HEADINGS)
        self._sent: list[Charge] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._refunds = threading.Thread(target=self._send_refunds, daemon=True)

    def start(self) -> str:
        """The address of Mollie's API."""
        self._mollie = MollieSandbox(faults=self.faults, silent_seconds=10.0)
        self._mollie.start()
        self._refunds.start()
        return self._mollie.url

    def stop(self) -> None:
        self._stopping.set()
        if self._refunds.is_alive():
            self._refunds.join()
        if self._mollie:
            self._mollie.stop()

    def send_transfer(self, number: str, amount_minor: int) -> None:
        """A customer sends the price of an order, once."""
        with self._lock:
            self._sent.append(Charge(number, amount_minor, "EUR", at=time.time()))
            amount = f"{Decimal(amount_minor) / 100:.2f}"
            entry = f"B-{len(self._sent):06d},{datetime.now().date()},{amount},Order {number}\n"  # noqa: DTZ005 - the bank's own day
            with self.statement.open("a") as file:
                file.write(entry)

    def charges(self) -> list[Charge]:
        return self.at_mollie() + self.transfers()

    def transfers(self) -> list[Charge]:
        with self._lock:
            return list(self._sent)

    def at_mollie(self) -> list[Charge]:
        return [
            Charge(
                charge["order"],
                charge["amount"],
                charge["currency"],
                at=datetime.fromisoformat(charge["at"]).timestamp(),
            )
            for charge in (self._mollie.account.charges() if self._mollie else [])
        ]

    def refunds(self) -> list[tuple[str, str, int]]:
        """Order, key and amount of each refund that Mollie made."""
        if self._mollie is None:
            return []
        account = self._mollie.account
        return [
            (
                account.show(refund["paymentId"])["metadata"]["order"],
                refund["metadata"]["refund_key"],
                round(Decimal(refund["amount"]["value"]) * 100),
            )
            for refund in account.refunds()
        ]

    def _send_refunds(self) -> None:
        assert self._mollie
        account = self._mollie.account
        while not self._stopping.wait(REFUND_SECONDS):
            for refund in account.refunds():
                if refund["status"] == "pending":
                    account.move_refund(refund["id"], "refunded")
