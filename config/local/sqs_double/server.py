"""The HTTP side of the queue double: AWS's JSON protocol, long polling, faults, and its controls.

    POST /                  an action of SQS, named by X-Amz-Target
    POST /control/clock     {"advance": 300}: seconds
    POST /control/hostile   {"on": false}
    POST /control/likelier  {"faults": ["slow"]}: these come more often
    POST /control/credentials {"expired": true}: every action is refused
    POST /control/purge     {"queue": "payments.fifo"}: at once, whatever the faults
    POST /control/twice     {"on": true}: every message is delivered a second time
    GET  /control/faults    how often each fault was hit
    GET  /control/journal   what was done, one JSON object a line
    GET  /control/messages  what is in the queues
    GET  /control/requests  how often each action was asked for

One thread serves everything, so that no two requests ever see a half-done step.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from config.local.sqs_double import errors
from config.local.sqs_double.account import Account, Json
from config.local.sqs_double.errors import QueueError
from config.local.sqs_double.hostile import (
    EARLY_SECONDS,
    LATE_SECONDS,
    SLOW_SECONDS,
    Hostility,
    peaceful,
)
from config.local.sqs_double.journal import Journal

JSON_TYPE = "application/x-amz-json-1.0"
START_SECONDS = 60


class MovableClock:
    def __init__(self) -> None:
        self._ahead = 0.0
        self.moved: Callable[[], object] = lambda: None

    def __call__(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
        self.moved()


async def give_up_receives() -> None:
    """A receive goes on waiting when whoever asked is dead."""
    waiting = asyncio.all_tasks() - {asyncio.current_task()}
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


class QueueServer:
    """Listens between `start` and `stop`, in a thread of its own."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        hostility: Hostility | None = None,
        journal: Path | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.clock = MovableClock()
        self.hostility = hostility or peaceful()
        self.requests: Counter[str] = Counter()
        self.has_expired_credentials = False
        self._journal = Journal(self.clock, journal)
        self.account = Account(url="", clock=self.clock, note=self._note)
        self.account.lateness = self._lateness
        self.account.fails = lambda _: self.hostility.strikes("partial batch")
        self.account.keeps = lambda: self.hostility.strikes("deleted in vain")
        self._changed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="queue", daemon=True)
        self._listening = threading.Event()
        self._failure: OSError | None = None
        self.clock.moved = lambda: self._loop.call_soon_threadsafe(self._wake)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def journal(self) -> list[dict[str, Any]]:
        return self._journal.entries

    def messages(self) -> dict[str, list[Json]]:
        """What is in the queues, for another thread, which may not look for itself."""
        asked = asyncio.run_coroutine_threadsafe(self._messages(), self._loop)
        return asked.result(START_SECONDS)

    def start(self) -> None:
        """Raises OSError when the port is taken."""
        self._thread.start()
        if not self._listening.wait(START_SECONDS):
            raise TimeoutError(f"The queue double did not start within {START_SECONDS} s.")
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._journal.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._listen())
        self._listening.set()
        if runner:
            self._loop.run_forever()
            self._loop.run_until_complete(runner.cleanup())
            self._loop.run_until_complete(give_up_receives())
        self._loop.close()

    async def _listen(self) -> web.AppRunner | None:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.add_routes(
            [
                web.post("/control/clock", self._move_clock),
                web.post("/control/hostile", self._set_hostile),
                web.post("/control/likelier", self._set_likelier),
                web.post("/control/credentials", self._set_credentials),
                web.post("/control/purge", self._purge),
                web.post("/control/twice", self._set_twice),
                web.get("/control/faults", self._tell_faults),
                web.get("/control/journal", self._tell_journal),
                web.get("/control/messages", self._tell_messages),
                web.get("/control/requests", self._tell_requests),
                web.post("/{path:.*}", self._act),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port, reuse_address=True, backlog=512)
            await site.start()
        except OSError as error:
            self._failure = error
            await runner.cleanup()
            return None
        self.port = runner.addresses[0][1]
        self.account.url = self.url
        return runner

    # --- Actions ------------------------------------------------------------------------------

    async def _act(self, request: web.Request) -> web.StreamResponse:
        strikes = self.hostility.strikes
        if strikes("connection refused"):
            return _cut(request)
        if strikes("slow"):
            await asyncio.sleep(self.hostility.seconds(SLOW_SECONDS))
        try:
            if self.has_expired_credentials:
                raise errors.expired_token()
            if strikes("throttled"):
                raise errors.throttled()
            if strikes("unavailable"):
                raise errors.unavailable()
            action = request.headers.get("X-Amz-Target", "").removeprefix("AmazonSQS.")
            content = await _read(request)
            self.requests[action] += 1
            if action == "ReceiveMessage":
                answer = await self._receive(request, content)
            else:
                answer = self.account.act(action, content)
                self._wake()
        except QueueError as error:
            return _error(error)
        if strikes("reply lost"):
            return _cut(request)
        return _answer(answer)

    async def _receive(self, request: web.Request, content: Json) -> Json:
        queue, seconds = self.account.wait_seconds(content)
        if self.hostility.strikes("empty receive"):
            await asyncio.sleep(min(seconds, 0.2))
            return {}
        until = time.monotonic() + seconds
        while not (answer := self.account.act("ReceiveMessage", content)):
            left = until - time.monotonic()
            if left <= 0 or request.transport is None:
                return answer
            if change := queue.next_change():
                left = min(left, max(0.001, change - self.clock()))
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                continue
        if request.transport is None:  # nobody is there any more; the message lapses by itself
            return answer
        for message in queue.in_hand([told["ReceiptHandle"] for told in answer["Messages"]]):
            if self.hostility.strikes("duplicate delivery"):
                at = self.clock() + self.hostility.seconds(EARLY_SECONDS)
                queue.show_early(message, at)
        return answer

    def _lateness(self) -> float:
        late = self.hostility.strikes("late delivery")
        return self.hostility.seconds(LATE_SECONDS) if late else 0

    def _note(self, did: str, **particulars: object) -> None:
        self._journal.note(did, **particulars)
        if did == "moved":  # by a receive, and somebody may wait for the dead letter
            self._wake()

    def _wake(self) -> None:
        self._changed.set()

    # --- Controls -----------------------------------------------------------------------------

    async def _move_clock(self, request: web.Request) -> web.StreamResponse:
        self.clock.advance(float((await request.json())["advance"]))
        return web.json_response({"now": self.clock()})

    async def _set_hostile(self, request: web.Request) -> web.StreamResponse:
        self.hostility.is_on = bool((await request.json())["on"])
        return web.json_response({"on": self.hostility.is_on})

    async def _set_likelier(self, request: web.Request) -> web.StreamResponse:
        self.hostility.likelier = frozenset((await request.json())["faults"])
        return web.json_response({"faults": sorted(self.hostility.likelier)})

    async def _set_credentials(self, request: web.Request) -> web.StreamResponse:
        self.has_expired_credentials = bool((await request.json())["expired"])
        return web.json_response({"expired": self.has_expired_credentials})

    async def _purge(self, request: web.Request) -> web.StreamResponse:
        queue = self.account.queues[(await request.json())["queue"]]
        return web.json_response({"purged": queue.purge(self.clock())})

    async def _set_twice(self, request: web.Request) -> web.StreamResponse:
        self.account.delivers_twice = bool((await request.json())["on"])
        return web.json_response({"on": self.account.delivers_twice})

    async def _tell_faults(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(dict(self.hostility.hits))

    async def _tell_journal(self, request: web.Request) -> web.StreamResponse:
        lines = "".join(json.dumps(entry) + "\n" for entry in self._journal.entries)
        return web.Response(text=lines, content_type="application/jsonl")

    async def _tell_requests(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(dict(self.requests))

    async def _tell_messages(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await self._messages())

    async def _messages(self) -> dict[str, list[Json]]:
        now = self.clock()
        return {
            name: [
                {"id": m.id, "group": m.group, "body": m.body, "receives": m.receives}
                for m in queue.messages(now)
            ]
            for name, queue in self.account.queues.items()
        }


async def _read(request: web.Request) -> Json:
    try:
        content = json.loads(await request.read() or b"{}")
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise QueueError("SerializationException", "The request is not a JSON object.")
    return content


def _answer(content: Json, *, status: int = 200) -> web.Response:
    return web.Response(
        body=json.dumps(content).encode(), status=status, headers={"Content-Type": JSON_TYPE}
    )


def _error(error: QueueError) -> web.Response:
    content = {"__type": f"com.amazonaws.sqs#{error.name}", "message": error.message}
    response = _answer(content, status=error.status)
    blame = "Sender" if error.sender else "Receiver"
    response.headers["x-amzn-query-error"] = f"{error.query_name};{blame}"
    return response


def _cut(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)  # into the void
