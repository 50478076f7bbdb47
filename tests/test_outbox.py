"""Channels that fail, replays and the list of events, on both databases, through the store."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from service.delivery.message import render
from service.domain import routing
from service.domain.model import (
    Answer,
    ChannelHealth,
    ChannelNoticeKind,
    Delivery,
    DeliveryKind,
    DeliveryState,
    DisabledReason,
    Language,
    Outcome,
    OutcomeStatus,
)
from service.storage.outbox import Range
from service.storage.store import Store
from tests.builders import LEASE, a_channel, a_subscription
from tests.conftest import NOON

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SENT = Outcome(status=OutcomeStatus.SENT, http_status=200)
BROKEN = Outcome(status=OutcomeStatus.RETRY, http_status=500, detail="answered 500")
GONE = Outcome(status=OutcomeStatus.REFUSED, http_status=410, detail="answered 410")
A, B = a_channel("https://a.example.org/hook"), a_channel("https://b.example.org/hook")


@pytest.fixture
def pair(store: Store) -> tuple[int, int]:
    """The ids of the two channels of one subscription."""
    saved = store.subscriptions.create("t", a_subscription(channels=(A, B)), now=NOON)
    first, second = saved.subscription.channels
    return first.id, second.id


def put(store: Store, channel_id: int, name: str, now=NOON) -> int:
    return store.outbox.add_test(
        team="t", channel_id=channel_id, subscription="desk", language=Language.ENGLISH, nonce=name, now=now
    )


def attempt(store: Store, outcome: Outcome, now=NOON) -> list[Delivery]:
    """One attempt at whatever is due, each with this outcome."""
    claimed = store.outbox.claim_due(now, limit=50, lease=LEASE)
    for one in claimed:
        assert store.outbox.begin_attempt(one, now=now)
        assert store.outbox.settle(one, routing.after_attempt(one.tries, outcome, now, 0.5), now=now)
    return list(claimed)


def health(store: Store, channel_id: int) -> ChannelHealth:
    (state,) = store.channels.states(NOON, ids=[channel_id])
    return state.health


class TestDisabled:
    def test_gone_ends_it_and_another_channel_is_told(self, store: Store, pair: tuple[int, int]) -> None:
        put(store, pair[0], "1")
        attempt(store, GONE)
        assert health(store, pair[0]).disabled_because is DisabledReason.GONE
        (told,) = attempt(store, SENT, NOON + MINUTE)
        assert (told.kind, told.channel.id) == (DeliveryKind.CHANNEL_NOTICE, pair[1])
        (report,) = told.channel_reports
        assert (report.channel_id, report.kind) == (pair[0], ChannelNoticeKind.DISABLED)
        assert f"policywatch channels enable {pair[0]}" in report.detail
        assert b'"type":"channel.notice"' in (render(told, now=NOON).payload or b"")

    def test_what_comes_meanwhile_is_kept_and_sent_when_it_is_enabled(
        self, store: Store, pair: tuple[int, int]
    ) -> None:
        put(store, pair[0], "1")
        attempt(store, GONE)
        attempt(store, SENT, NOON + MINUTE)
        old = put(store, pair[0], "2", NOON + DAY)
        young = put(store, pair[0], "3", NOON + 2 * DAY)
        assert attempt(store, SENT, NOON + 3 * DAY) == []
        assert store.channels.enable(pair[0], team="other", since=None, now=NOON + 3 * DAY) is None
        done = store.channels.enable(pair[0], team="t", since=NOON + 2 * DAY, now=NOON + 3 * DAY)
        assert done is not None
        assert (done.waiting, done.dropped) == (1, 1)
        assert [one.id for one in attempt(store, SENT, NOON + 3 * DAY)] == [young]
        dropped = store.outbox.get(old, team="t")
        assert dropped is not None
        assert dropped.state is DeliveryState.DEAD
        assert store.channels.enable(pair[0], team="t", since=None, now=NOON + 3 * DAY) is None

    def test_five_days_of_failures_end_it(self, store: Store, pair: tuple[int, int]) -> None:
        for day in range(5):
            put(store, pair[0], f"{day}", NOON + day * DAY)
            attempt(store, BROKEN, NOON + day * DAY)
            assert health(store, pair[0]).disabled_at is None
        attempt(store, BROKEN, NOON + 5 * DAY)
        assert health(store, pair[0]).disabled_because is DisabledReason.FAILING

    def test_without_another_channel_of_the_subscription_the_team_hears(self, store: Store) -> None:
        lone = store.subscriptions.create("t", a_subscription("lone", channels=(A,)), now=NOON).subscription
        other = store.subscriptions.create("t", a_subscription("other", channels=(B,)), now=NOON).subscription
        put(store, lone.channels[0].id, "1")
        attempt(store, GONE)
        (told,) = attempt(store, SENT, NOON + MINUTE)
        assert (told.channel.id, told.subscription) == (other.channels[0].id, "other")

    def test_another_team_does_not_hear(self, store: Store) -> None:
        lone = store.subscriptions.create("t", a_subscription(channels=(A,)), now=NOON).subscription
        store.subscriptions.create("u", a_subscription(channels=(B,)), now=NOON)
        put(store, lone.channels[0].id, "1")
        attempt(store, GONE)
        assert attempt(store, SENT, NOON + MINUTE) == []


def test_a_channel_rests_as_its_receiver_asks(store: Store, pair: tuple[int, int]) -> None:
    busy = Outcome(status=OutcomeStatus.RETRY, http_status=429, retry_after=timedelta(minutes=5))
    put(store, pair[0], "1")
    attempt(store, busy)
    other = put(store, pair[0], "2")
    assert attempt(store, SENT, NOON + 4 * MINUTE) == []
    assert [one.id for one in attempt(store, SENT, NOON + 5 * MINUTE)] != []
    assert store.outbox.get(other, team="t") is not None


class TestReplay:
    def test_what_was_accepted_goes_out_again_under_its_id(self, store: Store, pair: tuple[int, int]) -> None:
        put(store, pair[0], "1")
        (first,) = attempt(store, SENT)
        assert not first.repeat
        assert store.outbox.redeliver(first.id, team="t", now=NOON)
        assert not store.outbox.redeliver(first.id, team="t", now=NOON), "it is in line"
        (again,) = attempt(store, SENT)
        assert (again.id, again.message_id, again.attempts, again.tries) == (first.id, first.message_id, 2, 1)
        assert again.repeat
        assert render(again, now=NOON).payload == render(first, now=NOON).payload

    def test_a_range(self, store: Store, pair: tuple[int, int]) -> None:
        """Tests are left out of a range; notices about channels are not."""
        put(store, pair[0], "1")
        attempt(store, GONE)
        (told,) = attempt(store, SENT, NOON + MINUTE)
        everything = Range(state=DeliveryState.SENT, since=NOON, until=NOON + DAY)
        assert store.outbox.replay(everything, team="other", now=NOON + DAY, only_count=False) == 0
        assert store.outbox.replay(everything, team="t", now=NOON + DAY, only_count=True) == 1
        assert attempt(store, SENT, NOON + DAY) == []
        assert store.outbox.replay(everything, team="t", now=NOON + DAY, only_count=False) == 1
        assert [one.message_id for one in attempt(store, SENT, NOON + DAY)] == [told.message_id]
        before = Range(state=DeliveryState.SENT, until=NOON)
        assert store.outbox.replay(before, team="t", now=NOON + DAY, only_count=True) == 0

    def test_an_attempt_of_unknown_fate_makes_the_next_one_a_repeat(self, store: Store, pair: tuple[int, int]) -> None:
        put(store, pair[0], "1")
        (cut_off,) = store.outbox.claim_due(NOON, limit=1, lease=LEASE)
        assert store.outbox.begin_attempt(cut_off, now=NOON)
        (again,) = attempt(store, SENT, NOON + 2 * LEASE)
        assert again.repeat

    def test_what_was_answered_is_kept(self, store: Store, pair: tuple[int, int]) -> None:
        answer = Answer(headers={"server": "nginx"}, body="busy")
        one = put(store, pair[0], "1")
        attempt(store, Outcome(status=OutcomeStatus.RETRY, http_status=503, answer=answer))
        log = store.outbox.get(one, team="t")
        assert log is not None
        assert log.log[0].answer == answer


class TestEvents:
    def numbers(self, store: Store, channel_id: int, after: int = 0, now=NOON) -> list[tuple[int, int]]:
        found = store.outbox.events(channel_id, after=after, limit=100, now=now)
        return [(event.number, event.delivery.id) for event in found]

    def test_in_the_order_in_which_they_came_due_whatever_became_of_them(
        self, store: Store, pair: tuple[int, int]
    ) -> None:
        later = put(store, pair[0], "later", NOON + MINUTE)
        first = put(store, pair[0], "first")
        put(store, pair[1], "elsewhere")
        attempt(store, BROKEN)
        assert self.numbers(store, pair[0]) == [(1, first)]
        assert self.numbers(store, pair[0], now=NOON + MINUTE) == [(1, first), (2, later)]
        assert self.numbers(store, pair[0], after=1) == [(2, later)]
        attempt(store, SENT, NOON + MINUTE)
        assert self.numbers(store, pair[0], now=NOON + DAY) == [(1, first), (2, later)]

    def test_of_a_disabled_channel_too(self, store: Store, pair: tuple[int, int]) -> None:
        put(store, pair[0], "1")
        attempt(store, GONE)
        waiting = put(store, pair[0], "2")
        assert self.numbers(store, pair[0], after=1) == [(2, waiting)]

    def test_no_hole_and_nothing_before_what_was_seen(self, store: Store, pair: tuple[int, int]) -> None:
        """Claims and two readers number at the same time; a reader that goes on from its last number misses nothing."""
        ids = {put(store, pair[0], f"{n}") for n in range(24)}
        seen: list[list[tuple[int, int]]] = [[], []]
        faults: list[BaseException] = []

        def reading(mine: list[tuple[int, int]]) -> None:
            try:
                while len(mine) < len(ids):
                    mine += self.numbers(store, pair[0], after=mine[-1][0] if mine else 0)
            except BaseException as exc:
                faults.append(exc)

        readers = [threading.Thread(target=reading, args=(mine,)) for mine in seen]
        for reader in readers:
            reader.start()
        while attempt(store, SENT):
            pass
        for reader in readers:
            reader.join(timeout=30)
        assert faults == []
        for mine in seen:
            assert [number for number, _ in mine] == list(range(1, len(ids) + 1))
            assert {one for _, one in mine} == ids
