"""What a team's alerts and decisions add up to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select

from service.domain.model import Verdict
from service.domain.statistics import Seen, Settled
from service.storage.database import Database
from service.storage.tables import (
    ALERT,
    ALERT_ACT,
    ALERT_RULE,
    DECISION,
    TEAM,
    TEAM_ALERT,
    AlertActRow,
    AlertRow,
    AlertRuleRow,
    TeamAlertRow,
    TeamRow,
)


class Statistics:
    def __init__(self, database: Database) -> None:
        self._database = database

    def seen(self, team: str, since: datetime) -> tuple[Seen, ...]:
        """Each of the team's alerts since then, once for each jurisdiction that it is about."""
        rows = (
            select(ALERT.id, ALERT.raised_at, ALERT_ACT.jurisdiction)
            .join(TeamAlertRow, TEAM_ALERT.alert_id == ALERT.id)
            .join(TeamRow, TEAM.id == TEAM_ALERT.team_id)
            .outerjoin(AlertActRow, ALERT_ACT.alert_id == ALERT.id)
            .where(TEAM.name == team, ALERT.raised_at >= since)
            .distinct()
        )
        with self._database.read() as session:
            return tuple(Seen(alert_id=a, at=at, jurisdiction=code or "") for a, at, code in session.execute(rows))

    def settled(self, team: str, since: datetime) -> tuple[Settled, ...]:
        """Each of the team's alerts since then on which a verdict stands, once for each rule that it matched."""
        first = (
            select(DECISION.at)
            .where(DECISION.alert_id == ALERT.id, DECISION.team_id == TEAM.id)
            .order_by(DECISION.id)
            .limit(1)
            .scalar_subquery()
        )
        rows = (
            select(ALERT.id, ALERT.raised_at, TEAM_ALERT.verdict, ALERT_RULE.rule_id, first)
            .select_from(AlertRow)
            .join(TeamAlertRow, TEAM_ALERT.alert_id == ALERT.id)
            .join(TeamRow, TEAM.id == TEAM_ALERT.team_id)
            .join(AlertRuleRow, ALERT_RULE.alert_id == ALERT.id)
            .where(TEAM.name == team, ALERT.raised_at >= since, TEAM_ALERT.verdict.is_not(None))
            .where(or_(ALERT_RULE.team_id.is_(None), ALERT_RULE.team_id == TEAM.id))
        )
        with self._database.read() as session:
            return tuple(
                Settled(alert_id=alert, rule_id=rule, verdict=Verdict(verdict), raised_at=raised, first_at=decided)
                for alert, raised, verdict, rule, decided in session.execute(rows)
            )
