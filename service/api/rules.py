"""/v1/rules: the rules in force, to read. They are written in YAML files and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from service.api.auth import Reader
from service.api.deps import Given
from service.api.pages import Page, Paging, cut, place_of
from service.api.problems import Kind, absent, shows
from service.domain.condition import show
from service.domain.model import Severity
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
    references: list[str] = Field(description="Why the rule exists, as its author noted it.")
    where: str = Field(description="File and line where it is written.")

    @classmethod
    def of(cls, rule: Rule) -> RuleOut:
        return cls(
            id=rule.id,
            title=rule.title,
            severity=rule.severity,
            status=rule.status,
            scope=rule.reach,
            match=" ".join((show(rule.whole), *(f"-{phrase.shown}" for phrase in rule.apart))),
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
    "references": [],
    "where": "rules/packs/digital-assets.yaml:10",
}


@router.get(
    "", summary="List the rules", responses=shows(200, {"items": [_EXAMPLE], "next": None}, Kind.INVALID_CURSOR)
)
def list_rules(
    request: Request, response: Response, deps: Given, _: Reader, query: Annotated[Paging, Query()]
) -> Page[RuleOut]:
    """Every rule in force, by id. A rule with a fault is not among them: see the configuration's problems."""
    after = place_of(query, NOUN) or ""
    rules = sorted((rule for rule in deps.rulebook().ruleset.rules if rule.id > after), key=lambda rule: rule.id)
    kept, following = cut(rules, paging=query, noun=NOUN, request=request, response=response, place=lambda r: r.id)
    return Page(items=[RuleOut.of(rule) for rule in kept], next=following)


@router.get("/{rule_id}", summary="Read a rule", responses=shows(200, _EXAMPLE, Kind.NOT_FOUND))
def read_rule(deps: Given, _: Reader, rule_id: Annotated[str, Path(max_length=100)]) -> RuleOut:
    """The rule of this id."""
    for rule in deps.rulebook().ruleset.rules:
        if rule.id == rule_id:
            return RuleOut.of(rule)
    raise absent("rule", repr(rule_id))
