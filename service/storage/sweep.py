"""Takes back what the dead held. A claim does so too when it comes by; here it is counted, and others are woken."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from service.domain.model import DeliveryState, EntryState
from service.storage import turns
from service.storage.database import Database
from service.storage.tables import DELIVERY, ENTRY, FEED
from service.storage.wakes import Step, forget, note_due

SWEPT_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Leases that ran out before their work was settled, and hosts that nobody would have looked at in time."""

    feeds: int = 0
    entries: int = 0
    deliveries: int = 0
    hosts: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))


def sweep(database: Database, now: datetime) -> Swept:
    """End leases that ran out, put hosts right, and wake others for both; any process may, at any time. PostgreSQL.

    A transaction for each table, and no waiting for rows: it can stand in nobody's way.
    """
    with database.write() as session:
        forget(session)
        hosts = turns.mend(session, now)
        if hosts:
            note_due(session, Step.POLL, hosts)
    return Swept(
        feeds=_ended(database, FEED, Step.POLL, FEED.lease_until.is_not(None), now),
        entries=_ended(database, ENTRY, Step.PROCESS, ENTRY.state == EntryState.NEW, now),
        deliveries=_ended(database, DELIVERY, Step.DELIVER, DELIVERY.state == DeliveryState.PENDING, now),
        hosts=hosts,
    )


def _ended(database: Database, row: Any, step: Step, held: Any, now: datetime) -> int:
    late = select(row.id).where(held, row.lease_until <= now).limit(SWEPT_AT_ONCE).with_for_update(skip_locked=True)
    with database.write() as session:
        ids = session.execute(late).scalars().all()
        if ids:
            freed = update(row).where(row.id.in_(ids)).values(lease_until=None)
            session.execute(freed.execution_options(synchronize_session=False))
            note_due(session, step, len(ids))
    return len(ids)
