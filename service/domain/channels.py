"""How a channel stands after each attempt, and what is told of it over another one: decisions only.

A channel is given up on after five days of nothing but failures, or at once when it answers 410. A failure now and then
is no such thing: any acceptance, and any day and a half without an attempt, begins the count anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.domain.model import (
    HEALTHY,
    ChannelHealth,
    ChannelNoticeKind,
    DeliveryKind,
    DeliveryState,
    DisabledReason,
    OutcomeStatus,
    Settlement,
)

DISABLED_AFTER = timedelta(days=5)
TOLD_AFTER = timedelta(hours=12)

LULL = timedelta(hours=36)
"""Longer than any wait between two attempts (24 hours and 20 %): failures further apart say nothing of the time between
them."""

GONE = 410

UNTOLD = frozenset({DeliveryKind.CHANNEL_NOTICE, DeliveryKind.DRILL, DeliveryKind.TEST})
"""Given up without a word: a notice about a notice would go back and forth, a drill has its receipts, and whoever sent
a test looks at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the channel stands now, and what is told of it, if anything."""

    health: ChannelHealth
    tell: ChannelNoticeKind | None = None


def after_attempt(health: ChannelHealth, kind: DeliveryKind, settlement: Settlement, now: datetime) -> Verdict:
    """What an attempt to deliver something of `kind` says of its channel."""
    if settlement.outcome.status is OutcomeStatus.SENT:
        return Verdict(health=HEALTHY, tell=ChannelNoticeKind.RECOVERED if health.told else None)
    failing = _failing(health, now)
    if settlement.outcome.http_status == GONE:
        return _disabled(failing, DisabledReason.GONE, now)
    lasted = now - (failing.failing_since or now)
    if lasted >= DISABLED_AFTER:
        return _disabled(failing, DisabledReason.FAILING, now)
    if settlement.state is DeliveryState.DEAD and kind not in UNTOLD:
        return Verdict(health=replace(failing, told=True), tell=ChannelNoticeKind.GIVEN_UP)
    if lasted >= TOLD_AFTER and not failing.told:
        return Verdict(health=replace(failing, told=True), tell=ChannelNoticeKind.FAILING)
    return Verdict(health=failing)


def _failing(health: ChannelHealth, now: datetime) -> ChannelHealth:
    last = health.last_failed_at
    if health.failing_since is None or last is None or now - last > LULL:
        return ChannelHealth(failing_since=now, last_failed_at=now, told=health.told)
    return replace(health, last_failed_at=now)


def _disabled(health: ChannelHealth, reason: DisabledReason, now: datetime) -> Verdict:
    return Verdict(
        health=replace(health, told=True, disabled_at=now, disabled_because=reason), tell=ChannelNoticeKind.DISABLED
    )
