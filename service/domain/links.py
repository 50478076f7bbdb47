"""Links in messages: each lets whoever holds it do one thing, decide about an alert or end mails. Decisions only.

The link is the capability: no key, session or cookie stands beside it, so there is nothing that a foreign page could
ride on (no CSRF), and nobody without the message can make one. What it names is no secret; the signature is the point.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from service.domain.model import Delivery

UNSUBSCRIBE_LASTS = timedelta(days=365)
"""How long a mail's own link ends mails; mail is kept for long, and the link can do no more than that."""

_SIGNED_BYTES = 16  # half of SHA-256, the least that RFC 2104 section 5 allows: the link must stay short in a chat
_TOKEN = re.compile(r"((\d{1,18})\.(\d{1,18})\.(\d{1,11}))\.([\w-]{22})", re.ASCII)


class Purpose(StrEnum):
    """What a link does; its value is also where it leads to."""

    DECIDE = "decide"
    UNSUBSCRIBE = "unsubscribe"

    @property
    def path(self) -> str:
        return f"/{self}/"


class LinkRefusal(StrEnum):
    """Why a link does nothing."""

    FORGED = "forged"  # not made by us, altered on the way, or for another purpose
    EXPIRED = "expired"
    GONE = "gone"  # what it was about is no longer there
    OFF = "off"  # the operator makes and takes no links


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link names. The delivery fixes team, subscription and channel; `alert_id` is 0 where none is meant."""

    purpose: Purpose
    delivery_id: int
    alert_id: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Makes and reads links below `base`. Signs with the first of `keys` and reads with any, so that a key can be
    replaced. The same delivery gives the same links on every attempt."""

    base: str
    keys: tuple[bytes, ...] = field(repr=False)
    decide_for: timedelta

    def decides_until(self, delivery: Delivery) -> datetime:
        """When the links of a delivery expire."""
        return delivery.created_at + self.decide_for

    def decide(self, delivery: Delivery, alert_id: int) -> str:
        """Where the reader of a delivery decides about an alert in it."""
        until = self.decides_until(delivery)
        return self._made(Link(purpose=Purpose.DECIDE, delivery_id=delivery.id, alert_id=alert_id, until=until))

    def unsubscribe(self, delivery: Delivery) -> str:
        """Where the reader of a mail ends the mails of its subscription."""
        until = delivery.created_at + UNSUBSCRIBE_LASTS
        return self._made(Link(purpose=Purpose.UNSUBSCRIBE, delivery_id=delivery.id, alert_id=0, until=until))

    def read(self, purpose: Purpose, token: str, now: datetime) -> Link | LinkRefusal:
        """What the end of a link's path names, or why it is not believed."""
        found = _TOKEN.fullmatch(token)
        if found is None or not any(hmac.compare_digest(found[5], one) for one in self._signatures(purpose, found[1])):
            return LinkRefusal.FORGED
        until = datetime.fromtimestamp(int(found[4]), UTC)
        if now >= until:
            return LinkRefusal.EXPIRED
        return Link(purpose=purpose, delivery_id=int(found[2]), alert_id=int(found[3]), until=until)

    def _made(self, link: Link) -> str:
        body = f"{link.delivery_id}.{link.alert_id}.{link.until.timestamp():.0f}"
        return f"{self.base.rstrip('/')}{link.purpose.path}{body}.{next(self._signatures(link.purpose, body))}"

    def _signatures(self, purpose: Purpose, body: str) -> Iterator[str]:
        for key in self.keys:
            digest = hmac.new(key, f"{purpose}\0{body}".encode(), hashlib.sha256).digest()
            yield urlsafe_b64encode(digest[:_SIGNED_BYTES]).rstrip(b"=").decode()
