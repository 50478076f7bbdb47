"""/v1/drills: a made-up entry through the whole line, and who got it, how fast."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.auth import Reader, Writer
from service.api.deps import Given
from service.api.pages import MAX_ID, Page, Paging, cut, number_of
from service.api.problems import Kind, Refusal, absent, shows
from service.api.texts import Id
from service.domain.model import ServiceError
from service.storage.drills import Drill, ReceiptState

router = APIRouter(prefix="/drills", tags=["deliveries"])

NOUN = "drills"


class ReceiptOut(BaseModel):
    """Whether it came to one channel."""

    channel_id: int
    channel: str = Field(description="The channel's address, masked.")
    subscription: str
    state: ReceiptState
    seconds: float | None = Field(description="From asking for the drill to the receiver's acceptance.")
    detail: str = Field(description="What the last attempt brought, or why there was none.")


class DrillOut(BaseModel):
    """A drill and its receipts, of the team's channels."""

    id: int
    asked_at: datetime
    due_at: datetime = Field(description="What has not arrived by then is missing.")
    read_at: datetime | None = Field(description="When its entry was read and its messages were written.")
    ended_at: datetime | None
    problem: str = Field(description="What went wrong before any message was written; empty if nothing.")
    receipts: list[ReceiptOut]

    @classmethod
    def of(cls, drill: Drill) -> DrillOut:
        return cls(
            id=drill.id,
            asked_at=drill.asked_at,
            due_at=drill.due_at,
            read_at=drill.read_at,
            ended_at=drill.ended_at,
            problem=drill.problem,
            receipts=[
                ReceiptOut(
                    channel_id=one.channel_id,
                    channel=one.channel,
                    subscription=one.subscription,
                    state=one.state,
                    seconds=one.seconds,
                    detail=one.detail,
                )
                for one in drill.receipts
            ],
        )


class DrillIn(BaseModel):
    """Whom to reach."""

    model_config = ConfigDict(extra="forbid")

    subscription: int | None = Field(
        None, strict=True, ge=1, le=MAX_ID, description="The channels of this subscription; null: all of the team's."
    )


_EVERYBODY = DrillIn.model_validate({})
_EXAMPLE: Mapping[str, Any] = {
    "id": 4,
    "asked_at": "2026-03-02T09:00:00Z",
    "due_at": "2026-03-02T09:10:00Z",
    "read_at": "2026-03-02T09:00:01Z",
    "ended_at": "2026-03-02T09:00:03Z",
    "problem": "",
    "receipts": [
        {
            "channel_id": 3,
            "channel": "https://grc.example.org/hook",
            "subscription": "central-asia",
            "state": "received",
            "seconds": 1.4,
            "detail": "answered 204",
        }
    ],
}


@router.get("", summary="List drills", responses=shows(200, {"items": [_EXAMPLE], "next": None}, Kind.INVALID_CURSOR))
def list_drills(
    request: Request, response: Response, deps: Given, key: Reader, query: Annotated[Paging, Query()]
) -> Page[DrillOut]:
    """Newest first."""
    found = deps.store.drills.page(team=key.team, before=number_of(query, NOUN), limit=query.limit + 1)
    kept, following = cut(found, paging=query, noun=NOUN, request=request, response=response, place=lambda d: d.id)
    return Page(items=[DrillOut.of(drill) for drill in kept], next=following)


@router.post("", summary="Drill the line", status_code=202, responses=shows(202, _EXAMPLE, Kind.NO_CHANNELS))
def start_drill(
    deps: Given,
    key: Writer,
    body: Annotated[DrillIn, Body(openapi_examples={"all": {"summary": "Every channel", "value": {}}})] = _EVERYBODY,
) -> DrillOut:
    """A made-up entry is stored, read, matched, placed and sent as a real one would be; read the drill for receipts."""
    try:
        drill_id = deps.store.drills.begin(
            within=deps.settings.drill.within, now=deps.now(), team=key.team, subscription_id=body.subscription
        )
    except ServiceError as exc:
        raise Refusal(Kind.NO_CHANNELS, str(exc)) from exc
    return DrillOut.of(_own(deps.store.drills.get(drill_id or 0, team=key.team), drill_id))


@router.get("/{drill_id}", summary="Read a drill", responses=shows(200, _EXAMPLE, Kind.NOT_FOUND))
def read_drill(deps: Given, key: Reader, drill_id: Id) -> DrillOut:
    """A drill with the receipts so far."""
    return DrillOut.of(_own(deps.store.drills.get(drill_id, team=key.team), drill_id))


def _own(drill: Drill | None, drill_id: int | None) -> Drill:
    if drill is None:
        raise absent("drill", drill_id or 0)
    return drill
