"""The words of an alert's articles that fired, marked in their sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from service.delivery.text import harmless
from service.domain.model import Alert, Evidence

Segments = tuple[tuple[str, bool], ...]
"""A line in pieces; True marks the words that fired."""


def _spans(alert: Alert) -> list[Evidence]:
    found = [*alert.evidence, *(e for d in alert.developments for e in d.evidence)]
    return sorted(set(found), key=lambda e: (e.field, e.start, -e.end))


def marked_title(alert: Alert) -> Segments:
    """The article's title with the words marked that fired in it; nothing when it has none."""
    spans = [(e.start, e.end) for e in _spans(alert) if e.field == "title" and alert.title[e.start : e.end] == e.text]
    return _marked(alert.title[:300], spans) if harmless(alert.title).strip() else ()


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
    pieces = tuple((harmless(text[a:b]), a in inside) for a, b in pairwise(edges))
    whole = "".join(piece for piece, _ in pieces)
    # A mark's edge may part what is harmful when read as one, such as "tg" and "://": then nothing is marked.
    return pieces if harmless(whole) == whole else ((harmless(text), False),)
