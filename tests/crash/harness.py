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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from select import select
from time import monotonic, sleep
from types import TracebackType
from typing import IO, Any, Protocol

from service import failpoint
from service.runner import SLOW_SHARE
from service.storage.database import Database
from tests.crash.life import CONTROL
from tests.crash.news import TOPICS
from tests.crash.oracle import Life, Rows, Verdict, judge, read_rows, sends_cut
from tests.crash.world import Channel, Shape, Way, World

OUTSIDE = "outside"
"""The name of a kill that comes at a moment nobody chose."""

EVERY_OUTSIDE = 7
"""One round in so many is killed from outside."""

STARTING_SHARE = 0.3
"""So many of the kills from outside come while the service starts."""

OFF_SHARE = 0.7
"""So often the machine was off for a while before a start: leases have ended, retries and digests have come due."""

LONGEST_OFF = timedelta(minutes=10)

BEGINS_AT = time(21, 40)
"""By the clock of the test: the first quiet hours come soon."""

QUIET = ("22:00-23:00", "10:00-11:00")
"""Quiet hours of the groups in turn: there is always one that may be told."""

HOUR = timedelta(hours=1)
DECIDE_WITHIN = timedelta(minutes=30)
"""What the first group's people have for a decision that they never make."""

MOST_OUTSTANDING = 100
"""Messages under way at which publishing pauses: the service must keep up, however slow the machine is."""

MOST_WAITING = 35
"""Events for one digest at which publishing pauses until its hour: a webhook's digest has room for little more."""

START_DEADLINE = timedelta(minutes=3)
POINT_DEADLINE = timedelta(seconds=40)
"""How long a running service may take to reach its failpoint before it is killed from outside."""

STALL_DEADLINE = timedelta(minutes=1)
"""How long a run that may finish may make no progress."""

STOP_DEADLINE = timedelta(minutes=1)
MOST_LAST_RUNS = 30
"""Runs that the service may take to finish: one for each time at which something more comes due, and some to spare."""

LOOK = 0.02  # seconds between two looks at a child
PUBLISH_EVERY = timedelta(milliseconds=400)
PUBLISHED_FIRST = 2
"""What has happened while the service was down."""

TIMEOUT = timedelta(seconds=10)
LEASE = timedelta(seconds=35)  # just above what the configuration asks for: the time limits plus 20 s


_CHECKOUT = Path(__file__).parents[2]


class Broken(Exception):
    """The test itself could not go on: the service ended by itself, or the world has a defect."""


class Told(Protocol):
    """Who wants to know how far a run is: what it does, and how many more kills it has behind it."""

    def __call__(self, doing: str, *, kills: int = 0) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often and where to kill: the first to the `most_reaches`th time that a point is reached.

    `control` runs the service without its outbox instead.
    """

    kills: int
    seed: int
    points: tuple[str, ...] = failpoint.POINTS
    most_reaches: int = 4
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


def crash(plan: Plan, *, folder: Path, url: str, told: Told = lambda doing, kills=0: None) -> Run:
    """Kill the service on the database at `url` as planned, let it finish, and judge. Broken if that cannot be done."""
    begun = monotonic()
    sqlite = url.startswith("sqlite")
    # A single process on SQLite knows at its start that every lease is dead; elsewhere leases have to run out, and
    # with few places in flight a kill blocks little.
    places = 6 if sqlite else 3
    chance, clock = random.Random(plan.seed), _Clock()
    # The world has dice of its own: how much it publishes depends on the machine, where we kill must not.
    with World(Shape(), chance=random.Random(plan.seed + 1), now=clock.now()) as world:
        config = _configure(folder, url, world, places)
        with _Service(config, folder / "service.log", clock, control=plan.control) as service:
            rounds = _Rounds(plan, world, service, chance, clock, told)
            rounds.kill_all()
            told("letting it finish")
            rows = rounds.finish(url)
        if world.errors:
            raise Broken(f"the world has a defect: {world.errors[0]}")
        verdict = judge(
            expected=world.expected,
            mended=world.mended,
            items=world.titles(),
            requests=world.requests,
            rows=rows,
            lives=rounds.lives,
            in_flight=places * (1 + SLOW_SHARE),
        )
    return Run(plan=plan, tallies=_tallies(rounds.lives, rows), verdict=verdict, seconds=monotonic() - begun)


def together(runs: Sequence[Run]) -> Run:
    """Runs of several worlds as one: everything is added up, also the time."""
    tallies: dict[str, Tally] = {}
    for run in runs:
        for point, tally in run.tallies.items():
            whole = tallies.setdefault(point, Tally())
            whole.kills += tally.kills
            whole.cutting += tally.cutting
            whole.cut += tally.cut
    figures = {name: sum(run.verdict.figures()[name] for run in runs) for name in runs[0].verdict.figures()}
    faults = tuple(f"seed {run.plan.seed}: {fault}" for run in runs for fault in run.verdict.faults)
    return Run(
        plan=replace(runs[0].plan, kills=sum(run.plan.kills for run in runs)),
        tallies=tallies,
        verdict=Verdict(**figures, faults=faults),
        seconds=sum(run.seconds for run in runs),
    )


class _Clock:
    """The clock of the test, which the service gets too. It moves on by itself, and while the machine is off."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        begins = datetime.combine(now.date() + timedelta(days=1), BEGINS_AT, UTC)
        self.ahead = begins - now

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def move(self, by: timedelta) -> None:
        self.ahead += by

    def move_to(self, then: datetime) -> None:
        """Forward only."""
        self.ahead += max(then - self.now(), timedelta())

    def next_hour(self) -> None:
        """Just after the next full hour, when digests are due."""
        self.move_to(self.now().replace(minute=0, second=1, microsecond=0) + HOUR)


class _Rounds:
    """One run of the service after the other, each ended by a kill; at last some that may finish."""

    def __init__(
        self, plan: Plan, world: World, service: _Service, chance: random.Random, clock: _Clock, told: Told
    ) -> None:
        self.lives: list[Life] = []
        self._plan = plan
        self._world = world
        self._service = service
        self._chance = chance
        self._clock = clock
        self._told = told
        self._published_at = 0.0

    def kill_all(self) -> None:
        """As many runs as the plan wants kills: the points in turn, now and then a kill from outside."""
        wanted = 0
        while len(self.lives) < self._plan.kills:
            if (len(self.lives) + 1) % EVERY_OUTSIDE == 0 and len(self._plan.points) > 1:
                # Most when it is at work; some while it starts, the first migration and the first key included.
                starting = self._chance.random() < STARTING_SHARE
                self._life(OUTSIDE, Patience(seconds=self._chance.uniform(0, 3), from_start=starting))
                continue
            point = self._plan.points[wanted % len(self._plan.points)]
            wanted += 1
            self._life(point, Patience(seconds=POINT_DEADLINE.total_seconds()))

    def finish(self, url: str) -> Rows:
        """Runs without a kill until everything published has been told, each stopped in good order.

        Whatever is not due yet when nothing else is left is due in the next run: the machine was off for so long.
        """
        self._world.flush()
        self._clock.move(LEASE)  # of whoever was killed last
        database = Database(url)
        try:
            for _ in range(MOST_LAST_RUNS):
                due = self._quiet_life(database)
                self._world.flush()  # what was told in this run may be corrected now
                if due is None and self._world.outstanding == 0:
                    break
                self._clock.move_to((due or self._clock.now()) + timedelta(seconds=1))
            return read_rows(database)
        finally:
            database.close()

    def _quiet_life(self, database: Database) -> datetime | None:
        """A run until nothing is left that is due; gives when the last thing to come is, if there is one."""
        started_at = self._clock.now()
        with self._service.running() as child:
            self._await_quiet(child, database, started_at)
            child.send_signal(signal.SIGTERM)
            try:
                code = child.wait(timeout=STOP_DEADLINE.total_seconds())
            except subprocess.TimeoutExpired as exc:
                raise Broken("the service did not stop when it was asked to") from exc
        if code != 0:
            raise Broken(f"the service was asked to stop and ended with {code}:\n{self._service.last_words()}")
        self.lives.append(Life(started_at=started_at, ended_at=self._clock.now()))
        return read_rows(database).last_due

    def _life(self, point: str, patience: Patience) -> None:
        target = "" if point == OUTSIDE else f"{point}:{self._reaches(point)}"
        self._told(target or point)
        self._be_off(point)
        for _ in range(PUBLISHED_FIRST):
            self._publish()
        if point.startswith("update."):
            self._world.mend()
        started_at = self._clock.now()
        with self._service.running(target, anew=patience.from_start) as child:
            if not self._watch(child, patience):
                point = OUTSIDE
            child.kill()
            code = child.wait()
        if code != -signal.SIGKILL:
            raise Broken(f"the service ended by itself with {code}:\n{self._service.last_words()}")
        self.lives.append(Life(started_at=started_at, ended_at=self._clock.now(), ended_by=point))
        self._told(point, kills=1)

    def _reaches(self, point: str) -> int:
        if point.startswith(("update.", "digest.")):
            return 1  # of these few come in one run
        return self._chance.randint(1, self._plan.most_reaches)

    def _be_off(self, point: str) -> None:
        """The time between two runs: some are started at once, and must live with the leases of the dead."""
        if point.startswith("digest.") or self._world.waiting > MOST_WAITING:
            self._clock.next_hour()
        elif point.startswith("escalate."):
            self._clock.move(DECIDE_WITHIN)
        elif self._chance.random() < OFF_SHARE:
            self._clock.move(self._chance.uniform(LEASE / LONGEST_OFF, 1) * LONGEST_OFF)

    def _watch(self, child: Child, patience: Patience) -> bool:
        """Publish while the child lives; True when it died by itself, False when it is time to kill it."""
        started, seen = monotonic(), self._world.activity
        begun = started if patience.from_start else None
        while True:
            try:
                child.wait(timeout=LOOK)
                return True
            except subprocess.TimeoutExpired:
                pass
            now = monotonic()
            if begun is None and self._world.activity != seen:
                begun = now
            if begun is not None and now - begun >= patience.seconds:
                return False
            if now - started >= START_DEADLINE.total_seconds():
                child.send_signal(signal.SIGUSR1)
                sleep(1)  # it writes where each of its threads stands
                raise Broken(f"the service did not start to work:\n{self._service.last_words()}")
            if now - self._published_at >= PUBLISH_EVERY.total_seconds():
                self._publish()

    def _publish(self) -> None:
        self._published_at = monotonic()
        if self._world.outstanding < MOST_OUTSTANDING and self._world.waiting <= MOST_WAITING:
            self._world.publish(self._clock.now())

    def _await_quiet(self, child: Child, database: Database, started_at: datetime) -> None:
        """Until nothing is left that is due, and nobody who was killed holds anything.

        A standstill is for the oracle to tell.
        """
        last, moved, seen = None, monotonic(), self._world.activity
        while True:
            try:
                code = child.wait(timeout=0.25)
            except subprocess.TimeoutExpired:
                pass
            else:
                raise Broken(f"the service ended by itself with {code}:\n{self._service.last_words()}")
            if self._world.activity == seen and monotonic() - moved < START_DEADLINE.total_seconds():
                continue  # it has not polled yet; there may be no tables
            rows = read_rows(database)
            stored = rows.titles == self._world.titles()
            ours = rows.oldest_lease is None or rows.oldest_lease >= started_at + LEASE
            left = rows.next_due is not None and rows.next_due <= self._clock.now()
            if stored and ours and not rows.waiting and not left:
                return
            state = (len(rows.entries), rows.waiting, rows.next_due, len(rows.attempts), len(self._world.requests))
            if state != last:
                last, moved = state, monotonic()
            if monotonic() - moved > (STALL_DEADLINE + LEASE).total_seconds():
                return


class Child(Protocol):
    """A running service, as `subprocess.Popen` shows it."""

    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


class _Service:
    """The service as a child process, with its output in a file.

    Most starts are forked from a process that has the imports done; those `anew` begin from nothing.
    """

    def __init__(self, config: Path, log: Path, clock: _Clock, *, control: bool) -> None:
        self._program = [str(config), CONTROL if control else "service"]
        self._log = log
        self._clock = clock

    def __enter__(self) -> _Service:
        self._output = self._log.open("wb")
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery", *self._program],
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
    def running(self, target: str = "", *, anew: bool = False) -> Iterator[Child]:
        """A child that dies at `target` (`name:count`); it is dead when the block ends."""
        self._output.truncate(0)
        child = self._started() if anew else self._forked(target or "-")
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
            [sys.executable, "-m", "tests.crash.life", *self._program, str(self._clock.ahead.total_seconds())],
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
        asking.write(f"{target} {self._clock.ahead.total_seconds()}\n".encode())
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
    escalate = {0: f"{DECIDE_WITHIN.total_seconds():g}s"}
    groups = [
        {
            "name": f"group-{group}",
            "watch": {"jurisdictions": world.jurisdictions(group)},
            "channels": [_channel(world, channel) for channel in world.channels(group)],
            "when": {"quiet": QUIET[group % len(QUIET)], "escalate_after": escalate.get(group)},
        }
        for group in range(world.shape.groups)
    ]
    # A second way to a channel of the first group: still one message for each event.
    hook = world.address_of(Channel(0, Way.HOOK))
    bans = {"name": "bans", "watch": {"jurisdictions": world.jurisdictions(0), "rules": ["bans"]}, "channels": [hook]}
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
        "delivery": {
            "timeout": seconds,
            "concurrency": places,
            "smtp": {"host": "127.0.0.1", "port": world.mail_port, "security": "none", "sender": "pw@example.org"},
        },
        "subscriptions": [*groups, bans],
        "runner": {"tick": "1s", "lease": f"{LEASE.total_seconds():g}s"},
        "logging": {"level": "warning"},
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings, indent=1))
    return path


def _channel(world: World, channel: Channel) -> dict[str, str]:
    schedules = {Way.DIGEST: "hourly", Way.HEAD: "escalation"}
    return {"to": world.address_of(channel), "schedule": schedules.get(channel.way, "immediate")}


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
