"""The short crash test: one kill -9 at every failpoint on SQLite, some on PostgreSQL, and a control that must lose.

The long one is `python -m tests.crash --kills 200`; docs/promises.md has its figures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from service.config import load_lexicon
from service.domain.concepts import Lexicon
from service.domain.developments import read
from service.domain.model import Entry, Story, StoryKey, UpdateReason
from service.domain.stories import place
from service.domain.traits import key_of
from service.domain.updates import corrections
from service.feeds.apart import main_text
from service.storage.store import Store
from service.storage.vault import read_key_file
from tests.builders import LEASE, a_parsed, healthy, received
from tests.conftest import NOON
from tests.crash.__main__ import main
from tests.crash.harness import OUTSIDE, Plan, Run, crash
from tests.crash.news import ACTIONS, COUNTRIES, MENDED, NOTHING, PLACEHOLDER, STATED, TOPICS, events
from tests.crash.oracle import Attempt, Life, Rows, Verdict, judge
from tests.crash.world import Item, Kind, Place, Request, edited, page_of
from tests.postgres import Postgres


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon()


SQLITE = Plan(kills=23, seed=1, most_reaches=2)  # every point once, and three kills from outside
POSTGRES = Plan(
    kills=6,
    seed=2,
    most_reaches=2,
    points=(
        "poll.before_commit",
        "process.before_commit",
        "deliver.attempt_written",
        "deliver.response_read",
        "digest.before_commit",
        "escalate.committed",
    ),
)
CONTROL = Plan(kills=3, seed=3, most_reaches=2, points=("deliver.settled",), control=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[dict[str, Future[Run]]]:
    """The three runs, side by side: each of them waits most of the time, for retries and for leases to end."""

    def on_sqlite(plan: Plan) -> Run:
        folder = tmp_path_factory.mktemp("crash")
        return crash(plan, folder=folder, url=f"sqlite:///{folder}/policywatch.db")

    def on_postgres(plan: Plan) -> Run:
        with postgres.new_database() as url:
            return crash(plan, folder=tmp_path_factory.mktemp("crash"), url=url)

    with ThreadPoolExecutor() as pool:
        yield {
            "sqlite": pool.submit(on_sqlite, SQLITE),
            "postgres": pool.submit(on_postgres, POSTGRES),
            "control": pool.submit(on_sqlite, CONTROL),
        }


class TestTheService:
    """Killed for real: child processes, real databases, real sockets."""

    def test_keeps_its_promise_at_every_failpoint_on_sqlite(self, runs: dict[str, Future[Run]]) -> None:
        run = runs["sqlite"].result()
        assert run.verdict.faults == ()
        assert run.kills == SQLITE.kills
        # A slow machine may not reach a point in time, and is then killed from outside.
        assert len(set(run.tallies) - {OUTSIDE}) >= 15

    def test_keeps_its_promise_where_leases_must_run_out(self, runs: dict[str, Future[Run]]) -> None:
        run = runs["postgres"].result()
        assert run.verdict.faults == ()
        assert run.kills == POSTGRES.kills

    def test_without_its_outbox_loses_and_is_found_out(self, runs: dict[str, Future[Run]]) -> None:
        verdict = runs["control"].result().verdict
        assert verdict.lost > 0
        assert not verdict.holds


# --- the oracle can say no ---------------------------------------------------------------------------------------

AT = NOON + timedelta(seconds=5)
KILLED = Life(started_at=NOON, ended_at=NOON + timedelta(seconds=10), ended_by="deliver.response_read")
STOPPED = Life(started_at=NOON + timedelta(seconds=10), ended_at=NOON + timedelta(seconds=20))
DUE = {Place("e1", "desk", Kind.ALERT)}
ITEMS = {"/item/1": "News"}


def a_request(**changes: object) -> Request:
    values: dict[str, object] = {
        "channel": "desk", "id": "m1", "attempt": 1, "accepted": True, "kind": Kind.ALERT, "events": ("e1",),
        "body": b"{}",
    }  # fmt: skip
    return Request(**(values | changes))  # type: ignore[arg-type]


def an_attempt(
    number: int = 1, *, id: str = "m1", at: datetime = AT, outcome: str | None = "sent", status: int | None = 204
) -> Attempt:
    return Attempt(message_id=id, number=number, started_at=at, outcome=outcome, http_status=status)


ONE = a_request()
AGAIN = a_request(attempt=2)
MAIL = a_request(attempt=None)
CUT = an_attempt(outcome=None, status=None)
AT_REST = Rows(
    entries={"/item/1": 1},
    titles=ITEMS,
    waiting=0,
    leases=0,
    oldest_lease=None,
    next_due=None,
    last_due=None,
    undigested=0,
    unescalated=0,
    deliveries={"sent": 1},
    attempts=(an_attempt(),),
    matches=1,
    routes={"all": 1},
    alerts=1,
    alerts_without_deliveries=0,
    unhealthy_feeds=(),
)


def verdict(
    *requests: Request, rows: Rows = AT_REST, due: Collection[Place] = DUE, mended: Collection[str] = ()
) -> Verdict:
    return judge(
        expected=due, mended=mended, items=ITEMS, requests=requests, rows=rows, lives=(KILLED, STOPPED), in_flight=1
    )


class TestTheOracle:
    def test_passes_what_is_right(self) -> None:
        assert verdict(ONE).faults == ()

    def test_allows_a_repeat_that_a_kill_explains(self) -> None:
        told = verdict(ONE, AGAIN, rows=replace(AT_REST, attempts=(CUT, an_attempt(2))))
        assert told.faults == ()
        assert (told.repeats, told.sends_cut, told.accepted_of_these) == (1, 1, 1)

    def test_allows_a_repeat_of_a_send_whose_answer_never_came(self) -> None:
        late = an_attempt(outcome="retry", status=None)
        assert verdict(ONE, AGAIN, rows=replace(AT_REST, attempts=(late, an_attempt(2)))).holds

    def test_allows_a_mail_as_often_as_its_fate_was_unknown(self) -> None:
        told = verdict(MAIL, replace(MAIL, says_again=True), rows=replace(AT_REST, attempts=(CUT, an_attempt(2))))
        assert told.faults == ()
        assert (told.repeats, told.accepted_of_these) == (1, 1)

    @pytest.mark.parametrize(
        ("requests", "rows", "fault"),
        [
            pytest.param((), AT_REST, "lost: alert of e1 at desk", id="nothing-came"),
            pytest.param((replace(ONE, accepted=False),), AT_REST, "lost: alert of e1", id="only-a-refusal"),
            pytest.param((ONE, replace(ONE, id="m2")), AT_REST, "extra: 2 messages with", id="one-event-two-alerts"),
            pytest.param(
                (ONE, a_request(id="m2", events=("nothing",))), AT_REST, "extra: alert of nothing", id="nothing-was-due"
            ),
            pytest.param((ONE, a_request(channel="other")), AT_REST, "of e1 at other, which", id="wrong-channel"),
            pytest.param((ONE, a_request(kind=Kind.UPDATE)), AT_REST, "extra: update of e1", id="update-of-nothing"),
            pytest.param((MAIL, MAIL), AT_REST, "repeated without a reason", id="mail-again-though-settled"),
            pytest.param(
                (MAIL,),
                replace(AT_REST, attempts=(an_attempt(), an_attempt(2))),
                "repeated without a reason",
                id="mail-settled-twice",
            ),
            pytest.param(
                (MAIL, MAIL),
                replace(AT_REST, attempts=(CUT, an_attempt(2))),
                "repeated without saying so",
                id="mail-that-does-not-say-again",
            ),
            pytest.param((MAIL,), replace(AT_REST, attempts=()), "sent without a row", id="mail-not-announced"),
            pytest.param(
                (ONE, AGAIN),
                replace(AT_REST, attempts=(an_attempt(), an_attempt(2))),
                "repeated without a reason",
                id="sent-again-though-settled",
            ),
            pytest.param((ONE, ONE), AT_REST, "repeated under one attempt number", id="repeat-not-marked"),
            pytest.param(
                (ONE, replace(AGAIN, body=b"{1}")),
                replace(AT_REST, attempts=(CUT, an_attempt(2))),
                "repeated with another content",
                id="repeat-differs",
            ),
            pytest.param((ONE,), replace(AT_REST, attempts=()), "sent without a row", id="send-not-announced"),
            pytest.param(
                (ONE, AGAIN),
                replace(AT_REST, attempts=(replace(CUT, started_at=AT + timedelta(seconds=8)), an_attempt(2))),
                "no outcome and no kill",
                id="forgotten-by-a-run-that-lived",
            ),
            pytest.param(
                (ONE,),
                replace(AT_REST, attempts=(CUT, replace(CUT, number=2), an_attempt(3))),
                "2 sends without outcome in run 0",
                id="more-cut-than-in-flight",
            ),
            pytest.param((ONE,), replace(AT_REST, entries={}), "not stored: /item/1", id="entry-missing"),
            pytest.param((ONE,), replace(AT_REST, entries={"/item/1": 2}), "stored more than once", id="entry-twice"),
            pytest.param(
                (ONE,), replace(AT_REST, titles={"/item/1": "Old"}), "a correction was missed", id="entry-stale"
            ),
            pytest.param((ONE,), replace(AT_REST, waiting=1), "1 entries were never processed", id="entry-waits"),
            pytest.param((ONE,), replace(AT_REST, leases=1), "1 leases are still held", id="lease-held"),
            pytest.param((ONE,), replace(AT_REST, undigested=1), "1 alerts still wait", id="no-digest"),
            pytest.param((ONE,), replace(AT_REST, unescalated=1), "1 escalations were never", id="no-escalation"),
            pytest.param((ONE,), replace(AT_REST, deliveries={"dead": 1}), "but the outbox says", id="given-up"),
            pytest.param((ONE,), replace(AT_REST, alerts_without_deliveries=1), "for nobody", id="alert-for-nobody"),
            pytest.param((ONE,), replace(AT_REST, matches=2), "2 matches, but 1 ledger rows", id="match-without-row"),
            pytest.param((ONE,), replace(AT_REST, unhealthy_feeds=("f",)), "feed in trouble: f", id="feed-in-trouble"),
        ],
    )
    def test_finds(self, requests: tuple[Request, ...], rows: Rows, fault: str) -> None:
        assert any(fault in found for found in verdict(*requests, rows=rows).faults)


DIGEST = a_request(id="d1", channel="list", kind=Kind.DIGEST, until=NOON)
LATER = a_request(id="d2", channel="list", kind=Kind.DIGEST, until=NOON + timedelta(hours=1), events=())
UPDATE = a_request(id="u1", kind=Kind.UPDATE, until=NOON + timedelta(minutes=5))
READ = {Place("e1", "desk", Kind.ALERT), Place("e1", "list", Kind.ALERT), Place("e1", "desk", Kind.UPDATE)}


class TestTheOracleOnDigests:
    """What a reader of digests must see of an alert that was corrected."""

    @pytest.mark.parametrize(
        ("digests", "mended", "lost", "extra"),
        [
            pytest.param((DIGEST, replace(LATER, updated=("e1",))), {"e1"}, 0, 0, id="told-again"),
            pytest.param((replace(DIGEST, until=LATER.until),), {"e1"}, 0, 0, id="corrected-before-it-was-told"),
            pytest.param((DIGEST,), {"e1"}, 1, 0, id="never-told-again"),
            pytest.param((), {"e1"}, 1, 0, id="never-told"),
            pytest.param((DIGEST, replace(LATER, events=("e1",))), {"e1"}, 0, 1, id="told-twice-as-new"),
            pytest.param((DIGEST, replace(LATER, updated=("e2",))), (), 0, 1, id="an-update-of-nothing"),
            pytest.param(
                (DIGEST, *(replace(LATER, id=name, updated=("e1",)) for name in ("d2", "d3"))),
                {"e1"}, 0, 1,
                id="told-again-twice",
            ),
        ],
    )  # fmt: skip
    def test_counts(self, digests: tuple[Request, ...], mended: Collection[str], lost: int, extra: int) -> None:
        due = READ if mended else {place for place in READ if place.kind is Kind.ALERT}
        told = verdict(ONE, *((UPDATE,) if mended else ()), *digests, due=due, mended=mended)
        assert (told.lost, told.extra) == (lost, extra), told.faults


# --- the world says what it means ----------------------------------------------------------------------------------


def a_report(title: str, text: str) -> Entry:
    return Entry(id="1", lang="en", title=title, summary=text)


def as_read(item: Item, *, page: bool) -> Entry:
    """What the service reads of an item: its own words, with its page if that is wanted."""
    more = main_text(page_of(item), "http://127.0.0.1/item", "text/html") if page else None
    return replace(a_report(item.title, item.text), content=getattr(more, "text", ""))


class TestTheNews:
    """The oracle is right only if every text reads as what the table says."""

    def test_an_event_is_one_act_and_one_story_in_both_wordings(self, lexicon: Lexicon) -> None:
        acts = len(TOPICS) * len(ACTIONS)
        for event in islice(events(), 0, acts * 3, 3):
            keys = []
            for wording in (0, 1):
                entry = a_report(*event.told(wording))
                developments = read(entry, lexicon).developments
                assert [(d.jurisdiction, d.topic, d.action) for d in developments] == [
                    (event.jurisdiction, event.topic, event.action)
                ], entry.title
                keys.append(StoryKey(developments=developments, link="", sketch=(), title=entry.title))
            first, second = keys
            assert place(second, NOON, [a_story(first)]).story_id == 1, second.title

    def test_a_correction_is_one_that_readers_must_hear_of(self, lexicon: Lexicon) -> None:
        for event in islice(events(), 0, 500, 7):
            title, text = event.told(0)
            before, after = (a_report(title, f"{text} {words}") for words in (STATED, MENDED))
            old, new = (key_of(entry, read(entry, lexicon), lexicon) for entry in (before, after))
            assert [change.reason for change in corrections(old, new)] == [UpdateReason.CORRECTION], before.title
            assert old.developments == new.developments

    @pytest.mark.parametrize("teased", [False, True])
    def test_an_edit_is_one_that_readers_need_not_hear_of(self, lexicon: Lexicon, teased: bool) -> None:
        for event in islice(events(), 0, 500, 13):
            title, text = event.told(0)
            item = Item(id=f"{event.id}-1", feed=0, title=title, text="" if teased else text, page=text, published=NOON)
            old, new = (
                key_of(entry, read(entry, lexicon), lexicon)
                for entry in (as_read(item, page=teased), as_read(edited(item), page=teased))
            )
            assert corrections(old, new) == (), title

    def test_no_two_events_share_country_topic_and_action(self) -> None:
        table = [(event.jurisdiction, event.topic, event.action) for event in events()]
        assert len(set(table)) == len(table) == len(COUNTRIES) * len(TOPICS) * len(ACTIONS)

    def test_what_is_nothing_reads_as_nothing(self, lexicon: Lexicon) -> None:
        for title, text in (*NOTHING, PLACEHOLDER):
            for country in islice(COUNTRIES.values(), 10):
                assert read(a_report(title.format(country), text.format(country)), lexicon).developments == ()


def a_story(key: StoryKey) -> Story:
    return Story(id=1, opened_at=NOON, last_at=NOON, members=(key,))


# --- what the crash test found -------------------------------------------------------------------------------------


class TestFound:
    def test_an_edit_is_not_swallowed_by_the_reading_of_its_first_text(self, store: Store) -> None:
        """The old text was being read while a poll brought the new one: the new one must be read too."""
        feed_id = received(store, NOON, a_parsed("1", title="Developing story"))
        (claimed,) = store.entries.claim_new(NOON, limit=1, lease=LEASE)
        (feed,) = store.feeds.claim_due(NOON + LEASE, limit=1, lease=LEASE)
        assert feed.id == feed_id
        edited = a_parsed("1", title="Brazil bans stablecoins")
        store.feeds.save_poll(feed, healthy(NOON), [edited], now=NOON + LEASE, look_back=timedelta(hours=48))
        with store.entries.placing() as placing:
            assert not placing.still_ours(claimed)
        (again,) = store.entries.claim_new(NOON + LEASE, limit=1, lease=LEASE)
        assert again.entry.title == "Brazil bans stablecoins"

    def test_a_key_file_is_there_whole_or_not_at_all(self, tmp_path: Path) -> None:
        """A start that is killed while it makes its key must not keep the next one from starting."""
        path = tmp_path / "data" / "secret.key"
        keys = read_key_file(path, may_create=True)
        assert read_key_file(path, may_create=False) == keys
        assert [file.name for file in path.parent.iterdir()] == ["secret.key"]
        assert path.stat().st_mode & 0o777 == 0o600


class TestTheCommand:
    @pytest.mark.parametrize(
        "wrong", [["--kills", "0"], ["--backend", "mysql"], ["--point", "poll.nowhere"], ["--slow"]]
    )
    def test_wrong_usage_is_exit_code_2(self, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2
        assert "usage" in capsys.readouterr().err
