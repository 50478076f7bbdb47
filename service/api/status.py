"""The service itself: liveness and readiness for machines, the key in use and the open problems for people."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.api.auth import Reader
from service.api.deps import Given
from service.api.problems import Kind, ProblemField, Refusal, shows
from service.domain.model import Problem, Scope

health = APIRouter(tags=["service"])
router = APIRouter(tags=["service"])


class Health(BaseModel):
    """All is well."""

    status: Literal["ok"] = "ok"


class Me(BaseModel):
    """The key that the request was made with."""

    team: str
    name: str
    prefix: str = Field(description="The part of the key that may be shown.")
    scopes: list[Scope] = Field(description="Write includes read, admin includes write.")
    created_at: datetime
    expires_at: datetime | None


class Problems(BaseModel):
    """Faults of rules, feeds and subscriptions that keep those, and nothing else, from working."""

    items: list[ProblemField]


_ME = {
    "team": "default",
    "name": "laptop",
    "prefix": "mzxw6ytb",
    "scopes": ["write"],
    "created_at": "2026-03-02T12:00:00Z",
    "expires_at": None,
}
_PROBLEMS = {
    "items": [
        {
            "field": "rules/own.yaml:7",
            "what": "unknown key 'sevrity'",
            "hint": "did you mean 'severity'?",
        }
    ]
}


@health.get("/healthz", summary="Is the process alive?", responses=shows(200, {"status": "ok"}))
def read_health() -> Health:
    """Answers as long as the process lives; touches nothing else."""
    return Health()


@health.get("/readyz", summary="Is the service ready?", responses=shows(200, {"status": "ok"}, Kind.NOT_READY))
def read_readiness(deps: Given) -> Health:
    """Whether the database answers and the service looks for work; if not, every reason."""
    reasons = deps.ready()
    if reasons:
        raise Refusal(Kind.NOT_READY, "; ".join(reasons), [Problem(where="", what=reason) for reason in reasons])
    return Health()


@router.get("/me", summary="Who am I?", responses=shows(200, _ME))
def read_me(key: Reader) -> Me:
    """The key in use: its team and what it may do."""
    return Me(
        team=key.team,
        name=key.name,
        prefix=key.prefix,
        scopes=list(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
    )


@router.get("/problems", summary="List the configuration's problems", responses=shows(200, _PROBLEMS))
def list_problems(deps: Given, _: Reader) -> Problems:
    """What was left out of the rules and the configuration, with file and line: `policywatch check` says the same."""
    return Problems(items=[ProblemField(field=p.where, what=p.what, hint=p.hint) for p in deps.problems()])
