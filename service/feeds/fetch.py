"""One GET of a feed or a page from a server that may be slow, broken or hostile: bytes out, or a reason.

Everything is bounded: time in total, bytes on the wire, bytes after inflating, redirects, requests to one host.
It never parses a body, never decides when to come again, and never raises for what a server does.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Protocol, TypeGuard
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from service import egress, failpoint
from service.domain.credentials import Credentials
from service.domain.model import (
    Busy,
    EgressRefused,
    Failed,
    Fetched,
    FetchReason,
    FetchResult,
    Gone,
    Limited,
    NotModified,
    ServiceError,
    Validators,
)
from service.feeds.codings import ACCEPT_ENCODING, BadBody, decoder

ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, text/xml;q=0.9, text/html;q=0.8, */*;q=0.5"
LONGEST_WAIT = timedelta(hours=24)
CLOSED_FOR = timedelta(minutes=5)
"""How long a host is left alone that says 429 and not for how long."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
_LONGEST_VALIDATOR = 1024
_LONGEST_LINKS = 8192
_FORGET_HOSTS_ABOVE = 1024
_NAMES_AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one fetch may cost. Seconds, bytes; `host_gap` is the pause between two requests to one host."""

    deadline: float = 30.0
    wire_bytes: int = 10 * 1024 * 1024
    inflated_bytes: int = 15 * 1024 * 1024
    redirects: int = 5
    host_gap: float = 0.1


DEFAULT_LIMITS = Limits()
NOTHING_ASKED = Validators()


def session(*, user_agent: str, connections: int = 100) -> aiohttp.ClientSession:
    """The one client session of the process: no cookies, no proxies from the environment, bodies left as received.

    `user_agent` should name a way to reach the operator. Must be called, and later closed, inside the event loop.
    """
    if not type(asyncio.get_running_loop()).__module__.startswith("asyncio."):
        raise ServiceError("the event loop must be asyncio's own: the egress guard sees no other loop's connects")
    connector = aiohttp.TCPConnector(
        limit=connections,
        ssl=ssl.create_default_context(),
        resolver=_GuardedResolver(),
        ttl_dns_cache=60,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent, "Accept": ACCEPT, "Accept-Encoding": ACCEPT_ENCODING},
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None),  # the fetcher's own deadline is around everything
    )


class Refusal(Protocol):
    """Why an address may not be fetched, or None when it may."""

    async def __call__(self, url: str, *, now: datetime) -> Failed | None: ...


class Fetcher:
    """Fetches politely: one request at a time to a host and port, with a pause between."""

    def __init__(self, client: aiohttp.ClientSession, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._client = client
        self._limits = limits
        self._gates: dict[tuple[str, int], _Gate] = {}

    async def get(
        self,
        url: str,
        *,
        validators: Validators = NOTHING_ASKED,
        now: datetime,
        patience: timedelta | None = None,
        refusal: Refusal | None = None,
        credentials: Credentials | None = None,
    ) -> FetchResult:
        """The result of one GET with redirects followed; `now` is the time by which hosts' wishes are kept.

        `credentials` are sent to their own origin alone: a redirect takes them nowhere else, not to another port
        either.

        The deadline counts the time spent on the network. Waiting for the host's turn is bounded by `patience`
        alone: Busy when that was not enough, or when the host has asked us to leave it alone. `refusal` is asked at
        each step of the way whether that address may be fetched.
        """
        left = self._limits.deadline
        loop = asyncio.get_running_loop()
        give_up = None if patience is None else loop.time() + patience.total_seconds()
        moved = True
        for hop in range(self._limits.redirects + 1):
            gate = self._gate(url, now)
            if isinstance(gate, Failed):
                return gate
            if refusal is not None and (refused := await refusal(url, now=now)) is not None:
                return refused
            if (wait := gate.closed_for(now)) is not None:
                return Busy(url=url, wait=wait)
            try:
                async with asyncio.timeout_at(give_up):
                    await gate.take()
            except TimeoutError:
                return Busy(url=url)
            try:
                if (wait := gate.closed_for(now)) is not None:  # by the answer to whoever had the turn before us
                    return Busy(url=url, wait=wait)
                started = loop.time()
                headers = _conditions(validators) | (credentials.headers_for(url) if credentials else {})
                answer = await self._hop(url, headers, validators, now, deadline=left)
                left -= loop.time() - started
                if isinstance(answer, Limited):
                    gate.close(now, answer)
            finally:
                gate.leave(max(gate.gap, self._limits.host_gap))
            if not isinstance(answer, _Redirect):
                # A new address is one that every step of the way calls permanent.
                return replace(answer, moved=True) if hop and moved and _is_good(answer) else answer
            moved = moved and answer.permanent
            url = answer.to
        return _failed(url, FetchReason.TOO_MANY_REDIRECTS, f"more than {self._limits.redirects} redirects")

    def leave_gap(self, url: str, seconds: float, *, now: datetime) -> None:
        """From now on leave at least so many seconds between two requests to the host of `url`; 0 for the usual gap."""
        gate = self._gate(url, now)
        if isinstance(gate, _Gate):
            gate.gap = seconds

    def closed(self, now: datetime) -> dict[str, datetime]:
        """Until when each host that asked for patience is left alone, by `host:port`."""
        return {
            f"{host}:{port}": gate.closed_until
            for (host, port), gate in self._gates.items()
            if gate.closed_until is not None and gate.closed_until > now
        }

    def keep_closed(self, closed: Mapping[str, datetime]) -> None:
        """Leave these hosts alone too, as another process or an earlier life of this one was asked to."""
        for name, until in closed.items():
            host, _, port = name.rpartition(":")
            gate = self._gates.setdefault((host, int(port)), _Gate())
            gate.closed_until = max(until, gate.closed_until or until)

    def _gate(self, url: str, now: datetime) -> _Gate | Failed:
        reason = egress.check_url(url, egress.ANYWHERE)  # which addresses are refused is decided at the connect
        if reason is not None:
            return _failed(url, FetchReason.BAD_URL, reason)
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if len(self._gates) > _FORGET_HOSTS_ABOVE:
            self._gates = {key: gate for key, gate in self._gates.items() if gate.is_in_use(now)}
        return self._gates.setdefault((parts.hostname or "", port), _Gate())

    async def _hop(
        self, url: str, headers: dict[str, str], validators: Validators, now: datetime, *, deadline: float
    ) -> FetchResult | _Redirect:
        """One request and its answer; every way in which a server or the way to it can fail becomes a value."""
        try:
            async with (
                asyncio.timeout(max(deadline, 0)),
                self._client.get(verbatim(url), headers=headers, allow_redirects=False) as response,
            ):
                return await self._answer(url, response, validators, now)
        except TimeoutError:
            return _failed(url, FetchReason.TIMEOUT, f"no complete answer within {self._limits.deadline:g} s")
        except BadBody as exc:
            return _failed(url, exc.reason, str(exc))
        except (aiohttp.InvalidURL, ValueError) as exc:
            return _failed(url, FetchReason.BAD_URL, f"not a usable address: {exc}")
        except (aiohttp.ClientError, OSError) as exc:
            return unreachable(url, exc)

    async def _answer(
        self, url: str, response: aiohttp.ClientResponse, validators: Validators, now: datetime
    ) -> FetchResult | _Redirect:
        status = response.status
        if status == 200:
            return await self._whole(url, response)
        if status in _REDIRECTS:
            location = response.headers.get("Location", "").strip()
            if not location:
                return _failed(url, FetchReason.HTTP_STATUS, f"a redirect ({status}) that names no target", status)
            return _Redirect(to=_target(url, location), permanent=status in _PERMANENT)
        if status == 304:
            if not _conditions(validators):
                detail = "answered 304 Not Modified although nothing was asked"
                return _failed(url, FetchReason.HTTP_STATUS, detail, status)
            return NotModified(url=url, fresh_for=fresh_for(response.headers.getall("Cache-Control", [])))
        if status == 410:
            return Gone(url=url)
        if status in (429, 503):
            return Limited(url=url, status=status, retry_after=retry_after(response.headers.get("Retry-After"), now))
        return _failed(url, FetchReason.HTTP_STATUS, _explain(status), status)

    async def _whole(self, url: str, response: aiohttp.ClientResponse) -> FetchResult:
        inflate = decoder(response.headers.getall("Content-Encoding", []), self._limits.inflated_bytes)
        announced = response.content_length
        if announced is not None and announced > self._limits.wire_bytes:
            raise BadBody(FetchReason.TOO_LARGE, f"the server announces {announced} bytes")
        received = 0
        pieces: list[bytes] = []
        async for chunk in response.content.iter_any():
            received += len(chunk)
            if received > self._limits.wire_bytes:
                raise BadBody(FetchReason.TOO_LARGE, f"more than {self._limits.wire_bytes} bytes were sent")
            pieces.append(inflate.feed(chunk))
            failpoint.reach("poll.body_half")
        inflate.finish()
        body = b"".join(pieces)
        if not body.strip():
            return _failed(url, FetchReason.EMPTY, "the server answered 200 with an empty body", 200)
        return Fetched(
            url=url,
            body=body,
            content_type=_clean(response.headers.get("Content-Type")) or "",
            validators=Validators(
                etag=_clean(response.headers.get("ETag")),
                last_modified=_clean(response.headers.get("Last-Modified")),
            ),
            fresh_for=fresh_for(response.headers.getall("Cache-Control", [])),
            links=tuple(value[:_LONGEST_LINKS] for value in response.headers.getall("Link", [])),
        )


def _is_good(answer: FetchResult) -> TypeGuard[Fetched | NotModified]:
    return isinstance(answer, Fetched | NotModified)


def fresh_for(cache_control: Iterable[str]) -> timedelta | None:
    """How long an answer stays fresh by its Cache-Control (RFC 9111 section 5.2.2): 24 hours at most.

    None when it does not say, or says that it must be asked about each time.
    """
    directives = [part.strip().lower() for value in cache_control for part in value.split(",")]
    if "no-cache" in directives or "no-store" in directives:
        return None
    ages = [found[1] for each in directives if (found := re.fullmatch(r'max-age="?(\d+)"?', each, re.ASCII))]
    if not ages:
        return None
    return LONGEST_WAIT if len(ages[0]) > 9 else min(timedelta(seconds=int(ages[0])), LONGEST_WAIT)


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for (RFC 9110 section 10.2.3): never negative, 24 hours at most.

    None when there is no such header or it cannot be read.
    """
    value = (value or "").strip()
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", value):
        # The wait is capped before it is computed: a number of any length may stand here.
        wait = LONGEST_WAIT if len(value) > 9 else timedelta(seconds=float(value))
        return timedelta(0) if value.startswith("-") else min(wait, LONGEST_WAIT)
    try:
        date = parsedate_to_datetime(value)
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(timedelta(0), min(wait, LONGEST_WAIT))


# --- polite -------------------------------------------------------------------------------------------------------


class _Gate:
    """The turn at one host and port, and when its next request may go out (the loop's time)."""

    __slots__ = ("closed_until", "free_at", "gap", "turn")

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.free_at = 0.0
        self.gap = 0.0  # seconds that the host itself asks for
        self.closed_until: datetime | None = None

    def close(self, now: datetime, said: Limited) -> None:
        """The host asks for patience: nobody is sent there before it is over.

        A 503 without a Retry-After says that this address has trouble, and nothing of the others.
        """
        if said.retry_after is None and said.status != 429:
            return
        wait = CLOSED_FOR if said.retry_after is None else said.retry_after
        self.closed_until = max(now + wait, self.closed_until or now)

    def closed_for(self, now: datetime) -> timedelta | None:
        """How long the host still asks to be left alone; None when it does not."""
        return self.closed_until - now if self.closed_until is not None and now < self.closed_until else None

    def is_in_use(self, now: datetime) -> bool:
        """Whether it knows anything that must not be forgotten."""
        waits = self.free_at > asyncio.get_running_loop().time()
        return self.turn.locked() or waits or self.closed_for(now) is not None

    async def take(self) -> None:
        """Wait for the turn and for the pause after the request before; cancelled, the turn is free again."""
        await self.turn.acquire()
        try:
            wait = self.free_at - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
        except BaseException:
            self.turn.release()
            raise

    def leave(self, gap: float) -> None:
        """The next request may go out `gap` seconds from now."""
        self.free_at = asyncio.get_running_loop().time() + gap
        self.turn.release()


def _conditions(validators: Validators) -> dict[str, str]:
    conditions = {"If-None-Match": validators.etag, "If-Modified-Since": validators.last_modified}
    return {name: value for name, value in conditions.items() if value}


def _clean(value: str | None) -> str | None:
    """A header's value as received, or None if it could not be stored or sent back the same."""
    if not value or len(value) > _LONGEST_VALIDATOR or not value.isprintable():
        return None
    return value


# --- where to -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redirect:
    to: str
    permanent: bool


def _target(url: str, location: str) -> str:
    """The absolute address that a Location header names; bytes outside of ASCII are percent-encoded as they came."""
    raw = location.encode("utf-8", "surrogateescape")
    return urldefrag(urljoin(url, quote(raw, safe="!#$%&'()*+,/:;=?@[]~\\"))).url


def verbatim(url: str) -> URL:
    """An address for aiohttp that is sent as it was written: re-quoting breaks signed addresses."""
    if not url.isascii():
        return URL(url)
    if not urlsplit(url).path:  # URL would leave the request line without a path
        return URL(url)
    return URL(url, encoded=True)


class _GuardedResolver(AbstractResolver):
    """Names by the system's resolver, without the addresses that the egress guard would refuse at the connect.

    The guard holds without it; here a refusal keeps its reason, and a name with one good address stays reachable.
    It has threads of its own: a name server that does not answer must not hold up what else runs in threads.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_NAMES_AT_ONCE, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        lookup = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, lookup)
        results: list[ResolveResult] = []
        reasons: list[str] = []
        for kind, _, proto, _, address in found:
            ip = str(address[0])
            reason = egress.verdict(ip, port)
            if reason is not None:
                reasons.append(reason)
                continue
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            results.append(ResolveResult(hostname=host, host=ip, port=port, family=kind, proto=proto, flags=flags))
        if reasons and not results:
            raise EgressRefused(f"connection to {host} refused by the egress guard: {reasons[0]}")
        return results

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


# --- what went wrong ----------------------------------------------------------------------------------------------


def _failed(url: str, reason: FetchReason, detail: str, status: int | None = None) -> Failed:
    return Failed(url=url, reason=reason, detail=detail, status=status)


def unreachable(url: str, exc: BaseException) -> Failed:
    refused = _refusal_in(exc)
    if refused is not None:
        return _failed(url, FetchReason.REFUSED_ADDRESS, str(refused))
    match exc:
        case aiohttp.ClientConnectorDNSError():
            detail = "the host name does not resolve"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            detail = f"no secure connection: {_first_line(exc)}"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            detail = "the connection broke off before the answer was complete"
        case aiohttp.ClientResponseError():
            detail = f"the answer is not proper HTTP: {_first_line(exc)}"
        case _:
            detail = f"no connection: {_first_line(exc)}"
    return _failed(url, FetchReason.UNREACHABLE, detail)


def _refusal_in(exc: BaseException | None) -> EgressRefused | None:
    """The guard's refusal, if it is somewhere among the causes."""
    for _ in range(10):
        if exc is None or isinstance(exc, EgressRefused):
            return exc
        exc = exc.__cause__ or exc.__context__
    return None


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]


def _explain(status: int) -> str:
    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
    if status in (401, 403, 407, 451):
        return f"the server refuses us ({phrase})"
    if status == 404:
        return f"there is nothing at this address ({phrase}); has the feed moved?"
    if status >= 500:
        return f"the server has trouble ({phrase})"
    return f"an answer that is no feed ({phrase})"
