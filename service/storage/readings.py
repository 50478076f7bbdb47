"""Stored readings: what rules are tried on long after. Finds what a rule may fire on without reading its text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Select, and_, case, delete, false, func, literal, null, or_, select, true
from sqlmodel import Session

from service.domain.condition import ABOUT_ANOTHER, ACROSS, All, AnyOf, Condition, Has, Within, shapes
from service.domain.model import (
    Action,
    ConceptKind,
    Development,
    Direction,
    Entry,
    EntryState,
    Origin,
    Reading,
    Stage,
    Tier,
    Topic,
)
from service.domain.remembered import Noted, Recorded, asks_for, code
from service.domain.rule import Reach, Rule, Sources
from service.domain.text import html_to_text
from service.storage.database import Database
from service.storage.mapping import dump_developments, load_developments
from service.storage.tables import (
    DEVELOPMENT,
    ENTRY,
    ENTRY_DATE,
    FEED,
    READING,
    DevelopmentRow,
    EntryDateRow,
    EntryRow,
    FeedRow,
    ReadingRow,
)

ACT = {"jurisdiction", "topic", "action", "direction", "stage", "evidence", "is_likely"}
DEVELOPMENT_FIELDS = {*ACT, "quotes"}

BATCH = 500
"""Entries whose texts are held at the same time, and parameters of one statement (SQLite bounds them)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the entries that were received since some time were read."""

    entries: int
    unread: int
    read_by_another: int


@dataclass(frozen=True, slots=True)
class Alike:
    """Entries, by id and the time at which they count as news, of which the same is remembered as far as a rule asks:
    it is tried on all of them at once."""

    recorded: Recorded
    entries: Sequence[tuple[int, datetime]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A stored entry with its text as it was read, its reading with evidence, and the home of its feed."""

    entry: Entry
    reading: Reading
    at: datetime
    jurisdiction: str | None
    revision: int
    story: str


def origins(session: Session, entries: Collection[int]) -> Mapping[int, Origin]:
    """Where these entries came from, read in the caller's transaction."""
    known = (
        select(ENTRY.id, ENTRY.lang, FEED.tier, FEED.tags, READING.lang)
        .join(FeedRow, FEED.id == ENTRY.feed_id)
        .outerjoin(ReadingRow, READING.entry_id == ENTRY.id)
        .where(ENTRY.id.in_(entries))
    )
    return {
        entry: Origin(tier=Tier(tier), language=read_as or told or "", tags=tuple(tags))
        for entry, told, tier, tags, read_as in session.execute(known)
    }


class Readings:
    def __init__(self, database: Database) -> None:
        self._database = database

    def candidates(self, rough: Rule, *, since: datetime | None = None) -> Iterator[Alike]:
        """The read entries that a rule which `roughly` gave may fire on, and some more, as they are remembered."""
        with self._database.read() as session:
            feeds = _feeds(session)
            by_kind = _by_mentions if rough.reach is Reach.MENTION else _by_developments
            yield from by_kind(session, rough, since, feeds)

    def standing(self, lexicon: str, *, since: datetime | None = None) -> Standing:
        """How many entries there are, how many were never read, and how many by another lexicon than `lexicon`.

        Those that wait to be processed count as unread.
        """
        by_lexicon = select(READING.lexicon, func.count()).group_by(READING.lexicon)
        unread = select(func.count(ENTRY.id)).where(ENTRY.id.not_in(select(READING.entry_id)))
        if since is not None:
            by_lexicon = by_lexicon.where(READING.at >= since)
            unread = unread.where(ENTRY.received_at >= since)
        with self._database.read() as session:
            counts = dict(session.execute(by_lexicon).all())
            missing = int(session.execute(unread).scalar_one())
        read = sum(counts.values())
        return Standing(entries=read + missing, unread=missing, read_by_another=read - counts.get(lexicon, 0))

    def whole(self, ids: Sequence[int]) -> Iterator[Whole]:
        """The entries `ids` with text and evidence, in the order asked for; a few at a time are in memory."""
        for start in range(0, len(ids), BATCH):
            chunk = ids[start : start + BATCH]
            with self._database.read() as session:
                found = {int(whole.entry.id): whole for whole in _whole(session, chunk)}
            yield from (found[entry_id] for entry_id in chunk if entry_id in found)

    def stories(self, ids: Iterable[int]) -> Mapping[int, str]:
        """For each of these entries what it is told as: its story, or else its address, or else itself alone."""
        wanted = set(ids)
        placed = select(ENTRY.id, ENTRY.story_id).where(ENTRY.story_id.is_not(None))
        with self._database.read() as session:
            told = {entry: f"story {story}" for entry, story in session.execute(placed) if entry in wanted}
            alone = sorted(wanted - told.keys())
            for start in range(0, len(alone), BATCH):
                rows = select(ENTRY.id, ENTRY.link_key).where(ENTRY.id.in_(alone[start : start + BATCH]))
                told |= {entry: f"link {link}" if link else f"entry {entry}" for entry, link in session.execute(rows)}
        return told

    def origins(self, ids: Collection[int]) -> Mapping[int, Origin]:
        """Where these entries came from."""
        with self._database.read() as session:
            return origins(session, ids)

    def to_read(self, lexicon: str, *, since: datetime | None = None) -> list[int]:
        """Entries without a reading by `lexicon`; those that wait to be processed are left to that."""
        current = select(READING.entry_id).where(READING.lexicon == lexicon)
        statement = select(ENTRY.id).where(ENTRY.id.not_in(current), ENTRY.state != EntryState.NEW)
        if since is not None:
            statement = statement.where(ENTRY.received_at >= since)
        with self._database.read() as session:
            return list(session.execute(statement.order_by(ENTRY.id)).scalars())

    def keep(self, read: Sequence[tuple[Whole, Reading, Noted]], *, lexicon: str) -> int:
        """Store readings; gives how many: an entry that changed meanwhile, or waits to be processed, is left out."""
        kept = 0
        with self._database.write() as session:
            for whole, reading, noted in read:
                row = session.get(EntryRow, int(whole.entry.id), with_for_update=True)
                if row is None or row.revision != whole.revision or row.state == EntryState.NEW:
                    continue
                keep_reading(session, row, reading, noted, lexicon=lexicon)
                kept += 1
        return kept


def keep_reading(
    session: Session, row: EntryRow, reading: Reading, noted: Noted, *, lexicon: str, again: bool = True
) -> None:
    """Put a reading in the place of an entry's earlier one, in the caller's transaction; not `again`: there is none."""
    entry_id = cast(int, row.id)
    row.lang = reading.lang
    if again:
        session.execute(delete(ReadingRow).where(READING.entry_id == entry_id))
        session.execute(delete(DevelopmentRow).where(DEVELOPMENT.entry_id == entry_id))
        session.execute(delete(EntryDateRow).where(ENTRY_DATE.entry_id == entry_id))
    at = min(row.published or row.received_at, row.received_at)
    session.add(ReadingRow(entry_id=entry_id, lexicon=lexicon, lang=reading.lang, at=at, concepts=noted.concepts))
    dumped = dump_developments(reading.developments)
    for values, stated, named in zip(dumped, noted.stated, noted.named, strict=True):
        session.add(DevelopmentRow(entry_id=entry_id, stated=stated, named=named, **values))
    for one in noted.days:
        session.add(EntryDateRow(entry_id=entry_id, meaning=one.meaning, day=one.day, text=one.text))


# --- candidates ---------------------------------------------------------------------------------------------------

_Feeds = Mapping[int, tuple[str, Tier]]
"""Name and tier of each feed."""


def _feeds(session: Session) -> _Feeds:
    rows = session.execute(select(FEED.id, FEED.title, FEED.url, FEED.tier))
    return {feed_id: (outlet(title, url), Tier(tier)) for feed_id, title, url, tier in rows}


def outlet(title: str, url: str) -> str:
    """A feed's name for readers; its address may hold a password, so only the host stands in for a title."""
    return title or urlsplit(url).hostname or ""


def _by_mentions(session: Session, rule: Rule, since: datetime | None, feeds: _Feeds) -> Iterator[Alike]:
    columns = (READING.entry_id, READING.at, READING.lang, *_source(rule), READING.concepts)
    statement = _from_readings(columns, rule, since).where(_mentions(rule.needs))
    alike: dict[tuple[Any, ...], list[tuple[int, datetime]]] = {}
    for entry_id, at, *known in session.connection().execute(statement.order_by(READING.entry_id)):
        alike.setdefault(tuple(known), []).append((entry_id, at))
    for (lang, feed_id, link, concepts), entries in alike.items():
        entry = _outline(link, feeds.get(feed_id))
        yield Alike(Recorded(entry=entry, reading=Reading(lang=lang), noted=Noted(concepts=concepts)), entries)


def _mentions(node: Condition) -> ColumnElement[bool]:
    """What the concepts of an entry must hold for `node` to hold; words are left open."""
    match node:
        case Has(concepts):
            return or_(*(READING.concepts.contains(code(concept), autoescape=True) for concept in concepts))
        case All(parts):
            return and_(true(), *map(_mentions, parts))
        case AnyOf(parts):
            return or_(*map(_mentions, parts))
        case Within(part):
            return _mentions(part)
        case _:
            return true()


def _by_developments(session: Session, rule: Rule, since: datetime | None, feeds: _Feeds) -> Iterator[Alike]:
    whole = rule.whole
    acts = (  # what the rule does not ask for is left out, so that more entries are alike
        DEVELOPMENT.jurisdiction, DEVELOPMENT.topic, DEVELOPMENT.action,
        DEVELOPMENT.direction if asks_for(whole, ConceptKind.DIRECTION) else literal(str(Direction.NEUTRAL)),
        DEVELOPMENT.stage if asks_for(whole, ConceptKind.STAGE) else literal(str(Stage.NOT_APPLICABLE)),
        # judging looks at these of such developments alone
        case((DEVELOPMENT.action.in_(ABOUT_ANOTHER), DEVELOPMENT.stated), else_=""),
        case((DEVELOPMENT.topic.in_(ACROSS), DEVELOPMENT.named), else_=""),
    )  # fmt: skip
    columns = (READING.entry_id, READING.at, READING.lang, *_source(rule), *acts)
    statement = _from_readings(columns, rule, since).join(DevelopmentRow, DEVELOPMENT.entry_id == READING.entry_id)
    if narrowing := _acts(rule):
        statement = statement.where(READING.entry_id.in_(select(DEVELOPMENT.entry_id).where(*narrowing)))
    alike: dict[tuple[Any, ...], list[tuple[int, datetime]]] = {}
    rows = session.connection().execute(statement.order_by(READING.entry_id, DEVELOPMENT.id))
    for _, group in groupby(rows, key=itemgetter(0)):
        first, *others = group
        known = (first[2:], *(row[5:] for row in others))
        alike.setdefault(known, []).append((first[0], first[1]))
    for ((lang, feed_id, link, *act), *rest), entries in alike.items():
        told = (act, *rest)
        reading = Reading(lang=lang, developments=tuple(_act(*one[:5]) for one in told))
        noted = Noted(stated=tuple(one[5] or "" for one in told), named=tuple(one[6] or "" for one in told))
        yield Alike(Recorded(entry=_outline(link, feeds.get(feed_id)), reading=reading, noted=noted), entries)


def _source(rule: Rule) -> tuple[Any, Any]:
    """Feed and address, for a rule that asks whose report it is: rows of entries are long, and read for no other."""
    sources = rule.sources
    named = bool(sources.include or sources.exclude)
    return (ENTRY.feed_id if named or sources.tiers else null(), ENTRY.link if named else literal(""))


def _from_readings(columns: tuple[Any, ...], rule: Rule, since: datetime | None) -> Select[Any]:
    statement = select(*columns).select_from(ReadingRow).where(*_when(rule, since))
    return statement.join(EntryRow, ENTRY.id == READING.entry_id) if rule.sources != Sources() else statement


def _acts(rule: Rule) -> list[ColumnElement[bool]]:
    """What one development of the entry must be, each part for itself: coarser than the shapes, and quick."""
    found = list(zip(*shapes(rule.needs), strict=True))
    if not found:
        return [false()]
    columns = (DEVELOPMENT.jurisdiction, DEVELOPMENT.topic, DEVELOPMENT.action)
    return [column.in_(set(names)) for column, names in zip(columns, found, strict=True) if None not in names]


def _when(rule: Rule, since: datetime | None) -> list[ColumnElement[bool]]:
    narrowing = [READING.lang.in_(rule.languages)] if rule.languages else []
    return [*narrowing, READING.at >= since] if since is not None else narrowing


def _outline(link: str, feed: tuple[str, Tier] | None) -> Entry:
    source, tier = feed or ("", Tier.UNKNOWN)
    return Entry(id="", title="", source=source, link=link, tier=tier)


@lru_cache(maxsize=100_000)
def _act(jurisdiction: str, topic: str, action: str, direction: str, stage: str) -> Development:
    return Development(
        jurisdiction=jurisdiction,
        topic=Topic(topic),
        action=Action(action),
        direction=Direction(direction),
        stage=Stage(stage),
    )


# --- with their texts ---------------------------------------------------------------------------------------------


def _whole(session: Session, ids: Sequence[int]) -> Iterator[Whole]:
    told: dict[int, list[dict[str, Any]]] = {}
    developments = select(DevelopmentRow).where(DEVELOPMENT.entry_id.in_(ids)).order_by(DEVELOPMENT.id)
    for development in session.execute(developments).scalars():
        told.setdefault(development.entry_id, []).append(development.model_dump(include=DEVELOPMENT_FIELDS))
    rows = select(EntryRow, FeedRow).join(FeedRow, FEED.id == ENTRY.feed_id).where(ENTRY.id.in_(ids))
    for row, feed in session.execute(rows):
        reading = Reading(lang=row.lang or "", developments=load_developments(told.get(row.id, ())))
        yield Whole(
            entry=_entry(row, feed),
            reading=reading,
            at=min(row.published or row.received_at, row.received_at),
            jurisdiction=feed.jurisdiction,
            revision=row.revision,
            story=f"story {row.story_id}" if row.story_id else "",
        )


def _entry(row: EntryRow, feed: FeedRow) -> Entry:
    """The entry with text as processing reads it: until then, what the feed sent may be HTML."""
    is_read = row.state == EntryState.DONE
    return Entry(
        id=str(row.id),
        title=row.title,
        summary=row.summary if is_read else html_to_text(row.summary),
        content=row.content if is_read else html_to_text(row.content),
        source=outlet(feed.title, feed.url),
        link=row.link,
        lang=feed.language,
        published=row.published,
        tier=Tier(feed.tier),
    )
