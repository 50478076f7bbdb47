"""Entries in stories, found through their handles: one event in many words, look-alikes apart, steps in a dossier."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.model import (
    Action,
    Concept,
    ConceptKind,
    Development,
    Direction,
    Entry,
    Placement,
    Reading,
    Stage,
    StoryKey,
    Topic,
)
from service.domain.model import PlacementReason as Why
from service.domain.shelf import Shelf, with_member
from service.domain.traits import key_of
from tests.builders import a_development
from tests.conftest import NOON

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Small:
    """A lexicon of a few words."""

    version = "t"
    knows = (
        ("Kenya", ConceptKind.JURISDICTION, "KE"),
        ("Ghana", ConceptKind.JURISDICTION, "GH"),
        ("CFTC", ConceptKind.JURISDICTION, "US"),
        ("SEC", ConceptKind.JURISDICTION, "US"),
        ("Exchange", ConceptKind.TOPIC, "exchange"),
    )

    def mentions(self, text: str, lang: str):
        for word, kind, name in self.knows:
            if word in text:
                yield Concept(kind, name), text.index(word), text.index(word) + len(word)


def a_key(title: str, *developments: Development, lang: str = "en", lead: str = "", link: str = "") -> StoryKey:
    reading = Reading(lang=lang, developments=developments)
    return key_of(Entry(id="1", title=title, summary=lead, link=link), reading, Small())  # type: ignore[arg-type]


def second(first: StoryKey, then: StoryKey, after: timedelta = HOUR) -> Placement:
    shelf = Shelf()
    shelf.add(first, NOON)
    return shelf.add(then, NOON + after)[1]


FINE = a_development("US", action=Action.ENFORCEMENT, stage=Stage.ENFORCED, topic=Topic.EXCHANGE)
LAW = a_development("BR", action=Action.LEGISLATION, stage=Stage.PASSED, topic=Topic.STABLECOIN)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        pytest.param(
            a_key("Regulator fines Acme Exchange over lapses", FINE),
            a_key("Regulator fines Borealis Exchange over lapses", FINE),
            Why.OTHER_NAME,
            id="another-party",
        ),
        pytest.param(
            a_key("Senate passes Bill No. 4932 on stablecoins", LAW),
            a_key("Senate passes Bill No. 1087 on stablecoins", LAW),
            Why.OTHER_LAW,
            id="another-law",
        ),
        pytest.param(
            a_key("Watchdog warns of unlicensed firms in its list for March"),
            a_key("Watchdog warns of unlicensed firms in its list for April"),
            Why.OTHER_DATE,
            id="another-month",
        ),
        pytest.param(
            a_key("Kenya opens hearings on digital lending"),
            a_key("Ghana opens hearings on digital lending"),
            Why.OTHER_PLACE,
            id="another-country",
        ),
        pytest.param(
            a_key("Central bank sells bonds worth 30 billion at weekly auction"),
            a_key("Central bank sells bonds worth 45 billion at weekly auction"),
            Why.OTHER_FIGURE,
            id="another-figure",
        ),
        pytest.param(
            a_key("SEC opens consultation on market data fees"),
            a_key("CFTC opens consultation on market data fees"),
            Why.OTHER_NAME,
            id="another-body",
        ),
    ],
)
def test_look_alikes_stay_apart_and_say_why(one: StoryKey, other: StoryKey, why: Why) -> None:
    placement = second(one, other)
    assert (placement.story_id, placement.reason, placement.rival) == (None, why, 1)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        pytest.param(
            a_key("Regulator fines Acme Exchange $12 million", FINE),
            a_key("Acme to pay 12 million dollars over lapses", FINE),
            Why.SAME_ACT,
            id="worded-otherwise",
        ),
        pytest.param(
            a_key("Senate passes stablecoin law", LAW),
            a_key("Senado aprova lei das stablecoins", LAW, lang="pt"),
            Why.SAME_ACT,
            id="another-language",
        ),
        pytest.param(
            a_key("Senate passes stablecoin law", LAW),
            a_key("Senado aprova lei", a_development("BR", **{"action": Action.LEGISLATION, "stage": Stage.PASSED,
                  "topic": Topic.CRYPTO_GENERAL}), lang="pt"),
            Why.RELATED_ACT,
            id="a-wider-topic-in-another-language",
        ),
        pytest.param(
            a_key("Harbour authority closes pier 7 after crane accident"),
            a_key("Crane accident closes pier at harbour, authority says"),
            Why.SAME_FACTS,
            id="words-alone",
        ),
    ],
)  # fmt: skip
def test_one_event_is_one_story_however_it_is_told(one: StoryKey, other: StoryKey, why: Why) -> None:
    placement = second(one, other)
    assert (placement.story_id, placement.reason) == (1, why)


def test_the_steps_of_a_measure_are_a_dossier() -> None:
    shelf = Shelf()
    steps = [Stage.PROPOSED, Stage.PASSED, Stage.IN_FORCE]
    placed = []
    for month, stage in enumerate(steps):
        act = a_development("BR", action=Action.LEGISLATION, stage=stage)
        placed.append(shelf.add(a_key(f"Stablecoin law {stage}", act), NOON + month * 40 * DAY))
    assert [number for number, _ in placed] == [1, 2, 3]
    assert [p.predecessor for _, p in placed] == [None, 1, 2]
    assert [p.reason for _, p in placed] == [Why.FIRST_REPORT, Why.LATER_STEP, Why.LATER_STEP]


def test_a_reversal_names_what_it_undoes() -> None:
    ban = a_development(stage=Stage.IN_FORCE)
    lifted = a_development(stage=Stage.IN_FORCE, direction=Direction.EASING)
    placement = second(a_key("Ban on stablecoins starts", ban), a_key("Ban on stablecoins is lifted", lifted), 30 * DAY)
    assert (placement.predecessor, placement.reason) == (1, Why.REVERSAL)


def test_the_dossier_of_another_law_is_another() -> None:
    proposed = a_development("BR", action=Action.LEGISLATION, stage=Stage.PROPOSED)
    placement = second(a_key("Bill No. 4932 tabled", proposed), a_key("Bill No. 1087 passes", LAW), 30 * DAY)
    assert placement.predecessor is None


def test_ten_thousand_entries_of_one_story_cost_no_more_each() -> None:
    members: tuple[StoryKey, ...] = ()
    for number in range(10_000):
        members = with_member(members, a_key(f"Ban {number}") if number < 20 else members[-1])
    assert len(members) == 8
    assert [key.title for key in members[:3]] == ["Ban 0", "Ban 1", "Ban 2"]


TOLD = "Tenants in Marlow left 340 homes on Friday when the Orrin reservoir overflowed, the Highland council said."


@pytest.mark.parametrize(
    ("title", "lead", "why"),
    [
        pytest.param(
            "Hundreds flee as water tops the dam",
            "The Orrin reservoir overflowed above Marlow on Friday and 340 homes were cleared, officials said.",
            Why.SAME_FACTS,
            id="in-other-words",
        ),
        pytest.param(
            "Hundreds flee as water tops the dam",
            "The Selby reservoir overflowed above Thornton on Friday and homes were cleared, Cumbria officials said.",
            Why.FIRST_REPORT,
            id="another-dam",
        ),
        pytest.param(
            "Council of the Highland region elects a chair",
            "On Friday, March 13, the Highland council chose Moira Baird, a teacher, over two others by a narrow vote.",
            Why.FIRST_REPORT,
            id="the-same-council",
        ),
    ],
)
def test_a_lead_tells_the_event_when_headlines_share_no_word(title, lead, why) -> None:
    first = a_key("Marlow evacuated", lead=f"{TOLD} It was March 13.")
    assert second(first, a_key(title, lead=lead)).reason is why


def test_a_retold_act_joins_its_story_though_nothing_is_read_in_the_copy() -> None:
    read = a_key("Kenya bans a reservoir", a_development("KE"), lead=TOLD)
    placed = second(
        read, a_key("Hundreds flee", lead="In Marlow 340 homes were left as the Orrin reservoir overflowed.")
    )
    assert placed.story_id == 1


def test_a_long_lead_is_kept_short() -> None:
    assert len(a_key("市政府宣布", lead="".join(map(chr, range(0x4E00, 0x5600)))).traits.lead) <= 120
