"""The stream of alerts, followed as a client follows it: over the application's own interface, event by event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Message

from service.api import stream
from service.api.app import build
from service.domain.model import Scope, UpdateReason
from service.storage.streams import Position
from tests import test_api as doors
from tests.conftest import NOON
from tests.test_api import HOOK, Api, raise_alerts
from tests.test_ways import changed

api, empty_database, rulebook, sqlite_store = doors.api, doors.empty_database, doors.rulebook, doors.sqlite_store
api_on_both = doors.api_on_both


class Followed:
    """A stream that is being read."""

    def __init__(self, messages: asyncio.Queue[Message]) -> None:
        self._messages = messages
        self._left = ""

    async def next(self) -> str:
        """The next block, a comment too; empty when the stream is over."""
        while "\n\n" not in self._left:
            message = await asyncio.wait_for(self._messages.get(), 20)
            if message["type"] == "http.response.start":
                assert message["status"] == 200
                continue
            self._left += message.get("body", b"").decode()
            if not message.get("more_body", False):
                return ""
        block, self._left = self._left.split("\n\n", 1)
        return block

    async def event(self) -> dict[str, Any]:
        fields = dict(line.split(": ", 1) for line in (await self.next()).split("\n"))
        return {"event": fields["event"], "id": fields["id"], **{"alert": json.loads(fields["data"])["id"]}}


@asynccontextmanager
async def following(app: Any, key: dict[str, str], last: str = "") -> AsyncIterator[Followed]:
    """Read the stream until the block ends, then hang up."""
    gone, messages = asyncio.Event(), asyncio.Queue[Message]()
    headers = [
        (b"authorization", key["authorization"].encode()),
        *([(b"last-event-id", last.encode())] if last else []),
    ]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/v1/alerts/stream", "raw_path": b"/v1/alerts/stream", "query_string": b"",
        "headers": headers, "server": ("api.test", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    begun = False

    async def receive() -> Message:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if gone.is_set():
            raise OSError("the client is gone")
        await messages.put(message)

    reading = asyncio.create_task(app(scope, receive, send))
    try:
        followed = Followed(messages)
        assert (await followed.next()).startswith("retry: ")
        yield followed
    finally:
        gone.set()
        await asyncio.wait({reading}, timeout=20)
        assert reading.done()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "EVERY", 0.02)


pytestmark = pytest.mark.usefixtures("at_once")


async def subscribed(api: Api, team: str = "desk", **more: Any) -> dict[str, str]:
    key = api.key(team)
    await api.client.post("/v1/subscriptions", headers=key, json={"name": "desk", "channels": [HOOK], **more})
    return key


async def test_alerts_and_their_changes_come_as_they_happen(api_on_both: Api) -> None:
    api = api_on_both
    key = await subscribed(api)
    raise_alerts(api.store, "CN")
    async with following(api.app, key) as followed:
        await asyncio.to_thread(raise_alerts, api.store, "KE", "KZ")
        assert [(await followed.event())["alert"] for _ in range(2)] == [2, 3]  # not what was before
        await asyncio.to_thread(changed, api.store, 1, UpdateReason.CORRECTION, NOON)
        event = await followed.event()
        assert (event["event"], event["alert"]) == ("update", 1)


async def test_who_comes_back_misses_nothing(api: Api) -> None:
    key = await subscribed(api)
    async with following(api.app, key) as followed:
        await asyncio.to_thread(raise_alerts, api.store, "CN")
        seen = await followed.event()
    raise_alerts(api.store, "KE", "KZ")
    changed(api.store, 1, UpdateReason.CORRECTION, NOON)
    async with following(api.app, key, seen["id"]) as followed:
        events = [await followed.event() for _ in range(3)]
    assert [(event["event"], event["alert"]) for event in events] == [("alert", 2), ("alert", 3), ("update", 1)]
    async with following(api.app, key, events[0]["id"]) as followed:  # it was cut off in the middle
        assert [(await followed.event())["alert"] for _ in range(2)] == [3, 1]


async def test_a_team_hears_of_what_it_wants(api: Api) -> None:
    key = await subscribed(api, "others", watch={"jurisdictions": ["KE"]})
    await subscribed(api)
    async with following(api.app, key) as followed:
        await asyncio.to_thread(raise_alerts, api.store, "CN", "KE")
        await asyncio.to_thread(changed, api.store, 1, UpdateReason.CORRECTION, NOON)
        await asyncio.to_thread(changed, api.store, 2, UpdateReason.CORRECTION, NOON)
        events = [await followed.event() for _ in range(2)]
    assert [(event["event"], event["alert"]) for event in events] == [("alert", 2), ("update", 2)]


async def test_long_ago_comes_in_batches(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await subscribed(api)
    raise_alerts(api.store, "CN", "KE", "KZ", "UZ")
    monkeypatch.setattr("service.storage.streams.BATCH", 2)
    async with following(api.app, key, "0-0") as followed:
        assert [(await followed.event())["alert"] for _ in range(4)] == [1, 2, 3, 4]


async def test_a_place_from_the_time_before_a_backup_was_restored_is_now(api: Api) -> None:
    key = await subscribed(api)
    async with following(api.app, key, "999-999") as followed:
        await asyncio.to_thread(raise_alerts, api.store, "CN")
        assert (await followed.event())["alert"] == 1


async def test_a_place_that_is_none_is_named(api: Api) -> None:
    for wrong in ("x", "1", "1-", "-1-2", "1-2-3", "١-٢"):
        headers = {**api.key(), "last-event-id": wrong.encode()}
        response = await api.client.get("/v1/alerts/stream", headers=headers)  # type: ignore[arg-type]
        assert response.json()["type"] == "/problems/invalid-cursor"


async def test_a_silent_stream_says_that_it_lives_until_its_key_ends(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.02)
    key = api.key("desk", Scope.READ, expires_at=NOON + timedelta(hours=1))
    async with following(api.app, key) as followed:
        assert await followed.next() == ": still here"
        api.clock.advance(timedelta(hours=1))
        while said := await followed.next():
            assert said == ": still here"


async def test_a_key_has_a_few_streams_and_gives_their_places_back(api: Api) -> None:
    key = api.key()
    async with following(api.app, key), following(api.app, key), following(api.app, key), following(api.app, key):
        refused = await api.client.get("/v1/alerts/stream", headers=key)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "15")
        async with following(api.app, api.key("others")):
            pass
    async with following(api.app, key):
        pass


async def test_streams_end_when_the_service_stops(api: Api) -> None:
    stopping = False
    app = build(replace(api.app.state.deps, stopping=lambda: stopping))
    async with following(app, api.key()) as followed:
        stopping = True
        assert await followed.next() == ""


async def test_numbers_are_given_out_in_the_order_of_commits(api_on_both: Api) -> None:
    """Who sees a number has seen all below it, or a resumed stream would miss what commits late."""
    api = api_on_both
    await subscribed(api)
    store, inside, done = api.store, asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow() -> None:
        raise_alerts(store, "CN")
        with store.entries.placing() as placing:
            placing.alert(1)  # on SQLite a transaction begins with its first statement
            loop.call_soon_threadsafe(inside.set)
            assert asyncio.run_coroutine_threadsafe(done.wait(), loop).result(20)

    first = asyncio.create_task(asyncio.to_thread(slow))
    await inside.wait()
    before = store.streams.head()
    second = asyncio.create_task(asyncio.to_thread(changed, store, 1, UpdateReason.CORRECTION, NOON))
    assert not (await asyncio.wait({second}, timeout=0.2))[0]  # it waits for its turn, without a number
    assert store.streams.head() == before
    done.set()
    await asyncio.gather(first, second)
    assert store.streams.head() == Position(route=before.route, update=before.update + 1)
