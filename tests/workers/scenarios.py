"""What may happen to workers, and what must be true afterwards. Each scenario ends by itself and gives its figures."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import psycopg

from tests.postgres import Postgres
from tests.workers.clock import SharedClock
from tests.workers.team import LEASE, Plan, Team
from tests.workers.town import Town

NEWS_ONE_IN = 10
"""Of so many feeds one has news from the beginning."""

SOON = timedelta(seconds=30)
"""How soon after the database is back every worker must poll again."""

DAY_FEEDS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    holds: bool
    figures: Mapping[str, object]


Told = Callable[[str], None]


@contextmanager
def team_of(plan: Plan, server: Postgres, folder: Path, *, slow: timedelta = timedelta(0)) -> Iterator[Team]:
    """A team that has not started, in a town with news."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = SharedClock(folder / "clock")
    with Town(plan.feeds, now=clock, answers_after=slow) as town, server.new_database() as url:
        for feed in range(0, plan.feeds, NEWS_ONE_IN):
            town.publish(feed)
        with Team(plan, town, clock, folder=folder, url=url) as team:
            yield team


def in_team(
    plan: Plan,
    server: Postgres,
    folder: Path,
    *happenings: Callable[[Team], Mapping[str, object]],
    slow: timedelta = timedelta(0),
) -> Result:
    """What may happen, one after the other, to a team at work; then it may finish, and is judged."""
    figures: dict[str, object] = {}
    with team_of(plan, server, folder, slow=slow) as team:
        team.start(plan.workers)
        team.wait(lambda: team.town.polls > 0, "the first poll")
        for happening in happenings:
            figures |= happening(team)
        begun = monotonic()
        team.clock.move(LEASE)  # of whoever was killed last
        team.wait(team.is_done, "everything to be done", patience=timedelta(seconds=60 + plan.feeds / 20))
        figures["finished_after_seconds"] = round(monotonic() - begun, 1)
        team.stop()
        verdict = team.verdict()
        return Result(holds=verdict.holds, figures=figures | asdict(verdict))


def kills(team: Team, *, count: int, every: timedelta, seed: int, told: Told) -> Mapping[str, object]:
    """One of the workers is killed every so often, and another one started."""
    chance = random.Random(seed)
    for number in range(count):
        begun = monotonic()
        team.kill(chance.choice(sorted(team.pids)))
        team.start()
        told(f"{number + 1} kills, {team.recorded()} feeds recorded")
        sleep(max(0.0, every.total_seconds() - (monotonic() - begun)))
    return {"kills": count}


def pauses(team: Team, *, rounds: int, told: Told) -> Mapping[str, object]:
    """Every worker is stopped while it holds leases, for longer than these last, and then goes on."""
    paused = 0
    for number in range(rounds):
        for name in sorted(team.pids):
            for _ in range(2):
                team.town.publish_next()
            _await_polls(team, "work to be under way")
            team.pause(name)
            team.clock.move(timedelta(seconds=60))
            _await_polls(team, "the others to take over")
            team.resume(name)
            paused += 1
            told(f"round {number + 1}: {name} went on after a minute")
    late = team.said('"stale": true') + team.said('"fenced": true')
    return {"pauses": paused, "late_results_discarded": late}


def _await_polls(team: Team, what: str) -> None:
    seen = team.town.polls
    team.wait(lambda: team.town.polls > seen + team.plan.places, what)


def restarts(team: Team, *, server: Postgres, count: int, down: float, told: Told) -> Mapping[str, object]:
    """PostgreSQL is stopped without ceremony again and again: every worker polls again soon, by itself, or Broken."""
    slowest = 0.0
    names = set(team.pids)
    team.wait(lambda: names <= team.town.polled_at.keys(), "every worker's first poll")
    for number in range(count):
        team.town.publish_next()
        server.restart(down=down)
        back = monotonic()

        def all_back(since: float = back) -> bool:
            return all(team.town.polled_at[name] > since for name in names)

        slowest = max(slowest, team.wait(all_back, f"every worker to poll within {SOON}", patience=SOON))
        told(f"{number + 1} restarts, slowest worker {slowest:.1f} s")
    return {"restarts": count, "slowest_worker_seconds": round(slowest, 1)}


def truncations(team: Team, *, count: int, told: Told) -> Mapping[str, object]:
    """The engine's tables are emptied again and again while news come in."""
    wiped = 0
    with psycopg.connect(team.database.conninfo, autocommit=True) as connection:
        for number in range(count):
            team.town.publish_next()
            sleep(0.2)
            waiting = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
            wiped += waiting[0] if waiting else 0
            connection.execute("TRUNCATE procrastinate_jobs, procrastinate_events, procrastinate_periodic_defers")
            connection.execute("DELETE FROM procrastinate_workers")
            told(f"{number + 1} times emptied")
    return {"truncations": count, "jobs_wiped": wiped}


def same_day(server: Postgres, folder: Path, *, events: int, workers: int, told: Told) -> Result:
    """The same day's news by one worker and by many: the same alerts, of the same reports, to the same readers."""
    outcomes = []
    for team_size in (1, workers):
        plan = Plan(workers=team_size, feeds=DAY_FEEDS)
        with team_of(plan, server, folder / str(team_size)) as team:
            for _ in range(events):
                team.town.publish_next()
            team.start(team_size)
            team.wait(team.is_done, "everything to be done")
            team.stop()
            outcomes.append((_alerts(team.database.conninfo), team.verdict()))
            told(f"{team_size} workers: {len(outcomes[-1][0])} alerts")
    (alone, first), (together, second) = outcomes
    holds = first.holds and second.holds and alone == together
    return Result(
        holds=holds,
        figures={"events": first.events, "alerts_by_one": len(alone), f"alerts_by_{workers}": len(together),
                 "only_by_one": len(alone - together), "only_by_many": len(together - alone)},
    )  # fmt: skip


def _alerts(conninfo: str) -> set[tuple[object, ...]]:
    """Each alert by what does not depend on the order of work: its reports, its rules, and who was told."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            "SELECT array_agg(DISTINCT entry.guid ORDER BY entry.guid), array_agg(DISTINCT match.rule_id), "
            "(SELECT count(*) FROM delivery WHERE delivery.alert_id = alert.id) FROM alert "
            "JOIN entry ON entry.story_id = alert.story_id JOIN match ON match.entry_id = entry.id GROUP BY alert.id"
        ).fetchall()
    return {(tuple(reports), tuple(rules), told) for reports, rules, told in rows}
