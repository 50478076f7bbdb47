"""Sending one message by Apprise: runs in a child process only, where Apprise's weight and its URLs do no harm, on as
many threads as there are messages under way.

Text goes in as plain text, so that nothing in it becomes markup; what the service answered becomes the outcome. One
message is one message: nothing is split, retried or delayed here, the outbox does that.
"""

from __future__ import annotations

import functools
import json
import smtplib
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from service.delivery.addresses import apprise_asset, instantiate, load_apprise
from service.delivery.outcomes import answered, causes, secrets_in, status_of, unanswered
from service.delivery.text import shorten
from service.domain.model import ChannelKind, EgressRefused, Message, Outcome, OutcomeStatus, Secret

if TYPE_CHECKING:
    from service.delivery.transport import Answer, Wire

# What Slack's Web API says with status 200 when a later attempt may succeed; its other errors need a person.
_SLACK_PASSING = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
# What a plugin does not say by itself: that nothing in a text is a mention (Discord, message create).
_FIELDS: Mapping[str, Mapping[str, object]] = {"discord": {"allowed_mentions": {"parse": []}}}
# Services that read whatever they are sent as Markdown: escaped by us, since their plugins pass on text as it is
# (Discord), leave the title (Teams) or break links with backslashes (Webex, Google Chat).
_SHOWS_MARKDOWN = frozenset({"discord", "wxteams", "workflows", "gchat"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Everything the child needs for one attempt. `url` is an Apprise URL; `headers` are those of a mail."""

    url: Secret
    kind: ChannelKind
    message: Message
    timeout: float
    now: datetime
    base_urls: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


def send_by_apprise(parcel: Parcel) -> Outcome:
    """What came of sending `parcel` once. Never raises: a plugin is foreign code, its faults are outcomes too."""
    try:
        with _LOADING:
            wire = _wire(parcel.base_urls)
            load_apprise()
        service = instantiate(parcel.url.reveal())
        if service is None:
            return Outcome(status=OutcomeStatus.REFUSED, detail="Apprise cannot read the channel's address")
        wire.begin(
            timeout=parcel.timeout,
            headers=parcel.headers,
            text=parcel.message.body,
            fields=parcel.message.fields or _FIELDS.get(service.schema, {}),
        )
        accepted = _notify(service, parcel)
    except Exception as exc:
        return unanswered(f"the Apprise plugin failed with {type(exc).__name__}")
    return _outcome(wire, parcel, accepted=accepted)


_LOADING = threading.Lock()  # the first messages come together, and each would load all


@functools.lru_cache(maxsize=1)  # other base_urls take over again
def _wire(base_urls: tuple[tuple[str, str], ...]) -> Wire:
    # Only a child needs it, and it loads requests: 90 ms that the parent saves.
    from service.delivery.transport import take_over  # noqa: PLC0415

    return take_over(dict(base_urls))


def _notify(service: Any, parcel: Parcel) -> bool:
    apprise = load_apprise()
    service.throttle = lambda *_, **__: None  # the outbox paces; a plugin would sleep
    # Never two messages for one; where `render` knows the limit, Apprise would cut too early (it measures its escapes).
    known = parcel.kind is not ChannelKind.OTHER
    service.overflow_mode = apprise.OverflowMode.UPSTREAM if known else apprise.OverflowMode.TRUNCATE
    service.socket_connect_timeout = service.socket_read_timeout = parcel.timeout
    title, text, form = _text(service, parcel.message)
    # Through Apprise and not the plugin's own notify: only this way is text escaped for a service's HTML (2.2.0).
    result = apprise.Apprise(services=service, asset=apprise_asset()).notify(
        title=title,
        body=text,
        body_format=apprise.NotifyFormat(form),
        notify_type=apprise.NotifyType.WARNING,  # Opsgenie takes INFO for a note on an older alert, and sends nothing
    )
    return bool(result)


def _text(service: Any, message: Message) -> tuple[str, str, str]:
    """Title, body and format for the plugin: within its own limit, so that the line with the alert's id stays."""
    if message.html is not None:
        return message.title, message.html, "html"
    if message.markdown is not None and service.schema in _SHOWS_MARKDOWN:
        return "", message.markdown, "markdown"
    limit = int(service.body_maxlen)
    if service.title_maxlen <= 0 or service.overflow_amalgamate_title:
        limit -= len(message.title) + 16
    body = shorten(message.body, limit) if 0 < limit < len(message.body) else message.body
    return message.title, body, "text"


# --- the verdict ----------------------------------------------------------------------------------------------------


def _outcome(wire: Wire, parcel: Parcel, *, accepted: bool) -> Outcome:
    secrets = _secrets(parcel)
    if isinstance(wire.last, Exception):
        return _failed(wire.last, parcel, secrets=secrets)
    if parcel.kind is ChannelKind.EMAIL:
        if accepted and wire.mailed:
            return Outcome(status=OutcomeStatus.SENT, detail="accepted by the mail server")
        return unanswered("the mail was not accepted by the mail server")
    if wire.last is None:
        return unanswered("Apprise sent nothing")
    return _answered(wire.last, parcel, accepted=accepted, secrets=secrets)


def _answered(answer: Answer, parcel: Parcel, *, accepted: bool, secrets: frozenset[str]) -> Outcome:
    said = _object(answer.body)
    if parcel.kind is ChannelKind.TELEGRAM:
        accepted = accepted and said.get("ok") is True  # its plugin takes any page of status 200 for a yes
    outcome = answered(
        parcel.kind,
        answer.code,
        now=parcel.now,
        said=_words(said) or answer.body[:400].decode("utf-8", errors="replace"),
        retry_after=answer.retry_after or _retry_after(said),
        secrets=secrets,
    )
    if accepted or status_of(parcel.kind, answer.code) is not OutcomeStatus.SENT:
        if not accepted:
            return outcome
        return Outcome(status=OutcomeStatus.SENT, http_status=answer.code, answer=outcome.answer)
    status = OutcomeStatus.REFUSED if _is_final(parcel.kind, said) else OutcomeStatus.RETRY
    return Outcome(status=status, detail=outcome.detail, http_status=answer.code, answer=outcome.answer)


def _is_final(kind: ChannelKind, said: dict[str, Any]) -> bool:
    """Whether a no that came with status 200 needs a person."""
    if said.get("ok") is not False:
        return False
    if kind is ChannelKind.TELEGRAM:
        code = said.get("error_code")
        return isinstance(code, int) and status_of(kind, code) is OutcomeStatus.REFUSED
    return kind is ChannelKind.SLACK and said.get("error") not in _SLACK_PASSING


def _secrets(parcel: Parcel) -> frozenset[str]:
    url = parcel.url.reveal()
    if parcel.kind is not ChannelKind.EMAIL:
        return secrets_in(url)
    login = urlsplit(url)  # the address that a mail goes to is no secret, and a mail server's answer names it
    return frozenset(unquote(part) for part in (login.username, login.password) if part)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _words(said: dict[str, Any]) -> str:
    """Telegram says `description`, Slack `error`, Discord and others `message`."""
    return next((said[key] for key in ("description", "error", "message") if isinstance(said.get(key), str)), "")


def _retry_after(said: dict[str, Any]) -> str:
    """Telegram puts it in `parameters`, Discord at the top."""
    parameters = said.get("parameters")
    value = (parameters if isinstance(parameters, dict) else said).get("retry_after")
    return str(value) if isinstance(value, int | float) else ""


def _failed(exc: Exception, parcel: Parcel, *, secrets: frozenset[str]) -> Outcome:
    """Nothing was answered, or a mail server said no."""
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(exc.recipients.values()))
        return answered(parcel.kind, code, now=parcel.now, said=said.decode("utf-8", "replace"), secrets=secrets)
    if isinstance(exc, smtplib.SMTPResponseException):
        said = exc.smtp_error if isinstance(exc.smtp_error, bytes) else str(exc.smtp_error).encode()
        outcome = answered(
            parcel.kind, exc.smtp_code, now=parcel.now, said=said.decode("utf-8", "replace"), secrets=secrets
        )
        # A 5xx to our greeting, log-in or sender address is about the operator's settings, not about the reader.
        return outcome if isinstance(exc, smtplib.SMTPDataError) else unanswered(outcome.detail)
    return unanswered(_reason(exc, parcel), secrets=secrets)


def _reason(exc: Exception, parcel: Parcel) -> str:
    for cause in reversed(causes(exc)):  # the first thing that went wrong tells most
        match cause:
            case EgressRefused():
                return str(cause)
            case ssl.SSLCertVerificationError():
                return f"the TLS certificate was not accepted: {cause.verify_message}"
            case ssl.SSLError():
                return f"no TLS connection: {cause.reason}"
            case TimeoutError():
                return f"no answer within {parcel.timeout:g} s"
            case ConnectionRefusedError():
                return "connection refused"
            case smtplib.SMTPNotSupportedError():
                return "the mail server does not offer what delivery.smtp asks for (STARTTLS or log-in)"
            case UnicodeError():
                return "the user or password in delivery.smtp is not plain ASCII, which is all that log-in can carry"
            case smtplib.SMTPServerDisconnected():
                return "the mail server closed the connection"
    names = {type(cause).__name__ for cause in causes(exc)}
    if names & {"NameResolutionError", "gaierror"}:
        return "the host name was not found"
    if names & {"ReadTimeoutError", "ReadTimeout", "ConnectTimeout", "ConnectTimeoutError"}:
        return f"no answer within {parcel.timeout:g} s"
    return f"the connection failed: {type(exc).__name__}"
