"""When readers hear: digests, quiet hours, budgets and escalations, from an entry to its webhook, under a set clock."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import api_of, declared_subscription
from service.config import Rulebook, Settings
from service.domain.model import DeliveryState, RouteReason, Tier, Verdict
from service.storage.decisions import NewDecision
from service.storage.due import Slot
from service.storage.feeds import NewFeed
from service.storage.store import Store
from tests.builders import a_parsed, healthy
from tests.conftest import NOON, TEST_KEY, Clock
from tests.line import Line, a_line, only_rules, settings_of
from tests.test_days import adds_up

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FAR, COUNT = NOON + DAY * 365, itertools.count()  # when the feeds of these tests are due
RULES = """rules:
- {id: crypto, match: crypto}
- {id: bans, match: crypto + ban, severity: high}
- {id: italy, match: Italy + AI + ban, severity: critical}
- {id: rumours, match: Peru + AI + ban, confirm: official}
"""
KENYA, GHANA = "Kenya bans crypto mining", "Ghana bans crypto mining"
COINHALL = "Kenya fines crypto exchange Coinhall 4,000,000 shillings"
FINE, CRITICAL = "Kenya fines crypto exchange Coinhall", "Italy bans artificial intelligence chatbots"
RUMOUR = "Peru bans artificial intelligence chatbots"


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    return only_rules(tmp_path_factory.mktemp("rules") / "rules.yaml", RULES)


async def lines(url: str, rulebook: Rulebook, clock: Clock, **more: object) -> AsyncIterator[Line]:
    async with a_line(settings_of(url, **more), rulebook, clock) as made:
        yield made


@pytest.fixture
async def line(tmp_path: Path, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    async for one in lines(f"sqlite:///{tmp_path}/policywatch.db", rulebook, clock):
        yield one


@pytest.fixture
async def either(database_url: str, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    async for one in lines(database_url, rulebook, clock):
        yield one


async def replay(line: Line, entries: list[dict[str, Any]]) -> None:
    """Each entry comes in at its time, as if its feed had just been parsed; feeds are not polled here."""
    for entry in entries:
        await until(line, entry["at"])
        url = f"https://{entry['feed']}.example/rss"
        tier = Tier(entry.get("tier", "unknown"))
        line.store.feeds.add(NewFeed(url=url, title=entry["feed"], tier=tier), now=line.clock())
        parsed = a_parsed(
            entry.get("guid", entry["title"] + entry["feed"]), title=entry["title"], link="", published=line.clock()
        )
        for batch in ((), (parsed,)):  # what a feed's first poll brings is no news
            far = FAR + DAY * next(COUNT)
            feeds = line.store.feeds.claim_due(far, limit=99, lease=HOUR)
            (feed,) = (one for one in feeds if one.url == url)
            line.store.feeds.save_poll(feed, healthy(FAR), batch, now=line.clock(), look_back=DAY * 2)
        await line.run()


def subscribe(line: Line, when: dict[str, Any], *channels: Any, name: str = "desk") -> int:
    """A subscription of team t as the configuration would declare it; its first channel is the hook of the web."""
    hook = f"{line.web.address}/hook"
    declared = {"name": name, "team": "t", "when": when, "channels": [hook, *channels]}
    settings = Settings.model_validate({"egress": {"allow": ["127.0.0.1/32"]}, "subscriptions": [declared]})
    new = replace(declared_subscription(settings, 0, line.service.rulebook), managed=False)
    return line.store.subscriptions.create("t", new, now=line.clock()).subscription.id


def news(at: str, title: str, **changes: Any) -> dict[str, Any]:
    return {"at": at, "feed": "wire", "title": title, **changes}


async def until(line: Line, at: str) -> None:
    await line.run(datetime.fromisoformat(f"2026-03-{at}").replace(tzinfo=UTC) - line.clock())


def said(line: Line) -> list[tuple[str, Any]]:
    """Each message: its type and its title, or the titles and reasons of a digest in order."""
    found: list[tuple[str, Any]] = []
    for payload in line.web.payloads():
        data = payload["data"]
        items = [(one["title"], one["reason"]) for group in data.get("groups", ()) for one in group["alerts"]]
        found.append((payload["type"], items or data["title"]))
    return found


def ended(line: Line) -> dict[str, int]:
    """What the ledger of the first subscription says."""
    desk = line.store.alerts.check_ledger()[0]
    return {"delivered": desk.delivered, **desk.suppressed}


async def test_a_daily_digest_in_hong_kong(either: Line) -> None:
    line = either
    subscribe(line, {"schedule": "daily", "zone": "Asia/Hong_Kong"})
    await replay(line, [news("02 13:00", FINE), news("02 14:00", KENYA), news("02 15:00", CRITICAL)])
    assert said(line) == [("alert.raised", CRITICAL)]  # urgent: it waits for nothing
    assert ended(line) == {"delivered": 1, RouteReason.FOR_DIGEST: 2, RouteReason.ALREADY_TOLD: 1}
    assert adds_up(line)
    await until(line, "02 23:59")
    assert len(said(line)) == 1
    await until(line, "03 00:00")
    await until(line, "03 01:00")
    assert said(line)[1:] == [("digest", [(KENYA, "schedule"), (FINE, "schedule")])]
    assert ended(line) == {"delivered": 3, RouteReason.ALREADY_TOLD: 1}
    assert adds_up(line)
    data = line.web.payloads()[1]["data"]
    assert data["tallies"] == [
        {"jurisdiction": "IT", "week": 1, "week_before": 0},
        {"jurisdiction": "KE", "week": 2, "week_before": 0},
    ]
    assert data["held"] == {"already_told": 1}
    assert (data["alerts_total"], data["until"]) == (2, "2026-03-03T00:00:00Z")


async def test_quiet_hours_hold_and_release(line: Line) -> None:
    subscribe(line, {"quiet": "22:00-07:00", "zone": "Europe/Berlin"})
    await replay(line, [news("02 22:00", COINHALL, guid="k"), news("02 23:00", CRITICAL)])
    assert said(line) == [("alert.raised", CRITICAL)]
    assert line.store.outbox.counts()[DeliveryState.PENDING] == 1
    await replay(line, [news("03 01:00", COINHALL.replace("4,000,000", "9,000,000"), guid="k")])
    await until(line, "03 05:59")
    assert len(said(line)) == 1
    await until(line, "03 06:00")
    await until(line, "03 06:01")
    assert [kind for kind, _ in said(line)] == ["alert.raised", "alert.raised", "alert.updated"]
    assert said(line)[1] == ("alert.raised", COINHALL)
    assert adds_up(line)


async def test_what_a_budget_leaves_over_goes_to_the_digest_the_loudest_first(line: Line) -> None:
    subscribe(line, {"budget": 1, "zone": "UTC"})
    day = [news("02 13:00", GHANA), news("02 14:00", FINE), news("02 15:00", KENYA), news("02 16:00", CRITICAL)]
    await replay(line, day)
    assert said(line) == [("alert.raised", GHANA), ("alert.raised", CRITICAL)]
    assert ended(line)[RouteReason.OVER_BUDGET] == 2
    await until(line, "03 08:00")
    assert said(line)[2:] == [("digest", [(KENYA, "over_budget"), (FINE, "over_budget")])]
    await replay(line, [news("03 09:00", "Norway bans crypto mining")])
    assert said(line)[-1] == ("alert.raised", "Norway bans crypto mining")  # a new day
    assert adds_up(line)


async def test_rumours_are_in_digests_and_what_changes_follows(line: Line) -> None:
    subscribe(line, {"schedule": "daily"})
    await replay(line, [news("02 13:00", RUMOUR)])
    await until(line, "03 08:00")
    assert said(line) == [("digest", [(RUMOUR, "unconfirmed")])]
    assert ended(line) == {"delivered": 0, RouteReason.UNCONFIRMED: 1}
    official = news(
        "03 12:00", "Peru bans artificial intelligence chatbots, gazette says", feed="ministry", tier="official"
    )
    await replay(line, [official])
    await until(line, "04 08:00")
    (_, ((title, reason),)) = said(line)[-1]
    assert (title, reason) == (RUMOUR, "schedule")
    assert ended(line)["delivered"] >= 1
    assert adds_up(line)


async def test_an_edit_after_the_digest_stands_in_the_next_one(line: Line) -> None:
    subscribe(line, {"schedule": "daily"})
    await replay(line, [news("02 13:00", COINHALL, guid="k")])
    await until(line, "03 08:00")
    await replay(line, [news("03 12:00", COINHALL.replace("4,000,000", "9,000,000"), guid="k")])
    await until(line, "04 08:00")
    (digest,) = (payload["data"] for payload in line.web.payloads()[1:])
    (item,) = (one for group in digest["groups"] for one in group["alerts"])
    assert (item["reason"], item["updates"][0]["reason"]) == ("updated", "correction")
    await until(line, "05 08:00")
    assert len(said(line)) == 2


@pytest.mark.parametrize("decides", [False, True])
async def test_an_alert_that_nobody_decided_goes_to_somebody_else_once(line: Line, decides: bool) -> None:
    boss = {"to": f"{line.web.address}/boss", "schedule": "escalation"}
    subscribe(line, {"escalate_after": "4h"}, boss)
    await replay(line, [news("02 13:00", KENYA)])
    assert said(line) == [("alert.raised", KENYA)]
    if decides:
        (alert,) = line.alerts()  # type: ignore[no-untyped-call]
        new = NewDecision(verdict=Verdict.DEFERRED, by="ana")
        line.store.decisions.add("t", alert.id, new, now=line.clock())
    await until(line, "02 16:59")
    assert len(said(line)) == 1
    await until(line, "02 17:00")
    await until(line, "03 17:00")
    assert said(line)[1:] == ([] if decides else [("alert.escalated", KENYA)])
    assert adds_up(line)


@pytest.mark.parametrize(
    ("form", "escalated"),
    [
        pytest.param({"verdict": "deferred", "until": "2026-03-05"}, "05 08:00", id="on-its-day"),
        pytest.param({"verdict": "assigned", "assignee": "Ben"}, "02 17:00", id="in-time: nobody has decided"),
        pytest.param({"verdict": "applicable"}, None, id="never"),
    ],
)
async def test_what_the_link_of_a_message_decides_ends_or_moves_the_escalation(
    tmp_path: Path, rulebook: Rulebook, clock: Clock, form: dict[str, str], escalated: str | None
) -> None:
    public = {"public_url": "https://watch.example.org/desk/"}
    async for line in lines(f"sqlite:///{tmp_path}/policywatch.db", rulebook, clock, api=public):
        subscribe(line, {"escalate_after": "4h"}, {"to": f"{line.web.address}/boss", "schedule": "escalation"})
        await replay(line, [news("02 13:00", KENYA)])
        link = line.web.payloads()[0]["data"]["decide"]
        assert link.startswith("https://watch.example.org/desk/decide/")
        transport = httpx.ASGITransport(api_of(line.service), root_path="/desk")
        async with httpx.AsyncClient(transport=transport) as browser:
            assert (await browser.post(link, data={"by": "Ana", **form})).status_code == 200
        for at in ("02 16:59", "02 17:00", "05 07:59", "05 08:00", "06 08:00"):
            before = len(said(line))
            await until(line, at)
            assert said(line)[before:] == ([("alert.escalated", KENYA)] if at == escalated else []), at


async def test_who_is_told_at_once_by_another_subscription_needs_no_digest(line: Line) -> None:
    subscribe(line, {"schedule": "weekly"}, name="a")
    subscribe(line, {}, name="b")
    await replay(line, [news("02 13:00", KENYA)])
    assert said(line) == [("alert.raised", KENYA)]
    await until(line, "09 09:00")
    assert len(said(line)) == 1
    assert adds_up(line)


async def test_a_subscription_that_is_gone_leaves_no_match_without_an_end(line: Line) -> None:
    subscription_id = subscribe(line, {"schedule": "weekly"})
    await replay(line, [news("02 13:00", KENYA)])
    assert ended(line)[RouteReason.FOR_DIGEST] == 1
    assert line.store.subscriptions.remove("t", subscription_id, now=line.clock())
    await until(line, "09 09:00")
    assert said(line) == []
    (nobody,) = line.store.alerts.check_ledger()
    assert (nobody.suppressed[RouteReason.INACTIVE], nobody.missing) == (1, 0)


KILLED = """
import sys
from datetime import datetime
from service.domain.model import Secret
from service.storage.decisions import NewDecision
from service.storage.due import Slot
from service.storage.store import Store
store = Store(sys.argv[1], keys=(Secret(sys.argv[2]),))
now = datetime.fromisoformat(sys.argv[3])
store.due.compile(Slot(subscription_id=1, channel_id=1), now)
store.due.escalate(1, now)
"""


def killed(line: Line, now: datetime, point: str) -> int:
    """How a process ended that did what is due and was to die at that point."""
    command = [sys.executable, "-c", KILLED, line.service.settings.storage.url, TEST_KEY.reveal(), now.isoformat()]
    return subprocess.run(command, env=os.environ | {"POLICYWATCH_FAILPOINT": point}, check=False).returncode


@pytest.mark.parametrize(("point", "left"), [("digest.before_commit", 1), ("digest.committed", 0)])
async def test_a_kill_around_the_commit_loses_and_doubles_nothing(line: Line, point: str, left: int) -> None:
    subscribe(line, {"schedule": "daily"})
    await replay(line, [news("02 13:00", KENYA)])
    due = NOON.replace(day=3, hour=8)
    url = line.service.settings.storage.url
    assert killed(line, due, point) == -signal.SIGKILL
    store = Store(url, keys=(TEST_KEY,))
    assert store.due.digests(due, limit=9) == (Slot(subscription_id=1, channel_id=1),) * left
    store.close()
    await until(line, "03 08:00")
    await until(line, "03 09:00")
    assert said(line) == [("digest", [(KENYA, "schedule")])]
    assert adds_up(line)


@pytest.mark.parametrize(("point", "left"), [("escalate.before_commit", 1), ("escalate.committed", 0)])
async def test_a_kill_around_an_escalation_tells_it_once(line: Line, point: str, left: int) -> None:
    subscribe(line, {"escalate_after": "4h"}, {"to": f"{line.web.address}/boss", "schedule": "escalation"})
    await replay(line, [news("02 13:00", KENYA)])
    due = NOON.replace(hour=17)
    assert killed(line, due, point) == -signal.SIGKILL
    assert len(line.store.due.escalations(due, limit=9)) == left
    await until(line, "02 17:00")
    await until(line, "02 18:00")
    assert said(line) == [("alert.raised", KENYA), ("alert.escalated", KENYA)]
