"""What follows from one poll of a feed: its state, its next poll, what its owner is told. Decisions only.

No feed is ever given up: whatever happened, it is polled again, at the latest a day later. No date in a feed is
trusted further than the moment at which we saw it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from service.domain.model import (
    Busy,
    Failed,
    Feed,
    FeedState,
    FeedUpdate,
    Fetched,
    FetchReason,
    FetchResult,
    Gap,
    Gone,
    Limited,
    Move,
    Notice,
    NoticeKind,
    NotModified,
    ParsedFeed,
    Rhythm,
    Validators,
)
from service.domain.text import masked

MAX_BACKOFF = timedelta(hours=24)
TELL_AFTER = 3
"""Polls in a row that must fail before the owner is told: one lost connection is no news."""

BELIEVED_FOR = timedelta(days=8)
"""Some servers answer 304 to whatever they are asked; after this long without a document we ask for it outright."""

MOVES_TO_LEARN = 3
TIME_TO_LEARN = timedelta(hours=24)
"""A permanent redirect is learned when it was seen this often over this long: sites take such answers back."""

TIMES_TO_LEARN = 5
"""Distinct times of publication from which a rhythm is read."""

LEAST_PATIENCE = timedelta(days=3)
BLIND_PATIENCE = timedelta(days=45)
"""How long a feed may say nothing: three times its longest pause but at least the one; without a rhythm the other."""

FASTEST, SLOWEST = 5, 2
"""A feed's pace lies between its interval divided by the one and multiplied by the other."""

PUSHED_SLOWER = 4
LEAST_SIZE = 10
"""A feed that its hub pushes is polled this much more slowly; the entries that a document is taken to hold at least."""

SHORTEST_PACE = timedelta(minutes=1)
BUSY_WAIT = timedelta(minutes=1)
LAST_IN_LINE = timedelta(minutes=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a document brought, held against what is stored: `shared` entries were known, `times` are those at which
    the feed's newest entries, these included, came out; `size` counts the document's."""

    shared: int
    fresh: int
    size: int
    times: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What one poll of a feed brought: the fetch, and the document where there was a new one."""

    result: FetchResult
    document: ParsedFeed | None = None
    body_hash: str | None = None
    unchanged: int = 0  # items left out of the document, as they are known from the one before
    news: News | None = None
    digests: tuple[str, ...] | None = None


def asks_with(feed: Feed, now: datetime) -> Validators:
    """The validators to ask with; none when they have stood for so long that the server may be repeating itself."""
    if feed.validated_at is not None and now - feed.validated_at > BELIEVED_FOR:
        return Validators()
    return feed.validators


def after_poll(feed: Feed, polled: Polled, now: datetime, chance: float) -> FeedUpdate:
    """What a feed becomes after a poll; `chance` in 0..1 spreads the next due time by ±10 %.

    A failing feed is tried for ever, at a pace that slows to once a day.
    """
    match polled.result:
        case Fetched() | NotModified() as answer:
            update = _answered(feed, polled, answer, now, chance)
        case Limited(status=status, retry_after=retry_after):
            # Whoever is told to wait comes after the feeds of its host that were held back for it, or one bad address
            # would keep them all away for ever.
            asked = min(retry_after + LAST_IN_LINE, MAX_BACKOFF) if retry_after else timedelta(0)
            wait = max(_spread(pace_of(feed), chance), asked)
            said = f"the server asks for patience (HTTP {status}); next poll in {in_words(wait)}"
            update = _troubled(feed, FeedState.LIMITED, now + wait, FetchReason.HTTP_STATUS, said)
        case Gone():
            said = "the server says that this feed is gone for good (HTTP 410); look for its new address"
            update = _troubled(feed, FeedState.GONE, now + MAX_BACKOFF, FetchReason.HTTP_STATUS, said)
        case Failed(reason=reason, detail=detail):
            wait = min(_spread(feed.interval, chance) * 2 ** min(feed.failures, 10), MAX_BACKOFF)
            update = _troubled(feed, FeedState.FAILING, now + wait, reason, detail)
        case Busy(wait=held):
            if held is None:
                return _unasked(feed, now + BUSY_WAIT * (1 + chance))
            said = f"its host has asked us, over another address, to leave it alone; next poll in {in_words(held)}"
            return replace(_unasked(feed, now + held + BUSY_WAIT * chance), problem=said)
    update = _with_move(feed, update, polled.result, now)
    return replace(update, notices=(*update.notices, *_state_notices(feed, update)))


# --- a poll that went well ------------------------------------------------------------------------------------------


def _answered(feed: Feed, polled: Polled, answer: Fetched | NotModified, now: datetime, chance: float) -> FeedUpdate:
    news, document = polled.news, polled.document
    rhythm, last = feed.rhythm, feed.last_news_at
    if news is not None and news.times:
        rhythm = rhythm_of(news.times) or feed.rhythm
        last = max(news.times) if last is None else max(last, max(news.times))
    gap = gap_between(feed, polled, now)
    pace = next_pace(feed, rhythm, size=news.size if news else None, gap=gap is not None)
    wait = max(pace, min(answer.fresh_for or timedelta(0), feed.interval * SLOWEST))
    if feed.pushed_until is not None and now < feed.pushed_until and not (news and news.fresh):
        wait = max(wait, safety_net(feed, rhythm, size=news.size if news else None))
    fetched = answer if isinstance(answer, Fetched) else None
    return FeedUpdate(
        state=FeedState.QUIET if is_quiet(feed, rhythm, last, now) else FeedState.HEALTHY,
        next_due_at=now + _spread(wait, chance),
        failures=0,
        validators=fetched.validators if fetched else feed.validators,
        body_hash=polled.body_hash if fetched else feed.body_hash,
        validated_at=now if fetched else feed.validated_at,
        problem=document.warning if document else None,
        title=document.title if document and document.title else None,
        ok=True,
        move=feed.move,
        rhythm=rhythm,
        last_news_at=last,
        pace=pace,
        gap=gap,
        notices=(Notice(kind=NoticeKind.GAP, detail=describe_gap(gap)),) if gap else (),
    )


def rhythm_of(times: Iterable[datetime]) -> Rhythm | None:
    """The rhythm in these times of publication; None when they are too few to tell."""
    distinct = sorted(set(times))
    if len(distinct) < TIMES_TO_LEARN:
        return None
    pauses = [after - before for before, after in pairwise(distinct)]
    usual = timedelta(seconds=median(pause.total_seconds() for pause in pauses))
    return Rhythm(usual=usual, longest=max(pauses))


def patience_with(rhythm: Rhythm | None) -> timedelta:
    """How long a feed of this rhythm may publish nothing before it counts as quiet."""
    return BLIND_PATIENCE if rhythm is None else max(LEAST_PATIENCE, 3 * rhythm.longest)


def is_quiet(feed: Feed, rhythm: Rhythm | None, last_news_at: datetime | None, now: datetime) -> bool:
    """Whether a feed that answers well has said nothing for longer than its rhythm explains."""
    since = max((when for when in (last_news_at, feed.added_at) if when is not None), default=now)
    return now - since > patience_with(rhythm)


def gap_between(feed: Feed, polled: Polled, now: datetime) -> Gap | None:
    """The gap that a document without one known entry leaves between the last good poll and itself."""
    news, document = polled.news, polled.document
    if news is None or document is None or not document.entries or news.shared or not feed.polled_once:
        return None
    if feed.last_ok_at is None or feed.last_news_at is None:
        return None  # nothing was ever there that could have rolled off
    dates = [entry.published for entry in document.entries if entry.published is not None]
    until = max(feed.last_ok_at, min(*dates, now)) if dates else now
    missing = max(1, round((until - feed.last_ok_at) / feed.rhythm.usual)) if feed.rhythm else None
    return Gap(since=feed.last_ok_at, until=until, missing=missing)


def describe_gap(gap: Gap) -> str:
    about = f"about {gap.missing}" if gap.missing else "some"
    return (
        f"no entry of {gap.since:%Y-%m-%d %H:%M} was left at {gap.until:%Y-%m-%d %H:%M} UTC: {about} may have come and "
        "gone unseen; the feed is polled more often now"
    )


# --- how often ------------------------------------------------------------------------------------------------------


def pace_of(feed: Feed) -> timedelta:
    """How often the feed is polled at present."""
    return feed.pace or feed.interval


def next_pace(feed: Feed, rhythm: Rhythm | None, *, size: int | None, gap: bool) -> timedelta:
    """How often to poll from now on.

    Half the usual pause between entries, and often enough that a document of `size` entries is seen three times
    before it has rolled over; after a gap twice as often as before, and back from there by a tenth with each poll.
    """
    fastest = min(feed.interval, max(SHORTEST_PACE, feed.interval / FASTEST))
    pace = feed.interval
    if rhythm is not None:
        pace = rhythm.usual / 2
        if size:
            pace = min(pace, rhythm.usual * size / 3)
    before = pace_of(feed)
    if gap:
        pace = min(pace, before / 2)
    elif feed.pace is not None:
        pace = min(pace, before * 1.1)
    return max(fastest, min(pace, feed.interval * SLOWEST))


def safety_net(feed: Feed, rhythm: Rhythm | None, *, size: int | None) -> timedelta:
    """How long to leave a feed that is pushed: should its hub be silent, no entry has rolled over before we look.

    A poll that finds what the hub did not bring is followed by one at the usual pace.
    """
    slow = feed.interval * PUSHED_SLOWER
    return slow if rhythm is None else min(slow, rhythm.usual * (size or LEAST_SIZE) / 2)


def _spread(wait: timedelta, chance: float) -> timedelta:
    return wait * (0.9 + 0.2 * chance)


# --- trouble --------------------------------------------------------------------------------------------------------


def _troubled(feed: Feed, state: FeedState, due: datetime, reason: FetchReason, problem: str) -> FeedUpdate:
    return FeedUpdate(
        state=state,
        next_due_at=due,
        failures=feed.failures + 1,
        validators=feed.validators,
        body_hash=feed.body_hash,
        validated_at=feed.validated_at,
        reason=reason,
        problem=problem,
        move=feed.move,
        rhythm=feed.rhythm,
        last_news_at=feed.last_news_at,
        pace=feed.pace,
    )


def _unasked(feed: Feed, due: datetime) -> FeedUpdate:
    """Nothing was learned of the feed: it stays as it is and comes again soon."""
    same = _troubled(feed, feed.state, due, FetchReason.INTERNAL, "")
    return replace(same, failures=feed.failures, reason=feed.reason, problem=feed.problem)


def _state_notices(feed: Feed, update: FeedUpdate) -> tuple[Notice, ...]:
    """The notice that a change of state is worth: trouble once it has lasted, and its end once it was told."""
    kind: NoticeKind | None = None
    said = update.problem or ""
    needed = TELL_AFTER if feed.polled_once else 1
    if update.state in (FeedState.FAILING, FeedState.LIMITED):
        if update.failures == needed and feed.state is not FeedState.GONE:
            kind = NoticeKind(update.state.value)
    elif update.state is feed.state:
        return ()
    elif update.state is FeedState.GONE:
        kind = NoticeKind.GONE
    elif update.state is FeedState.QUIET:
        last = f"{update.last_news_at:%Y-%m-%d %H:%M} UTC" if update.last_news_at else "it was added"
        kind, said = (
            NoticeKind.QUIET,
            f"it answers, but has published nothing since {last}; is it still the right feed?",
        )
    elif update.state is FeedState.MOVED:
        kind, said = NoticeKind.MOVED, f"it is answered from {masked(update.move.to) if update.move else 'elsewhere'}"
    elif update.state is FeedState.HEALTHY and _was_told(feed, needed):
        kind, said = NoticeKind.RECOVERED, f"it was {feed.state} and is well again"
    return (Notice(kind=kind, detail=said),) if kind else ()


def _was_told(feed: Feed, needed: int) -> bool:
    if feed.state in (FeedState.FAILING, FeedState.LIMITED):
        return feed.failures >= needed
    return feed.state in (FeedState.GONE, FeedState.QUIET)


# --- permanent redirects --------------------------------------------------------------------------------------------


def _with_move(feed: Feed, update: FeedUpdate, result: FetchResult, now: datetime) -> FeedUpdate:
    """The update with what this poll says of the feed's address.

    A learned address that stops answering is dropped, so that no redirect, wrong or hostile, can lose a feed.
    """
    if feed.move is not None and feed.move.learned and not update.ok:
        if update.failures < TELL_AFTER and update.state is not FeedState.GONE:
            return update
        said = f"{masked(feed.move.to)} does not answer any more; back to {masked(feed.url)}"
        notice = Notice(kind=NoticeKind.ADDRESS_DROPPED, detail=said)
        unasked = replace(update, validators=Validators(), body_hash=None)
        return replace(unasked, move=None, notices=(*update.notices, notice))
    if not isinstance(result, Fetched | NotModified):
        return update
    settled = feed.move if feed.move is not None and feed.move.learned else None
    if not result.moved or result.url == feed.url:
        return replace(update, move=settled)
    if feed.move is None or feed.move.to != result.url:
        via = feed.address if feed.address != feed.url else None
        return replace(update, state=FeedState.MOVED, move=Move(to=result.url, seen=1, since=now, via=via))
    seen = replace(feed.move, seen=feed.move.seen + 1)
    if seen.seen < MOVES_TO_LEARN or now - seen.since < TIME_TO_LEARN:
        return replace(update, state=FeedState.MOVED, move=seen)
    said = f"its new address is {masked(seen.to)}, seen {seen.seen} times since {seen.since:%Y-%m-%d %H:%M} UTC"
    notice = Notice(kind=NoticeKind.ADDRESS_LEARNED, detail=said)
    return replace(update, move=replace(seen, learned=True), notices=(*update.notices, notice))


def in_words(wait: timedelta) -> str:
    """A wait for a person: `45 min`, `5 h`, `3 days`."""
    minutes = round(wait.total_seconds() / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{round(minutes / 60)} h" if minutes < 72 * 60 else f"{round(minutes / 1440)} days"
