"""/v1/deliveries: what became of each message, attempt by attempt, and another chance for those that were given up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from service.api.auth import Reader, Writer
from service.api.deps import Deps, Given
from service.api.pages import MAX_ID, Page, Paging, cut, number_of
from service.api.problems import Kind, Refusal, absent, shows
from service.api.texts import Id
from service.domain.model import ChannelKind, DeliveryKind, DeliveryState, Key, OutcomeStatus
from service.storage.outbox import AttemptLog, DeliveryLog

router = APIRouter(prefix="/deliveries", tags=["deliveries"])

NOUN = "deliveries"


class AttemptOut(BaseModel):
    """One try. `outcome` null: it is under way, or we stopped in between and cannot know."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: OutcomeStatus | None
    http_status: int | None
    detail: str = Field(description="What the receiver said, for a person; holds no secret.")

    @classmethod
    def of(cls, attempt: AttemptLog) -> AttemptOut:
        return cls(
            number=attempt.number,
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
            outcome=OutcomeStatus(attempt.outcome) if attempt.outcome else None,
            http_status=attempt.http_status,
            detail=attempt.detail,
        )


class DeliveryOut(BaseModel):
    """One alert, or one test message, to one channel."""

    id: int
    message_id: str = Field(description="The same on every attempt: a receiver discards repeats by it.")
    kind: DeliveryKind
    alert_id: int | None = Field(description="Null for a test.")
    subscription: str = Field(description="Name of the subscription that led to it.")
    channel_id: int
    channel_kind: ChannelKind
    channel: str = Field(description="The channel's address, masked.")
    state: DeliveryState = Field(description="pending is tried (again) at due_at; sent and dead are final.")
    attempts: int
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    detail: str = Field(description="What the last attempt brought.")
    log: list[AttemptOut]

    @classmethod
    def of(cls, delivery: DeliveryLog) -> DeliveryOut:
        return cls(
            id=delivery.id,
            message_id=delivery.message_id,
            kind=delivery.kind,
            alert_id=delivery.alert_id,
            subscription=delivery.subscription,
            channel_id=delivery.channel_id,
            channel_kind=delivery.channel_kind,
            channel=delivery.channel,
            state=delivery.state,
            attempts=delivery.attempts,
            created_at=delivery.created_at,
            due_at=delivery.due_at,
            settled_at=delivery.settled_at,
            detail=delivery.detail,
            log=[AttemptOut.of(attempt) for attempt in delivery.log],
        )


class DeliveryQuery(Paging):
    """What a list of deliveries is narrowed to."""

    state: DeliveryState | None = Field(None, description="Only those in this state.")
    alert: int | None = Field(None, ge=1, le=MAX_ID, description="Only those of the alert of this id.")


EXAMPLE: Mapping[str, Any] = {
    "id": 31,
    "message_id": "msg_2c26b46b68ffc68ff99b453c1d304134",
    "kind": "alert",
    "alert_id": 12,
    "subscription": "central-asia",
    "channel_id": 3,
    "channel_kind": "webhook",
    "channel": "https://grc.example.org/hook",
    "state": "sent",
    "attempts": 2,
    "created_at": "2026-03-02T12:00:03Z",
    "due_at": "2026-03-02T12:00:08Z",
    "settled_at": "2026-03-02T12:00:09Z",
    "detail": "",
    "log": [
        {
            "number": 1,
            "started_at": "2026-03-02T12:00:03Z",
            "finished_at": "2026-03-02T12:00:04Z",
            "outcome": "retry",
            "http_status": 503,
            "detail": "HTTP 503: deploying",
        },
        {
            "number": 2,
            "started_at": "2026-03-02T12:00:08Z",
            "finished_at": "2026-03-02T12:00:09Z",
            "outcome": "sent",
            "http_status": 204,
            "detail": "",
        },
    ],
}
_AGAIN = {**EXAMPLE, "state": "pending", "settled_at": None}


@router.get(
    "", summary="List deliveries", responses=shows(200, {"items": [EXAMPLE], "next": None}, Kind.INVALID_CURSOR)
)
def list_deliveries(
    request: Request, response: Response, deps: Given, key: Reader, query: Annotated[DeliveryQuery, Query()]
) -> Page[DeliveryOut]:
    """The team's deliveries, newest first."""
    found = deps.store.outbox.page(
        team=key.team,
        state=query.state,
        alert_id=query.alert,
        before=number_of(query, NOUN),
        limit=query.limit + 1,
    )
    kept, following = cut(found, paging=query, noun=NOUN, request=request, response=response, place=lambda d: d.id)
    return Page(items=[DeliveryOut.of(delivery) for delivery in kept], next=following)


@router.get("/{delivery_id}", summary="Read a delivery", responses=shows(200, EXAMPLE, Kind.NOT_FOUND))
def read_delivery(deps: Given, key: Reader, delivery_id: Id) -> DeliveryOut:
    """A delivery with every attempt so far."""
    return DeliveryOut.of(_own(deps, key, delivery_id))


@router.post(
    "/{delivery_id}/retry",
    summary="Try a dead delivery again",
    status_code=202,
    responses=shows(202, _AGAIN, Kind.NOT_FOUND, Kind.NOT_DEAD),
)
def retry_delivery(deps: Given, key: Writer, delivery_id: Id) -> DeliveryOut:
    """It is due at once and has its whole schedule of attempts before it again."""
    delivery = _own(deps, key, delivery_id)
    if not deps.store.outbox.retry(delivery_id, team=key.team, now=deps.now()):
        raise Refusal(Kind.NOT_DEAD, f"delivery {delivery_id} is {delivery.state}; only dead ones are tried again")
    return DeliveryOut.of(_own(deps, key, delivery_id))


def _own(deps: Deps, key: Key, delivery_id: int) -> DeliveryLog:
    delivery = deps.store.outbox.get(delivery_id, team=key.team)
    if delivery is None:
        raise absent("delivery", delivery_id)
    return delivery
