"""Alerts as a team reads them: those that it wanted, whether they were sent, are being sent, or were held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlmodel import Session

from service.domain.model import Alert, RouteReason, Severity
from service.storage.database import Database
from service.storage.entries import read_alert
from service.storage.tables import (
    ALERT,
    ALERT_RULE,
    DEVELOPMENT,
    ENTRY,
    MATCH,
    ROUTE,
    SUBSCRIPTION,
    TEAM,
    AlertRow,
    DevelopmentRow,
    MatchRow,
    RouteRow,
    SubscriptionRow,
    TeamRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """What a list of alerts is narrowed to; an empty value means "any"."""

    jurisdiction: str | None = None
    topic: str | None = None
    action: str | None = None
    rule: str | None = None
    severity: Severity | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """What became of one match for one of the team's subscriptions."""

    entry_id: int
    rule_id: str
    subscription: str
    reason: RouteReason
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSum:
    """A subscription's matches and how they ended. `matches` counts those of the time since it was made, and what was
    decided for it besides; they are `delivered` and `suppressed`, or the ledger has a hole."""

    team: str
    subscription: str
    matches: int
    delivered: int
    suppressed: Mapping[RouteReason, int]

    @property
    def missing(self) -> int:
        return self.matches - self.delivered - sum(self.suppressed.values())


class Alerts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, team: str, wanted: AlertFilter, *, before: int | None = None, limit: int = 50) -> tuple[Alert, ...]:
        """Newest first; `before` is the id to continue from."""
        statement = _visible(team)
        if wanted.severity is not None:
            statement = statement.where(ALERT.severity == wanted.severity)
        if wanted.since is not None:
            statement = statement.where(ALERT.raised_at >= wanted.since)
        if wanted.rule is not None:
            ruled = select(ALERT_RULE.alert_id).where(ALERT_RULE.rule_id == wanted.rule)
            statement = statement.where(ALERT.id.in_(ruled))
        narrowing = {"jurisdiction": wanted.jurisdiction, "topic": wanted.topic, "action": wanted.action}
        if any(narrowing.values()):
            stories = select(ENTRY.story_id).join(DevelopmentRow, DEVELOPMENT.entry_id == ENTRY.id)
            for name, value in narrowing.items():
                if value is not None:
                    stories = stories.where(getattr(DevelopmentRow, name) == value)
            statement = statement.where(ALERT.story_id.in_(stories))
        if before is not None:
            statement = statement.where(ALERT.id < before)
        with self._database.read() as session:
            rows = session.execute(statement.order_by(ALERT.id.desc()).limit(limit)).scalars().all()
            return tuple(read_alert(session, row) for row in rows)

    def get(self, team: str, alert_id: int) -> Alert | None:
        with self._database.read() as session:
            row = session.execute(_visible(team).where(ALERT.id == alert_id)).scalar_one_or_none()
            return read_alert(session, row) if row is not None else None

    def ledger(self, team: str, alert_id: int) -> tuple[LedgerLine, ...]:
        """Every match of an alert's story and what became of it for each of the team's subscriptions."""
        statement = (
            select(RouteRow, MatchRow)
            .join(MatchRow, MATCH.id == ROUTE.match_id)
            .join(TeamRow, TEAM.id == ROUTE.team_id)
            .where(ROUTE.alert_id == alert_id, TEAM.name == team)
            .order_by(ROUTE.id)
        )
        with self._database.read() as session:
            return tuple(
                LedgerLine(
                    entry_id=match.entry_id,
                    rule_id=match.rule_id,
                    subscription=route.subscription,
                    reason=RouteReason(route.reason),
                    decided_at=route.decided_at,
                )
                for route, match in session.execute(statement)
            )

    def check_ledger(self) -> tuple[LedgerSum, ...]:
        """Every subscription's matches against its ledger, by team and name; last, under no name, the matches that
        nobody subscribed to and those of subscriptions that are gone."""
        with self._database.read() as session:
            known = session.execute(
                select(SubscriptionRow, TEAM.name).join(TeamRow, TEAM.id == SUBSCRIPTION.team_id)
            ).all()
            sums = [_sum_of(session, row, team) for row, team in sorted(known, key=lambda k: (k[1], k[0].name))]
            return (*sums, _sum_of_nobody(session, [row.id for row, _ in known]))

    def sum_of(self, team: str, subscription_id: int) -> LedgerSum | None:
        """One subscription's matches against its ledger; None when the team has none of this id."""
        with self._database.read() as session:
            row = session.get(SubscriptionRow, subscription_id)
            if row is None or session.get_one(TeamRow, row.team_id).name != team:
                return None
            return _sum_of(session, row, team)

    def watching_since(self) -> datetime | None:
        """When the first entry came in; None if none has."""
        with self._database.read() as session:
            return session.execute(select(func.min(ENTRY.received_at))).scalar()

    def fired(self, since: Mapping[str, datetime]) -> Mapping[str, int]:
        """How often each rule has matched since its own time; rules that have not are left out."""
        counts: dict[str, int] = {}
        with self._database.read() as session:
            for rule_id, when in since.items():
                matched = select(func.count()).where(MATCH.rule_id == rule_id, MATCH.matched_at >= when)
                counts[rule_id] = session.execute(matched).scalar_one()
        return {rule_id: count for rule_id, count in counts.items() if count}


_SETTLING = timedelta(minutes=1)
"""A subscription made while a match was being decided may be younger than the match says."""


def _sum_of(session: Session, row: SubscriptionRow, team: str) -> LedgerSum:
    decided = select(ROUTE.match_id).where(ROUTE.subscription_id == row.id)
    due = or_(MATCH.matched_at > row.created_at + _SETTLING, MATCH.id.in_(decided))
    matches = session.execute(select(func.count()).select_from(MatchRow).where(due)).scalar_one()
    return _counted(session, ROUTE.subscription_id == row.id, matches, team=team, subscription=row.name)


def _sum_of_nobody(session: Session, known: Sequence[int | None]) -> LedgerSum:
    elsewhere = select(ROUTE.match_id).where(ROUTE.subscription_id.in_(known))
    lone = ROUTE.match_id.not_in(elsewhere)
    decided = session.execute(select(func.count()).select_from(RouteRow).where(lone)).scalar_one()
    never = select(func.count()).select_from(MatchRow).where(MATCH.id.not_in(select(ROUTE.match_id)))
    return _counted(session, lone, decided + session.execute(never).scalar_one(), team="", subscription="")


def _counted(session: Session, of: Any, matches: int, *, team: str, subscription: str) -> LedgerSum:
    rows = session.execute(select(ROUTE.reason, func.count()).where(of).group_by(ROUTE.reason))
    ended = {RouteReason(reason): count for reason, count in rows}
    delivered = sum(ended.pop(reason) for reason in list(ended) if reason.is_told)
    return LedgerSum(team=team, subscription=subscription, matches=matches, delivered=delivered, suppressed=ended)


def _visible(team: str) -> Select[Any]:
    """A team sees an alert when one of its subscriptions was considered for it and wanted it."""
    wanted: Sequence[RouteReason] = (
        RouteReason.DELIVERED,
        RouteReason.QUIET_HOURS,
        RouteReason.IN_DIGEST,
        RouteReason.FOR_DIGEST,
        RouteReason.OVER_BUDGET,
        RouteReason.ALREADY_TOLD,
        RouteReason.NO_CHANNEL,
        RouteReason.UNCONFIRMED,
        RouteReason.THROTTLED,
        RouteReason.SILENCED,
        RouteReason.RUMOUR_MUTED,
    )
    routed = (
        select(ROUTE.alert_id)
        .join(TeamRow, TEAM.id == ROUTE.team_id)
        .where(TEAM.name == team, ROUTE.reason.in_(wanted))
    )
    return select(AlertRow).where(ALERT.id.in_(routed))
