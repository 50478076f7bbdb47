"""Calls made at about the same time go as one, and none pays for another's fault."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from service.together import Together


class Calls:
    """A call that notes what it is given; odd items can be refused, and only the first few answered."""

    def __init__(self, *, answers: int = 100, refuses: int | None = None) -> None:
        self.seen: list[list[int]] = []
        self._answers = answers
        self._refuses = refuses

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.seen.append(list(items))
        await asyncio.sleep(0)
        if self._refuses in items:
            raise ValueError(self._refuses)
        return [item * 10 for item in items][: self._answers]


async def all_of(together: Together[int, int], items: range) -> list[int | BaseException]:
    return await asyncio.gather(*(together(item) for item in items), return_exceptions=True)


async def test_what_comes_at_once_goes_at_once() -> None:
    calls = Calls()
    assert await all_of(Together(calls, most=4), range(6)) == [0, 10, 20, 30, 40, 50]
    assert calls.seen == [[0, 1, 2, 3], [4, 5]]


async def test_what_is_not_answered_goes_again_in_its_order() -> None:
    calls = Calls(answers=2)
    assert await all_of(Together(calls, most=4), range(5)) == [0, 10, 20, 30, 40]
    assert calls.seen == [[0, 1, 2, 3], [2, 3, 4], [4]]


async def test_the_one_at_fault_costs_no_other() -> None:
    results = await all_of(Together(Calls(refuses=2), most=10), range(4))
    assert [results[0], results[1], results[3]] == [0, 10, 30]
    assert isinstance(results[2], ValueError)


async def test_a_heavy_item_goes_alone() -> None:
    calls = Calls()
    await all_of(Together(calls, most=10, weigh=lambda item: item, weight=5), range(2, 8))
    assert calls.seen == [[2, 3], [4], [5], [6], [7]]


async def test_a_new_item_finds_a_lane_in_the_moment_in_which_the_last_one_ended() -> None:
    together = Together(Calls(), most=1)
    async with asyncio.timeout(5):
        for item in range(20):  # one after the other, each asked for as soon as the one before is answered
            assert await together(item) == item * 10


async def test_nobody_is_asked_for_a_caller_that_went_away() -> None:
    calls = Calls()
    together = Together(calls, most=1)
    first, second = asyncio.create_task(together(1)), asyncio.create_task(together(2))
    await asyncio.sleep(0)
    second.cancel()
    assert await first == 10
    with pytest.raises(asyncio.CancelledError):
        await second
    assert calls.seen == [[1]]
