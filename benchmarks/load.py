"""Many feeds on time: polled every 15 minutes, 5 % of the polls with something new. How late, how much memory?

    python -m benchmarks.load [--feeds 50000] [--minutes 16]

The clock is simulated and the work is real: in each second of it everything due is polled, stored and processed by the
service as it runs embedded, from a server on loopback. Work that takes longer than its second makes the next one late
by as much; what is left of a second is skipped. Lateness is counted from when a poll was due to the end of all the work
of its second.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import re
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from sqlalchemy import select

from benchmarks.polling import Answer, addresses, answer_all
from service import logs
from service.app import Service
from service.config import Settings, load_rulebook
from service.domain import polling
from service.domain.model import Feed, FeedUpdate, Fetched, FullText, ParsedFeed, Validators
from service.domain.polling import Polled
from service.feeds.parse import parse_changed
from service.storage.feeds import NewFeed
from service.storage.tables import FEED
from tests.given import NOON, TEST_KEY, Clock

INTERVAL = timedelta(minutes=15)
TICK = timedelta(seconds=1)
CHANGED_ONE_IN = 20
ENTRIES = 20
LATEST = 60.0
MEMORY_FEEDS, MEMORY_MIB = 5_000, 300


def changes(feed: int, request: int) -> bool:
    """Whether a feed has something new at its so-manieth request, the first being 1."""
    return (feed + request) % CHANGED_ONE_IN == 0


def edition(feed: int, request: int) -> int:
    return sum(changes(feed, each) for each in range(1, request + 1))


def document(feed: int, number: int) -> bytes:
    items = "".join(
        f"<item><title>Decision {n} of office {feed}</title><guid isPermaLink='false'>{feed}-{n}</guid>"
        f"<link>https://office{feed}.example/{n}</link><pubDate>Mon, 02 Mar 2026 {n % 12:02}:00:00 GMT</pubDate>"
        f"<description>{'The office has decided on the matter. ' * 12}</description></item>"
        for n in range(ENTRIES + number, number, -1)
    )
    return f"<rss version='2.0'><channel><title>Office {feed}</title>{items}</channel></rss>".encode()


def etag(feed: int, number: int) -> str:
    return f'"{feed}-{number}"'


def serve(port: int, ready: Synchronized[int]) -> None:
    requests: Counter[int] = Counter()

    def now(feed: int) -> Answer:
        requests[feed] += 1
        number = edition(feed, requests[feed])
        return etag(feed, number).encode(), lambda: document(feed, number)

    answer_all(port, ready, now)


class Load:
    """The service with its feeds, on a clock that goes by the seconds of work."""

    def __init__(self, folder: Path, urls: Sequence[str], rounds: int) -> None:
        settings = Settings.model_validate(
            {
                "storage": {"url": f"sqlite:///{folder}/load.db"},
                "secrets": {"keys": [TEST_KEY.reveal()]},
                "egress": {"allow": ["127.0.0.0/8"]},
                "feeds": {"host_gap": "0s"},
            }
        )
        self.clock = Clock(NOON)
        self.service = Service(settings, rulebook=load_rulebook(settings.rules), now=self.clock, chance=random.random)
        self.late: list[float] = []
        self.busy = timedelta(0)
        self.memory: list[int] = []
        self._prime(urls, rounds)

    def _prime(self, urls: Sequence[str], rounds: int) -> None:
        """Every feed as after its first poll, due at some time in the coming interval; those that will change within
        `rounds` polls with their entries, since only for them it makes a difference."""
        feeds = self.service.store.feeds
        feeds.apply([NewFeed(url=url, interval=INTERVAL, full_text=FullText.NEVER) for url in urls], now=NOON)
        rng = random.Random(1)

        def after(feed: Feed, polled: Polled) -> FeedUpdate:
            update = polling.after_poll(feed, polled, NOON, 0.5)
            return replace(update, next_due_at=NOON + INTERVAL * rng.random())

        while claimed := feeds.claim_due(NOON, limit=500, lease=timedelta(hours=1)):
            polls = [(feed, _first_poll(feed, rounds)) for feed in claimed]
            feeds.save_polls(polls, decide=after, now=NOON, look_back=timedelta(0))

    async def run(self, minutes: int, server: int | None) -> None:
        await self.service.start()
        await self.service.pipeline.warm_up()
        end = NOON + timedelta(minutes=minutes)
        while self.clock() < end:
            due = self._due()
            began = time.perf_counter()
            await self.service.runner.drain()
            worked = timedelta(seconds=time.perf_counter() - began)
            self.busy += worked
            self.late += [(self.clock() + worked - when).total_seconds() for when in due]
            self.clock.advance(max(TICK, worked))
        self.memory = memory(server)
        await self.service.stop()

    def _due(self) -> list[datetime]:
        due = select(FEED.next_due_at).where(FEED.next_due_at <= self.clock())
        with self.service.store.database.read() as session:
            return list(session.execute(due).scalars())


def _first_poll(feed: Feed, rounds: int) -> Polled:
    number = int(re.sub(r".*/", "", feed.url))
    validators = Validators(etag=etag(number, 0))
    fetched = Fetched(url=feed.url, body=b"", content_type="application/rss+xml", validators=validators)
    if not edition(number, rounds):
        return Polled(result=fetched)
    changed = parse_changed(document(number, 0), url=feed.url, known=frozenset())
    assert isinstance(changed.feed, ParsedFeed)
    return Polled(result=fetched, document=changed.feed, digests=changed.digests)


def memory(server: int | None) -> list[int]:
    """MiB that this process and each of its children, the web server apart, hold now, shared pages shared out."""
    threads = Path(f"/proc/{os.getpid()}/task").iterdir()
    children = [child for thread in threads for child in (thread / "children").read_text().split()]
    held = []
    for process in [str(os.getpid()), *(child for child in children if child != str(server))]:
        kib = re.findall(r"^Pss:\s+(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
        held.append(int(kib[0]) // 1024)
    return held


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--feeds", type=int, default=50_000)
    options.add_argument("--minutes", type=int, default=16, help="of the simulated clock")
    chosen = options.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    ready = context.Value("i", 0)
    server = context.Process(target=serve, args=(port, ready), daemon=True)
    server.start()
    while not ready.value:
        time.sleep(0.05)
    logs.configure("error", "console")
    with tempfile.TemporaryDirectory() as name:
        load = Load(Path(name), addresses(chosen.feeds, port), rounds=2 + chosen.minutes // 10)
        asyncio.run(load.run(chosen.minutes, server.pid))
    server.terminate()
    late = sorted(load.late)
    p99 = late[len(late) * 99 // 100]
    print(f"{chosen.feeds} feeds every {INTERVAL}, {chosen.minutes} minutes: {len(late)} polls")
    print(f"lateness: median {late[len(late) // 2]:.2f} s, p99 {p99:.2f} s, worst {late[-1]:.2f} s")
    worked = load.busy.total_seconds()
    print(f"at work {worked:.0f} s of {chosen.minutes * 60}: {len(late) / worked:.0f} polls/s")
    held = sum(load.memory)
    print(f"memory: {held} MiB, {load.memory[0]} in the service and {load.memory[1:]} in its children")
    missed = [f"p99 above {LATEST:.0f} s"] if p99 > LATEST else []
    if chosen.feeds <= MEMORY_FEEDS and held > MEMORY_MIB:
        missed.append(f"more than {MEMORY_MIB} MiB")
    if missed:
        raise SystemExit(f"MISSED: {', '.join(missed)}")


if __name__ == "__main__":
    main()
