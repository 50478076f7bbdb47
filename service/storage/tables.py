"""The tables, as SQLModel rows. They stay in this folder; frozen dataclasses of `domain.model` leave it.

What must be unique is a constraint here, not a check in the code. A change to this file comes with a migration.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Index, MetaData, Text, UniqueConstraint, text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Column, Field, SQLModel

from service.domain.model import Language


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC times on both databases: SQLite keeps no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone reached the database")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(SQLModel):
    """Base of every table; named constraints so that migrations can name them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _time(*, null: bool = False, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcDateTime, nullable=null, index=index))


def _json(default: Any = None) -> Any:
    factory = (lambda: default) if not isinstance(default, (list, dict)) else default.copy
    return Field(default_factory=factory, sa_column=Column(JSON, nullable=False))


def _text() -> Any:
    return Field(default="", sa_column=Column(Text, nullable=False))


def _ref(target: str, *, null: bool = False, index: bool = True, cascade: bool = True) -> Any:
    key = ForeignKey(target, ondelete="CASCADE" if cascade else None)
    return Field(default=None, sa_column=Column(key, nullable=null, index=index))


class TeamRow(Row, table=True):
    __tablename__ = "team"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    created_at: datetime = _time()


class KeyRow(Row, table=True):
    __tablename__ = "api_key"
    id: int | None = Field(default=None, primary_key=True)
    team_id: int = _ref("team.id")
    name: str
    prefix: str = Field(unique=True)
    hash: str
    scopes: list[str] = _json([])
    created_at: datetime = _time()
    expires_at: datetime | None = _time(null=True)
    last_used_at: datetime | None = _time(null=True)
    revoked_at: datetime | None = _time(null=True)


class FeedRow(Row, table=True):
    __tablename__ = "feed"
    __table_args__ = (
        # The next feeds of a host, and those of which somebody holds the lease: few at a time.
        Index("ix_feed_host_next_due_at", "host", "next_due_at", postgresql_where=text("active")),
        Index("ix_feed_leased", "host", postgresql_where=text("lease_until IS NOT NULL")),
    )
    id: int | None = Field(default=None, primary_key=True)
    url: str = Field(unique=True)
    title: str = _text()
    state: str
    tier: str
    full_text: str
    jurisdiction: str | None = None
    language: str | None = None
    interval_seconds: float
    next_due_at: datetime = _time(index=True)
    etag: str | None = None
    last_modified: str | None = None
    body_hash: str | None = None
    failures: int = 0
    reason: str | None = None
    problem: str | None = None
    last_polled_at: datetime | None = _time(null=True)
    last_ok_at: datetime | None = _time(null=True)
    polled_once: bool = False
    managed: bool = False
    active: bool = True
    created_at: datetime = _time()
    lease_until: datetime | None = _time(null=True)
    lease_token: int = 0
    kind: str | None = None
    tags: list[str] = _json([])
    state_since: datetime | None = _time(null=True)
    validated_at: datetime | None = _time(null=True)
    move: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    usual_seconds: float | None = None
    longest_seconds: float | None = None
    last_news_at: datetime | None = _time(null=True)
    pace_seconds: float | None = None
    selectors: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    pushed_until: datetime | None = _time(null=True)
    credentials: str | None = None
    sends: list[str] = _json([])
    host: str = _text()


class HostRow(Row, table=True):
    """Whose turn a host is, by host and port: nobody may take it before `free_at`; `ready_at`, never before that, is
    when a feed of it is due next."""

    __tablename__ = "host"
    host: str = Field(primary_key=True)
    free_at: datetime = _time()
    ready_at: datetime = _time(index=True)


class FeedDigestsRow(Row, table=True):
    """The digests of the items of a feed's last document, apart from the feed: most polls have no use for them."""

    __tablename__ = "feed_digests"
    feed_id: int = Field(sa_column=Column(ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True))
    digests: str = _text()


class HostClosedRow(Row, table=True):
    """A host and port that asked to be left alone, and until when."""

    __tablename__ = "host_closed"
    host: str = Field(primary_key=True)
    until: datetime = _time()


class PushRow(Row, table=True):
    """What was agreed with a feed's hub (WebSub). `sealed` holds the callback's token and the key of its signatures;
    the token is looked up by its hash, so that what is stored lets nobody push. `public_url` is the address of ours
    under which the hub was last asked."""

    __tablename__ = "push"
    id: int | None = Field(default=None, primary_key=True)
    feed_id: int = Field(sa_column=Column(ForeignKey("feed.id", ondelete="CASCADE"), nullable=False, unique=True))
    hub: str = _text()
    topic: str = _text()
    public_url: str = _text()
    token_hash: str = Field(unique=True)
    sealed: str = _text()
    state: str
    next_at: datetime = _time(index=True)
    lease_until: datetime | None = _time(null=True)
    asked_at: datetime | None = _time(null=True)
    attempts: int = 0
    problem: str | None = None
    taken: int = 0
    last_taken_at: datetime | None = _time(null=True)
    refused: int = 0
    last_refusal: str | None = None
    fence: int = 0


class FeedNoticeRow(Row, table=True):
    """What the owner of a feed was told about it, oldest first."""

    __tablename__ = "feed_notice"
    id: int | None = Field(default=None, primary_key=True)
    feed_id: int = _ref("feed.id")
    at: datetime = _time(index=True)
    kind: str
    detail: str = _text()


class FeedGapRow(Row, table=True):
    """The gap ledger: times of a feed in which entries may have come and gone unseen, and what was done about it.

    While its fate is open, `next_attempt_at` is when it is tried to fill it, or until when somebody is at it.
    """

    __tablename__ = "feed_gap"
    id: int | None = Field(default=None, primary_key=True)
    feed_id: int = _ref("feed.id")
    opened_at: datetime = _time(index=True)
    since: datetime = _time()
    until: datetime = _time()
    missing: int | None = None
    fate: str = "open"
    recovered: int = 0
    detail: str = _text()
    attempts: int = 0
    next_attempt_at: datetime | None = _time(null=True, index=True)


class StoryRow(Row, table=True):
    """`members` are the keys that stand for its entries; `predecessor_id` is the story that it comes after in its
    dossier, `because` why it is a story of its own."""

    __tablename__ = "story"
    id: int | None = Field(default=None, primary_key=True)
    title: str = _text()
    opened_at: datetime = _time()
    last_at: datetime = _time(index=True)
    predecessor_id: int | None = None
    because: str | None = None
    members: list[dict[str, Any]] = _json([])


class StoryHandleRow(Row, table=True):
    """Under which handles a story is found (see `domain.shelf`): `at` is the newest entry with the handle, `until` the
    time from which nobody looks there any more; both in seconds of Unix time, for there are very many rows."""

    __tablename__ = "story_handle"
    # The story stands in the index too: many rows are looked at, and none of them is fetched from the table.
    __table_args__ = (Index("ix_story_handle_handle_at_story_id", "handle", "at", "story_id"),)
    handle: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    story_id: int = Field(sa_column=Column(ForeignKey("story.id", ondelete="CASCADE"), primary_key=True))
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    until: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))


class EntryRow(Row, table=True):
    """`key` is the identity within the feed; `link_key` the digest of the canonical address, the identity across feeds.

    Once `state` is done, `summary` and `content` hold the text as it was read, and `page_fate` what came of its page.
    """

    __tablename__ = "entry"
    __table_args__ = (
        UniqueConstraint("feed_id", "key"),
        Index("ix_entry_state_next_attempt_at", "state", "next_attempt_at"),
        Index("ix_entry_story_id_id", "story_id", "id"),  # the first and the newest reports of a story
        Index("ix_entry_story_id_feed_id", "story_id", "feed_id"),  # those by certain feeds
    )
    id: int | None = Field(default=None, primary_key=True)
    feed_id: int = _ref("feed.id")
    key: str
    guid: str | None = None
    link: str = _text()
    link_key: str | None = Field(default=None, index=True)
    title: str = _text()
    summary: str = _text()
    content: str = _text()
    lang: str | None = None
    published: datetime | None = _time(null=True)
    updated: datetime | None = _time(null=True)
    received_at: datetime = _time(index=True)
    content_hash: str
    revision: int = 0
    state: str
    attempts: int = 0
    next_attempt_at: datetime = _time()
    problem: str | None = None
    lease_until: datetime | None = _time(null=True)
    lease_token: int = 0
    judged_by: str | None = None
    judged_at: datetime | None = _time(null=True)
    sketch: list[int] = _json([])
    trace: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    story_id: int | None = _ref("story.id", null=True, index=False)
    placement: str | None = None
    page_fate: str | None = None
    page_detail: str = _text()


class PageLookRow(Row, table=True):
    """A page whose report was told, to be looked at again (see `domain.pages`); no row: it is not looked at any more.

    `since` is when it was told, `seen` whether it was there at any time, `missing` how often in a row it was gone.
    """

    __tablename__ = "page_look"
    entry_id: int = Field(sa_column=Column(ForeignKey("entry.id", ondelete="CASCADE"), primary_key=True))
    since: datetime = _time()
    due_at: datetime = _time(index=True)
    seen: bool = False
    missing: int = 0
    lease_until: datetime | None = _time(null=True)
    lease_token: int = 0


class ReadingRow(Row, table=True):
    """What is kept of an entry's reading, apart from its text, so that a rule can be tried on it without the text.

    No row: the entry was never read, or its text changed since. `lexicon` is the version that read it; `at` the time
    at which it counts as news; `concepts` the codes of `domain.remembered`.
    """

    __tablename__ = "reading"
    entry_id: int = Field(sa_column=Column(ForeignKey("entry.id", ondelete="CASCADE"), primary_key=True))
    lexicon: str
    lang: str
    at: datetime = _time(index=True)
    concepts: str = _text()


class DevelopmentRow(Row, table=True):
    """`stated` and `named` are the concepts in its evidence and in its quotes; null where they were never noted."""

    __tablename__ = "development"
    __table_args__ = (Index("ix_development_act", "jurisdiction", "topic", "action"),)
    id: int | None = Field(default=None, primary_key=True)
    entry_id: int = _ref("entry.id")
    jurisdiction: str
    topic: str
    action: str
    direction: str
    stage: str
    evidence: list[dict[str, Any]] = _json([])
    quotes: list[dict[str, Any]] = _json([])
    stated: str | None = None
    named: str | None = None
    is_likely: bool = False


class EntryDateRow(Row, table=True):
    """A day that an entry names, and what happens on it (see `domain.dates`)."""

    __tablename__ = "entry_date"
    entry_id: int = Field(sa_column=Column(ForeignKey("entry.id", ondelete="CASCADE"), primary_key=True))
    meaning: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    text: str = _text()


class MatchRow(Row, table=True):
    """`team_id` is that of the subscription whose own expression matched: no other team sees it. Null: a rule did."""

    __tablename__ = "match"
    __table_args__ = (UniqueConstraint("entry_id", "rule_id"),)
    id: int | None = Field(default=None, primary_key=True)
    entry_id: int = _ref("entry.id")
    rule_id: str = Field(index=True)
    digest: str
    severity: str
    developments: list[dict[str, Any]] = _json([])
    evidence: list[dict[str, Any]] = _json([])
    unclear: list[str] = _json([])
    matched_at: datetime = _time()
    team_id: int | None = None


class AlertRow(Row, table=True):
    __tablename__ = "alert"
    __table_args__ = (UniqueConstraint("story_id"),)
    id: int | None = Field(default=None, primary_key=True)
    story_id: int = _ref("story.id", index=False)
    title: str = _text()
    severity: str
    raised_at: datetime = _time(index=True)
    version: int = 0  # counts its changes: who has shown this version need not read it again
    words: str = _text()  # the title folded, to be searched


class TeamAlertRow(Row, table=True):
    """The alerts that one of a team's subscriptions wanted, and the verdict that stands, if any."""

    __tablename__ = "team_alert"
    team_id: int = Field(sa_column=Column(ForeignKey("team.id", ondelete="CASCADE"), primary_key=True))
    alert_id: int = Field(sa_column=Column(ForeignKey("alert.id", ondelete="CASCADE"), primary_key=True, index=True))
    verdict: str | None = None


class AlertActRow(Row, table=True):
    """What an alert is about, act by act, to be looked for."""

    __tablename__ = "alert_act"
    __table_args__ = tuple(
        Index(f"ix_alert_act_{name}_alert_id", name, "alert_id") for name in ("jurisdiction", "topic", "action")
    )
    alert_id: int = Field(sa_column=Column(ForeignKey("alert.id", ondelete="CASCADE"), primary_key=True))
    jurisdiction: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    action: str = Field(primary_key=True)
    stage: str = Field(primary_key=True)
    direction: str = Field(primary_key=True)


class CommentRow(Row, table=True):
    """What members of a team say of an alert."""

    __tablename__ = "comment"
    id: int | None = Field(default=None, primary_key=True)
    team_id: int = _ref("team.id")
    alert_id: int = _ref("alert.id")
    by: str
    text: str = _text()
    at: datetime = _time()


class AlertUpdateRow(Row, table=True):
    """What changed in an alert after it was raised; `what` makes the change one of its kind for the alert."""

    __tablename__ = "alert_update"
    __table_args__ = (UniqueConstraint("alert_id", "what"),)
    id: int | None = Field(default=None, primary_key=True)
    alert_id: int = _ref("alert.id", index=False)
    entry_id: int = _ref("entry.id")
    reason: str
    what: str
    detail: str = _text()
    at: datetime = _time()


class AlertRuleRow(Row, table=True):
    """A rule that matched an alert's story; `team_id` as that of the match."""

    __tablename__ = "alert_rule"
    alert_id: int = Field(sa_column=Column(ForeignKey("alert.id", ondelete="CASCADE"), primary_key=True))
    rule_id: str = Field(primary_key=True)
    team_id: int | None = None


class OwnRulesRow(Row, table=True):
    """One row: its `version` counts the changes of what subscriptions match by themselves, whoever makes them, so that
    each process sees at a glance whether the rules that it has compiled are those in force."""

    __tablename__ = "own_rules"
    id: int = Field(default=1, primary_key=True)
    version: int = 0


class SubscriptionRow(Row, table=True):
    __tablename__ = "subscription"
    __table_args__ = (UniqueConstraint("team_id", "name"),)
    id: int | None = Field(default=None, primary_key=True)
    team_id: int = _ref("team.id")
    name: str
    watch: dict[str, Any] = _json({})
    active: bool = True
    managed: bool = False
    mute_rumours: bool = False
    language: str = Language.ENGLISH
    timing: dict[str, Any] = _json({})  # empty: at once
    created_at: datetime = _time()
    notices: str = "gaps"
    match: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))


class SilenceRow(Row, table=True):
    """Silences that have run out stay: the ledger's reasons point to them by their times."""

    __tablename__ = "silence"
    id: int | None = Field(default=None, primary_key=True)
    team_id: int = _ref("team.id")
    owner: str
    reason: str = _text()
    watch: dict[str, Any] = _json({})
    made_at: datetime = _time()
    expires_at: datetime = _time(index=True)


class ChannelRow(Row, table=True):
    """The address and the signing secret are ciphertext; `fingerprint` tells equal addresses of one team apart.

    `failing_since` to `disabled_because` are its `ChannelHealth`; nothing is sent to it before `rest_until`.
    `last_event` is the number of the newest of its deliveries that has come due: it is raised in the transaction that
    numbers one, so that the order of the numbers is the order of the commits, without holes.
    """

    __tablename__ = "channel"
    __table_args__ = (UniqueConstraint("team_id", "fingerprint"),)
    id: int | None = Field(default=None, primary_key=True)
    team_id: int = _ref("team.id")
    kind: str
    shown: str
    fingerprint: str
    url_cipher: str
    secret_cipher: str | None = None
    created_at: datetime = _time()
    failing_since: datetime | None = _time(null=True)
    last_failed_at: datetime | None = _time(null=True)
    failing_told: bool = False
    disabled_at: datetime | None = _time(null=True)
    disabled_because: str | None = None
    rest_until: datetime | None = _time(null=True)
    last_event: int = 0


class SubscriptionChannelRow(Row, table=True):
    __tablename__ = "subscription_channel"
    subscription_id: int = Field(sa_column=Column(ForeignKey("subscription.id", ondelete="CASCADE"), primary_key=True))
    channel_id: int = Field(
        sa_column=Column(ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True, index=True)
    )
    schedule: str | None = None  # None: the subscription's


class UnsubscribedRow(Row, table=True):
    """A channel that hears no more of a subscription since its reader said so; it outlives a change of either."""

    __tablename__ = "unsubscribed"
    subscription_id: int = Field(sa_column=Column(ForeignKey("subscription.id", ondelete="CASCADE"), primary_key=True))
    channel_id: int = Field(
        sa_column=Column(ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True, index=True)
    )
    at: datetime = _time()


class RouteRow(Row, table=True):
    """The ledger: what became of each match for each subscription; it outlives the subscription.

    `subscription_id` 0 stands for "nobody subscribes to anything".
    """

    __tablename__ = "route"
    __table_args__ = (
        UniqueConstraint("match_id", "subscription_id"),
        Index("ix_route_alert_id_reason", "alert_id", "reason"),
        Index("ix_route_subscription_id_alert_id", "subscription_id", "alert_id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    match_id: int = _ref("match.id")
    subscription_id: int
    subscription: str = ""
    team_id: int | None = _ref("team.id", null=True)
    alert_id: int = _ref("alert.id", index=False)
    reason: str
    decided_at: datetime = _time()
    due_at: datetime | None = _time(null=True)  # of what is told by itself: when, for the day's budget


class WayRow(Row, table=True):
    """The token under which anybody may read a subscription's alerts as a feed. Stored as a digest.

    `seed` makes the ids in its feeds like no other installation's; it outlives the token, as readers' memories do.
    """

    __tablename__ = "way"
    subscription_id: int = Field(
        sa_column=Column(ForeignKey("subscription.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    )
    token_hash: str | None = Field(default=None, unique=True)
    seed: str
    made_at: datetime = _time()


class DigestItemRow(Row, table=True):
    """What waits for a channel's digest (`delivery_id` null), or was told in one; `due_at` is the time of that digest.

    One waiting row for each alert and channel, whatever led to it.
    """

    __tablename__ = "digest_item"
    __table_args__ = (
        Index(
            "ix_digest_item_waiting",
            "alert_id",
            "channel_id",
            unique=True,
            sqlite_where=text("delivery_id IS NULL"),
            postgresql_where=text("delivery_id IS NULL"),
        ),
        Index("ix_digest_item_delivery_id_due_at", "delivery_id", "due_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    subscription_id: int = _ref("subscription.id")
    channel_id: int = _ref("channel.id")
    alert_id: int = _ref("alert.id")
    update_id: int | None = None  # the first of the updates that it tells of
    reason: str
    since: datetime = _time()
    due_at: datetime = _time()
    delivery_id: int | None = None


class EscalationRow(Row, table=True):
    """An alert that is told elsewhere at `due_at` unless its team decides; `ended` says how it ended."""

    __tablename__ = "escalation"
    __table_args__ = (UniqueConstraint("subscription_id", "alert_id"),)
    id: int | None = Field(default=None, primary_key=True)
    subscription_id: int = _ref("subscription.id", index=False)
    alert_id: int = _ref("alert.id")
    since: datetime = _time()
    due_at: datetime = _time(index=True)
    done_at: datetime | None = _time(null=True)
    ended: str | None = None


class DecisionRow(Row, table=True):
    """What teams decided about alerts; the newest stands. `delivery_id` is the message whose link it was made with:
    a link decides once."""

    __tablename__ = "decision"
    __table_args__ = (Index("ix_decision_delivery_id_alert_id", "delivery_id", "alert_id", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    team_id: int = _ref("team.id")
    alert_id: int = _ref("alert.id")
    verdict: str
    by: str
    reason: str = _text()
    at: datetime = _time()
    until: date | None = None
    assignee: str = ""
    delivery_id: int | None = None


class DeliveryRow(Row, table=True):
    """The outbox. `content` is the alert as this receiver is told it: the same on every attempt.

    An update has no `alert_id`, but the `update_id` of the row that says what changed: an alert goes out once. A notice
    has neither: its `content` are reports about feeds or channels. `event` is its place among all that the channel was
    to be sent, given once it is due: from then on its content stays as it is.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("alert_id", "channel_id"),
        Index("ix_delivery_update_id_channel_id", "update_id", "channel_id", unique=True),
        Index("ix_delivery_state_due_at_channel_id", "state", "due_at", "channel_id"),
        Index(  # of the few that are being sent
            "ix_delivery_lease_until_channel_id",
            "lease_until",
            "channel_id",
            sqlite_where=text("lease_until IS NOT NULL"),
            postgresql_where=text("lease_until IS NOT NULL"),
        ),
        Index("ix_delivery_channel_id_state_due_at", "channel_id", "state", "due_at"),
        Index("ix_delivery_channel_id_event", "channel_id", "event", unique=True),
    )
    id: int | None = Field(default=None, primary_key=True)
    message_id: str = Field(unique=True)
    kind: str
    team_id: int = _ref("team.id")
    channel_id: int = _ref("channel.id", index=False)
    subscription: str
    subscription_id: int | None = None
    language: str = Language.ENGLISH  # of our own words in it
    alert_id: int | None = _ref("alert.id", null=True)
    update_id: int | None = None
    content: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    state: str
    attempts: int = 0
    attempts_before: int = 0  # those made before a person put it back in line: its schedule starts anew
    due_at: datetime = _time()
    created_at: datetime = _time()
    settled_at: datetime | None = _time(null=True)
    detail: str = _text()
    lease_until: datetime | None = _time(null=True)
    lease_token: int = 0
    event: int | None = None
    drill_id: int | None = Field(default=None, index=True)


class AttemptRow(Row, table=True):
    """Written before connecting: a row without an outcome is a send whose fate is unknown."""

    __tablename__ = "attempt"
    __table_args__ = (UniqueConstraint("delivery_id", "number"),)
    id: int | None = Field(default=None, primary_key=True)
    delivery_id: int = _ref("delivery.id", index=False)
    number: int
    started_at: datetime = _time()
    finished_at: datetime | None = _time(null=True)
    outcome: str | None = None
    http_status: int | None = None
    detail: str = _text()
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))


class DrillRow(Row, table=True):
    """A drill: a made-up entry in a feed of its own (gone once it is read), and the deliveries that carry its id.

    `team_id` and `subscription_id` narrow it, null for all; `slot` is the time of the schedule that it was made for.
    """

    __tablename__ = "drill"
    __table_args__ = (Index("ix_drill_ended_at_due_at", "ended_at", "due_at"),)
    id: int | None = Field(default=None, primary_key=True)
    team_id: int | None = None
    subscription_id: int | None = None
    feed_id: int = Field(index=True)
    asked_at: datetime = _time()
    due_at: datetime = _time()
    slot: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True, unique=True))
    read_at: datetime | None = _time(null=True)
    problem: str = _text()
    ended_at: datetime | None = _time(null=True)
    missing: int = 0


class AuditRow(Row, table=True):
    """Who changed what. Rows are added and never changed; they outlive what they tell of."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_thing_number", "thing", "number"),)
    id: int | None = Field(default=None, primary_key=True)
    team_id: int | None = _ref("team.id", null=True)
    at: datetime = _time(index=True)
    actor: str
    kind: str
    thing: str
    number: int | None = None
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    after: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))


class RequestRow(Row, table=True):
    """A request that its sender may repeat (Idempotency-Key). `answer` is sealed: it may hold a new secret.

    `effect` is set in the transaction that the request changed something in.
    """

    __tablename__ = "request"
    __table_args__ = (UniqueConstraint("key_id", "token"),)
    id: int | None = Field(default=None, primary_key=True)
    key_id: int = _ref("api_key.id", index=False)
    token: str
    fingerprint: str
    begun_at: datetime = _time(index=True)
    effect: bool = False
    status: int | None = None
    answer: str | None = Field(default=None, sa_column=Column(Text, nullable=True))


# Statements name columns through these: SQLModel types a class attribute as the value it holds, not as the column.
TEAM: Any = TeamRow
KEY: Any = KeyRow
FEED: Any = FeedRow
PUSH: Any = PushRow
FEED_DIGESTS: Any = FeedDigestsRow
HOST: Any = HostRow
HOST_CLOSED: Any = HostClosedRow
FEED_NOTICE: Any = FeedNoticeRow
FEED_GAP: Any = FeedGapRow
STORY: Any = StoryRow
STORY_HANDLE: Any = StoryHandleRow
ENTRY: Any = EntryRow
PAGE_LOOK: Any = PageLookRow
READING: Any = ReadingRow
DEVELOPMENT: Any = DevelopmentRow
ENTRY_DATE: Any = EntryDateRow
MATCH: Any = MatchRow
ALERT: Any = AlertRow
ALERT_UPDATE: Any = AlertUpdateRow
ALERT_RULE: Any = AlertRuleRow
OWN_RULES: Any = OwnRulesRow
SUBSCRIPTION: Any = SubscriptionRow
SILENCE: Any = SilenceRow
WAY: Any = WayRow
CHANNEL: Any = ChannelRow
SUBSCRIPTION_CHANNEL: Any = SubscriptionChannelRow
UNSUBSCRIBED: Any = UnsubscribedRow
ROUTE: Any = RouteRow
DIGEST_ITEM: Any = DigestItemRow
ESCALATION: Any = EscalationRow
DECISION: Any = DecisionRow
DELIVERY: Any = DeliveryRow
ATTEMPT: Any = AttemptRow
DRILL: Any = DrillRow
AUDIT: Any = AuditRow
REQUEST: Any = RequestRow
TEAM_ALERT: Any = TeamAlertRow
ALERT_ACT: Any = AlertActRow
COMMENT: Any = CommentRow
