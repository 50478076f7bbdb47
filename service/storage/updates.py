"""What changed in alerts after they were raised, and who is told of it. Runs inside the placing section."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlmodel import Session

from service.domain.model import (
    Alert,
    DeliveryKind,
    DeliveryState,
    Language,
    Predecessor,
    Severity,
    Subscription,
    Update,
    UpdateReason,
)
from service.domain.stories import since
from service.domain.timing import undisturbed
from service.domain.updates import Change
from service.storage import digests
from service.storage.mapping import dump_alert, message_id
from service.storage.shelf import members_of
from service.storage.tables import (
    ALERT,
    ALERT_UPDATE,
    DELIVERY,
    AlertUpdateRow,
    ChannelRow,
    DeliveryRow,
    StoryRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A channel that was told of an alert, the subscription that led there, and when it may hear of an update.

    With `digest` the channel was told in a digest, and hears in that subscription's next one.
    """

    channel_id: int
    subscription: str
    subscription_id: int | None
    language: Language
    due_at: datetime
    digest: Subscription | None = None


def readers(
    session: Session, alert_id: int, subscriptions: Iterable[Subscription], severity: Severity, now: datetime
) -> tuple[Reader, ...]:
    """Who was told of an alert and still wants to hear: a channel that an active subscription has no more does not."""
    active = {one.id: one for one in subscriptions if one.active}
    heard = {channel.id for one in active.values() for channel in one.hearing}
    columns = (DELIVERY.channel_id, DELIVERY.subscription, DELIVERY.subscription_id, DELIVERY.language)
    alone = [
        Reader(
            channel_id=channel,
            subscription=name,
            subscription_id=number,
            language=Language(language),
            due_at=_due(active.get(number), severity, now),
        )
        for channel, name, number, language in session.execute(select(*columns).where(DELIVERY.alert_id == alert_id))
        if channel in heard
    ]
    told = {reader.channel_id for reader in alone}
    return (*alone, *_digest_readers(session, alert_id, active, heard - told, now))


def _due(subscription: Subscription | None, severity: Severity, now: datetime) -> datetime:
    if subscription is None:
        return now
    timing = subscription.timing
    return undisturbed(timing, severity, now, ZoneInfo(timing.zone))


def _digest_readers(
    session: Session, alert_id: int, active: Mapping[int, Subscription], heard: Collection[int], now: datetime
) -> Iterator[Reader]:
    found = {channel: active[one] for one, channel in digests.readers(session, alert_id) if one in active}
    for channel_id, subscription in found.items():
        if channel_id in heard:
            yield Reader(
                channel_id=channel_id,
                subscription=subscription.name,
                subscription_id=subscription.id,
                language=subscription.language,
                due_at=now,
                digest=subscription,
            )


def record(
    session: Session, alert_id: int, entry_id: int, changes: Iterable[Change], now: datetime
) -> tuple[Update, ...]:
    """Store the changes that the alert does not know yet; gives those."""
    known = set(session.execute(select(ALERT_UPDATE.what).where(ALERT_UPDATE.alert_id == alert_id)).scalars())
    made = []
    for change in changes:
        if change.what in known:
            continue
        known.add(change.what)
        row = AlertUpdateRow(
            alert_id=alert_id, entry_id=entry_id, reason=change.reason, what=change.what, detail=change.detail, at=now
        )
        session.add(row)
        session.flush()
        made.append(update_of(row))
    return tuple(made)


def tell(session: Session, alert_of: Callable[[int], Alert], to: Iterable[Reader], now: datetime) -> int:
    """One message, or a place in a digest, for each reader with all that one entry changed; gives the number of
    messages. `alert_of` gives the alert as a team sees it, with these changes and no others."""
    made = 0
    seen = cache(alert_of)
    for reader in to:
        channel = session.get_one(ChannelRow, reader.channel_id)
        alert = seen(channel.team_id)
        first = min(update.id for update in alert.updates)
        if reader.digest is not None:
            digests.wait_with_update(session, reader.digest, reader.channel_id, alert.id, first, now)
            continue
        session.add(
            DeliveryRow(
                message_id=message_id(f"update:{first}:{reader.channel_id}"),
                kind=DeliveryKind.UPDATE,
                team_id=channel.team_id,
                channel_id=reader.channel_id,
                subscription=reader.subscription,
                subscription_id=reader.subscription_id,
                language=reader.language,
                update_id=first,
                content=dump_alert(alert),
                state=DeliveryState.PENDING,
                due_at=reader.due_at,
                created_at=now,
            )
        )
        made += 1
    session.flush()
    return made


def updates_of(session: Session, alert_id: int) -> tuple[Update, ...]:
    rows = select(AlertUpdateRow).where(ALERT_UPDATE.alert_id == alert_id).order_by(ALERT_UPDATE.id)
    return tuple(update_of(row) for row in session.execute(rows).scalars())


def predecessor_of(session: Session, story_id: int) -> Predecessor | None:
    """The story that this one comes after in its dossier, and what changed since."""
    story = session.get_one(StoryRow, story_id)
    old = session.get(StoryRow, story.predecessor_id) if story.predecessor_id else None
    if old is None:
        return None
    alert_id = session.execute(select(ALERT.id).where(ALERT.story_id == old.id)).scalar_one_or_none()
    now, then = members_of(session, story_id), members_of(session, cast(int, old.id))
    return Predecessor(
        story_id=cast(int, old.id), alert_id=alert_id, title=old.title, at=old.opened_at, changed=since(then, now)
    )


def update_of(row: Any) -> Update:
    return Update(
        id=cast(int, row.id), reason=UpdateReason(row.reason), detail=row.detail, entry_id=row.entry_id, at=row.at
    )
