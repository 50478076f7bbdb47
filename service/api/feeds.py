"""/v1/feeds: the sources that are polled. All teams of an installation share them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.addresses import Address, read_address, shown_address
from service.api.auth import Reader, Writer
from service.api.deps import Deps, Given
from service.api.pages import Page, Paging, cut, number_of
from service.api.problems import Kind, Refusal, absent, declared, invalid, shows
from service.api.texts import Code, Id, Interval, Line, Shown
from service.api.watches import jurisdiction_problems
from service.config import Auth, CssSelectors, JsonPaths, Tags
from service.domain import polling
from service.domain.credentials import faults_in
from service.domain.model import (
    Feed,
    FeedState,
    FetchReason,
    FullText,
    GapFate,
    NoticeKind,
    Paths,
    Problem,
    Push,
    PushRefusal,
    PushState,
    Recipe,
    Selectors,
    SourceKind,
    Tier,
)
from service.domain.text import LANGUAGES, masked
from service.egress import check_url
from service.feeds.recipes import recipe_faults
from service.storage.feeds import NewFeed

router = APIRouter(prefix="/feeds", tags=["feeds"])

NOUN = "feeds"


class FeedChange(BaseModel):
    """What may be set about a feed. In a PATCH, null sets a field back to its default."""

    model_config = ConfigDict(extra="forbid")

    title: Line | None = Field(None, description="Name shown in alerts; the feed's own title by default.")
    interval: Interval | None = Field(
        None, description="How often to poll, from 1m to 7d; the operator's feeds.interval by default."
    )
    tier: Tier | None = Field(None, description="How close the source is to the acts it reports.")
    full_text: FullText | None = Field(None, description="Whether the entries' pages are fetched; auto by default.")
    jurisdiction: Code | None = Field(None, description="Whose news it carries (ISO 3166-1 alpha-2, EU, INTL).")
    language: str | None = Field(
        None, max_length=20, description=f"One of {', '.join(LANGUAGES)}; detected by default."
    )
    kind: SourceKind | None = Field(None, description="What publishes it.")
    tags: Tags | None = Field(None, max_length=50, description="Words of your own to find it by.")
    auth: Auth | None = Field(
        None, description="What its server wants to be shown. It is sealed, and no answer holds it: see `sends`."
    )
    selectors: CssSelectors | None = Field(None, description="For an HTML page that lists news.")
    paths: JsonPaths | None = Field(None, description="For a JSON API.")

    @property
    def recipe(self) -> Recipe | None:
        written = self.selectors or self.paths
        return written.recipe if written is not None else None


class FeedIn(FeedChange):
    """A feed to add."""

    url: str = Field(min_length=1, max_length=2000, description="Address of a feed, a sitemap, a list page or an API.")


class PushOut(BaseModel):
    """What was agreed with the feed's WebSub hub, and what came of it."""

    hub: str
    topic: str = Field(description="The feed's name at the hub.")
    state: PushState
    until: datetime | None = Field(description="Until when the hub has promised to push; renewed before.")
    problem: str | None = Field(description="Why there are no pushes.")
    taken: int = Field(description="Documents taken.")
    last_taken_at: datetime | None
    refused: int = Field(description="Documents that were not believed or could not be read.")
    last_refusal: PushRefusal | None

    @classmethod
    def of(cls, push: Push) -> PushOut:
        return cls(
            hub=push.hub,
            topic=push.topic,
            state=push.state,
            until=push.lease_until,
            problem=push.problem,
            taken=push.taken,
            last_taken_at=push.last_taken_at,
            refused=push.refused,
            last_refusal=push.last_refusal,
        )


class FeedOut(BaseModel):
    """A feed and how polling it goes."""

    id: int
    url: str = Field(description="Without user and password.")
    title: str
    state: FeedState
    reason: FetchReason | None = Field(description="Why the last poll brought nothing; null when it went well.")
    problem: str | None = Field(description="The same in words.")
    failures: int = Field(description="Polls that failed since the last that went well.")
    tier: Tier
    full_text: FullText
    jurisdiction: str | None
    language: str | None
    interval: Shown = Field(description="How often it is polled, such as 15m.")
    next_due_at: datetime = Field(description="When it is polled next.")
    last_polled_at: datetime | None
    last_ok_at: datetime | None
    entries: int = Field(description="Entries received from it.")
    managed: bool = Field(description="Whether the configuration file declares it; then it is changed there.")
    kind: str | None = Field(description="What publishes it, such as regulator or central-bank.")
    tags: list[str] = Field(description="Words to find it by; the folders it was imported under.")
    shown: str = Field(description="Its address for people: the host in its own script.")
    sends: list[str] = Field(description="Request headers that its server is shown; their values are in no answer.")
    address: str = Field(description="Where it is fetched from: differs from url once a new address was learned.")
    state_since: datetime | None = Field(description="When the state last changed.")
    last_news_at: datetime | None = Field(description="When its newest entry came out.")
    pace: Shown = Field(description="How often it is polled at present, by its rhythm and within limits of interval.")
    usual_pause: Shown | None = Field(description="The usual time between two of its entries; null until learned.")
    quiet_after: Shown = Field(description="Silence longer than this makes it quiet.")
    gaps: int = Field(description="Times at which entries may have come and gone unseen.")
    selectors: CssSelectors | None = Field(description="How entries are found on an HTML page; null for a feed.")
    paths: JsonPaths | None = Field(description="How entries are found in a JSON API; null for a feed.")
    push: PushOut | None = Field(description="What its WebSub hub pushes; null where it names no hub.")

    @classmethod
    def of(cls, feed: Feed, push: Push | None) -> FeedOut:
        return cls(
            id=feed.id,
            url=masked(feed.url),
            title=feed.title,
            state=feed.state,
            reason=feed.reason,
            problem=feed.problem,
            failures=feed.failures,
            tier=feed.tier,
            full_text=feed.full_text,
            jurisdiction=feed.jurisdiction,
            language=feed.language,
            interval=feed.interval,
            next_due_at=feed.next_due_at,
            last_polled_at=feed.last_polled_at,
            last_ok_at=feed.last_ok_at,
            entries=feed.entries,
            managed=feed.managed,
            kind=feed.kind,
            tags=list(feed.tags),
            shown=shown_address(feed.url),
            sends=list(feed.sends),
            address=masked(feed.address),
            state_since=feed.state_since,
            last_news_at=feed.last_news_at,
            pace=whole_seconds(polling.pace_of(feed)),
            usual_pause=whole_seconds(feed.rhythm.usual) if feed.rhythm else None,
            quiet_after=whole_seconds(polling.patience_with(feed.rhythm)),
            gaps=feed.gaps,
            selectors=CssSelectors(**asdict(feed.recipe)) if isinstance(feed.recipe, Selectors) else None,
            paths=JsonPaths(**asdict(feed.recipe)) if isinstance(feed.recipe, Paths) else None,
            push=PushOut.of(push) if push is not None else None,
        )


class NoticeOut(BaseModel):
    """Something about a feed that its owner should know."""

    at: datetime
    kind: NoticeKind
    detail: str = Field(description="The same in words.")


class GapOut(BaseModel):
    """A time in which entries of a feed may have come and gone unseen."""

    since: datetime = Field(description="The last poll that still joined up.")
    until: datetime = Field(description="The oldest entry of the poll that did not.")
    missing: int | None = Field(description="About how many entries, by the feed's rhythm; null when unknown.")
    opened_at: datetime
    fate: GapFate = Field(description="Whether it was filled from the feed's archive or the site's sitemaps.")
    recovered: int = Field(description="Entries of it that were found later.")
    detail: str = Field(description="The same in words.")


class FeedHealth(BaseModel):
    """A feed's story: what its owner was told, and its gaps; newest first, a hundred of each at most."""

    notices: list[NoticeOut]
    gaps: list[GapOut]


_EXAMPLE: Mapping[str, Any] = {
    "id": 4,
    "url": "https://www.ecb.europa.eu/rss/press.xml",
    "title": "ECB press releases",
    "state": "healthy",
    "reason": None,
    "problem": None,
    "failures": 0,
    "tier": "official",
    "full_text": "auto",
    "jurisdiction": "EU",
    "language": "en",
    "interval": "15m",
    "next_due_at": "2026-03-02T12:15:00Z",
    "last_polled_at": "2026-03-02T12:00:00Z",
    "last_ok_at": "2026-03-02T12:00:00Z",
    "entries": 15,
    "managed": False,
    "kind": "central-bank",
    "tags": ["frankfurt"],
    "shown": "https://www.ecb.europa.eu/rss/press.xml",
    "sends": [],
    "address": "https://www.ecb.europa.eu/rss/press.xml",
    "state_since": "2026-02-02T12:00:00Z",
    "last_news_at": "2026-03-02T10:00:00Z",
    "pace": "30m",
    "usual_pause": "5h",
    "quiet_after": "9d",
    "gaps": 0,
    "selectors": None,
    "paths": None,
    "push": {
        "hub": "https://hub.example.org/",
        "topic": "https://www.ecb.europa.eu/rss/press.xml",
        "state": "active",
        "until": "2026-03-10T12:00:00Z",
        "problem": None,
        "taken": 41,
        "last_taken_at": "2026-03-02T10:00:00Z",
        "refused": 0,
        "last_refusal": None,
    },
}
_HEALTH: Mapping[str, Any] = {
    "notices": [
        {
            "at": "2026-02-02T12:00:00Z",
            "kind": "recovered",
            "detail": "it was failing and is well again",
        }
    ],
    "gaps": [
        {
            "since": "2026-02-01T12:00:00Z",
            "until": "2026-02-01T19:00:00Z",
            "missing": 7,
            "opened_at": "2026-02-02T00:00:00Z",
            "fate": "filled",
            "recovered": 7,
            "detail": "what its site still offers joins up with what was known",
        }
    ],
}
_NEW = {
    "title": "",
    "state": "new",
    "next_due_at": "2026-03-02T12:00:00Z",
    "last_polled_at": None,
    "last_ok_at": None,
    "entries": 0,
    "sends": ["Authorization"],
    "state_since": None,
    "last_news_at": None,
    "pace": "15m",
    "usual_pause": None,
    "quiet_after": "45d",
    "push": None,
}


_WRITTEN_OTHERWISE = frozenset({"interval", "auth", "selectors", "paths"})


# --- routes -------------------------------------------------------------------------------------------------------


@router.get(
    "", summary="List the feeds", responses=shows(200, {"items": [_EXAMPLE], "next": None}, Kind.INVALID_CURSOR)
)
def list_feeds(
    request: Request, response: Response, deps: Given, _: Reader, query: Annotated[Paging, Query()]
) -> Page[FeedOut]:
    """Every feed that is polled, in the order in which they were added."""
    found = deps.store.feeds.page(after=number_of(query, NOUN) or 0, limit=query.limit + 1)
    kept, following = cut(found, paging=query, noun=NOUN, request=request, response=response, place=lambda f: f.id)
    pushes = deps.store.pushes.of([feed.id for feed in kept])
    return Page(items=[FeedOut.of(feed, pushes.get(feed.id)) for feed in kept], next=following)


@router.post(
    "",
    summary="Add a feed",
    status_code=201,
    responses=shows(
        201, {**_EXAMPLE, **_NEW}, Kind.FEED_EXISTS, Kind.INVALID_REQUEST, Kind.ADDRESS_REFUSED, Kind.TOO_LARGE
    ),
)
def create_feed(
    deps: Given,
    _: Writer,
    response: Response,
    body: Annotated[
        FeedIn,
        Body(
            openapi_examples={
                "least": {"summary": "Only the address", "value": {"url": "https://www.ecb.europa.eu/rss/press.xml"}},
                "all": {
                    "summary": "With what is known about it",
                    "value": {
                        "url": "https://www.ecb.europa.eu/rss/press.xml",
                        "title": "ECB press releases",
                        "interval": "15m",
                        "tier": "official",
                        "full_text": "auto",
                        "jurisdiction": "EU",
                        "language": "en",
                        "kind": "central-bank",
                        "tags": ["frankfurt"],
                        "auth": {"user": "desk", "password": "…"},
                    },
                },
            }
        ),
    ],
) -> FeedOut:
    """It is polled at once. Entries older than `feeds.look_back` are stored and raise no alert."""
    _check(body, deps)
    address = _checked_address(body, deps)
    url = address.url
    new = NewFeed(
        url=url,
        title=body.title or "",
        interval=body.interval or deps.settings.feeds.interval,
        tier=body.tier or Tier.UNKNOWN,
        full_text=body.full_text or FullText.AUTO,
        jurisdiction=body.jurisdiction,
        language=body.language,
        recipe=body.recipe,
        kind=body.kind,
        tags=body.tags or (),
        headers=address.headers,
    )
    feed = deps.store.feeds.add(new, now=deps.now())
    if feed is None:
        raise Refusal(
            Kind.FEED_EXISTS,
            f"{url} is polled already",
            (Problem(where="url", what="there is a feed of this address"),),
        )
    response.headers["location"] = f"/v1/feeds/{feed.id}"
    return _shown(deps, feed.id)


@router.get("/{feed_id:id}", summary="Read a feed", responses=shows(200, _EXAMPLE, Kind.NOT_FOUND))
def read_feed(deps: Given, _: Reader, feed_id: Id) -> FeedOut:
    """How polling it goes, and if it does not go, why."""
    return _shown(deps, feed_id)


@router.get("/{feed_id:id}/health", summary="Read a feed's story", responses=shows(200, _HEALTH, Kind.NOT_FOUND))
def read_feed_health(deps: Given, _: Reader, feed_id: Id) -> FeedHealth:
    """Trouble, silence, moves and gaps as they were noticed, and their ends."""
    _own(deps, feed_id)
    return FeedHealth(
        notices=[NoticeOut(at=n.at, kind=n.kind, detail=n.detail) for n in deps.store.feeds.notices(feed_id)],
        gaps=[
            GapOut(
                since=g.gap.since,
                until=g.gap.until,
                missing=g.gap.missing,
                opened_at=g.opened_at,
                fate=g.fate,
                recovered=g.recovered,
                detail=g.detail,
            )
            for g in deps.store.feeds.gaps(feed_id)
        ],
    )


@router.patch(
    "/{feed_id:id}",
    summary="Change a feed",
    responses=shows(200, _EXAMPLE, Kind.NOT_FOUND, Kind.MANAGED, Kind.INVALID_REQUEST, Kind.TOO_LARGE),
)
def update_feed(
    deps: Given,
    _: Writer,
    feed_id: Id,
    body: Annotated[
        FeedChange,
        Body(
            openapi_examples={
                "slower": {"summary": "Poll twice a day", "value": {"interval": "12h"}},
                "default": {"summary": "Back to the defaults", "value": {"interval": None, "title": None}},
            }
        ),
    ],
) -> FeedOut:
    """Only the fields that are sent change; null sets one back to its default."""
    feed = _changeable(deps, feed_id)
    _check(body, deps)
    values: dict[str, object] = {name: getattr(body, name) for name in body.model_fields_set - _WRITTEN_OTHERWISE}
    for name, default in (("title", ""), ("tier", Tier.UNKNOWN), ("full_text", FullText.AUTO), ("tags", [])):
        if name in values and values[name] is None:
            values[name] = default
    if "interval" in body.model_fields_set:
        interval: timedelta = body.interval or deps.settings.feeds.interval
        values["interval_seconds"] = interval.total_seconds()
        # A feed that was polled once a week is not to wait a week for its new interval.
        values["next_due_at"] = min(feed.next_due_at, deps.now() + interval)
    if body.model_fields_set & {"selectors", "paths"}:
        # The same document says something else now: it is asked for whole, and read.
        values |= {"selectors": asdict(body.recipe) if body.recipe else None, "next_due_at": deps.now()}
        values |= {"body_hash": None, "etag": None, "last_modified": None}
    if "tags" in values:
        values["tags"] = list(body.tags or ())
    if "auth" in body.model_fields_set:
        values["next_due_at"] = deps.now()  # whoever gives a password wants to see that it is right
        deps.store.feeds.credentials.put(feed_id, body.auth.given if body.auth is not None else ())
    deps.store.feeds.change(feed_id, now=deps.now(), **values)
    return _shown(deps, feed_id)


@router.delete(
    "/{feed_id:id}", summary="Stop polling a feed", status_code=204, responses=declared(Kind.NOT_FOUND, Kind.MANAGED)
)
def delete_feed(deps: Given, _: Writer, feed_id: Id) -> None:
    """Its entries and alerts stay: somebody may have to account for them."""
    _changeable(deps, feed_id)
    deps.store.feeds.remove(feed_id, now=deps.now())


@router.post(
    "/{feed_id:id}/poll", summary="Poll a feed now", status_code=202, responses=shows(202, _EXAMPLE, Kind.NOT_FOUND)
)
def poll_feed(deps: Given, _: Writer, feed_id: Id) -> FeedOut:
    """Makes it due at once; read it again a little later to see what came of it."""
    _own(deps, feed_id)
    deps.store.feeds.poll_now(feed_id, now=deps.now())
    return _shown(deps, feed_id)


# --- checks -------------------------------------------------------------------------------------------------------


def _own(deps: Deps, feed_id: int) -> Feed:
    feed = deps.store.feeds.get(feed_id)
    if feed is None:
        raise absent("feed", feed_id)
    return feed


def _shown(deps: Deps, feed_id: int) -> FeedOut:
    return FeedOut.of(_own(deps, feed_id), deps.store.pushes.of([feed_id]).get(feed_id))


def _changeable(deps: Deps, feed_id: int) -> Feed:
    feed = _own(deps, feed_id)
    if feed.managed:
        raise Refusal(Kind.MANAGED, "change this feed under feeds.sources in the configuration file, and restart")
    return feed


def _check(body: FeedChange, deps: Deps) -> None:
    problems: list[Problem] = []
    if body.jurisdiction is not None:
        problems += jurisdiction_problems({"jurisdiction": body.jurisdiction}, deps.rulebook())
    if body.language is not None and body.language not in LANGUAGES:
        known = f"one of {', '.join(LANGUAGES)}"
        problems.append(Problem(where="language", what=f"unknown language {body.language!r}", hint=known))
    if body.selectors is not None and body.paths is not None:
        problems.append(Problem(where="paths", what="a source is an HTML page (selectors) or a JSON API (paths)"))
    if body.recipe is not None:
        key = "selectors" if body.selectors is not None else "paths"
        problems += [Problem(where=f"{key}.{name}", what=said) for name, said in recipe_faults(body.recipe)]
    if problems:
        raise invalid(problems)


def _checked_address(body: FeedIn, deps: Deps) -> Address:
    """The address in the form in which it is stored from everywhere, so that one feed is not polled twice, and what its
    server is to be shown: by the request, or by the address itself."""
    given = body.auth.given if body.auth is not None else ()
    reason = check_url(body.url, deps.settings.egress.allow)
    if reason is None:
        try:
            address = read_address(body.url)
        except ValueError as exc:
            reason = str(exc)
        else:
            address = Address(url=address.url, headers=(*given, *address.headers))
            reason = check_url(address.url, deps.settings.egress.allow) or next(faults_in(address.headers), None)
    if reason is not None:
        raise invalid((Problem(where="url", what=reason),), Kind.ADDRESS_REFUSED)
    return address


def whole_seconds(span: timedelta) -> timedelta:
    return timedelta(seconds=round(span.total_seconds()))
