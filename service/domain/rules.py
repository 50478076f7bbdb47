"""A compiled set of rules that says for every entry which of them fire, and why the others do not.

Immutable, and cheap however many rules there are: an index names the few that are worth judging.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from service.domain.condition import (
    ABOUT_ANOTHER,
    ACROSS,
    ANY_SHAPE,
    All,
    AnyOf,
    Condition,
    Has,
    Shape,
    Within,
    shapes,
)
from service.domain.judge import Facts, Lexicon, concepts_of, judge
from service.domain.model import (
    Concept,
    ConceptKind,
    Development,
    Entry,
    Invalid,
    Match,
    NearMiss,
    Problem,
    Reading,
)
from service.domain.rule import Reach, Rule, Status
from service.domain.words import Form, Phrase, Run, Text

# --- the compiled set ---------------------------------------------------------------------------------------------

_Key = Concept | tuple[str, str]
"""What must be in an entry for a rule to be worth a look: a concept, or a word as (how it is known, the word)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ruleset:
    """Rules ready to judge entries: immutable, and cheap however many there are, as an index names the candidates."""

    rules: tuple[Rule, ...]
    by_id: Mapping[str, Rule]
    version: str
    _lexicon: Lexicon
    _active: tuple[Rule, ...]
    _by_shape: Mapping[Shape, tuple[int, ...]]
    _by_key: Mapping[_Key, tuple[int, ...]]
    _always: tuple[int, ...]
    _has_mentions: bool
    _has_words: bool

    @classmethod
    def compile(cls, rules: Iterable[Rule], lexicon: Lexicon) -> Ruleset:
        """The compiled set; Invalid when two rules share an id."""
        rules = tuple(rules)
        _refuse_repeated_ids(rules)
        digest = hashlib.sha256(lexicon.version.encode())
        for rule in sorted(rules, key=lambda r: r.id):
            digest.update(f"\n{rule.id}\t{rule.digest}".encode())
        active = tuple(rule for rule in rules if rule.status is Status.ACTIVE)
        by_shape, by_key, always = _index(active)
        return cls(
            rules=rules,
            by_id={rule.id: rule for rule in rules},
            version=digest.hexdigest()[:16],
            _lexicon=lexicon,
            _active=active,
            _by_shape=by_shape,
            _by_key=by_key,
            _always=always,
            _has_mentions=any(rule.reach is Reach.MENTION for rule in active),
            _has_words=any(not isinstance(key, Concept) for key in by_key),
        )

    def match(self, entry: Entry, reading: Reading) -> tuple[Match, ...]:
        """The active rules that fire on this entry, in their order in the set, each with what made it fire."""
        if not self._active or not (reading.developments or self._has_mentions):
            return ()
        facts = Facts(entry, reading, self._lexicon)
        found = (judge(self._active[at], facts) for at in sorted(self._candidates(facts)))
        return tuple(match for match in found if isinstance(match, Match))

    def why_not(self, entry: Entry, reading: Reading) -> tuple[NearMiss, ...]:
        """For every rule that did not fire: the first step that failed and what was missing there."""
        facts = Facts(entry, reading, self._lexicon)
        found = (judge(rule, facts) for rule in self.rules)
        return tuple(miss for miss in found if isinstance(miss, NearMiss))

    def _candidates(self, facts: Facts) -> set[int]:
        found = set(self._always)
        present: set[_Key] = set()
        for development in facts.reading.developments:
            for shape in _shapes_met_by(development):
                found.update(self._by_shape.get(shape, ()))
            present |= concepts_of(development)
        if self._has_mentions:
            present |= facts.mentions.keys()
        if self._has_words:
            present |= set(_word_keys(facts.texts))
        for key in self._by_key.keys() & present:
            found.update(self._by_key[key])
        return found


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


def _index(
    rules: tuple[Rule, ...],
) -> tuple[Mapping[Shape, tuple[int, ...]], Mapping[_Key, tuple[int, ...]], tuple[int, ...]]:
    """Where each rule is looked up: by the shape of a development; else by its rarest needed key; else always."""
    by_shape: dict[Shape, list[int]] = {}
    by_key: dict[_Key, list[int]] = {}
    always: list[int] = []
    needs: dict[int, list[frozenset[_Key]]] = {}
    for at, rule in enumerate(rules):
        shaped = shapes(rule.whole) if rule.reach is Reach.REPORTED else frozenset({ANY_SHAPE})
        if ANY_SHAPE not in shaped:
            for shape in shaped:
                by_shape.setdefault(shape, []).append(at)
        elif needed := list(_needed(rule.needs, rule.reach)):
            needs[at] = needed
        else:
            always.append(at)
    common = Counter(key for needed in needs.values() for keys in needed for key in keys)
    for at, needed in needs.items():
        for key in min(needed, key=lambda keys: sum(common[key] for key in keys)):
            by_key.setdefault(key, []).append(at)
    return (
        {shape: tuple(found) for shape, found in by_shape.items()},
        {key: tuple(found) for key, found in by_key.items()},
        tuple(always),
    )


def _needed(node: Condition, reach: Reach) -> Iterator[frozenset[_Key]]:
    """Sets of keys; of each set an entry must have at least one for `node` to hold."""
    match node:
        case Has(concepts, exact=exact):
            keys: set[_Key] = set(concepts)
            asks_action = any(concept.kind is ConceptKind.ACTION for concept in concepts)
            if asks_action and not exact and reach is Reach.REPORTED:
                keys |= {Concept(ConceptKind.ACTION, action) for action in ABOUT_ANOTHER}
            asks_topic = any(concept.kind is ConceptKind.TOPIC for concept in concepts)
            if asks_topic and not exact and reach is Reach.REPORTED:
                keys |= {Concept(ConceptKind.TOPIC, topic) for topic in ACROSS}
            yield frozenset(keys)
        case All(parts):
            for part in parts:
                yield from _needed(part, reach)
        case AnyOf(parts):
            choices = [min(_needed(part, reach), key=len, default=None) for part in parts]
            if all(choice is not None for choice in choices):
                yield frozenset().union(*(choice for choice in choices if choice is not None))
        case Within(part):
            yield from _needed(part, reach)
        case Phrase(words):
            yield from (frozenset({_key_of(word.form, word.key)}) for word in words)
        case Run(key):
            yield frozenset({("letter", key[0])})


def _key_of(form: Form, key: str) -> _Key:
    match form:
        case Form.FORMS:
            return ("stem", key)
        case Form.PREFIX:
            return ("head", key[0])
        case _:
            return ("word", key)


def _word_keys(texts: Iterable[Text]) -> Iterator[_Key]:
    for text in texts:
        yield from (("stem", stem) for stem in text.stems)
        yield from (("word", word.removesuffix("'s")) for word in text.words)
        yield from (("word", word) for word in text.words)
        yield from (("head", word[0]) for word in text.words)
        yield from (("letter", letter) for letter in text.letters)


def _shapes_met_by(development: Development) -> Iterator[Shape]:
    for jurisdiction in (development.jurisdiction, None):
        for topic in (str(development.topic), None):
            for action in (str(development.action), None):
                yield (jurisdiction, topic, action)
