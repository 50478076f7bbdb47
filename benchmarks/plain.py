"""What must match, worked out in the plainest way: every stretch of words of an article is looked up in a table.

Shares no code with the engine; it knows only what the rule language promises, and that the made-up world has no phrase
with signs, endings or gaps in it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from benchmarks.world import Wanted, World
from service.domain.model import Concept, ConceptKind

Hit = tuple[int, int, Concept]

_ABOUT_ANOTHER = (
    "easing", "legislation", "consultation", "delay", "court-ruling",
    "tax", "aml", "advertising", "payments", "banking", "sanctions-general", "trade", "privacy", "reserve", "fund-etf",
)  # fmt: skip
"""Acts and topics that are about others: a lifted ban, a tax on mining."""
_DENSE = "\u4e00-\u9fff\uac00-\ud7a3"
_WORD = re.compile(rf"[^\W_{_DENSE}]+")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_DENSE_LETTER = re.compile(f"[{_DENSE}]")


def expected_matches(world: World, rules: Sequence[Wanted]) -> set[tuple[str, str]]:
    """(article, rule) for every rule that holds on the mentions of an article."""
    table: dict[str, list[tuple[Concept, bool]]] = defaultdict(list)
    for concept, phrases in world.phrases.items():
        for phrase in phrases:
            table[phrase.lower()].append((concept, phrase[0].isupper()))
    articles_of: dict[Concept, int] = defaultdict(int)  # a bit for each article
    for number, article in enumerate(world.articles):
        for concept in _mentions(article.content, table):
            articles_of[concept] |= 1 << number
    found = set()
    everywhere = (1 << len(world.articles)) - 1
    for rule in rules:
        held = everywhere
        for among in rule.all:
            any_of = 0
            for concept in among:
                any_of |= articles_of[concept]
            held &= any_of
        for concept in rule.none:
            held &= ~articles_of[concept]
        while held:
            number = held.bit_length() - 1
            held ^= 1 << number
            found.add((world.articles[number].id, rule.id))
    return found


def _mentions(text: str, table: dict[str, list[tuple[Concept, bool]]]) -> set[Concept]:
    """The concepts whose phrases stand in the text; of one kind, a phrase within a longer one does not count, unless
    the longer one is about such a thing: "lifts the ban", "crypto tax"."""
    by_kind: dict[ConceptKind, set[Hit]] = defaultdict(set)
    lower = text.lower()
    for start, end in (*_stretches_of_words(lower), *_stretches_of_letters(lower)):
        for concept, capital in table.get(lower[start:end], ()):
            if not (capital and text[start].islower()):
                by_kind[concept.kind].add((start, end, concept))
    return {concept for hits in by_kind.values() for _, _, concept in _told(hits)}


def _told(hits: set[Hit]) -> list[Hit]:
    longest = _longest(hits)
    about = [hit for hit in longest if hit[2].name in _ABOUT_ANOTHER]
    inside = {hit for hit in hits - set(about) if any(s <= hit[0] and hit[1] <= e for s, e, _ in about)}
    return longest + _longest({hit for hit in inside if hit[2].name not in _ABOUT_ANOTHER})


def _stretches_of_words(lower: str) -> Iterator[tuple[int, int]]:
    spans = [word.span() for word in _WORD.finditer(lower)]
    for first, (start, _) in enumerate(spans):
        for _, end in spans[first : first + 6]:
            yield start, end


def _stretches_of_letters(lower: str) -> Iterator[tuple[int, int]]:
    """In scripts without sure borders: from any letter on; two Korean syllables only where a word begins."""
    for letter in _DENSE_LETTER.finditer(lower):
        start = letter.start()
        inside = bool(_HANGUL.match(letter[0])) and start > 0 and bool(_HANGUL.match(lower[start - 1]))
        for end in range(start + (3 if inside else 2), min(start + 14, len(lower)) + 1):
            yield start, end


def _longest(hits: set[Hit]) -> list[Hit]:
    kept: list[Hit] = []
    for start, end, concept in sorted(hits, key=lambda hit: hit[0] - hit[1]):
        longer = [(s, e) for s, e, _ in kept if e - s > end - start]
        if not any((s <= start and end <= e) or s < start < e for s, e in longer):
            kept.append((start, end, concept))
    return kept
