"""The few pages that people without a key see: plain HTML in the language of a subscription, without any script.

Titles and names are strangers': they are cleaned like in a message, and the templates escape whatever they are given.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from importlib import resources

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from service.delivery.evidence import marked_title, quotes
from service.delivery.languages import WORDS, Words
from service.delivery.text import link, phrase
from service.delivery.words import headline, words_of
from service.domain.links import LinkRefusal
from service.domain.model import Alert, Decided, Language, Verdict
from service.storage.outbox import Recipient

_STYLE = resources.files("service.api").joinpath("templates/style.css").read_text(encoding="utf-8")
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    # Nothing is loaded and nothing runs; the form goes back to us, and no other site may put the page into a frame.
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",  # the address is the right to decide: no site that the page links to sees it
    "cache-control": "no-store",
    "x-robots-tag": "noindex, nofollow",
    "x-frame-options": "DENY",
}
_PAGES = Environment(
    loader=PackageLoader("service.api"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def decide(
    alert: Alert,
    to: Recipient,
    status: HTTPStatus,
    *,
    until: datetime,
    decisions: Iterable[Decided],
    used: bool,
    thanks: bool,
    form: Mapping[str, str],
    wrong: tuple[str, ...],
    today: date,
) -> HTMLResponse:
    """An alert, what was decided, and a form with what was filled in already and the fields that are wrong."""
    words = words_of(to.language)
    source = alert.sources[0] if alert.sources else None
    return _page(
        "decide.html",
        words,
        status,
        title=words.page_decide.format(alert=alert.id),
        headline=headline(alert, words),
        article=marked_title(alert),
        quotes=quotes(alert),
        source=phrase(source.source, 80) if source else "",
        link=link(source.link) if source else None,
        whose=_whose(to, words),
        once=words.page_once.format(time=_minute(until)),
        decisions=[_said(one, words) for one in decisions],
        used=used,
        thanks=thanks,
        form=form,
        wrong=wrong,
        first_day=today + timedelta(days=1),
        Verdict=Verdict,
    )


def unsubscribe(to: Recipient, *, ended: bool) -> HTMLResponse:
    """What a reader would hear no more of, and a button; or that it has ended."""
    words = words_of(to.language)
    said = words.page_unsubscribed if ended else words.page_unsubscribe_ask
    names = {
        "subscription": phrase(to.subscription, 60),
        "team": phrase(to.team, 60),
        "address": phrase(to.channel, 200),
    }
    title = words.page_unsubscribe
    return _page("unsubscribe.html", words, HTTPStatus.OK, title=title, said=said.format(**names), ended=ended)


def refused(reason: LinkRefusal, status: HTTPStatus, *, accepts: str) -> HTMLResponse:
    """Why a link does nothing and what to do, in the language that the browser asks for, since we know no reader."""
    words = _spoken(accepts)
    return _page("refused.html", words, status, title="policywatch", said=words.refusals[reason])


def _page(template: str, words: Words, status: HTTPStatus, **values: object) -> HTMLResponse:
    text = _PAGES.get_template(template).render(words=words, style=_STYLE, **values)
    return HTMLResponse(text, status_code=status, headers={**HEADERS, "content-language": words.tag})


def _said(decided: Decided, words: Words) -> str:
    detail = phrase(decided.reason or decided.assignee, 300) or (f"{decided.until}" if decided.until else "")
    verdict = words.verdicts[decided.verdict]
    return words.page_decided.format(
        by=phrase(decided.by, 100), time=_minute(decided.at), verdict=f"{verdict} ({detail})" if detail else verdict
    )


def _whose(to: Recipient, words: Words) -> str:
    return words.page_whose.format(subscription=phrase(to.subscription, 60), team=phrase(to.team, 60))


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def _spoken(accepts: str) -> Words:
    """The first of ours that an Accept-Language names; English if none is. Weights are not weighed."""
    ours = {language.value: language for language in Language}
    asked = (part.split(";")[0].strip().lower().split("-")[0] for part in accepts[:200].split(","))
    return WORDS[next((ours[tag] for tag in asked if tag in ours), Language.ENGLISH)]
