"""A feed's past, newest first: the pages of its archive (RFC 5005), and its site's sitemaps where it has none.

Asked only when entries may have been lost; every address goes through the one guarded fetcher.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from service.domain.credentials import Credentials
from service.domain.model import Failed, Fetched, ParsedFeed, ServiceError
from service.feeds.discover import SITEMAPS
from service.feeds.fetch import Fetcher
from service.feeds.parse import parse_feed
from service.feeds.robots import Robots
from service.sandbox import Sandbox

MOST_PAGES = 10
"""Archive pages that one gap may cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One document of a feed's past; `trouble` says why it could not be had, and then there is no document."""

    url: str
    document: ParsedFeed | None = None
    trouble: str = ""


class Archive:
    """Fetches and parses the past of a feed."""

    def __init__(self, fetcher: Fetcher, sandbox: Sandbox, robots: Robots) -> None:
        self._fetcher = fetcher
        self._sandbox = sandbox
        self._robots = robots

    async def pages(self, url: str, *, now: datetime, credentials: Credentials | None = None) -> AsyncIterator[Past]:
        """The feed's document as it is, and the pages that each names as the one before it (`prev-archive`, `next`)."""
        seen: set[str] = set()
        address: str | None = url
        while address is not None and address not in seen and len(seen) <= MOST_PAGES:
            seen.add(address)
            past = await self._read(address, now, credentials)
            yield past
            address = past.document.older if past.document is not None else None

    async def sitemaps(self, url: str, *, now: datetime) -> AsyncIterator[Past]:
        """The sitemaps of the feed's site that could be had: those that it names, then those at common places."""
        parts = urlsplit(url)
        common = (f"{parts.scheme}://{parts.netloc}{path}" for path in SITEMAPS)
        for address in dict.fromkeys((*await self._robots.sitemaps(url, now=now), *common)):
            past = await self._read(address, now)
            if past.document is not None:
                yield past

    async def _read(self, url: str, now: datetime, credentials: Credentials | None = None) -> Past:
        answer = await self._fetcher.get(url, now=now, credentials=credentials)
        if not isinstance(answer, Fetched):
            said = answer.detail if isinstance(answer, Failed) else f"the server answered {type(answer).__name__}"
            return Past(url=url, trouble=said)
        try:
            parsed = await self._sandbox.run(parse_feed, answer.body, content_type=answer.content_type, url=answer.url)
        except ServiceError as exc:
            return Past(url=url, trouble=str(exc))
        if isinstance(parsed, Failed):
            return Past(url=url, trouble=parsed.detail)
        return Past(url=answer.url, document=parsed)
