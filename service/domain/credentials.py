"""What a feed's server wants to be shown before it answers: request headers, for its own origin and no other."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from service.domain.model import Secret

MOST_HEADERS = 10
LONGEST_VALUE = 4096
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_OURS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "content-type", "cookie2", "expect", "host",
        "if-modified-since", "if-none-match", "if-range", "keep-alive", "range", "te", "trailer", "transfer-encoding",
        "upgrade", "via",
    }
)  # fmt: skip
"""Headers that are the connection's or the fetcher's own: to set them would break what it promises."""

Headers = tuple[tuple[str, Secret], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Headers that are sent to `origin` (scheme, host and port, RFC 6454) and to nobody else."""

    origin: tuple[str, str, int]
    headers: Headers

    def headers_for(self, url: str) -> dict[str, str]:
        """The headers to send to `url`: none where a redirect or a new address leads away from the origin."""
        return {name: value.reveal() for name, value in self.headers} if origin_of(url) == self.origin else {}


def credentials_for(url: str, headers: Headers) -> Credentials | None:
    """Credentials for the origin of `url`; None when there are no headers, or the address has no origin."""
    origin = origin_of(url)
    return Credentials(origin=origin, headers=headers) if headers and origin is not None else None


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a web address; None for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.scheme, parts.hostname, port or default) if default and parts.hostname else None


def basic(user: str, password: Secret) -> Headers:
    """Basic authentication, in UTF-8 (RFC 7617)."""
    pair = f"{user}:{password.reveal()}".encode()
    return (("Authorization", Secret(f"Basic {base64.b64encode(pair).decode()}")),)


def bearer(token: Secret) -> Headers:
    """A bearer token (RFC 6750 section 2.1)."""
    return (("Authorization", Secret(f"Bearer {token.reveal()}")),)


def written(
    *, user: str = "", password: Secret | None = None, token: Secret | None = None, headers: Mapping[str, Secret]
) -> Headers:
    """What a person wrote, as headers. Faults in it are found by `faults_in`."""
    made: list[tuple[str, Secret]] = list(headers.items())
    if user or password is not None:
        made += basic(user, password or Secret(""))
    if token is not None:
        made += bearer(token)
    return tuple(made)


def faults_in(headers: Sequence[tuple[str, Secret]]) -> Iterator[str]:
    """What is wrong with these headers, for a person; no value of them is in it."""
    if len(headers) > MOST_HEADERS:
        yield f"{len(headers)} headers; {MOST_HEADERS} at most"
    seen: set[str] = set()
    for name, value in headers:
        lower = name.lower()
        if not _NAME.fullmatch(name):
            yield f"{name[:40]!r} is no name of a header"
        elif lower in _OURS or lower.startswith(("proxy-", "sec-")):
            yield f"{name} is set by the fetcher itself"
        elif lower in seen:
            yield f"{name} is given twice"
        if not _VALUE.fullmatch(value.reveal()) or len(value.reveal()) > LONGEST_VALUE:
            yield f"the value of {name[:40]!r} is empty, too long or holds signs that no header may hold"
        seen.add(lower)
