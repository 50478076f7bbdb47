"""What waits for digests and what was told in them: written in the transaction of the alert, or of the digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select, update
from sqlmodel import Session

from service.domain.model import ItemReason, RouteReason, Subscription, Telling
from service.domain.timing import Spent, digest_of, next_digest
from service.storage.tables import DIGEST_ITEM, ESCALATION, ROUTE, DigestItemRow, EscalationRow, RouteRow

WAITING = (RouteReason.FOR_DIGEST, RouteReason.OVER_BUDGET)
ALONE = (RouteReason.DELIVERED, RouteReason.QUIET_HOURS)
SAID = (*ALONE, *WAITING, RouteReason.IN_DIGEST)
_AS_ITEM = {
    RouteReason.FOR_DIGEST: ItemReason.SCHEDULE,
    RouteReason.OVER_BUDGET: ItemReason.OVER_BUDGET,
    RouteReason.UNCONFIRMED: ItemReason.UNCONFIRMED,
}
_DAYS = timedelta(days=3)
"""What a local day and the night before it reach back and ahead at most."""


def waiting(session: Session, alert_id: int, *, rumours: bool = False) -> frozenset[int]:
    """The channels whose next digest has the alert: with `rumours` also those that have it only as one."""
    rows = select(DIGEST_ITEM.channel_id).where(_of(alert_id), _OPEN)
    if not rumours:
        rows = rows.where(DIGEST_ITEM.reason != ItemReason.UNCONFIRMED)
    return frozenset(session.execute(rows).scalars())


def told(session: Session, alert_id: int) -> frozenset[int]:
    """The channels that were told of the alert in a digest, and not only as a rumour."""
    rows = select(DIGEST_ITEM.channel_id).where(_of(alert_id), ~_OPEN, DIGEST_ITEM.reason != ItemReason.UNCONFIRMED)
    return frozenset(session.execute(rows).scalars())


def readers(session: Session, alert_id: int) -> tuple[tuple[int, int], ...]:
    """Subscription and channel of everybody who read of the alert in a digest, be it as a rumour."""
    columns = select(DIGEST_ITEM.subscription_id, DIGEST_ITEM.channel_id).distinct()
    rows = session.execute(columns.where(_of(alert_id), ~_OPEN).order_by(DIGEST_ITEM.channel_id))
    return tuple((subscription_id, channel_id) for subscription_id, channel_id in rows)


def spent(
    session: Session, subscriptions: Iterable[Subscription], alert_id: int, now: datetime
) -> Mapping[int, Sequence[Spent]]:
    """The other alerts that each subscription with a budget was, or will be, told by themselves around now."""
    limited = [one.id for one in subscriptions if one.timing.budget is not None]
    found: dict[int, list[Spent]] = {}
    if not limited:
        return found
    rows = session.execute(
        select(ROUTE.subscription_id, ROUTE.alert_id, ROUTE.due_at).where(
            ROUTE.subscription_id.in_(limited),
            ROUTE.alert_id != alert_id,
            ROUTE.reason.in_(ALONE),
            ROUTE.due_at > now - _DAYS,
        )
    )
    for subscription_id, other, due_at in rows:
        found.setdefault(subscription_id, []).append(Spent(other, due_at))
    return found


def wait(session: Session, subscription_id: int, alert_id: int, telling: Telling, now: datetime) -> None:
    """Put an alert into a channel's next digest. A rumour stands in one digest, and an alert takes its place."""
    reason = _AS_ITEM[telling.reason]
    rows = session.execute(
        select(DigestItemRow).where(_of(alert_id), DIGEST_ITEM.channel_id == telling.channel_id)
    ).scalars()
    known = list(rows)
    if reason is ItemReason.UNCONFIRMED and known:
        return
    row = next((one for one in known if one.delivery_id is None), None)
    if row is None:
        row = DigestItemRow(channel_id=telling.channel_id, alert_id=alert_id, reason=reason, since=now)
    row.subscription_id, row.reason, row.due_at = subscription_id, reason, telling.due_at
    session.add(row)
    session.flush()


def wait_with_update(
    session: Session, subscription: Subscription, channel_id: int, alert_id: int, update_id: int, now: datetime
) -> None:
    """Tell the reader of a digest in the next one what has changed; one that waits anyway will tell it all."""
    open_one = select(DIGEST_ITEM.id).where(_of(alert_id), _OPEN, DIGEST_ITEM.channel_id == channel_id)
    if session.execute(open_one).first() is None:
        session.add(
            DigestItemRow(
                subscription_id=subscription.id,
                channel_id=channel_id,
                alert_id=alert_id,
                update_id=update_id,
                reason=ItemReason.UPDATED,
                since=now,
                due_at=_due(subscription, channel_id, now),
            )
        )
        session.flush()


def take_out(session: Session, alert_id: int, channel_id: int) -> None:
    """The channel is told of the alert by itself now: its digest need not, and whoever waited for that is told."""
    row = session.execute(
        select(DigestItemRow).where(_of(alert_id), _OPEN, DIGEST_ITEM.channel_id == channel_id)
    ).scalar_one_or_none()
    if row is None:
        return
    subscription_id = row.subscription_id
    session.delete(row)
    session.flush()
    others = select(DIGEST_ITEM.id).where(_of(alert_id), _OPEN, DIGEST_ITEM.subscription_id == subscription_id)
    if session.execute(others).first() is None:
        settle(session, subscription_id, [alert_id], RouteReason.ALREADY_TOLD)


def settle(session: Session, subscription_id: int, alert_ids: Iterable[int], reason: RouteReason) -> None:
    """End the wait of these alerts' matches for a digest of the subscription; when it was decided stays."""
    session.execute(
        update(RouteRow)
        .where(ROUTE.subscription_id == subscription_id, ROUTE.alert_id.in_(tuple(alert_ids)))
        .where(ROUTE.reason.in_(WAITING))
        .values(reason=reason)
    )


def drop(session: Session, subscription_id: int, reason: RouteReason) -> None:
    """Nothing waits for a digest of this subscription any more."""
    mine = (DIGEST_ITEM.subscription_id == subscription_id) & _OPEN
    alerts = session.execute(select(DIGEST_ITEM.alert_id).where(mine)).scalars().all()
    session.execute(delete(DigestItemRow).where(mine))
    settle(session, subscription_id, alerts, reason)


def reschedule(session: Session, subscription: Subscription, now: datetime) -> None:
    """What waits is told when the subscription as it is now says so; what is overdue stays due."""
    rows = session.execute(
        select(DigestItemRow).where(DIGEST_ITEM.subscription_id == subscription.id, _OPEN, DIGEST_ITEM.due_at > now)
    ).scalars()
    for row in rows:
        row.due_at = _due(subscription, row.channel_id, now)
    session.flush()


def start_escalation(session: Session, subscription: Subscription, alert_id: int, told_at: datetime) -> None:
    """From `told_at` on the team has the subscription's time to decide; once for each alert."""
    after = subscription.timing.escalate_after
    known = select(ESCALATION.id).where(ESCALATION.subscription_id == subscription.id, ESCALATION.alert_id == alert_id)
    if after is not None and session.execute(known).first() is None:
        session.add(
            EscalationRow(subscription_id=subscription.id, alert_id=alert_id, since=told_at, due_at=told_at + after)
        )
        session.flush()


def _due(subscription: Subscription, channel_id: int, now: datetime) -> datetime:
    """When the channel's next digest is due; at once where it gets none any more."""
    schedule = digest_of(subscription.timing, subscription.schedule_of(channel_id))
    return next_digest(subscription.timing, schedule, now, ZoneInfo(subscription.timing.zone)) if schedule else now


def _of(alert_id: int) -> Any:
    return DIGEST_ITEM.alert_id == alert_id


_OPEN: Any = DIGEST_ITEM.delivery_id.is_(None)
