"""Every operation that the OpenAPI document has, at its door: whose key opens it, whose things it shows, and what it
says to a body that makes no sense. A new operation is tried without being named here."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from service.domain.model import Scope
from service.storage.feeds import NewFeed
from tests import test_api as doors
from tests.conftest import NOON
from tests.test_api import HOOK, Api, a_silence, filled, operations, raise_alerts

api, empty_database, rulebook, sqlite_store = doors.api, doors.empty_database, doors.rulebook, doors.sqlite_store

SHARED = {"feed_id", "rule_id"}
"""What all teams share; whatever else a path may name belongs to one."""

JSON = {"content-type": "application/json"}


def guarded(api: Api) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Those that need a key."""
    return (one for one in operations(api.document) if one[1].startswith("/v1"))


def with_body(api: Api) -> list[tuple[str, str, dict[str, Any]]]:
    found = [one for one in guarded(api) if "requestBody" in one[2]]
    assert len(found) >= 20
    return found


def example(operation: dict[str, Any]) -> Any:
    """The first request that the document shows."""
    if "requestBody" not in operation:
        return None
    return next(iter(operation["requestBody"]["content"]["application/json"]["examples"].values()))["value"]


# --- keys ---------------------------------------------------------------------------------------------------------


async def test_an_operation_needs_the_scope_that_the_document_names(api: Api) -> None:
    order = list(Scope)
    _, nothing = api.store.keys.create(team="desk", name="none", scopes=[], random=os.urandom, now=NOON)
    keys = [{"authorization": f"Bearer {nothing.reveal()}"}, *(api.key("desk", scope) for scope in order)]
    for method, path, operation in guarded(api):
        ((scope,),) = (one["key"] for one in operation["security"])
        if method == "GET":
            assert scope in (Scope.READ, Scope.ADMIN), path
        below = keys[order.index(Scope(scope))]
        response = await api.client.request(method, filled(path), headers=below, content=b"not even JSON")
        assert response.status_code == 403, (method, path)
        assert f"needs a key with the scope {scope}" in response.json()["detail"], (method, path)


async def test_what_is_anothers_is_not_there_and_stays_as_it_is(api: Api) -> None:
    mine, other = api.key("desk", Scope.ADMIN), api.key("rivals", Scope.ADMIN)
    made = await api.client.post("/v1/subscriptions", headers=mine, json={"name": "desk", "channels": [HOOK]})
    assert made.status_code == 201
    raise_alerts(api.store, "CN")
    a_silence(api.store)
    assert (await api.client.post("/v1/drills", headers=mine, json={})).status_code == 202
    assert (await api.client.post("/v1/subscriptions/1/feed-token", headers=mine)).status_code == 201
    api.store.subscriptions.unsubscribe(1, 1, now=NOON)
    places = [one for one in guarded(api) if set(re.findall(r"{(\w+)}", one[1])) - SHARED]
    places.sort(key=lambda one: (one[0] == "DELETE", -len(one[1])))
    assert len(places) >= 20
    before = api.store.audit.page("desk")
    for headers, is_there in ((other, False), (mine, True)):
        for method, path, operation in places:
            address = filled(path.replace("{prefix}", mine["authorization"][10:18]))
            response = await api.client.request(method, address, headers=headers, json=example(operation))
            assert (response.status_code != 404) is is_there, (method, path, response.text)
        if not is_there:
            assert api.store.audit.page("desk") == before


async def test_what_a_body_or_a_list_names_is_ones_own(api: Api) -> None:
    mine, other = api.key("desk", Scope.ADMIN), api.key("rivals", Scope.ADMIN)
    await api.client.post("/v1/subscriptions", headers=mine, json={"name": "desk", "channels": [HOOK]})
    raise_alerts(api.store, "CN")
    a_silence(api.store)
    for path in ("/v1/subscriptions", "/v1/silences", "/v1/alerts", "/v1/deliveries"):
        assert (await api.client.get(path, headers=other)).json()["items"] == []
        (item,) = (await api.client.get(path, headers=mine)).json()["items"]
        assert (await api.client.get(f"{path}/{item['id']}", headers=mine)).json()["id"] == item["id"]
    bulk = {"verdict": "applicable", "by": "a rival", "alerts": [1]}
    assert (await api.client.post("/v1/alerts/decisions", headers=other, json=bulk)).status_code == 404
    assert (await api.client.post("/v1/alerts/decisions", headers=mine, json=bulk)).status_code == 201
    theirs, nobodys = [await api.client.post("/v1/drills", headers=other, json={"subscription": n}) for n in (1, 99)]
    assert theirs.json()["detail"].replace("1", "N") == nobodys.json()["detail"].replace("99", "N")
    assert (await api.client.post("/v1/drills", headers=mine, json={"subscription": 1})).status_code == 202


# --- bodies -------------------------------------------------------------------------------------------------------

TEN_MEBIBYTES = 10 * 1024 * 1024
DEEP = b"[" * 100_000 + b"]" * 100_000


async def test_a_body_of_ten_mebibytes_is_refused_whether_it_says_so_or_not(api: Api) -> None:
    key = api.key("desk", Scope.ADMIN) | JSON

    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(TEN_MEBIBYTES // 65_536):
            yield b" " * 65_536

    for method, path, operation in guarded(api):
        told = await api.client.request(method, filled(path), headers=key, content=b" " * TEN_MEBIBYTES)
        assert told.status_code == 413, (method, path)
        if "requestBody" in operation:
            found = await api.client.request(method, filled(path), headers=key, content=unannounced())
            assert found.status_code == 413, (method, path)
            assert "bytes at most" in found.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        pytest.param(DEEP, {400}, "", id="deep"),
        pytest.param(b'{"a":' * 300 + b"1" + b"}" * 300, {422}, "a", id="deep-and-closed"),
        pytest.param(b"{", {400}, "", id="half"),
        pytest.param(b"[]", {422}, "", id="a-list"),
        pytest.param(b'"text"', {422}, "", id="a-text"),
        pytest.param(b"17", {422}, "", id="a-number"),
        pytest.param(b'{"unheard-of": 1}', {422}, "unheard-of", id="an-unknown-field"),
    ],
)
async def test_a_body_that_makes_no_sense_is_told_so(api: Api, body: bytes, status: set[int], field: str) -> None:
    key = api.key("desk", Scope.ADMIN) | JSON
    await api.client.post("/v1/subscriptions", headers=key, json={"name": "desk", "channels": [HOOK]})
    api.store.feeds.add(NewFeed(url="https://feed.example/"), now=NOON)
    for method, path, _ in with_body(api):
        response = await api.client.request(method, filled(path), headers=key, content=body)
        assert response.status_code in status, (method, path, response.text)
        told = [error["field"] for error in response.json()["errors"]]
        assert field in told if field else response.json()["detail"], (method, path, told)


async def test_each_field_of_a_wrong_type_is_named(api: Api) -> None:
    key = api.key("desk", Scope.ADMIN)
    api.store.feeds.add(NewFeed(url="https://feed.example/"), now=NOON)
    for method, path, operation in with_body(api):
        body = example(operation)
        for name in body:
            wrong = {**body, name: {"$gt": [[]]}}
            response = await api.client.request(method, filled(path), headers=key, json=wrong)
            assert response.status_code == 422, (method, path, name, response.text)
            told = [error["field"] for error in response.json()["errors"]]
            assert any(one == name or one.startswith(f"{name}.") for one in told), (method, path, name, told)
