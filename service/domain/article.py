"""An entry as it is read: its sentences by zone, their clauses, the concepts in each, and whether it reports at all."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter

from service.domain.concepts import Annotation, Cue, Lexicon, Role
from service.domain.model import Action, Concept, ConceptKind, Entry, Stage, Topic
from service.domain.text import READ_LIMIT, Segment, Zone, fold, segments

FIELDS = ("title", "summary", "content")


CRYPTO = frozenset({
    Topic.STABLECOIN, Topic.EXCHANGE, Topic.MINING, Topic.CBDC, Topic.TOKEN_OFFERING, Topic.TOKENIZATION, Topic.DEFI,
    Topic.CUSTODY, Topic.PAYMENTS, Topic.FUND_ETF, Topic.RESERVE, Topic.TAX, Topic.AML, Topic.ADVERTISING,
    Topic.CRYPTO_GENERAL,
})  # fmt: skip
"""Topics whose weak words are believed only where one of these is named outright."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A stretch of a field and the annotations in it (a sentence, or a part of one between commas)."""

    field: str
    start: int
    end: int
    zone: Zone
    text: str
    notes: tuple[Annotation, ...]
    sentence: tuple[int, int]

    def of(self, kind: ConceptKind) -> tuple[Annotation, ...]:
        return tuple(n for n in self.notes if n.concept.kind is kind)

    def cues(self, *cues: Cue) -> tuple[Annotation, ...]:
        return tuple(n for n in self.of(ConceptKind.CUE) if n.concept.name in cues)


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """An entry as read so far: its sentences by zone, and whether it is about crypto at all."""

    entry: Entry
    lang: str
    hint: str | None
    title: tuple[Clause, ...]
    lead: tuple[Clause, ...]
    body: tuple[Clause, ...]
    about_crypto: bool = False

    @property
    def core(self) -> tuple[Clause, ...]:
        return self.title + self.lead


def article_of(entry: Entry, lexicon: Lexicon, lang: str, hint: str | None) -> Article:
    openers = _openers(lexicon)
    notes = {name: lexicon.annotate(getattr(entry, name)[:READ_LIMIT], lang) for name in FIELDS}
    clauses = [_clause(entry, s, notes[s.field]) for s in segments(entry, openers) if s.zone is not Zone.APART]
    article = Article(
        entry=entry,
        lang=lang,
        hint=hint or _home_of_source(entry, lexicon, lang),
        title=tuple(c for c in clauses if c.zone is Zone.TITLE),
        lead=tuple(c for c in clauses if c.zone is Zone.LEAD),
        body=tuple(c for c in clauses if c.zone in (Zone.BODY, Zone.BACKGROUND)),
    )
    return replace(article, about_crypto=any(map(_names_crypto, article.core)))


def _names_crypto(clause: Clause) -> bool:
    """Whether a sentence is about crypto: by an outright word, or by two weak ones that say it together
    ("exchanges and miners")."""
    named = [n for n in clause.of(ConceptKind.TOPIC) if Topic(n.concept.name) in CRYPTO]
    return any(n.role is Role.STRONG for n in named) or len({n.concept for n in named}) > 1


@lru_cache(maxsize=4)
def _openers(lexicon: Lexicon) -> frozenset[str]:
    return frozenset(fold(text).text for _, text in lexicon.phrases(Concept(ConceptKind.CUE, Cue.APART)))


def _clause(entry: Entry, segment: Segment, notes: Sequence[Annotation]) -> Clause:
    first = bisect_left(notes, segment.start, key=_start)
    inside = tuple(n for n in notes[first : bisect_left(notes, segment.end, first, key=_start)] if n.end <= segment.end)
    text = getattr(entry, segment.field)[segment.start : segment.end]
    return Clause(
        field=segment.field,
        start=segment.start,
        end=segment.end,
        zone=segment.zone,
        text=text,
        notes=inside,
        sentence=(segment.start, segment.end),
    )


_start = attrgetter("start")


def _home_of_source(entry: Entry, lexicon: Lexicon, lang: str) -> str | None:
    """The one jurisdiction that the outlet's name names, if any."""
    homes = {
        n.concept.name
        for n in lexicon.annotate(entry.source[:200], lang)
        if n.concept.kind is ConceptKind.JURISDICTION and n.role is not Role.OWN
    }
    return homes.pop() if len(homes) == 1 else None


# --- clauses ----------------------------------------------------------------------------------------------------------

_BORDER = re.compile(r"(?<=\w)[,;:](?=\s)|\s[-–—|]\s|[，；：。—–\u3000…]|\s/\s")
_YEAR = re.compile(
    r"\b(?:in|since|en|desde|em|im|seit|depuis|nel|dal|năm|pada|sejak|в|с|у|від)\s(?:\w+\s)?((?:19|20)\d\d)(?!\d)"
    r"|((?:19|20)\d\d)(?=年|년|\sгод|\sгода|\sroku|'[dt]e)",
    re.IGNORECASE,
)
"""A year that dates something ("in 2021", "2021年"), not one that names it ("a 2020 resolution")."""


def _meanwhile(clause: Clause) -> Iterator[int]:
    """Where another's act begins that is told along with the first: "funds sell bitcoin as US raises tariffs"."""
    for note in clause.of(ConceptKind.JURISDICTION):
        if clause.text[: note.start - clause.start].endswith((" as ", " while ")):
            yield note.start - clause.start


def parts(clause: Clause) -> tuple[Clause, ...]:
    """A sentence in its clauses; an annotation belongs to the clause in which it begins."""
    borders = sorted({0, *(m.end() for m in _BORDER.finditer(clause.text)), *_meanwhile(clause), len(clause.text)})
    if len(borders) == 2:
        return (clause,)
    found = []
    for start, end in itertools.pairwise(borders):
        first, last = clause.start + start, clause.start + end
        notes = tuple(n for n in clause.notes if first <= n.start < last)
        if notes:
            found.append(replace(clause, start=first, end=last, text=clause.text[start:end], notes=notes))
    return tuple(found)


def held_back(part: Clause, year: int | None = None) -> bool:
    """Whether what the clause names is denied, only feared or hoped for, or told as something of the past."""
    if part.cues(Cue.DENIAL, Cue.EXPECTATION):
        return True
    if part.zone is Zone.TITLE:
        return False
    if part.cues(Cue.HISTORY):
        return True
    years = [int(m[1] or m[2]) for m in _YEAR.finditer(part.text)]
    return year is not None and bool(years) and max(years) < year


def act_words(part: Clause) -> list[Annotation]:
    """The words of a clause that say what is done; instruments ("law", "rules") only beside how far along they are."""
    staged = bool(part.of(ConceptKind.STAGE))
    return [n for n in part.of(ConceptKind.ACTION) if n.role is Role.STRONG or staged]


def topics_in(article: Article, part: Clause) -> tuple[Annotation, ...]:
    """The topics of a clause; weak words only in an article about crypto ("exchange", "mining": not beside more)."""
    notes = part.of(ConceptKind.TOPIC)
    beside_others = any(n.role is Role.STRONG and Topic(n.concept.name) in CRYPTO for n in notes)
    listed = _in_a_row(part, notes) if beside_others else set()
    return tuple(
        n for n in notes
        if n.role is Role.STRONG
        or (article.about_crypto and not (beside_others and n.concept.name in _BY_THE_WAY and n not in listed))
    )  # fmt: skip


_BY_THE_WAY = frozenset({Topic.EXCHANGE, Topic.MINING})
"""Whose weak words mostly only say whom a measure on something else meets: "stablecoins on exchanges"."""

_AND = re.compile(
    r"\s*[,、/&・]\s*|\s*(?:[,、]\s*)?(?:及び|および|並びに|以及|及|和|与|與|と|や|와|과|및|และ)\s*"
    r"|\S*\s(?:and|y|e|et|und|и|та|dan|ve|và|en|i|oraz|और)\s(?:\w+\s){0,2}"
)
"""What stands between two that are named in a row."""
_ROW_GAP = 40
"""Characters that it may be long."""


def _in_a_row(part: Clause, topics: Iterable[Annotation]) -> set[Annotation]:
    """The topics that stand in a row with another one, crypto at large apart: "DeFi and trading platforms"."""
    specific = [n for n in topics if n.concept.name != Topic.CRYPTO_GENERAL]
    return {
        note
        for first, last in itertools.pairwise(specific)
        if first.concept != last.concept and first.end <= last.start <= first.end + _ROW_GAP
        and _AND.fullmatch(part.text, first.end - part.start, last.start - part.start)
        for note in (first, last)
    }  # fmt: skip


def live(article: Article, clauses: Iterable[Clause]) -> list[Clause]:
    year = article.entry.published.year if article.entry.published else None
    return [part for clause in clauses for part in parts(clause) if not held_back(part, year)]


def stage_words(clause: Clause, stage: Stage) -> list[tuple[Clause, Annotation]]:
    return [(clause, n) for n in clause.of(ConceptKind.STAGE) if n.concept.name == stage]


# --- what kind of article -----------------------------------------------------------------------------------------

_QUESTION = re.compile(r"[?？؟]\s*[\"'”’»」』)）]*$")


def is_no_report(article: Article) -> bool:
    """Whether this is no report of an act at all: an opinion, a list, a look back, a price report, a denial…"""
    if not article.title and not article.lead:
        return True
    head = article.title or article.lead[:1]
    at_start = [n for c in head for n in c.cues(Cue.OPINION, Cue.HYPOTHESIS) if n.start - head[0].start <= 3]
    anywhere = [n for c in head for n in c.cues(Cue.LISTING, Cue.ANNIVERSARY, Cue.PROMOTION)]
    if at_start or anywhere or _QUESTION.search(article.entry.title):
        return True
    if not any(c.cues(Cue.AUTHORITY) or _official(c) for c in article.core) and not any(map(_state_acts, head)):
        return True
    done = [n for c in head for part in parts(c) if not held_back(part) for n in act_words(part)]
    turned_down = any(c.cues(Cue.DENIAL) for c in head)
    others_business = any(c.cues(Cue.MARKET, Cue.COMPANY) for c in head)
    return not done and (turned_down or others_business)


def _official(clause: Clause) -> bool:
    """Whether a state speaks here: one of its bodies, its leader, or its capital in place of its government."""
    roles = (Role.BODY, Role.OWN, Role.LEADER, Role.CAPITAL)
    return any(n.role in roles for n in clause.of(ConceptKind.JURISDICTION))


_PLACE = re.compile(r"(?<!^)\b(?:in|en|em|im|au|aux|в|у|w|di|tại|ở)\s$", re.IGNORECASE)
"""What makes a country's name the place of an act, and not who acts: "a developer in Peru buys bitcoin"."""


def _state_acts(clause: Clause) -> bool:
    """Whether a country's or a region's name stands before the word for what is done: "Bolivia ends ten-year ban"."""
    named = [n for n in clause.of(ConceptKind.JURISDICTION) if n.role in (Role.NAME, Role.PART)]
    subjects = [n.start for n in named if not _PLACE.search(clause.text, 0, n.start - clause.start)]
    names = [n.start for n in named]
    return any(
        n.start > start
        for n in act_words(clause)
        for start in (subjects if n.concept.name == Action.ADOPTION else names)[:1]
    )
