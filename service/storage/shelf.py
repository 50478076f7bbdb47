"""Stories under their handles (see `domain.shelf`): the few that an entry may belong to, at the same cost among any
number of them. Runs inside the placing section."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.dialects.postgresql import insert as insert_into_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_into_sqlite
from sqlmodel import Session

from service.domain.model import Story, StoryKey
from service.domain.shelf import UNDER_ONE, handles_of, looks_under, most_met, with_member
from service.storage.tables import STORY, STORY_HANDLE, StoryHandleRow, StoryRow, UtcDateTime

_KEY = TypeAdapter(StoryKey)


def dump_key(key: StoryKey) -> dict[str, Any]:
    """A key as a column holds it: without the evidence of its developments, which no comparison asks for."""
    bare = tuple(replace(development, evidence=(), quotes=()) for development in key.developments)
    return dict(_KEY.dump_python(replace(key, developments=bare), mode="json"))


def load_key(row: object) -> StoryKey:
    return _KEY.validate_python(row)


def near(session: Session, key: StoryKey, when: datetime) -> tuple[Story, ...]:
    """The stories that share most handles with `key`: newest first under each handle, and no more than a few."""
    handles = looks_under(key)
    if not handles:
        return ()
    # One short index range for each handle; a window function would read all rows under a busy one.
    one = (
        "SELECT * FROM (SELECT story_id, {weight} AS weight FROM story_handle"
        " WHERE handle = :h{n} AND at >= :s{n} ORDER BY at DESC LIMIT {limit}) AS found{n}"
    )
    parts = [one.format(n=n, weight=handle.weight, limit=UNDER_ONE) for n, handle in enumerate(handles)]
    values: dict[str, Any] = {}
    for n, handle in enumerate(handles):
        values |= {f"h{n}": handle.code, f"s{n}": when - handle.span}
    times = [bindparam(f"s{n}", type_=UtcDateTime) for n in range(len(handles))]
    met = session.execute(text(" UNION ALL ".join(parts)).bindparams(*times), values)
    chosen = most_met((int(story_id), int(weight)) for story_id, weight in met)
    columns = select(STORY.id, STORY.opened_at, STORY.last_at, STORY.members).where(STORY.id.in_(chosen))
    return tuple(
        Story(id=number, opened_at=opened_at, last_at=last_at, members=tuple(map(load_key, members)))
        for number, opened_at, last_at, members in session.execute(columns)
    )


def keep(session: Session, row: StoryRow, key: StoryKey, when: datetime) -> None:
    """Let `key` stand for its story, and find the story under its handles from now on."""
    members = with_member(tuple(map(load_key, row.members)), key)
    row.members = [dump_key(member) for member in members]
    session.flush()
    rows = [
        {"handle": handle.code, "story_id": row.id, "at": when, "until": when + handle.span}
        for handle in handles_of(key)
    ]
    if not rows:
        return
    insert = insert_into_sqlite if session.get_bind().dialect.name == "sqlite" else insert_into_postgresql
    kept = insert(StoryHandleRow)
    newer = {name: kept.excluded[name] for name in ("at", "until")}
    session.execute(
        kept.on_conflict_do_update(
            index_elements=["handle", "story_id"], set_=newer, where=STORY_HANDLE.at < newer["at"]
        ),
        rows,
    )


def forget(session: Session, now: datetime, spare: timedelta = timedelta(days=1)) -> None:
    """Drop the handles whose time is over: what is kept is bounded by the window, not by the service's age."""
    session.execute(delete(StoryHandleRow).where(STORY_HANDLE.until < now - spare))
