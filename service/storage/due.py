"""What comes due by itself: digests to be put together, and alerts that nobody decided in time.

Each is one transaction, in the serialised section: what waited and the outbox row change together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select, update
from sqlmodel import Session

from service import failpoint
from service.domain.digest import HELD, PERIODS, WEEK, Seen, escalation, standing, tallies
from service.domain.model import (
    Decided,
    DeliveryKind,
    DeliveryState,
    Digest,
    DigestItem,
    EscalationEnd,
    ItemReason,
    RouteReason,
    Schedule,
    Subscription,
)
from service.domain.timing import digest_of, instant
from service.storage import digests
from service.storage.database import Database
from service.storage.decisions import decided_by
from service.storage.mapping import dump_alert, dump_digest, load_developments, message_id
from service.storage.shown import read_alert
from service.storage.subscriptions import Subscriptions
from service.storage.tables import (
    CHANNEL,
    DELIVERY,
    DIGEST_ITEM,
    ESCALATION,
    MATCH,
    ROUTE,
    AlertRow,
    DeliveryRow,
    DigestItemRow,
    EscalationRow,
    MatchRow,
    SubscriptionRow,
)

MOST = 200
"""Items of one digest; the rest follows in another one at once."""

_CONCERNS = (*digests.ALONE, *digests.WAITING, RouteReason.IN_DIGEST, RouteReason.THROTTLED, RouteReason.UNCONFIRMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A channel whose digest is due, as a subscription asked for it."""

    subscription_id: int
    channel_id: int


class Due:
    def __init__(self, database: Database, subscriptions: Subscriptions) -> None:
        self._database = database
        self._subscriptions = subscriptions

    # --- digests -----------------------------------------------------------------------------------------------

    def digests(self, now: datetime, *, limit: int) -> tuple[Slot, ...]:
        """The channels for which something waits whose time has come, the longest wait first."""
        rows = (
            select(DIGEST_ITEM.subscription_id, DIGEST_ITEM.channel_id)
            .where(DIGEST_ITEM.delivery_id.is_(None), DIGEST_ITEM.due_at <= now)
            .group_by(DIGEST_ITEM.subscription_id, DIGEST_ITEM.channel_id)
            .order_by(func.min(DIGEST_ITEM.due_at), DIGEST_ITEM.channel_id)
            .limit(limit)
        )
        with self._database.read() as session:
            return tuple(Slot(subscription_id=s, channel_id=c) for s, c in session.execute(rows))

    def compile(self, slot: Slot, now: datetime) -> RouteReason | None:
        """Put what waits for the slot into one digest in the outbox; IN_DIGEST, or why nobody is sent one.

        None when nothing is due there: somebody else was faster.
        """
        with self._database.placing() as session:
            items = _waiting(session, slot, now)
            if not items:
                return None
            subscription = self._subscriptions.one(session, slot.subscription_id)
            alerts = [item.alert_id for item in items]
            if (reason := _nobody(subscription, slot.channel_id)) is not None:
                session.execute(delete(DigestItemRow).where(DIGEST_ITEM.id.in_([item.id for item in items])))
            else:
                reason = RouteReason.IN_DIGEST
                delivery_id = _post(session, subscription, slot, _digest(session, subscription, slot, items, now), now)
                for item in items:
                    item.delivery_id = delivery_id
                session.flush()
            digests.settle(session, slot.subscription_id, alerts, reason)
            failpoint.reach("digest.before_commit")
        failpoint.reach("digest.committed")
        return reason

    def put_off(self, slot: Slot, until: datetime) -> None:
        """Try the slot's digest again later."""
        with self._database.write() as session:
            session.execute(
                update(DigestItemRow)
                .where(DIGEST_ITEM.subscription_id == slot.subscription_id, DIGEST_ITEM.channel_id == slot.channel_id)
                .where(DIGEST_ITEM.delivery_id.is_(None), DIGEST_ITEM.due_at < until)
                .values(due_at=until)
            )

    # --- escalations -------------------------------------------------------------------------------------------

    def escalations(self, now: datetime, *, limit: int) -> tuple[int, ...]:
        """Those whose time has come, by id."""
        rows = (
            select(ESCALATION.id)
            .where(ESCALATION.done_at.is_(None), ESCALATION.due_at <= now)
            .order_by(ESCALATION.due_at, ESCALATION.id)
            .limit(limit)
        )
        with self._database.read() as session:
            return tuple(session.execute(rows).scalars())

    def escalate(self, escalation_id: int, now: datetime) -> EscalationEnd | None:
        """Tell the alert to the subscription's channels for that, unless its team has decided; once.

        None when that was done meanwhile.
        """
        with self._database.placing() as session:
            row = session.get(EscalationRow, escalation_id)
            if row is None or row.done_at is not None:
                return None
            subscription = self._subscriptions.one(session, row.subscription_id)
            channels = _left(session, subscription, row.alert_id)
            decided = standing(decided_by(session, subscription.team, row.alert_id))
            again = _again_at(subscription, decided)
            end = escalation(decided, now, again_at=again, active=subscription.active, channels=channels)
            if end is EscalationEnd.DEFERRED and again is not None:
                row.due_at = again
                return end
            row.done_at, row.ended = now, end
            if end is EscalationEnd.ESCALATED:
                team_id = session.get_one(SubscriptionRow, subscription.id).team_id
                alert = read_alert(session, session.get_one(AlertRow, row.alert_id), team_id=team_id)
                content = dump_alert(alert)
                for channel_id in channels:
                    seed = _escalation_seed(row.alert_id, channel_id)
                    kind = DeliveryKind.ESCALATION
                    session.add(_delivery(session, subscription, channel_id, kind, seed, content, now))
            failpoint.reach("escalate.before_commit")
        failpoint.reach("escalate.committed")
        return end

    def put_off_escalation(self, escalation_id: int, until: datetime) -> None:
        """Look at it again later."""
        with self._database.write() as session:
            session.execute(update(EscalationRow).where(ESCALATION.id == escalation_id).values(due_at=until))


def _left(session: Session, subscription: Subscription, alert_id: int) -> tuple[int, ...]:
    """The channels for escalations that were not told of this one yet, by another subscription."""
    ids = [one.id for one in subscription.hearing if subscription.schedule_of(one.id) is Schedule.ESCALATION]
    seeds = {message_id(_escalation_seed(alert_id, each)): each for each in ids}
    sent = set(session.execute(select(DELIVERY.message_id).where(DELIVERY.message_id.in_(seeds))).scalars())
    return tuple(channel_id for known, channel_id in seeds.items() if known not in sent)


def _escalation_seed(alert_id: int, channel_id: int) -> str:
    return f"escalation:{alert_id}:{channel_id}"


def _again_at(subscription: Subscription, decided: Decided | None) -> datetime | None:
    """When a deferred alert is looked at again: on its day, at the subscription's time and in its zone."""
    if decided is None or decided.until is None:
        return None
    return instant(decided.until, subscription.timing.at, ZoneInfo(subscription.timing.zone))


# --- a digest's parts -----------------------------------------------------------------------------------------------


def _waiting(session: Session, slot: Slot, now: datetime) -> Sequence[DigestItemRow]:
    due = (
        select(DigestItemRow)
        .where(DIGEST_ITEM.subscription_id == slot.subscription_id, DIGEST_ITEM.channel_id == slot.channel_id)
        .where(DIGEST_ITEM.delivery_id.is_(None), DIGEST_ITEM.due_at <= now)
    )
    return session.execute(due.order_by(DIGEST_ITEM.id).limit(MOST)).scalars().all()


def _nobody(subscription: Subscription, channel_id: int) -> RouteReason | None:
    if not subscription.active:
        return RouteReason.INACTIVE
    return None if any(one.id == channel_id for one in subscription.hearing) else RouteReason.NO_CHANNEL


def _digest(
    session: Session, subscription: Subscription, slot: Slot, items: Sequence[DigestItemRow], now: datetime
) -> Digest:
    since = _since(session, subscription, slot, now)
    return Digest(
        since=since,
        until=now,
        items=tuple(_item(session, item) for item in items),
        tallies=tallies(_seen(session, subscription.id, now - 2 * WEEK), now),
        held=_held(session, subscription.id, since, now),
    )


def _since(session: Session, subscription: Subscription, slot: Slot, now: datetime) -> datetime:
    last = select(func.max(DELIVERY.created_at)).where(
        DELIVERY.kind == DeliveryKind.DIGEST,
        DELIVERY.subscription_id == slot.subscription_id,
        DELIVERY.channel_id == slot.channel_id,
    )
    schedule = digest_of(subscription.timing, subscription.schedule_of(slot.channel_id)) or Schedule.DAILY
    return session.execute(last).scalar() or now - PERIODS[schedule]


def _item(session: Session, row: DigestItemRow) -> DigestItem:
    team_id = session.get_one(SubscriptionRow, row.subscription_id).team_id
    alert = read_alert(session, session.get_one(AlertRow, row.alert_id), team_id=team_id)
    first = row.update_id
    return DigestItem(
        alert_id=alert.id,
        title=alert.title,
        severity=alert.severity,
        developments=alert.developments,
        source=alert.sources[0] if alert.sources else None,
        sources=len(alert.sources),
        reason=ItemReason(row.reason),
        updates=tuple(one for one in alert.updates if first is not None and one.id >= first),
    )


def _seen(session: Session, subscription_id: int, since: datetime) -> tuple[Seen, ...]:
    rows = session.execute(
        select(ROUTE.alert_id, ROUTE.decided_at, MATCH.developments)
        .join(MatchRow, MATCH.id == ROUTE.match_id)
        .where(ROUTE.subscription_id == subscription_id, ROUTE.decided_at > since, ROUTE.reason.in_(_CONCERNS))
    )
    return tuple(
        Seen(alert_id, at, frozenset(one.jurisdiction for one in load_developments(read)))
        for alert_id, at, read in rows
    )


def _held(
    session: Session, subscription_id: int, since: datetime, now: datetime
) -> tuple[tuple[RouteReason, int], ...]:
    rows = session.execute(
        select(ROUTE.reason, func.count())
        .where(ROUTE.subscription_id == subscription_id, ROUTE.reason.in_(HELD))
        .where(ROUTE.decided_at > since, ROUTE.decided_at <= now)
        .group_by(ROUTE.reason)
    )
    counts = {RouteReason(reason): count for reason, count in rows}
    return tuple((reason, counts[reason]) for reason in HELD if reason in counts)


def _post(session: Session, subscription: Subscription, slot: Slot, digest: Digest, now: datetime) -> int:
    first = min(item.alert_id for item in digest.items)
    seed = f"digest:{slot.subscription_id}:{slot.channel_id}:{first}:{now.isoformat()}"
    row = _delivery(session, subscription, slot.channel_id, DeliveryKind.DIGEST, seed, dump_digest(digest), now)
    session.add(row)
    session.flush()
    return cast(int, row.id)


def _delivery(
    session: Session,
    subscription: Subscription,
    channel_id: int,
    kind: DeliveryKind,
    seed: str,
    content: dict[str, Any],
    now: datetime,
) -> DeliveryRow:
    return DeliveryRow(
        message_id=message_id(seed),
        kind=kind,
        team_id=session.execute(select(CHANNEL.team_id).where(CHANNEL.id == channel_id)).scalar_one(),
        channel_id=channel_id,
        subscription=subscription.name,
        subscription_id=subscription.id,
        language=subscription.language,
        content=content,
        state=DeliveryState.PENDING,
        due_at=now,
        created_at=now,
    )
