"""Rules against entries: a compiled set that says for every entry which rules fire and why the others do not.

A rule matches developments that an entry reports as news; `scope: mention` asks for co-occurrence alone. Every no has
a reason. Nothing here reads a file or changes after it was built; matching never raises.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from service.domain.condition import (
    ABOUT_ANOTHER,
    ANY_SHAPE,
    NEW_STAGES,
    All,
    AnyOf,
    Condition,
    Has,
    IsNew,
    Not,
    Shape,
    Unit,
    Within,
    excludes,
    shapes,
    show,
    wanted,
)
from service.domain.model import (
    Concept,
    ConceptKind,
    Development,
    Entry,
    Evidence,
    Invalid,
    Match,
    NearMiss,
    Problem,
    Reading,
    Step,
)
from service.domain.rulefile import Reach, Rule, Status, parse_rules, slug
from service.domain.shorthand import Meanings
from service.domain.words import Form, Literal, Phrase, Run, Text, texts_of

__all__ = ["Reach", "Rule", "Ruleset", "Status", "parse_rules", "slug"]

# --- judging an entry ---------------------------------------------------------------------------------------------


class Annotated(Protocol):
    """A concept found in a text, with its span."""

    @property
    def concept(self) -> Concept: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class Lexicon(Meanings, Protocol):
    """What judging needs of the lexicon besides the meanings of words."""

    @property
    def version(self) -> str: ...
    def annotate(self, text: str, lang: str) -> Iterable[Annotated]: ...


@dataclass(frozen=True, slots=True)
class _Gap:
    """A term that keeps a rule from firing."""

    step: Step
    shown: str


_HALVES = re.compile("[\ud800-\udfff]")


class _Facts:
    """What one entry says, worked out once and only as far as some rule asks."""

    def __init__(self, entry: Entry, reading: Reading, lexicon: Lexicon) -> None:
        self.entry, self.reading, self.lexicon = entry, reading, lexicon
        self._hits: dict[Literal, tuple[Evidence, ...]] = {}

    @cached_property
    def texts(self) -> tuple[Text, ...]:
        return texts_of(self.entry)

    @cached_property
    def mentions(self) -> Mapping[Concept, tuple[Evidence, ...]]:
        """Every concept that the lexicon finds anywhere in the entry."""
        found: dict[Concept, list[Evidence]] = {}
        for text in self.texts:
            whole = _HALVES.sub("\ufffd", text.original)  # a lexicon reads text that UTF-8 can hold
            for note in self.lexicon.annotate(whole, self.reading.lang):
                span = text.original[note.start : note.end]
                evidence = Evidence(field=text.field, start=note.start, end=note.end, text=span)
                found.setdefault(note.concept, []).append(evidence)
        return {concept: tuple(spans) for concept, spans in found.items()}

    def windows(self, unit: Unit, count: int, starts: Iterable[Evidence]) -> Iterator[_Window]:
        """The stretches in which terms may stand together; of counted words, those that begin at one of `starts`."""
        by_field: dict[str, set[int]] = {}
        for span in starts:
            by_field.setdefault(span.field, set()).add(span.start)
        for text in self.texts:
            match unit:
                case Unit.SENTENCE:
                    spans = text.sentences
                case Unit.PARAGRAPH:
                    spans = text.paragraphs
                case Unit.WORDS:
                    spans = tuple(text.stretch(start, count) for start in sorted(by_field.get(text.field, ())))
            yield from ((text.field, start, end) for start, end in spans)

    def hits(self, term: Literal) -> tuple[Evidence, ...]:
        if term not in self._hits:
            self._hits[term] = tuple(hit for text in self.texts for hit in text.hits(term))
        return self._hits[term]

    def stated(self, concept: Concept, development: Development) -> tuple[Evidence, ...]:
        """The mentions of `concept` that belong to the evidence of `development`."""
        return tuple(m for m in self.mentions.get(concept, ()) if any(_touch(m, e) for e in development.evidence))


_Window = tuple[str, int, int]
"""A field, and from where to where in it."""


def _touch(a: Evidence, b: Evidence) -> bool:
    return a.field == b.field and a.start < b.end and b.start < a.end


def _concepts_of(development: Development) -> frozenset[Concept]:
    return frozenset(
        {
            Concept(ConceptKind.JURISDICTION, development.jurisdiction),
            Concept(ConceptKind.TOPIC, development.topic),
            Concept(ConceptKind.ACTION, development.action),
            Concept(ConceptKind.STAGE, development.stage),
            Concept(ConceptKind.DIRECTION, development.direction),
        }
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    """One rule before one development, or before the mentions of the entry when `development` is None."""

    rule: Rule
    facts: _Facts
    development: Development | None
    window: _Window | None = None

    def gaps(self, node: Condition) -> tuple[_Gap, ...]:
        """What is missing for `node` to hold; () when it holds."""
        match node:
            case Has():
                return self.concept(node)
            case IsNew(shown):
                is_new = self.development is not None and self.development.stage in NEW_STAGES
                return () if is_new else (_Gap(Step.WHEN, shown),)
            case All(parts):
                return tuple(gap for part in parts for gap in self.gaps(part))
            case AnyOf(parts):
                return self.either(parts, show(node))
            case Not(part):
                return () if self.gaps(part) else (_Gap(Step.NONE, show(node)),)
            case Within():
                return self.together(node)
            case _:
                return self.words(node)

    def either(self, parts: Iterable[Condition], shown: str) -> tuple[_Gap, ...]:
        closest: tuple[_Gap, ...] | None = None
        for part in parts:
            gaps = self.gaps(part)
            if not gaps:
                return ()
            closest = gaps if closest is None or len(gaps) < len(closest) else closest
        step = closest[0].step if closest else Step.WHEN
        return (_Gap(step, f"({shown})"),)

    def together(self, node: Within) -> tuple[_Gap, ...]:
        if self.window is not None:  # the outer window holds for what is in it
            return self.gaps(node.part)
        gaps = self.gaps(node.part)
        if gaps and not excludes(node.part):
            return gaps
        for window in self.facts.windows(node.unit, node.count, self.spans(node.part)):
            if not replace(self, window=window).gaps(node.part):
                return ()
        return gaps or (_Gap(Step.WHEN, node.shown),)

    def in_window(self, spans: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        """Those of `spans`, which are in order of field and place, that lie in the window."""
        if self.window is None:
            return spans
        name, start, end = self.window
        first = bisect_left(spans, (_FIELDS[name], start), key=_place)
        last = bisect_left(spans, (_FIELDS[name], end), lo=first, key=_place)
        return tuple(span for span in spans[first:last] if span.end <= end)

    def concept(self, term: Has) -> tuple[_Gap, ...]:
        statements: list[Evidence] = []
        for concept in term.concepts:
            spans = self.statements(concept, exact=term.exact)
            if spans is None:
                continue
            if not spans or any(not self.is_apart(span) for span in spans):
                return ()
            statements += spans
        if statements:
            return (_Gap(Step.NONE, self.apart_at(statements[0])),)
        return (_Gap(Step.WHEN, term.shown),)

    def statements(self, concept: Concept, *, exact: bool) -> tuple[Evidence, ...] | None:
        """Where the entry says `concept` of this development, as far as this rule must know; None if it does not."""
        if self.development is None:
            return self.in_window(self.facts.mentions.get(concept, ())) or None
        if self.window is not None and not self.has_evidence_here():
            return None
        if concept in _concepts_of(self.development):
            return self.facts.stated(concept, self.development) if self.rule.apart else ()
        if concept.kind is ConceptKind.ACTION and not exact and self.development.action in ABOUT_ANOTHER:
            return self.facts.stated(concept, self.development) or None
        return None

    def has_evidence_here(self) -> bool:
        """Whether the window holds, or lies in, something that the development was read from."""
        if self.window is None or self.development is None:
            return True
        name, start, end = self.window
        return any(e.field == name and e.start < end and start < e.end for e in self.development.evidence)

    def words(self, term: Literal) -> tuple[_Gap, ...]:
        hits = self.in_window(self.facts.hits(term))
        if any(not self.is_apart(hit) for hit in hits):
            return ()
        return (_Gap(Step.NONE, self.apart_at(hits[0])),) if hits else (_Gap(Step.WHEN, term.shown),)

    def is_apart(self, span: Evidence) -> bool:
        return bool(self.rule.apart) and bool(self.apart_at(span))

    def apart_at(self, span: Evidence) -> str:
        """The excluded phrase that covers `span`, as shown; empty when none does."""
        for cover in self.rule.apart:
            for hit in self.facts.hits(cover):
                if hit.field == span.field and hit.start <= span.start and span.end <= hit.end:
                    return f"-{cover.shown}"
        return ""

    def evidence(self) -> tuple[Evidence, ...]:
        """What of the entry's text made the terms of the rule hold."""
        return self.spans(self.rule.whole)

    def spans(self, condition: Condition) -> tuple[Evidence, ...]:
        """Where the entry has the terms of `condition`, and what the development was read from."""
        told = self.development
        spans: list[Evidence] = [*told.quotes, *told.evidence] if told is not None else []
        for term in wanted(condition):
            if isinstance(term, Phrase | Run):
                spans += [hit for hit in self.facts.hits(term) if not self.is_apart(hit)]
            elif isinstance(term, Has) and self.development is None:
                found = (span for concept in term.concepts for span in self.facts.mentions.get(concept, ()))
                spans += [span for span in found if not self.is_apart(span)]
        return tuple(spans)


_MAX_EVIDENCE = 50
_FIELDS = {"title": 0, "summary": 1, "content": 2}


def _place(span: Evidence) -> tuple[int, int]:
    return (_FIELDS.get(span.field, len(_FIELDS)), span.start)


def _in_order(spans: Iterable[Evidence]) -> tuple[Evidence, ...]:
    return tuple(sorted(set(spans), key=lambda span: (*_place(span), span.end))[:_MAX_EVIDENCE])


# --- the compiled set ---------------------------------------------------------------------------------------------

_Key = Concept | tuple[str, str]
"""What must be in an entry for a rule to be worth a look: a concept, or a word as (how it is known, the word)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ruleset:
    """Rules ready to judge entries: immutable, and cheap however many there are, as an index names the candidates."""

    rules: tuple[Rule, ...]
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
        facts = _Facts(entry, reading, self._lexicon)
        found = (_judge(self._active[at], facts) for at in sorted(self._candidates(facts)))
        return tuple(match for match in found if isinstance(match, Match))

    def why_not(self, entry: Entry, reading: Reading) -> tuple[NearMiss, ...]:
        """For every rule that did not fire: the first step that failed and what was missing there."""
        facts = _Facts(entry, reading, self._lexicon)
        found = (_judge(rule, facts) for rule in self.rules)
        return tuple(miss for miss in found if isinstance(miss, NearMiss))

    def _candidates(self, facts: _Facts) -> set[int]:
        found = set(self._always)
        present: set[_Key] = set()
        for development in facts.reading.developments:
            for shape in _shapes_met_by(development):
                found.update(self._by_shape.get(shape, ()))
            present |= _concepts_of(development)
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
        elif needed := list(_needed(rule.whole, rule.reach)):
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


def _judge(rule: Rule, facts: _Facts) -> Match | NearMiss:
    """Whether `rule` fires on the entry; if not, the step at which it came closest."""
    if rule.status is not Status.ACTIVE:
        return NearMiss(rule_id=rule.id, step=Step.STATUS, detail=f"the rule is {rule.status}")
    developments = facts.reading.developments
    trials = tuple(_Trial(rule, facts, d) for d in developments)
    if rule.reach is Reach.MENTION:
        trials = (_Trial(rule, facts, None),)
    if not trials:
        detail = "the entry reports no development as news; scope: mention would ask for the words alone"
        return NearMiss(rule_id=rule.id, step=Step.DEVELOPMENT, detail=detail)
    judged = tuple((trial, trial.gaps(rule.whole)) for trial in trials)
    fired = tuple(trial for trial, gaps in judged if not gaps)
    if not fired:
        return _near_miss(rule, judged)
    return Match(
        rule_id=rule.id,
        digest=rule.digest,
        severity=rule.severity,
        developments=tuple(trial.development for trial in fired if trial.development is not None),
        evidence=_in_order(span for trial in fired for span in trial.evidence()),
    )


def _near_miss(rule: Rule, judged: tuple[tuple[_Trial, tuple[_Gap, ...]], ...]) -> NearMiss:
    def distance(pair: tuple[_Trial, tuple[_Gap, ...]]) -> tuple[int, int]:
        return (sum(gap.step is Step.WHEN for gap in pair[1]), len(pair[1]))

    trial, gaps = min(judged, key=distance)
    missing = [gap.shown for gap in gaps if gap.step is Step.WHEN]
    outside = [term.shown for term in rule.scope if term.shown in missing]
    of = f" (nearest: {_said(trial.development)})" if trial.development is not None else ""
    if outside and trial.development is not None:
        detail = f"no development of {', '.join(outside)}{of}"
        return NearMiss(rule_id=rule.id, step=Step.DEVELOPMENT, detail=detail)
    if missing:
        return NearMiss(rule_id=rule.id, step=Step.WHEN, detail=f"missing: {', '.join(missing)}{of}")
    removed = ", ".join(dict.fromkeys(gap.shown for gap in gaps))
    return NearMiss(rule_id=rule.id, step=Step.NONE, detail=f"removed by {removed}{of}")


def _said(development: Development) -> str:
    names = (development.jurisdiction, development.topic, development.action, development.direction, development.stage)
    return " ".join(names)
