"""`python -m tests.crash`: exit 0 when the promise held, 1 when it did not, 2 on wrong usage.

With `--control` it runs a service without its outbox, and exits 0 when that one lost alerts: the test can fail.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from service import failpoint
from tests.crash.harness import OUTSIDE, Broken, Plan, Run, Told, crash, together
from tests.postgres import Postgres

KILLS_OF_A_WORLD = 100
"""At most: the news do not run out, and a fault is told long before the end."""

EVERY = 50
"""Kills between two lines of progress where no terminal shows it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the crash test as the command line says; gives the exit code."""
    options = _options(arguments)
    plan = Plan(
        kills=options.kills, seed=options.seed, points=tuple(options.point or failpoint.POINTS), control=options.control
    )
    with tempfile.TemporaryDirectory(prefix="policywatch-crash-") as name:
        folder = Path(name)
        try:
            with _databases(options.backend, folder) as new_database, _progress(options) as progress:
                run = _in_worlds(plan, options.side_by_side, folder, new_database, progress)
        except Broken as exc:
            print(f"crash: {exc} (seed {plan.seed})", file=sys.stderr)
            return 1
    if options.json:
        print(json.dumps({"backend": options.backend, **run.summary()}))
    else:
        _print(run, options.backend)
    if options.control:
        return 0 if run.verdict.lost else 1
    return 0 if run.verdict.holds else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=_positive, default=50, help="how many kill -9 (50)")
    parser.add_argument("--backend", choices=("sqlite", "postgres"), default="sqlite", help="the database (sqlite)")
    parser.add_argument("--control", action="store_true", help="run a service without its outbox: it must lose")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="repeats a run's choices")
    parser.add_argument("--side-by-side", type=_positive, default=1, metavar="N", help="worlds at a time (1)")
    parser.add_argument("--point", action="append", choices=failpoint.POINTS, help="only here; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


NewDatabase = Callable[[Path], AbstractContextManager[str]]
"""Gives the address of an empty database; where it is a file, in that folder."""


def _in_worlds(plan: Plan, at_a_time: int, folder: Path, new_database: NewDatabase, told: Told) -> Run:
    """The plan's kills shared out to worlds of their own, each with a seed, a service and a database of its own."""
    worlds = max(min(at_a_time, plan.kills), -(-plan.kills // KILLS_OF_A_WORLD))

    def one(number: int) -> Run:
        kills = plan.kills // worlds + (number < plan.kills % worlds)
        home = folder / str(number)
        home.mkdir()
        with new_database(home) as url:
            run = crash(replace(plan, kills=kills, seed=plan.seed + number), folder=home, url=url, told=told)
        for fault in run.verdict.faults if not plan.control else ():
            print(f"seed {run.plan.seed}: {fault}", file=sys.stderr, flush=True)
        return run

    with ThreadPoolExecutor(at_a_time) as pool:
        return together(list(pool.map(one, range(worlds))))


@contextmanager
def _databases(backend: str, folder: Path) -> Iterator[NewDatabase]:
    if backend == "sqlite":
        yield lambda home: nullcontext(f"sqlite:///{home}/policywatch.db")
        return
    with Postgres(folder / "postgres") as server:
        yield lambda home: server.new_database()


class _Progress:
    """Tells a terminal how far the run is; where there is none, a line now and then."""

    def __init__(self, progress: Progress, kills: int) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=kills)
        self._kills = 0

    def __call__(self, doing: str, *, kills: int = 0) -> None:
        self._kills += kills
        self._progress.update(self._task, completed=self._kills, description=doing)
        if self._progress.disable and kills and self._kills % EVERY == 0:
            print(f"{self._kills} kills", file=sys.stderr, flush=True)


@contextmanager
def _progress(options: argparse.Namespace) -> Iterator[_Progress]:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("kills"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TextColumn("{task.description}"), console=console, disable=not console.is_terminal) as bars:
        yield _Progress(bars, options.kills)


def _print(run: Run, backend: str) -> None:
    table = Table("killed at", title=f"{run.kills} kill -9 on {backend}, seed {run.plan.seed}")
    for heading in ("kills", "that cut sends", "sends cut"):
        table.add_column(heading, justify="right")
    for point in (*failpoint.POINTS, OUTSIDE):
        tally = run.tallies.get(point)
        if tally is not None:
            table.add_row(point, str(tally.kills), str(tally.cutting), str(tally.cut))
    console = Console()
    console.print(table)
    for name, value in run.verdict.figures().items():
        console.print(f"{name.replace('_', ' '):>28}  {value}", highlight=False)
    for fault in run.verdict.faults[:20]:
        console.print(f"FAULT  {fault}", style="red", markup=False, highlight=False)
    if run.plan.control:
        said = "the control lost alerts, as it must" if run.verdict.lost else "THE CONTROL LOST NOTHING"
    else:
        said = "the promise held" if run.verdict.holds else "THE PROMISE WAS BROKEN"
    console.print(f"{said} ({run.seconds:.0f} s)", style="bold", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
