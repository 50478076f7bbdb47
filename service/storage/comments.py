"""What members of teams say of alerts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from service.domain.model import ChangeKind, Comment
from service.storage import audit
from service.storage.database import Database
from service.storage.tables import COMMENT, TEAM, CommentRow, TeamRow


class Comments:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, team: str, alert_id: int, *, by: str, text: str, now: datetime) -> Comment:
        """Keep what somebody says of an alert that the team sees."""
        with self._database.write() as session:
            team_id = session.execute(select(TEAM.id).where(TEAM.name == team)).scalar_one()
            session.add(CommentRow(team_id=team_id, alert_id=alert_id, by=by, text=text, at=now))
            made = Comment(by=by, text=text, at=now)
            audit.note(session, ChangeKind.CREATED, "comment", alert_id, team_id=team_id, now=now, after=made)
            return made

    def of(self, team: str, alert_id: int, *, limit: int) -> tuple[Comment, ...]:
        """What the team said of an alert, the first of it first."""
        said = (
            select(CommentRow)
            .join(TeamRow, TEAM.id == COMMENT.team_id)
            .where(TEAM.name == team, COMMENT.alert_id == alert_id)
            .order_by(COMMENT.id)
            .limit(limit)
        )
        with self._database.read() as session:
            rows = session.execute(said).scalars()
            return tuple(Comment(by=row.by, text=row.text, at=row.at) for row in rows)
