"""Lists a page at a time: the cursor a client hands back, the page it gets, and the Link header (RFC 8288)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.problems import Kind, Refusal

MAX_ID = 2**31 - 1
"""What fits the databases' id columns."""

T = TypeVar("T")


class Paging(BaseModel):
    """What a list is asked for; an unknown parameter is an error, not silence."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="Most items on a page.")
    cursor: str | None = Field(None, max_length=500, description="`next` of the page before; leave out for the first.")


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


def place_of(paging: Paging, noun: str) -> str | None:
    """What the cursor of a list of `noun` says: the id to continue from; None without a cursor."""
    if paging.cursor is None:
        return None
    try:
        raw = base64.b64decode(paging.cursor + "=" * (-len(paging.cursor) % 4), altchars=b"-_", validate=True)
        kind, colon, place = raw.decode().partition(":")
    except (binascii.Error, ValueError):
        kind, colon, place = "", "", ""
    if kind != noun or not colon or not place:
        raise _foreign(noun)
    return place


def number_of(paging: Paging, noun: str) -> int | None:
    """`place_of` for lists whose ids are numbers."""
    place = place_of(paging, noun)
    if place is None:
        return None
    if not (place.isascii() and place.isdecimal() and len(place) <= 10 and 0 < int(place) <= MAX_ID):
        raise _foreign(noun)
    return int(place)


def cut(
    found: Sequence[T], *, paging: Paging, noun: str, request: Request, response: Response, place: Callable[[T], object]
) -> tuple[Sequence[T], str | None]:
    """The items of this page and the cursor of the next; `found` holds one item more when there is a next page."""
    kept = found[: paging.limit]
    if len(found) <= paging.limit:
        return kept, None
    cursor = base64.urlsafe_b64encode(f"{noun}:{place(kept[-1])}".encode()).decode().rstrip("=")
    url = request.url.include_query_params(cursor=cursor)
    response.headers["link"] = f'<{url.path}?{url.query}>; rel="next"'
    return kept, cursor


def _foreign(noun: str) -> Refusal:
    return Refusal(Kind.INVALID_CURSOR, f"use `next` of a page of {noun} as it was given, or leave the cursor out")
