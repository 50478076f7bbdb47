"""Wake-ups between processes: jobs of procrastinate, deferred in the transaction that makes something due.

A job says "claim a batch of this step", and nothing else: what is due stands in our tables, and every process looks
there by itself at each tick. A job that is lost, doubled, late or deleted costs a tick's delay at most, which is why
the engine's tables may be thrown away at any time, and are when its version changes.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, event, inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, object_session
from sqlmodel import Session

from service.storage.tables import DeliveryRow, EntryRow, FeedRow

log = structlog.get_logger()

TASK = "policywatch.wake"

BATCH = 20
"""As many pieces of work are one wake-up: what a process claims at once."""

MOST_JOBS = 8
"""Of one transaction: enough to wake everybody."""

_NOTED = "due"


class Step(StrEnum):
    """A step that others may be woken for."""

    POLL = "poll"
    PROCESS = "process"
    DELIVER = "deliver"


def note_due(session: Session, step: Step, count: int = 1) -> None:
    """Something will be due when this transaction commits."""
    noted: dict[Step, int] = session.info.setdefault(_NOTED, {})
    noted[step] = noted.get(step, 0) + count


def defer(session: Session) -> None:
    """Wake whoever has room for what the transaction noted, if it commits. PostgreSQL only.

    What goes wrong with the engine goes wrong in a savepoint of its own: the wake-up is lost, not the row.
    """
    session.flush()  # what is not written yet has not been noted yet
    noted: dict[Step, int] = session.info.pop(_NOTED, {})
    if not noted:
        return
    connection = session.connection()
    jobs = [{"step": step} for step, count in noted.items() for _ in range(min(-(-count // BATCH), MOST_JOBS))]
    from procrastinate.exceptions import ProcrastinateException  # noqa: PLC0415  (PostgreSQL only)

    try:
        with connection.begin_nested():
            raw = connection.connection.dbapi_connection
            _app().configure_task(TASK, queue="policywatch", connection=raw).batch_defer(*jobs)
    except (ProcrastinateException, DBAPIError) as exc:
        log.warning("no wake-up written: others find the work at their next tick", problem=str(exc.__cause__ or exc))


@cache
def _app() -> Any:
    from procrastinate import App, SyncPsycopgConnector  # noqa: PLC0415

    return App(connector=SyncPsycopgConnector())  # never opened: every job is deferred on a connection of ours


def forget(session: Session) -> int:
    """Throw away jobs whose process died, and those that too many wait before: their work was found meanwhile."""
    try:
        with session.begin_nested():
            return cast(CursorResult[Any], session.connection().execute(_OLD_JOBS)).rowcount
    except DBAPIError as exc:
        log.warning("old wake-ups not thrown away", problem=str(exc.orig))
        return 0


STALLED = 60
"""Seconds without a heartbeat after which a process counts as dead for the engine."""

MOST_WAITING = 1000
"""Jobs that may wait; each says the same as the others of its step."""

_OLD_JOBS = text(
    "DELETE FROM procrastinate_jobs WHERE id IN (SELECT job.id FROM procrastinate_jobs job "
    "LEFT JOIN procrastinate_workers worker ON worker.id = job.worker_id WHERE job.status = 'doing' "
    f"AND (worker.id IS NULL OR worker.last_heartbeat < now() - interval '{STALLED} seconds')) "
    f"OR (status = 'todo' AND id < (SELECT max(id) FROM procrastinate_jobs) - {MOST_WAITING})"
)


# --- the engine's own tables ----------------------------------------------------------------------------------------

_REMOVE = """
DO $$ DECLARE one record; BEGIN
  FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema AND tablename LIKE 'procrastinate%'
    LOOP EXECUTE format('DROP TABLE IF EXISTS %I CASCADE', one.tablename); END LOOP;
  FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p
    WHERE p.pronamespace = current_schema::regnamespace AND p.proname LIKE 'procrastinate%'
    LOOP EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', one.name); END LOOP;
  FOR one IN SELECT typname FROM pg_type
    WHERE typnamespace = current_schema::regnamespace AND typname LIKE 'procrastinate%' AND typtype IN ('e', 'c')
    LOOP EXECUTE format('DROP TYPE IF EXISTS %I CASCADE', one.typname); END LOOP;
END $$
"""


def _version() -> str:
    from procrastinate import __version__  # noqa: PLC0415

    return f"policywatch: procrastinate {__version__}"


def is_installed(connection: Connection) -> bool:
    """Whether the engine's tables are there, and of the version that is installed here."""
    if not inspect(connection).has_table("procrastinate_jobs"):
        return False
    said = text("SELECT obj_description('procrastinate_jobs'::regclass)")
    return connection.execute(said).scalar() == _version()


def install(connection: Connection) -> None:
    """Make the engine's tables anew. Nothing that they held was needed."""
    from procrastinate.schema import SchemaManager  # noqa: PLC0415

    raw: Any = connection.connection.dbapi_connection  # many statements at once, whose % are nobody's parameters
    for statement in (_REMOVE, SchemaManager.get_schema()):
        raw.execute(statement)
    connection.exec_driver_sql(f"COMMENT ON TABLE procrastinate_jobs IS '{_version()}'")


# --- what is due because of a row -----------------------------------------------------------------------------------


def _noting(step: Step) -> Any:
    def note(_: Mapper[Any], __: Connection, row: Any) -> None:
        session = object_session(row)
        if session is not None:
            note_due(session, step)  # type: ignore[arg-type]

    return note


event.listen(EntryRow, "after_insert", _noting(Step.PROCESS))
event.listen(DeliveryRow, "after_insert", _noting(Step.DELIVER))
event.listen(FeedRow, "after_insert", _noting(Step.POLL))
event.listen(FeedRow, "after_update", _noting(Step.POLL))
