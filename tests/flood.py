"""Thousands of entries of one story in an hour: one alert, a ledger that adds up, and work that does not grow.

    python -m tests.flood [--entries N] [--database URL]

Fifty outlets tell one ban over and over: copies, other words, without date or link, dated next year; for one of two
rules it waits for an official source all along. The entries come in tenths; printed is what one costs in the second
tenth and in the last. Ends with 1 if an entry was lost or told twice, if the ledger has a hole, or if one costs more
than twice as much in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

import structlog

from service.app import Service
from service.config import Rulebook
from service.domain.model import FullText, ParsedEntry
from service.storage.alerts import LedgerSum
from service.storage.feeds import NewFeed
from tests.builders import LEASE, healthy
from tests.conftest import NOON, Clock
from tests.line import Line, only_rules, settings_of
from tests.loopback import Web

RULES = "rules:\n  - {id: bans, match: crypto + ban}\n  - {id: sure, match: crypto + ban, confirm: official}\n"
OUTLETS = 50
TENTHS = 10
PAUSE = timedelta(minutes=6)
SEED = 20260302
_SAY = ("ministry", "officials", "announced", "measure", "Monday", "after", "months", "talks", "power", "heat", "grid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What came of it: processor seconds for an entry in each tenth, messages, reports of the alert, and the ledger."""

    seconds: tuple[float, ...]
    messages: int
    reports: int
    waiting: int
    ledger: LedgerSum

    @property
    def growth(self) -> float:
        return self.seconds[-1] / self.seconds[1]


def entries(count: int) -> Iterator[ParsedEntry]:
    """Reports of one event, no two of them alike in all."""
    rng = random.Random(SEED)
    for number in range(count):
        words = " ".join(rng.choices(_SAY, k=rng.randrange(4, 30)))
        yield ParsedEntry(
            guid=str(number),
            link="" if number % 7 == 3 else f"https://outlet{number % OUTLETS}.example/{number}",
            title="Kenya bans crypto mining"
            + rng.choice(("", ", ministry says", " with immediate effect", " at last")),
            summary=f"The government of Kenya has banned crypto mining, {words}.",
            published=(None, NOON + timedelta(days=400), NOON, NOON, NOON)[number % 5],
        )


async def flood(count: int, database_url: str, rulebook: Rulebook) -> Flood:
    clock = Clock()
    service = Service(settings_of(database_url), rulebook=rulebook, now=clock, chance=lambda: 0.5)
    await service.start()
    async with Web() as web:
        line = Line(service, clock, web)
        line.subscribe()
        new = NewFeed(url=f"{web.address}/rss", full_text=FullText.NEVER)
        line.store.feeds.add(new, now=clock())
        _save(line, ())
        told, seconds = entries(count), []
        for _ in range(TENTHS):
            clock.advance(PAUSE)
            _save(line, tuple(islice(told, count // TENTHS)))
            begun = time.process_time()
            await service.runner.drain()
            seconds.append((time.process_time() - begun) / (count // TENTHS))
        found = Flood(
            seconds=tuple(seconds),
            messages=len(web.received),
            reports=sum(alert.reports for alert in line.alerts()),
            waiting=line.store.entries.waiting(),
            ledger=line.store.alerts.check_ledger()[0],
        )
        await service.stop()
    return found


def _save(line: Line, found: tuple[ParsedEntry, ...]) -> None:
    now = line.clock()
    (claimed,) = line.store.feeds.claim_due(now, limit=1, lease=LEASE)
    line.store.feeds.save_poll(claimed, healthy(now + PAUSE), found, now=now, look_back=timedelta(days=2))


def rules(folder: Path) -> Rulebook:
    return only_rules(folder / "rules.yaml", RULES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--database", default="")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    with tempfile.TemporaryDirectory() as folder:
        url = asked.database or f"sqlite:///{Path(folder) / 'flood.db'}"
        found = asyncio.run(flood(asked.entries, url, rules(Path(folder))))
    held = ", ".join(f"{reason} {count}" for reason, count in sorted(found.ledger.suppressed.items()))
    print(f"{asked.entries} entries, {found.reports} reports of the alert, {found.messages} messages; ledger: "
          f"{found.ledger.matches} matches = {found.ledger.delivered} delivered + {held}")  # fmt: skip
    print(f"an entry: {found.seconds[1] * 1e3:.1f} ms in the second tenth, {found.seconds[-1] * 1e3:.1f} ms in the "
          f"last, growth {found.growth:.2f}")  # fmt: skip
    whole = found.reports == asked.entries and found.messages == 1 and not found.ledger.missing
    sys.exit(0 if whole and found.growth <= 2 else 1)


if __name__ == "__main__":
    main()
