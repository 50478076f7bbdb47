"""Sitemaps and news sitemaps (sitemaps.org, Google's news extension) -> a parsed feed, for sites that have no feed.

Runs in a sandbox child. A plain sitemap names no titles: the last step of an address has to do, and the page's own text
is fetched like that of any entry without one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from xml.parsers.expat import ExpatError, ParserCreate

from service.domain.model import Failed, FetchReason, ParsedEntry, ParsedFeed
from service.feeds import clean

ROOT = re.compile(r"<(?:[\w.-]+:)?(urlset|sitemapindex)[\s>]")
"""What a sitemap begins with."""

_KEPT = frozenset({"loc", "lastmod", "title", "publication_date", "name", "language", "keywords"})
_LONGEST = 4_096
_NO_WORD = re.compile(r"[\W_]+")


@dataclass
class _Reading:
    rows: list[dict[str, str]] = field(default_factory=list)
    row: dict[str, str] | None = None
    text: list[str] | None = None
    index: bool = False


class _Entities(Exception):
    """The document declares entities."""


def parse_sitemap(text: str, *, url: str, most_entries: int) -> ParsedFeed | Failed:
    """The pages that a sitemap names, the newest first. Failed for an index of sitemaps, naming the first of them."""
    reading = _Reading()
    parser = ParserCreate("utf-8", " ")  # it is text by now, whatever its prolog says it was

    def start(name: str, _: dict[str, str]) -> None:
        local = name.rpartition(" ")[2].lower()
        if local in ("url", "sitemap"):
            reading.row = {}
            reading.index = reading.index or local == "sitemap"
        elif reading.row is not None and local in _KEPT:
            reading.text = []

    def end(name: str) -> None:
        local = name.rpartition(" ")[2].lower()
        if reading.row is not None and local in ("url", "sitemap"):
            reading.rows.append(reading.row)
            reading.row = None
        elif reading.row is not None and reading.text is not None:
            reading.row.setdefault(local, "".join(reading.text)[:_LONGEST].strip())
            reading.text = None

    def said(text: str) -> None:
        if reading.text is not None:
            reading.text.append(text)

    def refuse(*_: object) -> None:
        raise _Entities

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = said, refuse
    warning = None
    try:
        parser.Parse(text.encode(), True)
    except _Entities:
        return Failed(url=url, reason=FetchReason.TOO_COMPLEX, detail="the sitemap declares XML entities")
    except ExpatError as exc:  # what stood before the fault is as good as it ever was
        warning = f"not well-formed: {exc}"
    if reading.index:
        first = next((row["loc"] for row in reading.rows if row.get("loc")), "none")
        said_of = f"this is an index of {len(reading.rows)} sitemaps; add the one with news instead, such as {first}"
        return Failed(url=url, reason=FetchReason.NOT_A_FEED, detail=said_of[:500])
    if not reading.rows and warning:
        return Failed(url=url, reason=FetchReason.UNPARSABLE, detail=f"the sitemap cannot be read: {warning}"[:300])
    entries = [entry for row in reading.rows if (entry := _entry(row, url)) is not None]
    entries.sort(key=lambda entry: entry.published.timestamp() if entry.published else 0.0, reverse=True)
    if len(entries) > most_entries:
        warning = f"only the newest {most_entries} of {len(entries)} pages were read"
    title = next((row["name"] for row in reading.rows if row.get("name")), "")
    language = next((row["language"] for row in reading.rows if row.get("language")), "")
    return ParsedFeed(
        title=clean.plain_text(title),
        link=None,
        language=language[:35] or None,
        entries=tuple(entries[:most_entries]),
        warning=warning,
    )


def _entry(row: dict[str, str], base: str) -> ParsedEntry | None:
    link = clean.web_link(row.get("loc", ""), base)
    if link is None:
        return None
    updated = clean.from_iso(row.get("lastmod", ""))
    return ParsedEntry(
        guid=link,
        link=link,
        title=clean.plain_text(row.get("title", "")) or _spoken(link),
        published=clean.from_iso(row.get("publication_date", "")) or updated,
        updated=updated,
        categories=clean.names(row.get("keywords", "").split(","), clean.MAX_CATEGORIES),
    )


def _spoken(link: str) -> str:
    """The words in the last step of an address: `/news/bank-bans-coins.html` -> `bank bans coins`."""
    steps = [step for step in urlsplit(link).path.split("/") if step]
    last = unquote(steps[-1]) if steps else ""
    return clean.plain_text(_NO_WORD.sub(" ", re.sub(r"\.\w{2,5}$", "", last)))
