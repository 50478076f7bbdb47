"""Delivery: how fast messages go out, what sick destinations cost the healthy ones, how soon an alert arrives.

    python -m benchmarks.delivery [--quick]

Three parts, all over TLS to receivers on loopback (`receiver.py`), each with the proof that every message came, once:

- senders: signed webhooks against Apprise's own `jsons://` with an object used again, and Slack through ours against
  Apprise as it comes, which opens a session and reads the certificate store anew for every message;
- burst: 10,000 messages to 200 webhooks drained by the service as it is delivered, once with all of them healthy, once
  with 10 that never answer and 10 that fail; compared is when the other 180 had their messages;
- arrival: feeds that tell 50 events a second, each of them one alert; how long after its feed had it, and after the
  poll that brought it, the webhook has accepted it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_network
from itertools import count, islice
from pathlib import Path
from typing import TextIO

import certifi

from benchmarks.polling import host
from service import logs
from service.app import Service
from service.config import DEFAULT_SCHEMAS, Settings, load_rulebook
from service.delivery.addresses import apprise_asset, load_apprise
from service.delivery.channels import DeliverySettings, Sender
from service.delivery.message import render
from service.delivery.signing import new_keys
from service.domain.model import Channel, ChannelKind, DeliveryState, FullText, OutcomeStatus, ParsedEntry
from service.feeds.fetch import session
from service.storage.feeds import NewFeed
from service.storage.store import Store
from service.switchboard import Switchboard
from tests.builders import healthy as well
from tests.conftest import TEST_KEY
from tests.crash.news import COUNTRIES, TOPICS, events
from tests.fakes_delivery import NOON, SLACK, a_channel, a_delivery, an_alert, certificate

LOOPBACK = (ip_network("127.0.0.0/8"),)
SENDER_BARS = {"signed webhook": 50.0, "slack": 15.0}
PATIENCE = timedelta(minutes=2)  # children load Apprise first, and benchmarks may share a machine
SICK_BAR = 1.10
ARRIVAL_BAR = 1.0
RATE, FEEDS, DESKS, POLL = 50, 20, 10, timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    runs: int
    peers: int
    signed: int
    through: int
    destinations: int
    events: int
    seconds: int
    timeout: int


FULL = Size(runs=3, peers=20, signed=2_000, through=200, destinations=200, events=50, seconds=40, timeout=20)
QUICK = Size(runs=1, peers=3, signed=50, through=6, destinations=20, events=3, seconds=2, timeout=1)


# --- the receivers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Came:
    """One accepted message: when (seconds of the clock), at which path, its `webhook-id`, its body."""

    at: float
    path: str
    id: str
    body: str

    @classmethod
    def read(cls, line: str) -> Came:
        return cls(*json.loads(line))

    @property
    def number(self) -> str:
        return self.path.split("/")[2]


@dataclass(frozen=True, slots=True)
class Receivers:
    """The process of `receiver.py`: every number has an address of its own."""

    port: int
    log: Path

    def url(self, number: int, manner: str = "fine") -> str:
        return f"https://{host(number)}:{self.port}/{manner}/{number}"

    def came(self) -> list[Came]:
        return [Came.read(line) for line in self.log.read_text().splitlines()]


def fresh(log: TextIO) -> Iterator[Came]:
    """What was accepted since the last look. A line that is being written is left for the next one."""
    while True:
        place = log.tell()
        line = log.readline()
        if not line.endswith("\n"):
            log.seek(place)
            return
        yield Came.read(line)


@contextmanager
def receiving(folder: Path, hosts: int) -> Iterator[Receivers]:
    """Receivers while the block lasts, whose certificate this process and its children trust.

    It stands in a copy of the certificate store that everybody reads, so that reading it costs what it costs elsewhere.
    """
    addresses = [host(number) for number in range(hosts)]
    path, _ = certificate(folder, *addresses)
    store = folder / "store.pem"
    store.write_text(Path(certifi.where()).read_text() + path.read_text())
    os.environ |= {"SSL_CERT_FILE": str(store), "REQUESTS_CA_BUNDLE": str(store)}
    command = [sys.executable, "-m", "benchmarks.receiver", str(folder), *addresses]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield Receivers(int(server.stdout.readline()), folder / "came.jsonl")
        finally:
            server.terminate()


# --- senders --------------------------------------------------------------------------------------------------------


async def senders(at: Receivers, size: Size) -> dict[str, tuple[float, float]]:
    """Messages a second, ours and Apprise's: signed webhooks, and Slack."""
    apprise = load_apprise()
    alert = an_alert()
    webhook = replace(a_channel(ChannelKind.WEBHOOK, at.url(1)), keys=(new_keys(bytes),))
    slack = a_channel(ChannelKind.SLACK, SLACK)
    base = at.url(2)
    settings = DeliverySettings(
        allow_schemas=DEFAULT_SCHEMAS, timeout=PATIENCE, base_urls={"https://hooks.slack.com": base}
    )
    switchboard = Switchboard(wall_seconds=PATIENCE.total_seconds(), egress_allow=LOOPBACK)
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in SENDER_BARS}
    numbers = count(1)
    async with session(user_agent="benchmark") as client:
        ours = Sender(client, switchboard, settings)

        messages = {channel: render(a_delivery(channel, alert), now=NOON) for channel in (webhook, slack)}

        async def send(channel: Channel) -> None:
            message = messages[channel]
            outcome = await ours.send(channel, message, message_id=f"msg_{next(numbers)}", attempt=1, now=NOON)
            if outcome.status is not OutcomeStatus.SENT:
                raise SystemExit(f"ours: {channel.kind}: {outcome.detail}")

        plain = apprise.Apprise.instantiate(at.url(3).replace("https", "jsons", 1))
        shipped = apprise.Apprise.instantiate(SLACK, asset=apprise_asset())
        shipped.webhook_url, shipped.request_rate_per_sec = base, 0
        body, text = (messages[webhook].payload or b"").decode(), messages[slack].body
        await asyncio.gather(*(send(slack) for _ in range(4)))  # each child has loaded Apprise
        for _ in range(size.runs):
            figures["signed webhook"].append(
                (
                    await rate(size.signed, 50, lambda: send(webhook)),
                    await asyncio.to_thread(peer_rate, size.peers, lambda: plain.notify(title="", body=body)),
                )
            )
            figures["slack"].append(
                (
                    await rate(size.through, 10, lambda: send(slack)),
                    await asyncio.to_thread(peer_rate, size.peers, lambda: shipped.notify(title="", body=text)),
                )
            )
    switchboard.close()
    check(
        at,
        {"1": size.signed * size.runs, "2": (size.through + size.peers) * size.runs + 4, "3": size.peers * size.runs},
    )
    return {name: median(found) for name, found in figures.items()}


async def rate(number: int, at_once: int, send: Callable[[], Awaitable[None]]) -> float:
    left = iter(range(number))

    async def work() -> None:
        for _ in left:
            await send()

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return number / (time.perf_counter() - begun)


def peer_rate(number: int, notify: Callable[[], bool]) -> float:
    begun = time.perf_counter()
    if not all(notify() for _ in range(number)):
        raise SystemExit(f"Apprise could not send within {time.perf_counter() - begun:.1f} s")
    return number / (time.perf_counter() - begun)


def median(found: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """The run whose ratio is in the middle."""
    ranked = sorted(found, key=lambda pair: pair[0] / pair[1])
    return ranked[len(ranked) // 2]


def check(at: Receivers, due: dict[str, int]) -> None:
    """SystemExit unless each receiver has what was sent to it."""
    came = Counter(one.number for one in at.came())
    if came != due:
        raise SystemExit(f"at the receivers are {dict(came)}, sent were {due}")


# --- burst ----------------------------------------------------------------------------------------------------------


async def burst(at: Receivers, size: Size, *, sick: bool) -> list[float]:
    """Seconds after which each message to a destination that is healthy either way was accepted, sorted."""
    manners = {0: "hang", 1: "fail"} if sick else {}
    urls = [at.url(number, manners.get(number % 20, "fine")) for number in range(size.destinations)]
    healthy = [number for number in range(size.destinations) if number % 20 > 1]
    with tempfile.TemporaryDirectory() as folder:
        service = service_of(
            Path(folder),
            {
                "delivery": {"timeout": f"{size.timeout}s"},
                "subscriptions": [{"name": "desk", "team": "t", "channels": urls}],
            },
        )
        await service.start()
        await raised(service, size.events)
        due, came = len(healthy) * size.events, list[Came]()
        with at.log.open() as log:
            log.seek(0, os.SEEK_END)
            begun = time.time()
            service.runner.start()
            while len(came) < due:
                await asyncio.sleep(0.2)
                came += [one for one in fresh(log) if int(one.number) in healthy]
                if time.time() > begun + PATIENCE.total_seconds() * 5:
                    raise SystemExit(f"burst: {len(came)} of {due} messages came")
        await service.stop()
        store = Store(service.settings.storage.url, keys=(TEST_KEY,))
        left = store.outbox.counts()[DeliveryState.PENDING]
        store.close()
    waiting = (len(urls) - len(healthy)) * size.events if sick else 0  # nothing is given up within minutes
    if len({(one.number, one.id) for one in came}) != due or left != waiting:
        raise SystemExit(f"burst: {len(came)} came, {left} are left")
    return sorted(one.at - begun for one in came)


def service_of(folder: Path, more: dict[str, object]) -> Service:
    """The service as it is delivered, on the real clock; every event of `tests.crash.news` is one alert."""
    (folder / "rules.yaml").write_text(json.dumps([{"id": "all", "title": "All", "topics": list(TOPICS)}]))
    settings = Settings.model_validate(
        {
            "storage": {"url": f"sqlite:///{folder}/delivery.db"},
            "secrets": {"keys": [TEST_KEY.reveal()]},
            "egress": {"allow": ["127.0.0.0/8"]},
            "rules": {"packs": [], "paths": [folder / "rules.yaml"]},
            **more,
        }
    )
    return Service(settings, rulebook=load_rulebook(settings.rules))


async def raised(service: Service, number: int) -> None:
    """Put so many alerts into the outbox, by way of a feed's entries."""
    now, feeds = service.now(), service.store.feeds
    feeds.add(NewFeed(url="https://feed.example/rss", full_text=FullText.NEVER), now=now)
    entries = [
        ParsedEntry(guid=event.id, link=f"https://feed.example/{event.id}", title=title, summary=text, published=now)
        for event in islice(events(), number)
        for title, text in (event.told(0),)
    ]
    (claimed,) = feeds.claim_due(now, limit=1, lease=timedelta(minutes=2))
    feeds.save_poll(claimed, well(now + timedelta(days=1)), entries, now=now, look_back=timedelta(days=2))
    for entry in await service.pipeline.claim_entries(number):
        await service.pipeline.process(entry)


# --- arrival --------------------------------------------------------------------------------------------------------


async def arrival(at: Receivers, size: Size) -> tuple[list[float], list[float]]:
    """For each event, sorted: seconds from when its feed had it, and from when its feed's poll brought it, until the
    webhook had accepted its alert."""
    told = list(islice(events(), RATE * size.seconds))
    begin = time.time() + 5  # by then the service is up
    news = [(begin + n / RATE, n % FEEDS, event.id, *event.told(0)) for n, event in enumerate(told)]
    (at.log.parent / "news.json").write_text(json.dumps(news))
    with tempfile.TemporaryDirectory() as folder:
        countries = sorted(COUNTRIES)
        desks = [
            {"name": f"desk {n}", "team": "t", "watch": {"jurisdictions": countries[n::DESKS]}, "channels": [at.url(n)]}
            for n in range(DESKS)
        ]
        sources = [{"url": at.url(n, "feed"), "full_text": "never", "language": "en"} for n in range(FEEDS)]
        feeds = {"sources": sources, "interval": f"{POLL.total_seconds():g}s", "host_gap": "0s"}
        service = service_of(Path(folder), {"feeds": feeds, "subscriptions": desks})
        await service.start()
        await service.pipeline.warm_up()
        came: dict[str, float] = {}
        with at.log.open() as log:
            log.seek(0, os.SEEK_END)
            service.runner.start()
            while len(came) < len(told):
                await asyncio.sleep(0.2)
                came |= {link_of(one): one.at for one in fresh(log)}
                if time.time() > begin + size.seconds + PATIENCE.total_seconds() * 5:
                    raise SystemExit(f"arrival: {len(came)} of {len(told)} messages came")
        await service.stop()
    lines = (at.log.parent / "served.jsonl").read_text().splitlines()
    served = {guid: when for when, guid in map(json.loads, lines)}
    return sorted(came[guid] - when for when, _, guid, *_ in news), sorted(came[guid] - served[guid] for guid in came)


def link_of(one: Came) -> str:
    """The event that a message tells, by the last part of its source's address."""
    return str(json.loads(one.body)["data"]["sources"][0]["link"]).rpartition("/")[2]


# --- the bars -------------------------------------------------------------------------------------------------------


async def judge_senders(at: Receivers, size: Size) -> list[str]:
    missed = []
    for name, (ours, peer) in (await senders(at, size)).items():
        print(f"{name:24} ours {ours:7.0f}/s   apprise {peer:6.1f}/s   ratio {ours / peer:6.1f}")
        missed += [name] if ours / peer < SENDER_BARS[name] else []
    return missed


async def judge_burst(at: Receivers, size: Size) -> list[str]:
    p95 = []
    for sick in (False, True):
        seconds = await burst(at, size, sick=sick)
        p95.append(seconds[len(seconds) * 95 // 100])
        middle, kind = seconds[len(seconds) // 2], "10 % sick" if sick else "all healthy"
        print(f"burst, {kind:12} {len(seconds)} messages to healthy: half in {middle:.1f} s, p95 {p95[-1]:.1f} s")
    return ["healthy destinations beside sick ones"] if p95[1] > p95[0] * SICK_BAR else []


async def judge_arrival(at: Receivers, size: Size) -> list[str]:
    seen, polled = (found[len(found) * 95 // 100] for found in await arrival(at, size))
    poll = POLL.total_seconds()
    told = f"arrival, {RATE} a second, polled every {poll:g} s"
    print(f"{told}: p95 {seen:.2f} s from its feed, {polled:.2f} s from its poll")
    return ["arrival"] if seen > poll + ARRIVAL_BAR or polled > ARRIVAL_BAR else []


PARTS = {"senders": judge_senders, "burst": judge_burst, "arrival": judge_arrival}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a little of everything, nothing judged")
    options.add_argument("--only", choices=PARTS, help="one part of it")
    chosen = options.parse_args()
    size = QUICK if chosen.quick else FULL
    logs.configure("error", "console")
    missed = []
    with tempfile.TemporaryDirectory() as name, receiving(Path(name), size.destinations) as at:
        for part in [chosen.only] if chosen.only else PARTS:
            missed += asyncio.run(PARTS[part](at, size))
    if missed and not chosen.quick:
        raise SystemExit(f"MISSED: {', '.join(missed)}")


if __name__ == "__main__":
    main()
