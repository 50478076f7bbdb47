"""Hosts that asked to be left alone: known to every process, and after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from service.storage.database import Database
from service.storage.tables import HOST_CLOSED, HostClosedRow


class Hosts:
    """Until when a host and port (`a.example:443`) is closed to us."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def share(self, ours: Mapping[str, datetime], *, now: datetime) -> dict[str, datetime]:
        """Tell what we were asked for, and learn what anybody was; of two times for one host the later holds."""
        with self._database.read() as session:
            rows = session.execute(select(HOST_CLOSED.host, HOST_CLOSED.until).where(HOST_CLOSED.until > now))
            known: dict[str, datetime] = {row.host: row.until for row in rows}
        news = {host: until for host, until in ours.items() if until > known.get(host, now)}
        if news:
            self._tell(news, now)
        return known | news

    def _tell(self, news: Mapping[str, datetime], now: datetime) -> None:
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        told = insert(HostClosedRow).values([{"host": host, "until": until} for host, until in sorted(news.items())])
        later = told.on_conflict_do_update(
            index_elements=["host"], set_={"until": told.excluded.until}, where=told.excluded.until > HOST_CLOSED.until
        )
        with self._database.write() as session:
            session.execute(delete(HostClosedRow).where(HOST_CLOSED.until <= now))
            session.execute(later)
