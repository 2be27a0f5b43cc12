"""A mail server that keeps what it accepts, and fails as mail servers do."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from config.local.processes import free_port

ACCEPTED = "250 OK"
START_SECONDS = 60


class MailServer:
    """`answers` holds what it says instead of yes, by command: `{"RCPT": "550 no such user"}`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.accepted: list[EmailMessage] = []
        self.answers: dict[str, str] = {}
        self.loses_next_answer = False  # takes the next mail, and hangs up before saying so
        self.may_answer = threading.Event()  # cleared: keeps whoever sent a mail waiting
        self.may_answer.set()
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, ready_timeout=START_SECONDS
        )
        self._controller.start()

    def stop(self) -> None:
        """Refuses connections, until it is started again."""
        if self._controller:
            self._controller.stop()
            self._controller = None

    # As aiosmtpd calls them ("Handlers").

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("MAIL", ACCEPTED)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", ACCEPTED)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if answer := self.answers.get("DATA"):
            return answer
        content: Any = envelope.content
        self.accepted.append(message_from_bytes(content, policy=policy.default))
        if not self.may_answer.is_set():
            await asyncio.to_thread(self.may_answer.wait, 60)
        if self.loses_next_answer:
            self.loses_next_answer = False
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            await asyncio.sleep(0)
        return ACCEPTED


@contextmanager
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
