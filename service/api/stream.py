"""GET /v1/alerts/stream: alerts as they are raised and changed (server-sent events, WHATWG HTML 9.2).

A client that comes back with Last-Event-ID misses nothing, and may hear a thing twice: `id` of an alert tells.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.alerts import AlertOut
from service.api.auth import Reader, bearer
from service.api.deps import Deps, Given
from service.api.problems import Kind, Refusal, declared
from service.domain.model import Key
from service.storage.streams import News, Position

router = APIRouter(prefix="/alerts", tags=["alerts"])

EVERY = 0.5
"""Seconds between two looks, one for all streams of a process."""
HEARTBEAT = 15.0
"""Seconds after which a silent stream says that it lives, and its key is looked at again."""
MOST, MOST_OF_A_KEY = 100, 4

_EVENTS = "text/event-stream"
_EXAMPLE = (
    'event: alert\nid: 812-40\ndata: {"id": 12, "title": "Kazakhstan signs law licensing crypto exchanges", …}\n\n'
)


class Streams:
    """The streams of one process: how many there are, and how far the ledger has come."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._open: Counter[int] = Counter()
        self._looking = asyncio.Lock()
        self._head: Position | None = None
        self._looked_at = 0.0

    def check_room(self, key: Key) -> None:
        """Refusal when the key, or everybody together, has as many streams as there may be."""
        if self._open[key.id] >= MOST_OF_A_KEY or self._open.total() >= MOST:
            detail = f"a key may have {MOST_OF_A_KEY} streams, and all together {MOST}; close one first"
            raise Refusal(Kind.TOO_MANY, detail, headers={"retry-after": str(int(HEARTBEAT))})

    @contextmanager
    def place(self, key: Key) -> Iterator[None]:
        self._open[key.id] += 1
        try:
            yield
        finally:
            self._open[key.id] -= 1

    async def head(self) -> Position:
        """How far the ledger has come, as of `EVERY` ago at most."""
        async with self._looking:
            if self._head is None or time.monotonic() - self._looked_at >= EVERY:
                self._head = await asyncio.to_thread(self._deps.store.streams.head)
                self._looked_at = time.monotonic()
            return self._head


class _Stream(StreamingResponse):
    """A response that has its place for as long as it is sent, however it ends."""

    def __init__(self, streams: Streams, key: Key, content: AsyncIterator[bytes]) -> None:
        headers = {"x-accel-buffering": "no"}  # nginx would wait for a buffer to fill
        super().__init__(content, media_type=_EVENTS, headers=headers)
        self._place = streams.place(key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


@router.get(
    "/stream",
    summary="Follow alerts as they come",
    response_class=StreamingResponse,
    responses={
        **declared(Kind.INVALID_CURSOR, Kind.TOO_MANY),
        200: {"content": {_EVENTS: {"schema": {"type": "string"}, "example": _EXAMPLE}}},
    },
)
async def stream_alerts(
    request: Request,
    deps: Given,
    key: Reader,
    last_event_id: Annotated[
        str | None, Header(max_length=50, description="`id` of the last event that was seen: go on from there.")
    ] = None,
) -> StreamingResponse:
    """An event `alert` when one of the team's subscriptions wants an alert, `update` when something about it changed.

    `data` is the alert as it is read elsewhere. Without Last-Event-ID the stream begins now. A comment comes every 15
    seconds when there is nothing to say.
    """
    streams = request.app.state.streams
    assert isinstance(streams, Streams)
    streams.check_room(key)
    since = await streams.head()
    if last_event_id:
        told = Position.read(last_event_id)
        if told is None:
            raise Refusal(Kind.INVALID_CURSOR, "send Last-Event-ID as the stream gave it, or leave it out")
        since = Position(route=min(told.route, since.route), update=min(told.update, since.update))
    text = bearer(request.headers.get("authorization", "")) or ""
    return _Stream(streams, key, _events(deps, streams, key, text, since))


async def _events(deps: Deps, streams: Streams, key: Key, text: str, since: Position) -> AsyncIterator[bytes]:
    yield b"retry: 3000\n: these are alerts as they come\n\n"
    spoken = checked = time.monotonic()
    while not deps.stopping():
        if time.monotonic() - checked >= HEARTBEAT:
            if await asyncio.to_thread(deps.store.keys.verify, text, now=deps.now()) is None:
                return
            checked = time.monotonic()
        head = await streams.head()
        if since != head:
            told, since = await asyncio.to_thread(_told, deps, key.team, since, head)
            if told:
                yield told
                spoken = time.monotonic()
            continue
        if time.monotonic() - spoken >= HEARTBEAT:
            yield b": still here\n\n"
            spoken = time.monotonic()
        await asyncio.sleep(EVERY)


def _told(deps: Deps, team: str, since: Position, until: Position) -> tuple[bytes, Position]:
    news, last = deps.store.streams.after(team, since, until)
    return b"".join(map(_event, news)), last


def _event(news: News) -> bytes:
    name = "alert" if news.raised else "update"
    data = AlertOut.of(news.alert).model_dump_json()  # holds no line break: JSON escapes those in a text
    return f"event: {name}\nid: {news.at}\ndata: {data}\n\n".encode()
