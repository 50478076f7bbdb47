"""`policywatch audit`: who changed what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from service.cli.common import ConfigOption, JsonOption, add_row, opened, out, plain
from service.domain.model import Change
from service.storage.store import Store

_BATCH = 500


def show_audit(
    team: Annotated[str | None, typer.Option(help="Only what concerns this team.")] = None,
    thing: Annotated[str | None, typer.Option(help="subscription, channel, feed, silence, decision or key.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only changes from then on (UTC).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every change of subscriptions, channels, feeds, silences, decisions and keys: who, when, from what to what."""
    after = since.replace(tzinfo=UTC) if since is not None else None
    with opened(config) as (_, store):
        changes = list(_newest(store, team, thing, after, limit))
    if as_json:
        for change in changes:
            print(json.dumps(plain(change), ensure_ascii=False))
        return
    table = Table("at", "who", "what", "team", "changed")
    for change in changes:
        at, what = change.at.isoformat(timespec="seconds"), f"{change.thing} {change.number or ''} {change.kind}"
        add_row(table, at, change.actor, what, change.team or "all", _difference(change))
    out.print(table)


def _newest(store: Store, team: str | None, thing: str | None, since: datetime | None, limit: int) -> Iterator[Change]:
    before: int | None = None
    while limit > 0 and (
        found := store.audit.page(team, thing=thing, since=since, before=before, limit=min(limit, _BATCH))
    ):
        yield from found
        limit, before = limit - len(found), found[-1].id


def _difference(change: Change) -> str:
    before, after = change.before or {}, change.after or {}
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if change.before is None or change.after is None:
        names = [name for name in names if name in ("name", "url", "owner", "reason", "verdict", "address")]
    return "; ".join(f"{name}: {_short(before.get(name))} → {_short(after.get(name))}" for name in names)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if value is not None else "–"
    return text if len(text) <= 60 else f"{text[:59]}…"
