"""Gaps are looked into: the archive, then the sitemap; what is found is news with its true date, and it is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from sqlalchemy import select

from service.domain.gaps import MAX_ATTEMPTS, RETRY_AFTER, Older, Search, closing, joins, lost, scope_of
from service.domain.model import EntryState, FeedGap, FullText, Gap, GapFate, NoticeKind, ParsedEntry
from service.storage.feeds import NewFeed
from service.storage.tables import EntryRow
from tests.conftest import NOON
from tests.loopback import Answer, item, rss
from tests.test_pipeline import Line, line, rulebook  # noqa: F401  (fixtures)

HOUR = timedelta(hours=1)
GAP = Gap(since=NOON, until=NOON + 10 * HOUR, missing=9)


def at(number: int) -> datetime:
    return NOON + number * HOUR


def story(line: Line, number: int) -> str:  # noqa: F811
    link = f"{line.web.address}/press/{number}"
    return item(f"g{number}", f"Notice number {number}", link=link, published=format_datetime(at(number), usegmt=True))


def document(line: Line, first: int, last: int, *, older: str = "") -> web.Response:  # noqa: F811
    """The entries from `first` down to `last`, with a link to the archive page before it."""
    text = rss(*(story(line, n) for n in range(first, last - 1, -1)))
    link = f"<link xmlns='http://www.w3.org/2005/Atom' rel='prev-archive' href='{older}'/>" if older else ""
    return web.Response(
        body=text.replace("<description>d", link + "<description>d", 1).encode(), content_type="text/xml"
    )


async def rolled_over(line: Line, older: str = "") -> FeedGap:  # noqa: F811
    """A feed that keeps six entries, an entry an hour, polled at noon and at midnight; gives its gap as it ends."""
    line.web.pages["/fast"] = lambda _: document(line, 0, -5)
    feed = line.store.feeds.add(NewFeed(url=f"{line.web.address}/fast", full_text=FullText.NEVER), now=line.clock())
    assert feed is not None
    await line.run()
    line.web.pages["/fast"] = lambda _: document(line, 12, 7, older=older)
    await line.run(after=12 * HOUR)
    (gap,) = line.store.feeds.gaps(feed.id)
    return gap


def stored(line: Line) -> dict[str, EntryRow]:  # noqa: F811
    with line.store.database.read() as session:
        return {row.title: row for row in session.execute(select(EntryRow)).scalars()}


async def test_an_archive_that_joins_up_fills_the_gap(line: Line) -> None:  # noqa: F811
    line.web.pages |= {
        "/archive/2": lambda _: document(line, 6, 3, older="/archive/1"),
        "/archive/1": lambda _: document(line, 2, -1, older="/archive/0"),
        "/archive/0": lambda _: document(line, -2, -8),
    }
    line.subscribe()
    gap = await rolled_over(line, "/archive/2")
    assert (gap.fate, gap.recovered) == (GapFate.FILLED, 6)
    assert "/archive/0" not in [request.path for request in line.web.asked]
    rows = stored(line)
    assert len(rows) == 18
    for number in range(1, 7):
        row = rows[f"Notice number {number}"]
        assert (row.published, row.state) == (at(number), EntryState.DONE)
    # Whoever subscribes hears of the gap and of its end, in one message.
    assert line.web.payloads() == []
    await line.run(after=timedelta(minutes=1))
    (told,) = line.web.payloads()
    assert told["type"] == "feed.notice"
    assert [report["kind"] for report in told["data"]["reports"]] == [NoticeKind.GAP, NoticeKind.GAP_CLOSED]
    assert "6 entries recovered" in told["data"]["reports"][1]["detail"]


async def test_a_sitemap_fills_what_an_archive_cannot(line: Line) -> None:  # noqa: F811
    rows = [(f"press/{n}", at(n)) for n in range(12, -3, -1)] + [("sport/1", at(4)), ("press/old", at(-900))]

    def a_map(*rows: tuple[str, datetime]) -> Answer:
        urls = "".join(
            f"<url><loc>{line.web.address}/{p}</loc><lastmod>{w.isoformat()}</lastmod></url>" for p, w in rows
        )
        xml = f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{urls}</urlset>"
        return lambda _: web.Response(text=xml, content_type="text/xml")

    line.web.pages["/robots.txt"] = lambda _: web.Response(text="Sitemap: /maps/own.xml")
    line.web.pages |= {"/maps/own.xml": a_map(*rows[:8]), "/sitemap.xml": a_map(*rows[8:])}
    gap = await rolled_over(line)
    assert (gap.fate, gap.recovered) == (GapFate.FILLED, 6)
    assert not any("sport" in row.link for row in stored(line).values())


async def test_a_site_in_trouble_is_asked_three_times(line: Line) -> None:  # noqa: F811
    line.web.pages["/archive/2"] = lambda _: web.Response(status=500)
    gap = await rolled_over(line, "/archive/2")
    assert (gap.fate, gap.attempts) == (GapFate.OPEN, 1)
    await line.run(after=HOUR)
    line.web.pages["/archive/2"] = lambda _: document(line, 6, -2)
    await line.run(after=HOUR)
    (gap,) = line.store.feeds.gaps(gap.feed_id)
    assert (gap.fate, gap.attempts, gap.recovered) == (GapFate.FILLED, 3, 6)


# --- decisions ------------------------------------------------------------------------------------------------------


def entry(number: int, *, dated: bool = True, folder: str = "press") -> ParsedEntry:
    link = f"https://gov.example/{folder}/{number}"
    return ParsedEntry(guid=str(number), link=link, published=at(number) if dated else None)


def numbers(found: tuple[ParsedEntry, ...]) -> list[int]:
    return [int(each.guid or 0) for each in found]


def test_what_stands_before_the_first_known_entry_is_lost() -> None:
    undated = tuple(entry(n, dated=False) for n in (5, 4, 3, 2, 1))
    assert numbers(lost(Older(entries=undated, stored=frozenset({0, 3}), before=frozenset({3})), GAP)) == [4, 3]


def test_what_is_older_than_the_gap_is_not_of_it() -> None:
    older = Older(entries=(entry(3), entry(-100)))
    assert numbers(lost(older, GAP)) == [3]
    assert joins(older, GAP)
    assert not joins(Older(entries=(entry(3), entry(4, dated=False))), GAP)


def test_a_sitemap_must_say_when_and_where() -> None:
    found = Older(entries=(entry(5), entry(4, dated=False), entry(3, folder="sport"), entry(90)), ordered=False)
    assert numbers(lost(found, GAP, "gov.example/press/")) == [5]


@pytest.mark.parametrize(
    ("links", "scope"),
    [
        (["https://a.example/press/2026/1", "https://A.example/press/2025/2"], "a.example/press/"),
        (["https://a.example/press/1", "https://a.example/news/2"], None),
        (["https://a.example/1", "https://b.example/1"], None),
        (["https://a.example/", ""], None),
        ([], None),
    ],
)
def test_where_a_feed_publishes(links: list[str], scope: str | None) -> None:
    assert scope_of(links) == scope


@pytest.mark.parametrize(
    ("search", "attempts", "fate"),
    [
        pytest.param(Search(joined=True), 1, GapFate.FILLED, id="nothing-was-missing"),
        pytest.param(Search(found=(entry(1),), joined=True, trouble="later"), 1, GapFate.FILLED, id="joins-up"),
        pytest.param(Search(found=(entry(1),)), 1, GapFate.PARTLY, id="does-not-reach-back"),
        pytest.param(Search(), 1, GapFate.UNFILLED, id="nothing-on-offer"),
        pytest.param(Search(found=(entry(1),), trouble="500"), 1, GapFate.OPEN, id="to-be-tried-again"),
        pytest.param(Search(trouble="500"), MAX_ATTEMPTS, GapFate.UNFILLED, id="tried-often-enough"),
        pytest.param(Search(found=(entry(1),), trouble="500"), MAX_ATTEMPTS, GapFate.PARTLY, id="what-there-was"),
    ],
)
def test_what_becomes_of_a_gap(search: Search, attempts: int, fate: GapFate) -> None:
    close = closing(search, FeedGap(id=1, feed_id=1, opened_at=at(12), gap=GAP, attempts=attempts), at(13))
    assert (close.fate, close.again_at) == (fate, at(13) + RETRY_AFTER)
    assert (search.trouble in close.detail) is True
