"""Sending one rendered message to one channel: a signed webhook, mail, or another service through Apprise.

`Sender.send` answers with an outcome and never raises for what a destination does. It paces, repeats and remembers
nothing: that is the outbox's part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote

import aiohttp

from service import failpoint
from service.delivery import webhook
from service.delivery.addresses import parse_channel, refusal
from service.delivery.apprise_child import Parcel, send_by_apprise
from service.delivery.outcomes import unanswered
from service.domain.model import Channel, ChannelKind, Message, Outcome, OutcomeStatus, Secret
from service.sandbox import SandboxDied, SandboxTimeout
from service.switchboard import Switchboard

__all__ = ["DeliverySettings", "Sender", "SmtpSettings", "parse_channel"]

USER_AGENT = "policywatch"
_NO_PASSWORD = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """The operator's mail server. `sender` is the From address, with or without a name before it.

    `unsubscribe` is where a reader asks to be taken off (mailto: or https:), for the header of that name.
    """

    host: str
    port: int
    sender: str
    user: str = ""
    password: Secret = _NO_PASSWORD
    security: Literal["starttls", "tls", "none"] = "starttls"
    unsubscribe: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """What sending needs to know of the configuration. `timeout` bounds one attempt, waiting for a child included.

    `base_urls` sends a service's requests elsewhere, such as `{"https://api.telegram.org": "http://127.0.0.1:8081"}`
    for a self-hosted Bot API server; the guard must allow that address.
    """

    allow_schemas: tuple[str, ...]
    timeout: timedelta = timedelta(seconds=20)
    smtp: SmtpSettings | None = None
    base_urls: Mapping[str, str] = field(default_factory=dict)
    user_agent: str = USER_AGENT


class Sender:
    """Sends to every kind of channel over one HTTP session and one switchboard, both given in and closed by the giver.

    The switchboard needs the network (`egress_allow` not None) and a wall limit of no less than `settings.timeout`.
    """

    def __init__(self, session: aiohttp.ClientSession, switchboard: Switchboard, settings: DeliverySettings) -> None:
        self._session = session
        self._switchboard = switchboard
        self._settings = settings

    async def send(
        self, channel: Channel, message: Message, *, message_id: str, attempt: int, now: datetime
    ) -> Outcome:
        """What came of sending `message` once. `message_id` is the same on every attempt; `attempt` counts from 1."""
        if channel.kind is ChannelKind.WEBHOOK:
            return await self._by_webhook(channel, message, message_id=message_id, attempt=attempt, now=now)
        if channel.kind is ChannelKind.EMAIL:
            smtp = self._settings.smtp
            if smtp is None:
                return unanswered("mail is not set up: the operator sets delivery.smtp")
            address = channel.url.reveal().removeprefix("mailto:")
            headers = tuple(mail_headers(smtp, message, message_id=message_id))
            return await self._by_apprise(_mail_url(smtp, address), channel, message, headers=headers, now=now)
        reason = refusal(channel.url.reveal(), allow_schemas=self._settings.allow_schemas)
        if reason is not None:
            return Outcome(status=OutcomeStatus.REFUSED, detail=reason)
        return await self._by_apprise(channel.url, channel, message, now=now)

    async def _by_webhook(
        self, channel: Channel, message: Message, *, message_id: str, attempt: int, now: datetime
    ) -> Outcome:
        if not channel.keys or message.payload is None:
            return Outcome(status=OutcomeStatus.REFUSED, detail="the webhook has no signing secret or no payload")
        try:
            headers = webhook.headers(
                channel.keys,
                message_id=message_id,
                attempt=attempt,
                at=now,
                body=message.payload,
                user_agent=self._settings.user_agent,
            )
        except ValueError as exc:
            return Outcome(status=OutcomeStatus.REFUSED, detail=str(exc))
        return await webhook.post(
            self._session, channel.url, message.payload, headers=headers, deadline=self._settings.timeout, now=now
        )

    async def _by_apprise(
        self,
        url: Secret,
        channel: Channel,
        message: Message,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        now: datetime,
    ) -> Outcome:
        seconds = self._settings.timeout.total_seconds()
        parcel = Parcel(
            url=url,
            kind=channel.kind,
            message=message,
            timeout=seconds / 2,  # for a connect and for a read each, so that the child can tell what happened
            now=now,
            base_urls=tuple(sorted(self._settings.base_urls.items())),
            headers=headers,
        )
        try:
            # Waiting for a free place counts too: the delivery's lease must not run out while it stands in line.
            async with asyncio.timeout(seconds):
                outcome = await self._switchboard.run(send_by_apprise, parcel)
        except (TimeoutError, SandboxTimeout):
            return unanswered(f"no answer within {seconds:g} s")
        except SandboxDied:
            return unanswered("the sending process ended before an answer")
        failpoint.reach("deliver.response_read")
        return outcome


def mail_headers(smtp: SmtpSettings, message: Message, *, message_id: str) -> Iterator[tuple[str, str]]:
    """The headers of a mail that are ours to say; those of one story hang together by their first mail."""
    domain = _domain(smtp.sender)
    yield "Message-ID", f"<{message_id}@{domain}>"
    if message.thread:  # RFC 5322 section 3.6.4
        yield "In-Reply-To", f"<{message.thread}@{domain}>"
        yield "References", f"<{message.thread}@{domain}>"
    yield "Auto-Submitted", "auto-generated"  # RFC 3834: no out-of-office answers, please
    yield "List-Id", f"policywatch <policywatch.{domain}>"  # RFC 2919: what a filter can hold on to
    ways = [f"<{way}>" for way in (message.unsubscribe, smtp.unsubscribe) if way]
    if ways:  # RFC 2369 section 3.2: the preferred way first
        yield "List-Unsubscribe", ", ".join(ways)
    if message.unsubscribe and message.unsubscribe.startswith("https:"):  # RFC 8058 section 3.1 asks for HTTPS
        yield "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"
    yield "X-Policywatch-Id", message_id


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2].rstrip("> ") or "policywatch"


def _mail_url(smtp: SmtpSettings, address: str) -> Secret:
    """The Apprise URL for a mail to `address` through the operator's server."""
    login = f"{quote(smtp.user, safe='')}:{quote(smtp.password.reveal(), safe='')}@" if smtp.user else ""
    schema = "mailto" if smtp.security == "none" else "mailtos"
    parameters = {
        "smtp": smtp.host,
        "mode": {"starttls": "starttls", "tls": "ssl", "none": "insecure"}[smtp.security],
        "from": smtp.sender,
        "to": address,
    }
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    return Secret(f"{schema}://{login}{_domain(smtp.sender)}:{smtp.port}/?{query}")
