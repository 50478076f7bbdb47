"""Placing an entry among 1,000 and among 100,000 recent stories, on SQLite: medians, and how they grow.

    python -m benchmarks.stories [--stories N]

Headlines are made up from a seed; half of the entries report a development, and jurisdictions and topics are as skewed
as news. Timed is what happens in the serialised section between its opening and its commit: finding the stories that
may be meant, deciding, and writing the entry's story with its handles. The peer is the plain way: comparing with every
story of the window, by the same decision, from memory.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import insert, text

from service.domain.model import Action, Development, Direction, Entry, Placement, Stage, Story, StoryKey, Topic
from service.domain.shelf import handles_of
from service.domain.stories import WINDOW, place
from service.domain.text import sketch
from service.domain.traits import traits_of
from service.storage import shelf
from service.storage.store import Store
from service.storage.tables import StoryHandleRow, StoryRow
from tests.given import TEST_KEY

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEED = 20260302
LIMIT_MS = 2.0
GROWTH = 2.0
TRIED = 300
WARMING = 20

_CODES = """
    US CN EU GB KR JP HK SG RU IN DE FR AE BR KZ AU CH TR NG ID TH VN PH UA PL IT ES NL CA MX AR ZA KE
"""
_FIRST = "bra cor del fen gar hol kin lor mar nel por ran sol tar vin wes"
_LAST = "dale bank mont port shire field house point view gate"
_DO = "opens closes approves rejects fines sues warns delays drafts adopts reviews licenses suspends backs cuts"
_THING = "rules exchange tokens lenders custody payments reserve mining tariff privacy audit levy fund capital"
_PLACES, _ACTS, _THINGS = _CODES.split(), _DO.split(), _THING.split()
_STEMS = [first + last for first in _FIRST.split() for last in _LAST.split()]


def keys(rng: random.Random) -> Iterator[tuple[StoryKey, datetime]]:
    """Entries without end, each with its time in the window; one in five reports what one before it reported."""
    told: list[str] = []
    while True:
        if told and rng.random() < 0.2:
            title = rng.choice(told[-200:])
        else:
            who, whom = (rng.choice(_STEMS).capitalize() for _ in range(2))
            title = f"{who} {rng.choice(_ACTS)} {whom} {rng.choice(_THINGS)} {rng.choice(_STEMS)} {rng.choice(_STEMS)}"
            told.append(title)
        lead = " ".join(rng.choices(_STEMS, k=40))
        found = () if rng.random() < 0.5 else (_development(rng),)
        key = StoryKey(
            developments=found,
            link=f"https://news.example/{rng.randrange(10**9)}",
            sketch=sketch(f"{title} {lead}"),
            title=title,
            traits=traits_of(Entry(id="1", title=title, summary=lead), "en"),
        )
        yield key, NOW - WINDOW * rng.random()


def _development(rng: random.Random) -> Development:
    return Development(
        jurisdiction=_PLACES[min(int(rng.expovariate(0.15)), len(_PLACES) - 1)],
        topic=list(Topic)[min(int(rng.expovariate(0.2)), len(Topic) - 1)],
        action=rng.choice(list(Action)),
        direction=rng.choice(list(Direction)),
        stage=rng.choice(list(Stage)),
    )


def fill(store: Store, made: list[tuple[StoryKey, datetime]]) -> None:
    """A story for each entry, as the service keeps it, but written in bulk."""
    stories, handles = [], []
    for number, (key, when) in enumerate(made, 1):
        stories.append(
            {"id": number, "title": key.title, "opened_at": when, "last_at": when, "members": [shelf.dump_key(key)]}
        )
        for handle in handles_of(key):
            at, until = int(when.timestamp()), int((when + handle.span).timestamp())
            handles.append({"handle": handle.code, "story_id": number, "at": at, "until": until})
    with store.database.write() as session:
        session.execute(insert(StoryRow), stories)
        for start in range(0, len(handles), 50_000):
            session.execute(insert(StoryHandleRow), handles[start : start + 50_000])
        session.execute(text("ANALYZE"))


def place_one(store: Store, key: StoryKey) -> tuple[float, Placement]:
    """Seconds of the processor that one entry takes in the section, without opening and committing it."""
    with store.database.placing() as session:
        session.connection()
        begun = time.process_time()
        placement = place(key, NOW, shelf.near(session, key, NOW))
        if placement.story_id is None:
            shelf.open_story(session, key, NOW, predecessor=placement.predecessor, because=placement.reason)
        else:
            shelf.join_story(session, placement.story_id, key, NOW)
        taken = time.process_time() - begun
    return taken, placement


def measure(counts: tuple[int, int], folder: Path) -> list[dict[str, float]]:
    """The figures among so many stories each. The same entries are placed among few and among many in turn, so that
    whatever else the machine does meanwhile falls on both, and the growth is not that of its other work."""
    made = list(islice(keys(random.Random(SEED)), max(counts)))
    stores = [Store(f"sqlite:///{folder / f'{count}.db'}", keys=(TEST_KEY,)) for count in counts]
    taken: list[list[float]] = [[], []]
    found = [0, 0]
    for store, count in zip(stores, counts, strict=True):
        fill(store, made[:count])
    fresh = [key for key, _ in islice(keys(random.Random(SEED + 1)), WARMING + TRIED - TRIED // 3)]
    known = [key for key, _ in random.Random(SEED).sample(made[: min(counts)], TRIED // 3)]
    for number, key in enumerate((*fresh, *known)):
        for which, store in enumerate(stores):
            seconds, placement = place_one(store, key)
            taken[which].append(seconds)
            found[which] += number >= len(fresh) and placement.story_id is not None
    for store in stores:
        store.close()
    return [
        _figures(times[WARMING:], made[:count], again) for times, count, again in zip(taken, counts, found, strict=True)
    ]


def _figures(taken: list[float], made: list[tuple[StoryKey, datetime]], found: int) -> dict[str, float]:
    everything = [Story(id=n, opened_at=at, last_at=at, members=(key,)) for n, (key, at) in enumerate(made, 1)]
    plain = []
    for key, _ in made[:3]:
        begun = time.process_time()
        place(key, NOW, everything)
        plain.append(time.process_time() - begun)
    return {
        "median": statistics.median(taken) * 1e3,
        "p95": statistics.quantiles(taken, n=20)[18] * 1e3,
        "plain": statistics.median(plain) * 1e3,
        "found": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=100_000)
    asked = parser.parse_args()
    counts = max(TRIED, asked.stories // 100), asked.stories
    with tempfile.TemporaryDirectory() as folder:
        few, many = measure(counts, Path(folder))
    for count, row in zip(counts, (few, many), strict=True):
        print(f"among {count:>7,}: {row['median']:.2f} ms median, {row['p95']:.2f} ms p95; the plain way "
              f"{row['plain']:,.1f} ms, {row['plain'] / row['median']:,.0f} times ours; known entries found again: "
              f"{row['found']:.0f} of {TRIED // 3}")  # fmt: skip
    growth = many["median"] / few["median"]
    print(f"growth {growth:.2f} (limit {GROWTH}), median {many['median']:.2f} ms (limit {LIMIT_MS} ms)")
    sys.exit(0 if growth < GROWTH and many["median"] <= LIMIT_MS else 1)


if __name__ == "__main__":
    main()
