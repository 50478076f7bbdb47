"""Hears the wake-ups of other processes: a procrastinate worker on this process's loop, kept running.

A job only makes a step look for work; it is gone when that has begun. The engine may stop, hang or lose its tables:
then this process finds its work at its ticks, and the engine is started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import structlog

from service.storage.database import Database
from service.storage.wakes import TASK, Step

log = structlog.get_logger()

AGAIN = timedelta(seconds=5)
"""The pause before the engine is started again."""

CONNECTIONS = 4
JOBS_AT_ONCE = 4

FALLBACK = timedelta(seconds=10)
"""How often jobs are looked for that no notification told of."""


class Engine:
    """Calls `wake` for each job: "look for work of this step"."""

    def __init__(
        self, database: Database, *, wake: Callable[[Step], Awaitable[object]], listen: bool, every: timedelta
    ) -> None:
        """Without `listen`, jobs are looked for `every` so often instead of being told of."""
        self._database = database
        self._wake = wake
        self._listen = listen
        self._every = FALLBACK if listen else every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Jobs that were not begun stay for others."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self) -> None:
        while True:
            try:
                await self._run()
                log.warning("wake-ups stopped", again_in=AGAIN.total_seconds())
            except Exception as exc:
                log.warning("wake-ups failed", problem=str(exc) or type(exc).__name__, again_in=AGAIN.total_seconds())
            await asyncio.sleep(AGAIN.total_seconds())

    async def _run(self) -> None:
        from procrastinate import App, PsycopgConnector  # noqa: PLC0415  (PostgreSQL only)

        database = self._database
        connector = PsycopgConnector(
            conninfo=database.conninfo, min_size=1, max_size=CONNECTIONS, kwargs=database.connect_args
        )
        app = App(connector=connector)

        @app.task(name=TASK)
        async def wake(step: str) -> None:
            await self._wake(Step(step))

        async with app.open_async():
            await app.run_worker_async(
                concurrency=JOBS_AT_ONCE,
                listen_notify=self._listen,
                fetch_job_polling_interval=self._every.total_seconds(),
                delete_jobs="always",
                install_signal_handlers=False,
            )
