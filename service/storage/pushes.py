"""What was agreed with the hubs of feeds: asked for, verified, renewed, ended. The secrets of it are sealed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import delete, false, or_, select, update
from sqlmodel import Session

from service.domain import push as decisions
from service.domain.model import Push, PushRefusal, PushState, Secret
from service.domain.push import Capability, Offer, Verdict
from service.storage import notices
from service.storage.database import Database
from service.storage.feeds import feed_of
from service.storage.tables import FEED, PUSH, FeedRow, PushRow
from service.storage.vault import Vault

_TOKEN_BYTES = 32


class Pushes:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    # --- what documents offer, and what the hubs are asked ----------------------------------------------------------

    def take_up(self, feed_id: int, offer: Offer | None, *, now: datetime, random: Callable[[int], bytes]) -> None:
        """Agree to what the newest document of a feed offers, or begin to end what it offers no longer.

        A feed that names another hub or topic is agreed anew, under another token (section 6.1): what the old hub
        still sends is unknown then.
        """
        if self._stands(feed_id, offer):
            return
        with self._database.write() as session:
            row = session.execute(select(PushRow).where(PUSH.feed_id == feed_id)).scalar_one_or_none()
            session.execute(update(FeedRow).where(FEED.id == feed_id).values(pushed_until=None))
            if offer is None:
                if row is not None:
                    row.state, row.next_at, row.attempts, row.fence = PushState.LEAVING, now, 0, row.fence + 1
                return
            if row is not None:
                session.delete(row)
                session.flush()
            capability = Capability(token=_random_text(random), secret=_random_text(random))
            session.add(
                PushRow(
                    feed_id=feed_id,
                    hub=offer.hub,
                    topic=offer.topic,
                    token_hash=_hash(capability.token.reveal()),
                    sealed=self._vault.seal(_plain(capability), context=_context(feed_id)),
                    state=PushState.WANTED,
                    next_at=now,
                )
            )

    def _stands(self, feed_id: int, offer: Offer | None) -> bool:
        with self._database.read() as session:
            row = session.execute(select(PushRow).where(PUSH.feed_id == feed_id)).scalar_one_or_none()
        if row is None or row.state == PushState.LEAVING:
            return offer is None
        return offer is not None and (row.hub, row.topic) == (offer.hub, offer.topic)

    def claim_due(
        self, now: datetime, *, limit: int, lease: timedelta, public_url: str
    ) -> tuple[tuple[Push, Capability], ...]:
        """Lease the pushes whose hub is to be asked now: those that are due, those that were agreed under another
        address of ours than `public_url`, and those of feeds that were removed, which are to be ended."""
        due = (
            select(PushRow, FEED.active)
            .join(FeedRow, FEED.id == PUSH.feed_id)
            .where(
                or_(
                    PUSH.next_at <= now,
                    PUSH.public_url != public_url,
                    (FEED.active == false()) & (PUSH.state != PushState.LEAVING),
                )
            )
            .order_by(PUSH.next_at, PUSH.id)
            .limit(limit)
        )
        with self._database.read() as session:
            if session.execute(due.with_only_columns(PUSH.id)).first() is None:
                return ()  # nearly every time: to look costs no commit
        with self._database.write() as session:
            claimed = []
            for row, active in session.execute(due.with_for_update(skip_locked=True, of=PushRow)).all():
                if not active and row.state != PushState.LEAVING:
                    row.state, row.attempts = PushState.LEAVING, 0
                row.next_at, row.fence, row.public_url = now + lease, row.fence + 1, public_url
                claimed.append((_push(row), self._capability(row)))
            return tuple(claimed)

    def suspend(self) -> None:
        """No hub can reach us any more: feeds are polled at their usual pace."""
        with self._database.write() as session:
            session.execute(update(FeedRow).where(FEED.pushed_until.is_not(None)).values(pushed_until=None))

    def settle(self, before: Push, after: Push | None, *, now: datetime) -> bool:
        """Commit what a request came to; False when the hub's question, or another request, has overtaken it."""
        with self._database.write() as session:
            row = session.execute(
                select(PushRow).where(PUSH.id == before.id, PUSH.fence == before.fence).with_for_update()
            ).scalar_one_or_none()
            if row is not None:
                _store(session, row, after, now)
            return row is not None

    # --- what hubs ask and send -------------------------------------------------------------------------------------

    def by_token(self, token: str) -> tuple[Push, Capability] | None:
        """The push that this callback belongs to; None for a stranger's guess."""
        with self._database.read() as session:
            row = session.execute(select(PushRow).where(PUSH.token_hash == _hash(token))).scalar_one_or_none()
            return (_push(row), self._capability(row)) if row is not None else None

    def decide(self, token: str, decision: Callable[[Push], Verdict | None], *, now: datetime) -> Verdict | None:
        """Commit the verdict on a hub's question before it is answered; None when there is no such push, or none."""
        with self._database.write() as session:
            found = select(PushRow).where(PUSH.token_hash == _hash(token)).with_for_update()
            row = session.execute(found).scalar_one_or_none()
            verdict = decision(_push(row)) if row is not None else None
            if row is not None and verdict is not None:
                _store(session, row, verdict.push, now)
            return verdict

    def note_taken(self, push: Push, *, now: datetime) -> None:
        self._count(push, taken=PUSH.taken + 1, last_taken_at=now)

    def note_refused(self, push: Push, reason: PushRefusal) -> None:
        self._count(push, refused=PUSH.refused + 1, last_refusal=reason)

    def _count(self, push: Push, **values: Any) -> None:
        with self._database.write() as session:
            session.execute(update(PushRow).where(PUSH.id == push.id).values(**values))

    # --- what people see --------------------------------------------------------------------------------------------

    def of(self, feed_ids: Sequence[int]) -> dict[int, Push]:
        """The pushes of these feeds, by the feed's id."""
        with self._database.read() as session:
            found: dict[int, Push] = {}
            for start in range(0, len(feed_ids), 500):  # SQLite bounds the number of parameters
                chunk = select(PushRow).where(PUSH.feed_id.in_(feed_ids[start : start + 500]))
                found |= {row.feed_id: _push(row) for row in session.execute(chunk).scalars()}
            return found

    def _capability(self, row: PushRow) -> Capability:
        kept = json.loads(self._vault.open(row.sealed, context=_context(row.feed_id)).reveal())
        return Capability(token=Secret(kept["token"]), secret=Secret(kept["secret"]))


def _store(session: Session, row: PushRow, after: Push | None, now: datetime) -> None:
    """Write a push as it was decided, what its feed's polling follows from it, and what the owner is told."""
    notice = decisions.notice_of(_push(row), after, now)
    until = after.lease_until if after is not None and after.is_live(now) else None
    session.execute(update(FeedRow).where(FEED.id == row.feed_id).values(pushed_until=until))
    if notice is not None:
        notices.record(session, feed_of(session.get_one(FeedRow, row.feed_id)), [notice], now)
    if after is None:
        session.execute(delete(PushRow).where(PUSH.id == row.id))
        return
    for name in ("state", "next_at", "lease_until", "asked_at", "attempts", "problem"):
        setattr(row, name, getattr(after, name))
    row.fence += 1


def _push(row: PushRow) -> Push:
    return Push(
        id=cast(int, row.id),
        feed_id=row.feed_id,
        hub=row.hub,
        topic=row.topic,
        state=PushState(row.state),
        next_at=row.next_at,
        lease_until=row.lease_until,
        asked_at=row.asked_at,
        attempts=row.attempts,
        problem=row.problem,
        taken=row.taken,
        last_taken_at=row.last_taken_at,
        refused=row.refused,
        last_refusal=PushRefusal(row.last_refusal) if row.last_refusal else None,
        fence=row.fence,
    )


def _random_text(random: Callable[[int], bytes]) -> Secret:
    return Secret(base64.urlsafe_b64encode(random(_TOKEN_BYTES)).decode().rstrip("="))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _plain(capability: Capability) -> Secret:
    return Secret(json.dumps({"token": capability.token.reveal(), "secret": capability.secret.reveal()}))


def _context(feed_id: int) -> str:
    return f"push:{feed_id}"
