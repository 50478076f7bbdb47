"""The short crash test: one kill -9 at every failpoint on SQLite, some on PostgreSQL, and a control that must lose.

The long one is `python -m tests.crash --kills 200`; docs/promises.md has its figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest

from service import failpoint
from service.config import load_lexicon
from service.domain.concepts import Lexicon
from service.domain.developments import read
from service.domain.model import Entry, Secret, ServiceError
from service.storage.store import Store
from service.storage.vault import Vault, read_key_file
from tests.builders import LEASE, a_parsed, healthy, judged, received
from tests.conftest import NOON
from tests.crash.__main__ import main
from tests.crash.harness import OUTSIDE, Plan, Run, crash
from tests.crash.news import ACTIONS, COUNTRIES, NOTHING, PLACEHOLDER, TOPICS, events
from tests.crash.oracle import Attempt, Life, Rows, Verdict, judge
from tests.crash.world import Request
from tests.postgres import Postgres


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon()


class TestTheService:
    """Killed for real: child processes, real databases, real sockets."""

    def test_keeps_its_promise_at_every_failpoint_on_sqlite(self, tmp_path: Path) -> None:
        run = crash(
            Plan(kills=14, seed=1, most_reaches=3), folder=tmp_path, url=f"sqlite:///{tmp_path}/policywatch.db"
        )
        assert run.verdict.faults == ()
        assert run.kills == 14
        # A slow machine may not reach a point in time, and is then killed from outside.
        assert len(set(run.tallies) - {OUTSIDE}) >= 10

    def test_keeps_its_promise_where_leases_must_run_out(self, tmp_path: Path, postgres: Postgres) -> None:
        points = (
            "poll.before_commit",
            "process.before_commit",
            "process.committed",
            "deliver.attempt_written",
            "deliver.response_read",
            "deliver.settled",
        )
        with postgres.new_database() as url:
            run = crash(Plan(kills=6, seed=2, points=points, most_reaches=2), folder=tmp_path, url=url)
        assert run.verdict.faults == ()
        assert run.kills == 6

    def test_without_its_outbox_loses_and_is_found_out(self, tmp_path: Path) -> None:
        plan = Plan(kills=3, seed=3, points=("deliver.settled",), control=True, most_reaches=2)
        run = crash(plan, folder=tmp_path, url=f"sqlite:///{tmp_path}/policywatch.db")
        assert run.verdict.lost > 0
        assert not run.verdict.holds
