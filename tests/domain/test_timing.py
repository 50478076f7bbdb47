"""When something is told: schedules, quiet hours and budgets, across changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.model import Quiet, RouteReason, Schedule, Severity, Timing, Weekday
from service.domain.timing import DIGESTS, Spent, local_day, next_digest, next_due, quiet_until, when

ZONES = (
    "Africa/Cairo", "America/Argentina/Buenos_Aires", "America/Havana", "America/New_York", "America/Sao_Paulo",
    "America/St_Johns", "Asia/Beirut", "Asia/Hong_Kong", "Asia/Kathmandu", "Asia/Tehran", "Australia/Lord_Howe",
    "Europe/Berlin", "Europe/London", "Pacific/Apia", "Pacific/Chatham", "UTC",
)  # fmt: skip
TIMES = st.times(min_value=time(0), max_value=time(23, 59)).map(lambda t: t.replace(second=0, microsecond=0))
MOMENTS = st.floats(1.1e9, 2.1e9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def utc(text: str) -> datetime:
    """`03-02 12:00` is in 2026."""
    return datetime.fromisoformat(text if len(text) > 12 else f"2026-{text}").replace(tzinfo=UTC)


HOURLY, DAILY = Timing(schedule=Schedule.HOURLY), Timing(schedule=Schedule.DAILY)
HALF_PAST_TWO = Timing(schedule=Schedule.DAILY, at=time(2, 30))
FRIDAYS = Timing(schedule=Schedule.WEEKLY, on=Weekday.FRIDAY)


@pytest.mark.parametrize(
    ("zone", "timing", "after", "due"),
    [
        pytest.param("UTC", HOURLY, "03-02 12:00", "03-02 13:00", id="hourly"),
        pytest.param("Asia/Kathmandu", HOURLY, "03-02 12:00", "03-02 12:15", id="his-hour"),
        pytest.param("UTC", DAILY, "03-02 08:00", "03-03 08:00", id="daily"),
        pytest.param("Asia/Hong_Kong", DAILY, "03-02 12:00", "03-03 00:00", id="local"),
        pytest.param("UTC", FRIDAYS, "03-02 12:00", "03-06 08:00", id="weekly"),
        # Berlin, 29 March 2026: 02:00-03:00 does not exist. 25 October: 02:00-03:00 comes twice.
        pytest.param("Europe/Berlin", HALF_PAST_TWO, "03-28 12:00", "03-29 01:30", id="gap"),
        pytest.param("Europe/Berlin", HALF_PAST_TWO, "10-24 12:00", "10-25 00:30", id="twice"),
        pytest.param("Europe/Berlin", HALF_PAST_TWO, "10-25 00:30", "10-26 01:30", id="once"),
        # Samoa had no 30 December 2011: that day's digest is the next one's.
        pytest.param("Pacific/Apia", DAILY, "2011-12-29 18:00", "2011-12-30 18:00", id="no-such-day"),
        pytest.param("Pacific/Apia", DAILY, "2011-12-30 18:00", "2011-12-31 18:00", id="and-on"),
    ],
)  # fmt: skip
def test_next_due(zone, timing, after, due) -> None:
    assert next_due(timing, utc(after), ZoneInfo(zone)) == utc(due)


@given(st.sampled_from(ZONES), st.sampled_from(DIGESTS), TIMES, st.sampled_from(Weekday), MOMENTS)
@settings(max_examples=400, deadline=None)
def test_a_digest_is_due_once_a_period_whatever_the_clocks_do(zone_name, schedule, at, on, now) -> None:
    zone, timing = ZoneInfo(zone_name), Timing(schedule=schedule, at=at, on=on)
    due = next_due(timing, now, zone)
    following = next_due(timing, due, zone)
    span = {Schedule.HOURLY: timedelta(hours=1), Schedule.DAILY: timedelta(days=1), Schedule.WEEKLY: timedelta(days=7)}[
        schedule
    ]
    slack = timedelta(0) if schedule is Schedule.HOURLY else timedelta(hours=2)
    jump = timedelta(days=1) if zone_name == "Pacific/Apia" else timedelta(0)
    assert now < due <= now + span + slack + jump
    # Nothing is due between the two, asked from anywhere between: a restart in between sends nothing twice.
    assert next_due(timing, now + (due - now) / 2, zone) == due
    assert following - due <= span + slack + jump
    if schedule is Schedule.HOURLY:
        return
    local = due.astimezone(zone)
    exists = datetime.combine(local.date(), at, zone).astimezone(UTC).astimezone(zone).time() == at
    assert local.time() == at if exists else local.replace(tzinfo=None) > datetime.combine(local.date(), time(0))
    assert following - due >= span - slack
    if schedule is Schedule.WEEKLY and exists and local.time() == at:
        assert list(Weekday)[local.weekday()] is on


@given(st.sampled_from(ZONES), TIMES, TIMES, MOMENTS)
@settings(max_examples=200, deadline=None)
def test_quiet_hours_always_end(zone_name, since, until, now) -> None:
    zone = ZoneInfo(zone_name)
    end = quiet_until(Quiet(since=since, until=until), now, zone)
    if end is not None:
        assert now < end <= now + timedelta(hours=50)
    begin, over = local_day(now, zone)
    assert begin <= now < over or zone_name == "Pacific/Apia"


NIGHT = Quiet(since=time(22), until=time(7))


@pytest.mark.parametrize(
    ("now", "end"),
    [
        pytest.param("03-02 20:59", None, id="before"),  # Berlin is an hour ahead
        pytest.param("03-02 21:00", "03-03 06:00", id="evening"),
        pytest.param("03-03 05:59", "03-03 06:00", id="morning"),
        pytest.param("03-03 06:00", None, id="over"),
        pytest.param("03-28 23:00", "03-29 05:00", id="a-short-night"),
    ],
)
def test_quiet_hours(now, end) -> None:
    assert quiet_until(NIGHT, utc(now), ZoneInfo("Europe/Berlin")) == (utc(end) if end else None)


BUSY = [Spent(n, utc("03-02 09:00")) for n in range(3)]


case = pytest.param
SENT, DIGEST = RouteReason.DELIVERED, RouteReason.FOR_DIGEST
HELD, OVER = RouteReason.QUIET_HOURS, RouteReason.OVER_BUDGET


@pytest.mark.parametrize(
    ("timing", "schedule", "severity", "now", "reason", "due"),
    [
        case(Timing(), "immediate", "low", "03-02 12:00", SENT, "03-02 12:00", id="at-once"),
        case(Timing(), "daily", "high", "03-02 12:00", DIGEST, "03-03 08:00", id="digest"),
        case(Timing(), "daily", "critical", "03-02 12:00", SENT, "03-02 12:00", id="urgent"),
        case(Timing(urgent=None), "daily", "critical", "03-02 12:00", DIGEST, "03-03 08:00", id="none"),
        case(Timing(quiet=NIGHT), "immediate", "high", "03-02 23:00", HELD, "03-03 07:00", id="held"),
        case(Timing(quiet=NIGHT), "immediate", "critical", "03-02 23:00", SENT, "03-02 23:00", id="wakes"),
        case(Timing(budget=4), "immediate", "high", "03-02 12:00", SENT, "03-02 12:00", id="within"),
        case(Timing(budget=3), "immediate", "high", "03-02 12:00", OVER, "03-03 08:00", id="over"),
        case(Timing(budget=3), "immediate", "critical", "03-02 12:00", SENT, "03-02 12:00", id="priceless"),
        case(Timing(budget=3), "immediate", "high", "03-03 12:00", SENT, "03-03 12:00", id="new-day"),
        case(Timing(budget=3, quiet=NIGHT), "immediate", "high", "03-02 23:00", HELD, "03-03 07:00", id="tomorrows"),
        case(Timing(quiet=NIGHT), "hourly", "high", "03-02 23:30", DIGEST, "03-03 07:00", id="night"),
    ],
)  # fmt: skip
def test_when(timing, schedule, severity, now, reason, due) -> None:
    found = when(timing, Schedule(schedule), Severity(severity), utc(now), ZoneInfo("UTC"), spent=BUSY)
    assert (found.reason, found.due_at) == (reason, utc(due))


def test_what_a_budget_leaves_over_waits_for_a_daily_digest() -> None:
    assert next_digest(Timing(budget=0), Schedule.IMMEDIATE, utc("03-02 12:00"), UTC) == utc("03-03 08:00")
