"""The page behind an entry, through the whole line: documents are read, robots.txt is kept to, and both can be seen."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from service.domain.model import FeedState, FetchReason, FullText, PageFate, PageNote, Selectors
from service.storage.feeds import NewFeed
from tests.loopback import item
from tests.test_pdf import GOOD, deflated, pages, stream
from tests.test_pipeline import Line, line, rulebook  # noqa: F401  (fixtures)

HELD = "User-agent: policywatch\nDisallow: /held"
CIRCULAR = pages(
    deflated(
        stream(
            (
                "The People's Bank of China reaffirmed its ban on stablecoins:",
                "issuing stablecoins remains prohibited in China.",
            )
        )
    )
)
PUBLISHED = "Mon, 02 Mar 2026 10:00:00 GMT"


def fate_of(line: Line, link: str) -> PageNote | None:  # noqa: F811
    (entry_id,) = line.store.fates.at(link)
    fate = line.store.fates.get(entry_id)
    assert fate is not None
    return fate.page


async def test_a_document_behind_a_link_is_the_text_of_its_entry(line: Line) -> None:  # noqa: F811
    link = f"{line.web.address}/circular"
    line.web.pages["/circular"] = lambda _: web.Response(body=CIRCULAR, content_type="application/octet-stream")
    line.add(line.web.feed("/a.xml", item("c", "Circular No. 12", link=link, published=PUBLISHED)))
    await line.run()
    (whole,) = line.store.readings.whole(line.store.fates.at(link))
    assert whole.entry.content == (
        "The People’s Bank of China reaffirmed its ban on stablecoins: issuing stablecoins remains prohibited in China."
    )
    assert fate_of(line, link) == PageNote(fate=PageFate.READ)


async def test_a_page_that_robots_txt_withholds_is_not_read_and_says_so(line: Line) -> None:  # noqa: F811
    link = f"{line.web.address}/held/a"
    line.web.pages |= {"/robots.txt": lambda _: web.Response(text=HELD), "/held/a": lambda _: web.Response(body=GOOD)}
    line.add(line.web.feed("/held/a.xml", item("c", "Circular No. 12", link=link, published=PUBLISHED)))
    await line.run()
    note = fate_of(line, link)
    assert note is not None
    assert note.fate is PageFate.ROBOTS
    assert "/held/a" in note.detail
    # The feed itself was given to be polled: no robots.txt is asked about it.
    assert [request.path for request in line.web.asked] == ["/held/a.xml", "/robots.txt"]


async def test_a_list_page_that_robots_txt_withholds_fails_with_that_reason(line: Line) -> None:  # noqa: F811
    line.web.pages["/robots.txt"] = lambda _: web.Response(text=HELD)
    url = line.web.page("/held/list", "<ul>" + "<li><a href='/x'>Notice</a></li>" * 5 + "</ul>")
    new = NewFeed(url=url, recipe=Selectors(item="li"), full_text=FullText.NEVER)
    added = line.store.feeds.add(new, now=line.clock())
    assert added is not None
    await line.run()
    feed = line.store.feeds.get(added.id)
    assert feed is not None
    assert (feed.state, feed.reason) == (FeedState.FAILING, FetchReason.ROBOTS)
    line.web.pages["/robots.txt"] = lambda _: web.Response(status=404)
    await line.run(after=timedelta(days=2))
    again = line.store.feeds.get(added.id)
    assert again is not None
    assert again.state is FeedState.HEALTHY


async def test_one_feed_told_to_wait_holds_back_its_whole_host(line: Line) -> None:  # noqa: F811
    busy = line.add(f"{line.web.address}/busy")
    well = line.add(line.web.feed("/well", item("w", "Well", published=PUBLISHED)))
    line.web.pages["/busy"] = lambda _: web.Response(status=429, headers={"Retry-After": "3600"})
    await line.run()
    states = {id_: line.store.feeds.get(id_) for id_ in (busy, well)}
    assert [request.path for request in line.web.asked] == ["/busy"]
    assert states[busy].state is FeedState.LIMITED  # type: ignore[union-attr]
    held = states[well]
    assert held is not None
    assert held.state is FeedState.NEW
    assert "leave it alone" in (held.problem or "")
    assert held.next_due_at - line.clock() >= timedelta(hours=1)
    # At the end of the wait the one held back comes first: the other may be told to wait for ever.
    await line.run(after=timedelta(hours=1, minutes=1))
    assert [request.path for request in line.web.asked] == ["/busy", "/well"]
    await line.run(after=timedelta(minutes=5))
    assert [request.path for request in line.web.asked][2] == "/busy"
