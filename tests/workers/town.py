"""The world around many workers, on loopback: feeds on hosts of their own and one webhook. It knows what it published,
who asked for it, and what it was told.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime
from time import monotonic
from types import TracebackType

from aiohttp import web

from tests.crash.news import Event, events

HOSTS = 400


class Town:
    """Serves while its `with` block lasts."""

    def __init__(self, feeds: int, *, now: Callable[[], datetime], answers_after: timedelta = timedelta(0)) -> None:
        self.feeds = feeds
        self._now = now
        self.expected: set[str] = set()
        """The events that somebody must be told of, by id."""
        self.heard: dict[str, set[str]] = defaultdict(set)
        """By event, the ids of the messages that told of it."""
        self.accepted: Counter[str] = Counter()
        """How often each message was accepted."""
        self.polled_at: dict[str, float] = {}
        """When each worker polled last, by the name that it gives."""
        self.polls = 0
        self._answers_after = answers_after.total_seconds()
        self._events = events()
        self._items: dict[int, list[tuple[str, str, str, str]]] = defaultdict(list)
        self._lock = threading.Lock()
        self._next = 0

    # --- publishing -------------------------------------------------------------------------------------------

    def publish(self, feed: int, *, twice: bool = False) -> Event:
        """An event in a feed; with `twice` another feed reports it too, in other words."""
        event = next(self._events)
        with self._lock:
            self.expected.add(event.id)
            for number, where in enumerate([feed, feed + 1] if twice else [feed]):
                self._items[where % self.feeds].append(
                    (f"{event.id}-{number}", *event.told(number), format_datetime(self._now()))
                )
        return event

    def publish_unseen(self) -> Event:
        """An event that stands in no feed, and that nobody is due to be told of."""
        return next(self._events)

    def publish_next(self) -> Event:
        """An event in one feed after the other."""
        self._next += 1
        return self.publish(self._next * 7 % self.feeds, twice=self._next % 3 == 0)

    def urls(self) -> Sequence[str]:
        return [
            f"http://127.1.{n % HOSTS // 250}.{1 + n % HOSTS % 250}:{self.port}/feed/{n}" for n in range(self.feeds)
        ]

    @property
    def hook(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def missing(self) -> set[str]:
        with self._lock:
            return self.expected - self.heard.keys()

    # --- serving ----------------------------------------------------------------------------------------------

    def __enter__(self) -> Town:
        up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(up,), name="town")
        self._thread.start()
        up.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self, up: threading.Event) -> None:
        app = web.Application()
        app.router.add_get("/feed/{number}", self._feed)
        app.router.add_post("/hook", self._hook)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)

        async def begin() -> None:
            await runner.setup()
            await web.TCPSite(runner, "0.0.0.0", 0, backlog=1024).start()
            self.port = runner.addresses[0][1]
            up.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _feed(self, request: web.Request) -> web.Response:
        who = request.headers.get("User-Agent", "").partition("(+")[2].rstrip(")")
        self.polls += 1
        self.polled_at[who] = monotonic()
        number = int(request.match_info["number"])
        with self._lock:
            items = list(self._items[number])
        if self._answers_after:
            await asyncio.sleep(self._answers_after)
        etag = f'"{len(items)}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        body = "".join(
            f"<item><title>{title}</title><guid isPermaLink='false'>{name}</guid><description>{text}</description>"
            f"<link>http://127.0.0.1:{self.port}/item/{name}</link><pubDate>{published}</pubDate></item>"
            for name, title, text, published in items
        )
        rss = f"<rss version='2.0'><channel><title>Feed {number}</title><link>http://x.example/</link>{body}</channel></rss>"
        return web.Response(body=rss.encode(), content_type="application/rss+xml", headers={"ETag": etag})

    async def _hook(self, request: web.Request) -> web.Response:
        message, payload = request.headers["webhook-id"], json.loads(await request.read())
        links = [source["link"] for source in payload["data"].get("sources", ())]
        with self._lock:
            self.accepted[message] += 1
            for link in links if payload["type"] == "alert.raised" else ():
                self.heard[link.rpartition("/")[2].rpartition("-")[0]].add(message)
        return web.Response(status=204)
