"""WebSub as steps: take up what a feed's document offers, ask its hub, answer the hub, take what the hub pushes.

Like the steps of `pipeline` they call things in order and decide nothing, and what is answered to a hub is committed
before: a document that the hub is told we took is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from service.domain import push as decisions
from service.domain.model import Feed, Fetched, ParsedEntry, ParsedFeed, Push, PushRefusal, PushState
from service.domain.push import Capability
from service.feeds.codings import BadBody, decoder
from service.storage.feeds import PollSaved
from service.storage.store import Store

log = structlog.get_logger()

Read = Callable[[Feed, bytes, str], Awaitable[tuple[ParsedEntry, ...] | None]]
"""A feed's document read as a poll reads it; None when it is none."""

Ask = Callable[[str, Mapping[str, str]], Awaitable[decisions.HubAnswer]]
TakeUp = Callable[[Feed, Fetched, ParsedFeed], Awaitable[None]]

AT_ONCE = 4
"""Pushed documents in memory at the same time; the others wait before their bodies are read."""


class Receipt(StrEnum):
    """What becomes of a document sent to a push's address."""

    TAKEN = "taken"
    IGNORED = "ignored"
    UNKNOWN = "unknown"
    ENDED = "ended"


def taking_up(store: Store, *, now: Callable[[], datetime], random: Callable[[int], bytes]) -> TakeUp:
    """What the poll step calls with a document that it has stored: to agree to the pushes that it offers."""

    async def take_up(feed: Feed, fetched: Fetched, document: ParsedFeed) -> None:
        offer = decisions.offer_in(fetched.links, document.hubs, document.topic, url=fetched.url)
        await asyncio.to_thread(store.pushes.take_up, feed.id, offer, now=now(), random=random)

    return take_up


class Pushing:
    """Pushes of one installation, which hubs reach at `public_url`; a document holds `most` bytes once inflated."""

    def __init__(
        self,
        *,
        store: Store,
        ask: Ask,
        public_url: str,
        most: int,
        look_back: timedelta,
        lease: timedelta,
        read: Read,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._ask = ask
        self._public_url = public_url
        self._most = most
        self._look_back = look_back
        self._lease = lease
        self._read = read
        self._now = now
        self.room = asyncio.Semaphore(AT_ONCE)

    # --- asking -----------------------------------------------------------------------------------------------------

    async def claim(self, limit: int) -> tuple[tuple[Push, Capability], ...]:
        return await asyncio.to_thread(
            self._store.pushes.claim_due, self._now(), limit=limit, lease=self._lease, public_url=self._public_url
        )

    async def ask(self, claimed: tuple[Push, Capability]) -> None:
        """One request to a hub. It may ask back before it has answered: then this answer is overtaken."""
        push, capability = claimed
        form = decisions.request_form(push, capability, self._public_url)
        answer = await self._ask(push.hub, form)
        await self._settle(push, answer)

    async def give_back(self, claimed: tuple[Push, Capability], problem: str) -> None:
        await self._settle(claimed[0], decisions.HubAnswer(accepted=False, detail=problem))

    async def _settle(self, push: Push, answer: decisions.HubAnswer) -> None:
        now = self._now()
        after = decisions.after_request(push, answer, now)
        await asyncio.to_thread(self._store.pushes.settle, push, after, now=now)
        log.info("hub asked", feed=push.feed_id, hub=push.hub, state=push.state, accepted=answer.accepted)
        if not answer.accepted:
            log.warning("hub refuses", feed=push.feed_id, hub=push.hub, detail=answer.detail)

    # --- answering --------------------------------------------------------------------------------------------------

    async def verify(self, token: str, asked: Mapping[str, str]) -> str | None:
        """The body of the answer to a hub's question; None when it is to be 404."""
        now = self._now()
        verdict = await asyncio.to_thread(
            self._store.pushes.decide, token, lambda push: decisions.verify(push, asked, now), now=now
        )
        if verdict is None:
            return None
        if verdict.push is not None:
            push = verdict.push
            log.info("hub answered", feed=push.feed_id, hub=push.hub, state=push.state, until=str(push.lease_until))
        return verdict.echo

    async def known(self, token: str) -> tuple[Push, Capability] | None:
        """The push that a document is sent to, before its body is read."""
        return await asyncio.to_thread(self._store.pushes.by_token, token)

    async def take(
        self,
        claimed: tuple[Push, Capability],
        body: bytes,
        *,
        signature: str,
        codings: Sequence[str],
        content_type: str,
    ) -> Receipt:
        """Store what a hub has sent, as a poll would; what it did not sign is ignored, and counted."""
        push, capability = claimed
        feed = await asyncio.to_thread(self._store.feeds.get, push.feed_id)
        if feed is None or push.state is PushState.LEAVING:
            return Receipt.ENDED
        reason = decisions.refusal(signature, body, capability.secret)
        if reason is not None:
            return await self._ignore(push, reason)
        document = await asyncio.to_thread(_plain, body, codings, self._most)
        entries = await self._read(feed, document, content_type) if document is not None else None
        if entries is None:
            await asyncio.to_thread(self._store.feeds.poll_now, feed.id, now=self._now())  # but something is new there
            return await self._ignore(push, PushRefusal.UNREADABLE)
        now = self._now()
        saved: PollSaved = await asyncio.to_thread(
            self._store.feeds.save_push, feed, entries, now=now, look_back=self._look_back
        )
        if saved.stale:
            return Receipt.ENDED
        await asyncio.to_thread(self._store.pushes.note_taken, push, now=now)
        log.info("push taken", feed=feed.id, new=saved.new, changed=saved.changed)
        return Receipt.TAKEN

    async def _ignore(self, push: Push, reason: PushRefusal) -> Receipt:
        await asyncio.to_thread(self._store.pushes.note_refused, push, reason)
        log.warning("push ignored", feed=push.feed_id, hub=push.hub, reason=reason)
        return Receipt.IGNORED


def _plain(body: bytes, codings: Sequence[str], most: int) -> bytes | None:
    """The document in a body that may be compressed; None when that is broken, or more than a poll would take.

    Some hubs pass on the publisher's headers with a body that they have inflated: what begins like text is text.
    """
    if body.lstrip()[:1] in (b"<", b"{", b"[", b"\xef"):
        return body
    try:
        inflate = decoder(codings, most)
        document = inflate.feed(body)
        inflate.finish()
    except BadBody:
        return None
    return document
