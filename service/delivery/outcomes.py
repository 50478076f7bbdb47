"""What an answer means: sent, try again, give up. One table over all status codes, and details without secrets. Pure.

`REFUSED` is for what waiting cannot mend. When in doubt an attempt is repeated: a repeat costs a request, giving up
costs an alert.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote, urlsplit

from service.delivery.text import cut, visible
from service.domain.model import Answer, ChannelKind, Outcome, OutcomeStatus

MAX_RETRY_AFTER = timedelta(hours=24)
MAX_DETAIL = 200
MAX_BODY = 1000
"""Characters of an answer that are kept."""

TOLD_HEADERS = (
    "content-type", "content-length", "date", "location", "retry-after", "server", "via", "www-authenticate",
    "x-request-id",
)  # fmt: skip
"""What explains an answer to the person who runs the receiving end. No cookies: those are secrets of theirs."""

MIN_SECRET = 6  # shorter pieces are words such as "api", and hiding them would hide the explanation

# Slack's webhooks answer 400 invalid_payload, 403 invalid_token, 404 no_service, 410 channel_is_archived; Telegram's
# Bot API 400 chat not found, 401 unauthorized, 403 blocked by the user, 404 wrong token. Other services use the same
# words of HTTP, and none of these changes without a person editing the channel.
_CHAT = frozenset({400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 451})
_REFUSED: dict[ChannelKind, frozenset[int]] = {
    # Standard Webhooks: only 410 asks us to stop; whoever runs the endpoint may mend anything else within our patience.
    ChannelKind.WEBHOOK: frozenset({410}),
    ChannelKind.SLACK: _CHAT,
    ChannelKind.TELEGRAM: _CHAT,
    ChannelKind.OTHER: _CHAT,
    # RFC 5321 section 4.2.3: no such mailbox, not local, over its quota, name not allowed, transaction refused, and
    # 555, 556 (RFC 7504). Not 53x: those are about our log-in, which the operator can mend.
    ChannelKind.EMAIL: frozenset({550, 551, 552, 553, 554, 555, 556}),
}


def status_of(kind: ChannelKind, code: int) -> OutcomeStatus:
    """The verdict on a status code of HTTP (SMTP for mail): any 2xx is sent, the table says refused, all else retry.

    Redirects are never followed, so 3xx is a failure like any other.
    """
    if 200 <= code < 300:
        return OutcomeStatus.SENT
    return OutcomeStatus.REFUSED if code in _REFUSED[kind] else OutcomeStatus.RETRY


def answered(
    kind: ChannelKind,
    code: int,
    *,
    now: datetime,
    said: str = "",
    retry_after: str = "",
    headers: Mapping[str, str] | None = None,
    secrets: Collection[str] = (),
) -> Outcome:
    """The outcome of an answer: `said` is the body's beginning as received, `retry_after` the header's value.

    `headers` are those of the answer, by names in lower case; of them, `TOLD_HEADERS` are kept.
    """
    status = status_of(kind, code)
    text = masked(said, secrets)
    return Outcome(
        status=status,
        detail=cut(f"answered {code}{': ' + text if text else ''}", MAX_DETAIL),
        http_status=code if kind is not ChannelKind.EMAIL else None,
        retry_after=parse_retry_after(retry_after, now=now) if status is OutcomeStatus.RETRY else None,
        answer=_answer(said, headers or {}, secrets),
    )


def _answer(said: str, headers: Mapping[str, str], secrets: Collection[str]) -> Answer:
    told = {name: masked(headers[name], secrets) for name in TOLD_HEADERS if name in headers}
    return Answer(headers=told, body=cut(without(visible(said).strip(), secrets), MAX_BODY))


def unanswered(detail: str, *, secrets: Iterable[str] = ()) -> Outcome:
    """The outcome when there was no answer: it is tried again, since nobody said no."""
    return Outcome(status=OutcomeStatus.RETRY, detail=masked(detail, secrets))


def parse_retry_after(value: str, *, now: datetime) -> timedelta | None:
    """A Retry-After header (RFC 9110 section 10.2.3): seconds or a date; the past is now, more than a day is a day."""
    value = value.strip()
    if re.fullmatch(r"[+-]?\d{1,12}(\.\d{0,9})?", value):
        wait = timedelta(seconds=min(float(value), MAX_RETRY_AFTER.total_seconds()))
    else:
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, IndexError, TypeError, OverflowError):
            return None
        wait = (when if when.tzinfo else when.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta()), MAX_RETRY_AFTER)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` in one line of at most `MAX_DETAIL` characters with every secret replaced by ***."""
    return cut(without(visible(text).strip(), secrets), MAX_DETAIL)


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret replaced by ***, the longest first: one may be part of another."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def secrets_in(url: str) -> frozenset[str]:
    """The parts of an address that may be secret, as written and decoded: user, password, path pieces, query values.

    The host of an http address is none: a person needs it to see what failed. Apprise puts tokens there.
    """
    try:
        parts = urlsplit(url)
        values = [value for _, value in parse_qsl(parts.query)]
    except ValueError:
        return frozenset({url, url.partition("://")[2]})
    user, _, host = parts.netloc.rpartition("@")
    exposed = user if parts.scheme in ("http", "https") else f"{user}:{host}"
    pieces = [*exposed.split(":"), *re.split(r"[/:]", parts.path), *values, parts.fragment]
    whole = [url, url.partition("://")[2], parts.path, parts.query]
    known = {*whole, *pieces, *(unquote(piece) for piece in pieces)}
    return frozenset(piece for piece in known if len(piece) >= MIN_SECRET)


def causes(exc: BaseException) -> list[BaseException]:
    """An exception and everything it came from, however the libraries between have wrapped it."""
    found: list[BaseException] = []
    todo: list[object] = [exc]
    while todo and len(found) < 20:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or any(one is known for known in found):
            continue
        found.append(one)
        todo += [one.__cause__, one.__context__, getattr(one, "os_error", None), getattr(one, "reason", None)]
        todo += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return found
