"""A short drawing of requests from the OpenAPI document. The long one is `python -m tests.fuzz.api`."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.api import a_rulebook, ask, served


def test_what_the_document_allows_and_what_it_does_not_is_answered_as_it_says(tmp_path: Path) -> None:
    with served(tmp_path, a_rulebook(tmp_path)) as (address, key, counted):
        failed = ask(address, key, tmp_path, seed=1, examples=1, phases="examples,fuzzing")
    assert failed == 0, "the report is above"
    assert counted.statuses.total() > 100
    assert not [status for status in counted.statuses if status >= 500]
