"""What teams decided about alerts: each decision is kept, the newest stands, and a link decides once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlmodel import Session

from service.domain.model import ChangeKind, Decided, Verdict
from service.storage import audit, desk
from service.storage.database import Database
from service.storage.tables import DECISION, TEAM, DecisionRow, DeliveryRow, TeamRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecision:
    """A decision as a person makes it."""

    verdict: Verdict
    by: str
    reason: str = ""
    until: date | None = None
    assignee: str = ""


class Decisions:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, team: str, alert_id: int, new: NewDecision, *, now: datetime) -> Decided:
        """Record a team's decision about an alert that it sees: what is not escalated yet will not be."""
        return self.add_all(team, [alert_id], new, now=now)[0]

    def add_all(self, team: str, alerts: Iterable[int], new: NewDecision, *, now: datetime) -> tuple[Decided, ...]:
        """The same decision about each of these alerts, which the team sees: about all of them or about none."""
        with self._database.write() as session:
            team_id = session.execute(select(TEAM.id).where(TEAM.name == team)).scalar_one()
            made = []
            for alert_id in alerts:
                row = _row(team_id, alert_id, new, now)
                session.add(row)
                made.append(_decided(row))
                _note(session, row, made[-1])
            return tuple(made)

    def add_by_link(self, delivery_id: int, alert_id: int, new: NewDecision, *, now: datetime) -> Decided | None:
        """Record the decision of the delivery's team, made with its link; None when that link has decided already.

        KeyError when the delivery is gone. Of two at the same moment one waits for the other and gets None.
        """
        with self._database.write() as session:
            delivery = session.get(DeliveryRow, delivery_id, with_for_update=True)
            if delivery is None:
                raise KeyError(delivery_id)
            if _by_link(session, delivery_id, alert_id) is not None:
                return None
            row = _row(delivery.team_id, alert_id, new, now)
            row.delivery_id = delivery_id
            session.add(row)
            session.flush()  # the unique index has the last word
            made = _decided(row)
            _note(session, row, made)
            return made

    def by_link(self, delivery_id: int, alert_id: int) -> Decided | None:
        """What was decided with this link, if it was used."""
        with self._database.read() as session:
            row = _by_link(session, delivery_id, alert_id)
            return _decided(row) if row is not None else None

    def of(self, team: str, alert_id: int) -> tuple[Decided, ...]:
        """The team's decisions about an alert, the newest first."""
        with self._database.read() as session:
            return decided_by(session, team, alert_id)


def _note(session: Session, row: DecisionRow, made: Decided) -> None:
    desk.decided(session, row.team_id, row.alert_id, row.verdict)
    audit.note(session, ChangeKind.CREATED, "decision", row.alert_id, team_id=row.team_id, now=row.at, after=made)


def decided_by(session: Session, team: str, alert_id: int) -> tuple[Decided, ...]:
    """As `Decisions.of`, inside a transaction."""
    rows = (
        select(DecisionRow)
        .join(TeamRow, TEAM.id == DECISION.team_id)
        .where(TEAM.name == team, DECISION.alert_id == alert_id)
        .order_by(DECISION.id.desc())
    )
    return tuple(_decided(row) for row in session.execute(rows).scalars())


def _by_link(session: Session, delivery_id: int, alert_id: int) -> DecisionRow | None:
    mine = select(DecisionRow).where(DECISION.delivery_id == delivery_id, DECISION.alert_id == alert_id)
    return session.execute(mine).scalar_one_or_none()


def _row(team_id: int, alert_id: int, new: NewDecision, now: datetime) -> DecisionRow:
    return DecisionRow(
        team_id=team_id,
        alert_id=alert_id,
        verdict=new.verdict,
        by=new.by,
        reason=new.reason,
        until=new.until,
        assignee=new.assignee,
        at=now,
    )


def _decided(row: DecisionRow) -> Decided:
    return Decided(
        verdict=Verdict(row.verdict),
        by=row.by,
        reason=row.reason,
        at=row.at,
        until=row.until,
        assignee=row.assignee,
        delivery_id=row.delivery_id,
    )
