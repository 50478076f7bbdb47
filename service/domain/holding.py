"""What keeps a match that somebody wants from being told now: it is not confirmed, or its rule has had its say.

Decisions only. A match that is held for want of confirmation is decided again when its story gains a report.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from service.domain.model import Development, Match, Origin, Problem, RouteReason, Severity, Silence, Stage, Tier
from service.domain.rule import Confirm, Exempt, Per, Rule, Status, Throttle, show_duration
from service.domain.text import likeness
from service.domain.timing import Spent

Act = tuple[str, str, str]
"""Jurisdiction, topic and action: what a rumour and the official text about it have in common."""

_UNSURE = frozenset({Stage.RUMOURED, Stage.CONSIDERING})

COPY = 0.6
"""Two texts that share so much are one report: a wire copied by forty sites confirms nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One entry of a story, as far as it confirms the story."""

    outlet: str
    tier: Tier
    sketch: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An alert that a rule has sent to a subscription before."""

    rule_id: str
    subscription_id: int
    story_id: int
    at: datetime
    severity: Severity
    developments: tuple[Development, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What a decision must know besides the match: the rules as they stand, the story's reports, what was told.

    `zones` gives the rules of a time zone by its name; `spent` what each subscription was told of other alerts lately;
    `waiting` are the channels whose next digest has this alert already; `packs` tells the pack of a rule by its id.
    """

    rules: Mapping[str, Rule]
    story_id: int
    reports: Sequence[Report]
    told: Sequence[Told]
    now: datetime
    zones: Callable[[str], tzinfo]
    silences: Sequence[Silence] = ()
    spent: Mapping[int, Sequence[Spent]] = field(default_factory=dict)
    waiting: frozenset[int] = frozenset()
    official: Collection[Act] = ()  # what official texts told of lately
    origin: Origin | None = None  # of the report that matched
    packs: Mapping[str, str] = field(default_factory=dict)


def held_back(match: Match, subscription_id: int, background: Background) -> RouteReason | None:
    """None when the match may be told now; otherwise why not. A rule that is gone holds nothing back."""
    rule = background.rules.get(match.rule_id)
    if rule is None:
        return None
    if rule.confirm is not None and not confirmed(rule.confirm, background.reports):
        return RouteReason.UNCONFIRMED
    if rule.throttle is not None and _throttled(rule.throttle, match, subscription_id, background):
        return RouteReason.THROTTLED
    return None


def rumoured(developments: Collection[Development]) -> frozenset[Act]:
    """The acts that are told as rumours and nothing more; empty when any of the developments is more than that."""
    if any(development.stage not in _UNSURE for development in developments):
        return frozenset()
    return frozenset((development.jurisdiction, development.topic, development.action) for development in developments)


def is_settled(match: Match, background: Background) -> bool:
    """Whether a match is a rumour, and official texts have told of all that it says."""
    acts = rumoured(match.developments)
    return bool(acts) and acts <= frozenset(background.official)


def confirmed(asked: Confirm, reports: Iterable[Report]) -> bool:
    """Whether a story has an official report, or as many independent ones as are asked for."""
    reports = tuple(reports)
    if asked.official and any(report.tier is Tier.OFFICIAL for report in reports):
        return True
    return asked.independent is not None and independent(reports) >= asked.independent


def no_longer_held(rules: Mapping[str, Rule | None], reports: Sequence[Report]) -> frozenset[str] | None:
    """Which of an alert's rules may have matches that wait no more for a confirmation; None when none has.

    While a rule waits, every report of its story waits with it: these need not be looked at again one by one. A rule
    that is gone (None), or asks for no confirmation any more, holds nothing back once none of the others does.
    """
    asking = {rule_id: rule.confirm for rule_id, rule in rules.items() if rule is not None and rule.confirm is not None}
    free = frozenset(rule_id for rule_id, confirm in asking.items() if confirmed(confirm, reports))
    if len(free) == len(asking):
        return frozenset(rules)
    return free or None


def independent(reports: Iterable[Report]) -> int:
    """How many reports are by different outlets and no copies of one another."""
    kept: list[Report] = []
    for report in reports:
        if all(other.outlet != report.outlet and likeness(other.sketch, report.sketch) < COPY for other in kept):
            kept.append(report)
    return len(kept)


def _throttled(throttle: Throttle, match: Match, subscription_id: int, background: Background) -> bool:
    earlier = [
        told
        for told in background.told
        if told.rule_id == match.rule_id
        and told.subscription_id == subscription_id
        and background.now - told.at < throttle.every
        and _counts(throttle.per, told, match, background.story_id)
    ]
    return bool(earlier) and not any(_differs(exempt, match, earlier) for exempt in throttle.exempt)


def _counts(per: Per, told: Told, match: Match, story_id: int) -> bool:
    match per:
        case Per.RULE:
            return True
        case Per.STORY:
            return told.story_id == story_id
        case Per.JURISDICTION:
            return not _places(match.developments).isdisjoint(_places(told.developments))


def _places(developments: Iterable[Development]) -> set[str]:
    return {development.jurisdiction for development in developments}


def _differs(exempt: Exempt, match: Match, earlier: Sequence[Told]) -> bool:
    """Whether the match brings what the throttle lets through: something that no earlier alert of it said."""
    before = [development for told in earlier for development in told.developments]
    match exempt:
        case Exempt.STAGE_CHANGE:
            return any(_is_news("stage", development, before) for development in match.developments)
        case Exempt.DIRECTION_CHANGE:
            return any(_is_news("direction", development, before) for development in match.developments)
        case Exempt.SEVERITY_RISE:
            return match.severity.rank > max(told.severity.rank for told in earlier)
        case Exempt.CORRECTION:
            return False  # a correction is an update of an alert, and no match of its own


def _is_news(what: str, development: Development, before: Sequence[Development]) -> bool:
    """Whether `what` of a development is new for a measure that was told before (same place, topic and action)."""
    act = (development.jurisdiction, development.topic, development.action)
    known = {getattr(d, what) for d in before if (d.jurisdiction, d.topic, d.action) == act}
    return bool(known) and getattr(development, what) not in known


# --- rules that have gone blind -----------------------------------------------------------------------------------


def blind_rules(
    rules: Iterable[Rule], fired: Mapping[str, int], watching_since: datetime | None, now: datetime
) -> Iterator[Problem]:
    """A problem for every rule that fired less often than it expects to; `fired` counts within each rule's own time.

    A service that has not watched for so long yet accuses nobody.
    """
    for rule in rules:
        expect = rule.expect
        if expect is None or watching_since is None or now - watching_since < expect.per:
            continue
        if rule.status is Status.ACTIVE and fired.get(rule.id, 0) < expect.at_least:
            what = (
                f"rule {rule.id!r} may be blind: it fired {fired.get(rule.id, 0)} times in {show_duration(expect.per)}"
            )
            hint = (
                f"expected at least {expect.at_least}; look at its feeds, and try policywatch rules backtest {rule.id}"
            )
            yield Problem(where=rule.where, what=what, hint=hint)
