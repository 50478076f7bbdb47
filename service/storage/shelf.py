"""Stories under their handles (see `domain.shelf`): the few that an entry may belong to, at the same cost among any
number of them. Runs inside the placing section.

Statements are given to the driver as they are: building them anew for each entry would take longer than running them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlmodel import Session

from service.domain.model import Action, Development, Direction, PlacementReason, Stage, Story, StoryKey, Topic, Traits
from service.domain.shelf import handles_of, looks_under, most_met, with_member
from service.storage.tables import STORY, STORY_HANDLE, StoryHandleRow, StoryRow

_TRAITS = ("head", "whole", "words", "lead", "places")


def dump_key(key: StoryKey) -> dict[str, Any]:
    """A key as a column holds it: without the evidence of its developments, which no comparison asks for."""
    return {
        "developments": [[d.jurisdiction, d.topic, d.action, d.direction, d.stage] for d in key.developments],
        "link": key.link,
        "sketch": list(key.sketch),
        "title": key.title,
        "traits": {"lang": key.traits.lang, "denies": key.traits.denies}
        | {name: sorted(getattr(key.traits, name)) for name in _TRAITS},
    }


def load_key(row: dict[str, Any]) -> StoryKey:
    traits = row["traits"]
    return StoryKey(
        developments=tuple(
            Development(
                jurisdiction=jurisdiction,
                topic=Topic(topic),
                action=Action(action),
                direction=Direction(direction),
                stage=Stage(stage),
            )
            for jurisdiction, topic, action, direction, stage in row["developments"]
        ),
        link=row["link"],
        sketch=tuple(row["sketch"]),
        title=row["title"],
        traits=Traits(
            lang=traits["lang"], denies=traits["denies"], **{name: frozenset(traits.get(name, ())) for name in _TRAITS}
        ),
    )


def near(session: Session, key: StoryKey, when: datetime) -> tuple[Story, ...]:
    """The stories that share most handles with `key`: newest first under each handle, and no more than a few."""
    handles = looks_under(key)
    if not handles:
        return ()
    values = tuple(v for h in handles for v in (h.weight, h.code, _seconds(when - h.span), h.depth))
    met = session.connection().exec_driver_sql(_under(len(handles), sqlite=_is_sqlite(session)), values)
    chosen = most_met((story_id, weight) for story_id, weight in met)
    if not chosen:
        return ()
    return tuple(
        Story(id=number, opened_at=opened_at, last_at=last_at, members=tuple(map(load_key, members)))
        for number, opened_at, last_at, members in session.connection().execute(_CHOSEN, {"ids": chosen})
    )


_CHOSEN = select(STORY.id, STORY.opened_at, STORY.last_at, STORY.members).where(
    STORY.id.in_(bindparam("ids", expanding=True))
)


@lru_cache(maxsize=200)
def _under(handles: int, *, sqlite: bool) -> str:
    """The newest stories under each of so many handles: one short index range each, where a window function would read
    all rows under a busy one. Takes weight, handle, earliest time and depth of each."""
    weight, sign = ("?", "?") if sqlite else ("CAST(%s AS INTEGER)", "%s")
    one = (
        f"SELECT * FROM (SELECT story_id, {weight} AS weight FROM story_handle WHERE handle = {sign} AND at >= {sign}"
        f" ORDER BY at DESC LIMIT {sign}) AS found"
    )
    return " UNION ALL ".join([one] * handles)


def open_story(
    session: Session, key: StoryKey, when: datetime, *, predecessor: int | None, because: PlacementReason
) -> int:
    """A new story with its first entry; gives its id."""
    values = {
        "title": key.title,
        "opened_at": when,
        "last_at": when,
        "predecessor_id": predecessor,
        "because": because,
        "members": [dump_key(key)],
    }
    made = session.connection().execute(_OPEN, values).inserted_primary_key
    story_id = int(made[0]) if made is not None else 0
    _file(session, story_id, key, when)
    return story_id


def members_of(session: Session, story_id: int) -> tuple[StoryKey, ...]:
    """The keys that stand for a story as it is now."""
    members = session.connection().execute(_CHOSEN, {"ids": [story_id]}).one()[3]
    return tuple(map(load_key, members))


def join_story(session: Session, story_id: int, key: StoryKey, when: datetime) -> None:
    """Let `key` stand for its story with the others, and find the story under its handles too."""
    connection = session.connection()
    opened_at, last_at, members = connection.execute(_CHOSEN, {"ids": [story_id]}).one()[1:]
    values = {
        "opened_at": min(opened_at, when),
        "last_at": max(last_at, when),
        "members": [dump_key(member) for member in with_member(tuple(map(load_key, members)), key)],
    }
    connection.execute(_JOIN, {"story_id": story_id} | values)
    _file(session, story_id, key, when)


_OPEN = insert(StoryRow)
_JOIN = update(StoryRow).where(STORY.id == bindparam("story_id"))


def _file(session: Session, story_id: int, key: StoryKey, when: datetime) -> None:
    rows = [(h.code, story_id, _seconds(when), _seconds(when + h.span)) for h in handles_of(key)]
    if rows:
        sign = "?" if _is_sqlite(session) else "%s"
        session.connection().exec_driver_sql(
            f"INSERT INTO story_handle (handle, story_id, at, until) VALUES ({sign}, {sign}, {sign}, {sign})"
            " ON CONFLICT (handle, story_id) DO UPDATE SET at = excluded.at, until = excluded.until"
            " WHERE story_handle.at < excluded.at",
            rows,
        )


def forget(session: Session, now: datetime, spare: timedelta = timedelta(days=1)) -> None:
    """Drop the handles whose time is over: what is kept is bounded by the window, not by the service's age."""
    session.connection().execute(_FORGET, {"before": _seconds(now - spare)})


_FORGET = delete(StoryHandleRow).where(STORY_HANDLE.until < bindparam("before"))


def _seconds(when: datetime) -> int:
    return int(when.timestamp())


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
