"""The negative control: the same service with its outbox bypassed, as a program that trusts its sends would be.

Each delivery is settled as sent before it is sent. Whatever dies with the process in between is lost, and the oracle
must say so; a refusal that is heard is still tried again, so that nothing but a kill loses anything. Never shipped.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update

from service.app import Service
from service.domain.model import Delivery, DeliveryState, Outcome, OutcomeStatus, Settlement
from service.storage.outbox import Outbox
from service.storage.tables import ATTEMPT, DELIVERY, AttemptRow, DeliveryRow

TRUSTED = Outcome(status=OutcomeStatus.SENT, detail="believed")


class Trusting(Outbox):
    """An outbox that takes a send for done before it is begun."""

    def begin_attempt(self, delivery: Delivery, *, now: datetime) -> bool:
        """Write the attempt and settle it at once."""
        if not super().begin_attempt(delivery, now=now):
            return False
        return super().settle(delivery, Settlement(state=DeliveryState.SENT, due_at=now, outcome=TRUSTED), now=now)

    def settle(self, delivery: Delivery, settlement: Settlement, *, now: datetime) -> bool:
        """Put a refused message back in line; believe anything else."""
        if settlement.state is not DeliveryState.PENDING:
            return True
        with self._database.write() as session:
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
        return True


def trusting(service: Service) -> Service:
    """The same service, with the outbox that trusts."""
    service.store.outbox = Trusting(service.store.database, service.store.vault)
    return service
