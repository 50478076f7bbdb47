"""/v1/alerts: the events that concerned a team, with what was read, where it was read and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, TypedDict

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from service.api import deliveries, exports
from service.api.auth import Decider, Reader
from service.api.deliveries import DeliveryOut
from service.api.deps import Deps, Given
from service.api.pages import MAX_ID, Page, Paging, cut, number_of
from service.api.problems import Kind, absent, declared, invalid, shows
from service.api.texts import Code, Id, Moment, Name
from service.api.texts import Line as Text
from service.api.watches import jurisdiction_problems
from service.config import Rulebook
from service.domain.model import (
    Action,
    Alert,
    Comment,
    Decided,
    Development,
    Direction,
    Evidence,
    Predecessor,
    Problem,
    RouteReason,
    Severity,
    Source,
    Stage,
    Topic,
    Update,
    Verdict,
)
from service.domain.statistics import Pace, Precision, Week, pace, precisions, weeks
from service.storage.alerts import NOBODY, REPORTS, AlertFilter, LedgerLine
from service.storage.decisions import NewDecision

router = APIRouter(prefix="/alerts", tags=["alerts"])

NOUN = "alerts"
MAX_LINES = 200
_BATCH = 200
LONGEST = timedelta(days=366)


class _Common(TypedDict):
    id: int
    story_id: int
    raised_at: datetime
    title: str
    severity: Severity
    rules: list[str]
    developments: list[Development]
    evidence: list[Evidence]
    sources: list[Source]
    unclear: list[str]
    predecessor: Predecessor | None
    updates: list[Update]
    reports: int


def _common(alert: Alert) -> _Common:
    return _Common(
        id=alert.id,
        story_id=alert.story_id,
        raised_at=alert.raised_at,
        title=alert.title,
        severity=alert.severity,
        rules=list(alert.rules),
        developments=list(alert.developments),
        evidence=list(alert.evidence),
        sources=list(alert.sources),
        unclear=list(alert.unclear),
        predecessor=alert.predecessor,
        updates=list(alert.updates),
        reports=alert.reports,
    )


class AlertOut(BaseModel):
    """A story that some rule matched: one alert however many rules and feeds led to it."""

    id: int
    story_id: int
    raised_at: datetime
    title: str = Field(description="Title of the first report.")
    severity: Severity = Field(description="The loudest of the rules that matched.")
    rules: list[str] = Field(description="Ids of every rule that matched.")
    developments: list[Development]
    evidence: list[Evidence] = Field(description="What made the rules fire, word by word.")
    sources: list[Source] = Field(description=f"The first reports of the story, {REPORTS} at most in a list.")
    reports: int = Field(description="How many reports the story has so far.")
    unclear: list[str] = Field(description="What a rule asked for and the text leaves open: direction, stage.")
    predecessor: Predecessor | None = Field(description="The step of the same measure before this one.")
    updates: list[Update] = Field(description="What changed after the alert was raised, and why its readers heard.")

    @classmethod
    def of(cls, alert: Alert) -> AlertOut:
        return cls(**_common(alert))


class LedgerOut(BaseModel):
    """What became of one match for one of the team's subscriptions."""

    entry_id: int = Field(description="The report that matched: one of `sources`.")
    rule: str
    subscription: str
    reason: RouteReason = Field(description="delivered, or why not.")
    decided_at: datetime

    @classmethod
    def of(cls, line: LedgerLine) -> LedgerOut:
        return cls(
            entry_id=line.entry_id,
            rule=line.rule_id,
            subscription=line.subscription,
            reason=line.reason,
            decided_at=line.decided_at,
        )


class DecisionIn(BaseModel):
    """What the team decides about an alert."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    by: Name = Field(description="Who decides.")
    reason: Text = Field("", validate_default=True, description="Why; asked for where it is not applicable.")
    until: date | None = Field(
        None, description="Of one deferred: the day on which it is escalated after all if nobody has decided."
    )
    assignee: Text = Field("", validate_default=True, description="Of one assigned: who is to decide.")

    @property
    def decision(self) -> NewDecision:
        return NewDecision(
            verdict=self.verdict, by=self.by, reason=self.reason, until=self.until, assignee=self.assignee
        )

    @field_validator("reason")
    @classmethod
    def _says_why(cls, reason: str, info: ValidationInfo) -> str:
        if info.data.get("verdict") is Verdict.NOT_APPLICABLE and not reason:
            raise ValueError("say why it is not applicable")
        return reason

    @field_validator("until")
    @classmethod
    def _is_deferred(cls, until: date | None, info: ValidationInfo) -> date | None:
        if until is not None and info.data.get("verdict") is not Verdict.DEFERRED:
            raise ValueError("only what is deferred is put off to a day")
        return until

    @field_validator("assignee")
    @classmethod
    def _names_somebody(cls, assignee: str, info: ValidationInfo) -> str:
        if bool(assignee) != (info.data.get("verdict") is Verdict.ASSIGNED):
            raise ValueError("say who is to decide, if it is assigned and not otherwise")
        return assignee


class AlertDetail(AlertOut):
    """An alert with every decision about it."""

    decisions: list[Decided] = Field(description="What the team decided about it, the newest first: that one stands.")
    comments: list[Comment] = Field(description=f"What the team said of it, the first {MAX_LINES}.")
    ledger: list[LedgerOut] = Field(description=f"A line for each match and subscription, the first {MAX_LINES}.")
    deliveries: list[DeliveryOut] = Field(description=f"The team's deliveries, newest first, {MAX_LINES} at most.")


class Bulk(DecisionIn):
    """What the team decides about several alerts at once."""

    alerts: list[Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]] = Field(
        min_length=1, max_length=200, description="Their ids."
    )


class CommentIn(BaseModel):
    """What somebody says of an alert."""

    model_config = ConfigDict(extra="forbid")

    by: Name = Field(description="Who says it.")
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)] = Field(
        description="What is said; lines may break."
    )


class Standing(StrEnum):
    """Of which verdict an alert may be: the newest stands."""

    NONE = NOBODY
    APPLICABLE = Verdict.APPLICABLE
    NOT_APPLICABLE = Verdict.NOT_APPLICABLE
    DEFERRED = Verdict.DEFERRED
    ASSIGNED = Verdict.ASSIGNED


class Narrowed(BaseModel):
    """What alerts are narrowed to. What is asked of developments must be true of one of them."""

    model_config = ConfigDict(extra="forbid")

    jurisdiction: Code | None = Field(None, description="Code such as KZ, HK, EU, INTL.")
    topic: Topic | None = Field(None, description="Topic such as stablecoin.")
    action: Action | None = Field(None, description="Action such as licensing.")
    rule: Name | None = Field(None, description="Id of a rule that matched.")
    severity: Severity | None = Field(None, description="Exactly this severity.")
    since: Moment | None = Field(None, description="Raised then or later: RFC 3339 with its zone.")
    stage: Stage | None = Field(None, description="Stage such as in-force.")
    direction: Direction | None = Field(None, description="tightening, easing or neutral.")
    min_severity: Severity | None = Field(None, description="This severity or a louder one.")
    until: Moment | None = Field(None, description="Raised before then: RFC 3339 with its zone.")
    decision: Standing | None = Field(None, description="The verdict that stands; none: nobody has decided.")
    text: Name | None = Field(None, description="Letters that its title holds, in any case.")

    def wanted(self, rulebook: Rulebook) -> AlertFilter:
        """Refusal where a jurisdiction does not exist."""
        if self.jurisdiction is not None:
            problems = jurisdiction_problems({"jurisdiction": self.jurisdiction}, rulebook)
            if problems:
                raise invalid(problems)
        asked = {name: getattr(self, name) for name in Narrowed.model_fields if name != "decision"}
        return AlertFilter(**asked, verdict=self.decision)


class AlertQuery(Paging, Narrowed):
    """What a list of alerts is narrowed to."""


class ExportQuery(Narrowed):
    """What is exported, and how."""

    format: Literal["csv", "jsonl"] = Field("csv", description="CSV for spreadsheets, or JSON Lines.")


class AlertWeekOut(BaseModel):
    """Alerts about a jurisdiction in one week."""

    monday: date = Field(description="The week's first day, in UTC.")
    jurisdiction: str = Field(description="Empty: about none.")
    alerts: int


class PrecisionOut(BaseModel):
    """How often a rule was right, as the team decided."""

    rule: str
    applicable: int
    not_applicable: int
    precision: float | None = Field(description="The share of applicable ones; null before anything was decided.")


class PaceOut(BaseModel):
    """How long the team took from an alert to its first decision."""

    alerts: int = Field(description="How many were decided.")
    median_seconds: float | None
    p90_seconds: float | None


class StatisticsOut(BaseModel):
    """What the team's alerts and decisions add up to."""

    since: datetime
    weeks: list[AlertWeekOut] = Field(description="By week and jurisdiction, the newest week first.")
    rules: list[PrecisionOut] = Field(description="The least precise first.")
    decided: PaceOut

    @classmethod
    def of(cls, since: datetime, weeks_: Iterable[Week], rules: Iterable[Precision], pace_: Pace) -> StatisticsOut:
        return cls(
            since=since,
            weeks=[AlertWeekOut(monday=w.monday, jurisdiction=w.jurisdiction, alerts=w.alerts) for w in weeks_],
            rules=[
                PrecisionOut(
                    rule=one.rule_id,
                    applicable=one.applicable,
                    not_applicable=one.not_applicable,
                    precision=one.precision,
                )
                for one in rules
            ],
            decided=PaceOut(
                alerts=pace_.decided,
                median_seconds=pace_.median.total_seconds() if pace_.median is not None else None,
                p90_seconds=pace_.p90.total_seconds() if pace_.p90 is not None else None,
            ),
        )


EXAMPLE: Mapping[str, Any] = {
    "id": 12,
    "story_id": 12,
    "raised_at": "2026-03-02T12:00:02Z",
    "title": "Kazakhstan signs law licensing crypto exchanges",
    "severity": "high",
    "rules": ["new-licensing-regime"],
    "developments": [
        {
            "jurisdiction": "KZ",
            "topic": "exchange",
            "action": "licensing",
            "direction": "tightening",
            "stage": "enacted",
            "evidence": [{"field": "title", "start": 0, "end": 10, "text": "Kazakhstan"}],
            "quotes": [
                {
                    "field": "title",
                    "start": 0,
                    "end": 47,
                    "text": "Kazakhstan signs law licensing crypto exchanges",
                }
            ],
            "is_likely": False,
        }
    ],
    "evidence": [
        {"field": "title", "start": 0, "end": 10, "text": "Kazakhstan"},
        {"field": "title", "start": 21, "end": 30, "text": "licensing"},
    ],
    "sources": [
        {
            "entry_id": 58,
            "title": "Kazakhstan signs law licensing crypto exchanges",
            "source": "Example Wire",
            "link": "https://wire.example.org/kz-law",
            "lang": "en",
            "published": "2026-03-02T11:55:00Z",
        }
    ],
    "unclear": [],
    "predecessor": None,
    "updates": [],
    "reports": 1,
}
_DECIDED = {
    "verdict": "not_applicable",
    "by": "ana@bank.example",
    "reason": "no business there",
    "at": "2026-03-02T12:40:00Z",
    "until": None,
    "assignee": "",
    "delivery_id": None,
}
_DECISION = {name: _DECIDED[name] for name in ("verdict", "by", "reason")}
_COMMENT = {"by": "ana@bank.example", "text": "Asked counsel in Almaty."}
_COMMENTED = {**_COMMENT, "at": "2026-03-02T12:45:00Z"}
_BULK = {**_DECISION, "alerts": [12, 14]}
_STATISTICS: Mapping[str, Any] = {
    "since": "2025-12-08T12:00:00Z",
    "weeks": [{"monday": "2026-03-02", "jurisdiction": "KZ", "alerts": 3}],
    "rules": [{"rule": "new-licensing-regime", "applicable": 9, "not_applicable": 1, "precision": 0.9}],
    "decided": {"alerts": 10, "median_seconds": 2400.0, "p90_seconds": 14400.0},
}
_DETAIL: Mapping[str, Any] = {
    **EXAMPLE,
    "decisions": [_DECIDED],
    "comments": [_COMMENTED],
    "ledger": [
        {
            "entry_id": 58,
            "rule": "new-licensing-regime",
            "subscription": "central-asia",
            "reason": "delivered",
            "decided_at": "2026-03-02T12:00:02Z",
        }
    ],
    "deliveries": [deliveries.EXAMPLE],
}


@router.get(
    "",
    summary="List alerts",
    response_model=Page[AlertOut],
    responses=shows(200, {"items": [EXAMPLE], "next": None}, Kind.INVALID_CURSOR),
)
def list_alerts(
    request: Request, response: Response, deps: Given, key: Reader, query: Annotated[AlertQuery, Query()]
) -> Response:
    """Alerts that one of the team's subscriptions wanted, newest first."""
    wanted, before = query.wanted(deps.rulebook()), number_of(query, NOUN)
    found = deps.store.alerts.versions(key.team, wanted, before=before, limit=query.limit + 1)
    kept, following = cut(
        found, paging=query, noun=NOUN, request=request, response=response, place=lambda one: one.number
    )
    cards = request.app.state.cards.of(kept, deps.store.alerts.some)
    body = b'{"items":[' + b",".join(cards) + b'],"next":' + json.dumps(following).encode() + b"}"
    return Response(body, media_type="application/json", headers=dict(response.headers))


def render(alert: Alert) -> bytes:
    """An alert as a list shows it, as JSON."""
    return AlertOut.of(alert).model_dump_json().encode()


@router.get(
    "/export",
    summary="Export alerts",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {
                "text/csv": {"schema": {"type": "string"}, "example": next(iter(exports.rows(())))},
                "application/x-ndjson": {"schema": {"type": "string"}, "example": json.dumps(EXAMPLE)},
            }
        },
        **declared(Kind.INVALID_REQUEST),
    },
)
def export_alerts(deps: Given, key: Reader, query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
    """All of them, newest first. In CSV each alert is a line, and a cell that begins like a formula is made text."""
    alerts = _all(deps, key.team, query.wanted(deps.rulebook()))
    media = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}[query.format]
    lines = exports.rows(alerts) if query.format == "csv" else (f"{render(one).decode()}\n" for one in alerts)
    disposition = {"content-disposition": f'attachment; filename="alerts.{query.format}"'}
    return StreamingResponse(lines, media_type=media, headers=disposition)


def _all(deps: Deps, team: str, wanted: AlertFilter) -> Iterator[Alert]:
    before: int | None = None
    while found := deps.store.alerts.page(team, wanted, before=before, limit=_BATCH):
        yield from found
        before = found[-1].id


@router.get("/statistics", summary="Count alerts and decisions", responses=shows(200, _STATISTICS))
def read_statistics(
    deps: Given,
    key: Reader,
    since: Annotated[Moment | None, Query(description="From then on; the last twelve weeks by default.")] = None,
) -> StatisticsOut:
    """How many alerts there were by week and jurisdiction, how often each rule was right, how fast the team decides."""
    start = since or deps.now() - timedelta(weeks=12)
    seen, settled = deps.store.statistics.seen(key.team, start), deps.store.statistics.settled(key.team, start)
    return StatisticsOut.of(start, weeks(seen), precisions(settled), pace(settled))


@router.post(
    "/decisions",
    summary="Decide about several alerts",
    status_code=201,
    responses=shows(201, [_DECIDED], Kind.NOT_FOUND, Kind.INVALID_REQUEST),
)
def decide_alerts(
    deps: Given,
    key: Decider,
    body: Annotated[Bulk, Body(openapi_examples={"two": {"summary": "Two are not applicable", "value": _BULK}})],
) -> list[Decided]:
    """The same about each of them, in their order. Where one is not there, nothing is decided about any."""
    now, numbers = deps.now(), list(dict.fromkeys(body.alerts))
    if absent_ones := sorted(set(numbers) - deps.store.alerts.seen(key.team, numbers)):
        raise absent("alert", ", ".join(map(str, absent_ones)))
    if problem := too_far(body, now):
        raise invalid([problem])
    return list(deps.store.decisions.add_all(key.team, numbers, body.decision, now=now))


@router.get("/{alert_id:id}", summary="Read an alert", responses=shows(200, _DETAIL, Kind.NOT_FOUND))
def read_alert(deps: Given, key: Reader, alert_id: Id) -> AlertDetail:
    """An alert with its evidence, its sources, the ledger of decisions and the deliveries."""
    alert = deps.store.alerts.get(key.team, alert_id, most=MAX_LINES)
    if alert is None:
        raise absent("alert", alert_id)
    sent = deps.store.outbox.page(team=key.team, alert_id=alert_id, limit=MAX_LINES)
    return AlertDetail(
        **_common(alert),
        decisions=list(deps.store.decisions.of(key.team, alert_id)),
        comments=list(deps.store.comments.of(key.team, alert_id, limit=MAX_LINES)),
        ledger=[LedgerOut.of(line) for line in deps.store.alerts.ledger(key.team, alert_id, limit=MAX_LINES)],
        deliveries=[DeliveryOut.of(delivery) for delivery in sent],
    )


@router.post(
    "/{alert_id:id}/decisions",
    summary="Decide about an alert",
    status_code=201,
    responses=shows(201, _DECIDED, Kind.NOT_FOUND, Kind.INVALID_REQUEST),
)
def decide_alert(
    deps: Given,
    key: Decider,
    alert_id: Id,
    body: Annotated[DecisionIn, Body(openapi_examples={"not": {"summary": "Not applicable", "value": _DECISION}})],
) -> Decided:
    """The newest decision stands. An alert about which the team has decided is not escalated; one deferred to a day
    is from then on, and one that was only assigned is."""
    now = deps.now()
    if not deps.store.alerts.seen(key.team, [alert_id]):
        raise absent("alert", alert_id)
    if problem := too_far(body, now):
        raise invalid([problem])
    return deps.store.decisions.add(key.team, alert_id, body.decision, now=now)


@router.post(
    "/{alert_id:id}/comments",
    summary="Say something of an alert",
    status_code=201,
    responses=shows(201, _COMMENTED, Kind.NOT_FOUND, Kind.INVALID_REQUEST),
)
def comment_alert(
    deps: Given,
    key: Decider,
    alert_id: Id,
    body: Annotated[CommentIn, Body(openapi_examples={"asked": {"summary": "A note", "value": _COMMENT}})],
) -> Comment:
    """For the team's own readers; it is sent nowhere."""
    if not deps.store.alerts.seen(key.team, [alert_id]):
        raise absent("alert", alert_id)
    return deps.store.comments.add(key.team, alert_id, by=body.by, text=body.text, now=deps.now())


def too_far(body: DecisionIn, now: datetime) -> Problem | None:
    """What is wrong with the day that an alert is deferred to: it must come, and within a year."""
    if body.until is None or now.date() < body.until <= (now + LONGEST).date():
        return None
    hint = f"name a day of the next {LONGEST.days} days"
    return Problem(where="until", what="an alert is put off to a day to come, and not too far", hint=hint)
