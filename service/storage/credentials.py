"""What feeds' servers want to be shown, at rest: sealed as one text a feed, bound to the feed's address."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from service.addresses import Address, read_address
from service.domain.credentials import Credentials, Headers, credentials_for
from service.domain.model import Feed, Secret
from service.storage.database import Database
from service.storage.tables import FEED, FeedRow
from service.storage.vault import Vault


class FeedCredentials:
    """The headers of feeds. Only their names leave it unasked."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def of(self, feed: Feed) -> Credentials | None:
        """The headers that this feed's origin is to be sent. ServiceError when they cannot be unsealed."""
        if not feed.sends:
            return None
        with self._database.read() as session:
            row = session.get(FeedRow, feed.id)
        if row is None or row.credentials is None:
            return None
        kept = json.loads(self._vault.open(row.credentials, context=_context(row.url)).reveal())
        return credentials_for(row.url, tuple((name, Secret(value)) for name, value in kept.items()))

    def put(self, feed_id: int, headers: Headers) -> None:
        """Send these headers from now on, and no others."""
        with self._database.write() as session:
            row = session.get(FeedRow, feed_id)
            if row is not None:
                _set(row, self.columns(row.url, headers))

    def columns(self, url: str, headers: Headers) -> dict[str, Any]:
        """The columns of a feed at `url` that sends these headers."""
        if not headers:
            return {"credentials": None, "sends": []}
        plain = json.dumps({name: value.reveal() for name, value in headers})
        sealed = self._vault.seal(Secret(plain), context=_context(url))
        return {"credentials": sealed, "sends": [name for name, _ in headers]}

    def seal_addresses(self) -> None:
        """Take users and passwords out of the addresses of feeds that were added before these were sealed."""
        old = select(FeedRow).where(FEED.url.like("%@%"))
        with self._database.read() as session:
            if not any(_with_userinfo(row.url) for row in session.execute(old).scalars()):
                return
        with self._database.write() as session:
            for row in session.execute(old).scalars().all():
                address = _with_userinfo(row.url)
                if address is None:
                    continue
                if session.execute(select(FEED.id).where(FEED.url == address.url)).first() is not None:
                    row.active = False  # the same feed is there without them
                    continue
                row.url, row.move = address.url, None
                _set(row, self.columns(address.url, address.headers))
                session.flush()


def _with_userinfo(url: str) -> Address | None:
    try:
        return read_address(url) if "@" in urlsplit(url).netloc else None
    except ValueError:
        return None  # it never was an address, and is refused at each poll


def _set(row: FeedRow, columns: dict[str, Any]) -> None:
    for name, value in columns.items():
        setattr(row, name, value)


def _context(url: str) -> str:
    return f"feed:{url}"
