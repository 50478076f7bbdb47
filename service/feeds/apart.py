"""What the parsing children are asked to do: feeds and pages of strangers, each answered whatever its bytes are.

A child imports this file and what it needs, so nothing is imported here that a parser has no use for: each child would
hold it in memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from service.domain.model import Failed, FetchReason, Selectors
from service.feeds.extract import Page, extract
from service.feeds.listing import parse_list
from service.feeds.parse import Changed, parse_changed

EMPTY_FEED = b"<rss version='2.0'><channel></channel></rss>"

PARSED_SECONDS = 1.0
"""The time after which a child brings back what it has of many documents."""

Document = tuple[bytes, str, str, Selectors | None, frozenset[str]]
"""A document for the parsing child: body, content type, address, selectors of a list page, digests of known items."""


def parse_feeds(documents: Sequence[Document]) -> list[Changed]:
    """What is new in the first of these documents, as many as can be parsed in PARSED_SECONDS but at least one."""
    until = time.monotonic() + PARSED_SECONDS
    changed: list[Changed] = []
    for document in documents:
        changed.append(_parse(*document))
        if time.monotonic() > until:
            break
    return changed


def _parse(body: bytes, content_type: str, url: str, selectors: Selectors | None, known: frozenset[str]) -> Changed:
    try:
        if selectors is not None:
            return Changed(feed=parse_list(body, content_type=content_type, url=url, selectors=selectors))
        return parse_changed(body, content_type=content_type, url=url, known=known)
    except Exception as exc:  # a stranger's bytes found a hole in a parser: that feed fails, with its reason
        detail = f"the parser failed: {type(exc).__name__}"
        return Changed(feed=Failed(url=url, reason=FetchReason.UNPARSABLE, detail=detail))


def extract_page(body: bytes, url: str, content_type: str) -> Page | None:
    try:
        return extract(body, url=url, content_type=content_type)
    except Exception:  # as above: the feed's own words are read instead
        return None
