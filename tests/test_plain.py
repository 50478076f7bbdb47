"""Items that are read without feedparser: what is taken, and what is left to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest

from service.domain.model import ParsedEntry
from service.feeds.cut import cut
from service.feeds.parse import parse_changed, parse_feed
from service.feeds.plain import read_plain
from tests.fuzz.ordinary import ordinary

HEAD = '<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Office</title>'
ITEM = (
    "<item>\n<title>Rates &amp; reserves</title><link>https://a.example/1?a=1&amp;b=2</link><dc:creator>Ann</dc:creator>"
    "<guid isPermaLink='false'>1</guid><pubDate>Mon, 02 Mar 2026 12:00:00 +0100</pubDate><category>law</category>"
    "<description><![CDATA[<p>It&#8217;s law.</p>]]></description></item>"
)
ENTRY = ParsedEntry(
    guid="1",
    link="https://a.example/1?a=1&b=2",
    title="Rates & reserves",
    summary="<p>It&#8217;s law.</p>",
    published=datetime(2026, 3, 2, 11, tzinfo=UTC),
    authors=("Ann",),
    categories=("law",),
)


def test_the_usual_item_is_read() -> None:
    assert read_plain(HEAD, [ITEM], "https://a.example/") == (ENTRY,)


def test_a_guid_that_is_an_address_is_the_link() -> None:
    item = ITEM.replace(" isPermaLink='false'>1<", ">https://a.example/2<").replace("<link>", "<comments>")
    entry = replace(ENTRY, guid="https://a.example/2", link="https://a.example/2")
    assert read_plain(HEAD, [item.replace("</link>", "</comments>")], "") == (entry,)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("<item>", "<item about='x'>", id="an-attribute"),
        pytest.param("<title>", "<title type='html'>", id="another"),
        pytest.param("&amp; reserves", "&nbsp;", id="a-name-of-html"),
        pytest.param("&amp; reserves", "&#150;", id="windows-1252"),
        pytest.param("&amp; reserves", "caf\u00c3\u00a9", id="utf-8-as-latin-1"),
        pytest.param("&amp; reserves", "<b>bold</b>", id="a-tag"),
        pytest.param("https://a.example/1", "/1", id="a-relative-link"),
        pytest.param("02 Mar", "31 Feb", id="no-day"),
        pytest.param("12:00:00 +0100", "12:00 EST", id="another-date"),
        pytest.param("<category>", "<title>", id="not-well-formed"),
        pytest.param("<category>law</category>", "<title>law</title>", id="twice"),
        pytest.param("<category>law</category>", "<dc:date>2026-03-02</dc:date>", id="an-unknown-element"),
        pytest.param("Ann", "ann@a.example (Ann)", id="an-address"),
        pytest.param("</item>", "</item>stray", id="something-behind"),
    ],
)
def test_the_unusual_is_left_to_feedparser(old: str, new: str) -> None:
    assert ITEM.count(old) == 1
    assert read_plain(HEAD, [ITEM, ITEM.replace(old, new)], "https://a.example/") is None


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(HEAD.replace(" xmlns:dc", " xmlns:d"), id="a-prefix-nobody-declared"),
        pytest.param(HEAD.replace("/dc/elements/1.1/", "/other/"), id="a-prefix-of-something-else"),
        pytest.param(HEAD.replace("<rss", "<rss xml:base='https://b.example/'"), id="another-base"),
        pytest.param(HEAD.replace("<rss", "<rss xmlns='http://www.w3.org/2005/Atom'"), id="another-format"),
        pytest.param("<feed>", id="no-rss"),
    ],
)
def test_so_is_a_document_in_which_it_may_mean_something_else(head: str) -> None:
    assert read_plain(head, [ITEM], "https://a.example/") is None


@pytest.mark.parametrize("seed", range(40))
def test_it_is_what_feedparser_reads(seed: int) -> None:
    body = ordinary(Random(seed))
    assert parse_changed(body, url="https://a.example/", known=frozenset()).feed == parse_feed(
        body, url="https://a.example/"
    )


def test_that_comparison_is_made_of_both_kinds() -> None:
    cuts = [pieces for seed in range(40) if (pieces := cut(ordinary(Random(seed)).decode())) is not None]
    taken = [pieces for pieces in cuts if read_plain(pieces.head, pieces.items, "") is not None]
    assert 10 < len(taken) < len(cuts)
