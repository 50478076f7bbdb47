"""Faults around the whole line: a full disk, a database that goes away, a clock that jumps. What docs/promises.md says
of each is held here: nothing is lost, and told twice only what it says may be."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from service.app import Service
from service.config import Rulebook
from service.domain.model import DeliveryState, FetchReason
from tests.conftest import Clock
from tests.line import Line, only_rules, settings_of
from tests.loopback import Web, item
from tests.postgres import Postgres

HOURS = timedelta(hours=5)
BAN = item(
    "ban",
    "Kenya bans crypto mining",
    text="The government of Kenya banned crypto mining on Monday.",
    published="Mon, 02 Mar 2026 10:00:00 GMT",
)


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    return only_rules(tmp_path_factory.mktemp("rules") / "rules.yaml", "rules:\n  - {id: bans, match: crypto + ban}\n")


@asynccontextmanager
async def a_line(url: str, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    patient = settings_of(url, delivery={"timeout": "60s"})  # what stands still here stands still for the receiver too
    service = Service(patient, rulebook=rulebook, now=clock, chance=lambda: 0.5)
    await service.start()
    async with Web() as web:
        line = Line(service, clock, web)
        line.subscribe()
        try:
            yield line
        finally:
            await service.stop()


@pytest.fixture
async def line(tmp_path: Path, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    async with a_line(f"sqlite:///{tmp_path}/policywatch.db", rulebook, clock) as line:
        yield line


def ids(line: Line) -> list[str]:
    """The message ids that the webhook got, in order."""
    return [headers["webhook-id"] for headers, _ in line.web.received]


# --- the disk is full -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def full_disk(line: Line) -> AsyncIterator[None]:
    """SQLite may not take another page, on any connection, while the block lasts."""
    engine = line.store.database.engine

    def no_more(connection, *_: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")

    engine.dispose()
    event.listen(engine, "connect", no_more)
    yield
    event.remove(engine, "connect", no_more)
    engine.dispose()


async def test_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room(line: Line) -> None:
    padding = "".join(f"<p>Paragraph {n} of the same report.</p>" for n in range(2000)).replace("<", "&lt;")
    line.add(line.web.feed("/a.xml", BAN.replace("on Monday.", f"on Monday. {padding}")))
    async with full_disk(line):
        await line.run()
        (feed,) = line.store.feeds.page()
        assert (feed.entries, feed.reason, line.web.received) == (0, FetchReason.STORAGE, [])
    await line.run(after=HOURS)
    assert len(line.web.received) == 1
    assert line.store.outbox.counts()[DeliveryState.SENT] == 1
    assert line.store.entries.waiting() == 0


# --- the database goes away -----------------------------------------------------------------------------------------


async def test_a_database_that_is_restarted_while_a_message_is_out_loses_and_repeats_nothing(
    postgres: Postgres, rulebook: Rulebook, clock: Clock
) -> None:
    def restart(_: int) -> int:
        postgres.restart()
        return 204

    with postgres.new_database() as url:
        async with a_line(url, rulebook, clock) as line:
            line.add(line.web.feed("/a.xml", BAN))
            line.web.verdict = restart
            await line.run()
            await line.run(after=HOURS)
            assert len(line.web.received) == 1
            (sent,) = line.store.outbox.page(team="t")
            assert (sent.state, sent.attempts, sent.log[0].outcome) == (DeliveryState.SENT, 1, "sent")


async def test_an_outcome_is_stored_when_the_database_is_back(line: Line) -> None:
    """Away between the answer and its note: what was accepted is not sent again."""
    engine = line.store.database.engine
    refused = 0

    def away(*_: object) -> None:
        nonlocal refused
        refused += 1
        if refused == 2:
            event.remove(engine, "do_connect", away)
        raise sqlite3.OperationalError("unable to open database file")

    def answered(_: int) -> int:
        engine.dispose()
        event.listen(engine, "do_connect", away)
        return 204

    line.add(line.web.feed("/a.xml", BAN))
    line.web.verdict = answered
    await line.run()
    await line.run(after=HOURS)
    (sent,) = line.store.outbox.page(team="t")
    assert (refused, len(line.web.received), sent.state, sent.attempts) == (2, 1, DeliveryState.SENT, 1)


# --- the clock jumps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["forward", "back"])
async def test_a_clock_that_jumps_while_a_message_is_out(line: Line, jump: timedelta) -> None:
    def answered(_: int) -> int:
        line.clock.advance(jump)
        return 204

    line.add(line.web.feed("/a.xml", BAN))
    line.web.verdict = answered
    await line.run()
    line.web.verdict = lambda _: 204
    await line.run(after=3 * HOURS)
    assert len(line.web.received) == 1
    assert line.store.outbox.counts()[DeliveryState.SENT] == 1


@pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["forward", "back"])
async def test_a_message_to_be_tried_again_survives_a_jump(line: Line, jump: timedelta) -> None:
    """Forward it is tried at once; back it waits until the clock has caught up, and is still the same message."""
    line.add(line.web.feed("/a.xml", BAN))
    line.web.verdict = lambda number: 503 if number == 1 else 204
    await line.run()
    await line.run(after=jump)
    assert len(line.web.received) == (2 if jump > timedelta(0) else 1)
    await line.run(after=2 * HOURS)
    assert len(line.web.received) == 2
    assert len(set(ids(line))) == 1
