"""Who asks: the API key of a request, and what it may do. Each scope includes those before it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.api.problems import Kind, Refusal
from service.domain.model import Key, Scope

_ORDER = tuple(Scope)  # each includes those before it
_HEADER = re.compile(r"bearer +(\S+)", re.IGNORECASE)

# Only for the OpenAPI document: the gate has looked at the header before.
_DECLARED = HTTPBearer(
    auto_error=False, scheme_name="key", description="An API key, `pw_…`, made with `policywatch keys create`."
)


def bearer(header: str) -> str | None:
    """The key's text in an Authorization header, or None when there is none."""
    found = _HEADER.fullmatch(header.strip())
    return found[1] if found else None


def unknown(header: str) -> Refusal:
    """The 401 for a request whose Authorization header is `header`."""
    if not header:
        detail = "send the header Authorization: Bearer pw_…"
    elif bearer(header) is None:
        detail = "the Authorization header is not of the form Bearer pw_…"
    else:
        detail = "the key is unknown, revoked or expired"
    return Refusal(Kind.UNAUTHORIZED, detail, headers={"www-authenticate": 'Bearer realm="policywatch"'})


class _Needs:
    """A dependency: the key in use, if it has this scope or one that includes it."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __call__(self, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_DECLARED)]) -> Key:
        key = getattr(request.state, "key", None)
        if not isinstance(key, Key):  # the gate sets it: without a gate nobody gets in
            raise unknown(request.headers.get("authorization", ""))
        if not any(_ORDER.index(scope) >= _ORDER.index(self._scope) for scope in key.scopes):
            has = ", ".join(key.scopes) or "none"
            raise Refusal(Kind.FORBIDDEN, f"this needs a key with the scope {self._scope}; yours has {has}")
        return key


# The document tells the scope that each operation needs (OpenAPI 3.1, "Security Requirement Object").
Reader = Annotated[Key, Security(_Needs(Scope.READ), scopes=[Scope.READ])]
Decider = Annotated[Key, Security(_Needs(Scope.DECIDE), scopes=[Scope.DECIDE])]
Writer = Annotated[Key, Security(_Needs(Scope.WRITE), scopes=[Scope.WRITE])]
Admin = Annotated[Key, Security(_Needs(Scope.ADMIN), scopes=[Scope.ADMIN])]
