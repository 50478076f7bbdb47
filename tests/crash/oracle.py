"""What must be true at the end of a crash test, judged from what was published, what the destinations logged, and
the tables. It never asks the service what it thinks it did: only its rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, union_all

from service.domain.model import DeliveryState, EntryState, OutcomeStatus
from service.storage.database import Database
from service.storage.tables import (
    ALERT,
    ATTEMPT,
    DELIVERY,
    DIGEST_ITEM,
    ENTRY,
    ESCALATION,
    FEED,
    MATCH,
    PAGE_LOOK,
    ROUTE,
    SUBSCRIPTION,
)
from tests.crash.world import Kind, Place, Request


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
    next_due: datetime | None
    """When the next message, digest or escalation is due; None when there is none to come."""
    last_due: datetime | None
    undigested: int
    unescalated: int
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
    updates: int
    """Of what was due: that a told report was corrected."""
    escalations: int
    digests: int
    mails: int
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
            for column in (FEED.lease_until, ENTRY.lease_until, DELIVERY.lease_until, PAGE_LOOK.lease_until)
            for until in session.execute(select(column).where(column.is_not(None))).scalars()
        ]
        due = union_all(
            select(DELIVERY.due_at.label("at")).where(DELIVERY.state == DeliveryState.PENDING),
            select(DIGEST_ITEM.due_at).where(DIGEST_ITEM.delivery_id.is_(None)),
            select(ESCALATION.due_at).where(ESCALATION.done_at.is_(None)),
        ).subquery()
        return Rows(
            next_due=session.execute(select(func.min(due.c.at))).scalar(),
            last_due=session.execute(select(func.max(due.c.at))).scalar(),
            undigested=count(DIGEST_ITEM.delivery_id.is_(None), of=DIGEST_ITEM),
            unescalated=count(ESCALATION.done_at.is_(None), of=ESCALATION),
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
    expected: Collection[Place],
    mended: Collection[str],
    items: Mapping[str, str],
    requests: Sequence[Request],
    rows: Rows,
    lives: Sequence[Life],
    in_flight: int,
) -> Verdict:
    """Hold what happened against what was due. `mended` are the events whose report was corrected after it was told,
    `items` the published titles by address; `in_flight` is how many messages the service may be sending at once."""
    faults: list[str] = []
    due = set(expected)
    told = _told(requests)
    lost = sorted(due - told.keys())
    unread = _unread(mended, requests)
    extra = [*_extra(due, told), *_extra_in_digests(mended, requests)]
    faults += [f"lost: {place.kind} of {place.event} at {place.channel}" for place in lost]
    faults += [*unread, *extra]
    repeats, of_unknown = _repeats(requests, rows, faults)
    unknown = [attempt for attempt in rows.attempts if attempt.outcome is None]
    _check_unknown(unknown, lives, in_flight, faults)
    digests = {request.id for request in requests if request.kind is Kind.DIGEST}
    _check_rows(rows, items, _alone(due, requests) + len(digests), faults)
    kinds = Counter(place.kind for place in due)
    return Verdict(
        events=len({place.event for place in due}),
        due=len(due),
        lost=len(lost) + len(unread),
        extra=len(extra),
        requests=len(requests),
        repeats=repeats,
        sends_cut=len(unknown),
        accepted_of_these=of_unknown,
        unanswered=sum(1 for attempt in rows.attempts if _unanswered(attempt)),
        updates=kinds[Kind.UPDATE],
        escalations=kinds[Kind.ESCALATION],
        digests=len(digests),
        mails=len({request.id for request in requests if request.attempt is None}),
        alerts=rows.alerts,
        entries=sum(rows.entries.values()),
        matches=rows.matches,
        ledger_rows=sum(rows.routes.values()),
        faults=tuple(faults),
    )


def sends_cut(rows: Rows, life: Life) -> int:
    """How many sends of this run have a fate that the service never learned."""
    return sum(1 for a in rows.attempts if a.outcome is None and life.started_at <= a.started_at <= life.ended_at)


def _told(requests: Sequence[Request]) -> dict[Place, set[str]]:
    """The ids of the accepted messages that told each thing."""
    told: dict[Place, set[str]] = defaultdict(set)
    for request in requests:
        for place in request.places if request.accepted else ():
            told[place].add(request.id)
    return told


def _extra(due: Collection[Place], told: Mapping[Place, set[str]]) -> list[str]:
    faults = []
    for place, ids in sorted(told.items()):
        if place not in due:
            faults.append(f"extra: {place.kind} of {place.event} at {place.channel}, which was not due")
        elif len(ids) > 1:
            faults.append(f"extra: {len(ids)} messages with the {place.kind} of {place.event} at {place.channel}")
    return faults


def _digests(requests: Sequence[Request]) -> Mapping[str, Sequence[Request]]:
    """The accepted digests of each channel, each once."""
    found: dict[str, dict[str, Request]] = defaultdict(dict)
    for request in requests:
        if request.accepted and request.kind is Kind.DIGEST:
            found[request.channel][request.id] = request
    return {channel: list(by_id.values()) for channel, by_id in found.items()}


def _unread(mended: Collection[str], requests: Sequence[Request]) -> list[str]:
    """Updates that the readers of digests never saw: no digest that came after one has its event."""
    made = {event: r.until for r in requests if r.accepted and r.kind is Kind.UPDATE for event in r.events}
    faults = []
    for channel, digests in _digests(requests).items():
        latest: dict[str, datetime] = {}
        for digest in digests:
            for event in (*digest.events, *digest.updated):
                assert digest.until is not None
                latest[event] = max(digest.until, latest.get(event, digest.until))
        for event in sorted(set(mended) & latest.keys()):
            at = made.get(event)
            if at is not None and latest[event] < at:
                faults.append(f"lost: update of {event} in the digests of {channel}")
    return faults


def _extra_in_digests(mended: Collection[str], requests: Sequence[Request]) -> list[str]:
    """Events that a channel read of again without an update, or twice for one."""
    faults = []
    for channel, digests in _digests(requests).items():
        again = Counter(event for digest in digests for event in digest.updated)
        for event, count in sorted(again.items()):
            if event not in mended or count > 1:
                faults.append(f"extra: {count} digests of {channel} with an update of {event}")
    return faults


def _alone(due: Collection[Place], requests: Sequence[Request]) -> int:
    """How much of what is due comes in a message of its own."""
    in_digests = {request.channel for request in requests if request.kind is Kind.DIGEST}
    return sum(1 for place in due if place.channel not in in_digests)


def _repeats(requests: Sequence[Request], rows: Rows, faults: list[str]) -> tuple[int, int]:
    """How often an id was accepted again; each time the service must not have learned of the acceptance before.

    Gives also how many acceptances belong to attempts without an outcome.
    """
    times: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        times[request.id].append(request)
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in rows.attempts:
        attempts[attempt.message_id].append(attempt)
    repeats = of_unknown = 0
    for message, heard in times.items():
        known = attempts.get(message, [])
        taken = [request for request in heard if request.accepted]
        repeats += max(len(taken) - 1, 0)
        if len({request.body for request in taken}) > 1:
            faults.append(f"repeated with another content: {message} at {heard[0].channel}")
        if heard[0].attempt is None:
            of_unknown += _check_unnumbered(message, heard, known, faults)
        else:
            of_unknown += _check_numbered(message, heard, known, faults)
    return repeats, of_unknown


def _check_numbered(message: str, heard: Sequence[Request], known: Sequence[Attempt], faults: list[str]) -> int:
    """Every request names its attempt: of those that were accepted, one at most may have been learned of."""
    rows = {attempt.number: attempt for attempt in known}
    taken = [rows.get(request.attempt or 0) for request in heard if request.accepted]
    settled = [row for row in taken if not _fate_unknown(row)]
    if len(settled) > 1:
        faults.append(f"repeated without a reason: {message} was accepted and settled {len(settled)} times")
    if len({request.attempt for request in heard if request.accepted}) != len(taken):
        faults.append(f"repeated under one attempt number: {message}")
    for request in heard:
        if request.attempt not in rows:
            faults.append(f"sent without a row: {message}, attempt {request.attempt}")
    return sum(1 for row in taken if row is not None and row.outcome is None)


def _check_unnumbered(message: str, heard: Sequence[Request], known: Sequence[Attempt], faults: list[str]) -> int:
    """Mail does not say which attempt it is, so it is counted: acceptances against settled sends and unknown fates."""
    sent = sum(1 for attempt in known if attempt.outcome == OutcomeStatus.SENT)
    unknown = sum(1 for attempt in known if _fate_unknown(attempt))
    taken = sum(1 for request in heard if request.accepted)
    if sent > 1 or taken > sent + unknown:
        faults.append(f"repeated without a reason: {message} was accepted {taken} times, {unknown} of unknown fate")
    if any(not request.says_again for request in [one for one in heard if one.accepted][1:]):
        faults.append(f"repeated without saying so: {message}")
    if len(heard) > len(known):
        faults.append(f"sent without a row: {message}, {len(heard)} mails and {len(known)} attempts")
    cut = sum(1 for attempt in known if attempt.outcome is None)
    return min(max(taken - sent, 0), cut)


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
    if rows.undigested:
        faults.append(f"{rows.undigested} alerts still wait for a digest")
    if rows.unescalated:
        faults.append(f"{rows.unescalated} escalations were never decided")
    sent = rows.deliveries.get(DeliveryState.SENT, 0)
    if sent != due or sum(rows.deliveries.values()) != sent:
        faults.append(f"{due} messages are due, but the outbox says {dict(rows.deliveries)}")
    if rows.alerts_without_deliveries:
        faults.append(f"{rows.alerts_without_deliveries} alerts were raised for nobody")
    for subscription, count in rows.routes.items():
        if count != rows.matches:
            faults.append(f"{rows.matches} matches, but {count} ledger rows of subscription {subscription}")
