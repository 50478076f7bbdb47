"""A subscription's alerts for whoever knows its token: what its feeds and its calendar are made of.

A token is 32 random bytes in base64url, looked up by its digest: what is stored opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlmodel import Session

from service.domain.dates import DatedAlert, Meaning
from service.domain.model import Alert, ChangeKind, Language, RouteReason, Secret
from service.storage import audit
from service.storage.database import Database
from service.storage.shown import read_alerts
from service.storage.tables import (
    ALERT,
    ALERT_UPDATE,
    ENTRY,
    ENTRY_DATE,
    ROUTE,
    SUBSCRIPTION,
    TEAM,
    WAY,
    AlertRow,
    EntryDateRow,
    EntryRow,
    SubscriptionRow,
    TeamRow,
    WayRow,
)

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

WANTED = (
    RouteReason.DELIVERED,
    RouteReason.QUIET_HOURS,
    RouteReason.IN_DIGEST,
    RouteReason.FOR_DIGEST,
    RouteReason.OVER_BUDGET,
    RouteReason.ALREADY_TOLD,
    RouteReason.NO_CHANNEL,
)
"""A feed has no hours and no budget: it holds what the subscription wants. What waits to be confirmed, was throttled,
silenced or muted is held back here too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A subscription that is read under a token. `seed` is what ids in its feeds are made from."""

    subscription_id: int
    subscription: str
    team: str
    language: Language
    seed: UUID
    made_at: datetime


class Ways:
    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, team: str, subscription_id: int, *, random: Callable[[int], bytes], now: datetime) -> Secret | None:
        """A new token in the place of the old one; it is seen only here. None: the team has no such subscription."""
        token = base64.urlsafe_b64encode(random(32)).decode().rstrip("=")
        with self._database.write() as session:
            owner = _owner(session, team, subscription_id)
            if owner is None:
                return None
            row = session.get(WayRow, subscription_id, with_for_update=True)
            if row is None:
                row = WayRow(subscription_id=subscription_id, seed=random(16).hex(), made_at=now)
                session.add(row)
            _note(session, row, owner, now, opened=True)
            row.token_hash, row.made_at = _digest(token), now
        return Secret(token)

    def close(self, team: str, subscription_id: int, *, now: datetime) -> bool:
        """End the token at once; False when there is none."""
        with self._database.write() as session:
            owner = _owner(session, team, subscription_id)
            row = session.get(WayRow, subscription_id, with_for_update=True) if owner is not None else None
            if owner is None or row is None or row.token_hash is None:
                return False
            _note(session, row, owner, now, opened=False)
            row.token_hash = None
            return True

    def find(self, token: str) -> Way | None:
        """What this token opens, if anything."""
        if TOKEN.fullmatch(token) is None:
            return None
        wanted = (
            select(WayRow, SubscriptionRow, TEAM.name)
            .join(SubscriptionRow, SUBSCRIPTION.id == WAY.subscription_id)
            .join(TeamRow, TEAM.id == SUBSCRIPTION.team_id)
            .where(WAY.token_hash == _digest(token))
        )
        with self._database.read() as session:
            found = session.execute(wanted).one_or_none()
            if found is None:
                return None
            row, subscription, team = found
            return Way(
                subscription_id=row.subscription_id,
                subscription=subscription.name,
                team=team,
                language=Language(subscription.language),
                seed=UUID(hex=row.seed),
                made_at=row.made_at,
            )

    def alerts(self, subscription_id: int, *, limit: int) -> tuple[Alert, ...]:
        """The alerts that the subscription wanted and that changed last, the newest change first."""
        of_ours = _of(subscription_id)
        raised = of_ours.group_by(ROUTE.alert_id).order_by(ROUTE.alert_id.desc()).limit(limit)
        last = func.max(ALERT_UPDATE.id)
        updated = (
            select(ALERT_UPDATE.alert_id)
            .where(ALERT_UPDATE.alert_id.in_(of_ours))
            .group_by(ALERT_UPDATE.alert_id)
            .order_by(last.desc())
            .limit(limit)
        )
        with self._database.read() as session:
            ids = {*session.execute(raised).scalars(), *session.execute(updated).scalars()}
            found = _alerts(session, ids, subscription_id)
        return tuple(sorted(found.values(), key=lambda alert: (changed_at(alert), alert.id), reverse=True)[:limit])

    def dates(self, subscription_id: int, *, since: date, limit: int) -> tuple[DatedAlert, ...]:
        """The days from `since` on that reports of those alerts name, in order; each of an alert once."""
        named = (
            select(ALERT.id, ENTRY_DATE.meaning, ENTRY_DATE.day, func.min(ENTRY_DATE.text))
            .select_from(EntryDateRow)
            .join(EntryRow, ENTRY.id == ENTRY_DATE.entry_id)
            .join(AlertRow, ALERT.story_id == ENTRY.story_id)
            .where(ENTRY_DATE.day >= since, ALERT.id.in_(_of(subscription_id)))
            .group_by(ALERT.id, ENTRY_DATE.meaning, ENTRY_DATE.day)
            .order_by(ENTRY_DATE.day, ALERT.id, ENTRY_DATE.meaning)
            .limit(limit)
        )
        with self._database.read() as session:
            rows = session.execute(named).all()
            alerts = _alerts(session, (row[0] for row in rows), subscription_id)
        return tuple(
            DatedAlert(alert=alerts[alert_id], meaning=Meaning(meaning), day=day, text=text)
            for alert_id, meaning, day, text in rows
        )


def changed_at(alert: Alert) -> datetime:
    """When an alert last had something new to say."""
    return max((alert.raised_at, *(update.at for update in alert.updates)))


def _of(subscription_id: int) -> Select[tuple[int]]:
    """The alerts that it wanted. The ledger outlives subscriptions, and SQLite gives the number of one that is gone to
    the next: what was decided before this one was made, or for another team, is not its own."""
    return (
        select(ROUTE.alert_id)
        .join(SubscriptionRow, SUBSCRIPTION.id == ROUTE.subscription_id)
        .where(ROUTE.subscription_id == subscription_id, ROUTE.reason.in_(WANTED))
        .where(ROUTE.team_id == SUBSCRIPTION.team_id, ROUTE.decided_at >= SUBSCRIPTION.created_at)
    )


def _alerts(session: Session, ids: Iterable[int], subscription_id: int) -> dict[int, Alert]:
    owner = session.get(SubscriptionRow, subscription_id)
    team_id = owner.team_id if owner is not None else None
    rows = session.execute(select(AlertRow).where(ALERT.id.in_(set(ids)))).scalars().all()
    return {alert.id: alert for alert in read_alerts(session, rows, most=None, team_id=team_id)}


def _owner(session: Session, team: str, subscription_id: int) -> SubscriptionRow | None:
    ours = select(SubscriptionRow).join(TeamRow, TEAM.id == SUBSCRIPTION.team_id)
    return session.execute(ours.where(SUBSCRIPTION.id == subscription_id, TEAM.name == team)).scalar_one_or_none()


def _note(session: Session, row: WayRow, owner: SubscriptionRow, now: datetime, *, opened: bool) -> None:
    kind = ChangeKind.CREATED if row.token_hash is None else ChangeKind.CHANGED if opened else ChangeKind.REMOVED
    told = {"subscription": owner.name, "new_token": opened}
    audit.note(session, kind, "feed_token", row.subscription_id, team_id=owner.team_id, now=now, after=told)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
