"""`python -m tests.workers SCENARIO`: exit 0 when the promise held, 1 when it did not."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic

from tests.postgres import Postgres
from tests.workers import scenarios
from tests.workers.scenarios import Result
from tests.workers.team import Broken, Plan, Team

SLOW = timedelta(seconds=0.3)
"""How long the feeds take to answer, where workers are to be caught in the middle."""

SCENARIOS = ("kills", "pauses", "restarts", "truncations", "same-day")


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    begun = monotonic()
    with tempfile.TemporaryDirectory(prefix="policywatch-workers-") as name:
        folder = Path(name)
        with Postgres(folder / "postgres") as server:
            try:
                result = _run(options, server, folder)
            except Broken as exc:
                print(f"workers: {exc}", file=sys.stderr)
                return 1
    said = {"scenario": options.scenario, "workers": options.workers, **result.figures}
    said |= {"seconds": round(monotonic() - begun), "holds": result.holds}
    if options.json:
        print(json.dumps(said))
    else:
        for key, value in said.items():
            print(f"{key.replace('_', ' '):>28}  {value}")
    return 0 if result.holds else 1


def _run(options: argparse.Namespace, server: Postgres, folder: Path) -> Result:
    count = options.count
    plan = Plan(
        workers=options.workers,
        feeds=options.feeds,
        interval=timedelta(days=1) if options.scenario == "kills" else timedelta(seconds=1),
    )
    if options.scenario == "same-day":
        return scenarios.same_day(server, folder, events=count, workers=options.workers, told=_tell)
    happenings: dict[str, Callable[[Team], Mapping[str, object]]] = {
        "kills": partial(
            scenarios.kills, count=count, every=timedelta(seconds=options.every), seed=options.seed, told=_tell
        ),
        "pauses": partial(scenarios.pauses, rounds=count, told=_tell),
        "restarts": partial(scenarios.restarts, server=server, count=count, down=options.down, told=_tell),
        "truncations": partial(scenarios.truncations, count=count, told=_tell),
    }
    slow = SLOW if options.scenario == "pauses" else timedelta(0)
    return scenarios.in_team(plan, server, folder, happenings[options.scenario], slow=slow)


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.workers", description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--count", type=int, default=10, help="kills, rounds of pauses, restarts, truncations, events")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--feeds", type=int, default=100)
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="between two kills")
    parser.add_argument("--down", type=float, default=0.0, metavar="SECONDS", help="between the stop and the restart")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser.parse_args(arguments)


def _tell(doing: str) -> None:
    print(doing, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
