"""/v1/entries: documents that did not come from a feed: a circular that came by mail, a page that somebody read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.api.auth import Writer
from service.api.deps import Given
from service.api.problems import Kind, invalid, shows
from service.api.texts import Code, Line, Moment, Name
from service.api.watches import jurisdiction_problems
from service.api.workshop import Spoken, Text
from service.domain.model import ParsedEntry, Tier
from service.storage.handed import Publisher, Taken

router = APIRouter(prefix="/entries", tags=["entries"])


class DocumentIn(BaseModel):
    """A document as somebody hands it in."""

    model_config = ConfigDict(extra="forbid")

    id: Name | None = Field(None, description="Your own id: what comes again under it is the same document.")
    title: Text = Field(min_length=1)
    text: Text = Field("", description="Plain text or HTML.")
    link: Line | None = Field(None, description="Where it can be read; an http(s) address.")
    source: Line = Field("", description="Who publishes it, as it is shown to readers.")
    tier: Tier = Field(Tier.UNKNOWN, description="How close the source is to the act.")
    jurisdiction: Code | None = Field(None, description="Whose news the source carries, if only one's.")
    language: Spoken | None = Field(None, description="Detected when it is left out.")
    published: Moment | None = Field(None, description="When it was published; now, when it is left out.")

    @field_validator("link")
    @classmethod
    def _leads_to_the_web(cls, link: str | None) -> str | None:
        if link and not link.startswith(("http://", "https://")):
            raise ValueError("is no http or https address")
        return link or None


class DocumentOut(BaseModel):
    """Where a document is now. Ask `POST /v1/rules/why-not` with its id what became of it."""

    id: int = Field(description="Id of its entry.")
    taken: Taken = Field(description="known: it was handed in before, with the same text.")


_IN = {
    "id": "circular-2026-14",
    "title": "Circular 14/2026 on licensing of crypto exchanges",
    "text": "The Agency has decided that crypto exchanges need a licence from 1 July 2026 on.",
    "source": "Agency for Regulation and Development of the Financial Market",
    "tier": "official",
    "jurisdiction": "KZ",
    "language": "en",
    "published": "2026-03-02T09:00:00Z",
}
_OUT: Mapping[str, Any] = {"id": 58, "taken": "new"}


@router.post(
    "",
    summary="Hand a document in",
    status_code=201,
    responses={**shows(201, _OUT, Kind.INVALID_REQUEST, Kind.TOO_LARGE), **shows(200, _OUT)},
)
async def hand_in(
    deps: Given,
    key: Writer,
    response: Response,
    body: Annotated[DocumentIn, Body(openapi_examples={"circular": {"summary": "A circular", "value": _IN}})],
) -> DocumentOut:
    """It goes the way of a feed's entry: read, matched, told, to every team whose subscriptions select it.

    The answer is 200 instead of 201 when it was handed in before, under the same `id` or else the same `link`; with
    another text it is read again.
    """
    given = {"jurisdiction": body.jurisdiction} if body.jurisdiction is not None else {}
    if problems := jurisdiction_problems(given, deps.rulebook()):
        raise invalid(problems)
    parsed = ParsedEntry(
        guid=body.id, link=body.link, title=body.title, content=body.text, published=body.published or deps.now()
    )
    publisher = Publisher(name=body.source, tier=body.tier, jurisdiction=body.jurisdiction, language=body.language)
    number, taken = await asyncio.to_thread(deps.store.handed.take, key.team, parsed, publisher, now=deps.now())
    if taken is not Taken.NEW:
        response.status_code = 200
    if taken is not Taken.KNOWN:
        deps.pushed()
    return DocumentOut(id=number, taken=taken)
