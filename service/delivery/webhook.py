"""Signed webhooks by Standard Webhooks 1.0: one POST an attempt, a total deadline, no redirects, a short look at the
answer. Never raises for what a receiver does: the outcome says it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from service import failpoint
from service.delivery.outcomes import answered, causes, secrets_in, unanswered
from service.domain.model import ChannelKind, EgressRefused, Outcome, OutcomeStatus, Secret

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32  # Standard Webhooks: 24 to 64
MAX_ANSWER = 4096


def new_secret(random: Callable[[int], bytes]) -> Secret:
    """A signing secret: `whsec_` and the base64 of 32 bytes from `random`."""
    return Secret(SECRET_PREFIX + base64.b64encode(random(SECRET_BYTES)).decode("ascii"))


def sign(secret: Secret, *, message_id: str, at: datetime, body: bytes) -> str:
    """The `webhook-signature` of one attempt: v1, HMAC-SHA256 over `id.timestamp.body`.

    Raises ValueError for a secret that is not `whsec_` and base64, or an id with a dot: `a.1` sent at 2 would carry
    the signature of `a` sent at 1.
    """
    if "." in message_id:
        raise ValueError(f"a message id may hold no dot: {message_id!r}")
    prefix, found, encoded = secret.reveal().partition(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if prefix or not found or not key:
        raise ValueError("a webhook's secret is whsec_ followed by base64")
    signed = b".".join((message_id.encode(), str(int(at.timestamp())).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii")


def headers(
    secret: Secret, *, message_id: str, attempt: int, at: datetime, body: bytes, user_agent: str
) -> dict[str, str]:
    """The headers of one attempt; `webhook-id` stays the same on every attempt, the timestamp is the attempt's."""
    return {
        "user-agent": user_agent,
        "content-type": "application/json",
        "accept-encoding": "identity",  # nothing to inflate: the answer is only looked at
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": sign(secret, message_id=message_id, at=at, body=body),
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
