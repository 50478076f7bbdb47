"""Commands about what the service keeps: keys and deliveries."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from service.cli.common import ConfigOption, JsonOption, add_row, err, opened, out, print_json
from service.domain.model import DeliveryState, Scope, ServiceError

keys = typer.Typer(help="API keys.", no_args_is_help=True)
deliveries = typer.Typer(help="The outbox.", no_args_is_help=True)


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    team: Annotated[str, typer.Option(help="The team it acts for.")] = "default",
    scope: Annotated[list[Scope] | None, typer.Option(help="read, write or admin; write by default.")] = None,
    days: Annotated[int | None, typer.Option(help="Days until it expires; never by default.", min=1)] = None,
    config: ConfigOption = None,
) -> None:
    """Make an API key. It is printed once, alone on standard output, and cannot be shown again."""
    now = datetime.now(UTC)
    with opened(config) as (_, store):
        key, secret = store.keys.create(
            team=team,
            name=name,
            scopes=scope or [Scope.WRITE],
            random=secrets.token_bytes,
            now=now,
            expires_at=now + timedelta(days=days) if days else None,
        )
    err.print(f"key {key.prefix} for team {key.team} ({', '.join(key.scopes)}); keep it, it is not shown again:")
    print(secret.reveal())


@keys.command("list")
def keys_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every key, without its secret part."""
    with opened(config) as (_, store):
        rows = store.keys.list()
    if as_json:
        print_json(rows)
        return
    table = Table("prefix", "team", "name", "scopes", "created", "last use", "state")
    now = datetime.now(UTC)
    for key in rows:
        expired = key.expires_at is not None and key.expires_at <= now
        state = "revoked" if key.revoked_at else "expired" if expired else "active"
        created, used = key.created_at.isoformat(timespec="minutes"), key.last_used_at
        shown = used.isoformat(timespec="minutes") if used else "never"
        add_row(table, key.prefix, key.team, key.name, " ".join(key.scopes), created, shown, state)
    out.print(table)


@keys.command("revoke")
def keys_revoke(prefix: str, config: ConfigOption = None) -> None:
    """End a key at once, by its prefix (see keys list)."""
    with opened(config) as (_, store):
        if not store.keys.revoke(prefix, now=datetime.now(UTC)):
            raise ServiceError(f"no key has the prefix {prefix!r}; see policywatch keys list")
    out.print(f"key {prefix} is revoked")


@deliveries.command("list")
def deliveries_list(
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The newest deliveries of all teams, with what came of their last attempt."""
    with opened(config) as (_, store):
        rows = store.outbox.page(team=None, state=state, limit=limit)
    if as_json:
        print_json(rows)
        return
    table = Table("id", "state", "attempts", "next or settled", "channel", "alert", "last answer")
    for row in rows:
        when = (row.settled_at or row.due_at).isoformat(timespec="seconds")
        alert = str(row.alert_id or row.kind)
        add_row(table, str(row.id), row.state, str(row.attempts), when, row.channel, alert, row.detail)
    out.print(table)


@deliveries.command("retry")
def deliveries_retry(delivery_id: int, config: ConfigOption = None) -> None:
    """Put a dead delivery back in line, due now."""
    with opened(config) as (_, store):
        if not store.outbox.retry(delivery_id, team=None, now=datetime.now(UTC)):
            raise ServiceError(f"delivery {delivery_id} is not dead; see policywatch deliveries list --state dead")
    out.print(f"delivery {delivery_id} is due now")
