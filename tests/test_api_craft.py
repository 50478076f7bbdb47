"""What all operations share: requests that come twice, what others changed, how often one may ask, who changed what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from service.domain.model import Scope
from service.storage.requests import KEPT, LONGEST
from tests import test_api as doors
from tests.conftest import NOON
from tests.test_api import HOOK, Api

api, empty_database, rulebook, sqlite_store = doors.api, doors.empty_database, doors.rulebook, doors.sqlite_store

DESK = {"name": "desk", "channels": [HOOK]}


async def post(api: Api, key: dict[str, str], token: str, body: Any = DESK, path: str = "/v1/subscriptions") -> Any:
    return await api.client.post(path, headers={**key, "idempotency-key": token}, json=body)


class TestRepeats:
    async def test_a_request_that_comes_twice_is_carried_out_once_and_answered_alike(self, api: Api) -> None:
        key = api.key()
        first, second = await post(api, key, "one"), await post(api, key, "one")
        assert first.status_code == second.status_code == 201
        assert first.json() == second.json()
        assert first.json()["channels"][0]["secret"]  # which is told this once, and to who asks again
        assert second.headers["location"] == first.headers["location"]
        assert (first.headers.get("idempotency-replayed"), second.headers["idempotency-replayed"]) == (None, "true")
        assert len((await api.client.get("/v1/subscriptions", headers=key)).json()["items"]) == 1

    async def test_what_is_kept_of_an_answer_is_sealed(self, api: Api) -> None:
        secret = (await post(api, api.key(), "one")).json()["channels"][0]["secret"]
        with api.store.database.read() as session:
            rows = session.connection().exec_driver_sql("SELECT answer FROM request").scalars().all()
        assert rows
        assert not any(secret in row for row in rows)

    async def test_a_refusal_is_repeated_too(self, api: Api) -> None:
        key, wrong = api.key(), {"name": "", "channels": []}
        assert (await post(api, key, "one", wrong)).json() == (await post(api, key, "one", wrong)).json()

    async def test_a_token_belongs_to_one_request_of_one_key_for_a_day(self, api: Api) -> None:
        key = api.key()
        await post(api, key, "one")
        other = await post(api, key, "one", {**DESK, "name": "other"})
        assert (other.status_code, other.json()["type"]) == (422, "/problems/token-reused")
        assert (await post(api, api.key("other team"), "one")).status_code == 201
        api.clock.advance(KEPT)
        assert (await post(api, key, "one", {**DESK, "name": "other"})).status_code == 201

    @pytest.mark.parametrize("token", ["", " ", "ä", "a b", "x" * 256])
    async def test_a_token_is_visible_text(self, api: Api, token: str) -> None:
        headers = {**api.key(), "idempotency-key": token.encode()}
        response = await api.client.post("/v1/subscriptions", headers=headers, json=DESK)  # type: ignore[arg-type]
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "Idempotency-Key"

    async def test_one_that_is_being_carried_out_is_not_carried_out_beside_it(self, api: Api) -> None:
        key = api.key()
        with failing_at_commit(api, "UPDATE request SET status"):
            assert (await post(api, key, "one")).status_code == 500  # carried out, and the answer was lost
        waiting = await post(api, key, "one")
        assert (waiting.status_code, waiting.json()["type"]) == (409, "/problems/in-progress")
        api.clock.advance(LONGEST)
        lost = await post(api, key, "one")
        assert (lost.status_code, lost.json()["type"]) == (409, "/problems/answer-lost")
        assert len((await api.client.get("/v1/subscriptions", headers=key)).json()["items"]) == 1

    async def test_one_that_failed_before_it_changed_anything_may_be_tried_again(self, api: Api) -> None:
        key = api.key()
        with failing_at_commit(api, "INSERT INTO subscription "):
            assert (await post(api, key, "one")).status_code == 500
        assert (await post(api, key, "one")).status_code == 201

    async def test_a_body_that_is_too_large_is_refused_as_without(self, api: Api) -> None:
        headers = {**api.key(), "idempotency-key": "one"}

        async def body() -> Any:
            for _ in range(20):
                yield b" " * 100_000

        response = await api.client.post("/v1/subscriptions", headers=headers, content=body())
        assert response.status_code == 413


@contextmanager
def failing_at_commit(api: Api, statement: str) -> Iterator[None]:
    """The database refuses a statement that begins so."""

    def refuse(_c: Any, _cursor: Any, told: str, *_: Any) -> None:
        if told.startswith(statement):
            raise OSError("the disk is gone")

    event.listen(api.store.database.engine, "before_cursor_execute", refuse)
    try:
        with capture_logs():  # to render such a traceback takes longer than all else here
            yield
    finally:
        event.remove(api.store.database.engine, "before_cursor_execute", refuse)


class TestTags:
    async def test_what_a_client_has_already_is_not_sent_again(self, api: Api) -> None:
        key = api.key()
        first = await api.client.get("/v1/rules", headers=key)
        again = await api.client.get("/v1/rules", headers={**key, "if-none-match": f'"x", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        other = await api.client.get("/v1/rules", headers={**key, "if-none-match": '"x"'})
        assert other.json() == first.json()

    async def test_nobody_overwrites_what_they_have_not_read(self, api: Api) -> None:
        key = api.key()
        made = await api.client.post("/v1/subscriptions", headers=key, json=DESK)
        path, tag = made.headers["location"], made.headers["etag"]
        assert (await api.client.get(path, headers=key)).headers["etag"] == tag
        mine = await api.client.patch(path, headers={**key, "if-match": tag}, json={"active": False})
        assert mine.status_code == 200
        assert mine.headers["etag"] != tag
        for method, body in (("PUT", DESK), ("PATCH", {"active": True}), ("DELETE", None)):
            late = await api.client.request(method, path, headers={**key, "if-match": tag}, json=body)
            assert (late.status_code, late.json()["type"]) == (412, "/problems/changed")
        for free in ({}, {"if-match": "*"}):
            kept = await api.client.patch(path, headers={**key, **free}, json={"active": True})
            assert kept.status_code == 200
        current = kept.headers["etag"]
        assert (await api.client.delete(path, headers={**key, "if-match": current})).status_code == 204


class TestRates:
    async def test_a_key_may_ask_so_often_a_minute_and_each_has_its_own_measure(self, api: Api) -> None:
        key, other = api.key(), api.key()
        most = 1200
        for _ in range(most - 1):
            await api.client.get("/v1/nothing", headers=key)
        last = await api.client.get("/v1/me", headers=key)
        assert last.headers["ratelimit"].startswith('"key";r=0;t=')
        assert last.headers["ratelimit-policy"] == '"key";q=1200;w=60'
        refused = await api.client.get("/v1/me", headers=key)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert (await api.client.get("/v1/me", headers=other)).status_code == 200
        api.clock.advance(timedelta(seconds=1))
        statuses = [(await api.client.get("/v1/me", headers=key)).status_code for _ in range(21)]
        assert statuses == [200] * 20 + [429]


class TestAudit:
    async def test_every_change_is_told_with_who_made_it_and_what_it_was_before(self, api: Api) -> None:
        key = api.key("desk", Scope.ADMIN)
        path = (await api.client.post("/v1/subscriptions", headers=key, json=DESK)).headers["location"]
        await api.client.patch(path, headers=key, json={"active": False})
        await api.client.patch(path, headers=key, json={"active": False})  # which changes nothing
        await api.client.delete(path, headers=key)
        changes = (await api.client.get("/v1/audit?thing=subscription", headers=key)).json()["items"]
        assert [change["kind"] for change in changes] == ["removed", "changed", "created"]
        assert all(change["actor"].startswith("key ") and change["actor"].endswith("(test)") for change in changes)
        assert (changes[1]["before"]["active"], changes[1]["after"]["active"]) == (True, False)
        assert (changes[0]["after"], changes[2]["before"]) == (None, None)

    async def test_it_holds_no_secret(self, api: Api) -> None:
        key = api.key("desk", Scope.ADMIN)
        made = (await api.client.post("/v1/subscriptions", headers=key, json=DESK)).json()
        new = (await api.client.post("/v1/keys", headers=key, json={"name": "more"})).json()
        feed = {"url": "https://feed.example/", "auth": {"user": "ana", "password": "geheim-wort"}}
        assert (await api.client.post("/v1/feeds", headers=key, json=feed)).status_code == 201
        text = (await api.client.get("/v1/audit/export", headers=key)).text
        assert {json.loads(line)["thing"] for line in text.splitlines()} == {"subscription", "key", "feed"}
        for secret in (made["channels"][0]["secret"], new["key"], "geheim-wort"):
            assert secret not in text

    async def test_teams_see_their_own_changes_and_those_of_what_they_share(self, api: Api) -> None:
        mine, theirs = api.key("desk", Scope.ADMIN), api.key("other", Scope.ADMIN)
        await api.client.post("/v1/subscriptions", headers=mine, json=DESK)
        await api.client.post("/v1/feeds", headers=mine, json={"url": "https://feed.example/"})
        seen = (await api.client.get("/v1/audit", headers=theirs)).json()["items"]
        assert {(change["thing"], change["team"]) for change in seen} == {("feed", None), ("key", "other")}

    async def test_pages_meet_every_change_once(self, api: Api) -> None:
        key = api.key("desk", Scope.ADMIN)
        for number in range(5):
            await api.client.post("/v1/keys", headers=key, json={"name": f"n{number}"})
        seen, url = [], "/v1/audit?thing=key&limit=2"
        while url:
            page = await api.client.get(url, headers=key)
            seen += [change["after"]["name"] for change in page.json()["items"]]
            url = page.links.get("next", {}).get("url", "")
        assert seen == ["n4", "n3", "n2", "n1", "n0", "test"]

    async def test_a_change_that_is_not_made_is_not_told(self, api: Api) -> None:
        key = api.key("desk", Scope.ADMIN)
        with failing_at_commit(api, "INSERT INTO subscription_channel"):
            assert (await api.client.post("/v1/subscriptions", headers=key, json=DESK)).status_code == 500
        assert (await api.client.get("/v1/audit?thing=subscription", headers=key)).json()["items"] == []


class TestKeys:
    async def test_a_key_is_made_used_replaced_and_ended(self, api: Api) -> None:
        admin = api.key("desk", Scope.ADMIN)
        made = (await api.client.post("/v1/keys", headers=admin, json={"name": "grc", "scopes": ["read"]})).json()
        old = {"authorization": f"Bearer {made['key']}"}
        assert (await api.client.get("/v1/alerts", headers=old)).status_code == 200
        assert (await api.client.get("/v1/keys", headers=old)).status_code == 403
        path = f"/v1/keys/{made['prefix']}"
        fresh = (await api.client.post(f"{path}/rotate", headers=admin, json={"overlap": "1h"})).json()
        new = {"authorization": f"Bearer {fresh['key']}"}
        assert (fresh["name"], fresh["scopes"]) == ("grc", ["read"])
        for key in (old, new):
            assert (await api.client.get("/v1/alerts", headers=key)).status_code == 200
        api.clock.advance(timedelta(hours=1))
        assert (await api.client.get("/v1/alerts", headers=old)).status_code == 401
        assert (await api.client.post(f"{path}/rotate", headers=admin)).status_code == 404
        assert (await api.client.delete(f"/v1/keys/{fresh['prefix']}", headers=admin)).status_code == 204
        assert (await api.client.get("/v1/alerts", headers=new)).status_code == 401
        assert "key" not in (await api.client.get("/v1/keys", headers=admin)).json()[1]

    async def test_keys_of_another_team_are_not_there(self, api: Api) -> None:
        api.key("other")
        prefix = api.store.keys.list("other")[0].prefix
        admin = api.key("desk", Scope.ADMIN)
        for method, path in (("DELETE", ""), ("POST", "/rotate")):
            assert (await api.client.request(method, f"/v1/keys/{prefix}{path}", headers=admin)).status_code == 404

    async def test_one_that_would_have_ended_already_is_refused(self, api: Api) -> None:
        body = {"name": "late", "expires_at": NOON.isoformat()}
        response = await api.client.post("/v1/keys", headers=api.key("desk", Scope.ADMIN), json=body)
        assert response.json()["errors"][0]["field"] == "expires_at"

    async def test_to_decide_needs_no_more_than_that(self, api: Api) -> None:
        key = api.key("desk", Scope.DECIDE)
        body = {"verdict": "applicable", "by": "ana"}
        assert (await api.client.post("/v1/alerts/7/decisions", headers=key, json=body)).status_code == 404
        assert (await api.client.post("/v1/subscriptions", headers=key, json=DESK)).status_code == 403


async def test_every_kind_of_thing_that_is_noted_can_be_listed(api: Api) -> None:
    key = api.key("desk", Scope.ADMIN)
    await api.client.post("/v1/subscriptions", headers=key, json=DESK)
    made = await api.client.post("/v1/subscriptions/1/feed-token", headers=key)
    assert made.status_code in (200, 201), made.text
    listed = (await api.client.get("/v1/audit", headers=key)).json()["items"]
    assert {change["thing"] for change in listed} == {"key", "subscription", "feed_token"}
