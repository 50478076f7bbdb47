"""What is new for a team, from a place in the ledger on: an alert that it wants, or a change of one.

Nothing is missed between two looks. Routes and updates are numbered and committed inside `Database.placing` and nowhere
else: there one transaction at a time writes, so whoever sees a number has seen all below it. (Numbers alone would not
do: on PostgreSQL a transaction that began earlier may commit later.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import func, select
from sqlmodel import Session

from service.domain.model import Alert, RouteReason
from service.storage.database import Database
from service.storage.shown import read_alert
from service.storage.tables import ALERT_UPDATE, ROUTE, TEAM, AlertRow, AlertUpdateRow, RouteRow, TeamRow

BATCH = 100

_UNSEEN = (
    RouteReason.NOT_WATCHED,
    RouteReason.BELOW_SEVERITY,
    RouteReason.INACTIVE,
    RouteReason.NO_SUBSCRIPTION,
    RouteReason.ALREADY_TOLD,  # a further report of what is known
)
"""What ended so is no news to the team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a team's stream was read: the last route and the last update."""

    route: int
    update: int

    def __str__(self) -> str:
        return f"{self.route}-{self.update}"

    @classmethod
    def read(cls, text: str) -> Position | None:
        """The position that was written so; None when it is none."""
        found = re.fullmatch(r"(\d{1,10})-(\d{1,10})", text, re.ASCII)
        return cls(route=int(found[1]), update=int(found[2])) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """An alert as it stands now, and where in the stream it stands. `raised`: the team wants it as of now; otherwise
    something about it changed."""

    alert: Alert
    raised: bool
    at: Position


class Streams:
    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self) -> Position:
        """The newest of all teams."""
        with self._database.read() as session:
            route = session.execute(select(func.max(ROUTE.id))).scalar() or 0
            update = session.execute(select(func.max(ALERT_UPDATE.id))).scalar() or 0
            return Position(route=route, update=update)

    def after(self, team: str, since: Position, until: Position) -> tuple[tuple[News, ...], Position]:
        """What is new for the team after `since`, as far as `until` and a batch at most, and where to go on from there.

        An alert that several routes or updates of a batch are about comes once, at the last of them.
        """
        with self._database.read() as session:
            team_id = session.execute(select(TEAM.id).where(TEAM.name == team)).scalar_one_or_none()
            routes = list(_routes(session, team, since, until))
            updates = list(_updates(session, team, since, until))
            last = replace(
                until,
                route=routes[-1][0] if len(routes) == BATCH else until.route,
                update=updates[-1][0] if len(updates) == BATCH else until.update,
            )
            found = []
            for alert_id, route in {alert_id: number for number, alert_id in routes}.items():
                at = Position(route=route, update=since.update)
                found.append(News(alert=_alert(session, alert_id, team_id), raised=True, at=at))
            for alert_id, update in {alert_id: number for number, alert_id in updates}.items():
                at = Position(route=last.route, update=update)
                found.append(News(alert=_alert(session, alert_id, team_id), raised=False, at=at))
            return tuple(sorted(found, key=lambda news: (news.at.route, news.at.update))), last


def _routes(session: Session, team: str, since: Position, until: Position) -> Iterator[tuple[int, int]]:
    rows = (
        select(ROUTE.id, ROUTE.alert_id)
        .select_from(RouteRow)
        .join(TeamRow, TEAM.id == ROUTE.team_id)
        .where(TEAM.name == team, ROUTE.id > since.route, ROUTE.id <= until.route, ROUTE.reason.not_in(_UNSEEN))
        .order_by(ROUTE.id)
        .limit(BATCH)
    )
    return ((number, alert_id) for number, alert_id in session.execute(rows))


def _updates(session: Session, team: str, since: Position, until: Position) -> Iterator[tuple[int, int]]:
    wanted = (
        select(ROUTE.alert_id)
        .join(TeamRow, TEAM.id == ROUTE.team_id)
        .where(TEAM.name == team, ROUTE.alert_id == ALERT_UPDATE.alert_id, ROUTE.reason.not_in(_UNSEEN))
    )
    rows = (
        select(ALERT_UPDATE.id, ALERT_UPDATE.alert_id)
        .select_from(AlertUpdateRow)
        .where(ALERT_UPDATE.id > since.update, ALERT_UPDATE.id <= until.update, wanted.exists())
        .order_by(ALERT_UPDATE.id)
        .limit(BATCH)
    )
    return ((number, alert_id) for number, alert_id in session.execute(rows))


def _alert(session: Session, alert_id: int, team_id: int | None) -> Alert:
    return read_alert(session, session.get_one(AlertRow, alert_id), team_id=team_id)
