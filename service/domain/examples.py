"""The tests that rules bring along: each an entry, and what its rule must say of it. Runs them; reads no file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from service.domain.concepts import Lexicon
from service.domain.developments import read
from service.domain.judge import Facts, judge
from service.domain.model import Development, Match, NearMiss, Problem
from service.domain.rule import Example, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one inline test: passed when `fault` is empty."""

    rule_id: str
    example: Example
    fault: str = ""
    hint: str = ""

    @property
    def problem(self) -> Problem:
        return Problem(where=self.example.where, what=f"a test of {self.rule_id!r} fails: {self.fault}", hint=self.hint)


def run_tests(rules: Iterable[Rule], lexicon: Lexicon) -> Iterator[Verdict]:
    """Every inline test of `rules`, in order. A draft is tested as if it were active."""
    for rule in rules:
        for example in rule.tests:
            yield _run(rule.activated(), example, lexicon)


def _run(rule: Rule, example: Example, lexicon: Lexicon) -> Verdict:
    reading = read(example.entry, lexicon, jurisdiction=example.feed)
    found = judge(rule, Facts(example.entry, reading, lexicon))
    fault = _fault_of_match(example, found) if isinstance(found, Match) else _fault_of_miss(example, found)
    reads = "; ".join(map(_said, reading.developments)) or "nothing reported as news"
    return Verdict(rule_id=rule.id, example=example, fault=fault, hint=f"the text reads as: {reads}" if fault else "")


def _fault_of_miss(example: Example, miss: NearMiss) -> str:
    if example.because is None:
        return f"it should fire and does not ({miss.step}: {miss.detail})"
    if example.because is not miss.step:
        return f"it should say no because of {example.because}, and does so because of {miss.step} ({miss.detail})"
    return ""


def _fault_of_match(example: Example, match: Match) -> str:
    if example.because is not None:
        fired = "; ".join(map(_said, match.developments)) or "its words"
        return f"it should not fire, and does on {fired}"
    for key, asked, found in (
        ("jurisdictions", example.jurisdictions, {d.jurisdiction for d in match.developments}),
        ("topics", example.topics, {d.topic for d in match.developments}),
        ("actions", example.actions, {d.action for d in match.developments}),
    ):
        if asked and set(asked) != found:
            return f"it fires on {key} {_list(found)}, not {_list(asked)}"
    for key, allowed, ways in (
        ("stage", example.stages, {d.stage for d in match.developments}),
        ("direction", example.directions, {d.direction for d in match.developments}),
    ):
        if allowed and not ways <= set(allowed):
            return f"it fires on {key} {_list(ways)}, not {_list(allowed)}"
    if example.severity is not None and example.severity is not match.severity:
        return f"it fires with severity {match.severity}, not {example.severity}"
    return ""


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _said(development: Development) -> str:
    names = (development.jurisdiction, development.topic, development.action, development.direction, development.stage)
    return " ".join(names)
