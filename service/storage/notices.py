"""Notices about feeds into the outbox, in the transaction that stores them: what was noticed is told, once.

What comes within a minute goes out as one message: when a network is down, every feed fails in the same moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import select, tuple_
from sqlmodel import Session

from service.domain.model import DeliveryKind, DeliveryState, Feed, FeedReport, Notice, Notices
from service.domain.notices import hears
from service.domain.text import masked
from service.storage.mapping import dump_reports, load_watch, message_id
from service.storage.tables import (
    DELIVERY,
    SUBSCRIPTION,
    SUBSCRIPTION_CHANNEL,
    UNSUBSCRIBED,
    DeliveryRow,
    FeedNoticeRow,
    SubscriptionChannelRow,
    SubscriptionRow,
)

GATHERED_FOR = timedelta(minutes=1)
MOST_IN_ONE = 50
"""Reports in one message; the next begins another."""


def record(session: Session, feed: Feed, notices: Sequence[Notice], now: datetime) -> None:
    """Store what was noticed about a feed, and the messages to everybody who hears of it."""
    for notice in notices:
        row = FeedNoticeRow(feed_id=feed.id, at=now, kind=notice.kind, detail=notice.detail[:1000])
        session.add(row)
        session.flush()
        report = FeedReport(
            feed_id=feed.id,
            name=feed.title or masked(feed.url),
            url=masked(feed.url),
            kind=notice.kind,
            detail=row.detail,
            at=now,
        )
        for channel_id, subscription in _readers(session, feed, notice).items():
            _tell(session, channel_id, subscription, report, cast(int, row.id), now)


def _readers(session: Session, feed: Feed, notice: Notice) -> dict[int, SubscriptionRow]:
    """The channels that hear of it, each with the first subscription that leads there."""
    left = select(UNSUBSCRIBED.subscription_id, UNSUBSCRIBED.channel_id)
    rows = session.execute(
        select(SubscriptionRow, SUBSCRIPTION_CHANNEL.channel_id)
        .join(SubscriptionChannelRow, SUBSCRIPTION_CHANNEL.subscription_id == SUBSCRIPTION.id)
        .where(SUBSCRIPTION.active, SUBSCRIPTION.notices != Notices.OFF)
        .where(tuple_(SUBSCRIPTION.id, SUBSCRIPTION_CHANNEL.channel_id).not_in(left))
        .order_by(SUBSCRIPTION.id)
    )
    found: dict[int, SubscriptionRow] = {}
    for row, channel_id in rows:
        if hears(Notices(row.notices), load_watch(row.watch), notice.kind, feed.jurisdiction):
            found.setdefault(channel_id, row)
    return found


def _tell(
    session: Session, channel_id: int, subscription: SubscriptionRow, report: FeedReport, notice_id: int, now: datetime
) -> None:
    gather(
        session,
        channel_id,
        subscription,
        kind=DeliveryKind.NOTICE,
        report=dump_reports([report]),
        seed=f"notice:{notice_id}:{channel_id}",
        now=now,
    )


def gather(
    session: Session,
    channel_id: int,
    subscription: SubscriptionRow,
    *,
    kind: DeliveryKind,
    report: list[dict[str, Any]],
    seed: str,
    now: datetime,
) -> None:
    """Put a report into the channel's next message of `kind`, or into a new one, whose id `seed` makes."""
    waiting = session.execute(
        select(DeliveryRow)
        .where(DELIVERY.channel_id == channel_id, DELIVERY.kind == kind)
        .where(DELIVERY.state == DeliveryState.PENDING, DELIVERY.attempts == 0, DELIVERY.due_at > now)
        .order_by(DELIVERY.id.desc())
        .limit(1)
        .with_for_update()
    ).scalar_one_or_none()
    if waiting is not None and len((waiting.content or {}).get("reports", ())) < MOST_IN_ONE:
        # A new value: a change inside of the old one would not be seen, and not be written.
        waiting.content = {"reports": [*(waiting.content or {})["reports"], *report]}
        session.flush()
        return
    row = DeliveryRow(
        message_id=message_id(seed),
        kind=kind,
        team_id=subscription.team_id,
        channel_id=channel_id,
        subscription=subscription.name,
        subscription_id=subscription.id,
        content={"reports": report},
        state=DeliveryState.PENDING,
        due_at=now + GATHERED_FOR,
        created_at=now,
    )
    session.add(row)
    session.flush()
