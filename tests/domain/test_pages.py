"""What follows from looking at a told report's page again, as a table of decisions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.model import Failed, Fetched, FetchReason, Gone, Limited
from service.domain.pages import ASKED_AGAIN, Look, Seen, Verdict, after_look, first_look, seen
from tests.conftest import NOON

HOUR = timedelta(hours=1)
SCHEDULE = (HOUR, HOUR * 6, HOUR * 24)


@pytest.mark.parametrize(
    ("look", "found", "hours", "verdict", "wait"),
    [
        pytest.param({}, Seen.THERE, 1, Verdict.LOOK_AGAIN, HOUR * 5, id="stands"),
        pytest.param({"seen": True}, Seen.THERE, 24, Verdict.ENOUGH, None, id="stood-long-enough"),
        pytest.param({}, Seen.GONE, 1, Verdict.NEVER_THERE, None, id="never-seen"),
        pytest.param({}, Seen.MISSING, 1, Verdict.NEVER_THERE, None, id="answers-machines-with-404"),
        pytest.param({"seen": True}, Seen.GONE, 6, Verdict.WITHDRAWN, None, id="410"),
        pytest.param({"seen": True}, Seen.MISSING, 6, Verdict.LOOK_AGAIN, ASKED_AGAIN, id="404-is-asked-again"),
        pytest.param({"seen": True, "missing": 1}, Seen.MISSING, 7, Verdict.WITHDRAWN, None, id="404-twice"),
        pytest.param({"seen": True, "missing": 1}, Seen.THERE, 7, Verdict.LOOK_AGAIN, HOUR * 17, id="back-again"),
        pytest.param({"seen": True, "missing": 1}, Seen.UNKNOWN, 7, Verdict.LOOK_AGAIN, HOUR * 17, id="host-away"),
        pytest.param({"seen": True}, Seen.MISSING, 24, Verdict.LOOK_AGAIN, ASKED_AGAIN, id="404-at-the-last-look"),
    ],
)
def test_after_look(look, found, hours, verdict, wait) -> None:
    now = NOON + HOUR * hours
    looked = after_look(Look(since=NOON, **look), found, SCHEDULE, now)
    assert looked.verdict is verdict
    assert wait is None or looked.due_at == now + wait


def test_a_host_that_is_away_does_not_clear_a_404() -> None:
    looked = after_look(Look(since=NOON, seen=True, missing=1), Seen.UNKNOWN, SCHEDULE, NOON + HOUR * 7)
    assert (looked.look.seen, looked.look.missing) == (True, 1)


@pytest.mark.parametrize(
    ("result", "found"),
    [
        pytest.param(Fetched(url="u", body=b""), Seen.THERE, id="200"),
        pytest.param(Gone(url="u"), Seen.GONE, id="410"),
        pytest.param(Failed(url="u", reason=FetchReason.HTTP_STATUS, detail="d", status=404), Seen.MISSING, id="404"),
        pytest.param(Failed(url="u", reason=FetchReason.HTTP_STATUS, detail="d", status=403), Seen.UNKNOWN, id="403"),
        pytest.param(Failed(url="u", reason=FetchReason.TIMEOUT, detail="d"), Seen.UNKNOWN, id="away"),
        pytest.param(Limited(url="u", status=429), Seen.UNKNOWN, id="429"),
    ],
)
def test_seen(result, found) -> None:
    assert seen(result) is found


def test_no_schedule_is_no_look() -> None:
    assert first_look(NOON, ()) is None
    assert first_look(NOON, SCHEDULE) == NOON + HOUR
