"""/v1/alerts: the events that concerned a team, with what was read, where it was read and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from service.api import deliveries
from service.api.auth import Decider, Reader
from service.api.deliveries import DeliveryOut
from service.api.deps import Given
from service.api.pages import Page, Paging, cut, number_of
from service.api.problems import Kind, absent, invalid, shows
from service.api.texts import Code, Id, Moment, Name
from service.api.texts import Line as Text
from service.api.watches import jurisdiction_problems
from service.domain.model import (
    Action,
    Alert,
    Decided,
    Development,
    Evidence,
    Predecessor,
    Problem,
    RouteReason,
    Severity,
    Source,
    Topic,
    Update,
    Verdict,
)
from service.storage.alerts import AlertFilter, LedgerLine
from service.storage.decisions import NewDecision

router = APIRouter(prefix="/alerts", tags=["alerts"])

NOUN = "alerts"
MAX_DELIVERIES = 200
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
    sources: list[Source] = Field(description="Every report of the story so far.")
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

    ledger: list[LedgerOut] = Field(description="A line for each match and subscription.")
    deliveries: list[DeliveryOut] = Field(description=f"The team's deliveries, newest first, {MAX_DELIVERIES} at most.")


class AlertQuery(Paging):
    """What a list of alerts is narrowed to. Jurisdiction, topic and action must be of one development."""

    jurisdiction: Code | None = Field(None, description="Code such as KZ, HK, EU, INTL.")
    topic: Topic | None = Field(None, description="Topic such as stablecoin.")
    action: Action | None = Field(None, description="Action such as licensing.")
    rule: Name | None = Field(None, description="Id of a rule that matched.")
    severity: Severity | None = Field(None, description="Exactly this severity.")
    since: Moment | None = Field(None, description="Raised then or later: RFC 3339 with its zone.")


_EXAMPLE: Mapping[str, Any] = {
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
_DETAIL: Mapping[str, Any] = {
    **_EXAMPLE,
    "decisions": [_DECIDED],
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


@router.get("", summary="List alerts", responses=shows(200, {"items": [_EXAMPLE], "next": None}, Kind.INVALID_CURSOR))
def list_alerts(
    request: Request, response: Response, deps: Given, key: Reader, query: Annotated[AlertQuery, Query()]
) -> Page[AlertOut]:
    """Alerts that one of the team's subscriptions wanted, newest first."""
    if query.jurisdiction is not None:
        problems = jurisdiction_problems({"jurisdiction": query.jurisdiction}, deps.rulebook())
        if problems:
            raise invalid(problems)
    wanted = AlertFilter(
        jurisdiction=query.jurisdiction,
        topic=query.topic,
        action=query.action,
        rule=query.rule,
        severity=query.severity,
        since=query.since,
    )
    found = deps.store.alerts.page(key.team, wanted, before=number_of(query, NOUN), limit=query.limit + 1)
    kept, following = cut(found, paging=query, noun=NOUN, request=request, response=response, place=lambda a: a.id)
    return Page(items=[AlertOut.of(alert) for alert in kept], next=following)


@router.get("/{alert_id}", summary="Read an alert", responses=shows(200, _DETAIL, Kind.NOT_FOUND))
def read_alert(deps: Given, key: Reader, alert_id: Id) -> AlertDetail:
    """An alert with its evidence, its sources, the ledger of decisions and the deliveries."""
    alert = deps.store.alerts.get(key.team, alert_id)
    if alert is None:
        raise absent("alert", alert_id)
    sent = deps.store.outbox.page(team=key.team, alert_id=alert_id, limit=MAX_DELIVERIES)
    return AlertDetail(
        **_common(alert),
        decisions=list(deps.store.decisions.of(key.team, alert_id)),
        ledger=[LedgerOut.of(line) for line in deps.store.alerts.ledger(key.team, alert_id)],
        deliveries=[DeliveryOut.of(delivery) for delivery in sent],
    )


@router.post(
    "/{alert_id}/decisions",
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
    if deps.store.alerts.get(key.team, alert_id) is None:
        raise absent("alert", alert_id)
    if problem := too_far(body, now):
        raise invalid([problem])
    return deps.store.decisions.add(key.team, alert_id, body.decision, now=now)


def too_far(body: DecisionIn, now: datetime) -> Problem | None:
    """What is wrong with the day that an alert is deferred to: it must come, and within a year."""
    if body.until is None or now.date() < body.until <= (now + LONGEST).date():
        return None
    hint = f"name a day of the next {LONGEST.days} days"
    return Problem(where="until", what="an alert is put off to a day to come, and not too far", hint=hint)
