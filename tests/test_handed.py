"""Documents that a team hands in, and lists of feeds, over the API of a whole service on loopback."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import api_of
from service.config import Rulebook
from service.domain.model import Scope
from tests import test_api as doors
from tests.conftest import Clock
from tests.line import Line, a_line, settings_of
from tests.loopback import item
from tests.test_api import Api

api, empty_database, rulebook, sqlite_store = doors.api, doors.empty_database, doors.rulebook, doors.sqlite_store
api_on_both = doors.api_on_both

CIRCULAR = {
    "id": "circular-14",
    "title": "China's central bank bans stablecoin payments across the mainland",
    "text": "The circular takes effect on 1 July 2026.",
    "source": "People's Bank",
    "jurisdiction": "CN",
    "tier": "official",
}


async def hand(api: Api, key: dict[str, str], **changes: Any) -> httpx.Response:
    return await api.client.post("/v1/entries", headers=key, json={**CIRCULAR, **changes})


class TestTaken:
    async def test_a_document_is_taken_once_and_read_again_when_it_changes(self, api_on_both: Api) -> None:
        api, key = api_on_both, api_on_both.key()
        answers = [await hand(api, key), await hand(api, key), await hand(api, key, text="It is withdrawn.")]
        assert [answer.status_code for answer in answers] == [201, 200, 200]
        assert [answer.json()["taken"] for answer in answers] == ["new", "known", "changed"]
        assert len({answer.json()["id"] for answer in answers}) == 1
        (claimed,) = api.store.entries.claim_new(api.clock(), limit=9, lease=doors.LEASE)
        assert (claimed.entry.source, claimed.jurisdiction, claimed.tier) == ("People's Bank", "CN", "official")
        assert claimed.entry.content == "It is withdrawn."

    async def test_it_is_found_again_by_id_or_else_by_link_whoever_it_is_said_to_be_by(self, api: Api) -> None:
        key, link = api.key(), "https://bank.example/14"
        one = (await hand(api, key)).json()["id"]
        assert (await hand(api, key, source="PBoC", link=link)).json() == {"id": one, "taken": "known"}
        two = (await hand(api, key, id=None, link=link)).json()
        assert two["taken"] == "new"
        assert (await hand(api, key, id=None, link=f"{link}?utm_source=mail")).json() == {**two, "taken": "known"}
        assert (await hand(api, api.key("others"))).json()["taken"] == "new"

    async def test_of_many_who_hand_in_the_same_at_once_one_is_first(self, api_on_both: Api) -> None:
        key = api_on_both.key()
        answers = await asyncio.gather(*(hand(api_on_both, key) for _ in range(6)))
        assert sorted(answer.json()["taken"] for answer in answers) == ["known"] * 5 + ["new"]
        assert len({answer.json()["id"] for answer in answers}) == 1

    async def test_nobody_polls_it_and_no_list_shows_it(self, api: Api) -> None:
        key = api.key()
        await hand(api, key)
        assert api.store.feeds.claim_due(api.clock(), limit=9, lease=doors.LEASE) == ()
        assert (await api.client.get("/v1/feeds", headers=key)).json()["items"] == []
        assert (await api.client.get("/v1/feeds/1", headers=key)).status_code == 404

    @pytest.mark.parametrize(
        "change",
        [
            {"title": ""},
            {"title": "x" * 200_001},
            {"text": "a\x00b"},
            {"link": "javascript:alert(1)"},
            {"jurisdiction": "XX"},
            {"language": "tlh"},
            {"tier": "royal"},
            {"published": "yesterday"},
            {"published": "2026-03-02T09:00:00"},
            {"id": ""},
            {"colour": "red"},
        ],
    )
    async def test_a_wrong_field_is_named(self, api: Api, change: dict[str, Any]) -> None:
        response = await hand(api, api.key(), **change)
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == next(iter(change))


@pytest.fixture
async def line(tmp_path: Path, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    async with a_line(settings_of(f"sqlite:///{tmp_path}/a.db"), rulebook, clock) as made:
        yield made


@pytest.fixture
async def client(line: Line) -> AsyncIterator[httpx.AsyncClient]:
    _, key = line.store.keys.create(team="t", name="k", scopes=[Scope.WRITE], random=os.urandom, now=line.clock())
    transport = httpx.ASGITransport(app=api_of(line.service))
    headers = {"authorization": f"Bearer {key.reveal()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=headers) as client:
        yield client


async def test_a_document_goes_the_way_of_an_entry(line: Line, client: httpx.AsyncClient) -> None:
    line.subscribe()
    assert (await client.post("/v1/entries", json=CIRCULAR)).status_code == 201
    await line.run()
    (payload,) = line.web.payloads()
    assert payload["data"]["sources"][0]["source"] == "People's Bank"
    at = (await client.post("/v1/subscriptions/1/feed-token")).json()
    assert "DTSTART;VALUE=DATE:20260701" in (await client.get(at["calendar"])).text  # the day that its text names


async def test_a_site_is_searched_and_a_list_taken_in_and_out(line: Line, client: httpx.AsyncClient) -> None:
    url = line.web.feed("/news/rss.xml", item("1", "First"))
    found = (await client.post("/v1/feeds/discover", json={"url": url})).json()["found"]
    assert [(one["url"], one["way"], one["titles"]) for one in found] == [(url, "itself", ["First"])]
    outline = "<outline text='F'><outline text='x' xmlUrl='{}'/></outline>"
    opml = f"<opml>{outline.format(url)}{outline.format('https://10.0.0.1/rss')}</opml>"
    said = (await client.post("/v1/feeds/import", json={"opml": opml})).json()
    assert (said["added"], said["known"], len(said["refused"])) == ([url], 0, 1)
    listed = await client.get("/v1/feeds/export.opml")
    assert listed.headers["content-type"].startswith("text/x-opml")
    again = await client.post("/v1/feeds/import", json={"opml": listed.text})
    assert again.json() == {"added": [], "known": 1, "refused": []}


async def test_where_nothing_is_the_reason_is_told(line: Line, client: httpx.AsyncClient) -> None:
    refused = await client.post("/v1/feeds/discover", json={"url": "http://10.0.0.1/"})
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/address-refused")
    absent = await client.post("/v1/feeds/discover", json={"url": f"{line.web.address}/none"})
    assert (absent.status_code, absent.json()["type"]) == (422, "/problems/unreachable")
    for wrong in ("", "<html/>", "<opml>", '<!DOCTYPE o [<!ENTITY a "b">]><opml>&a;</opml>'):
        assert (await client.post("/v1/feeds/import", json={"opml": wrong})).json()["errors"][0]["field"] == "opml"
