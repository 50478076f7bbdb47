"""A web on loopback for tests: sites that a test writes, and a webhook receiver that remembers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

Answer = web.Response | Callable[[web.Request], web.Response]


def rss(*items: str, title: str = "Test feed") -> str:
    """An RSS 2.0 document."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>{title}</title>'
        f"<link>https://example.org/</link><description>d</description>{''.join(items)}</channel></rss>"
    )


def item(guid: str, title: str, *, text: str = "", link: str = "", published: str = "") -> str:
    """One item; `text` is its description."""
    return (
        f"<item><title>{title}</title><guid isPermaLink='false'>{guid}</guid><description>{text}</description>"
        + (f"<link>{link}</link>" if link else "")
        + (f"<pubDate>{published}</pubDate>" if published else "")
        + "</item>"
    )


@dataclass
class Web:
    """`pages` maps a path to its answer and may change at any time; what is POSTed is kept in `received`,
    and answered by `posts` where that knows the path, else with the status of `verdict`."""

    pages: dict[str, Answer] = field(default_factory=dict)
    posts: dict[str, web.Response] = field(default_factory=dict)
    asked: list[web.BaseRequest] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    verdict: Callable[[int], int] = lambda _: 204

    async def __aenter__(self) -> Web:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, t: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def feed(self, path: str, *items: str, title: str = "Test feed") -> str:
        """Publish an RSS document; gives its address."""
        self.pages[path] = lambda _: web.Response(body=rss(*items, title=title).encode(), content_type="text/xml")
        return self.address + path

    def page(self, path: str, html: str) -> str:
        self.pages[path] = lambda _: web.Response(text=html, content_type="text/html")
        return self.address + path

    def payloads(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            self.received.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
            answer = self.posts.get(request.path)
            return answer if isinstance(answer, web.Response) else web.Response(status=self.verdict(len(self.received)))
        self.asked.append(request)
        answer = self.pages.get(request.path)
        if answer is None:
            return web.Response(status=404)
        return answer(request) if callable(answer) else answer
