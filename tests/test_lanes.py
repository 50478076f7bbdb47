"""Lanes of work: what waits for somebody else gives its place up, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from service.runner import Lane


class Work:
    """Pieces of work in the order in which they are claimed; negative ones never end by themselves."""

    def __init__(self, *pieces: int) -> None:
        self.waiting = list(pieces)
        self.started: list[int] = []
        self.done: list[int] = []
        self.nudges: set[asyncio.Task[int]] = set()

    def lane(self, *, room: int, slow: int) -> Lane[int]:
        lane: Lane[int] = Lane(
            "work",
            claim=self.claim,
            work=self.work,
            give_back=self.give_back,
            room=room,
            slow=slow,
            again=lambda: self.nudges.add(asyncio.create_task(lane.tick())),
        )
        return lane

    async def claim(self, limit: int) -> Sequence[int]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def work(self, piece: int) -> None:
        self.started.append(piece)
        if piece < 0:
            await asyncio.Event().wait()
        self.done.append(piece)

    async def give_back(self, _piece: int, _problem: str) -> None:
        raise AssertionError("nothing breaks off here")


async def until(lane: Lane[int], work: Work, count: int) -> None:
    async with asyncio.timeout(20):
        while len(work.started) < count or lane.busy > sum(piece < 0 for piece in work.started):
            await asyncio.wait({*lane._tasks, *work.nudges}, return_when=asyncio.FIRST_COMPLETED, timeout=0.1)
            work.nudges = {task for task in work.nudges if not task.done()}


async def test_work_that_never_ends_holds_no_place() -> None:
    work = Work(-1, -2, -3, -4, 1, 2, 3, 4, 5)
    lane = work.lane(room=2, slow=10)
    await lane.tick()
    assert work.waiting == [-3, -4, 1, 2, 3, 4, 5]  # no more at first than there is room for
    await until(lane, work, 9)
    assert work.done == [1, 2, 3, 4, 5]
    await lane.close(patience=timedelta(0))


async def test_no_more_than_so_many_wait_beside() -> None:
    work = Work(-1, -2, -3, -4, -5, -6, 1)
    lane = work.lane(room=2, slow=3)
    await lane.tick()
    await until(lane, work, 5)
    assert lane.busy == 5
    assert work.waiting == [-6, 1]
    await lane.close(patience=timedelta(0))
    assert lane.busy == 0
