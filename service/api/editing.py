"""/v1/rules/validate, explain, why-not, backtest: what an editor of rules asks before, and after, a rule is in force.

They do what the commands of the same names do, on rules that stand in the request. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field

from service import lookback
from service.api.auth import Reader
from service.api.deps import Deps, Given
from service.api.own import own_rules
from service.api.problems import Kind, Refusal, absent, shows
from service.api.texts import Span
from service.api.workshop import (
    FILE,
    EntryIn,
    FaultOut,
    MissOut,
    RulesText,
    Wanted,
    chosen,
    workshop_of,
)
from service.config import Rulebook, read_rules_text
from service.domain.condition import show
from service.domain.developments import read
from service.domain.examples import run_tests
from service.domain.judge import Facts
from service.domain.model import Development, Entry, Evidence, Match, Severity
from service.domain.rule import Rule, Status
from service.domain.whynot import Became, Fate, became, judged

router = APIRouter(prefix="/rules", tags=["rules"])

MOST_RULES = 5
MOST_EXAMPLES = 10
NEAREST = 10


# --- validate -----------------------------------------------------------------------------------------------------


class RulesIn(BaseModel):
    """A file of rules."""

    model_config = ConfigDict(extra="forbid")

    rules: RulesText = Field(description="YAML, as a rule file holds it.")


class FoundRule(BaseModel):
    """A rule as it was read."""

    id: str
    title: str
    line: int | None
    match: str = Field(description="What it looks for, as shorthand.")
    tests: int
    failing: int = Field(description="How many of its tests fail; such a rule would be left out.")


class Validation(BaseModel):
    """What was read in a file of rules. It could be put in force as it is if `problems` is empty."""

    rules: list[FoundRule]
    problems: list[FaultOut] = Field(description="Every fault, failing tests too.")


_A_RULE = "rules:\n  - id: kz-licensing\n    match: Kazakhstan + exchange + licensing\n"
_VALID: Mapping[str, Any] = {
    "rules": [
        {
            "id": "kz-licensing",
            "title": "kz-licensing",
            "line": 2,
            "match": "Kazakhstan + exchange + licensing",
            "tests": 0,
            "failing": 0,
        }
    ],
    "problems": [{"line": 4, "what": "unknown key 'matches'", "hint": "did you mean 'match'?"}],
}


@router.post("/validate", summary="Check a file of rules", responses=shows(200, _VALID, Kind.TOO_LONG, Kind.TOO_MANY))
async def validate_rules(
    request: Request,
    deps: Given,
    _: Reader,
    body: Annotated[RulesIn, Body(openapi_examples={"one": {"summary": "One rule", "value": {"rules": _A_RULE}}})],
) -> Validation:
    """The rules found, and everything that is wrong with the others, each with its line; their tests are run."""
    return await workshop_of(request).run(lambda go_on: _validated(body.rules, deps.rulebook(), go_on))


def _validated(text: str, book: Rulebook, go_on: Callable[[], None]) -> Validation:
    rules, problems = read_rules_text(text, book, shown=FILE)
    faults = [FaultOut.of(problem) for problem in problems]
    found = []
    for rule in rules:
        failing = 0
        for verdict in run_tests((rule,), book.lexicon):
            go_on()
            if verdict.fault:
                failing += 1
                faults.append(FaultOut.of(verdict.problem))
        found.append(
            FoundRule(
                id=rule.id,
                title=rule.title,
                line=_line(rule.where),
                match=show(rule.whole),
                tests=len(rule.tests),
                failing=failing,
            )
        )
    return Validation(rules=found, problems=sorted(faults, key=lambda fault: fault.line or 0))


def _line(where: str) -> int | None:
    line = where.rpartition(":")[2]
    return int(line) if line.isdecimal() else None


# --- explain ------------------------------------------------------------------------------------------------------


class ExplainIn(BaseModel):
    """A rule and an entry."""

    model_config = ConfigDict(extra="forbid")

    rule: Wanted | None = Field(None, description="Id of a rule in force, or a shorthand.")
    rules: RulesText | None = Field(None, description=f"Or rules as YAML, {MOST_RULES} at most.")
    entry: EntryIn


class MatchOut(BaseModel):
    """A rule that fires, and what made it fire."""

    rule: str
    severity: Severity
    developments: list[Development]
    evidence: list[Evidence]
    unclear: list[str] = Field(description="What the rule asks for and the text leaves open.")

    @classmethod
    def of(cls, match: Match) -> MatchOut:
        return cls(
            rule=match.rule_id,
            severity=match.severity,
            developments=list(match.developments),
            evidence=list(match.evidence),
            unclear=list(match.unclear),
        )


class Explanation(BaseModel):
    """What was read in an entry, which of the rules fire, and how near the others come, the nearest first."""

    lang: str
    developments: list[Development] = Field(description="What the entry reports that a government did.")
    fired: list[MatchOut]
    missed: list[MissOut]


_SPAN = {"field": "title", "start": 0, "end": 10, "text": "Kazakhstan"}
_MISS = {
    "rule": "kz-licensing",
    "step": "no_development",
    "detail": "nothing is reported as news",
    "missing": 2,
    "near": [_SPAN],
}
_EXPLAINED: Mapping[str, Any] = {"lang": "en", "developments": [], "fired": [], "missed": [_MISS]}
_ENTRY = {"title": "Kazakhstan's exchanges had a quiet year"}
_EXPLAIN = {"rule": "Kazakhstan + exchange + licensing", "entry": _ENTRY}


@router.post(
    "/explain",
    summary="Try rules on a text",
    responses=shows(200, _EXPLAINED, Kind.NOT_FOUND, Kind.INVALID_RULES, Kind.TOO_LONG, Kind.TOO_MANY),
)
async def explain_rules(
    request: Request,
    deps: Given,
    key: Reader,
    body: Annotated[ExplainIn, Body(openapi_examples={"text": {"summary": "A shorthand", "value": _EXPLAIN}})],
) -> Explanation:
    """Whether a rule fires, with its evidence, or the first step that fails and what came near. Drafts too."""
    return await workshop_of(request).run(lambda go_on: _explained(deps, key.team, body))


def _explained(deps: Deps, team: str, body: ExplainIn) -> Explanation:
    book = deps.rulebook()
    rules = chosen(deps, team, rule=body.rule, rules=body.rules, most=MOST_RULES)
    entry, home = body.entry.entry, body.entry.jurisdiction
    return _judged([rule.activated() for rule in rules], entry, book, jurisdiction=home)


def _judged(rules: Sequence[Rule], entry: Entry, book: Rulebook, *, jurisdiction: str | None) -> Explanation:
    reading = read(entry, book.lexicon, jurisdiction=jurisdiction)
    fired, missed = judged(rules, Facts(entry, reading, book.lexicon))
    return Explanation(
        lang=reading.lang,
        developments=list(reading.developments),
        fired=[MatchOut.of(match) for match in fired],
        missed=[MissOut.of(miss) for miss in missed],
    )


# --- why not ------------------------------------------------------------------------------------------------------


class WhyNotIn(BaseModel):
    """What was not heard of."""

    model_config = ConfigDict(extra="forbid")

    what: Wanted | None = Field(None, description="An address, `alert:ID`, an entry's id, or the words of a report.")
    entry: EntryIn | None = Field(None, description="Or the report itself.")
    rule: Wanted | None = Field(
        None,
        description="Only this rule: its id, or a shorthand; by default all in force, with what the team's "
        "subscriptions match by themselves.",
    )


class DecidedOut(BaseModel):
    """What was decided for one rule that fired and one of the team's subscriptions."""

    rule: str
    subscription: str
    reason: str


class FateOut(BaseModel):
    """The way of a stored entry, as far as it is the team's business."""

    entry_id: int
    received_at: datetime
    judged_at: datetime | None
    problem: str
    page: str = Field(description="What came of its page, if it was fetched.")
    alert_id: int | None = Field(description="The alert of its story, if a rule has fired.")
    fired: list[str] = Field(description="Rules that fired when it was read.")
    decisions: list[DecidedOut]


class WhyNot(BaseModel):
    """What became of it, and what the rules of today say of it."""

    became: Became | None = Field(description="Where it ended; null for words, which nobody looks up.")
    title: str
    link: str
    fate: FateOut | None
    lang: str
    developments: list[Development]
    fired: list[MatchOut]
    missed: list[MissOut] = Field(description=f"The nearest {NEAREST}.")


_WHY: Mapping[str, Any] = {
    "became": "no_rule",
    "title": "Kazakhstan's exchanges had a quiet year",
    "link": "https://wire.example.org/kz",
    "fate": {
        "entry_id": 58,
        "received_at": "2026-03-02T12:00:00Z",
        "judged_at": "2026-03-02T12:00:02Z",
        "problem": "",
        "page": "",
        "alert_id": None,
        "fired": [],
        "decisions": [],
    },
    **_EXPLAINED,
}


@router.post(
    "/why-not",
    summary="Ask why something was not heard of",
    responses=shows(200, _WHY, Kind.NOT_FOUND, Kind.TOO_LONG, Kind.TOO_MANY),
)
async def ask_why_not(
    request: Request,
    deps: Given,
    key: Reader,
    body: Annotated[
        WhyNotIn,
        Body(openapi_examples={"words": {"summary": "Words", "value": {"what": "Kazakhstan licenses exchanges"}}}),
    ],
) -> WhyNot:
    """What was read in it, which rules fire, how near the others came, and what became of it.

    An address that no entry leads to is `not_received`: send the text of the page as `entry` to have it judged.
    """
    return await workshop_of(request).run(lambda go_on: _why_not(deps, key.team, body))


def _why_not(deps: Deps, team: str, body: WhyNotIn) -> WhyNot:
    if (body.what is None) == (body.entry is None):
        raise Refusal(Kind.INVALID_REQUEST, "give `what` or `entry`, and not both")
    book = deps.rulebook()
    rules: Sequence[Rule] = [rule for rule in book.ruleset.rules if rule.status is not Status.RETIRED]
    rules = (*rules, *own_rules(deps, team).values())
    if body.rule is not None:
        rules = chosen(deps, team, rule=body.rule, rules=None, most=1)
    entry, home, fate, looked_up = _subject(deps, team, body)
    said = _judged(rules, entry, book, jurisdiction=home)
    return WhyNot(
        became=became(fate, fires_now=bool(said.fired)) if looked_up else None,
        title=entry.title,
        link=entry.link,
        fate=_fate(fate) if fate is not None else None,
        lang=said.lang,
        developments=said.developments,
        fired=said.fired,
        missed=said.missed[:NEAREST],
    )


def _subject(deps: Deps, team: str, body: WhyNotIn) -> tuple[Entry, str | None, Fate | None, bool]:
    """The entry that is meant, the home of its feed, what became of it, and whether it was looked up."""
    if body.entry is not None:
        return body.entry.entry, body.entry.jurisdiction, None, False
    what, fates = body.what or "", deps.store.fates
    ids: Sequence[int] = ()
    if what.isascii() and what.isdecimal():
        ids = (int(what),) if len(what) < 10 else ()
    elif what.startswith("alert:") and what[6:].isascii() and what[6:].isdecimal() and len(what) < 16:
        alert = deps.store.alerts.get(team, int(what[6:]))
        ids = fates.reports(alert.id) if alert is not None else ()
    elif what.startswith(("http://", "https://")) and len(what.split()) == 1:
        ids = fates.at(what)
        if not ids:
            return Entry(id="text", title="", link=what), None, None, True
    else:
        title, _, content = what.partition("\n")
        return Entry(id="text", title=title, content=content.strip()), None, None, False
    fate = fates.get(ids[0], team=team) if ids else None
    if fate is None:
        raise absent("entry or alert", repr(what))
    (whole,) = deps.store.readings.whole([fate.entry_id])
    return whole.entry, whole.jurisdiction, _of_team(deps, fate, team), True


def _of_team(deps: Deps, fate: Fate, team: str) -> Fate:
    """With the team's own deliveries alone."""
    ours = {d.id for d in deps.store.outbox.page(team=team, alert_id=fate.alert_id)} if fate.alert_id else set()
    return replace(fate, deliveries=tuple(sent for sent in fate.deliveries if sent.id in ours))


def _fate(fate: Fate) -> FateOut:
    return FateOut(
        entry_id=fate.entry_id,
        received_at=fate.received_at,
        judged_at=fate.judged_at,
        problem=fate.problem,
        page=fate.page.fate if fate.page is not None else "",
        alert_id=fate.alert_id,
        fired=list(fate.fired),
        decisions=[DecidedOut(rule=d.rule_id, subscription=d.subscription, reason=d.reason) for d in fate.decisions],
    )


# --- backtest -----------------------------------------------------------------------------------------------------


class BacktestIn(BaseModel):
    """A rule, and how far back to look."""

    model_config = ConfigDict(extra="forbid")

    rule: Wanted | None = Field(None, description="Id of a rule in force, or a shorthand.")
    rules: RulesText | None = Field(None, description=f"Or rules as YAML, {MOST_RULES} at most.")
    since: Span = Field(timedelta(days=90), validate_default=True, description="How far back, a year at most.")


class TriedOut(BaseModel):
    """How often a rule would have fired."""

    rule: str
    entries: int
    stories: int = Field(description="What would have been told: entries of one story are told once.")
    texts_read: int = Field(description="Texts that had to be read for its words.")


class WeekOut(BaseModel):
    """A week (UTC), all rules together."""

    monday: date
    entries: int
    stories: int


class ExampleOut(BaseModel):
    """One entry that a rule would have fired on, and the sentence that made it fire."""

    rule: str
    entry_id: int
    at: datetime
    title: str
    link: str
    jurisdictions: list[str]
    sentence: str

    @classmethod
    def of(cls, rule_id: str, example: lookback.Example) -> ExampleOut:
        return cls(rule=rule_id, **asdict(example) | {"jurisdictions": list(example.jurisdictions)})


class BacktestOut(BaseModel):
    """What rules would have done on the entries that are stored."""

    since: datetime
    entries: int = Field(description="Entries received since then.")
    unread: int = Field(description="Of these, those that have not been read; they are left out.")
    read_by_another: int = Field(description="Of these, those that another version of the lexicon read.")
    rules: list[TriedOut]
    weeks: list[WeekOut]
    newest: list[ExampleOut]


_TRIED: Mapping[str, Any] = {
    "since": "2025-12-02T12:00:00Z",
    "entries": 18250,
    "unread": 0,
    "read_by_another": 0,
    "rules": [{"rule": "kazakhstan-exchange-licensing", "entries": 7, "stories": 2, "texts_read": 0}],
    "weeks": [{"monday": "2026-02-23", "entries": 7, "stories": 2}],
    "newest": [
        {
            "rule": "kazakhstan-exchange-licensing",
            "entry_id": 58,
            "at": "2026-03-01T09:00:00Z",
            "title": "Kazakhstan signs law licensing crypto exchanges",
            "link": "https://wire.example.org/kz-law",
            "jurisdictions": ["KZ"],
            "sentence": "Kazakhstan signs law licensing crypto exchanges",
        }
    ],
}
_TRY = {"rule": "Kazakhstan + exchange + licensing", "since": "90d"}


@router.post(
    "/backtest",
    summary="Try rules on what is stored",
    responses=shows(200, _TRIED, Kind.NOT_FOUND, Kind.INVALID_RULES, Kind.TOO_LONG, Kind.TOO_MANY),
)
async def backtest_rules(
    request: Request,
    deps: Given,
    key: Reader,
    body: Annotated[BacktestIn, Body(openapi_examples={"one": {"summary": "A shorthand", "value": _TRY}})],
) -> BacktestOut:
    """What they would have fired on if they had been active: how often, by week, and the newest ten with evidence."""
    return await workshop_of(request).run(lambda go_on: _backtested(deps, key.team, body, go_on))


def _backtested(deps: Deps, team: str, body: BacktestIn, go_on: Callable[[], None]) -> BacktestOut:
    book, now, store = deps.rulebook(), deps.now(), deps.store
    since = now - body.since
    rules = chosen(deps, team, rule=body.rule, rules=body.rules, most=MOST_RULES)
    found = [(rule, lookback.backtest(store, rule, book.lexicon, since=since, go_on=go_on)) for rule in rules]
    fired = {one.entry_id: (one, rule) for rule, tried in reversed(found) for one in tried.fired}
    ordered = sorted(fired.values(), key=lambda pair: (pair[0].at, pair[0].entry_id))
    standing = store.readings.standing(book.lexicon.version, since=since)
    first = max(since, min([store.alerts.watching_since() or now, *(one.at for one, _ in ordered[:1])]))
    return BacktestOut(
        since=since,
        **asdict(standing),
        rules=[
            TriedOut(rule=t.rule_id, entries=len(t.fired), stories=len(t.stories), texts_read=t.texts) for _, t in found
        ],
        weeks=[WeekOut(**asdict(week)) for week in lookback.weekly([one for one, _ in ordered], first=first, last=now)],
        newest=[
            ExampleOut.of(rule.id, example)
            for one, rule in ordered[: -MOST_EXAMPLES - 1 : -1]
            for example in lookback.examples(store, rule, [one], book.lexicon)
        ],
    )
