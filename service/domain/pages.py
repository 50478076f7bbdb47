"""Pages whose reports were told, looked at again: when, and what it means that one is gone. Decisions only.

A page that disappears is taken back only if it was there before: some sites answer machines with 404 from the first
hour. One 404 may be a site being repaired, so it is asked again before anybody is told; 410 is said on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.domain.model import Failed, Fetched, FetchResult, Gone

ASKED_AGAIN = timedelta(minutes=30)
"""How long after a 404 the page is asked for again."""

SURE = 2
"""This many times in a row a page answers 404 before it counts as gone."""


class Seen(StrEnum):
    """What one look found."""

    THERE = "there"
    MISSING = "missing"  # 404
    GONE = "gone"  # 410
    UNKNOWN = "unknown"  # the host is away, busy, or refuses us: it says nothing about the page


class Verdict(StrEnum):
    """What follows from a look."""

    LOOK_AGAIN = "look_again"
    WITHDRAWN = "withdrawn"
    NEVER_THERE = "never_there"  # it was gone before we ever saw it: nothing can be said of it
    ENOUGH = "enough"  # it has stood for as long as we look


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a page stands: told of at `since`, `seen` at any time, gone at the last `missing` looks."""

    since: datetime
    seen: bool = False
    missing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look changes: the page as it stands now, and when it is looked at again if it is."""

    verdict: Verdict
    look: Look
    due_at: datetime


def first_look(since: datetime, schedule: Sequence[timedelta]) -> datetime | None:
    """When a page is looked at first after its report was told; None when pages are not looked at."""
    return since + schedule[0] if schedule else None


def seen(result: FetchResult) -> Seen:
    """What an answer says about a page."""
    match result:
        case Fetched():
            return Seen.THERE
        case Gone():
            return Seen.GONE
        case Failed(status=404):
            return Seen.MISSING
        case _:
            return Seen.UNKNOWN


def after_look(look: Look, found: Seen, schedule: Sequence[timedelta], now: datetime) -> Looked:
    """What follows from finding a page so; `schedule` holds the times since it was told at which it is looked at."""
    gone = found in (Seen.MISSING, Seen.GONE)
    missing = look.missing + 1 if gone else look.missing if found is Seen.UNKNOWN else 0
    known = Look(since=look.since, seen=look.seen or found is Seen.THERE, missing=missing)
    if gone and not look.seen:
        return Looked(verdict=Verdict.NEVER_THERE, look=known, due_at=now)
    if found is Seen.GONE or missing >= SURE:
        return Looked(verdict=Verdict.WITHDRAWN, look=known, due_at=now)
    if found is Seen.MISSING:
        return Looked(verdict=Verdict.LOOK_AGAIN, look=known, due_at=now + ASKED_AGAIN)
    left = [look.since + after for after in schedule if look.since + after > now]
    if not left:
        return Looked(verdict=Verdict.ENOUGH, look=known, due_at=now)
    return Looked(verdict=Verdict.LOOK_AGAIN, look=known, due_at=left[0])
