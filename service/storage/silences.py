"""What teams do not want to hear of for a while, with who said so and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import cast

from sqlalchemy import select
from sqlmodel import Session

from service.domain.model import ChangeKind, Silence, Watch
from service.storage import audit
from service.storage.database import Database
from service.storage.mapping import dump_watch, load_watch
from service.storage.subscriptions import ensure_team
from service.storage.tables import SILENCE, TEAM, SilenceRow, TeamRow


class Silences:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, *, team: str, owner: str, reason: str, watch: Watch, expires_at: datetime, now: datetime) -> Silence:
        """Silence what `watch` selects for a team, from now on."""
        with self._database.write() as session:
            row = SilenceRow(
                team_id=ensure_team(session, team, now),
                owner=owner,
                reason=reason,
                watch=dump_watch(watch),
                made_at=now,
                expires_at=expires_at,
            )
            session.add(row)
            session.flush()
            made = _silence(row, team)
            audit.note(session, ChangeKind.CREATED, "silence", row.id, team_id=row.team_id, now=now, after=made)
            return made

    def end(self, silence_id: int, *, now: datetime) -> bool:
        """Let a silence run out now; False when there is none that stands."""
        with self._database.write() as session:
            row = session.get(SilenceRow, silence_id)
            if row is None or row.expires_at <= now:
                return False
            before = _silence(row, session.get_one(TeamRow, row.team_id).name)
            row.expires_at = now
            audit.note(
                session, ChangeKind.CHANGED, "silence", row.id, team_id=row.team_id, now=now,
                before=before, after=replace(before, expires_at=now),
            )  # fmt: skip
            return True

    def get(self, team: str, silence_id: int) -> Silence | None:
        """A silence of the team, run out or not."""
        with self._database.read() as session:
            row = session.get(SilenceRow, silence_id)
            if row is None or session.get_one(TeamRow, row.team_id).name != team:
                return None
            return _silence(row, team)

    def page(self, team: str, *, now: datetime, after: int = 0, limit: int = 100) -> tuple[Silence, ...]:
        """The team's silences that stand, in the order in which they were made."""
        statement = (
            select(SilenceRow)
            .join(TeamRow, TEAM.id == SILENCE.team_id)
            .where(TEAM.name == team, SILENCE.expires_at > now, SILENCE.id > after)
            .order_by(SILENCE.id)
            .limit(limit)
        )
        with self._database.read() as session:
            return tuple(_silence(row, team) for row in session.execute(statement).scalars())

    def standing(self, now: datetime) -> tuple[Silence, ...]:
        """Every silence that has not run out, the next to run out first."""
        with self._database.read() as session:
            return standing(session, now)


def standing(session: Session, now: datetime) -> tuple[Silence, ...]:
    """As `Silences.standing`, inside a transaction."""
    statement = (
        select(SilenceRow, TEAM.name)
        .join(TeamRow, TEAM.id == SILENCE.team_id)
        .where(SILENCE.expires_at > now)
        .order_by(SILENCE.expires_at, SILENCE.id)
    )
    return tuple(_silence(row, team) for row, team in session.execute(statement))


def _silence(row: SilenceRow, team: str) -> Silence:
    return Silence(
        id=cast(int, row.id),
        team=team,
        owner=row.owner,
        reason=row.reason,
        watch=load_watch(row.watch),
        made_at=row.made_at,
        expires_at=row.expires_at,
    )
