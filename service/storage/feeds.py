"""Feeds and what each poll brought: due times, leases and the commit that makes a poll's entries ours."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session

from service import failpoint
from service.domain.model import (
    EntryState,
    Feed,
    FeedState,
    FeedUpdate,
    FetchReason,
    FullText,
    ParsedEntry,
    Tier,
    Validators,
)
from service.domain.text import canonical_url
from service.storage.database import Database
from service.storage.tables import (
    ENTRY,
    FEED,
    READING,
    EntryRow,
    FeedRow,
    ReadingRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeed:
    """A feed as a person names it."""

    url: str
    title: str = ""
    interval: timedelta = timedelta(minutes=15)
    tier: Tier = Tier.UNKNOWN
    full_text: FullText = FullText.AUTO
    jurisdiction: str | None = None
    language: str | None = None
    managed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSaved:
    """What a poll's commit did. `stale` means that the lease was lost and nothing was written."""

    new: int = 0
    changed: int = 0
    history: int = 0
    refused: int = 0
    stale: bool = False


class Feeds:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- what the poll step needs -----------------------------------------------------------------------------

    def claim_due(self, now: datetime, *, limit: int, lease: timedelta) -> tuple[Feed, ...]:
        """Lease up to `limit` due feeds to the caller, oldest due time first. No other caller gets them meanwhile."""
        due = (
            select(FEED.id)
            .where(FEED.active, FEED.next_due_at <= now)
            .where(or_(FEED.lease_until.is_(None), FEED.lease_until <= now))
            .order_by(FEED.next_due_at, FEED.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claim = (
            update(FeedRow)
            .where(FEED.id.in_(select(due.c.id)))
            .values(lease_until=now + lease, lease_token=FEED.lease_token + 1)
            .returning(FeedRow)
            .execution_options(synchronize_session=False)
        )
        with self._database.write() as session:
            feeds = tuple(_feed(row) for row in session.execute(claim).scalars())
        if feeds:
            failpoint.reach("poll.claimed")
        return feeds

    def save_poll(
        self, feed: Feed, update_: FeedUpdate, entries: Sequence[ParsedEntry], *, now: datetime, look_back: timedelta
    ) -> PollSaved:
        """Commit one poll: feed state and next due time, new entries, changed entries. Fenced by the lease token.

        On a feed's first poll, entries older than `look_back` or without a date are stored as history: a new feed
        does not flood its readers. Later, whatever was not there before is news, whatever its date claims.
        """
        with self._database.write() as session:
            if not self._settle(session, feed, update_, now):
                return PollSaved(stale=True)
            counted: Counter[str] = Counter()
            known = _known(session, feed.id, keys := entry_keys(entries))
            for key, parsed in dict(zip(keys, entries, strict=True)).items():
                first = not feed.polled_once
                history = first and (parsed.published is None or parsed.published < now - look_back)
                try:
                    with session.begin_nested():  # one bad row must not cost its siblings
                        counted[_save_entry(session, feed, key, parsed, known.get(key), now, history=history)] += 1
                        session.flush()
                except DBAPIError as exc:
                    counted["refused"] += 1
                    _note_refused(session, feed, parsed, exc)
            failpoint.reach("poll.before_commit")
        failpoint.reach("poll.committed")
        return PollSaved(
            new=counted["new"], changed=counted["changed"], history=counted["history"], refused=counted["refused"]
        )

    def _settle(self, session: Session, feed: Feed, update_: FeedUpdate, now: datetime) -> bool:
        values: dict[str, Any] = {
            "state": update_.state,
            "next_due_at": update_.next_due_at,
            "failures": update_.failures,
            "etag": update_.validators.etag,
            "last_modified": update_.validators.last_modified,
            "body_hash": update_.body_hash,
            "reason": update_.reason,
            "problem": update_.problem,
            "last_polled_at": now,
            "lease_until": None,
        }
        if update_.ok:
            values |= {"last_ok_at": now, "polled_once": True}
        if update_.title and not feed.title:
            values["title"] = update_.title[:300]
        fenced = update(FeedRow).where(FEED.id == feed.id, FEED.lease_token == feed.lease_token)
        return bool(_rowcount(session, fenced.values(**values)))

    # --- what people do ---------------------------------------------------------------------------------------

    def add(self, new: NewFeed, *, now: datetime) -> Feed | None:
        """Add a feed, or take up again one that was removed; due at once. None when its address is polled already."""
        try:
            with self._database.write() as session:
                row = session.execute(select(FeedRow).where(FEED.url == new.url)).scalar_one_or_none()
                if row is None:
                    row = FeedRow(url=new.url, state=FeedState.NEW, active=False, created_at=now, **_values(new))
                    session.add(row)
                if row.active:
                    return None
                # Taken up again it is like new: what it published meanwhile does not flood its readers.
                fresh = _values(new) | {"state": FeedState.NEW, "next_due_at": now, "polled_once": False}
                fresh |= {"active": True, "failures": 0, "reason": None, "problem": None}
                fresh |= {"body_hash": None, "etag": None, "last_modified": None}
                for name, value in fresh.items():
                    setattr(row, name, value)
                session.flush()
                return _feed(row)
        except IntegrityError:  # somebody else added it in the same moment
            return None

    def apply(self, declared: Sequence[NewFeed], *, now: datetime) -> None:
        """Make the managed feeds equal to those declared in the configuration; feeds added by hand are left alone."""
        with self._database.write() as session:
            rows = {row.url: row for row in session.execute(select(FeedRow)).scalars()}
            for new in declared:
                row = rows.get(new.url)
                if row is None:
                    values = _values(replace(new, managed=True))
                    session.add(FeedRow(state=FeedState.NEW, next_due_at=now, created_at=now, url=new.url, **values))
                    continue
                for name, value in _values(replace(new, managed=True)).items():
                    if name != "title" or value:
                        setattr(row, name, value)
                row.active = True
            wanted = {new.url for new in declared}
            for url, row in rows.items():
                if row.managed and url not in wanted:
                    row.active = False

    def update(self, feed_id: int, **values: object) -> Feed | None:
        with self._database.write() as session:
            row = session.get(FeedRow, feed_id)
            if row is None:
                return None
            for name, value in values.items():
                setattr(row, name, value)
            session.flush()
            return _feed(row)

    def poll_now(self, feed_id: int, *, now: datetime) -> Feed | None:
        return self.update(feed_id, next_due_at=now)

    def remove(self, feed_id: int) -> bool:
        """Stop polling; entries and alerts stay, because an auditor may ask for them."""
        return self.update(feed_id, active=False) is not None

    def get(self, feed_id: int) -> Feed | None:
        with self._database.read() as session:
            row = session.get(FeedRow, feed_id)
            return _feed(row, entries=_entry_counts(session, [feed_id]).get(feed_id, 0)) if row and row.active else None

    def page(self, *, after: int = 0, limit: int = 100) -> tuple[Feed, ...]:
        """Active feeds in id order."""
        statement = select(FeedRow).where(FEED.active, FEED.id > after).order_by(FEED.id).limit(limit)
        with self._database.read() as session:
            rows = session.execute(statement).scalars().all()
            counts = _entry_counts(session, [row.id for row in rows])
            return tuple(_feed(row, entries=counts.get(row.id, 0)) for row in rows)

    def release_all(self) -> None:
        """Forget every lease: for an embedded start, where whoever held them is dead."""
        with self._database.write() as session:
            session.execute(update(FeedRow).where(FEED.lease_until.is_not(None)).values(lease_until=None))


def entry_keys(entries: Iterable[ParsedEntry]) -> list[str]:
    """The identity of each entry within its feed: guid, else link, else text. A guid repeated within one document
    cannot be trusted alone and is joined by link and title."""
    entries = tuple(entries)
    guids = Counter(entry.guid for entry in entries if entry.guid)
    keys = []
    for entry in entries:
        if entry.guid and guids[entry.guid] == 1:
            identity = f"guid\0{entry.guid}"
        elif entry.guid and entry.link:
            identity = f"guid+link\0{entry.guid}\0{canonical_url(entry.link)}\0{entry.title}"
        elif entry.link:
            identity = f"link\0{canonical_url(entry.link)}"
        else:
            identity = f"text\0{entry.title}\0{entry.summary}\0{entry.content}"
        keys.append(hashlib.sha256(identity.encode()).hexdigest())
    return keys


def link_key(link: str | None) -> str | None:
    return hashlib.sha256(canonical_url(link).encode()).hexdigest() if link else None


def _content_hash(parsed: ParsedEntry) -> str:
    return hashlib.sha256("\0".join((parsed.title, parsed.summary, parsed.content)).encode()).hexdigest()


def _known(session: Session, feed_id: int, keys: Sequence[str]) -> dict[str, EntryRow]:
    rows: dict[str, EntryRow] = {}
    for start in range(0, len(keys), 500):  # SQLite bounds the number of parameters
        chunk = select(EntryRow).where(ENTRY.feed_id == feed_id, ENTRY.key.in_(keys[start : start + 500]))
        rows |= {row.key: row for row in session.execute(chunk).scalars()}
    return rows


def _save_entry(
    session: Session, feed: Feed, key: str, parsed: ParsedEntry, row: EntryRow | None, now: datetime, *, history: bool
) -> str:
    content_hash = _content_hash(parsed)
    if row is not None and row.content_hash == content_hash:
        return "known"
    text: dict[str, Any] = {
        "title": parsed.title,
        "summary": parsed.summary,
        "content": parsed.content,
        "link": parsed.link or "",
        "link_key": link_key(parsed.link),
        "updated": parsed.updated,
        "content_hash": content_hash,
    }
    if row is None:
        state = EntryState.HISTORY if history else EntryState.NEW
        fresh = EntryRow(feed_id=feed.id, key=key, guid=parsed.guid, published=parsed.published, state=state, **text)
        fresh.received_at = fresh.next_attempt_at = now
        session.add(fresh)
        return "history" if history else "new"
    for name, value in text.items():
        setattr(row, name, value)
    row.revision += 1
    session.execute(delete(ReadingRow).where(READING.entry_id == row.id))  # it was of the old text
    # Whoever is reading the old text loses its claim: committing that would mark the new text as judged.
    row.lease_token, row.lease_until = row.lease_token + 1, None
    if row.state != EntryState.HISTORY:  # read it again; its story and who was told are remembered
        row.state, row.next_attempt_at, row.attempts = EntryState.NEW, now, 0
    return "changed"


def _note_refused(session: Session, feed: Feed, parsed: ParsedEntry, exc: DBAPIError) -> None:
    said = (str(exc.orig).splitlines() or ["?"])[0][:200]
    problem = f"the database refused entry {(parsed.title or parsed.guid or '?')[:80]!r}: {said}"
    # Without the body hash the next poll looks at this document again, changed or not.
    values = {"problem": problem, "reason": FetchReason.STORAGE, "body_hash": None, "etag": None, "last_modified": None}
    session.execute(update(FeedRow).where(FEED.id == feed.id).values(**values))


def _entry_counts(session: Session, feed_ids: Sequence[int | None]) -> dict[int, int]:
    counts = select(ENTRY.feed_id, func.count()).where(ENTRY.feed_id.in_(feed_ids)).group_by(ENTRY.feed_id)
    return dict(session.execute(counts).all())


def _values(new: NewFeed) -> dict[str, Any]:
    return {
        "title": new.title,
        "tier": new.tier,
        "full_text": new.full_text,
        "jurisdiction": new.jurisdiction,
        "language": new.language,
        "interval_seconds": new.interval.total_seconds(),
        "managed": new.managed,
    }


def _feed(row: FeedRow, *, entries: int = 0) -> Feed:
    return Feed(
        id=cast(int, row.id),
        url=row.url,
        title=row.title,
        state=FeedState(row.state),
        tier=Tier(row.tier),
        full_text=FullText(row.full_text),
        interval=timedelta(seconds=row.interval_seconds),
        next_due_at=row.next_due_at,
        jurisdiction=row.jurisdiction,
        language=row.language,
        validators=Validators(etag=row.etag, last_modified=row.last_modified),
        body_hash=row.body_hash,
        failures=row.failures,
        reason=FetchReason(row.reason) if row.reason else None,
        problem=row.problem,
        last_polled_at=row.last_polled_at,
        last_ok_at=row.last_ok_at,
        entries=entries,
        managed=row.managed,
        polled_once=row.polled_once,
        lease_token=row.lease_token,
    )


def _rowcount(session: Session, statement: Any) -> int:
    result = cast("CursorResult[Any]", session.execute(statement.execution_options(synchronize_session=False)))
    return result.rowcount
