"""Which rules an entry may make fire: an index over what they cannot do without, so that most are never looked at.

Rules of reported developments are found by the shape of a development, rules of mentions by two concepts that they
need, and what is left by the rarest word. A rule of mentions that asks for concepts alone is decided here; every other
candidate is for the judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, TypeVar

from service.domain.condition import (
    ABOUT_ANOTHER,
    ACROSS,
    ANY_SHAPE,
    All,
    AnyOf,
    Condition,
    Has,
    Not,
    Shape,
    Within,
    shapes,
)
from service.domain.forms import all_keys
from service.domain.judge import Facts, Place, concepts_of
from service.domain.model import Concept, ConceptKind, Development
from service.domain.rule import Reach, Rule, Sources
from service.domain.words import Form, Phrase, Run, Text

_Key = Concept | tuple[str, str]
"""What must be in an entry for a rule to be worth a look: a concept, or a word as (how it is known, the word)."""

K = TypeVar("K", bound=Hashable)

Decided = Mapping[int, Sequence[Place]]
"""Rules that fire, by their place in the set, with the places of their terms."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """An index over rules, which it knows by their place in the set. Immutable."""

    _by_shape: Mapping[Shape, Sequence[int]]
    _by_key: Mapping[_Key, Sequence[int]]
    _always: Sequence[int]
    _mentions: _MentionIndex
    _keys_of_mentions: bool
    _keys_of_words: bool

    @classmethod
    def index(cls, rules: Sequence[Rule], known: Iterable[Concept] = ()) -> Candidates:
        """`known` are the concepts as the lexicon gives them: the same objects are found faster than equal ones."""
        by_shape: dict[Shape, list[int]] = {}
        needs: dict[int, list[frozenset[_Key]]] = {}
        asked: dict[int, _Asked] = {}
        always: list[int] = []
        for at, rule in enumerate(rules):
            reported = rule.reach is Reach.REPORTED
            shaped = shapes(rule.whole) if reported else frozenset({ANY_SHAPE})
            if ANY_SHAPE not in shaped:
                for shape in shaped:
                    by_shape.setdefault(shape, []).append(at)
            elif not reported and (terms := _asked(rule)).all:
                asked[at] = terms
            elif needed := list(_needed(rule.needs, rule.reach)):
                needs[at] = needed
            else:
                always.append(at)
        by_key: dict[_Key, list[int]] = {}
        for at, [rarest] in _rarest(needs, 1):
            for key in rarest:
                by_key.setdefault(key, []).append(at)
        return cls(
            _by_shape=by_shape,
            _by_key=by_key,
            _always=always,
            _mentions=_MentionIndex(asked, known),
            _keys_of_mentions=any(rules[at].reach is Reach.MENTION for at in needs),
            _keys_of_words=any(not isinstance(key, Concept) for key in by_key),
        )

    def of(self, facts: Facts) -> tuple[Decided, set[int]]:
        """The rules that are known to fire on the entry, and those that the judge must see."""
        decided, seen = self._mentions.find(facts.places) if self._mentions.numbers else ({}, set())
        seen.update(self._always)
        present: set[_Key] = set()
        for development in facts.reading.developments:
            for shape in _shapes_met_by(development):
                seen.update(self._by_shape.get(shape, ()))
            present |= concepts_of(development)
        if self._keys_of_mentions:
            present |= facts.places.keys()
        if self._keys_of_words:
            present |= set(_word_keys(facts.texts))
        for key in self._by_key.keys() & present:
            seen.update(self._by_key[key])
        return decided, seen


# --- rules of mentions --------------------------------------------------------------------------------------------


class _Asked(NamedTuple):
    """What a rule of mentions asks for: of each set in `all` one concept, of `none` nothing; `only` if that is all."""

    all: tuple[frozenset[Concept], ...]
    none: frozenset[Concept]
    only: bool


class _Filed(NamedTuple):
    """A rule as it is filed under two concepts that are there: what else it needs, as numbers of concepts.

    Most need two more at most (`third`, `fourth`; _NONE if not), so that a look at two numbers turns a rule down.
    `terms` are the concepts whose places are its evidence; None if there is more to the rule than concepts.
    """

    third: int
    fourth: int
    rest: tuple[frozenset[int], ...]
    none: frozenset[int]
    at: int
    terms: tuple[int, ...] | None


class _MentionIndex:
    """Rules filed under the two of their needs that the fewest rules share.

    A tree of all needs would be walked deeper for no fewer rules: two concepts leave about one rule of 50,000.
    """

    __slots__ = ("_pairs", "numbers")

    def __init__(self, asked: Mapping[int, _Asked], known: Iterable[Concept]) -> None:
        self.numbers = {concept: number for number, concept in enumerate(known if asked else ())}
        under: dict[tuple[int, int], list[tuple[int, set[frozenset[Concept]]]]] = {}
        for at, rarest in _rarest({at: terms.all for at, terms in asked.items()}, 2):
            first, second = (rarest * 2)[:2]
            if len(first) * len(second) > _MAX_PAIRS:
                first = second = min(first, second, key=len)
            pairs = zip(first, first, strict=True) if first is second else product(first, second)
            for a, b in pairs:
                low, high = sorted((self._number(a), self._number(b)))
                under.setdefault((low, high), []).append((at, {first, second}))
        self._pairs: dict[int, dict[int, tuple[_Filed, ...]]] = {}
        for low, high in sorted(under):  # what is looked at together lies together in memory: a quarter of the time
            filed = tuple([self._filed(at, asked[at], met) for at, met in under[low, high]])
            self._pairs.setdefault(low, {})[high] = filed

    def _number(self, concept: Concept) -> int:
        return self.numbers.setdefault(concept, len(self.numbers))

    def _filed(self, at: int, asked: _Asked, met: set[frozenset[Concept]]) -> _Filed:
        needed = [frozenset(map(self._number, among)) for among in asked.all if among not in met]
        single = [number for among in needed if len(among) == 1 for number in among]
        third, fourth, *more = (*single, _NONE, _NONE)
        return _Filed(
            third=third,
            fourth=fourth,
            rest=tuple(frozenset({number}) for number in more if number != _NONE)
            + tuple(among for among in needed if len(among) > 1),
            none=frozenset(map(self._number, asked.none)) if asked.only else frozenset(),
            at=at,
            terms=tuple(self._number(c) for among in asked.all for c in among) if asked.only else None,
        )

    def find(self, places: Mapping[Concept, Sequence[Place]]) -> tuple[dict[int, Sequence[Place]], set[int]]:
        """The rules that these mentions make fire, and those of which they meet what is filed."""
        found = {number: at for c, at in places.items() if (number := self.numbers.get(c)) is not None}
        numbers = sorted(found)
        there = {_NONE, *numbers}
        decided: dict[int, Sequence[Place]] = {}
        seen: set[int] = set()
        for place, first in enumerate(numbers):
            if (under := self._pairs.get(first)) is None:
                continue
            for second in numbers[place:]:
                for filed in under.get(second, ()):
                    # By place and not by name: this runs for hundreds of rules an entry.
                    if filed[0] not in there or filed[1] not in there:
                        continue
                    _, _, rest, none, at, terms = filed
                    if not none.isdisjoint(there) or any(among.isdisjoint(there) for among in rest):
                        continue
                    if terms is None:
                        seen.add(at)
                    else:
                        decided[at] = [span for term in terms if term in found for span in found[term]]
        return decided, seen


_NONE = -1
"""The number of no concept, which is always there."""
_MAX_PAIRS = 64
"""Under how many pairs of concepts a rule is filed; one with more alternatives is filed under each of the fewest."""


def _asked(rule: Rule) -> _Asked:
    condition = rule.whole
    all_: list[frozenset[Concept]] = []
    none: set[Concept] = set()
    only = not (rule.apart or rule.languages) and rule.sources == Sources()
    for part in condition.parts if isinstance(condition, All) else (condition,):
        if among := _among(part):
            all_.append(among)
        elif isinstance(part, Not) and (among := _among(part.part)):
            none |= among
        else:
            only = False
            all_ += [frozenset(keys) for keys in map(_concepts, _needed(part, Reach.MENTION)) if keys]
    return _Asked(tuple(dict.fromkeys(all_)), frozenset(none), only)


def _among(node: Condition) -> frozenset[Concept]:
    """The concepts of which `node` asks for one and nothing else; none if it is of another form."""
    match node:
        case Has(concepts):
            return frozenset(concepts)
        case AnyOf(parts):
            each = [_among(part) for part in parts]
            return frozenset().union(*each) if all(each) else frozenset()
        case _:
            return frozenset()


def _concepts(keys: frozenset[_Key]) -> list[Concept]:
    """The keys, if all are concepts."""
    concepts = [key for key in keys if isinstance(key, Concept)]
    return concepts if len(concepts) == len(keys) else []


# --- what a rule cannot do without --------------------------------------------------------------------------------


def _rarest(needs: Mapping[int, Sequence[frozenset[K]]], count: int) -> Iterator[tuple[int, list[frozenset[K]]]]:
    """For each rule those of its needs, at most `count`, that the fewest rules share."""
    common = Counter(key for needed in needs.values() for keys in needed for key in keys)
    for at, needed in needs.items():
        yield at, sorted(needed, key=lambda keys: sum(common[key] for key in keys))[:count]


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
            yield from (_keys_of(word.form, word.key) for word in words)
        case Run(key):
            yield frozenset({("letter", key[0])})


def _keys_of(form: Form, key: str) -> frozenset[_Key]:
    match form:
        case Form.FORMS:
            return frozenset(("stem", stem) for stem in all_keys(key))
        case Form.PREFIX:
            return frozenset({("head", key[0])})
        case _:
            return frozenset({("word", key)})


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
