"""How often a key may ask: a bucket of requests for each, refilled all the time.

Kept in this process: behind several, a key may ask each of them so often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from service.api.problems import Kind, Refusal

WINDOW = 60
"""Seconds."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: datetime


class Rates:
    """Not for more than one thread: the gate asks on the loop."""

    def __init__(self, most: int, noun: str = "key") -> None:
        """`most` requests a minute for each `noun`; 0: no limit."""
        self._most = most
        self._noun = noun
        self._buckets: dict[int, _Bucket] = {}

    def spend(self, key_id: int, now: datetime) -> dict[str, str]:
        """Count a request; the headers that tell what is left (draft-ietf-httpapi-ratelimit-headers).

        Refusal with Retry-After when nothing is.
        """
        if not self._most:
            return {}
        bucket = self._buckets.setdefault(key_id, _Bucket(self._most, now))
        passed = max(0.0, (now - bucket.at).total_seconds())
        bucket.left = min(self._most, bucket.left + passed * self._most / WINDOW)
        bucket.at = max(now, bucket.at) if passed else now  # a clock that was set back does not starve a key
        policy = {"ratelimit-policy": f'"{self._noun}";q={self._most};w={WINDOW}'}
        if bucket.left < 1:
            wait = math.ceil((1 - bucket.left) * WINDOW / self._most)
            headers = {**policy, "ratelimit": f'"{self._noun}";r=0;t={wait}', "retry-after": str(wait)}
            detail = f"this {self._noun} may ask {self._most} times a minute; wait {wait} s"
            raise Refusal(Kind.TOO_MANY, detail, headers=headers)
        bucket.left -= 1
        full = math.ceil((self._most - bucket.left) * WINDOW / self._most)
        return {**policy, "ratelimit": f'"{self._noun}";r={int(bucket.left)};t={full}'}
