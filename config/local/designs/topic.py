"""A topic with one subscriber: whatever is posted here is posted on, at least once, in any order.

Delivers as Amazon SNS delivers over HTTP (SNS Developer Guide, "Message delivery retries"): 15 s
for an answer, then again after a pause. It tries more often and after shorter pauses than SNS does
unless told otherwise (three times, 20 s apart). It keeps messages in memory, which SNS does not, so
a drill may end the subscriber and not the topic.
"""

import argparse
import json
import random
import threading
from collections import Counter

import requests

from config.local.designs.serving import Reply, serve, stopping

ANSWER_SECONDS = 15.0
PAUSES_SECONDS = (1, 1, 2, 4, 8, 16, 20, 20, 20, 20)

# So many deliveries are under way at once; the others wait for their turn.
DELIVERIES = threading.BoundedSemaphore(32)

# When hostile: so many messages are delivered again, and each delivery is late by up to so much.
AGAIN_PROBABILITY = 0.2
LATEST_SECONDS = 2.0


class Topic:
    def __init__(self, *, deliver_to: str, seed: int, hostile: bool) -> None:
        self._deliver_to = deliver_to
        self._hostile = hostile
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._counts = Counter(accepted=0, pending=0, delivered=0, given_up=0)

    def accept(self, body: str) -> Reply:
        delays = [0.0]
        with self._lock:
            if self._hostile:
                is_again = self._random.random() < AGAIN_PROBABILITY
                delays = [self._random.uniform(0, LATEST_SECONDS) for _ in range(1 + is_again)]
            self._counts.update(accepted=1, pending=len(delays))
        for delay in delays:
            threading.Thread(target=self._deliver, args=[body, delay], daemon=True).start()
        return Reply(200)

    def state(self, _body: str) -> Reply:
        """For a drill to know when it is over."""
        with self._lock:
            return Reply(200, json.dumps(self._counts))

    def _deliver(self, body: str, delay: float) -> None:
        stopping.wait(delay)
        delivered = any(self._try(body, pause) for pause in (*PAUSES_SECONDS, 0))
        with self._lock:
            self._counts.update(pending=-1, delivered=delivered, given_up=not delivered)

    def _try(self, body: str, pause_after_failure: float) -> bool:
        if stopping.is_set():
            return False
        with DELIVERIES:
            try:
                if requests.post(self._deliver_to, data=body, timeout=ANSWER_SECONDS).ok:
                    return True
            except requests.RequestException:
                pass  # whether it arrived or not: nobody has answered, so it is sent again
        stopping.wait(pause_after_failure)
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--deliver-to", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--hostile", action="store_true")
    arguments = parser.parse_args()
    topic = Topic(deliver_to=arguments.deliver_to, seed=arguments.seed, hostile=arguments.hostile)
    serve(arguments.port, {"/": topic.accept, "/state": topic.state})
