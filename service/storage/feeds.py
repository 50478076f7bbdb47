"""Feeds and what each poll brought: due times, leases and the commit that makes a poll's entries ours."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import BindParameter, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session

from service import failpoint
from service.domain.credentials import Headers
from service.domain.edits import read_again_at, words_of
from service.domain.model import (
    ChangeKind,
    EntryState,
    Feed,
    FeedGap,
    FeedNotice,
    FeedState,
    FeedUpdate,
    FetchReason,
    FullText,
    Gap,
    GapFate,
    Move,
    NoticeKind,
    NotModified,
    ParsedEntry,
    ParsedFeed,
    Paths,
    Recipe,
    Rhythm,
    Selectors,
    Tier,
    Validators,
)
from service.domain.polling import News, Polled
from service.domain.text import canonical_url
from service.storage import audit, notices, turns
from service.storage.credentials import FeedCredentials
from service.storage.database import Database
from service.storage.tables import (
    ENTRY,
    FEED,
    FEED_DIGESTS,
    FEED_GAP,
    FEED_NOTICE,
    READING,
    EntryRow,
    FeedGapRow,
    FeedNoticeRow,
    FeedRow,
    ReadingRow,
)
from service.storage.turns import host_of
from service.storage.vault import Vault
from service.storage.wakes import Step, note_due

RHYTHM_FROM = 20
"""A feed's rhythm is that of its newest entries."""

REKEYED_LEAST, REKEYED_SHARE = 5, 0.8

_PARAMETERS = 500
"""So many values in one statement: SQLite bounds them."""

T = TypeVar("T")


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
    kind: str | None = None
    tags: tuple[str, ...] = ()
    recipe: Recipe | None = None
    headers: Headers = ()
    """What its server wants to be shown; sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSaved:
    """What a poll's commit did, and what became of the feed. `stale`: the lease was lost and nothing was written."""

    update: FeedUpdate | None = None
    new: int = 0
    changed: int = 0
    history: int = 0
    refused: int = 0
    stale: bool = False


class Feeds:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self.credentials = FeedCredentials(database, vault)

    # --- what the poll step needs -----------------------------------------------------------------------------

    def claim_due(self, now: datetime, *, limit: int, lease: timedelta) -> tuple[Feed, ...]:
        """Lease up to `limit` due feeds to the caller, oldest due time first. No other caller gets them meanwhile.

        On PostgreSQL others may poll too: then hosts are taken, and held until their feeds are saved (see `turns`).
        """
        with self._database.write() as session:
            due: Any = (
                _due(now, limit) if self._database.is_sqlite else turns.take(session, now, limit=limit, lease=lease)
            )
            claim = (
                update(FEED.__table__)
                .where(FEED.id.in_(due))
                .values(lease_until=now + lease, lease_token=FEED.lease_token + 1)
                .returning(*FEED.__table__.c)
            )
            feeds = tuple(feed_of(row) for row in session.connection().execute(claim))
        if feeds:
            failpoint.reach("poll.claimed")
        return feeds

    def digests(self, feeds: Sequence[Feed]) -> dict[int, frozenset[str]]:
        """By feed, the digests of the items that its last document had and that are stored."""
        ids = [feed.id for feed in feeds if feed.polled_once]
        found: dict[int, frozenset[str]] = {}
        with self._database.read() as session:
            for some in _chunks(ids):
                rows = session.connection().execute(_DIGESTS_OF, {"feeds": some})
                found |= {feed_id: frozenset(digests.split()) for feed_id, digests in rows}
        return found

    def save_polls(
        self,
        polls: Sequence[tuple[Feed, Polled]],
        *,
        decide: Callable[[Feed, Polled], FeedUpdate],
        now: datetime,
        look_back: timedelta,
        host_gap: timedelta = timedelta(0),
    ) -> tuple[PollSaved, ...]:
        """Commit polls together, for each commit waits for the disk: feed states and next due times, new entries,
        changed entries. Each is fenced by its lease token; no feed may be there twice.

        `decide` gives what becomes of a feed, told what is news in its document. On a feed's first poll, entries older
        than `look_back` or without a date are stored as history: a new feed does not flood its readers. Later,
        whatever was not there before is news, whatever its date claims. A host whose last feed this was may be asked
        by another process after `host_gap`.
        """
        with self._database.write() as session:
            leased = _still_leased(session, [feed for feed, _ in polls])
            made = [
                _decided(session, feed, polled, decide, now) if feed.id in leased else None for feed, polled in polls
            ]
            decided = [each for each in made if each is not None]
            _settle(session, decided, now)
            for each in decided:
                _sort_out(session, each, now, now - look_back)
            _insert(session, [(each, entry) for each in decided for entry in each.fresh])
            _keep_digests(session, decided)
            if decided and not self._database.is_sqlite:
                turns.give_back(session, {host_of(each.feed.url) for each in decided}, now, gap=host_gap)
            failpoint.reach("poll.before_commit")
        failpoint.reach("poll.committed")
        return tuple(_saved(each) for each in made)

    def save_poll(
        self,
        feed: Feed,
        update_: FeedUpdate,
        entries: Sequence[ParsedEntry],
        *,
        digests: tuple[str, ...] | None = None,
        now: datetime,
        look_back: timedelta,
    ) -> PollSaved:
        """Commit one poll whose outcome is decided already; like `save_polls`."""
        document = ParsedFeed(entries=tuple(entries))
        polled = Polled(result=NotModified(url=feed.url), document=document, digests=digests)
        (saved,) = self.save_polls([(feed, polled)], decide=lambda *_: update_, now=now, look_back=look_back)
        return saved

    def save_push(
        self, feed: Feed, entries: Sequence[ParsedEntry], *, now: datetime, look_back: timedelta
    ) -> PollSaved:
        """Commit what a feed's hub has sent: entries, as a poll would store them, and nothing of the feed's state.

        It needs no lease: the feed's row is held for as long as the commit lasts, so that a poll which is under way
        sees these entries as known. `stale` means that the feed is gone.
        """
        with self._database.write() as session:
            held = select(FEED.id).where(FEED.id == feed.id, FEED.active).with_for_update()
            if session.execute(held).first() is None:
                return PollSaved(stale=True)
            pushed = Polled(result=NotModified(url=feed.url), document=ParsedFeed(entries=tuple(entries)))
            keys = entry_keys(entries)
            sent = _Decided(feed=feed, polled=pushed, keys=keys, known=_recognised(session, feed.id, keys, entries))
            _sort_out(session, sent, now, now - look_back)
            _insert(session, [(sent, entry) for entry in sent.fresh])
        return _saved(sent)

    # --- what people do ---------------------------------------------------------------------------------------

    def add(self, new: NewFeed, *, now: datetime) -> Feed | None:
        """Add a feed, or take up again one that was removed; due at once. None when its address is polled already."""
        try:
            with self._database.write() as session:
                row = session.execute(select(FeedRow).where(FEED.url == new.url)).scalar_one_or_none()
                if row is None:
                    row = FeedRow(url=new.url, state=FeedState.NEW, active=False, created_at=now, **self._values(new))
                    session.add(row)
                if row.active:
                    return None
                # Taken up again it is like new: what it published meanwhile does not flood its readers.
                fresh = self._values(new) | {"state": FeedState.NEW, "next_due_at": now, "polled_once": False}
                fresh |= {"active": True, "failures": 0, "reason": None, "problem": None}
                fresh |= {"body_hash": None, "etag": None, "last_modified": None, "move": None, "pace_seconds": None}
                for name, value in fresh.items():
                    setattr(row, name, value)
                session.flush()
                _note(session, ChangeKind.CREATED, row.id, now, after=_told(row))
                return feed_of(row)
        except IntegrityError:  # somebody else added it in the same moment
            return None

    def apply(self, declared: Sequence[NewFeed], *, now: datetime) -> None:
        """Make the managed feeds equal to those declared in the configuration; feeds added by hand are left alone."""
        with self._database.write() as session:
            rows = {row.url: row for row in session.execute(select(FeedRow)).scalars()}
            for new in declared:
                row = rows.get(new.url)
                values = self._values(replace(new, managed=True))
                if row is None:
                    row = FeedRow(state=FeedState.NEW, next_due_at=now, created_at=now, url=new.url, **values)
                    session.add(row)
                    session.flush()
                    _note(session, ChangeKind.CREATED, row.id, now, after=_told(row))
                    continue
                if row.title and not values["title"]:
                    del values["title"]
                _change(session, row, values | {"active": True}, now)
            wanted = {new.url for new in declared}
            for url, row in rows.items():
                if row.managed and row.active and url not in wanted:
                    _change(session, row, _FORGOTTEN, now)

    def update(self, feed_id: int, **values: object) -> Feed | None:
        with self._database.write() as session:
            row = session.get(FeedRow, feed_id)
            if row is None:
                return None
            for name, value in values.items():
                setattr(row, name, value)
            session.flush()
            return feed_of(row)

    def change(self, feed_id: int, *, now: datetime, **values: object) -> Feed | None:
        """As `update`, by somebody who is named in the audit log."""
        with self._database.write() as session:
            row = session.get(FeedRow, feed_id)
            if row is None:
                return None
            _change(session, row, values, now)
            session.flush()
            return feed_of(row)

    def poll_now(self, feed_id: int, *, now: datetime) -> Feed | None:
        return self.update(feed_id, next_due_at=now)

    def remove(self, feed_id: int, *, now: datetime) -> bool:
        """Stop polling; entries and alerts stay, because an auditor may ask for them. What was secret goes."""
        return self.change(feed_id, now=now, **_FORGOTTEN) is not None

    def _values(self, new: NewFeed) -> dict[str, Any]:
        return _plain_values(new) | self.credentials.columns(new.url, new.headers)

    # --- what is known ----------------------------------------------------------------------------------------------

    def get(self, feed_id: int) -> Feed | None:
        with self._database.read() as session:
            row = session.get(FeedRow, feed_id)
            if row is None or not row.active:
                return None
            entries, gaps = (_counts(session, column, [feed_id]).get(feed_id, 0) for column in _COUNTED)
            return feed_of(row, entries=entries, gaps=gaps)

    def page(self, *, after: int = 0, limit: int = 100) -> tuple[Feed, ...]:
        """Active feeds in id order."""
        statement = select(FeedRow).where(FEED.active, FEED.id > after).order_by(FEED.id).limit(limit)
        with self._database.read() as session:
            rows = session.execute(statement).scalars().all()
            entries, gaps = (_counts(session, column, [row.id for row in rows]) for column in _COUNTED)
            return tuple(feed_of(row, entries=entries.get(row.id, 0), gaps=gaps.get(row.id, 0)) for row in rows)

    def notices(self, feed_id: int | None = None, *, limit: int = 100) -> tuple[FeedNotice, ...]:
        """What owners were told, newest first; of one feed or of all."""
        statement = select(FeedNoticeRow).order_by(FEED_NOTICE.id.desc()).limit(limit)
        if feed_id is not None:
            statement = statement.where(FEED_NOTICE.feed_id == feed_id)
        with self._database.read() as session:
            return tuple(
                FeedNotice(
                    id=cast(int, row.id), feed_id=row.feed_id, at=row.at, kind=NoticeKind(row.kind), detail=row.detail
                )
                for row in session.execute(statement).scalars()
            )

    def gaps(self, feed_id: int | None = None, *, limit: int = 100) -> tuple[FeedGap, ...]:
        """The gap ledger, newest first; of one feed or of all."""
        statement = select(FeedGapRow).order_by(FEED_GAP.id.desc()).limit(limit)
        if feed_id is not None:
            statement = statement.where(FEED_GAP.feed_id == feed_id)
        with self._database.read() as session:
            return tuple(gap_of(row) for row in session.execute(statement).scalars())

    def release_all(self) -> None:
        """Forget every lease: for an embedded start, where whoever held them is dead."""
        with self._database.write() as session:
            session.execute(update(FeedRow).where(FEED.lease_until.is_not(None)).values(lease_until=None))


def _due(now: datetime, limit: int) -> Any:
    return (
        select(FEED.id)
        .where(FEED.active, FEED.next_due_at <= now)
        .where(or_(FEED.lease_until.is_(None), FEED.lease_until <= now))
        .order_by(FEED.next_due_at, FEED.id)
        .limit(limit)
    )


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


def content_hash_of(parsed: ParsedEntry) -> str:
    return hashlib.sha256(words_of(parsed).encode()).hexdigest()


# --- saving polls ---------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Decided:
    """One poll on its way into the tables: what becomes of its feed, and what its entries are to us."""

    feed: Feed
    polled: Polled
    update: FeedUpdate | None = None  # a push changes nothing of its feed
    keys: Sequence[str] = ()
    known: dict[str, _Stored] = field(default_factory=dict)
    fresh: list[_Fresh] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)


class _Stored(NamedTuple):
    """What of a stored entry tells whether a document brings it again, as it was."""

    id: int
    key: str
    content_hash: str
    link_key: str | None
    title: str


_STORED = select(ENTRY.id, ENTRY.key, ENTRY.content_hash, ENTRY.link_key, ENTRY.title)
_ANY_OF = select(ENTRY.id).where(ENTRY.feed_id == bindparam("feed")).limit(1)
_NEWEST = (
    select(ENTRY.published, ENTRY.received_at)
    .where(ENTRY.feed_id == bindparam("feed"))
    .order_by(ENTRY.id.desc())
    .limit(RHYTHM_FROM)
)
_THESE: BindParameter[Any] = bindparam("feeds", expanding=True)
_TOKENS_OF = select(FEED.id, FEED.lease_token).where(FEED.id.in_(_THESE)).order_by(FEED.id).with_for_update()
_SETTLED = update(FEED.__table__).where(FEED.id == bindparam("of"))
_DIGESTS_OF = select(FEED_DIGESTS.feed_id, FEED_DIGESTS.digests).where(FEED_DIGESTS.feed_id.in_(_THESE))
_FORGET_DIGESTS = delete(FEED_DIGESTS.__table__).where(FEED_DIGESTS.feed_id.in_(_THESE))


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + _PARAMETERS] for start in range(0, len(values), _PARAMETERS))


def _still_leased(session: Session, feeds: Sequence[Feed]) -> set[int]:
    """The feeds whose lease nobody has taken over; in one order, so that two that save together wait, not deadlock."""
    tokens = {feed.id: feed.lease_token for feed in feeds}
    stored: dict[int, int] = {}
    for some in _chunks(sorted(tokens)):
        stored |= dict(iter(session.connection().execute(_TOKENS_OF, {"feeds": some})))
    return {feed_id for feed_id, token in tokens.items() if stored.get(feed_id) == token}


def _decided(
    session: Session, feed: Feed, polled: Polled, decide: Callable[[Feed, Polled], FeedUpdate], now: datetime
) -> _Decided:
    if polled.document is None:
        return _Decided(feed=feed, polled=polled, update=decide(feed, polled))
    entries = polled.document.entries
    keys = entry_keys(entries)
    known = _recognised(session, feed.id, keys, entries)
    polled = replace(polled, news=_news(session, feed, polled, dict(zip(keys, entries, strict=True)), known, now))
    return _Decided(feed=feed, polled=polled, keys=keys, known=known, update=decide(feed, polled))


def _news(
    session: Session,
    feed: Feed,
    polled: Polled,
    entries: Mapping[str, ParsedEntry],
    known: Mapping[str, _Stored],
    now: datetime,
) -> News:
    """A document's entries held against what is stored of its feed."""
    fresh = [parsed for key, parsed in entries.items() if key not in known]
    # The first document brings a past that we did not see: without a date, an entry of it has no time.
    seen_at = now if feed.polled_once else None
    times = [when for parsed in fresh if (when := parsed.published or seen_at) is not None]
    rows = session.connection().execute(_NEWEST, {"feed": feed.id})
    times += [min(published or received, received) for published, received in rows]
    newest_first = sorted((min(when, now) for when in times), reverse=True)
    return News(
        shared=len(known) + polled.unchanged,
        fresh=len(fresh),
        size=len(polled.document.entries if polled.document else ()) + polled.unchanged,
        times=tuple(newest_first[:RHYTHM_FROM]),
    )


def known_rows(session: Session, feed_id: int, keys: Sequence[str]) -> dict[str, EntryRow]:
    """What is stored of a feed under these keys."""
    rows: dict[str, EntryRow] = {}
    for some in _chunks(keys):
        chosen = select(EntryRow).where(ENTRY.feed_id == feed_id, ENTRY.key.in_(some))
        rows |= {row.key: row for row in session.execute(chosen).scalars()}
    return rows


def _recognised(
    session: Session, feed_id: int, keys: Sequence[str], entries: Sequence[ParsedEntry]
) -> dict[str, _Stored]:
    """The stored rows of these entries, by the entries' keys.

    Where nearly every key is new and nearly every address is not, the feed has changed its guids (a moved site does):
    its entries are recognised by address and title then. Otherwise a guid tells entries of one address apart.
    """
    known = {row.key: row for row in _stored(session, feed_id, ENTRY.key, keys)}
    unknown = {key: e for key, e in zip(keys, entries, strict=True) if key not in known and e.link}
    if len(unknown) < REKEYED_LEAST or len(unknown) < len(set(keys)) * REKEYED_SHARE:
        return known
    if not known and session.connection().execute(_ANY_OF, {"feed": feed_id}).first() is None:
        return known  # a feed's first document, which is all new
    links = {key: link_key(entry.link) for key, entry in unknown.items()}
    rows = {
        (row.link_key, row.title): row
        for row in _stored(session, feed_id, ENTRY.link_key, list(dict.fromkeys(links.values())))
    }
    found = {key: row for key, e in unknown.items() if (row := rows.pop((links[key], e.title), None)) is not None}
    return known | found if len(found) >= len(unknown) * REKEYED_SHARE else known


def _stored(session: Session, feed_id: int, column: Any, values: Sequence[str | None]) -> Iterator[_Stored]:
    for some in _chunks(values):
        chosen = _STORED.where(ENTRY.feed_id == feed_id, column.in_(some)).order_by(ENTRY.id)
        yield from (_Stored(*row) for row in session.connection().execute(chosen))


def _settle(session: Session, decided: Iterable[_Decided], now: datetime) -> None:
    """Write the feeds' new state: one statement for all whose state changes in the same columns."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for each in decided:
        if each.update is None:
            continue
        values = _state_of(each.feed, each.update, now)
        alike.setdefault(tuple(values), []).append(values | {"of": each.feed.id})
        notices.record(session, each.feed, each.update.notices, now)
        if (gap := each.update.gap) is not None:
            row = FeedGapRow(feed_id=each.feed.id, opened_at=now, since=gap.since, until=gap.until, missing=gap.missing)
            row.next_attempt_at = now
            session.add(row)
    for rows in alike.values():
        session.connection().execute(_SETTLED, rows)


def _state_of(feed: Feed, update_: FeedUpdate, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": update_.state,
        "validated_at": update_.validated_at,
        "move": _plain_move(update_.move),
        "usual_seconds": update_.rhythm.usual.total_seconds() if update_.rhythm else None,
        "longest_seconds": update_.rhythm.longest.total_seconds() if update_.rhythm else None,
        "last_news_at": update_.last_news_at,
        "pace_seconds": update_.pace.total_seconds() if update_.pace else None,
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
    if update_.state is not feed.state:
        values["state_since"] = now
    if update_.title and not feed.title:
        values["title"] = update_.title[:300]
    return values


def _sort_out(session: Session, each: _Decided, now: datetime, oldest: datetime) -> None:
    """Tell the entries that are new from those that changed, and write the latter."""
    entries = each.polled.document.entries if each.polled.document else ()
    for key, parsed in dict(zip(each.keys, entries, strict=True)).items():
        stored, content_hash = each.known.get(key), content_hash_of(parsed)
        if stored is None:
            history = not each.feed.polled_once and (parsed.published is None or parsed.published < oldest)
            each.fresh.append((parsed, fresh_row(each.feed, key, parsed, now, history=history)))
            continue
        if stored.key != key:  # a feed that changed all its guids brings no news by that
            session.execute(update(EntryRow).where(ENTRY.id == stored.id).values(key=key))
        if stored.content_hash != content_hash:
            row = session.get_one(EntryRow, stored.id)
            each.counted[rewrite(session, each.feed, row, parsed, content_hash, now)] += 1


def _keep_digests(session: Session, decided: Iterable[_Decided]) -> None:
    """After a refusal the document is read whole again: an item left out is not stored by that."""
    rows = [
        {"feed_id": each.feed.id, "digests": "" if each.counted["refused"] else " ".join(each.polled.digests)}
        for each in decided
        if each.polled.digests is not None
    ]
    for some in _chunks(rows):
        session.connection().execute(_FORGET_DIGESTS, {"feeds": [row["feed_id"] for row in some]})
        session.connection().execute(insert(FEED_DIGESTS.__table__), some)


def _saved(each: _Decided | None) -> PollSaved:
    if each is None:
        return PollSaved(stale=True)
    counted = each.counted
    return PollSaved(
        update=each.update,
        new=counted["new"],
        changed=counted["changed"],
        history=counted["history"],
        refused=counted["refused"],
    )


_Fresh = tuple[ParsedEntry, dict[str, Any]]
"""An entry that is not stored yet, and its row."""


def _text_of(parsed: ParsedEntry, content_hash: str) -> dict[str, Any]:
    return {
        "title": parsed.title,
        "summary": parsed.summary,
        "content": parsed.content,
        "link": parsed.link or "",
        "link_key": link_key(parsed.link),
        "updated": parsed.updated,
        "content_hash": content_hash,
    }


def fresh_row(feed: Feed, key: str, parsed: ParsedEntry, now: datetime, *, history: bool = False) -> dict[str, Any]:
    """The row of an entry that is not stored yet: to be processed, or kept as history."""
    return _text_of(parsed, content_hash_of(parsed)) | {
        "feed_id": feed.id,
        "key": key,
        "guid": parsed.guid,
        "published": parsed.published,
        "state": EntryState.HISTORY if history else EntryState.NEW,
        "received_at": now,
        "next_attempt_at": now,
        "revision": 0,
        "attempts": 0,
        "lease_token": 0,
        "sketch": [],
    }


def insert_fresh(session: Session, feed: Feed, fresh: Sequence[_Fresh]) -> Counter[str]:
    """Store new entries of one feed that no poll brought; gives how many are new, history or refused."""
    found = _Decided(feed=feed, polled=Polled(result=NotModified(url=feed.url)))
    _insert(session, [(found, entry) for entry in fresh])
    return found.counted


def _insert(session: Session, fresh: Sequence[tuple[_Decided, _Fresh]]) -> None:
    """Store new entries: all at once, and by halves if the database refuses some of them, so that a bad row does not
    cost its siblings."""
    if not fresh:
        return
    try:
        with session.begin_nested():
            session.connection().execute(insert(ENTRY.__table__), [row for _, (_, row) in fresh])
    except DBAPIError as exc:
        if len(fresh) > 1:
            middle = len(fresh) // 2
            _insert(session, fresh[:middle])
            _insert(session, fresh[middle:])
            return
        each, (parsed, _) = fresh[0]
        _note_refused(session, each.feed, parsed, exc)
        each.counted["refused"] += 1
        return
    note_due(session, Step.PROCESS, len(fresh))
    for each, (_, row) in fresh:
        each.counted["history" if row["state"] == EntryState.HISTORY else "new"] += 1


def rewrite(session: Session, feed: Feed, row: EntryRow, parsed: ParsedEntry, content_hash: str, now: datetime) -> str:
    """Store an entry that was edited in place, to be read again; its story and who was told are remembered."""
    try:
        with session.begin_nested():  # one bad row must not cost its siblings
            for name, value in _text_of(parsed, content_hash).items():
                setattr(row, name, value)
            row.revision += 1
            session.execute(delete(ReadingRow).where(READING.entry_id == row.id))  # it was of the old text
            # Whoever is reading the old text loses its claim: committing that would mark the new text as judged.
            row.lease_token, row.lease_until = row.lease_token + 1, None
            if row.state != EntryState.HISTORY:
                due = read_again_at(row.revision, row.judged_at, now)
                row.state, row.next_attempt_at, row.attempts = EntryState.NEW, due, 0
                row.problem = (
                    f"edited {row.revision} times: read again at {due:%Y-%m-%d %H:%M} UTC" if due > now else None
                )
            session.flush()
            note_due(session, Step.PROCESS)
    except DBAPIError as exc:
        _note_refused(session, feed, parsed, exc)
        return "refused"
    return "changed"


def _note_refused(session: Session, feed: Feed, parsed: ParsedEntry, exc: DBAPIError) -> None:
    said = (str(exc.orig).splitlines() or ["?"])[0][:200]
    problem = f"the database refused entry {(parsed.title or parsed.guid or '?')[:80]!r}: {said}"
    # Without the body hash the next poll looks at this document again, changed or not.
    values = {"problem": problem, "reason": FetchReason.STORAGE, "body_hash": None, "etag": None, "last_modified": None}
    session.execute(update(FeedRow).where(FEED.id == feed.id).values(**values))


_FORGOTTEN: Mapping[str, object] = {"active": False, "credentials": None, "sends": []}
"""A feed that is not polled any more."""


def _change(session: Session, row: FeedRow, values: Mapping[str, object], now: datetime) -> None:
    before = _told(row)
    for name, value in values.items():
        setattr(row, name, value)
    after = _told(row)
    kind = ChangeKind.REMOVED if before["active"] and not after["active"] else ChangeKind.CHANGED
    _note(session, kind, row.id, now, before=before, after=after)


def _told(row: FeedRow) -> dict[str, object]:
    """What persons decide of a feed, for the audit log."""
    names = ("url", "title", "interval_seconds", "tier", "full_text", "jurisdiction", "language", "kind", "tags")
    return {name: getattr(row, name) for name in (*names, "selectors", "sends", "managed", "active")}


def _note(session: Session, kind: ChangeKind, number: int | None, now: datetime, **told: object) -> None:
    audit.note(session, kind, "feed", number, team_id=None, now=now, **told)


_COUNTED = (ENTRY.feed_id, FEED_GAP.feed_id)


def _counts(session: Session, column: Any, feed_ids: Sequence[int | None]) -> dict[int, int]:
    counts = select(column, func.count()).where(column.in_(feed_ids)).group_by(column)
    return dict(session.execute(counts).all())


def _plain_values(new: NewFeed) -> dict[str, Any]:
    return {
        "title": new.title,
        "tier": new.tier,
        "full_text": new.full_text,
        "jurisdiction": new.jurisdiction,
        "language": new.language,
        "interval_seconds": new.interval.total_seconds(),
        "managed": new.managed,
        "kind": new.kind,
        "tags": list(new.tags),
        "selectors": asdict(new.recipe) if new.recipe else None,
    }


def feed_of(row: Any, *, entries: int = 0, gaps: int = 0) -> Feed:
    """A row of the feed table, mapped or plain, as the noun."""
    return Feed(
        id=row.id,
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
        kind=row.kind,
        tags=tuple(row.tags),
        added_at=row.created_at,
        state_since=row.state_since,
        validated_at=row.validated_at,
        move=_move(row.move),
        rhythm=_rhythm(row),
        last_news_at=row.last_news_at,
        pace=timedelta(seconds=row.pace_seconds) if row.pace_seconds else None,
        gaps=gaps,
        recipe=_recipe(row.selectors),
        pushed_until=row.pushed_until,
        sends=tuple(row.sends),
    )


def _recipe(kept: dict[str, Any] | None) -> Recipe | None:
    if not kept:
        return None
    return Paths(**kept) if "items" in kept else Selectors(**kept)


def gap_of(row: FeedGapRow) -> FeedGap:
    """A row of the gap ledger as a value."""
    return FeedGap(
        id=cast(int, row.id),
        feed_id=row.feed_id,
        opened_at=row.opened_at,
        gap=Gap(since=row.since, until=row.until, missing=row.missing),
        fate=GapFate(row.fate),
        recovered=row.recovered,
        detail=row.detail,
        attempts=row.attempts,
    )


def _rhythm(row: Any) -> Rhythm | None:
    if row.usual_seconds is None or row.longest_seconds is None:
        return None
    return Rhythm(usual=timedelta(seconds=row.usual_seconds), longest=timedelta(seconds=row.longest_seconds))


def _move(kept: dict[str, Any] | None) -> Move | None:
    return Move(**(kept | {"since": datetime.fromisoformat(kept["since"])})) if kept else None


def _plain_move(move: Move | None) -> dict[str, Any] | None:
    return asdict(move) | {"since": move.since.isoformat()} if move else None
