"""Pages to look at again, leased like other work; each result is fenced by its lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import delete, or_, select, update
from sqlmodel import Session

from service.domain.model import Tier
from service.domain.pages import Look, Looked, Verdict
from service.storage.database import Database
from service.storage.tables import ENTRY, FEED, PAGE_LOOK, EntryRow, FeedRow, PageLookRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePage:
    """A page whose time has come, with the report that was told from it."""

    entry_id: int
    story_id: int
    link: str
    title: str
    tier: Tier
    jurisdiction: str | None
    look: Look
    lease_token: int


class Pages:
    def __init__(self, database: Database) -> None:
        self._database = database

    def claim_due(self, now: datetime, *, limit: int, lease: timedelta) -> tuple[DuePage, ...]:
        """Lease up to `limit` pages that are to be looked at by now."""
        due = (
            select(PAGE_LOOK.entry_id)
            .where(PAGE_LOOK.due_at <= now)
            .where(or_(PAGE_LOOK.lease_until.is_(None), PAGE_LOOK.lease_until <= now))
            .order_by(PAGE_LOOK.due_at, PAGE_LOOK.entry_id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claim = (
            update(PageLookRow)
            .where(PAGE_LOOK.entry_id.in_(select(due.c.entry_id)))
            .values(lease_until=now + lease, lease_token=PAGE_LOOK.lease_token + 1)
            .returning(PageLookRow)
            .execution_options(synchronize_session=False)
        )
        with self._database.write() as session:
            rows = {row.entry_id: row for row in session.execute(claim).scalars()}
            told = select(EntryRow, FeedRow).join(FeedRow, FEED.id == ENTRY.feed_id).where(ENTRY.id.in_(rows))
            found = session.execute(told).all() if rows else ()
            return tuple(_due(rows[cast(int, entry.id)], entry, feed) for entry, feed in found)

    def settle(self, page: DuePage, looked: Looked) -> bool:
        """Record what a look found; False when the lease was lost."""
        with self._database.write() as session:
            return settle(session, page, looked)

    def postpone(self, page: DuePage, *, until: datetime) -> None:
        """Look later: this look broke off."""
        later = update(PageLookRow).where(*_ours(page)).values(lease_until=None, due_at=until)
        with self._database.write() as session:
            session.execute(later)

    def release_all(self) -> None:
        """Forget every lease: for an embedded start, where whoever held them is dead."""
        with self._database.write() as session:
            session.execute(update(PageLookRow).where(PAGE_LOOK.lease_until.is_not(None)).values(lease_until=None))


def watch(session: Session, entry_id: int, *, since: datetime, due_at: datetime, seen: bool) -> None:
    if session.get(PageLookRow, entry_id) is None:
        session.add(PageLookRow(entry_id=entry_id, since=since, due_at=due_at, seen=seen))
        session.flush()


def settle(session: Session, page: DuePage, looked: Looked) -> bool:
    if looked.verdict is not Verdict.LOOK_AGAIN:
        done: Any = session.execute(delete(PageLookRow).where(*_ours(page)))
        return bool(done.rowcount)
    look = looked.look
    again = {"lease_until": None, "due_at": looked.due_at, "seen": look.seen, "missing": look.missing}
    kept: Any = session.execute(update(PageLookRow).where(*_ours(page)).values(**again))
    return bool(kept.rowcount)


def _ours(page: DuePage) -> Sequence[Any]:
    return (PAGE_LOOK.entry_id == page.entry_id, PAGE_LOOK.lease_token == page.lease_token)


def _due(row: PageLookRow, entry: EntryRow, feed: FeedRow) -> DuePage:
    return DuePage(
        entry_id=row.entry_id,
        story_id=cast(int, entry.story_id),
        link=entry.link,
        title=entry.title,
        tier=Tier(feed.tier),
        jurisdiction=feed.jurisdiction,
        look=Look(since=row.since, seen=row.seen, missing=row.missing),
        lease_token=row.lease_token,
    )
