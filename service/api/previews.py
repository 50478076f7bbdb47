"""What a subscription would have heard, had it been there: nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from service import lookback
from service.api.alerts import EXAMPLE, AlertOut
from service.api.deps import Deps
from service.api.editing import ExampleOut
from service.domain.model import RouteReason, Subscription
from service.domain.own import UNNUMBERED, read_own, written
from service.domain.preview import Past, joined, preview
from service.domain.routing import spelt_out
from service.domain.rule import Rule
from service.lookback import Backtest, Fired
from service.storage.subscriptions import NewSubscription

MOST = 20_000
"""Past alerts looked at, the newest: a second of work."""


class PreviewOut(BaseModel):
    """What would have come of past alerts; what rules hold back (unconfirmed, throttled) is not in it."""

    since: datetime
    considered: int = Field(
        description=f"Alerts looked at: all since then, the newest {MOST} at most, and what would have been one."
    )
    alerts: int = Field(description="How many of them would have come through.")
    hours: dict[int, int] = Field(
        description="How many would have been told by themselves, by the hour of the subscription's zone."
    )
    reasons: dict[RouteReason, int] = Field(description="Every decision: how it would be told, or why not.")
    examples: list[AlertOut] = Field(
        description="Of the newest ten that would have come through, those that are alerts."
    )
    reports: list[ExampleOut] = Field(
        description="And those of which an expression of its own would have made one: their first reports."
    )


SHOWN: Mapping[str, Any] = {
    "since": "2026-01-31T12:00:00Z",
    "considered": 240,
    "alerts": 12,
    "hours": {"8": 9, "14": 3},
    "reasons": {"delivered": 3, "quiet_hours": 9, "not_watched": 220, "below_severity": 8},
    "examples": [EXAMPLE],
    "reports": [],
}


def previewed(deps: Deps, team: str, new: NewSubscription, back: timedelta, go_on: Callable[[], None]) -> PreviewOut:
    """Decide about what came in since `back` ago. `go_on` is called often while texts are read for expressions."""
    now, book = deps.now(), deps.rulebook()
    asked = Subscription(
        id=UNNUMBERED,
        team=team,
        name=new.name,
        watch=spelt_out(new.watch, book.groups),
        channels=(),
        created_at=now,
        active=new.active,
        notices=new.notices,
        timing=new.timing,
        match=new.match,
    )
    rules, _ = read_own(UNNUMBERED, written(new.match), book.lexicon, book.groups)
    tried = [(rule, lookback.backtest(deps.store, rule, book.lexicon, since=now - back, go_on=go_on)) for rule in rules]
    past = joined(deps.store.alerts.past(now - back, limit=MOST), _would_have_been(deps, tried))
    found = preview(asked, past, ZoneInfo, book.packs)
    numbers = [one.alert_id for one in found.examples if one.alert_id is not None]
    shown = {alert.id: alert for alert in deps.store.alerts.some(numbers)}
    by_id = {rule.id: rule for rule in rules}
    return PreviewOut(
        since=now - back,
        considered=found.considered,
        alerts=found.alerts,
        hours=dict(sorted(found.hours.items())),
        reasons=dict(found.reasons),
        examples=[AlertOut.of(shown[number]) for number in numbers],
        reports=[_report(deps, by_id[one.matches[0].rule_id], one) for one in found.examples if one.alert_id is None],
    )


def _would_have_been(deps: Deps, tried: Sequence[tuple[Rule, Backtest]]) -> Iterator[Past]:
    """The stories on which these rules would have fired, each with the first report on which one would."""
    book, store = deps.rulebook(), deps.store
    rules = {rule.id: rule for rule, _ in tried}
    first: dict[str, dict[str, Fired]] = {}
    for rule, one in tried:
        for fired in one.fired:
            first.setdefault(fired.story, {}).setdefault(rule.id, fired)
    entries = {fired.entry_id for told in first.values() for fired in told.values()}
    wholes = {int(whole.entry.id): whole for whole in store.readings.whole(sorted(entries))}
    origins = store.readings.origins(entries)
    for story, told in first.items():
        opened = min(told.values(), key=lambda fired: (fired.at, fired.entry_id))
        judged = (lookback.judged(rules[rule], wholes[fired.entry_id], book.lexicon) for rule, fired in told.items())
        if matches := tuple(match for match in judged if match is not None):
            number = story.removeprefix("story ")
            yield Past(
                alert_id=None,
                entry_id=opened.entry_id,
                story_id=int(number) if number.isdecimal() else -opened.entry_id,
                raised_at=opened.at,
                matches=matches,
                origin=origins.get(opened.entry_id),
            )


def _report(deps: Deps, rule: Rule, one: Past) -> ExampleOut:
    fired = Fired(entry_id=one.entry_id, at=one.raised_at, story="")
    (example,) = lookback.examples(deps.store, rule, [fired], deps.rulebook().lexicon)
    return ExampleOut.of(rule.id, example)
