"""Who changed what, and from what to what: written in the transaction of the change itself, and never changed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Any, cast

from sqlalchemy import Select, select
from sqlmodel import Session

from service.domain.model import Change, ChangeKind, Channel, Secret
from service.domain.rule import show_duration
from service.storage.database import Database
from service.storage.tables import AUDIT, TEAM, AuditRow, TeamRow

_ACTOR = ContextVar("actor", default="the service")


@contextmanager
def acting(who: str) -> Iterator[None]:
    """Whatever is changed inside is put down to `who`: an API key, a command, the configuration file."""
    token = _ACTOR.set(who)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def note(
    session: Session, kind: ChangeKind, thing: str, number: int | None, *, team_id: int | None, now: datetime,
    before: object = None, after: object = None,
) -> None:  # fmt: skip
    """Note a change in its own transaction; one that changes nothing is none.

    `before` and `after` are the thing as readers see it: what is secret in it stays hidden here too. Things that all
    teams share have no `team_id`.
    """
    old, new = plain(before), plain(after)
    if old == new and before is not None:
        return
    session.add(
        AuditRow(
            team_id=team_id, at=now, actor=_ACTOR.get(), kind=kind, thing=thing, number=number, before=old, after=new
        )
    )


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, team: str | None, *, thing: str | None = None, number: int | None = None,
        since: datetime | None = None, before: int | None = None, limit: int = 100,
    ) -> tuple[Change, ...]:  # fmt: skip
        """Changes to what is the team's and to what all teams share, the newest first; None: of all teams."""
        statement = _changes()
        if team is not None:
            statement = statement.where(AUDIT.team_id.is_(None) | (TEAM.name == team))
        if thing is not None:
            statement = statement.where(AUDIT.thing == thing)
        if number is not None:
            statement = statement.where(AUDIT.number == number)
        if since is not None:
            statement = statement.where(AUDIT.at >= since)
        if before is not None:
            statement = statement.where(AUDIT.id < before)
        with self._database.read() as session:
            return tuple(_change(row, name) for row, name in session.execute(statement.limit(limit)))


def _changes() -> Select[Any]:
    return select(AuditRow, TEAM.name).outerjoin(TeamRow, TEAM.id == AUDIT.team_id).order_by(AUDIT.id.desc())


def _change(row: AuditRow, team: str | None) -> Change:
    return Change(
        id=cast(int, row.id),
        at=row.at,
        team=team,
        actor=row.actor,
        kind=ChangeKind(row.kind),
        thing=row.thing,
        number=row.number,
        before=row.before,
        after=row.after,
    )


def plain(value: object) -> Any:
    """A value as JSON holds it; a secret as itself is shown."""
    if is_dataclass(value) and not isinstance(value, (type, Secret, Channel)):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return str(value)
        case str():
            return value
        case Secret():
            return "***"
        case timedelta():
            return show_duration(value)
        case datetime() | date() | time():
            return value.isoformat()
        case Channel():
            return {"id": value.id, "kind": str(value.kind), "address": value.shown}
        case dict():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case set() | frozenset():
            return sorted(map(plain, value))
    return str(value)
