"""A rule as it was written, in plain values: what it looks for, what it narrows to, what follows, and its own tests.

Reads no document and judges no entry.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from service.domain.condition import Condition, Has, both, wanted
from service.domain.model import (
    Action,
    Concept,
    ConceptKind,
    Direction,
    Entry,
    Problem,
    Severity,
    Stage,
    Step,
    Tier,
    Topic,
)
from service.domain.words import Literal


class Status(StrEnum):
    """Only active rules fire."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


class Reach(StrEnum):
    """What a rule looks at: developments reported as news, or every mention of its terms."""

    REPORTED = "reported"
    MENTION = "mention"


class Unclear(StrEnum):
    """What becomes of a development of which the text leaves the asked direction or stage open."""

    PASS = "pass"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Which sources a rule believes; names are outlets or hosts, `*` stands for anything. Empty is any."""

    tiers: tuple[Tier, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """What a story needs before this rule alerts: an official source, or so many independent ones; either will do."""

    official: bool = False
    independent: int | None = None

    def __str__(self) -> str:
        parts = ["official"] * self.official + [f"{self.independent} independent"] * (self.independent is not None)
        return " or ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """A louder severity for developments and sources like these. Empty sets are "any"."""

    severity: Severity
    jurisdictions: tuple[str, ...] = ()
    topics: tuple[Topic, ...] = ()
    actions: tuple[Action, ...] = ()
    stages: tuple[Stage, ...] = ()
    directions: tuple[Direction, ...] = ()
    tiers: tuple[Tier, ...] = ()


class Per(StrEnum):
    """What a throttle counts by."""

    STORY = "story"
    RULE = "rule"
    JURISDICTION = "jurisdiction"


class Exempt(StrEnum):
    """News that a throttle lets through all the same."""

    STAGE_CHANGE = "stage-change"
    DIRECTION_CHANGE = "direction-change"
    SEVERITY_RISE = "severity-rise"
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """At most one alert of a rule in `every`, counted by story, rule or jurisdiction."""

    per: Per
    every: timedelta
    exempt: tuple[Exempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """How often a rule should fire if it is not blind."""

    at_least: int
    per: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An inline test: an entry, and what the rule must say of it. Empty sets leave that open.

    `because` is the step that must say no; None when the rule must fire.
    """

    where: str
    entry: Entry
    feed: str | None = None  # the jurisdiction whose news its feed carries
    because: Step | None = None
    jurisdictions: tuple[str, ...] = ()
    topics: tuple[Topic, ...] = ()
    actions: tuple[Action, ...] = ()
    stages: tuple[Stage, ...] = ()
    directions: tuple[Direction, ...] = ()
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as it was written. Empty sets of jurisdictions, topics, actions, stages, languages mean "any".

    `condition` is None when the sets alone say what the rule wants. `apart` are excluded phrases that hold a term of
    the rule themselves: they remove the hits that they cover and nothing else. `digest` changes with any word of it.
    """

    id: str
    title: str
    where: str
    digest: str
    condition: Condition | None
    apart: tuple[Literal, ...] = ()
    severity: Severity = Severity.MEDIUM
    status: Status = Status.ACTIVE
    reach: Reach = Reach.REPORTED
    unclear: Unclear = Unclear.HOLD
    jurisdictions: tuple[str, ...] = ()
    topics: tuple[Topic, ...] = ()
    actions: tuple[Action, ...] = ()
    stages: tuple[Stage, ...] = ()
    direction: Direction | None = None
    languages: tuple[str, ...] = ()
    sources: Sources = Sources()
    confirm: Confirm | None = None
    escalate: tuple[Escalation, ...] = ()
    throttle: Throttle | None = None
    expect: Expectation | None = None
    owner: str = ""
    review_by: date | None = None
    references: tuple[str, ...] = ()
    reason: str = ""
    tests: tuple[Example, ...] = ()

    def activated(self) -> Rule:
        """The rule as it would be if it were active."""
        return replace(self, status=Status.ACTIVE)

    @property
    def scope(self) -> tuple[Has, ...]:
        """The sets of jurisdictions, topics, actions, stages and the direction, each as a term."""
        kinds: tuple[tuple[ConceptKind, Collection[str]], ...] = (
            (ConceptKind.JURISDICTION, self.jurisdictions),
            (ConceptKind.TOPIC, self.topics),
            (ConceptKind.ACTION, self.actions),
            (ConceptKind.STAGE, self.stages),
            (ConceptKind.DIRECTION, (self.direction,) if self.direction else ()),
        )
        return tuple(
            Has(tuple(Concept(kind, str(name)) for name in names), f"{kind} {' or '.join(names)}", exact=True)
            for kind, names in kinds
            if names
        )

    @property
    def whole(self) -> Condition:
        """Scope and condition as one."""
        return self._with(self.scope)

    @property
    def needs(self) -> Condition:
        """The whole, without those sets that a development may leave open: what must be there for the rule to fire."""
        open_kinds = (ConceptKind.STAGE, ConceptKind.DIRECTION) if self.unclear is Unclear.PASS else ()
        return self._with(tuple(term for term in self.scope if term.concepts[0].kind not in open_kinds))

    @property
    def topics_wanted(self) -> frozenset[Concept]:
        """Every topic that a term of the rule asks for."""
        terms = (term for term in wanted(self.whole) if isinstance(term, Has))
        return frozenset(c for term in terms for c in term.concepts if c.kind is ConceptKind.TOPIC)

    def _with(self, scope: tuple[Has, ...]) -> Condition:
        return both((*scope, *((self.condition,) if self.condition is not None else ())))


def overdue(rules: Iterable[Rule], today: date) -> Iterator[Problem]:
    """A reminder for every rule whose day of review has passed; such a rule fires all the same."""
    for rule in rules:
        if rule.review_by is not None and rule.review_by < today and rule.status is not Status.RETIRED:
            who = f"{rule.owner} wanted" if rule.owner else "it was"
            what = f"rule {rule.id!r}: {who} to review it by {rule.review_by.isoformat()}"
            yield Problem(where=rule.where, what=what, hint="read it again and move review-by")


# --- durations ----------------------------------------------------------------------------------------------------

LONGEST = timedelta(days=3660)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(text: str) -> timedelta | None:
    """`30s`, `15m`, `48h` or `60d` as a duration; None for anything else and for more than ten years."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([smhd])", text, re.ASCII)
    seconds = float(found[1]) * _UNITS[found[2]] if found else -1
    return timedelta(seconds=seconds) if 0 <= seconds <= LONGEST.total_seconds() else None


def show_duration(value: timedelta) -> str:
    """The shortest form that `read_duration` reads back: 90 seconds is 90s, two hours are 2h."""
    seconds = value.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{seconds:g}s"
