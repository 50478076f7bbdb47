"""Everything that is remembered, behind one value: a part for each noun, one database below them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import make_url, select

from service.domain.model import Secret, ServiceError
from service.storage.alerts import Alerts
from service.storage.audit import Audit
from service.storage.channels import Channels
from service.storage.comments import Comments
from service.storage.database import Database
from service.storage.decisions import Decisions
from service.storage.drills import Drills
from service.storage.due import Due
from service.storage.entries import Entries
from service.storage.fates import Fates
from service.storage.feeds import Feeds
from service.storage.gaps import Gaps
from service.storage.handed import Handed
from service.storage.hosts import Hosts
from service.storage.keys import Keys
from service.storage.outbox import Outbox
from service.storage.pages import Pages
from service.storage.pushes import Pushes
from service.storage.readings import Readings
from service.storage.requests import Requests
from service.storage.silences import Silences
from service.storage.statistics import Statistics
from service.storage.streams import Streams
from service.storage.subscriptions import Subscriptions
from service.storage.tables import CHANNEL, FEED, PUSH
from service.storage.vault import Vault, read_key_file
from service.storage.ways import Ways


class Store:
    """The parts of the storage floor."""

    def __init__(
        self,
        url: str,
        *,
        keys: Sequence[Secret] = (),
        key_file: Path | None = None,
        pooler: bool = False,
        may_migrate: bool = True,
    ) -> None:
        """Open the database at `url`, and migrate it unless that is left to others.

        Secrets are sealed with `keys`, or with those in `key_file`. A key file is made at the first start, never over
        secrets that are stored already. ServiceError when the database or the key cannot be had.
        """
        self.database = Database(url, pooler=pooler)
        try:
            if may_migrate:
                self.database.migrate()
            else:
                self.database.expect()
        except ServiceError:
            self.database.close()
            raise
        if not keys and key_file is not None:
            keys = read_key_file(key_file, may_create=not any_sealed(self.database))
        self.vault = Vault(keys)
        self.feeds = Feeds(self.database, self.vault)
        self.gaps = Gaps(self.database)
        self.hosts = Hosts(self.database)
        self.pushes = Pushes(self.database, self.vault)
        self.entries = Entries(self.database)
        self.handed = Handed(self.database)
        self.pages = Pages(self.database)
        self.readings = Readings(self.database)
        self.fates = Fates(self.database)
        self.outbox = Outbox(self.database, self.vault)
        self.channels = Channels(self.database)
        self.subscriptions = Subscriptions(self.database, self.vault)
        self.due = Due(self.database, self.subscriptions)
        self.drills = Drills(self.database, self.subscriptions)
        self.decisions = Decisions(self.database)
        self.comments = Comments(self.database)
        self.statistics = Statistics(self.database)
        self.silences = Silences(self.database)
        self.alerts = Alerts(self.database)
        self.ways = Ways(self.database)
        self.streams = Streams(self.database)
        self.keys = Keys(self.database)
        self.audit = Audit(self.database)
        self.requests = Requests(self.database, self.vault)
        self.feeds.credentials.seal_addresses()

    def release_leases(self) -> None:
        """For an embedded start: this process is the only one, so every lease found belongs to a dead one."""
        self.feeds.release_all()
        self.entries.release_all()
        self.pages.release_all()
        self.outbox.release_all()

    def close(self) -> None:
        self.database.close()


def any_sealed(database: Database) -> bool:
    """Whether some secret is stored: then the key that sealed it must be there."""
    with database.read() as session:
        sealed = (select(CHANNEL.id), select(PUSH.id), select(FEED.id).where(FEED.credentials.is_not(None)))
        return any(session.execute(statement.limit(1)).first() is not None for statement in sealed)


def is_there(url: str) -> bool:
    """Whether opening the store at `url` would make no new one."""
    return not url.startswith("sqlite:") or Path(make_url(url).database or "").is_file()
