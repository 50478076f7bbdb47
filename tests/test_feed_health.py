"""What becomes of feeds over days: dying, moving, quiet, rolling and lying ones, each told as what it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from service.domain.model import Feed, FeedState, FullText, NoticeKind, Paths, Selectors
from service.storage.feeds import NewFeed
from tests.conftest import NOON
from tests.loopback import item, rss
from tests.test_pipeline import Line, line, rulebook  # noqa: F401  (fixtures)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def story(number: int, when: datetime, *, link: str = "") -> str:
    return item(f"g{number}", f"Notice number {number}", link=link, published=format_datetime(when, usegmt=True))


def hourly(now: datetime, *, keep: int = 10, until: datetime | None = None) -> str:
    """A document with the newest `keep` of the entries that come out every hour, none after `until`."""
    newest = int((min(now, until or now) - NOON) / HOUR)
    return rss(*(story(n, NOON + n * HOUR) for n in range(newest, newest - keep, -1)))


async def live(line: Line, hours: int, *, step: int = 1) -> None:  # noqa: F811
    for _ in range(0, hours, step):
        await line.run(after=step * HOUR)


def the(line: Line, feed_id: int) -> Feed:  # noqa: F811
    feed = line.store.feeds.get(feed_id)
    assert feed is not None
    return feed


def told(line: Line, feed_id: int) -> list[NoticeKind]:  # noqa: F811
    return [notice.kind for notice in reversed(line.store.feeds.notices(feed_id))]


def serving(line: Line, path: str, answer: Callable[[datetime, web.Request], web.Response]) -> int:  # noqa: F811
    line.web.pages[path] = lambda request: answer(line.clock(), request)
    return line.add(line.web.address + path)


def xml(text: str, **headers: str) -> web.Response:
    return web.Response(body=text.encode(), content_type="text/xml", headers=headers)


async def test_a_week_tells_the_true_story_of_each_feed(line: Line) -> None:  # noqa: F811
    well = serving(line, "/well", lambda now, _: xml(hourly(now)))
    dying = serving(line, "/dying", lambda now, _: xml(hourly(now)) if now < NOON + DAY else web.Response(status=500))
    gone = serving(line, "/gone", lambda now, _: xml(hourly(now)) if now < NOON + DAY else web.Response(status=410))
    quiet = serving(line, "/quiet", lambda now, _: xml(hourly(now, until=NOON + DAY)))
    moving = serving(line, "/old", lambda now, _: web.Response(status=301, headers={"Location": "/new"}))
    line.web.pages["/new"] = lambda _: xml(hourly(line.clock()))
    lying = serving(
        line,
        "/lying",  # it says 304 to whatever it is asked with, and its first answer is all that is ever had
        lambda now, request: (
            web.Response(status=304) if "If-None-Match" in request.headers else xml(hourly(now), ETag='"always"')
        ),
    )
    await line.run()
    await live(line, 7 * 24, step=6)
    states = {
        "well": the(line, well).state,
        "dying": the(line, dying).state,
        "gone": the(line, gone).state,
        "quiet": the(line, quiet).state,
        "moving": the(line, moving).state,
        "lying": the(line, lying).state,
    }
    assert states == {
        "well": FeedState.HEALTHY,
        "dying": FeedState.FAILING,
        "gone": FeedState.GONE,
        "quiet": FeedState.QUIET,
        "moving": FeedState.HEALTHY,
        "lying": FeedState.QUIET,
    }
    assert told(line, well) == []
    assert told(line, dying) == [NoticeKind.FAILING]
    assert told(line, gone) == [NoticeKind.GONE]
    assert told(line, quiet) == [NoticeKind.QUIET]
    assert told(line, moving) == [NoticeKind.MOVED, NoticeKind.ADDRESS_LEARNED]
    assert the(line, moving).address == f"{line.web.address}/new"
    await live(line, 30, step=6)
    assert told(line, lying)[-1:] != [], "asked outright after eight days, it has something to say again"
    assert the(line, lying).last_news_at is not None
    assert the(line, lying).last_news_at > NOON + 7 * DAY  # type: ignore[operator]
    line.web.pages["/dying"] = lambda _: xml(hourly(line.clock()))
    await live(line, 26, step=2)
    assert told(line, dying)[-2:] != [NoticeKind.FAILING]
    assert NoticeKind.RECOVERED in told(line, dying)


async def test_a_feed_that_rolls_over_between_polls_opens_a_gap_and_is_polled_sooner(line: Line) -> None:  # noqa: F811
    feed_id = serving(line, "/fast", lambda now, _: xml(hourly(now, keep=6)))
    await line.run()
    before = the(line, feed_id)
    await line.run(after=12 * HOUR)
    after = the(line, feed_id)
    (found,) = line.store.feeds.gaps(feed_id)
    assert (found.gap.since, found.gap.until) == (NOON, NOON + 7 * HOUR)
    assert found.gap.missing == 7
    assert before.pace is not None
    assert after.pace is not None
    assert after.pace < before.pace
    assert told(line, feed_id) == [NoticeKind.GAP]
    assert after.gaps == 1
    await line.run(after=HOUR)
    assert len(line.store.feeds.gaps(feed_id)) == 1


async def test_a_feed_that_changes_all_its_guids_brings_neither_news_nor_a_gap(line: Line) -> None:  # noqa: F811
    items = [story(n, NOON - n * HOUR, link=f"https://example.org/{n}") for n in range(8)]
    url = line.web.feed("/a", *items)
    feed_id = line.add(url)
    await line.run()
    entries = the(line, feed_id).entries
    line.web.feed("/a", *(each.replace(">g", ">https://example.org/#g") for each in items))
    await line.run(after=DAY)
    assert the(line, feed_id).entries == entries == 8
    assert line.store.feeds.gaps(feed_id) == ()


@pytest.mark.parametrize("status", [301, 308])
async def test_permanent_redirects_lead_to_a_feed_at_once(line: Line, status: int) -> None:  # noqa: F811
    feed_id = serving(line, "/old", lambda now, _: web.Response(status=status, headers={"Location": "/new"}))
    line.web.feed("/new", story(1, NOON))
    await line.run()
    assert the(line, feed_id).state is FeedState.MOVED
    assert the(line, feed_id).entries == 1


async def test_a_json_api_is_polled_like_a_feed_and_fails_when_it_changes(line: Line) -> None:  # noqa: F811
    rows = [{"no": n, "title": f"Notice {n}", "url": f"/{n}", "date": "2026-03-02"} for n in range(5)]
    line.web.pages["/api"] = lambda _: web.json_response({"results": rows})
    paths = Paths(items="results", id="no", title="title", link="url", date="date")
    new = NewFeed(url=f"{line.web.address}/api", recipe=paths, full_text=FullText.NEVER)
    feed = line.store.feeds.add(new, now=line.clock())
    assert feed is not None
    await line.run()
    polled = the(line, feed.id)
    assert (polled.recipe, polled.state, polled.entries) == (paths, FeedState.HEALTHY, 5)
    line.web.pages["/api"] = lambda _: web.json_response({"items": rows})
    await line.run(after=DAY)
    assert the(line, feed.id).state is FeedState.FAILING


async def test_a_list_page_is_polled_like_a_feed_and_fails_when_it_is_rebuilt(line: Line) -> None:  # noqa: F811
    rows = "".join(f"<li><time datetime='2026-03-02'></time><a href='/{n}'>Notice {n}</a></li>" for n in range(5))
    url = line.web.page("/list", f"<title>Office</title><ul id='news'>{rows}</ul>")
    new = NewFeed(url=url, recipe=Selectors(item="#news > li", date="time"), full_text=FullText.NEVER)
    feed = line.store.feeds.add(new, now=line.clock())
    assert feed is not None
    await line.run()
    polled = the(line, feed.id)
    assert (polled.title, polled.state, polled.entries) == ("Office", FeedState.HEALTHY, 5)
    line.web.page("/list", "<title>Office</title><main>All new</main>")
    await line.run(after=DAY)
    assert the(line, feed.id).state is FeedState.FAILING
