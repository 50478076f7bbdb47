"""The walk in docs/api.md and a client generated from the document: both work as they stand."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

from service.app import Service, api_of
from service.config import Rulebook
from service.domain.model import Scope
from tests import test_pipeline as lines
from tests.conftest import Clock
from tests.line import Line, settings_of
from tests.loopback import Web, item

DOCS = Path(__file__).parent.parent / "docs" / "api.md"
TEXTS = ("application/x-ndjson", "application/atom+xml")
NEWS = (
    item("1", "Kazakhstan signs law creating a licensing regime for crypto exchanges", published="2026-03-02"),
    item("2", "Brazil central bank bans algorithmic stablecoins", published="2026-03-02"),
)

rulebook = lines.rulebook


@pytest.fixture
async def line(tmp_path: Path, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    settings = settings_of(f"sqlite:///{tmp_path}/policywatch.db")
    service = Service(settings, rulebook=rulebook, now=clock, chance=lambda: 0.5)
    await service.start()
    async with Web() as web:
        yield Line(service, clock, web)
        await service.stop()


def walk() -> list[tuple[str, str, Any]]:
    """The calls in order: method, address, body."""
    calls = []
    for block in re.findall(r"```http\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL):
        first, _, body = block.partition("\n")
        method, path = first.split()
        calls.append((method, path, json.loads(body) if body.strip() else None))
    return calls


def admin(line: Line) -> str:
    made = line.store.keys.create(team="desk", name="t", scopes=[Scope.ADMIN], random=bytes_of, now=line.clock())
    return made[1].reveal()


def bytes_of(count: int) -> bytes:
    return bytes(range(count))


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
