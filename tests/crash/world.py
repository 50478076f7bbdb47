"""The world around the service, on loopback: feeds that never forget an item, article pages, and webhooks that log
every request before they answer. It knows what it published, so it knows what every channel is due.
"""

from __future__ import annotations

import hashlib
import html
import json
import random
import re
import sys
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

from service.delivery.words import words_of
from service.domain.model import Language
from tests.crash.mail import MailServer
from tests.crash.news import COUNTRIES, MENDED, NOTHING, PLACEHOLDER, STATED, Event, events

REFUSED_SHARE = 10
"""One id in so many gets a 500 on its first attempt."""

LATE = ", delivered late"
AGAIN = words_of(Language.ENGLISH).sent_again
"""What a mail says when it leaves long after its alert was raised, and when an earlier one may have arrived."""

SLOW_SHARE = 25
SLOW = timedelta(milliseconds=300)


KEPT = 40
"""Items in a feed, at least: it forgets those beyond that the service has said to know."""


class Kind(StrEnum):
    """What a message tells of an event."""

    ALERT = "alert"
    UPDATE = "update"
    ESCALATION = "escalation"
    DIGEST = "digest"


class Way(StrEnum):
    """How a channel hears."""

    HOOK = "hook"  # a webhook, at once
    MAIL = "mail"  # mail, at once
    DIGEST = "digest"  # a webhook, every hour
    HEAD = "head"  # a webhook, when nobody has decided in time

    @property
    def is_prompt(self) -> bool:
        return self in (Way.HOOK, Way.MAIL)


class Channel(NamedTuple):
    """A destination of one group of countries. Every alert of a group is for three; the first group escalates."""

    group: int
    way: Way

    @property
    def name(self) -> str:
        return f"{self.group}-{self.way}"


class Place(NamedTuple):
    """Something that a channel must be told once."""

    event: str
    channel: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large the world is."""

    feeds: int = 6
    groups: int = 2


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
    """One message that a destination received, and whether it took it. `events` are those that it tells of.

    `attempt` is None for mail, which does not say. Of a digest, `updated` are the events that it tells again because
    of an update, and `until` is when it was put together; of an update, `until` is when it was made. `body` is what all
    attempts have in common; a mail `says_again` that it may have come before.
    """

    channel: str
    id: str
    attempt: int | None
    accepted: bool
    kind: Kind
    events: tuple[str, ...]
    body: bytes
    updated: tuple[str, ...] = ()
    until: datetime | None = None
    says_again: bool = False

    @property
    def places(self) -> Iterator[Place]:
        kind = Kind.ALERT if self.kind is Kind.DIGEST else self.kind
        return (Place(event, self.channel, kind) for event in self.events)


@dataclass(slots=True)
class _Feed:
    """`known` is the latest revision that the service has named in a request: it has stored all up to there."""

    items: dict[str, Item] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    revision: int = 0
    known: int = -1

    def put(self, item: Item) -> None:
        self.revision += 1
        self.items[item.id] = item
        self.changed[item.id] = self.revision

    def forget(self, busy: Collection[str]) -> None:
        """Drop the oldest items that the service has stored, but for those that are still to be corrected."""
        for name in list(self.items)[:-KEPT]:
            if self.changed[name] <= self.known and name not in busy:
                del self.items[name]


class World:
    """Serves while its `with` block lasts. Everything it decides by chance comes from `chance`."""

    def __init__(self, shape: Shape, *, chance: random.Random, now: datetime) -> None:
        self.shape = shape
        self.requests: list[Request] = []
        self.activity = 0
        """Counts requests of any kind: a change tells that the service is at work."""
        self.expected: set[Place] = set()
        """What every channel is due."""
        self.mended: set[str] = set()
        """The events whose report was corrected after it was told."""
        self.errors: list[str] = []
        """Defects of the world itself: a run with one proves nothing."""
        self._received: set[Place] = set()
        self._chance = chance
        self._feeds = [_Feed() for _ in range(shape.feeds)]
        self._events = events()
        self._later: list[Item] = []
        self._to_mend: list[tuple[Event, Item]] = []
        self._published: dict[str, Item] = {}
        self._seen: set[str] = set()
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._mail = MailServer(self.take_mail)
        self._start = now

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
            if self._chance.random() < 0.1 and self._mend():
                return
            event = next(self._events, None)
            if event is None or self._chance.random() < 0.15:
                self._put(self._nothing(now))
                return
            self._expect(event)
            first, second = self._chance.sample(range(self.shape.feeds), 2)
            item = self._report(event, first, now, wording=0)
            match self._chance.choices(("once", "twice", "corrected", "edited", "mended"), (45, 20, 10, 5, 20))[0]:
                case "twice":
                    self._later.append(self._report(event, second, now, wording=1))
                case "corrected":
                    title, text = (words.format(COUNTRIES[event.jurisdiction]) for words in PLACEHOLDER)
                    self._later.append(item)
                    item = replace(item, title=title, text=text, page="")
                case "edited":
                    self._later.append(edited(item))
                case "mended" if item.text:
                    self._to_mend.append((event, replace(item, text=f"{item.text} {MENDED}")))
                    item = replace(item, text=f"{item.text} {STATED}")
            self._put(item)

    def mend(self) -> bool:
        """Correct a report that was told, in what its readers must hear of; False when there is none."""
        with self._lock:
            return self._mend()

    def _mend(self) -> bool:
        for place, (event, item) in enumerate(self._to_mend):
            told = [one for one in self._channels(event) if one.way is Way.HOOK]
            if all(Place(event.id, one.name, Kind.ALERT) in self._received for one in told):
                del self._to_mend[place]
                self._put(item)
                self.mended.add(event.id)
                prompt = [one.name for one in self._channels(event) if one.way.is_prompt]
                self.expected.update(Place(event.id, name, Kind.UPDATE) for name in prompt)
                return True
        return False

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
        self._feeds[item.feed].put(item)
        self._published[self.link(item)] = item

    def _expect(self, event: Event) -> None:
        for channel in self._channels(event):
            kind = Kind.ESCALATION if channel.way is Way.HEAD else Kind.ALERT
            self.expected.add(Place(event.id, channel.name, kind))

    def flush(self) -> None:
        """Publish every second report and correction that still waits, and correct what was told."""
        with self._lock:
            while self._later:
                self._put(self._later.pop(0))
            while self._mend():
                pass

    # --- what is known ----------------------------------------------------------------------------------------

    def group(self, event: Event) -> int:
        return list(COUNTRIES).index(event.jurisdiction) % self.shape.groups

    def jurisdictions(self, group: int) -> list[str]:
        return [code for place, code in enumerate(COUNTRIES) if place % self.shape.groups == group]

    def channels(self, group: int) -> list[Channel]:
        """The destinations of a group of countries."""
        return [Channel(group, way) for way in Way if way is not Way.HEAD or group == 0]

    def _channels(self, event: Event) -> list[Channel]:
        return self.channels(self.group(event))

    def address_of(self, channel: Channel) -> str:
        """Where a channel is reached, as a subscription names it."""
        if channel.way is Way.MAIL:
            return f"mailto:{channel.name}@example.org"
        return f"{self.address}/hook/{channel.name}"

    @property
    def mail_port(self) -> int:
        return self._mail.port

    def titles(self) -> dict[str, str]:
        """The title of every item as it was last published, by its address."""
        with self._lock:
            return {link: item.title for link, item in self._published.items()}

    @property
    def outstanding(self) -> int:
        """How many messages that are sent at once are due and have not arrived."""
        return sum(1 for place in self._missing() if not place.channel.endswith((Way.DIGEST, Way.HEAD)))

    @property
    def waiting(self) -> int:
        """How many events wait for the fullest digest."""
        counts = Counter(place.channel for place in self._missing() if place.channel.endswith(Way.DIGEST))
        return max(counts.values(), default=0)

    def _missing(self) -> set[Place]:
        with self._lock:
            return self.expected - self._received

    # --- serving ----------------------------------------------------------------------------------------------

    def __enter__(self) -> World:
        self._mail.__enter__()
        self._server = _Server(self)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self._fill(self._start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._mail.__exit__(kind, exc, trace)

    def feed_urls(self) -> list[str]:
        return [f"{self.address}/feed/{number}" for number in range(self.shape.feeds)]

    def link(self, item: Item) -> str:
        return f"{self.address}/item/{item.feed}/{item.id}"

    def get(self, path: str, asked: Mapping[str, str]) -> tuple[HTTPStatus, bytes, dict[str, str]]:
        """A feed, with its ETag, or an article page."""
        self.activity += 1
        match path.strip("/").split("/"):
            case ["feed", number]:
                named = asked.get("if-none-match", "").strip('"')
                with self._lock:
                    feed = self._feeds[int(number)]
                    if named:
                        # The service stores a feed's ETag in the commit that stores its entries.
                        feed.known = max(feed.known, int(named))
                        feed.forget(self._busy())
                    tag, items = str(feed.revision), list(feed.items.values())
                headers = {"ETag": f'"{tag}"', "Content-Type": "application/rss+xml"}
                if named == tag:
                    return HTTPStatus.NOT_MODIFIED, b"", headers
                return HTTPStatus.OK, self._rss(int(number), items), headers
            case ["item", number, name]:
                with self._lock:
                    item = self._published[f"{self.address}/item/{number}/{name}"]
                return HTTPStatus.OK, page_of(item), {"Content-Type": "text/html; charset=utf-8"}
        return HTTPStatus.NOT_FOUND, b"", {}

    def _busy(self) -> set[str]:
        return {item.id for item in self._later} | {item.id for _, item in self._to_mend}

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Log a webhook's request; what is logged as accepted is accepted, whether or not the answer is read."""
        message, attempt = headers["webhook-id"], int(headers["webhook-attempt"])
        dice = _dice(message)
        accepted = attempt > 1 or dice % REFUSED_SHARE != 0
        self._log(_of_webhook(path.rpartition("/")[2], message, attempt, accepted, body))
        if (dice // REFUSED_SHARE + attempt) % SLOW_SHARE == 0:
            self._closing.wait(SLOW.total_seconds())
        return HTTPStatus.NO_CONTENT if accepted else HTTPStatus.INTERNAL_SERVER_ERROR

    def take_mail(self, mail: EmailMessage, recipients: list[str]) -> bool:
        """Log a mail; False asks the sender to try again later."""
        self.activity += 1
        message = mail["X-Policywatch-Id"]
        accepted = message in self._seen or _dice(message) % REFUSED_SHARE != 0
        self._seen.add(message)
        if [name.partition("@")[0] for name in recipients] != [mail["To"].partition("@")[0]]:
            self.errors.append(f"a mail to {mail['To']} was sent to {recipients}")
        self._log(_of_mail(recipients[0].partition("@")[0], message, accepted, mail))
        return accepted

    def _log(self, request: Request) -> None:
        with self._lock:
            self.activity += 1
            self.requests.append(request)
            if request.accepted:
                self._received.update(request.places)

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


def edited(item: Item) -> Item:
    """The item with more words that change nothing: who was told of it need not hear of that."""
    return replace(item, text=f"{item.text} The text was corrected.".strip())


def page_of(item: Item) -> bytes:
    """The article that the item leads to."""
    more = "Questions are answered by the press office, from nine to five, by telephone and by letter. " * 4
    return (
        f"<!doctype html><html lang='en'><head><title>{html.escape(item.title)}</title></head><body><article>"
        f"<h1>{html.escape(item.title)}</h1><p>{html.escape(item.page or item.text)}</p><p>{more}</p>"
        "</article></body></html>"
    ).encode()


def _dice(message: str) -> int:
    return int(hashlib.sha256(message.encode()).hexdigest(), 16)


_KINDS = {
    "alert.raised": Kind.ALERT,
    "alert.updated": Kind.UPDATE,
    "alert.escalated": Kind.ESCALATION,
    "digest": Kind.DIGEST,
}


def _of_webhook(channel: str, message: str, attempt: int, accepted: bool, body: bytes) -> Request:
    """The request as the oracle reads it. KeyError for a payload that nothing here asks for: a defect to be told."""
    payload = json.loads(body)
    kind, data = _KINDS[payload["type"]], payload["data"]
    links = [source["link"] for source in data.get("sources", ())]
    updated: list[str] = []
    until = data.get("until")
    if kind is Kind.DIGEST:
        items = [item for group in data["groups"] for item in group["alerts"]]
        if len(items) != data["alerts_total"]:
            raise ValueError(f"digest {message} was cut: the world publishes too much for one")
        links = [item["link"] for item in items if item["reason"] != "updated"]
        updated = [item["link"] for item in items if item["reason"] == "updated"]
    elif kind is Kind.UPDATE:
        until = max(update["at"] for update in data["updates"])
    return Request(
        channel=channel,
        id=message,
        attempt=attempt,
        accepted=accepted,
        kind=kind,
        events=_events(links),
        updated=_events(updated),
        until=datetime.fromisoformat(until) if until else None,
        body=body,
    )


def _of_mail(channel: str, message: str, accepted: bool, mail: EmailMessage) -> Request:
    texts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    return Request(
        channel=channel,
        id=message,
        attempt=None,
        accepted=accepted,
        kind=Kind.UPDATE if "In-Reply-To" in mail else Kind.ALERT,
        events=_events(re.findall(r"/item/\d+/[\w-]+", texts[0])),
        says_again=AGAIN in texts[0],
        body="\n".join([mail["Message-ID"], mail["Subject"], *map(_same, texts)]).encode(),
    )


def _same(text: str) -> str:
    """The words of a mail's part that do not depend on when it leaves, and how often it has left before."""
    words = re.sub("<[^>]*>", " ", text).replace(LATE, "").replace(AGAIN, "")
    return " ".join(words.split())


def _events(links: Iterable[str]) -> tuple[str, ...]:
    """The events that these addresses report."""
    return tuple(dict.fromkeys(link.rpartition("/")[2].rpartition("-")[0] for link in links))


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
