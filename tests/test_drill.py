"""Drills through the real line, on both databases: who gets them, who hears of a missing one, what stays of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import func, select

from service.app import Service, declared_subscription
from service.config import Rulebook, Settings, load, load_rulebook
from service.delivery.message import render
from service.delivery.payload import PAYLOAD_SCHEMA
from service.domain import drills
from service.domain.model import (
    ChannelKind,
    DeliveryKind,
    Development,
    Entry,
    Language,
    Match,
    ServiceError,
    Severity,
)
from service.storage.drills import UNREAD, Drill, ReceiptState
from service.storage.tables import AlertRow, EntryRow, FeedRow, MatchRow, ReadingRow, RouteRow, StoryRow
from tests.builders import a_development
from tests.conftest import NOON, TEST_KEY, Clock
from tests.fakes_delivery import a_channel, a_delivery, forbidden
from tests.line import Line, a_line, settings_of
from tests.loopback import Web
from tests.test_cli import policywatch

WITHIN = timedelta(minutes=10)
CLOSED = "http://127.0.0.1:9/hook"  # nobody listens at the port for discarded traffic


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return load_rulebook(Settings.model_validate({"rules": {"packs": []}}).rules)


@pytest.fixture
async def line(database_url: str, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    settings = settings_of(database_url, drill={"schedule": "weekly", "on": "wed", "at": "09:00"})
    async with a_line(settings, rulebook, clock) as made:
        yield made


def subscribe(line: Line, name: str, *channels: str, **more: object) -> int:
    """A subscription that watches nothing of what a drill is about."""
    wanted = {"name": name, "team": "t", "channels": list(channels), "watch": {"jurisdictions": ["KR"]}, **more}
    settings = Settings.model_validate({"egress": {"allow": ["127.0.0.1/32"]}, "subscriptions": [wanted]})
    new = declared_subscription(settings, 0, line.service.rulebook)
    return line.store.subscriptions.create("t", new, now=line.clock()).subscription.id


def begin(line: Line, **more: object) -> int:
    drill_id = line.store.drills.begin(within=WITHIN, now=line.clock(), **more)  # type: ignore[arg-type]
    assert drill_id is not None
    return drill_id


def of(line: Line, drill_id: int) -> Drill:
    drill = line.store.drills.get(drill_id, team="t")
    assert drill is not None
    return drill


async def test_every_channel_gets_it_and_nothing_else_is_left_of_it(line: Line) -> None:
    subscribe(line, "a", f"{line.web.address}/one", when={"schedule": "weekly"})
    subscribe(line, "b", f"{line.web.address}/two", f"{line.web.address}/one")
    drill_id = begin(line, team="t")
    await line.run()
    drill = of(line, drill_id)
    assert [receipt.state for receipt in drill.receipts] == [ReceiptState.RECEIVED] * 2
    assert [receipt.seconds for receipt in drill.receipts] == [0.0, 0.0]
    assert (drill.read_at, drill.ended_at) == (line.clock(), line.clock())
    payloads = line.web.payloads()
    assert len(payloads) == 2
    for payload in payloads:
        Draft202012Validator(PAYLOAD_SCHEMA).validate(payload)
        assert (payload["type"], payload["data"]["drill"]) == ("drill", True)
        assert payload["data"]["headline"].startswith("DRILL: ")
        assert "alert_id" not in payload["data"]
    with line.store.database.read() as session:
        for row in (FeedRow, EntryRow, StoryRow, AlertRow, MatchRow, RouteRow, ReadingRow):
            assert session.execute(select(func.count()).select_from(row)).scalar_one() == 0, row
    assert all(not row.missing and not row.matches for row in line.store.alerts.check_ledger())


async def test_one_subscription_alone(line: Line) -> None:
    subscribe(line, "a", f"{line.web.address}/one")
    wanted = subscribe(line, "b", f"{line.web.address}/two")
    drill_id = begin(line, team="t", subscription_id=wanted)
    await line.run()
    assert [receipt.subscription for receipt in of(line, drill_id).receipts] == ["b"]
    assert line.store.drills.get(drill_id, team="other") is None


async def test_a_missing_receipt_is_told_over_another_channel(line: Line) -> None:
    subscribe(line, "a", CLOSED, f"{line.web.address}/one")
    drill_id = begin(line, team="t")
    await line.run()
    assert of(line, drill_id).ended_at is None
    await line.run(after=WITHIN)
    drill = of(line, drill_id)
    assert sorted(receipt.state for receipt in drill.receipts) == [ReceiptState.MISSING, ReceiptState.RECEIVED]
    await line.run(after=timedelta(minutes=1))
    (report,) = line.web.payloads()[-1]["data"]["channel_reports"]
    assert (report["kind"], report["channel"]) == ("drill_missed", CLOSED)
    await line.run(after=timedelta(days=1))
    assert len(line.web.payloads()) == 2, "a drill that is over is not sent any more"


async def test_a_line_that_does_not_read_is_told_too(line: Line) -> None:
    subscribe(line, "a", f"{line.web.address}/one", f"{line.web.address}/two")
    drill_id = begin(line, team="t")
    line.clock.advance(WITHIN)
    ended = line.store.drills.end(drill_id, line.clock())
    assert ended is not None
    assert (ended.missing, ended.problem) == (2, UNREAD)
    assert line.store.drills.end(drill_id, line.clock()) is None
    await line.run(after=timedelta(minutes=1))
    assert {payload["type"] for payload in line.web.payloads()} == {"channel.notice"}


async def test_the_schedule_makes_one_for_each_time(line: Line) -> None:
    subscribe(line, "a", f"{line.web.address}/one")
    await line.run()
    assert line.store.drills.page(team="t") == ()
    await line.run(after=timedelta(days=2))  # Wednesday, past nine
    await line.run()
    assert len(line.store.drills.page(team="t")) == 1
    await line.run(after=timedelta(days=21))  # three were due meanwhile: one stands for all
    await line.run()
    assert [len(drill.receipts) for drill in line.store.drills.page(team="t")] == [1, 1]


async def test_a_process_that_does_nothing_else_takes_it_through(line: Line) -> None:
    subscribe(line, "a", f"{line.web.address}/one")
    waiting = subscribe(line, "b", f"{line.web.address}/two")
    line.store.outbox.add_test(
        team="t", channel_id=waiting, subscription="b", language=Language.ENGLISH, nonce="x", now=line.clock()
    )
    drill_id = begin(line, team="t")
    await line.service.pipeline.run_drill(drill_id)
    assert {receipt.state for receipt in of(line, drill_id).receipts} == {ReceiptState.RECEIVED}
    assert {payload["type"] for payload in line.web.payloads()} == {"drill"}


async def test_nobody_to_reach_is_said(line: Line) -> None:
    with pytest.raises(ServiceError, match="no active subscription with a channel"):
        begin(line, team="t")


# --- its words -----------------------------------------------------------------------------------------------------


def drilled(language: Language, kind: ChannelKind) -> str:
    development: Development = a_development("AQ")
    match = Match(rule_id=drills.RULE, digest="d", severity=Severity.MEDIUM, developments=(development,), evidence=())
    alert = drills.alert_of(Entry(id="1", title=drills.entry_title(1)), (match,), NOON)
    channel = a_channel(kind, "x://")
    message = render(a_delivery(channel, alert, kind=DeliveryKind.DRILL, language=language), now=NOON)
    return message.title + "\n" + (message.payload.decode() if message.payload else message.body)


def marks() -> Iterator[tuple[Language, str]]:
    said = ("DRILL: ", "演练：", "훈련: ", "訓練：", "SIMULACRO: ")
    yield from zip(Language, said, strict=True)


@pytest.mark.parametrize(("language", "mark"), list(marks()))
@pytest.mark.parametrize("kind", list(ChannelKind))
def test_nobody_takes_it_for_news_in_any_language(language: Language, mark: str, kind: ChannelKind) -> None:
    said = drilled(language, kind)
    assert said.startswith(mark)
    assert forbidden(said) is None
    if kind is ChannelKind.WEBHOOK:
        payload = json.loads(said.partition("\n")[2])
        assert payload["data"]["headline"].startswith(mark.strip())
    else:
        assert "asia desk" in said.partition("\n")[2], "whose drill it is"


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [False, True], ids=["without-a-service", "by-the-running-service"])
async def test_the_command_shows_who_got_it(tmp_path: Path, rulebook: Rulebook, running: bool) -> None:
    async with Web() as web:
        config = {
            "storage": {"url": f"sqlite:///{tmp_path}/policywatch.db"},
            "secrets": {"keys": [TEST_KEY.reveal()]},
            "egress": {"allow": ["127.0.0.1/32"]},
            "rules": {"packs": []},
            "subscriptions": [
                {"name": "desk", "channels": [f"{web.address}/desk"]},
                {"name": "other", "channels": [f"{web.address}/other"]},
            ],
        }
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        service = None
        if running:
            service = Service(load(tmp_path / "config.yaml"), rulebook=rulebook)
            await service.start()
            service.runner.start()
        try:
            done = await asyncio.to_thread(
                policywatch, "drill", "--subscription", "desk", "--within", "60s", "--json", folder=tmp_path
            )
        finally:
            if service is not None:
                await service.stop()
        assert done.returncode == 0, done.stderr
        (receipt,) = json.loads(done.stdout)["receipts"]
        assert (receipt["subscription"], receipt["state"]) == ("desk", "received")
        assert receipt["seconds"] > 0
        assert [payload["type"] for payload in web.payloads()] == ["drill"]
