"""Forms of words by language: pairs that must meet, and pairs that must not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.documents import read_yaml
from service.domain import forms
from service.domain.model import Entry
from service.domain.text import LANGUAGES, fold
from service.domain.words import literal, texts_of

PAIRS = read_yaml(Path(__file__).parent.parent / "data" / "forms.yaml").plain()


def pairs(kind: str) -> Iterator[tuple[str, str, str]]:
    assert isinstance(PAIRS, dict)
    for lang, kinds in PAIRS.items():
        for pair in kinds.get(kind, ()):
            one, other = pair.split()
            yield lang, one, other


def meets(one: str, other: str, lang: str) -> bool:
    """Whether a rule of the one word finds the other in a text, through the door that rules use."""
    term = literal(one, shown=one, exact=False)
    assert term is not None
    (text,) = texts_of(Entry(id="1", title=f"x {other} y"), lang)
    return any(text.hits(term))


@pytest.mark.parametrize(("lang", "one", "other"), [*pairs("same")])
def test_forms_of_a_word_meet_in_both_directions(lang: str, one: str, other: str) -> None:
    assert meets(one, other, lang)
    assert meets(other, one, lang)


@pytest.mark.parametrize(("lang", "one", "other"), [*pairs("apart")])
def test_other_words_do_not_meet(lang: str, one: str, other: str) -> None:
    assert not meets(one, other, lang)


@pytest.mark.parametrize(("lang", "one", "other"), [*pairs("known")])
def test_what_is_told_wrongly_is_known(lang: str, one: str, other: str) -> None:
    assert meets(one, other, lang)


def test_an_english_word_in_another_language_keeps_its_forms() -> None:
    for lang in ("pl", "de", "ru", "zh-Hans", "ko"):
        assert meets("stablecoin", "stablecoins", lang)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_word_is_a_form_of_itself_and_is_indexed_under_every_key(lang: str) -> None:
    for word in ("регулирование", "gesetzentwurf", "القانون", "नियमों", "licences", "ünlü", "3d", "x"):
        folded = fold(word).text
        assert set(forms.keys(folded, lang)) & set(forms.keys(folded, lang))
        if forms.all_keys(folded).isdisjoint(forms.keys(folded, lang)):
            pytest.fail(f"{word} in {lang} is looked up under keys that no index has")
