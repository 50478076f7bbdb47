"""Sources at a site: feeds it names, feeds at common places, sitemaps, and lists of news by selectors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp.web import json_response

from service import egress
from service.domain.model import Failed, FetchReason, ParsedFeed, Paths, Selectors, ServiceError
from service.feeds.discover import discover
from service.feeds.fetch import Fetcher, Limits, session
from service.feeds.found import Found, Way
from service.feeds.listing import fault_in, parse_list, propose
from service.sandbox import Sandbox
from tests.conftest import NOON
from tests.loopback import Web, item

URL = "https://gov.example/news/"
MENU = "".join(f"<li class='menu'><a href='/m{n}'>About {n}</a></li>" for n in range(9))


def press(number: int) -> str:
    return (
        f"<li class='post'><span class='date'>{number + 1} March 2026</span><h3><a href='p{number}.html'>"
        f"The authority publishes decision number {number}</a></h3><a href='/tags'>tag</a></li>"
    )


PAGE = f"<html><head><title>Newsroom</title></head><body><ul id='nav'>{MENU}</ul><div><ul class='list'>" + (
    "".join(press(n) for n in range(6)) + "</ul></div></body></html>"
)
FOUND = Selectors(item="div > ul.list > li.post", date="span.date")


def test_a_page_suggests_its_list_and_not_its_menu() -> None:
    best, *others = propose(PAGE.encode(), content_type="text/html", url=URL)
    assert best.selectors == FOUND
    assert (best.items, others) == (6, [])


def test_a_list_page_is_a_feed() -> None:
    feed = parse_list(PAGE.encode(), content_type="text/html", url=URL, selectors=FOUND)
    assert isinstance(feed, ParsedFeed)
    assert feed.title == "Newsroom"
    assert [entry.link for entry in feed.entries] == [f"{URL}p{n}.html" for n in range(6)]
    assert feed.entries[2].title == "The authority publishes decision number 2"
    assert feed.entries[2].published == datetime(2026, 3, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("<time datetime='2026-03-05T10:00:00Z'>x</time>", 5),
        ("<time>2026年3月5日</time>", 5),
        ("<time>Published: 2026.03.05</time>", 5),
        ("<time>March 5, 2026</time>", 5),
        ("<time>99 March 2026</time>", None),
        ("<time>soon</time>", None),
    ],
)
def test_dates_as_pages_write_them(written: str, day: int | None) -> None:
    page = f"<ul><li><a href='/a'>A decision</a>{written}</li></ul>"
    feed = parse_list(page.encode(), content_type="", url=URL, selectors=Selectors(item="li", date="time"))
    assert isinstance(feed, ParsedFeed)
    published = feed.entries[0].published
    assert (published.day if published else None) == day


def test_a_rebuilt_page_is_a_failure_with_its_reason() -> None:
    failed = parse_list(b"<p>new</p>", content_type="", url=URL, selectors=FOUND)
    assert isinstance(failed, Failed)
    assert failed.reason is FetchReason.NOT_A_FEED


def test_a_selector_is_checked_before_it_is_kept() -> None:
    assert fault_in("#news > li.post") is None
    assert fault_in("li[") is not None


# --- discover -------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def any_address() -> None:
    """Whatever guard an earlier test has left: loopback is fetched from here."""
    egress.install(egress.ANYWHERE)


@pytest.fixture(scope="module")
def box():
    sandbox = Sandbox(workers=1)
    yield sandbox
    sandbox.close()


@pytest.fixture
async def site() -> AsyncIterator[Web]:
    async with Web() as web:
        yield web


async def found(site: Web, path: str, box: Sandbox) -> tuple[Found, ...]:
    async with session(user_agent="policywatch (desk@example.org)") as client:
        fetcher = Fetcher(client, limits=Limits(deadline=10, host_gap=0))
        return await discover(site.address + path, fetcher, box, now=NOON)


async def test_the_address_of_a_feed_is_its_own_answer(site: Web, box: Sandbox) -> None:
    (only,) = await found(site, site.feed("/f", item("1", "One")).removeprefix(site.address), box)
    assert (only.way, only.entries, only.titles) == (Way.ITSELF, 1, ("One",))


async def test_feeds_that_a_page_names(site: Web, box: Sandbox) -> None:
    site.feed("/deep/all", item("1", "One"))
    site.page("/", "<head><link rel='alternate' type='application/rss+xml' href='deep/all'><base href='/'></head><p>x")
    (only,) = await found(site, "/", box)
    assert (only.way, only.url) == (Way.LINKED, f"{site.address}/deep/all")


async def test_feeds_at_common_places(site: Web, box: Sandbox) -> None:
    site.page("/news", "<p>Nothing is linked from here</p>")
    site.feed("/rss.xml", item("1", "One"))
    (only,) = await found(site, "/news", box)
    assert (only.way, only.url) == (Way.COMMON_PATH, f"{site.address}/rss.xml")


async def test_lists_where_there_is_no_feed(site: Web, box: Sandbox) -> None:
    site.page("/news", PAGE)
    (only,) = await found(site, "/news", box)
    assert (only.way, only.recipe, only.entries) == (Way.LIST, FOUND, 6)


async def test_an_api_suggests_its_expressions(site: Web, box: Sandbox) -> None:
    posts = [{"id": n, "headline": f"The ministry publishes order {n}", "url": f"/o/{n}"} for n in range(4)]
    site.pages["/api"] = lambda _: json_response({"status": "ok", "data": {"posts": posts}})
    (only,) = await found(site, "/api", box)
    assert only.recipe == Paths(items="data.posts", id="id", title="headline", link="url")
    assert (only.way, only.entries, only.titles[0]) == (Way.JSON, 4, "The ministry publishes order 0")


async def test_an_address_that_brings_nothing(site: Web, box: Sandbox) -> None:
    with pytest.raises(ServiceError, match="404"):
        await found(site, "/none", box)
