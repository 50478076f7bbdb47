"""/v1/silences: what a team does not want to hear of for a while, who answers for it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.auth import Reader, Writer
from service.api.deps import Deps, Given
from service.api.pages import Page, Paging, cut, number_of
from service.api.problems import Kind, absent, declared, invalid, shows
from service.api.subscriptions import WatchBody
from service.api.texts import Id, Line, Moment, Name
from service.api.watches import watch_problems
from service.domain.model import Key, Problem, Silence

router = APIRouter(prefix="/silences", tags=["silences"])

NOUN = "silences"
LONGEST = timedelta(days=90)
"""A silence for good is a change of the subscription."""


class SilenceIn(BaseModel):
    """What is to be held back, until when, who answers for it and why."""

    model_config = ConfigDict(extra="forbid")

    owner: Name = Field(description="Who answers for it: a person or a desk.")
    reason: Annotated[Line, Field(min_length=1)] = Field(description="Why nobody needs to hear.")
    expires_at: Moment = Field(description=f"When it runs out: RFC 3339 with its zone, {LONGEST.days} days at most.")
    watch: WatchBody = Field(WatchBody.model_construct(), description="What it holds back; everything by default.")


class SilenceOut(BaseModel):
    """A silence of the team."""

    id: int
    owner: str
    reason: str
    watch: WatchBody
    made_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, silence: Silence) -> SilenceOut:
        return cls(
            id=silence.id,
            owner=silence.owner,
            reason=silence.reason,
            watch=WatchBody.of(silence.watch),
            made_at=silence.made_at,
            expires_at=silence.expires_at,
        )


_IN: Mapping[str, Any] = {
    "owner": "ana@bank.example.org",
    "reason": "known since the briefing of 1 March",
    "expires_at": "2026-03-09T12:00:00Z",
    "watch": WatchBody(jurisdictions=["KE"]).model_dump(mode="json"),
}
_EXAMPLE: Mapping[str, Any] = {**_IN, "id": 3, "made_at": "2026-03-02T12:00:00Z"}


@router.get("", summary="List silences", responses=shows(200, {"items": [_EXAMPLE], "next": None}, Kind.INVALID_CURSOR))
def list_silences(
    request: Request, response: Response, deps: Given, key: Reader, query: Annotated[Paging, Query()]
) -> Page[SilenceOut]:
    """The team's silences that have not run out, in the order in which they were made."""
    after = number_of(query, NOUN) or 0
    found = deps.store.silences.page(key.team, now=deps.now(), after=after, limit=query.limit + 1)
    kept, following = cut(found, paging=query, noun=NOUN, request=request, response=response, place=lambda s: s.id)
    return Page(items=[SilenceOut.of(silence) for silence in kept], next=following)


@router.post(
    "",
    summary="Silence something",
    status_code=201,
    responses=shows(201, _EXAMPLE, Kind.INVALID_REQUEST, Kind.TOO_LARGE),
)
def create_silence(
    deps: Given,
    key: Writer,
    response: Response,
    body: Annotated[SilenceIn, Body(openapi_examples={"country": {"summary": "A country for a week", "value": _IN}})],
) -> SilenceOut:
    """Matches are held back from now on and stand in the ledger as silenced; updates of what was told still go out."""
    now = deps.now()
    problems = list(watch_problems(body.watch.watch, deps.rulebook()))
    if not now < body.expires_at <= now + LONGEST:
        hint = f"name a time in the next {LONGEST.days} days, such as {(now + timedelta(days=7)).isoformat()}"
        problems.append(
            Problem(where="expires_at", what="a silence ends in the future, and not too far in it", hint=hint)
        )
    if problems:
        raise invalid(problems)
    made = deps.store.silences.add(
        team=key.team,
        owner=body.owner,
        reason=body.reason,
        watch=body.watch.watch,
        expires_at=body.expires_at,
        now=now,
    )
    response.headers["location"] = f"/v1/silences/{made.id}"
    return SilenceOut.of(made)


@router.get("/{silence_id}", summary="Read a silence", responses=shows(200, _EXAMPLE, Kind.NOT_FOUND))
def read_silence(deps: Given, key: Reader, silence_id: Id) -> SilenceOut:
    """A silence, also one that has run out: the ledger's reasons refer to it."""
    return SilenceOut.of(_own(deps, key, silence_id))


@router.delete("/{silence_id}", summary="End a silence", status_code=204, responses=declared(Kind.NOT_FOUND))
def delete_silence(deps: Given, key: Writer, silence_id: Id) -> None:
    """It runs out now; what it held back stays held back, and stays in the ledger."""
    silence = _own(deps, key, silence_id)
    deps.store.silences.end(silence.id, now=deps.now())


def _own(deps: Deps, key: Key, silence_id: int) -> Silence:
    silence = deps.store.silences.get(key.team, silence_id)
    if silence is None:
        raise absent("silence", silence_id)
    return silence
