"""Hubs that push feeds (WebSub): a real one, and by the recommendation's text what a hub may do otherwise."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from aiohttp import web

from service.app import Server, Service, api_of, utc_now
from service.config import Rulebook
from service.domain.model import NoticeKind, ParsedFeed, Push, PushRefusal, PushState, Selectors
from service.domain.push import LEASE, Offer
from service.feeds.listing import parse_list
from service.feeds.parse import parse_feed
from tests.conftest import Clock
from tests.hub import running_hub
from tests.line import Line, only_rules, settings_of
from tests.loopback import Web, item, rss
from tests.test_pipeline import BAN, SPORT

PUBLIC = "http://pw.example.org"
LICENSING = item("lic", "Kenya opens licensing for crypto exchanges under new law", text="The law is in force.")
MINING = item("kz", "Kazakhstan bans crypto mining", text="The government of Kazakhstan prohibited mining on Monday.")
RULES = """rules:
  - {id: cn-ban, match: China + stablecoin + ban}
  - {id: licensing, match: Kenya + licensing}
  - {id: kz-mining, match: Kazakhstan + mining}
"""
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    return only_rules(tmp_path_factory.mktemp("rules") / "rules.yaml", RULES)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@asynccontextmanager
async def served(database_url: str, book: Rulebook, web_: Web) -> AsyncIterator[Line]:
    """A whole service in real time, which a hub can reach."""
    port = free_port()
    api = {"port": port, "public_url": f"http://127.0.0.1:{port}"}
    settings = settings_of(database_url, api=api)
    server = Server(Service(settings, rulebook=book))
    ready = asyncio.Event()
    running = asyncio.create_task(server.run(ready=lambda _: ready.set()))
    await asyncio.wait_for(ready.wait(), 120)
    try:
        yield Line(server.service, Clock(utc_now()), web_)
    finally:
        server.stop()
        await running


async def until(true: Callable[[], object], *, seconds: float = 120) -> None:
    """Wait for something that other processes do; it fails the test when it does not come true."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  (no event of ours tells what another process did)
            await asyncio.sleep(0.01)


# --- a real hub -----------------------------------------------------------------------------------------------------


async def test_from_a_publisher_by_a_real_hub_to_the_alert_in_under_two_seconds(
    tmp_path: Path,
    rulebook: Rulebook,
) -> None:
    with running_hub(tmp_path) as hub:
        async with Web() as web_, served(f"sqlite:///{tmp_path}/p.db", rulebook, web_) as line:
            topic, items = publishing(web_, hub)
            line.subscribe()
            feed_id = line.add(topic)
            await until(lambda: state(line, feed_id) is PushState.ACTIVE and not line.store.entries.waiting())
            polls = len(web_.asked)
            took = [await published(hub, topic, items, web_, each) for each in (BAN, LICENSING, MINING)]
            print(f"publish to alert in s: {', '.join(f'{each:.2f}' for each in took)}")
            assert min(took) < 2, "the shortest of three: what else the machine does is no part of it"
            assert [each["data"]["rules"] for each in web_.payloads()] == [["cn-ban"], ["licensing"], ["kz-mining"]]
            assert len(web_.asked) == polls + 3, "the hub asked the publisher each time, and we did not"
            push = the(line, feed_id)
            assert (push.taken, push.refused, push.topic) == (3, 0, topic)
            line.store.feeds.remove(feed_id, now=line.clock())
            await until(lambda: not line.store.pushes.of([feed_id]))


def publishing(web_: Web, hub: str) -> tuple[str, list[str]]:
    """A feed that names the hub in its headers; what is put into the list is published with the next request."""
    topic, items = f"{web_.address}/a.xml", [item("old", "Striker banned", published=format_datetime(utc_now()))]
    links = f'<{hub}>; rel="hub", <{topic}>; rel="self"'
    web_.pages["/a.xml"] = lambda _: web.Response(
        body=rss(*items).encode(), content_type="text/xml", headers={"Link": links}
    )
    return topic, items


async def published(hub: str, topic: str, items: list[str], web_: Web, new: str) -> float:
    """The seconds from a publisher's word to its hub until the alert is in the hands of its reader."""
    items.insert(0, new)
    before, started = len(web_.received), time.monotonic()
    async with httpx.AsyncClient() as http:
        assert (await http.post(hub, data={"hub.mode": "publish", "hub.topic": topic})).status_code == 202
    await until(lambda: len(web_.received) > before)
    return time.monotonic() - started


def the(line: Line, feed_id: int) -> Push:
    return line.store.pushes.of([feed_id])[feed_id]


def state(line: Line, feed_id: int) -> PushState | None:
    found = line.store.pushes.of([feed_id]).get(feed_id)
    return found.state if found else None


# --- by the recommendation's text -----------------------------------------------------------------------------------


class Site:
    """A service that believes to be public, a publisher whose feed names a hub, and that hub, which only listens."""

    def __init__(self, line: Line, client: httpx.AsyncClient) -> None:
        self.line, self.client, self.web, self.clock = line, client, line.web, line.clock
        self.topic, self.hub = f"{line.web.address}/a.xml", f"{line.web.address}/hub"
        self.items = [item("old", "Striker banned")]
        self.links = f"<atom:link rel='hub' href='{self.hub}'/><atom:link rel='self' href='{self.topic}'/>"
        self.web.verdict = lambda _: 202
        self.web.pages["/a.xml"] = lambda _: web.Response(body=self.document(), content_type="text/xml")

    def document(self, *more: str) -> bytes:
        text = rss(*more, *self.items).replace("<rss ", "<rss xmlns:atom='http://www.w3.org/2005/Atom' ")
        return text.replace("<description>d<", f"{self.links}<description>d<").encode()

    async def add(self) -> int:
        feed_id = self.line.add(self.topic)
        await self.line.run()
        return feed_id

    @property
    def asked(self) -> list[dict[str, str]]:
        """The forms that the hub was sent."""
        return [dict(parse_qsl(body.decode())) for _, body in self.web.received]

    @property
    def path(self) -> str:
        return urlsplit(self.asked[-1]["hub.callback"]).path

    async def ask_back(self, **changes: str | None) -> httpx.Response:
        """The hub's question about its last request; `changes` with None leave a parameter out."""
        asked = {"mode": self.asked[-1]["hub.mode"], "topic": self.topic, "challenge": "c&h é", "lease_seconds": "1000"}
        params = {f"hub.{name}": value for name, value in (asked | changes).items() if value is not None}
        return await self.client.get(self.path, params=params)

    async def push(self, body: bytes, signature: str | None = None, **headers: str) -> httpx.Response:
        secret = next(each["hub.secret"] for each in reversed(self.asked) if "hub.secret" in each)
        right = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        sent = {"content-type": "application/rss+xml", "x-hub-signature": right if signature is None else signature}
        return await self.client.post(self.path, content=body, headers=sent | headers)

    def stored(self) -> int:
        (feed,) = self.line.store.feeds.page()
        return feed.entries


@asynccontextmanager
async def a_site(
    url: str, book: Rulebook, clock: Clock, public_url: str = PUBLIC, **more: object
) -> AsyncIterator[Site]:
    service = Service(
        settings_of(url, api={"public_url": public_url}, **more), rulebook=book, now=clock, chance=lambda: 0.5
    )
    await service.start()
    transport = httpx.ASGITransport(api_of(service))
    async with Web() as web_, httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        yield Site(Line(service, clock, web_), client)
        await service.stop()


@pytest.fixture
async def site(tmp_path: Path, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Site]:
    async with a_site(f"sqlite:///{tmp_path}/p.db", rulebook, clock) as found:
        yield found


async def test_a_hub_is_asked_verified_and_renewed(database_url: str, rulebook: Rulebook, clock: Clock) -> None:
    async with a_site(database_url, rulebook, clock) as site:
        feed_id = await site.add()
        (form,) = site.asked
        assert form["hub.callback"].startswith(f"{PUBLIC}/push/")
        assert len(site.path) > 40
        assert (form["hub.mode"], form["hub.topic"]) == ("subscribe", site.topic)
        assert form["hub.lease_seconds"] == str(int(LEASE.total_seconds()))
        assert 32 <= len(form["hub.secret"].encode()) < 200
        assert state(site.line, feed_id) is PushState.REQUESTED
        answer = await site.ask_back()
        assert (answer.status_code, answer.text) == (200, "c&h é")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"
        push = the(site.line, feed_id)
        assert (push.state, push.lease_until) == (PushState.ACTIVE, clock() + timedelta(seconds=1000))
        feed = site.line.store.feeds.get(feed_id)
        assert feed is not None
        assert feed.pushed_until == push.lease_until
        await site.line.run(after=timedelta(seconds=650))
        assert len(site.asked) == 1
        await site.line.run(after=timedelta(seconds=60))
        assert site.asked[1] == form, "renewed before it ends, under the same callback"
        assert the(site.line, feed_id).state is PushState.ACTIVE
        await site.ask_back(lease_seconds="5000")
        assert the(site.line, feed_id).lease_until == clock() + timedelta(seconds=5000)
        assert [each.kind for each in site.line.store.feeds.notices(feed_id)] == [NoticeKind.PUSH_STARTED]
        assert (await site.push(site.document(BAN))).status_code == 204
        assert site.stored() == 2


async def offered(site: Site) -> int:
    """A feed that has not been polled, whose document is known to name the hub: no child process has to read it."""
    feed_id = site.line.add(site.topic)
    site.line.store.feeds.update(feed_id, next_due_at=site.clock() + 1000 * HOUR)
    offer = Offer(hub=site.hub, topic=site.topic)
    site.line.store.pushes.take_up(feed_id, offer, now=site.clock(), random=os.urandom)
    await site.line.run()
    return feed_id


async def test_what_the_hub_has_not_signed_is_acknowledged_ignored_and_counted(site: Site) -> None:
    feed_id = await offered(site)
    await site.ask_back()
    secret, body = site.asked[0]["hub.secret"].encode(), site.document(BAN)
    forged = {
        "": PushRefusal.NO_SIGNATURE,
        "sha256=": PushRefusal.BAD_SIGNATURE,
        "sha256=" + hmac.new(b"guess", body, hashlib.sha256).hexdigest(): PushRefusal.BAD_SIGNATURE,
        "sha256=" + hmac.new(secret, body + b" ", hashlib.sha256).hexdigest(): PushRefusal.BAD_SIGNATURE,
        "sha1=" + hmac.new(secret, body, hashlib.sha256).hexdigest(): PushRefusal.BAD_SIGNATURE,
        "md5=" + hmac.new(secret, body, hashlib.md5).hexdigest(): PushRefusal.UNKNOWN_ALGORITHM,
        hmac.new(secret, body, hashlib.sha256).hexdigest(): PushRefusal.UNKNOWN_ALGORITHM,
    }
    for count, (signature, reason) in enumerate(forged.items(), 1):
        assert (await site.push(body, signature)).status_code == 202, signature
        push = the(site.line, feed_id)
        assert (push.taken, push.refused, push.last_refusal) == (0, count, reason)
    too_much = await site.client.post(site.path, headers={"content-length": "99999999"}, content=b"")
    assert too_much.status_code == 413
    assert (await site.client.post("/push/guess", content=body)).status_code == 404
    assert site.stored() == 0


async def test_each_algorithm_and_what_a_signed_body_may_be(site: Site) -> None:
    feed_id = await site.add()
    await site.ask_back()
    secret = site.asked[0]["hub.secret"].encode()
    for name in ("sha1", "sha256", "sha384", "SHA512"):
        body = site.document(item(name, f"Notice {name}"))
        signed = f"{name}={hmac.new(secret, body, name.lower()).hexdigest()}"
        assert (await site.push(body, signed)).status_code == 204
    assert site.stored() == 5
    assert (await site.push(site.document(BAN), **{"content-encoding": "gzip"})).status_code == 204, "inflated by a hub"
    assert (await site.push(gzip.compress(site.document(SPORT)), **{"content-encoding": "gzip"})).status_code == 204
    assert site.stored() == 7
    only_new = rss(item("new", "A hub may leave out what it has sent before")).encode()
    assert (await site.push(only_new)).status_code == 204
    assert site.stored() == 8
    due = site.line.store.feeds.get(feed_id)
    assert due is not None
    assert due.next_due_at > site.clock()
    assert (await site.push(b"<html><p>no feed</p></html>")).status_code == 202
    assert the(site.line, feed_id).last_refusal is PushRefusal.UNREADABLE
    again = site.line.store.feeds.get(feed_id)
    assert again is not None
    assert again.next_due_at == site.clock(), "something is new there: it is polled now"
    # A poll that began before a push and ends after it brings nothing twice.
    assert site.line.service.pipeline is not None
    (claimed,) = site.line.store.feeds.claim_due(site.clock(), limit=1, lease=HOUR)
    both = item("both", "By push and by poll")
    await site.push(site.document(both))
    site.items.insert(0, both)
    await site.line.service.pipeline.poll(claimed)
    assert site.stored() == 9
    assert site.line.store.feeds.gaps(feed_id) == ()


async def test_a_pushed_feed_is_polled_more_slowly_until_a_poll_finds_what_the_hub_did_not_bring(site: Site) -> None:
    feed_id = await site.add()
    await site.ask_back(lease_seconds=str(30 * 86400))
    await site.line.run(after=HOUR)
    interval = timedelta(minutes=15)
    assert due_in(site, feed_id) == 4 * interval
    site.items.insert(0, item("missed", "The hub said nothing of it"))
    await site.line.run(after=HOUR)
    assert due_in(site, feed_id) == interval
    await site.line.run(after=interval)
    assert due_in(site, feed_id) == 4 * interval
    await site.line.run(after=31 * 24 * HOUR)
    assert due_in(site, feed_id) <= 2 * interval


def due_in(site: Site, feed_id: int) -> timedelta:
    feed = site.line.store.feeds.get(feed_id)
    assert feed is not None
    return feed.next_due_at - site.clock()


async def test_what_we_did_not_ask_for_is_not_confirmed(site: Site) -> None:
    feed_id = await offered(site)
    for wrong in (
        {"topic": "https://elsewhere.example/a.xml"},
        {"topic": None},
        {"mode": "unsubscribe"},
        {"mode": "publish"},
        {"mode": None},
        {"challenge": None},
        {"challenge": "x" * 5000},
    ):
        assert (await site.ask_back(**wrong)).status_code == 404, wrong
    assert (await site.client.get("/push/guess", params={"hub.mode": "subscribe"})).status_code == 404
    assert state(site.line, feed_id) is PushState.REQUESTED


async def test_a_denial_is_believed_told_and_asked_about_again_a_day_later(site: Site) -> None:
    feed_id = await offered(site)
    await site.ask_back()
    assert (await site.ask_back(mode="denied", reason="not you", challenge=None)).status_code == 200
    push = the(site.line, feed_id)
    assert push.state is PushState.DENIED
    assert "not you" in (push.problem or "")
    kinds = [each.kind for each in site.line.store.feeds.notices(feed_id)]
    assert kinds == [NoticeKind.PUSH_LOST, NoticeKind.PUSH_STARTED]
    feed = site.line.store.feeds.get(feed_id)
    assert feed is not None
    assert feed.pushed_until is None
    await site.line.run(after=23 * HOUR)
    assert len(site.asked) == 1
    await site.line.run(after=2 * HOUR)
    assert len(site.asked) == 2


async def test_a_hub_that_is_away_is_asked_ever_more_slowly_and_the_lost_lease_is_told(site: Site) -> None:
    site.web.verdict = lambda count: 202 if count == 1 else 503
    feed_id = await offered(site)
    await site.ask_back(lease_seconds="3600")
    await site.line.run(after=0.7 * HOUR)
    assert (state(site.line, feed_id), len(site.asked)) == (PushState.ACTIVE, 2)
    await site.line.run(after=HOUR)
    push = the(site.line, feed_id)
    assert push.state is PushState.FAILED
    assert "HTTP 503" in (push.problem or "")
    assert site.line.store.feeds.notices(feed_id)[0].kind is NoticeKind.PUSH_LOST
    for _ in range(48):
        await site.line.run(after=HOUR)
    assert 4 <= len(site.asked) <= 8
    site.web.verdict = lambda _: 202
    await site.line.run(after=25 * HOUR)
    await site.line.run(after=25 * HOUR)
    assert "can it reach api.public_url" in (the(site.line, feed_id).problem or ""), "asked twice, and no question came"
    await site.ask_back()
    assert state(site.line, feed_id) is PushState.ACTIVE


async def test_the_hub_may_ask_back_before_it_has_answered(site: Site) -> None:
    feed_id = await offered(site)
    site.clock.advance(HOUR)
    pushing = site.line.service.pushing
    assert pushing is not None
    (claimed,) = await pushing.claim(10)
    assert (await site.ask_back()).status_code == 200
    await pushing.ask(claimed)
    assert state(site.line, feed_id) is PushState.ACTIVE, "the answer to the request was overtaken"


@pytest.mark.parametrize("removed", [True, False])
async def test_what_is_wanted_no_longer_is_ended(site: Site, removed: bool) -> None:
    feed_id = await offered(site)
    await site.ask_back()
    if removed:
        site.line.store.feeds.remove(feed_id, now=site.clock())
    else:
        site.line.store.pushes.take_up(feed_id, None, now=site.clock(), random=os.urandom)
    await site.line.run()
    assert site.asked[-1]["hub.mode"] == "unsubscribe"
    assert site.asked[-1]["hub.callback"] == site.asked[0]["hub.callback"]
    assert (await site.push(site.document())).status_code == 410
    assert (await site.ask_back(mode="subscribe")).status_code == 404
    assert (await site.ask_back()).text == "c&h é"
    assert state(site.line, feed_id) is None
    assert (await site.push(site.document())).status_code == 404


async def test_another_hub_is_agreed_anew_and_the_old_callback_is_unknown(site: Site) -> None:
    feed_id = await offered(site)
    old = site.path
    new = Offer(hub=f"{site.web.address}/hub2", topic=site.topic)
    site.line.store.pushes.take_up(feed_id, new, now=site.clock(), random=os.urandom)
    await site.line.run()
    assert site.path != old
    assert site.asked[0]["hub.secret"] != site.asked[1]["hub.secret"]
    assert (await site.client.get(old, params={"hub.mode": "subscribe"})).status_code == 404


async def test_a_hub_may_send_us_to_another_and_not_into_the_house(site: Site) -> None:
    site.web.posts["/hub"] = web.Response(status=308, headers={"Location": "/hub2"})
    feed_id = await offered(site)
    assert state(site.line, feed_id) is PushState.REQUESTED
    assert site.asked[0] == site.asked[1], "the same form to the hub that the first one named"
    site.line.store.pushes.take_up(
        feed_id, Offer(hub="http://10.0.0.1/hub", topic=site.topic), now=site.clock(), random=os.urandom
    )
    await site.line.run()
    push = the(site.line, feed_id)
    assert push.state is PushState.FAILED
    assert "egress guard" in (push.problem or "")


async def test_nothing_stored_logged_or_shown_lets_anybody_push(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed_id = await offered(site)
    await site.ask_back()
    await site.push(site.document(), "sha256=00")
    secrets = [site.asked[0]["hub.secret"], site.path.rpartition("/")[2]]
    kept = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("p.db*")))  # noqa: ASYNC240
    said = capsys.readouterr()
    shown = repr(the(site.line, feed_id)) + repr(site.line.store.feeds.notices(feed_id)) + said.out + said.err
    assert "push ignored" in shown
    for secret in secrets:
        assert secret.encode() not in kept
        assert secret not in shown


async def test_another_public_address_is_told_to_the_hub_and_without_one_feeds_are_only_polled(
    tmp_path: Path, rulebook: Rulebook, clock: Clock
) -> None:
    url = f"sqlite:///{tmp_path}/p.db"
    async with a_site(url, rulebook, clock) as site:
        feed_id = await offered(site)
        await site.ask_back()
        pushes = site.line.store.pushes
        assert pushes.claim_due(clock(), limit=9, lease=HOUR, public_url=PUBLIC) == ()
        ((push, _),) = pushes.claim_due(clock(), limit=9, lease=HOUR, public_url="https://new.example.org")
        assert push.state is PushState.ACTIVE
        assert pushes.claim_due(clock(), limit=9, lease=HOUR, public_url="https://new.example.org") == ()
    async with a_site(url, rulebook, clock, public_url="") as site:
        feed = site.line.store.feeds.get(feed_id)
        assert feed is not None
        assert feed.pushed_until is None


async def test_without_a_public_address_no_hub_is_asked(tmp_path: Path, rulebook: Rulebook, clock: Clock) -> None:
    async with a_site(f"sqlite:///{tmp_path}/p.db", rulebook, clock, public_url="") as site:
        await offered(site)
        assert site.asked == []
        assert (await site.client.get("/push/x")).status_code == 404
        assert (await site.client.post("/push/x")).status_code == 404


HUB_AND_SELF = (("https://hub.example/",), "https://example.org/self")


def test_hubs_are_found_in_each_kind_of_document() -> None:
    links = "<{0} rel='hub' href='https://hub.example/'{1}><{0} rel='self' href='/self'{1}>"
    atom = f"<feed xmlns='http://www.w3.org/2005/Atom'><title>t</title>{links.format('link', '/')}</feed>"
    in_rss = "<rss version='2.0' xmlns:a='http://www.w3.org/2005/Atom'><channel><title>t</title>%s</channel></rss>"
    other = {"type": "rssCloud", "url": "https://other.example/"}
    websub = {"type": "WebSub", "url": "https://hub.example/"}
    in_json = {
        "version": "https://jsonfeed.org/version/1.1",
        "feed_url": "/self",
        "hubs": [other, websub, 7],
        "items": [],
    }
    for document in (atom, in_rss % links.format("a:link", "/"), json.dumps(in_json)):
        feed = parse_feed(document.encode(), url="https://example.org/feed")
        assert isinstance(feed, ParsedFeed)
        assert (feed.hubs, feed.topic) == HUB_AND_SELF
    stranger = "<link rel='hub' href='https://evil.example/'>"
    body = f"<body>{stranger}<ul><li><a href='/1'>News</a></li></ul></body>"
    page = f"<html><head>{links.format('link', '')}</head>{body}</html>"
    listed = parse_list(
        page.encode(), content_type="text/html", url="https://example.org/news", selectors=Selectors(item="li")
    )
    assert isinstance(listed, ParsedFeed)
    assert (listed.hubs, listed.topic) == HUB_AND_SELF, "only the head is believed"


async def test_a_hub_that_sends_too_slowly_keeps_no_other_out(tmp_path: Path, rulebook: Rulebook, clock: Clock) -> None:
    slow = {"timeout": "0.1s", "host_gap": "0s"}
    async with a_site(f"sqlite:///{tmp_path}/p.db", rulebook, clock, feeds=slow) as site:
        await offered(site)
        never = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield b"<rss>"
            await never.wait()

        late = await asyncio.gather(*(site.client.post(site.path, content=endless()) for _ in range(6)))
        assert [answer.status_code for answer in late] == [408] * 6
        assert (await site.push(site.document(), "sha256=00")).status_code == 202
