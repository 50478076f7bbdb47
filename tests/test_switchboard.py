"""Many calls at a time in a child: what one of them does is no other's loss."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from service.domain.model import EgressRefused
from service.sandbox import SandboxDied, SandboxTimeout
from service.switchboard import Switchboard
from tests.test_sandbox import connect, own_pid

MET = threading.Barrier(3)


@pytest.fixture
def board() -> Iterator[Switchboard]:
    made = Switchboard(children=1, threads=3, wall_seconds=60)
    yield made
    made.close()


def meet() -> int:
    """Comes back when three calls are here at the same time."""
    return MET.wait(30)


def fail() -> None:
    raise ValueError("no such room")


def forever() -> None:
    threading.Event().wait()


def take_all() -> None:
    raise MemoryError


async def test_calls_of_one_child_run_at_the_same_time(board: Switchboard) -> None:
    assert sorted(await asyncio.gather(*(board.run(meet) for _ in range(3)))) == [0, 1, 2]


async def test_what_a_call_raises_reaches_its_caller(board: Switchboard) -> None:
    with pytest.raises(ValueError, match="no such room"):
        await board.run(fail)
    assert await board.run(own_pid) == await board.run(own_pid), "and costs no child"


async def test_a_call_given_up_lets_its_child_end_after_the_others(board: Switchboard) -> None:
    first = await board.run(own_pid)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(timedelta(milliseconds=50).total_seconds()):
            await board.run(forever)
    assert await board.run(own_pid) != first


async def test_a_call_that_never_ends_is_stopped_by_the_clock() -> None:
    board = Switchboard(children=1, wall_seconds=0.2)
    await board.run(own_pid)
    with pytest.raises(SandboxTimeout, match=r"forever did not end within 0\.2 s"):
        await board.run(forever)
    board.close()


@pytest.mark.parametrize("how", ["killed", "out of memory"])
async def test_a_child_that_ends_is_told_to_all_that_wait_and_replaced(board: Switchboard, how: str) -> None:
    pid = await board.run(own_pid)
    waiting = asyncio.create_task(board.run(forever))
    await asyncio.sleep(0)
    if how == "killed":
        os.kill(pid, signal.SIGKILL)
    else:
        with pytest.raises(SandboxDied, match="more memory than it may use"):
            await board.run(take_all)
    with pytest.raises(SandboxDied):
        await waiting
    assert await board.run(own_pid) != pid


async def test_the_guard_decides_in_the_child(board: Switchboard) -> None:
    closed = Switchboard(children=1, egress_allow=())
    with pytest.raises(EgressRefused, match=r"egress\.allow"):
        await closed.run(connect, 9)
    closed.close()


async def test_nothing_is_begun_once_closed(board: Switchboard) -> None:
    waiting = asyncio.create_task(board.run(forever))
    await asyncio.sleep(0)
    board.close()
    with pytest.raises(SandboxDied):
        await waiting
    with pytest.raises(SandboxDied, match="closed"):
        await board.run(own_pid)
