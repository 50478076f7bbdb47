"""Every hazard that we have promised an answer to, by its id, with the tests that hold the answer.

H01 to H34 are kinds of hostile or broken input; the others are advisories of neighbouring projects, whose mistakes are
not to be made again. A test that is renamed or removed fails here until the hazard has another.
"""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest

from service.domain.model import ParsedEntry, ParsedFeed
from service.feeds.parse import parse_changed, parse_feed
from tests.loopback import item, rss

TESTS = Path(__file__).parent
URL = "https://feed.example/a"

HAZARDS = {
    "H01": "entity bombs: test_parse.test_traps_are_refused_quickly test_sitemap.test_entities_are_refused",
    "H02": "external entities: test_hazards.test_h02_an_external_entity_is_not_opened",
    "H03": "a body that names a file: test_parse.test_a_body_that_is_a_path_or_an_address_is_not_opened",
    "H04": "impossible characters: test_parse.test_siblings_of_a_poisoned_entry_are_kept "
    "test_parse.test_escaped_references_to_impossible_characters",
    "H05": "controls: test_hazards.test_h05_controls_are_left_out "
    "test_store.test_nothing_in_an_entry_costs_its_siblings",
    "H06": "tags without end: test_parse.test_traps_are_refused_quickly test_cut.test_no_document_is_slow_to_cut",
    "H07": "huge fields: test_parse.test_huge_fields_are_capped",
    "H08": "bombs of compression: test_fetch.test_bad_encodings test_fetch.test_two_encoding_headers_count_as_stacked",
    "H09": "slow and endless servers: test_fetch.test_the_deadline_is_for_the_whole_fetch "
    "test_fetch.test_an_endless_body_is_cut_off_at_ten_mebibytes test_fetch.test_broken_http_is_a_value "
    "test_fetch.test_a_slow_host_delays_no_other test_lanes.test_work_that_never_ends_holds_no_place",
    "H10": "redirects: test_fetch.test_redirects_are_followed test_fetch.test_odd_targets test_fetch.test_bad_targets",
    "H11": "moves: test_polling.test_a_new_address_is_learned_when_it_lasts_and_dropped_when_it_fails",
    "H12": "lies about change: test_fetch.test_a_304_that_nobody_asked_for_is_a_failure "
    "test_polling.test_a_server_that_repeats_304_is_asked_outright_after_eight_days",
    "H13": "validators as given: test_fetch.test_the_request_says_who_we_are_and_asks_with_what_the_server_gave "
    "test_fetch.test_a_validator_that_cannot_be_sent_back_the_same_is_not_kept",
    "H14": "patience asked for: test_fetch.test_limited test_fetch.test_retry_after test_polling.test_after_poll",
    "H15": "freshness: test_fetch.test_fresh_for "
    "test_polling.test_the_hosts_wish_to_be_left_alone_is_met_within_limits",
    "H16": "dying feeds: test_feed_health.test_a_week_tells_the_true_story_of_each_feed "
    "test_polling.test_a_failing_feed_slows_to_once_a_day_and_is_never_given_up",
    "H17": "a page instead of a feed: test_parse.test_what_is_not_a_feed_is_named",
    "H18": "other things instead of a feed: test_parse.test_what_is_not_a_feed_is_named "
    "test_parse.test_broken_json_is_unparsable test_fetch.test_an_empty_body_is_a_failure",
    "H19": "encodings: test_parse.test_encodings test_parse.test_encodings_of_east_asia "
    "test_parse.test_utf_7_is_not_read",
    "H20": "dates: test_hazards.test_h20_dates_that_cannot_be_are_none_and_others_utc "
    "test_store.test_a_new_feed_does_not_flood",
    "H21": "guids: test_store.test_keys_do_not_trust_a_repeated_guid",
    "H22": "all guids new: test_feed_health.test_a_feed_that_changes_all_its_guids_brings_neither_news_nor_a_gap",
    "H23": "edits: test_store.test_an_entry_edited_in_place_is_read_again "
    "test_store.test_a_change_of_markup_is_no_edit "
    "test_store.test_an_entry_edited_again_and_again_is_read_a_few_times_a_day_and_its_last_text_in_the_end",
    "H24": "another order: test_hazards.test_h24_another_order_brings_nothing_new "
    "test_pipeline.test_polling_again_tells_nothing_twice",
    "H25": "very many entries: test_parse.test_of_very_many_entries_the_newest_are_kept "
    "test_store.test_a_new_feed_does_not_flood",
    "H26": "one story in many feeds: test_pipeline.test_one_event_in_two_feeds_is_one_message",
    "H27": "links that are scripts: test_hazards.test_h27_only_web_addresses_are_links_and_titles_are_text",
    "H28": "long names: test_parse.test_short_fields_are_capped",
    "H29": "rolled over: test_feed_health.test_a_feed_that_rolls_over_between_polls_opens_a_gap_and_is_polled_sooner",
    "H30": "who asks: test_fetch.test_the_request_says_who_we_are_and_asks_with_what_the_server_gave",
    "H31": "quotas of a host: test_fetch.test_one_request_at_a_time_with_a_gap_to_one_host",
    "H32": "patterns of users: test_rules.test_any_shorthand_is_a_rule_or_a_problem_and_judging_never_fails",
    "H33": "traps in YAML: test_fuzz_rules.test_random_files_and_bombs_are_told_with_file_and_line",
    "H34": "traps in OPML: test_opml.test_a_trap_is_refused_with_its_reason",
}

ADVISORIES = {
    "CVE-2023-27592, CVE-2025-62780, CVE-2026-27645, CVE-2026-29038, CVE-2023-40577": "markup in what is shown: "
    "test_message.test_hostile_text test_api.test_our_own_mistake_shows_nothing_of_the_inside "
    "test_cli.test_a_strangers_title_is_no_markup",
    "GO-2025-4226": "redirects to elsewhere: test_api.test_the_front_door_leads_to_the_documentation",
    "CVE-2026-21885, CVE-2026-108735, CVE-2026-95656": "one guard for whatever goes out: "
    "test_egress.test_libraries_are_guarded_too test_egress.test_asyncio_is_guarded_too "
    "test_channels.test_the_guard_holds_in_the_child",
    "CVE-2023-22481": "secrets in logs: test_channels.test_no_secret_in_details_or_logs",
    "CVE-2025-68932": "weak tokens: test_webhook.test_new_keys_are_32_random_bytes_each "
    "test_store.test_a_weak_key_is_refused",
    "CVE-2024-51483, CVE-2024-51998, CVE-2024-56509": "file addresses: test_fetch.test_bad_addresses "
    "test_fetch.test_bad_targets",
    "CVE-2026-27696, GHSA-rph4-96w6-q594, GHSA-gwph-fp79-379w": "private addresses in disguise: "
    "test_egress.test_refused "
    "test_egress.test_a_mapped_address_is_refused test_fetch.test_odd_spellings_of_an_address_lead_nowhere "
    "test_fetch.test_a_refused_address_is_never_connected_to",
    "CVE-2026-35490, GHSA-3v57-xv5m-v7m7": "doors without a lock: test_api.test_every_operation_under_v1_needs_a_key",
    "CVE-2026-25527, CVE-2026-29065": "lists that are bombs: test_opml.test_a_trap_is_refused_with_its_reason",
    "CVE-2021-39229": "a sender that hangs: test_channels.test_no_answer_in_time "
    "test_channels.test_a_child_that_dies_is_an_outcome",
    "Forem audit of 2026-02-18": "a second way out beside the guard: test_floors.test_the_floors_hold",
}


@cache
def names_in(module: str) -> frozenset[str]:
    (path,) = TESTS.rglob(f"{module}.py")
    tree = ast.walk(ast.parse(path.read_text()))
    return frozenset(node.name for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_kind_of_bad_input_is_here() -> None:
    assert list(HAZARDS) == [f"H{number:02}" for number in range(1, 35)]


@pytest.mark.parametrize("hazard", [*HAZARDS, *ADVISORIES])
def test_the_tests_of_a_hazard_exist(hazard: str) -> None:
    listed = (HAZARDS | ADVISORIES)[hazard].rpartition(": ")[2].split()
    missing = [each for each in listed if each.partition(".")[2] not in names_in(each.partition(".")[0])]
    assert listed
    assert missing == []


# --- those that no other file holds ---------------------------------------------------------------------------------


def entries_of(document: str) -> tuple[ParsedEntry, ...]:
    parsed = parse_feed(document.encode(), url=URL)
    assert isinstance(parsed, ParsedFeed)
    return parsed.entries


@pytest.mark.parametrize(
    "declared", ['x SYSTEM "{path}"', 'x PUBLIC "p" "{path}"', '% p SYSTEM "{path}"> %p; <!ENTITY x "y"']
)
def test_h02_an_external_entity_is_not_opened(declared: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary.txt"
    canary.write_text("sings")
    declared = declared.replace("{path}", canary.as_uri())
    document = f"<!DOCTYPE rss [<!ENTITY {declared}>]>{rss(item('1', 'Notice &x;', text='&x;')).partition('?>')[2]}"
    (entry,) = entries_of(document)
    assert entry.title.startswith("Notice")
    assert "sings" not in repr(entry)


def test_h05_controls_are_left_out() -> None:
    document = rss(item("a\0b", "Ti\x08t\x1ble&#0;", text="x&#x1f;y\ufeff"), item("2", "Sibling"))
    first, second = entries_of(document)
    assert (first.guid, first.title, first.summary, second.title) == ("ab", "Title", "xy", "Sibling")


@pytest.mark.parametrize(
    ("written", "published"),
    [
        ("Mon, 02 Mar 2026 12:00:00 +0900", datetime(2026, 3, 2, 3, tzinfo=UTC)),
        ("2026-03-02T12:00:00-05:00", datetime(2026, 3, 2, 17, tzinfo=UTC)),
        ("Sun, 29 Mar 2026 02:30:00 +0100", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # a clock change in Europe
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("Mon, 32 Foo 2026 25:61:61 GMT", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_h20_dates_that_cannot_be_are_none_and_others_utc(written: str, published: datetime | None) -> None:
    (entry,) = entries_of(rss(item("1", "Notice", published=written)))
    assert entry.published == published


def test_h24_another_order_brings_nothing_new() -> None:
    items = [item(str(n), f"Notice {n}") for n in range(4)]
    known = frozenset(parse_changed(rss(*items).encode(), url=URL, known=frozenset()).digests)
    for order in permutations(items):
        changed = parse_changed(rss(*order).encode(), url=URL, known=known)
        assert isinstance(changed.feed, ParsedFeed)
        assert (changed.feed.entries, changed.unchanged) == ((), 4)


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://a.example/", "http://"]
)
def test_h27_only_web_addresses_are_links_and_titles_are_text(link: str) -> None:
    (entry,) = entries_of(rss(item("1", "&lt;script&gt;alert(1)&lt;/script&gt;Ban &lt;i&gt;now&lt;/i&gt;", link=link)))
    assert entry.link is None
    assert entry.title == "Ban now"
