"""Everything that is remembered, behind one value: a part for each noun, one database below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select

from service.domain.model import Secret
from service.storage.alerts import Alerts
from service.storage.database import Database
from service.storage.entries import Entries
from service.storage.feeds import Feeds
from service.storage.keys import Keys
from service.storage.outbox import Outbox
from service.storage.subscriptions import Subscriptions
from service.storage.tables import (
    CHANNEL,
)
from service.storage.vault import Vault


class Store:
    """The parts of the storage floor. `secret_keys` is asked once, with whether secrets are stored already."""

    def __init__(self, url: str, secret_keys: Callable[[bool], Sequence[Secret]]) -> None:
        """Open and migrate the database at `url`. ServiceError when that cannot be done."""
        self.database = Database(url)
        self.database.migrate()
        self.vault = Vault(secret_keys(any_sealed(self.database)))
        self.feeds = Feeds(self.database)
        self.entries = Entries(self.database)
        self.outbox = Outbox(self.database, self.vault)
        self.subscriptions = Subscriptions(self.database, self.vault)
        self.alerts = Alerts(self.database)
        self.keys = Keys(self.database)

    def release_leases(self) -> None:
        """For an embedded start: this process is the only one, so every lease found belongs to a dead one."""
        self.feeds.release_all()
        self.entries.release_all()
        self.outbox.release_all()

    def close(self) -> None:
        self.database.close()


def any_sealed(database: Database) -> bool:
    """Whether some secret is stored: then the key that sealed it must be there."""
    with database.read() as session:
        return session.execute(select(CHANNEL.id).limit(1)).first() is not None
