"""What calls the steps in one process: fixed APScheduler ticks that claim whatever is due, on asyncio's own loop.

A tick never waits for the work it starts, so one slow feed delays nobody. The truth is in the tables: a tick that is
late, lost or doubled does no harm. The scheduler keeps its few jobs in memory and one per kind of work, not per feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from service.pipeline import Pipeline
from service.pushing import Pushing
from service.storage.wakes import Step

log = structlog.get_logger()

T = TypeVar("T")

SLOW_AFTER = timedelta(seconds=0.25)
SLOW_SHARE = 5
"""Work that takes longer than the one waits for somebody else, and gives its place up; so many times the places may be
taken by such work. Else a few servers that never answer would hold every place, each time for a whole deadline."""

PROCESS_ROOM = 32
"""Entries processed at the same time: enough that what waits for the commit under way fills the next one."""

LOOK_ROOM = 2
"""Pages of told reports looked at again at the same time: nothing waits for them."""

FILL_ROOM = 2
"""Gaps looked into at the same time."""

ASK_ROOM = 4


DUE_ROOM = 4
"""Digests put together at the same time. They hold no lease: one that is found twice is done once, and costs a look."""


class Lane(Generic[T]):
    """One step's work in flight: takes as much as it has room for, and never waits for the slowest."""

    def __init__(
        self,
        name: str,
        *,
        claim: Callable[[int], Awaitable[Sequence[T]]],
        work: Callable[[T], Awaitable[object]],
        give_back: Callable[[T, str], Awaitable[object]],
        room: int,
        slow: int = 0,
        then: Callable[[], None] = lambda: None,
        again: Callable[[], None] = lambda: None,
    ) -> None:
        """`room` pieces of work at a time, and `slow` more while that many take longer than SLOW_AFTER.

        `give_back` records why a piece of work broke off; `then` is called after each: the next lane may have
        something to do now. `again` is called when more may be due than there was room for, and there is room now.
        """
        self.name = name
        self._claim = claim
        self._work = work
        self._give_back = give_back
        self._room = room
        self._slow_room = slow
        self._then = then
        self._again = again
        self._more = False
        self._slow: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._claiming = asyncio.Lock()
        self._queued = False
        self._open = True

    async def tick(self) -> int:
        """Start what is due and fits; gives how much was started."""
        started = 0
        if self._queued:
            return 0  # another tick waits its turn, and will see all that this one would
        self._queued = True
        async with self._claiming:
            self._queued = False
            while self._open and (room := self.free) > 0:
                try:
                    claimed = await self._claim(room)
                except Exception:
                    # The database may be away for a while: say so, and let the next tick try again.
                    log.exception("claim failed", lane=self.name)
                    break
                for item in claimed:
                    self._start(item)
                started += len(claimed)
                self._more = len(claimed) == room
                if not self._more:
                    break
        return started

    def _start(self, item: T) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._run(item))
        self._tasks.add(task)
        waits = loop.call_later(SLOW_AFTER.total_seconds(), self._give_place_up, task) if self._slow_room else None

        def ended(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._slow.discard(task)
            if waits is not None:
                waits.cancel()
            if self.free * 2 >= self._room:  # not after each: a claim costs the same for one as for many
                self._look_again()

        task.add_done_callback(ended)

    def _give_place_up(self, task: asyncio.Task[None]) -> None:
        if len(self._slow) < self._slow_room:
            self._slow.add(task)
            self._look_again()

    def _look_again(self) -> None:
        if self._more and self._open:
            self._again()

    @property
    def free(self) -> int:
        """How much more may be started now."""
        return max(0, self._room - (len(self._tasks) - len(self._slow)))

    async def _run(self, item: T) -> None:
        try:
            await self._work(item)
        except Exception as exc:
            # A defect of ours. The item is taken up again later, with its reason visible; its siblings go on.
            log.exception("step failed", lane=self.name)
            try:
                await self._give_back(item, f"internal error ({type(exc).__name__}); see the log")
            except Exception:
                log.exception("giving back failed", lane=self.name)  # the lease will run out
        self._then()

    @property
    def busy(self) -> int:
        return len(self._tasks)

    async def settle(self) -> None:
        """Wait until nothing is in flight."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self, *, patience: timedelta) -> None:
        """Take nothing new, give what is in flight `patience` to end, then drop it: its leases run out."""
        self._open = False
        async with self._claiming:
            pass  # a claim under way has started its work by now; missed here, it would be cut off without a word
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=patience.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Chore:
    """Something small to look after now and then, in a thread; it must not raise for what it can foresee."""

    name: str
    every: timedelta
    do: Callable[[], object]


class Embedded:
    """All steps in this process, and what comes due by itself."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        now: Callable[[], datetime],
        tick: timedelta,
        polls: int,
        deliveries: int,
        chores: Sequence[Chore] = (),
        pushing: Pushing | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`pushing` asks hubs to push feeds; without it feeds are only polled. `beat` is called after each successful
        claim."""
        self._beat = beat
        self._chores = tuple(chores)
        self._tick = tick
        self._now = now
        self.last_tick: datetime | None = None
        """When work was last looked for successfully: what readiness tells."""
        self._scheduler: AsyncIOScheduler | None = None
        self._nudged: set[asyncio.Task[int]] = set()
        self.deliver = Lane(
            "deliver",
            claim=pipeline.claim_deliveries,
            work=pipeline.deliver,
            give_back=pipeline.give_back_delivery,
            room=deliveries,
            slow=deliveries * SLOW_SHARE,
            # Each: what ended has freed its channel, whose next message may be all that there is.
            then=lambda: self._nudge(self.deliver),
            again=lambda: self._nudge(self.deliver),
        )
        self.process = Lane(
            "process",
            claim=pipeline.claim_entries,
            work=pipeline.process,
            give_back=pipeline.give_back_entry,
            room=PROCESS_ROOM,
            slow=PROCESS_ROOM,
            then=lambda: self._nudge(self.deliver, self.process),
        )
        self.poll = Lane(
            "poll",
            claim=self._noted(pipeline.claim_polls),
            work=pipeline.poll,
            give_back=pipeline.give_back_feed,
            room=polls,
            slow=polls * SLOW_SHARE,
            again=lambda: self._nudge(self.poll),
            then=lambda: self._nudge(self.process),
        )
        self.digest = Lane(
            "digest",
            claim=pipeline.claim_digests,
            work=pipeline.digest,
            give_back=pipeline.give_back_digest,
            room=DUE_ROOM,
            then=lambda: self._nudge(self.deliver, self.digest),
        )
        self.escalate = Lane(
            "escalate",
            claim=pipeline.claim_escalations,
            work=pipeline.escalate,
            give_back=pipeline.give_back_escalation,
            room=DUE_ROOM,
            then=lambda: self._nudge(self.deliver, self.escalate),
        )
        self.look = Lane(
            "look",
            claim=pipeline.claim_looks,
            work=pipeline.look,
            give_back=pipeline.give_back_look,
            room=LOOK_ROOM,
            then=lambda: self._nudge(self.deliver),
        )
        self.fill = Lane(
            "fill",
            claim=pipeline.claim_gaps,
            work=pipeline.fill,
            give_back=pipeline.give_back_gap,
            room=FILL_ROOM,
            then=lambda: self._nudge(self.process),
        )
        self.drill = Lane(
            "drill",
            claim=pipeline.claim_drills,
            work=pipeline.end_drill,
            give_back=pipeline.give_back_drill,
            room=DUE_ROOM,
            then=lambda: self._nudge(self.deliver),
        )
        last: tuple[Lane[Any], ...] = (self.digest, self.escalate, self.deliver, self.look, self.drill)
        self._lanes: tuple[Lane[Any], ...] = (self.poll, self.fill, self.process, *last)
        if pushing is not None:
            asking = Lane("ask hubs", claim=pushing.claim, work=pushing.ask, give_back=pushing.give_back, room=ASK_ROOM)
            self._lanes = (self.poll, asking, self.fill, self.process, *last)

    def _noted(self, claim: Callable[[int], Awaitable[Sequence[T]]]) -> Callable[[int], Awaitable[Sequence[T]]]:
        async def noting(limit: int) -> Sequence[T]:
            claimed = await claim(limit)
            self.last_tick = self._now()
            self._beat()
            return claimed

        return noting

    def wake(self) -> None:
        """Entries have come in by another way than a poll: look for them now."""
        self._nudge(self.process)

    async def look_for(self, step: Step) -> None:
        """Another process has made something due: claim a batch of it, if there is room."""
        lanes: dict[Step, Lane[Any]] = {
            Step.POLL: self.poll,
            Step.PROCESS: self.process,
            Step.DELIVER: self.deliver,
        }
        await lanes[step].tick()

    def start(self) -> None:
        """Begin to tick; call it on the running loop."""
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        for lane in self._lanes:
            self._scheduler.add_job(
                self._on_time,
                "interval",
                args=[lane],
                seconds=self._tick.total_seconds(),
                id=lane.name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        for chore in self._chores:
            self._scheduler.add_job(
                self._look_after,
                "interval",
                args=[chore],
                seconds=chore.every.total_seconds(),
                id=f"chore {chore.name}",
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        self._scheduler.start()
        self._nudge(*self._lanes)

    async def drain(self) -> None:
        """Work until nothing that is due is left. For one-off runs and tests; `start` is for a service."""
        while True:
            started = 0
            for lane in self._lanes:
                started += await lane.tick()
                await lane.settle()
            if self._nudged:
                await asyncio.gather(*self._nudged)
            if not started and not self._nudged and not any(lane.busy for lane in self._lanes):
                return

    async def stop(self, *, patience: timedelta) -> None:
        """End the ticks, let what is in flight finish within `patience`."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        await asyncio.gather(*(lane.close(patience=patience) for lane in self._lanes))
        if self._nudged:
            await asyncio.gather(*self._nudged, return_exceptions=True)

    async def _on_time(self, lane: Lane[Any]) -> None:
        # The scheduler cancels what it runs when it is shut down, and a claim must not be cut off half-way.
        self._nudge(lane)

    async def _look_after(self, chore: Chore) -> None:
        try:
            await asyncio.to_thread(chore.do)
        except Exception:
            log.exception("chore failed", chore=chore.name)

    def _nudge(self, *lanes: Lane[Any]) -> None:
        for lane in lanes:
            task = asyncio.ensure_future(lane.tick())
            self._nudged.add(task)
            task.add_done_callback(self._nudged.discard)
