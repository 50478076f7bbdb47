"""Which jurisdictions are covered by which sources, and how those are: a matrix with its holes named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from service.domain.model import Feed, FeedState, Tier

SOUND = frozenset({FeedState.NEW, FeedState.HEALTHY, FeedState.MOVED, FeedState.LIMITED})
"""States in which a feed can be expected to bring what its source publishes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The feeds of one jurisdiction: how many of each tier are in each state."""

    jurisdiction: str
    cells: tuple[tuple[Tier, FeedState, int], ...]
    hole: str | None

    def of(self, tier: Tier) -> dict[FeedState, int]:
        return {state: count for each, state, count in self.cells if each is tier}


def coverage(feeds: Iterable[Feed], jurisdictions: Iterable[str] = ()) -> tuple[Coverage, ...]:
    """The matrix for these jurisdictions, or for those that have feeds when none are named."""
    counted: Counter[tuple[str, Tier, FeedState]] = Counter(
        (feed.jurisdiction, feed.tier, feed.state) for feed in feeds if feed.jurisdiction
    )
    wanted = list(dict.fromkeys(jurisdictions)) or sorted({code for code, _, _ in counted})
    return tuple(_row(code, counted) for code in wanted)


def _row(code: str, counted: Counter[tuple[str, Tier, FeedState]]) -> Coverage:
    cells = tuple((tier, state, n) for tier in Tier for state in FeedState if (n := counted[code, tier, state]))
    official = sum(n for tier, _, n in cells if tier is Tier.OFFICIAL)
    sound = sum(n for tier, state, n in cells if tier is Tier.OFFICIAL and state in SOUND)
    hole = None
    if not official:
        hole = f"{code}: 0 official sources"
    elif not sound:
        hole = f"{code}: none of {official} official sources answers with news"
    return Coverage(jurisdiction=code, cells=cells, hole=hole)
