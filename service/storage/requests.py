"""Requests that their senders may repeat (Idempotency-Key): each is carried out once, and its answer kept for a day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from service.domain.model import Secret
from service.storage.database import Database
from service.storage.tables import REQUEST, RequestRow
from service.storage.vault import Vault

KEPT = timedelta(hours=24)
LONGEST = timedelta(minutes=5)
"""No request takes this long: one that has not been answered by then was cut off."""


class Known(StrEnum):
    """What is known of a request that comes in."""

    NEW = "new"
    RUNNING = "running"
    ANSWERED = "answered"
    OTHER = "other"  # another request came with this token
    LOST = "lost"  # it was carried out, and cut off before it was answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """`id` is that of a request to carry out now; `answer` what an answered one was told."""

    known: Known
    id: int = 0
    answer: Answer | None = None


class Requests:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def begin(self, key_id: int, token: str, fingerprint: str, *, now: datetime) -> Begun:
        """Take note of a request before it is carried out; `fingerprint` tells it from others with the same token."""
        row = RequestRow(key_id=key_id, token=token, fingerprint=fingerprint, begun_at=now)
        try:
            with self._database.write() as session:
                session.execute(delete(RequestRow).where(REQUEST.begun_at <= now - KEPT))
                session.add(row)
                session.flush()
                return Begun(known=Known.NEW, id=cast(int, row.id))
        except IntegrityError:
            return self._known(key_id, token, fingerprint, now)

    def _known(self, key_id: int, token: str, fingerprint: str, now: datetime) -> Begun:
        with self._database.write() as session:
            row = session.execute(
                select(RequestRow).where(REQUEST.key_id == key_id, REQUEST.token == token).with_for_update()
            ).scalar_one_or_none()
            if row is None or row.fingerprint != fingerprint:
                return Begun(known=Known.RUNNING if row is None else Known.OTHER)  # None: it has just been forgotten
            if row.answer is not None:
                kept = json.loads(self._vault.open(row.answer, context=_context(row)).reveal())
                headers = tuple((name, value) for name, value in kept["headers"])
                answer = Answer(status=cast(int, row.status), headers=headers, body=kept["body"])
                return Begun(known=Known.ANSWERED, answer=answer)
            if row.begun_at > now - LONGEST:
                return Begun(known=Known.RUNNING)
            if row.effect:
                return Begun(known=Known.LOST)
            row.begun_at = now  # it was cut off before it changed anything
            return Begun(known=Known.NEW, id=cast(int, row.id))

    def happened(self, session: Session, request_id: int) -> None:
        """Note in the transaction of a change that this request made it."""
        session.execute(update(RequestRow).where(REQUEST.id == request_id).values(effect=True))

    def answered(self, request_id: int, answer: Answer) -> None:
        body = json.dumps({"headers": answer.headers, "body": answer.body}, ensure_ascii=False)
        with self._database.write() as session:
            row = session.get(RequestRow, request_id)
            if row is not None:
                row.status = answer.status
                row.answer = self._vault.seal(Secret(body), context=_context(row))

    def forget(self, request_id: int) -> None:
        """A request that failed for our sake may be tried again, unless it changed something."""
        with self._database.write() as session:
            session.execute(delete(RequestRow).where(REQUEST.id == request_id, REQUEST.effect.is_(False)))


def _context(row: RequestRow) -> str:
    return f"request:{row.key_id}:{row.token}"
