"""Every way to say no: problem+json (RFC 9457) with a type from a closed set that docs/api.md lists.

Never shows what went wrong inside: an unexpected error is logged under an id, and only the id is answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from service.domain.model import Problem

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 50


class Kind(StrEnum):
    """What sort of no: the last part of `type`, which stays the same for good."""

    BAD_REQUEST = "bad-request"
    MALFORMED_BODY = "malformed-body"
    INVALID_CURSOR = "invalid-cursor"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    FEED_EXISTS = "feed-exists"
    NAME_TAKEN = "name-taken"
    MANAGED = "managed"
    NO_CHANNELS = "no-channels"
    IN_PROGRESS = "in-progress"
    ANSWER_LOST = "answer-lost"
    CHANGED = "changed"
    TOO_MANY = "too-many-requests"
    TOKEN_REUSED = "token-reused"
    NOT_DEAD = "not-dead"
    NOT_SETTLED = "not-settled"
    TOO_LARGE = "too-large"
    INVALID_REQUEST = "invalid-request"
    INVALID_CHANNEL = "invalid-channel"
    ADDRESS_REFUSED = "address-refused"
    INVALID_RULES = "invalid-rules"
    TOO_LONG = "too-long"
    UNREACHABLE = "unreachable"
    INTERNAL = "internal"
    NOT_READY = "not-ready"

    @property
    def uri(self) -> str:
        return f"/problems/{self}"

    @property
    def status(self) -> int:
        return _KINDS[self][0]

    @property
    def headline(self) -> str:
        return _KINDS[self][1]


_KINDS: Mapping[Kind, tuple[int, str]] = {
    Kind.BAD_REQUEST: (400, "The request cannot be understood"),
    Kind.MALFORMED_BODY: (400, "The body is not valid JSON"),
    Kind.INVALID_CURSOR: (400, "The cursor is not one of ours"),
    Kind.UNAUTHORIZED: (401, "A valid API key is needed"),
    Kind.FORBIDDEN: (403, "The key may not do this"),
    Kind.NOT_FOUND: (404, "There is no such thing"),
    Kind.METHOD_NOT_ALLOWED: (405, "This method is not used here"),
    Kind.FEED_EXISTS: (409, "The feed is there already"),
    Kind.NAME_TAKEN: (409, "The name is in use"),
    Kind.MANAGED: (409, "The configuration file manages this"),
    Kind.NO_CHANNELS: (409, "The subscription has no channel"),
    Kind.NOT_DEAD: (409, "The delivery is not dead"),
    Kind.NOT_SETTLED: (409, "The delivery is in line already"),
    Kind.IN_PROGRESS: (409, "The same request is being carried out"),
    Kind.ANSWER_LOST: (409, "The request was carried out, and its answer is lost"),
    Kind.CHANGED: (412, "It has changed since it was read"),
    Kind.TOO_LARGE: (413, "The body is too large"),
    Kind.INVALID_REQUEST: (422, "Some fields are not valid"),
    Kind.INVALID_CHANNEL: (422, "A channel is not valid"),
    Kind.ADDRESS_REFUSED: (422, "The address cannot be used"),
    Kind.INVALID_RULES: (422, "The rule files have faults; the last good set stays"),
    Kind.TOO_LONG: (422, "It would take too long"),
    Kind.UNREACHABLE: (422, "Nothing usable is at the address"),
    Kind.TOKEN_REUSED: (422, "The Idempotency-Key belongs to another request"),
    Kind.TOO_MANY: (429, "Too many requests"),
    Kind.INTERNAL: (500, "Something went wrong here"),
    Kind.NOT_READY: (503, "The service is not ready"),
}


class ProblemField(BaseModel):
    """One fault: which field, what is wrong with it, and what to do."""

    field: str = Field(description="Path of the field, such as watch.jurisdictions.0; empty for the whole request.")
    what: str = Field(description="What is wrong.")
    hint: str = Field("", description="What to do about it, if we know.")


class ProblemAnswer(BaseModel):
    """Why a request was not carried out (RFC 9457)."""

    type: str = Field(description="Stable name of the problem, listed in docs/api.md.")
    title: str = Field(description="The same for every problem of this type.")
    status: int = Field(description="The HTTP status, repeated.")
    detail: str = Field(description="What was wrong this time, for a person.")
    errors: list[ProblemField] = Field(description="Every fault found, all at once.")


class Refusal(Exception):
    """Raised by a route to answer with a problem."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        errors: Iterable[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers

    def answer(self) -> Response:
        return answer(self.kind, self.detail, self.errors, self.headers)


def answer(
    kind: Kind,
    detail: str,
    errors: Sequence[Problem] = (),
    headers: Mapping[str, str] | None = None,
    *,
    status: int | None = None,
) -> Response:
    """The response for a problem; `status` only where HTTP has a finer one than the kind."""
    body = _body(kind, detail, errors, status=status)
    return Response(json.dumps(body, ensure_ascii=False), body["status"], dict(headers or {}), MEDIA_TYPE)


def invalid(errors: Sequence[Problem], kind: Kind = Kind.INVALID_REQUEST) -> Refusal:
    """The refusal of a request for faults in its fields."""
    shown = (f"{e.where}: {e.what}" if e.where else e.what for e in errors[:3])
    return Refusal(kind, "; ".join(shown), errors)


def absent(noun: str, wanted: object) -> Refusal:
    """What another team's objects answer too: whether they exist is nobody else's business."""
    return Refusal(Kind.NOT_FOUND, f"there is no {noun} {wanted} here")


def _body(kind: Kind, detail: str, errors: Sequence[Problem], *, status: int | None = None) -> dict[str, Any]:
    return {
        "type": kind.uri,
        "title": kind.headline,
        "status": status or kind.status,
        "detail": _clean(detail, 1000),
        "errors": [
            {"field": _clean(e.where, 200), "what": _clean(e.what, 500), "hint": _clean(e.hint, 500)}
            for e in errors[:MAX_ERRORS]
        ],
    }


def _clean(text: str, most: int) -> str:
    """Names of unknown fields come from strangers: no control characters, no half surrogates, no end."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "�", text[:most])


# --- what the framework finds wrong -------------------------------------------------------------------------------


def on_refusal(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refusal)
    return exc.answer()


def on_http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    match exc.status_code:
        case 404:
            return answer(Kind.NOT_FOUND, "nothing is at this address; /docs lists what there is")
        case 405:
            return answer(
                Kind.METHOD_NOT_ALLOWED, "see the allow header", headers={"allow": _allowed(request) or "GET"}
            )
        case 413:
            return answer(Kind.TOO_LARGE, str(exc.detail), headers=exc.headers)
        case 400:
            return answer(Kind.MALFORMED_BODY, "the body could not be read as JSON")
    return answer(Kind.BAD_REQUEST, str(exc.detail), headers=exc.headers, status=exc.status_code)


def _allowed(request: Request) -> str:
    """Every method of this address (RFC 9110, 10.2.1), of which the framework names those of one route alone."""
    paths, path = request.app.openapi()["paths"], request.url.path
    named = [paths[path]] if path in paths else [paths[one] for one in paths if compile_path(one)[0].match(path)]
    return ", ".join(sorted({method.upper() for operations in named for method in operations}))


def on_validation(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    found = exc.errors()
    for error in found:
        if error["type"] == "json_invalid":
            place, why = error["loc"][-1], error.get("ctx", {}).get("error", "not JSON")
            return answer(Kind.MALFORMED_BODY, f"at character {place}: {why}")
    return invalid([_fault(error) for error in found]).answer()


def _fault(error: Mapping[str, Any]) -> Problem:
    # What was sent is not repeated: it may be a secret address.
    where, *path = error["loc"]
    field = ".".join(str(part) for part in path)
    what = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return Problem(where=field, what=f"there is no field {path[-1]!s} here", hint="/docs lists the fields")
    if not path and where == "body":
        hint = "send a JSON object with the header content-type: application/json"
        return Problem(where="", what="a JSON object is needed as body", hint=hint)
    return Problem(where=field, what=what, hint="")


# --- what OpenAPI says --------------------------------------------------------------------------------------------


def declared(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems, each with an example."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        place = found.setdefault(kind.status, {"description": "", "content": {MEDIA_TYPE: {"examples": {}}}})
        place["description"] = ". ".join(filter(None, (place["description"], kind.headline)))
        content = place["content"][MEDIA_TYPE]
        content["schema"] = {"$ref": "#/components/schemas/ProblemAnswer"}
        detail, errors = _EXAMPLES.get(kind, (kind.headline, ()))
        content["examples"][kind.value] = {"summary": kind.headline, "value": _body(kind, detail, errors)}
    return found


def shows(status: int, example: object, *kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """`declared`, with an example of the answer when all goes well."""
    return {**declared(*kinds), status: {"content": {"application/json": {"example": example}}}}


_EXAMPLES: Mapping[Kind, tuple[str, Sequence[Problem]]] = {
    Kind.INVALID_REQUEST: (
        "watch.jurisdictions.0: unknown jurisdiction 'KAZ'",
        (Problem(where="watch.jurisdictions.0", what="unknown jurisdiction 'KAZ'", hint="did you mean KZ?"),),
    ),
    Kind.INVALID_CHANNEL: (
        "channels.0: mail is not set up here",
        (
            Problem(
                where="channels.0",
                what="mail is not set up here",
                hint="the operator sets delivery.smtp.host and delivery.smtp.sender",
            ),
        ),
    ),
    Kind.ADDRESS_REFUSED: (
        "url: 10.1.2.3 is not a public address",
        (
            Problem(
                where="url",
                what="10.1.2.3 is not a public address: a private network; "
                "the operator can permit it with egress.allow: [10.1.2.3/32]",
            ),
        ),
    ),
    Kind.FORBIDDEN: ("this needs a key with the scope write; yours has read", ()),
    Kind.NOT_FOUND: ("there is no subscription 17 here", ()),
    Kind.NOT_READY: (
        "the runner has not looked for work lately",
        (Problem(where="", what="the runner has not looked for work lately"),),
    ),
}
