"""What teams decided about alerts: each decision is kept, the newest stands."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from service.domain.model import ChangeKind, Decided, Verdict
from service.storage import audit
from service.storage.database import Database
from service.storage.tables import DECISION, TEAM, DecisionRow, TeamRow


class Decisions:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, team: str, alert_id: int, *, verdict: Verdict, by: str, reason: str, now: datetime) -> Decided:
        """Record a team's decision about an alert that it sees: what is not escalated yet will not be."""
        with self._database.write() as session:
            row = DecisionRow(
                team_id=session.execute(select(TEAM.id).where(TEAM.name == team)).scalar_one(),
                alert_id=alert_id,
                verdict=verdict,
                by=by,
                reason=reason,
                at=now,
            )
            session.add(row)
            made = _decided(row)
            audit.note(session, ChangeKind.CREATED, "decision", alert_id, team_id=row.team_id, now=now, after=made)
            return made

    def of(self, team: str, alert_id: int) -> tuple[Decided, ...]:
        """The team's decisions about an alert, the newest first."""
        rows = (
            select(DecisionRow)
            .join(TeamRow, TEAM.id == DECISION.team_id)
            .where(TEAM.name == team, DECISION.alert_id == alert_id)
            .order_by(DECISION.id.desc())
        )
        with self._database.read() as session:
            return tuple(_decided(row) for row in session.execute(rows).scalars())


def _decided(row: DecisionRow) -> Decided:
    return Decided(verdict=Verdict(row.verdict), by=row.by, reason=row.reason, at=row.at)
