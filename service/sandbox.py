"""Child processes with limits on memory, CPU time, wall time and network, for code that meets hostile input.

A call that breaks a limit loses its child and nobody else's; a child never outlives its parent. It knows nothing of
feeds, pages or messages: it runs a module-level function on arguments that can be pickled.
"""

from __future__ import annotations

import asyncio
import importlib.machinery
import math
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import NoReturn, ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from service import egress
from service.domain.model import ServiceError

P = ParamSpec("P")
T = TypeVar("T")

MEMORY_BYTES = 512 * 1024 * 1024
CALLS_PER_CHILD = 500  # a child is replaced after so many calls: what leaks in parsers does not pile up
START_SECONDS = 30.0  # what a loaded machine may need to start a child, on top of a call's own time
_OUT_OF_MEMORY = 77

FROM_NOTHING = multiprocessing.get_context("spawn")
"""A child is a new interpreter: it holds no memory, socket or secret of ours."""


class SandboxTimeout(ServiceError):
    """The call took more wall or CPU time than it may."""


class SandboxDied(ServiceError):
    """The call's child ended before it answered: out of memory, a crash, or killed from outside."""


class Sandbox:
    """A pool of `workers` child processes, started when the first call needs them.

    `egress_allow` None: no network at all in the children; otherwise the guard with that allow list.
    """

    def __init__(
        self,
        workers: int = 1,
        memory_bytes: int = MEMORY_BYTES,
        cpu_seconds: float = 10.0,
        wall_seconds: float = 15.0,
        egress_allow: Sequence[egress.Network] | None = None,
        start: BaseContext = FROM_NOTHING,
    ) -> None:
        """`start` is how a child begins; from nothing, unless somebody has a clean process at hand to fork it from."""
        self.workers = workers
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._child = (memory_bytes, None if egress_allow is None else tuple(egress_allow))
        self._context = start
        self._free = asyncio.Semaphore(workers)
        self._pool: ProcessPool | None = None
        self._waiting: set[asyncio.Future[object]] = set()
        self._closed = False

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises in a child; SandboxTimeout or SandboxDied when it broke a limit.

        Calls beyond the number of children wait their turn; waiting does not count against their time.
        A cancelled call's child is stopped.
        """
        async with self._free:
            return await self._call(function, args, kwargs)

    def close(self) -> None:
        """Stop the children at once; calls under way raise SandboxDied."""
        self._closed = True
        self._drop(self._pool)
        for answer in self._waiting:
            answer.cancel()

    async def _call(self, function: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]) -> T:
        name = getattr(function, "__name__", repr(function))
        call = (function, args, kwargs, self._cpu_seconds)
        pool = self._ready()
        try:
            future = pool.schedule(_limited, args=call, timeout=self._wall_seconds)
        except RuntimeError:  # an idle child was killed, and the pool noticed between two lines
            self._drop(pool)
            pool = self._ready()
            future = pool.schedule(_limited, args=call, timeout=self._wall_seconds)
        answer: asyncio.Future[T] = asyncio.wrap_future(future)
        self._waiting.add(answer)  # type: ignore[arg-type]  # only ever cancelled through the set
        try:
            # The pool counts from the start of the call; this limit is for a child that never takes the call up.
            async with asyncio.timeout(self._wall_seconds + START_SECONDS):
                return await answer
        except TimeoutError as exc:
            raise SandboxTimeout(f"{name} was stopped after {self._wall_seconds:g} s") from exc
        except ProcessExpired as exc:
            raise _expired(name, exc, self._cpu_seconds) from exc
        except BrokenProcessPool as exc:
            self._drop(pool)  # the next call starts a new one
            raise SandboxDied(f"the child process for {name} ended before it answered") from exc
        except asyncio.CancelledError as exc:
            if not self._closed or _is_cancelled():
                raise
            raise SandboxDied(f"the sandbox was closed while {name} ran") from exc
        finally:
            self._waiting.discard(answer)

    def _ready(self) -> ProcessPool:
        if self._closed:
            raise SandboxDied("the sandbox is closed")
        if self._pool is None or not self._pool.active:
            self._drop(self._pool)
            spare_children_the_main_module()
            self._pool = ProcessPool(
                max_workers=self.workers,
                max_tasks=CALLS_PER_CHILD,
                initializer=confine,
                initargs=self._child,
                context=self._context,
            )
        return self._pool

    def _drop(self, pool: ProcessPool | None) -> None:
        if pool is not None and pool is self._pool:  # else another call has dropped it already
            self._pool = None
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()


def _is_cancelled() -> bool:
    """Whether somebody cancelled the task we run in, rather than the future it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _expired(name: str, exc: ProcessExpired, cpu_seconds: float) -> ServiceError:
    if exc.exitcode == -signal.SIGXCPU:
        return SandboxTimeout(f"{name} was stopped after {cpu_seconds:g} s of CPU time")
    return SandboxDied(f"the child process for {name} {end_of(exc.exitcode)}")


def end_of(exitcode: int | None) -> str:
    """How a child ended, for a sentence about it."""
    if exitcode == _OUT_OF_MEMORY:
        return "needed more memory than it may use"
    if exitcode is not None and exitcode < 0:
        return f"was ended by {signal.Signals(-exitcode).name}"
    return f"ended with exit code {exitcode}"


def spare_children_the_main_module() -> None:
    """Keep children from importing the program that was started, and with it the whole service.

    A spawned child runs the parent's main script again as a module, unless the script's spec says it is a `__main__`.
    """
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is None or not spec.name.endswith("__main__"):  # a script, or a module that was started with -m
        main.__spec__ = importlib.machinery.ModuleSpec("__main__", None)


# --- in the child -------------------------------------------------------------------------------------------------


def confine(memory_bytes: int, allow: tuple[egress.Network, ...] | None) -> None:
    """Put a fresh child under its limits."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # ends it even inside a C function
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if allow is None:
        egress.close()
    else:
        egress.install(allow)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent's end, however it comes: its side of this pipe closes even on SIGKILL."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _limited(function: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object], cpu_seconds: float) -> T:
    """One call under a CPU limit of its own; out of memory, the child is not fit for another call and ends."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + cpu_seconds), hard))
    try:
        return function(*args, **kwargs)
    except MemoryError:
        out_of_memory()


def out_of_memory() -> NoReturn:
    """End this child in the way that tells its parent why."""
    os._exit(_OUT_OF_MEMORY)
