"""A feed document's bytes -> its entries, cleaned but not judged. Runs in a sandbox child: feeds are hostile input.

The only place that calls feedparser, and only ever with a BytesIO: given text or bytes it would open the file or
the address that they happen to name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise
from typing import Any

from service.domain.model import Failed, FetchReason, ParsedEntry, ParsedFeed
from service.feeds import clean
from service.feeds.cut import Cut, cut
from service.feeds.jsonfeed import parse_json_feed
from service.feeds.plain import read_plain
from service.feeds.repair import TooComplex, binary_kind, decode, find_root, repair
from service.feeds.sitemap import ROOT, parse_sitemap

MAX_ENTRIES = 2_000
_FEW = 3  # items that feedparser reads about as fast as one of them
_LONGEST_HEAD = 64 * 1024
_HEAD_OF_SITEMAP = 2_000
_ITEM = re.compile(r"<(item|entry)[\s>/]", re.IGNORECASE)
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,3}")
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_LOCAL_DATE = re.compile(r"(\d{4})[年/.](\d{1,2})[月/.](\d{1,2})日?(?:\s*(\d{1,2}):(\d{2})(?::(\d{2}))?)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What is new in a document: a feed of the items that were not `known`, how many were, and the digests of all
    (none when the document could not be cut, and was read whole)."""

    feed: ParsedFeed | Failed
    unchanged: int = 0
    digests: tuple[str, ...] = ()


def parse_feed(body: bytes, *, content_type: str = "", url: str = "") -> ParsedFeed | Failed:
    """The feed in `body`, which came from `url` (relative links are resolved against it) with that Content-Type.

    Never raises for what a document holds. One bad entry costs that entry, not the others; `warning` says so.
    """
    document = _document(body, content_type, url)
    return _whole(document, url) if isinstance(document, _Document) else document


def parse_changed(body: bytes, *, content_type: str = "", url: str = "", known: frozenset[str]) -> Changed:
    """Like `parse_feed`, without the items whose digests are `known` from the document before."""
    document = _document(body, content_type, url)
    if not isinstance(document, _Document):
        return Changed(feed=document)
    pieces = cut(document.text)
    if pieces is None or len(pieces.items) > MAX_ENTRIES:
        return Changed(feed=_whole(document, url))
    digests = pieces.digests()
    fresh = [item for item, digest in zip(pieces.items, digests, strict=True) if digest not in known]
    text = pieces.head + "".join(fresh) + pieces.tail
    feed = _plain(document, pieces, fresh, url) or _whole(replace(document, text=text), url)
    return Changed(feed=feed, unchanged=len(digests) - len(fresh), digests=digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """The text of an XML feed from its root element on, as it came."""

    text: str
    warning: str | None


def _document(body: bytes, content_type: str, url: str) -> _Document | ParsedFeed | Failed:
    """The text to be parsed, or the answer where none is needed."""
    if not body.strip(b"\0 \t\r\n"):
        return _failed(url, FetchReason.NOT_A_FEED, "this is not a feed but an empty document")
    kind = binary_kind(body)
    if kind is not None:
        return _failed(url, FetchReason.NOT_A_FEED, f"this is not a feed but {kind}")
    text, warning = decode(body, content_type)
    text = text.lstrip("\ufeff\0 \t\r\n")
    if text.startswith(("{", "[")):
        return parse_json_feed(text, url=url, most_entries=MAX_ENTRIES)
    if ROOT.search(text[:_HEAD_OF_SITEMAP]):
        return parse_sitemap(text, url=url, most_entries=MAX_ENTRIES)
    root_at, instead = find_root(text)
    if instead is not None:
        return _failed(url, FetchReason.NOT_A_FEED, f"this is not a feed but {instead}")
    return _Document(text=text[root_at:], warning=warning)


def _plain(document: _Document, pieces: Cut, fresh: list[str], url: str) -> ParsedFeed | None:
    """What `_whole` would read, in a tenth of its time; None where that is not certain.

    feedparser reads the document with one item of many: what is around them must be well-formed, and its entry ours.
    """
    if len(fresh) < _FEW or (entries := read_plain(pieces.head, fresh, url)) is None:
        return None
    feed = _whole(replace(document, text=pieces.head + fresh[0] + pieces.tail), url)
    if not isinstance(feed, ParsedFeed) or feed.warning != document.warning or feed.entries != entries[:1]:
        return None
    return replace(feed, entries=entries)


def _whole(document: _Document, url: str) -> ParsedFeed | Failed:
    """A document repaired and read."""
    try:
        return _read(repair(document.text), url, document.warning)
    except TooComplex as exc:
        return _failed(url, FetchReason.TOO_COMPLEX, str(exc))


def _failed(url: str, reason: FetchReason, detail: str) -> Failed:
    return Failed(url=url, reason=reason, detail=detail)


# --- feedparser ---------------------------------------------------------------------------------------------------


def _read(document: str, url: str, warning: str | None) -> ParsedFeed | Failed:
    try:
        parsed = _feedparser(document)
    except Exception as exc:  # feedparser raises some ten kinds of error on bad input; nothing of ours is in there
        return _salvage(document, url, why=f"{type(exc).__name__}: {exc}"[:200])
    if not parsed["version"] and not parsed["entries"]:
        return _failed(url, FetchReason.UNPARSABLE, f"no feed could be read: {_complaint(parsed) or 'unknown format'}")
    return _feed(parsed, url, parsed["entries"], warning or _complaint(parsed))


def _feedparser(document: str) -> Any:
    import feedparser  # heavy, and needed in the child process only  # noqa: PLC0415

    return feedparser.parse(
        BytesIO(document.encode()),
        response_headers={"content-type": "application/xml; charset=utf-8"},
        sanitize_html=False,  # titles and links are cleaned here, HTML where it is shown: this halves the time
        resolve_relative_uris=False,
    )


def _salvage(document: str, url: str, *, why: str) -> ParsedFeed | Failed:
    """The entries that can be read one by one from a document that cannot be read whole."""
    head, items, tail = _split(document)
    if len(head) + len(tail) > _LONGEST_HEAD:  # it is read again with each item
        return _failed(url, FetchReason.UNPARSABLE, f"the feed cannot be read ({why})")
    entries: list[Any] = []
    parsed: Any = None
    for item in items[:MAX_ENTRIES]:
        try:
            parsed = _feedparser(head + item + tail)
        except Exception:  # this entry is the broken one
            continue
        entries += parsed["entries"][:1]
    if parsed is None:
        return _failed(url, FetchReason.UNPARSABLE, f"the feed cannot be read ({why})")
    lost = len(items) - len(entries)
    return _feed(parsed, url, entries, f"read entry by entry, {lost} of {len(items)} could not be read ({why})")


def _split(document: str) -> tuple[str, list[str], str]:
    """A document as what stands before its items, the items, and what stands after them."""
    starts = [found.start() for found in _ITEM.finditer(document)]
    if not starts:
        return document, [], ""
    last = max(document.rfind("</item>"), document.rfind("</entry>"))
    end = document.find(">", last) + 1 if last > starts[-1] else len(document)
    bounds = [*starts, end]
    return document[: starts[0]], [document[a:b] for a, b in pairwise(bounds)], document[end:]


def _complaint(parsed: Any) -> str | None:
    if not parsed.get("bozo"):
        return None
    return f"not well-formed: {parsed.get('bozo_exception', '')}".strip()[:300]


# --- to our nouns -------------------------------------------------------------------------------------------------


def _feed(parsed: Any, url: str, found: list[Any], warning: str | None) -> ParsedFeed:
    entries = [entry for each in found if (entry := _entry(each, url)) != ParsedEntry()]
    if len(entries) > MAX_ENTRIES:
        warning = f"only {MAX_ENTRIES} of {len(entries)} entries were read"
        entries = _newest(entries)
    head = parsed["feed"]
    language = _LANGUAGE.match(_text(head, "language").strip())
    links = [(_text(each, "rel"), clean.web_link(_text(each, "href"), url)) for each in _dicts(head, "links")]
    return ParsedFeed(
        title=clean.plain_text(_text(head, "title")),
        link=clean.web_link(_text(head, "link"), url),
        language=language[0] if language else None,
        entries=tuple(entries),
        warning=warning,
        older=_older(head, url),
        hubs=tuple(href for rel, href in links if rel == "hub" and href),
        topic=next((href for rel, href in links if rel == "self" and href), None),
    )


def _older(head: Any, url: str) -> str | None:
    """Where what came before is: the archive of a feed (RFC 5005 section 4), or the next page of it (section 3)."""
    links = {_text(link, "rel"): _text(link, "href") for link in reversed(_dicts(head, "links"))}
    return clean.web_link(links.get("prev-archive") or links.get("next") or "", url)


def _newest(entries: list[ParsedEntry]) -> list[ParsedEntry]:
    """The newest entries in the document's order; without dates, the ones that stand first."""
    oldest = datetime.min.replace(tzinfo=UTC)
    by_age = sorted(range(len(entries)), key=lambda i: entries[i].published or oldest, reverse=True)
    return [entries[i] for i in sorted(by_age[:MAX_ENTRIES])]


def _entry(entry: Any, url: str) -> ParsedEntry:
    summary = _html(entry.get("summary_detail"), _text(entry, "summary"))
    content = max((_html(part, "") for part in _dicts(entry, "content")), key=len, default="")
    updated = _moment(entry, "updated")
    return ParsedEntry(
        guid=clean.guid(_text(entry, "id")),
        link=_link(entry, url),
        title=clean.plain_text(_text(entry, "title")),
        summary="" if summary == content else summary,  # feedparser fills an absent one with the other
        content=content,
        published=_moment(entry, "published") or _moment(entry, "created") or updated,
        updated=updated,
        authors=clean.names(_authors(entry), clean.MAX_AUTHORS),
        categories=clean.names(
            (_text(tag, "label") or _text(tag, "term") for tag in _dicts(entry, "tags")), clean.MAX_CATEGORIES
        ),
    )


def _link(entry: Any, url: str) -> str | None:
    """The article's own address rather than a feed service's detour."""
    original = clean.web_link(_text(entry, "feedburner_origlink"), url)
    value = _text(entry, "link")
    if entry.get("guidislink") and value == _text(entry, "id") and "://" not in value:
        value = ""  # an id that nobody said is no link
    return original or clean.web_link(value, url)


def _html(detail: Any, value: str) -> str:
    """A field as HTML text, whether the feed says that it is HTML or plain text."""
    if isinstance(detail, dict):
        value = _text(detail, "value")
        if detail.get("type") == "text/plain":
            value = clean.escape_plain(value)
    return clean.html_text(value)


def _moment(entry: Any, name: str) -> datetime | None:
    written = _raw(entry, name)
    written = written.strip() if isinstance(written, str) else ""
    local = _LOCAL_DATE.match(written)
    if local is not None:  # feedparser would take the day and drop the time
        year, month, day, hour, minute, second = (int(part or 0) for part in local.groups())
        return clean.from_iso(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    if _ISO_DAY.match(written) and clean.from_iso(written[:10]) is None:
        return None  # feedparser makes a date of any numbers
    return clean.from_struct(_raw(entry, f"{name}_parsed")) or clean.from_iso(written)


def _authors(entry: Any) -> Iterator[str]:
    for author in _dicts(entry, "authors"):
        yield _text(author, "name") or _text(author, "email")
    if not entry.get("authors"):
        yield _text(entry, "author")


def _raw(mapping: Any, key: str) -> Any:
    """A key as it stands: feedparser's own access answers some keys from others, with a warning."""
    return dict.get(mapping, key)


def _text(mapping: Any, key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""


def _dicts(mapping: Any, key: str) -> list[dict[str, Any]]:
    values = mapping.get(key)
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
