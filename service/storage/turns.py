"""Whose turn a host is: the fairness device where several processes poll one database.

One process at a time holds a host, with a few of its due feeds; it gives the host back with the last of them, and a
host whose holder died is free when the lease has run out. A host with a thousand feeds thus starves nobody, and is
asked by nobody twice at a time. `ready_at` tells when a look at a host is worth it: too early costs that look.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import bindparam, event, exists, func, literal, or_, select, text, true, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapper
from sqlmodel import Session

from service.storage.tables import FEED, HOST, FeedRow, HostRow, UtcDateTime

MOST_OF_A_HOST = 20
"""Feeds of one host in one claim: they are fetched one after the other, within the lease."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)

MENDED_AT_ONCE = 1000


def host_of(url: str) -> str:
    """The host and port whose turn a request to `url` takes: `a.example:443`; empty for what is no web address."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return ""
    return f"{parts.hostname}:{port}" if parts.hostname and port else ""


# --- what the claim needs -------------------------------------------------------------------------------------------


def take(session: Session, now: datetime, *, limit: int, lease: timedelta) -> Sequence[int]:
    """Hold hosts that are due and free for `lease`; gives up to `limit` due feeds of theirs, by id.

    The host that has waited longest comes first, and each gives one feed before any gives a second. PostgreSQL only.
    """
    ready = (
        select(HOST.host).where(HOST.ready_at <= now).order_by(HOST.ready_at, HOST.host).limit(limit)
    ).with_for_update(skip_locked=True)
    hosts = session.execute(ready).scalars().all()
    if not hosts:
        return ()
    chosen = select(HOST.host).where(HOST.host.in_(hosts)).subquery()
    due = (
        select(FEED.id, FEED.host, FEED.next_due_at)
        .where(FEED.host == chosen.c.host, FEED.active, FEED.next_due_at <= now)
        .where(or_(FEED.lease_until.is_(None), FEED.lease_until <= now))
        .order_by(FEED.next_due_at, FEED.id)
        .limit(min(limit, MOST_OF_A_HOST))
        .with_for_update(skip_locked=True)
        .lateral()
    )
    place = func.row_number().over(partition_by=due.c.host, order_by=(due.c.next_due_at, due.c.id))
    fair = select(due.c.id, due.c.host).select_from(chosen.join(due, true())).order_by(place, due.c.next_due_at)
    taken = session.execute(fair.limit(limit)).all()
    held = {host for _, host in taken}
    _hold(session, held, now + lease)
    _look_later(session, [host for host in hosts if host not in held], now)
    return [feed_id for feed_id, _ in taken]


def _hold(session: Session, hosts: Collection[str], until: datetime) -> None:
    if hosts:
        session.execute(update(HostRow).where(HOST.host.in_(hosts)).values(free_at=until, ready_at=until))


def give_back(session: Session, hosts: Collection[str], now: datetime, *, gap: timedelta) -> None:
    """Free the hosts of which no feed is held any more; `gap` later somebody may have the next turn.

    Call it in the transaction that ends the feeds' leases, after them. PostgreSQL only.
    """
    names = sorted(hosts)
    locked = select(HOST.host).where(HOST.host.in_(names)).order_by(HOST.host).with_for_update()
    session.execute(locked)  # in one order, and before the look: a feed added meanwhile waits, and sees what we wrote
    held = exists().where(FEED.host == HOST.host, FEED.lease_until.is_not(None), FEED.lease_until > now)
    free = update(HostRow).where(HOST.host.in_(names), ~held)
    session.execute(free.values(free_at=now + gap, ready_at=func.greatest(_at(now + gap), _next_due())))


def _look_later(session: Session, hosts: Sequence[str], now: datetime) -> None:
    """The hint was too early: nothing of these hosts is due, or who had their last turn has not given it back."""
    if hosts:
        held = select(func.max(FEED.lease_until)).where(FEED.host == HOST.host, FEED.lease_until > now)
        later = func.greatest(func.coalesce(held.scalar_subquery(), _at(LONG_AGO)), _next_due())
        session.execute(update(HostRow).where(HOST.host.in_(hosts)).values(ready_at=later))


def _next_due() -> Any:
    soonest = select(func.min(FEED.next_due_at)).where(FEED.host == HOST.host, FEED.active)
    return func.coalesce(soonest.scalar_subquery(), _at(NEVER))


def _at(moment: datetime) -> Any:
    return literal(moment, UtcDateTime)


# --- what keeps the hosts true --------------------------------------------------------------------------------------

_DUE = text(
    "INSERT INTO host (host, free_at, ready_at) VALUES (:host, :long_ago, :due) "
    "ON CONFLICT (host) DO UPDATE SET ready_at = CASE "
    "WHEN excluded.ready_at >= host.ready_at THEN host.ready_at "
    "WHEN excluded.ready_at < host.free_at THEN host.free_at ELSE excluded.ready_at END"
).bindparams(bindparam("due", type_=UtcDateTime), bindparam("long_ago", LONG_AGO, type_=UtcDateTime))


def mend(session: Session, now: datetime) -> int:
    """Put right hosts that would be looked at too late, or are not known: what came into the table by another way than
    ours. Gives how many feeds were waiting for that."""
    waiting = (
        select(FEED.host, func.min(FEED.next_due_at))
        .outerjoin(HostRow, HOST.host == FEED.host)
        .where(FEED.active, FEED.next_due_at <= now)
        .where(or_(HOST.host.is_(None), (HOST.ready_at > now) & (HOST.free_at <= now)))
        .where(or_(FEED.lease_until.is_(None), FEED.lease_until <= now))
        .group_by(FEED.host)
        .order_by(FEED.host)
        .limit(MENDED_AT_ONCE)
    )
    rows = session.execute(waiting).all()
    if rows:
        session.connection().execute(_DUE, [{"host": host, "due": due} for host, due in rows])
    return len(rows)


def _placed(_: Mapper[FeedRow], __: Connection, feed: FeedRow) -> None:
    feed.host = host_of(feed.url)


def _due(_: Mapper[FeedRow], connection: Connection, feed: FeedRow) -> None:
    if feed.active:
        connection.execute(_DUE, {"host": feed.host, "due": feed.next_due_at})


# Whoever writes a feed's row keeps its host true: by this and not by remembering it in each place.
event.listen(FeedRow, "before_insert", _placed)
event.listen(FeedRow, "before_update", _placed)
event.listen(FeedRow, "after_insert", _due)
event.listen(FeedRow, "after_update", _due)
