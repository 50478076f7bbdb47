"""What is remembered, on both databases: claims, fences, the serialised placing, the outbox, sealed secrets."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, text

from service.domain import routing, stories
from service.domain.model import (
    DeliveryState,
    EntryState,
    FeedState,
    Gone,
    Language,
    Outcome,
    OutcomeStatus,
    ParsedEntry,
    ParsedFeed,
    RouteReason,
    Scope,
    Secret,
    ServiceError,
    SigningKeys,
)
from service.domain.polling import Polled
from service.storage.alerts import AlertFilter
from service.storage.database import HEAD, Database
from service.storage.entries import ClaimedEntry
from service.storage.feeds import NewFeed, PollSaved, entry_keys
from service.storage.store import Store
from service.storage.subscriptions import NameTaken
from service.storage.tables import ChannelRow, Row
from service.storage.vault import Vault, new_key, read_key_file
from tests.builders import (
    LEASE,
    a_background,
    a_channel,
    a_development,
    a_match,
    a_parsed,
    a_subscription,
    healthy,
    judged,
    received,
)
from tests.conftest import NOON, TEST_KEY

DAY = timedelta(days=1)
LOOK_BACK = timedelta(hours=48)
SENT = Outcome(status=OutcomeStatus.SENT, http_status=200)


def edit(store: Store, now: datetime, parsed: ParsedEntry) -> PollSaved:
    """A poll of the one feed that brings this entry."""
    (feed,) = store.feeds.claim_due(now + DAY, limit=1, lease=LEASE)
    return store.feeds.save_poll(feed, healthy(NOON), (parsed,), now=now, look_back=LOOK_BACK)


def commit_alert(store: Store, now=NOON) -> int:
    """Process every waiting entry as a match of one rule; gives the number of deliveries made."""
    return read(store, store.entries.claim_new(now, limit=50, lease=LEASE), now)


def read(store: Store, waiting: Iterable[ClaimedEntry], now: datetime) -> int:
    made = 0
    for claimed in waiting:
        value = judged(claimed, a_development(), matches=(a_match(),))
        with store.entries.placing() as placing:
            key = value.story_key
            placement = stories.place(key, now, placing.stories_near(key, now))
            story_id = placing.record_story(value, placement, now=now)
            alert = placing.raise_alert(story_id, value, severity=value.matches[0].severity, now=now)
            subscriptions = placing.subscriptions(store.subscriptions)
            routes = routing.route(value.matches, subscriptions, placing.told(alert), a_background())
            made += placing.record_routes(int(value.entry.id), alert, routes, subscriptions, now=now)
    return made


def test_migrations_make_the_tables_of_this_version(store: Store) -> None:
    found = inspect(store.database.engine)
    for table in Row.metadata.sorted_tables:
        assert {c["name"] for c in found.get_columns(table.name)} == {c.name for c in table.columns}
        assert {i["name"] for i in found.get_indexes(table.name)} >= {i.name for i in table.indexes}


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    folder = Path(__file__).parent.parent / "service" / "storage" / "migrations" / "versions"
    assert max(path.name[:4] for path in folder.glob("0*.py")) == HEAD


def test_sqlite_is_durable(tmp_path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    with database.read() as session:
        assert session.execute(text("PRAGMA synchronous")).scalar() == 2
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    database.close()


def test_an_embedded_database_has_one_service(tmp_path) -> None:
    first, second = Database(f"sqlite:///{tmp_path}/x.db"), Database(f"sqlite:///{tmp_path}/x.db")
    first.hold()
    with pytest.raises(ServiceError, match="in use by another policywatch"):
        second.hold()
    first.close()
    second.hold()
    second.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", ""])
def test_other_databases_are_refused_by_name(url) -> None:
    with pytest.raises(ServiceError, match=r"storage\.url"):
        Database(url)


class TestFeeds:
    def test_a_claimed_feed_is_nobody_elses_until_its_lease_ends(self, store: Store) -> None:
        store.feeds.add(NewFeed(url="https://a.example/"), now=NOON)
        assert len(store.feeds.claim_due(NOON, limit=5, lease=LEASE)) == 1
        assert store.feeds.claim_due(NOON, limit=5, lease=LEASE) == ()
        assert len(store.feeds.claim_due(NOON + LEASE, limit=5, lease=LEASE)) == 1

    def test_a_result_after_the_lease_was_lost_changes_nothing(self, store: Store) -> None:
        store.feeds.add(NewFeed(url="https://a.example/"), now=NOON)
        (zombie,) = store.feeds.claim_due(NOON, limit=1, lease=LEASE)
        (living,) = store.feeds.claim_due(NOON + LEASE, limit=1, lease=LEASE)
        late = store.feeds.save_poll(zombie, healthy(NOON + DAY), (a_parsed(),), now=NOON + LEASE, look_back=LOOK_BACK)
        assert late.stale
        assert store.entries.waiting() == 0
        saved = store.feeds.save_poll(
            living, healthy(NOON + DAY), (a_parsed(published=NOON),), now=NOON + LEASE, look_back=LOOK_BACK
        )
        assert (saved.new, saved.stale) == (1, False)

    def test_polls_saved_together_do_not_share_their_troubles(self, store: Store) -> None:
        """A lost lease and an entry that the database refuses cost their own poll, and nothing of the others."""
        for name in ("lost", "refused", "well"):
            store.feeds.add(NewFeed(url=f"https://{name}.example/"), now=NOON)
        claimed = store.feeds.claim_due(NOON, limit=3, lease=LEASE)
        lost, refused, well = sorted(claimed, key=lambda feed: feed.id)
        store.feeds.update(lost.id, lease_token=lost.lease_token + 1)
        with store.database.write() as session:  # a database that refuses one of the rows, whatever its reason
            session.execute(text("CREATE UNIQUE INDEX once ON entry (title)"))
        twins = (a_parsed("2", title="Twin", published=NOON), a_parsed("2 again", title="Twin"))
        brought = {lost: (a_parsed("1"),), refused: twins, well: (a_parsed("3", title="Three"),)}
        saved = store.feeds.save_polls(
            [
                (feed, Polled(result=Gone(url=feed.url), document=ParsedFeed(entries=entries), digests=("a", "b")))
                for feed, entries in brought.items()
            ],
            decide=lambda _, polled: replace(healthy(NOON + DAY), title=f"{polled.news.fresh} new"),
            now=NOON,
            look_back=LOOK_BACK,
        )
        assert [(poll.stale, poll.new, poll.history, poll.refused) for poll in saved] == [
            (True, 0, 0, 0),
            (False, 1, 0, 1),
            (False, 0, 1, 0),
        ]
        feeds = store.feeds.page()
        assert [feed.title for feed in feeds] == ["", "2 new", "1 new"]
        assert "refused entry 'Twin'" in (feeds[1].problem or "")
        # Of the document with the refused entry no item counts as known: it is read whole again.
        assert store.feeds.digests([refused, well]) == {}  # as they were claimed: never polled
        assert store.feeds.digests(feeds) == {refused.id: frozenset(), well.id: {"a", "b"}}

    def test_many_claimers_share_the_feeds_without_overlap(self, store: Store) -> None:
        for number in range(40):
            store.feeds.add(NewFeed(url=f"https://{number}.example/"), now=NOON)
        claimed: list[int] = []

        def claim() -> None:
            while batch := store.feeds.claim_due(NOON, limit=3, lease=LEASE):
                claimed.extend(feed.id for feed in batch)

        threads = [threading.Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(claimed) == len(set(claimed)) == 40

    def test_a_new_feed_does_not_flood(self, store: Store) -> None:
        store.feeds.add(NewFeed(url="https://a.example/"), now=NOON)
        entries = (
            a_parsed("fresh", published=NOON - timedelta(hours=3)),
            a_parsed("old", published=NOON - timedelta(days=30)),
            a_parsed("undated"),
        )
        (feed,) = store.feeds.claim_due(NOON, limit=1, lease=LEASE)
        saved = store.feeds.save_poll(feed, healthy(NOON), entries, now=NOON, look_back=LOOK_BACK)
        assert (saved.new, saved.history) == (1, 2)
        (feed,) = store.feeds.claim_due(NOON, limit=1, lease=LEASE)
        later = (*entries, a_parsed("backdated", published=NOON - timedelta(days=300)))
        saved = store.feeds.save_poll(feed, healthy(NOON), later, now=NOON, look_back=LOOK_BACK)
        assert (saved.new, saved.history) == (1, 0)

    def test_an_entry_edited_in_place_is_read_again(self, store: Store) -> None:
        received(store, NOON, a_parsed("1", title="Minister hints at ban"))
        store.subscriptions.create("t", a_subscription(), now=NOON)
        assert commit_alert(store) == 1
        (feed,) = store.feeds.claim_due(NOON + DAY, limit=1, lease=LEASE)
        edited = (a_parsed("1", title="Minister signs ban"),)
        saved = store.feeds.save_poll(feed, healthy(NOON), edited, now=NOON + DAY, look_back=LOOK_BACK)
        assert (saved.changed, store.entries.waiting()) == (1, 1)
        assert commit_alert(store, NOON + DAY) == 0

    def test_an_entry_edited_again_and_again_is_read_a_few_times_a_day_and_its_last_text_in_the_end(
        self, store: Store
    ) -> None:
        received(store, NOON, a_parsed("1", title="Minister hints at ban"))
        store.subscriptions.create("t", a_subscription(), now=NOON)
        assert commit_alert(store) == 1
        now, read_at = NOON, []
        for number in range(200):  # an edit every quarter of an hour, for two days
            now = NOON + timedelta(minutes=15) * (number + 1)
            edit(store, now, a_parsed("1", title=f"Minister signs ban no. {number}"))
            waiting = store.entries.claim_new(now, limit=5, lease=LEASE)
            read_at += [now for _ in waiting]
            assert read(store, waiting, now) == 0, "whoever was told is not told again"
        assert sum(when <= NOON + DAY for when in read_at) <= 10
        assert sum(when > NOON + DAY for when in read_at) <= 3
        (entry,) = store.entries.claim_new(now + timedelta(hours=12), limit=5, lease=LEASE)
        assert entry.entry.title == "Minister signs ban no. 199"

    def test_a_change_of_markup_is_no_edit(self, store: Store) -> None:
        received(store, NOON, a_parsed("1", content='<p class="a">A <a href="https://a.example/?utm_id=1">ban</a></p>'))
        commit_alert(store)
        link = '<p>A  <a href="https://a.example/?utm_id=2">ban</a>\n</p>'
        assert edit(store, NOON + DAY, a_parsed("1", content=link)).changed == 0
        assert edit(store, NOON + 2 * DAY, a_parsed("1", content=link.replace("A ", "No "))).changed == 1

    def test_keys_do_not_trust_a_repeated_guid(self) -> None:
        same = [a_parsed("g", link=f"https://example.org/{n}") for n in range(3)]
        assert len(set(entry_keys(same))) == 3
        assert len(set(entry_keys([a_parsed("g"), a_parsed("h")]))) == 2

    def test_nothing_in_an_entry_costs_its_siblings(self, store: Store) -> None:
        long = "x" * 50_000
        entries = (a_parsed("1"), a_parsed(long, link=f"https://example.org/{long}", title=long), a_parsed("3"))
        received(store, NOON, *entries)
        assert store.entries.waiting() == 3

    def test_declared_feeds_come_and_go_with_the_configuration(self, store: Store) -> None:
        store.feeds.add(NewFeed(url="https://by-hand.example/"), now=NOON)
        store.feeds.apply([NewFeed(url="https://a.example/"), NewFeed(url="https://b.example/")], now=NOON)
        store.feeds.apply([NewFeed(url="https://b.example/", title="B")], now=NOON)
        assert {(f.url, f.title, f.managed) for f in store.feeds.page()} == {
            ("https://by-hand.example/", "", False),
            ("https://b.example/", "B", True),
        }


def test_what_a_host_asked_for_is_known_to_all_and_the_later_time_holds(store: Store) -> None:
    soon, late = NOON + timedelta(minutes=5), NOON + timedelta(hours=2)
    assert store.hosts.share({"a.example:443": soon, "[::1]:80": late}, now=NOON) == {
        "a.example:443": soon,
        "[::1]:80": late,
    }
    assert store.hosts.share({"a.example:443": late}, now=NOON) == {"a.example:443": late, "[::1]:80": late}
    assert store.hosts.share({"a.example:443": soon}, now=NOON)["a.example:443"] == late
    assert store.hosts.share({}, now=late) == {}


class TestPlacing:
    def test_one_event_in_many_threads_is_one_story_one_alert_one_delivery(self, store: Store) -> None:
        received(store, NOON, *(a_parsed(str(n)) for n in range(12)))
        store.subscriptions.create("t", a_subscription(), now=NOON)
        waiting = store.entries.claim_new(NOON, limit=20, lease=LEASE)
        assert len(waiting) == 12
        made = []

        def place(claimed) -> None:
            value = judged(claimed, a_development(), matches=(a_match(),))
            with store.entries.placing() as placing:
                key = value.story_key
                placement = stories.place(key, NOON, placing.stories_near(key, NOON))
                story_id = placing.record_story(value, placement, now=NOON)
                alert = placing.raise_alert(story_id, value, severity=value.matches[0].severity, now=NOON)
                subscriptions = placing.subscriptions(store.subscriptions)
                routes = routing.route(value.matches, subscriptions, placing.told(alert), a_background())
                made.append(placing.record_routes(int(value.entry.id), alert, routes, subscriptions, now=NOON))

        threads = [threading.Thread(target=place, args=(claimed,)) for claimed in waiting]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(made) == 1
        (alert,) = store.alerts.page("t", wanted=AlertFilter())
        assert len(alert.sources) == 12
        ledger = store.alerts.ledger("t", alert.id)
        assert sorted(line.reason for line in ledger).count(RouteReason.DELIVERED) == 1
        assert len(ledger) == 12, "matches = delivered + suppressed"

    def test_an_entry_is_processed_once(self, store: Store) -> None:
        received(store, NOON, a_parsed())
        (first,) = store.entries.claim_new(NOON, limit=1, lease=LEASE)
        (second,) = store.entries.claim_new(NOON + LEASE, limit=1, lease=LEASE)
        with store.entries.placing() as placing:
            assert not placing.still_ours(first)
            assert placing.still_ours(second)
            placing.finish(judged(second), now=NOON)
            assert not placing.still_ours(second)
        assert store.entries.claim_new(NOON + DAY, limit=1, lease=LEASE) == ()

    def test_a_postponed_entry_comes_back_with_its_reason(self, store: Store) -> None:
        received(store, NOON, a_parsed())
        (claimed,) = store.entries.claim_new(NOON, limit=1, lease=LEASE)
        store.entries.postpone(claimed, "the database is full", until=NOON + LEASE)
        assert store.entries.claim_new(NOON, limit=1, lease=LEASE) == ()
        (again,) = store.entries.claim_new(NOON + LEASE, limit=1, lease=LEASE)
        assert again.attempts == 2

    def test_nothing_of_a_rolled_back_placing_stays(self, store: Store) -> None:
        received(store, NOON, a_parsed())
        (claimed,) = store.entries.claim_new(NOON, limit=1, lease=LEASE)
        value = judged(claimed, a_development(), matches=(a_match(),))

        def pulled_plug() -> None:
            with store.entries.placing() as placing:
                placing.record_story(value, stories.place(value.story_key, NOON, ()), now=NOON)
                raise RuntimeError("pulled plug")

        with pytest.raises(RuntimeError):
            pulled_plug()
        with store.database.read() as session:
            assert session.execute(text("SELECT count(*) FROM story")).scalar() == 0
            assert session.execute(text("SELECT state FROM entry")).scalar() == EntryState.NEW


class TestOutbox:
    def one(self, store: Store) -> None:
        received(store, NOON, a_parsed())
        store.subscriptions.create("t", a_subscription(), now=NOON)
        assert commit_alert(store) == 1

    def test_claim_send_settle(self, store: Store) -> None:
        self.one(store)
        (delivery,) = store.outbox.claim_due(NOON, limit=5, lease=LEASE)
        assert delivery.channel.url == Secret("https://hook.example.org/a")
        assert delivery.alert is not None
        assert "." not in delivery.message_id
        assert store.outbox.begin_attempt(delivery, now=NOON)
        settlement = routing.after_attempt(delivery.tries, SENT, NOON, 0.5)
        assert store.outbox.settle(delivery, settlement, now=NOON)
        assert store.outbox.counts()[DeliveryState.SENT] == 1
        assert store.outbox.claim_due(NOON + DAY, limit=5, lease=LEASE) == ()
        (log,) = store.outbox.page(team="t")
        assert [(a.number, a.outcome, a.http_status) for a in log.log] == [(1, "sent", 200)]

    def test_a_worker_that_lost_its_lease_cannot_settle(self, store: Store) -> None:
        self.one(store)
        (zombie,) = store.outbox.claim_due(NOON, limit=5, lease=LEASE)
        store.outbox.begin_attempt(zombie, now=NOON)
        (living,) = store.outbox.claim_due(NOON + LEASE, limit=5, lease=LEASE)
        assert living.message_id == zombie.message_id
        assert not store.outbox.begin_attempt(zombie, now=NOON)
        refused = Outcome(status=OutcomeStatus.REFUSED)
        assert not store.outbox.settle(zombie, routing.after_attempt(1, refused, NOON, 0.5), now=NOON)
        assert store.outbox.counts()[DeliveryState.PENDING] == 1
        assert store.outbox.begin_attempt(living, now=NOON)
        assert store.outbox.settle(living, routing.after_attempt(2, SENT, NOON, 0.5), now=NOON)
        (log,) = store.outbox.page(team="t")
        assert [a.outcome for a in log.log] == [None, "sent"], "the first try's fate stays unknown, and is seen"

    def test_one_message_at_a_time_for_each_channel(self, store: Store) -> None:
        saved = store.subscriptions.create(
            "t", a_subscription(channels=(a_channel(), a_channel("https://hook.example.org/b"))), now=NOON
        )
        for channel in saved.subscription.channels:
            for nonce in "123":
                store.outbox.add_test(
                    team="t",
                    channel_id=channel.id,
                    subscription="desk",
                    language=Language.CHINESE,
                    nonce=nonce,
                    now=NOON,
                )
        first = store.outbox.claim_due(NOON, limit=10, lease=LEASE)
        assert len(first) == 2
        assert {delivery.language for delivery in first} == {Language.CHINESE}
        assert store.outbox.claim_due(NOON, limit=10, lease=LEASE) == ()
        store.outbox.begin_attempt(first[0], now=NOON)
        store.outbox.settle(first[0], routing.after_attempt(1, SENT, NOON, 0.5), now=NOON)
        (second,) = store.outbox.claim_due(NOON, limit=10, lease=LEASE)
        assert second.channel.id == first[0].channel.id

    def test_a_dead_delivery_can_be_put_back_with_a_whole_schedule(self, store: Store) -> None:
        self.one(store)
        (delivery,) = store.outbox.claim_due(NOON, limit=5, lease=LEASE)
        store.outbox.begin_attempt(delivery, now=NOON)
        refused = Outcome(status=OutcomeStatus.REFUSED, http_status=400, detail="no such room")
        store.outbox.settle(delivery, routing.after_attempt(1, refused, NOON, 0.5), now=NOON)
        assert not store.outbox.retry(delivery.id, team="other", now=NOON)
        assert store.outbox.retry(delivery.id, team="t", now=NOON)
        (again,) = store.outbox.claim_due(NOON, limit=5, lease=LEASE)
        assert (again.attempts, again.tries) == (2, 1)


class TestSubscriptions:
    def test_equal_addresses_of_a_team_are_one_channel(self, store: Store) -> None:
        first = store.subscriptions.create("t", a_subscription("a"), now=NOON)
        second = store.subscriptions.create("t", a_subscription("b"), now=NOON)
        other = store.subscriptions.create("u", a_subscription("a"), now=NOON)
        ids = [s.subscription.channels[0].id for s in (first, second, other)]
        assert ids[0] == ids[1] != ids[2]
        assert (len(first.created_channels), len(second.created_channels)) == (1, 0)

    def test_a_webhook_that_nobody_used_any_more_gets_a_new_secret(self, store: Store) -> None:
        first = store.subscriptions.create("t", a_subscription(), now=NOON).subscription
        kept = store.subscriptions.replace("t", first.id, a_subscription(), now=NOON)
        assert kept is not None
        assert kept.created_channels == frozenset()
        store.subscriptions.remove("t", first.id, now=NOON)
        fresh = replace(a_channel(), keys=(SigningKeys(secret=Secret("whsec_new")),))
        again = store.subscriptions.create("t", a_subscription(channels=(fresh,)), now=NOON)
        (channel,) = again.subscription.channels
        assert channel.id in again.created_channels
        assert [keys.secret for keys in channel.keys] == [Secret("whsec_new")]

    def test_keys_that_were_replaced_sign_until_their_time_is_over(self, store: Store) -> None:
        made = store.subscriptions.create("t", a_subscription(), now=NOON).subscription
        (channel,) = made.channels
        names: list[list[str]] = []
        for n in range(4):
            new = SigningKeys(secret=Secret(f"whsec_{n}"), private=Secret(f"whsk_{n}"))
            now = NOON + timedelta(hours=n)
            rotated = store.subscriptions.rotate(channel.id, new, team="t", overlap=timedelta(hours=9), now=now)
            assert rotated is not None
            names.append([keys.secret.reveal().removeprefix("whsec_") for keys in rotated.keys])
        assert names == [["0", "abc"], ["1", "0", "abc"], ["2", "1", "0"], ["3", "2", "1"]]
        assert [keys.until for keys in rotated.keys] == [None, NOON + timedelta(hours=12), NOON + timedelta(hours=11)]
        assert rotated == store.subscriptions.channels()[0][1]
        leaked = store.subscriptions.rotate(channel.id, new, team=None, overlap=timedelta(0), now=now)
        assert leaked is not None
        assert leaked.keys == (new,)
        assert store.subscriptions.rotate(channel.id, new, team="other", overlap=timedelta(0), now=now) is None
        assert store.subscriptions.rotate(99, new, team="t", overlap=timedelta(0), now=now) is None

    def test_a_secret_sealed_before_there_were_several_still_signs(self, store: Store) -> None:
        made = store.subscriptions.create("t", a_subscription(), now=NOON).subscription
        with store.database.write() as session:
            row = session.get_one(ChannelRow, made.channels[0].id)
            context = f"channel:{row.fingerprint}:secret"
            row.secret_cipher = store.vault.seal(Secret("whsec_old"), context=context)
        ((_, channel),) = store.subscriptions.channels()
        assert channel.keys == (SigningKeys(secret=Secret("whsec_old")),)

    def test_names_are_unique_in_a_team(self, store: Store) -> None:
        store.subscriptions.create("t", a_subscription("a"), now=NOON)
        with pytest.raises(NameTaken):
            store.subscriptions.create("t", a_subscription("a"), now=NOON)

    def test_another_team_sees_and_changes_nothing(self, store: Store) -> None:
        mine = store.subscriptions.create("t", a_subscription(), now=NOON).subscription
        assert store.subscriptions.get("u", mine.id) is None
        assert store.subscriptions.replace("u", mine.id, a_subscription(), now=NOON) is None
        assert not store.subscriptions.remove("u", mine.id, now=NOON)
        assert store.subscriptions.get("t", mine.id) == mine

    def test_declared_subscriptions_come_and_go_with_the_configuration(self, store: Store) -> None:
        store.subscriptions.create("t", a_subscription("by-hand"), now=NOON)
        store.subscriptions.apply([("t", a_subscription("declared", managed=True))], now=NOON)
        store.subscriptions.apply([], now=NOON)
        assert {(s.name, s.active) for s in store.subscriptions.page("t")} == {("by-hand", True), ("declared", False)}

    def test_addresses_are_sealed_in_the_database(self, store: Store) -> None:
        store.subscriptions.create("t", a_subscription(), now=NOON)
        with store.database.read() as session:
            row = session.execute(text("SELECT url_cipher, secret_cipher FROM channel")).one()
        assert "hook.example.org" not in str(row)
        assert "whsec_" not in str(row)


class TestKeys:
    def test_a_key_is_verified_until_it_is_revoked_or_expires(self, store: Store) -> None:
        key, secret = store.keys.create(
            team="t", name="laptop", scopes=[Scope.READ], random=lambda n: b"\x01" * n, now=NOON, expires_at=NOON + DAY
        )
        verified = store.keys.verify(secret.reveal(), now=NOON)
        assert verified is not None
        assert (verified.team, verified.scopes) == ("t", (Scope.READ,))
        assert store.keys.verify(secret.reveal()[:-1] + "x", now=NOON) is None
        assert store.keys.verify(secret.reveal(), now=NOON + DAY) is None
        assert store.keys.revoke(key.prefix, now=NOON)
        assert store.keys.verify(secret.reveal(), now=NOON) is None

    @pytest.mark.parametrize("text_", ["", "pw", "pw__", "pw_a_b", "x_y_z", "pw_%_%", "pw_\0_a"])
    def test_nonsense_is_no_key(self, store: Store, text_) -> None:
        assert store.keys.verify(text_, now=NOON) is None


class TestVault:
    def test_a_ciphertext_opens_only_in_its_place(self) -> None:
        vault = Vault((TEST_KEY,))
        sealed = vault.seal(Secret("token"), context="channel:1")
        assert vault.open(sealed, context="channel:1") == Secret("token")
        with pytest.raises(ServiceError, match="altered or moved"):
            vault.open(sealed, context="channel:2")

    def test_old_ciphertext_opens_after_the_key_was_replaced(self) -> None:
        old, new = new_key(), new_key()
        sealed = Vault((old,)).seal(Secret("token"), context="c")
        assert Vault((new, old)).open(sealed, context="c") == Secret("token")
        with pytest.raises(ServiceError, match="not among the keys"):
            Vault((new,)).open(sealed, context="c")

    def test_a_key_file_is_made_once_and_never_over_existing_secrets(self, tmp_path) -> None:
        path = tmp_path / "data" / "secret.key"
        with pytest.raises(ServiceError, match="is missing"):
            read_key_file(path, may_create=False)
        made = read_key_file(path, may_create=True)
        assert path.stat().st_mode & 0o777 == 0o600
        assert read_key_file(path, may_create=False) == made

    @pytest.mark.parametrize("bad", ["", "short", "!!!", "aGVsbG8="])
    def test_a_weak_key_is_refused(self, bad) -> None:
        with pytest.raises(ServiceError, match="32 random bytes"):
            Vault((Secret(bad),))

    def test_a_secret_does_not_print(self) -> None:
        assert "token" not in f"{Secret('token')} {Secret('token')!r} {[Secret('token')]}"


def test_feed_state_survives(store: Store) -> None:
    store.feeds.add(NewFeed(url="https://a.example/"), now=NOON)
    (feed,) = store.feeds.claim_due(NOON, limit=1, lease=LEASE)
    update = healthy(NOON + DAY, state=FeedState.FAILING, ok=False, failures=1, problem="no route")
    store.feeds.save_poll(feed, update, (), now=NOON, look_back=LOOK_BACK)
    found = store.feeds.get(feed.id)
    assert found is not None
    assert (found.state, found.problem, found.failures) == (FeedState.FAILING, "no route", 1)
    assert not found.polled_once


def test_after_the_upgrade_a_story_told_before_is_found_again(store: Store) -> None:
    store.subscriptions.create("t", a_subscription(), now=NOON)
    received(store, NOON, a_parsed("1"))
    assert commit_alert(store) == 1
    config = Config()
    config.set_main_option("script_location", "service.storage:migrations")
    with store.database.engine.execution_options(write=True).connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
    store.database.migrate()
    received(store, NOON, a_parsed("2"), url="https://other.example.org/rss")
    assert commit_alert(store) == 0
