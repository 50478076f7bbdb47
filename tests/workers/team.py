"""Workers as processes that may be killed and paused, the database below them, and what its rows say in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType

from sqlalchemy import func, select, text

from service.app import Service
from service.config import load
from service.domain.model import DeliveryState, EntryState, FullText
from service.storage.database import Database
from service.storage.feeds import NewFeed
from service.storage.tables import ATTEMPT, DELIVERY, ENTRY, FEED
from tests.crash.news import TOPICS
from tests.given import TEST_KEY
from tests.workers.clock import SharedClock
from tests.workers.nursery import ENDED
from tests.workers.town import Town

LEASE = timedelta(seconds=31)
TIMEOUT = timedelta(seconds=10)
PATIENCE = timedelta(minutes=5)
"""How long anything may take that a test waits for, on a busy machine."""

_CHECKOUT = Path(__file__).parents[2]

_RECORD = """
CREATE TABLE recorded (feed_id integer, due timestamptz, token integer);
CREATE FUNCTION record_poll() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN INSERT INTO recorded VALUES (OLD.id, OLD.next_due_at, OLD.lease_token); RETURN NEW; END $$;
CREATE TRIGGER record_poll AFTER UPDATE OF last_polled_at ON feed FOR EACH ROW EXECUTE FUNCTION record_poll();
"""
"""The tables themselves write down which due time each poll was recorded for."""


class Broken(Exception):
    """The test could not go on, or waited in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What runs: so many workers on so many feeds, each polled at `interval`."""

    workers: int
    feeds: int
    interval: timedelta = timedelta(days=1)
    places: int = 6
    tick: timedelta = timedelta(seconds=1)


class Team:
    """Workers on an empty database at `url`; its feeds are the town's."""

    def __init__(self, plan: Plan, town: Town, clock: SharedClock, *, folder: Path, url: str) -> None:
        self.plan, self.town, self.clock = plan, town, clock
        self._log = folder / "workers.log"
        self._config = _configure(folder, url, town, plan)
        settings = load(self._config)
        leading = Service(settings, now=self.clock)
        new = [NewFeed(url=each, interval=plan.interval, full_text=FullText.NEVER) for each in town.urls()]
        leading.store.feeds.apply(new, now=self.clock())
        leading.store.close()
        self.database = Database(url)
        with self.database.write() as session:
            raw = session.connection().connection.dbapi_connection
            assert raw is not None
            raw.cursor().execute(_RECORD)
        self.pids: dict[str, int] = {}
        self._started = 0

    def __enter__(self) -> Team:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("POLICYWATCH_")}
        self._output = self._log.open("wb")
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.workers.nursery", str(self._config), str(self.clock.path)],
            cwd=_CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in self.pids.values():
            self._signal(pid, signal.SIGCONT)
        with self._nursery:  # closing its input ends it, and whatever it has forked
            pass
        self._output.close()
        self.database.close()

    # --- what happens to workers ------------------------------------------------------------------------------

    def start(self, count: int = 1) -> None:
        asking, answers = self._nursery.stdin, self._nursery.stdout
        assert asking is not None
        assert answers is not None
        for _ in range(count):
            self._started += 1
            name = f"w{self._started}"
            asking.write(f"{name}\n")
            asking.flush()
            answer = answers.readline()
            if not answer:
                raise Broken(f"the nursery ended:\n{self.last_words()}")
            self.pids[name] = int(answer)

    def kill(self, name: str) -> None:
        self._signal(self.pids.pop(name), signal.SIGKILL)

    def pause(self, name: str) -> None:
        self._signal(self.pids[name], signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._signal(self.pids[name], signal.SIGCONT)

    def stop(self) -> None:
        """All of them, in good order."""
        for pid in self.pids.values():
            self._signal(pid, signal.SIGTERM)
        self.wait(lambda: not any(_lives(pid) for pid in self.pids.values()), "the workers to stop")
        self.pids.clear()
        if ENDED in self._log.read_text(errors="replace"):
            raise Broken(f"a worker ended by itself:\n{self.last_words()}")

    def _signal(self, pid: int, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    # --- what is seen -----------------------------------------------------------------------------------------

    def wait(self, until: Callable[[], bool], what: str, *, patience: timedelta = PATIENCE) -> float:
        """Until it is so; gives the seconds. Broken after `patience`."""
        begun = monotonic()
        while not until():
            if monotonic() - begun > patience.total_seconds():
                raise Broken(f"waited in vain for {what}:\n{self.last_words()}")
            sleep(0.05)
        return monotonic() - begun

    def last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if '"event": "feed polled"' not in line)[-4000:]

    def said(self, words: str) -> int:
        """How often the workers have said this."""
        return self._log.read_text(errors="replace").count(words)

    def leases(self) -> int:
        with self.database.read() as session:
            columns = (FEED.lease_until, ENTRY.lease_until, DELIVERY.lease_until)
            return sum(session.execute(select(func.count(column))).scalar_one() for column in columns)

    def recorded(self) -> int:
        """Feeds of which some due time was recorded."""
        with self.database.read() as session:
            return int(session.execute(text("SELECT count(DISTINCT feed_id) FROM recorded")).scalar_one())

    def is_done(self) -> bool:
        """All feeds polled once, all entries processed, all messages sent."""
        if self.town.missing or self.recorded() < self.plan.feeds:
            return False
        with self.database.read() as session:
            new = select(func.count()).where(ENTRY.state == EntryState.NEW)
            unsent = select(func.count()).where(DELIVERY.state == DeliveryState.PENDING)
            return session.execute(new).scalar_one() + session.execute(unsent).scalar_one() == 0

    def verdict(self) -> Verdict:
        """What the rows and the webhook say; to be asked when all have stopped."""
        with self.database.read() as session:
            twice = text(
                "SELECT count(*) FROM (SELECT FROM recorded GROUP BY feed_id, due HAVING count(*) > 1) AS more"
            )
            cut = select(DELIVERY.message_id).join(ATTEMPT, ATTEMPT.delivery_id == DELIVERY.id)
            unknown = set(session.execute(cut.where(ATTEMPT.outcome.is_(None))).scalars())
            deliveries = session.execute(select(func.count()).select_from(DELIVERY)).scalar_one()
            recorded = session.execute(text("SELECT count(*) FROM recorded")).scalar_one()
            recorded_twice = session.execute(twice).scalar_one()
        town = self.town
        repeated = {message for message, count in town.accepted.items() if count > 1}
        return Verdict(
            feeds=self.plan.feeds,
            never_recorded=self.plan.feeds - self.recorded(),
            recorded=recorded,
            recorded_twice=recorded_twice,
            events=len(town.expected),
            lost=len(town.missing),
            extra=sum(len(ids) - 1 for ids in town.heard.values()) + len(town.heard.keys() - town.expected),
            deliveries=deliveries,
            repeats=sum(town.accepted.values()) - len(town.accepted),
            unexplained_repeats=len(repeated - unknown),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`repeats` are messages accepted once more under their id; each needs an attempt whose fate nobody learned."""

    feeds: int
    never_recorded: int
    recorded: int
    recorded_twice: int
    events: int
    lost: int
    extra: int
    deliveries: int
    repeats: int
    unexplained_repeats: int

    @property
    def holds(self) -> bool:
        faults = (self.never_recorded, self.recorded_twice, self.lost, self.extra, self.unexplained_repeats)
        return not any(faults) and self.deliveries == self.events


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _configure(folder: Path, url: str, town: Town, plan: Plan) -> Path:
    rules = folder / "rules.yaml"
    rules.write_text(json.dumps([{"id": "all", "title": "Any act on digital assets", "topics": list(TOPICS)}]))
    settings = {
        "storage": {"url": url},
        "secrets": {"keys": [TEST_KEY.reveal()]},
        "egress": {"allow": ["127.0.0.0/8"]},
        "feeds": {
            "timeout": f"{TIMEOUT.total_seconds():g}s",
            "host_gap": "0s",
            "concurrency": plan.places,
            "look_again": [],
        },
        "rules": {"packs": [], "paths": [str(rules)]},
        "delivery": {"timeout": f"{TIMEOUT.total_seconds():g}s", "concurrency": plan.places},
        "subscriptions": [{"name": "desk", "team": "t", "channels": [town.hook]}],
        "runner": {"tick": f"{plan.tick.total_seconds():g}s", "lease": f"{LEASE.total_seconds():g}s"},
        "logging": {"level": "info", "format": "json"},
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings, indent=1))
    return path
