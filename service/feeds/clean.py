"""The fields of a feed or page made safe to store and show: text without markup, links that are links, real dates.

Every function takes any text and gives a bounded one; none looks anything up.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from time import struct_time
from urllib.parse import urljoin, urlsplit

MAX_TITLE = 1_000
MAX_NAME = 200
MAX_LINK = 2_048
MAX_GUID = 500
MAX_HTML = 256 * 1024
MAX_AUTHORS = 20
MAX_CATEGORIES = 100

# Controls, lone surrogates and non-characters, the byte order mark, soft hyphens, and what overrides the direction
# of text: the last can make a title read as another one.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
_SILENT = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<!--.*?-->|<!--[^>]*>?|</?([a-zA-Z][a-zA-Z0-9:-]*)(?:[\s/][^<>]*)?>", re.DOTALL)
_ABSOLUTE = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+(?:/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)*/?(?:\?[A-Za-z0-9_=&.-]+)?"
)
_INLINE_NAMES = (
    "a abbr acronym b bdi bdo big blink cite code del dfn em font i ins kbd mark nobr q ruby s samp small span strike "
    "strong sub sup time tt u var wbr"
)
_BLOCK_NAMES = (
    "address applet area article aside audio base blockquote body br button caption center col dd div dl dt embed "
    "figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html iframe img input label li "
    "link main map marquee meta nav noframes noscript object ol option p param picture pre rp rt script section "
    "select source style svg table tbody td template textarea tfoot th thead title tr ul video"
)
_INLINE = frozenset(_INLINE_NAMES.split())
_BLOCK = frozenset(_BLOCK_NAMES.split())


def plain_text(value: str, *, most: int = MAX_TITLE) -> str:
    """`value` without HTML tags and entities, on one line, at most `most` characters."""
    value = _without_tags(_SILENT.sub(" ", value[: 16 * most]))
    if "&" in value:
        value = _without_tags(html.unescape(value))  # titles are often escaped once too often
    value = " ".join(_UNWANTED.sub("", value).split())
    return value if len(value) <= most else value[: most - 1].rstrip() + "…"


def without_controls(value: str) -> str:
    """`value` without the characters that no text needs and that databases, XML and readers stumble over."""
    return _UNWANTED.sub("", value)


def html_text(value: str) -> str:
    """`value` as HTML text of bounded length that does not end inside a tag; control characters are gone."""
    value = _UNWANTED.sub("", value).strip()
    if len(value) <= MAX_HTML:
        return value
    value = value[:MAX_HTML]
    opened = value.rfind("<")
    return value[:opened] if opened > value.rfind(">") else value


def escape_plain(value: str) -> str:
    """Plain text as HTML text: escaped where it would otherwise be read as markup."""
    return html.escape(value, quote=False) if re.search(r"<[A-Za-z/!?]|&(?:#|\w+;)", value) else value


def web_link(value: str, base: str) -> str | None:
    """An absolute http or https address, or None for anything else."""
    value = value.strip()
    if not value or len(value) > MAX_LINK or _UNWANTED.search(value):
        return None
    if _ABSOLUTE.fullmatch(value):  # joining would give it back as it is, and takes ten times as long
        return value
    try:
        absolute = urljoin(base, value.replace(" ", "%20"))
        parts = urlsplit(absolute)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    if not is_web or "\\" in parts.netloc or re.search(r"[\s<>\"]", absolute):
        return None
    return absolute


def guid(value: str) -> str | None:
    """An entry's own id as given, or its hash when it is longer than anything should be that is compared often."""
    value = _UNWANTED.sub("", value).strip()
    if len(value) > MAX_GUID:
        return "sha256:" + hashlib.sha256(value.encode()).hexdigest()
    return value or None


def names(values: Iterable[str], most: int) -> tuple[str, ...]:
    """The first `most` different names, as plain text, without empty ones."""
    cleaned = (plain_text(value, most=MAX_NAME) for value in values)
    return tuple(islice(dict.fromkeys(name for name in cleaned if name), most))


def from_struct(moment: struct_time | None) -> datetime | None:
    """A parsed UTC time as an aware datetime, or None for one that no news can have."""
    if moment is None:
        return None
    try:
        return sensible(datetime(*moment[:5], min(moment[5], 59), tzinfo=UTC))
    except (ValueError, TypeError, OverflowError):
        return None


def from_iso(value: str) -> datetime | None:
    """An ISO 8601 or RFC 3339 time (UTC when it names no zone) as an aware datetime, or None."""
    try:
        moment = datetime.fromisoformat(value.strip())
        return sensible((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


_LOCAL_DAY = re.compile(r"(\d{4})\s*[-./年]\s*(\d{1,2})\s*[-./月]\s*(\d{1,2})")
_NAMED_DAY = re.compile(r"(\d{1,2})\.? ([A-Z][a-z]{2})[a-z]*\.?,? (\d{4})|([A-Z][a-z]{2})[a-z]*\.? (\d{1,2}),? (\d{4})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day_in(said: str) -> datetime | None:
    """The first day that a text names (2026年3月5日, 5 March 2026, March 5, 2026) as it stands there, or None."""
    if (found := _LOCAL_DAY.search(said)) is not None:
        year, month, day = (int(part) for part in found.groups())
        return from_iso(f"{year:04}-{month:02}-{day:02}")
    if (found := _NAMED_DAY.search(said)) is None:
        return None
    day_, name, year_ = found.group(1, 2, 3) if found[1] else found.group(5, 4, 6)
    return from_iso(f"{year_}-{_MONTHS.index(name) + 1:02}-{int(day_):02}") if name in _MONTHS else None


def sensible(moment: datetime) -> datetime | None:
    """`moment`, or None when no news can be of that time."""
    return moment if 1970 < moment.year < 2100 else None


def _without_tags(value: str) -> str:
    return _TAG.sub(_gap, value) if "<" in value else value


def _gap(tag: re.Match[str]) -> str:
    """What a tag leaves behind: nothing inside of a line, a space between blocks, itself when it is no tag at all."""
    name = (tag[1] or "").lower()
    if name in _INLINE:
        return ""
    if not name or name in _BLOCK or ":" in name or "-" in name:
        return " "
    return tag[0]
