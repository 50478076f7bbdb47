"""How channels stand, and what is told of one over another: written in the transaction of the attempt that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import structlog
from sqlalchemy import func, or_, select, tuple_, update
from sqlmodel import Session

from service.domain import channels
from service.domain.model import (
    HEALTHY,
    ChangeKind,
    ChannelHealth,
    ChannelKind,
    ChannelNoticeKind,
    ChannelReport,
    Delivery,
    DeliveryKind,
    DeliveryState,
    DisabledReason,
    OutcomeStatus,
    Settlement,
)
from service.storage import audit, notices
from service.storage.database import Database
from service.storage.mapping import dump_channel_reports
from service.storage.tables import (
    CHANNEL,
    DELIVERY,
    SUBSCRIPTION,
    SUBSCRIPTION_CHANNEL,
    TEAM,
    UNSUBSCRIBED,
    ChannelRow,
    DeliveryRow,
    SubscriptionChannelRow,
    SubscriptionRow,
    TeamRow,
)

log = structlog.get_logger()

NOT_SENT = "not sent: the channel was disabled, and what waited for it was dropped when it was enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """A channel as a person sees how it stands. `waiting` are its messages that are due, and `dead` those given up."""

    id: int
    team: str
    kind: ChannelKind
    shown: str
    health: ChannelHealth
    waiting: int
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enabled:
    """What enabling a channel did: `waiting` messages go out now, `dropped` are dead, and can be replayed."""

    waiting: int
    dropped: int


class Channels:
    def __init__(self, database: Database) -> None:
        self._database = database

    def states(
        self, now: datetime, *, team: str | None = None, ids: Iterable[int] | None = None
    ) -> tuple[ChannelState, ...]:
        """Every channel (of the team, of these ids), in the order in which they were made."""
        due = (DELIVERY.state == DeliveryState.PENDING) & (DELIVERY.due_at <= now)
        counts: Any = (
            select(
                DELIVERY.channel_id,
                func.count().filter(due).label("waiting"),
                func.count().filter(DELIVERY.state == DeliveryState.DEAD).label("dead"),
            )
            .where(DELIVERY.state != DeliveryState.SENT)
            .group_by(DELIVERY.channel_id)
            .subquery()
        )
        statement = (
            select(ChannelRow, TEAM.name, counts.c.waiting, counts.c.dead)
            .join(TeamRow, TEAM.id == CHANNEL.team_id)
            .join(counts, counts.c.channel_id == CHANNEL.id, isouter=True)
            .order_by(CHANNEL.id)
        )
        if team is not None:
            statement = statement.where(TEAM.name == team)
        if ids is not None:
            statement = statement.where(CHANNEL.id.in_(tuple(ids)))
        with self._database.read() as session:
            return tuple(_state(*row) for row in session.execute(statement))

    def enable(self, channel_id: int, *, team: str | None, since: datetime | None, now: datetime) -> Enabled | None:
        """Send to a disabled channel again: what waits for it goes out, but what is older than `since` is dropped.

        None when there is no such channel (of this team), or it is not disabled.
        """
        with self._database.write() as session:
            row = session.get(ChannelRow, channel_id)
            if row is None or row.disabled_at is None:
                return None
            if team is not None and session.get_one(TeamRow, row.team_id).name != team:
                return None
            due: Any = (DELIVERY.channel_id == channel_id) & (DELIVERY.state == DeliveryState.PENDING)
            dropped = 0
            if since is not None:
                old = update(DeliveryRow).where(due, DELIVERY.created_at < since)
                gone = session.execute(
                    old.values(state=DeliveryState.DEAD, settled_at=now, detail=NOT_SENT).returning(DELIVERY.id)
                )
                dropped = len(gone.all())
            # Due now, with its whole schedule: what had waited a day for another try has waited long enough.
            left = session.execute(
                update(DeliveryRow)
                .where(due, or_(DELIVERY.attempts > 0, DELIVERY.due_at <= now))
                .values(due_at=now, attempts_before=DELIVERY.attempts)
                .returning(DELIVERY.id)
            )
            _audited(session, row, HEALTHY, now)
            _keep(row, HEALTHY)
            row.rest_until = None
            return Enabled(waiting=len(left.all()), dropped=dropped)


def note_attempt(session: Session, delivery: Delivery, settlement: Settlement, now: datetime) -> None:
    """Store what an attempt says of its channel, and tell over another one what has to be told."""
    well = settlement.outcome.status is OutcomeStatus.SENT and delivery.channel.health == HEALTHY
    if well and settlement.rest_until is None:
        return  # as most are: nothing to write, and nobody else sends to the channel meanwhile
    # FOR NO KEY UPDATE: rows that refer to the channel are written meanwhile.
    row = session.get(ChannelRow, delivery.channel.id, with_for_update={"key_share": True})
    if row is None:
        return
    if settlement.rest_until is not None:
        row.rest_until = settlement.rest_until
    if row.disabled_at is not None:
        return  # what was in flight when it was disabled changes nothing
    verdict = channels.after_attempt(health_of(row), delivery.kind, settlement, now)
    if verdict.health.disabled_at is not None:
        _audited(session, row, verdict.health, now)
    _keep(row, verdict.health)
    session.flush()
    if verdict.tell is not None:
        detail = _said(verdict, delivery, settlement)
        tell(session, row, verdict.tell, detail, seed=f"{delivery.id}:{delivery.attempts}", now=now)


def tell(session: Session, row: ChannelRow, kind: ChannelNoticeKind, detail: str, *, seed: str, now: datetime) -> int:
    """Tell it over another channel of each subscription that leads to this one, or else over another of the team's.

    Gives the number of channels that are told; with 0 it stands in the log, in `channels list` and in the API only.
    """
    report = ChannelReport(channel_id=cast(int, row.id), shown=row.shown, kind=kind, detail=detail[:1000], at=now)
    told = _others(session, row)
    for channel_id, subscription in told.items():
        notices.gather(
            session,
            channel_id,
            subscription,
            kind=DeliveryKind.CHANNEL_NOTICE,
            report=dump_channel_reports([report]),
            seed=f"channel:{row.id}:{kind}:{seed}:{channel_id}",
            now=now,
        )
    log.warning("channel notice", channel=row.id, kind=kind, detail=report.detail, told=len(told))
    return len(told)


def _others(session: Session, row: ChannelRow) -> dict[int, SubscriptionRow]:
    """For each subscription with this channel its first other one that works, with the subscription."""
    unsubscribed = select(UNSUBSCRIBED.subscription_id, UNSUBSCRIBED.channel_id)
    pairs = session.execute(
        select(SubscriptionRow, ChannelRow)
        .join(SubscriptionChannelRow, SUBSCRIPTION_CHANNEL.subscription_id == SUBSCRIPTION.id)
        .join(ChannelRow, CHANNEL.id == SUBSCRIPTION_CHANNEL.channel_id)
        .where(SUBSCRIPTION.team_id == row.team_id, SUBSCRIPTION.active)
        .where(CHANNEL.disabled_at.is_(None), tuple_(SUBSCRIPTION.id, CHANNEL.id).not_in(unsubscribed))
        .order_by(SUBSCRIPTION.id, CHANNEL.failing_since.is_not(None), CHANNEL.id)
    ).all()
    leading = select(SUBSCRIPTION_CHANNEL.subscription_id).where(SUBSCRIPTION_CHANNEL.channel_id == row.id)
    concerned = set(session.execute(leading).scalars())
    others = [(subscription, channel) for subscription, channel in pairs if channel.id != row.id]
    own = _first_of_each([pair for pair in others if pair[0].id in concerned])
    # Nobody to tell within a subscription: somebody of the team has to know.
    return own or _first_of_each(others[:1])


def _first_of_each(pairs: Sequence[Any]) -> dict[int, SubscriptionRow]:
    found: dict[int, SubscriptionRow] = {}
    seen: set[int] = set()
    for subscription, channel in pairs:
        if subscription.id not in seen:
            seen.add(subscription.id)
            found.setdefault(channel.id, subscription)
    return found


def _said(verdict: channels.Verdict, delivery: Delivery, settlement: Settlement) -> str:
    last = settlement.outcome.detail or settlement.outcome.status
    health = verdict.health
    match verdict.tell:
        case ChannelNoticeKind.DISABLED:
            why = "it says that it is gone" if health.disabled_because is DisabledReason.GONE else _since(health)
            again = f"what comes is kept; policywatch channels enable {delivery.channel.id} sends it"
            return f"{why}: {last}; {again}"
        case ChannelNoticeKind.GIVEN_UP:
            again = f"policywatch deliveries retry {delivery.id} sends it again"
            return f"delivery {delivery.id} ({delivery.kind}) after {delivery.attempts} attempts: {last}; {again}"
        case ChannelNoticeKind.RECOVERED:
            return f"delivery {delivery.id} was accepted"
        case _:
            return f"{_since(health)}: {last}"


def _since(health: ChannelHealth) -> str:
    return f"nothing but failures since {health.failing_since:%Y-%m-%d %H:%M} UTC"


def health_of(row: ChannelRow) -> ChannelHealth:
    """How a channel stands."""
    return ChannelHealth(
        failing_since=row.failing_since,
        last_failed_at=row.last_failed_at,
        told=row.failing_told,
        disabled_at=row.disabled_at,
        disabled_because=DisabledReason(row.disabled_because) if row.disabled_because else None,
    )


def _keep(row: ChannelRow, health: ChannelHealth) -> None:
    row.failing_since, row.last_failed_at, row.failing_told = health.failing_since, health.last_failed_at, health.told
    row.disabled_at, row.disabled_because = health.disabled_at, health.disabled_because


def _audited(session: Session, row: ChannelRow, health: ChannelHealth, now: datetime) -> None:
    kind = ChangeKind.CHANGED
    audit.note(session, kind, "channel", row.id, team_id=row.team_id, now=now, before=health_of(row), after=health)


def _state(row: ChannelRow, team: str, waiting: int | None, dead: int | None) -> ChannelState:
    return ChannelState(
        id=cast(int, row.id),
        team=team,
        kind=ChannelKind(row.kind),
        shown=row.shown,
        health=health_of(row),
        waiting=waiting or 0,
        dead=dead or 0,
    )
