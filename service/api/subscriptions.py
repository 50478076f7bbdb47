"""/v1/subscriptions: who wants which alerts, and where. Addresses go in whole and come out masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from anyio import from_thread
from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from service.api.auth import Reader, Writer
from service.api.channels import checked_channel
from service.api.deps import Deps, Given
from service.api.etags import named
from service.api.pages import Page, Paging, cut, number_of
from service.api.previews import SHOWN, PreviewOut, previewed
from service.api.problems import Kind, Refusal, absent, declared, invalid, shows
from service.api.texts import Code, Expression, Id, Moment, Name, Overlap, Span
from service.api.watches import match_problems, timing_problems, watch_problems
from service.api.workshop import workshop_of
from service.config import WhenSettings
from service.delivery.signing import OVERLAP, new_keys, public_key
from service.domain.model import (
    Action,
    Channel,
    ChannelKind,
    Direction,
    DisabledReason,
    Exclusion,
    Invalid,
    Key,
    Language,
    Notices,
    Problem,
    RouteReason,
    Schedule,
    Severity,
    Stage,
    Subscription,
    Tier,
    Topic,
    Watch,
)
from service.domain.own import MAX_EXPRESSIONS, MAX_OF_TEAM, written
from service.storage.subscriptions import NameTaken, NewChannel, NewSubscription, SavedSubscription, Stale, tag

router = APIRouter(prefix="/subscriptions", tags=["subscriptions"])

NOUN = "subscriptions"
MAX_CHANNELS = 20

IfMatch = Annotated[
    str | None, Header(max_length=1000, description="The ETag that was read: refuse if it has changed.")
]

_A_MONTH = timedelta(days=30)

# --- what goes in and out -----------------------------------------------------------------------------------------


class ExcludeBody(BaseModel):
    """What a subscription does not want, whatever else it selects."""

    model_config = ConfigDict(extra="forbid")

    jurisdictions: list[Code] = Field([], max_length=300, description="Codes such as KZ, HK, EU, INTL.")
    groups: list[Name] = Field([], max_length=50, description="Groups of jurisdictions such as gcc.")
    topics: list[Topic] = Field([], max_length=50, description="Topics such as mining.")
    actions: list[Action] = Field([], max_length=50, description="Actions such as statistics.")
    rules: list[Name] = Field([], max_length=100, description="Rule ids, or patterns such as cn-*.")

    @property
    def exclusion(self) -> Exclusion:
        return Exclusion(**{name: tuple(dict.fromkeys(getattr(self, name))) for name in _EXCLUDED})

    @classmethod
    def of(cls, exclusion: Exclusion) -> ExcludeBody:
        lists: dict[str, Any] = {name: list(getattr(exclusion, name)) for name in _EXCLUDED}
        return cls.model_construct(**lists)


_EXCLUDED = tuple(ExcludeBody.model_fields)
_NOTHING = ExcludeBody()


class WatchBody(BaseModel):
    """What a subscription selects; an empty list means any."""

    model_config = ConfigDict(extra="forbid")

    jurisdictions: list[Code] = Field([], max_length=300, description="Codes such as KZ, HK, EU, INTL.")
    topics: list[Topic] = Field([], max_length=50, description="Topics such as stablecoin.")
    actions: list[Action] = Field([], max_length=50, description="Actions such as licensing.")
    rules: list[Name] = Field([], max_length=100, description="Rule ids, or patterns such as cn-*.")
    min_severity: Severity = Field(Severity.INFO, description="Quietest severity that is sent.")
    groups: list[Name] = Field([], max_length=50, description="Groups of jurisdictions such as gcc, Central Asia.")
    stages: list[Stage] = Field([], max_length=20, description="Stages such as in-force.")
    directions: list[Direction] = Field([], max_length=5, description="Directions such as tightening.")
    tiers: list[Tier] = Field([], max_length=10, description="Tiers of the sources: official, wire, trade, blog.")
    languages: list[Name] = Field([], max_length=50, description="Languages of the reports: en, zh-Hans, ko …")
    tags: list[Name] = Field([], max_length=50, description="Tags of the feeds.")
    packs: list[Name] = Field([], max_length=50, description="Packs of rules such as digital-assets, beside `rules`.")
    exclude: ExcludeBody = Field(_NOTHING, description="What is left out of all that.")

    @property
    def watch(self) -> Watch:
        lists = {name: tuple(dict.fromkeys(getattr(self, name))) for name in _WATCHED}
        return Watch(min_severity=self.min_severity, exclude=self.exclude.exclusion, **lists)

    @classmethod
    def of(cls, watch: Watch) -> WatchBody:
        # Without validation: the configuration file may hold what a request may not.
        lists: dict[str, Any] = {name: list(getattr(watch, name)) for name in _WATCHED}
        return cls.model_construct(min_severity=watch.min_severity, exclude=ExcludeBody.of(watch.exclude), **lists)


_WATCHED = tuple(name for name in WatchBody.model_fields if name not in ("min_severity", "exclude"))


class ChannelIn(BaseModel):
    """An address with a schedule of its own."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(description="As it would stand alone.")
    schedule: Schedule | None = Field(None, description="When it hears; null: as the subscription says.")


_MUTES = "Hold back rumours of an act that an official text has told of in the last 7 days."
_NOTICES = "What it hears about the feeds themselves: off, gaps, all, or only (no alerts)."
_LANGUAGE = "Of our own words in its messages; titles and evidence stay as they were published."
_WHEN = "When: at once or in digests, quiet hours, budget and escalation."
_AT_ONCE = WhenSettings()
_MATCH = (
    "Rules of its own, each as the `match` of a rule: `Kazakhstan + reserve`. Nobody else hears of them. With them, of "
    "the rules that all share it hears of those that `watch` names in `rules` or `packs`."
)
Expressions = Annotated[list[Expression], Field(max_length=MAX_EXPRESSIONS)]
Addresses = Annotated[list[str | ChannelIn], Field(max_length=MAX_CHANNELS)]
_ADDRESSES = (
    "Where to: https://… (a signed webhook), mailto:desk@example.org, or an Apprise URL. "
    "A masked address, as an answer shows it, stands for that channel of this subscription, with its schedule."
)


class SubscriptionIn(BaseModel):
    """A subscription as a whole."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="Unique within the team.")
    watch: WatchBody = Field(WatchBody.model_construct(), description="What it selects; everything by default.")
    channels: Addresses = Field([], description=_ADDRESSES)
    active: StrictBool = Field(True, description="Set to false to silence it.")
    mute_rumours: StrictBool = Field(False, description=_MUTES)
    notices: Notices = Field(Notices.GAPS, description=_NOTICES)
    language: Language = Field(Language.ENGLISH, description=_LANGUAGE)
    when: WhenSettings = Field(_AT_ONCE, description=_WHEN)
    match: Expressions = Field([], description=_MATCH)


class SubscriptionChange(BaseModel):
    """The fields of a subscription that change; what is left out (or null) stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description="Unique within the team.")
    watch: WatchBody | None = Field(None, description="What it selects, as a whole.")
    channels: Addresses | None = Field(None, description=_ADDRESSES)
    active: StrictBool | None = Field(None, description="Set to false to silence it.")
    mute_rumours: StrictBool | None = Field(None, description=_MUTES)
    notices: Notices | None = Field(None, description=_NOTICES)
    language: Language | None = Field(None, description=_LANGUAGE)
    when: WhenSettings | None = Field(None, description=f"{_WHEN} As a whole.")
    match: Expressions | None = Field(None, description=f"{_MATCH} As a whole.")


class ChannelOut(BaseModel):
    """A destination."""

    id: int
    kind: ChannelKind
    address: str = Field(description="Its address, masked.")
    schedule: Schedule | None = Field(description="Its own, if it has one; else it hears as the subscription says.")
    unsubscribed_at: datetime | None = Field(
        description="Since when it hears no more because its reader unsubscribed it; null where nobody did."
    )
    secret: str | None = Field(
        description="The signing secret of a webhook, in the answer to the request that first named it; else null."
    )
    public_key: str | None = Field(
        description="What checks the v1a signatures of a webhook (Ed25519); null for other kinds, and for a webhook "
        "made before there were such until its keys are rotated."
    )
    failing_since: datetime | None = Field(description="Its first failure since it last accepted a message.")
    disabled_at: datetime | None = Field(description="Since when nothing is sent to it; what comes is kept.")
    disabled_because: DisabledReason | None = Field(
        description="gone: it answered 410; failing: nothing but failures for five days."
    )


class SubscriptionOut(BaseModel):
    """A subscription of the team."""

    id: int
    name: str
    watch: WatchBody
    channels: list[ChannelOut]
    active: bool
    mute_rumours: bool = Field(description=_MUTES)
    notices: Notices = Field(description=_NOTICES)
    language: Language = Field(description=_LANGUAGE)
    when: WhenSettings = Field(description=_WHEN)
    match: list[str] = Field(description=_MATCH)
    managed: bool = Field(description="Whether the configuration file declares it; then it is changed there.")
    created_at: datetime

    @classmethod
    def of(cls, subscription: Subscription, *, new: frozenset[int] = frozenset()) -> SubscriptionOut:
        """`new` are the channels whose secrets are told: this once."""
        return cls(
            id=subscription.id,
            name=subscription.name,
            watch=WatchBody.of(subscription.watch),
            channels=[_channel(channel, subscription, told=channel.id in new) for channel in subscription.channels],
            active=subscription.active,
            mute_rumours=subscription.mute_rumours,
            notices=subscription.notices,
            language=subscription.language,
            when=WhenSettings.of(subscription.timing),
            match=list(subscription.match),
            managed=subscription.managed,
            created_at=subscription.created_at,
        )


class Rotation(BaseModel):
    """How a webhook's keys are to be replaced."""

    model_config = ConfigDict(extra="forbid")

    overlap: Overlap = Field(
        OVERLAP, description="How long the old keys sign beside the new ones; 0s: no longer at all."
    )


_IN_A_DAY = Rotation.model_validate({})


class Enabling(BaseModel):
    """How a disabled channel is to be taken up again."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(
        None,
        description="What is older and still waits is dropped: it is dead, and can be replayed. Null: all is sent.",
    )


_ALL = Enabling.model_validate({})


class EnabledOut(BaseModel):
    """What enabling a channel did."""

    waiting: int = Field(description="Messages that are sent now.")
    dropped: int = Field(description="Messages older than `since`: dead, listed, and replayable.")


class TestDelivery(BaseModel):
    """A test message on its way."""

    id: int = Field(description="Read it at /v1/deliveries/{id} to see what came of it.")
    channel_id: int
    address: str = Field(description="The channel's address, masked.")


class TestsOut(BaseModel):
    """One test message for each channel."""

    deliveries: list[TestDelivery]


class LedgerSumOut(BaseModel):
    """How a subscription's matches ended: `matches` are `delivered` and the sum of `suppressed`."""

    matches: int
    delivered: int
    suppressed: dict[RouteReason, int] = Field(description="Those held back, by reason.")
    missing: int = Field(description="Matches without an end: 0, or the ledger has a hole.")


_LEDGER: Mapping[str, Any] = {
    "matches": 181,
    "delivered": 6,
    "suppressed": {"already_told": 160, "below_severity": 12, "silenced": 3},
    "missing": 0,
}


def _channel(channel: Channel, subscription: Subscription, *, told: bool) -> ChannelOut:
    current = channel.keys[0] if channel.keys else None
    return ChannelOut(
        id=channel.id,
        kind=channel.kind,
        address=channel.shown,
        schedule=subscription.schedules.get(channel.id),
        unsubscribed_at=subscription.unsubscribed.get(channel.id),
        secret=current.secret.reveal() if told and current else None,
        public_key=public_key(current.private) if current and current.private else None,
        failing_since=channel.health.failing_since,
        disabled_at=channel.health.disabled_at,
        disabled_because=channel.health.disabled_because,
    )


_IN: Mapping[str, Any] = {
    "name": "central-asia",
    "watch": WatchBody(
        groups=["central-asia"],
        topics=[Topic.STABLECOIN, Topic.EXCHANGE],
        exclude=ExcludeBody(actions=[Action.STATISTICS]),
        min_severity=Severity.MEDIUM,
    ).model_dump(mode="json"),
    "channels": ["https://grc.example.org/hook", {"address": "mailto:desk@example.org", "schedule": "daily"}],
    "active": True,
    "mute_rumours": False,
    "notices": "gaps",
    "language": "en",
    "when": {
        "schedule": "immediate",
        "at": "08:00",
        "on": "mon",
        "zone": "Asia/Almaty",
        "quiet": "22:00-07:00",
        "budget": 10,
        "urgent": "critical",
        "escalate_after": None,
    },
    "match": [],
}
_EXAMPLE: Mapping[str, Any] = {
    **_IN,
    "id": 7,
    "channels": [
        {
            "id": 3,
            "kind": "webhook",
            "address": "https://grc.example.org/hook",
            "schedule": None,
            "unsubscribed_at": None,
            "secret": None,
            "public_key": "whpk_GcAMfiHwRGPmwyKVFS5S1pnBKtEbLtZv4hMFV8Yk3pA=",
            "failing_since": None,
            "disabled_at": None,
            "disabled_because": None,
        },
        {
            "id": 4,
            "kind": "email",
            "address": "mailto:desk@example.org",
            "schedule": "daily",
            "unsubscribed_at": None,
            "secret": None,
            "public_key": None,
            "failing_since": None,
            "disabled_at": None,
            "disabled_because": None,
        },
    ],
    "managed": False,
    "created_at": "2026-03-02T12:00:00Z",
}
_CREATED = {
    **_EXAMPLE,
    "channels": [
        {**_EXAMPLE["channels"][0], "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="},
        _EXAMPLE["channels"][1],
    ],
}
_TESTS = {
    "deliveries": [
        {"id": 40, "channel_id": 3, "address": "https://grc.example.org/hook"},
        {"id": 41, "channel_id": 4, "address": "mailto:desk@example.org"},
    ]
}
_ROTATED = {**_CREATED["channels"][0], "secret": "whsec_kHN6CzQ2MIfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMf="}
_FAULTS = (Kind.NAME_TAKEN, Kind.INVALID_REQUEST, Kind.INVALID_CHANNEL, Kind.TOO_LARGE)

# --- routes -------------------------------------------------------------------------------------------------------


@router.get(
    "", summary="List subscriptions", responses=shows(200, {"items": [_EXAMPLE], "next": None}, Kind.INVALID_CURSOR)
)
def list_subscriptions(
    request: Request, response: Response, deps: Given, key: Reader, query: Annotated[Paging, Query()]
) -> Page[SubscriptionOut]:
    """The team's subscriptions, in the order in which they were made."""
    found = deps.store.subscriptions.page(key.team, after=number_of(query, NOUN) or 0, limit=query.limit + 1)
    kept, following = cut(found, paging=query, noun=NOUN, request=request, response=response, place=lambda s: s.id)
    return Page(items=[SubscriptionOut.of(subscription) for subscription in kept], next=following)


@router.post(
    "",
    summary="Subscribe",
    status_code=201,
    response_model=SubscriptionOut,
    responses={
        **shows(201, _CREATED, *_FAULTS, Kind.TOO_LONG, Kind.TOO_MANY),
        200: {
            "model": PreviewOut,
            "description": "With dry_run: what it would have heard",
            "content": {"application/json": {"example": SHOWN}},
        },
    },
)
def create_subscription(
    request: Request,
    deps: Given,
    key: Writer,
    response: Response,
    body: Annotated[
        SubscriptionIn,
        Body(
            openapi_examples={
                "watchlist": {"summary": "Five countries, to a webhook and by mail", "value": _IN},
                "rules": {
                    "summary": "Whatever some rules find",
                    "value": {"name": "china", "watch": {"rules": ["cn-*"]}, "channels": ["slack://A/B/C/#policy"]},
                },
                "own": {
                    "summary": "What no rule looks for yet",
                    "value": {
                        "name": "reserves",
                        "match": ["Kazakhstan + reserve"],
                        "channels": ["mailto:treasury@example.org"],
                    },
                },
            }
        ),
    ],
    dry_run: Annotated[bool, Query(description="Store nothing; answer what it would have heard.")] = False,
    since: Annotated[Span | None, Query(description="With dry_run: how far back to look; 30 days by default.")] = None,
) -> SubscriptionOut | Response:
    """The signing secret of a webhook that the team has not used before is in the answer, this once.

    With `dry_run` nothing is stored: the answer (200) tells how many alerts of the last 30 days, or since another time,
    would have come through, at what hours, the newest ten of them, and what would have been held back and why.
    """
    new = _checked(body, deps, key, old=None)
    if dry_run:
        work = partial(previewed, deps, key.team, new, since or _A_MONTH)
        told = from_thread.run(workshop_of(request).run, work).model_dump_json()
        return Response(told, media_type="application/json")
    try:
        saved = deps.store.subscriptions.create(key.team, new, now=deps.now())
    except NameTaken as exc:
        raise _taken(new.name) from exc
    response.headers["location"] = f"/v1/subscriptions/{saved.subscription.id}"
    response.headers["etag"] = f'"{tag(saved.subscription)}"'
    return SubscriptionOut.of(saved.subscription, new=saved.created_channels)


@router.get("/{subscription_id}", summary="Read a subscription", responses=shows(200, _EXAMPLE, Kind.NOT_FOUND))
def read_subscription(deps: Given, key: Reader, subscription_id: Id, response: Response) -> SubscriptionOut:
    """A subscription, its channels masked."""
    found = _own(deps, key, subscription_id)
    response.headers["etag"] = f'"{tag(found)}"'
    return SubscriptionOut.of(found)


@router.get(
    "/{subscription_id}/ledger",
    summary="Read a subscription's ledger",
    responses=shows(200, _LEDGER, Kind.NOT_FOUND),
)
def read_ledger(deps: Given, key: Reader, subscription_id: Id) -> LedgerSumOut:
    """What became of every match since the subscription was made: delivered, or held back and why."""
    found = deps.store.alerts.sum_of(key.team, subscription_id)
    if found is None:
        raise absent("subscription", subscription_id)
    return LedgerSumOut(
        matches=found.matches, delivered=found.delivered, suppressed=dict(found.suppressed), missing=found.missing
    )


@router.put(
    "/{subscription_id}",
    summary="Replace a subscription",
    responses=shows(200, _EXAMPLE, Kind.NOT_FOUND, Kind.MANAGED, Kind.CHANGED, *_FAULTS),
)
def replace_subscription(
    deps: Given,
    key: Writer,
    subscription_id: Id,
    body: Annotated[SubscriptionIn, Body(openapi_examples={"whole": {"summary": "As a whole", "value": _IN}})],
    response: Response,
    if_match: IfMatch = None,
) -> SubscriptionOut:
    """What the body leaves out goes back to its default."""
    old = _changeable(deps, key, subscription_id)
    return _save(deps, key, old, _checked(body, deps, key, old=old), response, if_match)


@router.patch(
    "/{subscription_id}",
    summary="Change a subscription",
    responses=shows(200, _EXAMPLE, Kind.NOT_FOUND, Kind.MANAGED, Kind.CHANGED, *_FAULTS),
)
def update_subscription(
    deps: Given,
    key: Writer,
    subscription_id: Id,
    body: Annotated[
        SubscriptionChange,
        Body(
            openapi_examples={
                "silence": {"summary": "Silence it", "value": {"active": False}},
                "watch": {"summary": "Watch something else", "value": {"watch": {"jurisdictions": ["KZ"]}}},
            }
        ),
    ],
    response: Response,
    if_match: IfMatch = None,
) -> SubscriptionOut:
    """Only the fields that are sent change."""
    old = _changeable(deps, key, subscription_id)
    problems = list(watch_problems(body.watch.watch, deps.rulebook())) if body.watch is not None else []
    channels = tuple(_as_new(channel, old.schedules.get(channel.id)) for channel in old.channels)
    faults: list[Problem] = []
    if body.channels is not None:
        channels, faults = _checked_channels(body.channels, deps, old=old)
    timing = old.timing if body.when is None else body.when.timing
    problems += timing_problems(timing, [channel.schedule for channel in channels], where="when")
    watch = old.watch if body.watch is None else body.watch.watch
    notices = old.notices if body.notices is None else body.notices
    match = old.match if body.match is None else tuple(dict.fromkeys(body.match))
    problems += _match_problems(match, watch, notices, deps, key, old=old)
    _refuse(problems, faults)
    new = NewSubscription(
        name=old.name if body.name is None else body.name,
        watch=watch,
        channels=channels,
        active=old.active if body.active is None else body.active,
        mute_rumours=old.mute_rumours if body.mute_rumours is None else body.mute_rumours,
        notices=notices,
        language=old.language if body.language is None else body.language,
        timing=timing,
        match=match,
    )
    return _save(deps, key, old, new, response, if_match)


@router.delete(
    "/{subscription_id}",
    summary="Unsubscribe",
    status_code=204,
    responses=declared(Kind.NOT_FOUND, Kind.MANAGED, Kind.CHANGED),
)
def delete_subscription(deps: Given, key: Writer, subscription_id: Id, if_match: IfMatch = None) -> None:
    """Deliveries that are on their way still go out."""
    old = _changeable(deps, key, subscription_id)
    with _unchanged():
        deps.store.subscriptions.remove(key.team, old.id, now=deps.now(), expected=named(if_match))


@router.post(
    "/{subscription_id}/test",
    summary="Send a test message",
    status_code=202,
    responses=shows(202, _TESTS, Kind.NOT_FOUND, Kind.NO_CHANNELS),
)
def send_test(deps: Given, key: Writer, subscription_id: Id) -> TestsOut:
    """A message that says it is a test, to each channel, sent and tried again like any other delivery."""
    subscription = _own(deps, key, subscription_id)
    if not subscription.hearing:
        raise Refusal(Kind.NO_CHANNELS, "add a channel first, then test it")
    queued = []
    for channel in subscription.hearing:
        delivery_id = deps.store.outbox.add_test(
            team=key.team,
            channel_id=channel.id,
            subscription=subscription.name,
            language=subscription.language,
            nonce=deps.random(16).hex(),
            now=deps.now(),
        )
        queued.append(TestDelivery(id=delivery_id, channel_id=channel.id, address=channel.shown))
    return TestsOut(deliveries=queued)


@router.post(
    "/{subscription_id}/channels/{channel_id}/rotate",
    summary="Replace a webhook's signing keys",
    responses=shows(200, _ROTATED, Kind.NOT_FOUND, Kind.INVALID_REQUEST),
)
def rotate_keys(
    deps: Given,
    key: Writer,
    subscription_id: Id,
    channel_id: Id,
    body: Annotated[
        Rotation, Body(openapi_examples={"day": {"summary": "In a day", "value": {"overlap": "24h"}}})
    ] = _IN_A_DAY,
) -> ChannelOut:
    """The answer holds the new secret, this once. Until the overlap ends, requests carry old and new signatures."""
    subscription = _own(deps, key, subscription_id)
    if channel_id not in {channel.id for channel in subscription.channels if channel.keys}:
        raise absent("webhook", channel_id)
    new = new_keys(deps.random)
    rotated = deps.store.subscriptions.rotate(channel_id, new, team=key.team, overlap=body.overlap, now=deps.now())
    if rotated is None:  # deleted a moment ago
        raise absent("webhook", channel_id)
    return _channel(rotated, subscription, told=True)


@router.delete(
    "/{subscription_id}/channels/{channel_id}/unsubscribed",
    summary="Undo an unsubscription",
    status_code=204,
    responses=declared(Kind.NOT_FOUND),
)
def resubscribe(deps: Given, key: Writer, subscription_id: Id, channel_id: Id) -> None:
    """The channel hears again of what comes from now on. Ask its reader first, who pressed a button to hear no more."""
    _own(deps, key, subscription_id)
    if not deps.store.subscriptions.resubscribe(key.team, subscription_id, channel_id, now=deps.now()):
        raise absent("unsubscribed channel", channel_id)


@router.post(
    "/{subscription_id}/channels/{channel_id}/enable",
    summary="Send to a disabled channel again",
    responses=shows(200, {"waiting": 12, "dropped": 0}, Kind.NOT_FOUND),
)
def enable_channel(
    deps: Given,
    key: Writer,
    subscription_id: Id,
    channel_id: Id,
    body: Annotated[
        Enabling,
        Body(openapi_examples={"lately": {"summary": "Of today only", "value": {"since": "2026-03-02T00:00:00Z"}}}),
    ] = _ALL,
) -> EnabledOut:
    """What came for it meanwhile is sent, oldest first. One that is not disabled stays as it is."""
    subscription = _own(deps, key, subscription_id)
    if channel_id not in {channel.id for channel in subscription.channels}:
        raise absent("channel", channel_id)
    done = deps.store.channels.enable(channel_id, team=key.team, since=body.since, now=deps.now())
    return EnabledOut(waiting=done.waiting if done else 0, dropped=done.dropped if done else 0)


# --- checks -------------------------------------------------------------------------------------------------------


def _own(deps: Deps, key: Key, subscription_id: int) -> Subscription:
    subscription = deps.store.subscriptions.get(key.team, subscription_id)
    if subscription is None:
        raise absent("subscription", subscription_id)
    return subscription


def _changeable(deps: Deps, key: Key, subscription_id: int) -> Subscription:
    subscription = _own(deps, key, subscription_id)
    if subscription.managed:
        raise Refusal(
            Kind.MANAGED, "change this subscription under subscriptions in the configuration file, and restart"
        )
    return subscription


def _save(
    deps: Deps, key: Key, old: Subscription, new: NewSubscription, response: Response, if_match: str | None
) -> SubscriptionOut:
    saved: SavedSubscription | None
    try:
        with _unchanged():
            saved = deps.store.subscriptions.replace(key.team, old.id, new, now=deps.now(), expected=named(if_match))
    except NameTaken as exc:
        raise _taken(new.name) from exc
    if saved is None:  # deleted a moment ago
        raise absent("subscription", old.id)
    response.headers["etag"] = f'"{tag(saved.subscription)}"'
    return SubscriptionOut.of(saved.subscription, new=saved.created_channels)


@contextmanager
def _unchanged() -> Iterator[None]:
    try:
        yield
    except Stale as exc:
        raise Refusal(Kind.CHANGED, "somebody changed this subscription; read it again, then decide") from exc


def _taken(name: str) -> Refusal:
    problem = Problem(where="name", what=f"the team has a subscription {name!r}", hint="choose another name")
    return Refusal(Kind.NAME_TAKEN, f"name: {problem.what}", (problem,))


def _checked(body: SubscriptionIn, deps: Deps, key: Key, *, old: Subscription | None) -> NewSubscription:
    """The subscription to store; every fault of watch, timing and channels is answered at once."""
    channels, faults = _checked_channels(body.channels, deps, old=old)
    timing = body.when.timing
    wrong = () if faults else timing_problems(timing, [channel.schedule for channel in channels], where="when")
    watch, match = body.watch.watch, tuple(dict.fromkeys(body.match))
    _refuse(
        (
            *watch_problems(watch, deps.rulebook()),
            *_match_problems(match, watch, body.notices, deps, key, old=old),
            *wrong,
        ),
        faults,
    )
    return NewSubscription(
        name=body.name,
        watch=watch,
        channels=channels,
        active=body.active,
        mute_rumours=body.mute_rumours,
        notices=body.notices,
        language=body.language,
        timing=timing,
        match=match,
    )


def _match_problems(
    match: tuple[str, ...], watch: Watch, notices: Notices, deps: Deps, key: Key, *, old: Subscription | None
) -> Iterator[Problem]:
    yield from match_problems(written(match), watch, notices, deps.rulebook())
    if match and (old is None or match != old.match):
        others = deps.store.subscriptions.own_of(key.team)
        count = len(match) + sum(len(texts) for number, texts in others.items() if old is None or number != old.id)
        if count > MAX_OF_TEAM:
            what = f"the team's subscriptions would have {count:,} expressions; they may have {MAX_OF_TEAM:,}"
            yield Problem(where="match", what=what, hint="ask the operator to make rules of those that many share")


def _refuse(problems: Sequence[Problem], channel_faults: Sequence[Problem]) -> None:
    if problems or channel_faults:
        kind = Kind.INVALID_REQUEST if problems else Kind.INVALID_CHANNEL
        raise invalid((*problems, *channel_faults), kind)


def _checked_channels(
    given: Sequence[str | ChannelIn], deps: Deps, *, old: Subscription | None
) -> tuple[tuple[NewChannel, ...], list[Problem]]:
    channels: list[NewChannel] = []
    problems: list[Problem] = []
    for number, one in enumerate(given):
        address, schedule = (one, None) if isinstance(one, str) else (one.address, one.schedule)
        meant = [channel for channel in old.channels if channel.shown == address] if old is not None else []
        if old is not None and len(meant) == 1:  # what a client was shown it may send back
            kept = old.schedules.get(meant[0].id) if isinstance(one, str) else schedule
            channels.append(_as_new(meant[0], kept))
            continue
        try:
            where = f"channels.{number}"
            made = checked_channel(address, deps.settings, random=deps.random, where=where)
            channels.append(replace(made, schedule=schedule))
        except Invalid as exc:
            problems.extend(exc.problems)
    return tuple(channels), problems


def _as_new(channel: Channel, schedule: Schedule | None) -> NewChannel:
    return NewChannel(kind=channel.kind, url=channel.url, shown=channel.shown, keys=channel.keys, schedule=schedule)
