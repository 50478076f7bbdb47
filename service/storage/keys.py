"""API keys: shown once, stored as a digest. A key is `pw_` + prefix + `_` + secret, both random base32."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import select
from sqlmodel import Session

from service.domain.model import ChangeKind, Key, Scope, Secret
from service.storage import audit
from service.storage.database import Database
from service.storage.subscriptions import ensure_team
from service.storage.tables import (
    KEY,
    TEAM,
    KeyRow,
    TeamRow,
)

LAST_USE_GRAIN = timedelta(minutes=1)
"""`last_used_at` is written at most this often: a read must not cost a commit."""


class Keys:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        *,
        team: str,
        name: str,
        scopes: Sequence[Scope],
        random: Callable[[int], bytes],
        now: datetime,
        expires_at: datetime | None = None,
    ) -> tuple[Key, Secret]:
        """A new key; the second value is the only time its text is seen."""
        with self._database.write() as session:
            team_id = ensure_team(session, team, now)
            return _made(session, team_id, team, name, scopes, random=random, now=now, expires_at=expires_at)

    def verify(self, text: str, *, now: datetime) -> Key | None:
        """The key that `text` is, if it is known, not revoked and not expired."""
        if (found := re.fullmatch(r"pw_([a-z2-7]{8})_[a-z2-7]{48}", text)) is None:
            return None
        with self._database.read() as session:
            row = session.execute(select(KeyRow).where(KEY.prefix == found[1])).scalar_one_or_none()
            # The digest of a random 240-bit text needs no slow hash; the comparison takes the same time for all.
            if row is None or not hmac.compare_digest(row.hash, _digest(text)):
                return None
            if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
                return None
            key = _key(row, session.get_one(TeamRow, row.team_id).name)
        if key.last_used_at is None or now - key.last_used_at >= LAST_USE_GRAIN:
            with self._database.write() as session:
                session.get_one(KeyRow, key.id).last_used_at = now
        return key

    def rotate(
        self, prefix: str, *, team: str, overlap: timedelta, random: Callable[[int], bytes], now: datetime
    ) -> tuple[Key, Secret] | None:
        """A new key like the team's old one, which opens for `overlap` longer at most; None when that opens no more."""
        with self._database.write() as session:
            row = _own(session, prefix, team)
            if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
                return None
            scopes, ends = [Scope(scope) for scope in row.scopes], row.expires_at
            made = _made(session, row.team_id, team, row.name, scopes, random=random, now=now, expires_at=ends)
            _change(session, row, team, now, expires_at=min(ends or now + overlap, now + overlap))
            return made

    def revoke(self, prefix: str, *, now: datetime, team: str | None = None) -> bool:
        """End a key at once; False when there is none (of this team, unless that is None)."""
        with self._database.write() as session:
            row = _own(session, prefix, team)
            if row is None:
                return False
            _change(session, row, session.get_one(TeamRow, row.team_id).name, now, revoked_at=row.revoked_at or now)
            return True

    def list(self, team: str | None = None) -> tuple[Key, ...]:
        """Every key, or those of a team, in the order in which they were made."""
        rows = select(KeyRow, TEAM.name).join(TeamRow, TEAM.id == KEY.team_id).order_by(KEY.id)
        if team is not None:
            rows = rows.where(TEAM.name == team)
        with self._database.read() as session:
            return tuple(_key(row, name) for row, name in session.execute(rows))


def _own(session: Session, prefix: str, team: str | None) -> KeyRow | None:
    known = select(KeyRow).join(TeamRow, TEAM.id == KEY.team_id).where(KEY.prefix == prefix)
    return session.execute(known if team is None else known.where(TEAM.name == team)).scalar_one_or_none()


def _made(
    session: Session, team_id: int, team: str, name: str, scopes: Sequence[Scope], *,
    random: Callable[[int], bytes], now: datetime, expires_at: datetime | None,
) -> tuple[Key, Secret]:  # fmt: skip
    prefix, secret = _letters(random(5)), _letters(random(30))
    text = f"pw_{prefix}_{secret}"
    row = KeyRow(
        team_id=team_id,
        name=name,
        prefix=prefix,
        hash=_digest(text),
        scopes=[str(scope) for scope in scopes],
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    made = _key(row, team)
    audit.note(session, ChangeKind.CREATED, "key", row.id, team_id=team_id, now=now, after=made)
    return made, Secret(text)


def _change(session: Session, row: KeyRow, team: str, now: datetime, **values: datetime) -> None:
    before = _key(row, team)
    for name, value in values.items():
        setattr(row, name, value)
    after = _key(row, team)
    audit.note(session, ChangeKind.CHANGED, "key", row.id, team_id=row.team_id, now=now, before=before, after=after)


def _letters(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(row: KeyRow, team: str) -> Key:
    return Key(
        id=cast(int, row.id),
        team=team,
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(Scope(scope) for scope in row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
