"""What a text names, in forms that compare across texts and languages."""

from __future__ import annotations

import pytest

from service.domain.model import Entry
from service.domain.traits import near, traits_of


def head_of(title: str, lead: str = "") -> frozenset[str]:
    return traits_of(Entry(id="1", title=title, summary=lead), "en").head


@pytest.mark.parametrize(
    ("title", "terms"),
    [
        pytest.param("House passes H.R. 4763", {"n:hr4763"}, id="bill"),
        pytest.param("EU adopts Regulation (EU) 2023/1114", {"n:2023/1114"}, id="regulation"),
        pytest.param("Путин подписал закон № 259-ФЗ", {"n:259"}, id="russian-law"),
        pytest.param("内閣府令第12号を公布", {"n:12"}, id="japanese-order"),
        pytest.param("Regulator fines broker $4.3 billion", {"a:4.30e+09"}, id="billion"),
        pytest.param("Regulator fines broker 4,300,000,000 dollars", {"a:4.30e+09"}, id="written-out"),
        pytest.param("規制当局が43億ドルの罰金", {"a:4.30e+09"}, id="oku"),
        pytest.param("Штраф 4,3 млрд долларов", {"a:4.30e+09"}, id="milliard"),
        pytest.param("Tax cut to 12.5 percent", {"a:12.5%"}, id="percent"),
        pytest.param("Steuer sinkt auf 12,5 %", {"a:12.5%"}, id="percent-sign"),
        pytest.param("Rules start on 14 March 2026", {"d:03-14", "m:03"}, id="day"),
        pytest.param("Las reglas rigen desde el 14 de marzo", {"d:03-14", "m:03"}, id="spanish-day"),
        pytest.param("3月14日に施行", {"d:03-14", "m:03"}, id="japanese-day"),
        pytest.param("С 14 марта действуют правила", {"d:03-14", "m:03"}, id="russian-day"),
        pytest.param("Statistics for March 2026", {"m:03"}, id="month"),
        pytest.param("Lawmakers may march on", set(), id="no-month"),
        pytest.param("Rules for 2026 and beyond", set(), id="a-year-is-no-amount"),
    ],
)
def test_facts_of_a_headline(title: str, terms: set[str]) -> None:
    assert {term for term in head_of(title) if not term.startswith("w:")} == terms


def test_names_are_words_with_a_capital_that_no_sentence_asked_for() -> None:
    assert head_of("Regulator sues Acme over tokens") == {"w:acme"}
    assert head_of("Regulator Sues Acme Over Tokens") == frozenset()
    assert head_of("Regulator Sues Acme Over Tokens", "The case against Acme began.") == {"w:acme"}
    assert head_of("SEC Sues Acme Over Tokens") == {"w:sec"}


def test_amounts_told_more_or_less_exactly_are_near() -> None:
    assert near("4.30e+09", "4.32e+09")
    assert not near("4.30e+09", "5.00e+09")
    assert not near("12%", "12.5%")


@pytest.mark.parametrize(
    "text", ["", "\ud800", "9" * 5000, "第" * 5000 + "号", "A" * 100_000, "%" * 9000, "1,1" * 4000]
)
def test_any_text_is_taken(text: str) -> None:
    traits_of(Entry(id="1", title=text, summary=text, content=text), "en")
