"""The outbox: deliveries not yet settled. Claim (commit), attempt row (commit), send elsewhere, settle (commit).

Every result is fenced by the lease token: a worker that lost its lease cannot settle what another one now sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import compress
from typing import Any, cast

from sqlalchemy import CursorResult, func, or_, select, update
from sqlalchemy.orm import aliased
from sqlmodel import Session

from service import failpoint
from service.domain.model import (
    Channel,
    ChannelKind,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Language,
    Settlement,
    SigningKeys,
)
from service.storage.database import Database
from service.storage.mapping import (
    alert_message_id,
    dump_keys,
    load_alert,
    load_digest,
    load_keys,
    load_reports,
    message_id,
)
from service.storage.tables import (
    ATTEMPT,
    CHANNEL,
    DELIVERY,
    TEAM,
    AttemptRow,
    ChannelRow,
    DeliveryRow,
    TeamRow,
)
from service.storage.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLog:
    """One try as a person sees it. `outcome` None: the fate of the send is unknown (we stopped in between)."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    http_status: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLog:
    """One delivery as a person sees it."""

    id: int
    message_id: str
    kind: DeliveryKind
    alert_id: int | None
    subscription: str
    channel_id: int
    channel: str
    channel_kind: ChannelKind
    state: DeliveryState
    attempts: int
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    detail: str
    log: tuple[AttemptLog, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Whom a delivery was made for; `channel` is the masked address."""

    team: str
    subscription: str
    subscription_id: int | None
    channel_id: int
    channel: str
    language: Language


class Outbox:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def claim_due(self, now: datetime, *, limit: int, lease: timedelta) -> tuple[Delivery, ...]:
        """Lease up to `limit` due deliveries, at most one of each channel, and none of a channel that is being sent to.

        One at a time for each channel keeps messages in order where nothing fails and a slow channel from taking
        every place.
        """
        other: Any = aliased(DeliveryRow)
        pending = (other.channel_id == DELIVERY.channel_id) & (other.state == DeliveryState.PENDING)
        busy = select(other.id).where(pending, other.lease_until > now).exists()
        first = (
            select(other.id)
            .where(pending, other.due_at <= now)
            .order_by(other.due_at, other.id)
            .limit(1)
            .correlate(DeliveryRow)
            .scalar_subquery()
        )
        due = (
            select(DELIVERY.id)
            .where(DELIVERY.state == DeliveryState.PENDING, DELIVERY.due_at <= now)
            .where(or_(DELIVERY.lease_until.is_(None), DELIVERY.lease_until <= now))
            .where(~busy, DELIVERY.id == first)
            .order_by(DELIVERY.due_at, DELIVERY.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claim = (
            update(DeliveryRow)
            .where(DELIVERY.id.in_(select(due.c.id)))
            .values(lease_until=now + lease, lease_token=DELIVERY.lease_token + 1, attempts=DELIVERY.attempts + 1)
            .returning(DeliveryRow)
            .execution_options(synchronize_session=False)
        )
        with self._database.write() as session:
            rows = session.execute(claim).scalars().all()
            deliveries = tuple(self._delivery(session, row) for row in rows)
        if deliveries:
            failpoint.reach("deliver.claimed")
        return deliveries

    def begin_attempts(self, deliveries: Sequence[Delivery], *, now: datetime) -> tuple[bool, ...]:
        """Write the attempt rows before anything is sent, in one commit; False for each whose lease is no longer ours.
        No delivery may be there twice."""
        held = select(DELIVERY.id, DELIVERY.lease_token).where(
            DELIVERY.id.in_([delivery.id for delivery in deliveries]), DELIVERY.state == DeliveryState.PENDING
        )
        with self._database.write() as session:
            leases = {(delivery_id, token) for delivery_id, token in session.execute(held)}
            ours = tuple((delivery.id, delivery.lease_token) in leases for delivery in deliveries)
            session.add_all(
                AttemptRow(delivery_id=delivery.id, number=delivery.attempts, started_at=now)
                for delivery in compress(deliveries, ours)
            )
        for _ in filter(None, ours):
            failpoint.reach("deliver.attempt_written")
        return ours

    def settle_all(self, settled: Sequence[tuple[Delivery, Settlement]], *, now: datetime) -> tuple[bool, ...]:
        """Record what came of attempts, in one commit; False (and nothing written) for each whose lease was lost
        meanwhile."""
        with self._database.write() as session:
            ours = tuple(_settle(session, delivery, settlement, now) for delivery, settlement in settled)
        for _ in filter(None, ours):
            failpoint.reach("deliver.settled")
        return ours

    def begin_attempt(self, delivery: Delivery, *, now: datetime) -> bool:
        """Like `begin_attempts`, for one."""
        return self.begin_attempts((delivery,), now=now)[0]

    def settle(self, delivery: Delivery, settlement: Settlement, *, now: datetime) -> bool:
        """Like `settle_all`, for one."""
        return self.settle_all(((delivery, settlement),), now=now)[0]

    def add_test(
        self, *, team: str, channel_id: int, subscription: str, language: Language, nonce: str, now: datetime
    ) -> int:
        """A test message to one channel, as a delivery like any other; gives its id."""
        with self._database.write() as session:
            row = DeliveryRow(
                message_id=message_id(f"test:{channel_id}:{nonce}"),
                kind=DeliveryKind.TEST,
                team_id=session.execute(select(TEAM.id).where(TEAM.name == team)).scalar_one(),
                channel_id=channel_id,
                subscription=subscription,
                language=language,
                state=DeliveryState.PENDING,
                due_at=now,
                created_at=now,
            )
            session.add(row)
            session.flush()
            return cast(int, row.id)

    def retry(self, delivery_id: int, *, team: str | None, now: datetime) -> bool:
        """Put a dead delivery back in line, due now, with a full schedule of attempts before it."""
        with self._database.write() as session:
            row = session.get(DeliveryRow, delivery_id)
            if row is None or row.state != DeliveryState.DEAD or not _is_of(session, row, team):
                return False
            row.state, row.due_at, row.settled_at, row.lease_until = DeliveryState.PENDING, now, None, None
            row.attempts_before = row.attempts
            return True

    def page(
        self,
        *,
        team: str | None,
        state: DeliveryState | None = None,
        alert_id: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[DeliveryLog, ...]:
        """Newest first; `before` is the id to continue from."""
        statement = select(DeliveryRow, ChannelRow).join(ChannelRow, CHANNEL.id == DELIVERY.channel_id)
        if team is not None:
            statement = statement.join(TeamRow, TEAM.id == DELIVERY.team_id).where(TEAM.name == team)
        if state is not None:
            statement = statement.where(DELIVERY.state == state)
        if alert_id is not None:
            statement = statement.where(DELIVERY.alert_id == alert_id)
        if before is not None:
            statement = statement.where(DELIVERY.id < before)
        with self._database.read() as session:
            rows = session.execute(statement.order_by(DELIVERY.id.desc()).limit(limit)).all()
            logs = _attempts(session, [row.id for row, _ in rows])
            return tuple(_log(row, channel, logs.get(row.id, ())) for row, channel in rows)

    def get(self, delivery_id: int, *, team: str | None) -> DeliveryLog | None:
        with self._database.read() as session:
            row = session.get(DeliveryRow, delivery_id)
            if row is None or not _is_of(session, row, team):
                return None
            channel = session.get_one(ChannelRow, row.channel_id)
            return _log(row, channel, _attempts(session, [row.id]).get(row.id, ()))

    def recipient(self, delivery_id: int) -> Recipient | None:
        """Whom a delivery was made for: what a link in it names."""
        with self._database.read() as session:
            row = session.get(DeliveryRow, delivery_id)
            if row is None:
                return None
            return Recipient(
                team=session.get_one(TeamRow, row.team_id).name,
                subscription=row.subscription,
                subscription_id=row.subscription_id,
                channel_id=row.channel_id,
                channel=session.get_one(ChannelRow, row.channel_id).shown,
                language=Language(row.language),
            )

    def release_all(self) -> None:
        """Forget every lease: for an embedded start, where whoever held them is dead."""
        with self._database.write() as session:
            session.execute(update(DeliveryRow).where(DELIVERY.lease_until.is_not(None)).values(lease_until=None))

    def counts(self) -> dict[DeliveryState, int]:
        """How many deliveries are in each state."""
        statement = select(DELIVERY.state, func.count()).group_by(DELIVERY.state)
        with self._database.read() as session:
            found = {DeliveryState(state): count for state, count in session.execute(statement)}
        return {state: found.get(state, 0) for state in DeliveryState}

    def _delivery(self, session: Session, row: DeliveryRow) -> Delivery:
        channel = session.get_one(ChannelRow, row.channel_id)
        whole = row.kind == DeliveryKind.DIGEST
        no_alert = (DeliveryKind.DIGEST, DeliveryKind.NOTICE, DeliveryKind.UNSUBSCRIBED)
        alert = load_alert(row.content) if row.content and row.kind not in no_alert else None
        about = (DeliveryKind.UPDATE, DeliveryKind.ESCALATION)
        return Delivery(
            id=cast(int, row.id),
            message_id=row.message_id,
            kind=DeliveryKind(row.kind),
            channel=open_channel(channel, self._vault),
            alert=alert,
            team=session.get_one(TeamRow, row.team_id).name,
            subscription=row.subscription,
            subscription_id=row.subscription_id,
            attempts=row.attempts,
            tries=row.attempts - row.attempts_before,
            created_at=row.created_at,
            lease_token=row.lease_token,
            reports=load_reports(row.content["reports"]) if row.content and row.kind == DeliveryKind.NOTICE else (),
            language=Language(row.language),
            thread=alert_message_id(alert.id, row.channel_id) if alert and row.kind in about else None,
            digest=load_digest(row.content) if whole else None,
            left=row.content["left"] if row.content and row.kind == DeliveryKind.UNSUBSCRIBED else "",
        )


def open_channel(row: ChannelRow, vault: Vault) -> Channel:
    """A channel with its address unsealed."""
    context = f"channel:{row.fingerprint}"
    keys: tuple[SigningKeys, ...] = ()
    if row.secret_cipher is not None:
        keys = load_keys(vault.open(row.secret_cipher, context=f"{context}:secret"))
    return Channel(
        id=cast(int, row.id),
        kind=ChannelKind(row.kind),
        url=vault.open(row.url_cipher, context=f"{context}:url"),
        shown=row.shown,
        keys=keys,
    )


def seal_keys(keys: Iterable[SigningKeys], vault: Vault, *, context: str) -> str:
    """What signs a webhook's messages, as `open_channel` reads it."""
    return vault.seal(dump_keys(keys), context=f"{context}:secret")


def _settle(session: Session, delivery: Delivery, settlement: Settlement, now: datetime) -> bool:
    outcome = settlement.outcome
    final = settlement.state is not DeliveryState.PENDING
    fenced = (
        update(DeliveryRow)
        .where(DELIVERY.id == delivery.id, DELIVERY.lease_token == delivery.lease_token)
        .where(DELIVERY.state == DeliveryState.PENDING)
        .values(
            state=settlement.state,
            due_at=settlement.due_at,
            settled_at=now if final else None,
            detail=outcome.detail,
            lease_until=None,
        )
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[Any]", session.execute(fenced)).rowcount != 1:
        return False
    session.execute(
        update(AttemptRow)
        .where(ATTEMPT.delivery_id == delivery.id, ATTEMPT.number == delivery.attempts)
        .values(finished_at=now, outcome=outcome.status, http_status=outcome.http_status, detail=outcome.detail)
    )
    return True


def _is_of(session: Session, row: DeliveryRow, team: str | None) -> bool:
    return team is None or session.get_one(TeamRow, row.team_id).name == team


def _attempts(session: Session, delivery_ids: Sequence[int | None]) -> dict[int | None, tuple[AttemptLog, ...]]:
    statement = select(AttemptRow).where(ATTEMPT.delivery_id.in_(delivery_ids)).order_by(ATTEMPT.number)
    logs: dict[int | None, tuple[AttemptLog, ...]] = {}
    for row in session.execute(statement).scalars():
        log = AttemptLog(
            number=row.number,
            started_at=row.started_at,
            finished_at=row.finished_at,
            outcome=row.outcome,
            http_status=row.http_status,
            detail=row.detail,
        )
        logs[row.delivery_id] = (*logs.get(row.delivery_id, ()), log)
    return logs


def _log(row: DeliveryRow, channel: ChannelRow, log: tuple[AttemptLog, ...]) -> DeliveryLog:
    return DeliveryLog(
        id=cast(int, row.id),
        message_id=row.message_id,
        kind=DeliveryKind(row.kind),
        alert_id=row.alert_id,
        subscription=row.subscription,
        channel_id=row.channel_id,
        channel=channel.shown,
        channel_kind=ChannelKind(channel.kind),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        created_at=row.created_at,
        due_at=row.due_at,
        settled_at=row.settled_at,
        detail=row.detail,
        log=log,
    )
