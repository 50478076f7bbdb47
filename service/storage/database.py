"""One database behind two doors, `read` and `write`: the only file that asks which database it is on.

SQLite runs with a write-ahead log and `synchronous=FULL`, so a commit survives a pulled plug; a write takes the
writer's place at once (`BEGIN IMMEDIATE`), so two writers wait for each other instead of failing half-way.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib import resources
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlmodel import Session

from service.domain.model import ServiceError
from service.storage import wakes

HEAD = "0020"
"""The newest migration: the revision that this version's tables have."""

OLDEST_SERVER = 15
"""PostgreSQL below this version is refused: nothing of ours was ever tried on it."""

_KEPT_ALIVE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A connection whose other end is gone without a word fails after half a minute, not after hours."""

PLACING_LOCK = 0x706F6C6963  # the advisory lock that serialises story placing on PostgreSQL: "polic"


_ALONG: ContextVar[Callable[[Session], None] | None] = ContextVar("along", default=None)


@contextmanager
def along(add: Callable[[Session], None]) -> Iterator[None]:
    """Whatever is written inside is committed together with what `add` writes, or not at all."""
    token = _ALONG.set(add)
    try:
        yield
    finally:
        _ALONG.reset(token)


class Misfit(ServiceError):
    """The tables are not those of this version: no other try will do, somebody has to install or start something."""


class Database:
    """An engine and its transactions. A transaction commits when its block ends and rolls back when it raises."""

    def __init__(self, url: str, *, pooler: bool = False) -> None:
        """`url` is `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`.

        With `pooler` nothing is left behind in a session of the server: the next transaction may get another one.
        """
        self.url = _driver_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._lock_file: IO[str] | None = None
        # SQLite makes a second writer sleep and look again, up to 100 ms at a time; here it goes on at once. Writers of
        # other processes are waited for as SQLite does it.
        self._turn: AbstractContextManager[object] = threading.Lock() if self.is_sqlite else nullcontext()
        if self.is_sqlite:
            _make_folder(self.url)
        self.connect_args = {} if self.is_sqlite else _connect_args(self.url, pooler=pooler)
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url, self.connect_args)
        self._writing = self.engine.execution_options(write=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view; nothing is written."""
        with Session(self.engine, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block, with what `along` adds to it. Never one in another."""
        with self._turn, Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session
            if (add := _ALONG.get()) is not None:
                add(session)
            if not self.is_sqlite:
                wakes.defer(session)

    @contextmanager
    def placing(self) -> Iterator[Session]:
        """The one serialised section: read-decide-write of stories. Only pure code may run inside it."""
        with self.write() as session:
            if not self.is_sqlite:
                session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PLACING_LOCK})
            yield session

    def migrate(self) -> None:
        """Bring the tables up to this version. Safe to run from several processes at once, and all or nothing.

        ServiceError when the database cannot be had, is too old, or has the tables of a newer version.
        """
        with self._telling():
            revision = self._revision()
            if revision == HEAD and self._has_engine():
                return
            self._refuse_newer(revision)
            with self._writing.connect() as connection, connection.begin():
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PLACING_LOCK + 1})
                _upgrade(connection)
                if not self.is_sqlite and not wakes.is_installed(connection):
                    wakes.install(connection)

    def expect(self) -> None:
        """ServiceError unless the tables are those of this version: for a process that must not change them."""
        with self._telling():
            revision = self._revision()
        if revision is None:
            raise Misfit(f"database {self.shown} has no tables yet; start `policywatch serve` on it, which makes them")
        self._refuse_newer(revision)
        if revision != HEAD:
            raise Misfit(
                f"database {self.shown} has the tables of an older version ({revision}, this one needs {HEAD}); "
                "start `policywatch serve` of this version, which brings them up to date, then this process again"
            )

    def _refuse_newer(self, revision: str | None) -> None:
        if revision is not None and revision not in known_revisions():
            raise Misfit(
                f"database {self.shown} has the tables of a newer version ({revision}, this one knows {HEAD}); "
                "install that version of policywatch here too"
            )

    def _has_engine(self) -> bool:
        if self.is_sqlite:
            return True
        with self.engine.connect() as connection:
            return wakes.is_installed(connection)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as exc:
            raise ServiceError(
                f"database {self.shown} cannot be opened: {_first_line(exc)}; check storage.url and that it runs"
            ) from exc

    def _revision(self) -> str | None:
        """The schema's revision, None before the first migration: most starts need no migration machinery."""
        with self.engine.connect() as connection:
            version = connection.dialect.server_version_info
            if not self.is_sqlite and version is not None and int(version[0]) < OLDEST_SERVER:
                raise ServiceError(
                    f"database {self.shown} is PostgreSQL {version[0]}; policywatch needs {OLDEST_SERVER} or newer"
                )
            if not inspect(connection).has_table("alembic_version"):
                return None
            return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())

    def check(self) -> None:
        """ServiceError when the database does not answer, or another version has changed its tables since."""
        try:
            with self.read() as session:
                revision = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except DBAPIError as exc:
            raise ServiceError(f"database {self.shown} does not answer: {_first_line(exc)}") from exc
        if revision != HEAD:
            raise Misfit(
                f"another version of policywatch has changed the tables of {self.shown} ({revision}, this one needs "
                f"{HEAD}); replace this process by one of that version"
            )

    def hold(self) -> None:
        """Claim an embedded database for this process: two embedded services on one file would poll twice."""
        if not self.is_sqlite or not self.url.database:
            return
        path = Path(f"{self.url.database}.lock")
        try:
            lock_file = path.open("w")
        except OSError as exc:
            raise ServiceError(f"cannot write {path}: {exc.strerror}; the service needs its folder") from exc
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            lock_file.close()
            raise ServiceError(
                f"{self.url.database} is in use by another policywatch process (lock {path}); "
                "stop that one first, or give this one another storage.url"
            ) from exc
        lock_file.write(f"{os.getpid()}\n")
        lock_file.flush()
        self._lock_file = lock_file

    def is_held(self) -> bool:
        """Whether an embedded service runs on this database; False on PostgreSQL, where nobody holds it."""
        if self._lock_file is not None:
            return True
        path = Path(f"{self.url.database}.lock")
        if not self.is_sqlite or not path.is_file():
            return False
        with path.open() as lock_file:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def close(self) -> None:
        self.engine.dispose()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    @property
    def conninfo(self) -> str:
        """The address as libpq reads it, with its password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def shown(self) -> str:
        """The address without its password."""
        return self.url.render_as_string(hide_password=True)


def known_revisions() -> frozenset[str]:
    """The revisions that this version can bring up to date, and its own."""
    names = (each.name for each in resources.files("service.storage.migrations.versions").iterdir())
    return frozenset(name.partition("_")[0] for name in names if name[:4].isdigit())


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  (needed once in a schema's life)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "service.storage:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def _make_folder(url: URL) -> None:
    if not url.database or url.database == ":memory:":
        raise ServiceError("storage.url names no file; what is kept in memory is lost at the first stop")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ServiceError(f"storage.url: cannot make a folder for {url.database}: {exc.strerror}") from exc


def _driver_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise ServiceError("storage.url is not a database address; try sqlite:///data/policywatch.db") from exc
    if parsed.get_backend_name() == "sqlite":
        return parsed.set(drivername="sqlite+pysqlite")
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ServiceError(f"storage.url names {parsed.drivername!r}; policywatch runs on sqlite and postgresql")


def _sqlite_engine(url: URL) -> Engine:
    # isolation_level None switches the driver's own transaction handling off; our begin event takes its place.
    engine = create_engine(url, connect_args={"isolation_level": None, "timeout": 30, "check_same_thread": False})

    def on_connect(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        if cursor.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise ServiceError("SQLite refuses synchronous=FULL: a power cut could lose alerts on this build")
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine


def _connect_args(url: URL, *, pooler: bool) -> dict[str, Any]:
    given: dict[str, Any] = {name: value for name, value in _KEPT_ALIVE.items() if name not in url.query}
    return given | {"prepare_threshold": None} if pooler else given


def _postgres_engine(url: URL, connect_args: dict[str, Any]) -> Engine:
    return create_engine(url, pool_pre_ping=True, connect_args=connect_args)


def _first_line(exc: Exception) -> str:
    return (str(exc.__cause__ or exc).strip().splitlines() or [type(exc).__name__])[0]
