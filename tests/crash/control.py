"""The negative control: the same service with its outbox bypassed, as a program that trusts its sends would be.

Each delivery is settled as sent before it is sent. Whatever dies with the process in between is lost, and the oracle
must say so; a refusal that is heard is still tried again, so that nothing but a kill loses anything. Never shipped.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from itertools import compress
from pathlib import Path

from sqlalchemy import update
from sqlmodel import Session

from service import logs
from service.app import Server, Service
from service.config import Rulebook, Settings, load
from service.domain.model import Delivery, DeliveryState, Outcome, OutcomeStatus, Settlement
from service.storage.outbox import Outbox
from service.storage.tables import ATTEMPT, DELIVERY, AttemptRow, DeliveryRow

TRUSTED = Outcome(status=OutcomeStatus.SENT, detail="believed")


class Trusting(Outbox):
    """An outbox that takes a send for done before it is begun."""

    def begin_attempts(self, deliveries: Sequence[Delivery], *, now: datetime) -> tuple[bool, ...]:
        """Write the attempts and settle them at once."""
        ours = super().begin_attempts(deliveries, now=now)
        trusted = Settlement(state=DeliveryState.SENT, due_at=now, outcome=TRUSTED)
        super().settle_all([(delivery, trusted) for delivery in compress(deliveries, ours)], now=now)
        return ours

    def settle_all(self, settled: Sequence[tuple[Delivery, Settlement]], *, now: datetime) -> tuple[bool, ...]:
        """Put refused messages back in line; believe anything else."""
        with self._database.write() as session:
            for delivery, settlement in settled:
                if settlement.state is DeliveryState.PENDING:
                    _put_back(session, delivery, settlement)
        return (True,) * len(settled)


def _put_back(session: Session, delivery: Delivery, settlement: Settlement) -> None:
    session.execute(
        update(DeliveryRow)
        .where(DELIVERY.id == delivery.id)
        .values(state=DeliveryState.PENDING, due_at=settlement.due_at, settled_at=None)
    )
    session.execute(
        update(AttemptRow)
        .where(ATTEMPT.delivery_id == delivery.id, ATTEMPT.number == delivery.attempts)
        .values(outcome=OutcomeStatus.RETRY, http_status=settlement.outcome.http_status)
    )


def build_control(settings: Settings, *, rulebook: Rulebook | None = None) -> Service:
    """The service of these settings, with the outbox that trusts."""
    service = Service(settings, rulebook=rulebook)
    service.store.outbox = Trusting(service.store.database, service.store.vault)
    return service


def main() -> None:
    """Serve with the configuration file that the command line names."""
    settings = load(Path(sys.argv[1]))
    logs.configure(settings.logging.level, settings.logging.format)
    asyncio.run(Server(build_control(settings)).run())


if __name__ == "__main__":
    main()
