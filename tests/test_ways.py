"""A subscription's feeds and calendar, read with nothing but their address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import httpx
import icalendar

from service.api import ways
from service.domain.dates import Meaning, NamedDay
from service.domain.model import Scope, Stage, UpdateReason
from service.domain.remembered import Noted
from service.domain.updates import Change
from service.feeds.parse import parse_feed
from service.storage.store import Store
from tests import test_api as doors
from tests.builders import LEASE, a_development, a_match, a_parsed, judged, received
from tests.conftest import NOON
from tests.test_api import HOOK, Api, raise_alerts

api, empty_database, rulebook, sqlite_store = doors.api, doors.empty_database, doors.rulebook, doors.sqlite_store
api_on_both = doors.api_on_both

ATOM = "{http://www.w3.org/2005/Atom}"


async def subscribed(api: Api, **more: Any) -> tuple[dict[str, str], Mapping[str, str]]:
    """A subscription of everything and the addresses of its feeds, as paths."""
    key = api.key()
    made = await api.client.post("/v1/subscriptions", headers=key, json={"name": "desk", "channels": [HOOK], **more})
    return key, await addresses(api, key, made.json()["id"])


async def addresses(api: Api, key: dict[str, str], subscription: int) -> Mapping[str, str]:
    response = await api.client.post(f"/v1/subscriptions/{subscription}/feed-token", headers=key)
    assert response.status_code == 201
    return {name: at.removeprefix("http://api.test") for name, at in response.json().items()}


def changed(store: Store, alert_id: int, reason: UpdateReason, at: datetime) -> None:
    """Something about an alert changes, and nobody is told by message."""
    with store.entries.placing() as placing:
        alert = placing.alert_of(alert_id)  # these tests have a story for each alert, and their ids are the same
        assert alert is not None
        change = Change(reason=reason, what=f"{reason}:{at}", detail="stage proposed → withdrawn")
        placing.update(alert, alert_id, (change,), (), now=at)


def names_days(store: Store, entry_id: int, *days: NamedDay) -> None:
    """As if the text of a stored entry named these days."""
    (whole,) = store.readings.whole([entry_id])
    blank = ("",) * len(whole.reading.developments)
    noted = Noted(stated=blank, named=blank, days=days)
    assert store.readings.keep([(whole, whole.reading, noted)], lexicon="l1") == 1


class TestFeeds:
    async def test_an_alert_is_an_entry_of_an_atom_feed(self, api_on_both: Api) -> None:
        _, at = await subscribed(api_on_both)
        raise_alerts(api_on_both.store, "CN", "KE")
        answer = await api_on_both.client.get(at["atom"])
        assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
        root = ElementTree.fromstring(answer.content)
        titles = [entry.findtext(f"{ATOM}title") for entry in root.iter(f"{ATOM}entry")]
        assert titles == [
            "[MEDIUM] Kenya: ban on stablecoins, reaffirmed (tightening)",
            "[MEDIUM] China: ban on stablecoins, reaffirmed (tightening)",
        ]
        parsed = parse_feed(answer.content, content_type=answer.headers["content-type"], url="https://x.example/")
        assert [entry.title for entry in parsed.entries] == titles  # as a reader reads it: our own, for one
        assert all(entry.guid.startswith("urn:uuid:") and entry.published == NOON for entry in parsed.entries)
        assert root.findtext(f"{ATOM}updated") == "2026-03-02T12:00:00Z"

    async def test_the_same_as_json_feed(self, api: Api) -> None:
        _, at = await subscribed(api, language="zh")
        raise_alerts(api.store, "CN")
        answer = await api.client.get(at["json_feed"])
        feed = answer.json()
        (item,) = feed["items"]
        assert (feed["version"], feed["feed_url"]) == (
            "https://jsonfeed.org/version/1.1",
            f"http://api.test{at['json_feed']}",
        )
        assert (item["language"], item["url"]) == ("zh-Hans", "https://example.org/CN-0")
        assert item["_policywatch"]["alert_id"] == 1
        atom = ElementTree.fromstring((await api.client.get(at["atom"])).content)
        assert item["id"] == atom.findtext(f"{ATOM}entry/{ATOM}id")
        assert item["content_html"] == atom.findtext(f"{ATOM}entry/{ATOM}content")

    async def test_a_change_moves_an_entry_up_and_says_what_changed(self, api: Api) -> None:
        _, at = await subscribed(api)
        raise_alerts(api.store, "CN", "KE")
        later = NOON + timedelta(hours=1)
        changed(api.store, 1, UpdateReason.CORRECTION, later)
        first = (await api.client.get(at["json_feed"])).json()["items"][0]
        assert (first["_policywatch"]["alert_id"], first["date_modified"]) == (1, "2026-03-02T13:00:00Z")
        assert first["title"].startswith("Correction: [MEDIUM] China")
        assert "withdrawn" in first["content_html"]

    async def test_what_has_not_changed_is_not_sent_again(self, api: Api) -> None:
        _, at = await subscribed(api)
        raise_alerts(api.store, "CN")
        first = await api.client.get(at["atom"])
        assert first.headers["cache-control"] == "private, max-age=60"
        assert "noindex" in first.headers["x-robots-tag"]
        again = await api.client.get(at["atom"], headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    async def test_a_hostile_title_is_text(self, api: Api) -> None:
        _, at = await subscribed(api)
        title = "]]><script>alert(1)</script>\x08\u202e & <b>\U0001f600 " + "x" * 500
        received(api.store, NOON, a_parsed("bad", title=title))
        raise_alerts_of(api.store)
        atom = ElementTree.fromstring((await api.client.get(at["atom"])).content)
        html = atom.findtext(f"{ATOM}entry/{ATOM}content") or ""
        assert "<script" not in html
        assert "&lt;/script&gt;" in html or "‹script" in html
        json.loads((await api.client.get(at["json_feed"])).content)

    async def test_what_others_were_told_before_a_subscription_was_made_is_not_in_its_feed(self, api: Api) -> None:
        key, _ = await subscribed(api)
        raise_alerts(api.store, "CN")
        assert (await api.client.delete("/v1/subscriptions/1", headers=key)).status_code == 204
        api.clock.advance(timedelta(minutes=1))
        other = api.key("others")
        made = await api.client.post("/v1/subscriptions", headers=other, json={"name": "n", "channels": [HOOK]})
        assert made.json()["id"] == 1  # SQLite gives the number again
        at = await addresses(api, other, 1)
        assert (await api.client.get(at["json_feed"])).json()["items"] == []


def raise_alerts_of(store: Store) -> None:
    """An alert for the entry that waits."""
    (claimed,) = store.entries.claim_new(NOON, limit=1, lease=LEASE)
    value = judged(claimed, matches=(a_match("r", a_development("CN", stage=Stage.PROPOSED)),))
    doors.tell(store, value)


class TestTokens:
    async def test_an_address_ends_when_it_is_replaced_or_deleted(self, api_on_both: Api) -> None:
        api = api_on_both
        key, old = await subscribed(api)
        raise_alerts(api.store, "CN")
        known = (await api.client.get(old["json_feed"])).json()["items"][0]["id"]
        new = await addresses(api, key, 1)
        assert (await api.client.get(old["json_feed"])).status_code == 404
        assert (await api.client.get(new["json_feed"])).json()["items"][0]["id"] == known
        assert (await api.client.delete("/v1/subscriptions/1/feed-token", headers=key)).status_code == 204
        assert (await api.client.get(new["atom"])).status_code == 404
        assert (await api.client.delete("/v1/subscriptions/1/feed-token", headers=key)).status_code == 404
        kinds = [change.kind for change in api.store.audit.page("desk", thing="feed_token")]
        assert kinds == ["removed", "changed", "created"]

    async def test_what_is_stored_opens_nothing(self, api: Api) -> None:
        _, at = await subscribed(api)
        token = at["atom"].removeprefix("/feeds/").removesuffix(".atom")
        with api.store.database.read() as session:
            (stored,) = session.connection().exec_driver_sql("SELECT token_hash FROM way").scalars().all()
        assert token not in stored
        for guess in (stored, "", "x", "a" * 43, "%00", "..%2f"):
            assert (await api.client.get(f"/feeds/{guess}.atom")).status_code == 404

    async def test_another_team_has_no_such_subscription(self, api: Api) -> None:
        await subscribed(api)
        other = api.key("others", Scope.WRITE)
        for method in ("POST", "DELETE"):
            response = await api.client.request(method, "/v1/subscriptions/1/feed-token", headers=other)
            assert response.status_code == 404

    async def test_a_reader_that_asks_too_often_is_told_to_wait(self, api: Api) -> None:
        _, at = await subscribed(api)
        answers = [(await api.client.get(at["calendar"])) for _ in range(ways.RATE + 1)]
        assert [answer.status_code for answer in answers[-2:]] == [200, 429]
        assert answers[-1].headers["retry-after"] == "1"


class TestCalendar:
    DAYS = (
        NamedDay(day=date(2026, 7, 1), meaning=Meaning.EFFECTIVE, text="It takes effect on 1 July 2026."),
        NamedDay(day=date(2026, 4, 30), meaning=Meaning.COMMENT_BY, text="Comments by 30 April 2026;\nBEGIN:VEVENT"),
        NamedDay(day=date(2020, 1, 1), meaning=Meaning.EFFECTIVE, text="long ago"),
    )

    async def test_the_days_of_an_alert_are_whole_days(self, api_on_both: Api) -> None:
        api = api_on_both
        _, at = await subscribed(api)
        raise_alerts(api.store, "CN")
        names_days(api.store, 1, *self.DAYS)
        comment, effect = await events(api.client, at)
        assert [one["dtstart"].dt for one in (comment, effect)] == [date(2026, 4, 30), date(2026, 7, 1)]
        assert str(effect["summary"]) == "Takes effect: [MEDIUM] China: ban on stablecoins, reaffirmed (tightening)"
        assert str(comment["summary"]).startswith("Comments due: ")
        assert "1 July" in str(effect["description"])
        assert (effect["dtend"].dt, effect["sequence"], effect["status"]) == (date(2026, 7, 2), 0, "CONFIRMED")

    async def test_an_event_is_cancelled_with_its_alert_and_stays_the_same_event(self, api: Api) -> None:
        _, at = await subscribed(api)
        raise_alerts(api.store, "CN")
        names_days(api.store, 1, self.DAYS[0])
        (before,) = await events(api.client, at)
        changed(api.store, 1, UpdateReason.RETRACTION, NOON + timedelta(hours=1))
        (after,) = await events(api.client, at)
        assert (after["uid"], after["sequence"], after["status"]) == (before["uid"], 1, "CANCELLED")
        assert after["last-modified"].dt == datetime(2026, 3, 2, 13, 0, tzinfo=UTC)

    async def test_without_days_a_calendar_is_empty_and_valid(self, api: Api) -> None:
        _, at = await subscribed(api)
        assert await events(api.client, at) == []


async def events(client: httpx.AsyncClient, at: Mapping[str, str]) -> list[Any]:
    answer = await client.get(at["calendar"])
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    return icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
