"""What the parsing children are asked to do: feeds and pages of strangers, each answered whatever its bytes are.

A child imports this file and what it needs, so nothing is imported here that a parser has no use for: each child would
hold it in memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from service.domain.model import Failed, FetchReason, PageFate, PageNote, Paths, Recipe, Selectors
from service.feeds.extract import Page, extract
from service.feeds.jsonapi import parse_json_list
from service.feeds.listing import parse_list
from service.feeds.parse import Changed, parse_changed
from service.feeds.pdf import extract_pdf, is_pdf

EMPTY_FEED = b"<rss version='2.0'><channel></channel></rss>"

PARSED_SECONDS = 1.0
"""The time after which a child brings back what it has of many documents."""

Document = tuple[bytes, str, str, Recipe | None, frozenset[str]]
"""A document for the parsing child: body, content type, address, how to read it if it is no feed, known digests."""


def parse_feeds(documents: Sequence[Document]) -> list[Changed]:
    """What is new in the first of these documents, as many as can be parsed in PARSED_SECONDS but at least one."""
    until = time.monotonic() + PARSED_SECONDS
    changed: list[Changed] = []
    for document in documents:
        changed.append(_parse(*document))
        if time.monotonic() > until:
            break
    return changed


def _parse(body: bytes, content_type: str, url: str, recipe: Recipe | None, known: frozenset[str]) -> Changed:
    try:
        match recipe:
            case Selectors():
                return Changed(feed=parse_list(body, content_type=content_type, url=url, selectors=recipe))
            case Paths():
                return Changed(feed=parse_json_list(body, content_type=content_type, url=url, paths=recipe))
        return parse_changed(body, content_type=content_type, url=url, known=known)
    except Exception as exc:  # a stranger's bytes found a hole in a parser: that feed fails, with its reason
        detail = f"the parser failed: {type(exc).__name__}"
        return Changed(feed=Failed(url=url, reason=FetchReason.UNPARSABLE, detail=detail))


def main_text(body: bytes, url: str, content_type: str) -> Page | PageNote:
    """The main text of a page's bytes, or of a document's, by what they are."""
    if is_pdf(body):
        return extract_pdf(body)
    try:
        page = extract(body, url=url, content_type=content_type)
    except Exception as exc:  # as above: that page is lost, no other
        return PageNote(fate=PageFate.BROKEN, detail=f"the page cannot be read: {type(exc).__name__}")
    return page or PageNote(fate=PageFate.NO_TEXT, detail="the page has no main text")
