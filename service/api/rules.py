"""/v1/rules: the rules in force. They are written in YAML files and nowhere else; here they are read and reloaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from service.api.auth import Admin, Reader
from service.api.deps import Given
from service.api.own import find_rule, own_rules
from service.api.pages import Page, Paging, cut, place_of
from service.api.problems import Kind, Refusal, absent, shows
from service.domain.condition import show
from service.domain.model import Invalid, Severity
from service.domain.rule import Reach, Rule, Status

router = APIRouter(prefix="/rules", tags=["rules"])

NOUN = "rules"


class RuleOut(BaseModel):
    """A rule as it is in force."""

    id: str
    title: str
    severity: Severity
    status: Status = Field(description="Only active rules fire.")
    scope: Reach = Field(description="Whether it looks at developments reported as news, or at every mention.")
    match: str = Field(description="What it looks for, as shorthand.")
    owner: str = Field(description="Who answers for it.")
    reason: str = Field(description="Why the rule exists, as its author noted it.")
    references: list[str] = Field(description="What it is based on, as its author noted it.")
    where: str = Field(description="File and line where it is written, or the subscription that brought it along.")

    @classmethod
    def of(cls, rule: Rule) -> RuleOut:
        return cls(
            id=rule.id,
            title=rule.title,
            severity=rule.severity,
            status=rule.status,
            scope=rule.reach,
            match=" ".join((show(rule.whole), *(f"-{phrase.shown}" for phrase in rule.apart))),
            owner=rule.owner,
            reason=rule.reason,
            references=list(rule.references),
            where=rule.where,
        )


_EXAMPLE: Mapping[str, Any] = {
    "id": "china-stablecoin-ban",
    "title": "China + stablecoin + ban",
    "severity": "medium",
    "status": "active",
    "scope": "reported",
    "match": "China + stablecoin + ban",
    "owner": "",
    "reason": "Business with clients there may have to stop at short notice.",
    "references": [],
    "where": "rules/packs/digital-assets.yaml:10",
}


@router.get(
    "", summary="List the rules", responses=shows(200, {"items": [_EXAMPLE], "next": None}, Kind.INVALID_CURSOR)
)
def list_rules(
    request: Request, response: Response, deps: Given, key: Reader, query: Annotated[Paging, Query()]
) -> Page[RuleOut]:
    """Every rule in force, by id, with what the team's subscriptions match by themselves. A rule with a fault is not
    among them: see the configuration's problems."""
    after = place_of(query, NOUN) or ""
    every = (*deps.rulebook().ruleset.rules, *own_rules(deps, key.team).values())
    rules = sorted((rule for rule in every if rule.id > after), key=lambda rule: rule.id)
    kept, following = cut(rules, paging=query, noun=NOUN, request=request, response=response, place=lambda r: r.id)
    return Page(items=[RuleOut.of(rule) for rule in kept], next=following)


class Reloaded(BaseModel):
    """The set of rules that is in force now."""

    rules: int = Field(description="How many rules it has.")
    version: str = Field(description="Changes with any word of a rule or of the lexicon.")


@router.post(
    "/reload",
    summary="Read the rule files again",
    responses=shows(200, {"rules": 71, "version": "5f0c9d1be2a34c77"}, Kind.INVALID_RULES),
)
def reload_rules(deps: Given, _: Admin) -> Reloaded:
    """Put the rule files in force as they are now, in one step; on any fault the last good set stays.

    A running service also looks by itself whether they have changed (`rules.look_every`).
    """
    try:
        rulebook = deps.reload()
    except Invalid as exc:
        raise Refusal(Kind.INVALID_RULES, f"{len(exc.problems)} faults were found", exc.problems) from exc
    return Reloaded(rules=len(rulebook.ruleset.rules), version=rulebook.version)


@router.get("/{rule_id}", summary="Read a rule", responses=shows(200, _EXAMPLE, Kind.NOT_FOUND))
def read_rule(deps: Given, key: Reader, rule_id: Annotated[str, Path(max_length=100)]) -> RuleOut:
    """The rule of this id; one that a subscription brought along is there for its team."""
    rule = find_rule(deps, key.team, rule_id)
    if rule is None:
        raise absent("rule", repr(rule_id))
    return RuleOut.of(rule)
