"""Whether two entries report the same event. Pure; the caller holds the lock and the nearby stories.

Two entries stand in one story when they are the same page, nearly the same text about the same act, or report the
same act (jurisdiction, topic, action) at the same stage close in time. A later stage of the same measure, the
opposite direction, or another jurisdiction doing likewise is a new story.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from service.domain.model import Action, Development, Direction, Placement, PlacementReason, Stage, Story, StoryKey
from service.domain.text import likeness

WINDOW = timedelta(days=7)
"""How far apart in time two reports of one event may be; also how far back the caller looks for stories."""

SAME_TEXT = 0.6
"""Likeness of sketches from which two texts count as copies of one another."""

SAME_NEWS = timedelta(hours=36)
"""Reports this close in time on one topic in one jurisdiction are one event even if outlets tell it differently."""

_CONTENT = (Action.LICENSING, Action.APPROVAL, Action.EASING, Action.RESTRICTION, Action.BAN, Action.TAX_CHANGE)
_ALIKE = (
    *(frozenset({Action.LEGISLATION, content}) for content in _CONTENT),  # one tells the law, another what is in it
    frozenset({Action.LICENSING, Action.APPROVAL}),  # licences handed out
    frozenset({Action.APPROVAL, Action.EASING}),
    frozenset({Action.BAN, Action.RESTRICTION}),
)
_OPPOSITE = frozenset({Direction.TIGHTENING, Direction.EASING})
_DECIDED = frozenset({Stage.PROPOSED, Stage.IN_FORCE})  # "will set up" and "sets up"

_ORDER = {
    Stage.RUMOURED: 0,
    Stage.CONSIDERING: 0,
    Stage.PROPOSED: 1,
    Stage.CONSULTATION: 1,
    Stage.PASSED: 2,
    Stage.ENACTED: 3,
    Stage.IN_FORCE: 3,
    Stage.ENFORCED: 4,
    Stage.REAFFIRMED: 5,
    Stage.WITHDRAWN: 6,
    Stage.NOT_APPLICABLE: 7,
}
"""Stages that outlets confuse in reports of one and the same day share a step; a new step is a new event."""


def place(key: StoryKey, published: datetime, nearby: Iterable[Story]) -> Placement:
    """The story that `key` belongs to, newest first among equals; a new one when there is none."""
    best: tuple[float, datetime, Story, PlacementReason] | None = None
    for story in nearby:
        apart = _distance(published, story)
        if apart > WINDOW:
            continue
        for member in story.members:
            verdict = _same_event(key, member, apart)
            if verdict is None:
                continue
            strength, reason = verdict
            if best is None or (strength, story.last_at) > best[:2]:
                best = (strength, story.last_at, story, reason)
    if best is None:
        return Placement(story_id=None, reason=PlacementReason.FIRST_REPORT)
    return Placement(story_id=best[2].id, reason=best[3])


def _same_event(new: StoryKey, old: StoryKey, apart: timedelta) -> tuple[float, PlacementReason] | None:
    if new.link and new.link == old.link:
        return 3.0, PlacementReason.SAME_LINK
    alike = likeness(new.sketch, old.sketch)
    if not new.developments or not old.developments:
        return (1 + alike, PlacementReason.SAME_TEXT) if alike >= SAME_TEXT else None
    shared = [(a, b) for a in new.developments for b in old.developments if _same_act(a, b, apart)]
    if shared and alike >= SAME_TEXT:
        return 2 + alike, PlacementReason.SAME_TEXT
    if shared:
        return 1 + alike, PlacementReason.SAME_ACT
    return None


def _same_act(a: Development, b: Development, apart: timedelta) -> bool:
    if (a.jurisdiction, a.topic) != (b.jurisdiction, b.topic):
        return False
    same_step = _ORDER[a.stage] == _ORDER[b.stage]
    if apart <= SAME_NEWS:
        alike = a.action == b.action or {a.action, b.action} in _ALIKE
        return alike and (same_step or {a.stage, b.stage} == _DECIDED)
    return a.action == b.action and same_step and {a.direction, b.direction} != _OPPOSITE


def _distance(when: datetime, story: Story) -> timedelta:
    """How far `when` lies outside the time from a story's first report to its last; zero within."""
    return max(story.opened_at - when, when - story.last_at, timedelta(0))
