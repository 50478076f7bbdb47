"""What a webhook carries: canonical JSON as `PAYLOAD_SCHEMA` says, below `PAYLOAD_LIMIT` bytes. Pure.

Texts are cleaned like those of every other channel, so that a receiver may pass them on to a chat room as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from service.delivery.languages import Words
from service.delivery.text import link, phrase
from service.delivery.words import acts, drill_headline, headline
from service.domain.digest import groups
from service.domain.links import Links
from service.domain.model import (
    Action,
    Alert,
    ChannelNoticeKind,
    ChannelReport,
    Delivery,
    DeliveryKind,
    Development,
    Digest,
    DigestItem,
    Direction,
    FeedReport,
    ItemReason,
    NoticeKind,
    Predecessor,
    Severity,
    Source,
    Stage,
    Topic,
    Update,
    UpdateReason,
)

R = TypeVar("R")

PAYLOAD_LIMIT = 20_000
"""Bytes. Standard Webhooks asks for payloads below 20 kB."""

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_MAYBE = {"type": ["string", "null"]}
_EVIDENCE = {
    "type": "object",
    "required": ["field", "start", "end", "text"],
    "properties": {"field": _TEXT, "start": {"type": "integer"}, "end": {"type": "integer"}, "text": _TEXT},
}
_DEVELOPMENT = {
    "type": "object",
    "required": ["jurisdiction", "topic", "action", "direction", "stage", "evidence"],
    "properties": {
        "jurisdiction": _TEXT,
        "topic": {"enum": [*Topic]},
        "action": {"enum": [*Action]},
        "direction": {"enum": [*Direction]},
        "stage": {"enum": [*Stage]},
        "evidence": {"type": "array", "items": _EVIDENCE},
    },
}
_SOURCE = {
    "type": "object",
    "required": ["title", "source", "link", "lang", "published"],
    "properties": {"title": _TEXT, "source": _TEXT, "link": _MAYBE, "lang": _MAYBE, "published": _MAYBE},
}
_PREDECESSOR = {
    "type": ["object", "null"],
    "description": "the step of the same measure before this one",
    "required": ["story_id", "alert_id", "title", "at", "changed"],
    "properties": {
        "story_id": {"type": "integer"},
        "alert_id": {"type": ["integer", "null"]},
        "title": _TEXT,
        "at": _TEXT,
        "changed": {**_TEXT, "description": "such as: stage proposed → passed"},
    },
}
_UPDATE = {
    "type": "object",
    "required": ["reason", "detail", "at"],
    "properties": {"reason": {"enum": [*UpdateReason]}, "detail": _TEXT, "at": _TEXT},
}
_ITEM = {
    "type": "object",
    "required": ["alert_id", "headline", "title", "severity", "reason", "link", "sources_total", "updates"],
    "properties": {
        "alert_id": {"type": "integer"},
        "headline": _TEXT,
        "title": _TEXT,
        "severity": {"enum": [*Severity]},
        "reason": {"enum": [*ItemReason], "description": "why it stands in a digest"},
        "link": _MAYBE,
        "sources_total": {"type": "integer"},
        "updates": {"type": "array", "items": _UPDATE, "description": "since an earlier digest had it"},
        "decide": {**_TEXT, "description": "as of an alert; in all items of a digest, or in none for want of room"},
    },
}
_GROUP = {
    "type": "object",
    "required": ["jurisdiction", "direction", "alerts"],
    "properties": {
        "jurisdiction": _MAYBE,
        "direction": {"enum": [*Direction, None]},
        "alerts": {"type": "array", "items": _ITEM},
    },
}
_TALLY = {
    "type": "object",
    "description": "how many alerts concerned the subscription in the last seven days, and in the seven before",
    "required": ["jurisdiction", "week", "week_before"],
    "properties": {
        "jurisdiction": _TEXT,
        "week": {"type": "integer"},
        "week_before": {"type": "integer"},
    },
}
_REPORT = {
    "type": "object",
    "required": ["feed_id", "name", "url", "kind", "detail", "at"],
    "properties": {
        "feed_id": {"type": "integer"},
        "name": _TEXT,
        "url": _MAYBE,
        "kind": {"enum": [*NoticeKind]},
        "detail": _TEXT,
        "at": _TEXT,
    },
}
_CHANNEL_REPORT = {
    "type": "object",
    "required": ["channel_id", "channel", "kind", "detail", "at"],
    "properties": {
        "channel_id": {"type": "integer"},
        "channel": {**_TEXT, "description": "its address, masked"},
        "kind": {"enum": [*ChannelNoticeKind]},
        "detail": _TEXT,
        "at": _TEXT,
    },
}
_TYPES = (
    "alert.raised",
    "alert.updated",
    "alert.escalated",
    "digest",
    "feed.notice",
    "channel.notice",
    "channel.unsubscribed",
    "drill",
    "test",
)
PAYLOAD_SCHEMA: dict[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "policywatch webhook payload, version 1",
    "type": "object",
    "required": ["type", "version", "timestamp", "data"],
    "properties": {
        "type": {"enum": [*_TYPES]},
        "version": {"const": 1},
        "timestamp": {
            "type": "string",
            "format": "date-time",
            "description": "when it was raised, updated, escalated or put together, UTC",
        },
        "data": {
            "type": "object",
            "description": "a test carries headline, team and subscription only, a notice those and its reports, "
            "channel.unsubscribed those and left",
            "required": ["headline", "team", "subscription"],
            "properties": {
                "alert_id": {"type": "integer"},
                "story_id": {"type": "integer"},
                "headline": {**_TEXT, "description": "in the language of the subscription"},
                "title": _TEXT,
                "severity": {"enum": [*Severity]},
                "rules": _TEXTS,
                "unclear": {
                    **_TEXTS,
                    "description": "what a rule asked for and the text leaves open; action: no listed word says it",
                },
                "developments": {"type": "array", "items": _DEVELOPMENT},
                "sources": {"type": "array", "items": _SOURCE},
                "sources_total": {"type": "integer", "description": "larger than the list when that was cut"},
                "languages": {**_TEXTS, "description": "those of the sources"},
                "predecessor": _PREDECESSOR,
                "updates": {"type": "array", "items": _UPDATE, "description": "of alert.updated: what changed"},
                "decide": {
                    **_TEXT,
                    "description": "of an alert: where a person decides about it, once, with no key; it expires",
                },
                "alerts_total": {
                    "type": "integer",
                    "description": "of a digest: larger than its lists if they were cut",
                },
                "since": {**_TEXT, "description": "of a digest: where its time begins"},
                "until": {**_TEXT, "description": "of a digest: where its time ends"},
                "groups": {"type": "array", "items": _GROUP, "description": "of a digest: the loudest first"},
                "tallies": {"type": "array", "items": _TALLY, "description": "of a digest: alerts of two weeks"},
                "held": {
                    "type": "object",
                    "description": "of a digest: matches of this time that nobody is told of, by reason",
                    "additionalProperties": {"type": "integer"},
                },
                "reports": {"type": "array", "items": _REPORT, "description": "of feed.notice, oldest first"},
                "left": {**_TEXT, "description": "of channel.unsubscribed: whose reader asked for no more, masked"},
                "reports_total": {"type": "integer", "description": "larger than the list when that was cut"},
                "channel_reports": {
                    "type": "array",
                    "items": _CHANNEL_REPORT,
                    "description": "of channel.notice, oldest first",
                },
                "drill": {"const": True, "description": "of a drill: none of it has happened"},
                "team": _TEXT,
                "subscription": _TEXT,
            },
        },
    },
}
"""What receivers may rely on. New keys may appear within version 1. Texts may be cut; offsets are the entry's own."""


def alert_payload(alert: Alert, delivery: Delivery, words: Words, links: Links | None = None) -> bytes:
    """The alert as JSON; lists and texts are cut, in steps, until it is below `PAYLOAD_LIMIT`."""
    body = b""
    for keep, chars in ((20, 500), (10, 300), (5, 200), (2, 120), (1, 60)):
        data: dict[str, object] = {
            "alert_id": alert.id,
            "story_id": alert.story_id,
            "headline": headline(alert, words),
            "title": phrase(alert.title, chars),
            "severity": alert.severity,
            "rules": [phrase(rule, 100) for rule in alert.rules[: keep * 3]],
            "unclear": list(alert.unclear),
            "developments": [_development(d, keep=keep, chars=chars) for d in alert.developments[:keep]],
            "sources": [_source(source, chars=chars) for source in alert.sources[:keep]],
            "sources_total": len(alert.sources),
            "languages": sorted({phrase(source.lang, 20) for source in alert.sources if source.lang}),
            "predecessor": _predecessor(alert.predecessor, chars=chars) if alert.predecessor else None,
            "team": phrase(delivery.team, 100),
            "subscription": phrase(delivery.subscription, 100),
        }
        if links is not None:
            data["decide"] = links.decide(delivery, alert.id)
        if delivery.kind is DeliveryKind.UPDATE:
            data["updates"] = [_update(update, chars=chars) for update in alert.updates[:keep]]
            body = _canonical("alert.updated", delivery.created_at, data)
        elif delivery.kind is DeliveryKind.ESCALATION:
            body = _canonical("alert.escalated", delivery.created_at, data)
        elif delivery.kind is DeliveryKind.DRILL:
            made_up = {name: value for name, value in data.items() if name not in ("alert_id", "story_id")}
            body = _canonical(
                "drill", alert.raised_at, made_up | {"headline": drill_headline(alert, words), "drill": True}
            )
        else:
            body = _canonical("alert.raised", alert.raised_at, data)
        if len(body) < PAYLOAD_LIMIT:
            break
    return body


def digest_payload(
    headline: str, digest: Digest, delivery: Delivery, words: Words, links: Links | None = None
) -> bytes:
    """The digest as JSON; links to decide by, the quietest items and long texts are cut, in steps, until it is below
    `PAYLOAD_LIMIT`."""
    body = b""
    decide = {item.alert_id: links.decide(delivery, item.alert_id) for item in digest.items} if links else {}
    for keep, chars in ((200, 300), (200, 300), (100, 200), (40, 120), (20, 80), (5, 60)):
        left, shown = keep, []
        for group in groups(digest.items):
            items = [_item(item, decide.get(item.alert_id), words, chars=chars) for item in group.items[:left]]
            left -= len(items)
            if items:
                shown.append({"jurisdiction": group.jurisdiction, "direction": group.direction, "alerts": items})
        data = {
            "headline": headline,
            "alerts_total": len(digest.items),
            "since": _iso(digest.since),
            "until": _iso(digest.until),
            "groups": shown,
            "tallies": [
                {"jurisdiction": one.jurisdiction, "week": one.week, "week_before": one.week_before}
                for one in digest.tallies[: keep * 2]
            ],
            "held": dict(digest.held),
            "team": phrase(delivery.team, 100),
            "subscription": phrase(delivery.subscription, 100),
        }
        body = _canonical("digest", digest.until, data)
        if len(body) < PAYLOAD_LIMIT:
            break
        decide = {}
    return body


def _item(item: DigestItem, decide: str | None, words: Words, *, chars: int) -> dict[str, object]:
    said = acts(item.developments[:1], words) or [item.title]
    return {
        "alert_id": item.alert_id,
        "headline": phrase(said[0], chars),
        "title": phrase(item.title, chars),
        "severity": item.severity,
        "reason": item.reason,
        "link": link(item.source.link) if item.source else None,
        "sources_total": item.sources,
        "updates": [_update(update, chars=chars) for update in item.updates[:5]],
    } | ({"decide": decide} if decide else {})


def test_payload(headline: str, delivery: Delivery) -> bytes:
    """A test as JSON, dated when it was asked for."""
    data = {
        "headline": headline,
        "team": phrase(delivery.team, 100),
        "subscription": phrase(delivery.subscription, 100),
    }
    return _canonical("test", delivery.created_at, data)


def left_payload(headline: str, delivery: Delivery) -> bytes:
    """That another channel hears no more, as JSON."""
    data = {
        "headline": headline,
        "left": phrase(delivery.left, 200),
        "team": phrase(delivery.team, 100),
        "subscription": phrase(delivery.subscription, 100),
    }
    return _canonical("channel.unsubscribed", delivery.created_at, data)


def notice_payload(headline: str, delivery: Delivery) -> bytes:
    """Reports about feeds as JSON, cut in steps until they are below `PAYLOAD_LIMIT`."""
    return _reports("feed.notice", "reports", headline, delivery, delivery.reports, _report)


def channel_notice_payload(headline: str, delivery: Delivery) -> bytes:
    """Reports about other channels as JSON, cut in steps until they are below `PAYLOAD_LIMIT`."""
    return _reports("channel.notice", "channel_reports", headline, delivery, delivery.channel_reports, _channel_report)


def _reports(
    kind: str, key: str, headline: str, delivery: Delivery, reports: Sequence[R], told: Callable[[R, int], object]
) -> bytes:
    body = b""
    for keep, chars in ((50, 300), (25, 200), (10, 120), (3, 60)):
        data = {
            "headline": headline,
            key: [told(report, chars) for report in reports[:keep]],
            "reports_total": len(reports),
            "team": phrase(delivery.team, 100),
            "subscription": phrase(delivery.subscription, 100),
        }
        body = _canonical(kind, delivery.created_at, data)
        if len(body) < PAYLOAD_LIMIT:
            break
    return body


def _channel_report(report: ChannelReport, chars: int) -> dict[str, object]:
    return {
        "channel_id": report.channel_id,
        "channel": phrase(report.shown, 200),
        "kind": report.kind,
        "detail": phrase(report.detail, chars),
        "at": _iso(report.at),
    }


def _report(report: FeedReport, chars: int) -> dict[str, object]:
    return {
        "feed_id": report.feed_id,
        "name": phrase(report.name, 100),
        "url": link(report.url),
        "kind": report.kind,
        "detail": phrase(report.detail, chars),
        "at": _iso(report.at),
    }


def _development(development: Development, *, keep: int, chars: int) -> dict[str, object]:
    return {
        "jurisdiction": development.jurisdiction,
        "topic": development.topic,
        "action": development.action,
        "direction": development.direction,
        "stage": development.stage,
        "evidence": [
            {"field": e.field, "start": e.start, "end": e.end, "text": phrase(e.text, chars)}
            for e in (*development.quotes[:2], *development.evidence[:keep])
        ],
    }


def _predecessor(before: Predecessor, *, chars: int) -> dict[str, object]:
    return {
        "story_id": before.story_id,
        "alert_id": before.alert_id,
        "title": phrase(before.title, chars),
        "at": _iso(before.at),
        "changed": phrase(before.changed, chars),
    }


def _update(update: Update, *, chars: int) -> dict[str, object]:
    return {"reason": update.reason, "detail": phrase(update.detail, chars), "at": _iso(update.at)}


def _source(source: Source, *, chars: int) -> dict[str, object]:
    return {
        "title": phrase(source.title, chars),
        "source": phrase(source.source, 100),
        "link": link(source.link),
        "lang": phrase(source.lang, 20) if source.lang else None,
        "published": _iso(source.published) if source.published else None,
    }


def _canonical(kind: str, when: datetime, data: Mapping[str, object]) -> bytes:
    """Sorted keys, no blanks, UTF-8: the bytes that are signed are the same on every attempt."""
    whole = {"type": kind, "version": 1, "timestamp": _iso(when), "data": data}
    return json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
