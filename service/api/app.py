"""The REST application: routes, the gate before them, and what OpenAPI says of both. Holds no state of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from fastapi_swagger import patch_fastapi
from starlette.exceptions import HTTPException

from service import __version__
from service.api import (
    alerts,
    audit,
    deliveries,
    drills,
    editing,
    entries,
    events,
    feedlists,
    feeds,
    keys,
    links,
    pushes,
    rules,
    silences,
    status,
    stream,
    subscriptions,
    ways,
)
from service.api.cards import Cards
from service.api.deps import Deps
from service.api.etags import Etags
from service.api.gate import PREFIX, Gate
from service.api.problems import (
    Kind,
    ProblemAnswer,
    Refusal,
    declared,
    on_http,
    on_refusal,
    on_validation,
)
from service.api.rates import Rates
from service.api.repeats import Repeats
from service.api.workshop import Workshop

__all__ = ["Deps", "build"]

NOUNS = (
    *(feedlists, feeds, entries),
    *(editing, rules),
    *(subscriptions, ways, silences),
    *(stream, alerts, deliveries, events, drills),
    *(keys, audit, status),
)
"""What there is under /v1; where two know an address, the first answers."""

DESCRIPTION = """\
Manage feeds and subscriptions, read alerts and see what became of them.

Send your API key with every request: `Authorization: Bearer pw_…`. Lists come a page at a time; hand `next` back as
`cursor`, or follow the `Link` header. Every error is `application/problem+json` with a stable `type` and the fields
that are wrong.
"""


def build(deps: Deps) -> FastAPI:
    """The application over these parts of the service; several may live in one process."""
    app = _Documented(
        title="policywatch",
        version=__version__,
        description=DESCRIPTION,
        redirect_slashes=False,
        separate_input_output_schemas=False,  # one name for one thing, in generated clients too
        generate_unique_id_function=_operation_id,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    # The page's script comes from this process, not from a content network: it works on a closed network too.
    patch_fastapi(
        app, redirect_from_root_to_docs=False, title="policywatch API", swagger_ui_parameters={"filter": True}
    )
    app.state.deps = deps
    app.state.cards = Cards(alerts.render, deps.now)
    app.state.workshop = Workshop()
    app.state.searching = asyncio.Semaphore(feedlists.AT_ONCE)
    app.state.streams = stream.Streams(deps)
    app.state.feed_rates = Rates(ways.RATE, "feed")
    for middleware, more in ((Repeats, {"deps": deps}), (Etags, {}), (Gate, {"deps": deps})):  # the last is outermost
        app.add_middleware(middleware, **more)
    app.add_exception_handler(Refusal, on_refusal)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.include_router(_v1())
    app.include_router(status.health)
    app.include_router(pushes.router)
    app.include_router(ways.public)
    app.include_router(links.router)
    app.add_api_route("/", _to_docs, include_in_schema=False)
    return app


def _v1() -> APIRouter:
    v1 = APIRouter(prefix=PREFIX, responses=declared(Kind.UNAUTHORIZED, Kind.FORBIDDEN, Kind.TOO_MANY))
    for noun in NOUNS:
        v1.include_router(noun.router)
    return v1


def _to_docs() -> RedirectResponse:
    return RedirectResponse("/docs")


def _operation_id(route: APIRoute) -> str:
    return route.name


class _Documented(FastAPI):
    """An application whose OpenAPI document declares our problems instead of the framework's."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                routes=self.routes,
                separate_input_output_schemas=self.separate_input_output_schemas,
            )
            schemas = document["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            problem = ProblemAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= problem.pop("$defs") | {"ProblemAnswer": problem}
            for operations in document["paths"].values():
                for operation in operations.values():
                    _declare_faults(operation["responses"])
                    if "requestBody" in operation:
                        _declare_bodies(operation["responses"])
            self.openapi_schema = document
        return self.openapi_schema


def _declare_faults(responses: dict[str, Any]) -> None:
    """Where the framework declares its own validation error, ours is what is answered."""
    if "application/json" in responses.get("422", {}).get("content", {}):
        responses["422"] = declared(Kind.INVALID_REQUEST)[422]


def _declare_bodies(responses: dict[str, Any]) -> None:
    """Whatever takes a body may be sent one that is none, or too much of one."""
    for code, response in declared(Kind.MALFORMED_BODY, Kind.TOO_LARGE).items():
        responses.setdefault(str(code), response)
