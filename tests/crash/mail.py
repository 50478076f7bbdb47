"""A real SMTP server on loopback, in a thread of its own: whoever gave it `take` says what becomes of each mail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP

ACCEPTED, LATER = "250 OK", "451 4.7.1 Please try again later"


class MailServer:
    """Listens while its `with` block lasts; `take` gets each mail and its recipients before the sender is answered.

    A sender that dies before its data has ended has sent nothing: RFC 5321, section 4.1.1.4.
    """

    def __init__(self, take: Callable[[EmailMessage, list[str]], bool]) -> None:
        self._take = take
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()))

    def __enter__(self) -> MailServer:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=modern)
        return ACCEPTED if self._take(mail, envelope.rcpt_tos) else LATER

    async def _listen(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: SMTP(self, hostname="localhost"), "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._listening.set()
        await self._closing.wait()
        server.close()
