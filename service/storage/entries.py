"""Entries on their way through processing: claimed under a lease, placed in a story, committed with what follows.

`Placing` is the one serialised section: the story, the alert and the outbox rows of an entry are one commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy import bindparam, insert, or_, select, true, update
from sqlmodel import Session

from service import failpoint
from service.domain.drills import SCHEME
from service.domain.holding import Act, Report, Told
from service.domain.model import (
    Alert,
    ClaimedEntry,
    DeliveryKind,
    DeliveryState,
    Entry,
    EntryState,
    FullText,
    Match,
    Origin,
    PageFate,
    PageNote,
    Placement,
    PlacementReason,
    Reading,
    Route,
    RouteReason,
    Severity,
    Silence,
    Stage,
    Story,
    StoryKey,
    Subscription,
    Telling,
    Tier,
)
from service.domain.own import SEVERITY, means, owner_of
from service.domain.pages import Looked
from service.domain.remembered import Noted
from service.domain.rule import Rule
from service.domain.stories import told_at
from service.domain.text import fold
from service.domain.timing import Spent
from service.domain.updates import Before, Change
from service.storage import desk, digests, drills, pages, shelf, updates
from service.storage.database import Database
from service.storage.mapping import (
    alert_message_id,
    dump_alert,
    dump_developments,
    dump_evidence,
    load_developments,
    load_evidence,
)
from service.storage.readings import keep_reading, origins, outlet
from service.storage.shown import read_alert
from service.storage.silences import standing
from service.storage.subscriptions import Subscriptions
from service.storage.tables import (
    ALERT,
    ALERT_RULE,
    DELIVERY,
    DEVELOPMENT,
    ENTRY,
    FEED,
    MATCH,
    ROUTE,
    SUBSCRIPTION,
    TEAM,
    AlertRow,
    AlertRuleRow,
    DeliveryRow,
    EntryRow,
    FeedRow,
    MatchRow,
    RouteRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An entry after reading and matching: what the process step commits."""

    claimed: ClaimedEntry
    entry: Entry
    reading: Reading
    noted: Noted
    lexicon: str
    matches: tuple[Match, ...]
    story_key: StoryKey
    judged_by: str
    rules: Mapping[str, Rule] = field(default_factory=dict)  # as they stood when the entry was judged
    owners: Mapping[str, int] = field(default_factory=dict)  # the teams of matches that one team alone sees, by rule
    page: PageNote | None = None  # None: its page was not wanted

    @property
    def page_read(self) -> bool:
        """Whether its page was there and brought a text."""
        return self.page is not None and self.page.fate in (PageFate.READ, PageFate.SHORTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An alert as far as deciding asks for it: without the reports of its story, of which there may be thousands.

    `fresh`: raised in this transaction, so nobody was told of it, nothing waits and nothing has changed.
    """

    id: int
    story_id: int
    severity: Severity
    fresh: bool = False


REPORTS_READ = 50
"""The first and the newest reports that a story's confirmation is judged by."""

_REPORTS = select(ENTRY.id, ENTRY.link, ENTRY.sketch, FEED.tier, FEED.url.label("feed_url")).join(
    FeedRow, FEED.id == ENTRY.feed_id
)


class Entries:
    def __init__(self, database: Database) -> None:
        self._database = database

    def claim_new(
        self, now: datetime, *, limit: int, lease: timedelta, only: int | None = None
    ) -> tuple[ClaimedEntry, ...]:
        """Lease up to `limit` entries that wait to be processed, in the order in which they were received.

        With `only`, no other one than the entry of this id.
        """
        due = (
            select(ENTRY.id)
            .where(ENTRY.state == EntryState.NEW, ENTRY.next_attempt_at <= now)
            .where(or_(ENTRY.lease_until.is_(None), ENTRY.lease_until <= now))
            .where(true() if only is None else ENTRY.id == only)
            .order_by(ENTRY.next_attempt_at, ENTRY.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claim = (
            update(EntryRow)
            .where(ENTRY.id.in_(select(due.c.id)))
            .values(lease_until=now + lease, lease_token=ENTRY.lease_token + 1, attempts=ENTRY.attempts + 1)
            .returning(EntryRow)
            .execution_options(synchronize_session=False)
        )
        with self._database.write() as session:
            rows = session.execute(claim).scalars().all()
            feeds = {row.id: row for row in session.execute(_feeds_of(rows)).scalars()} if rows else {}
            claimed = tuple(sorted((_claimed(row, feeds[row.feed_id]) for row in rows), key=lambda c: int(c.entry.id)))
        if claimed:
            failpoint.reach("process.claimed")
        return claimed

    def postpone(self, claimed: ClaimedEntry, problem: str, *, until: datetime) -> None:
        """Put an entry back whose processing failed: it is tried again, and the reason is visible meanwhile."""
        with self._database.write() as session:
            session.execute(
                update(EntryRow)
                .where(ENTRY.id == int(claimed.entry.id), ENTRY.lease_token == claimed.lease_token)
                .values(lease_until=None, next_attempt_at=until, problem=problem[:500])
            )

    @contextmanager
    def placing(self, entries: int = 1) -> Iterator[Placing]:
        """Open the serialised section for so many entries; it commits at the end of the block."""
        with self._database.placing() as session:
            yield Placing(session)
            for _ in range(entries):
                failpoint.reach("process.before_commit")
        for _ in range(entries):
            failpoint.reach("process.committed")

    def release_all(self) -> None:
        """Forget every lease: for an embedded start, where whoever held them is dead."""
        with self._database.write() as session:
            session.execute(update(EntryRow).where(ENTRY.lease_until.is_not(None)).values(lease_until=None))

    def waiting(self) -> int:
        with self._database.read() as session:
            rows = session.execute(select(ENTRY.id).where(ENTRY.state == EntryState.NEW))
            return len(rows.all())


class Placing:
    """Reads and writes inside the serialised section. Lives only as long as its transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._subscriptions: tuple[Subscription, ...] | None = None
        self._silences: tuple[Silence, ...] | None = None
        self._teams: dict[str, int] | None = None
        self._forgot = False
        self._entry: EntryRow | None = None
        self._contents: dict[tuple[int, int], dict[str, Any]] = {}

    def next(self) -> Placing:
        """Ready for one more entry: rows that statements have changed behind the session's back are read again."""
        self._session.flush()
        self._session.expunge_all()
        self._contents.clear()
        return self

    def still_ours(self, claimed: ClaimedEntry) -> bool:
        """Whether the lease taken with `claim_new` still stands; if not, somebody else has the entry."""
        self._entry = row = self._session.get(EntryRow, int(claimed.entry.id))  # held, or it would be read again
        return row is not None and row.state == EntryState.NEW and row.lease_token == claimed.lease_token

    def owned(self, judged: Judged) -> Judged:
        """Without the matches of expressions that their subscriptions have no more; with the teams of the others."""
        asked = {match.rule_id: owner for match in judged.matches if (owner := owner_of(match.rule_id)) is not None}
        if not asked:
            return judged
        columns = (SUBSCRIPTION.id, SUBSCRIPTION.team_id, SUBSCRIPTION.match)
        found = self._session.execute(select(*columns).where(SUBSCRIPTION.id.in_(asked.values())))
        owners = {
            rule_id: team
            for number, team, texts in found
            for rule_id, owner in asked.items()
            if owner == number and any(means(rule_id, text) for text in texts or ())
        }
        kept = tuple(match for match in judged.matches if match.rule_id not in asked or match.rule_id in owners)
        return replace(judged, matches=kept, owners=owners)

    def finish(self, judged: Judged, *, now: datetime) -> None:
        """Store what was read, and that it was judged, for an entry that reports nothing and matched nothing."""
        self._store_reading(judged, now)

    def finish_drill(
        self, claimed: ClaimedEntry, alert: Alert | None, subscriptions: Sequence[Subscription], *, now: datetime
    ) -> int:
        """Write a drill's messages and forget its entry; gives the number of messages."""
        return drills.finish(self._session, claimed, alert, subscriptions, now)

    def placed_before(self, judged: Judged) -> Placement | None:
        """Where an earlier revision of this entry was placed: an edit does not move it."""
        row = self._session.get_one(EntryRow, int(judged.entry.id))
        if row.story_id is None or row.placement is None:
            return None
        return Placement(story_id=row.story_id, reason=PlacementReason(row.placement))

    def subscriptions(self, subscriptions: Subscriptions) -> tuple[Subscription, ...]:
        """Everybody who may have to be told, as of this transaction."""
        if self._subscriptions is None:
            self._subscriptions = subscriptions.all(self._session)
        return self._subscriptions

    def stories_near(self, key: StoryKey, when: datetime) -> tuple[Story, ...]:
        """The stories, at most a few, that may be the same event or the step before it."""
        return shelf.near(self._session, key, when)

    def record_story(self, judged: Judged, placement: Placement, *, now: datetime) -> int:
        """Store the reading and put the entry in its story, which is opened when it is new; gives its id."""
        when = told_at(judged.entry.published, judged.claimed.received_at, now)
        key, story_id = judged.story_key, placement.story_id
        if story_id is None:
            story_id = shelf.open_story(
                self._session, key, when, predecessor=placement.predecessor, because=placement.reason
            )
            if not self._forgot:
                shelf.forget(self._session, now)
                self._forgot = True
        else:
            shelf.join_story(self._session, story_id, key, when)
            desk.touch(self._session, story_id)
        row = self._store_reading(judged, now)
        row.story_id, row.placement = story_id, placement.reason
        row.trace = shelf.dump_key(key)
        self._session.flush()
        return story_id

    def raise_alert(self, story_id: int, judged: Judged, *, severity: Severity | None, now: datetime) -> Raised:
        """The story's alert, raised now if this is its first match; the matches of `judged` are stored with it.

        `severity` is that of the shared rules among them, None if there are none.
        """
        self._store_matches(judged, now)
        row = self._session.execute(select(AlertRow).where(ALERT.story_id == story_id)).scalar_one_or_none()
        fresh = row is None
        if row is None:
            title = judged.entry.title
            loud = severity or SEVERITY
            row = AlertRow(story_id=story_id, title=title, severity=loud, raised_at=now, words=fold(title).text)
            self._session.add(row)
            self._session.flush()
        rules = () if fresh else self._session.execute(_rules_of(row)).scalars()
        known = {one.rule_id: one for one in rules}
        only_own = all(one.team_id is not None for one in known.values())
        if severity is not None and (only_own or Severity(row.severity).rank < severity.rank):
            row.severity = severity
        for match in judged.matches:
            named = known.get(match.rule_id) or AlertRuleRow(alert_id=cast(int, row.id), rule_id=match.rule_id)
            named.team_id = judged.owners.get(match.rule_id)
            self._session.add(named)
        desk.list_acts(self._session, cast(int, row.id), judged.reading.developments, fresh=fresh)
        self._session.flush()
        return replace(_raised(row), fresh=fresh)

    def before(self, placement: Placement, alert: Raised | None) -> Before | None:
        """The story as its readers were told it, before an entry joins; None when nobody can have been told."""
        if placement.story_id is None or alert is None:
            return None
        return Before(
            members=shelf.members_of(self._session, placement.story_id),
            official=self._official(placement.story_id) is not None,
            severity=alert.severity,
        )

    def key_before(self, judged: Judged) -> StoryKey | None:
        """What an earlier revision of this entry was compared by; None when this is the first."""
        row = self._session.get_one(EntryRow, int(judged.entry.id))
        return shelf.load_key(row.trace) if row.trace is not None else None

    def readers(
        self, alert_id: int, subscriptions: Sequence[Subscription], severity: Severity, now: datetime
    ) -> tuple[updates.Reader, ...]:
        """Who was told of an alert and still wants to hear of it, and when."""
        return updates.readers(self._session, alert_id, subscriptions, severity, now)

    def update(
        self, alert: Raised, entry_id: int, changes: Sequence[Change], to: Iterable[updates.Reader], *, now: datetime
    ) -> int:
        """Record what the entry changed in the alert and tell its readers; gives the number of messages."""
        made = updates.record(self._session, alert.id, entry_id, changes, now) if changes else ()
        if not made:
            return 0
        desk.touch(self._session, alert.story_id)
        told = updates.tell(
            self._session, lambda team: replace(self.alert(alert.id, team_id=team), updates=made), to, now
        )
        failpoint.reach("update.before_commit")
        return told

    def alert(self, alert_id: int, *, team_id: int | None = None) -> Alert:
        """An alert in full as a team sees it, with every report of its story: for those who are told now, not for
        every report. Without a team, what all see of it."""
        return read_alert(self._session, self._session.get_one(AlertRow, alert_id), team_id=team_id)

    def told(self, alert: Raised) -> frozenset[int]:
        """The channels that have, or will get, this alert."""
        if alert.fresh:
            return frozenset()
        rows = self._session.execute(select(DELIVERY.channel_id).where(DELIVERY.alert_id == alert.id))
        return frozenset(rows.scalars()) | digests.told(self._session, alert.id)

    def waiting(self, alert: Raised) -> frozenset[int]:
        """The channels that will get this alert in their next digest."""
        return frozenset() if alert.fresh else digests.waiting(self._session, alert.id)

    def spent(
        self, subscriptions: Sequence[Subscription], alert_id: int, now: datetime
    ) -> Mapping[int, Sequence[Spent]]:
        """The other alerts that each subscription with a budget was, or will be, told by themselves around now."""
        return digests.spent(self._session, subscriptions, alert_id, now)

    def alert_of(self, story_id: int) -> Raised | None:
        """The alert that the story has raised, if any."""
        row = self._session.execute(select(AlertRow).where(ALERT.story_id == story_id)).scalar_one_or_none()
        return _raised(row) if row is not None else None

    def reports(self, story_id: int) -> tuple[Report, ...]:
        """What a story's confirmation is judged by: an official report, its first reports and its newest.

        Not all of them: a story that ten thousand entries tell would be read ten thousand times.
        """
        of_story = _REPORTS.where(ENTRY.story_id == story_id)
        first = self._session.execute(of_story.order_by(ENTRY.id).limit(REPORTS_READ))
        newest = self._session.execute(of_story.order_by(ENTRY.id.desc()).limit(REPORTS_READ))
        rows = {row.id: row for row in (*first, *newest)}
        if (official := self._official(story_id)) is not None:
            rows[official.id] = official
        return tuple(
            Report(outlet=_site(row.link, row.feed_url), tier=Tier(row.tier), sketch=tuple(row.sketch))
            for _, row in sorted(rows.items())
        )

    def _official(self, story_id: int) -> Any:
        official = select(FEED.id).where(FEED.tier == Tier.OFFICIAL)
        told = _REPORTS.where(ENTRY.story_id == story_id, ENTRY.feed_id.in_(official))
        return self._session.execute(told.limit(1)).first()

    def told_before(self, rule_ids: Sequence[str], since: datetime) -> tuple[Told, ...]:
        """What these rules have said to whom since then, or will say."""
        rows = self._session.execute(
            select(MatchRow, ROUTE.subscription_id, ROUTE.decided_at, ALERT.story_id)
            .join(RouteRow, ROUTE.match_id == MATCH.id)
            .join(AlertRow, ALERT.id == ROUTE.alert_id)
            .where(ROUTE.reason.in_(digests.SAID), ROUTE.decided_at > since, MATCH.rule_id.in_(rule_ids))
        )
        return tuple(
            Told(
                rule_id=match.rule_id,
                subscription_id=subscription_id,
                story_id=story_id,
                at=at,
                severity=Severity(match.severity),
                developments=load_developments(match.developments),
            )
            for match, subscription_id, at, story_id in rows
        )

    def origins(self, entries: Collection[int]) -> Mapping[int, Origin]:
        """Where these reports came from."""
        return origins(self._session, entries)

    def silences(self, now: datetime) -> tuple[Silence, ...]:
        """What teams do not want to hear of now, as of this transaction."""
        if self._silences is None:
            self._silences = standing(self._session, now)
        return self._silences

    def watch_page(self, entry_id: int, *, since: datetime, due_at: datetime, seen: bool) -> None:
        """Look at the page of an entry again: its report was told."""
        pages.watch(self._session, entry_id, since=since, due_at=due_at, seen=seen)

    def settle_page(self, due: pages.DuePage, looked: Looked) -> bool:
        """As `Pages.settle`, in this transaction."""
        return pages.settle(self._session, due, looked)

    def official_acts(self, acts: Collection[Act], since: datetime) -> frozenset[Act]:
        """Which of these acts an official source has told of since then, as more than a rumour."""
        found = (self._session.execute(_OFFICIAL, _told_of(act, since)).first() for act in acts)
        return frozenset(act for act, row in zip(acts, found, strict=True) if row is not None)

    def rules_of(self, alert_id: int) -> tuple[str, ...]:
        """Every rule that has matched an alert's story so far."""
        matched = select(ALERT_RULE.rule_id).where(ALERT_RULE.alert_id == alert_id)
        return tuple(self._session.execute(matched).scalars())

    def unconfirmed(self, alert: Raised, rules: Collection[str]) -> tuple[tuple[int, tuple[Match, ...]], ...]:
        """The matches of an alert by these rules that wait to be confirmed, by entry."""
        if alert.fresh:
            return ()
        rows = self._session.execute(
            select(MatchRow)
            .join(RouteRow, ROUTE.match_id == MATCH.id)
            .where(ROUTE.alert_id == alert.id, ROUTE.reason == RouteReason.UNCONFIRMED, MATCH.rule_id.in_(rules))
            .order_by(MATCH.id)
        ).scalars()
        found: dict[int, list[Match]] = {}
        for row in {row.id: row for row in rows}.values():  # one may wait for several subscriptions
            found.setdefault(row.entry_id, []).append(load_match(row))
        return tuple((entry_id, tuple(matches)) for entry_id, matches in found.items())

    def record_routes(
        self,
        entry_id: int,
        alert: Raised,
        routes: Sequence[Route],
        subscriptions: Sequence[Subscription],
        *,
        now: datetime,
    ) -> int:
        """The ledger rows and the outbox rows, in the transaction of the alert; gives the number of deliveries.

        A match that was decided in an earlier revision of the entry keeps its row, unless it waited to be confirmed.
        """
        matched = select(MATCH.rule_id, MATCH.id).where(MATCH.entry_id == entry_id)
        match_ids = dict(self._session.execute(matched).all())
        decided = {} if alert.fresh else self._decided(match_ids.values())
        by_id = {subscription.id: subscription for subscription in subscriptions}
        teams = self._team_ids()
        made = 0
        listed = set() if alert.fresh else set(digests.waiting(self._session, alert.id, rumours=True))
        added: list[dict[str, Any]] = []
        for route in routes:
            due_at = min((t.due_at for t in route.tellings if t.reason in digests.ALONE), default=None)
            subscription = by_id.get(route.subscription_id or 0)
            place = (match_ids[route.rule_id], route.subscription_id or 0)
            if (waited := decided.get(place)) is None:
                team_id = teams[subscription.team] if subscription else None
                added.append(_route(route, place, subscription, team_id, alert.id, now, due_at))
            elif waited.reason == RouteReason.UNCONFIRMED:
                waited.reason, waited.decided_at, waited.due_at = route.reason, now, due_at
            if subscription is not None and route.tellings:
                self._record(added)  # an earlier wait for a digest may be settled here
                made += self._tell(alert, route.tellings, subscription, teams[subscription.team], listed, now)
                if any(telling.reason is not RouteReason.DELIVERED for telling in route.tellings):
                    failpoint.reach("hold.before_commit")
            if subscription is not None and due_at is not None:
                digests.start_escalation(self._session, subscription, alert.id, due_at)
        self._record(added)
        seeing = {by_id[r.subscription_id].team for r in routes if r.subscription_id and r.reason in desk.SEEN}
        desk.show(self._session, alert.id, sorted(teams[team] for team in seeing))
        return made

    def _decided(self, matches: Iterable[int]) -> dict[tuple[int, int], RouteRow]:
        before = self._session.execute(select(RouteRow).where(ROUTE.match_id.in_(tuple(matches)))).scalars()
        return {(row.match_id, row.subscription_id): row for row in before}

    def _record(self, added: list[dict[str, Any]]) -> None:
        """Write these rows of the ledger, all at once: there is one for every subscription. Empties the list."""
        self._session.flush()
        if added:
            self._session.connection().execute(_ROUTES, added)
            added.clear()

    def _team_ids(self) -> dict[str, int]:
        if self._teams is None:
            self._teams = dict(self._session.execute(select(TEAM.name, TEAM.id)).all())
        return self._teams

    def _tell(
        self,
        alert: Raised,
        tellings: Iterable[Telling],
        subscription: Subscription,
        team_id: int,
        listed: set[int],
        now: datetime,
    ) -> int:
        """Each channel's place in the outbox or in its next digest; gives the number of deliveries.

        `listed` are the channels whose next digest has the alert: kept up to date.
        """
        made = 0
        for telling in tellings:
            if telling.reason in digests.ALONE:
                if telling.channel_id in listed:
                    digests.take_out(self._session, alert.id, telling.channel_id)
                    listed.discard(telling.channel_id)
                self._add_delivery(alert, telling, subscription, team_id, now)
                made += 1
            else:
                digests.wait(self._session, subscription.id, alert.id, telling, now)
                listed.add(telling.channel_id)
        return made

    def _add_delivery(
        self, alert: Raised, telling: Telling, subscription: Subscription, team_id: int, now: datetime
    ) -> None:
        channel_id = telling.channel_id
        self._session.add(
            DeliveryRow(
                message_id=alert_message_id(alert.id, channel_id),
                kind=DeliveryKind.ALERT,
                team_id=team_id,  # a subscription's channels are its team's
                channel_id=channel_id,
                subscription=subscription.name,
                subscription_id=subscription.id,
                language=subscription.language,
                alert_id=alert.id,
                content=self._content(alert.id, team_id),
                state=DeliveryState.PENDING,
                due_at=telling.due_at,
                created_at=now,
            )
        )

    def _content(self, alert_id: int, team_id: int) -> dict[str, Any]:
        """What a delivery of the alert holds: the same for everybody of a team who is told of it by one entry."""
        key = alert_id, team_id
        if key not in self._contents:
            self._contents[key] = dump_alert(self.alert(alert_id, team_id=team_id))
        return self._contents[key]

    def _store_reading(self, judged: Judged, now: datetime) -> EntryRow:
        row = self._session.get_one(EntryRow, int(judged.entry.id))
        again = row.judged_at is not None
        row.summary, row.content = judged.entry.summary, judged.entry.content
        row.sketch = list(judged.story_key.sketch)
        row.state, row.problem, row.lease_until = EntryState.DONE, None, None
        row.judged_by, row.judged_at = judged.judged_by, now
        row.page_fate = judged.page.fate if judged.page else None
        row.page_detail = judged.page.detail[:500] if judged.page else ""
        keep_reading(self._session, row, judged.reading, judged.noted, lexicon=judged.lexicon, again=again)
        return row

    def _store_matches(self, judged: Judged, now: datetime) -> None:
        known = select(MatchRow).where(MATCH.entry_id == int(judged.entry.id))
        rows = {row.rule_id: row for row in self._session.execute(known).scalars()}
        for match in judged.matches:
            row = rows.get(match.rule_id)
            if row is None:
                row = MatchRow(
                    entry_id=int(judged.entry.id),
                    rule_id=match.rule_id,
                    digest=match.digest,
                    severity=match.severity,
                    matched_at=now,
                )
                rows[match.rule_id] = row
                self._session.add(row)
            row.digest, row.severity = match.digest, match.severity
            row.team_id = judged.owners.get(match.rule_id)
            row.developments = dump_developments(match.developments)
            row.evidence = dump_evidence(match.evidence)
            row.unclear = list(match.unclear)
        self._session.flush()


_ROUTES = insert(RouteRow)


def _route(
    route: Route,
    place: tuple[int, int],
    subscription: Subscription | None,
    team_id: int | None,
    alert_id: int,
    now: datetime,
    due_at: datetime | None,
) -> dict[str, Any]:
    """The row of a decision about a match and a subscription, which are its place."""
    return {
        "match_id": place[0],
        "subscription_id": place[1],
        "subscription": subscription.name if subscription else "",
        "team_id": team_id,
        "alert_id": alert_id,
        "reason": route.reason,
        "decided_at": now,
        "due_at": due_at,
    }


_OFFICIAL = (
    select(DEVELOPMENT.id)
    .join(EntryRow, ENTRY.id == DEVELOPMENT.entry_id)
    .join(FeedRow, FEED.id == ENTRY.feed_id)
    .where(DEVELOPMENT.jurisdiction == bindparam("jurisdiction"), DEVELOPMENT.topic == bindparam("topic"))
    .where(DEVELOPMENT.action == bindparam("action"), ENTRY.received_at >= bindparam("since"))
    .where(FEED.tier == Tier.OFFICIAL, DEVELOPMENT.stage.not_in((Stage.RUMOURED, Stage.CONSIDERING)))
    .limit(1)
)


def _told_of(act: Act, since: datetime) -> dict[str, Any]:
    jurisdiction, topic, action = act
    return {"jurisdiction": jurisdiction, "topic": topic, "action": action, "since": since}


def _rules_of(row: AlertRow) -> Any:
    return select(AlertRuleRow).where(ALERT_RULE.alert_id == row.id)


def _raised(row: AlertRow) -> Raised:
    return Raised(id=cast(int, row.id), story_id=row.story_id, severity=Severity(row.severity))


def _site(link: str, feed_url: str) -> str:
    """Whose report it is: the host of its page, or of the feed where it has none."""
    host = urlsplit(link).hostname or urlsplit(feed_url).hostname or feed_url
    return host.removeprefix("www.")


def load_match(row: MatchRow) -> Match:
    return Match(
        rule_id=row.rule_id,
        digest=row.digest,
        severity=Severity(row.severity),
        developments=load_developments(row.developments),
        evidence=load_evidence(row.evidence),
        unclear=tuple(row.unclear),
    )


def _feeds_of(rows: Sequence[EntryRow]) -> Any:
    return select(FeedRow).where(FEED.id.in_({row.feed_id for row in rows}))


def _claimed(row: EntryRow, feed: FeedRow) -> ClaimedEntry:
    return ClaimedEntry(
        entry=Entry(
            id=str(row.id),
            title=row.title,
            summary=row.summary,
            content=row.content,
            source=outlet(feed.title, feed.url),
            link=row.link,
            lang=feed.language,
            published=row.published,
            tier=Tier(feed.tier),
        ),
        feed_id=row.feed_id,
        tier=Tier(feed.tier),
        full_text=FullText(feed.full_text),
        jurisdiction=feed.jurisdiction,
        received_at=row.received_at,
        attempts=row.attempts,
        lease_token=row.lease_token,
        drill=feed.url.startswith(SCHEME),
    )
