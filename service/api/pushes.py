"""/push/…: what WebSub hubs call. No key is asked for: the path cannot be guessed, and what is sent is signed."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.requests import ClientDisconnect

from service.api.deps import Given
from service.domain.push import PATH
from service.pushing import Receipt

router = APIRouter(include_in_schema=False)

_STATUS = {
    Receipt.TAKEN: HTTPStatus.NO_CONTENT,
    Receipt.IGNORED: HTTPStatus.ACCEPTED,  # said to a forger too (section 7.1.2): it is no oracle for signatures
    Receipt.ENDED: HTTPStatus.GONE,
}


@router.get(f"{PATH}{{token}}")
async def answer_hub(deps: Given, request: Request, token: str) -> Response:
    """A hub asks whether we want what was asked of it, or says that we shall not have it (sections 5.2 and 5.3)."""
    pushing = deps.pushing()
    echo = await pushing.verify(token, request.query_params) if pushing is not None else None
    return _not_found() if echo is None else PlainTextResponse(echo)


@router.post(f"{PATH}{{token}}")
async def take_push(deps: Given, request: Request, token: str) -> Response:
    """A hub sends a document (section 7). It is stored before it is answered; a stranger's body is never read."""
    pushing = deps.pushing()
    known = await pushing.known(token) if pushing is not None else None
    if pushing is None or known is None:
        return _not_found()
    async with pushing.room:
        try:
            async with asyncio.timeout(deps.settings.feeds.timeout.total_seconds()):
                body = await request.body()
        except (TimeoutError, ClientDisconnect):  # a hub that sends too slowly, or went away: it will try again
            return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)
        receipt = await pushing.take(
            known,
            body,
            signature=request.headers.get("x-hub-signature", ""),
            codings=request.headers.getlist("content-encoding"),
            content_type=request.headers.get("content-type", ""),
        )
    if receipt is Receipt.TAKEN:
        deps.pushed()
    return Response(status_code=_STATUS[receipt])


def _not_found() -> Response:
    return PlainTextResponse("there is no such push\n", status_code=HTTPStatus.NOT_FOUND)
