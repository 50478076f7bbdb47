"""Drills: made-up entries on their way through the real line, and the receipts of those whom they reach.

A drill's entry stands in a feed of its own that nobody polls. Both go in the commit that writes its messages: no story,
match, alert or ledger row is ever made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import delete, func, select, update
from sqlmodel import Session

from service.domain import drills
from service.domain.model import (
    Alert,
    ChannelNoticeKind,
    ClaimedEntry,
    DeliveryKind,
    DeliveryState,
    EntryState,
    FeedState,
    FullText,
    ServiceError,
    Subscription,
    Tier,
)
from service.storage.channels import tell
from service.storage.database import Database
from service.storage.mapping import dump_alert, message_id
from service.storage.subscriptions import Subscriptions
from service.storage.tables import (
    CHANNEL,
    DELIVERY,
    DRILL,
    ENTRY,
    FEED,
    TEAM,
    ChannelRow,
    DeliveryRow,
    DrillRow,
    EntryRow,
    FeedRow,
)

OVER = "the drill is over"
UNREAD = "its entry was not read in time: the service does not process, or has too much before it"


class ReceiptState(StrEnum):
    WAITING = "waiting"
    RECEIVED = "received"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Whether a drill came to a channel; `seconds` from the asking to the acceptance, None without one."""

    channel_id: int
    channel: str
    team: str
    subscription: str
    state: ReceiptState
    seconds: float | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A drill as a person sees it. `read_at` is when its entry was processed; `problem` is what went wrong before."""

    id: int
    asked_at: datetime
    due_at: datetime
    read_at: datetime | None
    ended_at: datetime | None
    problem: str
    receipts: tuple[Receipt, ...]

    @property
    def missing(self) -> int:
        return sum(receipt.state is ReceiptState.MISSING for receipt in self.receipts)


class Drills:
    def __init__(self, database: Database, subscriptions: Subscriptions) -> None:
        self._database = database
        self._subscriptions = subscriptions

    def begin(
        self,
        *,
        within: timedelta,
        now: datetime,
        team: str | None = None,
        subscription_id: int | None = None,
        slot: datetime | None = None,
    ) -> int | None:
        """Store a drill's entry, to be processed as any other; gives the drill's id. Receipts are due `within`.

        It is for the channels of one subscription, of one team, or of all. ServiceError when that is nobody; None when
        the drill of this `slot` of the schedule was made meanwhile.
        """
        with self._database.placing() as session:
            if slot is not None and session.execute(select(DRILL.id).where(DRILL.slot == slot)).first() is not None:
                return None
            team_id = session.execute(select(TEAM.id).where(TEAM.name == team)).scalar() if team else None
            row = DrillRow(
                team_id=team_id,
                subscription_id=subscription_id,
                feed_id=0,
                asked_at=now,
                due_at=now + within,
                slot=slot,
            )
            if (team is not None and team_id is None) or not _targets(self._concerned(session, row)):
                raise ServiceError("no active subscription with a channel is there to be drilled")
            session.add(row)
            session.flush()
            row.feed_id = _put_entry(session, cast(int, row.id), now)
            return row.id

    def last_scheduled(self) -> datetime | None:
        """When the last drill of the schedule was made."""
        with self._database.read() as session:
            return session.execute(select(func.max(DRILL.asked_at)).where(DRILL.slot.is_not(None))).scalar()

    def over(self, now: datetime, *, limit: int) -> tuple[int, ...]:
        """The drills whose time is up, or of which nothing more is to come."""
        pending = select(DELIVERY.id).where(DELIVERY.drill_id == DRILL.id, DELIVERY.state == DeliveryState.PENDING)
        done = DRILL.read_at.is_not(None) & ~pending.exists()
        rows = select(DRILL.id).where(DRILL.ended_at.is_(None), done | (DRILL.due_at <= now)).order_by(DRILL.id)
        with self._database.read() as session:
            return tuple(session.execute(rows.limit(limit)).scalars())

    def end(self, drill_id: int, now: datetime) -> Drill | None:
        """Close a drill: what has not arrived is missing, is not sent any more, and is told over another channel.

        None when that was done meanwhile.
        """
        with self._database.placing() as session:
            row = session.get(DrillRow, drill_id)
            if row is None or row.ended_at is not None:
                return None
            row.ended_at = now
            if row.read_at is None:
                row.problem = row.problem or UNREAD
                session.execute(delete(FeedRow).where(FEED.id == row.feed_id))
            late = (DELIVERY.drill_id == drill_id) & (DELIVERY.state == DeliveryState.PENDING)
            dead = {"state": DeliveryState.DEAD, "settled_at": now, "lease_until": None}
            session.execute(update(DeliveryRow).where(late, DELIVERY.detail == "").values(detail=OVER))
            session.execute(update(DeliveryRow).where(late).values(**dead))
            session.flush()
            ended = self._drill(session, row, None)
            row.missing = ended.missing
            for receipt in ended.receipts:
                if receipt.state is ReceiptState.MISSING:
                    channel = session.get_one(ChannelRow, receipt.channel_id)
                    detail = f"drill {drill_id}: {receipt.detail}"
                    seed = f"drill:{drill_id}"
                    tell(session, channel, ChannelNoticeKind.DRILL_MISSED, detail, seed=seed, now=now)
            return ended

    def put_off(self, drill_id: int, until: datetime) -> None:
        """Look at it again later."""
        with self._database.write() as session:
            session.execute(update(DrillRow).where(DRILL.id == drill_id).values(due_at=until))

    def get(self, drill_id: int, *, team: str | None) -> Drill | None:
        """A drill with its receipts (those of the team); None when there is none, or it is another team's."""
        with self._database.read() as session:
            row = session.get(DrillRow, drill_id)
            if row is None or not _is_of(session, row, team):
                return None
            return self._drill(session, row, team)

    def page(self, *, team: str | None, before: int | None = None, limit: int = 50) -> tuple[Drill, ...]:
        """Newest first; `before` is the id to continue from."""
        statement = select(DrillRow).order_by(DRILL.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(DRILL.id < before)
        if team is not None:
            own = select(TEAM.id).where(TEAM.name == team).scalar_subquery()
            statement = statement.where(DRILL.team_id.is_(None) | (DRILL.team_id == own))
        with self._database.read() as session:
            return tuple(self._drill(session, row, team) for row in session.execute(statement).scalars())

    def entry_of(self, drill_id: int) -> int | None:
        """The id of the drill's entry; None once it was processed."""
        statement = select(ENTRY.id).join(DrillRow, DRILL.feed_id == ENTRY.feed_id)
        with self._database.read() as session:
            return cast("int | None", session.execute(statement.where(DRILL.id == drill_id)).scalar())

    def _concerned(self, session: Session, row: DrillRow) -> Sequence[Subscription]:
        return _concerned(session, row, self._subscriptions.all(session))

    def _drill(self, session: Session, row: DrillRow, team: str | None) -> Drill:
        statement = (
            select(DeliveryRow, CHANNEL.shown, TEAM.name)
            .join(ChannelRow, CHANNEL.id == DELIVERY.channel_id)
            .join(TEAM, TEAM.id == DELIVERY.team_id)
            .where(DELIVERY.drill_id == row.id, DELIVERY.kind == DeliveryKind.DRILL)
            .order_by(DELIVERY.id)
        )
        receipts = [_receipt(row, *found) for found in session.execute(statement)]
        if row.read_at is None:
            receipts = [
                Receipt(
                    channel_id=channel_id,
                    channel=shown,
                    team=one.team,
                    subscription=one.name,
                    state=ReceiptState.MISSING if row.ended_at else ReceiptState.WAITING,
                    seconds=None,
                    detail=row.problem,
                )
                for channel_id, (one, shown) in _targets(self._concerned(session, row)).items()
            ]
        return Drill(
            id=cast(int, row.id),
            asked_at=row.asked_at,
            due_at=row.due_at,
            read_at=row.read_at,
            ended_at=row.ended_at,
            problem=row.problem,
            receipts=tuple(receipt for receipt in receipts if team is None or receipt.team == team),
        )


def finish(
    session: Session, claimed: ClaimedEntry, alert: Alert | None, subscriptions: Iterable[Subscription], now: datetime
) -> int:
    """A drill's entry was processed: write its messages and forget the entry; gives the number of messages.

    Runs inside the placing section. `alert` is None when the entry was read and the drill's rule did not fire.
    """
    row = session.execute(select(DrillRow).where(DRILL.feed_id == claimed.feed_id)).scalar_one()
    if alert is None:
        row.problem = "its entry was read, and its rule did not fire"
        session.execute(delete(FeedRow).where(FEED.id == claimed.feed_id))
        row.due_at = now  # nothing more is to come
        return 0
    row.read_at = now
    teams = _teams(session)
    targets = _targets(_concerned(session, row, subscriptions))
    for channel_id, (subscription, _) in targets.items():
        session.add(
            DeliveryRow(
                message_id=message_id(f"drill:{row.id}:{channel_id}"),
                kind=DeliveryKind.DRILL,
                team_id=teams[subscription.team],
                channel_id=channel_id,
                subscription=subscription.name,
                subscription_id=subscription.id,
                language=subscription.language,
                content=dump_alert(alert),
                state=DeliveryState.PENDING,
                due_at=now,
                created_at=now,
                drill_id=row.id,
            )
        )
    session.flush()
    session.execute(delete(FeedRow).where(FEED.id == claimed.feed_id))
    return len(targets)


def _concerned(session: Session, row: DrillRow, subscriptions: Iterable[Subscription]) -> list[Subscription]:
    teams = _teams(session)
    return [
        one
        for one in subscriptions
        if one.active and row.team_id in (None, teams[one.team]) and row.subscription_id in (None, one.id)
    ]


def _teams(session: Session) -> dict[str, int]:
    return dict(session.execute(select(TEAM.name, TEAM.id)).all())


def _targets(subscriptions: Iterable[Subscription]) -> dict[int, tuple[Subscription, str]]:
    """Each channel once, with the first subscription that leads there, whatever its schedule says."""
    found: dict[int, tuple[Subscription, str]] = {}
    for subscription in subscriptions:
        for channel in subscription.hearing:
            found.setdefault(channel.id, (subscription, channel.shown))
    return found


def _put_entry(session: Session, drill_id: int, now: datetime) -> int:
    feed = FeedRow(
        url=f"{drills.SCHEME}{drill_id}",
        title="policywatch drill",
        state=FeedState.NEW,
        tier=Tier.UNKNOWN,
        full_text=FullText.NEVER,
        interval_seconds=0.0,
        next_due_at=now,
        active=False,
        created_at=now,
    )
    session.add(feed)
    session.flush()
    feed_id = cast(int, feed.id)
    session.add(
        EntryRow(
            feed_id=feed_id,
            key=f"{drills.SCHEME}{drill_id}",
            title=drills.entry_title(drill_id),
            content=drills.entry_text(drill_id),
            lang="en",
            published=now,
            received_at=now,
            content_hash="",
            state=EntryState.NEW,
            next_attempt_at=now,
        )
    )
    session.flush()
    return feed_id


def _receipt(drill: DrillRow, delivery: DeliveryRow, shown: str, team: str) -> Receipt:
    sent = delivery.state == DeliveryState.SENT and delivery.settled_at is not None
    state = ReceiptState.RECEIVED if sent else ReceiptState.WAITING
    if delivery.state == DeliveryState.DEAD:
        state = ReceiptState.MISSING
    seconds = (delivery.settled_at - drill.asked_at).total_seconds() if sent and delivery.settled_at else None
    return Receipt(
        channel_id=delivery.channel_id,
        channel=shown,
        team=team,
        subscription=delivery.subscription,
        state=state,
        seconds=seconds,
        detail=delivery.detail,
    )


def _is_of(session: Session, row: DrillRow, team: str | None) -> bool:
    if team is None or row.team_id is None:
        return True
    own: Any = select(TEAM.id).where(TEAM.name == team)
    return bool(session.execute(own).scalar() == row.team_id)
