"""The world around the service, on loopback: feeds that never forget an item, article pages, and webhooks that log
every request before they answer. It knows what it published, so it knows what every channel is due.
"""

from __future__ import annotations

import hashlib
import html
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.crash.news import COUNTRIES, NOTHING, PLACEHOLDER, Event, events

REFUSED_SHARE = 10
"""One id in so many gets a 500 on its first attempt."""

SLOW_SHARE = 25
SLOW = timedelta(milliseconds=300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large the world is. Where leases must run out, a kill blocks what was in flight: more feeds and channels
    keep work for the next round."""

    feeds: int = 6
    groups: int = 2
    channels: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a feed. Its id begins with the event it reports; `page` is the text that only its page has."""

    id: str
    feed: int
    title: str
    text: str
    published: datetime
    page: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that a webhook received, and the answer it gave. `events` are those the alert's sources report."""

    at: datetime
    channel: str
    id: str
    attempt: int
    status: int
    events: tuple[str, ...]
    body: bytes

    @property
    def accepted(self) -> bool:
        return self.status < 300


@dataclass(slots=True)
class _Feed:
    items: dict[str, Item] = field(default_factory=dict)
    revision: int = 0


class World:
    """Serves while its `with` block lasts. Everything it decides by chance comes from `chance`."""

    def __init__(self, shape: Shape, *, chance: random.Random, now: datetime) -> None:
        self.shape = shape
        self.requests: list[Request] = []
        self.activity = 0
        """Counts requests of any kind: a change tells that the service is at work."""
        self.expected: dict[str, frozenset[str]] = {}
        """For each event that is due, its channels."""
        self.errors: list[str] = []
        """Defects of the world itself: a run with one proves nothing."""
        self._received: set[tuple[str, str]] = set()
        self._due = 0
        self._chance = chance
        self._feeds = [_Feed() for _ in range(shape.feeds)]
        self._events = events()
        self._later: list[Item] = []
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._fill(now)

    # --- publishing -------------------------------------------------------------------------------------------

    def _fill(self, now: datetime) -> None:
        """What stands in the feeds before the first poll: old news, which is history, and some of today's."""
        for number in range(self.shape.feeds):
            event = next(self._events)
            self._put(self._report(event, number, now - timedelta(days=9), wording=0))
        for _ in range(self.shape.feeds):
            self.publish(now)

    def publish(self, now: datetime) -> None:
        """Something new in some feed: an event, in one feed or two; nothing worth telling; a correction."""
        with self._lock:
            if self._later and self._chance.random() < 0.5:
                self._put(self._later.pop(0))
                return
            event = next(self._events, None)
            if event is None or self._chance.random() < 0.15:
                self._put(self._nothing(now))
                return
            self._expect(event)
            first, second = self._chance.sample(range(self.shape.feeds), 2)
            item = self._report(event, first, now, wording=0)
            match self._chance.choices(("once", "twice", "corrected", "edited"), (60, 20, 10, 10))[0]:
                case "once":
                    self._put(item)
                case "twice":
                    self._put(item)
                    self._later.append(self._report(event, second, now, wording=1))
                case "corrected":
                    title, text = (words.format(COUNTRIES[event.jurisdiction]) for words in PLACEHOLDER)
                    self._put(replace(item, title=title, text=text, page=""))
                    self._later.append(item)
                case "edited":
                    self._put(item)
                    self._later.append(replace(item, text=f"{item.text} The text was corrected.", page=item.page))

    def _report(self, event: Event, feed: int, published: datetime, *, wording: int) -> Item:
        title, text = event.told(wording)
        # The last feed carries only headlines: its news is on the pages.
        teased = feed == self.shape.feeds - 1
        return Item(
            id=self._number(event.id),
            feed=feed,
            title=title,
            text="" if teased else text,
            page=text if teased else "",
            published=published,
        )

    def _nothing(self, now: datetime) -> Item:
        title, text = self._chance.choice(NOTHING)
        country = self._chance.choice(list(COUNTRIES.values()))
        feed = self._chance.randrange(self.shape.feeds)
        return Item(
            id=self._number("nothing"), feed=feed, title=title.format(country), text=text.format(country), published=now
        )

    def _number(self, of: str) -> str:
        self._numbers[of] += 1
        return f"{of}-{self._numbers[of]}"

    def _put(self, item: Item) -> None:
        feed = self._feeds[item.feed]
        feed.items[item.id] = item
        feed.revision += 1

    def _expect(self, event: Event) -> None:
        due = frozenset(name for name, group in self.channels().items() if group in (None, self.group(event)))
        self.expected[event.id] = due
        self._due += len(due)

    def flush(self) -> None:
        """Publish every second report and correction that still waits."""
        with self._lock:
            while self._later:
                self._put(self._later.pop(0))

    # --- what is known ----------------------------------------------------------------------------------------

    def group(self, event: Event) -> int:
        return list(COUNTRIES).index(event.jurisdiction) % self.shape.groups

    def jurisdictions(self, group: int) -> list[str]:
        return [code for place, code in enumerate(COUNTRIES) if place % self.shape.groups == group]

    def channels(self) -> dict[str, int | None]:
        """Every channel with the group of countries it hears of; None hears of all."""
        named: dict[str, int | None] = {
            f"{group}-{number}": group for group in range(self.shape.groups) for number in range(self.shape.channels)
        }
        return {**named, "all": None}

    def titles(self) -> dict[str, str]:
        """The title of every item as it stands now, by its address."""
        with self._lock:
            return {self.link(item): item.title for feed in self._feeds for item in feed.items.values()}

    @property
    def outstanding(self) -> int:
        """How many messages are due and have not arrived."""
        with self._lock:
            return self._due - len(self._received)

    # --- serving ----------------------------------------------------------------------------------------------

    def __enter__(self) -> World:
        self._server = _Server(self)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def feed_urls(self) -> list[str]:
        return [f"{self.address}/feed/{number}" for number in range(self.shape.feeds)]

    def hook_url(self, channel: str) -> str:
        return f"{self.address}/hook/{channel}"

    def link(self, item: Item) -> str:
        return f"{self.address}/item/{item.feed}/{item.id}"

    def get(self, path: str, asked: Mapping[str, str]) -> tuple[HTTPStatus, bytes, dict[str, str]]:
        """The answer to a GET: a feed with its ETag, or the page of an item."""
        self.activity += 1
        match path.strip("/").split("/"):
            case ["feed", number]:
                with self._lock:
                    feed = self._feeds[int(number)]
                    tag, items = f'"{feed.revision}"', list(feed.items.values())
                headers = {"ETag": tag, "Content-Type": "application/rss+xml"}
                if asked.get("if-none-match") == tag:
                    return HTTPStatus.NOT_MODIFIED, b"", headers
                return HTTPStatus.OK, self._rss(int(number), items), headers
            case ["item", number, name]:
                with self._lock:
                    item = self._feeds[int(number)].items[name]
                return HTTPStatus.OK, _page(item), {"Content-Type": "text/html; charset=utf-8"}
        return HTTPStatus.NOT_FOUND, b"", {}

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Log a webhook's request; what is logged as accepted is accepted, whether or not the answer is read."""
        message, attempt = headers["webhook-id"], int(headers["webhook-attempt"])
        dice = int(hashlib.sha256(message.encode()).hexdigest(), 16)
        refused = attempt == 1 and dice % REFUSED_SHARE == 0
        status = HTTPStatus.INTERNAL_SERVER_ERROR if refused else HTTPStatus.NO_CONTENT
        channel = path.rpartition("/")[2]
        request = Request(
            at=datetime.now(UTC),
            channel=channel,
            id=message,
            attempt=attempt,
            status=status,
            events=_events(json.loads(body)),
            body=body,
        )
        with self._lock:
            self.activity += 1
            self.requests.append(request)
            if request.accepted:
                self._received.update((event, channel) for event in request.events)
        if (dice // REFUSED_SHARE + attempt) % SLOW_SHARE == 0:
            self._closing.wait(SLOW.total_seconds())
        return status

    def _rss(self, number: int, items: list[Item]) -> bytes:
        listed = "".join(
            f"<item><title>{html.escape(item.title)}</title><link>{self.link(item)}</link><guid>{item.id}</guid>"
            f"<pubDate>{format_datetime(item.published)}</pubDate>"
            f"<description>{html.escape(item.text)}</description></item>"
            for item in reversed(items)
        )
        return (
            '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>'
            f"<title>Feed {number}</title><link>{self.address}/</link><description>News</description>"
            f"<language>en</language>{listed}</channel></rss>"
        ).encode()


def _page(item: Item) -> bytes:
    more = "The announcement was published in the official journal and on the web site of the ministry. " * 4
    return (
        f"<!doctype html><html lang='en'><head><title>{html.escape(item.title)}</title></head><body><article>"
        f"<h1>{html.escape(item.title)}</h1><p>{html.escape(item.page or item.text)}</p><p>{more}</p>"
        "</article></body></html>"
    ).encode()


def _events(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """The events that an alert's sources report, read from their addresses."""
    links = (source["link"] or "" for source in payload["data"].get("sources", ()))
    names = (link.rpartition("/")[2].rpartition("-")[0] for link in links)
    return tuple(dict.fromkeys(names))


class _Server(ThreadingHTTPServer):
    """Waits for its threads at the end; a client that died in the middle is no news here."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, world: World) -> None:
        super().__init__(("127.0.0.1", 0), _handler(world))
        self._world = world

    def handle_error(self, request: Any, client_address: Any) -> None:
        problem = sys.exception()
        if not isinstance(problem, OSError):
            self._world.errors.append(repr(problem))


def _handler(world: World) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 30

        def do_GET(self) -> None:
            status, body, headers = world.get(self.path, _lower(self.headers))
            self._answer(status, body, headers)

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) == length:  # else the sender died before it had said everything
                self._answer(world.post(self.path, _lower(self.headers), body), b"", {})

        def _answer(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
