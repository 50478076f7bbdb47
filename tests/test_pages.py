"""Pages of told reports, looked at again: what is taken back is retracted, and nothing else is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from service.app import Service
from service.config import Rulebook
from service.domain.model import FullText
from service.storage.feeds import NewFeed
from tests.conftest import Clock
from tests.line import Line, only_rules, settings_of
from tests.loopback import Web, item

HOUR = timedelta(hours=1)
NOTICE = "This report has been withdrawn"
TAKEN_BACK = "The report on stablecoins was published in error, and we apologise to our readers. " * 5
OTHER_WORDS = "Shops may no longer take tokens that are tied to the dollar, the monetary authority has decided. " * 9


@pytest.fixture(scope="session")
def page_rules(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    return only_rules(tmp_path_factory.mktemp("rules") / "rules.yaml", "- {id: bans, match: stablecoin + ban}")


@pytest.fixture
async def line(database_url: str, page_rules: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    settings = settings_of(database_url)
    feeds = settings.feeds.model_copy(update={"look_again": (HOUR, HOUR * 6)})
    service = Service(settings.model_copy(update={"feeds": feeds}), rulebook=page_rules, now=clock, chance=lambda: 0.5)
    await service.start()
    async with Web() as served:
        line = Line(service, clock, served)
        line.subscribe()
        yield line
        await service.stop()


def html(title: str, text: str) -> str:
    return f"<html><body><article><h1>{title}</h1><p>{text}</p></article></body></html>"


class Desk:
    """Reports, each of its own country's ban, with a page on this web."""

    def __init__(self, line: Line) -> None:
        self._line, self._items = line, list[str]()

    def report(self, country: str, *, page: bool = True) -> str:
        """Gives the path of the page, which is there if it is asked to be."""
        title, path = f"{country} bans stablecoin payments", f"/{country}.html"
        if page:
            self._line.web.page(path, html(title, f"The central bank of {country} banned stablecoin payments. " * 12))
        when = format_datetime(self._line.clock())
        self._items.append(item(country, title, link=self._line.web.address + path, published=when))
        return path

    async def publish(self) -> None:
        feed = self._line.web.feed("/desk.xml", *self._items)
        self._line.store.feeds.add(NewFeed(url=feed), now=self._line.clock())
        await self._line.run()

    def heard(self) -> dict[str, list[str]]:
        """What the reader heard after each alert: the reasons of its updates."""
        found: dict[str, list[str]] = defaultdict(list)
        for payload in self._line.web.payloads():
            country = payload["data"]["title"].split()[0]
            found[country] += [update["reason"] for update in payload["data"].get("updates", ())]
        return dict(found)

    def looks(self, path: str) -> int:
        return sum(request.path == path for request in self._line.web.asked)


async def test_what_is_taken_back_is_retracted_and_nothing_else_is(line: Line) -> None:
    """One desk, six pages: withdrawn, lost, never there, vouched for by somebody else, made a notice, and standing."""
    desk = Desk(line)
    withdrawn, lost, vouched = desk.report("Peru"), desk.report("Ghana"), desk.report("Kenya")
    never, notice, stands = desk.report("Chile", page=False), desk.report("Nepal"), desk.report("Norway")
    await desk.publish()
    when = format_datetime(line.clock())
    second = item("b", "Kenya bans stablecoin payments", text=OTHER_WORDS, link="https://b.example/", published=when)
    feed = NewFeed(url=line.web.feed("/second.xml", second), full_text=FullText.NEVER)
    line.store.feeds.add(feed, now=line.clock())
    await line.run()
    assert {country: len(heard) for country, heard in desk.heard().items()} == dict.fromkeys(
        ("Peru", "Ghana", "Kenya", "Chile", "Nepal", "Norway"), 0
    )

    line.web.pages[withdrawn] = line.web.pages[vouched] = lambda _: web.Response(status=410)
    del line.web.pages[lost]
    line.web.page(notice, html(NOTICE, f"{NOTICE}. {TAKEN_BACK}"))
    await line.run(HOUR)
    retracted = {"Peru": ["retraction"], "Nepal": ["retraction"], "Kenya": [], "Chile": [], "Norway": []}
    assert desk.heard() == retracted | {"Ghana": []}, "one 404 may be a site under repair"
    await line.run(HOUR / 2)
    assert desk.heard() == retracted | {"Ghana": ["retraction"]}

    for _ in range(3):
        await line.run(HOUR * 12)
    assert desk.heard() == retracted | {"Ghana": ["retraction"]}
    assert {path: desk.looks(path) for path in (withdrawn, lost, never, notice, stands)} == {
        withdrawn: 2, lost: 3, never: 2, notice: 2, stands: 3,
    }  # fmt: skip
