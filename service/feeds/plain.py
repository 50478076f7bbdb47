"""The items of an RSS 2.0 feed in the form that nearly all of them have -> their entries, without feedparser.

feedparser takes a tenth of a millisecond for each element, whatever it is. Here only what cannot be read in two ways is
read: known elements that stand once, hold text and nothing else, with links and dates in their usual form. Anything
else is None for all items, and feedparser reads them: it stays the measure, and the tests hold this against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from service.domain.model import ParsedEntry
from service.feeds import clean
from service.feeds.repair import MAX_FIELD, mend_references

_ROOT = re.compile(r"<rss((?:\s+[\w:]+\s*=\s*(?:\"[^\"<&]*\"|'[^'<&]*'))*)\s*>", re.ASCII)
_ATTRIBUTE = re.compile(r"([A-Za-z:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.ASCII)
_BASE = re.compile(r"[\s:]base\s*=")
_MEANING = {
    "xmlns:content": "http://purl.org/rss/1.0/modules/content/",
    "xmlns:dc": "http://purl.org/dc/elements/1.1/",
    "xmlns:media": "http://search.yahoo.com/mrss/",
    "xmlns:slash": "http://purl.org/rss/1.0/modules/slash/",
    "xmlns:wfw": "http://wellformedweb.org/CommentAPI/",
}
_ELEMENT = re.compile(
    r"\s*<(title|link|guid|pubDate|description|content:encoded|category|author|dc:creator|comments|slash:comments"
    r"|wfw:commentRss)((?:\s+[A-Za-z]+=(?:\"[^\"<>&]*\"|'[^'<>&]*'))?)>"
    r"(?:\s*<!\[CDATA\[((?:[^\]]++|\](?!\]>))*+)\]\]>\s*|([^<]*))</\1>"
    r"|\s*<(enclosure|media:content|media:thumbnail)((?:\s+[A-Za-z]+=(?:\"[^\"<>&]*\"|'[^'<>&]*'))*)\s*/>",
    re.ASCII,
)  # possessive where it repeats: no item makes it slow
_END = re.compile(r"\s*</item>\s*", re.ASCII)
_MOST_ELEMENTS = 200
_ATTRIBUTES = {  # of the others none is expected
    "guid": re.compile(r"\s+isPermaLink=[\"'](?:true|false)[\"']"),
    "category": re.compile(r"\s+domain=.*", re.DOTALL),
}
# What XML does not allow, and what feedparser mends: Windows-1252 characters, and UTF-8 that was taken for Latin-1.
_DOUBTFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]|[\xc2-\xf4][\xa0-\xbf]")
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#([0-9]{2,7})|#[xX]([0-9a-fA-F]{2,6}));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_LINK = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:[/?#][!#-:=?-\[\]-~]*)?")
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d?) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4}) "
    r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d) (?:GMT|UTC|([+-])(\d\d)([0-5]\d))",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _Unusual(Exception):
    """Something that could be read in two ways, or that feedparser has a rule of its own for."""


def read_plain(head: str, items: Sequence[str], url: str) -> tuple[ParsedEntry, ...] | None:
    """The entries of these items, in their order, of a feed that begins with `head`; None if any of them is unusual.

    It is certain only for a document that is well-formed outside of the items too.
    """
    try:
        known = _known_prefixes(head)
        return tuple(_entry(item, known, url) for item in items)
    except _Unusual:
        return None


def _known_prefixes(head: str) -> frozenset[str]:
    """The prefixes that mean in this document what they mean everywhere."""
    root = _ROOT.match(head)
    if root is None or _BASE.search(head) or "xmlns" in head[root.end() :]:  # xml:base changes what links mean
        raise _Unusual
    said = {name: double or single for name, double, single in _ATTRIBUTE.findall(root[1])}
    if "xmlns" in said:
        raise _Unusual
    return frozenset(name.removeprefix("xmlns:") for name, meaning in _MEANING.items() if said.get(name) == meaning)


def _entry(item: str, known: frozenset[str], url: str) -> ParsedEntry:
    found: dict[str, str] = {}
    authors: list[str] = []
    categories: list[str] = []
    is_permalink = True
    for name, attribute, value in _elements(item, known):
        if name == "category":
            categories.append(value)
        elif name in ("author", "dc:creator"):
            if "@" in value:  # an address, and a name in some order
                raise _Unusual
            authors.append(value)
        elif name in found:
            raise _Unusual
        else:
            found[name] = value
        if name == "guid":
            is_permalink = "false" not in attribute
    content = clean.html_text(found.get("content:encoded", ""))
    summary = clean.html_text(found.get("description", ""))
    entry = ParsedEntry(
        guid=clean.guid(found.get("guid", "")),
        link=_link(found, url, is_permalink=is_permalink),
        title=clean.plain_text(found.get("title", "")),
        summary="" if summary == content else summary,
        content=content,
        published=_moment(found["pubDate"]) if "pubDate" in found else None,
        authors=clean.names(authors, clean.MAX_AUTHORS),
        categories=clean.names(categories, clean.MAX_CATEGORIES),
    )
    if entry == ParsedEntry():
        raise _Unusual
    return entry


def _elements(item: str, known: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Name, attribute and text of each element; _Unusual for an item that is more than a row of such elements."""
    if not item.startswith("<item>") or len(item) > MAX_FIELD or _DOUBTFUL.search(item):
        raise _Unusual
    item = item.replace("\r\n", "\n").replace("\r", "\n") if "\r" in item else item  # XML 1.0 section 2.11
    at = len("<item>")
    for _ in range(_MOST_ELEMENTS):
        element = _ELEMENT.match(item, at)
        if element is None:
            break
        at = element.end()
        name, attribute, cdata, text, empty, attributes = element.groups()
        prefix, colon, _local = (name or empty).partition(":")
        if colon and prefix not in known:
            raise _Unusual
        if empty:  # a picture or a sound: no field of ours
            names = [said[0] for said in _ATTRIBUTE.findall(attributes)]
            if len(names) > len(set(names)):
                raise _Unusual  # not well-formed
            continue
        if attribute and not (name in _ATTRIBUTES and _ATTRIBUTES[name].fullmatch(attribute)):
            raise _Unusual
        yield name, attribute, _unescaped(text) if cdata is None else _as_mended(cdata)
    if not _END.fullmatch(item, at):
        raise _Unusual


def _as_mended(cdata: str) -> str:
    return (mend_references(cdata) if "&#" in cdata else cdata).strip()


def _unescaped(text: str) -> str:
    """Character data as XML reads it."""
    if "]]>" in text:
        raise _Unusual
    if "&" not in text:
        return text.strip()
    if text.count("&") != len(_REFERENCE.findall(text)):
        raise _Unusual
    text = _REFERENCE.sub(_character, text).strip()
    if _DOUBTFUL.search(text):
        raise _Unusual
    return text


def _character(found: re.Match[str]) -> str:
    if found[1]:
        return _NAMED[found[1]]
    code = int(found[2]) if found[2] else int(found[3], 16)
    if not 0x20 <= code <= 0x10FFFF:
        raise _Unusual
    return chr(code)


def _link(found: dict[str, str], url: str, *, is_permalink: bool) -> str | None:
    """The article's address: what the link says, or a guid that is one (RSS 2.0: that is what it is by default)."""
    link, guid = found.get("link"), found.get("guid", "")
    if is_permalink and "://" in guid and not _LINK.fullmatch(guid):
        raise _Unusual
    if link is None:
        return clean.web_link(guid, url) if is_permalink and "://" in guid else None
    if not _LINK.fullmatch(link):
        raise _Unusual
    return clean.web_link(link, url)


def _moment(written: str) -> datetime | None:
    """A date as RFC 822 writes it (section 5, with the four digits of RFC 1123)."""
    date = _DATE.fullmatch(written)
    if date is None:
        raise _Unusual
    day, month, year, hour, minute, second, sign, hours, minutes = date.groups()
    try:
        east = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
        moment = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
        return clean.sensible(moment - east)
    except (ValueError, OverflowError) as exc:
        raise _Unusual from exc
