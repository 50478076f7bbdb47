"""What tests and benchmarks take as given: a time, a key, a clock. It needs nothing that only tests need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.domain.model import Secret

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TEST_KEY = Secret("cG9saWN5d2F0Y2ggdGVzdHMgdXNlIHRoaXMga2V5ISE=")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, step: timedelta) -> datetime:
        self.now += step
        return self.now
