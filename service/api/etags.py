"""What a client has already is not sent again: entity tags for what is read, and If-None-Match (RFC 9110, 13.1.2)."""

from __future__ import annotations

import hashlib
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def named(header: str | None) -> frozenset[str] | None:
    """The tags of an If-Match or If-None-Match header, without quotes; None where any will do, or none is asked for."""
    if header is None or header.strip() == "*":
        return None
    return frozenset(tag.strip('"') for tag in _TAG.findall(header))


class Etags:
    """ASGI middleware: an answer to GET that comes in one piece has a tag, its own or one of its bytes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            send = _Tagged(send, named(Headers(scope=scope).get("if-none-match")))
        await self._app(scope, receive, send)


class _Tagged:
    def __init__(self, send: Send, known: frozenset[str] | None) -> None:
        self._send = send
        self._known = known or frozenset()
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            self._start = message  # until the first of the body tells whether there is more
            return
        if self._start is not None:
            start, self._start = self._start, None
            if not message.get("more_body", False):
                message = _tag(start, message, self._known)
            await self._send(start)
        await self._send(message)


def _tag(start: Message, message: Message, known: frozenset[str]) -> Message:
    headers = MutableHeaders(raw=start["headers"])
    if "etag" not in headers:
        headers["etag"] = f'"{hashlib.sha256(message.get("body", b"")).hexdigest()[:16]}"'
    if headers["etag"].strip('"') in known:
        start["status"] = 304
        for name in ("content-length", "content-type"):
            del headers[name]
        message = {**message, "body": b""}
    start["headers"] = headers.raw
    return message
