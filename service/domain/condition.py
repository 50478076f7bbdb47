"""What a rule asks for, as a syntax tree, and which developments can meet it at all. Reads no text, judges no entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import product

from service.domain.model import Action, Concept, ConceptKind, Stage, Topic
from service.domain.words import Literal, Phrase, Run

# --- the tree -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Has:
    """The development has one of these concepts (a word with two meanings is met by either).

    An action that is not `exact` is also met by an act about such an act: a ban that is lifted. A topic that is not
    `exact` is also met by an act of a topic that cuts across others, if its sentence names it: a tax on stablecoins.
    """

    concepts: tuple[Concept, ...]
    shown: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class IsNew:
    """The development is a new measure: on its way or just made, not an old one restated, used or dropped."""

    shown: str = "new"


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


class Unit(StrEnum):
    """What terms may have to stand in together."""

    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Within:
    """`part` holds in one sentence, one paragraph or `count` words; title and body are different places."""

    part: Condition
    unit: Unit
    count: int = 0

    @property
    def shown(self) -> str:
        return f"({show(self.part)}) within {f'{self.count} words' if self.unit is Unit.WORDS else self.unit}"


Condition = Has | IsNew | Phrase | Run | All | AnyOf | Not | Within

NEW_STAGES = frozenset(
    {Stage.CONSIDERING, Stage.PROPOSED, Stage.CONSULTATION, Stage.PASSED, Stage.ENACTED, Stage.IN_FORCE}
)

# Acts that are about another act: a law on licensing, a consultation on a tax, a ban that is lifted or put off.
# What they are about is in their evidence.
ABOUT_ANOTHER = frozenset({Action.EASING, Action.LEGISLATION, Action.CONSULTATION, Action.DELAY, Action.COURT_RULING})

# What a law threatens is not what it is about: its fines are no enforcement.
_ONLY_THREATENED = frozenset({Action.ENFORCEMENT, Action.WARNING, Action.STATISTICS})


def may_be_about(act: Action, other: str) -> bool:
    """Whether an act of this kind can be about the other kind of act."""
    measure = act in (Action.LEGISLATION, Action.CONSULTATION)
    return act in ABOUT_ANOTHER and not (measure and other in _ONLY_THREATENED)


# Topics that say what kind of duty it is, not what it falls upon: a tax on mining has the topic tax.
ACROSS = frozenset(
    {
        Topic.TAX,
        Topic.AML,
        Topic.ADVERTISING,
        Topic.PAYMENTS,
        Topic.BANKING,
        Topic.SANCTIONS_GENERAL,
        Topic.TRADE,
        Topic.PRIVACY,
        Topic.RESERVE,
        Topic.FUND_ETF,
    }
)

# What a word for the wider topic also stands for: an exchange ban is a crypto ban.
NARROWER: Mapping[Topic, tuple[Topic, ...]] = {
    Topic.CRYPTO_GENERAL: (
        Topic.STABLECOIN,
        Topic.EXCHANGE,
        Topic.MINING,
        Topic.TOKEN_OFFERING,
        Topic.TOKENIZATION,
        Topic.DEFI,
        Topic.CUSTODY,
        Topic.FUND_ETF,
        Topic.RESERVE,
    )
}


def with_narrower(concepts: Iterable[Concept]) -> tuple[Concept, ...]:
    """`concepts` and, of topics, those that fall under them."""
    found: list[Concept] = []
    for concept in concepts:
        narrower = NARROWER.get(Topic(concept.name), ()) if concept.kind is ConceptKind.TOPIC else ()
        found += [concept, *(Concept(ConceptKind.TOPIC, topic) for topic in narrower)]
    return tuple(dict.fromkeys(found))


def both(parts: Iterable[Condition]) -> Condition:
    """All of `parts` as one condition, without an All within an All and nothing twice."""
    flat = (inner for part in parts for inner in (part.parts if isinstance(part, All) else (part,)))
    parts = tuple(dict.fromkeys(flat))
    return parts[0] if len(parts) == 1 else All(parts)


def show(condition: Condition) -> str:
    """The condition as shorthand."""
    match condition:
        case All(parts):
            shown = [f"({show(p)})" if isinstance(p, AnyOf) else show(p) for p in parts]
            return " + ".join(shown).replace(" + -", " -")
        case AnyOf(parts):
            return " | ".join(f"({show(p)})" if isinstance(p, All | AnyOf) else show(p) for p in parts)
        case Not(part):
            return f"-({show(part)})" if isinstance(part, All | AnyOf) else f"-{show(part)}"
        case _:
            return condition.shown


def wanted(condition: Condition) -> Iterator[Has | IsNew | Literal]:
    """The terms that the condition looks for, without those that it excludes."""
    return (term for term, excluded in terms_of(condition) if not excluded)


def terms_of(condition: Condition, *, excluded: bool = False) -> Iterator[tuple[Has | IsNew | Literal, bool]]:
    """Every term, with whether it must not be there."""
    match condition:
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from terms_of(part, excluded=excluded)
        case Within(part):
            yield from terms_of(part, excluded=excluded)
        case Not(part):
            yield from terms_of(part, excluded=not excluded)
        case _:
            yield condition, excluded


def excludes(condition: Condition) -> bool:
    """Whether anything in it must not be there: then less text may meet it better."""
    match condition:
        case All(parts) | AnyOf(parts):
            return any(map(excludes, parts))
        case Within(part):
            return excludes(part)
        case _:
            return isinstance(condition, Not)


def count_terms(condition: Condition) -> int:
    match condition:
        case All(parts) | AnyOf(parts):
            return sum(map(count_terms, parts))
        case Not(part) | Within(part):
            return count_terms(part)
        case _:
            return 1


def asks_nothing(condition: Condition) -> bool:
    """Whether the condition holds on an empty text without developments, and so on everything."""
    match condition:
        case All(parts):
            return all(map(asks_nothing, parts))
        case AnyOf(parts):
            return any(map(asks_nothing, parts))
        case Not(part):
            return not asks_nothing(part)
        case Within(part):
            return asks_nothing(part)
        case _:
            return False


# --- which developments can meet it at all ------------------------------------------------------------------------

Shape = tuple[str | None, str | None, str | None]
"""Jurisdiction, topic and action that a development must have; None is any."""

ANY_SHAPE: Shape = (None, None, None)
_MAX_SHAPES = 512


def shapes(condition: Condition) -> frozenset[Shape]:
    """Shapes one of which every development has that meets the condition; empty when none can."""
    match condition:
        case Has(concepts, exact=exact):
            return _shapes_of_term(concepts, exact=exact)
        case AnyOf(parts):
            return _wide(frozenset().union(*map(shapes, parts)))
        case All(parts):
            found = frozenset({ANY_SHAPE})
            for part in sorted(map(shapes, parts), key=len):
                if len(found) * len(part) <= _MAX_SHAPES:
                    found = _wide(frozenset(shape for a, b in product(found, part) if (shape := _merged(a, b))))
            return found
        case Within(part):
            return shapes(part)
        case _:
            return frozenset({ANY_SHAPE})


def dead(condition: Condition) -> Condition | None:
    """The first part that no development can meet, of all alternatives too; None when every part can hold."""
    if not shapes(condition):
        inner = (dead(part) for part in condition.parts) if isinstance(condition, All) else ()
        return next((part for part in inner if part is not None), condition)
    match condition:
        case All(parts) | AnyOf(parts):
            return next((found for part in parts if (found := dead(part)) is not None), None)
        case Within(part):
            return dead(part)
        case _:
            return None


@lru_cache(maxsize=4_096)
def _shapes_of_term(concepts: tuple[Concept, ...], *, exact: bool) -> frozenset[Shape]:
    return _wide(frozenset(shape for concept in concepts for shape in _shapes_of(concept, exact=exact)))


def _shapes_of(concept: Concept, *, exact: bool) -> Iterator[Shape]:
    match concept.kind:
        case ConceptKind.JURISDICTION:
            yield (concept.name, None, None)
        case ConceptKind.TOPIC:
            yield from ((None, name, None) for name in {concept.name, *(() if exact else map(str, ACROSS))})
        case ConceptKind.ACTION:
            yield from ((None, None, name) for name in {concept.name, *(() if exact else map(str, ABOUT_ANOTHER))})
        case _:
            yield ANY_SHAPE


def _wide(found: frozenset[Shape]) -> frozenset[Shape]:
    return frozenset({ANY_SHAPE}) if ANY_SHAPE in found else found


def _merged(a: Shape, b: Shape) -> Shape | None:
    """Both as one; None if they exclude each other. Two topics do not: one act may have several."""
    if any(a[n] is not None and b[n] is not None and a[n] != b[n] for n in (0, 2)):
        return None
    return (a[0] or b[0], a[1] or b[1], a[2] or b[2])
