"""The outbox: deliveries not yet settled. Claim (commit), attempt row (commit), send elsewhere, settle (commit).

Every result is fenced by the lease token: a worker that lost its lease cannot settle what another one now sends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import compress
from typing import Any, cast

from sqlalchemy import CursorResult, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import aliased
from sqlmodel import Session

from service import failpoint
from service.domain.model import (
    Answer,
    Channel,
    ChannelKind,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Language,
    OutcomeStatus,
    Settlement,
    SigningKeys,
)
from service.storage.channels import health_of, note_attempt
from service.storage.database import Database
from service.storage.mapping import (
    alert_message_id,
    dump_answer,
    dump_keys,
    load_alert,
    load_answer,
    load_channel_reports,
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
    answer: Answer | None = None


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
    event: int | None = None
    drill_id: int | None = None
    log: tuple[AttemptLog, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One of the things that a channel was to be told; they are numbered from 1 on, without holes."""

    number: int
    delivery: Delivery
    state: DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Deliveries to be sent once more: those made from `since` on and before `until`; None means any."""

    since: datetime | None = None
    until: datetime | None = None
    channel_id: int | None = None
    state: DeliveryState = DeliveryState.DEAD


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

    def claim_due(
        self, now: datetime, *, limit: int, lease: timedelta, drill: int | None = None
    ) -> tuple[Delivery, ...]:
        """Lease up to `limit` due deliveries, at most one of each channel, and none of a channel that is being sent to.

        One at a time for each channel keeps messages in order where nothing fails and a slow channel from taking
        every place. A channel that is disabled, or rests, is left alone. With `drill` only those of that drill count.
        """
        values = {"now": now, "until": now + lease, "most": limit}
        claim = _CLAIM if drill is None else _CLAIM_OF_DRILL
        with self._database.write() as session:
            rows = session.execute(claim, values if drill is None else values | {"drill": drill}).scalars().all()
            _number(session, {cast(int, row.id): row.channel_id for row in rows if row.event is None})
            unsure = _accepted_perhaps(session, [row.id for row in rows if row.attempts > 1])
            known = _held(session, rows)  # noqa: F841  (while it is held, no channel and no team is read once more)
            deliveries = tuple(replace(self._delivery(session, row), repeat=row.id in unsure) for row in rows)
        if deliveries:
            failpoint.reach("deliver.claimed")
        return deliveries

    def begin_attempts(self, deliveries: Sequence[Delivery], *, now: datetime) -> tuple[bool, ...]:
        """Write the attempt rows before anything is sent, in one commit; False for each whose lease is no longer ours.
        No delivery may be there twice."""
        with self._database.write() as session:
            ours = _ours(session, deliveries)
            begun = [{"of": one.id, "which": one.attempts, "at": now} for one in compress(deliveries, ours)]
            if begun:
                session.connection().execute(_BEGIN, begun)
        for _ in filter(None, ours):
            failpoint.reach("deliver.attempt_written")
        return ours

    def settle_all(self, settled: Sequence[tuple[Delivery, Settlement]], *, now: datetime) -> tuple[bool, ...]:
        """Record what came of attempts, in one commit; False (and nothing written) for each whose lease was lost
        meanwhile. No delivery may be there twice."""
        with self._database.write() as session:
            ours = _ours(session, [delivery for delivery, _ in settled])
            _settle(session, tuple(compress(settled, ours)), now)
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
        return self._again(delivery_id, (DeliveryState.DEAD,), team=team, now=now)

    def redeliver(self, delivery_id: int, *, team: str | None, now: datetime) -> bool:
        """Send a settled delivery once more under the id that it has, accepted or not; False while it is in line."""
        return self._again(delivery_id, (DeliveryState.DEAD, DeliveryState.SENT), team=team, now=now)

    def _again(self, delivery_id: int, states: Collection[DeliveryState], *, team: str | None, now: datetime) -> bool:
        with self._database.write() as session:
            row = session.get(DeliveryRow, delivery_id)
            if row is None or row.state not in states or not _is_of(session, row, team):
                return False
            session.execute(_in_line(now).where(DELIVERY.id == delivery_id))
            return True

    def replay(self, wanted: Range, *, team: str | None, now: datetime, only_count: bool) -> int:
        """Send every delivery of a range once more, each under the id that it has; gives their number.

        Tests and drills are left out: they were about their own moment. What is in line stays as it is.
        """
        chosen: Any = (DELIVERY.state == wanted.state) & DELIVERY.kind.not_in((DeliveryKind.TEST, DeliveryKind.DRILL))
        if wanted.since is not None:
            chosen &= DELIVERY.created_at >= wanted.since
        if wanted.until is not None:
            chosen &= DELIVERY.created_at < wanted.until
        if wanted.channel_id is not None:
            chosen &= DELIVERY.channel_id == wanted.channel_id
        if team is not None:
            chosen &= DELIVERY.team_id.in_(select(TEAM.id).where(TEAM.name == team))
        if only_count:
            with self._database.read() as session:
                return int(session.execute(select(func.count()).select_from(DeliveryRow).where(chosen)).scalar_one())
        with self._database.write() as session:
            return cast("CursorResult[Any]", session.execute(_in_line(now).where(chosen))).rowcount

    def events(self, channel_id: int, *, after: int, limit: int, now: datetime) -> tuple[Event, ...]:
        """What a channel was to be told, in the order in which it came due; `after` is the number to continue from.

        An event has its number once it is due, whether or not it was sent yet: its content is settled by then. The
        number is given under the channel's row, so nothing can appear before a number that somebody has seen.
        """
        due: Any = (
            (DELIVERY.channel_id == channel_id)
            & DELIVERY.event.is_(None)
            & (DELIVERY.state == DeliveryState.PENDING)
            & (DELIVERY.due_at <= now)
        )
        with self._database.read() as session:
            unnumbered = session.execute(select(DELIVERY.id).where(due).limit(1)).first() is not None
        if unnumbered:
            with self._database.write() as session:
                # What a claim holds it numbers itself.
                rows = select(DELIVERY.id).where(due).order_by(DELIVERY.due_at, DELIVERY.id)
                for delivery_id in session.execute(rows.with_for_update(skip_locked=True)).scalars().all():
                    _number(session, {delivery_id: channel_id})
        with self._database.read() as session:
            wanted = (
                select(DeliveryRow)
                .where(DELIVERY.channel_id == channel_id, DELIVERY.event > after)
                .order_by(DELIVERY.event)
                .limit(limit)
            )
            return tuple(
                Event(number=row.event, delivery=self._delivery(session, row), state=DeliveryState(row.state))
                for row in session.execute(wanted).scalars()
                if row.event is not None
            )

    def message(self, delivery_id: int) -> Delivery:
        """A delivery that exists, as its channel is told it."""
        with self._database.read() as session:
            return self._delivery(session, session.get_one(DeliveryRow, delivery_id))

    def page(
        self,
        *,
        team: str | None,
        state: DeliveryState | None = None,
        alert_id: int | None = None,
        channel_id: int | None = None,
        drill_id: int | None = None,
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
        if channel_id is not None:
            statement = statement.where(DELIVERY.channel_id == channel_id)
        if drill_id is not None:
            statement = statement.where(DELIVERY.drill_id == drill_id)
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
        no_alert = (
            DeliveryKind.DIGEST, DeliveryKind.NOTICE, DeliveryKind.CHANNEL_NOTICE, DeliveryKind.UNSUBSCRIBED,
        )  # fmt: skip
        of_channels = row.kind == DeliveryKind.CHANNEL_NOTICE
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
            channel_reports=load_channel_reports(row.content["reports"]) if row.content and of_channels else (),
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
        health=health_of(row),
    )


def seal_keys(keys: Iterable[SigningKeys], vault: Vault, *, context: str) -> str:
    """What signs a webhook's messages, as `open_channel` reads it."""
    return vault.seal(dump_keys(keys), context=f"{context}:secret")


def _in_line(now: datetime) -> Any:
    """Due now, with a full schedule of attempts; those made before keep their numbers, so the next one shows."""
    values = {"state": DeliveryState.PENDING, "due_at": now, "settled_at": None, "lease_until": None}
    return update(DeliveryRow).values(**values, attempts_before=DELIVERY.attempts)


def _held(session: Session, rows: Sequence[DeliveryRow]) -> Sequence[object]:
    """The channels and teams of deliveries, all read at once; a session forgets what nobody holds."""
    channels = select(ChannelRow).where(CHANNEL.id.in_({row.channel_id for row in rows}))
    teams = select(TeamRow).where(TEAM.id.in_({row.team_id for row in rows}))
    return [one for found in (channels, teams) for one in session.execute(found).scalars()] if rows else ()


def _number(session: Session, fresh: Mapping[int, int]) -> None:
    """Give deliveries (of different channels, by id) their places among all that their channels are sent.

    The channel's row stays locked until the commit: the order of the numbers is that of the commits, without holes.
    """
    if fresh:
        connection = session.connection()
        connection.execute(_ONE_MORE, {"ids": list(fresh.values())})
        connection.execute(_ITS_NUMBER, {"ids": list(fresh)})


def _accepted_perhaps(session: Session, delivery_ids: Sequence[int | None]) -> frozenset[int]:
    """Those of which an attempt was accepted, or has no outcome and may have been."""
    if not delivery_ids:
        return frozenset()
    unsure = or_(ATTEMPT.outcome.is_(None), ATTEMPT.outcome == OutcomeStatus.SENT)
    rows = session.execute(select(ATTEMPT.delivery_id).where(ATTEMPT.delivery_id.in_(delivery_ids), unsure))
    return frozenset(rows.scalars())


def _ours(session: Session, deliveries: Sequence[Delivery]) -> tuple[bool, ...]:
    """Of each delivery, whether the lease it was claimed with still stands; so it does until the commit."""
    held = session.connection().execute(_HELD, {"ids": [delivery.id for delivery in deliveries]})
    leases = {(delivery_id, token) for delivery_id, token in held}
    return tuple((delivery.id, delivery.lease_token) in leases for delivery in deliveries)


def _settle(session: Session, settled: Sequence[tuple[Delivery, Settlement]], now: datetime) -> None:
    if not settled:
        return
    connection = session.connection()
    connection.execute(
        _SETTLE,
        [
            {
                "of": delivery.id,
                "fate": settlement.state,
                "next": settlement.due_at,
                "at": None if settlement.state is DeliveryState.PENDING else now,
                "why": settlement.outcome.detail,
            }
            for delivery, settlement in settled
        ],
    )
    connection.execute(
        _END,
        [
            {
                "of": delivery.id,
                "which": delivery.attempts,
                "at": now,
                "fate": settlement.outcome.status,
                "code": settlement.outcome.http_status,
                "why": settlement.outcome.detail,
            }
            for delivery, settlement in settled
        ],
    )
    if answers := [
        {"of": delivery.id, "which": delivery.attempts, "said": dump_answer(settlement.outcome.answer)}
        for delivery, settlement in settled
        if settlement.outcome.answer
    ]:
        connection.execute(_ANSWER, answers)
    for delivery, settlement in settled:
        note_attempt(session, delivery, settlement, now)


# Made once, and run for many deliveries: making a statement takes longer than running it.
_HELD = (
    select(DELIVERY.id, DELIVERY.lease_token)
    .where(DELIVERY.id.in_(bindparam("ids", expanding=True)), DELIVERY.state == DeliveryState.PENDING)
    .with_for_update()
)


def _claim(turn: Any) -> Any:
    """Lease what is due, on whose `turn` it is: which one of a channel's.

    It looks at the channels that have something due, not at all that is due: thousands may wait for each of them.
    """
    now: Any = bindparam("now")
    waiting = select(_OTHER.channel_id).where(_OTHER.state == DeliveryState.PENDING, _OTHER.due_at <= now)
    busy = select(_OTHER.channel_id).where(_OTHER.lease_until > now)  # a lease ends with the wait
    due = (
        select(DELIVERY.id)
        .join(ChannelRow, turn)
        .where(CHANNEL.id.in_(waiting), CHANNEL.id.not_in(busy), CHANNEL.disabled_at.is_(None))
        .where(or_(CHANNEL.rest_until.is_(None), CHANNEL.rest_until <= now))
        .where(DELIVERY.state == DeliveryState.PENDING, DELIVERY.due_at <= now)
        .where(or_(DELIVERY.lease_until.is_(None), DELIVERY.lease_until <= now))
        .order_by(DELIVERY.due_at, DELIVERY.id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True, of=DeliveryRow)
        .cte("due")
    )
    return (
        update(DeliveryRow)
        .where(DELIVERY.id.in_(select(due.c.id)))
        .values(lease_until=bindparam("until"), lease_token=DELIVERY.lease_token + 1, attempts=DELIVERY.attempts + 1)
        .returning(DeliveryRow)
        .execution_options(synchronize_session=False)
    )


_OTHER: Any = aliased(DeliveryRow)
_FIRST = (
    select(_OTHER.id)
    .where(_OTHER.channel_id == CHANNEL.id, _OTHER.state == DeliveryState.PENDING, _OTHER.due_at <= bindparam("now"))
    .order_by(_OTHER.due_at, _OTHER.id)
    .limit(1)
    .correlate(ChannelRow)
    .scalar_subquery()
)
_CLAIM = _claim(DELIVERY.id == _FIRST)
_CLAIM_OF_DRILL = _claim((DELIVERY.channel_id == CHANNEL.id) & (DELIVERY.drill_id == bindparam("drill")))
_ONE_MORE = (
    update(ChannelRow).where(CHANNEL.id.in_(bindparam("ids", expanding=True))).values(last_event=CHANNEL.last_event + 1)
)
_ITS_NUMBER = (
    update(DeliveryRow)
    .where(DELIVERY.id.in_(bindparam("ids", expanding=True)))
    .values(event=select(CHANNEL.last_event).where(CHANNEL.id == DELIVERY.channel_id).scalar_subquery())
)
_BEGIN = insert(AttemptRow).values(
    delivery_id=bindparam("of"), number=bindparam("which"), started_at=bindparam("at"), detail=""
)
_SETTLE = (
    update(DeliveryRow)
    .where(DELIVERY.id == bindparam("of"))
    .values(
        state=bindparam("fate"),
        due_at=bindparam("next"),
        settled_at=bindparam("at"),
        detail=bindparam("why"),
        lease_until=None,
    )
)
_THIS = (ATTEMPT.delivery_id == bindparam("of")) & (ATTEMPT.number == bindparam("which"))
_END = (
    update(AttemptRow)
    .where(_THIS)
    .values(
        finished_at=bindparam("at"), outcome=bindparam("fate"), http_status=bindparam("code"), detail=bindparam("why")
    )
)
_ANSWER = update(AttemptRow).where(_THIS).values(answer=bindparam("said"))


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
            answer=load_answer(row.answer) if row.answer else None,
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
        event=row.event,
        drill_id=row.drill_id,
        log=log,
    )
