"""/v1/events: what a webhook was to be told, in one order without holes, so that its receiver can make good a loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from service.api.auth import Reader
from service.api.deps import Given
from service.api.pages import MAX_ID
from service.api.problems import Kind, absent, shows
from service.delivery.message import render
from service.domain.model import ChannelKind, DeliveryState
from service.storage.outbox import Event

router = APIRouter(prefix="/events", tags=["deliveries"])


class EventQuery(BaseModel):
    """Whose events, and from where on."""

    model_config = ConfigDict(extra="forbid")

    channel: int = Field(ge=1, le=MAX_ID, description="The webhook's id, as its subscription shows it.")
    after: int = Field(0, ge=0, le=MAX_ID, description="`next` of the last answer; 0 for all from the beginning.")
    limit: int = Field(50, ge=1, le=200, description="Most events in an answer.")


class EventOut(BaseModel):
    """One request that the webhook got, or is to get."""

    number: int = Field(description="Its place: 1, 2, 3, … for each webhook.")
    id: str = Field(description="The `webhook-id` of its requests.")
    state: DeliveryState = Field(description="Whether it was accepted (sent), given up (dead), or is still tried.")
    payload: dict[str, Any] = Field(description="What the request's body says, without `decide`.")


class Events(BaseModel):
    """Events in the order in which they came due."""

    items: list[EventOut]
    next: int = Field(description="Hand it back as `after`: now, or later for what has come since.")
    more: bool = Field(description="Whether more have come already.")


_EXAMPLE: Mapping[str, Any] = {
    "items": [
        {
            "number": 17,
            "id": "msg_2c26b46b68ffc68ff99b453c1d304134",
            "state": "sent",
            "payload": {
                "type": "alert.raised",
                "version": 1,
                "timestamp": "2026-03-02T12:00:00Z",
                "data": {"alert_id": 12, "headline": "[HIGH] Kazakhstan: licensing of crypto exchanges (tightening)"},
            },
        }
    ],
    "next": 17,
    "more": False,
}


@router.get("", summary="List a webhook's events", responses=shows(200, _EXAMPLE, Kind.NOT_FOUND))
def list_events(deps: Given, key: Reader, query: Annotated[EventQuery, Query()]) -> Events:
    """The same ids and payloads as its requests (but for `decide`: a link that needs no key), oldest first, whether or
    not they were accepted.

    An event is listed once it is due. Numbers have no holes, and nothing is ever added before a number that was
    answered, so asking for what comes after the last one misses nothing.
    """
    known = deps.store.channels.states(deps.now(), team=key.team, ids=[query.channel])
    if not known or known[0].kind is not ChannelKind.WEBHOOK:
        raise absent("webhook", query.channel)
    found = deps.store.outbox.events(query.channel, after=query.after, limit=query.limit + 1, now=deps.now())
    kept = found[: query.limit]
    return Events(
        items=[_event(event) for event in kept],
        next=kept[-1].number if kept else query.after,
        more=len(found) > len(kept),
    )


def _event(event: Event) -> EventOut:
    message = render(event.delivery, now=event.delivery.created_at)
    return EventOut(
        number=event.number,
        id=event.delivery.message_id,
        state=event.state,
        payload=json.loads(message.payload or b"{}"),
    )
