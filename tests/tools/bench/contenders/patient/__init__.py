"""A gateway that charges everything and takes as long as it is told."""

GATEWAY = "patient=tests.tools.bench.contenders.patient"

# How long it takes for one order, in all: half of it to open the payment, half to confirm it.
SECONDS = "BENCH_GATEWAY_SECONDS"
