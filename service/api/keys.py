"""/v1/keys: the team's API keys. A key's text is told once, when it is made; what is kept is a digest of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field

from service.api.auth import Admin
from service.api.deps import Given
from service.api.problems import Kind, absent, declared, invalid, shows
from service.api.texts import Moment, Name, Overlap
from service.domain.model import Key, Problem, Scope

router = APIRouter(prefix="/keys", tags=["keys"])

Prefix = Annotated[str, Path(pattern="^[a-z2-7]{8}$", description="The letters between `pw_` and the second `_`.")]


class KeyIn(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What it is for.")
    scopes: list[Scope] = Field([Scope.WRITE], min_length=1, max_length=4, description="Each includes those before it.")
    expires_at: Moment | None = Field(None, description="When it ends by itself; null: never.")


class Replacement(BaseModel):
    """How a key gives way to another."""

    model_config = ConfigDict(extra="forbid")

    overlap: Overlap = Field(timedelta(days=1), description="How long the old one still opens; 0s: not at all.")


class KeyOut(BaseModel):
    """An API key without its text."""

    prefix: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute; null: never.")
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: Key) -> KeyOut:
        return cls(**_fields(key))


class NewKeyOut(KeyOut):
    """An API key as it is told once."""

    key: str = Field(description="Keep it: it is never shown again.")


def _fields(key: Key) -> dict[str, Any]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


_IN_A_DAY = Replacement()
_IN: Mapping[str, Any] = {"name": "grc-connector", "scopes": ["read"], "expires_at": "2027-03-02T00:00:00Z"}
_EXAMPLE: Mapping[str, Any] = {
    **_IN,
    "prefix": "mfzwizlq",
    "created_at": "2026-03-02T12:00:00Z",
    "last_used_at": None,
    "revoked_at": None,
}
_NEW: Mapping[str, Any] = {**_EXAMPLE, "key": "pw_mfzwizlq_" + "a2" * 24}


@router.get("", summary="List keys", responses=shows(200, [_EXAMPLE]))
def list_keys(deps: Given, key: Admin) -> list[KeyOut]:
    """The team's keys, in the order in which they were made, those that have ended too."""
    return [KeyOut.of(one) for one in deps.store.keys.list(key.team)]


@router.post("", summary="Make a key", status_code=201, responses=shows(201, _NEW, Kind.INVALID_REQUEST))
def create_key(
    deps: Given,
    key: Admin,
    body: Annotated[KeyIn, Body(openapi_examples={"reader": {"summary": "A key to read with", "value": _IN}})],
) -> NewKeyOut:
    """The answer holds its text, this once."""
    now = deps.now()
    if body.expires_at is not None and body.expires_at <= now:
        raise invalid([Problem(where="expires_at", what="is over already", hint="name a time to come, or null")])
    made, text = deps.store.keys.create(
        team=key.team, name=body.name, scopes=body.scopes, random=deps.random, now=now, expires_at=body.expires_at
    )
    return NewKeyOut(**_fields(made), key=text.reveal())


@router.post(
    "/{prefix}/rotate",
    summary="Replace a key",
    status_code=201,
    responses=shows(201, _NEW, Kind.NOT_FOUND, Kind.INVALID_REQUEST),
)
def rotate_key(
    deps: Given,
    key: Admin,
    prefix: Prefix,
    body: Annotated[
        Replacement, Body(openapi_examples={"day": {"summary": "In a day", "value": {"overlap": "24h"}}})
    ] = _IN_A_DAY,
) -> NewKeyOut:
    """A new key of the same name, scopes and end; the old one still opens for a while, a day by default."""
    rotated = deps.store.keys.rotate(prefix, team=key.team, overlap=body.overlap, random=deps.random, now=deps.now())
    if rotated is None:
        raise absent("key", prefix)
    made, text = rotated
    return NewKeyOut(**_fields(made), key=text.reveal())


@router.delete("/{prefix}", summary="End a key", status_code=204, responses=declared(Kind.NOT_FOUND))
def delete_key(deps: Given, key: Admin, prefix: Prefix) -> None:
    """At once, and for good; it stays in the list."""
    if not deps.store.keys.revoke(prefix, now=deps.now(), team=key.team):
        raise absent("key", prefix)
