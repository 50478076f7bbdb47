"""The way of one entry through the service, as its rows tell it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import cast

from sqlalchemy import select
from sqlmodel import Session

from service.domain.model import DeliveryState, EntryState, PageFate, PageNote, RouteReason
from service.domain.text import canonical_url
from service.domain.whynot import Decision, Fate, Sent
from service.storage.database import Database
from service.storage.shown import visible
from service.storage.tables import (
    ALERT,
    ALERT_RULE,
    CHANNEL,
    DELIVERY,
    ENTRY,
    MATCH,
    ROUTE,
    TEAM,
    AlertRow,
    ChannelRow,
    DeliveryRow,
    EntryRow,
    MatchRow,
    RouteRow,
    TeamRow,
)


class Fates:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, entry_id: int, *, team: str | None = None) -> Fate | None:
        """What became of an entry so far; None when there is none with this id.

        With a team, as far as it is its business: without what other teams match by themselves, and an alert that
        nothing else has raised, and without what was decided for others. Deliveries are those of all teams.
        """
        with self._database.read() as session:
            row = session.get(EntryRow, entry_id)
            if row is None:
                return None
            fate = _fate(session, row)
            return fate if team is None else _of_team(session, fate, team)

    def at(self, url: str) -> tuple[int, ...]:
        """The entries that lead to this address, in whatever form it is written."""
        key = hashlib.sha256(canonical_url(url).encode()).hexdigest()
        with self._database.read() as session:
            return tuple(session.execute(select(ENTRY.id).where(ENTRY.link_key == key).order_by(ENTRY.id)).scalars())

    def reports(self, alert_id: int) -> tuple[int, ...]:
        """The entries that told of an alert's story, first reports first; none when there is no such alert."""
        told = select(ENTRY.id).join(AlertRow, ALERT.story_id == ENTRY.story_id).where(ALERT.id == alert_id)
        with self._database.read() as session:
            return tuple(session.execute(told.order_by(ENTRY.id)).scalars())


def _fate(session: Session, row: EntryRow) -> Fate:
    entry_id = cast(int, row.id)
    matches = select(MATCH.rule_id).where(MATCH.entry_id == entry_id).order_by(MATCH.rule_id)
    alert_id = session.execute(select(ALERT.id).where(ALERT.story_id == row.story_id)).scalar()
    return Fate(
        entry_id=entry_id,
        received_at=row.received_at,
        state=EntryState(row.state),
        problem=row.problem or "",
        page=PageNote(fate=PageFate(row.page_fate), detail=row.page_detail) if row.page_fate else None,
        judged_at=row.judged_at,
        judged_by=row.judged_by or "",
        story_id=row.story_id,
        alert_id=alert_id,
        fired=tuple(session.execute(matches).scalars()),
        decisions=_decisions(session, entry_id),
        deliveries=_deliveries(session, alert_id),
    )


def _of_team(session: Session, fate: Fate, team: str) -> Fate:
    team_id = session.execute(select(TEAM.id).where(TEAM.name == team)).scalar_one_or_none()
    seen = select(MATCH.rule_id).where(MATCH.entry_id == fate.entry_id, visible(MATCH.team_id, team_id))
    known = set(session.execute(seen).scalars())
    named = select(ALERT_RULE.rule_id).where(ALERT_RULE.alert_id == fate.alert_id)
    raised = session.execute(named.where(visible(ALERT_RULE.team_id, team_id)).limit(1)).first()
    return replace(
        fate,
        alert_id=fate.alert_id if raised is not None else None,
        fired=tuple(rule_id for rule_id in fate.fired if rule_id in known),
        decisions=tuple(one for one in fate.decisions if one.team == team),
    )


def _decisions(session: Session, entry_id: int) -> tuple[Decision, ...]:
    rows = session.execute(
        select(MATCH.rule_id, TEAM.name, ROUTE.subscription, ROUTE.reason)
        .select_from(RouteRow)
        .join(MatchRow, MATCH.id == ROUTE.match_id)
        .outerjoin(TeamRow, TEAM.id == ROUTE.team_id)
        .where(MATCH.entry_id == entry_id)
        .order_by(ROUTE.id)
    )
    return tuple(
        Decision(rule_id=rule_id, team=team or "", subscription=subscription, reason=RouteReason(reason))
        for rule_id, team, subscription, reason in rows
    )


def _deliveries(session: Session, alert_id: int | None) -> tuple[Sent, ...]:
    rows = session.execute(
        select(DeliveryRow, CHANNEL.shown)
        .join(ChannelRow, CHANNEL.id == DELIVERY.channel_id)
        .where(DELIVERY.alert_id == alert_id)
        .order_by(DELIVERY.id)
    )
    return tuple(
        Sent(
            id=cast(int, row.id),
            channel=channel,
            subscription=row.subscription,
            state=DeliveryState(row.state),
            attempts=row.attempts,
            detail=row.detail,
        )
        for row, channel in rows
    )
