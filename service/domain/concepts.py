"""The lexicon: reviewed phrases of many languages -> one automaton; a text -> the concepts found in it, with spans.

Reads no file: a caller hands over the documents as Nodes. Decides nothing about what is news.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from ahocorasick_rs import AhoCorasick, Implementation
from babel import Locale

from service.domain.document import Node, unknown_keys
from service.domain.model import Action, Concept, ConceptKind, Direction, Invalid, Problem, Stage, Topic
from service.domain.text import LANGUAGES, Folded, fold

ANY = "any"
"""The language of what is written alike everywhere: ETF, MiCA, FATF."""


class Role(StrEnum):
    """What a hit is to its concept. `own` bodies name no country: the language of the entry tells whose they are."""

    STRONG = "strong"
    WEAK = "weak"  # means the concept only beside other words of its field ("exchange", "mining", "tokens")
    NAME = "name"
    PEOPLE = "people"
    CAPITAL = "capital"
    PART = "part"
    LEADER = "leader"
    BODY = "body"
    OWN = "own"
    TRAP = "trap"


class Cue(StrEnum):
    """What tells how a sentence or an article is meant."""

    DENIAL = "denial"
    HYPOTHESIS = "hypothesis"
    EXPECTATION = "expectation"
    OPINION = "opinion"
    LISTING = "listing"
    ANNIVERSARY = "anniversary"
    HISTORY = "history"
    MARKET = "market"
    COMPANY = "company"
    PROMOTION = "promotion"
    DUTY = "duty"
    APART = "apart"
    ALSO = "also"
    AUTHORITY = "authority"


_WORLD = frozenset({"EU", "INTL"})
_NOT_PLACES = frozenset(("EZ", "UN", "XA", "XB", "QO", "ZZ", "AC", "TA", "CP", "DG", "EA", "IC", "CQ"))
_ROLE_KEYS: Mapping[str, Role] = {
    "names": Role.NAME, "people": Role.PEOPLE, "capital": Role.CAPITAL, "parts": Role.PART, "leaders": Role.LEADER,
    "bodies": Role.BODY, "own": Role.OWN, "traps": Role.TRAP,
}  # fmt: skip
_PHRASE_KEYS: Mapping[str, Role] = {"phrases": Role.STRONG, "weak": Role.WEAK, "traps": Role.TRAP}
_SECTIONS: Mapping[str, tuple[ConceptKind, type[StrEnum] | None]] = {
    "jurisdictions": (ConceptKind.JURISDICTION, None),
    "topics": (ConceptKind.TOPIC, Topic),
    "actions": (ConceptKind.ACTION, Action),
    "stages": (ConceptKind.STAGE, Stage),
    "directions": (ConceptKind.DIRECTION, Direction),
    "cues": (ConceptKind.CUE, Cue),
}
_ENDING = 12
"""Letters that `*` may stand for."""
_GAP_LETTERS, _GAP_SIGNS = 60, 20
"""How far apart the two sides of `...` may stand: in alphabetic scripts, and in Han, kana, Hangul, Thai."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A concept found in a text: `text[start:end]` is what was read as it."""

    concept: Concept
    start: int
    end: int
    role: Role


# --- phrases ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A phrase as written: `*` at the end of a word is any ending, ` ... ` is a few words in the same sentence."""

    concept: Concept
    lang: str
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a phrase that the automaton looks for, with what its neighbourhood must be like."""

    text: str
    open_end: bool = False
    far: bool = False  # whether a gap (rather than one blank) lies before it
    capitals: int = 0  # 0: any case; 1: must begin with a capital; 2: all capitals


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What a hit of the automaton may mean: the `number`th part of a phrase."""

    phrase: _Phrase
    parts: tuple[_Part, ...]
    number: int
    endings: tuple[str, ...]


_INFLECTED: Mapping[str, tuple[str, ...]] = {
    lang: tuple(endings.split())
    for lang, endings in {
        "ru": "а я у ю е и ы ой ей ом ем ью ия ии ию ией ах ами ь й",
        "uk": "а я у ю е и і ї ою ею ом ем ія ії ію ією ь й о",
        "pl": "a y i ę ą e ie u owi em o",
        "de": "s",
    }.items()
}
"""Case endings that a country's name may take where the sources give only the nominative."""

_SCRIPTIO_CONTINUA = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e01-\u0e5b]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_DENSE = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e01-\u0e5b\uac00-\ud7a3]")
_ARABIC_PREFIX = re.compile(r"(?<!\w)(?:[وفبكل]|ال|وال|بال|فال|كال|لل|ولل)$")
_STOP = re.compile(r"[.!?;](?=\s|$)|[。！？；\n]")


def _split(text: str, lang: str, role: Role) -> tuple[tuple[_Part, ...], tuple[str, ...]]:
    """The parts of a phrase, and the endings that its last word may take besides `*`."""
    parts: list[_Part] = []
    for index, side in enumerate(re.split(r"\s*\.\.\.\s*", text)):
        pieces = re.split(r"(?<=\*) ", side)
        for number, piece in enumerate(pieces):
            literal = piece.removesuffix("*")
            far = index > 0 and number == 0
            parts.append(_Part(fold(literal).text, piece.endswith("*"), far, _capitals(literal)))
    endings: tuple[str, ...] = ()
    if role is Role.PEOPLE and lang == "en":
        endings = ("s",)
    if role is Role.NAME and lang in _INFLECTED and len(parts) == 1 and not parts[0].open_end:
        endings = _INFLECTED[lang]
        stem = parts[0].text
        if lang != "de" and len(stem) > 4:
            stem = re.sub("(?<=..)(?:ия|ія|[аяьйиіeaoyе])$", "", stem) if " " not in stem else stem
        parts = [replace(parts[0], text=stem)]
        endings = ("", *endings)
    return tuple(parts), endings


def _capitals(text: str) -> int:
    letters = [c for c in text if c.isalpha()]
    if not letters or letters[0] == letters[0].lower():
        return 0
    return 2 if len(letters) <= 6 and all(c.isupper() for c in letters) else 1


# --- the lexicon --------------------------------------------------------------------------------------------------


class Lexicon:
    """Immutable: build once, read from any thread."""

    __slots__ = ("_automaton", "_by_concept", "_patterns", "_views", "names", "version")

    def __init__(self, phrases: Iterable[_Phrase]) -> None:
        ordered = sorted(set(phrases), key=lambda p: (p.concept, p.lang, p.role, p.text))
        spoken: dict[Concept, list[tuple[str, str]]] = defaultdict(list)
        for phrase in ordered:
            spoken[phrase.concept].extend([(phrase.lang, phrase.text)] * (phrase.role is not Role.TRAP))
        self._by_concept = {concept: tuple(found) for concept, found in spoken.items()}
        self.names: tuple[Concept, ...] = tuple(self._by_concept)
        content = "\n".join(f"{p.concept}\t{p.lang}\t{p.role}\t{p.text}" for p in ordered)
        self.version: str = hashlib.sha256(content.encode()).hexdigest()[:16]
        table: dict[str, list[_Pattern]] = {}
        for phrase in ordered:
            parts, endings = _split(phrase.text, phrase.lang, phrase.role)
            for number, part in enumerate(parts):
                table.setdefault(part.text, []).append(_Pattern(phrase, parts, number, endings))
        self._automaton = AhoCorasick(list(table), implementation=Implementation.ContiguousNFA)
        self._patterns = tuple(tuple(found) for found in table.values())
        self._views = {lang: self._view(lang) for lang in LANGUAGES}

    def _view(self, lang: str) -> tuple[tuple[_Pattern, ...], ...]:
        heard = _heard_in(lang)

        def speaks(pattern: _Pattern) -> bool:
            phrase = pattern.phrase
            return phrase.lang == lang or (phrase.lang in heard and phrase.role is not Role.OWN)

        return tuple(tuple(filter(speaks, found)) for found in self._patterns)

    @classmethod
    def build(cls, documents: Iterable[Node]) -> Lexicon:
        """The lexicon of these documents and the world's country names (CLDR).

        Raises Invalid with file and line for every fault: an unknown section, language or concept, a phrase given
        twice for one concept, or something that is no list of phrases.
        """
        problems: list[Problem] = []
        phrases: list[_Phrase] = []
        seen: dict[tuple[Concept, str, str, int], str] = {}
        for document in documents:
            if document.mapping is None:
                problems.append(Problem(where=document.where, what=f"should be a mapping, is {document.kind}"))
                continue
            problems.extend(unknown_keys(document, _SECTIONS))
            for section, node in document.mapping.items():
                if section in _SECTIONS:
                    phrases.extend(_read_section(section, node, seen, problems))
        if problems:
            raise Invalid(tuple(problems))
        written = {(p.concept, p.lang, fold(p.text).text) for p in phrases}
        for phrase in _country_names():
            if (phrase.concept, phrase.lang, fold(phrase.text).text) not in written:
                phrases.append(phrase)
        return cls(phrases)

    def lookup(self, phrase: str) -> tuple[Concept, ...]:
        """What a word or phrase means on its own, in any language and case; () when the lexicon does not know it.

        Jurisdictions, topics and actions; a stage where it means none of these.
        """
        phrase = phrase.strip()
        wanted = fold(phrase)
        found = {
            hit.concept
            for hit in self._scan(phrase, wanted, None)
            if hit.start == 0 and hit.end == len(wanted.text) and hit.role not in (Role.TRAP, Role.OWN)
        }
        acts = (ConceptKind.JURISDICTION, ConceptKind.TOPIC, ConceptKind.ACTION)
        plain = {c for c in found if c.kind in acts} or {c for c in found if c.kind is ConceptKind.STAGE}
        return tuple(sorted(plain))

    def phrases(self, concept: Concept) -> tuple[tuple[str, str], ...]:
        """The phrases of a concept as (language, phrase), as written in the lexicon; traps left out."""
        return self._by_concept.get(concept, ())

    def annotate(self, text: str, lang: str) -> tuple[Annotation, ...]:
        """The concepts in `text`, read as `lang`, in order of place; spans are of `text` itself."""
        folded = fold(text)
        hits = _settle(self._scan(text, folded, lang))
        return tuple(Annotation(h.concept, *folded.origin(h.start, h.end), h.role) for h in hits)

    def _scan(self, text: str, folded: Folded, lang: str | None) -> list[_Hit]:
        """All hits in the folded text before any rivalry between them is settled."""
        haystack = folded.text
        view = self._patterns if lang is None else self._views.get(lang, self._patterns)
        hits: list[_Hit] = []
        pieces: dict[tuple[_Phrase, int], list[tuple[int, int]]] = defaultdict(list)
        begun: dict[_Phrase, tuple[_Part, ...]] = {}
        for index, start, end in self._automaton.find_matches_as_indexes(haystack, overlapping=True):
            meanings = view[index]
            if not meanings or not _starts_word(haystack, start, end):
                continue
            for pattern in meanings:
                stop = _end_of_word(haystack, end, pattern)
                capitals = pattern.parts[pattern.number].capitals if lang is not None else 0
                if stop < 0 or (capitals and not _cased(text, folded, start, end, capitals)):
                    continue
                if len(pattern.parts) == 1:
                    hits.append(_Hit(pattern.phrase.concept, start, stop, pattern.phrase.role, ((start, stop),)))
                else:
                    pieces[pattern.phrase, pattern.number].append((start, stop))
                    if pattern.number == 0:
                        begun[pattern.phrase] = pattern.parts
        for phrase, parts in begun.items():
            hits.extend(_chains(haystack, phrase, parts, pieces))
        return hits


@dataclass(frozen=True, slots=True)
class _Hit:
    concept: Concept
    start: int
    end: int
    role: Role
    parts: tuple[tuple[int, int], ...]


def _heard_in(lang: str) -> frozenset[str]:
    """The languages whose phrases may stand in a text of `lang`: Latin words stand in Han or Cyrillic text as such."""
    heard = {lang, ANY}
    if lang in ("zh-Hans", "zh-Hant"):
        heard |= {"zh-Hans", "zh-Hant"}
    if lang in ("zh-Hans", "zh-Hant", "ja", "ko", "ru", "uk", "ar", "th", "hi"):
        heard.add("en")
    return frozenset(heard)


def _starts_word(text: str, start: int, end: int) -> bool:
    first = text[start]
    if start == 0 or _SCRIPTIO_CONTINUA.match(first):
        return True
    before = text[start - 1]
    if _HANGUL.match(first):
        return end - start > 2 or not _HANGUL.match(before)
    if not before.isalnum() or _DENSE.match(before) or not first.isalnum():
        return True
    return "\u0621" <= first <= "\u064a" and _ARABIC_PREFIX.search(text, max(0, start - 4), start) is not None


def _end_of_word(text: str, end: int, pattern: _Pattern) -> int:
    """Where the word ends that a hit ends in; -1 if the hit stops in the midst of a word it may not continue."""
    last = text[end - 1]
    if _DENSE.match(last) or not last.isalnum():
        return end
    stop = end
    while stop < len(text) and stop - end <= _ENDING and text[stop].isalnum() and not _DENSE.match(text[stop]):
        stop += 1
    if stop == end or (stop - end <= _ENDING and pattern.parts[pattern.number].open_end):
        return stop
    return stop if text[end:stop] in pattern.endings else -1


def _cased(text: str, folded: Folded, start: int, end: int, capitals: int) -> bool:
    begin, stop = folded.origin(start, end)
    if capitals == 2:
        return text[begin:stop] == text[begin:stop].upper()
    return not text[begin].islower()


def _chains(
    text: str, phrase: _Phrase, parts: tuple[_Part, ...], pieces: Mapping[tuple[_Phrase, int], list[tuple[int, int]]]
) -> Iterator[_Hit]:
    """Hits of a phrase of several parts: each part in its place after the one before, nearest first."""
    for first in pieces[phrase, 0]:
        chain = [first]
        for number in range(1, len(parts)):
            follow = _next_piece(text, chain[-1][1], parts[number], pieces.get((phrase, number), []))
            if follow is None:
                break
            chain.append(follow)
        else:
            yield _Hit(phrase.concept, chain[0][0], chain[-1][1], phrase.role, tuple(chain))


def _next_piece(text: str, after: int, part: _Part, found: list[tuple[int, int]]) -> tuple[int, int] | None:
    index = bisect_left(found, (after, 0))
    if index == len(found):
        return None
    piece = found[index]
    between = text[after : min(piece[0], after + _GAP_LETTERS + 1)]
    if not part.far:
        return piece if between == " " else None
    reach = _GAP_SIGNS if _DENSE.search(between[:_GAP_SIGNS] or part.text) else _GAP_LETTERS
    return piece if len(between) <= reach and not _STOP.search(between) else None


def _settle(hits: list[_Hit]) -> list[_Hit]:
    """Hits without those that a trap covers and those that a longer hit of the same kind covers or reaches into."""
    traps = _Cover()
    for hit in hits:
        if hit.role is Role.TRAP:
            traps.add(hit.concept, hit.start, hit.end, 0)
    rivals = {h for h in hits if h.role is not Role.TRAP and not traps.holds(h.concept, h.start, h.end, -1)}
    cover = _Cover()
    kept: list[_Hit] = []
    for hit in sorted(rivals, key=lambda h: (-_weight(h), h.start, h.concept, h.role)):
        weight = _weight(hit)
        if all(cover.holds(hit.concept.kind, start, end, weight) for start, end in hit.parts):
            continue
        if cover.reaches_into(hit.concept.kind, hit.start, weight):  # "코인 발행" out of "스테이블코인 발행"
            continue
        for start, end in hit.parts:
            cover.add(hit.concept.kind, start, end, weight)
        kept.append(hit)
    return sorted(kept, key=lambda h: (h.start, -h.end, h.concept, h.role))


def _weight(hit: _Hit) -> int:
    return sum(end - start for start, end in hit.parts)


class _Cover:
    """Stretches by owner, found again by place: which of them hold a given stretch?"""

    def __init__(self) -> None:
        self._buckets: dict[tuple[object, int], list[tuple[int, int, int]]] = defaultdict(list)

    def add(self, owner: object, start: int, end: int, weight: int) -> None:
        for bucket in range(start // 32, (end - 1) // 32 + 1):
            self._buckets[owner, bucket].append((start, end, weight))

    def reaches_into(self, owner: object, place: int, weight: int) -> bool:
        """Whether a heavier stretch of this owner begins before `place` and ends after it."""
        near = self._buckets.get((owner, place // 32), ())
        return any(start < place < end and known > weight for start, end, known in near)

    def holds(self, owner: object, start: int, end: int, weight: int) -> bool:
        """Whether a heavier stretch of this owner holds all of [start, end)."""
        near = self._buckets.get((owner, start // 32), ())
        return any(s <= start and end <= e and w > weight for s, e, w in near)


# --- reading the documents ----------------------------------------------------------------------------------------


def _read_section(
    section: str, node: Node, seen: dict[tuple[Concept, str, str, int], str], problems: list[Problem]
) -> Iterator[_Phrase]:
    kind, names = _SECTIONS[section]
    if node.mapping is None:
        problems.append(Problem(where=node.where, what=f"{section} should be a mapping, is {node.kind}"))
        return
    known = tuple(names) if names is not None else jurisdictions()
    problems.extend(unknown_keys(node, known))
    for name, languages in node.mapping.items():
        if name not in known:
            continue
        if languages.mapping is None:
            problems.append(Problem(where=languages.where, what=f"{name} should list languages, is {languages.kind}"))
            continue
        problems.extend(unknown_keys(languages, (*LANGUAGES, ANY)))
        for lang, entry in languages.mapping.items():
            for role, phrase in _read_phrases(kind, entry, problems):
                concept = Concept(kind, str(name))
                text = str(phrase.value)
                key = (concept, lang, ("trap " if role is Role.TRAP else "") + fold(text).text, _capitals(text))
                if key in seen:
                    what = f"{phrase.value!r} is given twice for {concept} in {lang}"
                    problems.append(Problem(where=phrase.where, what=what, hint=f"first at {seen[key]}"))
                elif lang in LANGUAGES or lang == ANY:
                    seen[key] = phrase.where
                    yield _Phrase(concept, lang, role, str(phrase.value))


def _read_phrases(kind: ConceptKind, node: Node, problems: list[Problem]) -> Iterator[tuple[Role, Node]]:
    """The phrases of one concept in one language: a list, or a mapping of lists by what they are to the concept."""
    roles = _ROLE_KEYS if kind is ConceptKind.JURISDICTION else _PHRASE_KEYS
    lists = {next(iter(roles)): node} if node.items is not None else node.mapping
    if lists is None:
        problems.append(Problem(where=node.where, what=f"should be a list of phrases, is {node.kind}"))
        return
    if node.mapping is not None:
        problems.extend(unknown_keys(node, roles))
    for key, phrases in lists.items():
        if key not in roles:
            continue
        if phrases.items is None:
            problems.append(Problem(where=phrases.where, what=f"{key} should be a list, is {phrases.kind}"))
            continue
        for phrase in phrases.items:
            if phrase.text is None or not re.search(r"\w", fold(phrase.text).text):
                problems.append(Problem(where=phrase.where, what=f"should be a phrase, is {phrase.kind}"))
            elif re.search(r"(^|\.\.\.|\s)\s*\*|^\.\.\.|\.\.\.$|\*\w", phrase.text.strip()):
                hint = "* ends a word, ... stands between words"
                problems.append(Problem(where=phrase.where, what=f"cannot read {phrase.text!r}", hint=hint))
            else:
                yield roles[key], phrase


# --- the world ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def jurisdictions() -> tuple[str, ...]:
    """Every code that a jurisdiction may have: ISO 3166-1 alpha-2, EU and INTL."""
    codes = {c for c in map(str, Locale("en").territories) if len(c) == 2 and c.isalpha()} - _NOT_PLACES
    return tuple(sorted(codes | _WORLD))


@lru_cache(maxsize=1)
def _country_names() -> tuple[_Phrase, ...]:
    """Every territory's name in every language, as CLDR has it, without remarks in brackets."""
    phrases = []
    for lang in LANGUAGES:
        territories = Locale.parse(lang.replace("-", "_")).territories
        for code in jurisdictions():
            name = re.sub(r"\s*[(（].*?[)）]", "", territories.get(code, "")).strip()
            if name and (len(name) > 1 or lang == "vi"):
                phrases.append(_Phrase(Concept(ConceptKind.JURISDICTION, code), lang, Role.NAME, name))
    return tuple(phrases)
