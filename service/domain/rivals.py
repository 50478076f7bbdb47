"""Hits that claim the same words of a text: which of them stand.

A hit falls to a trap of its concept that covers it, and to a longer hit of its kind that covers it or reaches into it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Hit = tuple[int, int, int, tuple[tuple[int, int], ...]]
"""Where a hit begins; where it ends, negative so that of two that begin together the longer sorts first; the number of
what it claims; and the stretches that it is made of if these are several."""


class Claim(NamedTuple):
    """What a hit says its words mean: a concept of some kind, or (a trap) that they do not mean it. Both as numbers."""

    concept: int
    kind: int
    is_trap: bool


def settle(hits: list[Hit], claims: Sequence[Claim]) -> list[Hit]:
    """The hits that stand, in order. `claims[hit[2]]` is what a hit claims; hits that do not overlap are no rivals."""
    stand: list[Hit] = []
    cluster: list[Hit] = []
    reach = 0
    for hit in sorted(hits):
        if hit[0] < reach:
            cluster.append(hit)
            if -hit[1] > reach:
                reach = -hit[1]
            continue
        if len(cluster) > 1:
            stand += _winners(cluster, claims)
        elif cluster and not claims[cluster[0][2]].is_trap:
            stand.append(cluster[0])
        cluster = [hit]
        reach = -hit[1]
    if len(cluster) > 1:
        stand += _winners(cluster, claims)
    elif cluster and not claims[cluster[0][2]].is_trap:
        stand.append(cluster[0])
    return stand


def within(hits: Iterable[Hit], covers: Iterable[Hit], claims: Sequence[Claim]) -> list[Hit]:
    """Those of the hits that lie within a cover of their kind."""
    cover = _Cover()
    for start, back, number, _ in covers:
        cover.add(claims[number].kind, start, -back, 1)
    return [hit for hit in hits if cover.holds(claims[hit[2]].kind, hit[0], -hit[1], 0)]


def _winners(cluster: list[Hit], claims: Sequence[Claim]) -> list[Hit]:
    """Those that stand of hits that overlap: all of them, mostly, as they are of different kinds."""
    claimed = [claims[hit[2]] for hit in cluster]
    if not any(claim.is_trap for claim in claimed):
        if len({claim.kind for claim in claimed}) == len(cluster):
            return cluster
        if len(cluster) == 2 and not (cluster[0][3] or cluster[1][3]):
            return _of_two(*cluster)
    return _untrapped_and_longest(cluster, claims)


def _of_two(first: Hit, second: Hit) -> list[Hit]:
    """Those that stand of two of one kind: the second falls to a longer first, never the other way about."""
    longer = first[0] + first[1] < second[0] + second[1]
    return [first] if longer or first == second else [first, second]


def _untrapped_and_longest(cluster: list[Hit], claims: Sequence[Claim]) -> list[Hit]:
    traps = _Cover()
    for start, back, number, _ in cluster:
        if claims[number].is_trap:
            traps.add(claims[number].concept, start, -back, 0)
    rivals = []
    for hit in dict.fromkeys(cluster):
        start, back, number, parts = hit
        concept, kind, is_trap = claims[number]
        if not is_trap and not traps.holds(concept, start, -back, -1):
            stretches = parts or ((start, -back),)
            rivals.append((-sum(end - begin for begin, end in stretches), hit, kind, stretches))
    cover = _Cover()
    stand: list[Hit] = []
    for lightness, hit, kind, stretches in sorted(rivals):
        if all(cover.holds(kind, start, end, -lightness) for start, end in stretches):
            continue
        if cover.reaches_into(kind, hit[0], -lightness):  # "코인 발행" out of "스테이블코인 발행"
            continue
        for start, end in stretches:
            cover.add(kind, start, end, -lightness)
        stand.append(hit)
    return sorted(stand)


class _Cover:
    """Stretches by owner, found again by place: which of them hold a given stretch?"""

    def __init__(self) -> None:
        self._buckets: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)

    def add(self, owner: int, start: int, end: int, weight: int) -> None:
        for bucket in range(start // 32, (end - 1) // 32 + 1):
            self._buckets[owner, bucket].append((start, end, weight))

    def reaches_into(self, owner: int, place: int, weight: int) -> bool:
        """Whether a heavier stretch of this owner begins before `place` and ends after it."""
        near = self._buckets.get((owner, place // 32), ())
        return any(start < place < end and known > weight for start, end, known in near)

    def holds(self, owner: int, start: int, end: int, weight: int) -> bool:
        """Whether a heavier stretch of this owner holds all of [start, end)."""
        near = self._buckets.get((owner, start // 32), ())
        return any(s <= start and end <= e and w > weight for s, e, w in near)
