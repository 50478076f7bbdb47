"""What becomes of feeds over days: dying, moving, quiet, rolling and lying ones, each told as what it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from service.cli import app
from service.domain.model import Feed, FeedState, FullText, NoticeKind, Paths, Selectors
from service.storage.feeds import NewFeed
from tests.conftest import NOON, TEST_KEY
from tests.loopback import item, rss
from tests.test_pipeline import Line, line, rulebook  # noqa: F401  (fixtures)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def story(number: int, when: datetime, *, link: str = "") -> str:
    return item(f"g{number}", f"Notice number {number}", link=link, published=format_datetime(when, usegmt=True))


def hourly(now: datetime, *, keep: int = 10, until: datetime | None = None, every: timedelta = HOUR) -> str:
    """A document with the newest `keep` of the entries that come out every hour (or `every`), none after `until`."""
    newest = int((min(now, until or now) - NOON) / every)
    return rss(*(story(n, NOON + n * every) for n in range(newest, newest - keep, -1)))


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


def week(line: Line) -> dict[str, int]:  # noqa: F811
    """Feeds that publish every four hours for a day, and then each takes its own way."""

    def usual(now: datetime, **changes: Any) -> web.Response:
        return xml(hourly(now, every=4 * HOUR, **changes))

    def after_a_day(path: str, then: Callable[[datetime, web.Request], web.Response]) -> int:
        return serving(line, path, lambda now, asked: usual(now) if now < NOON + DAY else then(now, asked))

    def rolling(now: datetime, _: web.Request) -> web.Response:
        link = "<link xmlns='http://www.w3.org/2005/Atom' rel='prev-archive' href='/all'/>"
        text = hourly(now, every=4 * HOUR, keep=1)
        return xml(text.replace("<description>", link + "<description>", 1) if now >= NOON + 4 * DAY else text)

    line.web.pages["/all"] = lambda _: usual(line.clock(), keep=12)
    line.web.pages["/new"] = lambda _: usual(line.clock())
    login = "<html><head><title>Sign in</title></head><body><form>Please sign in to read this.</form></body></html>"
    return {
        "well": serving(line, "/well", lambda now, _: usual(now)),
        "dying": after_a_day("/dying", lambda *_: web.Response(status=500)),
        "gone": after_a_day("/gone", lambda *_: web.Response(status=410)),
        "asleep": after_a_day("/asleep", lambda *_: usual(NOON + DAY)),
        "moving": serving(line, "/old", lambda *_: web.Response(status=301, headers={"Location": "/new"})),
        "rolling": after_a_day("/rolling", rolling),
        # Lies: 304 to whatever is asked, a page for people with status 200, and dates that are always tomorrow's.
        "unchanged": serving(
            line,
            "/unchanged",
            lambda now, asked: (
                web.Response(status=304) if "If-None-Match" in asked.headers else xml(hourly(now), ETag='"always"')
            ),
        ),
        "sign-in": after_a_day("/sign-in", lambda *_: web.Response(text=login, content_type="text/html")),
        "tomorrow": serving(
            line, "/tomorrow", lambda now, _: xml(rss(*(story(n, NOON + 30 * DAY + n * HOUR) for n in range(6))))
        ),
    }


def health(line: Line, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, dict[str, Any]]]:  # noqa: F811
    """What `policywatch feeds health` says: its exit code, and the story of each feed by its address."""
    monkeypatch.setenv("POLICYWATCH_STORAGE__URL", line.service.settings.storage.url)
    monkeypatch.setenv("POLICYWATCH_SECRETS__KEYS", json.dumps([TEST_KEY.reveal()]))
    (folder / "empty.yaml").write_text("{}\n")
    args = ["feeds", "health", "--days", "3650", "--json", "--config", str(folder / "empty.yaml")]
    done = CliRunner().invoke(app, args)
    return done.exit_code, {row["url"].rpartition("/")[2]: row for row in json.loads(done.stdout)}


# On one engine: what is told is decided above the database, and a week costs seconds.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_week_tells_the_true_story_of_each_feed(
    line: Line,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feeds = week(line)
    await line.run()
    await live(line, 7 * 24, step=8)
    code, stories = await asyncio.to_thread(health, line, tmp_path, monkeypatch)
    assert code == 1, "somebody must look"
    told_of = {
        row["id"]: (row["state"], [each["kind"] for each in reversed(row["notices"])]) for row in stories.values()
    }
    gaps = stories["rolling"]["gaps"]
    assert {name: told_of[id_] for name, id_ in feeds.items() if name != "rolling"} == {
        "well": ("healthy", []),
        "dying": ("failing", ["failing"]),
        "gone": ("gone", ["gone"]),
        "asleep": ("quiet", ["quiet"]),
        "moving": ("healthy", ["moved", "address_learned"]),
        "unchanged": ("quiet", ["quiet"]),
        "sign-in": ("failing", ["failing"]),
        "tomorrow": ("healthy", []),
    }
    assert the(line, feeds["moving"]).address == f"{line.web.address}/new"
    assert (stories["dying"]["reason"], stories["sign-in"]["reason"]) == ("http_status", "not_a_feed")
    assert the(line, feeds["tomorrow"]).last_news_at == NOON, "a date is believed up to the moment at which it was seen"
    # The rolling one lost an entry between every two polls until its archive was there, and none after that.
    assert told_of[feeds["rolling"]][0] == "healthy"
    fates = [gap["fate"] for gap in reversed(gaps)]
    assert set(fates) == {"unfilled", "filled"}
    assert fates == sorted(fates, reverse=True)
    assert {gap["recovered"] for gap in gaps if gap["fate"] == "filled"} == {1}

    # And two weeks on: what was believed too long is asked outright, and what was mended is well again.
    line.web.pages["/dying"] = lambda _: xml(hourly(line.clock()))
    await live(line, 4 * 24, step=12)
    lately = the(line, feeds["unchanged"]).last_news_at
    assert lately is not None
    assert lately > NOON + 7 * DAY
    assert NoticeKind.RECOVERED in told(line, feeds["dying"])


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
    assert told(line, feed_id) == [NoticeKind.GAP, NoticeKind.GAP_CLOSED]
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
