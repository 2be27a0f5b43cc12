"""A gateway that charges everything and takes as long as it is told."""

GATEWAY = "patient=tests.tools.bench.contenders.patient"

# Every process of the shop has to be told: the order remembers the gateway that the page offered.
OFFERED = {"PAYMENT_GATEWAYS": GATEWAY}

# How long it takes for one order, in all: half of it to open the payment, half to confirm it.
SECONDS = "BENCH_GATEWAY_SECONDS"
