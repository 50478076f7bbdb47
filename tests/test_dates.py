"""The days that a report names, and what it says happens on them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from service.domain.dates import Meaning, days_of
from service.domain.model import Entry

TOLD = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EFFECTIVE, COMMENT = Meaning.EFFECTIVE, Meaning.COMMENT_BY


def named(text: str, lang: str = "en", published: datetime | None = TOLD) -> list[tuple[Meaning, date]]:
    entry = Entry(id="1", title="", content=text, published=published)
    return [(one.meaning, one.day) for one in days_of(entry, lang)]


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "The act, adopted on 3 March 2026, takes effect on 1 July 2026."),
        ("en", "From July 1st, 2026 the new rules will come into force in all states."),
        ("en", "It is effective 1 July and replaces guidance of 5 May 2019."),
        ("es", "La ley entrará en vigor el 1 de julio de 2026, según el regulador."),
        ("fr", "Le règlement entrera en vigueur le 1er juillet 2026."),
        ("de", "Die Verordnung tritt am 1. Juli 2026 in Kraft."),
        ("de", "Das Gesetz tritt zum 01.07.2026 in Kraft."),
        ("ru", "Закон вступит в силу с 1 июля 2026 года."),
        ("zh-Hans", "《办法》3月3日公布，自2026年7月1日起施行。"),
        ("zh-Hant", "新規定將於民國115年7月1日生效。"),
        ("ja", "改正法は令和8年7月1日から施行される。"),
        ("ko", "개정안은 2026년 7월 1일부터 시행된다."),
        ("ko", "이 고시는 2026. 7. 1.부터 시행한다."),
        ("pt", "A lei entra em vigor em 1 de julho de 2026."),
    ],
)
def test_when_it_takes_effect(lang: str, text: str) -> None:
    assert named(text, lang) == [(EFFECTIVE, date(2026, 7, 1))]


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "Comments must be received by 30 April 2026. The paper was published on 1 March 2026."),
        ("en", "The proposal is open for comment from 5 March to April 30, 2026."),
        ("en", "Interested parties may submit comments to the Board at rules@board.example by 30 April."),
        ("es", "Se podrán presentar observaciones hasta el 30 de abril de 2026."),
        ("fr", "La consultation publique est ouverte jusqu'au 30 avril 2026."),
        ("de", "Stellungnahmen können bis zum 30. April 2026 eingereicht werden."),
        ("ru", "Замечания принимаются до 30 апреля 2026 года."),
        ("zh-Hans", "公开征求意见，意见反馈截止日期为2026年4月30日。"),
        ("ja", "金融庁は4月30日まで意見を募集する。"),
        ("ko", "4월 30일까지 의견을 제출할 수 있다."),
    ],
)
def test_until_when_comments_are_taken(lang: str, text: str) -> None:
    assert named(text, lang) == [(COMMENT, date(2026, 4, 30))]


@pytest.mark.parametrize(
    "text",
    [
        "The minister spoke on 1 July 2026 in Paris.",
        "The act took effect on 1 July 2019.",
        "It takes effect thirty days after publication.",
        "It takes effect on 31 June 2026.",
        "Comments are due soon. The board meets on 30 April 2026.",
        "The consultation period began on 1 March 2026.",
    ],
)
def test_a_date_alone_says_nothing(text: str) -> None:
    assert named(text) == []


def test_both_in_one_report_with_the_words_that_say_so() -> None:
    text = "Comments are due by 30 April 2026. The rules take effect on 1 July 2026.\nRead more."
    entry = Entry(id="1", title="New rules", summary=text, content=text, published=TOLD)
    assert [one.text for one in days_of(entry, "en")] == [
        "Comments are due by 30 April 2026.",
        "The rules take effect on 1 July 2026.",
    ]


def test_without_a_year_and_a_date_of_its_own_a_report_names_no_day() -> None:
    assert named("It takes effect on 1 July.", published=None) == []
    assert named("It takes effect on 1 January.") == [(EFFECTIVE, date(2027, 1, 1))]
