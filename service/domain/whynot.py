"""Why something was not heard of: which rules came nearest to firing, and where on its way a stored entry ended.

Both are decided from values; nothing here looks anything up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from service.domain.judge import Facts, judge
from service.domain.model import DeliveryState, EntryState, Match, NearMiss, PageNote, RouteReason, Step
from service.domain.rule import Reach, Rule, Sources

# --- the nearest rules --------------------------------------------------------------------------------------------


def judged(rules: Iterable[Rule], facts: Facts) -> tuple[tuple[Match, ...], tuple[NearMiss, ...]]:
    """The rules that fire, and the others, those with the fewest terms missing first."""
    verdicts = [(rule, judge(rule, facts)) for rule in rules]
    fired = tuple(verdict for _, verdict in verdicts if isinstance(verdict, Match))
    missed = [(_distance(rule, miss, facts), miss) for rule, miss in verdicts if isinstance(miss, NearMiss)]
    return fired, tuple(miss for _, miss in sorted(missed, key=lambda pair: pair[0]))


def _distance(rule: Rule, miss: NearMiss, facts: Facts) -> tuple[int, int]:
    """How much is missing, and then the more of the rule the text says, the nearer.

    A rule that did not even look is as far off as it would be if it did look, and a little more.
    """
    if miss.step in (Step.STATUS, Step.LANGUAGES, Step.SOURCES):
        return _beyond(replace(rule.activated(), languages=(), sources=Sources()), facts)
    if miss.step is Step.DEVELOPMENT:
        return _beyond(replace(rule, reach=Reach.MENTION), facts)
    return (miss.missing, -len(miss.near))


def _beyond(opened: Rule, facts: Facts) -> tuple[int, int]:
    verdict = judge(opened, facts)
    missing, near = _distance(opened, verdict, facts) if isinstance(verdict, NearMiss) else (0, 0)
    return (missing + 1, near)


# --- what became of an entry --------------------------------------------------------------------------------------


class Became(StrEnum):
    """Where an entry is or ended, from a closed set."""

    NOT_RECEIVED = "not_received"
    HISTORY = "history"
    WAITING = "waiting"
    FAILING = "failing"
    NO_RULE = "no_rule"
    RULES_CHANGED = "rules_changed"
    HELD_BACK = "held_back"
    ON_ITS_WAY = "on_its_way"
    DEAD = "dead"
    TOLD = "told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided for one rule that fired, and one subscription (empty: there is none)."""

    rule_id: str
    team: str
    subscription: str
    reason: RouteReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One delivery of the alert, without its address."""

    id: int
    channel: str
    subscription: str
    state: DeliveryState
    attempts: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What is stored of the way of an entry. `decisions` are its own; `deliveries` those of its story's alert."""

    entry_id: int
    received_at: datetime
    state: EntryState
    problem: str = ""
    page: PageNote | None = None
    judged_at: datetime | None = None
    judged_by: str = ""
    story_id: int | None = None
    alert_id: int | None = None
    fired: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    deliveries: tuple[Sent, ...] = ()


def became(fate: Fate | None, *, fires_now: bool) -> Became:
    """Where the entry is or ended. `fires_now` is whether a rule in force fires on it today."""
    if fate is None:
        return Became.NOT_RECEIVED
    if fate.state is EntryState.HISTORY:
        return Became.HISTORY
    if fate.state is EntryState.NEW:
        return Became.FAILING if fate.problem else Became.WAITING
    states = {sent.state for sent in fate.deliveries}
    for state, said in (
        (DeliveryState.SENT, Became.TOLD),
        (DeliveryState.PENDING, Became.ON_ITS_WAY),
        (DeliveryState.DEAD, Became.DEAD),
    ):
        if state in states:
            return said
    if fate.decisions or fate.fired:
        return Became.HELD_BACK
    return Became.RULES_CHANGED if fires_now else Became.NO_RULE
