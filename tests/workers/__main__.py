"""`python -m tests.workers SCENARIO`: exit 0 when the promise held, 1 when it did not."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic

from tests.postgres import Postgres
from tests.workers import scenarios
from tests.workers.scenarios import Result
from tests.workers.team import Broken, Plan

SCENARIOS = ("kills", "pauses", "restarts", "truncations", "same-day")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
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
    match options.scenario:
        case "kills":
            every = timedelta(seconds=options.every)
            return scenarios.kills(plan, server, folder, count=count, every=every, seed=options.seed, told=_tell)
        case "pauses":
            return scenarios.pauses(plan, server, folder, rounds=count, told=_tell)
        case "restarts":
            return scenarios.restarts(plan, server, folder, count=count, down=options.down, told=_tell)
        case "truncations":
            return scenarios.truncations(plan, server, folder, count=count, told=_tell)
        case _:
            return scenarios.same_day(server, folder, events=count, workers=options.workers, told=_tell)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
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
