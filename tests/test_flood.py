"""A short version of `python -m tests.flood`: what it counts must be right; the command also judges what it costs."""

from __future__ import annotations

from pathlib import Path

from service.domain.model import RouteReason
from tests.flood import flood, rules


async def test_many_entries_of_one_story_are_one_alert_and_all_in_the_ledger(database_url: str, tmp_path: Path) -> None:
    found = await flood(100, database_url, rules(tmp_path))
    assert (found.reports, found.messages, found.waiting) == (100, 1, 0)
    assert (found.ledger.matches, found.ledger.missing) == (200, 0)
    assert found.ledger.suppressed == {RouteReason.ALREADY_TOLD: 99, RouteReason.UNCONFIRMED: 100}
