"""Commands about what the service keeps: keys and deliveries."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from service.cli.common import ConfigOption, JsonOption, add_row, err, opened, out, print_json
from service.delivery.signing import new_keys, public_key
from service.domain.model import Channel, ChannelHealth, DeliveryState, Scope, ServiceError, Topic, Watch
from service.domain.rule import read_duration
from service.storage.outbox import Range

MAX_OVERLAP = timedelta(days=30)

SinceOption = Annotated[
    str | None, typer.Option(help="Only what was made since then: 6h, 2d, or 2026-03-02T08:00Z.", show_default=False)
]
UntilOption = Annotated[
    str | None, typer.Option(help="Only what was made before: 6h, 2d, or 2026-03-02T08:00Z.", show_default=False)
]

keys = typer.Typer(help="API keys.", no_args_is_help=True)
channels = typer.Typer(help="Where messages go.", no_args_is_help=True)
deliveries = typer.Typer(help="The outbox.", no_args_is_help=True)


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    team: Annotated[str, typer.Option(help="The team it acts for.")] = "default",
    scope: Annotated[list[Scope] | None, typer.Option(help="read, decide, write or admin; write by default.")] = None,
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


@channels.command("list")
def channels_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every channel of all teams: its id, kind, address without secrets, how it stands, a webhook's public key."""
    with opened(config) as (_, store):
        rows = [
            {
                "id": one.id,
                "team": team,
                "kind": one.kind,
                "address": one.shown,
                "state": _standing(one.health),
                "public_key": _public(one),
            }
            for team, one in store.subscriptions.channels()
        ]
    if as_json:
        print_json(rows)
        return
    table = Table("id", "team", "kind", "address", "state", "public key")
    for row in rows:
        add_row(table, *(str(value or "") for value in row.values()))
    out.print(table)


@channels.command("rotate")
def channels_rotate(
    channel_id: int,
    overlap: Annotated[str, typer.Option(help="How long the old keys sign beside the new ones; 0s if they leaked.")] = (
        "24h"
    ),
    config: ConfigOption = None,
) -> None:
    """Replace a webhook's signing keys. The new secret is printed once, alone on standard output."""
    span = read_duration(overlap)
    if span is None or span > MAX_OVERLAP:
        raise typer.BadParameter("write a duration as a number and a unit: 0s, 24h, 7d (30d at most)")
    now = datetime.now(UTC)
    with opened(config) as (_, store):
        new = new_keys(secrets.token_bytes)
        rotated = store.subscriptions.rotate(channel_id, new, team=None, overlap=span, now=now)
    if rotated is None:
        raise ServiceError(f"no webhook has the id {channel_id}; see policywatch channels list")
    until = f"{now + span:%Y-%m-%d %H:%M} UTC" if span else "now"
    err.print(f"public key: {_public(rotated)}; the old keys sign until {until}; the new secret is not shown again:")
    print(new.secret.reveal())


@channels.command("enable")
def channels_enable(
    channel_id: int,
    since: SinceOption = None,
    config: ConfigOption = None,
) -> None:
    """Send to a disabled channel again: what came for it meanwhile goes out, or with --since only what is younger."""
    now = datetime.now(UTC)
    with opened(config) as (_, store):
        done = store.channels.enable(channel_id, team=None, since=_moment(since, now), now=now)
    if done is None:
        raise ServiceError(f"no channel {channel_id} is disabled; see policywatch channels list")
    left = f"; dropped: {done.dropped} (deliveries replay sends them)" if done.dropped else ""
    out.print(f"channel {channel_id} is enabled; messages on their way: {done.waiting}{left}")


def _standing(health: ChannelHealth) -> str:
    if health.disabled_at is not None:
        return f"disabled ({health.disabled_because}) since {health.disabled_at:%Y-%m-%d %H:%M} UTC"
    if health.failing_since is not None:
        return f"failing since {health.failing_since:%Y-%m-%d %H:%M} UTC"
    return "well"


def _moment(text: str | None, now: datetime) -> datetime | None:
    """A point in time as a person writes it: how long ago, or a date with or without a time; UTC unless it says."""
    if text is None:
        return None
    if (ago := read_duration(text)) is not None:
        return now - ago
    try:
        when = datetime.fromisoformat(text)
    except ValueError as exc:
        raise typer.BadParameter("write how long ago (6h, 2d), or a time as 2026-03-02T08:00Z") from exc
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def _public(channel: Channel) -> str | None:
    private = channel.keys[0].private if channel.keys else None
    return public_key(private) if private else None


@deliveries.command("list")
def deliveries_list(
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    channel: Annotated[int | None, typer.Option(help="Only those to this channel; see channels list.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The newest deliveries of all teams, with what came of their last attempt."""
    with opened(config) as (_, store):
        rows = store.outbox.page(team=None, state=state, channel_id=channel, limit=limit)
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


class Settled(StrEnum):
    """What can be sent once more."""

    DEAD = "dead"
    SENT = "sent"


@deliveries.command("replay")
def deliveries_replay(
    ids: Annotated[list[int] | None, typer.Argument(help="These, whether accepted or given up.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    channel: Annotated[int | None, typer.Option(help="Only those to this channel; see channels list.")] = None,
    state: Annotated[Settled, typer.Option(help="sent for a receiver that has lost what it had accepted.")] = (
        Settled.DEAD
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send deliveries once more, each under the id that it has: those named, or all of a range.

    A range leaves out tests and drills.
    """
    now = datetime.now(UTC)
    wanted = Range(since=_moment(since, now), until=_moment(until, now), channel_id=channel, state=DeliveryState(state))
    if ids and (wanted != Range() or dry_run):
        raise typer.BadParameter("name deliveries or a range of them, not both")
    if not ids and wanted.since is None and wanted.channel_id is None:
        raise typer.BadParameter("name deliveries, or a range: --since, --channel, or both")
    with opened(config) as (_, store):
        if ids:
            stuck = [one for one in ids if not store.outbox.redeliver(one, team=None, now=now)]
            if stuck:
                named = ", ".join(map(str, stuck))
                raise ServiceError(f"not sent again, as they are in line or do not exist: {named}; the others are due")
            count = len(ids)
        else:
            count = store.outbox.replay(wanted, team=None, now=now, only_count=dry_run)
    out.print(f"deliveries that {'would be' if dry_run else 'are'} sent once more: {count}")


# --- the ledger ---------------------------------------------------------------------------------------------------


def ledger(
    check: Annotated[bool, typer.Option("--check", help="End with exit code 1 if a match has no end.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What became of every match, for each subscription: delivered, or suppressed and why."""
    with opened(config) as (_, store):
        sums = store.alerts.check_ledger()
    holes = [row for row in sums if row.missing]
    if as_json:
        print_json(sums)
    else:
        table = Table("team", "subscription", "matches", "delivered", "suppressed", "missing")
        for row in sums:
            held = ", ".join(f"{reason} {count}" for reason, count in sorted(row.suppressed.items())) or "0"
            name = row.subscription or "(nobody)"
            add_row(table, row.team, name, str(row.matches), str(row.delivered), held, str(row.missing))
        out.print(table)
    if check and holes:
        err.print(f"the ledger has holes: {sum(row.missing for row in holes)} matches ended nowhere", style="red")
        raise typer.Exit(1)


# --- silences -----------------------------------------------------------------------------------------------------

silences = typer.Typer(help="What teams do not want to hear of for a while.", no_args_is_help=True)


@silences.command("list")
def silences_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every silence that stands, the next to run out first."""
    with opened(config) as (_, store):
        rows = store.silences.standing(datetime.now(UTC))
    if as_json:
        print_json(rows)
        return
    table = Table("id", "team", "until", "owner", "reason", "what")
    for one in rows:
        watch = one.watch
        what = ", ".join((*watch.rules, *watch.packs, *watch.jurisdictions, *watch.topics)) or "everything"
        add_row(table, str(one.id), one.team, one.expires_at.isoformat(timespec="minutes"), one.owner, one.reason, what)
    out.print(table)


@silences.command("add")
def silences_add(
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why nobody needs to hear.")],
    hours: Annotated[float, typer.Option(help="Hours until it runs out.", min=0.1, max=24 * 90)],
    rule: Annotated[list[str] | None, typer.Option(help="Only these rules: ids or shell patterns.")] = None,
    jurisdiction: Annotated[list[str] | None, typer.Option(help="Only these jurisdictions, such as KR.")] = None,
    topic: Annotated[list[Topic] | None, typer.Option(help="Only these topics.")] = None,
    team: Annotated[str, typer.Option(help="The team that does not want to hear.")] = "default",
    config: ConfigOption = None,
) -> None:
    """Hold back a team's alerts for a while: the ledger keeps each as silenced, and corrections still go out."""
    now = datetime.now(UTC)
    if not (owner.strip() and reason.strip()):
        raise ServiceError("a silence needs an owner and a reason: somebody will ask who hid this, and why")
    watch = Watch(rules=tuple(rule or ()), jurisdictions=tuple(jurisdiction or ()), topics=tuple(topic or ()))
    with opened(config) as (_, store):
        made = store.silences.add(
            team=team, owner=owner, reason=reason, watch=watch, expires_at=now + timedelta(hours=hours), now=now
        )
    out.print(f"silence {made.id} stands until {made.expires_at:%Y-%m-%d %H:%M} UTC", markup=False, highlight=False)


@silences.command("end")
def silences_end(silence_id: int, config: ConfigOption = None) -> None:
    """Let a silence run out now."""
    with opened(config) as (_, store):
        ended = store.silences.end(silence_id, now=datetime.now(UTC))
    if not ended:
        raise ServiceError(f"no silence {silence_id} stands; see policywatch silences list")
    out.print(f"silence {silence_id} has ended", markup=False, highlight=False)
