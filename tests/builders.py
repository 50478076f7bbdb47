"""Builders of domain values with sensible defaults, so that a test names only what it is about."""

from __future__ import annotations

from datetime import datetime, timedelta

from service.domain.model import (
    Action,
    ChannelKind,
    ClaimedEntry,
    Development,
    Direction,
    Evidence,
    FeedState,
    FeedUpdate,
    Match,
    ParsedEntry,
    Reading,
    Secret,
    Severity,
    SigningKeys,
    Stage,
    StoryKey,
    Topic,
    Validators,
    Watch,
)
from service.domain.remembered import Noted
from service.storage.entries import Judged
from service.storage.feeds import NewFeed
from service.storage.store import Store
from service.storage.subscriptions import NewChannel, NewSubscription

LEASE = timedelta(minutes=2)


def a_development(jurisdiction: str = "CN", **changes: object) -> Development:
    values: dict[str, object] = {
        "jurisdiction": jurisdiction,
        "topic": Topic.STABLECOIN,
        "action": Action.BAN,
        "direction": Direction.TIGHTENING,
        "stage": Stage.REAFFIRMED,
    }
    return Development(**(values | changes))  # type: ignore[arg-type]


def a_match(rule: str = "cn-ban", *developments: Development, severity: Severity = Severity.MEDIUM) -> Match:
    evidence = Evidence(field="title", start=0, end=5, text="China")
    return Match(
        rule_id=rule,
        digest="d",
        severity=severity,
        developments=developments or (a_development(),),
        evidence=(evidence,),
    )


def a_parsed(guid: str = "1", **changes: object) -> ParsedEntry:
    values: dict[str, object] = {"guid": guid, "link": f"https://example.org/{guid}", "title": f"Entry {guid}"}
    return ParsedEntry(**(values | changes))  # type: ignore[arg-type]


def a_channel(url: str = "https://hook.example.org/a") -> NewChannel:
    return NewChannel(
        kind=ChannelKind.WEBHOOK, url=Secret(url), shown=url, keys=(SigningKeys(secret=Secret("whsec_abc")),)
    )


def a_subscription(name: str = "desk", **changes: object) -> NewSubscription:
    values: dict[str, object] = {"name": name, "watch": Watch(), "channels": (a_channel(),)}
    return NewSubscription(**(values | changes))  # type: ignore[arg-type]


def healthy(due: datetime, **changes: object) -> FeedUpdate:
    values: dict[str, object] = {
        "state": FeedState.HEALTHY,
        "next_due_at": due,
        "failures": 0,
        "validators": Validators(),
        "body_hash": None,
        "ok": True,
    }
    return FeedUpdate(**(values | changes))  # type: ignore[arg-type]


def received(store: Store, now: datetime, *entries: ParsedEntry, url: str = "https://feed.example.org/rss") -> int:
    """A feed that was polled once before and now brings `entries`; gives the feed's id."""
    feed = store.feeds.add(NewFeed(url=url), now=now)
    assert feed is not None
    (claimed,) = store.feeds.claim_due(now, limit=1, lease=LEASE)
    store.feeds.save_poll(claimed, healthy(now), (), now=now, look_back=timedelta(hours=48))
    (claimed,) = store.feeds.claim_due(now, limit=1, lease=LEASE)
    store.feeds.save_poll(claimed, healthy(now + LEASE), entries, now=now, look_back=timedelta(hours=48))
    return feed.id


def judged(claimed: ClaimedEntry, *developments: Development, matches: tuple[Match, ...] = ()) -> Judged:
    reading = Reading(lang="en", developments=developments)
    return Judged(
        claimed=claimed,
        entry=claimed.entry,
        reading=reading,
        noted=Noted(concepts="", stated=("",) * len(developments), named=("",) * len(developments)),
        lexicon="l1",
        matches=matches,
        story_key=StoryKey(developments=developments, link="", sketch=(), title=claimed.entry.title),
        judged_by="v1",
    )
