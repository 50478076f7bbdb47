"""Keeps child processes at work: one that ends, or says for too long nothing of its work, is replaced.

It knows nothing of what they do. They are killed without ceremony, as a machine that fails would kill them: whoever
cannot bear that has no place here.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import connection, get_context, parent_process
from time import monotonic
from types import FrameType
from typing import Any

import structlog

log = structlog.get_logger()

NO_USE = 78
"""A child that ends with this code says that another start would end alike (EX_CONFIG of sysexits.h)."""

LOOK = 0.5  # seconds between two looks where nothing happens
LONGEST_WAIT = 5.0
"""Seconds before a child that keeps ending is started once more."""

STARTING = timedelta(minutes=3)
"""How long a child may take until its first sign: it reads rules and may have a busy machine."""


class Pulse:
    """A child's way to say that it works, and to hear that its parent is gone."""

    def __init__(self, pipe: connection.Connection) -> None:
        self._pipe = pipe
        os.set_blocking(pipe.fileno(), False)
        self._said = 0.0

    def beat(self) -> None:
        """Say so; as often as one likes."""
        if monotonic() - self._said >= LOOK:
            self._said = monotonic()
            # A parent that is paused has not read the last ones, and one that is gone never will.
            with suppress(OSError):
                os.write(self._pipe.fileno(), b".")

    @property
    def parent(self) -> int:
        """Becomes readable when the parent has ended, however it did."""
        mine = parent_process()
        assert mine is not None
        return int(mine.sentinel)


Work = Callable[..., None]
"""What a child does until it is told to stop by SIGTERM: it is given a Pulse, and the arguments."""


@dataclass(slots=True)
class _Child:
    process: Any = None
    pipe: Any = None
    heard_at: float = 0.0
    worked: bool = False
    failures: int = 0
    start_at: float = field(default_factory=monotonic)


def keep(work: Work, args: Sequence[object], *, processes: int, silence: timedelta, patience: timedelta) -> int:
    """Run `processes` children until SIGTERM or SIGINT; gives the exit code: 0, or 1 when starting is of no use.

    One that has not beaten for `silence` is replaced. When it is told to stop, it has `patience`.
    """
    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    children = [_Child() for _ in range(processes)]
    no_use = False
    try:
        while not stopping and not no_use:
            for child in children:
                no_use = _look_after(child, work, args, silence) or no_use
            waited = [each for child in children if child.process for each in (child.pipe, child.process.sentinel)]
            connection.wait(waited, timeout=LOOK)
    finally:
        _end(children, patience)
        for number, handler in before.items():
            signal.signal(number, handler)
    return 1 if no_use else 0


def _look_after(child: _Child, work: Work, args: Sequence[object], silence: timedelta) -> bool:
    """Start, hear, judge; True when the child says that starting it again is of no use."""
    now = monotonic()
    if child.process is None:
        if now >= child.start_at:
            _start(child, work, args)
        return False
    if _heard(child):
        child.heard_at, child.worked, child.failures = now, True, 0
    if child.process.exitcode is not None:
        code = child.process.exitcode
        log.warning("worker ended", pid=child.process.pid, code=code)
        _bury(child, now)
        return bool(code == NO_USE)
    allowed = silence if child.worked else max(silence, STARTING)
    if now - child.heard_at > allowed.total_seconds():
        log.error("worker replaced: no successful claim", pid=child.process.pid, seconds=round(now - child.heard_at))
        child.process.kill()
        child.process.join()
        _bury(child, now)
    return False


def _start(child: _Child, work: Work, args: Sequence[object]) -> None:
    context = get_context("spawn")
    child.pipe, theirs = context.Pipe(duplex=False)
    child.process = context.Process(target=_run, args=(work, theirs, *args), name="policywatch worker")
    child.process.start()
    theirs.close()  # the child alone holds it, so that its end is the pipe's end
    child.heard_at, child.worked = monotonic(), False
    log.info("worker started", pid=child.process.pid)


def _heard(child: _Child) -> bool:
    heard = False
    with suppress(OSError):
        while child.pipe.poll() and os.read(child.pipe.fileno(), 4096):
            heard = True
    return heard


def _bury(child: _Child, now: float) -> None:
    child.pipe.close()
    child.process = child.pipe = None
    child.start_at = now + min(0.5 * 2**child.failures, LONGEST_WAIT)
    child.failures += 1


def _end(children: Sequence[_Child], patience: timedelta) -> None:
    alive = [child.process for child in children if child.process is not None]
    for process in alive:
        process.terminate()
    deadline = monotonic() + patience.total_seconds()
    for process in alive:
        process.join(max(0.0, deadline - monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()


def _run(work: Work, pipe: connection.Connection, *args: object) -> None:
    work(Pulse(pipe), *args)
