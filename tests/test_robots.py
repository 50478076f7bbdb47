"""robots.txt (RFC 9309): which pages are read, how long a file is believed, and what is seen when one is not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from aiohttp import web

from service.domain.model import Failed, Fetched, FetchReason
from service.feeds.fetch import Fetcher, Limits, session
from service.feeds.robots import MOST_DELAY, MOST_READ, MOST_SITEMAPS, Robots, Wishes, named_sitemaps, wishes
from service.sandbox import Sandbox
from tests.conftest import NOON
from tests.loopback import Answer, Web

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("rules", "path", "may"),
    [
        pytest.param("User-agent: *\nDisallow: /", "/a", False, id="nobody"),
        pytest.param("User-agent: *\nDisallow:", "/a", True, id="everybody"),
        pytest.param("user-AGENT: PolicyWatch\nDisallow: /a\n\nUser-agent: *\nAllow: /", "/a", False, id="by-name"),
        pytest.param("User-agent: policywatch\nAllow: /\nUser-agent: *\nDisallow: /", "/a", True, id="own-group-only"),
        pytest.param("User-agent: a\nUser-agent: policywatch\nDisallow: /", "/a", False, id="group-of-several"),
        pytest.param("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True, id="longest-match"),
        pytest.param("User-agent: *\nAllow: /a\nDisallow: /a/b", "/a/b/c", False, id="longest-match-refuses"),
        pytest.param("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True, id="as-long-is-allowed"),
        pytest.param("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf", False, id="star-and-end"),
        pytest.param("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf?a", True, id="end-is-the-end"),
        pytest.param("User-agent: *\nDisallow: /%E9%87%91", "/金", False, id="percent-encoded"),
        pytest.param("Disallow: /\nnonsense\x00\n<html>", "/a", True, id="rules-of-nobody"),
        pytest.param("\ufeffUser-agent: *\nDisallow: /a # why\r\n", "/a", False, id="bom-comment-and-crlf"),
        pytest.param("User-agent: *\nDisallow: " + "/*a" * 5_000 + "$", "/" + "a" * 2000, True, id="costly-pattern"),
    ],
)
def test_the_longest_rule_of_our_group_decides(rules: str, path: str, may: bool) -> None:
    assert wishes(rules.encode(), f"https://a.example{path}").may is may


@pytest.mark.parametrize(
    ("rules", "delay"),
    [
        pytest.param("User-agent: *\nCrawl-delay: 10", 10, id="seconds"),
        pytest.param("User-agent: *\nCrawl-delay: 0.5\nDisallow: /b", 0.5, id="less-than-one"),
        pytest.param("User-agent: *\nCrawl-delay: 10\nUser-agent: policywatch\nAllow: /", 0, id="of-others"),
        pytest.param("User-agent: *\nCrawl-delay: 86400", MOST_DELAY, id="within-a-limit"),
        pytest.param("User-agent: *\nCrawl-delay: inf", 0, id="without-end"),
        pytest.param("User-agent: *\nCrawl-delay: nan", 0, id="no-number"),
        pytest.param("User-agent: *\nCrawl-delay: -1", 0, id="less-than-nothing"),
        pytest.param("User-agent: *\nCrawl-delay: soon", 0, id="a-word"),
    ],
)
def test_the_pause_that_a_site_asks_for(rules: str, delay: float) -> None:
    assert wishes(rules.encode(), "https://a.example/a") == Wishes(may=True, delay=delay)


def test_the_sitemaps_that_a_site_names() -> None:
    lines = "Sitemap: https://a.example/all.xml\nUser-agent: *\nDisallow: /\nsitemap: /news.xml\nSitemap: file:///etc\n"
    many = "".join(f"Sitemap: https://a.example/{n}.xml\n" for n in range(9))
    assert named_sitemaps(lines.encode(), "https://a.example") == (
        "https://a.example/news.xml",
        "https://a.example/all.xml",
    )
    assert len(named_sitemaps(many.encode(), "https://a.example")) == MOST_SITEMAPS


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    sandbox = Sandbox(workers=1)
    yield sandbox
    sandbox.close()


@pytest.fixture
async def site() -> AsyncIterator[Web]:
    async with Web() as served:
        yield served


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with session(user_agent="policywatch/1 (desk@example.org)") as client:
        yield Fetcher(client, limits=Limits(deadline=5, host_gap=0))


@pytest.fixture
def robots(fetcher: Fetcher, box: Sandbox) -> Robots:
    return Robots(fetcher, box)


def text(rules: str) -> web.Response:
    return web.Response(text=rules)


async def asked(robots: Robots, site: Web, now: datetime = NOON, path: str = "/page") -> Failed | None:
    return await robots.refusal(site.address + path, now=now)


@pytest.mark.parametrize(
    ("answer", "may"),
    [
        pytest.param(lambda _: text("User-agent: *\nDisallow: /page"), False, id="200"),
        pytest.param(lambda _: web.Response(text=" "), True, id="200-empty"),
        pytest.param(lambda _: web.Response(status=404), True, id="404"),
        pytest.param(lambda _: web.Response(status=401), True, id="401"),
        pytest.param(lambda _: web.Response(status=410), True, id="410"),
        pytest.param(lambda _: web.Response(status=429), False, id="429"),
        pytest.param(lambda _: web.Response(status=500), False, id="500"),
        pytest.param(lambda _: web.Response(status=503), False, id="503"),
        pytest.param(lambda _: web.Response(status=302, headers={"Location": "/rules"}), False, id="redirect"),
        pytest.param(lambda _: web.Response(status=302, headers={"Location": "/robots.txt"}), True, id="redirect-ring"),
        pytest.param(lambda _: text("#" * MOST_READ + "\nUser-agent: *\nDisallow: /"), True, id="beyond-the-limit"),
        pytest.param(lambda _: web.Response(body=b"\x80\xff" * 1000), True, id="no-text"),
    ],
)
async def test_what_an_answer_means(robots: Robots, site: Web, answer: Answer, may: bool) -> None:
    site.pages |= {"/robots.txt": answer, "/rules": text("User-agent: *\nDisallow: /page")}
    refused = await asked(robots, site)
    assert (refused is None) is may
    if refused is not None:
        assert refused.reason is FetchReason.ROBOTS
        assert "robots.txt" in refused.detail


async def test_a_file_is_asked_for_once_a_day(robots: Robots, site: Web) -> None:
    site.pages["/robots.txt"] = lambda _: text("User-agent: *\nDisallow: /page")
    for hours in (0, 1, 23):
        assert await asked(robots, site, NOON + hours * HOUR) is not None
        assert await asked(robots, site, NOON + hours * HOUR, path="/other") is None
    assert len(site.asked) == 1
    site.pages["/robots.txt"] = lambda _: text("")
    assert await asked(robots, site, NOON + 24 * HOUR) is None
    assert len(site.asked) == 2


async def test_a_file_that_was_had_stands_while_its_server_is_down(robots: Robots, site: Web) -> None:
    site.pages["/robots.txt"] = lambda _: text("User-agent: *\nDisallow: /page")
    await asked(robots, site)
    site.pages["/robots.txt"] = lambda _: web.Response(status=500)
    assert await asked(robots, site, NOON + 40 * 24 * HOUR) is not None
    assert await asked(robots, site, NOON + 80 * 24 * HOUR, path="/other") is None


async def test_a_file_that_cannot_be_had_for_a_month_counts_as_none(robots: Robots, site: Web) -> None:
    site.pages["/robots.txt"] = lambda _: web.Response(status=500)
    assert await asked(robots, site) is not None
    assert await asked(robots, site, NOON + 29 * 24 * HOUR) is not None
    assert await asked(robots, site, NOON + 31 * 24 * HOUR) is None


async def test_every_step_of_the_way_is_asked_about(robots: Robots, fetcher: Fetcher, site: Web) -> None:
    site.pages |= {
        "/robots.txt": lambda _: text("User-agent: *\nDisallow: /private"),
        "/open": lambda _: web.Response(status=302, headers={"Location": "/private/a"}),
        "/private/a": lambda _: text("never"),
    }
    found = await fetcher.get(f"{site.address}/open", now=NOON, refusal=robots.refusal)
    assert isinstance(found, Failed)
    assert (found.reason, found.url) == (FetchReason.ROBOTS, f"{site.address}/private/a")
    assert "/private/a" not in [request.path for request in site.asked]


async def test_pages_are_read_no_faster_than_their_site_asks(robots: Robots, fetcher: Fetcher, site: Web) -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    site.pages["/robots.txt"] = lambda _: text("User-agent: *\nCrawl-delay: 0.2")
    site.pages["/page"] = lambda _: times.append(loop.time()) or text("story")  # type: ignore[func-returns-value]
    for _ in range(3):
        assert isinstance(await fetcher.get(f"{site.address}/page", now=NOON, refusal=robots.refusal), Fetched)
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.19


async def test_the_sitemaps_of_a_site_that_names_none_or_is_down(robots: Robots, site: Web) -> None:
    site.pages["/robots.txt"] = lambda _: web.Response(status=500)
    assert await robots.sitemaps(f"{site.address}/feed", now=NOON) == ()
    site.pages["/robots.txt"] = lambda _: text("Sitemap: /one.xml")
    assert await robots.sitemaps(f"{site.address}/feed", now=NOON + HOUR) == (f"{site.address}/one.xml",)
