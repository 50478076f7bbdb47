"""The gap ledger at work: gaps that wait to be filled, and the commit of what was found for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlmodel import Session

from service.domain.gaps import Older
from service.domain.model import Feed, FeedGap, GapFate, Notice, NoticeKind, ParsedEntry
from service.storage import notices
from service.storage.database import Database
from service.storage.feeds import entry_keys, feed_of, fresh_row, gap_of, insert_fresh, known_rows, link_key
from service.storage.tables import ENTRY, FEED_GAP, FeedGapRow, FeedRow

SCOPE_FROM = 20
"""The part of its site that a feed publishes in is that of its newest entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedGap:
    """A gap to be filled, its feed, and the addresses of the feed's newest entries."""

    gap: FeedGap
    feed: Feed
    links: tuple[str, ...]


class Gaps:
    def __init__(self, database: Database) -> None:
        self._database = database

    def claim_due(self, now: datetime, *, limit: int, lease: timedelta) -> tuple[ClaimedGap, ...]:
        """Lease up to `limit` open gaps to the caller; the lease is the time of the next attempt."""
        due = (
            select(FEED_GAP.id)
            .where(FEED_GAP.fate == GapFate.OPEN, FEED_GAP.next_attempt_at <= now)
            .order_by(FEED_GAP.next_attempt_at, FEED_GAP.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claim = (
            update(FeedGapRow)
            .where(FEED_GAP.id.in_(select(due.c.id)))
            .values(next_attempt_at=now + lease, attempts=FEED_GAP.attempts + 1)
            .returning(FeedGapRow)
            .execution_options(synchronize_session=False)
        )
        with self._database.write() as session:
            rows = session.execute(claim).scalars().all()
            return tuple(_claimed(session, row) for row in rows)

    def hold(self, claimed: ClaimedGap, entries: Sequence[ParsedEntry], *, ordered: bool) -> Older:
        """A document of the feed's past held against what is stored."""
        with self._database.read() as session:
            stored = _stored(session, claimed.feed.id, entries)
        return Older(
            entries=tuple(entries),
            stored=frozenset(stored),
            before=frozenset(place for place, at in stored.items() if at < claimed.gap.opened_at),
            ordered=ordered,
        )

    def close(
        self,
        claimed: ClaimedGap,
        found: Sequence[ParsedEntry],
        fate: GapFate,
        detail: str,
        *,
        again_at: datetime,
        now: datetime,
    ) -> int | None:
        """Store what was found of a gap, with its true dates, as news; and what became of the gap, which is told.

        An OPEN fate means that it is tried again at `again_at`. None when somebody else has the gap by now.
        """
        with self._database.write() as session:
            row = session.get_one(FeedGapRow, claimed.gap.id)
            if row.attempts != claimed.gap.attempts or row.fate != GapFate.OPEN:
                return None
            counted = insert_fresh(session, claimed.feed, _fresh(session, claimed.feed, found, now))
            row.recovered += counted["new"]
            row.fate, row.detail = fate, detail
            row.next_attempt_at = again_at if fate is GapFate.OPEN else None
            if fate is not GapFate.OPEN:
                said = (
                    f"{fate}: {row.recovered} entries recovered of {row.since:%Y-%m-%d %H:%M} UTC and after; {detail}"
                )
                notices.record(session, claimed.feed, [Notice(kind=NoticeKind.GAP_CLOSED, detail=said)], now)
            return int(counted["new"])


def _claimed(session: Session, row: FeedGapRow) -> ClaimedGap:
    newest = select(ENTRY.link).where(ENTRY.feed_id == row.feed_id).order_by(ENTRY.id.desc()).limit(SCOPE_FROM)
    return ClaimedGap(
        gap=gap_of(row),
        feed=feed_of(session.get_one(FeedRow, row.feed_id)),
        links=tuple(session.execute(newest).scalars()),
    )


def _stored(session: Session, feed_id: int, entries: Sequence[ParsedEntry]) -> dict[int, datetime]:
    """When those of the entries came that are stored, by their places: known by key, or by address alone."""
    rows = known_rows(session, feed_id, keys := entry_keys(entries))
    links = [link_key(entry.link) for entry in entries]
    wanted = sorted({link for link in links if link is not None})
    came: dict[str, datetime] = {}
    for start in range(0, len(wanted), 500):  # SQLite bounds the number of parameters
        chunk = select(ENTRY.link_key, func.min(ENTRY.received_at)).where(
            ENTRY.feed_id == feed_id, ENTRY.link_key.in_(wanted[start : start + 500])
        )
        came |= dict(session.execute(chunk.group_by(ENTRY.link_key)).all())
    found: dict[int, datetime] = {}
    for place, (key, link) in enumerate(zip(keys, links, strict=True)):
        row = rows.get(key)
        at = row.received_at if row is not None else came.get(link or "")
        if at is not None:
            found[place] = at
    return found


def _fresh(
    session: Session, feed: Feed, found: Sequence[ParsedEntry], now: datetime
) -> list[tuple[ParsedEntry, dict[str, object]]]:
    """The rows of what was found, without what has come in by another way meanwhile; the oldest first."""
    stored = _stored(session, feed.id, found)
    rows: dict[str, tuple[ParsedEntry, dict[str, object]]] = {}
    for place, (key, entry) in enumerate(zip(entry_keys(found), found, strict=True)):
        if place not in stored:
            rows[key] = (entry, fresh_row(feed, key, entry, now))
    return list(reversed(rows.values()))
