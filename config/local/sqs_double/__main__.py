"""The queue double alone: point any SQS client at it. Ctrl-C ends it; nothing is kept."""

import argparse
import signal
import sys
from pathlib import Path

from config.local.sqs_double.hostile import Hostility
from config.local.sqs_double.server import QueueServer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m config.local.sqs_double", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes any free port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--hostile", type=int, metavar="SEED", help="with faults, by chance from this seed"
    )
    parser.add_argument("--journal", type=Path, help="a file for what is done, as JSON lines")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    server = QueueServer(
        host=options.host,
        port=options.port,
        hostility=None if options.hostile is None else Hostility(options.hostile),
        journal=options.journal or Path("/dev/null"),
    )
    try:
        server.start()
    except OSError as error:
        print(f"Cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    print(f"Queue double listening on {server.url}, FIFO queues, region us-east-1", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    server.stop()
    for fault, hits in sorted(server.hostility.hits.items()):
        print(f"{fault:<20} {hits}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
