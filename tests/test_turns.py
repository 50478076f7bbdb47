"""Hosts as the fairness device, on PostgreSQL: whose turn a host is, and what happens to the turns of the dead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from service.domain.model import Feed, NotModified
from service.domain.polling import Polled
from service.storage.feeds import NewFeed
from service.storage.store import Store
from service.storage.sweep import Swept, sweep
from service.storage.turns import MOST_OF_A_HOST, host_of
from tests.builders import LEASE, healthy
from tests.given import NOON, TEST_KEY
from tests.postgres import Postgres

DAY = timedelta(days=1)
GAP = timedelta(seconds=10)


@pytest.fixture(scope="module")
def database_url(postgres: Postgres) -> Iterator[str]:
    with postgres.new_database() as url:
        Store(url, keys=(TEST_KEY,)).close()
        yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Without feeds."""
    store = Store(database_url, keys=(TEST_KEY,))
    with store.database.write() as session:
        session.execute(text("TRUNCATE feed, host CASCADE"))
    yield store
    store.close()


def add(store: Store, *urls: str) -> None:
    for url in urls:
        assert store.feeds.add(NewFeed(url=url), now=NOON)


def hosts(feeds: tuple[Feed, ...]) -> list[str]:
    return sorted(host_of(feed.url) for feed in feeds)


def save(store: Store, feed: Feed, now=NOON, due=NOON + DAY) -> bool:
    """Whether the poll was recorded: its lease was still ours."""
    (saved,) = store.feeds.save_polls(
        [(feed, Polled(result=NotModified(url=feed.url)))],
        decide=lambda *_: healthy(due),
        now=now,
        look_back=DAY,
        host_gap=GAP,
    )
    return not saved.stale


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://A.example/feed", "a.example:443"),
        ("http://a.example:8080/", "a.example:8080"),
        ("http://[2001:db8::1]/", "2001:db8::1:80"),
        ("drill:7", ""),
        ("http://a.example:port/", ""),
    ],
)
def test_host_of(url: str, host: str) -> None:
    assert host_of(url) == host


def test_a_host_with_many_feeds_starves_nobody(store: Store) -> None:
    add(store, *(f"https://big.example/{n}" for n in range(30)), "https://a.example/", "https://b.example/")
    claimed = store.feeds.claim_due(NOON, limit=10, lease=LEASE)
    assert hosts(claimed) == ["a.example:443", "b.example:443", *["big.example:443"] * 8]
    assert store.feeds.claim_due(NOON, limit=10, lease=LEASE) == ()  # its other feeds wait for their turn


def test_one_claim_takes_a_few_feeds_of_a_host(store: Store) -> None:
    add(store, *(f"https://big.example/{n}" for n in range(30)))
    assert len(store.feeds.claim_due(NOON, limit=100, lease=LEASE)) == MOST_OF_A_HOST


def test_a_host_is_free_a_gap_after_the_last_of_its_feeds(store: Store) -> None:
    add(store, *(f"https://a.example/{n}" for n in range(3)))
    first, second = store.feeds.claim_due(NOON, limit=2, lease=LEASE)
    assert save(store, first)
    assert store.feeds.claim_due(NOON + GAP, limit=5, lease=LEASE) == ()
    assert save(store, second)
    assert store.feeds.claim_due(NOON, limit=5, lease=LEASE) == ()
    assert len(store.feeds.claim_due(NOON + GAP, limit=5, lease=LEASE)) == 1


def test_a_host_whose_holder_died_is_taken_when_the_lease_has_run_out(store: Store) -> None:
    add(store, "https://a.example/")
    (zombie,) = store.feeds.claim_due(NOON, limit=5, lease=LEASE)
    (living,) = store.feeds.claim_due(NOON + LEASE, limit=5, lease=LEASE)
    assert not save(store, zombie, NOON + LEASE)
    # A late result that was refused frees nothing: the host is held by somebody else now.
    add(store, "https://a.example/2")
    assert store.feeds.claim_due(NOON + LEASE, limit=5, lease=LEASE) == ()
    assert save(store, living, NOON + LEASE)


def test_a_feed_added_while_its_host_is_held_comes_next(store: Store) -> None:
    add(store, "https://a.example/1")
    (held,) = store.feeds.claim_due(NOON, limit=5, lease=LEASE)
    add(store, "https://a.example/2")
    assert store.feeds.claim_due(NOON, limit=5, lease=LEASE) == ()
    assert save(store, held)
    (next_,) = store.feeds.claim_due(NOON + GAP, limit=5, lease=LEASE)
    assert next_.url == "https://a.example/2"


def test_a_feed_that_is_wanted_now_is_not_waited_for(store: Store) -> None:
    add(store, "https://a.example/")
    (feed,) = store.feeds.claim_due(NOON, limit=5, lease=LEASE)
    assert save(store, feed)
    assert store.feeds.claim_due(NOON + DAY / 2, limit=5, lease=LEASE) == ()
    store.feeds.poll_now(feed.id, now=NOON + DAY / 2)
    assert len(store.feeds.claim_due(NOON + DAY / 2, limit=5, lease=LEASE)) == 1


def test_the_sweeper_counts_what_the_dead_held_and_puts_hosts_right(store: Store) -> None:
    add(store, "https://a.example/", "https://b.example/")
    assert len(store.feeds.claim_due(NOON, limit=1, lease=LEASE)) == 1
    assert not sweep(store.database, NOON)
    assert sweep(store.database, NOON + LEASE) == Swept(feeds=1)
    with store.database.write() as session:  # rows that came by another way than ours
        session.execute(text("UPDATE host SET ready_at = '2999-01-01' WHERE host = 'a.example:443'"))
        session.execute(text("DELETE FROM host WHERE host = 'b.example:443'"))
    assert store.feeds.claim_due(NOON + LEASE, limit=5, lease=LEASE) == ()
    assert sweep(store.database, NOON + LEASE) == Swept(hosts=2)
    assert len(store.feeds.claim_due(NOON + LEASE, limit=5, lease=LEASE)) == 2


def test_behind_a_pooler_nothing_is_prepared_in_a_session(database_url: str) -> None:
    for pooler in (False, True):
        store = Store(database_url, keys=(TEST_KEY,), pooler=pooler)
        for _ in range(10):
            store.feeds.claim_due(NOON, limit=1, lease=LEASE)
        with store.database.read() as session:
            prepared = session.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()
        store.close()
        assert (prepared == 0) == pooler
