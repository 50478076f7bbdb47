"""What editors ask: is this file right, does this rule fire on that, why was I not told, what would it have done."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest

from service.api import workshop
from service.domain.model import Scope
from tests import test_api as doors
from tests.builders import a_parsed, received
from tests.conftest import NOON
from tests.test_api import HOOK, Api, raise_alerts

api, empty_database, rulebook, sqlite_store = doors.api, doors.empty_database, doors.rulebook, doors.sqlite_store

BAN = "China's central bank bans stablecoin payments across the mainland"
RULES = """\
rules:
  - id: cn
    match: China + stablecoin + ban
    tests:
      - text: China's central bank bans stablecoin payments across the mainland
        expect: {fire: true}
      - text: Kenya bans stablecoins
        expect: {fire: true}
  - id: wrong
    match: Kazakhstn + exchange
    colour: red
"""


async def ask(api: Api, what: str, body: object, scope: Scope = Scope.READ, team: str = "desk") -> httpx.Response:
    return await api.client.post(f"/v1/rules/{what}", headers=api.key(team, scope), json=body)


class TestValidate:
    async def test_every_fault_has_its_line_and_tests_are_run(self, api: Api) -> None:
        said = (await ask(api, "validate", {"rules": RULES})).json()
        (rule,) = [rule for rule in said["rules"] if rule["id"] == "cn"]
        assert (rule["line"], rule["tests"], rule["failing"]) == (2, 2, 1)
        assert {fault["line"] for fault in said["problems"]} >= {7, 11}
        assert all(fault["what"] for fault in said["problems"])

    @pytest.mark.parametrize("text", ["", "rules: [", "a: &x [*x]", "\t", "[" * 5000, "rules:\n" + "  - {}\n" * 20_000])
    async def test_what_is_no_file_of_rules_says_so(self, api: Api, text: str) -> None:
        response = await ask(api, "validate", {"rules": text})
        assert response.status_code == 200
        assert response.json()["problems"]

    async def test_a_text_is_bounded(self, api: Api) -> None:
        response = await ask(api, "validate", {"rules": "#" * (workshop.MAX_RULES_TEXT + 1)})
        assert response.status_code == 422

    async def test_work_ends_in_time(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(workshop, "SECONDS", -1.0)
        response = await ask(api, "validate", {"rules": RULES})
        assert (response.status_code, response.json()["type"]) == (422, "/problems/too-long")

    async def test_who_comes_when_many_wait_is_sent_away(self, api: Api) -> None:
        shop = workshop.Workshop()
        release, busy = threading.Event(), workshop.AT_ONCE + workshop.WAITING
        waiting = [asyncio.create_task(shop.run(lambda go_on: release.wait(20))) for _ in range(busy)]
        await asyncio.sleep(0)
        app = api.app
        app.state.workshop = shop
        try:
            while not (response := await ask(api, "validate", {"rules": RULES})).is_error:
                pass
        finally:
            release.set()
        assert (response.status_code, response.headers["retry-after"]) == (429, "5")
        assert await asyncio.gather(*waiting) == [True] * busy


class TestExplain:
    async def test_a_rule_that_fires_shows_its_evidence(self, api: Api) -> None:
        body = {"rule": "China + stablecoin + ban", "entry": {"title": BAN}}
        said = (await ask(api, "explain", body)).json()
        assert [(d["jurisdiction"], d["action"]) for d in said["developments"]] == [("CN", "ban")]
        assert "China" in {span["text"] for span in said["fired"][0]["evidence"]}
        assert said["missed"] == []

    async def test_one_that_does_not_says_what_is_missing(self, api: Api) -> None:
        body = {"rules": "rules:\n  - id: ke\n    match: Kenya + stablecoin + ban\n", "entry": {"title": BAN}}
        said = (await ask(api, "explain", body)).json()
        assert said["fired"] == []
        (miss,) = said["missed"]
        assert (miss["rule"], miss["missing"]) == ("ke", 1)
        assert "Kenya" in miss["detail"]
        assert miss["near"]

    @pytest.mark.parametrize(
        ("rule", "code"),
        [
            ({"rule": "no-such-rule"}, 404),
            ({"rule": "Kazakhstan + "}, 422),
            ({"rules": RULES}, 422),
            ({"rules": "rules: []"}, 422),
            ({}, 422),
            ({"rule": "a + b", "rules": "rules: []"}, 422),
        ],
    )
    async def test_a_rule_that_is_none_is_named(self, api: Api, rule: dict[str, str], code: int) -> None:
        response = await ask(api, "explain", {**rule, "entry": {"title": BAN}})
        assert response.status_code == code
        assert response.json()["detail"]


class TestWhyNot:
    async def test_a_stored_report_tells_what_became_of_it_for_the_team_that_asks(self, api: Api) -> None:
        key = api.key()
        await api.client.post("/v1/subscriptions", headers=key, json={"name": "desk", "channels": [HOOK]})
        raise_alerts(api.store, "CN")
        said = (await ask(api, "why-not", {"what": "https://example.org/CN-0?utm_source=x"})).json()
        assert (said["became"], said["title"], said["fate"]["fired"]) == (
            "on_its_way",
            "CN bans stablecoins",
            ["CN-ban"],
        )
        assert said["fate"]["decisions"] == [{"rule": "CN-ban", "subscription": "desk", "reason": "delivered"}]
        assert (await ask(api, "why-not", {"what": "alert:1"})).json()["fate"] == said["fate"]
        other = (await ask(api, "why-not", {"what": "1"}, team="others")).json()
        assert (other["became"], other["fate"]["decisions"]) == ("held_back", [])
        assert (await ask(api, "why-not", {"what": "alert:1"}, team="others")).status_code == 404

    async def test_an_address_that_nobody_brought_says_so(self, api: Api) -> None:
        said = (await ask(api, "why-not", {"what": "https://nowhere.example/x"})).json()
        assert (said["became"], said["fate"]) == ("not_received", None)

    async def test_words_are_judged_by_the_rules_in_force(self, api: Api) -> None:
        said = (await ask(api, "why-not", {"what": BAN})).json()
        assert said["became"] is None
        assert said["fired"]
        one = {"what": BAN, "rule": "Kenya + ban"}
        assert [miss["rule"] for miss in (await ask(api, "why-not", one)).json()["missed"]] == ["kenya-ban"]

    @pytest.mark.parametrize("what", ["999999", "9" * 30, "alert:7", "alert:" + "9" * 30, "٣"])
    async def test_what_is_not_there(self, api: Api, what: str) -> None:
        assert (await ask(api, "why-not", {"what": what})).status_code in (200, 404)


class TestBacktest:
    async def test_what_a_rule_would_have_fired_on(self, api: Api) -> None:
        raise_alerts(api.store, "CN", "KE")
        body: dict[str, Any] = {"rule": "Kenya + stablecoin + ban", "since": "30d"}
        said = (await ask(api, "backtest", body)).json()
        assert (said["entries"], said["unread"]) == (2, 0)
        assert [(r["entries"], r["stories"]) for r in said["rules"]] == [(1, 1)]
        assert [(e["title"], e["jurisdictions"]) for e in said["newest"]] == [("KE bans stablecoins", ["KE"])]
        assert sum(week["stories"] for week in said["weeks"]) == 1

    async def test_what_was_never_read_is_counted(self, api: Api) -> None:
        received(api.store, NOON, a_parsed("new"))
        assert (await ask(api, "backtest", {"rule": "Kenya + ban"})).json()["unread"] == 1

    @pytest.mark.parametrize("since", ["", "1y", "400d", "-1d", "10s", 5, None])
    async def test_how_far_back_has_bounds(self, api: Api, since: object) -> None:
        assert (await ask(api, "backtest", {"rule": "Kenya + ban", "since": since})).status_code == 422
