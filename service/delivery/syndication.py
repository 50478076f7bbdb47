"""A subscription's alerts as feeds: Atom (RFC 4287) and JSON Feed 1.1 (jsonfeed.org/version/1.1). Pure.

The same alerts give the same bytes, so that a reader who has them already can be told so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring

from service.delivery.languages import Words
from service.delivery.letter import Letter, standing
from service.delivery.markup import html_parts
from service.delivery.text import link, phrase
from service.domain.model import Alert

_ATOM = "http://www.w3.org/2005/Atom"
_XML = "http://www.w3.org/XML/1998/namespace"
GENERATOR = "policywatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What a feed says of itself. `seed` is what its ids are made from; `url` where it is read."""

    seed: UUID
    subscription: str
    team: str
    url: str
    made_at: datetime

    @property
    def title(self) -> str:
        return f"{GENERATOR}: {phrase(self.subscription, 100)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An alert as an entry of a feed. `updated` is when it last had something new to say."""

    urn: str
    letter: Letter
    alert: Alert
    updated: datetime
    url: str | None
    terms: tuple[str, ...]


def urn_of(seed: UUID, name: str) -> str:
    """An id that stays the same for good and that no other installation gives (RFC 9562, version 5)."""
    return uuid5(seed, name).urn


def items_of(alerts: Iterable[Alert], channel: Channel, words: Words) -> tuple[Item, ...]:
    """The alerts as entries, in their order."""
    return tuple(
        Item(
            urn=urn_of(channel.seed, f"alert:{alert.id}"),
            letter=standing(alert, words, subscription=channel.subscription, team=channel.team),
            alert=alert,
            updated=max((alert.raised_at, *(update.at for update in alert.updates))),
            url=next(filter(None, (link(source.link) for source in alert.sources)), None),
            terms=_terms(alert),
        )
        for alert in alerts
    )


def _terms(alert: Alert) -> tuple[str, ...]:
    acts = (part for d in alert.developments for part in (d.jurisdiction, d.topic, d.action, d.stage, d.direction))
    return tuple(dict.fromkeys((str(alert.severity), *map(str, acts))))


# --- Atom -----------------------------------------------------------------------------------------------------------


def atom(channel: Channel, items: Sequence[Item]) -> bytes:
    """An Atom document. Text is text and markup is escaped: a stranger's title is neither XML nor HTML here."""
    root = Element("feed", {"xmlns": _ATOM})
    _add(root, "id", urn_of(channel.seed, "feed"))
    _add(root, "title", channel.title)
    _add(root, "updated", _time(max((item.updated for item in items), default=channel.made_at)))
    _add(SubElement(root, "author"), "name", GENERATOR)
    _add(root, "generator", GENERATOR)
    SubElement(root, "link", rel="self", type="application/atom+xml", href=channel.url)
    for item in items:
        _entry(root, item)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode").encode()


def _entry(root: Element, item: Item) -> None:
    entry = SubElement(root, "entry", {f"{{{_XML}}}lang": item.letter.lang})
    _add(entry, "id", item.urn)
    _add(entry, "title", item.letter.title)
    _add(entry, "published", _time(item.alert.raised_at))
    _add(entry, "updated", _time(item.updated))
    if item.url is not None:
        SubElement(entry, "link", rel="alternate", href=item.url)
    for term in item.terms:
        SubElement(entry, "category", term=term)
    _add(entry, "content", html_parts(item.letter)).set("type", "html")


def _add(parent: Element, name: str, text: str) -> Element:
    element = SubElement(parent, name)
    element.text = text
    return element


def _time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


# --- JSON Feed ------------------------------------------------------------------------------------------------------


def json_feed(channel: Channel, items: Sequence[Item]) -> bytes:
    """A JSON Feed; `_policywatch` of an item is what programs want besides."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": channel.title,
        "feed_url": channel.url,
        "authors": [{"name": GENERATOR}],
        "items": [_json_item(item) for item in items],
    }
    return json.dumps(feed, ensure_ascii=False).encode()


def _json_item(item: Item) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": item.urn,
        "title": item.letter.title,
        "content_html": html_parts(item.letter),
        "date_published": _time(item.alert.raised_at),
        "date_modified": _time(item.updated),
        "language": item.letter.lang,
        "tags": list(item.terms),
        "_policywatch": {
            "about": "https://jsonfeed.org/version/1.1#extensions",
            "alert_id": item.alert.id,
            "severity": item.alert.severity,
            "rules": list(item.alert.rules),
        },
    }
    return shown | ({"url": item.url} if item.url is not None else {})
