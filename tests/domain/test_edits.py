"""When an entry that its publisher changes is read again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.edits import read_again_at
from tests.given import NOON

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("edits", "since_read", "wait"),
    [
        pytest.param(1, timedelta(0), timedelta(0), id="the-first-at-once"),
        pytest.param(3, timedelta(0), timedelta(0), id="the-third-too"),
        pytest.param(4, timedelta(0), HOUR, id="then-an-hour-after-the-last-reading"),
        pytest.param(4, HOUR / 4, 3 * HOUR / 4, id="which-may-be-a-while-ago"),
        pytest.param(4, 2 * HOUR, timedelta(0), id="or-long-ago"),
        pytest.param(6, timedelta(0), 4 * HOUR, id="then-ever-longer"),
        pytest.param(10_000, timedelta(0), 12 * HOUR, id="within-a-limit"),
        pytest.param(10_000, None, timedelta(0), id="unless-it-was-never-read"),
    ],
)
def test_read_again_at(edits: int, since_read: timedelta | None, wait: timedelta) -> None:
    last_read = None if since_read is None else NOON - since_read
    assert read_again_at(edits, last_read, NOON) == NOON + wait
