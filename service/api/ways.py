"""Ways out: a subscription's alerts as Atom, JSON Feed and calendar, for whoever knows the address.

The address is the secret: it is told once, stored as a digest, and kept out of logs, indexes and referrers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from service.api.auth import Writer
from service.api.deps import Deps, Given
from service.api.problems import Kind, absent, declared, shows
from service.api.rates import Rates
from service.api.texts import Id
from service.delivery.calendar import calendar
from service.delivery.syndication import Channel, atom, items_of, json_feed
from service.delivery.words import words_of
from service.storage.ways import Way

PATH = "/feeds/"
MOST_ALERTS = 50
MOST_DAYS = 500
DAYS_KEPT = timedelta(days=90)
RATE = 60
"""Requests a minute under one token; whoever guesses shares one such bucket with all who do."""

router = APIRouter(prefix="/subscriptions", tags=["subscriptions"])
public = APIRouter(prefix=PATH.rstrip("/"), tags=["ways out"])


class FeedToken(BaseModel):
    """The addresses of a subscription's feeds. Whoever knows one reads them without a key."""

    token: str = Field(description="Shown this once.")
    atom: str = Field(description="As Atom, for feed readers.")
    json_feed: str = Field(description="As JSON Feed, for programs.")
    calendar: str = Field(description="As iCalendar: the days on which something takes effect or comments are due.")


_TOKEN = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo"
_AT = f"https://policywatch.example.org{PATH}{_TOKEN}"
_EXAMPLE = {"token": _TOKEN, "atom": f"{_AT}.atom", "json_feed": f"{_AT}.json", "calendar": f"{_AT}.ics"}


@router.post(
    "/{subscription_id}/feed-token",
    summary="Make or replace a subscription's feed address",
    status_code=201,
    responses=shows(201, _EXAMPLE, Kind.NOT_FOUND),
)
def make_feed_token(request: Request, deps: Given, key: Writer, subscription_id: Id) -> FeedToken:
    """The old address ends at once; what a reader has read already it knows again under the new one."""
    token = deps.store.ways.open(key.team, subscription_id, random=deps.random, now=deps.now())
    if token is None:
        raise absent("subscription", subscription_id)
    at = f"{_base(request, deps)}{PATH}{token.reveal()}"
    return FeedToken(token=token.reveal(), atom=f"{at}.atom", json_feed=f"{at}.json", calendar=f"{at}.ics")


@router.delete(
    "/{subscription_id}/feed-token",
    summary="End a subscription's feed address",
    status_code=204,
    responses=declared(Kind.NOT_FOUND),
)
def delete_feed_token(deps: Given, key: Writer, subscription_id: Id) -> None:
    """From now on it answers 404."""
    if not deps.store.ways.close(key.team, subscription_id, now=deps.now()):
        raise absent("feed token of subscription", subscription_id)


# --- without a key ------------------------------------------------------------------------------------------------


def _document(media_type: str, example: object) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "object" if media_type.endswith("json") else "string"}
    answer = {"content": {media_type: {"schema": schema, "example": example}}}
    return {**declared(Kind.NOT_FOUND, Kind.TOO_MANY), 200: answer}


_ATOM, _JSON, _ICS = "application/atom+xml", "application/feed+json", "text/calendar"


@public.get(
    "/{token}.atom",
    summary="A subscription as Atom",
    response_class=Response,
    responses=_document(_ATOM, '<feed xmlns="http://www.w3.org/2005/Atom">…</feed>'),
)
async def read_atom(request: Request, deps: Given, token: str) -> Response:
    """The 50 alerts that changed last, with evidence and sources (RFC 4287). No key: the address is the secret."""
    return await _answer(request, deps, token, _ATOM, _as_atom)


@public.get(
    "/{token}.json",
    summary="A subscription as JSON Feed",
    response_class=Response,
    responses=_document(_JSON, {"version": "https://jsonfeed.org/version/1.1", "items": []}),
)
async def read_json_feed(request: Request, deps: Given, token: str) -> Response:
    """The same as JSON Feed 1.1."""
    return await _answer(request, deps, token, _JSON, _as_json)


@public.get(
    "/{token}.ics",
    summary="A subscription's days as iCalendar",
    response_class=Response,
    responses=_document(_ICS, "BEGIN:VCALENDAR…"),
)
async def read_calendar(request: Request, deps: Given, token: str) -> Response:
    """The days that its alerts name, from 90 days ago on (RFC 5545): taking effect, and comments due."""
    return await _answer(request, deps, token, _ICS, _as_calendar)


Writing = Callable[[Deps, Way, Channel], bytes]


async def _answer(request: Request, deps: Deps, token: str, media_type: str, write: Writing) -> Response:
    way = await asyncio.to_thread(deps.store.ways.find, token)
    rates = request.app.state.feed_rates
    assert isinstance(rates, Rates)
    rates.spend(way.subscription_id if way is not None else 0, deps.now())
    if way is None:
        raise absent("feed", "of this address")
    url = f"{_base(request, deps)}{request.url.path}"
    channel = Channel(seed=way.seed, subscription=way.subscription, team=way.team, url=url, made_at=way.made_at)
    body = await asyncio.to_thread(write, deps, way, channel)
    headers = {
        "cache-control": "private, max-age=60",
        "x-robots-tag": "noindex, nofollow, noarchive",
        "referrer-policy": "no-referrer",
    }
    return Response(body, media_type=f"{media_type}; charset=utf-8", headers=headers)


def _as_atom(deps: Deps, way: Way, channel: Channel) -> bytes:
    alerts = deps.store.ways.alerts(way.subscription_id, limit=MOST_ALERTS)
    return atom(channel, items_of(alerts, channel, words_of(way.language)))


def _as_json(deps: Deps, way: Way, channel: Channel) -> bytes:
    alerts = deps.store.ways.alerts(way.subscription_id, limit=MOST_ALERTS)
    return json_feed(channel, items_of(alerts, channel, words_of(way.language)))


def _as_calendar(deps: Deps, way: Way, channel: Channel) -> bytes:
    since = (deps.now() - DAYS_KEPT).date()
    days = deps.store.ways.dates(way.subscription_id, since=since, limit=MOST_DAYS)
    return calendar(channel, days, words_of(way.language))


def _base(request: Request, deps: Deps) -> str:
    return (deps.settings.api.public_url or str(request.base_url)).rstrip("/")
