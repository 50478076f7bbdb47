"""What every request passes before a route sees it: its key, the size of its body, and a net for what nobody expected.

A stranger's body is never read.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from anyio import to_thread
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.auth import bearer, unknown
from service.api.deps import Deps
from service.api.problems import Kind, Refusal, answer
from service.api.rates import Rates
from service.api.ways import PATH as FEEDS
from service.domain.links import Purpose
from service.domain.model import Key
from service.domain.push import PATH as PUSHES
from service.storage.audit import acting

log = structlog.get_logger()

MAX_BODY = 1024 * 1024
PREFIX = "/v1"


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, deps: Deps) -> None:
        self._app = app
        self._deps = deps
        self._rates = Rates(deps.settings.api.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        reply = _Reply(send, private=_is_private(request))
        most = self._most(request)
        try:
            key = await self._admit(request, most)
            if key is not None:
                reply.more = self._rates.spend(key.id, self._deps.now())
            with acting(f"key {key.prefix} ({key.name})" if key is not None else "a visitor"):
                await self._app(scope, _Measured(receive, most), reply)
        except Refusal as refusal:
            await refusal.answer()(scope, receive, reply)
        except Exception:
            ticket = self._deps.random(8).hex()
            log.exception("request failed", ticket=ticket, method=request.method, path=_shown(request.url.path))
            if reply.started:
                raise
            detail = f"this is our mistake; the service's log says more under ticket {ticket}"
            await answer(Kind.INTERNAL, detail)(scope, receive, reply)

    def _most(self, request: Request) -> int:
        """The bytes that a body may hold: a hub sends what a poll would have fetched."""
        return self._deps.settings.feeds.max_bytes if request.url.path.startswith(PUSHES) else MAX_BODY

    async def _admit(self, request: Request, most: int) -> Key | None:
        key = None
        if _is_private(request):
            header = request.headers.get("authorization", "")
            text = bearer(header)
            key = await to_thread.run_sync(self._verify, text) if text else None
            if key is None:
                raise unknown(header)
            request.state.key = key
        length = request.headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 12 or int(length) > most):
            raise Refusal(Kind.TOO_LARGE, _too_large(most), headers={"connection": "close"})
        return key

    def _verify(self, text: str) -> Key | None:
        return self._deps.store.keys.verify(text, now=self._deps.now())


def _is_private(request: Request) -> bool:
    path = request.url.path
    return path == PREFIX or path.startswith(f"{PREFIX}/")


_CAPABILITIES = (PUSHES, FEEDS, *(purpose.path for purpose in Purpose))


def _shown(path: str) -> str:
    """A path for the log: whoever knows the whole of the path of a push, a link or a feed could use it."""
    return next((f"{prefix}***" for prefix in _CAPABILITIES if path.startswith(prefix)), path)


def _too_large(most: int) -> str:
    return f"a body holds {most} bytes at most"


class _Measured:
    """A receive that stops once more than `most` bytes have come, whatever the length header said."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._seen = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._most:
            raise HTTPException(413, _too_large(self._most))
        return message


class _Reply:
    """A send that knows whether it has begun, and adds the headers that every answer has."""

    def __init__(self, send: Send, *, private: bool) -> None:
        self._send = send
        self._private = private
        self.started = False
        self.more: Mapping[str, str] = {}

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers["x-content-type-options"] = "nosniff"
            if self._private:
                # What has a tag may be kept by who asked, and asked for again; nobody on the way keeps anything.
                headers["cache-control"] = "private, no-cache" if "etag" in headers else "no-store"
            headers.update(self.more)
        await self._send(message)
