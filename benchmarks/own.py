"""What a change costs where thousands of subscriptions match by themselves: ours beside compiling all of them anew.

    python -m benchmarks.own                 10,000 expressions
    python -m benchmarks.own --count 1000

All times are of the processor. A change is one subscription that matches something else from then on.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from service.config import RulesSettings, load_groups, load_lexicon
from service.domain.own import OwnRules
from service.domain.rules import Ruleset

BAR = 100.0
"""Milliseconds that a change may cost."""

CHANGES = 20
PLACES = ("Kazakhstan", "China", "Japan", "France", "Brazil", "Kenya", "Uzbekistan", "Germany", "India", "Turkey")
THINGS = ("reserve", "treasury", "ledger", "audit", "custody", "permit", "vault", "coupon", "seizure", "stablecoin")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="how many expressions")
    count = parser.parse_args().count
    lexicon, (groups, _) = load_lexicon(), load_groups(RulesSettings())
    wanted = {number: (expression(number),) for number in range(1, count + 1)}
    none = OwnRules.none(lexicon, groups)
    own: list[OwnRules] = []
    first = _milliseconds(lambda: own.append(none.updated(wanted)))
    rules = own[0].rules
    anew = statistics.median(_milliseconds(lambda: Ruleset.compile(rules, lexicon)) for _ in range(5))
    spent = []
    for number in range(1, CHANGES + 1):
        wanted = {**wanted, number: (expression(count + number),)}
        spent.append(_milliseconds(lambda: own.append(own[-1].updated(wanted))))  # noqa: B023  (called at once)
    change, worst = statistics.median(spent), max(spent)
    print(f"{count:,} expressions, read and compiled for the first time: {first:,.0f} ms")
    print(f"compiling all of them anew: {anew:,.1f} ms")
    print(f"a change: {change:,.1f} ms, {worst:,.1f} ms at most: {anew / change:.1f} times as fast (bar: {BAR:g} ms)")
    return int(change > BAR)


def expression(number: int) -> str:
    """One like no other."""
    place, thing = PLACES[number % len(PLACES)], THINGS[number // 10 % len(THINGS)]
    return f"{place} + {thing} + (unit{number} | {THINGS[number % 7]}) -sport"


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1000


if __name__ == "__main__":
    raise SystemExit(main())
