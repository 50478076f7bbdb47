"""Days replayed through the whole line: what the feeds brought and when, and every message that went out.

A day is a file in tests/data/days: `entries` in order of time, `expect` the messages, and what the ledger holds.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import delete

from service.app import Service
from service.config import Rulebook, Settings
from service.documents import read_yaml
from service.domain.model import FullText, RouteReason, Tier, Watch
from service.storage.feeds import NewFeed
from service.storage.subscriptions import NewChannel, NewSubscription
from service.storage.tables import RouteRow
from tests.conftest import TEST_KEY, Clock
from tests.fakes_delivery import Mailbox, part, receiving
from tests.line import Line, a_line, only_rules, settings_of
from tests.loopback import Web, item

DAYS = sorted(Path(__file__).parent.joinpath("data", "days").glob("*.yaml"))


@pytest.fixture(scope="session")
def day_rules(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    return only_rules(
        tmp_path_factory.mktemp("rules") / "rules.yaml",
        "rules:\n  - {id: crypto, match: crypto}\n  - {id: bans, match: crypto + ban, severity: high}\n"
        "  - {id: rumours, match: gold + ban, confirm: official}\n",
    )


@pytest.fixture
async def line(database_url: str, day_rules: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    async with a_line(settings_of(database_url), day_rules, clock) as made:
        yield made


async def replay(line: Line, entries: list[dict[str, Any]], *others: Service) -> None:
    """Each entry appears in its feed at its time; entries of one minute appear together."""
    shown: dict[str, dict[str, str]] = defaultdict(dict)
    known: set[str] = set()
    moments: dict[datetime, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        moments[datetime.fromisoformat(entry["at"]).replace(tzinfo=UTC)].append(entry)
    for at in sorted(moments):
        line.clock.advance(max(at - line.clock(), at - at))
        for entry in moments[at]:
            feed, guid = entry["feed"], str(entry.get("guid", entry["title"]))
            link = entry.get("link", f"https://{feed}.example/{zlib.crc32(guid.encode())}")
            when = format_datetime(datetime.fromisoformat(entry.get("dated", entry["at"])).replace(tzinfo=UTC))
            shown[feed][guid] = item(
                guid, escape(entry["title"]), text=escape(entry.get("text", "")), link=link, published=when
            )
            address = line.web.feed(f"/{feed}.xml", *reversed(shown[feed].values()), title=feed)
            if feed not in known:
                known.add(feed)
                tier = Tier(entry.get("tier", "unknown"))
                new = NewFeed(url=address, title=feed, tier=tier, full_text=FullText.NEVER)
                line.store.feeds.add(new, now=line.clock())
            else:
                due = next(found for found in line.store.feeds.page() if found.url == address)
                line.store.feeds.poll_now(due.id, now=line.clock())
        await asyncio.gather(line.run(), *(other.runner.drain() for other in others))
        await line.run()


def told(line: Line) -> list[dict[str, Any]]:
    messages = []
    for payload in line.web.payloads():
        data = payload["data"]
        message: dict[str, Any] = {payload["type"].removeprefix("alert."): data["title"]}
        if data["predecessor"]:
            message["follows"] = data["predecessor"]["title"]
            message["changed"] = data["predecessor"]["changed"]
        if "updates" in data:
            message["because"] = [update["reason"] for update in data["updates"]]
        messages.append(message)
    return messages


def adds_up(line: Line) -> bool:
    """Whether each match of the ledger ended for the subscription, as delivered or as suppressed."""
    checked = line.store.alerts.check_ledger()
    return len(checked) > 1 and not any(row.missing for row in checked)


@pytest.mark.parametrize("path", DAYS, ids=lambda path: path.stem)
async def test_a_day(path: Path, line: Line) -> None:
    day = cast(dict[str, Any], read_yaml(path).plain())
    line.subscribe()
    await replay(line, day["entries"])
    assert told(line) == day["expect"]
    assert adds_up(line)


async def test_a_correction_by_mail_is_in_the_readers_language_and_in_the_thread_of_its_alert(
    tmp_path: Path, day_rules: Rulebook, clock: Clock
) -> None:
    mailbox = Mailbox()
    async with receiving(mailbox) as port, Web() as web:
        settings = Settings.model_validate(
            settings_of(f"sqlite:///{tmp_path}/p.db").model_dump(exclude={"secrets", "delivery"})
            | {"secrets": {"keys": [TEST_KEY.reveal()]}, "delivery": {"smtp": mail_server(port)}}
            | {"subscriptions": [{"name": "desk", "channels": ["mailto:desk@example.org"], "language": "ko"}]}
        )
        service = Service(settings, rulebook=day_rules, now=clock, chance=lambda: 0.5)
        await service.start()
        day = cast(dict[str, Any], read_yaml(DAYS[0].with_stem("corrections")).plain())
        await replay(Line(service, clock, web), day["entries"][:3])
        await service.stop()
    raised, corrected = mailbox.mails
    assert str(raised["Subject"]).startswith("[보통] 싱가포르: ")
    assert str(corrected["Subject"]).startswith("정정: [보통] 싱가포르: ")
    assert corrected["In-Reply-To"] == raised["Message-ID"] != corrected["Message-ID"]
    assert "정정: 수치 4,000,000 → 9,000,000" in part(corrected, "plain")


def mail_server(port: int) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": port, "security": "none", "sender": "alerts@example.net"}


async def test_a_busy_day_adds_up(line: Line) -> None:
    """Ninety reports of six events by fifteen feeds: six alerts, and every match has its end in the ledger."""
    line.subscribe()
    places = ("Kenya", "Ghana", "Brazil", "Turkey", "Japan", "Norway")
    reports = [
        {"at": f"2026-03-02 {13 + hour}:00", "feed": f"f{feed}", "title": f"{place} bans crypto mining", "text": said}
        for hour, place in enumerate(places)
        for feed, said in ((n, f"{place} has banned crypto mining, report {n} of the desk says.") for n in range(15))
    ]
    await replay(line, reports)
    assert sorted(message["raised"] for message in told(line)) == sorted(f"{p} bans crypto mining" for p in places)
    (desk, nobody) = line.store.alerts.check_ledger()
    assert (desk.matches, desk.delivered, desk.missing, nobody.matches) == (180, 6, 0, 0)
    assert desk.suppressed == {RouteReason.ALREADY_TOLD: 174}


async def test_four_workers_that_race_tell_the_same(line: Line, day_rules: Rulebook, database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("one process owns an embedded database")
    others = [Service(line.service.settings, rulebook=day_rules, now=line.clock, chance=lambda: 0.5) for _ in range(3)]
    for other in others:
        await other.start()
    line.subscribe()
    day = cast(dict[str, Any], read_yaml(DAYS[0].with_stem("forty-copies")).plain())
    at_once = [{**entry, "at": "2026-03-02 13:00"} for entry in day["entries"]]
    await replay(line, at_once, *others)
    for other in others:
        await other.stop()
    assert len(told(line)) == 1
    (alert,) = line.alerts()
    assert (alert.reports, len(alert.sources)) == (40, 20)
    assert adds_up(line)


async def test_a_silence_holds_back_until_it_runs_out(line: Line) -> None:
    line.subscribe()
    line.store.silences.add(
        team="t",
        owner="ana@bank.example",
        reason="known since the briefing",
        watch=Watch(jurisdictions=("KE",)),
        expires_at=line.clock() + timedelta(hours=6),
        now=line.clock(),
    )
    entries = [
        {"at": "2026-03-02 13:00", "feed": "wire", "title": "Kenya bans crypto mining"},
        {"at": "2026-03-02 14:00", "feed": "wire", "title": "Ghana bans crypto mining"},
        {"at": "2026-03-03 13:00", "feed": "wire", "title": "Kenya fines crypto exchange Coinhall"},
    ]
    await replay(line, entries)
    assert [message["raised"] for message in told(line)] == [entry["title"] for entry in entries[1:]]
    (desk, _) = line.store.alerts.check_ledger()
    assert desk.suppressed[RouteReason.SILENCED] == 2
    assert adds_up(line)


async def test_an_official_text_mutes_the_rumours_about_it(line: Line) -> None:
    """Who asks for it hears no more of "may ban" once the ministry has banned: but of another act, and of news."""
    line.subscribe()
    (desk,) = line.store.subscriptions.page("t")
    channels = tuple(NewChannel(kind=c.kind, url=c.url, shown=c.shown, keys=c.keys) for c in desk.channels)
    muting = NewSubscription(name=desk.name, watch=desk.watch, channels=channels, mute_rumours=True)
    line.store.subscriptions.replace("t", desk.id, muting, now=line.clock())
    entries = [
        {"at": "2026-03-02 13:00", "feed": "gossip", "title": "Kenya may ban crypto mining, sources say"},
        {"at": "2026-03-02 15:00", "feed": "ministry", "tier": "official", "title": "Ghana bans crypto mining"},
        {"at": "2026-03-05 13:00", "feed": "gossip", "title": "Ghana may ban crypto mining at home, sources say"},
        {"at": "2026-03-05 14:00", "feed": "gossip", "title": "Ghana may ban stablecoins, sources say"},
        {"at": "2026-03-14 13:00", "feed": "gossip", "title": "Ghana may ban crypto mining in towns, sources say"},
    ]
    await replay(line, entries)
    assert [message["raised"] for message in told(line)] == [entries[n]["title"] for n in (0, 1, 3, 4)]
    (ledger, _) = line.store.alerts.check_ledger()
    assert ledger.suppressed[RouteReason.RUMOUR_MUTED] == 2
    assert adds_up(line)


async def test_a_match_without_an_end_is_a_hole_in_the_ledger(line: Line) -> None:
    line.subscribe()
    await replay(line, [{"at": "2026-03-02 13:00", "feed": "wire", "title": "Kenya bans crypto mining"}])
    assert adds_up(line)
    with line.store.database.write() as session:
        session.execute(delete(RouteRow))
    assert [row.missing for row in line.store.alerts.check_ledger()] == [2, 2]
