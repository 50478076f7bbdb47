"""The days that a subscription's alerts name, as a calendar of whole days (RFC 5545). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from service.delivery.languages import Words
from service.delivery.syndication import GENERATOR, Channel, urn_of
from service.delivery.text import link, phrase, visible
from service.delivery.words import headline
from service.domain.dates import DatedAlert
from service.domain.model import Alert, UpdateReason


def calendar(channel: Channel, days: Iterable[DatedAlert], words: Words) -> bytes:
    """A VCALENDAR with an event for each day. It is cancelled when the alert was retracted; a change of the alert makes
    it a later SEQUENCE, and its UID stays. DTSTAMP is when the alert last changed, so equal days give equal bytes."""
    from icalendar import Calendar, Event  # noqa: PLC0415  (heavy, and few services have a calendar)

    root = Calendar()
    root.add("prodid", f"-//{GENERATOR}//{GENERATOR}//{words.tag.upper()}")
    root.add("version", "2.0")
    root.add("method", "PUBLISH")
    root.add("x-wr-calname", channel.title)
    for one in days:
        event = Event()
        for name, value in _properties(one, channel, words).items():
            event.add(name, value)
        root.add_component(event)
    return bytes(root.to_ical())


def _properties(one: DatedAlert, channel: Channel, words: Words) -> dict[str, object]:
    alert = one.alert
    changed = max((alert.raised_at, *(update.at for update in alert.updates)))
    retracted = any(update.reason is UpdateReason.RETRACTION for update in alert.updates)
    url = next(filter(None, (link(source.link) for source in alert.sources)), None)
    shown: dict[str, object] = {
        "uid": urn_of(channel.seed, f"alert:{alert.id}:{one.meaning}:{one.day.isoformat()}"),
        "dtstamp": changed,
        "created": alert.raised_at,
        "last-modified": changed,
        "sequence": len(alert.updates),
        "dtstart": one.day,
        "dtend": one.day + timedelta(days=1),
        "summary": words.days[one.meaning].format(headline=headline(alert, words)),
        "description": "\n".join((words.quote.format(text=phrase(one.text, 300)), *_read(alert))),
        "status": "CANCELLED" if retracted else "CONFIRMED",
        "transp": "TRANSPARENT",  # a day to know of, not one to be busy on
        "categories": [visible(d.jurisdiction) for d in alert.developments[:5]] or [GENERATOR],
    }
    return shown | ({"url": url} if url is not None else {})


def _read(alert: Alert) -> list[str]:
    """Where it is told."""
    return [" ".join(filter(None, (phrase(source.source, 80), link(source.link)))) for source in alert.sources[:5]]
