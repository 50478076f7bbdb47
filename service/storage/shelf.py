"""Stories under their handles (see `domain.shelf`): the few that an entry may belong to, at the same cost among any
number of them. Runs inside the placing section.

Statements are given to the driver as they are: building them anew for each entry would take longer than running them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlmodel import Session

from service.domain.model import Action, Development, Direction, Stage, Story, StoryKey, Topic, Traits
from service.domain.shelf import UNDER_ONE, handles_of, looks_under, most_met, with_member
from service.storage.tables import STORY, STORY_HANDLE, StoryHandleRow, StoryRow

_TRAITS = ("head", "whole", "words", "places")


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
            lang=traits["lang"], denies=traits["denies"], **{name: frozenset(traits[name]) for name in _TRAITS}
        ),
    )


def near(session: Session, key: StoryKey, when: datetime) -> tuple[Story, ...]:
    """The stories that share most handles with `key`: newest first under each handle, and no more than a few."""
    handles = looks_under(key)
    if not handles:
        return ()
    values = tuple(v for h in handles for v in (h.weight, h.code, _seconds(when - h.span)))
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
    all rows under a busy one. Takes weight, handle and earliest time of each."""
    weight, sign = ("?", "?") if sqlite else ("CAST(%s AS INTEGER)", "%s")
    one = (
        f"SELECT * FROM (SELECT story_id, {weight} AS weight FROM story_handle WHERE handle = {sign} AND at >= {sign}"
        f" ORDER BY at DESC LIMIT {UNDER_ONE}) AS found"
    )
    return " UNION ALL ".join([one] * handles)


def keep(session: Session, row: StoryRow, key: StoryKey, when: datetime) -> None:
    """Let `key` stand for its story, which may be a new row, and find the story under its handles from now on."""
    members = with_member(tuple(map(load_key, row.members)), key)
    row.members = [dump_key(member) for member in members]
    session.add(row)
    session.flush()
    rows = [(h.code, row.id, _seconds(when), _seconds(when + h.span)) for h in handles_of(key)]
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
    session.execute(delete(StoryHandleRow).where(STORY_HANDLE.until < _seconds(now - spare)))


def _seconds(when: datetime) -> int:
    return int(when.timestamp())


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
