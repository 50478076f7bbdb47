"""Matching: our engine and yara-x on equal articles, lexicon and rules, in one run, with the proof that ours is right.

    python -m benchmarks.matching            the figures, in some minutes
    python -m benchmarks.matching --quick    little of everything, in less than a minute: it works; no bar is judged

Ours takes an entry as it comes: folding, one scan, rivals, candidates, evidence. yara-x takes the same text as bytes,
in both of its forms: `flat`, where each rule has every phrase of its concepts as strings, and `shared`, where each
concept is a private rule that others refer to. Medians of five rounds in which the engines take turns. All times are
of the processor: what a busy machine makes an engine wait is not counted, for neither.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import yara
from benchmarks.plain import expected_matches
from benchmarks.world import Wanted, World, make_rules, make_world
from service.documents import parse_yaml
from service.domain.developments import read
from service.domain.model import Entry, Reading
from service.domain.rule import Rule
from service.domain.rulefile import parse_rules
from service.domain.rules import Ruleset

ROUNDS = 5
BARS = {10_000: (12.0, 5.0), 50_000: (20.0, 6.0)}
"""At so many rules, how many times as fast as yara-x ours must be: flat, shared."""

GROWTH_BAR = 2.5
BUILD_SECONDS, BUILD_MEGABYTES = 2.0, 100.0
RULES_PER_FILE = 5_000
MEGABYTE = 1 << 20

Found = set[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. Flat yara-x takes so long that it is given fewer articles."""

    articles: int
    articles_for_flat: int
    rules: tuple[int, ...]


FULL = Size(articles=2_000, articles_for_flat=100, rules=(1_000, 10_000, 50_000))
QUICK = Size(articles=100, articles_for_flat=50, rules=(100, 1_000))


@dataclass(frozen=True, slots=True)
class Engine:
    """A rule set ready to run: what it finds in an entry, how many entries it is given, what building it took."""

    name: str
    match: Callable[[Entry], Sequence[str]]
    articles: tuple[Entry, ...]
    seconds: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured against its bar; a bar that was missed is kept in words."""

    ours: dict[int, Engine] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def judge(self, what: str, value: float, bar: float, *, most: bool = False) -> str:
        met = value <= bar if most else value >= bar
        if not met:
            self.failed.append(f"missed: {what} {value:.3g}, bar {bar:g}")
        return "met" if met else "MISSED"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="little of everything; no bar is judged")
    quick = parser.parse_args().quick
    size = QUICK if quick else FULL
    world = make_world(size.articles)
    print(_described(world))
    report = Report()
    for count in size.rules:
        _measure(count, world, size, report)
    fewest, most = size.rules[0], size.rules[-1]
    spent, _ = _race((replace(report.ours[fewest], name="few"), replace(report.ours[most], name="many")))
    growth = spent["many"] / spent["few"]  # measured in turns: a busy machine is not as busy for minutes
    verdict = report.judge("growth", growth, GROWTH_BAR, most=True)
    print(f"\n{most:,} rules cost ours {growth:.2f} times what {fewest:,} cost (bar: at most {GROWTH_BAR}) {verdict}")
    print("quick run: no bar counts" if quick else "\n".join(report.failed) or "every bar is met")
    wrong = any("matches" in line for line in report.failed)
    return int(wrong if quick else bool(report.failed))


def _described(world: World) -> str:
    size = sum(len(a.content.encode()) for a in world.articles) / len(world.articles)
    phrases = sum(len(world.lexicon.phrases(concept)) for concept in world.lexicon.names)
    named = sum(len({n.concept for n in world.lexicon.annotate(a.content, a.lang or "")}) for a in world.articles)
    seconds = _median(lambda: [read(article, world.lexicon) for article in world.articles[:200]])
    return (
        f"{len(world.articles):,} articles of {size:,.0f} bytes; {phrases:,} phrases of {len(world.phrases)} concepts, "
        f"{named / len(world.articles):.0f} in an article\n"
        f"reading an article for developments: {seconds / min(200, len(world.articles)) * 1e6:,.0f} us"
    )


# --- one number of rules ------------------------------------------------------------------------------------------


def _measure(count: int, world: World, size: Size, report: Report) -> None:
    wanted = make_rules(count)
    expected = expected_matches(world, wanted)
    parsed, parsing = _parse(wanted, world)
    some = world.articles[: size.articles_for_flat]
    phrases = {concept: [text for _, text in world.lexicon.phrases(concept)] for concept in world.phrases}
    engines = (
        _build("ours", lambda: _ours(parsed, world), world.articles),
        _build("yara-x shared", lambda: _theirs(yara.shared(wanted, phrases)), world.articles),
        _build("yara-x flat", lambda: _theirs(yara.flat(wanted, phrases)), some),
    )
    spent, found = _race(engines)
    ours, shared, flat = (spent[engine.name] for engine in engines)
    report.ours[count] = engines[0]
    print(f"\n{count:,} rules, {len(expected) / len(world.articles):.1f} match an article; parsed in {parsing:.2f} s")
    print(f"  {'':14} {'us/article':>10} {'ratio':>7} {'built in s':>10} {'MB':>6} {'articles':>8} {'matches':>24}")
    for engine in engines:
        given = {article.id for article in engine.articles}
        due = {match for match in expected if match[0] in given}
        missing, extra = len(due - found[engine.name]), len(found[engine.name] - due)
        print(
            f"  {engine.name:14} {spent[engine.name]:10,.0f} {spent[engine.name] / ours:6.1f}x {engine.seconds:10.2f} "
            f"{engine.megabytes:6.0f} {len(engine.articles):8,} {f'{missing} missing, {extra} extra':>24}"
        )
        if engine.name == "ours":
            report.judge("matches that differ from a plain evaluation", missing + extra, 0, most=True)
    if count in BARS:
        for form, ratio, bar in zip(("flat", "shared"), (flat / ours, shared / ours), BARS[count], strict=True):
            what = f"times as fast as yara-x {form} at {count:,} rules"
            print(f"  {ratio:.1f} {what} (bar: {bar:g}) {report.judge(what, ratio, bar)}")
    if count == max(BARS):
        took, held = engines[0].seconds, engines[0].megabytes
        in_time = report.judge("seconds to build", took, BUILD_SECONDS, most=True)
        in_space = report.judge("MB to build", held, BUILD_MEGABYTES, most=True)
        print(f"  built in {took:.2f} s (bar: {BUILD_SECONDS:g}) {in_time}", end=" ")
        print(f"and {held:.0f} MB (bar: {BUILD_MEGABYTES:g}) {in_space}")


def _parse(wanted: Sequence[Wanted], world: World) -> tuple[list[Rule], float]:
    """The rules as read from files of YAML, and the seconds that this took."""
    files = []
    for first in range(0, len(wanted), RULES_PER_FILE):
        batch = wanted[first : first + RULES_PER_FILE]
        lines = (f'- {{id: {rule.id}, scope: mention, match: "{rule.shorthand()}"}}\n' for rule in batch)
        files.append("".join(lines).encode())
    begun = time.process_time()
    parsed: list[Rule] = []
    for number, raw in enumerate(files):
        rules, problems = parse_rules(parse_yaml(raw, shown=f"rules-{number}.yaml"), world.lexicon)
        assert not problems, problems[:3]
        parsed += rules
    return parsed, time.process_time() - begun


def _ours(parsed: list[Rule], world: World) -> Callable[[Entry], list[str]]:
    ruleset = Ruleset.compile(parsed, world.lexicon)
    return lambda entry: [match.rule_id for match in ruleset.match(entry, Reading(lang=entry.lang or ""))]


def _theirs(scan: yara.Scan) -> Callable[[Entry], list[str]]:
    return lambda entry: scan(entry.content.encode())


def _build(name: str, build: Callable[[], Callable[[Entry], list[str]]], articles: tuple[Entry, ...]) -> Engine:
    gc.collect()
    before, begun = _resident(), time.process_time()
    match = build()
    seconds = time.process_time() - begun
    gc.collect()
    return Engine(name, match, articles, seconds, (_resident() - before) / MEGABYTE)


def _race(engines: Sequence[Engine]) -> tuple[dict[str, float], dict[str, Found]]:
    """For each engine the median microseconds an article, and what it found; the engines take turns."""
    found = {e.name: {(entry.id, rule) for entry in e.articles for rule in e.match(entry)} for e in engines}
    gc.collect()
    gc.disable()
    spent: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for _ in range(ROUNDS):
        for engine in engines:
            begun = time.process_time()
            for entry in engine.articles:
                engine.match(entry)
            spent[engine.name].append((time.process_time() - begun) / len(engine.articles) * 1e6)
    gc.enable()
    return {name: statistics.median(seconds) for name, seconds in spent.items()}, found


def _median(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds)


def _resident() -> int:
    """Bytes of memory that this process holds (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    sys.exit(main())
