"""/decide/… and /unsubscribe/…: the pages that links in messages lead to. No key is asked for: the link is the right.

GET and HEAD change nothing, because mail scanners and chat previews follow every link; only POST does. A foreign page
cannot ride on a person's rights here (CSRF), since there are none but those in the link itself.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl

import structlog
from anyio import to_thread
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from service.api import sheets
from service.api.alerts import DecisionIn, too_far
from service.api.deps import Deps, Given
from service.domain.links import Link, LinkRefusal, Purpose
from service.domain.model import Alert, Verdict
from service.storage.audit import acting
from service.storage.outbox import Recipient

log = structlog.get_logger()

router = APIRouter(include_in_schema=False)

READING = ["GET", "HEAD"]
PATIENCE = 10.0
"""Seconds for a form to arrive."""

_STATUS = {
    LinkRefusal.FORGED: HTTPStatus.FORBIDDEN,
    LinkRefusal.EXPIRED: HTTPStatus.GONE,
    LinkRefusal.GONE: HTTPStatus.GONE,
    LinkRefusal.OFF: HTTPStatus.GONE,
}


class _Asked(NamedTuple):
    """A link that is believed, whom it was made for and, of one to decide by, the alert as it is now."""

    link: Link
    recipient: Recipient
    alert: Alert | None


# --- decide ---------------------------------------------------------------------------------------------------------


@router.api_route(f"{Purpose.DECIDE.path}{{token}}", methods=READING)
def show_alert(deps: Given, request: Request, token: str) -> Response:
    """The alert, what the team has decided, and the form, unless the link has decided already."""
    asked = _asked(deps, Purpose.DECIDE, token)
    return _refused(request, asked) if isinstance(asked, LinkRefusal) else _decide_page(deps, asked, HTTPStatus.OK)


@router.post(f"{Purpose.DECIDE.path}{{token}}")
async def take_decision(deps: Given, request: Request, token: str) -> Response:
    """Record the decision, once. A stranger's form is never read."""
    asked = await to_thread.run_sync(_asked, deps, Purpose.DECIDE, token)
    if isinstance(asked, LinkRefusal):
        return _refused(request, asked)
    try:
        async with asyncio.timeout(PATIENCE):
            form = _fields(await request.body())
    except (TimeoutError, ClientDisconnect):
        return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)
    return await to_thread.run_sync(_decide, deps, asked, form, request)


def _decide(deps: Deps, asked: _Asked, form: dict[str, str], request: Request) -> Response:
    now = deps.now()
    body, wrong = _checked(form)
    if body is not None and too_far(body, now) is not None:
        wrong = ("until",)
    if body is None or wrong:
        return _decide_page(deps, asked, HTTPStatus.UNPROCESSABLE_ENTITY, form=form, wrong=wrong)
    link = asked.link
    try:
        with acting(_who(link)):
            made = deps.store.decisions.add_by_link(link.delivery_id, link.alert_id, body.decision, now=now)
    except KeyError:
        return _refused(request, LinkRefusal.GONE)
    if made is None:
        return _decide_page(deps, asked, HTTPStatus.CONFLICT)
    log.info("decided by link", delivery=link.delivery_id, alert=link.alert_id, verdict=made.verdict)
    return _decide_page(deps, asked, HTTPStatus.OK, thanks=True)


def _checked(form: dict[str, str]) -> tuple[DecisionIn | None, tuple[str, ...]]:
    """What the form decides, or the names of the fields that are wrong. A button's own fields count, others do not."""
    verdict = form.get("verdict", "")
    given = {"verdict": verdict, "by": form.get("by", "")}
    for name, owner in (
        ("reason", Verdict.NOT_APPLICABLE),
        ("until", Verdict.DEFERRED),
        ("assignee", Verdict.ASSIGNED),
    ):
        if verdict == owner:
            given[name] = form.get(name, "")
    try:
        return DecisionIn.model_validate(given), ()
    except ValidationError as exc:
        return None, tuple(dict.fromkeys(str(error["loc"][0]) for error in exc.errors()))


def _fields(body: bytes) -> dict[str, str]:
    """The fields of a form (application/x-www-form-urlencoded); of what is no form, none."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        return {}


def _decide_page(
    deps: Deps,
    asked: _Asked,
    status: HTTPStatus,
    *,
    form: dict[str, str] | None = None,
    wrong: tuple[str, ...] = (),
    thanks: bool = False,
) -> Response:
    assert asked.alert is not None
    used = deps.store.decisions.by_link(asked.link.delivery_id, asked.link.alert_id)
    return sheets.decide(
        asked.alert,
        asked.recipient,
        status,
        until=asked.link.until,
        decisions=deps.store.decisions.of(asked.recipient.team, asked.alert.id),
        used=used is not None,
        thanks=thanks,
        form=form or {},
        wrong=wrong,
        today=deps.now().date(),
    )


# --- unsubscribe ----------------------------------------------------------------------------------------------------


@router.api_route(f"{Purpose.UNSUBSCRIBE.path}{{token}}", methods=READING)
def ask_to_unsubscribe(deps: Given, request: Request, token: str) -> Response:
    """What would end, and a button."""
    asked = _asked(deps, Purpose.UNSUBSCRIBE, token)
    if isinstance(asked, LinkRefusal):
        return _refused(request, asked)
    to = asked.recipient
    subscription = deps.store.subscriptions.get(to.team, to.subscription_id or 0)
    ended = subscription is None or to.channel_id in subscription.unsubscribed
    return sheets.unsubscribe(to, ended=ended)


@router.post(f"{Purpose.UNSUBSCRIBE.path}{{token}}")
def unsubscribe(deps: Given, request: Request, token: str) -> Response:
    """End the messages of that subscription to that channel: RFC 8058's one click, whose body says nothing more."""
    asked = _asked(deps, Purpose.UNSUBSCRIBE, token)
    if isinstance(asked, LinkRefusal):
        return _refused(request, asked)
    to = asked.recipient
    with acting(_who(asked.link)):
        ended = deps.store.subscriptions.unsubscribe(to.subscription_id or 0, to.channel_id, now=deps.now())
    if ended:
        log.warning(
            "unsubscribed by its reader",
            team=to.team,
            subscription=to.subscription_id,
            channel=to.channel_id,
            undo=f"DELETE /v1/subscriptions/{to.subscription_id}/channels/{to.channel_id}/unsubscribed",
        )
    return sheets.unsubscribe(to, ended=True)


# --- both -----------------------------------------------------------------------------------------------------------


def _asked(deps: Deps, purpose: Purpose, token: str) -> _Asked | LinkRefusal:
    links = deps.links
    if links is None or (purpose is Purpose.DECIDE and not links.decide_for):
        return LinkRefusal.OFF
    link = links.read(purpose, token, deps.now())
    if isinstance(link, LinkRefusal):
        return link
    recipient = deps.store.outbox.recipient(link.delivery_id)
    if recipient is None:
        return LinkRefusal.GONE
    alert = deps.store.alerts.get(recipient.team, link.alert_id) if purpose is Purpose.DECIDE else None
    if purpose is Purpose.DECIDE and alert is None:
        return LinkRefusal.GONE
    return _Asked(link, recipient, alert)


def _who(link: Link) -> str:
    return f"the link in delivery {link.delivery_id}"


def _refused(request: Request, reason: LinkRefusal) -> Response:
    log.info("link refused", reason=reason)
    return sheets.refused(reason, _STATUS[reason], accepts=request.headers.get("accept-language", ""))
