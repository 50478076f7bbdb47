"""The demo's little world on loopback: three news sites with feeds and article pages, and a webhook's receiver."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from importlib.resources import files

from aiohttp import web

from service.documents import parse_yaml
from service.domain.document import Node

LANGUAGES = ("en", "zh", "ko")
_MORE = {"en": "More to Read", "zh-Hans": "相关阅读", "ko": "관련 기사"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One article of an example site. `event` names what it reports; None for one that must raise nothing."""

    slug: str
    event: str | None
    hours_ago: float
    title: str
    summary: str
    body: tuple[str, ...]
    more: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An example news site: a feed with summaries, and a page for each article."""

    name: str
    title: str
    language: str
    articles: tuple[Article, ...]


def load_sites() -> tuple[Site, ...]:
    """The bundled sites."""
    folder = files("service.demo")
    return tuple(_site(name, (folder / f"{name}.yaml").read_bytes()) for name in LANGUAGES)


def _site(name: str, raw: bytes) -> Site:
    root = parse_yaml(raw, shown=f"demo/{name}.yaml")
    entries = root.get("entries")
    articles = [_article(node) for node in (entries.items if entries else None) or ()]
    return Site(name=name, title=_text(root, "title"), language=_text(root, "language"), articles=tuple(articles))


def _article(node: Node) -> Article:
    hours, event = node.get("hours_ago"), node.get("event")
    return Article(
        slug=_text(node, "slug"),
        event=event.text if event else None,
        hours_ago=float(hours.value) if hours and isinstance(hours.value, (int, float)) else 0.0,
        title=_text(node, "title"),
        summary=_text(node, "summary"),
        body=_texts(node, "body"),
        more=_texts(node, "more"),
    )


def _text(node: Node, key: str) -> str:
    child = node.get(key)
    return (child.text if child else None) or ""


def _texts(node: Node, key: str) -> tuple[str, ...]:
    child = node.get(key)
    return tuple(item.text or "" for item in (child.items if child else None) or ())


class World:
    """Serves the sites, and keeps what the webhook received in `received` as (headers, payload)."""

    def __init__(self, sites: Sequence[Site], *, now: datetime, port: int = 0) -> None:
        self._sites = {site.name: site for site in sites}
        self._now = now
        self._port = port
        self.received: asyncio.Queue[tuple[dict[str, str], dict[str, object]]] = asyncio.Queue()

    async def start(self) -> str:
        """Listen on loopback (port 0 takes a free one); gives the address."""
        app = web.Application()
        app.router.add_get("/{site}/feed.xml", self._feed)
        app.router.add_get("/{site}/{slug}.html", self._page)
        app.router.add_post("/hook", self._hook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.address

    @property
    def feeds(self) -> list[str]:
        """The addresses of the sites' feeds, once it listens."""
        return [f"{self.address}/{name}/feed.xml" for name in self._sites]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _feed(self, request: web.Request) -> web.Response:
        site = self._sites.get(request.match_info["site"])
        if site is None:
            raise web.HTTPNotFound
        return web.Response(body=feed_xml(site, self.address, self._now).encode(), content_type="application/rss+xml")

    async def _page(self, request: web.Request) -> web.Response:
        site = self._sites.get(request.match_info["site"])
        for article in site.articles if site else ():
            if site and article.slug == request.match_info["slug"]:
                return web.Response(text=page_html(site, article), content_type="text/html")
        raise web.HTTPNotFound

    async def _hook(self, request: web.Request) -> web.Response:
        await self.received.put(({k.lower(): v for k, v in request.headers.items()}, json.loads(await request.read())))
        return web.Response(status=204)


def feed_xml(site: Site, address: str, now: datetime) -> str:
    """The site's RSS 2.0 document: summaries only, so that the pages are needed."""
    items = []
    for article in site.articles:
        link = f"{address}/{site.name}/{article.slug}.html"
        published = format_datetime(now - timedelta(hours=article.hours_ago))
        items.append(
            f"<item><title>{html.escape(article.title)}</title><link>{link}</link><guid>{link}</guid>"
            f"<pubDate>{published}</pubDate><description>{html.escape(article.summary)}</description></item>"
        )
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>'
        f"<title>{html.escape(site.title)}</title><link>{address}/{site.name}/</link>"
        f"<description>{html.escape(site.title)}</description><language>{site.language}</language>"
        f"{''.join(items)}</channel></rss>"
    )


def page_html(site: Site, article: Article) -> str:
    """An article page as news sites build it: menu, article, share line, and other stories below."""
    paragraphs = "".join(f"<p>{html.escape(text)}</p>" for text in article.body)
    teasers = "".join(f'<li><a href="#"><h3>{html.escape(text)}</h3></a></li>' for text in article.more)
    others = "".join(f"<li><a href='#'>{html.escape(a.title)}</a></li>" for a in site.articles[:5] if a != article)
    return (
        f"<!doctype html><html lang='{site.language}'><head><meta charset='utf-8'>"
        f"<title>{html.escape(article.title)} | {html.escape(site.title)}</title></head><body>"
        f"<header><nav><a href='#'>{html.escape(site.title)}</a></nav></header>"
        f"<main><article><h1>{html.escape(article.title)}</h1>{paragraphs}</article>"
        f"<section class='more'><h2>{_MORE.get(site.language, 'More to Read')}</h2><ul>{teasers}</ul></section></main>"
        f"<aside><ul>{others}</ul></aside><footer>© {html.escape(site.title)}</footer></body></html>"
    )
