"""Feed documents to entries: pairs from tests/data/feeds, and documents that are made to hurt."""

from __future__ import annotations

import json
import re
import socket
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.domain.model import Failed, FetchReason, ParsedEntry, ParsedFeed
from service.feeds.parse import MAX_ENTRIES, parse_feed
from service.sandbox import Sandbox

FEEDS = Path(__file__).parent / "data" / "feeds"
URL = "https://feeds.example/news/rss.xml"
HEAD, TAIL = b"<rss version='2.0'><channel><title>Desk</title>", b"</channel></rss>"


def as_json(result: ParsedFeed | Failed) -> object:
    """A result as the JSON of a fixture: fields without a value are left out."""
    if isinstance(result, Failed):
        return {"error": result.reason, "detail": result.detail}
    feed = {key: value for key, value in asdict(result).items() if value}
    feed["entries"] = [{key: value for key, value in asdict(entry).items() if value} for entry in result.entries]
    return json.loads(json.dumps(feed, default=lambda moment: moment.isoformat()))


@pytest.mark.parametrize("path", sorted(FEEDS.glob("*.xml")), ids=lambda path: path.stem)
def test_documents_from_the_wild(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert as_json(parse_feed(path.read_bytes(), url=URL)) == expected


def feed(*items: str) -> bytes:
    return HEAD + "".join(f"<item>{item}</item>" for item in items).encode("utf-8", "surrogatepass") + TAIL


def entries(body: bytes, content_type: str = "") -> tuple[ParsedEntry, ...]:
    result = parse_feed(body, content_type=content_type, url=URL)
    assert isinstance(result, ParsedFeed), result
    return result.entries


def failure(body: bytes) -> Failed:
    result = parse_feed(body, url=URL)
    assert isinstance(result, Failed), result
    assert result.url == URL
    return result


# --- one bad entry costs at most itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["title", "description", "guid", "link", "pubDate", "category"])
@pytest.mark.parametrize(
    "poison",
    [
        "&#xD800;",
        "&#x110000;",
        "&#99999999999;",
        "&#0;",
        "&#x8;",
        "\0",
        "\x0b",
        "\ud800",
        "&bogus;",
        "&",
        "<",
        "http://[::1",
    ],
)
def test_siblings_of_a_poisoned_entry_are_kept(field: str, poison: str) -> None:
    body = feed("<title>Before</title>", f"<title>x</title><{field}>a{poison}b</{field}>", "<title>After</title>")
    found = entries(body)
    assert [entry.title for entry in (found[0], found[-1])] == ["Before", "After"]
    assert not re.search("[\0\x08\x0b\ud800-\udfff]", repr(found))


@pytest.mark.parametrize("poison", ["&amp;#xD800;", "&amp;#99999999999;", "<![CDATA[&#xD800; &#0;]]>"])
def test_escaped_references_to_impossible_characters(poison: str) -> None:
    assert [entry.title[:2] for entry in entries(feed(f"<title>ab{poison}</title>", "<title>cd</title>"))] == [
        "ab",
        "cd",
    ]


@pytest.mark.parametrize(
    "poison",
    [
        "<title>x</title><link>a<item>b</item></link>",
        "<title>x</title><link>http:/</item>/a</link>",
        "<link>http:/</item>/a</link><title>x</title>",
    ],
)
def test_what_breaks_the_parser_breaks_one_entry(poison: str) -> None:
    result = parse_feed(feed("<title>Before</title>", poison, "<title>After</title>"), url=URL)
    assert isinstance(result, ParsedFeed)
    assert "entry by entry" in (result.warning or "")  # feedparser raises KeyError on the whole document
    titles = [entry.title for entry in result.entries]
    assert (titles[0], titles[-1]) == ("Before", "After")


# --- what is not a feed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"\xef\xbb\xbf", "plain text|empty"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF89a", "GIF"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"Not found.", "plain text"),
        (b"<!doctype html><title>Just a moment...</title>", "HTML page titled 'Just a moment...'"),
        (b"<HTML><BODY>x</BODY></HTML>", "HTML"),
        (b"<opml version='2.0'><body/></opml>", "OPML"),
        (b"<?xml version='1.0'?><error>no</error>", "<error>"),
        (b'{"error": "no"}', "JSON"),
        (b"[1, 2]", "JSON"),
    ],
)
def test_what_is_not_a_feed_is_named(body: bytes, words: str) -> None:
    result = failure(body)
    assert result.reason is FetchReason.NOT_A_FEED
    assert re.search(words, result.detail)


def test_a_feed_without_entries_is_a_feed() -> None:
    assert parse_feed(HEAD + TAIL, url=URL) == ParsedFeed(title="Desk")


def test_broken_json_is_unparsable() -> None:
    assert failure(b'{"version": "https://jsonfeed.org/version/1", "items": [').reason is FetchReason.UNPARSABLE


def test_a_body_that_is_a_path_or_an_address_is_not_opened(tmp_path: Path) -> None:
    canary = tmp_path / "canary.xml"
    canary.write_bytes(feed("<title>canary</title>"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        for body in (str(canary), f"file://{canary}", address, f"feed:{address}", f" {address}\n"):
            assert "canary" not in repr(parse_feed(body.encode(), url=URL))
            assert failure(body.encode()).reason is FetchReason.NOT_A_FEED
        dtd = f"<!DOCTYPE rss SYSTEM '{address}x.dtd' [<!ENTITY c SYSTEM 'file://{canary}'>]>".encode()
        body = dtd + feed("<title>a&c;b</title><description>&c;</description>")
        assert "canary" not in repr(entries(body))
        with pytest.raises(BlockingIOError):
            server.accept()


# --- bounded ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(feed("<a " + " ".join(f"a{i}='x'" for i in range(100_000)) + "/>"), id="attributes"),
        pytest.param(feed("<x>" * 200_000), id="nesting"),
        pytest.param(feed("<x/>" * 1_000_000), id="tags"),
        pytest.param(b"[" * 200_000, id="json"),
    ],
)
def test_traps_are_refused_quickly(body: bytes) -> None:
    started = time.process_time()
    assert failure(body).reason is FetchReason.TOO_COMPLEX
    assert time.process_time() - started < 2


def test_html_that_was_not_escaped_is_no_deep_nesting() -> None:
    assert entries(feed("<title>t</title><description>" + "words<br><p>more" * 150 + "</description>"))[0].title == "t"


@pytest.mark.parametrize("cdata", [True, False])
def test_huge_fields_are_capped(cdata: bool) -> None:
    markup = "<p class='x'>words</p>" * 400_000
    value = f"<![CDATA[{markup}]]>" if cdata else markup.replace("<", "&lt;")
    started = time.process_time()
    first, second = entries(feed(f"<title>a</title><description>{value}</description>", "<title>b</title>"))
    assert time.process_time() - started < 3
    assert 200_000 < len(first.summary) <= 256 * 1024
    assert first.summary.rfind("<") <= first.summary.rfind(">")
    assert second.title == "b"


def test_short_fields_are_capped() -> None:
    categories = "".join(f"<category>c{i} {'x' * 1000}</category>" for i in range(500))
    (entry,) = entries(
        feed(f"<title>{'t' * 9999}</title><guid>{'g' * 9999}</guid><link>http://a/{'l' * 9999}</link>{categories}")
    )
    assert len(entry.title) == 1000
    assert entry.guid is not None
    assert entry.guid.startswith("sha256:")
    assert entry.link is None
    assert len(entry.categories) == 100
    assert max(map(len, entry.categories)) <= 200


def test_of_very_many_entries_the_newest_are_kept() -> None:
    dates = [datetime(2026, 1, 1 + i % 28, i // 28 % 24, i % 60, tzinfo=UTC) for i in range(MAX_ENTRIES + 100)]
    result = parse_feed(
        feed(
            *(
                f"<guid isPermaLink='false'>{i}</guid><pubDate>{date.isoformat()}</pubDate>"
                for i, date in enumerate(dates)
            )
        ),
        url=URL,
    )
    assert isinstance(result, ParsedFeed)
    assert result.warning
    assert len(result.entries) == MAX_ENTRIES
    kept = [entry.published for entry in result.entries if entry.published]
    assert min(kept) >= sorted(dates)[100]
    guids = [int(entry.guid or -1) for entry in result.entries]
    assert guids == sorted(guids)


async def test_a_feed_is_read_in_a_child_without_network_and_with_little_memory() -> None:
    sandbox = Sandbox()
    body = (FEEDS / "rss-newsroom.xml").read_bytes()
    try:
        assert await sandbox.run(parse_feed, body, content_type="text/xml", url=URL) == parse_feed(body, url=URL)
    finally:
        sandbox.close()


# --- encodings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "content_type", "declared"),
    [
        ("utf-8", "", ""),
        ("utf-8", "text/xml; charset=iso-8859-1", ""),
        ("utf-8-sig", "text/xml; charset=windows-1251", "koi8-r"),
        ("windows-1251", 'text/xml; charset="windows-1251"', ""),
        ("windows-1251", "text/xml", "windows-1251"),
        ("koi8-r", "", "koi8-r"),
        ("utf-16", "", ""),
        ("utf-16-be", "", "utf-16"),
        ("utf-32", "", ""),
        ("iso8859-5", "text/xml; charset=no-such-thing", "iso-8859-5"),
    ],
)
def test_encodings(codec: str, content_type: str, declared: str) -> None:
    prolog = f"<?xml version='1.0' encoding='{declared}'?>" if declared else ""
    body = (prolog + feed("<title>Банк России</title>").decode()).encode(codec)
    assert entries(body, content_type)[0].title == "Банк России"


@pytest.mark.parametrize(
    ("codec", "declared", "title"),
    [
        ("big5", "big5", "金管局公布穩定幣條例"),
        ("shift_jis", "shift_jis", "金融庁が改正案を公表①".rstrip("①")),
        ("iso2022_jp", "iso-2022-jp", "金融庁が改正案を公表"),
        ("euc_kr", "euc-kr", "금융위 규제안"),
        ("gb18030", "gb2312", "朱镕基"),
    ],
)
def test_encodings_of_east_asia(codec: str, declared: str, title: str) -> None:
    body = f"<?xml version='1.0' encoding='{declared}'?>".encode() + feed(f"<title>{title}</title>").decode().encode(
        codec
    )
    assert entries(body)[0].title == title


def test_utf_7_is_not_read() -> None:
    body = b"<?xml version='1.0' encoding='utf-7'?>" + feed("<title>+ADw-script+AD4-</title>")
    assert entries(body, "text/xml; charset=utf-7")[0].title == "+ADw-script+AD4-"
