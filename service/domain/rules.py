"""A compiled set of rules that says for every entry which of them fire, and why the others do not.

Immutable, and cheap however many rules there are: an index names the few that are worth judging.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.candidates import Candidates
from service.domain.judge import Facts, Lexicon, Place, judge, match_of
from service.domain.memory import without_collection
from service.domain.model import Entry, Invalid, Match, NearMiss, Problem, Reading
from service.domain.rule import Reach, Rule, Status


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ruleset:
    """Rules ready to judge entries: immutable, and cheap however many there are, as an index names the candidates."""

    rules: tuple[Rule, ...]
    by_id: Mapping[str, Rule]
    version: str
    _lexicon: Lexicon
    _active: tuple[Rule, ...]
    _candidates: Candidates
    _has_mentions: bool

    @classmethod
    def compile(cls, rules: Iterable[Rule], lexicon: Lexicon) -> Ruleset:
        """The compiled set; Invalid when two rules share an id."""
        rules = tuple(rules)
        _refuse_repeated_ids(rules)
        digest = hashlib.sha256(lexicon.version.encode())
        for rule in sorted(rules, key=lambda r: r.id):
            digest.update(f"\n{rule.id}\t{rule.digest}".encode())
        active = tuple(rule for rule in rules if rule.status is Status.ACTIVE)
        with without_collection():
            candidates = Candidates.index(active, lexicon.names)
        return cls(
            rules=rules,
            by_id={rule.id: rule for rule in rules},
            version=digest.hexdigest()[:16],
            _lexicon=lexicon,
            _active=active,
            _candidates=candidates,
            _has_mentions=any(rule.reach is Reach.MENTION for rule in active),
        )

    def match(self, entry: Entry, reading: Reading) -> tuple[Match, ...]:
        """The active rules that fire on this entry, in their order in the set, each with what made it fire."""
        if not self._active or not (reading.developments or self._has_mentions):
            return ()
        facts = Facts(entry, reading, self._lexicon)
        decided, open_ = self._candidates.of(facts)
        found = {at: _by_mentions(self._active[at], facts, places) for at, places in decided.items()}
        for at in open_:
            if match := match_of(self._active[at], facts):
                found[at] = match
        return tuple(found[at] for at in sorted(found))

    def why_not(self, entry: Entry, reading: Reading) -> tuple[NearMiss, ...]:
        """For every rule that did not fire: the first step that failed and what was missing there."""
        facts = Facts(entry, reading, self._lexicon)
        found = (judge(rule, facts) for rule in self.rules)
        return tuple(miss for miss in found if isinstance(miss, NearMiss))


def _by_mentions(rule: Rule, facts: Facts, places: Sequence[Place]) -> Match:
    """The match of a rule that asks for mentions of concepts and nothing else, and has them at these places."""
    evidence = facts.in_order(places)
    return Match(rule_id=rule.id, digest=rule.digest, severity=rule.severity, developments=(), evidence=evidence)


def _refuse_repeated_ids(rules: Iterable[Rule]) -> None:
    first: dict[str, Rule] = {}
    problems = []
    for rule in rules:
        if rule.id in first:
            hint = f"first at {first[rule.id].where}"
            problems.append(Problem(where=rule.where, what=f"rule id {rule.id!r} is used twice", hint=hint))
        else:
            first[rule.id] = rule
    if problems:
        raise Invalid(tuple(problems))
