"""Calls that are made at about the same time, made as one: a commit or a trip to a child process costs the same for
one item as for many.

Nobody waits for company: what comes while a call is under way goes with the next one. It knows nothing of what is
called.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Together(Generic[T, R]):
    """One item in, its result out; `lanes` calls at a time, each with at most `most` items of at most `weight` in all
    (an item that is heavier goes alone).

    `call` gives a result for each item, in order; or for the first ones only, and the others go again. When it raises,
    each item is tried alone, so that the one at fault costs no other, and that one's caller gets what was raised.
    """

    def __init__(
        self,
        call: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        most: int,
        lanes: int = 1,
        weigh: Callable[[T], int] = lambda _: 0,
        weight: int = 1,
    ) -> None:
        self._call = call
        self._most = most
        self._free = lanes
        self._weigh = weigh
        self._weight = weight
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()  # the loop itself keeps no hold of its tasks

    async def __call__(self, item: T) -> R:
        """The result for `item`, or what `call` raised for it alone."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._free:
            self._free -= 1
            lane = asyncio.create_task(self._work())
            self._under_way.add(lane)
            lane.add_done_callback(self._under_way.discard)
        return await answer

    async def _work(self) -> None:
        while batch := self._next():
            if len(batch) == 1:
                await self._alone(*batch[0])
                continue
            try:
                results = await self._call([item for item, _ in batch])
            except Exception:  # whose fault it is shows when each is tried alone
                for item, answer in batch:
                    await self._alone(item, answer)
                continue
            for (_, answer), result in zip(batch, results, strict=False):
                if not answer.done():
                    answer.set_result(result)
            self._waiting.extendleft(reversed(batch[len(results) :]))
        self._free += 1  # in the same breath as the last look: what comes now starts a lane of its own

    async def _alone(self, item: T, answer: asyncio.Future[R]) -> None:
        try:
            (result,) = await self._call([item])
        except Exception as exc:  # passed on to whoever waits for it
            if not answer.done():
                answer.set_exception(exc)
        else:
            if not answer.done():
                answer.set_result(result)

    def _next(self) -> list[tuple[T, asyncio.Future[R]]]:
        """What goes with the next call; what nobody waits for any more is left out."""
        batch: list[tuple[T, asyncio.Future[R]]] = []
        left = self._weight
        while self._waiting and len(batch) < self._most:
            item, answer = self._waiting[0]
            heavy = self._weigh(item)
            if batch and heavy > left:
                break
            self._waiting.popleft()
            if not answer.done():
                batch.append((item, answer))
                left -= heavy
        return batch
