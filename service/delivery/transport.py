"""The wire under Apprise, for the sender's child process only: one HTTP session, and a note of what servers answered.

Apprise makes a session and a TLS context for every request, and reports true or false. Here its requests share one
session, follow no redirect, keep no cookie, read a bounded answer, and the answer or the error is kept for a verdict.
"""

from __future__ import annotations

import email
import functools
import json
import smtplib
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

MAX_ANSWER = 64 * 1024
_HOSTS, _CONNECTIONS = 100, 32
"""Of so many hosts connections are kept open, and of each no more: as many as threads may send to it."""
_FOLDED = SMTP.clone(refold_source="all", cte_type="7bit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an HTTP service answered to one request."""

    code: int
    retry_after: str
    body: bytes


class Wire(threading.local):
    """What came over the wire since `begin`, last thing last: to each thread its own, which sends one message at a
    time."""

    def __init__(self) -> None:
        self.begin(timeout=10.0)

    def begin(
        self,
        *,
        timeout: float,
        headers: Iterable[tuple[str, str]] = (),
        text: str = "",
        fields: Mapping[str, object] | None = None,
    ) -> None:
        """Forget everything; `headers` and `text` (its plain part) are for the mail that may follow, `fields` for the
        JSON of a chat message."""
        self.timeout = timeout
        self.headers = tuple(headers)
        self.text = text
        self.fields = dict(fields or {})
        self.last: Answer | Exception | None = None
        self.mailed = False


class Session(requests.Session):
    """The one session of this process; `base_urls` sends a service's requests to another address."""

    def __init__(self, wire: Wire, base_urls: Mapping[str, str]) -> None:
        super().__init__()
        self._wire = wire
        self.trust_env = False  # no proxy from the environment, no .netrc
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # tenants share this session
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())  # a slim machine may have no certificates of its own
        self.mount("https://", _Adapter(context))
        self.mount("http://", _Adapter(context))
        for base, other in base_urls.items():
            # With the slash, or "https://api.example" would stand for "https://api.example.attacker.test" too.
            self.mount(base.rstrip("/") + "/", _Adapter(context, base=base.rstrip("/"), other=other.rstrip("/")))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        kwargs |= {"stream": True, "allow_redirects": False, "verify": True, "cert": None, "proxies": {}}
        kwargs["timeout"] = (self._wire.timeout, self._wire.timeout)
        try:
            response = super().send(request, **kwargs)
            body = _beginning(response)
        except (requests.RequestException, OSError) as exc:
            self._wire.last = exc
            raise
        except HTTPError as exc:  # urllib3's own, of a body that breaks off: plugins only know requests'
            self._wire.last = exc
            raise requests.ConnectionError(exc, request=request) from exc
        retry_after = response.headers.get("Retry-After", "")
        self._wire.last = Answer(code=response.status_code, retry_after=retry_after, body=body)
        return response


class _Adapter(HTTPAdapter):
    """Connections with the shared TLS context, to `other` in place of `base`."""

    def __init__(self, context: ssl.SSLContext, *, base: str = "", other: str = "") -> None:
        self._context = context
        self._base, self._other = base, other
        super().__init__(max_retries=0, pool_connections=_HOSTS, pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        # Without naming files here, the shared context is used as it is instead of being loaded again (19 ms).
        host, _ = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {"cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to add: the context verifies."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if self._base and request.url is not None:
            request = request.copy()
            request.url = self._other + (request.url or "")[len(self._base) :]
        return super().send(request, *args, **kwargs)


def _beginning(response: requests.Response) -> bytes:
    """At most `MAX_ANSWER` bytes of the body, which is then all that the response holds."""
    body: bytes = response.raw.read(MAX_ANSWER, decode_content=True)
    if response.raw.read(1):
        response.close()  # more than we want: drop the connection
    else:
        response.raw.release_conn()
    response._content = body  # requests has no public way to bound a body
    response._content_consumed = True
    return body


def _own(mail: str, wire: Wire) -> str:
    """The mail with our headers (its Message-ID is the same on every attempt, so that a mailbox can discard a repeat),
    our text as its plain part where Apprise puts its own reading of the HTML, and its headers folded.

    Apprise 2.2.0 folds no header: a Chinese subject of 90 characters is a line that mail servers refuse.
    """
    message = email.message_from_string(mail, policy=_FOLDED)
    for name, value in wire.headers:
        del message[name]
        message[name] = value
    plain = message.get_body(("plain",))
    if isinstance(plain, EmailMessage):
        plain.set_content(wire.text)
    return message.as_string()


# A plugin's JSON is the message itself, and no look-up before it, when it has one of these.
_MESSAGE_KEYS = frozenset({"attachments", "parse_mode", "content"})
_REPLACED = frozenset({"attachments", "mrkdwn"})  # Slack's old form, for which blocks stand


def _own_fields(data: object, fields: Mapping[str, object]) -> object:
    """The request's body with our members in place of the plugin's; what is no message stays as it is.

    Apprise's Slack plugin takes blocks from a template file only, and its own are plain text; Telegram's rewrites our
    HTML; Discord's sends no `allowed_mentions`. Address, room, thread and name remain the plugin's.
    """
    if not fields or not isinstance(data, str | bytes):
        return data
    try:
        said = json.loads(data)
    except ValueError:
        return data
    if not isinstance(said, dict) or not _MESSAGE_KEYS & said.keys():
        return data
    kept = {name: value for name, value in said.items() if name not in _REPLACED or "blocks" not in fields}
    return json.dumps(kept | dict(fields)).encode()


# --- putting it there -----------------------------------------------------------------------------------------------

WIRE = Wire()


def take_over(base_urls: Mapping[str, str]) -> Wire:
    """Put our session and our notes under every library of this process, for good; the wire they note on."""
    session = Session(WIRE, base_urls)

    def request(method: str, url: str, **kwargs: Any) -> requests.Response:
        if "data" in kwargs:
            kwargs["data"] = _own_fields(kwargs["data"], WIRE.fields)
        return session.request(method=method, url=url, **kwargs)

    requests.api.request = request  # type: ignore[assignment]
    requests.request = request  # type: ignore[assignment]
    _take_over_smtp()
    return WIRE


@functools.cache
def _take_over_smtp() -> None:
    sendmail = smtplib.SMTP.sendmail

    def own_sendmail(self: smtplib.SMTP, from_addr: str, to_addrs: Any, msg: str, *args: Any) -> Any:
        refused = sendmail(self, from_addr, to_addrs, _own(msg, WIRE), *args)
        WIRE.mailed = not refused
        return refused

    # The methods themselves: SMTP_SSL calls SMTP.__init__ by its global name, so subclasses in its place would loop.
    for name in ("__init__", "starttls", "login"):
        setattr(smtplib.SMTP, name, _noting(getattr(smtplib.SMTP, name)))
    smtplib.SMTP.sendmail = _noting(own_sendmail)  # type: ignore[method-assign]


def _noting(call: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except (OSError, smtplib.SMTPException, UnicodeError) as exc:
            WIRE.last = exc
            raise

    return noted
