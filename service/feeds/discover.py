"""A site's address -> what could be polled there: feeds it links to, feeds at common places, sitemaps, lists of news.

Everything is fetched by the one guarded fetcher and read in the sandbox; what is proposed was tried before.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urljoin, urlsplit

from service.domain.model import Failed, Fetched, FetchResult, ParsedFeed, ServiceError
from service.feeds import clean
from service.feeds.fetch import Fetcher
from service.feeds.found import Found, Way
from service.feeds.jsonapi import propose_paths
from service.feeds.listing import html_tree, propose
from service.feeds.parse import parse_feed
from service.feeds.robots import Robots
from service.sandbox import Sandbox

FEED_TYPES = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml", "text/rss"}
)
COMMON_PATHS = ("/feed", "/rss", "/rss.xml", "/feed.xml", "/atom.xml", "/index.xml", "/feed.json", "/news/rss")
SITEMAPS = ("/news-sitemap.xml", "/sitemap-news.xml", "/sitemap.xml")
MOST_TRIED = 12
"""Addresses asked of one site, the page itself aside."""

_HINTS = ("rss", "atom", "/feed", "feed.", "feeds.")


async def discover(url: str, fetcher: Fetcher, sandbox: Sandbox, *, now: datetime) -> tuple[Found, ...]:
    """What can be polled at and around `url`, the best first. ServiceError when the address itself brings nothing.

    Common places are tried only when the page links to no feed, sitemaps and lists only when those bring none.
    """
    page = await fetcher.get(url, now=now)
    if not isinstance(page, Fetched):
        raise ServiceError(f"{url} cannot be fetched: {_why(page)}")
    if (itself := await _tried(page, Way.ITSELF, sandbox)) is not None:
        return (itself,)
    if is_json(page.body):
        return await _json_lists(page, sandbox)
    linked = await sandbox.run(feed_links, page.body, content_type=page.content_type, url=page.url)
    root = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
    rounds = ((Way.LINKED, linked), (Way.COMMON_PATH, [root + path for path in COMMON_PATHS]))
    for way, addresses in rounds:
        if found := await _all_tried(addresses[:MOST_TRIED], way, fetcher, sandbox, now=now):
            return found
    named = await Robots(fetcher, sandbox).sitemaps(page.url, now=now)
    sitemaps = list(dict.fromkeys((*named, *(root + path for path in SITEMAPS))))
    found = await _all_tried(sitemaps, Way.SITEMAP, fetcher, sandbox, now=now)
    return (*await _lists(page, sandbox), *found)


async def _all_tried(
    addresses: list[str], way: Way, fetcher: Fetcher, sandbox: Sandbox, *, now: datetime
) -> tuple[Found, ...]:
    found: dict[str, Found] = {}
    for address in addresses:
        answer = await fetcher.get(address, now=now)
        if isinstance(answer, Fetched) and (tried := await _tried(answer, way, sandbox)) is not None:
            found.setdefault(answer.url, tried)
    return tuple(found.values())


async def _tried(answer: Fetched, way: Way, sandbox: Sandbox) -> Found | None:
    try:
        parsed: ParsedFeed | Failed = await sandbox.run(
            parse_feed, answer.body, content_type=answer.content_type, url=answer.url
        )
    except ServiceError:
        return None
    if isinstance(parsed, Failed) or (way is not Way.ITSELF and not parsed.entries):
        return None
    titles = tuple(entry.title for entry in parsed.entries[:3])
    return Found(url=answer.url, way=way, title=parsed.title, entries=len(parsed.entries), titles=titles)


async def _lists(page: Fetched, sandbox: Sandbox) -> tuple[Found, ...]:
    try:
        proposals = await sandbox.run(propose, page.body, content_type=page.content_type, url=page.url)
    except ServiceError:
        return ()
    return tuple(
        Found(url=page.url, way=Way.LIST, title="", entries=p.items, titles=p.titles, recipe=p.selectors)
        for p in proposals
    )


async def _json_lists(page: Fetched, sandbox: Sandbox) -> tuple[Found, ...]:
    try:
        proposals = await sandbox.run(propose_paths, page.body, content_type=page.content_type, url=page.url)
    except ServiceError:
        return ()
    return tuple(
        Found(url=page.url, way=Way.JSON, title="", entries=p.items, titles=p.titles, recipe=p.paths) for p in proposals
    )


def is_json(body: bytes) -> bool:
    """Whether a body begins as a JSON document of objects or lists does."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def feed_links(body: bytes, *, content_type: str, url: str) -> list[str]:
    """The feeds that a page names: by link tags first (rel=alternate), then by links that look like one."""
    tree = html_tree(body, content_type)
    if tree is None:
        return []
    base = next((urljoin(url, each.get("href") or "") for each in tree.iter("base")), url)
    named = [
        each.get("href") or ""
        for each in tree.iter("link")
        if "alternate" in (each.get("rel") or "").lower().split() and _is_feed_type(each.get("type") or "")
    ]
    links = (each.get("href") or "" for each in tree.iter("a"))
    hinted = [href for href in links if any(hint in href.lower() for hint in _HINTS)]
    absolute = (clean.web_link(href, base) for href in (*named, *hinted))
    return list(dict.fromkeys(link for link in absolute if link is not None))


def _is_feed_type(said: str) -> bool:
    return said.partition(";")[0].strip().lower() in FEED_TYPES


def _why(result: FetchResult) -> str:
    return result.detail if isinstance(result, Failed) else f"the server answered {type(result).__name__}"
