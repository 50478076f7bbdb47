"""JSON Feed 1.0 and 1.1 (jsonfeed.org): a document's text -> a parsed feed. Never trusts a field's type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from service.domain.model import Failed, FetchReason, ParsedEntry, ParsedFeed
from service.feeds import clean

_VERSION = "://jsonfeed.org/version/1"


def parse_json_feed(text: str, *, url: str, most_entries: int) -> ParsedFeed | Failed:
    """The feed in `text`, which begins like a JSON document; Failed when it is broken or something else."""
    try:
        document = json.loads(text)
    except RecursionError:
        return Failed(url=url, reason=FetchReason.TOO_COMPLEX, detail="the JSON is nested too deeply")
    except ValueError as exc:
        return Failed(url=url, reason=FetchReason.UNPARSABLE, detail=f"looks like JSON and is not valid: {exc}"[:300])
    if not isinstance(document, dict) or _VERSION not in _text(document, "version"):
        return Failed(url=url, reason=FetchReason.NOT_A_FEED, detail="this is JSON, but not a JSON Feed")
    items = [item for item in _list(document, "items") if isinstance(item, dict)]
    too_many = f"only the first {most_entries} of {len(items)} entries were read"
    return ParsedFeed(
        title=clean.plain_text(_text(document, "title")),
        link=clean.web_link(_text(document, "home_page_url"), url),
        language=_text(document, "language")[:35] or None,
        entries=tuple(entry for item in items[:most_entries] if (entry := _entry(item, url)) != ParsedEntry()),
        warning=too_many if len(items) > most_entries else None,
        older=clean.web_link(_text(document, "next_url"), url),
        hubs=tuple(_hubs(document, url)),
        topic=clean.web_link(_text(document, "feed_url"), url),
    )


def _hubs(document: Mapping[str, object], base: str) -> Iterator[str]:
    """The WebSub hubs; the field may name other kinds too."""
    for hub in (each for each in _list(document, "hubs") if isinstance(each, dict)):
        address = clean.web_link(_text(hub, "url"), base)
        if address is not None and _text(hub, "type").lower() == "websub":
            yield address


def _entry(item: Mapping[str, object], base: str) -> ParsedEntry:
    content = _text(item, "content_html") or clean.escape_plain(_text(item, "content_text"))
    link = clean.web_link(_text(item, "url"), base) or clean.web_link(_text(item, "external_url"), base)
    published = clean.from_iso(_text(item, "date_published"))
    updated = clean.from_iso(_text(item, "date_modified"))
    authors = [*_list(item, "authors"), item.get("author")]  # version 1.0 has one
    return ParsedEntry(
        guid=clean.guid(_text(item, "id")),
        link=link,
        title=clean.plain_text(_text(item, "title")),
        summary=clean.html_text(clean.escape_plain(_text(item, "summary"))),
        content=clean.html_text(content),
        published=published or updated,
        updated=updated,
        authors=clean.names(
            (_text(author, "name") for author in authors if isinstance(author, dict)), clean.MAX_AUTHORS
        ),
        categories=clean.names((tag for tag in _list(item, "tags") if isinstance(tag, str)), clean.MAX_CATEGORIES),
    )


def _text(mapping: Mapping[str, object], key: str) -> str:
    """A text, or a number as text (ids are often numbers); anything else is as good as missing."""
    value = mapping.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def _list(mapping: Mapping[str, object], key: str) -> list[object]:
    value = mapping.get(key)
    return value if isinstance(value, list) else []
