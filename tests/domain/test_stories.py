"""Same event or not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.model import Action, Direction, PlacementReason, Stage, Story, StoryKey, Topic
from service.domain.stories import WINDOW, place, told_at
from service.domain.text import sketch
from tests.builders import a_development
from tests.conftest import NOON

DAY = timedelta(days=1)


def a_key(*developments, link: str = "", text: str = "") -> StoryKey:
    return StoryKey(developments=developments, link=link, sketch=sketch(text), title=text[:40])


def a_story(*members: StoryKey, number: int = 1, at=NOON) -> Story:
    return Story(id=number, opened_at=at, last_at=at, members=members)


BAN = a_development("CN")
SAME_ACT = PlacementReason.SAME_ACT


@pytest.mark.parametrize(
    ("new", "old", "reason"),
    [
        pytest.param(a_key(BAN), a_key(BAN), SAME_ACT, id="same-act"),
        pytest.param(a_key(BAN, link="l"), a_key(link="l"), PlacementReason.SAME_LINK, id="same-page"),
        pytest.param(a_key(BAN), a_key(a_development("KZ")), None, id="another-country-likewise"),
        pytest.param(a_key(BAN), a_key(a_development(topic=Topic.MINING)), None, id="another-topic"),
        pytest.param(a_key(BAN), a_key(a_development(stage=Stage.PROPOSED)), None, id="another-stage"),
        pytest.param(a_key(BAN), a_key(a_development(action=Action.RESTRICTION)), SAME_ACT, id="another-word-for-it"),
        pytest.param(a_key(), a_key(BAN), None, id="nothing-in-common"),
    ],
)
def test_place(new, old, reason) -> None:
    placement = place(new, NOON, [a_story(old)])
    assert placement.reason is (reason or placement.reason)
    assert placement.story_id == (1 if reason else None)


def test_the_same_act_much_later_is_a_new_event() -> None:
    assert place(a_key(BAN), NOON + WINDOW + DAY, [a_story(a_key(BAN))]).story_id is None


def test_texts_without_developments_join_by_wording() -> None:
    text = (
        "The committee met on Tuesday to hear eleven witnesses about deposit insurance and the cost of cash handling."
    )
    assert place(a_key(text=text), NOON, [a_story(a_key(text=text + " More soon."))]).story_id == 1
    other = "A regional bakery won the county prize for rye bread after a close vote among six hundred visitors."
    assert place(a_key(text=other), NOON, [a_story(a_key(text=text))]).story_id is None


def test_the_stronger_reason_wins() -> None:
    by_act, by_link = a_story(a_key(BAN), number=1), a_story(a_key(link="l"), number=2, at=NOON - DAY)
    assert place(a_key(BAN, link="l"), NOON, [by_act, by_link]).story_id == 2


def test_a_reversal_is_a_new_event_unless_it_is_the_same_news() -> None:
    lifted = a_development(direction=Direction.EASING)
    assert place(a_key(lifted), NOON + 2 * DAY, [a_story(a_key(BAN))]).story_id is None
    assert place(a_key(lifted), NOON + timedelta(hours=3), [a_story(a_key(BAN))]).story_id == 1


@pytest.mark.parametrize(
    ("published", "when"),
    [
        pytest.param(None, NOON - DAY, id="no-date"),
        pytest.param(NOON - 2 * DAY, NOON - 2 * DAY, id="as-it-says"),
        pytest.param(NOON + 300 * DAY, NOON - DAY, id="next-year"),
        pytest.param(NOON - 20_000 * DAY, NOON - DAY, id="1970"),
    ],
)
def test_when_an_entry_counts_as_told(published, when) -> None:
    assert told_at(published, NOON - DAY, NOON) == when


def test_a_clock_that_jumped_back_tells_nothing_in_the_future() -> None:
    assert told_at(None, NOON + DAY, NOON) == NOON
