"""`policywatch drill`: a made-up entry through the whole line, by the running service or, if none runs, here."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from service import logs
from service.cli.common import ConfigOption, JsonOption, add_row, err, opened, out, plain
from service.config import Settings, load
from service.domain.model import ServiceError
from service.domain.rule import read_duration
from service.storage.drills import Drill, ReceiptState
from service.storage.store import Store

LOOKED_AFTER = 0.3
"""Seconds between two looks for receipts."""

TAKEN_UP_WITHIN = timedelta(seconds=10)
"""On PostgreSQL nobody can see whether a service runs: if none has read the entry by then, it is done here."""


def run_drill(
    subscription: Annotated[
        str | None, typer.Option(help="Only the channels of this subscription; all by default.")
    ] = None,
    team: Annotated[str, typer.Option(help="Whose subscription it is.")] = "default",
    within: Annotated[
        str | None, typer.Option(help="When a receipt is missing: 30s, 10m; drill.within by default.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a made-up entry through the whole line and show who got it, and how fast; exit 1 if somebody did not."""
    settings = load(config)
    span = read_duration(within) if within else settings.drill.within
    if span is None or span <= timedelta():
        raise typer.BadParameter("write a duration as a number and a unit: 30s, 10m", param_hint="--within")
    with opened(config) as (_, store):
        running = store.database.is_held() or not store.database.is_sqlite
        drill_id = _begin(store, subscription, team, span) if running else None
        drill = _waited(store, drill_id, patient=store.database.is_sqlite) if drill_id else None
    if drill is None:
        drill = asyncio.run(_here(settings, drill_id, subscription, team, span))
    _show(drill, as_json=as_json)
    if drill.missing or not drill.receipts:
        raise typer.Exit(1)


def _begin(store: Store, subscription: str | None, team: str, within: timedelta) -> int:
    wanted = None
    if subscription is not None:
        found = [one.id for one in store.subscriptions.page(team, limit=10_000) if one.name == subscription]
        if not found:
            raise ServiceError(f"team {team} has no subscription {subscription!r}; --team names another team")
        wanted = found[0]
    begun = store.drills.begin(
        within=within, now=datetime.now(UTC), team=team if subscription else None, subscription_id=wanted
    )
    assert begun is not None  # only a drill of the schedule may have been made by somebody else
    return begun


def _waited(store: Store, drill_id: int, *, patient: bool) -> Drill | None:
    """The drill once it is over; None if it was not taken up and this process is to do it."""
    while True:
        drill = store.drills.get(drill_id, team=None)
        assert drill is not None
        if drill.ended_at is not None:
            return drill
        now = datetime.now(UTC)
        if not patient and drill.read_at is None and now - drill.asked_at > TAKEN_UP_WITHIN:
            err.print("no service has taken it up; doing it here")
            return None
        if now > drill.due_at + TAKEN_UP_WITHIN:  # whoever should have closed it does not
            ended = store.drills.end(drill_id, now)
            return ended or store.drills.get(drill_id, team=None)
        time.sleep(LOOKED_AFTER)


async def _here(
    settings: Settings, drill_id: int | None, subscription: str | None, team: str, within: timedelta
) -> Drill:
    """Through the line in this process: nothing else that is due is touched."""
    from service.app import Service  # noqa: PLC0415  (the web framework is only needed here)

    logs.configure("error", "console")
    service = Service(settings)
    store = service.store
    begun = drill_id or _begin(store, subscription, team, within)
    await service.start()
    try:
        while begun not in await asyncio.to_thread(store.drills.over, datetime.now(UTC), limit=1000):
            await service.pipeline.run_drill(begun)
            await asyncio.sleep(LOOKED_AFTER)
        await asyncio.to_thread(store.drills.end, begun, datetime.now(UTC))
        drill = store.drills.get(begun, team=None)
        assert drill is not None
        return drill
    finally:
        await service.stop()


def _show(drill: Drill, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(plain(drill), ensure_ascii=False))
        return
    table = Table("channel", "team", "subscription", "receipt", "seconds", "last answer")
    for one in drill.receipts:
        seconds = f"{one.seconds:.1f}" if one.seconds is not None else ""
        add_row(table, one.channel, one.team, one.subscription, one.state, seconds, one.detail)
    out.print(table)
    if drill.problem:
        err.print(drill.problem, style="red", markup=False, highlight=False)
    got = sum(one.state is ReceiptState.RECEIVED for one in drill.receipts)
    out.print(f"drill {drill.id}: receipts {got} of {len(drill.receipts)}", highlight=False)
