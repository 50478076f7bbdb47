"""Who is told, and what follows from an attempt to tell them: decisions only, nothing is done here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from types import MappingProxyType

from service.domain.groups import Groups
from service.domain.holding import Background, held_back, is_settled
from service.domain.model import (
    DeliveryState,
    Development,
    Exclusion,
    Match,
    Notices,
    Origin,
    Outcome,
    OutcomeStatus,
    Route,
    RouteReason,
    Schedule,
    Settlement,
    Severity,
    Subscription,
    Telling,
    Watch,
)
from service.domain.own import owner_of
from service.domain.timing import digest_of, next_digest, when

_NO_PACKS: Mapping[str, str] = MappingProxyType({})

# --- who is told --------------------------------------------------------------------------------------------------


def selects(
    watch: Watch, match: Match, origin: Origin | None = None, packs: Mapping[str, str] = _NO_PACKS
) -> RouteReason | None:
    """None when `watch`, its groups spelt out, wants this match of a report; otherwise the reason why not.

    A watch that asks where a report came from wants none of which that is not known. `packs` tells the pack of a rule.
    """
    if watch == _EVERYTHING:
        return None
    if (watch.rules or watch.packs) and not (
        packs.get(match.rule_id) in watch.packs or _named(match.rule_id, watch.rules)
    ):
        return RouteReason.NOT_WATCHED
    if watch.exclude.rules and _named(match.rule_id, watch.exclude.rules):
        return RouteReason.NOT_WATCHED
    narrowed = watch.jurisdictions or watch.topics or watch.actions or watch.stages or watch.directions
    left = [development for development in match.developments if not _is_excluded(watch.exclude, development)]
    if (narrowed or match.developments) and not any(_is_watched(watch, development) for development in left):
        return RouteReason.NOT_WATCHED
    if (watch.tiers or watch.languages or watch.tags) and not (origin is not None and _comes_from(watch, origin)):
        return RouteReason.NOT_WATCHED
    if match.severity.rank < watch.min_severity.rank:
        return RouteReason.BELOW_SEVERITY
    return None


_EVERYTHING = Watch()


def _named(rule_id: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(rule_id, pattern) for pattern in patterns)


def _is_watched(watch: Watch, development: Development) -> bool:
    return (
        (not watch.jurisdictions or development.jurisdiction in watch.jurisdictions)
        and (not watch.topics or development.topic in watch.topics)
        and (not watch.actions or development.action in watch.actions)
        and (not watch.stages or development.stage in watch.stages)
        and (not watch.directions or development.direction in watch.directions)
    )


def _is_excluded(exclude: Exclusion, development: Development) -> bool:
    return (
        development.jurisdiction in exclude.jurisdictions
        or development.topic in exclude.topics
        or development.action in exclude.actions
    )


def _comes_from(watch: Watch, origin: Origin) -> bool:
    return (
        (not watch.tiers or origin.tier in watch.tiers)
        and (not watch.languages or origin.language in watch.languages)
        and (not watch.tags or any(tag in watch.tags for tag in origin.tags))
    )


def spelt_out(watch: Watch, groups: Groups) -> Watch:
    """The watch with its groups' members in their place. A group that there is not any more has none: then nothing
    is watched by it, and its absence is told as a problem of the configuration."""
    exclude = watch.exclude
    if exclude.groups:
        exclude = replace(exclude, jurisdictions=_members(exclude.jurisdictions, exclude.groups, groups), groups=())
    if not watch.groups:
        return watch if exclude is watch.exclude else replace(watch, exclude=exclude)
    members = _members(watch.jurisdictions, watch.groups, groups) or (_NOWHERE,)
    return replace(watch, jurisdictions=members, groups=(), exclude=exclude)


_NOWHERE = ""
"""No jurisdiction's code: who watches a group without members watches nothing, and not everything."""


def _members(codes: tuple[str, ...], names: Iterable[str], groups: Groups) -> tuple[str, ...]:
    found = (group for name in names if (group := groups.get(name)) is not None)
    return tuple(dict.fromkeys((*codes, *(code for group in found for code in group.members))))


def route(
    matches: Iterable[Match],
    subscriptions: Collection[Subscription],
    told: Collection[int],
    background: Background,
) -> tuple[Route, ...]:
    """One decision for each match and subscription, for a match of a subscription's own expression one for that
    subscription alone; `told` are the channels that already have this alert.

    A channel gets one message however many rules and subscriptions lead to it: the first route takes it, the others
    are `already_told`. What waits for a channel's digest is told sooner where another route leads there at once.
    """
    routes = []
    told, waiting = set(told), set(background.waiting)
    for match in matches:
        owner = owner_of(match.rule_id)
        concerned = subscriptions if owner is None else [one for one in subscriptions if one.id == owner]
        if not concerned:
            routes.append(Route(rule_id=match.rule_id, subscription_id=None, reason=RouteReason.NO_SUBSCRIPTION))
        for subscription in concerned:
            made = _route(match, subscription, told, waiting, background)
            for telling in made.tellings:
                if made.reason is not RouteReason.UNCONFIRMED:
                    (waiting if telling.reason.waits else told).add(telling.channel_id)
            routes.append(made)
    return tuple(routes)


def _route(
    match: Match, subscription: Subscription, told: Collection[int], waiting: Collection[int], background: Background
) -> Route:
    reason = RouteReason.INACTIVE if not subscription.active else _wants(subscription, match, background)
    if reason is None and subscription.notices is Notices.ONLY:
        reason = RouteReason.NOT_WATCHED
    if reason is None and is_silenced(subscription.team, match, background):
        reason = RouteReason.SILENCED
    if reason is None and subscription.mute_rumours and is_settled(match, background):
        reason = RouteReason.RUMOUR_MUTED
    if reason is None:
        reason = held_back(match, subscription.id, background)
    tellings: tuple[Telling, ...] = ()
    if reason is None:
        tellings = tuple(_tellings(match, subscription, told, waiting, background))
        reason = _of_channels(subscription, tellings)
    elif reason is RouteReason.UNCONFIRMED:
        tellings = tuple(_rumours(subscription, told, background))
    return Route(rule_id=match.rule_id, subscription_id=subscription.id, reason=reason, tellings=tellings)


def _wants(subscription: Subscription, match: Match, background: Background) -> RouteReason | None:
    """As `selects`; which rules it wants goes without saying for those that it brought along itself."""
    watch = subscription.watch
    if owner_of(match.rule_id) is not None:
        watch = replace(watch, rules=(), packs=(), exclude=replace(watch.exclude, rules=()))
    elif subscription.match and not (watch.rules or watch.packs):
        return RouteReason.NOT_WATCHED
    return selects(watch, match, background.origin, background.packs)


def _tellings(
    match: Match, subscription: Subscription, told: Collection[int], waiting: Collection[int], background: Background
) -> Iterator[Telling]:
    """How each channel that has not been told hears of the match."""
    timing, zone = subscription.timing, background.zones(subscription.timing.zone)
    spent = background.spent.get(subscription.id, ())
    for channel_id in _hearing(subscription):
        if channel_id in told:
            continue
        schedule = subscription.schedule_of(channel_id)
        found = when(timing, schedule, match.severity, background.now, zone, spent=spent)
        if not (found.reason.waits and channel_id in waiting):
            yield Telling(channel_id=channel_id, reason=found.reason, due_at=found.due_at)


def _rumours(subscription: Subscription, told: Collection[int], background: Background) -> Iterator[Telling]:
    """What waits to be confirmed stands in the next digest of each channel that gets one, as a rumour."""
    timing, zone = subscription.timing, background.zones(subscription.timing.zone)
    for channel_id in _hearing(subscription):
        schedule = digest_of(timing, subscription.schedule_of(channel_id))
        if schedule is not None and channel_id not in told:
            due = next_digest(timing, schedule, background.now, zone)
            yield Telling(channel_id=channel_id, reason=RouteReason.UNCONFIRMED, due_at=due)


def _hearing(subscription: Subscription) -> Iterable[int]:
    ids = dict.fromkeys(channel.id for channel in subscription.hearing)
    return (each for each in ids if subscription.schedule_of(each) is not Schedule.ESCALATION)


def told_of_leaving(channel_id: int, subscription: Subscription, team: Iterable[Subscription]) -> tuple[int, ...]:
    """The channels that are told that one hears no more of a subscription: its others, or else the team's others."""
    own = [each for each in _hearing(subscription) if each != channel_id]
    others = (each for one in team if one.active for each in _hearing(one) if each != channel_id)
    return tuple(own or dict.fromkeys(others))


def is_silenced(team: str, match: Match, background: Background) -> bool:
    """Whether the team has silenced such matches for now; a silence that has run out holds nothing back."""
    return any(
        silence.team == team
        and silence.made_at <= background.now < silence.expires_at
        and selects(silence.watch, match, background.origin, background.packs) is None
        for silence in background.silences
    )


_FIRST = (RouteReason.DELIVERED, RouteReason.QUIET_HOURS, RouteReason.OVER_BUDGET, RouteReason.FOR_DIGEST)
"""Of a subscription whose channels hear in different ways, the soonest stands for all."""


def _of_channels(subscription: Subscription, tellings: Iterable[Telling]) -> RouteReason:
    if not any(True for _ in _hearing(subscription)):
        return RouteReason.NO_CHANNEL
    return min((t.reason for t in tellings), key=_FIRST.index, default=RouteReason.ALREADY_TOLD)


# --- what follows an attempt --------------------------------------------------------------------------------------

WAITS = tuple(
    timedelta(seconds=s) for s in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""Between ten attempts, about 76 hours in all: the example schedule of the Standard Webhooks specification."""

MAX_ATTEMPTS = len(WAITS) + 1
MAX_RETRY_AFTER = timedelta(hours=24)
JITTER = 0.2
NO_GAP = timedelta(0)


MAX_REST = timedelta(minutes=15)
"""What one `Retry-After` may keep from a channel's other messages, whatever it asks for: one of them may be urgent."""

THROTTLING = frozenset({429, 502, 503, 504})
THROTTLED_REST = timedelta(seconds=5)


def after_attempt(tries: int, outcome: Outcome, now: datetime, chance: float, gap: timedelta = NO_GAP) -> Settlement:
    """What a delivery becomes after try number `tries` of its schedule; `chance` in 0..1 spreads retries by ±20 %.

    Its channel rests for `gap`, or as long as the receiver asks for, or a little where it says that it is too much.
    """
    rest = _rest(outcome, gap)
    rest_until = now + rest if rest else None
    if outcome.status is OutcomeStatus.SENT:
        return Settlement(state=DeliveryState.SENT, due_at=now, outcome=outcome, rest_until=rest_until)
    if outcome.status is OutcomeStatus.REFUSED or tries >= MAX_ATTEMPTS:
        return Settlement(state=DeliveryState.DEAD, due_at=now, outcome=outcome, rest_until=rest_until)
    wait = WAITS[tries - 1] * (1 - JITTER + 2 * JITTER * chance)
    if outcome.retry_after is not None:
        wait = max(wait, min(outcome.retry_after, MAX_RETRY_AFTER))
    return Settlement(state=DeliveryState.PENDING, due_at=now + wait, outcome=outcome, rest_until=rest_until)


def _rest(outcome: Outcome, gap: timedelta) -> timedelta:
    # Standard Webhooks, "Deliverability and reliability": these answers are about the endpoint, not about the message.
    if outcome.status is OutcomeStatus.SENT or outcome.http_status not in THROTTLING:
        return gap
    return max(gap, min(outcome.retry_after or THROTTLED_REST, MAX_REST))


# --- an alert's words ---------------------------------------------------------------------------------------------


def severity_of(matches: Iterable[Match]) -> Severity | None:
    """What matches of rules that all share make an alert's severity: the highest. None where there are none of those:
    another team's expression says nothing to its readers."""
    shared = (match.severity for match in matches if owner_of(match.rule_id) is None)
    return max(shared, key=lambda severity: severity.rank, default=None)


def process_backoff(attempts: int) -> timedelta:
    """How long an entry whose processing failed waits for the next try: 10 s, doubling to an hour; never given up."""
    return min(timedelta(seconds=10 << min(attempts, 9)), timedelta(hours=1))


def by_rule(matches: Iterable[Match]) -> Mapping[str, Match]:
    return {match.rule_id: match for match in matches}
