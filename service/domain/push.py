"""WebSub (W3C Recommendation of 23 January 2018), the subscriber's side: what is asked, believed and taken.

A push is a feed's document that its hub sends us; it spares the time until the next poll and replaces none: polling
goes on as a safety net. Section numbers are those of the recommendation. Decisions only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urljoin, urlsplit

from service.domain.model import Notice, NoticeKind, Push, PushRefusal, PushState, Secret

LEASE = timedelta(days=10)
"""What we ask for (section 8.2 calls it a good default); the hub decides."""

LONGEST_LEASE = timedelta(days=90)
SHORTEST_LEASE = timedelta(minutes=1)
RENEW_AFTER = 0.7
"""The share of a lease after which it is renewed: what is left is for hubs that are away."""

VERIFY_WITHIN = timedelta(minutes=5)
MAX_BACKOFF = timedelta(hours=24)
LEAVE_ATTEMPTS = 3
PATH = "/push/"
"""Where hubs reach us; what follows is the push's token, which nobody can guess (section 5.1)."""

_LONGEST_CHALLENGE = 4096
_ALGORITHMS = frozenset({"sha1", "sha256", "sha384", "sha512"})
_PARAMETER = r'\s*;\s*([\w!#$%&*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]+)))?'
_LINK = re.compile(rf"<([^<>]*)>((?:{_PARAMETER})*)")
_EACH = re.compile(_PARAMETER)


# --- what a publisher offers (section 4) --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A hub that pushes a feed, and the name (`topic`) under which it knows the feed."""

    hub: str
    topic: str


def offer_in(headers: Iterable[str], hubs: Iterable[str], topic: str | None, *, url: str) -> Offer | None:
    """What the answer from `url` offers: by its Link `headers`, in their absence by the links of its document.

    Of several hubs the first with TLS is taken (section 8.2), else the first.
    """
    linked = [(rel, urljoin(url, target)) for target, rel in _links(headers)]
    named = [target for rel, target in linked if rel == "hub"]
    if named:
        topic = next((target for rel, target in linked if rel == "self"), topic)
    usable = [hub for hub in named or hubs if _is_web(hub)]
    if not usable:
        return None
    hub = next((each for each in usable if each.startswith("https:")), usable[0])
    return Offer(hub=hub, topic=topic if topic is not None and _is_web(topic) else url)


def _links(headers: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Each target of a Link header (RFC 8288 section 3) with each of its relations."""
    for header in headers:
        for found in _LINK.finditer(header):
            parameters = {each[1].lower(): each[2] or each[3] or "" for each in _EACH.finditer(found[2])}
            for name in parameters.get("rel", "").lower().split():
                yield found[1].strip(), name


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and len(url) <= 2000 and url.isprintable()
    except ValueError:
        return False


# --- asking for it (section 5.1) ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What only the hub is told: the unguessable end of the callback's path, and the key of its signatures."""

    token: Secret
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAnswer:
    """What a hub said to a request; `detail` is for a person."""

    accepted: bool
    detail: str = ""


def request_form(push: Push, capability: Capability, public_url: str) -> dict[str, str]:
    """The form to post to the hub. The secret is sent whatever the hub's scheme: without one, anybody who sees the
    callback's path could feed us, and section 5.1 only advises against it on plain HTTP."""
    form = {
        "hub.callback": f"{public_url.rstrip('/')}{PATH}{capability.token.reveal()}",
        "hub.mode": "unsubscribe" if push.state is PushState.LEAVING else "subscribe",
        "hub.topic": push.topic,
    }
    if push.state is not PushState.LEAVING:
        form |= {"hub.lease_seconds": f"{LEASE.total_seconds():.0f}", "hub.secret": capability.secret.reveal()}
    return form


def after_request(push: Push, answer: HubAnswer, now: datetime) -> Push | None:
    """The push after a request; None when it is over. What a hub refuses is asked again, ever more slowly."""
    attempts = push.attempts + 1
    if push.state is PushState.LEAVING and attempts >= LEAVE_ATTEMPTS:
        return None  # its lease ends by itself, and what it sends until then is answered 410
    backoff = min(VERIFY_WITHIN * 4 ** min(push.attempts, 8), MAX_BACKOFF)
    asked = replace(push, attempts=attempts, asked_at=now, next_at=now + backoff)
    if push.state is PushState.LEAVING:
        return asked
    if push.is_live(now):
        return replace(asked, problem=None if answer.accepted else answer.detail)
    if not answer.accepted:
        return replace(asked, state=PushState.FAILED, problem=answer.detail)
    silent = push.state is PushState.REQUESTED
    said = "the hub took the request and never asked back; can it reach api.public_url?" if silent else None
    return replace(asked, state=PushState.REQUESTED, problem=said)


# --- what the hub asks back (sections 5.2 and 5.3) ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a hub's question does: `push` is the push after it (None: it is over), `echo` the answer's body."""

    push: Push | None
    echo: str = ""


def verify(push: Push, asked: Mapping[str, str], now: datetime) -> Verdict | None:
    """The answer to a hub's question with these parameters; None (404) when we do not agree or it is no question."""
    if asked.get("hub.topic") != push.topic:
        return None
    mode, challenge = asked.get("hub.mode"), asked.get("hub.challenge", "")
    if mode == "denied":
        reason = asked.get("hub.reason", "")[:300]
        said = "the hub denies the subscription" + (f": {reason}" if reason else "")
        denied = replace(push, state=PushState.DENIED, problem=said, lease_until=None, next_at=now + MAX_BACKOFF)
        return Verdict(push=None if push.state is PushState.LEAVING else denied)
    if not 0 < len(challenge) <= _LONGEST_CHALLENGE:
        return None
    if mode == "unsubscribe" and push.state is PushState.LEAVING:
        return Verdict(push=None, echo=challenge)
    if mode != "subscribe" or push.state is PushState.LEAVING:
        return None
    lease = _lease(asked.get("hub.lease_seconds", ""))
    granted = replace(
        push,
        state=PushState.ACTIVE,
        lease_until=now + lease,
        next_at=now + lease * RENEW_AFTER,
        attempts=0,
        problem=None,
    )
    return Verdict(push=granted, echo=challenge)


def _lease(written: str) -> timedelta:
    """The lease that the hub grants; hubs of before the recommendation name none, and are asked again in ten days."""
    if not re.fullmatch(r"[0-9]{1,10}", written, re.ASCII):
        return LEASE
    return max(SHORTEST_LEASE, min(timedelta(seconds=int(written)), LONGEST_LEASE))


def notice_of(before: Push, after: Push | None, now: datetime) -> Notice | None:
    """What the owner of the feed is told when pushes begin or end."""
    was = before.state is PushState.ACTIVE
    if after is not None and after.state is PushState.ACTIVE and not was:
        return Notice(kind=NoticeKind.PUSH_STARTED, detail=f"{after.hub} pushes it until {after.lease_until:%Y-%m-%d}")
    if was and after is not None and after.state is not PushState.ACTIVE:
        said = after.problem or "the lease has ended"
        return Notice(kind=NoticeKind.PUSH_LOST, detail=f"{after.hub} pushes it no longer, it is only polled: {said}")
    return None


# --- what it pushes (section 7) -----------------------------------------------------------------------------------


def refusal(signature: str, body: bytes, secret: Secret) -> PushRefusal | None:
    """Why `body` with this X-Hub-Signature is not believed, or None when our hub signed it (section 7.1)."""
    algorithm, _, signed = signature.strip().partition("=")
    if not signature.strip():
        return PushRefusal.NO_SIGNATURE
    if (algorithm := algorithm.strip().lower()) not in _ALGORITHMS:
        return PushRefusal.UNKNOWN_ALGORITHM
    right = hmac.new(secret.reveal().encode(), body, getattr(hashlib, algorithm)).hexdigest()
    # Bytes, because compare_digest takes no text outside of ASCII, and a stranger wrote this.
    fits = hmac.compare_digest(right.encode(), signed.strip().lower().encode("utf-8", "replace"))
    return None if fits else PushRefusal.BAD_SIGNATURE
