"""The whole line through its public door: a feed on loopback in, a signed webhook out, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web

from service.app import Service
from service.config import Rulebook, Settings, load_rulebook, read_rules
from service.domain.model import DeliveryState, FeedState, FetchReason, FullText, RouteReason, Tier
from service.domain.whynot import Became, became
from service.storage.feeds import NewFeed
from tests.conftest import NOON, TEST_KEY, Clock
from tests.line import Line, a_line, only_rules, settings_of
from tests.loopback import Web, item

DAY = timedelta(days=1)
BAN = item(
    "ban",
    "China's central bank reaffirms ban on stablecoins",
    text="The People's Bank of China said on Friday that stablecoin business is prohibited on the mainland.",
    published="Mon, 02 Mar 2026 10:00:00 GMT",
)
BAN_ELSEWHERE = item(
    "other-1",
    "PBoC repeats: stablecoin business is illegal",
    text="China's central bank reaffirmed on Friday that issuing stablecoins is banned.",
    published="Mon, 02 Mar 2026 11:00:00 GMT",
)
SPORT = item(
    "sport", "Striker banned for three games", text="The club will appeal.", published="Mon, 02 Mar 2026 09:00:00 GMT"
)


@pytest.fixture(scope="session")
def rulebook(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    return only_rules(
        tmp_path_factory.mktemp("rules") / "rules.yaml",
        "rules:\n  - {id: cn-ban, match: China + stablecoin + ban}\n  - new licensing regime\n",
    )


@pytest.fixture
async def line(database_url: str, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    settings = settings_of(database_url)
    async with a_line(settings, rulebook, clock) as made:
        yield made


async def test_from_feed_to_signed_webhook(line: Line) -> None:
    line.subscribe()
    line.add(line.web.feed("/a.xml", BAN, SPORT))
    await line.run()
    (payload,) = line.web.payloads()
    assert payload["type"] == "alert.raised"
    assert payload["data"]["rules"] == ["cn-ban"]
    assert {d["jurisdiction"] for d in payload["data"]["developments"]} == {"CN"}
    headers, _ = line.web.received[0]
    assert "webhook-signature" in headers
    (alert,) = line.alerts()
    sentence = "The People's Bank of China said on Friday that stablecoin business is prohibited on the mainland."
    assert sentence in [e.text for e in alert.evidence]
    assert sentence in [e["text"] for d in payload["data"]["developments"] for e in d["evidence"]]
    assert line.store.outbox.counts()[DeliveryState.SENT] == 1


async def test_what_became_of_an_entry_can_be_asked(line: Line) -> None:
    line.add(line.web.feed("/a.xml", SPORT))
    await line.run()
    unheard = line.store.fates.get(1)
    assert unheard is not None
    assert became(unheard, fires_now=False) is Became.NO_RULE
    line.add(line.web.feed("/b.xml", BAN))
    await line.run()
    nobody = line.store.fates.get(2)
    assert nobody is not None
    assert [decision.reason for decision in nobody.decisions] == [RouteReason.NO_SUBSCRIPTION]
    assert became(nobody, fires_now=True) is Became.HELD_BACK
    line.subscribe()
    line.add(line.web.feed("/c.xml", BAN_ELSEWHERE))
    await line.run()
    told = line.store.fates.get(3)
    assert told is not None
    assert [(d.rule_id, d.team, d.subscription) for d in told.decisions] == [("cn-ban", "t", "desk")]
    assert [delivery.state for delivery in told.deliveries] == [DeliveryState.SENT]
    assert became(told, fires_now=True) is Became.TOLD
    assert line.store.fates.get(4) is None


async def test_one_event_in_two_feeds_is_one_message(line: Line) -> None:
    line.subscribe()
    line.add(line.web.feed("/a.xml", BAN))
    await line.run()
    line.add(line.web.feed("/b.xml", BAN_ELSEWHERE))
    await line.run()
    assert len(line.web.received) == 1
    (alert,) = line.alerts()
    assert len(alert.sources) == 2
    reasons = sorted(entry.reason for entry in line.store.alerts.ledger("t", alert.id))
    assert reasons == [RouteReason.ALREADY_TOLD, RouteReason.DELIVERED]


async def test_polling_again_tells_nothing_twice(line: Line) -> None:
    line.subscribe()
    line.add(line.web.feed("/a.xml", BAN))
    await line.run()
    await line.run(after=DAY)
    line.web.feed("/a.xml", SPORT, BAN)
    await line.run(after=DAY)
    assert len(line.web.received) == 1


async def test_a_webhook_that_is_down_gets_its_message_later_with_the_same_id(line: Line) -> None:
    line.subscribe()
    line.web.verdict = lambda number: 500 if number < 3 else 204
    line.add(line.web.feed("/a.xml", BAN))
    await line.run()
    assert len(line.web.received) == 1
    await line.run(after=timedelta(minutes=10))
    await line.run(after=timedelta(minutes=10))
    assert len(line.web.received) == 3
    assert len({headers["webhook-id"] for headers, _ in line.web.received}) == 1
    assert line.store.outbox.counts()[DeliveryState.SENT] == 1
    await line.run(after=DAY)
    assert len(line.web.received) == 3


async def test_the_page_is_read_and_what_stands_below_the_article_is_not(line: Line) -> None:
    line.subscribe()
    body = "".join(f"<p>The match report goes on with sentence {n} about the second half.</p>" for n in range(12))
    more = "<h2>More to Read</h2><ul><li><h3>China bans stablecoins</h3></li></ul>"
    link = line.web.page("/match.html", f"<html><body><article><h1>Derby</h1>{body}</article>{more}</body></html>")
    line.add(
        line.web.feed(
            "/a.xml",
            item("m", "Derby ends in a draw", text="Late goal.", link=link, published="Mon, 02 Mar 2026 08:00:00 GMT"),
            BAN,
        )
    )
    await line.run()
    (alert,) = line.alerts()
    assert [source.title for source in alert.sources] == ["China's central bank reaffirms ban on stablecoins"]
    assert any(request.path == "/match.html" for request in line.web.asked)


async def test_a_page_that_is_missing_costs_nothing_but_its_text(line: Line) -> None:
    line.subscribe()
    link = f"{line.web.address}/gone.html"
    line.add(line.web.feed("/a.xml", BAN.replace("</item>", f"<link>{link}</link></item>")))
    await line.run()
    assert len(line.web.received) == 1


async def test_what_a_host_asked_of_another_process_is_kept_to(line: Line) -> None:
    feed = line.add(line.web.feed("/f.xml", item("1", "Notice")))
    host, until = line.web.address.removeprefix("http://"), line.clock() + timedelta(hours=1)
    line.store.hosts.share({host: until}, now=line.clock())
    await line.run()
    assert line.web.asked == []
    await line.run(after=timedelta(hours=2))
    assert [request.path for request in line.web.asked] == ["/f.xml"]
    found = line.store.feeds.get(feed)
    assert found is not None
    assert found.entries == 1


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        pytest.param(web.Response(status=500), FeedState.FAILING, FetchReason.HTTP_STATUS, id="error-500"),
        pytest.param(web.Response(status=410), FeedState.GONE, FetchReason.HTTP_STATUS, id="gone"),
        pytest.param(web.Response(status=429), FeedState.LIMITED, FetchReason.HTTP_STATUS, id="limited"),
        pytest.param(web.Response(body=b""), FeedState.FAILING, FetchReason.EMPTY, id="empty"),
        pytest.param(
            web.Response(text="<html><body><h1>Log in</h1></body></html>", content_type="text/html"),
            FeedState.FAILING,
            FetchReason.NOT_A_FEED,
            id="html",
        ),
        pytest.param(
            web.Response(body=b"<rss><channel>" + b"x" * 11_000_000),
            FeedState.FAILING,
            FetchReason.TOO_LARGE,
            id="11-mb",
        ),
    ],
)
async def test_a_bad_feed_says_why_and_stops_no_other(line: Line, answer, state, reason) -> None:
    line.subscribe()
    line.web.pages["/bad.xml"] = lambda _: web.Response(
        status=answer.status, body=answer.body, content_type=answer.content_type
    )
    # By another name: a host that asks for patience is left alone as a whole.
    bad = line.add(f"{line.web.address}/bad.xml".replace("127.0.0.1", "localhost"))
    line.add(line.web.feed("/good.xml", BAN))
    await line.run()
    feed = line.store.feeds.get(bad)
    assert feed is not None
    assert (feed.state, feed.reason) == (state, reason)
    assert feed.problem
    assert len(line.web.received) == 1


async def test_a_bad_feed_recovers_and_its_old_problem_is_forgotten(line: Line) -> None:
    feed_id = line.add(f"{line.web.address}/a.xml")
    await line.run()
    line.web.feed("/a.xml", BAN)
    await line.run(after=DAY)
    feed = line.store.feeds.get(feed_id)
    assert feed is not None
    assert (feed.state, feed.problem, feed.failures) == (FeedState.HEALTHY, None, 0)


async def test_an_unchanged_body_is_not_parsed_again(line: Line) -> None:
    line.subscribe()
    feed_id = line.add(line.web.feed("/a.xml", BAN))
    await line.run()
    before = line.store.feeds.get(feed_id)
    await line.run(after=DAY)
    after = line.store.feeds.get(feed_id)
    assert before is not None
    assert after is not None
    assert after.last_ok_at == NOON + DAY
    assert after.body_hash == before.body_hash


async def test_two_processes_share_the_work(line: Line, rulebook: Rulebook, database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("one process owns an embedded database")
    other = Service(line.service.settings, rulebook=rulebook, now=line.clock, chance=lambda: 0.5)
    await other.start()
    line.subscribe()
    for number in range(6):
        line.add(line.web.feed(f"/{number}.xml", BAN, title=f"Feed {number}"))
    await asyncio.gather(line.run(), other.runner.drain())
    await asyncio.gather(line.run(), other.runner.drain())
    await other.stop()
    assert len(line.web.received) == 1
    (alert,) = line.alerts()
    assert len(alert.sources) == 6


async def test_a_service_started_again_goes_on(
    database_url: str, rulebook: Rulebook, clock: Clock, tmp_path: Path
) -> None:
    settings = Settings.model_validate(
        {
            "storage": {"url": database_url},
            "secrets": {"keys": [TEST_KEY.reveal()]},
            "egress": {"allow": ["127.0.0.1/32"]},
            "feeds": {"host_gap": "0s"},
        }
    )
    async with Web() as world:
        first = Service(settings, rulebook=rulebook, now=clock)
        await first.start()
        line = Line(first, clock, world)
        line.subscribe()
        line.add(world.feed("/a.xml", BAN))
        await asyncio.gather(*(first.pipeline.poll(feed) for feed in await first.pipeline.claim_polls(5)))
        assert first.store.entries.waiting() == 1
        await first.stop()
        second = Service(settings, rulebook=rulebook, now=clock)
        await second.start()
        await second.runner.drain()
        await second.stop()
        assert len(world.received) == 1


class BrokenRuleset:
    """A rule set with a defect: it fails on one entry."""

    version = "broken"

    def __init__(self, ruleset) -> None:
        self.rules, self.by_id = ruleset.rules, ruleset.by_id
        self._ruleset = ruleset

    def match(self, entry, reading):
        if "boom" in entry.title:
            raise RuntimeError("a defect of ours")
        return self._ruleset.match(entry, reading)


async def test_a_defect_on_one_entry_costs_no_other_and_loses_nothing(line: Line, rulebook: Rulebook) -> None:
    line.subscribe()
    line.service.use(replace(rulebook, ruleset=BrokenRuleset(rulebook.ruleset)))
    poison = BAN.replace("<title>", "<title>boom: ").replace(">ban<", ">poison<")
    line.add(line.web.feed("/a.xml", poison, BAN_ELSEWHERE))
    await line.run()
    assert len(line.web.received) == 1
    assert line.store.entries.waiting() == 1
    line.service.use(rulebook)
    await line.run(after=DAY)
    assert line.store.entries.waiting() == 0
    (alert,) = line.alerts()
    assert len(alert.sources) == 2


# --- held back: not confirmed yet, or the rule has had its say -------------------------------------------------------

RUMOUR = item(
    "rumour",
    "China to ban stablecoins, sources say",
    text="China's central bank will ban stablecoins, people familiar with the matter said.",
    link="https://one.example/a",
    published="Mon, 02 Mar 2026 10:00:00 GMT",
)
SECOND = item(
    "second",
    "Beijing plans stablecoin ban",
    text="The People's Bank of China is about to prohibit stablecoins, according to two officials.",
    link="https://two.example/b",
    published="Mon, 02 Mar 2026 10:30:00 GMT",
)


@pytest.fixture
def use(line: Line, tmp_path: Path) -> Callable[[str], None]:
    """Put rules in force as a reload would."""

    def using(text: str) -> None:
        path = tmp_path / "held.yaml"
        path.write_text(text, encoding="utf-8")
        line.service.use(load_rulebook(read_rules(path), line.service.rulebook.lexicon))

    return using


def a_feed(line: Line, path: str, *items: str, tier: Tier = Tier.UNKNOWN) -> None:
    new = NewFeed(url=line.web.feed(path, *items), tier=tier, full_text=FullText.NEVER)
    assert line.store.feeds.add(new, now=line.clock()) is not None


def reasons(line: Line) -> list[str]:
    (alert,) = line.alerts()
    return sorted(entry.reason for entry in line.store.alerts.ledger("t", alert.id))


async def test_a_rumour_waits_for_a_second_source_and_is_then_told_once(line: Line, use: Callable[[str], None]) -> None:
    use("- {id: cn-ban, match: China + stablecoin + ban, confirm: official or 2 independent}")
    line.subscribe()
    a_feed(line, "/a.xml", RUMOUR)
    await line.run()
    assert (line.web.received, reasons(line)) == ([], ["unconfirmed"])
    a_feed(line, "/copy.xml", RUMOUR.replace("one.example", "copy.example"))
    await line.run()
    assert (line.web.received, reasons(line)) == ([], ["unconfirmed", "unconfirmed"])
    a_feed(line, "/b.xml", SECOND)
    await line.run()
    assert len(line.web.received) == 1
    assert reasons(line) == ["already_told", "already_told", "delivered"]
    await line.run(after=DAY)
    assert len(line.web.received) == 1


async def test_an_official_source_confirms_even_if_no_rule_fires_on_it(line: Line, use: Callable[[str], None]) -> None:
    use("- {id: cn-ban, match: China + stablecoin + ban, confirm: official, sources: {exclude: [two.example]}}")
    line.subscribe()
    a_feed(line, "/a.xml", RUMOUR)
    await line.run()
    assert line.web.received == []
    a_feed(line, "/b.xml", SECOND, tier=Tier.OFFICIAL)
    await line.run()
    assert len(line.web.received) == 1
    assert reasons(line) == ["delivered"]


async def test_a_throttled_rule_is_silent_for_its_time(line: Line, use: Callable[[str], None]) -> None:
    use("- {id: bans, match: stablecoin + ban, throttle: {per: jurisdiction, every: 60d, except: [stage-change]}}")
    line.subscribe()

    async def told(number: int, title: str, after: timedelta) -> str:
        line.clock.advance(after)
        when = format_datetime(line.clock())
        a_feed(line, f"/{number}.xml", item(str(number), title, published=when))
        await line.run()
        newest = max(line.alerts(), key=lambda alert: alert.id)
        (entry,) = line.store.alerts.ledger("t", newest.id)
        return entry.reason

    assert await told(1, "Bolivia bans stablecoins", DAY) == "delivered"
    assert await told(2, "Kuwait bans stablecoins", DAY) == "delivered"
    assert await told(3, "Bolivia bans stablecoin cards", DAY * 20) == "throttled"
    assert await told(4, "Bolivia's central bank proposes to ban stablecoin salaries", DAY * 20) == "delivered"
    assert await told(5, "Bolivia bans stablecoin machines", DAY * 45) == "delivered"
    assert len(line.web.received) == 4


# --- rules that change while the service runs ------------------------------------------------------------------------


async def test_rule_files_are_read_again_when_they_change_and_a_fault_leaves_the_last_good_set(
    tmp_path: Path, rulebook: Rulebook, clock: Clock
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("- {id: one, match: ban}", encoding="utf-8")
    settings = Settings.model_validate(
        {
            "storage": {"url": f"sqlite:///{tmp_path / 'p.db'}"},
            "secrets": {"keys": [TEST_KEY.reveal()]},
            "rules": {"packs": [], "paths": [path]},
        }
    )
    service = Service(settings, rulebook=load_rulebook(settings.rules, rulebook.lexicon), now=clock)

    def ids() -> list[str]:
        service.reload_changed_rules()
        return [rule.id for rule in service.rulebook.ruleset.rules]

    try:
        before = service.rulebook
        assert ids() == ["one"]
        assert service.rulebook is before
        path.write_text("- {id: one, match: ban}\n- {id: two, match: tax}", encoding="utf-8")
        assert ids() == ["one", "two"]
        path.write_text("- {id: one, match: ban}\n- {id: two, match: tax, tests: [{text: x, expect: {fire: true}}]}")
        assert ids() == ["one", "two"]
        (problem,) = service.problems
        assert "a test of 'two' fails: it should fire and does not" in str(problem)
        path.write_text("- {id: three, match: licensing}", encoding="utf-8")
        assert (ids(), service.problems) == (["three"], ())
    finally:
        service.store.close()


async def test_a_rule_that_stays_silent_for_longer_than_it_expects_is_reported(
    line: Line, use: Callable[[str], None]
) -> None:
    expect = "expect: at least 1 per 30d"
    use(f"- {{id: bans, match: ban, {expect}}}\n- {{id: drones, match: drone*, {expect}}}")
    a_feed(line, "/a.xml", BAN)
    await line.run()
    assert line.service.problems == ()
    line.clock.advance(timedelta(days=29))
    a_feed(line, "/b.xml", item("later", "Bolivia bans stablecoins", published=format_datetime(line.clock())))
    await line.run()
    line.clock.advance(DAY * 2)
    (problem,) = line.service.problems
    assert problem.what == "rule 'drones' may be blind: it fired 0 times in 30d"
