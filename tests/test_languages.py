"""Our own words in every language: none missing, none that fills in less than another, none left in English."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from service.delivery.languages import WORDS, Words
from service.delivery.message import render
from service.delivery.words import acts, headline, in_words, update_headline, words_of
from service.domain.digest import HELD
from service.domain.links import LinkRefusal
from service.domain.model import (
    Action,
    ChannelKind,
    DeliveryKind,
    Direction,
    Language,
    Predecessor,
    Severity,
    Stage,
    Topic,
    Update,
    UpdateReason,
    Verdict,
)
from tests.fakes_delivery import NOON, a_channel, a_delivery, a_development, a_source, an_alert

ENGLISH = WORDS[Language.ENGLISH]
KEYS = {
    "actions": Action,
    "topics": Topic,
    "stages": Stage,
    "directions": Direction,
    "severities": Severity,
    "updates": UpdateReason,
    "held_reasons": HELD,
    "places": ENGLISH.places,
    "phrases": ENGLISH.phrases,
    "buttons": Verdict,
    "verdicts": Verdict,
    "refusals": LinkRefusal,
    "missing": ENGLISH.missing,
}


def texts(words: Words) -> dict[str, str]:
    """Every text of a language by its place."""
    found: dict[str, str] = {}
    for field in fields(words):
        value: Any = getattr(words, field.name)
        found |= {f"{field.name}.{key}": text for key, text in value.items()} if field.name in KEYS else {}
        found |= {field.name: value} if isinstance(value, str) else {}
    return found


def test_there_is_a_table_for_every_language():
    assert set(WORDS) == set(Language)


@pytest.mark.parametrize("language", Language)
def test_no_key_is_missing(language):
    words = words_of(language)
    for name, keys in KEYS.items():
        assert set(getattr(words, name)) == set(keys), name
    empty = {place for place, text in texts(words).items() if not text.strip()}
    assert empty == {"stages.n/a"}


@pytest.mark.parametrize("language", Language)
def test_every_language_fills_in_the_same(language):
    ours = texts(words_of(language))
    for place, text in texts(ENGLISH).items():
        assert sorted(re.findall(r"\{\w*\}", ours[place])) == sorted(re.findall(r"\{\w*\}", text)), place


@pytest.mark.parametrize("language", [Language.CHINESE, Language.KOREAN, Language.JAPANESE])
def test_nothing_is_left_in_english(language):
    names = re.compile(r"\{\w*\}|policywatch|UTC|ETF")
    left = {place for place, text in texts(words_of(language)).items() if re.search("[A-Za-z]", names.sub("", text))}
    assert left == {"locale", "tag"}


@pytest.mark.parametrize("language", Language)
def test_two_acts_never_read_alike(language):
    words = words_of(language)
    told = [
        said
        for action, topic, stage in product(Action, Topic, Stage)
        for said in acts([a_development(action=action, topic=topic, stage=stage)], words)
    ]
    assert len(set(told)) == len(Action) * len(Topic) * len(Stage)
    assert not [said for said in told if "{" in said]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        pytest.param("en", "[HIGH] China: ban on stablecoins, enacted (tightening)", id="english"),
        pytest.param("zh", "[高] 中国：禁止稳定币，已颁布（收紧）", id="chinese"),
        pytest.param("ko", "[높음] 중국: 스테이블코인 금지, 제정 (강화)", id="korean"),
        pytest.param("ja", "[高] 中国：ステーブルコインの禁止、制定（強化）", id="japanese"),
        pytest.param("es", "[ALTA] China: prohibición de stablecoins, promulgación (endurecimiento)", id="spanish"),
    ],
)
def test_headline(language, said):
    assert headline(an_alert(), words_of(Language(language))) == said


@pytest.mark.parametrize(
    ("said", "in_chinese"),
    [
        pytest.param("stage proposed → in-force", "阶段 已提出 → 已生效", id="step"),
        pytest.param(
            "stage proposed → passed, direction neutral → easing", "阶段 已提出 → 已通过, 方向 中性 → 放宽", id="two"
        ),
        pytest.param("severity low → high", "级别 低 → 高", id="severity"),
        pytest.param("the direction is clear: easing", "方向已明确: 放宽", id="direction"),
        pytest.param("an official source confirms it: passed", "官方来源已证实: 已通过", id="confirmed"),
        pytest.param("also in KZ", "同时涉及 哈萨克斯坦", id="jurisdiction"),
        pytest.param("denied: No ban, says PBoC", "已被否认: No ban, says PBoC", id="denied"),
        pytest.param("figure 5,000 → 7,000; date may → june", "数额 5,000 → 7,000; 日期 may → june", id="facts"),
        pytest.param("something new", "something new", id="unknown"),
    ],
)
def test_what_changed_is_said_in_the_language(said, in_chinese):
    assert in_words(said, words_of(Language.CHINESE)) == in_chinese


@pytest.mark.parametrize("kind", [ChannelKind.SLACK, ChannelKind.EMAIL])
@pytest.mark.parametrize("language", [one for one in Language if one is not Language.ENGLISH])
def test_a_whole_message_holds_no_english_of_ours(language, kind):
    """What is left in Latin letters are names, titles, rules and evidence: not one sentence of the English table."""
    before = Predecessor(
        story_id=3, alert_id=2, title="T", at=NOON - timedelta(days=9), changed="stage proposed → passed"
    )
    update = Update(id=1, reason=UpdateReason.CORRECTION, detail="stage proposed → passed", entry_id=2, at=NOON)
    alert = an_alert(
        unclear=("direction", "stage"),
        predecessor=before,
        updates=(update,),
        developments=(a_development(), a_development(jurisdiction="KZ")),
        sources=tuple(a_source(n, source=f"S{n}", lang="zh" if n else "en") for n in range(9)),
    )
    delivery = a_delivery(a_channel(kind, "x://"), alert, language=language, kind=DeliveryKind.UPDATE)
    message = render(delivery, now=NOON + timedelta(hours=2))
    assert message.title == update_headline(alert, words_of(language))
    ours = [text for place, text in texts(ENGLISH).items() if "." not in place and len(text) > 9]
    pieces = {piece.strip(" .,:;()“”[]") for text in ours for piece in re.split(r"\{\w*\}", text)}
    said = f"{message.title}\n{message.body}"
    assert [piece for piece in pieces if len(piece) > 5 and piece in said] == []
