"""Calls in child processes, many at a time in each: for code of others that mostly waits for strangers' servers.

A child is confined as those of `sandbox` are. Its calls are threads of it, so one that waits holds up no other; a call
that is given up leaves its thread behind, and the child is replaced: it ends when its other calls have.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar, cast

from service import egress
from service.sandbox import (
    FROM_NOTHING,
    START_SECONDS,
    SandboxDied,
    SandboxTimeout,
    confine,
    end_of,
    out_of_memory,
    spare_children_the_main_module,
)

P = ParamSpec("P")
T = TypeVar("T")

MEMORY_BYTES = 2 * 1024 * 1024 * 1024
"""Address space, of which each thread reserves much more than it uses."""

CALLS_PER_CHILD = 5000  # a child is replaced after so many calls: what leaks in plugins does not pile up
_SIZE = 4  # bytes before each message: its length


class Switchboard:
    """`children` processes with `threads` calls at a time in each, started when the first call needs them.

    `egress_allow` as for a `Sandbox`. There is no limit on processor time: what never ends is found by the clock.
    """

    def __init__(
        self,
        *,
        children: int = 2,
        threads: int = 32,
        memory_bytes: int = MEMORY_BYTES,
        wall_seconds: float = 15.0,
        egress_allow: Sequence[egress.Network] | None = None,
        start: BaseContext = FROM_NOTHING,
    ) -> None:
        """`start` is how a child begins, as for a `Sandbox`."""
        self._most = children
        self._wall_seconds = wall_seconds
        self._manner = (memory_bytes, None if egress_allow is None else tuple(egress_allow), threads)
        self._context = start
        self._free = asyncio.Semaphore(children * threads)
        self._children: list[_Child] = []
        self._closed = False

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises in a child; SandboxTimeout or SandboxDied when it broke a limit.

        Calls beyond the places wait their turn; waiting does not count against their time. A cancelled call goes on in
        its child, whose answer nobody hears.
        """
        async with self._free:
            child = self._least_busy()
            try:
                async with asyncio.timeout(self._wall_seconds + (0 if child.answered else START_SECONDS)):
                    return cast(T, await child.call((function, args, kwargs)))
            except TimeoutError as exc:
                raise SandboxTimeout(f"{function.__name__} did not end within {self._wall_seconds:g} s") from exc

    def close(self) -> None:
        """Stop the children at once; calls under way raise SandboxDied."""
        self._closed = True
        for child in self._children:
            child.end()

    def _least_busy(self) -> _Child:
        if self._closed:
            raise SandboxDied("the switchboard is closed")
        self._children = [child for child in self._children if not child.is_over]
        current = [child for child in self._children if child.takes_calls]
        idle = min(current, key=lambda child: child.busy, default=None)
        if idle is not None and (not idle.busy or len(current) >= self._most):
            return idle
        child = _Child(self._context, self._manner)
        self._children.append(child)
        return child


class _Child:
    """One process, and the calls that wait for its answers."""

    def __init__(self, context: BaseContext, manner: tuple[int, tuple[egress.Network, ...] | None, int]) -> None:
        self._line, theirs = socket.socketpair()
        spare_children_the_main_module()
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, *manner), daemon=True)  # type: ignore[attr-defined]
        self._process.start()
        theirs.close()
        self._calls: dict[int, Future[object]] = {}
        self._numbers = count(1)
        self._taken = 0
        self._abandoned = False
        self._speaking = threading.Lock()
        self.answered = False
        self.is_over = False
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    @property
    def busy(self) -> int:
        return len(self._calls)

    @property
    def takes_calls(self) -> bool:
        return not self.is_over and not self._abandoned and self._taken < CALLS_PER_CHILD

    async def call(self, what: tuple[Callable[..., object], tuple[object, ...], dict[str, object]]) -> object:
        """What came of it in the child. Given up, it lets the child end as soon as nobody else waits for it."""
        number, answer = next(self._numbers), Future[object]()
        self._calls[number] = answer
        self._taken += 1
        if self.is_over:  # since it was chosen
            _settle(answer, None, self._obituary())
        try:
            said = _framed((number, *what))
            if self.answered:
                self._say(said)
            else:  # it does not listen yet, and the line may be full before it does
                await asyncio.to_thread(self._say, said)
            return await asyncio.wrap_future(answer)
        finally:
            del self._calls[number]
            self._abandoned |= not answer.done() or answer.cancelled()
            if not self._calls and not self.takes_calls:
                self.end()

    def end(self) -> None:
        """Stop it at once; whoever waits for it hears so."""
        self._process.kill()

    def _say(self, said: bytes) -> None:
        with self._speaking, suppress(OSError):  # that it is no more, its own thread will tell
            self._line.sendall(said)

    def _listen(self) -> None:
        heard = self._line.makefile("rb")
        with suppress(OSError, EOFError, pickle.UnpicklingError):  # killed in the middle of a word
            while head := heard.read(_SIZE):
                number, value, exc = pickle.loads(heard.read(int.from_bytes(head)))
                self.answered = True
                _settle(self._calls.get(number), value, exc)
        self.is_over = True
        self._process.kill()
        self._process.join()
        heard.close()
        self._line.close()
        for answer in tuple(self._calls.values()):
            _settle(answer, None, self._obituary())

    def _obituary(self) -> SandboxDied:
        return SandboxDied(f"the child process {end_of(self._process.exitcode)}")


def _settle(answer: Future[object] | None, value: object, exc: Exception | None) -> None:
    if answer is None or answer.done() or not answer.set_running_or_notify_cancel():
        return  # given up meanwhile
    if exc is None:
        answer.set_result(value)
    else:
        answer.set_exception(exc)


def _framed(message: object) -> bytes:
    data = pickle.dumps(message)
    return len(data).to_bytes(_SIZE) + data


# --- in the child -------------------------------------------------------------------------------------------------


def _serve(parent: socket.socket, memory_bytes: int, allow: tuple[egress.Network, ...] | None, threads: int) -> None:
    """Answer calls until the parent hangs up."""
    confine(memory_bytes, allow)
    speaking = threading.Lock()
    heard = parent.makefile("rb")
    pool = ThreadPoolExecutor(threads)
    while head := heard.read(_SIZE):
        pool.submit(_answer, parent, speaking, heard.read(int.from_bytes(head)))
    os._exit(0)


def _answer(parent: socket.socket, speaking: threading.Lock, call: bytes) -> None:
    number, function, args, kwargs = pickle.loads(call)
    said: tuple[int, Any, Exception | None]
    try:
        said = number, function(*args, **kwargs), None
    except MemoryError:
        out_of_memory()
    except Exception as exc:  # whoever called hears of it
        said = number, None, exc
    answer = _framed(said)
    with speaking:
        parent.sendall(answer)
