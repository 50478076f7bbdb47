"""Starts the service as a child process, kills it again and again where the plan says, and hands over to the oracle.

Nothing here waits for a fixed time: it watches the child's end, the world's activity and the tables, with deadlines.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from select import select
from types import TracebackType
from typing import IO, Any, Protocol

import sqlalchemy

from service import failpoint
from service.domain.model import DeliveryState
from service.runner import SLOW_SHARE
from service.storage.database import Database
from service.storage.tables import DELIVERY
from tests.crash.news import TOPICS
from tests.crash.oracle import Life, Rows, Verdict, judge, read_rows, sends_cut
from tests.crash.world import Shape, World

OUTSIDE = "outside"
"""The name of a kill that comes at a moment nobody chose."""

EVERY_OUTSIDE = 7
"""One round in so many is killed from outside."""

STARTING_SHARE = 0.3
"""So many of the kills from outside come while the service starts."""

MOST_OUTSTANDING = 150
"""Messages under way at which publishing pauses: the service must keep up, however slow the machine is."""

START_DEADLINE = timedelta(minutes=3)
POINT_DEADLINE = timedelta(seconds=25)
"""How long a running service may take to reach its failpoint before it is killed from outside."""

STALL_DEADLINE = timedelta(minutes=2)
"""How long the last run may make no progress, beyond the times that its tables name."""

STOP_DEADLINE = timedelta(minutes=1)
LOOK = 0.02  # seconds between two looks at a child
PUBLISH_EVERY = timedelta(milliseconds=250)

TIMEOUT = timedelta(seconds=4)
LEASE = timedelta(seconds=25)  # just above what the configuration asks for: the time limits plus 20 s


_CHECKOUT = Path(__file__).parents[2]


class Broken(Exception):
    """The test itself could not go on: the service ended by itself, or the world has a defect."""


class Told(Protocol):
    """Who wants to know how far a run is."""

    def __call__(self, kills: int, doing: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often and where to kill: the first to the `most_reaches`th time that a point is reached.

    `control` runs the service of `tests.crash.control` instead.
    """

    kills: int
    seed: int
    points: tuple[str, ...] = failpoint.POINTS
    most_reaches: int = 8
    control: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a run may last before it is killed from outside, counted from its first sign of work or its start."""

    seconds: float
    from_start: bool = False


@dataclass(slots=True)
class Tally:
    """The kills at one point; how many of them cut off sends, and how many sends."""

    kills: int = 0
    cutting: int = 0
    cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished crash test."""

    plan: Plan
    tallies: Mapping[str, Tally]
    verdict: Verdict
    seconds: float

    @property
    def kills(self) -> int:
        return sum(tally.kills for tally in self.tallies.values())

    def summary(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "seed": self.plan.seed,
            "control": self.plan.control,
            "kills": self.kills,
            "seconds": round(self.seconds, 1),
            "killed_at": {point: tally.kills for point, tally in self.tallies.items()},
            **self.verdict.figures(),
            "faults": list(self.verdict.faults),
            "holds": self.verdict.holds,
        }


def crash(plan: Plan, *, folder: Path, url: str, told: Told = lambda kills, doing: None) -> Run:
    """Kill the service on the database at `url` as planned, let it finish, and judge. Broken if that cannot be done."""
    begun = time.monotonic()
    sqlite = url.startswith("sqlite")
    # A single process on SQLite knows at its start that every lease is dead; elsewhere leases have to run out, and
    # with few places in flight and much to do a kill blocks little.
    shape = Shape() if sqlite else Shape(feeds=24, groups=4)
    places = 6 if sqlite else 3
    chance = random.Random(plan.seed)
    # The world has dice of its own: how much it publishes depends on the machine, where we kill must not.
    with World(shape, chance=random.Random(plan.seed + 1), now=_now()) as world:
        config = _configure(folder, url, world, places)
        with _Service(config, folder / "service.log", control=plan.control) as service:
            rounds = _Rounds(plan, world, service, chance, told)
            rounds.kill_all()
            told(plan.kills, "letting it finish")
            rows = rounds.finish(url)
        if world.errors:
            raise Broken(f"the world has a defect: {world.errors[0]}")
        verdict = judge(
            expected=world.expected,
            items=world.titles(),
            requests=world.requests,
            rows=rows,
            lives=rounds.lives,
            in_flight=places * (1 + SLOW_SHARE),
        )
    return Run(plan=plan, tallies=_tallies(rounds.lives, rows), verdict=verdict, seconds=time.monotonic() - begun)


class _Rounds:
    """One run of the service after the other, each ended by a kill; at last one that may finish."""

    def __init__(self, plan: Plan, world: World, service: _Service, chance: random.Random, told: Told) -> None:
        self.lives: list[Life] = []
        self._plan = plan
        self._world = world
        self._service = service
        self._chance = chance
        self._told = told
        self._published_at = 0.0

    def kill_all(self) -> None:
        """As many runs as the plan wants kills: the points in turn, now and then a kill from outside."""
        wanted = 0
        while len(self.lives) < self._plan.kills:
            if (len(self.lives) + 1) % EVERY_OUTSIDE == 0 and len(self._plan.points) > 1:
                # Most when it is at work; some while it starts, the first migration and the first key included.
                starting = self._chance.random() < STARTING_SHARE
                self._life(OUTSIDE, Patience(seconds=self._chance.uniform(0, 4), from_start=starting))
                continue
            point = self._plan.points[wanted % len(self._plan.points)]
            wanted += 1
            self._life(point, Patience(seconds=POINT_DEADLINE.total_seconds()))

    def finish(self, url: str) -> Rows:
        """A run without a kill until everything published has been told; then a stop in good order."""
        self._world.flush()
        database = Database(url)
        try:
            self._last_life(database)
            return read_rows(database)
        finally:
            database.close()

    def _last_life(self, database: Database) -> None:
        started_at = _now()
        with self._service.running() as child:
            self._await_quiet(child, database, started_at)
            child.send_signal(signal.SIGTERM)
            try:
                code = child.wait(timeout=STOP_DEADLINE.total_seconds())
            except subprocess.TimeoutExpired as exc:
                raise Broken("the service did not stop when it was asked to") from exc
        if code != 0:
            raise Broken(f"the service was asked to stop and ended with {code}:\n{self._service.last_words()}")
        self.lives.append(Life(started_at=started_at, ended_at=_now()))

    def _life(self, point: str, patience: Patience) -> None:
        target = "" if point == OUTSIDE else f"{point}:{self._chance.randint(1, self._plan.most_reaches)}"
        self._told(len(self.lives), target or point)
        for _ in range(6):
            self._publish()
        started_at = _now()
        with self._service.running(target) as child:
            if not self._watch(child, patience):
                point = OUTSIDE
            child.kill()
            code = child.wait()
        if code != -signal.SIGKILL:
            raise Broken(f"the service ended by itself with {code}:\n{self._service.last_words()}")
        self.lives.append(Life(started_at=started_at, ended_at=_now(), ended_by=point))

    def _watch(self, child: Child, patience: Patience) -> bool:
        """Publish while the child lives; True when it died by itself, False when it is time to kill it."""
        started, seen = time.monotonic(), self._world.activity
        begun = started if patience.from_start else None
        while True:
            try:
                child.wait(timeout=LOOK)
                return True
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            if begun is None and self._world.activity != seen:
                begun = now
            if begun is not None and now - begun >= patience.seconds:
                return False
            if now - started >= START_DEADLINE.total_seconds():
                raise Broken(f"the service did not start to work:\n{self._service.last_words()}")
            if now - self._published_at >= PUBLISH_EVERY.total_seconds():
                self._publish()

    def _publish(self) -> None:
        self._published_at = time.monotonic()
        if self._world.outstanding < MOST_OUTSTANDING:
            self._world.publish(_now())

    def _await_quiet(self, child: Child, database: Database, started_at: datetime) -> None:
        """Until nothing is left to do, and nobody who was killed holds anything.

        A standstill beyond the times that the tables name is for the oracle to tell.
        """
        last, moved, seen = None, time.monotonic(), self._world.activity
        while True:
            try:
                code = child.wait(timeout=0.25)
            except subprocess.TimeoutExpired:
                pass
            else:
                raise Broken(f"the service ended by itself with {code}:\n{self._service.last_words()}")
            if self._world.activity == seen and time.monotonic() - moved < START_DEADLINE.total_seconds():
                continue  # it has not polled yet; there may be no tables
            rows = read_rows(database)
            pending = rows.deliveries.get(DeliveryState.PENDING, 0)
            stored = rows.titles == self._world.titles()
            ours = rows.oldest_lease is None or rows.oldest_lease >= started_at + LEASE
            if stored and ours and not rows.waiting and not pending:
                return
            state = (len(rows.entries), rows.waiting, pending, len(rows.attempts), len(self._world.requests))
            if state != last:
                last, moved = state, time.monotonic()
            patience = STALL_DEADLINE + LEASE + max(_next_due(database) - _now(), timedelta())
            if time.monotonic() - moved > patience.total_seconds():
                return


class Child(Protocol):
    """A running service, as `subprocess.Popen` shows it."""

    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


class _Service:
    """The service as a child process, with its output in a file.

    A start at a failpoint is forked from a process that has the imports done; all others are `python -m service serve`.
    """

    def __init__(self, config: Path, log: Path, *, control: bool) -> None:
        alone = ["tests.crash.control"] if control else ["service", "serve", "--config"]
        self._alone = [sys.executable, "-m", *alone, str(config)]
        self._nursery_command = [
            sys.executable, "-m", "tests.crash.nursery", str(config), "control" if control else "service"
        ]  # fmt: skip
        self._log = log

    def __enter__(self) -> _Service:
        self._output = self._log.open("wb")
        self._nursery = subprocess.Popen(
            self._nursery_command,
            cwd=_CHECKOUT,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._nursery:  # closing its input ends it, and whatever it has forked
            pass
        self._output.close()

    @contextmanager
    def running(self, target: str = "") -> Iterator[Child]:
        """A child that dies at `target` (`name:count`); it is dead when the block ends."""
        self._output.truncate(0)
        child = self._forked(target) if target else self._started()
        try:
            yield child
        finally:
            child.kill()
            child.wait()

    def last_words(self) -> str:
        """The end of what the service wrote since its last start."""
        return self._log.read_text(errors="replace").strip("\0")[-3000:]

    def _started(self) -> Child:
        return subprocess.Popen(
            self._alone,
            cwd=_CHECKOUT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )

    def _forked(self, target: str) -> Child:
        asking, answers = self._nursery.stdin, self._nursery.stdout
        assert asking is not None
        assert answers is not None
        asking.write(f"{target}\n".encode())
        asking.flush()
        first = answers.readline()
        if not first:
            raise Broken(f"the nursery ended:\n{self.last_words()}")
        return _Forked(int(first), answers)


class _Forked:
    """A child of the nursery, which tells how it ended."""

    def __init__(self, pid: int, answers: IO[bytes]) -> None:
        self._pid = pid
        self._answers = answers
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            ready, _, _ = select([self._answers], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired("a forked service", timeout or 0)
            self._code = int(self._answers.readline())
        return self._code

    def send_signal(self, sig: int) -> None:
        if self._code is None:
            with suppress(ProcessLookupError):  # it may have ended since
                os.kill(self._pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Ours without settings of a service that may run beside."""
    return {name: value for name, value in os.environ.items() if not name.startswith("POLICYWATCH_")}


def _configure(folder: Path, url: str, world: World, places: int) -> Path:
    """The configuration file and the rules of a run. (JSON is YAML.)"""
    rules = folder / "rules.yaml"
    everything = {"id": "all", "title": "Any news of digital assets", "topics": list(TOPICS)}
    # A second rule on some of the same events: still one alert for each.
    second = {"id": "bans", "title": "Bans", "severity": "high", "match": "action:ban"}
    rules.write_text(json.dumps([everything, second]))
    hooks = world.channels()
    groups = [
        {
            "name": f"group-{group}",
            "watch": {"jurisdictions": world.jurisdictions(group)},
            "channels": [world.hook_url(name) for name, of in hooks.items() if of in (group, None)],
        }
        for group in range(world.shape.groups)
    ]
    whole = {"name": "all", "channels": [world.hook_url(name) for name, of in hooks.items() if of is None]}
    sources = [{"url": feed, "language": "en"} for feed in world.feed_urls()]
    seconds = f"{TIMEOUT.total_seconds():g}s"
    settings = {
        "api": {"port": 0},
        "storage": {"url": url},
        "secrets": {"key_file": str(folder / "secret.key")},
        "egress": {"allow": ["127.0.0.0/8"]},
        "feeds": {
            "interval": "1s",
            "timeout": seconds,
            "host_gap": "0s",
            "concurrency": places,
            "sources": [{**source, "full_text": "never"} for source in sources[:-1]]
            + [{**sources[-1], "full_text": "always"}],
        },
        "rules": {"packs": [], "paths": [str(rules)]},
        "delivery": {"timeout": seconds, "concurrency": places},
        "subscriptions": [*groups, whole],
        "runner": {"tick": "0.1s", "lease": f"{LEASE.total_seconds():g}s"},
        "logging": {"level": "warning"},
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings, indent=1))
    return path


def _next_due(database: Database) -> datetime:
    """When the last of the pending messages will be tried again."""
    latest = (
        sqlalchemy.select(DELIVERY.due_at)
        .where(DELIVERY.state == DeliveryState.PENDING)
        .order_by(DELIVERY.due_at.desc())
    )
    with database.read() as session:
        return session.execute(latest.limit(1)).scalar_one_or_none() or _now()


def _tallies(lives: list[Life], rows: Rows) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for life in lives:
        if life.ended_by:
            tally = tallies.setdefault(life.ended_by, Tally())
            cut = sends_cut(rows, life)
            tally.kills += 1
            tally.cutting += bool(cut)
            tally.cut += cut
    return tallies


def _now() -> datetime:
    return datetime.now(UTC)
