"""Where a folded text has phrases: all of them in one pass, as whole words, also within each other.

Scripts that write words apart are searched in a copy of the text in which every sign is a blank, for phrases with
blanks around them: so the automaton itself sees to the borders of words, and almost nothing is found in vain. The
others (Han, kana, Thai, Hangul, and Arabic with its prefixes) are searched in the text as it stands, and only when it
has one of their letters.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from ahocorasick_rs import AhoCorasick, Implementation

T = TypeVar("T")

_UNSPACED = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e01-\u0e5b"
_SYLLABLES = "\uac00-\ud7a3"
_ARABIC = "\u0621-\u064a"
_BEYOND = "\U00010000-\U0010ffff"  # what folding leaves there is rare Han and emoji: no word has a border in it

DENSE = re.compile(f"[{_UNSPACED}{_SYLLABLES}]")
"""A letter of a script whose words have no sure borders. Beside it, a word of any other script ends."""

_UNSPACED_LETTER = re.compile(f"[{_UNSPACED}]")
_HANGUL = re.compile(f"[{_SYLLABLES}]")
_ARABIC_LETTER = re.compile(f"[{_ARABIC}]")
_ARABIC_PREFIX = re.compile(r"(?<!\w)(?:[وفبكل]|ال|وال|بال|فال|كال|لل|ولل)$")
_NO_BORDERS = re.compile(f"[{_UNSPACED}{_SYLLABLES}{_BEYOND}]")
_READ_CLOSELY = re.compile(f"[{_UNSPACED}{_SYLLABLES}{_BEYOND}{_ARABIC}]")
_HARMLESS = bytes(c for c in range(256) if c not in (0xD8, 0xD9, 0xE0, *range(0xE3, 0xF5)))
"""Bytes of UTF-8 with which no letter begins that is read closely: what else there is, is seldom worth a search."""
_NO_SIGNS = bytes(c for c in range(256) if (c < 0xC3 and c != 0xC2) or c in (0xC3, 0xC4, 0xC5, 0xD0, 0xD1))
"""Bytes with which, beyond ASCII, none but letters begin (Latin and Cyrillic ones), and the signs × and ÷."""
_ASCII_SIGNS = bytes(c if c >= 128 or chr(c).isalnum() else 32 for c in range(256))


class Phrase(NamedTuple):
    """What is looked for, folded. After an `open` one its last word may go on."""

    text: str
    open: bool = False


class _Apart(NamedTuple):
    """A phrase as the automaton of spaced text knows it: how far its hits reach beyond it, what the text must have."""

    number: int
    before: int
    after: int
    open: bool
    literal: str | None


class _Border(Enum):
    """What must stand before a phrase that is read closely."""

    FREE = auto()
    NO_HANGUL = auto()
    WORD = auto()
    ARABIC = auto()


class _Closely(NamedTuple):
    number: int
    border: _Border
    ends_word: bool
    open: bool


class View(NamedTuple, Generic[T]):
    """What a scanner's hits mean to one kind of reader, in tables by the numbers that the automata give."""

    apart: tuple[tuple[tuple[int, int, bool, str | None, T], ...], ...]
    closely: tuple[tuple[tuple[_Border, bool, bool, T], ...], ...]


class Scanner:
    """Phrases ready to be looked for. Immutable: build once, use from any thread."""

    __slots__ = ("_apart", "_apart_keys", "_closely", "_closely_keys", "_read_all_closely")

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        """The phrases are known by their number in this order; none may be empty."""
        apart: dict[str, list[_Apart]] = {}
        closely: dict[str, list[_Closely]] = {}
        for number, phrase in enumerate(phrases):
            words = spaced(phrase.text)
            if _stands_apart(phrase.text, words):
                text, key = _apart(number, phrase, words)
                apart.setdefault(text, []).append(key)
            else:
                closely.setdefault(phrase.text, []).append(_closely(number, phrase, words))
        self._apart, self._apart_keys = _automaton(apart), tuple(map(tuple, apart.values()))
        self._closely, self._closely_keys = _automaton(closely), tuple(map(tuple, closely.values()))
        self._read_all_closely = not all(map(_READ_CLOSELY.search, closely))

    def view(self, heard: Sequence[T | None]) -> View[T]:
        """The hits as one who hears `heard[number]` in each phrase; None is passed over.

        Equal hits are one object: a text meets few kinds of them, and those stay at hand.
        """
        once: dict[object, Any] = {}

        def shared(keys: Iterable[_Apart | _Closely]) -> tuple[Any, ...]:
            hits = ((*key[1:], what) for key in keys if (what := heard[key.number]) is not None)
            known = tuple(once.setdefault(hit, hit) for hit in hits)
            return once.setdefault(known, known)  # type: ignore[no-any-return]

        return View(tuple(map(shared, self._apart_keys)), tuple(map(shared, self._closely_keys)))

    def find(self, text: str, view: View[T]) -> list[tuple[T, int, int, int]]:
        """What is heard in the folded text, as (what, start, end, stop).

        `text[start:end]` is the phrase, `text[start:stop]` its words in full: they differ after open phrases alone.
        """
        encoded = text.encode()
        words = _spaced(encoded)
        found: list[tuple[T, int, int, int]] = []
        heard = view.apart
        for index, first, last in self._apart.find_matches_as_indexes(words, overlapping=True):
            for before, after, is_open, literal, what in heard[index]:
                start, end = first - before, last - after
                if literal is None or text[start:end] == literal:
                    found.append((what, start, end, words.find(" ", last) - 1 if is_open else end))
        if self._read_all_closely or (encoded.translate(None, _HARMLESS) and _READ_CLOSELY.search(text)):
            found += self._find_closely(text, words, view)
        return found

    def _find_closely(self, text: str, words: str, view: View[T]) -> Iterator[tuple[T, int, int, int]]:
        heard = view.closely
        for index, start, end in self._closely.find_matches_as_indexes(text, overlapping=True):
            for border, ends_word, is_open, what in heard[index]:
                if not _begins(border, text, words, start):
                    continue
                stop = words.find(" ", end + 1) - 1 if ends_word else end
                if is_open or stop == end:
                    yield what, start, end, stop


def _stands_apart(text: str, words: str) -> bool:
    """Whether the borders of its words are signs: then it is looked for in spaced text."""
    if text.isascii():
        return not words.isspace()
    return not (_NO_BORDERS.search(text) or _ARABIC_LETTER.match(text)) and not words.isspace()


def _apart(number: int, phrase: Phrase, words: str) -> tuple[str, _Apart]:
    begins, ends = words[1] != " ", words[-2] != " "
    is_open = phrase.open and ends
    text = words[0 if begins else 1 : -1 if is_open or not ends else None]
    # A hit in spaced text lies one further on than in the text; the blank before a phrase makes up for that.
    key = _Apart(number, 0 if begins else 1, 2 if ends and not is_open else 1, is_open, None)
    return text, key if " " not in words[1:-1] else key._replace(literal=phrase.text)


def _closely(number: int, phrase: Phrase, words: str) -> _Closely:
    first = phrase.text[0]
    border = _Border.FREE
    if _HANGUL.match(first):
        border = _Border.FREE if len(phrase.text) > 2 else _Border.NO_HANGUL
    elif words[1] != " ":
        border = _Border.ARABIC if _ARABIC_LETTER.match(first) else _Border.WORD
    return _Closely(number, border, words[-2] != " ", phrase.open)


def _begins(border: _Border, text: str, words: str, start: int) -> bool:
    if border is _Border.FREE or start == 0:
        return True
    if border is _Border.NO_HANGUL:
        return _HANGUL.match(text, start - 1) is None
    if words[start] == " ":
        return True
    return border is _Border.ARABIC and _ARABIC_PREFIX.search(text, max(0, start - 4), start) is not None


def _automaton(texts: Iterable[str]) -> AhoCorasick:
    return AhoCorasick(list(texts), implementation=Implementation.ContiguousNFA)


# --- text with its signs taken out --------------------------------------------------------------------------------


def spaced(text: str) -> str:
    """The text with a blank in place of every sign and of every dense letter, and one more before and behind it all."""
    return _spaced(text.encode())


def _spaced(encoded: bytes) -> str:
    words = encoded.translate(_ASCII_SIGNS).decode()
    if not words.isascii() and (encoded.translate(None, _NO_SIGNS) or "×" in words or "÷" in words):
        words = _signs().sub(_blanks, words)
    return f" {words} "


def _blanks(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


@lru_cache(maxsize=1)
def _signs() -> re.Pattern[str]:
    """Runs of signs and dense letters beyond ASCII; as ranges, since a set that spells them out is slow to compile."""
    signs = [c for c in range(0x80, 0x10000) if not chr(c).isalnum()]
    runs = ([c for _, c in run] for _, run in itertools.groupby(enumerate(signs), key=lambda pair: pair[1] - pair[0]))
    ranges = "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in runs)
    one = f"[{ranges}{_UNSPACED}{_SYLLABLES}{_BEYOND}]"
    return re.compile(f"{one}[ {one[1:]}*")  # not `+`: the search for a single first sign is four times as fast
