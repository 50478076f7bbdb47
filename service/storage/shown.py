"""Alerts as they are told and shown, any number at once: a few statements for all of them, not for each.

They are made once and given to the driver as they are: one alert is read for every message, and building its nine
statements anew took longer than running them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Integer, Text, bindparam, func, or_, select
from sqlalchemy import cast as cast_as
from sqlmodel import Session

from service.domain.model import Alert, Severity, Source
from service.storage import updates
from service.storage.mapping import load_developments, load_evidence
from service.storage.readings import DEVELOPMENT_FIELDS, outlet
from service.storage.tables import (
    ALERT_RULE,
    ALERT_UPDATE,
    DEVELOPMENT,
    ENTRY,
    FEED,
    MATCH,
    STORY,
    AlertRow,
    AlertUpdateRow,
    DevelopmentRow,
    EntryRow,
    FeedRow,
    MatchRow,
)

K = TypeVar("K")
V = TypeVar("V")


def read_alert(session: Session, row: AlertRow, *, team_id: int | None) -> Alert:
    """An alert with every report of its story so far, as `read_alerts` shows it."""
    return read_alerts(session, [row], most=None, team_id=team_id)[0]


def visible(column: Any, team_id: int | None) -> Any:
    """Of matches and rules, by their column `team_id`: those of all teams, and those that this one alone sees."""
    return column.is_(None) if team_id is None else or_(column.is_(None), column == team_id)


def read_alerts(
    session: Session, rows: Sequence[AlertRow], *, most: int | None, team_id: int | None
) -> tuple[Alert, ...]:
    """Alerts in the order of their rows, each with its rules, what they matched, and the first reports of its story,
    `most` of them at most (None: all).

    They are shown as the team may see them: without what other teams match by themselves.
    """
    ids, stories = [cast(int, row.id) for row in rows], [row.story_id for row in rows]
    session.flush()  # as a session does by itself for the statements that it makes
    said = session.connection().execute
    rules = _grouped(said(_RULES, {"ids": ids, "team": team_id}))
    told = _grouped((row.alert_id, updates.update_of(row)) for row in said(_CHANGED, {"ids": ids}))
    reports, counts = _reports(session, stories, most)
    first, unclear = _matches(session, stories, team_id)
    unmatched = _developments(session, [reports[one][0].id for one in stories if one not in first and reports[one]])
    followed = set(said(_FOLLOWED, {"ids": stories}).scalars())
    return tuple(
        Alert(
            id=cast(int, row.id),
            story_id=row.story_id,
            raised_at=row.raised_at,
            title=row.title,
            severity=Severity(row.severity),
            rules=tuple(sorted(rules[cast(int, row.id)])),
            developments=load_developments(
                first[row.story_id].developments if row.story_id in first else unmatched[row.story_id]
            ),
            evidence=load_evidence(first[row.story_id].evidence if row.story_id in first else []),
            sources=tuple(map(_source, reports[row.story_id])),
            unclear=tuple(sorted({name for names in unclear[row.story_id] for name in names})),
            predecessor=updates.predecessor_of(session, row.story_id) if row.story_id in followed else None,
            updates=tuple(told[cast(int, row.id)]),
            reports=counts.get(row.story_id, 0),
        )
        for row in rows
    )


def _reports(
    session: Session, stories: Collection[int], most: int | None
) -> tuple[Mapping[int, Sequence[Any]], Mapping[int, int]]:
    """The first reports of each story, and how many there are of it."""
    said = session.connection().execute
    found = said(_ALL, {"ids": stories}) if most is None else said(_FIRST, {"ids": stories, "most": most})
    counts: dict[int, int] = dict(said(_COUNTS, {"ids": stories}).all())
    return _grouped((row.story_id, row) for row in found), counts


def _matches(
    session: Session, stories: Collection[int], team_id: int | None
) -> tuple[Mapping[int, Any], Mapping[int, Sequence[Sequence[str]]]]:
    """Each story's first match that the team sees, and what those left open."""
    said = session.connection().execute
    wanted = {"ids": stories, "team": team_id}
    first = {row.story_id: row for row in said(_FIRST_MATCHES, wanted)}
    return first, _grouped(said(_UNCLEAR, wanted))


def _developments(session: Session, entries: Collection[int]) -> Mapping[int, Sequence[dict[str, Any]]]:
    """What was read in these reports, by their story: it stands in for what rules matched where none has."""
    if not entries:
        return defaultdict(list)
    read = select(ENTRY.story_id, DevelopmentRow).join(EntryRow, ENTRY.id == DEVELOPMENT.entry_id)
    found = session.execute(read.where(ENTRY.id.in_(entries)))
    return _grouped((story, row.model_dump(include=DEVELOPMENT_FIELDS)) for story, row in found)


_SOURCES = select(
    *(ENTRY.id, ENTRY.story_id, ENTRY.title, ENTRY.link, ENTRY.lang, ENTRY.published),
    *(FEED.title.label("feed"), FEED.url.label("feed_url")),
).join(FeedRow, FEED.id == ENTRY.feed_id)


def _seen(column: Any) -> Any:
    """As `visible`, for the team that is given when the statement is run: what equals no team, none equals."""
    return or_(column.is_(None), column == bindparam("team", type_=Integer))


_STORIES = ENTRY.story_id.in_(bindparam("ids", expanding=True))
_RULES = select(ALERT_RULE.alert_id, ALERT_RULE.rule_id).where(
    ALERT_RULE.alert_id.in_(bindparam("ids", expanding=True)), _seen(ALERT_RULE.team_id)
)
_CHANGED = (
    select(AlertUpdateRow.__table__)  # type: ignore[attr-defined]
    .where(ALERT_UPDATE.alert_id.in_(bindparam("ids", expanding=True)))
    .order_by(ALERT_UPDATE.id)
)
_FOLLOWED = select(STORY.id).where(STORY.id.in_(bindparam("ids", expanding=True)), STORY.predecessor_id.is_not(None))
_ALL = _SOURCES.where(_STORIES).order_by(ENTRY.id)
_NUMBERED = (
    select(
        ENTRY.id.label("entry"), func.row_number().over(partition_by=ENTRY.story_id, order_by=ENTRY.id).label("place")
    )
    .where(_STORIES)
    .subquery()
)
_FIRST = _SOURCES.where(ENTRY.id.in_(select(_NUMBERED.c.entry).where(_NUMBERED.c.place <= bindparam("most")))).order_by(
    ENTRY.id
)
_COUNTS = select(ENTRY.story_id, func.count()).where(_STORIES).group_by(ENTRY.story_id)
_LOWEST = (
    select(ENTRY.story_id, func.min(MATCH.id).label("lowest"))
    .join(EntryRow, ENTRY.id == MATCH.entry_id)
    .where(_STORIES, _seen(MATCH.team_id))
    .group_by(ENTRY.story_id)
    .subquery()
)
_FIRST_MATCHES = select(_LOWEST.c.story_id, MATCH.developments, MATCH.evidence).join(
    MatchRow, MATCH.id == _LOWEST.c.lowest
)
_UNCLEAR = (
    select(ENTRY.story_id, MATCH.unclear)
    .join(EntryRow, ENTRY.id == MATCH.entry_id)
    .where(_STORIES, cast_as(MATCH.unclear, Text) != "[]", _seen(MATCH.team_id))
)


def _source(row: Any) -> Source:
    return Source(
        entry_id=row.id,
        title=row.title,
        source=outlet(row.feed, row.feed_url),
        link=row.link,
        lang=row.lang,
        published=row.published,
    )


def _grouped(pairs: Iterable[Any]) -> Mapping[Any, Sequence[Any]]:
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found
