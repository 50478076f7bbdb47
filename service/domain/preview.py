"""What a subscription would have heard: past alerts, decided anew for it as if it had been there. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from service.domain.holding import Background
from service.domain.model import Channel, ChannelKind, Match, Origin, RouteReason, Secret, Subscription
from service.domain.routing import route
from service.domain.timing import DAY, Spent

EXAMPLES = 10


def joined(shared: Iterable[Past], own: Iterable[Past]) -> tuple[Past, ...]:
    """One for each story: where an alert was raised, what would have been matched besides stands with it."""
    found = {past.story_id: past for past in shared}
    alone = []
    for past in own:
        if past.story_id in found:
            known = found[past.story_id]
            found[past.story_id] = replace(known, matches=(*known.matches, *past.matches))
        else:
            alone.append(past)
    return (*found.values(), *alone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An alert as it was raised, with what its first report matched; one that would have been has no id."""

    alert_id: int | None
    entry_id: int
    story_id: int
    raised_at: datetime
    matches: tuple[Match, ...]
    origin: Origin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`alerts` is how many of all would have come through; `hours` how many of these by the hour of the subscription's
    zone at which they would have been told by themselves; `reasons` counts every decision; `examples` are the newest
    of those that would have come through."""

    considered: int
    alerts: int
    hours: Mapping[int, int]
    reasons: Mapping[RouteReason, int]
    examples: tuple[Past, ...]


def preview(
    subscription: Subscription, past: Iterable[Past], zones: Callable[[str], tzinfo], packs: Mapping[str, str]
) -> Preview:
    """Decide about each past alert, oldest first. What depends on others (confirmation, throttles, silences) is left
    out: it is told by rules, not by the subscription. Without channels it is decided as for one."""
    asked = _with_channel(subscription)
    zone = zones(asked.timing.zone)
    spent: list[Spent] = []
    reasons: Counter[RouteReason] = Counter()
    hours: Counter[int] = Counter()
    through: list[Past] = []
    count = 0
    for one in sorted(past, key=lambda one: one.raised_at):
        count += 1
        background = Background(
            rules={},
            story_id=one.story_id,
            reports=(),
            told=(),
            now=one.raised_at,
            zones=zones,
            spent={asked.id: spent},
            origin=one.origin,
            packs=packs,
        )
        routes = route(one.matches, (asked,), (), background)
        best = next((made for made in routes if made.reason.is_told or made.reason.waits), None)
        reasons[best.reason if best else routes[0].reason] += 1
        if best is None:
            continue
        through.append(one)
        alone = [telling.due_at for telling in best.tellings if not telling.reason.waits]
        if alone:
            hours[min(alone).astimezone(zone).hour] += 1
            oldest = one.raised_at - 2 * DAY
            spent = [kept for kept in spent if kept.due_at > oldest] + [
                Spent(one.alert_id or -one.entry_id, min(alone))
            ]
    newest = tuple(reversed(through[-EXAMPLES:]))
    return Preview(considered=count, alerts=len(through), hours=hours, reasons=reasons, examples=newest)


def _with_channel(subscription: Subscription) -> Subscription:
    if subscription.channels:
        return subscription
    return replace(subscription, channels=(Channel(id=1, kind=ChannelKind.WEBHOOK, url=Secret(""), shown=""),))
