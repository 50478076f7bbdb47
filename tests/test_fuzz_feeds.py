"""A short run of tests/fuzz/feeds.py: `python -m tests.fuzz.feeds --mutants 1000000` is the long one."""

from __future__ import annotations

from random import Random

from tests.fuzz.feeds import SURVIVE, Report, chunk, own_samples, try_one
from tests.loopback import item, rss


def test_mutants_are_read_or_refused_and_cost_no_siblings() -> None:
    report = chunk(own_samples(), seed=4, count=600)
    assert [what for what, _ in report.escapes] == []
    assert (report.mutants, report.siblings) == (600, 660)
    assert report.kept / report.siblings >= SURVIVE
    assert 100 < report.read < 600


def test_a_good_feed_is_no_escape() -> None:
    report = Report()
    assert try_one(rss(item("1", "Notice")).encode(), report, Random(1)) is not None
    assert (report.read, report.escapes) == (1, [])
