"""Backtests over 100,000 stored entries, on SQLite and on PostgreSQL: the median of five runs for each kind of rule.

    python -m benchmarks.backtest [--entries N] [--database sqlite|postgres]

The store is made up from a seed: a third of the entries report one to three developments, jurisdictions, topics and
actions are as skewed as news, texts have about 3 KB. Readings are made up too, so that filling it takes seconds and
not the minutes that reading would take; what a backtest does is the same.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, text

from service.config import RulesSettings, read_rulebook
from service.documents import parse_yaml
from service.domain.concepts import Lexicon
from service.domain.model import Action, Direction, Stage, Topic
from service.domain.remembered import reads_text
from service.domain.rule import Rule
from service.domain.rulefile import parse_rules
from service.lookback import backtest
from service.storage.store import Store
from service.storage.tables import READING, DevelopmentRow, EntryRow, FeedRow, ReadingRow, StoryRow
from tests.given import TEST_KEY
from tests.postgres import Postgres

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEED = 20260302
LIMIT = 1.0
RUNS = 5

RULES = """
- {id: narrow, match: China + stablecoin + ban}
- {id: regime, match: new licensing regime}
- {id: group, match: EU27 + crypto, direction: tightening}
- {id: mention, match: China + stablecoin + ban, scope: mention}
- {id: wide, match: crypto}
- {id: some-words, match: 'Kazakhstan + stablecoin + "deposit register"'}
- {id: more-words, match: 'China + crypto + licens*'}
- {id: words-alone, match: '"deposit register"'}
"""
JUDGED_BY_LIMIT = ("narrow", "regime", "group", "mention", "wide")
"""The rules of concepts: the five kinds that the limit holds for. The others read texts, and say how long it takes."""

_CODES = """
    US CN EU GB KR JP HK SG RU IN DE FR AE BR KZ AU CH TR NG ID TH VN PH UA PL IT ES NL CA MX AR ZA KE EG SA QA BH UZ
    KG TJ TM GE AM AZ BY IL IR PK BD LK MY TW NZ NO SE DK FI IE PT GR INTL
"""
_WORDS = """
    the of and to in a for that on with as by at from it is was were are be has have had its their which said will
    bank banks central market markets regulator regulators law rules rule draft bill agency ministry finance licence
    licensing licensed issuer issuers stablecoin stablecoins token tokens exchange exchanges trading platform firms
    company customers deposit register reserve assets digital payment payments government parliament court investors
    report statement policy framework consultation public comment month year week billion million percent new first
"""
JURISDICTIONS, WORDS = _CODES.split(), _WORDS.split()


def fill(store: Store, entries: int, lexicon: Lexicon) -> None:
    """A store as a year of news would leave it."""
    chance = random.Random(SEED)
    with store.database.write() as session:
        session.execute(insert(FeedRow), [_feed(n) for n in range(1, 201)])
    for start in range(1, entries + 1, 2000):
        rows: dict[type, list[dict[str, Any]]] = {t: [] for t in (StoryRow, EntryRow, ReadingRow, DevelopmentRow)}
        for entry_id in range(start, min(start + 2000, entries + 1)):
            _add_entry(rows, entry_id, chance, lexicon.version)
        with store.database.write() as session:
            for table, values in rows.items():
                session.execute(insert(table), values)
    if not store.database.is_sqlite:
        with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _feed(number: int) -> dict[str, Any]:
    url = f"https://feed{number}.example.org/rss"
    return {
        "id": number, "url": url, "title": f"Feed {number}", "state": "healthy", "tier": "trade", "full_text": "auto",
        "interval_seconds": 900, "next_due_at": NOW, "failures": 0, "polled_once": True, "managed": False,
        "active": True, "created_at": NOW, "lease_token": 0,
    }  # fmt: skip


def _add_entry(rows: dict[type, list[dict[str, Any]]], entry_id: int, chance: random.Random, lexicon: str) -> None:
    at = NOW - timedelta(minutes=chance.randrange(365 * 24 * 60))
    acts = [_act(entry_id, chance) for _ in range(chance.choice((1, 1, 2, 3)))] if chance.random() < 0.35 else []
    story = entry_id if acts else None
    if story:
        rows[StoryRow].append({"id": story, "title": "", "opened_at": at, "last_at": at})
    rows[EntryRow].append(
        {
            "id": entry_id, "feed_id": chance.randint(1, 200), "key": str(entry_id), "link": f"https://e.org/{entry_id}",
            "link_key": str(entry_id), "title": _words(chance, 10), "summary": _words(chance, 40),
            "content": "\n\n".join(_words(chance, 60) + "." for _ in range(7)), "lang": "en", "published": at,
            "received_at": at, "content_hash": "", "revision": 0, "state": "done", "attempts": 1, "next_attempt_at": at,
            "lease_token": 0, "judged_by": "v", "judged_at": at, "sketch": list(range(64)), "story_id": story,
        }
    )  # fmt: skip
    mentioned = {code for act in acts for code in _codes(act)} | {
        _mention(chance) for _ in range(chance.randint(3, 25))
    }
    rows[ReadingRow].append(
        {"entry_id": entry_id, "lexicon": lexicon, "lang": "en", "at": at, "concepts": _noted(mentioned)}
    )
    rows[DevelopmentRow] += acts


def _act(entry_id: int, chance: random.Random) -> dict[str, Any]:
    act: dict[str, Any] = {
        "entry_id": entry_id,
        "jurisdiction": _skewed(JURISDICTIONS, chance),
        "topic": str(_skewed(list(Topic), chance)),
        "action": str(_skewed(list(Action), chance)),
        "direction": str(chance.choice(list(Direction))),
        "stage": str(chance.choice(list(Stage))),
    }
    spans = [{"field": "title", "start": n * 9, "end": n * 9 + 8, "text": "x" * 8} for n in range(4)]
    quote = {"field": "title", "start": 0, "end": 60, "text": "x" * 60}
    stated = _codes(act)
    named = stated | {_mention(chance) for _ in range(3)}
    return {**act, "evidence": spans, "quotes": [quote], "stated": _noted(stated), "named": _noted(named)}


def _skewed(names: list[Any], chance: random.Random) -> Any:
    """The first names are far more common than the last, as in news."""
    return names[min(int(chance.expovariate(5 / len(names))), len(names) - 1)]


def _codes(act: dict[str, Any]) -> set[str]:
    return {f"jurisdiction:{act['jurisdiction']}", f"topic:{act['topic']}", f"action:{act['action']}"}


def _mention(chance: random.Random) -> str:
    kind, names = chance.choice((("jurisdiction", JURISDICTIONS), ("topic", list(Topic)), ("action", list(Action))))
    return f"{kind}:{_skewed(list(names), chance)}"


def _noted(codes: set[str]) -> str:
    return f" {' '.join(sorted(codes))} "


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(WORDS, k=count))


@contextmanager
def stores(which: str) -> Iterator[Iterator[tuple[str, Store]]]:
    with tempfile.TemporaryDirectory(prefix="policywatch-backtest-") as folder:
        yield _stores(which, Path(folder))


def _stores(which: str, folder: Path) -> Iterator[tuple[str, Store]]:
    if which in ("", "sqlite"):
        store = Store(f"sqlite:///{folder}/b.db", keys=(TEST_KEY,))
        yield "SQLite", store
        store.close()
    if which in ("", "postgres"):
        with Postgres(folder / "pg") as server, server.new_database() as url:
            store = Store(url, keys=(TEST_KEY,))
            yield "PostgreSQL", store
            store.close()


def measure(store: Store, rule: Rule, lexicon: Lexicon) -> tuple[float, int, int, int]:
    """Seconds (the median), entries, stories, texts read."""
    times = []
    for _ in range(1 if rule.id == "words-alone" else RUNS):
        started = time.perf_counter()
        found = backtest(store, rule, lexicon)
        times.append(time.perf_counter() - started)
    return statistics.median(times), len(found.fired), len(found.stories), found.texts


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--entries", type=int, default=100_000)
    asked.add_argument("--database", choices=("sqlite", "postgres"), default="")
    options = asked.parse_args()
    book = read_rulebook(RulesSettings(packs=()))
    rules, problems = parse_rules(parse_yaml(RULES.encode(), shown="rules"), book.lexicon, book.groups)
    assert not problems, problems
    with stores(options.database) as databases:
        for name, store in databases:
            started = time.perf_counter()
            fill(store, options.entries, book.lexicon)
            with store.database.read() as session:
                count = session.execute(select(func.count()).select_from(READING)).scalar_one()
            print(f"\n{name}: {count:,} entries, filled in {time.perf_counter() - started:.0f} s")
            print(f"{'rule':14}{'seconds':>9}{'entries':>9}{'stories':>9}{'texts':>9}")
            for rule in rules:
                seconds, entries, found, texts = measure(store, rule, book.lexicon)
                bar = ("ok" if seconds < LIMIT else "SLOW") if rule.id in JUDGED_BY_LIMIT else "reads texts"
                assert reads_text(rule) == (rule.id not in JUDGED_BY_LIMIT)
                print(f"{rule.id:14}{seconds:9.3f}{entries:9,}{found:9,}{texts:9,}  {bar}")


if __name__ == "__main__":
    main()
