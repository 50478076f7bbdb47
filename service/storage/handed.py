"""Documents that a team hands in by itself: entries like any other, of feeds that nobody polls.

Such a feed is made for each publisher that a team names, with what it says of it. It is not active, so it is never due
and stands in no list; its address is no address. An entry is found again by the id that was given, or else by its link.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from service.domain.model import FeedState, FullText, ParsedEntry, Tier
from service.storage.database import Database
from service.storage.feeds import content_hash_of, entry_keys, feed_of, fresh_row, rewrite
from service.storage.subscriptions import ensure_team
from service.storage.tables import ENTRY, FEED, EntryRow, FeedRow

SCHEME = "handed"


class Taken(StrEnum):
    """What became of a document that was handed in."""

    NEW = "new"
    CHANGED = "changed"
    KNOWN = "known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Whose document it is, as far as the team says so."""

    name: str = ""
    tier: Tier = Tier.UNKNOWN
    jurisdiction: str | None = None
    language: str | None = None


class Handed:
    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, team: str, parsed: ParsedEntry, publisher: Publisher, *, now: datetime) -> tuple[int, Taken]:
        """Store a document to be processed; gives the id of its entry.

        One that the team has handed in before is read again if its text has changed, and left alone otherwise.
        """
        try:
            return self._take(team, parsed, publisher, now)
        except IntegrityError:  # somebody handed the same in at the same moment: now it is known
            return self._take(team, parsed, publisher, now)

    def _take(self, team: str, parsed: ParsedEntry, publisher: Publisher, now: datetime) -> tuple[int, Taken]:
        (key,) = entry_keys((parsed,))
        with self._database.write() as session:
            team_id = ensure_team(session, team, now)
            known = _known(session, team_id, key)
            if known is None:
                feed = _feed(session, team_id, publisher, now)
                row = EntryRow(**fresh_row(feed_of(feed), key, parsed, now))
                session.add(row)
                session.flush()
                return cast(int, row.id), Taken.NEW
            content_hash = content_hash_of(parsed)
            if known.content_hash == content_hash:
                return cast(int, known.id), Taken.KNOWN
            feed = session.get_one(FeedRow, known.feed_id)
            rewrite(session, feed_of(feed), known, parsed, content_hash, now)
            return cast(int, known.id), Taken.CHANGED


def _known(session: Session, team_id: int, key: str) -> EntryRow | None:
    ours = select(FEED.id).where(FEED.url.startswith(f"{SCHEME}:{team_id}:"))
    found = select(EntryRow).where(ENTRY.feed_id.in_(ours), ENTRY.key == key).order_by(ENTRY.id).limit(1)
    return session.execute(found.with_for_update()).scalar_one_or_none()


def _feed(session: Session, team_id: int, publisher: Publisher, now: datetime) -> FeedRow:
    url = f"{SCHEME}:{team_id}:{hashlib.sha256(repr(publisher).encode()).hexdigest()[:32]}"
    row = session.execute(select(FeedRow).where(FEED.url == url)).scalar_one_or_none()
    if row is None:
        row = FeedRow(
            url=url,
            title=publisher.name,
            state=FeedState.NEW,
            tier=publisher.tier,
            full_text=FullText.NEVER,  # the document is what was handed in, not what its page says
            jurisdiction=publisher.jurisdiction,
            language=publisher.language,
            interval_seconds=timedelta(days=1).total_seconds(),
            next_due_at=now,
            active=False,
            created_at=now,
        )
        session.add(row)
        session.flush()
    return row
