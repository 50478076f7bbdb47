"""Literal words: what a rule looks for when it means wording and not a concept, and where a text has it.

Words meet words with their simple forms (bans, banned, banning); scripts without spaces are searched as one run.
Holds no pattern that a user wrote: the cost is a walk over the text, whatever the rule says.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import islice, pairwise, takewhile

from service.domain import forms
from service.domain.model import Entry, Evidence
from service.domain.text import Folded, fold, sentences

Span = tuple[int, int]

MAX_HITS = 100  # of one term in one field: more than any reader looks at, and a bound for hostile texts

_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0dff"  # vowel signs that \w leaves out
_WORD = re.compile(rf"[\w{_MARKS}]+(?:'s\b)?")
# Thai, Lao, Burmese, Khmer, kana, Han: no spaces between words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_HANGUL = re.compile("[\uac00-\ud7a3]")
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")
_SPACING = frozenset(" \t\n-/'&.")


class Form(StrEnum):
    """Which words of a text count as the word of a rule."""

    FORMS = "forms"
    EXACT = "exact"
    PREFIX = "prefix"
    CASE = "case"


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a phrase. `key` is folded; `written` keeps the case that CASE asks for."""

    form: Form
    key: str
    written: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in a row. `gaps` are what stood between them in the rule; the text may also have a space or a hyphen."""

    words: tuple[Word, ...]
    gaps: tuple[str, ...]
    shown: str


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of a script that writes no spaces, looked for anywhere."""

    key: str
    shown: str


Literal = Phrase | Run


def literal(written: str, *, shown: str, exact: bool) -> Literal | None:
    """What to look for when a rule says `written`; None when there is no letter or digit in it.

    Unless `exact`, words match with their forms, a trailing `*` allows any ending and a leading `=` minds the case.
    """
    bare = written if exact else written.replace("*", "").replace("=", "")
    if not any(letter.isalnum() for letter in bare):
        return None
    if _UNSPACED.search(bare):
        return Run(key=fold(bare.strip()).text, shown=shown)
    words: list[Word] = []
    gaps: list[str] = []
    end = 0
    for match, original in _tokens(written):
        if words:
            gaps.append(_squeezed(fold(written[end : match[0]]).text))
        words.append(_word(original, before=written[: match[0]], after=written[match[1] :], exact=exact))
        end = match[1]
    return Phrase(words=tuple(words), gaps=tuple(gaps), shown=shown) if words else None


def _tokens(written: str) -> Iterator[tuple[tuple[int, int], str]]:
    folded = fold(written)
    for match in _WORD.finditer(folded.text):
        start, end = folded.origin(match.start(), match.end())
        yield (start, end), written[start:end]


def _word(original: str, *, before: str, after: str, exact: bool) -> Word:
    key = fold(original).text
    if _HANGUL.search(key):  # particles stick to Korean words, so that any ending is the same word
        return Word(form=Form.PREFIX, key=key, written=original)
    if exact:
        return Word(form=Form.EXACT, key=key, written=original)
    if before.endswith("="):
        return Word(form=Form.CASE, key=key, written=original)
    if after.startswith("*"):
        return Word(form=Form.PREFIX, key=key, written=original)
    return Word(form=Form.FORMS, key=key, written=original)


def _squeezed(gap: str) -> str:
    return " ".join(gap.split()) or (" " if gap else "")


def _always_joins(gap: str) -> bool:
    """Whether two words with `gap` between them stand in a row, whatever stood between them in the rule."""
    return _SPACING.issuperset(gap) and "\n\n" not in gap and not (len(gap) > 1 and gap[0] == ".")


@dataclass(frozen=True, slots=True)
class _Token:
    start: int
    end: int
    text: str


class Text:
    """One field of an entry, made ready for looking words up. Spans it gives out are of the original text."""

    def __init__(self, field: str, original: str, lang: str) -> None:
        self.field, self.lang = field, lang
        self.original = original
        self._folded: Folded = fold(original)
        self._tokens: list[_Token] = []
        self._by_word: dict[str, list[int]] = {}
        self._by_stem: dict[str, list[int]] = {}
        self._bits: dict[Word, int] = {}
        for place, match in enumerate(_WORD.finditer(self._folded.text)):
            self._tokens.append(_Token(match.start(), match.end(), match.group()))
            self._by_word.setdefault(match.group(), []).append(place)
        for word, places in self._by_word.items():
            for key in forms.keys(word, lang):
                self._by_stem.setdefault(key, []).extend(places)
        self._sorted = sorted(self._by_word)

    @property
    def stems(self) -> set[str]:
        return set(self._by_stem)

    @property
    def words(self) -> set[str]:
        return set(self._by_word)

    @property
    def letters(self) -> set[str]:
        return set(self._folded.text)

    @cached_property
    def sentences(self) -> tuple[Span, ...]:
        return sentences(self.original)

    @cached_property
    def paragraphs(self) -> tuple[Span, ...]:
        gaps = [gap.span() for gap in _PARAGRAPH_END.finditer(self.original)]
        starts = (0, *(end for _, end in gaps))
        return tuple(zip(starts, (*(start for start, _ in gaps), len(self.original)), strict=True))

    def stretch(self, start: int, words: int) -> Span:
        """From the word at or after `start` on, so many words of the original text."""
        first = bisect_left(self._starts_of_words, start)
        last = min(first + words, len(self._tokens)) - 1
        return (start, self._ends_of_words[last]) if last >= first else (start, start)

    @cached_property
    def _starts_of_words(self) -> list[int]:
        return [self._folded.origin(token.start, token.end)[0] for token in self._tokens]

    @cached_property
    def _ends_of_words(self) -> list[int]:
        return [self._folded.origin(token.start, token.end)[1] for token in self._tokens]

    def hits(self, term: Literal) -> Iterator[Evidence]:
        """Where the field has `term`, in order, up to a bound."""
        spans = self._runs(term) if isinstance(term, Run) else self._rows(term)
        for _, (start, end) in zip(range(MAX_HITS), spans, strict=False):
            first, last = self._folded.origin(start, end)
            yield Evidence(field=self.field, start=first, end=last, text=self.original[first:last])

    def _runs(self, run: Run) -> Iterator[tuple[int, int]]:
        text, key = self._folded.text, run.key
        start = text.find(key)
        while start >= 0:
            end = start + len(key)
            cuts_word = (_is_latin(key[0]) and _is_latin(text[start - 1 : start])) or (
                _is_latin(key[-1]) and _is_latin(text[end : end + 1])
            )
            if not cuts_word:
                yield start, end
            start = text.find(key, end)

    def _rows(self, phrase: Phrase) -> Iterator[tuple[int, int]]:
        """Where the words of a phrase stand in a row: a bit for each word of the text, moved on and laid over the next.

        So a phrase costs the same whatever the text repeats, which a search from place to place does not.
        """
        last = len(phrase.words) - 1
        if not last:
            yield from ((self._tokens[at].start, self._tokens[at].end) for at in sorted(self._places(phrase.words[0])))
            return
        found = self._bits_of(phrase.words[0])
        for word, gap in zip(phrase.words[1:], phrase.gaps, strict=True):
            found = found and (found << 1) & self._bits_of(word) & self._bits_after(gap)
        row = bin(found)[:1:-1]
        place = row.find("1")
        while place >= 0:
            yield self._tokens[place - last].start, self._tokens[place].end
            place = row.find("1", place + 1)

    def _bits_of(self, word: Word) -> int:
        if word not in self._bits:
            self._bits[word] = _bits(self._places(word))
        return self._bits[word]

    def _bits_after(self, gap: str) -> int:
        """The words that still stand in a row with the one before them, where a rule has `gap` between the two."""
        return self._joined[0] | self._joined[1].get(gap, 0)

    @cached_property
    def _joined(self) -> tuple[int, dict[str, int]]:
        """The words after a gap that always joins, and those after one that joins when the rule has the same."""
        always: list[int] = []
        same: dict[str, list[int]] = {}
        for place, (before, token) in enumerate(pairwise(self._tokens), start=1):
            gap = self._folded.text[before.end : token.start]
            if _always_joins(gap):
                always.append(place)
            elif "\n\n" not in gap:
                same.setdefault(_squeezed(gap), []).append(place)
        return _bits(always), {gap: _bits(places) for gap, places in same.items()}

    def _places(self, word: Word) -> Iterable[int]:
        match word.form:
            case Form.FORMS:
                found = (self._by_stem.get(key, ()) for key in forms.keys(word.key, self.lang))
                return {place for places in found for place in places}
            case Form.PREFIX:
                first = bisect_left(self._sorted, word.key)
                words = takewhile(lambda known: known.startswith(word.key), islice(self._sorted, first, None))
                return [place for known in words for place in self._by_word[known]]
            case Form.EXACT:
                return self._by_word.get(word.key, []) + self._by_word.get(word.key + "'s", [])
            case Form.CASE:
                ways = (self._by_spelling.get(key, {}) for key in (word.key, word.key + "'s"))
                return [
                    at
                    for way in ways
                    for as_is, places in way.items()
                    if as_is.startswith(word.written)
                    for at in places
                ]

    @cached_property
    def _by_spelling(self) -> dict[str, dict[str, list[int]]]:
        """The places of each word by how the text writes it, in capitals or not."""
        found: dict[str, dict[str, list[int]]] = {}
        for place, token in enumerate(self._tokens):
            start, end = self._folded.origin(token.start, token.end)
            found.setdefault(token.text, {}).setdefault(self.original[start:end], []).append(place)
        return found


def _bits(places: Iterable[int]) -> int:
    """A number with these bits set."""
    places = tuple(places)
    row = bytearray(max(places, default=-1) // 8 + 1)
    for place in places:
        row[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(row, "little")


def _is_latin(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()


def texts_of(entry: Entry, lang: str) -> tuple[Text, ...]:
    """The fields of an entry that hold something, in reading order."""
    fields = (("title", entry.title), ("summary", entry.summary), ("content", entry.content))
    return tuple(Text(name, text, lang) for name, text in fields if text)
