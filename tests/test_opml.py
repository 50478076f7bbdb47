"""OPML in and out: a round trip loses nothing, and no list is a trap."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.model import FullText, Paths, Selectors, Tier
from service.feeds.opml import DEEPEST, BadList, Listed, read_opml, write_opml

FOREIGN = b"""<?xml version="1.0"?><opml version="1.1"><head><title>mine</title></head><body>
<outline text="Banks"><outline text="Asia"><outline type="rss" text="BOK &amp; co" xmlUrl="https://bok.example/rss"/>
</outline><outline text="Again" xmlUrl="https://bok.example/rss" category="/Money,Korea"/></outline>
<outline xmlUrl=" https://plain.example/ " language="ko"/><outline text="empty folder"/></body></opml>"""


def test_a_list_of_another_reader() -> None:
    assert read_opml(FOREIGN) == (
        Listed(url="https://bok.example/rss", title="Again", tags=("Banks/Asia", "Banks", "Money", "Korea")),
        Listed(url="https://plain.example/", language="ko"),
    )


NAMES = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=12).map(
    lambda t: t.replace("/", "")
)
FOLDERS = NAMES.filter(lambda t: t.strip() == t and t != "")
FEEDS = st.builds(
    Listed,
    url=st.integers(0, 10**6).map(lambda n: f"https://example.org/{n}?a=1&b=<2>"),
    title=FOLDERS,
    tags=st.lists(st.lists(FOLDERS, min_size=1, max_size=3).map("/".join), max_size=3, unique=True).map(tuple),
    language=st.sampled_from([None, "ko", "zh-Hant"]),
    jurisdiction=st.sampled_from([None, "KR", "INTL"]),
    kind=st.sampled_from([None, "regulator"]),
    tier=st.sampled_from(Tier),
    full_text=st.sampled_from(FullText),
    interval=st.sampled_from([None, timedelta(minutes=5), timedelta(days=7)]),
    recipe=st.sampled_from(
        [
            None,
            Selectors(item="li.news > a[href^='/x\"y']"),
            Selectors(item="tr", link="a", title="td:nth-of-type(2)", date="time"),
            Paths(items="data[?kind == 'news' && !draft].{t: title}", id="id", title="t", date="at", text="body"),
            Paths(items="items | [*]", link="join('', [`\"https://a.example/\"`, id])"),
        ]
    ),
)


@given(st.lists(FEEDS, max_size=8, unique_by=lambda feed: feed.url))
def test_a_round_trip_loses_nothing(feeds: list[Listed]) -> None:
    again = {feed.url: feed for feed in read_opml(write_opml(feeds))}
    assert set(again) == {feed.url for feed in feeds}
    for feed in feeds:
        back = again[feed.url]
        assert set(back.tags) == set(feed.tags)
        assert (back.title, back.language, back.jurisdiction, back.kind) == (
            feed.title,
            feed.language,
            feed.jurisdiction,
            feed.kind,
        )
        assert (back.tier, back.full_text, back.interval) == (feed.tier, feed.full_text, feed.interval)
        assert back.recipe == feed.recipe


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"<rss version='2.0'/>", "not OPML", id="a-feed"),
        pytest.param(b"not xml", "not well-formed", id="no-xml"),
        pytest.param(b"", "not well-formed", id="nothing"),
        pytest.param(
            b'<!DOCTYPE o [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><opml><body/></opml>', "entities", id="entities"
        ),
        pytest.param(
            b'<!DOCTYPE o [<!ENTITY x SYSTEM "file:///etc/passwd">]><opml>&x;</opml>', "entities", id="a-file"
        ),
        pytest.param(b"<opml>" + b"<outline text='a'>" * (DEEPEST + 2), "nests deeper", id="too-deep"),
        pytest.param(b"<opml>" + b"<outline/>" * 100_001 + b"</opml>", "100000 outlines", id="too-many"),
    ],
)
def test_a_trap_is_refused_with_its_reason(body: bytes, said: str) -> None:
    with pytest.raises(BadList, match=said):
        read_opml(body)


@pytest.mark.parametrize("encoding", ["utf-8", "gb2312", "euc-kr", "utf-16"])
def test_a_list_in_another_encoding(encoding: str) -> None:
    """Of the encodings that a prolog may name, expat knows but a few, and raises for the rest."""
    title = "监管" if encoding != "euc-kr" else "규제"
    text = (
        f"<?xml version='1.0' encoding='{encoding}'?><opml version='2.0'><body>"
        f"<outline text='{title}' xmlUrl='https://a.example/feed'/></body></opml>"
    )
    assert read_opml(text.encode(encoding)) == (Listed(url="https://a.example/feed", title=title),)
