"""Requests that may be repeated: one that carries an Idempotency-Key is carried out once, however often it comes.

The header is that of draft-ietf-httpapi-idempotency-key-header: any text of its sender's making, a UUID for instance.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import partial

from anyio import to_thread
from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.deps import Deps
from service.api.problems import Kind, Refusal, invalid
from service.domain.model import Key, Problem
from service.storage.database import along
from service.storage.requests import Answer, Known

HEADER = "idempotency-key"
REPLAYED = "idempotency-replayed"

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_TOKEN = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')
_KEPT = ("content-type", "location", "etag", "link")
_REFUSALS: Mapping[Known, tuple[Kind, str]] = {
    Known.OTHER: (Kind.TOKEN_REUSED, "this key was used with another method, address or body; make a new one"),
    Known.RUNNING: (Kind.IN_PROGRESS, "wait for the first answer, then ask again"),
    Known.LOST: (Kind.ANSWER_LOST, "it was carried out before the service stopped; read what it made in its list"),
}


class Repeats:
    """ASGI middleware behind the gate, which knows whose key it is."""

    def __init__(self, app: ASGIApp, deps: Deps) -> None:
        self._app = app
        self._deps = deps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive) if scope["type"] == "http" else None
        if request is None or request.method not in _CHANGING or HEADER not in request.headers:
            await self._app(scope, receive, send)
            return
        key = getattr(request.state, "key", None)
        if not isinstance(key, Key):  # nobody to whom the token could belong: not below /v1
            await self._app(scope, receive, send)
            return
        token, body = _token(request.headers[HEADER]), await _body(request)
        begin = partial(self._deps.store.requests.begin, key.id, token, _fingerprint(request, body))
        begun = await to_thread.run_sync(partial(begin, now=self._deps.now()))
        if begun.answer is not None:
            headers = {**dict(begun.answer.headers), REPLAYED: "true"}
            await Response(begun.answer.body, begun.answer.status, headers)(scope, receive, send)
        elif begun.known in _REFUSALS:
            raise Refusal(*_REFUSALS[begun.known])
        else:
            await self._carry_out(begun.id, scope, body, send)

    async def _carry_out(self, request_id: int, scope: Scope, body: bytes, send: Send) -> None:
        """The answer is kept before it is given: who has it may ask for it again."""
        requests = self._deps.store.requests
        heard = _Heard()
        try:
            with along(partial(requests.happened, request_id=request_id)):
                await self._app(scope, _told_again(body), heard)
        except BaseException:
            await to_thread.run_sync(requests.forget, request_id)
            raise
        if heard.answer.status < 500:
            await to_thread.run_sync(requests.answered, request_id, heard.answer)
        else:
            await to_thread.run_sync(requests.forget, request_id)
        for message in heard.messages:
            await send(message)


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except HTTPException as exc:  # this side of the application nobody answers it
        raise Refusal(Kind.TOO_LARGE, str(exc.detail)) from exc


def _fingerprint(request: Request, body: bytes) -> str:
    told = f"{request.method}\0{request.url.path}?{request.url.query}\0"
    return hashlib.sha256(told.encode() + body).hexdigest()


def _token(header: str) -> str:
    found = _TOKEN.fullmatch(header.strip())
    if found is None:
        what = "should be 1 to 255 visible ASCII characters, such as a UUID"
        raise invalid([Problem(where="Idempotency-Key", what=what)])
    return found[1]


def _told_again(body: bytes) -> Receive:
    messages: Iterator[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    return receive


class _Heard:
    """A send that keeps the whole answer, to be noted before it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def answer(self) -> Answer:
        start, *rest = self.messages
        headers = Headers(raw=start["headers"])
        kept = tuple((name, headers[name]) for name in _KEPT if name in headers)
        body = b"".join(message.get("body", b"") for message in rest)
        return Answer(status=start["status"], headers=kept, body=body.decode())
