"""Alerts as a team reads them: those that it wanted, whether they were sent, are being sent, or were held back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import func, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import Session

from service.domain.model import Alert, Origin, RouteReason, Severity, Tier
from service.domain.preview import Past
from service.domain.text import fold
from service.storage import desk
from service.storage.database import Database
from service.storage.entries import load_match
from service.storage.shown import read_alerts, visible
from service.storage.tables import (
    ALERT,
    ALERT_ACT,
    ALERT_RULE,
    ENTRY,
    FEED,
    MATCH,
    ROUTE,
    SUBSCRIPTION,
    TEAM,
    TEAM_ALERT,
    AlertActRow,
    AlertRow,
    EntryRow,
    FeedRow,
    MatchRow,
    RouteRow,
    SubscriptionRow,
    TeamAlertRow,
    TeamRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """What a list of alerts is narrowed to; an empty value means "any". One act must have all that is asked of acts.

    `verdict` is the one that stands, or "none" for alerts that nobody has decided.
    """

    jurisdiction: str | None = None
    topic: str | None = None
    action: str | None = None
    stage: str | None = None
    direction: str | None = None
    rule: str | None = None
    severity: Severity | None = None
    min_severity: Severity | None = None
    since: datetime | None = None
    until: datetime | None = None
    verdict: str | None = None
    text: str | None = None


class Version(NamedTuple):
    """As what an alert is shown: how often it has changed, and to which team, if that one sees more of it than all."""

    number: int
    changes: int
    team_id: int | None


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


REPORTS = 20
"""So many reports of an alert are shown in a list: a story that a thousand sites tell has no end."""

NOBODY = "none"
"""The verdict of an alert that nobody has decided."""


class Alerts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, team: str, wanted: AlertFilter, *, before: int | None = None, limit: int = 50, most: int = REPORTS
    ) -> tuple[Alert, ...]:
        """Newest first, each with `most` of its reports at most; `before` is the id to continue from."""
        with self._database.read() as session:
            numbers = [version.number for version in self._versions(session, team, wanted, before, limit)]
            rows = session.execute(select(AlertRow).where(ALERT.id.in_(numbers))).scalars()
            ordered = sorted(rows, key=lambda row: -cast(int, row.id))
            return read_alerts(session, ordered, most=most, team_id=_id_of(session, team))

    def versions(
        self, team: str, wanted: AlertFilter, *, before: int | None = None, limit: int = 50
    ) -> tuple[Version, ...]:
        """As `page`, but of each alert only as what it is shown."""
        with self._database.read() as session:
            return self._versions(session, team, wanted, before, limit)

    def some(self, numbers: Collection[int], team_id: int | None = None, *, most: int = REPORTS) -> tuple[Alert, ...]:
        """These alerts, whoever sees them, in no certain order; without a team, what all see of them."""
        with self._database.read() as session:
            rows = session.execute(select(AlertRow).where(ALERT.id.in_(numbers))).scalars().all()
            return read_alerts(session, rows, most=most, team_id=team_id)

    def _versions(
        self, session: Session, team: str, wanted: AlertFilter, before: int | None, limit: int
    ) -> tuple[Version, ...]:
        team_id = _id_of(session, team)
        own = select(ALERT_RULE.rule_id).where(ALERT_RULE.alert_id == ALERT.id, ALERT_RULE.team_id == team_id).exists()
        statement = select(ALERT.id, ALERT.version, own).join(TeamAlertRow, TEAM_ALERT.alert_id == ALERT.id)
        statement = statement.where(TEAM_ALERT.team_id == team_id, *_narrowing(wanted, team_id))
        if before is not None:
            statement = statement.where(TEAM_ALERT.alert_id < before)
        rows = session.execute(statement.order_by(TEAM_ALERT.alert_id.desc()).limit(limit))
        return tuple(Version(number, version, team_id if mine else None) for number, version, mine in rows)

    def get(self, team: str, alert_id: int, *, most: int = REPORTS) -> Alert | None:
        with self._database.read() as session:
            seen = select(AlertRow).join(TeamAlertRow, TEAM_ALERT.alert_id == ALERT.id)
            seen = seen.join(TeamRow, TEAM.id == TEAM_ALERT.team_id).where(TEAM.name == team, ALERT.id == alert_id)
            row = session.execute(seen).scalar_one_or_none()
            if row is None:
                return None
            return read_alerts(session, [row], most=most, team_id=_id_of(session, team))[0]

    def past(self, since: datetime, *, limit: int) -> tuple[Past, ...]:
        """The newest alerts since then, whoever sees them, each with what its first matching report matched of the
        rules that all share."""
        newest = select(ALERT.id).where(ALERT.raised_at >= since).order_by(ALERT.id.desc()).limit(limit).subquery()
        first = (
            select(func.min(MATCH.id))
            .join(EntryRow, ENTRY.id == MATCH.entry_id)
            .where(ENTRY.story_id == ALERT.story_id, MATCH.team_id.is_(None))
            .correlate(AlertRow)
            .scalar_subquery()
        )
        led = select(ALERT.id, first.label("match_id")).where(ALERT.id.in_(select(newest.c.id))).subquery()
        leading: Any = aliased(MatchRow)
        rows = (
            select(AlertRow, MatchRow, ENTRY.lang, FEED.tier, FEED.tags)
            .join(led, led.c.id == ALERT.id)
            .join(leading, leading.id == led.c.match_id)
            .join(MatchRow, MATCH.entry_id == leading.entry_id)
            .join(EntryRow, ENTRY.id == leading.entry_id)
            .join(FeedRow, FEED.id == ENTRY.feed_id)
            .where(MATCH.team_id.is_(None))
            .order_by(ALERT.id, MATCH.id)
        )
        found: dict[int, Past] = {}
        with self._database.read() as session:
            for row, match, lang, tier, tags in session.execute(rows):
                known = found.get(row.id)
                matches = (*(known.matches if known else ()), load_match(match))
                origin = Origin(tier=Tier(tier), language=lang or "", tags=tuple(tags))
                found[row.id] = Past(
                    alert_id=row.id,
                    entry_id=match.entry_id,
                    story_id=row.story_id,
                    raised_at=row.raised_at,
                    matches=matches,
                    origin=origin,
                )
        return tuple(found.values())

    def seen(self, team: str, numbers: Collection[int]) -> frozenset[int]:
        """Which of these alerts the team sees."""
        known = select(TEAM_ALERT.alert_id).join(TeamRow, TEAM.id == TEAM_ALERT.team_id)
        with self._database.read() as session:
            found = session.execute(known.where(TEAM.name == team, TEAM_ALERT.alert_id.in_(numbers)))
            return frozenset(found.scalars())

    def ledger(self, team: str, alert_id: int, *, limit: int | None = None) -> tuple[LedgerLine, ...]:
        """Each match of an alert's story and what became of it for each of the team's subscriptions, the first ones."""
        statement = (
            select(RouteRow, MatchRow)
            .join(MatchRow, MATCH.id == ROUTE.match_id)
            .join(TeamRow, TEAM.id == ROUTE.team_id)
            .where(ROUTE.alert_id == alert_id, TEAM.name == team)
            .order_by(ROUTE.id)
            .limit(limit)
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
    # SQLite gives the id of a subscription that is gone to the next one: the ledger outlives both.
    since = row.created_at - _SETTLING
    own = (ROUTE.subscription_id == row.id) & (ROUTE.team_id == row.team_id) & (ROUTE.decided_at >= since)
    due = or_(MATCH.matched_at > row.created_at + _SETTLING, MATCH.id.in_(select(ROUTE.match_id).where(own)))
    concerned = or_(MATCH.team_id.is_(None), MATCH.rule_id.startswith(f"{row.id}:"))
    matches = session.execute(select(func.count()).select_from(MatchRow).where(due, concerned)).scalar_one()
    return _counted(session, own, matches, team=team, subscription=row.name)


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


def _id_of(session: Session, team: str) -> int | None:
    return session.execute(select(TEAM.id).where(TEAM.name == team)).scalar_one_or_none()


def _narrowing(wanted: AlertFilter, team_id: int | None) -> Iterator[Any]:
    act = {name: value for name in desk.ACT if (value := getattr(wanted, name)) is not None}
    if act:
        of = [getattr(AlertActRow, name) == value for name, value in act.items()]
        yield TEAM_ALERT.alert_id.in_(select(ALERT_ACT.alert_id).where(*of))
    if wanted.rule is not None:
        named = (ALERT_RULE.rule_id == wanted.rule) & visible(ALERT_RULE.team_id, team_id)
        yield TEAM_ALERT.alert_id.in_(select(ALERT_RULE.alert_id).where(named))
    if wanted.severity is not None:
        yield ALERT.severity == wanted.severity
    if wanted.min_severity is not None:
        yield ALERT.severity.in_([one for one in Severity if one.rank >= wanted.min_severity.rank])
    if wanted.since is not None:
        yield ALERT.raised_at >= wanted.since
    if wanted.until is not None:
        yield ALERT.raised_at < wanted.until
    if wanted.verdict is not None:
        yield TEAM_ALERT.verdict == (None if wanted.verdict == NOBODY else wanted.verdict)
    if wanted.text is not None:
        yield ALERT.words.contains(fold(wanted.text).text, autoescape=True)
