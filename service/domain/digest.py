"""What stands in a digest, and in which order; what becomes of an escalation. Decisions only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from service.domain.model import (
    Decided,
    DigestItem,
    Direction,
    EscalationEnd,
    ItemReason,
    RouteReason,
    Schedule,
    Tally,
    Verdict,
)

WEEK = timedelta(days=7)
PERIODS: Mapping[Schedule, timedelta] = {
    Schedule.HOURLY: timedelta(hours=1),
    Schedule.DAILY: timedelta(days=1),
    Schedule.WEEKLY: WEEK,
}
"""What a channel's first digest looks back on; each later one begins where the last one ended."""

HELD = (
    RouteReason.THROTTLED,
    RouteReason.SILENCED,
    RouteReason.RUMOUR_MUTED,
    RouteReason.BELOW_SEVERITY,
    RouteReason.ALREADY_TOLD,
)
"""The reasons that a digest counts. What is not watched was not held back, and rumours are listed."""


class Seen(NamedTuple):
    """An alert that concerned a subscription: when that was decided, and where it happened."""

    alert_id: int
    at: datetime
    jurisdictions: frozenset[str]


class Group(NamedTuple):
    """Items of one jurisdiction and direction, the loudest first. Items without a development have neither."""

    jurisdiction: str | None
    direction: Direction | None
    items: tuple[DigestItem, ...]


def groups(items: Iterable[DigestItem]) -> tuple[Group, ...]:
    """The items by what their first development says: the group with the loudest item first."""
    ordered = sorted(items, key=lambda item: (*_place(item), *_rank(item)))
    found = [Group(*_of(place), tuple(some)) for place, some in groupby(ordered, key=_place)]
    return tuple(sorted(found, key=lambda group: (*_rank(group.items[0])[:2], group.jurisdiction or "~")))


def _place(item: DigestItem) -> tuple[str, str]:
    first = item.developments[0] if item.developments else None
    return (first.jurisdiction, first.direction) if first else ("~", "~")  # last in the alphabet


def _of(place: tuple[str, str]) -> tuple[str | None, Direction | None]:
    return (None, None) if place[0] == "~" else (place[0], Direction(place[1]))


def _rank(item: DigestItem) -> tuple[bool, int, int]:
    return (item.reason is ItemReason.UNCONFIRMED, -item.severity.rank, item.alert_id)


def tallies(seen: Iterable[Seen], now: datetime) -> tuple[Tally, ...]:
    """How many alerts each jurisdiction had in the last seven days and in the seven before; each counts once."""
    first: dict[tuple[int, str], datetime] = {}
    for one in seen:
        for jurisdiction in one.jurisdictions:
            key = (one.alert_id, jurisdiction)
            first[key] = min(first.get(key, one.at), one.at)
    counts: dict[str, list[int]] = {}
    for (_, jurisdiction), at in first.items():
        weeks_ago = (now - at) // WEEK
        if 0 <= weeks_ago <= 1:
            counts.setdefault(jurisdiction, [0, 0])[weeks_ago] += 1
    return tuple(Tally(jurisdiction=j, week=now_, week_before=then) for j, (now_, then) in sorted(counts.items()))


def standing(decisions: Iterable[Decided]) -> Decided | None:
    """The decision that stands of a team's, the newest first. To hand an alert to somebody decides nothing."""
    return next((one for one in decisions if one.verdict is not Verdict.ASSIGNED), None)


def escalation(
    decided: Decided | None, now: datetime, *, again_at: datetime | None, active: bool, channels: Collection[int]
) -> EscalationEnd:
    """Whether an alert is told elsewhere now that its time has come; `channels` are those left to tell.

    `again_at` is when the day begins that a deferred alert was put off to.
    """
    if decided is not None and again_at is None:
        return EscalationEnd.DECIDED
    if again_at is not None and now < again_at:
        return EscalationEnd.DEFERRED
    if not active:
        return EscalationEnd.INACTIVE
    return EscalationEnd.ESCALATED if channels else EscalationEnd.NO_CHANNEL
