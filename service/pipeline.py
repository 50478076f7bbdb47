"""The three steps: poll a feed, process an entry, deliver a message. Each is one unit of retry and may run twice.
Besides them, the page of a report that was told is looked at again.

A step calls things in order and decides nothing: what follows from what it sees is decided in `domain`, and each
ends in one commit from which the next step can start after a crash. No transaction is open while it waits for the
network.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import structlog

from service import failpoint
from service.config import Rulebook
from service.delivery.channels import Sender
from service.delivery.message import render
from service.domain import drills, gaps, pages, polling, routing, stories
from service.domain.developments import read
from service.domain.holding import Background, Told, no_longer_held, rumoured
from service.domain.links import Links
from service.domain.model import (
    ChannelKind,
    ClaimedEntry,
    Delivery,
    Entry,
    EscalationEnd,
    Failed,
    Feed,
    Fetched,
    FetchReason,
    FullText,
    Match,
    Outcome,
    OutcomeStatus,
    PageFate,
    PageNote,
    ParsedEntry,
    ParsedFeed,
    Placement,
    RouteReason,
    Selectors,
    ServiceError,
    Settlement,
    Silence,
    StoryKey,
    Subscription,
    Timing,
    Validators,
    Watch,
)
from service.domain.own import OwnRules
from service.domain.polling import Polled
from service.domain.remembered import note
from service.domain.rule import Rule
from service.domain.text import html_to_text, masked
from service.domain.traits import key_of
from service.domain.updates import Change, Joining, corrections, retraction, withdrawn
from service.domain.updates import changes as changes_of
from service.feeds.apart import EMPTY_FEED, main_text, parse_feeds
from service.feeds.archive import Archive, Past
from service.feeds.fetch import Fetcher
from service.feeds.pages import Pages
from service.feeds.parse import Changed
from service.feeds.robots import Robots
from service.sandbox import Sandbox
from service.storage.due import Slot
from service.storage.entries import Judged, Placing, Raised
from service.storage.feeds import PollSaved
from service.storage.gaps import ClaimedGap
from service.storage.pages import DuePage
from service.storage.store import Store
from service.together import Together

log = structlog.get_logger()

SUMMARY_ONLY = 600
"""A feed's text shorter than this many characters is taken for a summary, and the entry's page is fetched."""

SAVED_AT_ONCE = 200
"""Polls, or attempts, in one commit: enough to spread its cost, few enough that no other writer waits long."""

PLACED_AT_ONCE = 8
"""Entries in one commit. Fewer than of others: each takes some milliseconds, in which nobody else may write."""

PARSED_AT_ONCE, PARSED_BYTES = 32, 4 * 1024 * 1024
"""Documents in one trip to a parsing child, and their bytes."""

SETTLE_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries to store what came of a send while the database is away: within what a lease has to spare."""

FILL_LEASE = timedelta(minutes=15)
"""Longer than an archive of many slow pages takes; nobody waits for it."""


AGAIN = timedelta(minutes=1)
"""After this time a digest or an escalation that could not be stored is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times that the steps need: how long a claim holds, how old a new feed's entries may be to count as news, when
    the page of a told report is looked at again (first things first), how long a fetch may wait for its host's turn
    (beyond the lease somebody else would take up its work), the least time between two messages to one channel of a
    kind, and that between the polls of one host by two processes."""

    lease: timedelta
    look_back: timedelta
    look_again: tuple[timedelta, ...]
    turn: timedelta
    gaps: Mapping[ChannelKind, timedelta] = field(default_factory=dict)
    host_gap: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillPlan:
    """When drills are made by themselves: at the times of `timing` after `since`; receipts are due `within`."""

    timing: Timing
    within: timedelta
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What became of an entry whose story has an alert."""

    judged: Judged
    story_id: int
    placement: Placement
    alert_id: int
    changes: tuple[Change, ...]
    deliveries: int


W = TypeVar("W", Subscription, Silence)


def _with(one: W, watch: Watch) -> W:
    return one if watch is one.watch else replace(one, watch=watch)


class Pipeline:
    """The steps with everything they need. `rulebook` gives the one in force: an entry sees one and the same of it."""

    def __init__(
        self,
        *,
        store: Store,
        fetcher: Fetcher,
        robots: Robots,
        sandbox: Sandbox,
        sender: Sender,
        rulebook: Callable[[], Rulebook],
        pace: Pace,
        now: Callable[[], datetime],
        chance: Callable[[], float],
        take_up: Callable[[Feed, Fetched, ParsedFeed], Awaitable[None]] | None = None,
        drilling: DrillPlan | None = None,
        links: Links | None = None,
    ) -> None:
        """`take_up` is told of each document that was stored: it may offer pushes. Without `drilling`, drills are made
        on demand only. `links` stand in messages."""
        self.store = store
        self._rulebook = rulebook
        self._fetcher = fetcher
        self._robots = robots
        self._pages = Pages(fetcher, sandbox, robots)
        self._archive = Archive(fetcher, sandbox, robots)
        self._sandbox = sandbox
        self._sender = sender
        self._pace = pace
        self._now = now
        self._chance = chance
        self._take_up = take_up
        self._drilling = drilling
        self._links = links
        self._own: tuple[int | None, OwnRules | None] = (None, None)
        self._reading_own = threading.Lock()
        self._saving = Together(self._save_polls, most=SAVED_AT_ONCE)
        self._placing = Together(self._place_all, most=PLACED_AT_ONCE)
        self._beginning = Together(self._begin_attempts, most=SAVED_AT_ONCE)
        self._settling = Together(self._settle_all, most=SAVED_AT_ONCE)
        self._parsing = Together(
            self._parse_feeds,
            most=PARSED_AT_ONCE,
            lanes=sandbox.workers,
            weigh=lambda document: len(document[1].body),
            weight=PARSED_BYTES,
        )

    async def warm_up(self) -> None:
        """Load what reading needs, here and in the parsing children, so that the first feed does not wait for it."""
        text = Entry(id="0", title="Nothing has been told yet, and nothing was asked.")
        page = b"<html><body><article><p>Nothing yet.</p></article></body></html>"
        with suppress(ServiceError):
            await asyncio.gather(
                asyncio.to_thread(read, text, self._rulebook().lexicon),
                self._sandbox.run(main_text, page, "", "text/html"),
                self._sandbox.run(parse_feeds, [(EMPTY_FEED, "text/xml", "", None, frozenset())]),
            )

    # --- claims: what the runner asks for ----------------------------------------------------------------------

    async def claim_polls(self, limit: int) -> tuple[Feed, ...]:
        now = self._now()
        self._fetcher.keep_closed(await asyncio.to_thread(self.store.hosts.share, self._fetcher.closed(now), now=now))
        return await asyncio.to_thread(self.store.feeds.claim_due, now, limit=limit, lease=self._pace.lease)

    async def claim_gaps(self, limit: int) -> tuple[ClaimedGap, ...]:
        return await asyncio.to_thread(self.store.gaps.claim_due, self._now(), limit=limit, lease=FILL_LEASE)

    async def claim_entries(self, limit: int) -> tuple[ClaimedEntry, ...]:
        return await asyncio.to_thread(self.store.entries.claim_new, self._now(), limit=limit, lease=self._pace.lease)

    async def claim_looks(self, limit: int) -> tuple[DuePage, ...]:
        return await asyncio.to_thread(self.store.pages.claim_due, self._now(), limit=limit, lease=self._pace.lease)

    async def claim_deliveries(self, limit: int) -> tuple[Delivery, ...]:
        return await asyncio.to_thread(self.store.outbox.claim_due, self._now(), limit=limit, lease=self._pace.lease)

    # --- poll --------------------------------------------------------------------------------------------------

    async def poll(self, feed: Feed) -> PollSaved:
        """Fetch a claimed feed, parse what is new, commit its state and its entries together."""
        now = self._now()
        try:
            credentials = await asyncio.to_thread(self.store.feeds.credentials.of, feed) if feed.sends else None
        except ServiceError as exc:
            unsealed = Failed(url=feed.url, reason=FetchReason.INTERNAL, detail=str(exc))
            return await self._save_poll(feed, Polled(result=unsealed))
        result = await self._fetcher.get(
            feed.address,
            validators=polling.asks_with(feed, now),
            now=now,
            patience=self._pace.turn,
            # A page that only lists news was not put there to be polled, as a feed and an API were.
            refusal=self._robots.refusal if isinstance(feed.recipe, Selectors) else None,
            credentials=credentials,
        )
        polled = await self._parse(feed, result) if isinstance(result, Fetched) else Polled(result=result)
        return await self._save_poll(feed, polled)

    async def _save_poll(self, feed: Feed, polled: Polled) -> PollSaved:
        saved = await self._saving((feed, polled))
        state, reason = (saved.update.state, saved.update.reason) if saved.update else (feed.state, None)
        log.info("feed polled", feed=feed.id, state=state, reason=reason, new=saved.new, stale=saved.stale)
        if self._take_up and polled.document and isinstance(polled.result, Fetched) and not saved.stale:
            await self._take_up(feed, polled.result, polled.document)
        for notice in saved.update.notices if saved.update else ():
            log.warning("feed notice", feed=feed.id, address=masked(feed.url), kind=notice.kind, detail=notice.detail)
        return saved

    async def _save_polls(self, polls: Sequence[tuple[Feed, Polled]]) -> tuple[PollSaved, ...]:
        now = self._now()
        return await asyncio.to_thread(
            self.store.feeds.save_polls,
            polls,
            decide=lambda feed, polled: polling.after_poll(feed, polled, now, self._chance()),
            now=now,
            look_back=self._pace.look_back,
            host_gap=self._pace.host_gap,
        )

    async def _parse(self, feed: Feed, fetched: Fetched) -> Polled:
        failpoint.reach("poll.parsing")
        body_hash = hashlib.sha256(fetched.body).hexdigest()
        if body_hash == feed.body_hash:
            # The same bytes without a 304: nothing to parse, but the validators may be new.
            return Polled(result=fetched, body_hash=body_hash)
        changed = await self._read(feed, fetched)
        parsed = changed.feed
        if isinstance(parsed, Failed):
            return Polled(result=parsed)
        return Polled(
            result=fetched,
            document=parsed,
            body_hash=body_hash,
            unchanged=changed.unchanged,
            digests=changed.digests,
        )

    async def _parse_feeds(self, documents: Sequence[tuple[Feed, Fetched]]) -> list[Changed]:
        known = await asyncio.to_thread(self.store.feeds.digests, [feed for feed, _ in documents])
        nothing: frozenset[str] = frozenset()
        return await self._sandbox.run(
            parse_feeds,
            [
                (fetched.body, fetched.content_type, fetched.url, feed.recipe, known.get(feed.id, nothing))
                for feed, fetched in documents
            ],
        )

    async def _read(self, feed: Feed, fetched: Fetched) -> Changed:
        try:
            return await self._parsing((feed, fetched))
        except ServiceError as exc:
            detail = f"the document could not be parsed: {exc}"
            return Changed(feed=Failed(url=feed.url, reason=FetchReason.TOO_COMPLEX, detail=detail))

    async def read_pushed(self, feed: Feed, body: bytes, content_type: str) -> tuple[ParsedEntry, ...] | None:
        """What is new in a document that the feed's hub has sent, read under the limits of a poll; None if nothing."""
        pushed = Fetched(url=feed.address, body=body, content_type=content_type, validators=Validators())
        changed = await self._read(feed, pushed)
        return None if isinstance(changed.feed, Failed) else changed.feed.entries

    # --- fill --------------------------------------------------------------------------------------------------

    async def fill(self, claimed: ClaimedGap) -> None:
        """Look for what a gap swallowed, in the feed's archive, then in the site's sitemaps; commit what is found."""
        now, gap = self._now(), claimed.gap.gap
        search = gaps.Search()
        feed = claimed.feed
        if feed.recipe is None:
            credentials = await asyncio.to_thread(self.store.feeds.credentials.of, feed) if feed.sends else None
            async for past in self._archive.pages(feed.address, now=now, credentials=credentials):
                search = await self._search(search, claimed, past, ordered=True)
                if search.joined or search.trouble:
                    break
        scope = gaps.scope_of(claimed.links)
        if not search.joined and scope is not None:
            async for past in self._archive.sitemaps(claimed.feed.address, now=now):
                search = await self._search(search, claimed, past, ordered=False, scope=scope)
                if search.joined:
                    break
        close = gaps.closing(search, claimed.gap, now)
        new = await asyncio.to_thread(
            self.store.gaps.close, claimed, search.found, close.fate, close.detail, again_at=close.again_at, now=now
        )
        log.info("gap looked for", feed=claimed.feed.id, gap=claimed.gap.id, fate=close.fate, new=new, since=gap.since)

    async def _search(
        self, search: gaps.Search, claimed: ClaimedGap, past: Past, *, ordered: bool, scope: str | None = None
    ) -> gaps.Search:
        if past.document is None:
            return replace(search, trouble=f"{past.url}: {past.trouble}"[:300])
        older = await asyncio.to_thread(self.store.gaps.hold, claimed, past.document.entries, ordered=ordered)
        return gaps.searched(search, older, claimed.gap.gap, scope)

    # --- process -----------------------------------------------------------------------------------------------

    async def process(self, claimed: ClaimedEntry) -> None:
        """Read a claimed entry, match it, place it, and commit story, alert and outbox rows together.

        Entries that come at about the same time are one commit. An entry that cannot be processed now is put back
        with the reason.
        """
        try:
            entry, page = await self._with_text(claimed)
            await self._placing((claimed, entry, page))
        except ServiceError as exc:
            await self.give_back_entry(claimed, str(exc))

    async def _place_all(self, read: Sequence[tuple[ClaimedEntry, Entry, PageNote | None]]) -> Sequence[None]:
        return await asyncio.to_thread(self._judge_and_commit, read)

    def _judge_and_commit(self, read: Sequence[tuple[ClaimedEntry, Entry, PageNote | None]]) -> Sequence[None]:
        # One after the other: they would only take turns at the processor, and away from the loop that sends.
        judged = [self._judge(*one) for one in read]
        with self.store.entries.placing(len(judged)) as placing:
            placed = [self._place(placing.next(), one) for one in judged]
        for one in placed:
            if one is not None:
                _log_placed(one)
        return [None] * len(judged)

    async def _with_text(self, claimed: ClaimedEntry) -> tuple[Entry, PageNote | None]:
        """The entry as plain text, with the main text of its page where the feed brings only a summary.

        A page that cannot be had costs nothing but its text: the feed's own words are read, and the reason is noted.
        """
        entry = await asyncio.to_thread(_as_text, claimed.entry)
        if not _wants_page(claimed.full_text, entry):
            return entry, None
        page = await self._pages.read(entry.link, now=self._now(), patience=self._pace.turn)
        if isinstance(page, PageNote):
            log.info("page not read", entry=entry.id, fate=page.fate, detail=page.detail)
            return entry, page
        if len(page.text) <= len(entry.content):
            return entry, PageNote(fate=PageFate.SHORTER)
        return replace(entry, content=page.text), PageNote(fate=PageFate.READ)

    def _judge(self, claimed: ClaimedEntry, entry: Entry, page: PageNote | None) -> Judged:
        rulebook = self._rulebook()
        reading = read(entry, rulebook.lexicon, jurisdiction=claimed.jurisdiction)
        own = self._own_rules(rulebook)
        if claimed.drill:
            matches = drills.ruleset(rulebook.lexicon).match(entry, reading)
        else:
            matches = (*rulebook.ruleset.match(entry, reading), *own.match(entry, reading))
        return Judged(
            claimed=claimed,
            entry=entry,
            reading=reading,
            noted=note(entry, reading, rulebook.lexicon),
            lexicon=rulebook.lexicon.version,
            matches=matches,
            story_key=key_of(entry, reading, rulebook.lexicon),
            judged_by="+".join(filter(None, (rulebook.version, own.version))),
            rules=rulebook.ruleset.by_id,
            page=page,
        )

    def _own_rules(self, rulebook: Rulebook) -> OwnRules:
        """What subscriptions match by themselves, as it is now, read with these words and groups."""
        with self._reading_own:
            version, rules = self._own
            if rules is None or rules.lexicon is not rulebook.lexicon or rules.groups is not rulebook.groups:
                version, rules = None, OwnRules.none(rulebook.lexicon, rulebook.groups)
            if (found := self.store.subscriptions.own(version)) is not None:
                version, rules = found[0], rules.updated(found[1])
                for problem in rules.problems:
                    log.error("expression left out", where=problem.where, what=problem.what, hint=problem.hint)
            self._own = (version, rules)
            return rules

    def _place(self, placing: Placing, judged: Judged) -> Placed | None:
        """Write what follows from an entry; what there is to say of it, if its story has an alert."""
        now = self._now()
        if not placing.still_ours(judged.claimed):
            return None
        judged = placing.owned(judged)
        if judged.claimed.drill:
            self._commit_drill(placing, judged, now)
            return None
        key = judged.story_key
        when = stories.told_at(judged.entry.published, judged.claimed.received_at, now)
        before = placing.placed_before(judged)
        if not (judged.matches or judged.reading.developments or key.traits.denies or before):
            placing.finish(judged, now=now)
            return None
        placement = before or stories.place(key, when, placing.stories_near(key, when))
        earlier = placing.alert_of(placement.story_id) if placement.story_id is not None else None
        changes = self._changes(placing, judged, placement, earlier)
        story_id = placing.record_story(judged, placement, now=now)
        if judged.matches:
            severity = routing.severity_of(judged.matches)
            alert = placing.raise_alert(story_id, judged, severity=severity, now=now)
        elif earlier is not None:
            alert = earlier
        else:
            return None
        subscriptions = self._readers(placing)
        readers = placing.readers(alert.id, subscriptions, alert.severity, now) if changes else ()
        made = self._tell(placing, judged, alert, subscriptions, now)
        if made and (due_at := self._first_look(judged.claimed, now)) is not None:
            placing.watch_page(int(judged.entry.id), since=now, due_at=due_at, seen=judged.page_read)
        made += placing.update(alert, int(judged.entry.id), changes, readers, now=now)
        return Placed(
            judged=judged, story_id=story_id, placement=placement, alert_id=alert.id, changes=changes, deliveries=made
        )

    def _commit_drill(self, placing: Placing, judged: Judged, now: datetime) -> None:
        """As for any other entry, but what it would join or open is looked for and not written."""
        stories.place(judged.story_key, now, placing.stories_near(judged.story_key, now))
        alert = drills.alert_of(judged.entry, judged.matches, now) if judged.matches else None
        subscriptions = placing.subscriptions(self.store.subscriptions)
        made = placing.finish_drill(judged.claimed, alert, subscriptions, now=now)
        log.info("drill read", feed=judged.claimed.feed_id, deliveries=made)

    def _changes(
        self, placing: Placing, judged: Judged, placement: Placement, alert: Raised | None
    ) -> tuple[Change, ...]:
        """What the entry changes for those who were told: as an edit of itself, or as one more report."""
        before = placing.before(placement, alert)
        if before is None:
            return ()
        if (old := placing.key_before(judged)) is not None:
            return corrections(old, judged.story_key)
        severity = routing.severity_of(judged.matches)
        return changes_of(before, Joining(key=judged.story_key, tier=judged.claimed.tier, severity=severity))

    def _tell(
        self, placing: Placing, judged: Judged, alert: Raised, subscriptions: Sequence[Subscription], now: datetime
    ) -> int:
        """Decide who is told of this entry's matches, and of those that its report may have confirmed."""
        rules = {rule_id: judged.rules.get(rule_id) for rule_id in placing.rules_of(alert.id)}
        asked = any(rule is not None and rule.confirm is not None for rule in rules.values())
        reports = placing.reports(alert.story_id) if asked else ()
        groups = {int(judged.entry.id): judged.matches}
        if (free := no_longer_held(rules, reports)) is not None:
            groups = dict(placing.unconfirmed(alert, free)) | groups
        muting = any(subscription.mute_rumours for subscription in subscriptions)
        rumours = {act for matches in groups.values() for match in matches for act in rumoured(match.developments)}
        background = Background(
            rules=judged.rules,
            story_id=alert.story_id,
            reports=reports,
            told=_told_before(placing, judged.rules, groups.values(), now),
            now=now,
            zones=ZoneInfo,
            silences=self._silences(placing, now),
            spent=placing.spent(subscriptions, alert.id, now),
            official=placing.official_acts(tuple(rumours), now - stories.WINDOW) if muting else (),
            packs=self._rulebook().packs,
        )
        made = 0
        origins = placing.origins(groups)
        for entry_id, matches in groups.items():
            known = replace(background, waiting=placing.waiting(alert), origin=origins.get(entry_id))
            routes = routing.route(matches, subscriptions, placing.told(alert), known)
            made += placing.record_routes(entry_id, alert, routes, subscriptions, now=now)
        return made

    def _readers(self, placing: Placing) -> tuple[Subscription, ...]:
        """Everybody who may have to be told, with the groups of their watches as they are now."""
        groups = self._rulebook().groups
        found = placing.subscriptions(self.store.subscriptions)
        return tuple(_with(one, routing.spelt_out(one.watch, groups)) for one in found)

    def _silences(self, placing: Placing, now: datetime) -> tuple[Silence, ...]:
        groups = self._rulebook().groups
        return tuple(_with(one, routing.spelt_out(one.watch, groups)) for one in placing.silences(now))

    # --- what comes due by itself ------------------------------------------------------------------------------

    async def claim_digests(self, limit: int) -> tuple[Slot, ...]:
        return await asyncio.to_thread(self.store.due.digests, self._now(), limit=limit)

    async def claim_escalations(self, limit: int) -> tuple[int, ...]:
        return await asyncio.to_thread(self.store.due.escalations, self._now(), limit=limit)

    async def digest(self, slot: Slot) -> RouteReason | None:
        """Put what waits for a channel's digest into the outbox as one message; None when that was done meanwhile."""
        ended = await asyncio.to_thread(self.store.due.compile, slot, self._now())
        log.info("digest due", subscription=slot.subscription_id, channel=slot.channel_id, reason=ended)
        return ended

    async def escalate(self, escalation_id: int) -> EscalationEnd | None:
        """Tell an alert to somebody else unless its team has decided; None when that was done meanwhile."""
        ended = await asyncio.to_thread(self.store.due.escalate, escalation_id, self._now())
        log.info("escalation due", escalation=escalation_id, reason=ended)
        return ended

    # --- drills ------------------------------------------------------------------------------------------------

    async def claim_drills(self, limit: int) -> tuple[int, ...]:
        """Drills that are over; one that the schedule asks for is begun before."""
        await asyncio.to_thread(self._begin_scheduled)
        return await asyncio.to_thread(self.store.drills.over, self._now(), limit=limit)

    def _begin_scheduled(self) -> None:
        plan, now = self._drilling, self._now()
        if plan is None:
            return
        last = self.store.drills.last_scheduled() or plan.since
        slot = drills.slot(plan.timing, plan.timing.schedule, last, now, ZoneInfo(plan.timing.zone))
        if slot is None:
            return
        try:
            begun = self.store.drills.begin(within=plan.within, now=now, slot=slot)
        except ServiceError as exc:  # nobody to be reached yet: looked at again at the next tick
            log.debug("no drill", problem=str(exc))
            return
        log.info("drill begun", drill=begun, slot=slot.isoformat())

    async def end_drill(self, drill_id: int) -> int | None:
        """Close a drill and tell what is missing; gives how many receipts are, None when that was done meanwhile."""
        ended = await asyncio.to_thread(self.store.drills.end, drill_id, self._now())
        if ended is None:
            return None
        log.info("drill ended", drill=drill_id, receipts=len(ended.receipts), missing=ended.missing)
        return ended.missing

    async def run_drill(self, drill_id: int) -> None:
        """Take a drill through process and deliver, and nothing else that is due: for a process that does no more."""
        entry_id = await asyncio.to_thread(self.store.drills.entry_of, drill_id)
        if entry_id is not None:
            for claimed in await asyncio.to_thread(
                self.store.entries.claim_new, self._now(), limit=1, lease=self._pace.lease, only=entry_id
            ):
                await self.process(claimed)
        sending = await asyncio.to_thread(
            self.store.outbox.claim_due, self._now(), limit=1000, lease=self._pace.lease, drill=drill_id
        )
        await asyncio.gather(*(self.deliver(delivery) for delivery in sending))

    # --- look at pages again -----------------------------------------------------------------------------------

    def _first_look(self, claimed: ClaimedEntry, now: datetime) -> datetime | None:
        if claimed.full_text is FullText.NEVER or not _is_web(claimed.entry.link):
            return None
        return pages.first_look(now, self._pace.look_again)

    async def look(self, due: DuePage) -> pages.Verdict:
        """See whether the page of a told report still stands, and retract the alert if it was taken back."""
        result = await self._fetcher.get(
            due.link, now=self._now(), patience=self._pace.turn, refusal=self._robots.refusal
        )
        notice = await self._notice(due, result) if isinstance(result, Fetched) else None
        now = self._now()
        looked = pages.after_look(due.look, pages.seen(result), self._pace.look_again, now)
        if notice is not None:
            looked = replace(looked, verdict=pages.Verdict.WITHDRAWN)
        told = 0
        if looked.verdict is pages.Verdict.WITHDRAWN:
            told = await asyncio.to_thread(self._retract, due, looked, notice, now)
        else:
            await asyncio.to_thread(self.store.pages.settle, due, looked)
        log.info("page looked at", entry=due.entry_id, verdict=looked.verdict, deliveries=told)
        return looked.verdict

    async def _notice(self, due: DuePage, fetched: Fetched) -> StoryKey | None:
        """What stands on the page, if that is no report any more but a notice that takes it back."""
        try:
            page = await self._sandbox.run(main_text, fetched.body, fetched.url, fetched.content_type)
        except ServiceError as exc:
            log.warning("page not read", entry=due.entry_id, problem=str(exc))
            return None
        if isinstance(page, PageNote):
            return None
        entry = Entry(id=str(due.entry_id), title=page.title, content=page.text, link=due.link, tier=due.tier)
        return await asyncio.to_thread(self._denial, entry, due.jurisdiction)

    def _denial(self, entry: Entry, jurisdiction: str | None) -> StoryKey | None:
        lexicon = self._rulebook().lexicon
        key = key_of(entry, read(entry, lexicon, jurisdiction=jurisdiction), lexicon)
        return key if key.traits.denies else None

    def _retract(self, due: DuePage, looked: pages.Looked, notice: StoryKey | None, now: datetime) -> int:
        """Tell the readers of an alert that its page was taken back; gives the number of messages."""
        with self.store.entries.placing() as placing:
            alert = placing.alert_of(due.story_id)
            if not placing.settle_page(due, looked) or alert is None:
                return 0
            change = retraction(notice) if notice else withdrawn(due.title, placing.reports(due.story_id))
            if change is None:
                return 0
            subscriptions = placing.subscriptions(self.store.subscriptions)
            readers = placing.readers(alert.id, subscriptions, alert.severity, now)
            return placing.update(alert, due.entry_id, (change,), readers, now=now)

    # --- deliver -----------------------------------------------------------------------------------------------

    async def deliver(self, delivery: Delivery) -> OutcomeStatus | None:
        """Send one claimed delivery and record what came of it; None when the lease was lost."""
        if not await self._beginning(delivery):
            return None
        now = self._now()
        message = render(delivery, now=now, links=self._links)
        outcome = await self._sender.send(
            delivery.channel, message, message_id=delivery.message_id, attempt=delivery.attempts, now=now
        )
        return await self._settle(delivery, outcome)

    async def _settle(self, delivery: Delivery, outcome: Outcome) -> OutcomeStatus | None:
        now = self._now()
        gap = self._pace.gaps.get(delivery.channel.kind, routing.NO_GAP)
        settlement = routing.after_attempt(delivery.tries, outcome, now, self._chance(), gap)
        settled = await self._noted(delivery, settlement)
        log.info(
            "delivery settled",
            delivery=delivery.id,
            channel=delivery.channel.id,
            outcome=outcome.status,
            state=settlement.state,
            detail=outcome.detail,
            fenced=not settled,
        )
        return outcome.status if settled else None

    async def _noted(self, delivery: Delivery, settlement: Settlement) -> bool:
        """Store what came of an attempt, though the database is away for a while: what is not stored is sent again."""
        for wait in SETTLE_WAITS:
            try:
                return await self._settling((delivery, settlement))
            except Exception as exc:
                log.warning("outcome not stored", delivery=delivery.id, problem=type(exc).__name__, again_in=wait)
                await asyncio.sleep(wait)
        return await self._settling((delivery, settlement))

    async def _begin_attempts(self, deliveries: Sequence[Delivery]) -> Sequence[bool]:
        return await asyncio.to_thread(self.store.outbox.begin_attempts, deliveries, now=self._now())

    async def _settle_all(self, settled: Sequence[tuple[Delivery, Settlement]]) -> Sequence[bool]:
        return await asyncio.to_thread(self.store.outbox.settle_all, settled, now=self._now())

    # --- when a step broke off: the work goes back with its reason, to be taken up again ------------------------

    async def give_back_feed(self, feed: Feed, problem: str) -> None:
        failed = Failed(url=feed.url, reason=FetchReason.INTERNAL, detail=problem)
        await self._save_poll(feed, Polled(result=failed))

    async def give_back_gap(self, claimed: ClaimedGap, problem: str) -> None:
        now = self._now()
        close = gaps.closing(gaps.Search(trouble=problem), claimed.gap, now)
        await asyncio.to_thread(
            self.store.gaps.close, claimed, (), close.fate, close.detail, again_at=close.again_at, now=now
        )

    async def give_back_entry(self, claimed: ClaimedEntry, problem: str) -> None:
        until = self._now() + routing.process_backoff(claimed.attempts)
        await asyncio.to_thread(self.store.entries.postpone, claimed, problem, until=until)
        log.error("entry postponed", entry=claimed.entry.id, problem=problem, until=until.isoformat())

    async def give_back_digest(self, slot: Slot, problem: str) -> None:
        until = self._now() + AGAIN
        await asyncio.to_thread(self.store.due.put_off, slot, until)
        log.error("digest put off", subscription=slot.subscription_id, channel=slot.channel_id, problem=problem)

    async def give_back_escalation(self, escalation_id: int, problem: str) -> None:
        await asyncio.to_thread(self.store.due.put_off_escalation, escalation_id, self._now() + AGAIN)
        log.error("escalation put off", escalation=escalation_id, problem=problem)

    async def give_back_drill(self, drill_id: int, problem: str) -> None:
        await asyncio.to_thread(self.store.drills.put_off, drill_id, self._now() + AGAIN)
        log.error("drill not ended", drill=drill_id, problem=problem)

    async def give_back_look(self, due: DuePage, problem: str) -> None:
        await asyncio.to_thread(self.store.pages.postpone, due, until=self._now() + pages.ASKED_AGAIN)
        log.error("look postponed", entry=due.entry_id, problem=problem)

    async def give_back_delivery(self, delivery: Delivery, problem: str) -> None:
        await self._settle(delivery, Outcome(status=OutcomeStatus.RETRY, detail=problem))


def _log_placed(placed: Placed) -> None:
    if placed.changes:
        failpoint.reach("update.committed")
    log.info(
        "entry matched",
        entry=placed.judged.entry.id,
        story=placed.story_id,
        placement=placed.placement.reason,
        alert=placed.alert_id,
        rules=[match.rule_id for match in placed.judged.matches],
        changes=[change.reason for change in placed.changes],
        deliveries=placed.deliveries,
    )


def _told_before(
    placing: Placing, rules: Mapping[str, Rule], groups: Iterable[tuple[Match, ...]], now: datetime
) -> tuple[Told, ...]:
    """What the rules with a throttle have told lately, as far back as the longest of them looks."""
    found = [rules.get(match.rule_id) for matches in groups for match in matches]
    spans = {rule.id: rule.throttle.every for rule in found if rule is not None and rule.throttle is not None}
    return placing.told_before(tuple(spans), now - max(spans.values())) if spans else ()


def _as_text(entry: Entry) -> Entry:
    return replace(entry, summary=html_to_text(entry.summary), content=html_to_text(entry.content))


def _wants_page(full_text: FullText, entry: Entry) -> bool:
    if not _is_web(entry.link) or full_text is FullText.NEVER:
        return False
    return full_text is FullText.ALWAYS or len(entry.content) < SUMMARY_ONLY


def _is_web(link: str) -> bool:
    return link.startswith(("http://", "https://"))
