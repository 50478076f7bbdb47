"""/v1/deliveries: what became of each message, attempt by attempt, and another chance for those that were given up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from service.api.auth import Reader, Writer
from service.api.deps import Deps, Given
from service.api.pages import MAX_ID, Page, Paging, cut, number_of
from service.api.problems import Kind, Refusal, absent, shows
from service.api.texts import Id, Moment
from service.delivery.message import render
from service.domain.model import ChannelKind, Delivery, DeliveryKind, DeliveryState, Key, OutcomeStatus
from service.storage.outbox import AttemptLog, DeliveryLog, Range

router = APIRouter(prefix="/deliveries", tags=["deliveries"])

NOUN = "deliveries"


class AnswerOut(BaseModel):
    """What the receiver answered, without secrets."""

    headers: dict[str, str] = Field(description="Those that explain an answer, such as retry-after and server.")
    body: str = Field(description="Its first 1000 characters, in one line.")


class RequestOut(BaseModel):
    """What an attempt sends. Its time and its signatures are each attempt's own."""

    headers: dict[str, str] = Field(description="Those of a webhook that stay the same; empty for other kinds.")
    body: str = Field(description="The payload of a webhook, or the message as plain text.")


class AttemptOut(BaseModel):
    """One try. `outcome` null: it is under way, or we stopped in between and cannot know."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: OutcomeStatus | None
    http_status: int | None
    seconds: float | None = Field(description="From its beginning to its outcome.")
    detail: str = Field(description="What the receiver said, for a person; holds no secret.")
    answer: AnswerOut | None = Field(description="Null when there was none, and for mail.")

    @classmethod
    def of(cls, attempt: AttemptLog) -> AttemptOut:
        return cls(
            number=attempt.number,
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
            outcome=OutcomeStatus(attempt.outcome) if attempt.outcome else None,
            http_status=attempt.http_status,
            seconds=(attempt.finished_at - attempt.started_at).total_seconds() if attempt.finished_at else None,
            detail=attempt.detail,
            answer=AnswerOut(headers=dict(attempt.answer.headers), body=attempt.answer.body)
            if attempt.answer
            else None,
        )


class DeliveryOut(BaseModel):
    """One message to one channel."""

    id: int
    message_id: str = Field(description="The same on every attempt: a receiver discards repeats by it.")
    kind: DeliveryKind
    alert_id: int | None = Field(description="Of kind alert; null for the others.")
    event: int | None = Field(description="Its number in /v1/events of its channel; null before it is due.")
    drill_id: int | None = Field(description="The drill that it belongs to.")
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
            event=delivery.event,
            drill_id=delivery.drill_id,
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


class DeliveryWithRequest(DeliveryOut):
    """A delivery and what it sends."""

    request: RequestOut


class Replay(BaseModel):
    """Which deliveries are to be sent once more."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(None, description="Only those made then or later.")
    until: Moment | None = Field(None, description="Only those made before.")
    channel: int | None = Field(None, strict=True, ge=1, le=MAX_ID, description="Only those of this channel.")
    state: Literal["dead", "sent"] = Field(
        "dead", description="dead: those given up. sent: those accepted, for a receiver that has lost them."
    )
    dry_run: StrictBool = Field(False, description="Only count them.")


class ReplayOut(BaseModel):
    """How many are sent once more, or would be."""

    deliveries: int


class DeliveryQuery(Paging):
    """What a list of deliveries is narrowed to."""

    state: DeliveryState | None = Field(None, description="Only those in this state.")
    alert: int | None = Field(None, ge=1, le=MAX_ID, description="Only those of the alert of this id.")
    channel: int | None = Field(None, ge=1, le=MAX_ID, description="Only those to the channel of this id.")


EXAMPLE: Mapping[str, Any] = {
    "id": 31,
    "message_id": "msg_2c26b46b68ffc68ff99b453c1d304134",
    "kind": "alert",
    "alert_id": 12,
    "event": 17,
    "drill_id": None,
    "subscription": "central-asia",
    "channel_id": 3,
    "channel_kind": "webhook",
    "channel": "https://grc.example.org/hook",
    "state": "sent",
    "attempts": 2,
    "created_at": "2026-03-02T12:00:03Z",
    "due_at": "2026-03-02T12:00:08Z",
    "settled_at": "2026-03-02T12:00:09Z",
    "detail": "answered 204",
    "log": [
        {
            "number": 1,
            "started_at": "2026-03-02T12:00:03Z",
            "finished_at": "2026-03-02T12:00:04Z",
            "outcome": "retry",
            "http_status": 503,
            "seconds": 1.0,
            "detail": "answered 503: deploying",
            "answer": {"headers": {"server": "nginx", "retry-after": "5"}, "body": "deploying"},
        },
        {
            "number": 2,
            "started_at": "2026-03-02T12:00:08Z",
            "finished_at": "2026-03-02T12:00:09Z",
            "outcome": "sent",
            "http_status": 204,
            "seconds": 1.0,
            "detail": "answered 204",
            "answer": {"headers": {"server": "nginx"}, "body": ""},
        },
    ],
}
_WITH_REQUEST = {
    **EXAMPLE,
    "request": {
        "headers": {"content-type": "application/json", "webhook-id": EXAMPLE["message_id"]},
        "body": '{"data":{"alert_id":12,"headline":"[HIGH] Kazakhstan: licensing of crypto exchanges"}}',
    },
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
        channel_id=query.channel,
        before=number_of(query, NOUN),
        limit=query.limit + 1,
    )
    kept, following = cut(found, paging=query, noun=NOUN, request=request, response=response, place=lambda d: d.id)
    return Page(items=[DeliveryOut.of(delivery) for delivery in kept], next=following)


@router.get("/{delivery_id:id}", summary="Read a delivery", responses=shows(200, _WITH_REQUEST, Kind.NOT_FOUND))
def read_delivery(deps: Given, key: Reader, delivery_id: Id) -> DeliveryWithRequest:
    """A delivery with what it sends, and every attempt so far with what was answered."""
    delivery = DeliveryOut.of(_own(deps, key, delivery_id))
    message = deps.store.outbox.message(delivery_id)
    request = _request(message, at=delivery.log[0].started_at if delivery.log else deps.now())
    return DeliveryWithRequest(**dict(delivery), request=request)


def _request(delivery: Delivery, *, at: datetime) -> RequestOut:
    message = render(delivery, now=at)
    if message.payload is None:
        return RequestOut(headers={}, body=f"{message.title}\n\n{message.body}")
    headers = {"content-type": "application/json", "webhook-id": delivery.message_id}
    return RequestOut(headers=headers, body=message.payload.decode())


@router.post(
    "/{delivery_id:id}/redeliver",
    summary="Send a delivery once more",
    status_code=202,
    responses=shows(202, _AGAIN, Kind.NOT_FOUND, Kind.NOT_SETTLED),
)
def redeliver(deps: Given, key: Writer, delivery_id: Id) -> DeliveryOut:
    """Whether it was accepted or given up: under the same `webhook-id`, with the next `webhook-attempt`."""
    delivery = _own(deps, key, delivery_id)
    if not deps.store.outbox.redeliver(delivery_id, team=key.team, now=deps.now()):
        raise Refusal(Kind.NOT_SETTLED, f"delivery {delivery_id} is {delivery.state}: it is sent without that")
    return DeliveryOut.of(_own(deps, key, delivery_id))


_RANGE = {"since": "2026-03-02T08:00:00Z", "until": "2026-03-02T11:30:00Z", "channel": 3, "state": "sent"}


@router.post(
    "/replay", summary="Send a range of deliveries once more", status_code=202, responses=shows(202, {"deliveries": 41})
)
def replay_deliveries(
    deps: Given,
    key: Writer,
    body: Annotated[Replay, Body(openapi_examples={"lost": {"summary": "A receiver lost a morning", "value": _RANGE}})],
) -> ReplayOut:
    """Each under its own `webhook-id`, oldest first, one at a time for each channel. Tests and drills are left out."""
    wanted = Range(since=body.since, until=body.until, channel_id=body.channel, state=DeliveryState(body.state))
    count = deps.store.outbox.replay(wanted, team=key.team, now=deps.now(), only_count=body.dry_run)
    return ReplayOut(deliveries=count)


@router.post(
    "/{delivery_id:id}/retry",
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
