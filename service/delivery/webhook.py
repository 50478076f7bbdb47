"""Signed webhooks by Standard Webhooks 1.0: one POST an attempt, a total deadline, no redirects, a short look at the
answer. Never raises for what a receiver does: the outcome says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from service import failpoint
from service.delivery.outcomes import answered, causes, secrets_in, unanswered
from service.delivery.signing import signatures
from service.domain.model import ChannelKind, EgressRefused, Outcome, OutcomeStatus, Secret, SigningKeys

MAX_ANSWER = 4096


def headers(
    keys: Sequence[SigningKeys], *, message_id: str, attempt: int, at: datetime, body: bytes, user_agent: str
) -> dict[str, str]:
    """The headers of one attempt; `webhook-id` stays the same on every attempt, the timestamp is the attempt's."""
    return {
        "user-agent": user_agent,
        "content-type": "application/json",
        "accept-encoding": "identity",  # nothing to inflate: the answer is only looked at
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures(keys, message_id=message_id, at=at, body=body),
        "webhook-attempt": str(attempt),
    }


async def post(
    session: aiohttp.ClientSession,
    url: Secret,
    body: bytes,
    *,
    headers: dict[str, str],
    deadline: timedelta,
    now: datetime,
) -> Outcome:
    """POST `body` to `url` once; the whole exchange ends within `deadline`, and redirects are failures."""
    address = url.reveal()
    secrets = secrets_in(address)
    try:
        async with session.post(
            address,
            data=_Body(body),
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=deadline.total_seconds()),
        ) as response:
            failpoint.reach("deliver.response_read")
            return answered(
                ChannelKind.WEBHOOK,
                response.status,
                now=now,
                said=await _beginning(response),
                retry_after=response.headers.get("retry-after", ""),
                headers={name.lower(): value for name, value in response.headers.items()},
                secrets=secrets,
            )
    except TimeoutError:
        return unanswered(f"no answer within {deadline.total_seconds():g} s")
    except aiohttp.InvalidURL:
        return Outcome(status=OutcomeStatus.REFUSED, detail="the address is not a valid URL")
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        return unanswered(_reason(exc), secrets=secrets)


class _Body(aiohttp.BytesPayload):
    """Bytes that tell when they have been handed to the socket: the place where a crash may cause a repeat."""

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await super().write_with_length(writer, content_length)
        failpoint.reach("deliver.request_written")


async def _beginning(response: aiohttp.ClientResponse) -> str:
    # The status decides; what follows only explains it, and a broken or endless body explains nothing.
    try:
        return (await response.content.read(MAX_ANSWER)).decode("utf-8", errors="replace")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return ""


def _reason(exc: BaseException) -> str:
    """What went wrong before an answer, in words for the person who runs the receiving end."""
    for cause in causes(exc):
        if isinstance(cause, EgressRefused):
            return str(cause)
    match exc:
        case aiohttp.ClientConnectorCertificateError():
            return f"its TLS certificate was not accepted: {exc.certificate_error}"
        case aiohttp.ClientConnectorDNSError():
            return f"its host name {exc.host} was not found"
        case aiohttp.ClientSSLError():
            return f"no TLS connection: {exc.os_error}"
        case aiohttp.ClientConnectorError():
            return f"no connection to {exc.host}:{exc.port}: {exc.os_error.strerror or exc.os_error}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before an answer"
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP"
    return f"the connection failed: {type(exc).__name__}"
