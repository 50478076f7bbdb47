"""What a subscription would have heard, had it been there: nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from service.api.alerts import EXAMPLE, AlertOut
from service.api.deps import Deps
from service.domain.model import RouteReason, Subscription
from service.domain.preview import preview
from service.domain.routing import spelt_out
from service.storage.subscriptions import NewSubscription

MOST = 20_000
"""Past alerts looked at, the newest: a second of work."""


class PreviewOut(BaseModel):
    """What would have come of past alerts; what rules hold back (unconfirmed, throttled) is not in it."""

    since: datetime
    considered: int = Field(description=f"Alerts looked at: all since then, the newest {MOST} at most.")
    alerts: int = Field(description="How many of them would have come through.")
    hours: dict[int, int] = Field(
        description="How many would have been told by themselves, by the hour of the subscription's zone."
    )
    reasons: dict[RouteReason, int] = Field(description="Every decision: how it would be told, or why not.")
    examples: list[AlertOut] = Field(description="The newest ten that would have come through.")


SHOWN: Mapping[str, Any] = {
    "since": "2026-01-31T12:00:00Z",
    "considered": 240,
    "alerts": 12,
    "hours": {"8": 9, "14": 3},
    "reasons": {"delivered": 3, "quiet_hours": 9, "not_watched": 220, "below_severity": 8},
    "examples": [EXAMPLE],
}


def previewed(deps: Deps, team: str, new: NewSubscription, back: timedelta) -> PreviewOut:
    """Decide about what came in since `back` ago."""
    now = deps.now()
    asked = Subscription(
        id=0,
        team=team,
        name=new.name,
        watch=spelt_out(new.watch, deps.rulebook().groups),
        channels=(),
        created_at=now,
        active=new.active,
        notices=new.notices,
        timing=new.timing,
    )
    found = preview(asked, deps.store.alerts.past(now - back, limit=MOST), ZoneInfo, deps.rulebook().packs)
    shown = {alert.id: alert for alert in deps.store.alerts.some(found.examples)}
    return PreviewOut(
        since=now - back,
        considered=found.considered,
        alerts=found.alerts,
        hours=dict(sorted(found.hours.items())),
        reasons=dict(found.reasons),
        examples=[AlertOut.of(shown[number]) for number in found.examples],
    )
