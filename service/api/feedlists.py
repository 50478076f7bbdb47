"""/v1/feeds/discover, export.opml and import: finding feeds, and taking lists of them in and out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.addresses import shown_address
from service.api.auth import Reader, Writer
from service.api.deps import Given
from service.api.problems import Kind, Refusal, invalid, shows
from service.api.texts import Line
from service.api.workshop import Text
from service.config import CssSelectors, JsonPaths
from service.domain.model import Paths, Problem, Selectors, ServiceError
from service.egress import check_url
from service.feedlists import export_list, import_list
from service.feeds.found import Found, Way
from service.feeds.opml import BadList

router = APIRouter(prefix="/feeds", tags=["feeds"])

OPML = "text/x-opml"
PATIENCE = 60.0
AT_ONCE = 2
MOST_PROBLEMS = 100


class DiscoverIn(BaseModel):
    """Where to look."""

    model_config = ConfigDict(extra="forbid")

    url: Line = Field(description="A site's address, or a page of it.")


class FoundOut(BaseModel):
    """A source that was tried and brought entries. `url` with `selectors` or `paths` is what `POST /v1/feeds` takes."""

    url: str
    way: Way
    title: str
    entries: int
    titles: list[str] = Field(description="Of the first entries.")
    selectors: CssSelectors | None
    paths: JsonPaths | None

    @classmethod
    def of(cls, found: Found) -> FoundOut:
        recipe = found.recipe
        return cls(
            url=found.url,
            way=found.way,
            title=found.title,
            entries=found.entries,
            titles=list(found.titles),
            selectors=CssSelectors(**asdict(recipe)) if isinstance(recipe, Selectors) else None,
            paths=JsonPaths(**asdict(recipe)) if isinstance(recipe, Paths) else None,
        )


class Discovered(BaseModel):
    """What could be polled there, the best first."""

    found: list[FoundOut]


_FOUND: Mapping[str, Any] = {
    "found": [
        {
            "url": "https://www.ecb.europa.eu/rss/press.xml",
            "way": "linked",
            "title": "ECB press releases",
            "entries": 15,
            "titles": ["ECB publishes decision"],
            "selectors": None,
            "paths": None,
        }
    ]
}


@router.post(
    "/discover",
    summary="Look for feeds at a site",
    responses=shows(200, _FOUND, Kind.ADDRESS_REFUSED, Kind.UNREACHABLE, Kind.TOO_LONG, Kind.TOO_MANY),
)
async def discover_feeds(
    request: Request,
    deps: Given,
    _: Writer,
    body: Annotated[
        DiscoverIn,
        Body(openapi_examples={"site": {"summary": "A site", "value": {"url": "https://www.ecb.europa.eu/press/"}}}),
    ],
) -> Discovered:
    """Its feeds, else its sitemaps and the lists of news on the page; each was tried. A minute is given."""
    if reason := check_url(body.url, deps.settings.egress.allow):
        raise invalid((Problem(where="url", what=reason),), Kind.ADDRESS_REFUSED)
    searching: asyncio.Semaphore = request.app.state.searching
    if searching.locked():
        raise Refusal(Kind.TOO_MANY, "other sites are being looked at; wait a little", headers={"retry-after": "30"})
    try:
        async with searching, asyncio.timeout(PATIENCE):
            found = await deps.discover(body.url)
    except TimeoutError as exc:
        detail = f"the site did not answer all questions in {PATIENCE:g} seconds; try the page that lists its news"
        raise Refusal(Kind.TOO_LONG, detail) from exc
    except ServiceError as exc:
        raise invalid((Problem(where="url", what=str(exc)),), Kind.UNREACHABLE) from exc
    return Discovered(found=[FoundOut.of(each) for each in found])


_LIST = '<opml version="2.0"><body><outline text="ECB" type="rss" xmlUrl="https://www.ecb.europa.eu/rss/press.xml"/></body></opml>'


@router.get(
    "/export.opml",
    summary="Export the feeds",
    response_class=Response,
    responses={200: {"content": {OPML: {"schema": {"type": "string"}, "example": _LIST}}}},
)
def export_feeds(deps: Given, _: Reader) -> Response:
    """Every feed that is polled as OPML 2.0. Passwords are not in it: what feeds are shown stays here."""
    disposition = {"content-disposition": 'attachment; filename="feeds.opml"'}
    return Response(export_list(deps.store), media_type=OPML, headers=disposition)


class ImportIn(BaseModel):
    """A list of feeds."""

    model_config = ConfigDict(extra="forbid")

    opml: Annotated[Text, Field(max_length=1_000_000)] = Field(description="An OPML document.")


class ImportOut(BaseModel):
    """What came of a list."""

    added: list[str] = Field(description="Addresses that are polled from now on.")
    known: int = Field(description="How many were polled already.")
    refused: list[str] = Field(description=f"Addresses that may not be polled, and why; {MOST_PROBLEMS} at most.")


_IMPORTED: Mapping[str, Any] = {
    "added": ["https://www.ecb.europa.eu/rss/press.xml"],
    "known": 3,
    "refused": ["list: Intranet: 10.1.2.3 is not a public address"],
}


@router.post("/import", summary="Import feeds", responses=shows(200, _IMPORTED, Kind.INVALID_REQUEST, Kind.TOO_LARGE))
def import_feeds(
    deps: Given,
    _: Writer,
    body: Annotated[ImportIn, Body(openapi_examples={"list": {"summary": "A list", "value": {"opml": _LIST}}})],
) -> ImportOut:
    """Add the feeds of a list, with its folders as tags. One that may not be polled costs no other."""
    try:
        done = import_list(deps.store, body.opml.encode(), deps.settings, shown="list", now=deps.now())
    except BadList as exc:
        raise invalid((Problem(where="opml", what=str(exc)),)) from exc
    return ImportOut(
        added=[shown_address(feed.url) for feed in done.added],
        known=done.known,
        refused=[f"{problem.where}: {problem.what}" for problem in done.problems[:MOST_PROBLEMS]],
    )
