"""A delivery -> the words that go out: who did what, the article, the words that fired, sources, rules, alert id.

Pure: the same delivery gives the same message, but for a line that says when it is late. Never sends, never escapes
for a service (Apprise does, given plain text), and never lets a stranger's title ping a room or pose as our words.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from service.delivery.notices import notice_footer, notice_html, notice_lines, notice_title
from service.delivery.payload import PAYLOAD_LIMIT, alert_payload, notice_payload, test_payload
from service.delivery.text import harmless, link, phrase, shorten
from service.delivery.words import acts, follows, headline, reported_by, update_headline
from service.domain.model import Alert, ChannelKind, Delivery, DeliveryKind, Evidence, Message, Source

LATE = timedelta(minutes=15)
"""An alert that leaves this long after it was raised says so."""

Segments = tuple[tuple[str, bool], ...]
"""A line in pieces; True marks the words that fired."""


def render(delivery: Delivery, *, now: datetime) -> Message:
    """The message for the delivery's kind of channel, within that service's documented limits.

    Title and body are plain text of one alert; `html` is set for mail only and `payload` for webhooks only. The title
    is one line. Raises ValueError for an alert delivery without an alert.
    """
    kind = delivery.channel.kind
    if delivery.kind is DeliveryKind.TEST:
        return _test(delivery)
    if delivery.kind is DeliveryKind.NOTICE:
        return _notice(delivery)
    if delivery.alert is None:
        raise ValueError(f"delivery {delivery.id} has no alert")
    alert = delivery.alert
    title = update_headline(alert) if delivery.kind is DeliveryKind.UPDATE else headline(alert)
    if kind is ChannelKind.WEBHOOK:
        return Message(title=title, body="", payload=alert_payload(alert, delivery))
    since = delivery.created_at if delivery.kind is DeliveryKind.UPDATE else alert.raised_at
    late = now - since > LATE
    return Message(
        title=title,
        body=_fit("\n\n".join(_paragraphs(alert, delivery, late=late)), kind=kind, title=title),
        html=_html(alert, delivery, late=late) if kind is ChannelKind.EMAIL else None,
    )


# --- plain text -----------------------------------------------------------------------------------------------------


def _telegram_units(text: str) -> int:
    # Telegram counts UTF-16 units after parsing; counting them escaped and with Apprise's CRLF is on the safe side.
    return len(html.escape(text, quote=False).replace("\n", "\r\n").encode("utf-16-le")) // 2


def _slack_units(text: str) -> int:
    return len(html.escape(text, quote=False))


_LIMITS: dict[ChannelKind, tuple[int, Callable[[str], int]]] = {
    ChannelKind.SLACK: (3_000, _slack_units),  # one section's text; a whole message may have 40,000
    ChannelKind.TELEGRAM: (4_096, _telegram_units),  # Bot API, sendMessage; the title is part of the text
    ChannelKind.EMAIL: (20_000, len),
    ChannelKind.OTHER: (1_500, len),  # Discord has 2,000; smaller services are cut again by the sender
    ChannelKind.WEBHOOK: (PAYLOAD_LIMIT, len),
}


def _fit(body: str, *, kind: ChannelKind, title: str) -> str:
    limit, measure = _LIMITS[kind]
    if kind is ChannelKind.TELEGRAM:
        limit -= measure(title) + len("<b></b>\r\n") + 8
    return shorten(body, limit, measure)


def _paragraphs(alert: Alert, delivery: Delivery, *, late: bool) -> Iterable[str]:
    first, *others = alert.sources or (None,)
    if changed := _changed(alert, delivery):
        yield "\n".join(f"• {line}" for line in changed)
    title = _plain(marked_title(alert))
    yield title + (f"\n{_source_line(first)}" if first and _source_line(first) else "")
    quoted = [f"“{_plain(q)}”" for q in quotes(alert)]
    if quoted:
        yield "\n".join(quoted)
    told = acts(alert.developments)
    if len(told) > 1:
        yield "\n".join(["Developments:", *(f"• {act}" for act in told[:10]), *_more(len(told) - 10)])
    if alert.unclear:
        yield left_open(alert)
    if alert.predecessor:
        yield follows(alert)
    if others:
        lines = [f"• {phrase(s.title, 140)}: {_source_line(s)}" for s in others[:5] if s]
        told_by = reported_by(alert)
        yield "\n".join([f"{told_by}:" if told_by else "Also reported:", *lines, *_more(len(others) - 5)])
    yield "\n".join(_footer(alert, delivery, late=late))


def _changed(alert: Alert, delivery: Delivery) -> list[str]:
    """What an update has to say, a line for each change; nothing in the alert itself."""
    if delivery.kind is not DeliveryKind.UPDATE:
        return []
    return [f"{update.reason.replace('_', ' ').capitalize()}: {phrase(update.detail, 300)}" for update in alert.updates]


def left_open(alert: Alert) -> str:
    """What the rules asked for and the text does not say, as a sentence."""
    return f"The text leaves the {' and the '.join(alert.unclear)} open." if alert.unclear else ""


def _more(count: int) -> list[str]:
    return [f"… and {count} more"] if count > 0 else []


def _source_line(source: Source) -> str:
    name = phrase(source.source, 80)
    language = f" [{phrase(source.lang, 8)}]" if source.lang and source.lang != "en" else ""
    return " ".join(part for part in (name + language, link(source.link)) if part)


def _footer(alert: Alert, delivery: Delivery, *, late: bool) -> list[str]:
    rules = ", ".join(phrase(rule, 60) for rule in alert.rules[:8]) + (", …" if len(alert.rules) > 8 else "")
    raised = f"{alert.raised_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return [
        f"Matched by: {rules}" if rules else "Matched by no rule that still exists",
        f"Alert {alert.id}, raised {raised}{', delivered late' if late else ''}; "
        f"subscription {phrase(delivery.subscription, 60)} of {phrase(delivery.team, 60)}",
    ]


def _test(delivery: Delivery) -> Message:
    title = "Test message from policywatch"
    whose = f"subscription {phrase(delivery.subscription, 60)} of {phrase(delivery.team, 60)}"
    body = f"This is a test of {whose}: alerts will arrive here. Nothing has happened and nothing needs to be done."
    kind = delivery.channel.kind
    return Message(
        title=title,
        body="" if kind is ChannelKind.WEBHOOK else body,
        html=_page(title, f"<p>{html.escape(body)}</p>") if kind is ChannelKind.EMAIL else None,
        payload=test_payload(title, delivery) if kind is ChannelKind.WEBHOOK else None,
    )


def _notice(delivery: Delivery) -> Message:
    kind, title = delivery.channel.kind, notice_title(delivery)
    if kind is ChannelKind.WEBHOOK:
        return Message(title=title, body="", payload=notice_payload(title, delivery))
    lines = "\n".join(f"• {line}" for line in notice_lines(delivery))
    return Message(
        title=title,
        body=_fit(f"{lines}\n\n{notice_footer(delivery)}", kind=kind, title=title),
        html=_page(title, notice_html(delivery)) if kind is ChannelKind.EMAIL else None,
    )


# --- evidence -------------------------------------------------------------------------------------------------------


def _spans(alert: Alert) -> list[Evidence]:
    found = [*alert.evidence, *(e for d in alert.developments for e in d.evidence)]
    return sorted(set(found), key=lambda e: (e.field, e.start, -e.end))


def marked_title(alert: Alert) -> Segments:
    """The article's title with the words marked that fired in it."""
    spans = [(e.start, e.end) for e in _spans(alert) if e.field == "title" and alert.title[e.start : e.end] == e.text]
    return _marked(alert.title[:300], spans) if harmless(alert.title).strip() else (("(no title)", False),)


def quotes(alert: Alert) -> list[Segments]:
    """Up to three stretches of lead and body that fired: sentences with their words marked, or the words alone."""
    outer: list[tuple[Evidence, list[Evidence]]] = []
    for span in _spans(alert):
        if span.field == "title":
            continue
        if outer and _holds(outer[-1][0], span):
            outer[-1][1].append(span)
        else:
            outer.append((span, []))
    sentences = [(e, inner) for e, inner in outer if inner or len(e.text) > 60]
    if sentences:
        return [
            _marked(e.text[:400], [(i.start - e.start, i.end - e.start) for i in inner]) for e, inner in sentences[:3]
        ]
    words: list[tuple[str, bool]] = []
    for e, _ in outer[:6]:
        words += [("… " if not words else " … ", False), (harmless(e.text[:60]), True)]
    return [(*words, (" …", False))] if words else []


def _holds(outer: Evidence, inner: Evidence) -> bool:
    # Evidence of several entries meets here: only equal text shows that two spans are of one field of one entry.
    start, end = inner.start - outer.start, inner.end - outer.start
    return outer.field == inner.field and start >= 0 and outer.text[start:end] == inner.text


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> Segments:
    inside = {i for start, end in spans for i in range(max(start, 0), min(end, len(text)))}
    edges = [0, *(i for i in range(1, len(text)) if (i in inside) != (i - 1 in inside)), len(text)]
    return tuple((harmless(text[a:b]), a in inside) for a, b in pairwise(edges))


def _plain(segments: Segments) -> str:
    # Cleaned once more as a whole: a mention may have been split by a mark's edge.
    return harmless("".join(f"«{text}»" if marked else text for text, marked in segments)).strip()


# --- mail -----------------------------------------------------------------------------------------------------------


def _html(alert: Alert, delivery: Delivery, *, late: bool) -> str:
    told = "".join(f"<li>{html.escape(act)}</li>" for act in acts(alert.developments)[:20])
    quoted = "".join(f"<blockquote>{_rich(q)}</blockquote>" for q in quotes(alert))
    sources = "".join(f"<li>{_source_html(source)}</li>" for source in alert.sources[:20])
    footer = "<br>".join(html.escape(line) for line in _footer(alert, delivery, late=late))
    changed = "".join(f"<li><b>{html.escape(line)}</b></li>" for line in _changed(alert, delivery))
    return _page(
        update_headline(alert) if delivery.kind is DeliveryKind.UPDATE else headline(alert),
        (f"<ul>{changed}</ul>" if changed else "")
        + f"<h2>{_rich(marked_title(alert))}</h2>{quoted}"
        + (f"<ul>{told}</ul>" if told else "")
        + (f"<p>{html.escape(left_open(alert))}</p>" if alert.unclear else "")
        + (f"<p>{html.escape(follows(alert))}</p>" if alert.predecessor else "")
        + (f"<p>Sources:</p><ul>{sources}</ul>" if sources else "")
        + f"<p><small>{footer}</small></p>",
    )


def _page(title: str, content: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title></head>'
        f"<body>{content}</body></html>"
    )


def _rich(segments: Segments) -> str:
    return "".join(f"<mark>{html.escape(t)}</mark>" if marked else html.escape(t) for t, marked in segments)


def _source_html(source: Source) -> str:
    title, url = html.escape(phrase(source.title, 200) or "(no title)"), link(source.link)
    name = html.escape(phrase(source.source, 80))
    if url is None:
        return f"{name}: {title}" if name else title
    host = html.escape(url.split("/")[2])
    return f'{name or host}: <a href="{html.escape(url)}" rel="noreferrer">{title}</a> ({host})'
