"""Days replayed through the whole line: what the feeds brought and when, and every message that went out.

A day is a file in tests/data/days: `entries` in order of time, `expect` the messages, and what the ledger holds.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from service.app import Service
from service.config import Rulebook, Settings, load_rulebook
from service.domain.model import FullText, Tier
from service.storage.feeds import NewFeed
from tests.conftest import Clock
from tests.line import Line, settings_of
from tests.loopback import Web, item

DAYS = sorted(Path(__file__).parent.joinpath("data", "days").glob("*.yaml"))


@pytest.fixture(scope="session")
def day_rules(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(
        "rules:\n  - {id: crypto, match: crypto}\n  - {id: bans, match: crypto + ban, severity: high}\n"
        "  - {id: rumours, match: gold + ban, confirm: official}\n",
        encoding="utf-8",
    )
    return load_rulebook(Settings.model_validate({"rules": {"packs": [], "paths": [path]}}).rules)


@pytest.fixture
async def line(database_url: str, day_rules: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    service = Service(settings_of(database_url), rulebook=day_rules, now=clock, chance=lambda: 0.5)
    await service.start()
    async with Web() as web:
        yield Line(service, clock, web)
        await service.stop()


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
            when = format_datetime(at)
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
    day = YAML(typ="safe").load(path)
    line.subscribe()
    await replay(line, day["entries"])
    assert told(line) == day["expect"]
    assert adds_up(line)
