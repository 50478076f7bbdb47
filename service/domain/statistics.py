"""What a team's alerts and decisions add up to: how many where and when, which rules are right, how fast it decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median, quantiles

from service.domain.model import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An alert and a jurisdiction that it is about; "" for one that is about none."""

    alert_id: int
    at: datetime
    jurisdiction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """An alert with the verdict that stands on it, a rule that it matched, and when it was first decided."""

    alert_id: int
    rule_id: str
    verdict: Verdict
    raised_at: datetime
    first_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """How many alerts about a jurisdiction were raised in the seven days from `monday` on."""

    monday: date
    jurisdiction: str
    alerts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How often a rule was right: `applicable` of what was decided either way; None before anything was."""

    rule_id: str
    applicable: int
    not_applicable: int

    @property
    def precision(self) -> float | None:
        decided = self.applicable + self.not_applicable
        return self.applicable / decided if decided else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the team took from an alert to its first decision; None where nothing was decided."""

    decided: int
    median: timedelta | None
    p90: timedelta | None


def weeks(seen: Iterable[Seen]) -> tuple[Week, ...]:
    """By week (UTC) and jurisdiction, the newest week first."""
    counts = Counter((_monday(one.at), one.jurisdiction) for one in seen)
    ordered = sorted(counts.items(), key=lambda one: (-one[0][0].toordinal(), one[0][1]))
    return tuple(Week(monday=monday, jurisdiction=code, alerts=count) for (monday, code), count in ordered)


def _monday(at: datetime) -> date:
    return at.date() - timedelta(days=at.weekday())


def precisions(settled: Iterable[Settled]) -> tuple[Precision, ...]:
    """By rule, the least precise first: those are the ones to look at."""
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for one in settled:
        right[one.rule_id] += one.verdict is Verdict.APPLICABLE
        wrong[one.rule_id] += one.verdict is Verdict.NOT_APPLICABLE
    found = [Precision(rule_id=rule, applicable=right[rule], not_applicable=wrong[rule]) for rule in right]
    return tuple(sorted(found, key=lambda one: (one.precision is None, one.precision, one.rule_id)))


def pace(settled: Iterable[Settled]) -> Pace:
    """Each alert counts once, however many rules it matched."""
    took: Sequence[timedelta] = sorted({one.alert_id: one.first_at - one.raised_at for one in settled}.values())
    if not took:
        return Pace(decided=0, median=None, p90=None)
    seconds = [one.total_seconds() for one in took]
    p90 = quantiles(seconds, n=10, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return Pace(decided=len(took), median=timedelta(seconds=median(seconds)), p90=timedelta(seconds=p90))
