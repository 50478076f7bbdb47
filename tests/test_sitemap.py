"""Sitemaps as feeds: news sitemaps, plain ones, indexes and traps, through the parser's one door."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.domain.model import Failed, FetchReason, ParsedEntry, ParsedFeed
from service.feeds.parse import parse_feed

URL = "https://gov.example/sitemap.xml"
NEWS = b"""<?xml version="1.0" encoding="UTF-8"?>
<!-- made by hand --><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
 xmlns:n="http://www.google.com/schemas/sitemap-news/0.9">
<url><loc>https://gov.example/a</loc><n:news><n:publication><n:name>Gov &amp; Co</n:name><n:language>en</n:language>
</n:publication><n:publication_date>2026-03-01T10:00:00+02:00</n:publication_date><n:title>Bank bans coins</n:title>
<n:keywords>ban, coins</n:keywords></n:news></url>
<url><loc>https://gov.example/news/tax-on_mining.html</loc><lastmod>2026-03-02</lastmod></url>
<url><loc>javascript:alert(1)</loc></url></urlset>"""


def test_news_and_plain_pages() -> None:
    feed = parse_feed(NEWS, content_type="application/xml", url=URL)
    assert isinstance(feed, ParsedFeed)
    assert (feed.title, feed.language) == ("Gov & Co", "en")
    assert feed.entries == (
        ParsedEntry(
            guid="https://gov.example/news/tax-on_mining.html",
            link="https://gov.example/news/tax-on_mining.html",
            title="tax on mining",
            published=datetime(2026, 3, 2, tzinfo=UTC),
            updated=datetime(2026, 3, 2, tzinfo=UTC),
        ),
        ParsedEntry(
            guid="https://gov.example/a",
            link="https://gov.example/a",
            title="Bank bans coins",
            published=datetime(2026, 3, 1, 8, tzinfo=UTC),
            categories=("ban", "coins"),
        ),
    )


def test_a_sitemap_that_breaks_off_keeps_what_came_before() -> None:
    feed = parse_feed(NEWS[: NEWS.index(b"<url><loc>javascript")], url=URL)
    assert isinstance(feed, ParsedFeed)
    assert len(feed.entries) == 2
    assert feed.warning


def test_an_index_names_where_to_go() -> None:
    index = b"<sitemapindex><sitemap><loc>https://gov.example/news.xml</loc></sitemap></sitemapindex>"
    failed = parse_feed(index, url=URL)
    assert isinstance(failed, Failed)
    assert failed.reason is FetchReason.NOT_A_FEED
    assert "https://gov.example/news.xml" in failed.detail


def test_entities_are_refused() -> None:
    trap = b'<!DOCTYPE u [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><urlset><url><loc>&b;</loc></url></urlset>'
    failed = parse_feed(trap, url=URL)
    assert isinstance(failed, Failed)
    assert failed.reason is FetchReason.TOO_COMPLEX


@pytest.mark.parametrize("encoding", ["gb2312", "windows-1251", "utf-16"])
def test_a_sitemap_in_another_encoding(encoding: str) -> None:
    """Found by a mutant: what the prolog declares was taken for what the text, decoded by then, is encoded in."""
    title = "央行禁止虚拟货币" if encoding != "windows-1251" else "Банк запрещает"
    text = (
        f"<?xml version='1.0' encoding='{encoding}'?><urlset><url><loc>https://gov.example/a</loc>"
        f"<title>{title}</title></url></urlset>"
    )
    feed = parse_feed(text.encode(encoding), content_type="application/xml", url=URL)
    assert isinstance(feed, ParsedFeed)
    assert feed.entries[0].title == title
