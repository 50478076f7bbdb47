"""Finding phrases as whole words: every way of writing, against a plain definition of where words begin and end."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.scan import DENSE, Phrase, Scanner, spaced
from service.domain.text import fold
from tests.domain.test_text import ANY_TEXT, PIECES

UNSPACED = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e01-\u0e5b]")
HANGUL = re.compile("[\uac00-\ud7a3]")
ARABIC_PREFIX = re.compile(r"(?<!\w)(?:[وفبكل]|ال|وال|بال|فال|كال|لل|ولل)$")

LETTERS = "ab.-' _5éжй\u0301禁止中カ가상ةالوب كक्षก۔$İß·\U00020000🇨"
PHRASES = st.lists(
    st.builds(Phrase, st.text(LETTERS, min_size=1, max_size=5).map(lambda t: fold(t).text).filter(bool), st.booleans()),
    max_size=8,
    unique=True,
)
TEXTS = st.text(LETTERS, max_size=40) | PIECES | ANY_TEXT


def is_letter(char: str) -> bool:
    return char.isalnum() and not DENSE.match(char) and char < "\U00010000"


def begins(text: str, start: int, end: int) -> bool:
    first, before = text[start], text[start - 1 : start]
    if not before or UNSPACED.match(first):
        return True
    if HANGUL.match(first):
        return end - start > 2 or not HANGUL.match(before)
    if not is_letter(before) or not is_letter(first):
        return True
    return "\u0621" <= first <= "\u064a" and ARABIC_PREFIX.search(text, max(0, start - 4), start) is not None


def plainly(phrases: list[Phrase], text: str) -> set[tuple[int, int, int, int]]:
    found = set()
    for number, phrase in enumerate(phrases):
        for start in range(len(text)):
            end = stop = start + len(phrase.text)
            if text[start:end] != phrase.text or not begins(text, start, end):
                continue
            while is_letter(text[end - 1]) and stop < len(text) and is_letter(text[stop]):
                stop += 1
            if stop == end or phrase.open:
                found.add((number, start, end, stop))
    return found


@given(PHRASES, TEXTS)
def test_finds_what_is_there_as_words_and_nothing_else(phrases: list[Phrase], text: str) -> None:
    folded = fold(text).text
    scanner = Scanner(phrases)
    found = scanner.find(folded, scanner.view(range(len(phrases))))
    assert len(found) == len(set(found))
    assert set(found) == plainly(phrases, folded)


@given(TEXTS)
def test_spaced_text_keeps_letters_in_their_places(text: str) -> None:
    folded = fold(text).text
    assert spaced(folded) == " " + "".join(char if is_letter(char) else " " for char in folded) + " "


@pytest.mark.parametrize(
    ("phrase", "text", "shown"),
    [
        ("ban", "a ban, banned; the ban", ["ban", "ban"]),
        ("u.s.", "the u.s. and u s", ["u.s."]),
        ("anti-money", "anti-money, anti money", ["anti-money"]),
        ("etf", "比特币etf基金", ["etf"]),
        ("中国", "在中国的", ["中国"]),
        ("코인", "스테이블코인 코인을", ["코인"]),
        ("가상자산", "외국가상자산을", ["가상자산"]),
        ("مصرف", "والمصرف بالمصرف كمصرف مصارف", ["مصرف", "مصرف", "مصرف"]),
    ],
)
def test_words_of_many_scripts(phrase: str, text: str, shown: list[str]) -> None:
    scanner = Scanner([Phrase(phrase)])
    found = scanner.find(text, scanner.view([phrase]))
    assert [text[start:end] for _, start, end, _ in found] == shown


def test_what_is_not_heard_is_passed_over() -> None:
    scanner = Scanner([Phrase("ban"), Phrase("ba", open=True)])
    assert scanner.find("bans ban", scanner.view(["ban", None])) == [("ban", 5, 8, 8)]
    assert scanner.find("bans ban", scanner.view([None, "ba"])) == [("ba", 0, 2, 4), ("ba", 5, 7, 8)]
    assert Scanner([]).find("bans", Scanner([]).view([])) == []
