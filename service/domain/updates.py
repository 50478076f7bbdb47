"""What a reader who was told of a story must hear of later, and what is only one more report. Pure.

An update needs a reason from a closed set; whatever joins a story without one is counted as a further source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

from service.domain.holding import Report, independent
from service.domain.model import Development, Direction, Severity, Stage, StoryKey, Tier, UpdateReason
from service.domain.text import likeness
from service.domain.traits import near, of_kind

_UNSURE = frozenset({Stage.RUMOURED, Stage.CONSIDERING})
_SAME_WORD = 0.75  # of a name, from which a change is a typo mended
_STILL_THERE = 0.5  # of a text, from which what it no longer says was taken out
_FACTS = {"n": "number", "a": "figure", "d": "date", "m": "date"}


class Change(NamedTuple):
    """One thing that changed: `what` tells it from other changes of the alert, `detail` says it to a person."""

    reason: UpdateReason
    what: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """A story as its readers were told it."""

    members: Sequence[StoryKey]
    official: bool  # whether an official source is among its reports
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """An entry that joins: `severity` of the loudest rule that it matched, None if none did."""

    key: StoryKey
    tier: Tier
    severity: Severity | None = None


def changes(before: Before, joining: Joining) -> tuple[Change, ...]:
    """What the entry changes in the story; empty when it is one more report."""
    if joining.key.traits.denies:
        return (retraction(joining.key),) if joining.tier is Tier.OFFICIAL else ()
    return tuple(_changes(before, joining))


def _changes(before: Before, joining: Joining) -> Iterator[Change]:
    old = [development for key in before.members for development in key.developments]
    new = joining.key.developments
    official = joining.tier is Tier.OFFICIAL and not before.official
    sure = [development for development in new if development.stage not in _UNSURE]
    if old and sure and all(development.stage in _UNSURE for development in old):
        detail = f"{'an official source confirms it' if official else 'it is confirmed'}: {sure[0].stage}"
        yield Change(UpdateReason.CONFIRMED, "confirmed", detail)
    elif official:
        yield Change(UpdateReason.OFFICIAL_SOURCE, "official", f"the first official source: {joining.key.title}")
    ways = {development.direction for development in old}
    if ways == {Direction.NEUTRAL} and (now := {d.direction for d in new if d.direction is not Direction.NEUTRAL}):
        yield Change(UpdateReason.DIRECTION_CLARIFIED, "direction", f"the direction is clear: {min(now)}")
    if joining.severity is not None and joining.severity.rank > before.severity.rank:
        detail = f"severity {before.severity} → {joining.severity}"
        yield Change(UpdateReason.SEVERITY_RAISED, f"severity:{joining.severity}", detail)
    acts = {(d.topic, d.action) for d in old}
    added = {d.jurisdiction for d in new if (d.topic, d.action) in acts} - {d.jurisdiction for d in old}
    for jurisdiction in sorted(added):
        yield Change(UpdateReason.JURISDICTION_ADDED, f"jurisdiction:{jurisdiction}", f"also in {jurisdiction}")


def corrections(old: StoryKey, new: StoryKey) -> tuple[Change, ...]:
    """What an edit in place changed that matters: a law, figure, date, body, stage, direction, or the act itself.

    A thing counts when another stands in its place: more text is no correction, and neither is a typo.
    """
    if new.traits.denies and not old.traits.denies:
        return (retraction(new),)
    found = [*_facts(old, new), *_acts(old.developments, new.developments)]
    if old.developments and not new.developments and _is_edited(old, new):
        found.append(f"it no longer says so: {new.title}")
    if not found:
        return ()
    detail = "; ".join(dict.fromkeys(found))
    return (Change(UpdateReason.CORRECTION, f"correction:{detail}"[:200], detail),)


def withdrawn(title: str, reports: Sequence[Report]) -> Change | None:
    """What it means to its readers that the page of an alert is gone: nothing while somebody else stands by it.

    Copies do not count: the wire's page is gone, and those who took its text over have not looked at it since.
    """
    if independent(reports) > 1:
        return None
    return Change(UpdateReason.RETRACTION, "retraction", f"its page is gone: {title}")


def retraction(key: StoryKey) -> Change:
    """The change that a text makes which takes back what was told."""
    return Change(UpdateReason.RETRACTION, "retraction", f"denied: {key.title}")


def _facts(old: StoryKey, new: StoryKey) -> Iterator[str]:
    for kind, name in _FACTS.items():
        gone, come = of_kind(old.traits.whole, kind), of_kind(new.traits.whole, kind)
        gone, come = gone - come, come - gone
        if kind == "a":
            gone, come = _unlike(gone, come), _unlike(come, gone)
        if gone and come and not (kind == "m" and of_kind(new.traits.whole, "d") != of_kind(old.traits.whole, "d")):
            yield f"{name} {_listed(gone)} → {_listed(come)}"
    for kind, name in (("w", "name"), ("b", "body")):
        before, after = of_kind(old.traits.head, kind), of_kind(new.traits.head, kind)
        gone, come = before - after, after - before
        if gone and come and not any(_is_typo(a, b) for a in gone for b in come):
            yield f"{name} {_listed(gone)} → {_listed(come)}"


def _unlike(amounts: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    return frozenset(a for a in amounts if not any(near(a, b) for b in others))


def _acts(old: Sequence[Development], new: Sequence[Development]) -> Iterator[str]:
    for act in new:
        same = [d for d in old if (d.jurisdiction, d.topic, d.action) == (act.jurisdiction, act.topic, act.action)]
        if same and act.stage not in {d.stage for d in same}:
            yield f"stage {same[0].stage} → {act.stage}"
        if same and act.direction not in {d.direction for d in same}:
            yield f"direction {same[0].direction} → {act.direction}"


def _is_edited(old: StoryKey, new: StoryKey) -> bool:
    """Whether the text was changed, and is not merely read from less of it than before."""
    return old.title != new.title or likeness(old.sketch, new.sketch) >= _STILL_THERE


def _is_typo(a: str, b: str) -> bool:
    return SequenceMatcher(None, a, b).ratio() >= _SAME_WORD


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted(map(_readable, values))[:5])


def _readable(value: str) -> str:
    return f"{float(value):,.0f}" if "e+" in value else value
