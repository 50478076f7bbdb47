"""Pages to their own story: pairs from tests/data/pages, most with whole other stories below or within."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.feeds.extract import extract
from service.feeds.furniture import announces_others, holds_others, points_elsewhere
from service.sandbox import Sandbox

PAGES = Path(__file__).parent / "data" / "pages"


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.html")), ids=lambda path: path.stem)
def test_pages_give_their_own_story_and_no_other(path: Path) -> None:
    """The expected file is the title, then the paragraphs."""
    title, expected = path.with_suffix(".txt").read_text("utf-8").rstrip("\n").split("\n\n", 1)
    page = extract(path.read_bytes(), url="https://ledger.example/2026/03/03/story")
    assert page is not None
    assert page.text == expected
    assert page.title == title


async def test_a_page_is_read_in_a_child_without_network_and_with_little_memory() -> None:
    sandbox = Sandbox()
    html = (PAGES / "flat.html").read_bytes()
    try:
        assert await sandbox.run(extract, html) == extract(html)
    finally:
        sandbox.close()


@pytest.mark.parametrize(
    ("stated", "published"),
    [
        ("2026-03-03T14:20:00+03:00", datetime(2026, 3, 3, 11, 20, tzinfo=UTC)),
        ("2026-03-03", datetime(2026, 3, 3, tzinfo=UTC)),
        ("last week", None),
    ],
)
def test_when_a_page_says_it_was_published(stated: str, published: datetime | None) -> None:
    html = (PAGES / "flat.html").read_text("utf-8").replace("2026-03-03T14:20:00+03:00", stated)
    page = extract(html.replace("3 March 2026", "").replace("© 2026", "").encode())
    assert page is not None
    assert page.published == published


def test_a_declared_body_that_breaks_off_does_not_cut_the_story() -> None:
    html = (PAGES / "json-ld-one-line.html").read_text("utf-8")
    start = html.index('"articleBody": "') + len('"articleBody": "')
    end = html.index('"}</script>')
    page = extract((html[: start + 200] + "..." + html[end:]).encode())
    assert page is not None
    assert "withdrawn in 2024" in page.text


@pytest.mark.parametrize(
    "html",
    [
        b"",
        b" ",
        b"<html></html>",
        b"<html><body></body></html>",
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"\x00" * 1000,
        b"<script>var a = 1;</script>",
        b"<!-- -->",
        b"<html><body><nav><a href='/'>Home</a></nav></body></html>",
    ],
)
def test_pages_without_text_give_nothing(html: bytes) -> None:
    assert extract(html) is None


@pytest.mark.parametrize(
    "html",
    [
        pytest.param("<div>" * 100_000 + "text", id="deep"),
        pytest.param("<p>word</p>" * 50_000, id="many-paragraphs"),
        pytest.param("<h3>Related</h3><div>" * 3_000, id="many-headings"),
        pytest.param('<script type="application/ld+json">' + "[" * 100_000 + "</script><p>text</p>", id="json-depth"),
        pytest.param("&#xD800;&#0;\ud800\0<p>" + "text " * 100, id="impossible-characters"),
        pytest.param("<p>" + "x" * 3_000_000, id="long-paragraph"),
    ],
)
def test_hostile_pages_do_not_raise(html: str) -> None:
    started = time.process_time()
    page = extract(f"<html><body>{html}</body></html>".encode("utf-8", "surrogatepass"))
    assert page is None or len(page.text.encode()) < 1_100_000
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "text",
    [
        "More to Read",
        "Read more:",
        "RELATED ARTICLES",
        "Related",
        "Also read",
        "You might also like…",
        "Recommended for you",
        "More from Reuters",
        "Most Popular",
        "相关阅读",
        "【相关新闻】",
        "相關閱讀",
        "推荐阅读",
        "관련 기사",
        "많이 본 뉴스",
        "関連記事",
        "Читайте также:",
        "Lea también",
        "À lire aussi",
        "Mehr zum Thema",
        "Leia também",
        "İlgili haberler",
        "Leggi anche",
        "اقرأ أيضا",
        "Baca juga:",
        "Tin liên quan",
    ],
)
def test_headings_above_other_stories(text: str) -> None:
    assert announces_others(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "More than 40 members were absent",
        "Related parties must disclose the loan",
        "Most exchanges will need a licence",
        "相关部门要求银行报告",
        "What the bill says",
        "Next steps",
        "Popular support for the bill",
    ],
)
def test_headings_of_the_story_itself(text: str) -> None:
    assert not announces_others(text)


def test_pointers_and_solicitations() -> None:
    assert points_elsewhere("Read more: Chile's central bank rules out digital peso")
    assert points_elsewhere("相关阅读：香港金管局公布首批牌照")
    assert points_elsewhere("Sign up for our newsletter here.")
    assert not points_elsewhere("Related parties: the bill defines them in section 4.")
    assert not points_elsewhere("The regulator said: read more of our guidance.")


def test_class_names() -> None:
    for name in (
        "related",
        "c-related-articles",
        "more-stories__list",
        "recommended-posts-2",
        "read_next",
        "storyFeed",
    ):
        assert holds_others(name), name
    for name in (
        "article-body",
        "has-related",
        "entry-content-read-more",
        "unrelated",
        "relatedness",
        "story",
        "post",
        "commentary",
    ):
        assert not holds_others(name), name
