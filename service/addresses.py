"""Addresses of feeds as people write them -> as they are stored, so that one feed has one address, and back.

Stored is the address of the URL standard (url.spec.whatwg.org), as browsers have it: names of other scripts as IDNA,
signs outside of ASCII percent-encoded, and without the user and password that may stand in it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

import idna
from pydantic import AnyHttpUrl, TypeAdapter, ValidationError

from service.domain import credentials
from service.domain.credentials import Headers
from service.domain.model import Secret

_URL = TypeAdapter(AnyHttpUrl)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address without its userinfo, and the headers that the userinfo asks for."""

    url: str
    headers: Headers = ()


def read_address(written: str) -> Address:
    """The address that somebody wrote. ValueError says what is wrong with it, without any password in it."""
    try:
        url = _URL.validate_python(written.strip())
    except ValidationError as exc:
        raise ValueError(f"not a valid address: {exc.errors()[0]['msg']}") from None
    parts = urlsplit(str(url))
    if "@" not in parts.netloc:
        return Address(url=str(url))
    user, password = unquote(url.username or ""), unquote(url.password or "")
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return Address(url=bare, headers=credentials.basic(user, Secret(password)) if user or password else ())


def shown_address(url: str) -> str:
    """An address for a person: its host in its own script, where IDNA 2008 allows it; never a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return url
    netloc = parts.netloc.rpartition("@")[2]
    if "xn--" in host:
        with suppress(idna.IDNAError, UnicodeError):  # a name that is not allowed is shown as it is: it may deceive
            netloc = idna.decode(host) + (f":{port}" if port else "")
    return urlunsplit(parts._replace(netloc=netloc))
