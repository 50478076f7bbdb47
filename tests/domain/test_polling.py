"""What follows a poll: states, notices, addresses, rhythm and pace as tables of decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.model import (
    Busy,
    Failed,
    Feed,
    FeedState,
    Fetched,
    FetchReason,
    FullText,
    Gone,
    Limited,
    Move,
    NoticeKind,
    NotModified,
    ParsedEntry,
    ParsedFeed,
    Rhythm,
    Tier,
    Validators,
)
from service.domain.polling import (
    BELIEVED_FOR,
    LAST_IN_LINE,
    MAX_BACKOFF,
    TELL_AFTER,
    News,
    Polled,
    after_poll,
    asks_with,
    next_pace,
    rhythm_of,
)
from tests.conftest import NOON

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FEED = Feed(
    id=1,
    url="https://a.example/",
    title="",
    state=FeedState.NEW,
    tier=Tier.UNKNOWN,
    full_text=FullText.AUTO,
    interval=HOUR,
    next_due_at=NOON,
    validators=Validators(etag='"1"'),
    body_hash="h1",
)


@pytest.mark.parametrize(
    ("result", "state", "wait"),
    [
        pytest.param(Fetched(url="u", body=b"x"), FeedState.HEALTHY, HOUR, id="fetched"),
        pytest.param(NotModified(url="u"), FeedState.HEALTHY, HOUR, id="not-modified"),
        pytest.param(Limited(url="u", status=429), FeedState.LIMITED, HOUR, id="limited"),
        pytest.param(
            Limited(url="u", status=429, retry_after=5 * HOUR),
            FeedState.LIMITED,
            5 * HOUR + LAST_IN_LINE,
            id="limited-for-long",
        ),
        pytest.param(Gone(url="u"), FeedState.GONE, MAX_BACKOFF, id="gone"),
        pytest.param(
            Failed(url="u", reason=FetchReason.TIMEOUT, detail="slow"), FeedState.FAILING, HOUR, id="failed-once"
        ),
    ],
)
def test_after_poll(result, state, wait) -> None:
    update = after_poll(FEED, Polled(result=result, document=ParsedFeed()), NOON, 0.5)
    assert (update.state, update.next_due_at - NOON) == (state, wait)


def test_a_failing_feed_slows_to_once_a_day_and_is_never_given_up() -> None:
    failed = Failed(url="u", reason=FetchReason.TIMEOUT, detail="slow")
    waits = [
        after_poll(replace(FEED, failures=n), Polled(result=failed), NOON, 0.5).next_due_at - NOON for n in range(60)
    ]
    assert waits == sorted(waits)
    assert waits[-1] == MAX_BACKOFF


@pytest.mark.parametrize(
    "result", [NotModified(url="u"), Gone(url="u"), Failed(url="u", reason=FetchReason.TIMEOUT, detail="slow")]
)
def test_validators_are_replaced_only_by_a_document(result) -> None:
    update = after_poll(FEED, Polled(result=result), NOON, 0.5)
    assert (update.validators, update.body_hash) == (FEED.validators, "h1")


def test_a_server_that_repeats_304_is_asked_outright_after_eight_days() -> None:
    feed = replace(FEED, validated_at=NOON)
    assert asks_with(feed, NOON + BELIEVED_FOR) == FEED.validators
    assert asks_with(feed, NOON + BELIEVED_FOR + HOUR) == Validators()
    update = after_poll(feed, Polled(result=Fetched(url=FEED.url, body=b"x")), NOON + 9 * DAY, 0.5)
    assert update.validated_at == NOON + 9 * DAY


def test_a_host_without_time_for_us_says_nothing_of_the_feed() -> None:
    feed = replace(FEED, state=FeedState.FAILING, failures=2, problem="slow", polled_once=True)
    update = after_poll(feed, Polled(result=Busy(url=FEED.url)), NOON, 0.5)
    assert (update.state, update.failures, update.problem) == (FeedState.FAILING, 2, "slow")
    assert update.next_due_at - NOON < timedelta(minutes=3)
    assert not update.notices


# --- a life in polls ------------------------------------------------------------------------------------------------

SLOW = Failed(url=FEED.url, reason=FetchReason.TIMEOUT, detail="slow")
SAME = NotModified(url=FEED.url)
GONE = Gone(url=FEED.url)
NEW_URL = "https://new.example/feed"
ELSEWHERE = NotModified(url=NEW_URL, moved=True)


def lived(feed: Feed, *results, every: timedelta = HOUR):
    """The feed after these polls, and the kinds of notice that they brought."""
    kinds: list[NoticeKind] = []
    for number, result in enumerate(results):
        at = NOON + number * every
        update = after_poll(feed, Polled(result=result), at, 0.5)
        kinds += [notice.kind for notice in update.notices]
        feed = replace(
            feed,
            state=update.state,
            failures=update.failures,
            move=update.move,
            problem=update.problem,
            polled_once=feed.polled_once or update.ok,
            last_ok_at=at if update.ok else feed.last_ok_at,
        )
    return feed, kinds


@pytest.mark.parametrize(
    ("results", "state", "kinds"),
    [
        pytest.param([SAME, SAME], FeedState.HEALTHY, [], id="nothing-happens"),
        pytest.param([SAME, SLOW, SAME], FeedState.HEALTHY, [], id="one-lost-connection-is-no-news"),
        pytest.param([SLOW, SLOW], FeedState.FAILING, [NoticeKind.FAILING], id="never-worked"),
        pytest.param([SAME, *[SLOW] * 9], FeedState.FAILING, [NoticeKind.FAILING], id="told-once"),
        pytest.param(
            [SAME, *[SLOW] * TELL_AFTER, SAME],
            FeedState.HEALTHY,
            [NoticeKind.FAILING, NoticeKind.RECOVERED],
            id="told-that-it-is-well-again",
        ),
        pytest.param([SAME, GONE, GONE], FeedState.GONE, [NoticeKind.GONE], id="gone"),
        pytest.param([SAME, GONE, SAME], FeedState.HEALTHY, [NoticeKind.GONE, NoticeKind.RECOVERED], id="back"),
        pytest.param([SAME, ELSEWHERE], FeedState.MOVED, [NoticeKind.MOVED], id="moved"),
    ],
)
def test_states_and_what_the_owner_is_told(results, state, kinds) -> None:
    feed, told = lived(FEED, *results)
    assert (feed.state, told) == (state, kinds)


def test_a_new_address_is_learned_when_it_lasts_and_dropped_when_it_fails() -> None:
    feed, told = lived(FEED, ELSEWHERE, ELSEWHERE, ELSEWHERE, every=HOUR)
    assert (feed.state, feed.address) == (FeedState.MOVED, FEED.url)
    feed, told = lived(FEED, ELSEWHERE, ELSEWHERE, ELSEWHERE, every=DAY)
    assert (feed.state, feed.address) == (FeedState.HEALTHY, NEW_URL)
    assert told == [NoticeKind.MOVED, NoticeKind.ADDRESS_LEARNED]
    feed, told = lived(feed, NotModified(url=NEW_URL), *[SLOW] * TELL_AFTER)
    assert feed.address == FEED.url
    assert NoticeKind.ADDRESS_DROPPED in told


def test_a_redirect_that_is_taken_back_is_forgotten() -> None:
    feed, _ = lived(FEED, ELSEWHERE, SAME, ELSEWHERE, ELSEWHERE, every=DAY)
    assert feed.move == Move(to=NEW_URL, seen=2, since=NOON + 2 * DAY)


def test_a_feed_that_moves_on_is_asked_at_its_last_address_until_the_next_is_learned() -> None:
    settled = replace(FEED, move=Move(to=NEW_URL, seen=3, since=NOON, learned=True))
    feed, _ = lived(settled, NotModified(url="https://third.example/", moved=True))
    assert feed.address == NEW_URL


# --- rhythm, quiet, gaps --------------------------------------------------------------------------------------------


def test_a_rhythm_needs_some_times_and_is_not_bent_by_one_pause() -> None:
    assert rhythm_of([NOON] * 20) is None
    times = [NOON + n * HOUR for n in range(9)]
    assert rhythm_of([*times, NOON + 3 * DAY]) == Rhythm(usual=HOUR, longest=3 * DAY - 8 * HOUR)


@pytest.mark.parametrize(
    ("longest", "silence", "state"),
    [
        pytest.param(HOUR, 2 * DAY, FeedState.HEALTHY, id="a-weekend"),
        pytest.param(HOUR, 4 * DAY, FeedState.QUIET, id="hourly-and-four-days-of-nothing"),
        pytest.param(90 * DAY, 200 * DAY, FeedState.HEALTHY, id="quarterly"),
        pytest.param(None, 20 * DAY, FeedState.HEALTHY, id="unknown-rhythm"),
        pytest.param(None, 50 * DAY, FeedState.QUIET, id="unknown-rhythm-and-long-nothing"),
    ],
)
def test_quiet_is_longer_than_the_rhythm_explains(longest, silence, state) -> None:
    rhythm = Rhythm(usual=HOUR, longest=longest) if longest else None
    feed = replace(FEED, rhythm=rhythm, last_news_at=NOON - silence, polled_once=True)
    assert after_poll(feed, Polled(result=SAME), NOON, 0.5).state is state


def a_poll(*, shared: int, fresh: int) -> Polled:
    entries = tuple(ParsedEntry(guid=str(n), published=NOON - n * HOUR) for n in range(shared + fresh))
    times = tuple(entry.published for entry in entries if entry.published)
    news = News(shared=shared, fresh=fresh, size=shared + fresh, times=times)
    return Polled(result=Fetched(url=FEED.url, body=b"x"), document=ParsedFeed(entries=entries), news=news)


USED = replace(FEED, polled_once=True, last_ok_at=NOON - 20 * HOUR, last_news_at=NOON - 21 * HOUR)


def test_a_document_without_a_known_entry_opens_a_gap_and_is_polled_sooner() -> None:
    hourly = replace(USED, rhythm=Rhythm(usual=HOUR, longest=HOUR), pace=HOUR)
    update = after_poll(hourly, a_poll(shared=0, fresh=10), NOON, 0.5)
    assert update.gap is not None
    assert (update.gap.since, update.gap.until) == (NOON - 20 * HOUR, NOON - 9 * HOUR)
    assert update.gap.missing == 11
    assert update.pace is not None
    assert update.pace <= HOUR / 2
    assert [notice.kind for notice in update.notices] == [NoticeKind.GAP]


@pytest.mark.parametrize(
    ("feed", "shared", "fresh"),
    [
        pytest.param(USED, 1, 9, id="one-known-entry"),
        pytest.param(USED, 0, 0, id="an-empty-document"),
        pytest.param(FEED, 0, 10, id="the-first-poll"),
        pytest.param(replace(USED, last_news_at=None), 0, 3, id="the-first-entries-ever"),
    ],
)
def test_no_gap(feed, shared, fresh) -> None:
    assert after_poll(feed, a_poll(shared=shared, fresh=fresh), NOON, 0.5).gap is None


@pytest.mark.parametrize(
    ("usual", "size", "before", "pace"),
    [
        pytest.param(None, None, None, HOUR, id="unknown-rhythm"),
        pytest.param(10 * DAY, 10, 2 * HOUR, 2 * HOUR, id="rare-news-within-limits"),
        pytest.param(timedelta(seconds=1), 10, HOUR, HOUR / 5, id="a-flood-within-limits"),
        pytest.param(HOUR, 10, HOUR, HOUR / 2, id="half-the-usual-pause"),
        pytest.param(2 * HOUR, 1, HOUR, 2 * HOUR / 3, id="a-document-of-one-entry"),
        pytest.param(10 * DAY, 10, HOUR / 2, HOUR * 0.55, id="back-from-a-gap-by-tenths"),
    ],
)
def test_pace(usual, size, before, pace) -> None:
    rhythm = Rhythm(usual=usual, longest=usual) if usual else None
    assert next_pace(replace(FEED, pace=before), rhythm, size=size, gap=False) == pace


def test_the_hosts_wish_to_be_left_alone_is_met_within_limits() -> None:
    wishing = Fetched(url=FEED.url, body=b"x", fresh_for=1.5 * HOUR)
    assert after_poll(FEED, Polled(result=wishing), NOON, 0.5).next_due_at - NOON == 1.5 * HOUR
    greedy = replace(wishing, fresh_for=DAY)
    assert after_poll(FEED, Polled(result=greedy), NOON, 0.5).next_due_at - NOON == 2 * HOUR
