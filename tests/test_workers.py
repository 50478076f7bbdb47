"""Many processes on one PostgreSQL: the short forms of `python -m tests.workers`, the command, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest
import yaml
from sqlalchemy import text
from typer.testing import CliRunner

from service.app import Service
from service.cli import app
from service.config import load
from service.domain.model import ServiceError
from service.keeper import keep
from service.storage import wakes
from service.storage.database import HEAD, Database, Misfit
from service.storage.feeds import NewFeed, fresh_row
from service.storage.store import Store
from service.storage.tables import EntryRow, TeamRow
from service.storage.wakes import MOST_WAITING
from tests import silent
from tests.builders import a_parsed
from tests.given import NOON, TEST_KEY
from tests.postgres import Postgres
from tests.workers import scenarios
from tests.workers.__main__ import SCENARIOS, options_of
from tests.workers.team import Plan


def quiet(_: str) -> None:
    pass


def test_killed_paused_and_robbed_of_wake_ups_workers_do_everything_once(postgres: Postgres, tmp_path: Path) -> None:
    """The short form of three commands: a worker that slept beyond its lease settles nothing; nothing is lost."""
    result = scenarios.in_team(
        Plan(workers=2, feeds=12, interval=timedelta(seconds=1)),
        postgres,
        tmp_path,
        partial(scenarios.pauses, rounds=1, told=quiet),
        partial(scenarios.kills, count=2, every=timedelta(seconds=0.3), seed=1, told=quiet),
        partial(scenarios.truncations, count=2, told=quiet),
        slow=timedelta(seconds=0.1),
    )
    assert result.holds, result.figures


# --- wake-ups -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database_url(postgres: Postgres) -> Iterator[str]:
    with postgres.new_database() as url:
        Store(url, keys=(TEST_KEY,)).close()
        yield url


def jobs(store: Store) -> list[str]:
    with store.database.read() as session:
        return list(session.execute(text("SELECT args ->> 'step' FROM procrastinate_jobs ORDER BY id")).scalars())


def test_a_wake_up_is_committed_with_what_is_due_or_not_at_all(database_url: str) -> None:
    store = Store(database_url, keys=(TEST_KEY,))
    with store.database.write() as session:
        wakes.note_due(session, wakes.Step.POLL)
        wakes.defer(session)
        session.rollback()
    assert jobs(store) == []
    assert store.feeds.add(NewFeed(url="https://a.example/"), now=NOON)
    assert jobs(store) == ["poll"]
    with store.database.write() as session:
        wakes.note_due(session, wakes.Step.PROCESS, wakes.BATCH + 1)
    assert jobs(store) == ["poll", "process", "process"]  # a job for each batch
    with store.database.write() as session:
        session.add(TeamRow(name="desk", created_at=NOON))  # nothing that anybody waits for
    with store.database.write() as session:
        row = fresh_row(store.feeds.page()[0], "key", a_parsed("1"), NOON)
        session.add(EntryRow(**row))  # not written before the end of the block
    assert jobs(store) == ["poll", "process", "process", "process"]
    store.close()


def test_a_broken_engine_costs_the_wake_up_and_not_the_row(database_url: str) -> None:
    store = Store(database_url, keys=(TEST_KEY,))
    with store.database.write() as session:
        session.execute(text("DROP TABLE procrastinate_jobs CASCADE"))
    assert store.feeds.add(NewFeed(url="https://b.example/"), now=NOON)
    with store.database.write() as session:
        assert wakes.forget(session) == 0
    store.database.migrate()  # as every start does: what is not whole is made anew
    assert store.feeds.add(NewFeed(url="https://c.example/"), now=NOON)
    assert jobs(store) == ["poll"]
    store.close()


def test_wake_ups_do_not_pile_up_where_nobody_listens(database_url: str) -> None:
    store = Store(database_url, keys=(TEST_KEY,))
    with store.database.write() as session:
        session.execute(
            text(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, status) "
                "SELECT 'policywatch', 'policywatch.wake', CASE WHEN n <= 5 THEN 'doing' ELSE 'todo' END"
                "::procrastinate_job_status FROM generate_series(1, :n) AS n"
            ),
            {"n": MOST_WAITING + 105},
        )
    with store.database.write() as session:
        wakes.forget(session)
    assert MOST_WAITING <= len(jobs(store)) <= MOST_WAITING + 1
    store.close()


# --- the command ----------------------------------------------------------------------------------------------------


def config(folder: Path, url: str, **more: object) -> Path:
    """A configuration file. (JSON is YAML.)"""
    path = folder / "config.yaml"
    settings = {"storage": {"url": url}, "secrets": {"keys": [TEST_KEY.reveal()]}, "rules": {"packs": []}, **more}
    path.write_text(json.dumps(settings))
    return path


def refused(folder: Path, url: str) -> str:
    """What `policywatch worker` says instead of working."""
    result = CliRunner().invoke(app, ["worker", "--config", str(config(folder, url))])
    assert result.exit_code == 1
    assert isinstance(result.exception, ServiceError)  # which `main` tells in words
    return str(result.exception)


def test_on_sqlite_a_worker_says_what_to_do_instead(tmp_path: Path) -> None:
    assert "run `policywatch serve` alone" in refused(tmp_path, f"sqlite:///{tmp_path}/policywatch.db")


def test_a_wrong_address_and_a_database_out_of_reach_are_told(tmp_path: Path) -> None:
    assert "mysql" in refused(tmp_path, "mysql://u@h/d")
    assert "cannot be opened" in refused(tmp_path, f"postgresql://u:secret@/d?host={tmp_path}")
    assert "secret" not in refused(tmp_path, f"postgresql://u:secret@/d?host={tmp_path}")


def test_tables_of_another_version_are_left_alone(postgres: Postgres, tmp_path: Path) -> None:
    with postgres.new_database() as url:
        assert "has no tables yet; start `policywatch serve`" in refused(tmp_path, url)
        database = Database(url)
        database.migrate()
        for revision, said in (("0001", "an older version"), ("9999", "a newer version")):
            with database.write() as session:
                session.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
            assert said in refused(tmp_path, url)
            with pytest.raises(Misfit, match="another version"):
                database.check()  # what readiness tells, and what ends a running worker
        with pytest.raises(Misfit, match="newer version"):
            database.migrate()
        with database.read() as session:
            assert session.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
        database.close()


def test_the_way_of_the_page(postgres: Postgres, tmp_path: Path) -> None:
    """An empty database, `serve`, workers; one that is killed is replaced; tables of another version end it all."""
    written = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    with postgres.new_database() as url:
        path = config(tmp_path, url, runner=written["runner"])
        assert "start `policywatch serve`" in refused(tmp_path, url)
        Service(load(path)).store.close()  # what `serve` does before anything else
        database, log = Database(url), tmp_path / "log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "service", "worker", "--config", str(path)]
            parent = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            first = started(log, 1)
            with database.write() as session:
                session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            os.kill(first, signal.SIGKILL)
            assert started(log, 2) != first
            assert parent.wait(timeout=120) == 1
            assert f"a newer version (9999, this one knows {HEAD})" in log.read_text()
        finally:
            parent.kill()
            database.close()


def started(log: Path, count: int) -> int:
    """The pid of the so-manieth worker that was started."""
    deadline = monotonic() + 60
    while monotonic() < deadline:
        pids = [line.rpartition("pid=")[2] for line in log.read_text().splitlines() if "worker started" in line]
        if len(pids) >= count:
            return int(pids[count - 1])
        sleep(0.05)
    raise AssertionError(log.read_text())


PAGE = (Path(__file__).parent.parent / "docs" / "many.md").read_text(encoding="utf-8")


def test_the_page_names_commands_that_there_are() -> None:
    commands = re.findall(r"^\| `python -m ([\w.]+) ?(.*?)` \|", PAGE, re.MULTILINE)
    assert {options.split()[0] for module, options in commands if module == "tests.workers"} == set(SCENARIOS)
    for module, options in commands:
        if module == "tests.workers":
            assert options_of(options.split()).count > 0
    assert ("benchmarks.workers", "") in commands


# --- the keeper -----------------------------------------------------------------------------------------------------


def test_a_child_that_falls_silent_is_replaced_and_one_of_no_use_ends_it(tmp_path: Path) -> None:
    silence = timedelta(seconds=0.5)
    assert keep(silent.work, (str(tmp_path),), processes=1, silence=silence, patience=timedelta(seconds=5)) == 1
    first = int((tmp_path / "0").read_text())
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
