"""What is kept of an entry's reading, so that a rule can be tried on it long after without reading its text again.

A rule of concepts alone is answered from this exactly as from the text. A rule with words is answered roughly: what it
turns down here it also turns down on the text, and for the rest the text has to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from service.domain.condition import All, AnyOf, Condition, Has, IsNew, Not, Within, both
from service.domain.dates import NamedDay, days_of
from service.domain.judge import Facts, Lexicon, refused_at_once, trials_of
from service.domain.model import Concept, ConceptKind, Development, Entry, Evidence, Reading
from service.domain.rule import Rule
from service.domain.words import Literal, Phrase, Run

Codes = str
"""Concepts as one text, each between blanks and once: ` action:ban topic:stablecoin `; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """The concepts of an entry: all that it mentions; and, for each development, those in the words that it was read
    from (`stated`) and those in the sentences that tell of it (`named`), in the order of the reading. And the days that
    it names, if it reports anything."""

    concepts: Codes = ""
    stated: tuple[Codes, ...] = ()
    named: tuple[Codes, ...] = ()
    days: tuple[NamedDay, ...] = ()


def note(entry: Entry, reading: Reading, lexicon: Lexicon) -> Noted:
    """What to keep of an entry that was just read."""
    facts = Facts(entry, reading, lexicon)
    concepts = [concept for concept in facts.mentions if concept.kind is not ConceptKind.CUE]  # no rule asks for a cue
    return Noted(
        concepts=_codes(concepts),
        stated=tuple(_codes(c for c in concepts if facts.stated(c, d)) for d in reading.developments),
        named=tuple(_codes(c for c in concepts if facts.named(c, d)) for d in reading.developments),
        days=days_of(entry, reading.lang) if reading.developments else (),
    )


def code(concept: Concept) -> Codes:
    """One concept as it stands among codes."""
    return f" {concept} "


def _codes(concepts: Iterable[Concept]) -> Codes:
    found = " ".join(sorted(map(str, concepts)))
    return f" {found} " if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An entry as it is remembered: without its text, and its developments without their evidence."""

    entry: Entry
    reading: Reading
    noted: Noted


# --- trying a rule ------------------------------------------------------------------------------------------------


def reads_text(rule: Rule) -> bool:
    """Whether the rule asks for words, or for places in the text, so that what is remembered is not enough."""
    return bool(rule.apart) or (rule.condition is not None and _asks_for_words(rule.condition))


def _asks_for_words(node: Condition) -> bool:
    match node:
        case All(parts) | AnyOf(parts):
            return any(map(_asks_for_words, parts))
        case Not(part):
            return _asks_for_words(part)
        case _:
            return isinstance(node, Phrase | Run | Within)


def roughly(rule: Rule) -> Rule:
    """The rule as far as it can be tried without text, as if it were active; it fires wherever `rule` does.

    Exclusions that words have a say in are left out; words that are wanted stay, and `Remembered` takes them as there.
    """
    condition = rule.condition and _rough(rule.condition, keep_exclusions=not rule.apart)
    return replace(rule.activated(), condition=condition, apart=())


def _rough(node: Condition, *, keep_exclusions: bool) -> Condition:
    match node:
        case All(parts):
            return both(_rough(part, keep_exclusions=keep_exclusions) for part in parts)
        case AnyOf(parts):
            return AnyOf(tuple(_rough(part, keep_exclusions=keep_exclusions) for part in parts))
        case Not(part):
            return node if keep_exclusions and not _asks_for_words(part) else _ANYTHING
        case Within(part):  # what is excluded there is excluded from a stretch of the text alone
            return _rough(part, keep_exclusions=False)
        case _:
            return node


_ANYTHING = All(())


def asks_for(node: Condition, kind: ConceptKind) -> bool:
    """Whether a concept of this kind has a say in `node`: developments that differ in no other are alike to it."""
    match node:
        case All(parts) | AnyOf(parts):
            return any(asks_for(part, kind) for part in parts)
        case Not(part) | Within(part):
            return asks_for(part, kind)
        case Has(concepts):
            return any(concept.kind is kind for concept in concepts)
        case _:
            return isinstance(node, IsNew) and kind is ConceptKind.STAGE


def fires(rule: Rule, recorded: Recorded, lexicon: Lexicon) -> bool:
    """Whether a rule that `roughly` gave fires on what is remembered of an entry."""
    facts = Remembered(recorded, lexicon)
    return refused_at_once(rule, facts) is None and any(not trial.all_gaps() for trial in trials_of(rule, facts))


_SOMEWHERE = (Evidence(field="", start=0, end=0, text=""),)
"""Stands for spans that were not kept: they are somewhere."""


class Remembered(Facts):
    """Facts out of what was noted. Where something stands is not known, and every word is taken to be there."""

    def __init__(self, recorded: Recorded, lexicon: Lexicon) -> None:
        super().__init__(recorded.entry, recorded.reading, lexicon)
        self._noted = recorded.noted
        self.mentions = _Mentions(recorded.noted.concepts)

    def hits(self, term: Literal) -> tuple[Evidence, ...]:
        return _SOMEWHERE

    def stated(self, concept: Concept, development: Development) -> tuple[Evidence, ...]:
        return self._among(self._noted.stated, concept, development)

    def named(self, concept: Concept, development: Development) -> tuple[Evidence, ...]:
        return self._among(self._noted.named, concept, development)

    def _among(self, noted: tuple[Codes, ...], concept: Concept, development: Development) -> tuple[Evidence, ...]:
        place = self.reading.developments.index(development)
        return _SOMEWHERE if code(concept) in noted[place] else ()


class _Mentions(Mapping[Concept, tuple[Evidence, ...]]):
    """The mentioned concepts as the mapping that judging asks, without taking their codes apart."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes

    def __getitem__(self, concept: Concept) -> tuple[Evidence, ...]:
        if code(concept) in self._codes:
            return _SOMEWHERE
        raise KeyError(concept)

    def __iter__(self) -> Iterator[Concept]:
        pairs = (text.split(":", 1) for text in self._codes.split())
        return (Concept(ConceptKind(kind), name) for kind, name in pairs)

    def __len__(self) -> int:
        return len(self._codes.split())
