"""Good feeds among hostile servers: those that never answer, drip, never end their headers or their body.

    python -m benchmarks.hostile [--good 500] [--hostile 25] [--seconds 20]

The service runs as it is delivered, on the real clock, twice: with the good feeds alone, and with the hostile ones due
in its first second. A good feed's lateness is the time from when it was due to when its request was at the server.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.sharedctypes import Synchronized, SynchronizedArray
from pathlib import Path

from benchmarks.polling import host
from service import logs
from service.app import Service
from service.config import Settings, load_rulebook
from service.storage.feeds import NewFeed
from tests.given import TEST_KEY

MOST_LATER = 1.0
LATER = datetime(2100, 1, 1, tzinfo=UTC)
FEED = b"<rss version='2.0'><channel><title>Office</title><item><title>Decision</title></item></channel></rss>"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
GOOD_HOSTS, HOSTILE_HOSTS = range(50), range(50, 90)


def serve(port: int, came_at: SynchronizedArray[float], ready: Synchronized[int]) -> None:
    async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                feed = int(head.split(b" ", 2)[1].rpartition(b"/")[2])
                came_at[feed] = came_at[feed] or time.time()
                writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(FEED) + FEED)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            kind = int(head.split(b" ", 2)[1].rpartition(b"/")[2]) % 4
            writer.write((b"", HEAD + b"\r\n<rss>", b"HTTP/1.1 200 OK\r\n", HEAD + b"\r\n<rss>")[kind])
            while kind:  # 0 never answers
                writer.write((b"", b"x", b"X-More: x\r\n", b"endless " * 4096)[kind])
                await writer.drain()
                await asyncio.sleep(0.05 if kind == 3 else 0.5)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def listen() -> None:
        servers = [await asyncio.start_server(good, host(n), port, backlog=256) for n in GOOD_HOSTS]
        servers += [await asyncio.start_server(hostile, host(n), port) for n in HOSTILE_HOSTS]
        ready.value = 1
        await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(listen())


async def lateness(port: int, came_at: SynchronizedArray[float], seconds: float, bad: int) -> list[float]:
    """How late each good feed's request came, sorted; a feed that was not asked counts as late until now."""
    good = len(came_at)
    for feed in range(good):
        came_at[feed] = 0.0
    with tempfile.TemporaryDirectory() as folder:
        service = _service(Path(folder))
        await service.start()
        await service.pipeline.warm_up()
        urls = [f"http://{host(feed % len(GOOD_HOSTS))}:{port}/{feed}" for feed in range(good)]
        traps = [f"http://{host(HOSTILE_HOSTS[n % len(HOSTILE_HOSTS)])}:{port}/{n}" for n in range(bad)]
        ids = _add(service, [*urls, *traps])
        begun = time.time() + 0.02 * len(ids)  # by then the due times are written
        due = [begun + seconds * feed / good for feed in range(good)]
        for feed, when in zip(ids, [*due, *[begun] * bad], strict=True):
            service.store.feeds.update(feed, next_due_at=datetime.fromtimestamp(when, UTC))
        service.runner.start()
        deadline = begun + seconds + 10
        while time.time() < deadline and not all(came_at[:]):  # noqa: ASYNC110  (what is waited for is in another process)
            await asyncio.sleep(0.1)
        ended = time.time()
        await service.stop()
    return sorted((came or ended) - when for came, when in zip(came_at[:], due, strict=True))


def _service(folder: Path) -> Service:
    settings = Settings.model_validate(
        {
            "storage": {"url": f"sqlite:///{folder}/hostile.db"},
            "secrets": {"keys": [TEST_KEY.reveal()]},
            "egress": {"allow": ["127.0.0.0/8"]},
            "rules": {"packs": []},
        }
    )
    return Service(settings, rulebook=load_rulebook(settings.rules))


def _add(service: Service, urls: Sequence[str]) -> list[int]:
    """Their ids, in order."""
    service.store.feeds.apply([NewFeed(url=url, interval=timedelta(hours=6)) for url in urls], now=LATER)
    ids = {feed.url: feed.id for feed in service.store.feeds.page(limit=len(urls))}
    return [ids[url] for url in urls]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--good", type=int, default=500)
    options.add_argument("--hostile", type=int, default=25)
    options.add_argument("--seconds", type=float, default=20.0)
    chosen = options.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    came_at, ready = context.Array("d", chosen.good), context.Value("i", 0)
    server = context.Process(target=serve, args=(port, came_at, ready), daemon=True)
    server.start()
    while not ready.value:
        time.sleep(0.05)
    logs.configure("error", "console")
    p99 = []
    for bad in (0, chosen.hostile):
        late = asyncio.run(lateness(port, came_at, chosen.seconds, bad))
        p99.append(late[len(late) * 99 // 100])
        print(f"{chosen.good} good feeds, {bad} hostile: late by {late[len(late) // 2]:.2f} s in the middle, ", end="")
        print(f"{p99[-1]:.2f} s at p99, {late[-1]:.2f} s at worst")
    server.terminate()
    if p99[1] - p99[0] > MOST_LATER:
        raise SystemExit(f"MISSED: hostile servers make good feeds later by more than {MOST_LATER:g} s")


if __name__ == "__main__":
    main()
