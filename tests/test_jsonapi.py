"""JSON APIs as sources: what expressions find, what a document suggests, and documents that mean no good."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from service.domain.model import Failed, FetchReason, ParsedFeed, Paths
from service.feeds.jsonapi import fault_in_path, moment, parse_json_list, propose_paths

URL = "https://api.gov.example/v1/documents?per_page=20"
NOTICES = [
    {
        "document_number": f"2026-{n:05}",
        "title": f"Notice {n} on the licensing of exchanges",
        "type": "Rule",
        "html_url": f"https://gov.example/d/{n}",
        "publication_date": f"2026-03-0{n}",
        "abstract": f"The agency adopts a rule of number {n}, which takes effect in June.",
    }
    for n in range(1, 6)
]
PATHS = Paths(
    items="results",
    id="document_number",
    title="title",
    link="html_url",
    date="publication_date",
    text="abstract",
)


def parse(document: object, paths: Paths = PATHS) -> ParsedFeed | Failed:
    body = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()
    return parse_json_list(body, content_type="application/json", url=URL, paths=paths)


def test_an_api_is_a_feed() -> None:
    feed = parse({"count": 5, "results": NOTICES})
    assert isinstance(feed, ParsedFeed)
    assert [entry.guid for entry in feed.entries] == [f"2026-0000{n}" for n in range(1, 6)]
    first = feed.entries[0]
    assert (first.title, first.link) == ("Notice 1 on the licensing of exchanges", "https://gov.example/d/1")
    assert first.published == datetime(2026, 3, 1, tzinfo=UTC)
    assert "takes effect in June" in first.content


def test_expressions_may_build_what_the_api_does_not_say() -> None:
    link = "join('', ['/view?no=', to_string(no)])"
    paths = Paths(items="values(data)", id="no", title="subject || name", link=link)
    feed = parse({"data": {"a": {"no": 7, "subject": "", "name": "가상자산 이용자 보호법 시행"}}}, paths)
    assert isinstance(feed, ParsedFeed)
    (entry,) = feed.entries
    assert (entry.guid, entry.title) == ("7", "가상자산 이용자 보호법 시행")
    assert entry.link == "https://api.gov.example/view?no=7"


@pytest.mark.parametrize(
    ("document", "reason", "said"),
    [
        pytest.param({"result": NOTICES}, FetchReason.NOT_A_FEED, "finds no list", id="renamed"),
        pytest.param({"results": {"a": 1}}, FetchReason.NOT_A_FEED, "finds no list", id="no-list"),
        pytest.param({"results": [{"other": 1}]}, FetchReason.NOT_A_FEED, "none of the 1 items", id="other-items"),
        pytest.param(b"<html>", FetchReason.UNPARSABLE, "not JSON", id="a-page"),
        pytest.param(b"", FetchReason.UNPARSABLE, "not JSON", id="nothing"),
        pytest.param(b"[" * 100_000, FetchReason.TOO_COMPLEX, "nested", id="deep"),
        pytest.param(b'{"results": [' + b"9" * 5000 + b"]}", FetchReason.UNPARSABLE, "not JSON", id="a-huge-number"),
    ],
)
def test_what_does_not_fit_is_a_failure_with_its_reason(document: object, reason: FetchReason, said: str) -> None:
    failed = parse(document)
    assert isinstance(failed, Failed)
    assert failed.reason is reason
    assert said in failed.detail


def test_an_empty_list_is_no_failure() -> None:
    assert parse({"results": []}) == ParsedFeed()


def test_an_expression_that_fails_on_this_document_is_named() -> None:
    failed = parse({"results": NOTICES}, Paths(items="results", title="title", link="join('/', title)"))
    assert isinstance(failed, Failed)
    assert "join" in failed.detail


def test_one_item_that_is_none_costs_no_other() -> None:
    feed = parse({"results": [None, 7, "x", [], {"title": {"deep": 1}}, NOTICES[0]]})
    assert isinstance(feed, ParsedFeed)
    assert len(feed.entries) == 1


@pytest.mark.parametrize("written", ["2026-03-05T00:00:00Z", "20260305", "2026.3.5", "March 5, 2026", 1772668800,
                                     "1772668800000", 1772668800.0])  # fmt: skip
def test_times_as_apis_write_them(written: object) -> None:
    assert moment(written) == datetime(2026, 3, 5, tzinfo=UTC)


@pytest.mark.parametrize("written", ["soon", "", None, True, 17, "99999999999999999", "20261399", [], "2026-02-31"])
def test_what_is_no_time(written: object) -> None:
    assert moment(written) is None


def test_an_expression_is_checked_before_it_is_kept() -> None:
    assert fault_in_path("data.results[?type=='Rule']") is None
    for wrong in ("results[", "a b", "nothere(", "x" * 501):
        assert fault_in_path(wrong) is not None, wrong


def propose(document: object) -> tuple[Paths, ...]:
    found = propose_paths(json.dumps(document).encode(), content_type="application/json", url=URL)
    return tuple(each.paths for each in found)


def test_a_document_suggests_its_list() -> None:
    facets = [{"name": "Rule", "count": 3}, {"name": "Notice", "count": 2}]
    (best, *_) = propose({"count": 5, "facets": facets, "results": NOTICES})
    assert best == PATHS


def test_fields_one_level_down_and_odd_names_are_found() -> None:
    posts = [
        {"id": n, "date": f"2026-03-0{n}T10:00:00", "link": f"https://gov.example/?p={n}", "status": "publish",
         "title": {"rendered": f"Press release {n}"}, "content": {"rendered": f"<p>The ministry says {n}.</p>"}}
        for n in range(1, 5)
    ]  # fmt: skip
    assert propose(posts) == (
        Paths(items="@", id="id", title="title.rendered", link="link", date="date", text="content.rendered"),
    )
    odd = {"list-of": [{"문서명": f"고시 제{n}호 가상자산 관련", "주소": f"/{n}"} for n in range(3)]}
    assert propose(odd) == (Paths(items='"list-of"', title='"문서명"', link='"주소"'),)


@pytest.mark.parametrize("document", [{}, [], [1, 2], {"a": [{"x": 1}, {"x": 2}]}, "text", [{"id": 1}] * 3])
def test_a_document_without_a_list_of_news_suggests_nothing(document: object) -> None:
    assert propose(document) == ()
