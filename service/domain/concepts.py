"""The lexicon: reviewed phrases of many languages -> one automaton; a text -> the concepts found in it, with spans.

Reads no file: a caller hands over the documents as Nodes. Decides nothing about what is news.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache, lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from babel import Locale

from service.domain.condition import ABOUT_ANOTHER, ACROSS
from service.domain.document import Node, unknown_keys
from service.domain.model import Action, Concept, ConceptKind, Direction, Invalid, Problem, Stage, Topic
from service.domain.rivals import Claim, Hit, settle, within
from service.domain.scan import DENSE, Phrase, Scanner, View
from service.domain.sense import UNTAUGHT, Sense
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
    KEYWORD = "keyword"  # names the concept in a rule, not in a text: "enforcement", "bills", "fine"


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


_UNKNOWN = ""
"""The language of a text in none that is known."""
_UNSPOKEN = frozenset({Role.TRAP, Role.KEYWORD})
"""Roles whose phrases do not say the concept in a text."""
_WORLD = frozenset({"EU", "INTL"})
_NOT_PLACES = frozenset(("EZ", "UN", "XA", "XB", "QO", "ZZ", "AC", "TA", "CP", "DG", "EA", "IC", "CQ"))
_ROLE_KEYS: Mapping[str, Role] = {
    "names": Role.NAME, "people": Role.PEOPLE, "capital": Role.CAPITAL, "parts": Role.PART, "leaders": Role.LEADER,
    "bodies": Role.BODY, "own": Role.OWN, "traps": Role.TRAP,
}  # fmt: skip
_PHRASE_KEYS: Mapping[str, Role] = {
    "phrases": Role.STRONG,
    "weak": Role.WEAK,
    "traps": Role.TRAP,
    "keywords": Role.KEYWORD,
}
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


class Annotation(NamedTuple):
    """A concept found in a text: `text[start:end]` is what was read as it."""

    concept: Concept
    start: int
    end: int
    role: Role


# --- phrases ------------------------------------------------------------------------------------------------------


class Listed(NamedTuple):
    """The phrases of one concept in one language and role, each as written and as folded.

    As written, `*` at the end of a word is any ending, and ` ... ` is a few words in the same sentence. Plain values,
    which can be kept as JSON and read back with `listed`.
    """

    concept: Concept
    lang: str
    role: Role
    phrases: Sequence[tuple[str, str]]


def listed(rows: Any) -> list[Listed]:
    """Rows of JSON as `Listed`; a TypeError, ValueError or KeyError says that they are something else."""
    return [
        Listed(Concept(ConceptKind(kind), name), lang, Role(role), [(text, folded) for text, folded in phrases])
        for (kind, name), lang, role, phrases in rows
    ]


class _Part(NamedTuple):
    """A stretch of a phrase that the automaton looks for, with what its neighbourhood must be like."""

    text: str
    open_end: bool = False
    far: bool = False  # whether a gap (rather than one blank) lies before it
    capitals: int = 0  # 0: any case; 1: must begin with a capital; 2: all capitals

    def accepts(self, ending: str) -> bool:
        """Whether its last word may end like this beyond the phrase."""
        return not ending or (self.open_end and len(ending) <= _ENDING)


class _Pattern(NamedTuple):
    """A phrase as hits of the scanner are held against it; `sense` numbers its concept and role.

    A hit is of its first part; `later` numbers what the scanner looks for of the others, in order. Phrases that are
    found as they stand share one pattern for each concept, language and role.
    """

    lang: str
    role: Role
    parts: tuple[_Part, ...]
    endings: tuple[str, ...]
    sense: int
    later: tuple[int, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether a hit needs no second look: the whole phrase, whole words, in any case."""
        first = self.parts[0]
        return not (self.later or first.open_end or self.endings or first.capitals)

    def accepts(self, ending: str) -> bool:
        """Whether its first part's last word may end like this beyond the phrase."""
        return self.parts[0].accepts(ending) or ending in self.endings


class _Heard(NamedTuple):
    """What a hit means to readers of one language: outright, and where a closer look bears it out.

    A phrase that means one thing outright, as most do, is known by that `sense` alone. `number` is its own number where
    it is also a later part of some phrase.
    """

    senses: tuple[int, ...]
    patterns: tuple[_Pattern, ...]
    number: int | None


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

_STOP = re.compile(r"(?:(?<![\u0e00-\u0e7f])\.|[!?;])(?=\s|$)|[。！？；\n]")
"""What ends a sentence, and so a gap; after a Thai letter a full stop nearly always marks an abbreviation."""


_AS_IT_STANDS = (_Part(""),)
"""The parts of a phrase that is found as it stands: nothing asks for more than that."""


def _patterns(lists: Iterable[Listed], senses: Sequence[tuple[Concept, Role]]) -> dict[Phrase, list[_Pattern]]:
    """Everything to look for, and what a hit of each may begin; nothing where it is but a later part of phrases."""
    numbers = {sense: number for number, sense in enumerate(senses)}
    table: dict[Phrase, list[_Pattern]] = {}
    places: dict[Phrase, int] = {}

    def sought(text: str, open_end: bool) -> Phrase:
        one = Phrase(text, open_end)
        if one not in places:
            places[one] = len(places)
            table[one] = []
        return one

    for concept, lang, role, phrases in lists:
        inflected = (role is Role.NAME and lang in _INFLECTED) or role is Role.PEOPLE
        plain = _Pattern(lang, role, _AS_IT_STANDS, (), numbers[concept, role])
        for text, folded in phrases:
            if not inflected and _is_plain(text):
                table[sought(folded, False)].append(plain)
                continue
            parts, endings = _split(lang, role, text, folded)
            first, *later = [sought(part.text, part.open_end or bool(endings)) for part in parts]
            numbered = tuple(places[one] for one in later)
            table[first].append(plain._replace(parts=parts, endings=endings, later=numbered))
    return table


def _is_plain(text: str) -> bool:
    """Whether a phrase that is not inflected is found as it stands: whole words, in any case, with no other endings."""
    return text == text.lower() and "*" not in text and "..." not in text


def _split(lang: str, role: Role, text: str, folded: str) -> tuple[tuple[_Part, ...], tuple[str, ...]]:
    """The parts of a phrase, and the endings that its last word may take besides `*`."""
    parts: list[_Part] = []
    if "*" in text or "..." in text:
        for index, side in enumerate(_GAP.split(text)):
            for number, piece in enumerate(_AFTER_STAR.split(side)):
                literal = piece.removesuffix("*")
                far = index > 0 and number == 0
                parts.append(_Part(fold(literal).text, literal is not piece, far, _capitals(literal)))
    else:
        parts.append(_Part(folded, False, False, _capitals(text)))
    endings: tuple[str, ...] = ()
    if role is Role.PEOPLE and lang == "en":
        endings = ("s",)
    if role is Role.NAME and lang in _INFLECTED and len(parts) == 1 and not parts[0].open_end:
        endings = _INFLECTED[lang]
        stem = parts[0].text
        if lang != "de" and len(stem) > 4:
            stem = re.sub("(?<=..)(?:ия|ія|[аяьйиіeaoyе])$", "", stem) if " " not in stem else stem
        parts = [parts[0]._replace(text=stem)]
        endings = ("", *endings)
    return tuple(parts), endings


_GAP = re.compile(r"\s*\.\.\.\s*")
_AFTER_STAR = re.compile(r"(?<=\*) ")


def _capitals(text: str) -> int:
    if text == text.lower():  # as most are
        return 0
    first = next(filter(str.isalpha, text), "")
    if first == first.lower():
        return 0
    letters = [c for c in text if c.isalpha()]
    return 2 if len(letters) <= 6 and all(c.isupper() for c in letters) else 1


# --- the lexicon --------------------------------------------------------------------------------------------------


class Lexicon:
    """Immutable: build once, read from any thread."""

    __slots__ = (
        "_about",
        "_by_concept",
        "_claims",
        "_heard",
        "_patterns",
        "_scanner",
        "_senses",
        "names",
        "sense",
        "version",
    )

    def __init__(self, lists: Sequence[Listed], sense: Sense = UNTAUGHT) -> None:
        """Phrases as `read_phrases` gives them, and what is likely where they say only half."""
        self.sense = sense
        spoken: dict[Concept, list[tuple[str, str]]] = defaultdict(list)
        for concept, lang, role, phrases in lists:
            spoken[concept].extend((lang, text) for text, _ in phrases if role not in _UNSPOKEN)
        self._by_concept = {concept: tuple(found) for concept, found in spoken.items()}
        self.names: tuple[Concept, ...] = tuple(self._by_concept)
        content = ("\t".join((*map(str, names), *(text for text, _ in phrases))) for *names, phrases in lists)
        self.version: str = hashlib.sha256("\n".join((*content, sense.version)).encode()).hexdigest()[:16]
        one = {concept: concept for concept in self.names}  # so that looking one up is told by identity
        senses = sorted({(concept, role) for concept, _, role, _ in lists})
        self._senses = tuple((one.get(concept, concept), role) for concept, role in senses)
        numbers = {concept: number for number, concept in enumerate(sorted({concept for concept, _ in self._senses}))}
        kinds = list(ConceptKind)
        self._claims = tuple(Claim(numbers[c], kinds.index(c.kind), role is Role.TRAP) for c, role in self._senses)
        about = {Concept(ConceptKind.ACTION, action) for action in ABOUT_ANOTHER}
        about |= {Concept(ConceptKind.TOPIC, topic) for topic in ACROSS}
        self._about = frozenset(number for number, (concept, _) in enumerate(self._senses) if concept in about)
        table = _patterns(lists, self._senses)
        self._scanner = Scanner(table)
        self._patterns = tuple(map(tuple, table.values()))
        self._heard: dict[str | None, View[int | _Heard]] = {}

    def _hear(self, lang: str | None) -> View[int | _Heard]:
        """What each phrase means in a text of `lang` (None: in a rule)."""
        heard: list[int | _Heard | None] = []
        speaks = _speaks(lang)
        spoken = [[pattern for pattern in found if speaks(pattern.lang, pattern.role)] for found in self._patterns]
        later = {number for found in spoken for pattern in found for number in pattern.later}
        for number, patterns in enumerate(spoken):
            senses = tuple(dict.fromkeys(p.sense for p in patterns if p.is_plain))
            closer = tuple(p for p in patterns if not p.is_plain)
            if closer or len(senses) > 1 or number in later:
                heard.append(_Heard(senses, closer, number if number in later else None))
            else:
                heard.append(senses[0] if senses else None)
        return self._scanner.view(heard)

    @classmethod
    def build(cls, documents: Iterable[Node]) -> Lexicon:
        """The lexicon of these documents and the world's country names; Invalid as `read_phrases` says."""
        return cls(read_phrases(documents))

    def lookup(self, phrase: str) -> tuple[Concept, ...]:
        """What a word or phrase means on its own, in any language and case; () when the lexicon does not know it.

        Jurisdictions, topics and actions; a stage where it means none of these; and whatever it is a keyword of.
        """
        phrase = phrase.strip()
        folded = fold(phrase)
        whole = (0, -len(folded.text))
        numbers = {sense for start, back, sense, _ in self._hits(folded, phrase, None) if (start, back) == whole}
        senses = [self._senses[number] for number in numbers]
        found = {concept for concept, role in senses if role not in (Role.TRAP, Role.OWN, Role.KEYWORD)}
        acts = (ConceptKind.JURISDICTION, ConceptKind.TOPIC, ConceptKind.ACTION)
        plain = {c for c in found if c.kind in acts} or {c for c in found if c.kind is ConceptKind.STAGE}
        return tuple(sorted(plain | {concept for concept, role in senses if role is Role.KEYWORD}))

    def phrases(self, concept: Concept) -> tuple[tuple[str, str], ...]:
        """The phrases of a concept as (language, phrase), as written in the lexicon; traps left out."""
        return self._by_concept.get(concept, ())

    def annotate(self, text: str, lang: str) -> tuple[Annotation, ...]:
        """The concepts in `text`, read as `lang`, in order of place; spans are of `text` itself."""
        folded = fold(text)
        notes = []
        for start, back, sense, _ in settle(self._hits(folded, text, lang), self._claims):
            concept, role = self._senses[sense]
            notes.append(Annotation(concept, *folded.origin(start, -back), role))
        return tuple(notes)

    def mentions(self, text: str, lang: str) -> list[tuple[Concept, int, int]]:
        """The concepts in `text` and where, with those that a longer phrase is about: the ban in "lifts the ban"."""
        folded = fold(text)
        hits = self._hits(folded, text, lang)
        stand = settle(hits, self._claims)
        if len(hits) > len(stand) and (covers := [hit for hit in stand if hit[2] in self._about]):
            fallen = set(hits).difference(stand)
            if any(hit[2] not in self._about for hit in within(fallen, covers, self._claims)):
                others = [hit for hit in hits if hit[2] not in self._about]
                stand = sorted({*stand, *settle(within(others, covers, self._claims), self._claims)})
        if folded.uneven:
            return [(self._senses[sense][0], *folded.origin(start, -back)) for start, back, sense, _ in stand]
        return [(self._senses[sense][0], start, -back) for start, back, sense, _ in stand]

    def _hits(self, folded: Folded, text: str, lang: str | None) -> list[Hit]:
        """All hits before any rivalry between them is settled; without a language, those of a rule's words."""
        heard_in = self._heard_in(lang if lang is None or lang in LANGUAGES else _UNKNOWN)
        found = self._scanner.find(folded.text, heard_in)
        hits: list[Hit] = [(start, -stop, heard, ()) for heard, start, _, stop in found if isinstance(heard, int)]
        begun: list[tuple[_Pattern, int, int]] = []
        seen: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for heard, start, end, stop in found:
            if isinstance(heard, int):
                continue
            for sense in heard.senses:
                hits.append((start, -stop, sense, ()))
            if heard.number is not None:
                seen[heard.number].append((start, end, stop))
            ending = folded.text[end:stop]
            for pattern in heard.patterns:
                capitals = pattern.parts[0].capitals
                if ending and not pattern.accepts(ending):
                    continue
                if capitals and lang is not None and not _cased(text, folded, start, end, capitals):
                    continue
                if pattern.later:
                    begun.append((pattern, start, stop))
                else:
                    hits.append((start, -stop, pattern.sense, ()))
        hits.extend(self._chains(begun, seen, folded, text if lang is not None else None))
        return hits

    def _chains(
        self,
        begun: Iterable[tuple[_Pattern, int, int]],
        seen: Mapping[int, Sequence[tuple[int, int, int]]],
        folded: Folded,
        text: str | None,
    ) -> Iterator[Hit]:
        """Hits of phrases of several parts: each part in its place after the one before, nearest first."""
        for pattern, start, stop in begun:
            chain = [(start, stop)]
            for part, number in zip(pattern.parts[1:], pattern.later, strict=True):
                follow = _next_piece(folded, text, chain[-1][1], part, seen.get(number, ()))
                if follow is None:
                    break
                chain.append(follow)
            else:
                yield chain[0][0], -chain[-1][1], pattern.sense, tuple(chain)

    def _heard_in(self, lang: str | None) -> View[int | _Heard]:
        heard = self._heard.get(lang)
        if heard is None:
            heard = self._heard[lang] = self._hear(lang)
        return heard


def _speaks(lang: str | None) -> Callable[[str, Role], bool]:
    """Whether a phrase of a language and role may stand in a text of `lang`.

    Any may in one of an unknown language, but no keywords; in a rule (None), those too.
    """
    heard, no_guest = _heard_in(lang or _UNKNOWN), (Role.OWN, Role.KEYWORD)

    @cache
    def speaks(of: str, role: Role) -> bool:
        if lang is None:
            return True
        if lang in (_UNKNOWN, of):
            return role is not Role.KEYWORD
        return of in heard and role not in no_guest

    return speaks


def _heard_in(lang: str) -> frozenset[str]:
    """The languages whose phrases may stand in a text of `lang`: Latin words stand in Han or Cyrillic text as such."""
    heard = {lang, ANY}
    if lang in ("zh-Hans", "zh-Hant"):
        heard |= {"zh-Hans", "zh-Hant"}
    if lang in ("zh-Hans", "zh-Hant", "ja", "ko", "ru", "uk", "ar", "th", "hi"):
        heard.add("en")
    return frozenset(heard)


def _cased(text: str, folded: Folded, start: int, end: int, capitals: int) -> bool:
    """Whether a stretch is written with the capitals that a phrase asks for."""
    begin, stop = folded.origin(start, end) if folded.uneven else (start, end)
    if capitals == 2:
        return text[begin:stop] == text[begin:stop].upper()
    return not text[begin].islower()


def _next_piece(
    folded: Folded, text: str | None, after: int, part: _Part, found: Sequence[tuple[int, int, int]]
) -> tuple[int, int] | None:
    """Where the next part of a phrase stands; `text` is asked for capitals, unless it is that of a rule (None)."""
    for index in range(bisect_left(found, (after,)), len(found)):
        start, end, stop = found[index]
        between = folded.text[after : min(start, after + _GAP_LETTERS + 1)]
        if len(between) > (_GAP_LETTERS if part.far else 1):
            return None
        if stop > end and not part.accepts(folded.text[end:stop]):
            continue
        if part.capitals and text is not None and not _cased(text, folded, start, end, part.capitals):
            continue
        if not part.far:
            return (start, stop) if between == " " else None
        reach = _GAP_SIGNS if DENSE.search(between[:_GAP_SIGNS] or part.text) else _GAP_LETTERS
        return (start, stop) if len(between) <= reach and not _STOP.search(between) else None
    return None


# --- reading the documents ----------------------------------------------------------------------------------------


def read_phrases(documents: Iterable[Node]) -> list[Listed]:
    """All phrases of these documents and the world's country names (CLDR), in a fixed order.

    Raises Invalid with file and line for every fault: an unknown section, language or concept, a phrase given twice
    for one concept, or something that is no list of phrases.
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
    written = {(concept, lang, folded) for concept, lang, _, _, folded in phrases}
    phrases += [name for name in _country_names() if (name[0], name[1], name[4]) not in written]
    runs = groupby(sorted(phrases), key=itemgetter(0, 1, 2))
    return [
        Listed(concept, lang, role, [(text, folded) for *_, text, folded in found])
        for (concept, lang, role), found in runs
    ]


_Phrase = tuple[Concept, str, Role, str, str]
"""Concept, language, role, the phrase as written, and folded."""


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
        concept = Concept(kind, str(name))
        for lang, entry in languages.mapping.items():
            for role, phrase in _read_phrases(kind, entry, problems):
                text = str(phrase.value)
                folded = fold(text).text
                key = (concept, lang, (f"{role} " if role in _UNSPOKEN else "") + folded, _capitals(text))
                if key in seen:
                    what = f"{phrase.value!r} is given twice for {concept} in {lang}"
                    problems.append(Problem(where=phrase.where, what=what, hint=f"first at {seen[key]}"))
                elif lang in LANGUAGES or lang == ANY:
                    seen[key] = phrase.where
                    yield concept, lang, role, text, folded


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
            if phrase.text is None or not _LETTER.search(phrase.text):
                problems.append(Problem(where=phrase.where, what=f"should be a phrase, is {phrase.kind}"))
            elif ("*" in phrase.text or "..." in phrase.text) and _MISPLACED.search(phrase.text.strip()):
                hint = "* ends a word, ... stands between words"
                problems.append(Problem(where=phrase.where, what=f"cannot read {phrase.text!r}", hint=hint))
            else:
                yield roles[key], phrase


_LETTER = re.compile(r"\w")
_MISPLACED = re.compile(r"(^|\.\.\.|\s)\s*\*|^\.\.\.|\.\.\.$|\*\w")


# --- the world ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def jurisdictions() -> tuple[str, ...]:
    """Every code that a jurisdiction may have: ISO 3166-1 alpha-2, EU and INTL."""
    codes = {c for c in map(str, Locale("en").territories) if len(c) == 2 and c.isalpha()} - _NOT_PLACES
    return tuple(sorted(codes | _WORLD))


@lru_cache(maxsize=1)
def _country_names() -> tuple[_Phrase, ...]:
    """Every territory's name in every language, as CLDR has it, without remarks in brackets."""
    phrases: list[_Phrase] = []
    for lang in LANGUAGES:
        territories = Locale.parse(lang.replace("-", "_")).territories
        for code in jurisdictions():
            name = re.sub(r"\s*[(（].*?[)）]", "", territories.get(code, "")).strip()
            if name and (len(name) > 1 or lang == "vi"):
                concept = Concept(ConceptKind.JURISDICTION, code)
                phrases.append((concept, lang, Role.NAME, name, fold(name).text))
    return tuple(phrases)
