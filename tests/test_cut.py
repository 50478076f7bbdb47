"""Parsing what changed: the pieces of a document, and that leaving known ones out changes nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from service.domain.model import ParsedFeed
from service.feeds.cut import cut
from service.feeds.parse import parse_changed, parse_feed
from tests.loopback import item, rss

FEEDS = Path(__file__).parent / "data" / "feeds"
THREE = [item(str(n), f"Notice {n}", link=f"https://a.example/{n}") for n in range(3)]


def test_the_pieces_are_the_document() -> None:
    document = rss(*THREE)
    pieces = cut(document)
    assert pieces is not None
    assert pieces.head + "".join(pieces.items) + pieces.tail == document
    assert len(set(pieces.digests())) == 3


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([], id="no-items"),
        pytest.param([THREE[0], THREE[0].replace("Notice", "Other")], id="one-guid-twice"),
        pytest.param([item("1", "One", text="<![CDATA[ </item><item> ]]>")], id="a-border-in-cdata"),
        pytest.param([item("1", "One"), "<!-- ", item("2", "Two"), " -->"], id="an-item-in-a-comment"),
        pytest.param(["<item><title>open", THREE[0]], id="never-closed"),
        pytest.param([THREE[0], "<entry><id>x</id></entry>"], id="two-kinds"),
        pytest.param(["<item/>", THREE[0]], id="empty-element"),
        pytest.param([THREE[0], "</channel></rss>", THREE[1]], id="behind-the-end"),
        pytest.param([THREE[0], "<it\0em><title>x</title></it\0em>"], id="a-name-with-a-nul-in-it"),
        pytest.param([THREE[0], "<it<!-- x -->em><title>x</title></item>"], id="a-name-with-a-comment-in-it"),
        pytest.param([THREE[0], "<item><guid>un<b>clear</b></guid></item>"], id="an-identity-of-tags"),
    ],
)
def test_where_borders_are_not_certain_nothing_is_cut(items: list[str]) -> None:
    assert cut(rss(*items)) is None


@pytest.mark.parametrize("path", sorted(FEEDS.glob("*.xml")), ids=lambda path: path.stem)
def test_known_items_are_left_out_and_the_others_read_as_ever(path: Path) -> None:
    body = path.read_bytes()
    whole = parse_feed(body, url="https://e.example/")
    first = parse_changed(body, url="https://e.example/", known=frozenset())
    assert first.feed == whole
    if not isinstance(whole, ParsedFeed) or len(first.digests) != len(whole.entries):
        return
    for number, entry in enumerate(whole.entries):
        known = frozenset(first.digests) - {first.digests[number]}
        changed = parse_changed(body, url="https://e.example/", known=known)
        assert isinstance(changed.feed, ParsedFeed)
        assert changed.feed.entries == (entry,)
        assert (changed.feed.title, changed.feed.link) == (whole.title, whole.link)
        assert changed.unchanged == len(whole.entries) - 1


def test_no_document_is_slow_to_cut() -> None:
    traps = ("<guid>" * 200_000, "<guid><![CDATA[" * 100_000 + "]]>" * 100_000, "<a:" * 300_000, "<id " * 200_000)
    began = time.process_time()
    for trap in traps:
        cut(rss(f"<item><title>x</title>{trap}</item>"))
    assert time.process_time() - began < 5
