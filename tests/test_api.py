"""The REST interface through its own door: an HTTP client on the application, over a real store."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from structlog.testing import capture_logs

from service.api.app import NOUNS, Deps, build
from service.api.problems import Kind
from service.config import Rulebook, Settings, load_rulebook
from service.delivery.message import render
from service.domain import routing, stories
from service.domain.model import (
    Answer,
    ChannelKind,
    DeliveryState,
    FeedState,
    FetchReason,
    Invalid,
    Outcome,
    OutcomeStatus,
    Problem,
    Scope,
    Secret,
    Settlement,
    Watch,
)
from service.storage.entries import Judged
from service.storage.feeds import NewFeed
from service.storage.store import Store
from service.storage.subscriptions import NewChannel
from tests.builders import (
    LEASE,
    a_background,
    a_channel,
    a_development,
    a_match,
    a_parsed,
    a_subscription,
    healthy,
    judged,
    received,
)
from tests.conftest import NOON, TEST_KEY, Clock

DOCS = Path(__file__).parent.parent / "docs" / "api.md"
SETTINGS = Settings(delivery={"smtp": {"host": "mail.example.org", "sender": "policywatch@example.org"}})
HOOK = "https://grc.example.org/hook"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#policy"


# --- fixtures -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A client, the store behind it, and the headers of some keys."""

    client: httpx.AsyncClient
    store: Store
    clock: Clock
    app: FastAPI
    problems: list[Problem]
    reasons: list[str]

    @property
    def document(self) -> dict[str, Any]:
        return self.app.openapi()

    def key(self, team: str = "desk", *scopes: Scope, **more: Any) -> dict[str, str]:
        _, text = self.store.keys.create(
            team=team, name="test", scopes=scopes or (Scope.WRITE,), random=os.urandom, now=self.clock(), **more
        )
        return {"authorization": f"Bearer {text.reveal()}"}


class Client(httpx.AsyncClient):
    """A client that checks on every error that it is a problem as documented."""

    async def request(self, *args: Any, **more: Any) -> httpx.Response:
        response = await super().request(*args, **more)
        if response.status_code >= 400:
            assert_is_problem(response)
        return response


def assert_is_problem(response: httpx.Response) -> None:
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert set(body) == {"type", "title", "status", "detail", "errors"}
    assert body["type"] in {kind.uri for kind in Kind}
    assert body["status"] == response.status_code
    assert body["detail"]
    assert all(set(error) == {"field", "what", "hint"} for error in body["errors"])


@pytest.fixture(scope="session")
def rulebook() -> Rulebook:
    return load_rulebook(SETTINGS.rules)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy, since to migrate takes longer than most tests here."""
    path = tmp_path_factory.mktemp("api") / "empty.db"
    Store(f"sqlite:///{path}", keys=(TEST_KEY,)).close()
    return path


@pytest.fixture
def sqlite_store(tmp_path: Path, empty_database: Path) -> Iterator[Store]:
    path = shutil.copy(empty_database, tmp_path / "policywatch.db")
    store = Store(f"sqlite:///{path}", keys=(TEST_KEY,))
    yield store
    store.close()


def reloaded(rulebook: Rulebook, problems: list[Problem]) -> Rulebook:
    if problems:
        raise Invalid(tuple(problems))
    return rulebook


async def an_api(store: Store, clock: Clock, rulebook: Rulebook) -> AsyncIterator[Api]:
    problems: list[Problem] = []
    reasons: list[str] = []
    deps = Deps(
        store=store,
        rulebook=lambda: rulebook,
        settings=SETTINGS,
        now=clock,
        random=os.urandom,
        reload=lambda: reloaded(rulebook, problems),
        ready=lambda: reasons,
        problems=lambda: problems,
    )
    app = build(deps)
    async with Client(transport=httpx.ASGITransport(app=app), base_url="http://api.test") as client:
        yield Api(client=client, store=store, clock=clock, app=app, problems=problems, reasons=reasons)


@pytest.fixture
async def api(sqlite_store: Store, clock: Clock, rulebook: Rulebook) -> AsyncIterator[Api]:
    async for value in an_api(sqlite_store, clock, rulebook):
        yield value


@pytest.fixture
async def api_on_both(store: Store, clock: Clock, rulebook: Rulebook) -> AsyncIterator[Api]:
    """On SQLite and on PostgreSQL, which accept different things."""
    async for value in an_api(store, clock, rulebook):
        yield value


def raise_alerts(store: Store, *jurisdictions: str, title: str = "{} bans stablecoins") -> None:
    """An alert for each jurisdiction, routed to every subscription."""
    for number, code in enumerate(jurisdictions):
        guid = f"{code}-{number}"
        received(store, NOON, a_parsed(guid, title=title.format(code)), url=f"https://{guid}.example/rss")
        (claimed,) = store.entries.claim_new(NOON, limit=1, lease=LEASE)
        tell(store, judged(claimed, a_development(code), matches=(a_match(f"{code}-ban", a_development(code)),)))


def tell(store: Store, value: Judged) -> None:
    """The story of an entry, its alert, and whoever is told."""
    with store.entries.placing() as placing:
        key = value.story_key
        placement = stories.place(key, NOON, placing.stories_near(key, NOON))
        story_id = placing.record_story(value, placement, now=NOON)
        alert = placing.raise_alert(story_id, value, severity=value.matches[0].severity, now=NOON)
        everybody = placing.subscriptions(store.subscriptions)
        routes = routing.route(value.matches, everybody, placing.told(alert), a_background())
        placing.record_routes(int(value.entry.id), alert, routes, everybody, now=NOON)


def a_silence(store: Store, code: str = "KE") -> None:
    until = NOON + timedelta(hours=6)
    watch = Watch(jurisdictions=(code,))
    store.silences.add(team="desk", owner="ana", reason="known", watch=watch, expires_at=until, now=NOON)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of everything in an OpenAPI document."""
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def filled(path: str, value: object = 1) -> str:
    return re.sub(r"\{\w+\}", str(value), path)


# --- what OpenAPI says --------------------------------------------------------------------------------------------


async def test_every_operation_is_described_with_examples_and_errors(api: Api) -> None:
    assert (await api.client.get("/openapi.json")).json() == api.document
    ids = [operation["operationId"] for _, _, operation in operations(api.document)]
    assert len(ids) == len(set(ids)) >= 24
    for method, path, operation in operations(api.document):
        assert operation["summary"], path
        assert operation["description"], path
        good = next(answer for code, answer in operation["responses"].items() if code.startswith("2"))
        if method == "DELETE":
            assert "content" not in good
        else:
            assert all("example" in one for one in good["content"].values()), path
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["examples"], path
        if path.startswith("/v1"):
            ((scope,),) = (one["key"] for one in operation["security"])
            assert scope in set(Scope), path
            assert {"401", "403"} <= set(operation["responses"]), path
        for code, answer in operation["responses"].items():
            if code >= "400":
                content = answer["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ProblemAnswer"}
                assert all(e["value"]["status"] == int(code) for e in content["examples"].values())
    assert "HTTPValidationError" not in json.dumps(api.document)


async def test_every_reference_in_the_document_leads_somewhere(api: Api) -> None:
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(api.document)):
        assert name in api.document["components"]["schemas"]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda n: n.__name__)
def test_examples_of_answers_are_such_answers(noun) -> None:
    for route in noun.router.routes:
        assert isinstance(route, APIRoute)
        if route.response_model is not None:
            example = route.responses[route.status_code or 200]["content"]["application/json"]["example"]
            # Dumped again, the example must not have lost or gained a field.
            adapter = TypeAdapter(route.response_model)
            again = adapter.dump_json(adapter.validate_python(example))
            assert json.loads(again) == example, route.path


async def test_examples_of_requests_are_accepted(api: Api, rulebook: Rulebook) -> None:
    key = api.key("desk", Scope.ADMIN)
    prefix = api.store.keys.list("desk")[0].prefix
    api.store.feeds.add(NewFeed(url="https://feed.example/"), now=NOON)
    await api.client.post("/v1/subscriptions", headers=key, json={"name": "first", "channels": [HOOK]})
    raise_alerts(api.store, "CN")
    for method, path, operation in operations(api.document):
        if path == "/v1/feeds/discover":  # asks the network, which this application does not reach
            continue
        for name, example in (
            operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
        ).items():
            body = example["value"]
            if method == "POST" and path == "/v1/feeds":
                body = {**body, "url": f"{body['url']}?{name}"}  # the examples name one feed twice
            if "slack://A/B/C/#policy" in body.get("channels", []):
                body = {**body, "channels": [SLACK]}
            if method == "PUT":
                body = {**body, "name": "another"}
            if path.endswith("/alerts/decisions"):
                body = {**body, "alerts": [1]}
            address = filled(path.replace("{prefix}", prefix))
            response = await api.client.request(method, address, headers=key, json=body)
            assert response.status_code in (200, 201, 202), (path, name, response.text)


def test_the_handbook_lists_every_problem_and_every_operation() -> None:
    text = DOCS.read_text()
    for kind in Kind:
        assert f"| `{kind.uri}` | {kind.status} |" in text, kind
    app = build(Deps(store=None, rulebook=None, settings=SETTINGS, now=None, random=os.urandom, reload=None))  # type: ignore[arg-type]
    for method, path, _ in operations(app.openapi()):
        assert f"`{method} {re.sub(r'[a-z]+_id', 'id', path)}`" in text, (method, path)


# --- keys ---------------------------------------------------------------------------------------------------------


async def test_every_operation_under_v1_needs_a_key(api: Api) -> None:
    for method, path, _ in operations(api.document):
        if path.startswith("/v1"):
            response = await api.client.request(method, filled(path), content=b"not even JSON")
            assert response.status_code == 401, (method, path)
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert response.json()["type"] == "/problems/unauthorized"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer nonsense",
        "Basic cHc6",
        "pw_abc",
        "Bearer pw_aaaaaaaa_" + "a" * 48,
        "Bearer \u00e9",
        "x" * 9000,
    ],
)
async def test_what_is_no_key_of_ours_is_refused(api: Api, header: str) -> None:
    response = await api.client.get("/v1/me", headers={"authorization": header.encode("latin-1")})
    assert response.status_code == 401


async def test_a_key_that_is_expired_or_revoked_is_refused(api: Api) -> None:
    expiring = api.key(expires_at=NOON + timedelta(hours=1))
    revoked = api.key()
    assert (await api.client.get("/v1/me", headers=expiring)).status_code == 200
    api.store.keys.revoke(revoked["authorization"][10:18], now=NOON)
    api.clock.advance(timedelta(hours=1))
    for headers in (expiring, revoked):
        response = await api.client.get("/v1/me", headers=headers)
        assert response.status_code == 401
        assert "expired" in response.json()["detail"]


@pytest.mark.parametrize("scope", [Scope.WRITE, Scope.ADMIN])
async def test_a_wider_scope_includes_the_narrower(api: Api, scope: Scope) -> None:
    key = api.key("desk", scope)
    assert (await api.client.get("/v1/feeds", headers=key)).status_code == 200
    assert (await api.client.post("/v1/feeds", headers=key, json={"url": "https://a.example/"})).status_code == 201


async def test_the_key_in_use_says_who_it_is(api: Api) -> None:
    key = api.key("desk", Scope.READ)
    me = (await api.client.get("/v1/me", headers=key)).json()
    assert (me["team"], me["scopes"]) == ("desk", ["read"])
    assert me["prefix"] == key["authorization"][10:18]
    assert key["authorization"][19:] not in json.dumps(me)


# --- lists --------------------------------------------------------------------------------------------------------


UNASKED: dict[str, Any] = {
    **{name: [] for name in ("groups", "stages", "directions", "tiers", "languages", "tags", "packs")},
    "exclude": {name: [] for name in ("jurisdictions", "groups", "topics", "actions", "rules")},
}
"""What a watch holds where nobody asked for it."""


async def pages_of(api: Api, path: str, key: dict[str, str], *, limit: int) -> AsyncIterator[list[dict[str, Any]]]:
    """Every page of a list, as its links lead from one to the next."""
    response = await api.client.get(path, headers=key, params={"limit": limit})
    while "next" in response.links:
        assert f"cursor={response.json()['next']}" in response.links["next"]["url"]
        yield response.json()["items"]
        response = await api.client.get(response.links["next"]["url"], headers=key)
    assert response.json()["next"] is None
    yield response.json()["items"]


@pytest.mark.parametrize(
    "path", ["/v1/feeds", "/v1/rules", "/v1/subscriptions", "/v1/silences", "/v1/alerts", "/v1/deliveries"]
)
async def test_the_pages_of_a_list_hold_everything_once(api_on_both: Api, path: str) -> None:
    api, key = api_on_both, api_on_both.key("desk", Scope.READ)
    for name in ("a", "b", "c", "d", "e"):
        api.store.subscriptions.create("desk", a_subscription(name), now=NOON)
        a_silence(api.store)
    raise_alerts(api.store, "CN", "HK", "KZ", "UZ", "JP")
    pages = [page async for page in pages_of(api, path, key, limit=2)]
    assert all(len(page) == 2 for page in pages[:-1])
    seen = [item["id"] for page in pages for item in page]
    assert seen == [item["id"] async for page in pages_of(api, path, key, limit=200) for item in page]
    assert len(set(seen)) == len(seen) >= 5
    if path in ("/v1/alerts", "/v1/deliveries"):
        assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    "cursor", ["", "x", "%%%", "MTIz", "YWxlcnRzOjE", "ZmVlZHM6", "ZmVlZHM6LTE", "ZmVlZHM6OTk5OTk5OTk5OTk", "4pyT"]
)
async def test_a_cursor_that_is_not_ours_is_named(api: Api, cursor: str) -> None:
    response = await api.client.get("/v1/feeds", headers=api.key(), params={"cursor": cursor})
    assert response.status_code == 400
    assert response.json()["type"] == "/problems/invalid-cursor"


# --- feeds --------------------------------------------------------------------------------------------------------


async def test_a_feed_from_the_cradle_to_the_grave(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key()
    url = "https://www.fsc.example/rss?fid=0111"
    response = await api.client.post(
        "/v1/feeds", headers=key, json={"url": url, "jurisdiction": "KR", "interval": "30m"}
    )
    assert response.status_code == 201
    feed = response.json()
    assert response.headers["location"] == f"/v1/feeds/{feed['id']}"
    assert (feed["state"], feed["interval"], feed["jurisdiction"]) == ("new", "30m", "KR")
    assert feed["next_due_at"] == "2026-03-02T12:00:00Z"

    response = await api.client.post("/v1/feeds", headers=key, json={"url": url})
    assert (response.status_code, response.json()["type"]) == (409, "/problems/feed-exists")

    place = f"/v1/feeds/{feed['id']}"
    changed = (await api.client.patch(place, headers=key, json={"title": " FSC ", "jurisdiction": None})).json()
    assert (changed["title"], changed["jurisdiction"], changed["interval"]) == ("FSC", None, "30m")
    assert (await api.client.patch(place, headers=key, json={"interval": None, "tier": None})).json()[
        "interval"
    ] == "15m"

    assert (await api.client.delete(place, headers=key)).status_code == 204
    for method, path in (("GET", place), ("PATCH", place), ("DELETE", place), ("POST", f"{place}/poll")):
        assert (await api.client.request(method, path, headers=key, json={})).status_code == 404
    again = await api.client.post("/v1/feeds", headers=key, json={"url": url})
    assert (again.status_code, again.json()["title"]) == (201, "")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/feeds", {"url": "https://a.example/rss"}),
        ("/v1/subscriptions", {"name": "a", "channels": [HOOK]}),
    ],
)
async def test_of_many_who_ask_for_the_same_at_once_one_gets_it(api_on_both: Api, path: str, body: Any) -> None:
    api, key = api_on_both, api_on_both.key()
    answers = await asyncio.gather(*(api.client.post(path, headers=key, json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


async def test_many_subscriptions_made_at_once_share_a_channel(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key()
    bodies = [{"name": f"s{number}", "channels": [HOOK]} for number in range(8)]
    answers = await asyncio.gather(*(api.client.post("/v1/subscriptions", headers=key, json=b) for b in bodies))
    assert [answer.status_code for answer in answers] == [201] * 8
    channels = [answer.json()["channels"][0] for answer in answers]
    assert len({channel["id"] for channel in channels}) == 1
    assert sum(channel["secret"] is not None for channel in channels) == 1


async def test_a_feed_says_in_words_why_it_fails(api: Api) -> None:
    api.store.feeds.add(NewFeed(url="https://a.example/"), now=NOON)
    (claimed,) = api.store.feeds.claim_due(NOON, limit=1, lease=LEASE)
    failing = healthy(
        NOON + timedelta(days=2),
        state=FeedState.FAILING,
        failures=3,
        reason=FetchReason.NOT_A_FEED,
        problem="this is a web page, not a feed",
        ok=False,
    )
    api.store.feeds.save_poll(claimed, failing, (), now=NOON, look_back=LEASE)
    key = api.key()
    feed = (await api.client.get("/v1/feeds/1", headers=key)).json()
    assert (feed["state"], feed["reason"], feed["failures"]) == ("failing", "not_a_feed", 3)
    assert feed["problem"] == "this is a web page, not a feed"
    assert feed["last_polled_at"] == "2026-03-02T12:00:00Z"

    response = await api.client.post("/v1/feeds/1/poll", headers=key)
    assert (response.status_code, response.json()["next_due_at"]) == (202, "2026-03-02T12:00:00Z")


async def test_a_shorter_interval_takes_effect_before_the_longer_one_is_over(api: Api) -> None:
    key = api.key()
    api.store.feeds.add(NewFeed(url="https://a.example/", interval=timedelta(days=7)), now=NOON)
    (claimed,) = api.store.feeds.claim_due(NOON, limit=1, lease=LEASE)
    api.store.feeds.save_poll(claimed, healthy(NOON + timedelta(days=7)), (), now=NOON, look_back=LEASE)
    feed = (await api.client.patch("/v1/feeds/1", headers=key, json={"interval": "1h"})).json()
    assert feed["next_due_at"] == "2026-03-02T13:00:00Z"


async def test_a_declared_feed_is_changed_in_the_configuration(api: Api) -> None:
    key = api.key()
    api.store.feeds.apply([NewFeed(url="https://a.example/rss")], now=NOON)
    feed = (await api.client.get("/v1/feeds/1", headers=key)).json()
    assert (feed["managed"], feed["url"]) == (True, "https://a.example/rss")
    for method in ("PATCH", "DELETE"):
        response = await api.client.request(method, "/v1/feeds/1", headers=key, json={})
        assert (response.status_code, response.json()["type"]) == (409, "/problems/managed")
        assert "feeds.sources" in response.json()["detail"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/rss",
        "http://localhost:8080/rss",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "ftp://a.example/rss",
        "file:///etc/passwd",
        "a.example/rss",
        "https://",
        "https://a.example:99999/",
        "https://a.exa mple/",
        "https://a.example/\x00",
    ],
)
async def test_an_address_that_may_not_be_polled_is_explained(api: Api, url: str) -> None:
    response = await api.client.post("/v1/feeds", headers=api.key(), json={"url": url})
    assert (response.status_code, response.json()["type"]) == (422, "/problems/address-refused")
    (error,) = response.json()["errors"]
    assert error["field"] == "url"
    assert len(error["what"]) > 10


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"interval": "10s"}, "interval"),
        ({"interval": "999999999999d"}, "interval"),
        ({"interval": 900}, "interval"),
        ({"interval": "PT15M"}, "interval"),
        ({"jurisdiction": "ZZ"}, "jurisdiction"),
        ({"jurisdiction": "Kazakhstan"}, "jurisdiction"),
        ({"language": "klingon"}, "language"),
        ({"tier": "best"}, "tier"),
        ({"full_text": True}, "full_text"),
        ({"title": "two\nlines"}, "title"),
        ({"titel": "x"}, "titel"),
        ({"selectors": {"item": "li["}}, "selectors.item"),
        ({"paths": {"items": "results["}}, "paths.items"),
        ({"paths": {"items": "a\u0000"}}, "paths.items"),
        ({"paths": {"items": "a"}, "selectors": {"item": "li"}}, "paths"),
    ],
)
async def test_a_wrong_field_of_a_feed_is_named(api: Api, change: dict[str, object], field: str) -> None:
    response = await api.client.post("/v1/feeds", headers=api.key(), json={"url": "https://a.example/", **change})
    assert (response.status_code, response.json()["type"]) == (422, "/problems/invalid-request")
    assert [error["field"] for error in response.json()["errors"]] == [field]


# --- rules --------------------------------------------------------------------------------------------------------


async def test_rules_are_shown_as_they_are_in_force(api: Api, rulebook: Rulebook) -> None:
    key = api.key("desk", Scope.READ)
    listed = [rule["id"] async for page in pages_of(api, "/v1/rules", key, limit=200) for rule in page]
    assert set(listed) == {rule.id for rule in rulebook.ruleset.rules}
    rule = (await api.client.get("/v1/rules/china-stablecoin-ban", headers=key)).json()
    assert (rule["match"], rule["severity"], rule["status"]) == ("China + stablecoin + ban", "medium", "active")
    assert re.fullmatch(r"rules/packs/[\w-]+\.yaml:\d+", rule["where"])
    assert (await api.client.get("/v1/rules/no-such-rule", headers=key)).status_code == 404


async def test_rules_are_reloaded_by_an_admin_and_faults_are_told(api: Api) -> None:
    admin, writer = api.key("desk", Scope.ADMIN), api.key("desk", Scope.WRITE)
    assert (await api.client.post("/v1/rules/reload", headers=writer)).status_code == 403
    answer = await api.client.post("/v1/rules/reload", headers=admin)
    assert answer.status_code == 200
    assert answer.json()["rules"] > 0
    api.problems.append(Problem(where="rules/own.yaml:7", what="unknown key 'sevrity'"))
    answer = await api.client.post("/v1/rules/reload", headers=admin)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-rules")
    assert answer.json()["errors"][0]["field"] == "rules/own.yaml:7"


async def test_open_problems_are_listed_with_their_place(api: Api) -> None:
    api.problems.append(
        Problem(where="rules/own.yaml:7", what="unknown key 'sevrity'", hint="did you mean 'severity'?")
    )
    (problem,) = (await api.client.get("/v1/problems", headers=api.key("desk", Scope.READ))).json()["items"]
    assert problem == {
        "field": "rules/own.yaml:7",
        "what": "unknown key 'sevrity'",
        "hint": "did you mean 'severity'?",
    }


# --- subscriptions ------------------------------------------------------------------------------------------------


async def test_a_subscription_from_the_cradle_to_the_grave(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key()
    wanted = {
        "name": "central-asia",
        "watch": {
            "jurisdictions": ["KZ", "UZ", "KZ"],
            "topics": ["stablecoin"],
            "actions": ["ban"],
            "rules": ["crypto-ban", "cn-*"],
            "min_severity": "high",
        },
        "channels": [HOOK, "mailto:desk@example.org"],
        "language": "zh",
    }
    response = await api.client.post("/v1/subscriptions", headers=key, json=wanted)
    assert response.status_code == 201
    made = response.json()
    place = response.headers["location"]
    assert made["watch"] == {**UNASKED, **wanted["watch"], "jurisdictions": ["KZ", "UZ"]}
    assert [(c["kind"], c["address"]) for c in made["channels"]] == [
        ("webhook", HOOK),
        ("email", "mailto:desk@example.org"),
    ]
    assert [bool(c["secret"]) for c in made["channels"]] == [True, False]
    assert (made["active"], made["managed"], made["language"]) == (True, False, "zh")

    read = (await api.client.get(place, headers=key)).json()
    assert [c["secret"] for c in read["channels"]] == [None, None]

    changed = (await api.client.patch(place, headers=key, json={"active": False, "watch": {"topics": ["ai"]}})).json()
    assert (changed["active"], changed["name"], changed["language"]) == (False, "central-asia", "zh")
    assert (await api.client.patch(place, headers=key, json={"language": "ko"})).json()["language"] == "ko"
    assert changed["watch"]["jurisdictions"] == []
    assert changed["channels"] == read["channels"]

    replaced = (await api.client.put(place, headers=key, json={"name": "asia", "channels": [HOOK]})).json()
    assert (replaced["name"], replaced["active"], replaced["watch"]["topics"]) == ("asia", True, [])
    assert replaced["language"] == "en"
    assert [c["id"] for c in replaced["channels"]] == [made["channels"][0]["id"]]

    assert (await api.client.delete(place, headers=key)).status_code == 204
    for method in ("GET", "DELETE"):
        assert (await api.client.request(method, place, headers=key)).status_code == 404
    assert (await api.client.put(place, headers=key, json={"name": "x"})).status_code == 404


async def test_a_secret_is_told_once_and_addresses_never(api: Api) -> None:
    key = api.key()
    hook = "https://grc.example.org/hooks/9f8e7d6c5b4a3921?token=hunter22"
    body = {"name": "first", "channels": [hook, SLACK]}
    made = (await api.client.post("/v1/subscriptions", headers=key, json=body)).json()
    secret = made["channels"][0]["secret"]
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    second = (await api.client.post("/v1/subscriptions", headers=key, json={**body, "name": "second"})).json()
    assert [c["secret"] for c in second["channels"]] == [None, None]
    await api.client.post("/v1/subscriptions/1/test", headers=key)
    raise_alerts(api.store, "CN")
    answers = [made | {"channels": [c | {"secret": None} for c in made["channels"]]}, second]
    for method, path, _ in operations(api.document):
        if method == "GET" and not path.endswith("/stream"):  # which does not end
            answers.append((await api.client.get(filled(path), headers=key)).text)
    renamed = {"name": "first", "channels": [c["address"] for c in made["channels"]]}
    answers.append((await api.client.put("/v1/subscriptions/1", headers=key, json=renamed)).json())
    answers.append((await api.client.patch("/v1/subscriptions/1", headers=key, json={"name": "1st"})).json())
    for hidden in (secret, "9f8e7d6c5b4a3921", "hunter22", "TIiajkdnlazkcOXrIdevi7FQ"):
        assert hidden not in json.dumps(answers)


async def test_an_address_may_be_sent_back_as_it_was_shown(api: Api) -> None:
    key = api.key()
    body = {"name": "first", "channels": ["https://grc.example.org/hook?token=hunter22"]}
    made = (await api.client.post("/v1/subscriptions", headers=key, json=body)).json()
    assert made["channels"][0]["address"] == "https://grc.example.org/hook?token=***"
    shown = [channel["address"] for channel in made["channels"]]
    again = (await api.client.put("/v1/subscriptions/1", headers=key, json={"name": "1st", "channels": shown})).json()
    assert [c["id"] for c in again["channels"]] == [c["id"] for c in made["channels"]]
    subscription = api.store.subscriptions.get("desk", 1)
    assert subscription is not None
    assert subscription.channels[0].url.reveal() == body["channels"][0]


async def test_keys_are_rotated_and_the_new_secret_is_told_once(api: Api) -> None:
    key = api.key()
    body = {"name": "first", "channels": ["https://grc.example.org/hook", "mailto:desk@example.org"]}
    first, mail = (await api.client.post("/v1/subscriptions", headers=key, json=body)).json()["channels"]
    assert re.fullmatch(r"whpk_[A-Za-z0-9+/]{43}=", first["public_key"])
    assert mail["public_key"] is None
    place = f"/v1/subscriptions/1/channels/{first['id']}/rotate"
    second = (await api.client.post(place, headers=key)).json()
    third = (await api.client.post(place, headers=key, json={"overlap": "0s"})).json()
    assert len({one["secret"] for one in (first, second, third)}) == 3
    assert len({one["public_key"] for one in (first, second, third)}) == 3
    read = (await api.client.get("/v1/subscriptions/1", headers=key)).json()["channels"][0]
    assert read == third | {"secret": None}
    ((_, stored), _) = api.store.subscriptions.channels()
    assert [keys.secret.reveal() for keys in stored.keys] == [third["secret"]], "0s: nothing older signs"
    for number, overlap, code in ((mail["id"], "1h", 404), (99, "1h", 404), (first["id"], "31d", 422)):
        place = f"/v1/subscriptions/1/channels/{number}/rotate"
        assert (await api.client.post(place, headers=key, json={"overlap": overlap})).status_code == code


async def test_names_are_unique_within_a_team(api: Api) -> None:
    mine, other = api.key("desk"), api.key("rivals")
    for key in (mine, other):
        assert (await api.client.post("/v1/subscriptions", headers=key, json={"name": "a"})).status_code == 201
    assert (await api.client.post("/v1/subscriptions", headers=mine, json={"name": "b"})).status_code == 201
    attempts = [("POST", "/v1/subscriptions"), ("PUT", "/v1/subscriptions/3"), ("PATCH", "/v1/subscriptions/3")]
    for method, path in attempts:
        response = await api.client.request(method, path, headers=mine, json={"name": "a"})
        assert (response.status_code, response.json()["type"]) == (409, "/problems/name-taken")
        assert response.json()["errors"][0]["field"] == "name"


async def test_a_declared_subscription_is_changed_in_the_configuration(api: Api) -> None:
    key = api.key()
    api.store.subscriptions.apply([("desk", a_subscription("declared", managed=True))], now=NOON)
    assert (await api.client.get("/v1/subscriptions/1", headers=key)).json()["managed"] is True
    for method in ("PUT", "PATCH", "DELETE"):
        response = await api.client.request(method, "/v1/subscriptions/1", headers=key, json={"name": "mine"})
        assert (response.status_code, response.json()["type"]) == (409, "/problems/managed")
        assert "configuration" in response.json()["detail"]
    assert (await api.client.post("/v1/subscriptions/1/test", headers=key)).status_code == 202


async def test_a_test_message_is_a_delivery_for_each_channel(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key()
    body = {"name": "a", "channels": [HOOK, "mailto:desk@example.org"]}
    await api.client.post("/v1/subscriptions", headers=key, json=body)
    seen = set()
    for _ in range(2):
        response = await api.client.post("/v1/subscriptions/1/test", headers=key)
        assert response.status_code == 202
        for queued in response.json()["deliveries"]:
            delivery = (await api.client.get(f"/v1/deliveries/{queued['id']}", headers=key)).json()
            assert (delivery["kind"], delivery["state"], delivery["alert_id"]) == ("test", "pending", None)
            assert delivery["channel"] == queued["address"]
            seen.add(delivery["message_id"])
    assert len(seen) == 4  # the id of a message tells repeats from new ones
    await api.client.patch("/v1/subscriptions/1", headers=key, json={"channels": []})
    response = await api.client.post("/v1/subscriptions/1/test", headers=key)
    assert (response.status_code, response.json()["type"]) == (409, "/problems/no-channels")


@pytest.mark.parametrize(
    ("change", "field", "hint"),
    [
        ({"watch": {"jurisdictions": ["KZ", "Turkmenistan"]}}, "watch.jurisdictions.1", "TM"),
        ({"watch": {"jurisdictions": ["QQ"]}}, "watch.jurisdictions.0", "ISO 3166"),
        ({"watch": {"rules": ["crypto-bam"]}}, "watch.rules.0", "crypto-ban"),
        ({"watch": {"rules": ["a\x00b"]}}, "watch.rules.0", ""),
        ({"watch": {"packs": ["digital-assets", "digital"]}}, "watch.packs.1", "digital-assets"),
        ({"watch": {"topics": ["stablecoins"]}}, "watch.topics.0", ""),
        ({"watch": {"min_severity": "urgent"}}, "watch.min_severity", ""),
        ({"watch": {"countries": ["KZ"]}}, "watch.countries", "/docs"),
        ({"watch": []}, "watch", ""),
        ({"match": ["China + ban", "Kazakhstan AND reserve"]}, "match.1", "+"),
        ({"match": ["topic:stablecoins"]}, "match.0", "did you mean stablecoin?"),
        ({"match": ["China + (ban"]}, "match.0", "add the ')'"),
        ({"match": ["-ban"]}, "match.0", "look for"),
        ({"match": [" "]}, "match.0", ""),
        ({"match": ["ban\x00"]}, "match.0", ""),
        ({"match": ["China + " + "x" * 500]}, "match.0", ""),
        ({"match": ["China + ban"] * 51}, "match", ""),
        ({"match": "China + ban"}, "match", ""),
        ({"match": [{"match": "China + ban"}]}, "match.0", ""),
        ({"match": ["China + ban"], "watch": {"min_severity": "high"}}, "watch.min_severity", "medium"),
        ({"match": ["China + ban"], "notices": "only"}, "notices", "leave out match"),
        ({"channels": HOOK}, "channels", ""),
        ({"channels": [HOOK] * 21}, "channels", ""),
        ({"active": "yes"}, "active", ""),
        ({"name": ""}, "name", ""),
        ({"name": "  "}, "name", ""),
        ({"name": "x" * 101}, "name", ""),
        ({"name": "nul\x00"}, "name", ""),
        ({"name": "right\u202eleft"}, "name", ""),
        ({"name": None}, "name", ""),
    ],
)
async def test_a_wrong_field_of_a_subscription_is_named(api: Api, change: Any, field: str, hint: str) -> None:
    response = await api.client.post("/v1/subscriptions", headers=api.key(), json={"name": "a", **change})
    assert (response.status_code, response.json()["type"]) == (422, "/problems/invalid-request")
    (error,) = response.json()["errors"]
    assert error["field"] == field
    assert hint in error["hint"]


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/hook",
        "http://169.254.169.254/",
        "https://user:pw@h.example/",
        "mailto:a@b.example,c@d.example",
        "mailtos://user:pw@smtp.example",
        "json://h.example/",
        "syslog://",
        "slack://not-a-token",
        "discord://1/2?template=/etc/passwd",
        "nonsense",
        "",
        "https://h.example/\x00",
        "x" * 5000,
    ],
)
async def test_a_channel_that_cannot_be_is_named(api: Api, address: str) -> None:
    body = {"name": "a", "channels": [HOOK, address]}
    response = await api.client.post("/v1/subscriptions", headers=api.key(), json=body)
    assert (response.status_code, response.json()["type"]) == (422, "/problems/invalid-channel")
    (error,) = response.json()["errors"]
    assert error["field"] == "channels.1"
    assert api.store.subscriptions.page("desk") == ()


async def test_every_fault_is_named_at_once(api: Api) -> None:
    body = {"name": "a", "watch": {"jurisdictions": ["QQ"], "rules": ["no-such"]}, "channels": ["nonsense", "foo://x"]}
    response = await api.client.post("/v1/subscriptions", headers=api.key(), json=body)
    fields = [error["field"] for error in response.json()["errors"]]
    assert fields == ["watch.jurisdictions.0", "watch.rules.0", "channels.0", "channels.1"]


# --- alerts and deliveries ----------------------------------------------------------------------------------------


async def test_an_alert_shows_what_was_read_and_what_became_of_it(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key("desk", Scope.READ)
    api.store.subscriptions.create("desk", a_subscription("all"), now=NOON)
    raise_alerts(api.store, "CN")
    (listed,) = (await api.client.get("/v1/alerts", headers=key)).json()["items"]
    alert = (await api.client.get(f"/v1/alerts/{listed['id']}", headers=key)).json()
    assert {name: alert[name] for name in listed} == listed
    assert alert["raised_at"] == "2026-03-02T12:00:00Z"
    assert alert["rules"] == ["CN-ban"]
    assert alert["developments"][0]["jurisdiction"] == "CN"
    assert alert["evidence"] == [{"field": "title", "start": 0, "end": 5, "text": "China"}]
    assert alert["sources"][0]["title"] == "CN bans stablecoins"
    assert [(line["rule"], line["subscription"], line["reason"]) for line in alert["ledger"]] == [
        ("CN-ban", "all", "delivered")
    ]
    (delivery,) = alert["deliveries"]
    assert (delivery["alert_id"], delivery["state"], delivery["channel"]) == (
        alert["id"],
        "pending",
        "https://hook.example.org/a",
    )


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"jurisdiction": "KZ"}, ["KZ"]),
        ({"jurisdiction": "JP"}, []),
        ({"jurisdiction": "KZ", "topic": "stablecoin", "action": "ban"}, ["KZ"]),
        ({"topic": "mining"}, []),
        ({"action": "tax-change"}, []),
        ({"rule": "CN-ban"}, ["CN"]),
        ({"severity": "medium"}, ["KZ", "CN"]),
        ({"severity": "high"}, []),
        ({"since": "2026-03-02T12:00:00Z"}, ["KZ", "CN"]),
        ({"since": "2026-03-02T21:00:01+09:00"}, []),
    ],
)
async def test_alerts_are_narrowed(api: Api, wanted: dict[str, str], found: list[str]) -> None:
    api.store.subscriptions.create("desk", a_subscription("all"), now=NOON)
    raise_alerts(api.store, "CN", "KZ")
    items = (await api.client.get("/v1/alerts", headers=api.key(), params=wanted)).json()["items"]
    assert [item["developments"][0]["jurisdiction"] for item in items] == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"jurisdiction": "Kazakhstan"},
        {"topic": "stablecoins"},
        {"severity": "loud"},
        {"since": "yesterday"},
        {"since": "2026-03-02T12:00:00"},
        {"since": "9999-12-31T23:59:59-12:00"},
        {"since": "0001-01-01T00:00:00+12:00"},
        {"rule": "nul\x00"},
        {"juristiction": "KZ"},
    ],
)
async def test_a_filter_that_cannot_be_is_named(api_on_both: Api, wrong: dict[str, str]) -> None:
    response = await api_on_both.client.get("/v1/alerts", headers=api_on_both.key(), params=wrong)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == list(wrong)


# --- the ledger and silences --------------------------------------------------------------------------------------


async def test_a_subscription_reads_how_its_matches_ended(api_on_both: Api) -> None:
    api = api_on_both
    key, body = api.key(), {"name": "china", "watch": {"jurisdictions": ["CN"]}, "channels": [HOOK]}
    made = (await api.client.post("/v1/subscriptions", headers=key, json=body)).json()
    raise_alerts(api.store, "CN", "KZ", "CN")
    ledger = (await api.client.get(f"/v1/subscriptions/{made['id']}/ledger", headers=key)).json()
    assert ledger == {"matches": 3, "delivered": 1, "suppressed": {"not_watched": 1, "already_told": 1}, "missing": 0}


async def test_a_silence_from_the_cradle_to_the_grave(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key()
    until = (NOON + timedelta(days=7)).isoformat()
    body = {"owner": "ana", "reason": "known", "expires_at": until, "watch": {"jurisdictions": ["KE"]}}
    response = await api.client.post("/v1/silences", headers=key, json=body)
    assert response.status_code == 201
    made = response.json()
    assert (made["owner"], made["watch"]["jurisdictions"]) == ("ana", ["KE"])
    assert (await api.client.get(response.headers["location"], headers=key)).json() == made
    assert (await api.client.get("/v1/silences", headers=key)).json()["items"] == [made]
    api.clock.advance(timedelta(hours=1))
    assert (await api.client.delete(response.headers["location"], headers=key)).status_code == 204
    assert (await api.client.get("/v1/silences", headers=key)).json()["items"] == []
    ended = (await api.client.get(response.headers["location"], headers=key)).json()
    assert datetime.fromisoformat(ended["expires_at"]) == api.clock()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"owner": " "}, "owner", id="nobody"),
        pytest.param({"reason": ""}, "reason", id="no-reason"),
        pytest.param({"expires_at": NOON.isoformat()}, "expires_at", id="over-already"),
        pytest.param({"expires_at": (NOON + timedelta(days=91)).isoformat()}, "expires_at", id="for-good"),
        pytest.param({"expires_at": "2026-03-09T12:00:00"}, "expires_at", id="without-a-zone"),
        pytest.param({"watch": {"jurisdictions": ["Kenya"]}}, "watch.jurisdictions.0", id="unknown-place"),
    ],
)
async def test_a_wrong_field_of_a_silence_is_named(api: Api, change: dict[str, object], field: str) -> None:
    good = {"owner": "ana", "reason": "known", "expires_at": (NOON + timedelta(days=7)).isoformat()}
    response = await api.client.post("/v1/silences", headers=api.key(), json=good | change)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def answer_of(api: Api, outcome: Outcome) -> None:
    """One attempt at the delivery that is due."""
    (claimed,) = api.store.outbox.claim_due(api.clock(), limit=1, lease=LEASE)
    api.store.outbox.begin_attempt(claimed, now=api.clock())
    api.clock.advance(timedelta(seconds=2))
    settlement = routing.after_attempt(claimed.tries, outcome, api.clock(), 0.5)
    assert api.store.outbox.settle(claimed, settlement, now=api.clock())


async def test_a_delivery_shows_what_was_sent_and_answered_and_is_sent_once_more(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key()
    api.store.subscriptions.create("desk", a_subscription("all"), now=NOON)
    raise_alerts(api.store, "CN")
    assert (await api.client.post("/v1/deliveries/1/redeliver", headers=key)).json()["type"] == "/problems/not-settled"
    said = Answer(headers={"server": "nginx"}, body="thanks")
    answer_of(api, Outcome(status=OutcomeStatus.SENT, http_status=200, answer=said))
    delivery = (await api.client.get("/v1/deliveries/1", headers=key)).json()
    (attempt,) = delivery["log"]
    assert (attempt["seconds"], attempt["answer"]) == (2.0, {"headers": {"server": "nginx"}, "body": "thanks"})
    assert delivery["request"]["headers"]["webhook-id"] == delivery["message_id"]
    assert json.loads(delivery["request"]["body"])["data"]["alert_id"] == 1

    again = await api.client.post("/v1/deliveries/1/redeliver", headers=key)
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    (repeat,) = api.store.outbox.claim_due(api.clock(), limit=1, lease=LEASE)
    assert (repeat.message_id, repeat.attempts) == (delivery["message_id"], 2)
    foreign = await api.client.post("/v1/deliveries/1/redeliver", headers=api.key("other"))
    assert foreign.status_code == 404


async def test_a_range_of_deliveries_is_sent_once_more(api: Api) -> None:
    key = api.key()
    api.store.subscriptions.create("desk", a_subscription("all"), now=NOON)
    raise_alerts(api.store, "CN", "KR")
    for _ in range(2):
        answer_of(api, Outcome(status=OutcomeStatus.SENT, http_status=200))

    async def replayed(**body: object) -> int:
        response = await api.client.post("/v1/deliveries/replay", headers=key, json={"state": "sent", **body})
        assert response.status_code == 202, response.text
        return int(response.json()["deliveries"])

    assert await replayed(until=NOON.isoformat()) == 0
    assert await replayed(channel=99) == 0
    assert await replayed(channel=1, dry_run=True) == 2
    assert await replayed(since=NOON.isoformat()) == 2
    assert await replayed() == 0, "they are in line already"
    assert (await api.client.post("/v1/deliveries/replay", headers=key, json={"state": "pending"})).status_code == 422


async def test_a_receiver_reconciles_by_the_list_of_events(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key()
    channels = (a_channel(), NewChannel(kind=ChannelKind.EMAIL, url=Secret("mailto:a@b.example"), shown="mailto:…"))
    api.store.subscriptions.create("desk", a_subscription("all", channels=channels), now=NOON)
    raise_alerts(api.store, "CN", "KR", "JP")

    async def events(**query: object) -> dict[str, Any]:
        response = await api.client.get("/v1/events", headers=key, params={"channel": 1, **query})
        assert response.status_code == 200, response.text
        return dict(response.json())

    first = await events(limit=2)
    assert ([item["number"] for item in first["items"]], first["next"], first["more"]) == ([1, 2], 2, True)
    rest = await events(after=first["next"])
    assert ([item["number"] for item in rest["items"]], rest["more"]) == ([3], False)
    assert await events(after=rest["next"]) == {"items": [], "next": 3, "more": False}

    claimed = {one.channel.id: one for one in api.store.outbox.claim_due(NOON, limit=5, lease=LEASE)}
    sent = render(claimed[1], now=NOON).payload
    assert sent is not None
    assert (first["items"][0]["id"], first["items"][0]["payload"]) == (claimed[1].message_id, json.loads(sent))

    for channel, headers in ((2, key), (1, api.key("other")), (99, key)):
        response = await api.client.get("/v1/events", headers=headers, params={"channel": channel})
        assert response.status_code == 404, "no webhook of this team"


async def test_a_disabled_channel_says_so_and_is_enabled(api: Api) -> None:
    key = api.key()
    api.store.subscriptions.create("desk", a_subscription("all"), now=NOON)
    raise_alerts(api.store, "CN")
    answer_of(api, Outcome(status=OutcomeStatus.REFUSED, http_status=410))
    raise_alerts(api.store, "KR", "JP")
    (channel,) = (await api.client.get("/v1/subscriptions/1", headers=key)).json()["channels"]
    assert (channel["disabled_because"], channel["disabled_at"]) == ("gone", "2026-03-02T12:00:02Z")
    foreign = await api.client.post("/v1/subscriptions/1/channels/1/enable", headers=api.key("other"))
    assert foreign.status_code == 404
    enabled = await api.client.post("/v1/subscriptions/1/channels/1/enable", headers=key)
    assert (enabled.status_code, enabled.json()) == (200, {"waiting": 2, "dropped": 0})
    (channel,) = (await api.client.get("/v1/subscriptions/1", headers=key)).json()["channels"]
    assert channel["disabled_at"] is None


async def test_a_drill_is_asked_for_and_read(api: Api) -> None:
    key = api.key()
    nobody = await api.client.post("/v1/drills", headers=key)
    assert (nobody.status_code, nobody.json()["type"]) == (409, "/problems/no-channels")
    api.store.subscriptions.create("desk", a_subscription("all"), now=NOON)
    api.store.subscriptions.create("other", a_subscription("theirs"), now=NOON)
    foreign = await api.client.post("/v1/drills", headers=key, json={"subscription": 2})
    assert foreign.status_code == 409
    asked = await api.client.post("/v1/drills", headers=key)
    assert asked.status_code == 202
    drill = (await api.client.get(f"/v1/drills/{asked.json()['id']}", headers=key)).json()
    assert [(one["subscription"], one["state"]) for one in drill["receipts"]] == [("all", "waiting")]
    assert (await api.client.get("/v1/drills", headers=key)).json()["items"] == [drill]
    assert (await api.client.get("/v1/drills", headers=api.key("other"))).json()["items"] == []
    assert (await api.client.get("/v1/feeds", headers=key)).json()["items"] == [], "its feed is nobody's business"


async def test_a_dead_delivery_gets_another_chance(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key()
    api.store.subscriptions.create("desk", a_subscription("all"), now=NOON)
    raise_alerts(api.store, "CN")
    response = await api.client.post("/v1/deliveries/1/retry", headers=key)
    assert (response.status_code, response.json()["type"]) == (409, "/problems/not-dead")
    assert "pending" in response.json()["detail"]

    (claimed,) = api.store.outbox.claim_due(NOON, limit=1, lease=LEASE)
    api.store.outbox.begin_attempt(claimed, now=NOON)
    gone = Outcome(status=OutcomeStatus.REFUSED, detail="HTTP 410: gone", http_status=410)
    api.store.outbox.settle(claimed, Settlement(state=DeliveryState.DEAD, due_at=NOON, outcome=gone), now=NOON)
    (dead,) = (await api.client.get("/v1/deliveries", headers=key, params={"state": "dead", "alert": 1})).json()[
        "items"
    ]
    assert (dead["detail"], dead["attempts"]) == ("HTTP 410: gone", 1)
    assert [(a["number"], a["outcome"], a["http_status"]) for a in dead["log"]] == [(1, "refused", 410)]

    response = await api.client.post("/v1/deliveries/1/retry", headers=key)
    assert (response.status_code, response.json()["state"]) == (202, "pending")
    assert (await api.client.get("/v1/deliveries", headers=key, params={"state": "dead"})).json()["items"] == []
    assert (await api.client.get("/v1/deliveries", headers=key, params={"alert": 2})).json()["items"] == []


# --- the service itself -------------------------------------------------------------------------------------------


async def test_health_and_readiness(api: Api) -> None:
    assert (await api.client.get("/healthz")).json() == {"status": "ok"}
    assert (await api.client.get("/readyz")).status_code == 200
    api.reasons.append("the runner has not looked for work lately")
    response = await api.client.get("/readyz")
    assert (response.status_code, response.json()["type"]) == (503, "/problems/not-ready")
    assert response.json()["errors"][0]["what"] == "the runner has not looked for work lately"
    assert (await api.client.get("/healthz")).status_code == 200


async def test_the_front_door_leads_to_the_documentation(api: Api) -> None:
    response = await api.client.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/docs")
    assert (await api.client.get("/docs")).status_code == 200


async def test_what_is_not_there_is_a_problem_too(api: Api) -> None:
    key = api.key()
    for path in ("/nothing", "/v1/nothing", "/v1/feeds/", "/v1", "//v1/feeds"):
        assert (await api.client.get(f"http://api.test{path}", headers=key)).status_code == 404, path
    response = await api.client.delete("/v1/feeds", headers=key)
    assert response.status_code == 405
    assert response.headers["allow"]


async def test_answers_are_not_kept_by_anybody_on_the_way(api: Api) -> None:
    known, unknown = await api.client.get("/v1/me", headers=api.key()), await api.client.get("/v1/me")
    assert known.headers["cache-control"] == "private, no-cache"
    assert unknown.headers["cache-control"] == "no-store"
    for response in (known, unknown):
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_our_own_mistake_shows_nothing_of_the_inside(api: Api, clock: Clock) -> None:
    def broken() -> Rulebook:
        raise RuntimeError("hunter22 at /srv/inside")

    deps = Deps(
        store=api.store, rulebook=broken, settings=SETTINGS, now=clock, random=lambda n: b"\x07" * n, reload=broken
    )
    transport = httpx.ASGITransport(app=build(deps))
    async with Client(transport=transport, base_url="http://api.test") as client:
        with capture_logs() as logs:
            response = await client.get("/v1/rules", headers=api.key())
    assert (response.status_code, response.json()["type"]) == (500, "/problems/internal")
    assert "hunter22" not in response.text
    assert "0707070707070707" in response.json()["detail"]
    assert [(line["event"], line["ticket"]) for line in logs] == [("request failed", "0707070707070707")]


# --- hostile input ------------------------------------------------------------------------------------------------

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status_code"),
    [
        pytest.param(b"", 422, id="empty"),
        pytest.param(b"{", 400, id="half"),
        pytest.param(b"[]", 422, id="a-list"),
        pytest.param(b"null", 422, id="null"),
        pytest.param(b'"text"', 422, id="a-text"),
        pytest.param(b"\xff\xfe\x00", 400, id="not-utf-8"),
        pytest.param(b"[" * 100_000, 400, id="deep"),
        pytest.param(b'{"a":' * 500 + b"1" + b"}" * 500, 422, id="deep-and-closed"),
        pytest.param(b'{"name": ' + b"[" * 400 + b"]" * 400 + b"}", 422, id="deep-in-a-field"),
        pytest.param(b'{"name": ' + b"1" * 10_000 + b"}", 400, id="a-huge-number"),
        pytest.param(b'{"name": 1e999}', 422, id="infinity"),
        pytest.param(b'{"name": NaN}', 422, id="not-a-number"),
        pytest.param(b'{"name": "\\ud800"}', 422, id="half-a-surrogate"),
        pytest.param(b'{"name": "a", "\\ud800\\u0000": 1}', 422, id="half-a-surrogate-as-key"),
        pytest.param(b'{"name": "a\\u0000b"}', 422, id="nul"),
        pytest.param(b'{"name": {"$gt": ""}}', 422, id="an-object-for-a-text"),
        pytest.param(b'{"name": "a", "watch": {"jurisdictions": [["KZ"]]}}', 422, id="a-list-for-a-code"),
        pytest.param(b'{"name": "a", "channels": ["\\ud800://x"]}', 422, id="half-a-surrogate-as-address"),
        pytest.param(b'{"name": "a", "channels": [null, 1, {}]}', 422, id="no-addresses"),
        pytest.param(b'{"name": "a", ' + b",".join(b'"k%d": 1' % n for n in range(50_000)) + b"}", 422, id="many-keys"),
        pytest.param(b"x" * (2 * 1024 * 1024), 413, id="two-mebibytes"),
    ],
)
async def test_a_hostile_body_is_a_problem_and_stores_nothing(api: Api, body: bytes, status_code: int) -> None:
    response = await api.client.post("/v1/subscriptions", headers=api.key() | JSON, content=body)
    assert response.status_code == status_code, response.text[:300]
    assert len(response.content) < 50_000
    assert api.store.subscriptions.page("desk") == ()


async def test_a_body_that_does_not_say_how_long_it_is_ends_at_the_limit(api: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    response = await api.client.post("/v1/subscriptions", headers=api.key() | JSON, content=endless())
    assert response.status_code == 413
    assert sent < 2 * 1024 * 1024


async def test_the_body_of_a_stranger_is_not_read(api: Api) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    response = await api.client.post("/v1/subscriptions", content=never())
    assert response.status_code == 401


async def test_a_body_that_is_not_called_json_is_told_so(api: Api) -> None:
    response = await api.client.post("/v1/subscriptions", headers=api.key(), content=b'{"name": "a"}')
    assert response.status_code == 422
    assert "content-type: application/json" in response.json()["errors"][0]["hint"]


@pytest.mark.parametrize(
    "number", ["0", "-1", "2147483648", "9" * 30, "9" * 5000, "1.5", "one", "%00", "1e3", "٣", "null"]
)
async def test_an_id_that_cannot_be_is_no_error_of_ours(api_on_both: Api, number: str) -> None:
    api, key = api_on_both, api_on_both.key()
    for path in ("/v1/feeds", "/v1/subscriptions", "/v1/alerts", "/v1/deliveries", "/v1/rules"):
        response = await api.client.get(f"{path}/{number}", headers=key)
        assert response.status_code in (404, 422), (path, response.text)


@pytest.mark.parametrize("limit", ["0", "201", "-5", "9" * 400, "ten", "", "1.5"])
async def test_a_page_has_its_bounds(api: Api, limit: str) -> None:
    key = api.key()
    for path in ("/v1/feeds", "/v1/subscriptions", "/v1/alerts", "/v1/deliveries", "/v1/rules"):
        response = await api.client.get(path, headers=key, params={"limit": limit})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "limit")


async def test_names_in_every_script_come_back_as_they_went_in(api_on_both: Api) -> None:
    api, key = api_on_both, api_on_both.key()
    for name in (
        "中亚 · 稳定币",
        "Ўзбекистон",
        "می‌خواهم",
        "👩‍💻 desk",
        "'; DROP TABLE team; --",
        "<script>alert(1)</script>",
    ):
        made = await api.client.post("/v1/subscriptions", headers=key, json={"name": name})
        assert (await api.client.get(made.headers["location"], headers=key)).json()["name"] == name


async def test_the_docs_page_loads_nothing_from_elsewhere(api: Api) -> None:
    page = (await api.client.get("/docs")).text
    addresses = re.findall(r"(?:src|href)=\"([^\"]+)\"", page)
    assert addresses
    for address in addresses:
        assert address.startswith(str(api.client.base_url)), address
        assert (await api.client.get(address)).status_code == 200


# --- when ---------------------------------------------------------------------------------------------------------


async def test_when_is_taken_and_shown_in_the_same_words(api: Api) -> None:
    key = api.key()
    when = {"schedule": "weekly", "on": "fri", "at": "17:30", "zone": "Asia/Tokyo", "quiet": "22:00-07:00"}
    more = {"budget": 5, "urgent": None, "escalate_after": "4h"}
    boss = {"address": SLACK, "schedule": "escalation"}
    body = {"name": "desk", "channels": [HOOK, boss], "when": when | more}
    made = (await api.client.post("/v1/subscriptions", headers=key, json=body)).json()
    assert made["when"] == when | more
    assert [channel["schedule"] for channel in made["channels"]] == [None, "escalation"]
    # What was read may be sent back: a masked address keeps its schedule.
    back = {"name": "desk", "when": made["when"], "channels": [channel["address"] for channel in made["channels"]]}
    again = (await api.client.put(f"/v1/subscriptions/{made['id']}", headers=key, json=back)).json()
    assert (again["when"], again["channels"]) == (made["when"], [{**c, "secret": None} for c in made["channels"]])
    changed = await api.client.patch(f"/v1/subscriptions/{made['id']}", headers=key, json={"when": more})
    assert (changed.json()["when"]["schedule"], changed.json()["when"]["at"]) == ("immediate", "08:00")


@pytest.mark.parametrize(
    ("when", "said"),
    [
        pytest.param({"zone": "Asia/Tokio"}, "did you mean Asia/Tokyo?", id="zone"),
        pytest.param({"zone": "../../etc/passwd"}, "no time zone is called", id="path"),
        pytest.param({"at": "8am"}, "write a time of the day as 08:00", id="time"),
        pytest.param({"quiet": "22:00"}, "write quiet hours as 22:00-07:00", id="quiet"),
        pytest.param({"quiet": "07:00-07:00"}, "with a beginning and another end", id="no-end"),
        pytest.param({"schedule": "escalation"}, "cannot hear of escalations only", id="escalations-only"),
        pytest.param({"escalate_after": "4h"}, "escalated to nobody", id="to-nobody"),
        pytest.param({"escalate_after": "1s"}, "greater than or equal to", id="too-soon"),
    ],
)
async def test_a_when_that_cannot_be(api: Api, when: dict[str, Any], said: str) -> None:
    body = {"name": "desk", "channels": [HOOK], "when": when}
    response = await api.client.post("/v1/subscriptions", headers=api.key(), json=body)
    assert response.status_code == 422
    assert said in response.text


async def test_a_decision_says_why_and_the_newest_stands(api: Api) -> None:
    api.store.subscriptions.create("desk", a_subscription(), now=NOON)
    raise_alerts(api.store, "CN")
    key = api.key("desk")
    path = "/v1/alerts/1/decisions"
    silent = await api.client.post(path, headers=key, json={"verdict": "not_applicable", "by": "ana"})
    assert (silent.status_code, "say why it is not" in silent.text) == (422, True)
    for verdict in ("deferred", "applicable"):
        made = await api.client.post(path, headers=key, json={"verdict": verdict, "by": "ana"})
        assert made.status_code == 201
    alert = (await api.client.get("/v1/alerts/1", headers=key)).json()
    assert [decided["verdict"] for decided in alert["decisions"]] == ["applicable", "deferred"]
