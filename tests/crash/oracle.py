"""What must be true at the end of a crash test, judged from what was published, what the webhooks logged, and the
tables. It never asks the service what it thinks it did: only its rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from service.domain.model import DeliveryState, EntryState, OutcomeStatus
from service.storage.database import Database
from service.storage.tables import (
    ALERT,
    ATTEMPT,
    DELIVERY,
    ENTRY,
    FEED,
    MATCH,
    ROUTE,
    SUBSCRIPTION,
)
from tests.crash.world import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One run of the service. `ended_by` is the failpoint it died at, `outside`, or empty for a stop in good order."""

    started_at: datetime
    ended_at: datetime
    ended_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A row of the attempt log. `outcome` None: the service never learned what became of the send."""

    message_id: str
    number: int
    started_at: datetime
    outcome: str | None
    http_status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What the tables say after the last stop."""

    entries: Mapping[str, int]
    """How many entries have this address."""
    titles: Mapping[str, str]
    waiting: int
    leases: int
    oldest_lease: datetime | None
    """The end of the lease that was taken first."""
    deliveries: Mapping[str, int]
    """How many deliveries are in each state."""
    attempts: tuple[Attempt, ...]
    matches: int
    routes: Mapping[str, int]
    """How many ledger rows each subscription has."""
    alerts: int
    alerts_without_deliveries: int
    unhealthy_feeds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The figures and every fault. The promise holds when nothing is lost or extra and there is no other fault."""

    events: int
    due: int
    lost: int
    extra: int
    requests: int
    repeats: int
    sends_cut: int
    """Attempts that a kill cut off: their fate is unknown."""
    accepted_of_these: int
    unanswered: int
    alerts: int
    entries: int
    matches: int
    ledger_rows: int
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.faults

    def figures(self) -> dict[str, int]:
        """Every figure by its name."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "faults"}


def read_rows(database: Database) -> Rows:
    """What the oracle needs of the tables, in one view of them."""
    with database.read() as session:

        def count(*conditions: object, of: object) -> int:
            return int(session.execute(select(func.count()).select_from(of).where(*conditions)).scalar_one())  # type: ignore[arg-type]

        entries = session.execute(select(ENTRY.link, ENTRY.title)).all()
        attempts = session.execute(
            select(DELIVERY.message_id, ATTEMPT.number, ATTEMPT.started_at, ATTEMPT.outcome, ATTEMPT.http_status)
            .join(DELIVERY, DELIVERY.id == ATTEMPT.delivery_id)
            .order_by(ATTEMPT.id)
        ).all()
        told = select(DELIVERY.alert_id)
        leases = [
            until
            for column in (FEED.lease_until, ENTRY.lease_until, DELIVERY.lease_until)
            for until in session.execute(select(column).where(column.is_not(None))).scalars()
        ]
        return Rows(
            entries=Counter(link for link, _ in entries),
            titles=dict(entries),
            waiting=count(ENTRY.state == EntryState.NEW, of=ENTRY),
            leases=len(leases),
            oldest_lease=min(leases, default=None),
            deliveries=dict(session.execute(select(DELIVERY.state, func.count()).group_by(DELIVERY.state)).all()),
            attempts=tuple(
                Attempt(message_id=message, number=number, started_at=at, outcome=outcome, http_status=status)
                for message, number, at, outcome, status in attempts
            ),
            matches=count(of=MATCH),
            routes={
                name: count(ROUTE.subscription_id == number, of=ROUTE)
                for number, name in session.execute(select(SUBSCRIPTION.id, SUBSCRIPTION.name))
            },
            alerts=count(of=ALERT),
            alerts_without_deliveries=count(ALERT.id.not_in(told), of=ALERT),
            unhealthy_feeds=tuple(
                f"{url}: {state} {problem or ''}"
                for url, state, problem in session.execute(select(FEED.url, FEED.state, FEED.problem))
                if state != "healthy"
            ),
        )


def judge(
    *,
    expected: Mapping[str, frozenset[str]],
    items: Mapping[str, str],
    requests: Sequence[Request],
    rows: Rows,
    lives: Sequence[Life],
    in_flight: int,
) -> Verdict:
    """Hold what happened against what was due. `items` are the published titles by address; `in_flight` is how many
    messages the service may be sending at once."""
    faults: list[str] = []
    told = _told(requests)
    due = {(event, channel) for event, channels in expected.items() for channel in channels}
    lost = due - {place for place, ids in told.items() if ids}
    extra = _extra(due, told)
    faults += [f"lost: {event} at {channel}" for event, channel in sorted(lost)]
    faults += extra
    repeats = _repeats(requests, rows, faults)
    accepted = {(request.id, request.attempt) for request in requests if request.accepted}
    unknown = [attempt for attempt in rows.attempts if attempt.outcome is None]
    _check_unknown(unknown, lives, in_flight, faults)
    _check_rows(rows, items, len(due), faults)
    return Verdict(
        events=len(expected),
        due=len(due),
        lost=len(lost),
        extra=len(extra),
        requests=len(requests),
        repeats=repeats,
        sends_cut=len(unknown),
        accepted_of_these=len(accepted & {(attempt.message_id, attempt.number) for attempt in unknown}),
        unanswered=sum(1 for attempt in rows.attempts if _unanswered(attempt)),
        alerts=rows.alerts,
        entries=sum(rows.entries.values()),
        matches=rows.matches,
        ledger_rows=sum(rows.routes.values()),
        faults=tuple(faults),
    )


def sends_cut(rows: Rows, life: Life) -> int:
    """How many sends of this run have a fate that the service never learned."""
    return sum(1 for a in rows.attempts if a.outcome is None and life.started_at <= a.started_at <= life.ended_at)


def _told(requests: Sequence[Request]) -> dict[tuple[str, str], set[str]]:
    """For each event and channel, the ids of the alerts that were accepted."""
    told: dict[tuple[str, str], set[str]] = defaultdict(set)
    for request in requests:
        for event in request.events if request.accepted else ():
            told[event, request.channel].add(request.id)
    return told


def _extra(due: set[tuple[str, str]], told: Mapping[tuple[str, str], set[str]]) -> list[str]:
    faults = []
    for (event, channel), ids in sorted(told.items()):
        if (event, channel) not in due:
            faults.append(f"extra: {event} at {channel}, which was not due")
        elif len(ids) > 1:
            faults.append(f"extra: {len(ids)} alerts for {event} at {channel}")
    return faults


def _repeats(requests: Sequence[Request], rows: Rows, faults: list[str]) -> int:
    """How often an id was accepted again; each time the service must not have learned of the acceptance before."""
    accepted: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        if request.accepted:
            accepted[request.id].append(request)
    outcomes = {(attempt.message_id, attempt.number): attempt for attempt in rows.attempts}
    repeats = 0
    for message, times in accepted.items():
        repeats += len(times) - 1
        known = [t for t in times if not _fate_unknown(outcomes.get((message, t.attempt)))]
        if len(known) > 1:
            faults.append(f"repeated without a reason: {message} was accepted and settled {len(known)} times")
        if len({t.attempt for t in times}) != len(times):
            faults.append(f"repeated under one attempt number: {message}")
        if len({t.body for t in times}) != 1:
            faults.append(f"repeated with another content: {message}")
    for request in requests:
        if (request.id, request.attempt) not in outcomes:
            faults.append(f"sent without a row: {request.id}, attempt {request.attempt}")
    return repeats


def _fate_unknown(attempt: Attempt | None) -> bool:
    return attempt is not None and (attempt.outcome is None or _unanswered(attempt))


def _unanswered(attempt: Attempt) -> bool:
    """A send that ran into its time limit: the acceptance, if there was one, never reached the service."""
    return attempt.outcome == OutcomeStatus.RETRY and attempt.http_status is None


def _check_unknown(unknown: Sequence[Attempt], lives: Sequence[Life], in_flight: int, faults: list[str]) -> None:
    """A send without an outcome needs a kill that interrupted it, and a kill interrupts no more than were in flight."""
    of_life: Counter[int] = Counter()
    for attempt in unknown:
        places = [n for n, life in enumerate(lives) if life.started_at <= attempt.started_at <= life.ended_at]
        of_life.update(places[:1])
        if not places or not lives[places[0]].ended_by:
            faults.append(f"no outcome and no kill: attempt {attempt.number} of {attempt.message_id}")
    for number, count in of_life.items():
        if count > in_flight:
            faults.append(f"{count} sends without outcome in run {number}, which may have {in_flight} in flight")


def _check_rows(rows: Rows, items: Mapping[str, str], due: int, faults: list[str]) -> None:
    """The tables at rest: everything published is there once, as it stands now, and nothing is unfinished."""
    missing = [link for link in items if link not in rows.entries]
    doubled = [link for link, count in rows.entries.items() if count > 1]
    stale = [link for link, title in items.items() if rows.titles.get(link, title) != title]
    faults += [f"not stored: {link}" for link in missing]
    faults += [f"stored more than once: {link}" for link in doubled]
    faults += [f"a correction was missed: {link}" for link in stale]
    faults += [f"feed in trouble: {feed}" for feed in rows.unhealthy_feeds]
    if rows.waiting:
        faults.append(f"{rows.waiting} entries were never processed")
    if rows.leases:
        faults.append(f"{rows.leases} leases are still held")
    sent = rows.deliveries.get(DeliveryState.SENT, 0)
    if sent != due or sum(rows.deliveries.values()) != sent:
        faults.append(f"{due} messages are due, but the outbox says {dict(rows.deliveries)}")
    if rows.alerts_without_deliveries:
        faults.append(f"{rows.alerts_without_deliveries} alerts were raised for nobody")
    for subscription, count in rows.routes.items():
        if count != rows.matches:
            faults.append(f"{rows.matches} matches, but {count} ledger rows of subscription {subscription}")
