"""Looking back: a rule fires on stored readings exactly where it fires on the entries themselves, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from service.config import RulesSettings, load_groups, read_rulebook
from service.demo.world import load_sites
from service.documents import parse_yaml
from service.domain.concepts import Lexicon
from service.domain.developments import read
from service.domain.model import EntryState, ParsedEntry, StoryKey, Tier
from service.domain.remembered import note, reads_text
from service.domain.rule import Rule
from service.domain.rulefile import parse_rules
from service.domain.rules import Ruleset
from service.lookback import Backtest, Fired, backtest, difference, examples, reread, weekly
from service.storage.entries import Judged
from service.storage.feeds import NewFeed
from service.storage.store import Store
from service.storage.tables import FeedRow
from tests.builders import LEASE, healthy
from tests.conftest import NOON

DAY = timedelta(days=1)
RULES = """
rules:
  - China + stablecoin + ban
  - (stablecoin | exchange | mining) + licensing
  - exchange + mining + licensing
  - (exchange | "no such words") + mining + licensing
  - new licensing regime -China
  - Brazil + crypto + tax
  - crypto + ban
  - action:ban
  - stablecoin + (law | rules)
  - licens*
  - 稳定币
  - '"central bank" + stablecoin'
  - (stablecoin + "central bank") within sentence
  - (ban + crypto -bank) within paragraph
  - crypto -tax -"central bank"
  - ban -"advertising ban"
  - {id: no-stage, topics: [stablecoin], stage: [proposed], unclear: pass}
  - {id: easing, match: crypto, direction: easing}
  - {id: mention, match: stablecoin + ban, scope: mention}
  - {id: mention-not, match: stablecoin -China, scope: mention}
  - {id: mention-words, match: '"central bank" + stablecoin', scope: mention}
  - {id: mention-near, match: (stablecoin + China) within sentence, scope: mention}
  - {id: zh, match: crypto, languages: [zh-Hans]}
  - {id: official, match: crypto, sources: {tiers: [official]}}
  - {id: host, match: crypto, sources: {exclude: [a.example.org]}}
  - {id: draft, match: crypto + ban, status: draft}
  - {id: either, when: {any: [exchange + mining, {all: [mining], none: [no such words]}]}}
"""


def rules_in(text: str, lexicon: Lexicon) -> dict[str, Rule]:
    groups, _ = load_groups(RulesSettings())
    rules, problems = parse_rules(parse_yaml(text.encode(), shown="rules"), lexicon, groups)
    assert not problems
    return {rule.id: rule.activated() for rule in rules}


def articles() -> Iterator[ParsedEntry]:
    for site in load_sites():
        for article in site.articles:
            yield ParsedEntry(
                guid=f"{site.name}/{article.slug}",
                link=f"https://{'abc'[len(article.slug) % 3]}.example.org/{site.name}/{article.slug}",
                title=article.title,
                summary=article.summary,
                content="\n\n".join(article.body),
                published=NOON - timedelta(hours=article.hours_ago * 20),
            )


def poll(store: Store, *entries: ParsedEntry, look_back: timedelta = 90 * DAY, **feed: object) -> None:
    url = f"https://feed{len(store.feeds.page())}.example.org/rss"
    added = store.feeds.add(NewFeed(url=url, **feed), now=NOON)  # type: ignore[arg-type]
    assert added is not None
    (claimed,) = store.feeds.claim_due(NOON, limit=1, lease=LEASE)
    store.feeds.save_poll(claimed, healthy(NOON + 90 * DAY), entries, now=NOON, look_back=look_back)


def process(store: Store, lexicon: Lexicon) -> None:
    """What the process step stores of a reading, for entries that match nothing."""
    for claimed in store.entries.claim_new(NOON, limit=1000, lease=LEASE):
        reading = read(claimed.entry, lexicon, jurisdiction=claimed.jurisdiction)
        judged = Judged(
            claimed=claimed,
            entry=claimed.entry,
            reading=reading,
            noted=note(claimed.entry, reading, lexicon),
            lexicon=lexicon.version,
            matches=(),
            story_key=StoryKey(developments=reading.developments, link="", sketch=(), title=claimed.entry.title),
            judged_by="v1",
        )
        with store.entries.placing() as placing:
            placing.finish(judged, now=NOON)


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return read_rulebook(RulesSettings(packs=())).lexicon


@pytest.fixture
def demo(store: Store, lexicon: Lexicon) -> Store:
    found = list(articles())
    poll(store, *found[::2], tier=Tier.OFFICIAL)
    poll(store, *found[1::2])
    process(store, lexicon)
    return store


def test_a_backtest_says_what_matching_says(demo: Store, lexicon: Lexicon) -> None:
    wholes = list(demo.readings.whole(range(1, 1000)))
    assert len(wholes) == len(list(articles()))
    fired_somewhere = 0
    for rule in rules_in(RULES, lexicon).values():
        ruleset = Ruleset.compile([rule], lexicon)
        expected = set()
        for whole in wholes:
            reading = read(whole.entry, lexicon, jurisdiction=whole.jurisdiction)
            if ruleset.match(whole.entry, reading):
                expected.add(int(whole.entry.id))
        found = backtest(demo, rule, lexicon)
        assert {f.entry_id for f in found.fired} == expected, rule.id
        assert (found.texts > 0) <= reads_text(rule), "concepts alone are answered without a text"
        fired_somewhere += bool(expected)
    assert fired_somewhere > 20


def test_shipped_packs_say_the_same_looking_back(demo: Store, lexicon: Lexicon) -> None:
    rules = [rule.activated() for rule in read_rulebook(RulesSettings(), lexicon).rules]
    ruleset = Ruleset.compile(rules, lexicon)
    expected = {
        (match.rule_id, int(whole.entry.id))
        for whole in demo.readings.whole(range(1, 1000))
        for match in ruleset.match(whole.entry, read(whole.entry, lexicon, jurisdiction=whole.jurisdiction))
    }
    found = {(rule.id, fired.entry_id) for rule in rules for fired in backtest(demo, rule, lexicon).fired}
    assert found == expected


def test_since_leaves_out_what_is_older(demo: Store, lexicon: Lexicon) -> None:
    rule = rules_in("- topic:stablecoin | topic:exchange", lexicon).popitem()[1]
    everything, newer = backtest(demo, rule, lexicon), backtest(demo, rule, lexicon, since=NOON - 10 * DAY)
    assert set(newer.fired) == {fired for fired in everything.fired if fired.at >= NOON - 10 * DAY}
    assert 0 < len(newer.fired) < len(everything.fired)


def test_examples_bring_the_sentence_that_fired(demo: Store, lexicon: Lexicon) -> None:
    rule = rules_in("- China + stablecoin + ban", lexicon).popitem()[1]
    found = backtest(demo, rule, lexicon)
    shown = list(examples(demo, rule, found.fired, lexicon))
    assert shown
    for example in shown:
        assert example.jurisdictions == ("CN",)
        assert example.sentence


class TestRereading:
    def test_what_was_never_read_is_read_when_asked(self, store: Store, lexicon: Lexicon) -> None:
        rule = rules_in("- crypto", lexicon).popitem()[1]
        poll(store, *(replace(a, summary=f"<p>{a.summary}</p>") for a in articles()), look_back=timedelta(0))
        standing = store.readings.standing(lexicon.version)
        assert (standing.entries, standing.unread) == (len(list(articles())),) * 2, "history is not read"
        assert backtest(store, rule, lexicon).fired == ()
        assert reread(store, lexicon) == standing.entries
        after = store.readings.standing(lexicon.version)
        assert (after.entries, after.unread, after.read_by_another) == (standing.entries, 0, 0)
        assert backtest(store, rule, lexicon).fired
        assert reread(store, lexicon) == 0
        with store.database.read() as session:
            states = set(session.execute(text("SELECT state FROM entry")).scalars())
        assert states == {EntryState.HISTORY}, "reading history makes no news of it"

    def test_another_lexicon_is_seen_and_mended(self, demo: Store, lexicon: Lexicon) -> None:
        with demo.database.write() as session:
            session.execute(text("UPDATE reading SET lexicon = 'old', concepts = '' WHERE entry_id <= 5"))
            session.execute(text("DELETE FROM development WHERE entry_id <= 5"))
        assert demo.readings.standing(lexicon.version).read_by_another == 5
        assert reread(demo, lexicon) == 5
        assert demo.readings.standing(lexicon.version).read_by_another == 0
        test_a_backtest_says_what_matching_says(demo, lexicon)

    def test_an_entry_that_changed_has_no_reading(self, demo: Store, lexicon: Lexicon) -> None:
        with demo.database.write() as session:
            session.get_one(FeedRow, 1).next_due_at = NOON
        (feed,) = demo.feeds.claim_due(NOON + DAY, limit=1, lease=LEASE)
        first = replace(next(iter(articles())), title="Something else")
        demo.feeds.save_poll(feed, healthy(NOON + DAY), (first,), now=NOON + DAY, look_back=90 * DAY)
        assert demo.readings.standing(lexicon.version).unread == 1
        assert reread(demo, lexicon) == 0, "it waits to be processed"
        process(demo, lexicon)
        with demo.database.write() as session:
            session.execute(text("UPDATE entry SET revision = revision + 1"))
        stale = next(demo.readings.whole([1]))
        reading = read(stale.entry, lexicon)
        kept = [(replace(stale, revision=stale.revision - 1), reading, note(stale.entry, reading, lexicon))]
        assert demo.readings.keep(kept, lexicon="x") == 0, "read while it changed"


def test_stories_are_counted_once_and_entries_without_one_by_their_address(demo: Store) -> None:
    with demo.database.write() as session:
        session.execute(
            text("INSERT INTO story (id, title, opened_at, last_at) VALUES (7, '', :now, :now)"), {"now": NOON}
        )
        session.execute(text("UPDATE entry SET story_id = 7 WHERE id IN (1, 2)"))
        session.execute(text("UPDATE entry SET link_key = 'same' WHERE id IN (3, 4)"))
        session.execute(text("UPDATE entry SET link_key = NULL WHERE id = 5"))
    told = demo.readings.stories([1, 2, 3, 4, 5])
    assert told[1] == told[2] == "story 7"
    assert told[3] == told[4] != told[5] == "entry 5"


def fired(entry_id: int, story: str, days: int) -> Fired:
    return Fired(entry_id=entry_id, at=NOON + days * DAY, story=story)


def test_weeks_begin_on_monday_and_empty_ones_are_there() -> None:
    assert datetime(2026, 3, 2, 12, 0, tzinfo=UTC) == NOON, "a Monday"
    weeks = weekly(
        [fired(1, "a", 0), fired(2, "a", 6), fired(3, "a", 7), fired(4, "b", 20)], first=NOON, last=NOON + 21 * DAY
    )
    assert [(week.monday, week.entries, week.stories) for week in weeks] == [
        (date(2026, 3, 2), 2, 1),
        (date(2026, 3, 9), 1, 0),
        (date(2026, 3, 16), 1, 1),
        (date(2026, 3, 23), 0, 0),
    ]


def test_a_story_that_another_rule_still_tells_is_no_lost_alert() -> None:
    old = {"a": Backtest(rule_id="a", fired=(fired(1, "x", 0), fired(2, "y", 1)))}
    new = {"b": Backtest(rule_id="b", fired=(fired(1, "x", 0), fired(3, "z", 2)))}
    whole, a, b = difference(old, new)
    assert [f.story for f in whole.gained] == ["z"]
    assert [f.story for f in whole.lost] == ["y"]
    assert (whole.before, whole.after) == (2, 2)
    assert (a.rule_id, [f.story for f in a.lost], a.after) == ("a", ["x", "y"], 0)
    assert (b.rule_id, [f.story for f in b.gained], b.before) == ("b", ["x", "z"], 0)
