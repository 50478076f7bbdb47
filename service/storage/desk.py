"""What stands on each team's desk: the alerts that it sees, what they are about, and the verdict that stands.

Kept beside the ledger, from which it follows: a list of a hundred thousand alerts is read without it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import select, update
from sqlmodel import Session

from service.domain.model import Development, RouteReason
from service.storage.tables import ALERT, ALERT_ACT, TEAM_ALERT, AlertActRow, AlertRow, TeamAlertRow

SEEN = frozenset({
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
})  # fmt: skip
"""A team sees an alert when one of its subscriptions was considered for it and wanted it."""

ACT = ("jurisdiction", "topic", "action", "stage", "direction")


def show(session: Session, alert_id: int, teams: Collection[int]) -> None:
    """Put an alert on the desks of these teams, where it may lie already."""
    there = set(session.execute(select(TEAM_ALERT.team_id).where(TEAM_ALERT.alert_id == alert_id)).scalars())
    session.add_all(TeamAlertRow(team_id=team, alert_id=alert_id) for team in teams if team not in there)
    session.flush()


def touch(session: Session, story_id: int) -> None:
    """Note that the story's alert, if it has one, is not what it was."""
    session.execute(update(AlertRow).where(ALERT.story_id == story_id).values(version=ALERT.version + 1))


def list_acts(session: Session, alert_id: int, developments: Iterable[Development], *, fresh: bool) -> None:
    """Note what an entry adds to what its alert is about; with `fresh` it is the first."""
    wanted = {tuple(str(getattr(one, name)) for name in ACT) for one in developments}
    columns = [getattr(AlertActRow, name) for name in ACT]
    known = () if fresh else session.execute(select(*columns).where(ALERT_ACT.alert_id == alert_id))
    there = {tuple(row) for row in known}
    for act in sorted(wanted - there):
        session.add(AlertActRow(alert_id=alert_id, **dict(zip(ACT, act, strict=True))))


def decided(session: Session, team_id: int, alert_id: int, verdict: str) -> None:
    """Note the verdict that now stands."""
    mine = (TEAM_ALERT.team_id == team_id) & (TEAM_ALERT.alert_id == alert_id)
    session.execute(update(TeamAlertRow).where(mine).values(verdict=verdict))
