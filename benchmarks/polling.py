"""Polling against `reader` on the same loopback server: a first poll, an unchanged one (304), one new entry in each.

    python -m benchmarks.polling [--feeds N] [--runs N]

Both keep what they read in an SQLite file of their own and poll with the same number of requests at once. The server
runs in a process of its own on many loopback addresses, since ours asks a host one thing at a time. Feeds have 20 to
200 entries. What is stored must be the same number of entries, or no figure counts.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from service import logs
from service.app import Service
from service.config import Settings, load_rulebook
from service.domain.model import Feed
from service.storage.feeds import NewFeed
from tests.given import NOON, TEST_KEY, Clock

HOSTS = 200
AT_ONCE = 40
BARS = {"first": 2.5, "unchanged": 5.0, "one new": 10.0}
DAY = timedelta(days=1)


# --- the server -----------------------------------------------------------------------------------------------------


@cache
def document(feed: int, edition: int) -> tuple[bytes, bytes]:
    """A feed's document and its ETag: 20 to 200 entries, one more at the top with each edition."""
    size = 20 + (feed * 37) % 181
    items = "".join(
        f"<item><title>Decision {n} of office {feed}</title><guid isPermaLink='false'>{feed}-{n}</guid>"
        f"<link>https://office{feed}.example/{n}</link><pubDate>Mon, 02 Mar 2026 {n % 24:02}:00:00 GMT</pubDate>"
        f"<description>{'The office has decided on the matter. ' * 12}</description></item>"
        for n in range(size + edition, edition, -1)
    )
    body = f"<rss version='2.0'><channel><title>Office {feed}</title>{items}</channel></rss>".encode()
    return body, b'"' + hashlib.md5(body).hexdigest().encode() + b'"'


def expected(feeds: int, edition: int) -> int:
    return sum(20 + (feed * 37) % 181 + edition for feed in range(feeds))


Answer = tuple[bytes, Callable[[], bytes]]
"""What a feed answers now: its entity tag, and its document when that is not what the asker has."""


def serve(port: int, edition: Synchronized[int], ready: Synchronized[int]) -> None:
    def now(feed: int) -> Answer:
        body, etag = document(feed, edition.value)
        return etag, lambda: body

    answer_all(port, ready, now)


def answer_all(port: int, ready: Synchronized[int], now: Callable[[int], Answer]) -> None:
    """Serve feeds by their number at every host on `port`, by as little HTTP as pollers ask for; never returns."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                etag, text = now(int(head.split(b" ", 2)[1].rpartition(b"/")[2]))
                if etag in head:
                    writer.write(b"HTTP/1.1 304 Not Modified\r\nETag: " + etag + b"\r\n\r\n")
                    continue
                body = text()
                fields = b"\r\nContent-Type: application/rss+xml\r\nETag: " + etag
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d" % len(body) + fields + b"\r\n\r\n" + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def listen() -> None:
        servers = [await asyncio.start_server(answer, host(n), port, backlog=256) for n in range(HOSTS)]
        ready.value = 1
        await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(listen())


def host(number: int) -> str:
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


def addresses(feeds: int, port: int) -> list[str]:
    return [f"http://{host(feed % HOSTS)}:{port}/{feed}" for feed in range(feeds)]


# --- the two --------------------------------------------------------------------------------------------------------


class Ours:
    """The poll step as the service runs it, with nothing of the steps after it."""

    def __init__(self, folder: Path, urls: list[str]) -> None:
        settings = Settings.model_validate(
            {
                "storage": {"url": f"sqlite:///{folder}/ours.db"},
                "secrets": {"keys": [TEST_KEY.reveal()]},
                "egress": {"allow": ["127.0.0.0/8"]},
                "feeds": {"host_gap": "0s", "concurrency": AT_ONCE},
                "rules": {"packs": []},
            }
        )
        self.clock = Clock(NOON)
        self.service = Service(settings, rulebook=load_rulebook(settings.rules), now=self.clock, chance=lambda: 0.5)
        for url in urls:
            self.service.store.feeds.add(NewFeed(url=url), now=NOON)

    async def start(self) -> None:
        await self.service.start()
        await self.service.pipeline.warm_up()

    async def poll(self) -> None:
        self.clock.advance(DAY)
        pipeline, room = self.service.pipeline, asyncio.Semaphore(AT_ONCE)

        async def one(feed: Feed) -> None:
            async with room:
                await pipeline.poll(feed)

        while claimed := await pipeline.claim_polls(AT_ONCE * 5):
            await asyncio.gather(*(one(feed) for feed in claimed))

    def entries(self) -> int:
        return sum(feed.entries for feed in self.service.store.feeds.page(limit=1_000_000))


class Peers:
    def __init__(self, folder: Path, urls: list[str]) -> None:
        from reader import make_reader  # noqa: PLC0415  (the peer is only needed here)

        self.reader = make_reader(str(folder / "reader.db"))
        for url in urls:
            self.reader.add_feed(url)

    def poll(self) -> None:
        for result in self.reader.update_feeds_iter(scheduled=False, workers=AT_ONCE):
            if isinstance(result.value, Exception):
                raise SystemExit(f"reader: {result.url}: {result.value}")

    def entries(self) -> int:
        return self.reader.get_entry_counts().total or 0


async def one_run(feeds: int, port: int, edition: Synchronized[int]) -> dict[str, tuple[float, float]]:
    """Feeds a second, ours and the peer's, for each kind of poll."""
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        ours, peers = Ours(Path(name), addresses(feeds, port)), Peers(Path(name), addresses(feeds, port))
        await ours.start()
        for phase, now in (("first", 0), ("unchanged", 0), ("one new", 1)):
            edition.value = now
            begun = time.perf_counter()
            await ours.poll()
            between = time.perf_counter()
            await asyncio.to_thread(peers.poll)
            ended = time.perf_counter()
            figures[phase] = feeds / (between - begun), feeds / (ended - between)
            have = ours.entries(), peers.entries(), expected(feeds, now)
            if len(set(have)) > 1:
                raise SystemExit(f"{phase}: ours has {have[0]} entries, reader {have[1]}, served were {have[2]}")
        await ours.service.stop()
        peers.reader.close()
    return figures


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--feeds", type=int, default=1_000)
    options.add_argument("--runs", type=int, default=5)
    chosen = options.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    edition, ready = context.Value("i", 0), context.Value("i", 0)
    server = context.Process(target=serve, args=(port, edition, ready), daemon=True)
    server.start()
    while not ready.value:
        time.sleep(0.05)
    logs.configure("error", "console")
    runs = [asyncio.run(one_run(chosen.feeds, port, edition)) for _ in range(chosen.runs)]
    server.terminate()
    missed = False
    print(f"{chosen.feeds} feeds, medians of {chosen.runs} runs, {AT_ONCE} requests at once")
    for phase, bar in BARS.items():
        ours, peer = (statistics.median(run[phase][who] for run in runs) for who in (0, 1))
        missed = missed or ours / peer < bar
        verdict = "" if ours / peer >= bar else f"  MISSED, at least {bar}"
        print(f"{phase:10} ours {ours:8.0f} feeds/s   reader {peer:8.0f} feeds/s   ratio {ours / peer:5.1f}{verdict}")
    if missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
