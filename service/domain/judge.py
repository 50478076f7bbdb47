"""One rule before one entry: does it fire, and if not, at which step and how near was it?

A rule is tried against each development that the entry reports as news; with `scope: mention` against everything that
the entry mentions. Nothing here reads a file; judging never raises.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import accumulate
from typing import Protocol
from urllib.parse import urlsplit

from service.domain.condition import (
    ACROSS,
    NEW_STAGES,
    All,
    AnyOf,
    Condition,
    Has,
    IsNew,
    Not,
    Unit,
    Within,
    excludes,
    may_be_about,
    show,
    terms_of,
    wanted,
)
from service.domain.model import (
    Concept,
    ConceptKind,
    Development,
    Direction,
    Entry,
    Evidence,
    Match,
    NearMiss,
    Reading,
    Severity,
    Stage,
    Step,
)
from service.domain.rule import Escalation, Reach, Rule, Sources, Status, Unclear
from service.domain.shorthand import Meanings
from service.domain.together import Placed, Window, asked, terms_in
from service.domain.words import Literal, Phrase, Run, Text, texts_of


class Lexicon(Meanings, Protocol):
    """What judging needs of the lexicon besides the meanings of words."""

    @property
    def version(self) -> str: ...
    def mentions(self, text: str, lang: str) -> Iterable[tuple[Concept, int, int]]: ...


@dataclass(frozen=True, slots=True)
class Gap:
    """What keeps a rule from firing: at which step, as a person reads it, and the terms that it is made of."""

    step: Step
    shown: str
    terms: tuple[Has | IsNew | Literal, ...] = ()


Place = tuple[int, int, int]
"""A stretch of an entry: the number of its field in reading order, and from where to where in it."""

_FIELDS = ("title", "summary", "content")


class Facts:
    """What one entry says, worked out once and only as far as some rule asks."""

    def __init__(self, entry: Entry, reading: Reading, lexicon: Lexicon) -> None:
        self.entry, self.reading, self.lexicon = entry, reading, lexicon
        self._hits: dict[Literal, tuple[Evidence, ...]] = {}
        self._evidence: dict[Place, Evidence] = {}
        self._apart: dict[tuple[str, str], dict[str, tuple[list[int], list[int]]]] = {}

    @cached_property
    def texts(self) -> tuple[Text, ...]:
        return texts_of(self.entry, self.reading.lang)

    @cached_property
    def places(self) -> Mapping[Concept, Sequence[Place]]:
        """Where in the entry the lexicon finds each concept, in order."""
        found: dict[Concept, list[Place]] = {}
        for number, field in enumerate(_FIELDS):
            text = getattr(self.entry, field)
            for concept, start, end in self.lexicon.mentions(text, self.reading.lang) if text else ():
                found.setdefault(concept, []).append((number, start, end))
        return found

    @cached_property
    def mentions(self) -> Mapping[Concept, tuple[Evidence, ...]]:
        """Every concept that the lexicon finds anywhere in the entry."""
        return {concept: tuple(map(self.at, places)) for concept, places in self.places.items()}

    def at(self, place: Place) -> Evidence:
        """What stands there; one object for each place."""
        known = self._evidence.get(place)
        if known is None:
            number, start, end = place
            field = _FIELDS[number]
            text = getattr(self.entry, field)[start:end]
            known = self._evidence[place] = Evidence(field=field, start=start, end=end, text=text)
        return known

    def in_order(self, places: Iterable[Place]) -> tuple[Evidence, ...]:
        """What stands at these places as the evidence of a match: in reading order, nothing twice, within bounds."""
        known = self._evidence
        return tuple([known.get(place) or self.at(place) for place in sorted(set(places))[:_MAX_EVIDENCE]])

    def windows(self, unit: Unit, count: int, starts: Iterable[Evidence]) -> Iterator[Window]:
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

    def is_apart(self, span: Evidence, rule: Rule) -> bool:
        """Whether one of the rule's excluded phrases covers `span`."""
        key = (rule.id, rule.digest)
        if key not in self._apart:
            self._apart[key] = _stretches(hit for cover in rule.apart for hit in self.hits(cover))
        starts, reach = self._apart[key].get(span.field, ([], []))
        before = bisect_right(starts, span.start) - 1
        return before >= 0 and reach[before] >= span.end

    def stated(self, concept: Concept, development: Development) -> tuple[Evidence, ...]:
        """The mentions of `concept` in the words that `development` was read from."""
        return tuple(m for m in self.mentions.get(concept, ()) if any(_touch(m, e) for e in development.evidence))

    def named(self, concept: Concept, development: Development) -> tuple[Evidence, ...]:
        """The mentions of `concept` in the sentences that tell of `development`."""
        told = (*development.quotes, *development.evidence)
        return tuple(m for m in self.mentions.get(concept, ()) if any(_touch(m, e) for e in told))


def _stretches(hits: Iterable[Evidence]) -> dict[str, tuple[list[int], list[int]]]:
    """For each field where hits begin, in order, and how far those reach that begin there or before."""
    by_field: dict[str, list[tuple[int, int]]] = {}
    for hit in hits:
        by_field.setdefault(hit.field, []).append((hit.start, hit.end))
    return {
        field: ([start for start, _ in sorted(spans)], list(accumulate((end for _, end in sorted(spans)), max)))
        for field, spans in by_field.items()
    }


def _touch(a: Evidence, b: Evidence) -> bool:
    return a.field == b.field and a.start < b.end and b.start < a.end


def concepts_of(development: Development) -> frozenset[Concept]:
    return frozenset(
        {
            Concept(ConceptKind.JURISDICTION, development.jurisdiction),
            Concept(ConceptKind.TOPIC, development.topic),
            Concept(ConceptKind.ACTION, development.action),
            Concept(ConceptKind.STAGE, development.stage),
            Concept(ConceptKind.DIRECTION, development.direction),
        }
    )


def _is_of(concept: Concept, development: Development) -> bool:
    """Whether `concept` is among `concepts_of(development)`, for a fifth of the price."""
    match concept.kind:
        case ConceptKind.JURISDICTION:
            return concept.name == development.jurisdiction
        case ConceptKind.TOPIC:
            return concept.name == development.topic
        case ConceptKind.ACTION:
            return concept.name == development.action
        case ConceptKind.STAGE:
            return concept.name == development.stage
        case ConceptKind.DIRECTION:
            return concept.name == development.direction
        case _:
            return False


def _is_same_act(a: Development, b: Development) -> bool:
    return (a.jurisdiction, a.action) == (b.jurisdiction, b.action)


@dataclass(frozen=True, slots=True)
class Trial:
    """One rule before one development, or before the mentions of the entry when `development` is None."""

    rule: Rule
    facts: Facts
    development: Development | None

    def all_gaps(self) -> tuple[Gap, ...]:
        """What keeps the whole rule from firing, in the order of the steps; () when it fires."""
        gaps = [gap for term in self.rule.scope for gap in self.outside(term)]
        if self.rule.condition is not None:
            gaps += self.gaps(self.rule.condition)
        return tuple(gaps)

    def outside(self, term: Has) -> tuple[Gap, ...]:
        """Whether one of the rule's sets keeps the development out."""
        if not (missing := self.concept(term)):
            return ()
        kind = term.concepts[0].kind
        if self.is_open(kind):
            return () if self.rule.unclear is Unclear.PASS else (Gap(Step.UNCLEAR, term.shown),)
        step = missing[0].step if missing[0].step is Step.NONE else _STEP_OF[kind]
        return tuple(replace(gap, step=step) for gap in missing)

    def is_open(self, kind: ConceptKind) -> bool:
        """Whether the text leaves open what the rule asks of a development: the way it goes, or how far it is."""
        development = self.development
        if development is None or kind not in _OPEN:
            return False
        value = development.stage if kind is ConceptKind.STAGE else development.direction
        return value == _OPEN[kind]

    def unclear(self) -> tuple[str, ...]:
        """The keys of the rule that the development leaves open, and an act that is only likely; asked if it fired."""
        kinds = [term.concepts[0].kind for term in self.rule.scope if self.concept(term)]
        if self.development is not None and self.development.is_likely:
            kinds.append(ConceptKind.ACTION)
        return tuple(str(kind) for kind in kinds)

    def gaps(self, node: Condition) -> tuple[Gap, ...]:
        """What is missing for `node` to hold; () when it holds."""
        match node:
            case Has():
                return self.concept(node)
            case IsNew(shown):
                is_new = self.development is not None and self.development.stage in NEW_STAGES
                return () if is_new else (Gap(Step.WHEN, shown, (node,)),)
            case All(parts):
                return tuple(gap for part in parts for gap in self.gaps(part))
            case AnyOf(parts):
                return self.either(parts, show(node))
            case Not(part):
                return () if self.gaps(part) else (Gap(Step.NONE, show(node)),)
            case Within():
                return self.together(node)
            case _:
                return self.words(node)

    def either(self, parts: Iterable[Condition], shown: str) -> tuple[Gap, ...]:
        closest: tuple[Gap, ...] | None = None
        for part in parts:
            gaps = self.gaps(part)
            if not gaps:
                return ()
            closest = gaps if closest is None or len(gaps) < len(closest) else closest
        step = closest[0].step if closest else Step.WHEN
        terms = tuple(term for gap in closest or () for term in gap.terms)
        return (Gap(step, f"({shown})", terms),)

    def together(self, node: Within) -> tuple[Gap, ...]:
        gaps = self.gaps(node.part)
        if gaps and not excludes(node.part):
            return gaps
        if self.holds_within(node):
            return ()
        return gaps or (Gap(Step.WHEN, node.shown, tuple(wanted(node.part))),)

    def holds_within(self, node: Within) -> bool:
        """Whether all of it holds in some window; what holds of the development, holds where that is told."""
        always = told = 0
        bits = {term: 1 << n for n, term in enumerate(dict.fromkeys(term for term, _ in terms_of(node.part)))}
        hits: dict[str, list[Placed]] = {}
        for term, bit in bits.items():
            if isinstance(term, IsNew):
                always |= 0 if self.gaps(term) else bit
            elif isinstance(term, Has) and self.development is not None:
                told |= 0 if self.concept(term) else bit
            else:
                for span in self.found(term):
                    hits.setdefault(span.field, []).append((span.start, span.end, bit))
        holds = asked(node.part, bits)
        windows = self.facts.windows(node.unit, node.count, self.spans(node.part))
        return any(
            holds(present | always | (told if told and self.is_told_in(window) else 0))
            for window, present in terms_in(windows, hits)
        )

    def concept(self, term: Has) -> tuple[Gap, ...]:
        statements: list[Evidence] = []
        for concept in term.concepts:
            spans = self.statements(concept, exact=term.exact)
            if spans is None:
                continue
            if not spans or any(not self.is_apart(span) for span in spans):
                return ()
            statements += spans
        if statements:
            return (Gap(Step.NONE, self.apart_at(statements[0])),)
        return (Gap(Step.WHEN, term.shown, (term,)),)

    def statements(self, concept: Concept, *, exact: bool) -> tuple[Evidence, ...] | None:
        """Where the entry says `concept` of this development, as far as this rule must know; None if it does not."""
        if self.development is None:
            return self.facts.mentions.get(concept) or None
        if _is_of(concept, self.development) or self.shares(concept):
            return self.facts.stated(concept, self.development) if self.rule.apart else ()
        about = concept.kind is ConceptKind.ACTION and may_be_about(self.development.action, concept.name)
        if about and not exact:
            return self.facts.stated(concept, self.development) or None
        if concept.kind is ConceptKind.TOPIC and not exact and self.development.topic in ACROSS:
            return self.facts.named(concept, self.development) or None
        return None

    def shares(self, concept: Concept) -> bool:
        """Whether the same act has this topic too, beside one that the rule asks for: a law on exchanges and miners."""
        own = self.development
        if own is None or concept.kind is not ConceptKind.TOPIC or len(self.facts.reading.developments) < 2:
            return False
        others = (d for d in self.facts.reading.developments if d.topic == concept.name and _is_same_act(d, own))
        return any(others) and Concept(ConceptKind.TOPIC, own.topic) in self.rule.topics_wanted

    def is_told_in(self, window: Window) -> bool:
        """Whether the window holds, or lies in, something that the development was read from."""
        name, start, end = window
        evidence = self.development.evidence if self.development is not None else ()
        return any(e.field == name and e.start < end and start < e.end for e in evidence)

    def words(self, term: Literal) -> tuple[Gap, ...]:
        hits = self.facts.hits(term)
        if any(not self.is_apart(hit) for hit in hits):
            return ()
        return (Gap(Step.NONE, self.apart_at(hits[0])),) if hits else (Gap(Step.WHEN, term.shown, (term,)),)

    def is_apart(self, span: Evidence) -> bool:
        return bool(self.rule.apart) and self.facts.is_apart(span, self.rule)

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
            if isinstance(term, Phrase | Run) or (isinstance(term, Has) and told is None):
                spans += self.found(term)
        return tuple(spans)

    def found(self, term: Has | Literal) -> Iterator[Evidence]:
        """Where the entry has the term, as far as that is not within an excluded phrase."""
        if isinstance(term, Has):
            spans = [span for concept in term.concepts for span in self.facts.mentions.get(concept, ())]
        else:
            spans = list(self.facts.hits(term))
        return (span for span in spans if not self.is_apart(span))


_MAX_EVIDENCE = 50
_NUMBER_OF = {field: number for number, field in enumerate(_FIELDS)}


def _place(span: Evidence) -> tuple[int, int]:
    return (_NUMBER_OF.get(span.field, len(_FIELDS)), span.start)


def _in_order(spans: Iterable[Evidence]) -> tuple[Evidence, ...]:
    return tuple(sorted(set(spans), key=lambda span: (*_place(span), span.end))[:_MAX_EVIDENCE])


# --- the verdict --------------------------------------------------------------------------------------------------

_STEP_OF = {
    ConceptKind.JURISDICTION: Step.JURISDICTIONS,
    ConceptKind.TOPIC: Step.TOPICS,
    ConceptKind.ACTION: Step.ACTIONS,
    ConceptKind.STAGE: Step.STAGE,
    ConceptKind.DIRECTION: Step.DIRECTION,
}
_OPEN = {ConceptKind.STAGE: Stage.NOT_APPLICABLE, ConceptKind.DIRECTION: Direction.NEUTRAL}
"""The value of a development that says: the text leaves this open."""


def judge(rule: Rule, facts: Facts) -> Match | NearMiss:
    """Whether `rule` fires on the entry; if not, the first step that failed for what came nearest."""
    if refused := refused_at_once(rule, facts):
        return refused
    judged = tuple((trial, trial.all_gaps()) for trial in trials_of(rule, facts))
    fired = tuple(trial for trial, gaps in judged if not gaps)
    if not fired:
        return _near_miss(rule, judged)
    return matched(rule, facts, fired)


def trials_of(rule: Rule, facts: Facts) -> tuple[Trial, ...]:
    """What the rule is held against: each development that is reported, or the mentions as a whole."""
    if rule.reach is Reach.MENTION:
        return (Trial(rule, facts, None),)
    return tuple(Trial(rule, facts, development) for development in facts.reading.developments)


def matched(rule: Rule, facts: Facts, fired: Sequence[Trial]) -> Match:
    """The match of a rule that fired on these trials."""
    developments = tuple(trial.development for trial in fired if trial.development is not None)
    return Match(
        rule_id=rule.id,
        digest=rule.digest,
        severity=_severity(rule, developments, facts.entry),
        developments=developments,
        evidence=_in_order(span for trial in fired for span in trial.evidence()),
        unclear=tuple(dict.fromkeys(name for trial in fired for name in trial.unclear())),
    )


def _severity(rule: Rule, developments: Iterable[Development], entry: Entry) -> Severity:
    raised = (e.severity for e in rule.escalate for d in developments if _escalates(e, d, entry))
    return max((rule.severity, *raised), key=lambda severity: severity.rank)


def _escalates(escalation: Escalation, development: Development, entry: Entry) -> bool:
    asked = (
        (escalation.jurisdictions, development.jurisdiction),
        (escalation.topics, development.topic),
        (escalation.actions, development.action),
        (escalation.stages, development.stage),
        (escalation.directions, development.direction),
        (escalation.tiers, entry.tier),
    )
    return all(not wanted or is_ in wanted for wanted, is_ in asked)


def refused_at_once(rule: Rule, facts: Facts) -> NearMiss | None:
    """What keeps the rule from looking at the entry at all."""
    if rule.status is not Status.ACTIVE:
        return NearMiss(rule_id=rule.id, step=Step.STATUS, detail=f"the rule is {rule.status}")
    if rule.languages and facts.reading.lang not in rule.languages:
        detail = f"the entry is in {facts.reading.lang}; the rule reads {', '.join(rule.languages)}"
        return NearMiss(rule_id=rule.id, step=Step.LANGUAGES, detail=detail)
    if detail := disbelieved(rule.sources, facts.entry):
        return NearMiss(rule_id=rule.id, step=Step.SOURCES, detail=detail)
    if rule.reach is Reach.REPORTED and not facts.reading.developments:
        detail = "the entry reports no development as news; scope: mention would ask for the words alone"
        return NearMiss(rule_id=rule.id, step=Step.DEVELOPMENT, detail=detail, near=_mentioned(rule, facts))
    return None


def disbelieved(sources: Sources, entry: Entry) -> str:
    """Why these sources leave the entry out; empty when they do not."""
    if sources.tiers and entry.tier not in sources.tiers:
        return f"the source is {entry.tier}; the rule believes {', '.join(sources.tiers)}"
    if not (sources.include or sources.exclude):
        return ""
    names = [name for name in (entry.source.casefold(), urlsplit(entry.link).hostname or "") if name]
    if hit := _named(sources.exclude, names):
        return f"the source is excluded by {hit!r}"
    if sources.include and not _named(sources.include, names):
        return f"the source is none of {', '.join(sources.include)}"
    return ""


def _named(patterns: Iterable[str], names: Iterable[str]) -> str:
    """The first pattern that names one of these outlets or hosts; a host also names its sub-domains."""
    for pattern in patterns:
        plain = pattern.casefold()
        if any(fnmatchcase(name, plain) or name.endswith(f".{plain}") for name in names):
            return pattern
    return ""


def match_of(rule: Rule, facts: Facts) -> Match | None:
    """What `judge` says if the rule fires, and None otherwise: without working out why not."""
    if refused_at_once(rule, facts):
        return None
    fired = tuple(trial for trial in trials_of(rule, facts) if not trial.all_gaps())
    return matched(rule, facts, fired) if fired else None


def _near_miss(rule: Rule, judged: tuple[tuple[Trial, tuple[Gap, ...]], ...]) -> NearMiss:
    def distance(pair: tuple[Trial, tuple[Gap, ...]]) -> tuple[int, int]:
        return (sum(gap.step is not Step.NONE for gap in pair[1]), len(pair[1]))

    trial, gaps = min(judged, key=distance)
    step = min((gap.step for gap in gaps), key=lambda step: step.rank)
    shown = ", ".join(dict.fromkeys(gap.shown for gap in gaps if gap.step is step))
    what = _WHAT.get(step, "no development of")
    of = f" (nearest: {_said(trial.development)})" if trial.development is not None else ""
    near, missing = _nearest(trial, gaps), sum(max(1, len(gap.terms)) for gap in gaps)
    return NearMiss(rule_id=rule.id, step=step, detail=f"{what} {shown}{of}", near=near, missing=missing)


_WHAT = {Step.WHEN: "missing:", Step.NONE: "removed by", Step.UNCLEAR: "the text leaves open:"}


def _said(development: Development) -> str:
    names = (development.jurisdiction, development.topic, development.action, development.direction, development.stage)
    return " ".join(names)


def _nearest(trial: Trial, gaps: Iterable[Gap]) -> tuple[Evidence, ...]:
    """What the rule did find, and where the entry says the missing terms though not as the rule needs them."""
    missing = [term for gap in gaps for term in gap.terms]
    return _in_order((*trial.evidence(), *_places(missing, trial.facts)))


def _mentioned(rule: Rule, facts: Facts) -> tuple[Evidence, ...]:
    return _in_order(_places(wanted(rule.whole), facts))


def _places(terms: Iterable[Has | IsNew | Literal], facts: Facts) -> Iterator[Evidence]:
    for term in terms:
        if isinstance(term, Has):
            yield from (span for concept in term.concepts for span in facts.mentions.get(concept, ()))
        elif not isinstance(term, IsNew):
            yield from facts.hits(term)
