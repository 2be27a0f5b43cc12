"""`python -m tests.tools.bench.contenders.slow_gateway PORT SECONDS`: a gateway over HTTP, for the
old workflow, that charges everything and takes as long as it is told for an order."""

import json
import sys
import time

from config.local.designs.serving import Reply, serve

PAYMENT = "pi_1"


def main() -> None:
    port, seconds = int(sys.argv[1]), float(sys.argv[2])

    def answer(_body: str) -> Reply:
        time.sleep(seconds / 2)
        return Reply(200, json.dumps({"id": PAYMENT}))

    opened = "/v1/payment_intents"
    serve(port, {opened: answer, f"{opened}/{PAYMENT}/confirm": answer})


if __name__ == "__main__":
    main()
