"""Many processes on one PostgreSQL: what a second worker brings, and what a claim costs among many feeds.

    python -m benchmarks.workers [--entries 600] [--feeds 10000 500000] [--runs 3] [--quick]

Processing: the same stored entries are read, matched, placed and put into the outbox by one worker process and by two;
a run's figure is entries a second from the first to the last, the median of the runs counts, and the bar is 1.7. The
feeds' polls and the messages are not part of it. Claims: the median of many claims of 20 feeds, each given back, among
the first and the second number of feeds, 20 to a host, of which one in ten is due; the bar is twice.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic, perf_counter

import psycopg
from sqlalchemy import func, select, text

from service.domain.model import EntryState, NotModified
from service.domain.polling import Polled
from service.storage.store import Store
from service.storage.tables import ENTRY
from tests.builders import healthy
from tests.given import NOON, TEST_KEY
from tests.postgres import Postgres
from tests.workers.scenarios import team_of
from tests.workers.team import Plan, Team

SCALING_BAR, CLAIM_BAR = 1.7, 2.0
CLAIMS = 200
LIMIT = 20
LEASE = timedelta(minutes=2)

_ENTRIES = """
INSERT INTO entry (feed_id, key, guid, title, summary, content, link, content_hash, state, received_at,
                   next_attempt_at, revision, attempts, lease_token, sketch, published)
SELECT 1 + n %% %(feeds)s, 'copy-' || n, 'copy-' || n, title, %(text)s, %(text)s, 'http://x.example/unseen-' || n, 'hash-' || n, 'new', %(now)s,
       %(now)s, 0, 0, 0, '[]', %(now)s FROM unnest(%(titles)s::text[]) WITH ORDINALITY AS given(title, n)
"""

_FEEDS = """
INSERT INTO feed (url, title, state, tier, full_text, interval_seconds, next_due_at, failures, polled_once, managed,
                  active, created_at, lease_token, tags, sends, host)
SELECT 'https://h' || n / 20 || '.example/' || n, '', 'healthy', 'unknown', 'never', 900,
       %(now)s::timestamptz + (n %% 10) * interval '1 hour' - (n %% 900) * interval '1 second', 0, true, false, true,
       %(now)s, 0, '[]', '[]', 'h' || n / 20 || '.example:443' FROM generate_series(1, %(feeds)s) AS n
"""

_HOSTS = "INSERT INTO host SELECT host, min(created_at), min(next_due_at) FROM feed GROUP BY host"


def processed_a_second(server: Postgres, folder: Path, *, workers: int, entries: int) -> float:
    """The speed at which so many workers do what is stored when they start."""
    plan = Plan(workers=workers, feeds=8)
    with team_of(plan, server, folder) as team:
        team.start(workers)
        team.wait(team.is_done, "the workers to be warm")
        titles = [" ".join(event.told(0)) for event in (team.town.publish_unseen() for _ in range(entries))]
        now, filler = team.clock(), " The ministry gave no further detail, officials said." * 40
        begun = monotonic()
        with psycopg.connect(team.database.conninfo) as connection:
            connection.execute(_ENTRIES, {"feeds": 8, "now": now, "titles": titles, "text": filler})
        team.wait(lambda: _left(team) == 0, "the entries to be processed")
        return entries / (monotonic() - begun)


def _left(team: Team) -> int:
    with team.database.read() as session:
        return int(session.execute(select(func.count()).where(ENTRY.state == EntryState.NEW)).scalar_one())


def claim_ms(server: Postgres, feeds: int, *, claims: int = CLAIMS) -> float:
    """The median time of a claim among so many feeds, in ms; what is claimed is saved before the next one."""
    with server.new_database() as url:
        store = Store(url, keys=(TEST_KEY,))
        with psycopg.connect(store.database.conninfo, autocommit=True) as connection:
            connection.execute(_FEEDS, {"feeds": feeds, "now": NOON})
            connection.execute(_HOSTS)
            connection.execute("VACUUM ANALYZE feed, host")
        times = []
        for _ in range(claims):
            begun = perf_counter()
            claimed = store.feeds.claim_due(NOON, limit=LIMIT, lease=LEASE)
            times.append((perf_counter() - begun) * 1000)
            assert len(claimed) == LIMIT
            store.feeds.save_polls(
                [(feed, Polled(result=NotModified(url=feed.url))) for feed in claimed],
                decide=lambda *_: healthy(NOON - LEASE),  # due again: the queue does not get shorter
                now=NOON,
                look_back=LEASE,
            )
        with store.database.read() as session:
            assert session.execute(text("SELECT count(*) FROM feed")).scalar_one() == feeds
        store.close()
        return statistics.median(times)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=600)
    parser.add_argument("--feeds", type=int, nargs=2, default=(10_000, 500_000))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a small form that shows that it works")
    parser.add_argument("--only", choices=("processing", "claims"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.entries, options.feeds, options.runs = 40, (500, 5_000), 1
    holds = True
    with tempfile.TemporaryDirectory(prefix="policywatch-workers-") as name, Postgres(Path(name) / "pg") as server:
        if options.only != "claims":
            one, two = (
                statistics.median(
                    processed_a_second(
                        server, Path(name) / f"{workers}-{run}", workers=workers, entries=options.entries
                    )
                    for run in range(options.runs)
                )
                for workers in (1, 2)
            )
            print(f"processing: 1 worker {one:.1f}/s, 2 workers {two:.1f}/s: {two / one:.2f}x (bar {SCALING_BAR}x)")
            holds &= two / one >= SCALING_BAR
        if options.only != "processing":
            few, many = (claim_ms(server, feeds) for feeds in options.feeds)
            least, most = options.feeds
            print(f"claim of {LIMIT}: {few:.2f} ms of {least:,} feeds, {many:.2f} ms of {most:,}: {many / few:.2f}x")
            print(f"  (bar: less than {CLAIM_BAR}x)")
            holds &= many / few < CLAIM_BAR
    return 0 if holds or options.quick else 1


if __name__ == "__main__":
    sys.exit(main())
