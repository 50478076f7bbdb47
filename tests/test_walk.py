"""The walk in docs/api.md and a client generated from the document: both work as they stand."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

from service.app import api_of, declared_subscription
from service.config import Rulebook, load, load_rulebook
from service.domain.model import Scope
from tests import test_pipeline as lines
from tests.conftest import Clock
from tests.line import Line, a_line, settings_of
from tests.loopback import item

DOCS = Path(__file__).parent.parent / "docs" / "api.md"
TEXTS = ("application/x-ndjson", "application/atom+xml")
NEWS = (
    item("1", "Kazakhstan signs law creating a licensing regime for crypto exchanges", published="2026-03-02"),
    item("2", "Brazil central bank bans algorithmic stablecoins", published="2026-03-02"),
)
RESERVE = item(
    "reserve",
    "Kazakhstan signs law on a national crypto reserve",
    text="Kazakhstan signed a law on Monday that creates a national crypto reserve.",
    link="https://news.example.org/reserve",
    published="2026-03-02",
)

rulebook = lines.rulebook


@pytest.fixture
async def line(tmp_path: Path, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    settings = settings_of(f"sqlite:///{tmp_path}/policywatch.db")
    async with a_line(settings, rulebook, clock) as made:
        yield made


def walk() -> list[tuple[str, str, Any]]:
    """The calls in order: method, address, body."""
    calls = []
    for block in re.findall(r"```http\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL):
        first, _, body = block.partition("\n")
        method, path = first.split()
        calls.append((method, path, json.loads(body) if body.strip() else None))
    return calls


def admin(line: Line, team: str = "desk") -> str:
    made = line.store.keys.create(team=team, name="t", scopes=[Scope.ADMIN], random=os.urandom, now=line.clock())
    return made[1].reveal()


async def test_six_calls_lead_from_nothing_to_a_decision(line: Line) -> None:
    feed = line.web.feed("/feed.xml", *NEWS)
    places = {"https://news.example.org/feed.xml": feed, "https://grc.example.org": line.web.address}
    transport = httpx.ASGITransport(app=api_of(line.service))
    headers = {"authorization": f"Bearer {admin(line)}", "content-type": "application/json"}
    answers = []
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=headers) as client:
        for method, path, body in walk():
            sent = json.dumps(body)
            for told, meant in places.items():
                sent = sent.replace(told, meant)
            answer = await client.request(method, path, content=sent if body else None)
            assert answer.status_code in (200, 201, 202), answer.text
            answers.append(answer.json())
            await line.run()
    tried, subscribed, _, _, listed, decided = answers
    assert (tried["considered"], tried["alerts"]) == (0, 0)
    assert subscribed["channels"][0]["secret"].startswith("whsec_")
    assert [alert["developments"][0]["jurisdiction"] for alert in listed["items"]] == ["KZ"]
    assert decided["verdict"] == "applicable"
    assert [payload["type"] for payload in line.web.payloads()] == ["test", "alert.raised"]


async def test_expressions_of_its_own_from_the_docs_to_an_alert(line: Line) -> None:
    wanted = own_example()
    feed = line.web.feed("/feed.xml", *NEWS, RESERVE)
    transport = httpx.ASGITransport(app=api_of(line.service))
    key, other = ({"authorization": f"Bearer {admin(line, team)}"} for team in ("desk", "others"))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=key) as client:

        async def asked(path: str, /, headers: dict[str, str] = key, **body: Any) -> Any:
            sent = {"json": body} if body else {}
            return await client.request("POST" if body else "GET", f"/v1{path}", headers=headers, **sent)

        made = (await asked("/subscriptions", **wanted, watch={"jurisdictions": ["KZ"]})).json()
        assert made["match"] == wanted["match"]
        line.add(feed)
        await line.run()
        (alert,) = (await asked("/alerts")).json()["items"]
        (rule,) = alert["rules"]
        assert (await asked("/alerts", other)).json()["items"] == []
        assert (await asked(f"/rules/{rule}")).json()["match"] == wanted["match"][0]
        assert (await asked(f"/rules/{rule}", other)).status_code == 404
        assert rule in [one["id"] for one in (await asked("/rules?limit=200")).json()["items"]]
        for path, more in (("explain", {"entry": {"title": "Kazakhstan plans a reserve"}}), ("backtest", {})):
            said = await asked(f"/rules/{path}", rule=rule, **more)
            assert said.status_code == 200
            assert rule in said.text
            assert (await asked(f"/rules/{path}", other, rule=rule, **more)).status_code == 404
        why, theirs = [
            (await asked("/rules/why-not", by, what="https://news.example.org/reserve")) for by in (key, other)
        ]
        assert why.json()["fate"]["decisions"] == [{"rule": rule, "subscription": "reserves", "reason": "delivered"}]
        assert rule not in theirs.text
        assert (theirs.json()["became"], theirs.json()["fate"]["alert_id"]) == ("no_rule", None)
        ledger = (await asked(f"/subscriptions/{made['id']}/ledger")).json()
        assert (ledger["delivered"], ledger["missing"]) == (1, 0)
        (noted,) = (await asked("/audit?thing=subscription")).json()["items"]
        assert noted["after"]["match"] == wanted["match"]
        place = f"/v1/subscriptions/{made['id']}"
        before = (await client.get(place)).headers["etag"]
        changed = await client.patch(place, json={"match": ["Japan + ban"]}, headers={"if-match": before})
        assert changed.json()["match"] == ["Japan + ban"]
        assert changed.headers["etag"] != before
        assert (await asked(f"/alerts/{alert['id']}")).json()["rules"] == [rule]
        tried = (await asked("/subscriptions?dry_run=true", other, **wanted)).json()
        assert (tried["alerts"], tried["examples"]) == (1, [])
        assert [report["title"] for report in tried["reports"]] == ["Kazakhstan signs law on a national crypto reserve"]


def own_example() -> dict[str, Any]:
    """The subscription with expressions of its own that the handbook shows."""
    return dict(json.loads(own_block("json")))


def own_block(language: str) -> str:
    _, _, text = DOCS.read_text(encoding="utf-8").partition("### What no rule looks for yet")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)[0]


def test_they_stand_in_the_configuration_as_the_docs_show(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(own_block("yaml"))
    settings = load(tmp_path / "config.yaml")
    found = declared_subscription(settings, 0, load_rulebook(settings.rules))
    assert (found.match, found.watch.packs) == (("Kazakhstan + reserve",), ("digital-assets",))


async def test_a_dry_run_tells_what_a_subscription_would_have_heard(line: Line) -> None:
    line.subscribe()
    line.add(line.web.feed("/feed.xml", *NEWS))
    await line.run()
    transport = httpx.ASGITransport(app=api_of(line.service))
    headers = {"authorization": f"Bearer {admin(line)}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=headers) as client:

        async def tried(**body: Any) -> Any:
            path = "/v1/subscriptions?dry_run=true&since=7d"
            return (await client.post(path, json={"name": "try", **body})).json()

        asia = await tried(watch={"groups": ["central-asia"]}, when={"quiet": "10:00-18:00", "zone": "Asia/Almaty"})
        digest = await tried(when={"schedule": "daily"})
        bad = await client.post("/v1/subscriptions?dry_run=true&since=9999d", json={"name": "try"})
        stored = (await client.get("/v1/subscriptions", headers=headers)).json()["items"]
    assert asia["considered"] == 1
    assert asia["alerts"] == 1
    assert asia["examples"][0]["developments"][0]["jurisdiction"] == "KZ"
    assert sum(asia["reasons"].values()) == asia["considered"]
    assert digest["reasons"] == {"for_digest": 1}
    assert digest["hours"] == {}
    assert (bad.status_code, stored) == (422, [])


async def test_a_generated_client_works_at_once(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = api_of(line.service)
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(app.openapi()), encoding="utf-8")
    asked = ConfigFile(post_hooks=[], content_type_overrides=dict.fromkeys(TEXTS, "text/plain"))
    faults = generate(
        config=Config.from_sources(
            asked, MetaType.NONE, document_source=document, file_encoding="utf-8", overwrite=True,
            output_path=tmp_path / "policywatch_client",
        )
    )  # fmt: skip
    assert not faults
    monkeypatch.syspath_prepend(tmp_path)
    try:
        client = importlib.import_module("policywatch_client").AuthenticatedClient("http://api.test", admin(line))
        client.set_async_httpx_client(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),
                base_url="http://api.test",
                headers={"authorization": f"Bearer {client.token}"},
            )
        )
        subscribing = importlib.import_module("policywatch_client.api.subscriptions.create_subscription")
        listing = importlib.import_module("policywatch_client.api.subscriptions.list_subscriptions")
        models = importlib.import_module("policywatch_client.models")
        wanted = models.SubscriptionIn(name="mine", watch=models.WatchBody(jurisdictions=["KZ"]))
        made = await subscribing.asyncio(client=client, body=wanted)
        assert isinstance(made, models.SubscriptionOut), made
        assert (made.name, made.watch.jurisdictions) == ("mine", ["KZ"])
        listed = await listing.asyncio(client=client)
        assert [one.id for one in listed.items] == [made.id]
        wrong = models.SubscriptionIn(name="mine")
        assert (await subscribing.asyncio(client=client, body=wrong)).type_ == "/problems/name-taken"
    finally:
        for name in [name for name in sys.modules if name.startswith("policywatch_client")]:
            del sys.modules[name]
