"""Who is told, and what follows from an attempt to tell them: decisions only, nothing is done here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from service.domain.holding import Background, held_back, is_settled
from service.domain.model import (
    DeliveryState,
    Development,
    Match,
    Notices,
    Outcome,
    OutcomeStatus,
    Route,
    RouteReason,
    Settlement,
    Subscription,
    Watch,
)

# --- who is told --------------------------------------------------------------------------------------------------


def selects(watch: Watch, match: Match) -> RouteReason | None:
    """None when `watch` wants this match; otherwise the reason why not."""
    if watch.rules and not any(fnmatchcase(match.rule_id, pattern) for pattern in watch.rules):
        return RouteReason.NOT_WATCHED
    narrowed = watch.jurisdictions or watch.topics or watch.actions
    if narrowed and not any(_is_watched(watch, development) for development in match.developments):
        return RouteReason.NOT_WATCHED
    if match.severity.rank < watch.min_severity.rank:
        return RouteReason.BELOW_SEVERITY
    return None


def _is_watched(watch: Watch, development: Development) -> bool:
    return (
        (not watch.jurisdictions or development.jurisdiction in watch.jurisdictions)
        and (not watch.topics or development.topic in watch.topics)
        and (not watch.actions or development.action in watch.actions)
    )


def route(
    matches: Iterable[Match],
    subscriptions: Collection[Subscription],
    told: Collection[int],
    background: Background | None = None,
) -> tuple[Route, ...]:
    """One decision for each match and subscription; `told` are the channels that already have this alert.

    Without a `background` nothing waits to be confirmed and nothing is throttled.

    A channel gets one message however many rules and subscriptions lead to it: the first route takes it, the others
    are `already_told`.
    """
    routes = []
    told = set(told)
    for match in matches:
        if not subscriptions:
            routes.append(Route(rule_id=match.rule_id, subscription_id=None, reason=RouteReason.NO_SUBSCRIPTION))
        for subscription in subscriptions:
            reason = RouteReason.INACTIVE if not subscription.active else selects(subscription.watch, match)
            if reason is None and subscription.notices is Notices.ONLY:
                reason = RouteReason.NOT_WATCHED
            fresh = tuple(dict.fromkeys(c.id for c in subscription.channels if c.id not in told))
            if reason is None and background is not None and is_silenced(subscription.team, match, background):
                reason = RouteReason.SILENCED
            if (
                reason is None
                and background is not None
                and subscription.mute_rumours
                and is_settled(match, background)
            ):
                reason = RouteReason.RUMOUR_MUTED
            if reason is None and background is not None:
                reason = held_back(match, subscription.id, background)
            if reason is None:
                reason = _of_channels(subscription, fresh)
            fresh = fresh if reason is RouteReason.DELIVERED else ()
            told.update(fresh)
            routes.append(
                Route(rule_id=match.rule_id, subscription_id=subscription.id, reason=reason, channel_ids=fresh)
            )
    return tuple(routes)


def is_silenced(team: str, match: Match, background: Background) -> bool:
    """Whether the team has silenced such matches for now; a silence that has run out holds nothing back."""
    return any(
        silence.team == team
        and silence.made_at <= background.now < silence.expires_at
        and selects(silence.watch, match) is None
        for silence in background.silences
    )


def _of_channels(subscription: Subscription, fresh: tuple[int, ...]) -> RouteReason:
    if not subscription.channels:
        return RouteReason.NO_CHANNEL
    return RouteReason.DELIVERED if fresh else RouteReason.ALREADY_TOLD


# --- what follows an attempt --------------------------------------------------------------------------------------

WAITS = tuple(
    timedelta(seconds=s) for s in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""Between ten attempts, about 76 hours in all: the example schedule of the Standard Webhooks specification."""

MAX_ATTEMPTS = len(WAITS) + 1
MAX_RETRY_AFTER = timedelta(hours=24)
JITTER = 0.2


def after_attempt(tries: int, outcome: Outcome, now: datetime, chance: float) -> Settlement:
    """What a delivery becomes after try number `tries` of its schedule; `chance` in 0..1 spreads retries by ±20 %."""
    if outcome.status is OutcomeStatus.SENT:
        return Settlement(state=DeliveryState.SENT, due_at=now, outcome=outcome)
    if outcome.status is OutcomeStatus.REFUSED or tries >= MAX_ATTEMPTS:
        return Settlement(state=DeliveryState.DEAD, due_at=now, outcome=outcome)
    wait = WAITS[tries - 1] * (1 - JITTER + 2 * JITTER * chance)
    if outcome.retry_after is not None:
        wait = max(wait, min(outcome.retry_after, MAX_RETRY_AFTER))
    return Settlement(state=DeliveryState.PENDING, due_at=now + wait, outcome=outcome)


# --- an alert's words ---------------------------------------------------------------------------------------------


def loudest(matches: Iterable[Match]) -> Match:
    """The match that sets an alert's severity: the first of the highest."""
    return max(matches, key=lambda m: m.severity.rank)


def process_backoff(attempts: int) -> timedelta:
    """How long an entry whose processing failed waits for the next try: 10 s, doubling to an hour; never given up."""
    return min(timedelta(seconds=10 << min(attempts, 9)), timedelta(hours=1))


def by_rule(matches: Iterable[Match]) -> Mapping[str, Match]:
    return {match.rule_id: match for match in matches}
