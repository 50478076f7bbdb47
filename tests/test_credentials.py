"""What feeds' servers want to be shown: given by every door, sent to one origin, and seen nowhere else."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.addresses import read_address, shown_address
from service.app import declared_feed
from service.cli import app
from service.config import load
from service.domain.credentials import Credentials, basic, credentials_for, faults_in
from service.domain.model import Fetched, Invalid, Secret
from service.storage.feeds import NewFeed
from service.storage.store import Store
from service.storage.vault import new_key
from tests.conftest import NOON, TEST_KEY
from tests.test_api import Api, api, empty_database, rulebook, sqlite_store  # noqa: F401  (fixtures)
from tests.test_fetch import BODY, Server, answer, fetching, server  # noqa: F401  (a fixture)

WORD = "hunter2-correct-horse"
BASIC = "Basic " + base64.b64encode(f"desk:{WORD}".encode()).decode()


# --- where they are sent --------------------------------------------------------------------------------------------


async def test_they_go_to_the_feeds_own_origin_and_no_redirect_takes_them_further(server: Server) -> None:  # noqa: F811
    other = server.url("/other").replace("127.0.0.1", "localhost")
    server.answers["/feed"] = answer("302 Found", b"", Location="/same")
    server.answers["/same"] = answer("301 Moved Permanently", b"", Location=other)
    server.answers["/other"] = answer("302 Found", b"", Location=server.url("/back"))
    server.answers["/back"] = answer("200 OK", BODY)
    credentials = credentials_for(server.url("/feed"), (*basic("desk", Secret(WORD)), ("X-Api-Key", Secret("k-1"))))
    async with fetching() as fetcher:
        result = await fetcher.get(server.url("/feed"), now=NOON, credentials=credentials)
        assert isinstance(result, Fetched), result
        await fetcher.get(server.url("/back"), now=NOON)
    shown = [(request.get("authorization"), request.get("x-api-key")) for request in server.requests]
    assert shown == [(BASIC, "k-1"), (BASIC, "k-1"), (None, None), (BASIC, "k-1"), (None, None)]


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        pytest.param("https://a.example/x?y#z", True, id="the same"),
        pytest.param("https://A.example:443/", True, id="the same, written otherwise"),
        pytest.param("http://a.example/", False, id="without TLS"),
        pytest.param("https://a.example:8443/", False, id="another port"),
        pytest.param("https://b.a.example/", False, id="a name below"),
        pytest.param("https://a.example.evil.example/", False, id="a name that begins like it"),
        pytest.param("https://a.example@evil.example/", False, id="a user that looks like it"),
        pytest.param("https://[::1", False, id="no address"),
    ],
)
def test_origins(url: str, sent: bool) -> None:
    credentials = credentials_for("https://a.example/feed", (("X-Key", Secret("k")),))
    assert isinstance(credentials, Credentials)
    assert credentials.headers_for(url) == ({"X-Key": "k"} if sent else {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "x"), ("Content-Length", "1"), ("If-None-Match", "x"), ("Proxy-Authorization", "x"), ("a b", "x"),
        ("", "x"), ("X-A", ""), ("X-A", "a\r\nX-B: b"), ("X-A", "é"), ("X-A", "x" * 5000), ("X-A", " x"),
    ],
)  # fmt: skip
def test_headers_that_would_break_something_are_refused(name: str, value: str) -> None:
    (fault, *_) = faults_in([(name, Secret(value))])
    assert not value or value == "x" or value not in fault


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "stored", "shown"),
    [
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4", "https://bücher.example/%C3%A4"),
        ("https://新闻.中国/rss", "https://xn--efvy88h.xn--fiqs8s/rss", "https://新闻.中国/rss"),
        ("HTTPS://A.example", "https://a.example/", "https://a.example/"),
        ("https://u:p%40@a.example:8443/", "https://a.example:8443/", "https://a.example:8443/"),
        ("https://xn--a.example/", None, None),
    ],
)
def test_addresses_of_other_scripts(written: str, stored: str | None, shown: str | None) -> None:
    if stored is None:
        with pytest.raises(ValueError, match="domain"):
            read_address(written)
        return
    assert (read_address(written).url, shown_address(stored)) == (stored, shown)


# --- where they are kept and shown ----------------------------------------------------------------------------------


def kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("*.db*"))


async def test_by_the_api_they_are_set_changed_and_taken_away_and_never_answered(api: Api, tmp_path: Path) -> None:  # noqa: F811
    key = api.key()
    given = {"url": "https://a.example/", "auth": {"user": "desk", "password": WORD, "headers": {"X-Api-Key": WORD}}}
    made = await api.client.post("/v1/feeds", headers=key, json=given)
    assert made.status_code == 201
    assert made.json()["sends"] == ["X-Api-Key", "Authorization"]
    assert sent(api) == {"X-Api-Key": WORD, "Authorization": BASIC}
    in_address = await api.client.post("/v1/feeds", headers=key, json={"url": f"https://desk:{WORD}@bücher.example/"})
    feed = in_address.json()
    assert (feed["url"], feed["shown"]) == ("https://xn--bcher-kva.example/", "https://bücher.example/")
    assert sent(api, 2) == {"Authorization": BASIC}
    twice = {"url": f"https://u:{WORD}@b.example/", "auth": {"token": WORD}}
    refused = await api.client.post("/v1/feeds", headers=key, json=twice)
    assert refused.status_code == 422
    odd = await api.client.patch("/v1/feeds/1", headers=key, json={"auth": {"headers": {"Host": WORD}}})
    assert odd.status_code == 422
    shown = made.text + in_address.text + refused.text + odd.text
    shown += (await api.client.get("/v1/feeds", headers=key)).text
    assert WORD not in shown
    assert BASIC not in shown
    assert WORD.encode() not in kept(tmp_path)
    changed = await api.client.patch("/v1/feeds/1", headers=key, json={"auth": {"token": "t-1"}})
    assert changed.json()["sends"] == ["Authorization"]
    assert sent(api) == {"Authorization": "Bearer t-1"}
    assert (await api.client.patch("/v1/feeds/1", headers=key, json={"title": "A"})).json()["sends"] == [
        "Authorization"
    ]
    assert (await api.client.patch("/v1/feeds/1", headers=key, json={"auth": None})).json()["sends"] == []
    assert sent(api) == {}


def sent(api: Api, feed_id: int = 1) -> dict[str, str]:  # noqa: F811
    feed = api.store.feeds.get(feed_id)
    assert feed is not None
    found = api.store.feeds.credentials.of(feed)
    return found.headers_for(feed.url) if found is not None else {}


async def test_a_request_cannot_read_our_environment(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("OUR_SECRET", WORD)
    await api.client.post(
        "/v1/feeds", headers=api.key(), json={"url": "https://a.example/", "auth": {"token": "${OUR_SECRET}"}}
    )
    assert sent(api) == {"Authorization": "Bearer ${OUR_SECRET}"}


async def test_kind_tags_tier_and_language_are_set_by_the_api_too(api: Api) -> None:  # noqa: F811
    key = api.key()
    given = {"kind": "regulator", "tags": ["seoul", "fsc"], "tier": "official", "language": "ko"}
    made = (await api.client.post("/v1/feeds", headers=key, json={"url": "https://a.example/"} | given)).json()
    assert {name: made[name] for name in given} == given
    changed = {"kind": "news", "tags": [], "tier": "trade", "language": None}
    after = (await api.client.patch("/v1/feeds/1", headers=key, json=changed)).json()
    assert {name: after[name] for name in changed} == changed
    nothing = (await api.client.patch("/v1/feeds/1", headers=key, json={"kind": None, "tags": None})).json()
    assert (nothing["kind"], nothing["tags"]) == (None, [])
    assert (await api.client.patch("/v1/feeds/1", headers=key, json={"kind": "blogger"})).status_code == 422


def test_a_sealed_password_belongs_to_its_feed_and_its_key(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/p.db"
    store = Store(url, keys=(TEST_KEY,))
    feed = store.feeds.add(NewFeed(url="https://a.example/", headers=basic("desk", Secret(WORD))), now=NOON)
    assert feed is not None
    assert WORD not in repr(feed) + repr(store.feeds.credentials.of(feed))
    store.close()
    other = Store(url, keys=(new_key(),))
    with pytest.raises(Exception, match="sealed with key"):
        other.feeds.credentials.of(feed)
    other.feeds.remove(feed.id, now=NOON)
    with other.database.read() as session:
        assert session.connection().exec_driver_sql("SELECT credentials FROM feed").scalar() is None
    other.close()


def test_an_address_that_was_stored_with_its_password_is_sealed_at_the_next_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/p.db"
    store = Store(url, keys=(TEST_KEY,))
    for written in (f"https://desk:{WORD}@a.example/f@x", "https://b.example/@b", "https://c@c:c@[/"):
        store.feeds.add(NewFeed(url=written), now=NOON)
    store.close()
    store = Store(url, keys=(TEST_KEY,))
    first, second, third = store.feeds.page()
    assert (first.url, first.sends) == ("https://a.example/f@x", ("Authorization",))
    assert (second.url, second.sends, third.sends) == ("https://b.example/@b", (), ())
    found = store.feeds.credentials.of(first)
    assert found is not None
    assert found.headers_for(first.url) == {"Authorization": BASIC}
    store.close()


# --- configuration and command line ---------------------------------------------------------------------------------


def configured(folder: Path, source: str) -> list[NewFeed]:
    path = folder / "config.yaml"
    path.write_text(f"feeds:\n  sources:\n    - {source}\n")
    settings = load(path)
    return [declared_feed(settings, number) for number in range(len(settings.feeds.sources))]


def test_the_configuration_takes_them_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSC_PASSWORD", WORD)
    source = '{url: "https://a.example/", kind: regulator, tags: [x], auth: {user: desk, password: "${FSC_PASSWORD}"}}'
    (new,) = configured(tmp_path, source)
    assert [(name, value.reveal()) for name, value in new.headers] == [("Authorization", BASIC)]
    assert (new.kind, new.tags) == ("regulator", ("x",))
    assert WORD not in repr(load(tmp_path / "config.yaml"))
    (in_address,) = configured(tmp_path, f'{{url: "https://desk:{WORD}@a.example/"}}')
    assert (in_address.url, in_address.headers[0][1].reveal()) == ("https://a.example/", BASIC)
    for wrong in ('token: "${NOT_THERE}"', "headers: {Host: x}", "user: a, token: b"):
        with pytest.raises(Invalid) as raised:
            configured(tmp_path, f'{{url: "https://a.example/", auth: {{{wrong}}}}}')
        assert "config.yaml:3" in str(raised.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["feeds", *args], env={"COLUMNS": "250", "A_TOKEN": WORD})


def test_the_command_line_reads_them_from_where_nobody_else_looks(folder: Path) -> None:
    (folder / "login").write_text(f"desk:{WORD}\n")
    added = run(
        "add", "https://bücher.example/", "--basic", "file:login", "--header", "X-Api-Key=env:A_TOKEN", "--tag", "t"
    )
    assert added.exit_code == 0, added.output
    assert "https://bücher.example/" in added.stdout
    listed, plain, exported = run("list"), run("list", "--json"), run("export")
    (row,) = json.loads(plain.stdout)
    assert (row["url"], row["sends"], row["tags"]) == (
        "https://xn--bcher-kva.example/",
        ["X-Api-Key", "Authorization"],
        ["t"],
    )
    (folder / "l.opml").write_text(
        f"<opml version='2.0'><body><outline xmlUrl='https://desk:{WORD}@b.example/'/></body></opml>"
    )
    imported = run("import", "l.opml")
    assert "1 added" in imported.stdout
    for said in (added, listed, plain, exported, imported, run("list", "--json"), run("export"), run("health")):
        assert WORD not in said.output
        assert BASIC not in said.output
    for wrong in (["--bearer", WORD], ["--header", WORD], ["--bearer", "env:NOT_THERE"], ["--basic", "file:nowhere"]):
        refused = run("add", "https://c.example/", *wrong)
        assert refused.exit_code != 0
        assert WORD not in refused.output
    assert WORD.encode() not in kept(folder / "data")
