"""When an alert is told: at once, when quiet hours end, or in the next digest. Pure: the zone's rules are an argument.

A local time that a change of the clocks skips moves forward by as much as the clocks do, and one that comes twice
counts once, the first time (RFC 5545, section 3.3.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from service.domain.model import Quiet, RouteReason, Schedule, Severity, Timing, Weekday

DIGESTS = (Schedule.HOURLY, Schedule.DAILY, Schedule.WEEKLY)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Spent:
    """An alert that a subscription was, or will be, told by itself at `due_at`."""

    alert_id: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class When:
    """The decision: DELIVERED, QUIET_HOURS, FOR_DIGEST or OVER_BUDGET, and the time at which it is carried out."""

    reason: RouteReason
    due_at: datetime


def when(
    timing: Timing, schedule: Schedule, severity: Severity, now: datetime, zone: tzinfo, *, spent: Iterable[Spent]
) -> When:
    """How a channel with this schedule hears of a new alert; `spent` are the subscription's others, lately."""
    if is_urgent(timing, severity):
        return When(RouteReason.DELIVERED, now)
    if schedule in DIGESTS:
        return When(RouteReason.FOR_DIGEST, next_digest(timing, schedule, now, zone))
    due = undisturbed(timing, severity, now, zone)
    if timing.budget is not None:
        begin, end = local_day(due, zone)
        if len({one.alert_id for one in spent if begin <= one.due_at < end}) >= timing.budget:
            return When(RouteReason.OVER_BUDGET, next_digest(timing, schedule, now, zone))
    return When(RouteReason.DELIVERED if due == now else RouteReason.QUIET_HOURS, due)


def is_urgent(timing: Timing, severity: Severity) -> bool:
    return timing.urgent is not None and severity.rank >= timing.urgent.rank


def undisturbed(timing: Timing, severity: Severity, now: datetime, zone: tzinfo) -> datetime:
    """When something of this severity may be sent by itself: now, or when quiet hours end."""
    return now if is_urgent(timing, severity) else quiet_until(timing.quiet, now, zone) or now


def digest_of(timing: Timing, schedule: Schedule) -> Schedule | None:
    """What digest a channel gets: its own, a daily one for what a budget leaves over, or none."""
    if schedule in DIGESTS:
        return schedule
    return Schedule.DAILY if schedule is Schedule.IMMEDIATE and timing.budget is not None else None


def next_digest(timing: Timing, schedule: Schedule, after: datetime, zone: tzinfo) -> datetime:
    """The first time after `after` at which a digest is due, moved to the end of quiet hours if it falls into them.

    A schedule without a digest of its own stands for a daily one.
    """
    due = next_due(replace(timing, schedule=schedule), after, zone)
    return quiet_until(timing.quiet, due, zone) or due


def next_due(timing: Timing, after: datetime, zone: tzinfo) -> datetime:
    """The first time after `after` that the schedule names, in UTC: each full hour, or a time of each day or week."""
    if timing.schedule is Schedule.HOURLY:
        local = after.astimezone(zone)
        begun = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return (after - begun + timedelta(hours=1)).astimezone(UTC)
    today = after.astimezone(zone).date()
    return next(due for due in _slots(timing, today, zone) if due > after)


def _slots(timing: Timing, today: date, zone: tzinfo) -> Iterator[datetime]:
    # From yesterday on: the clocks may have moved its time into today. Two weeks hold one of each kind.
    for day in (today + DAY * ahead for ahead in range(-1, 15)):
        if timing.schedule is not Schedule.WEEKLY or list(Weekday)[day.weekday()] is timing.on:
            yield instant(day, timing.at, zone)


def instant(day: date, at: time, zone: tzinfo) -> datetime:
    """A local time in UTC. Skipped: by the offset before the gap, so later on the clock; ambiguous: the first one."""
    return datetime.combine(day, at.replace(fold=0), zone).astimezone(UTC)


def quiet_until(quiet: Quiet | None, now: datetime, zone: tzinfo) -> datetime | None:
    """When the quiet hours end that `now` is in; None when it is in none."""
    if quiet is None:
        return None
    today = now.astimezone(zone).date()
    for day in (today - DAY, today):
        end = instant(day if quiet.until > quiet.since else day + DAY, quiet.until, zone)
        if instant(day, quiet.since, zone) <= now < end:
            return end
    return None


def local_day(now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Where the local day of `now` begins and ends."""
    today = now.astimezone(zone).date()
    return instant(today, time(0), zone), instant(today + DAY, time(0), zone)
