"""/v1/audit: who changed what, and from what to what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from service.api.auth import Admin
from service.api.deps import Deps, Given
from service.api.pages import MAX_ID, Page, Paging, cut, number_of
from service.api.problems import Kind, shows
from service.api.texts import Moment, Name
from service.domain.model import Change, ChangeKind

router = APIRouter(prefix="/audit", tags=["audit"])

NOUN = "changes"
_BATCH = 500
_LINES = "application/x-ndjson"


class ChangeOut(BaseModel):
    """One change. Things that all teams share have no team; secrets in `before` and `after` are hidden."""

    id: int
    at: datetime
    team: str | None
    actor: str = Field(description="An API key by prefix and name, a command, or the configuration file.")
    kind: ChangeKind
    thing: str = Field(description="What was changed: subscription, channel, feed, silence, decision, key …")
    number: int | None = Field(description="Its id; of a decision, that of its alert.")
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @classmethod
    def of(cls, change: Change) -> ChangeOut:
        return cls.model_validate(change, from_attributes=True)


class _Narrowed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    thing: Name | None = Field(None, description="Only changes of such things: subscription, feed, key …")
    number: int | None = Field(None, ge=1, le=MAX_ID, description="Only changes of the thing with this id.")
    since: Moment | None = Field(None, description="Made then or later: RFC 3339 with its zone.")


class AuditQuery(Paging, _Narrowed):
    """What a list of changes is narrowed to."""


_EXAMPLE: Mapping[str, Any] = {
    "id": 7,
    "at": "2026-03-02T12:00:00Z",
    "team": "desk",
    "actor": "key mfzwizlq (laptop)",
    "kind": "created",
    "thing": "silence",
    "number": 3,
    "before": None,
    "after": {"owner": "ana@bank.example.org", "reason": "known", "expires_at": "2026-03-09T12:00:00+00:00"},
}


@router.get("", summary="List changes", responses=shows(200, {"items": [_EXAMPLE], "next": None}, Kind.INVALID_CURSOR))
def list_changes(
    request: Request, response: Response, deps: Given, key: Admin, query: Annotated[AuditQuery, Query()]
) -> Page[ChangeOut]:
    """Changes to what is the team's and to what all teams share, the newest first."""
    found = deps.store.audit.page(
        key.team,
        thing=query.thing,
        number=query.number,
        since=query.since,
        before=number_of(query, NOUN),
        limit=query.limit + 1,
    )
    kept, following = cut(found, paging=query, noun=NOUN, request=request, response=response, place=lambda c: c.id)
    return Page(items=[ChangeOut.of(change) for change in kept], next=following)


@router.get(
    "/export",
    summary="Export changes",
    response_class=StreamingResponse,
    responses={200: {"content": {_LINES: {"schema": {"type": "string"}, "example": json.dumps(_EXAMPLE)}}}},
)
def export_changes(deps: Given, key: Admin, query: Annotated[_Narrowed, Query()]) -> StreamingResponse:
    """All of them, the newest first, as JSON Lines."""
    disposition = {"content-disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(_lines(deps, key.team, query), media_type=_LINES, headers=disposition)


def _lines(deps: Deps, team: str, narrowed: _Narrowed) -> Iterator[str]:
    before: int | None = None
    while found := deps.store.audit.page(
        team, thing=narrowed.thing, number=narrowed.number, since=narrowed.since, before=before, limit=_BATCH
    ):
        for change in found:
            yield json.dumps(ChangeOut.of(change).model_dump(mode="json"), ensure_ascii=False) + "\n"
        before = found[-1].id
