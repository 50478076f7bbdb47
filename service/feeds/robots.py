"""What a site's robots.txt lets us read (RFC 9309), asked before a page is fetched; never for a feed.

A feed's address was given to be polled; the pages behind its entries, and pages that only list news, were not. How
long to pause between two requests it may say too, and where the site's sitemaps are.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from service.domain.model import Busy, Failed, Fetched, FetchReason, FetchResult, Gone, ServiceError
from service.feeds import clean
from service.feeds.fetch import Fetcher
from service.sandbox import Sandbox

AGENT = "policywatch"
"""The product token that rules for us are written under."""

MOST_READ = 500 * 1024
"""Bytes of a robots.txt that are looked at (section 2.5 asks for 500 KiB at least)."""

KEPT_FOR = timedelta(hours=24)
ASKED_AGAIN = timedelta(minutes=10)
"""A file that cannot be had is asked for again after this long; until then nothing is read (section 2.3.1.4)."""

GIVEN_UP_AFTER = timedelta(days=30)
"""A file that could not be had for so long counts as one that is not there (section 2.3.1.4)."""

MOST_KEPT = 8 * 1024 * 1024
"""Bytes of robots.txt kept in memory, those longest unused going first."""

PATIENCE = timedelta(seconds=5)
"""How long a page waits for its site's file, the host's turn included."""

MOST_DELAY = 30.0
"""Seconds between two requests that a Crawl-delay gets us to leave at most."""

MOST_SITEMAPS = 5
"""Sitemaps of one site that are looked at."""

_HOST_COSTS = 1024
_FREE: bytes = b""
"""The rules of a site that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """A site's file as it was had; `body` None: it cannot be had, and nothing may be read."""

    body: bytes | None
    problem: str
    until: datetime
    lost_since: datetime | None = None


class Robots:
    """Answers whether a page may be read; each site's file is asked for once a day."""

    def __init__(self, fetcher: Fetcher, sandbox: Sandbox) -> None:
        self._fetcher = fetcher
        self._sandbox = sandbox
        self._kept: OrderedDict[str, _Rules] = OrderedDict()
        self._asking: dict[str, asyncio.Task[_Rules]] = {}

    async def refusal(self, url: str, *, now: datetime) -> Failed | None:
        """Why `url` may not be read (reason ROBOTS), or None when it may."""
        site, parts = _site(url), urlsplit(url)
        rules = await self._rules(site, now)
        if rules.body is None:
            said = f"robots.txt of {site} cannot be had ({rules.problem}), so its pages are left alone"
            return Failed(url=url, reason=FetchReason.ROBOTS, detail=said)
        try:
            wished = await self._sandbox.run(wishes, rules.body, url) if rules.body else Wishes(may=True)
            if wished.may:
                self._fetcher.leave_gap(url, wished.delay, now=now)
                return None
            said = f"robots.txt of {site} asks {AGENT} not to read {(parts.path or '/')[:200]}"
        except ServiceError as exc:
            said = f"robots.txt of {site} cannot be read: {exc}"
        return Failed(url=url, reason=FetchReason.ROBOTS, detail=said)

    async def sitemaps(self, url: str, *, now: datetime) -> tuple[str, ...]:
        """The addresses of the sitemaps that the site of `url` names in its robots.txt, those of news first."""
        rules = await self._rules(_site(url), now)
        if not rules.body:
            return ()
        try:
            return await self._sandbox.run(named_sitemaps, rules.body, _site(url))
        except ServiceError:
            return ()

    async def _rules(self, site: str, now: datetime) -> _Rules:
        """The rules as kept, or asked for: once, however many pages of the site wait for them."""
        kept = self._kept.get(site)
        if kept is not None and now < kept.until:
            self._kept.move_to_end(site)
            return kept
        task = self._asking.get(site)
        if task is None:
            task = self._asking[site] = asyncio.create_task(self._ask(site, kept, now))
            task.add_done_callback(lambda _: self._asking.pop(site, None))
        return await asyncio.shield(task)

    async def _ask(self, site: str, before: _Rules | None, now: datetime) -> _Rules:
        url = f"{site}/robots.txt"
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                answer = await self._fetcher.get(url, now=now)
        except TimeoutError:
            answer = Failed(url=url, reason=FetchReason.TIMEOUT, detail="it did not come in time")
        rules = _from(answer, before, now)
        self._kept[site] = rules
        self._kept.move_to_end(site)
        while sum(_HOST_COSTS + len(each.body or b"") for each in self._kept.values()) > MOST_KEPT:
            self._kept.popitem(last=False)
        return rules


def _site(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _from(answer: FetchResult, before: _Rules | None, now: datetime) -> _Rules:
    """What an answer to the question for robots.txt means (section 2.3.1)."""
    problem = ""
    match answer:
        case Fetched(body=body):
            return _Rules(body=body[:MOST_READ], problem="", until=now + KEPT_FOR)
        case Failed(reason=FetchReason.EMPTY) | Failed(reason=FetchReason.TOO_MANY_REDIRECTS) | Gone():
            return _Rules(body=_FREE, problem="", until=now + KEPT_FOR)
        case Failed(status=status) if status is not None and 400 <= status < 500:
            return _Rules(body=_FREE, problem="", until=now + KEPT_FOR)
        case Failed(detail=detail):
            problem = detail
        case Busy():
            problem = "its host has no time for us"
        case other:
            problem = f"the server answered {type(other).__name__}"
    since = (before.lost_since if before else None) or now
    kept = before.body if before else None
    if kept is None and now - since > GIVEN_UP_AFTER:
        kept = _FREE
    return _Rules(body=kept, problem=problem, until=now + ASKED_AGAIN, lost_since=since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a robots.txt says of one address: whether it may be read, and the seconds to leave between two requests."""

    may: bool
    delay: float = 0.0


def wishes(body: bytes, url: str) -> Wishes:
    """The rules in `body` for our name, else those for everybody, the longest pattern that fits deciding (section
    2.2). Crawl-delay is no part of the RFC, and kept to as long as it asks for no more than MOST_DELAY. For a sandbox
    child."""
    rules = _parsed(body)
    return Wishes(may=rules.can_fetch(url, AGENT), delay=min(rules.crawl_delay(AGENT) or 0.0, MOST_DELAY))


def named_sitemaps(body: bytes, site: str) -> tuple[str, ...]:
    """The sitemaps that a robots.txt names, whoever it speaks to (sitemaps.org), those of news first. For a child."""
    links = (clean.web_link(each, site) for each in _parsed(body).sitemaps)
    found = dict.fromkeys(link for link in links if link is not None)
    return tuple(sorted(found, key=lambda link: "news" not in link.lower()))[:MOST_SITEMAPS]


def _parsed(body: bytes) -> Any:
    from protego import Protego  # needed in the child process only  # noqa: PLC0415

    return Protego.parse(body.decode("utf-8-sig", "replace"))
