"""Worker processes: the service without its API, each under a keeper that replaces it when it ends or hangs."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import structlog

from service import logs
from service.app import STOP_PATIENCE, Service
from service.config import Settings, load
from service.domain.model import ServiceError
from service.keeper import NO_USE, Pulse, keep
from service.storage.database import Database, Misfit

log = structlog.get_logger()

LOOK_AT_TABLES_EVERY = timedelta(seconds=10)
"""How soon a worker notices that another version has changed the tables below it."""


def work(settings: Settings, config: Path | None, *, processes: int, ready: Callable[[], None] = lambda: None) -> int:
    """Keep so many worker processes until SIGTERM or SIGINT; gives the exit code. `config` is read anew by each.

    ServiceError when the database is not one for workers: SQLite, out of reach, or with tables of another version.
    """
    database = Database(settings.storage.url, pooler=settings.storage.pooler)
    if database.is_sqlite:
        raise ServiceError(
            "policywatch worker needs PostgreSQL, and storage.url names SQLite, where one process does all the work: "
            "run `policywatch serve` alone, or move to PostgreSQL (docs/many.md)"
        )
    with closing(database):
        database.expect()
    ready()
    patience = STOP_PATIENCE * 2
    return keep(_work, (config,), processes=processes, silence=settings.runner.silence, patience=patience)


def _work(pulse: Pulse, config: Path | None) -> None:
    settings = load(config)
    logs.configure(settings.logging.level, settings.logging.format)
    try:
        asyncio.run(Worker(Service(settings, leads=False, beat=pulse.beat)).run(gone=pulse.parent))
    except Misfit as exc:
        log.error("worker cannot work", problem=str(exc))
        sys.exit(NO_USE)
    except ServiceError as exc:
        log.error("worker cannot start", problem=str(exc))
        sys.exit(1)


class Worker:
    """The service without its API, for as long as `run` lasts."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._misfit: Misfit | None = None

    async def run(self, *, gone: int | None = None) -> None:
        """Work until SIGTERM, SIGINT, or `gone` becomes readable. Misfit when another version takes over the tables."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if gone is not None:
            loop.add_reader(gone, stop.set)
        await self.service.start()
        gc.collect()
        gc.freeze()
        warming = asyncio.create_task(self.service.pipeline.warm_up())
        looking = asyncio.create_task(self._look_at_tables(stop))
        try:
            self.service.begin()
            await stop.wait()
        finally:
            looking.cancel()
            await self.service.stop()
            await warming
        if self._misfit is not None:
            raise self._misfit

    async def _look_at_tables(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await asyncio.to_thread(self.service.store.database.check)
            except Misfit as exc:
                self._misfit = exc
                stop.set()
            except ServiceError as exc:
                log.warning("database away", problem=str(exc))
            await asyncio.sleep(LOOK_AT_TABLES_EVERY.total_seconds())
