"""Fixtures shared by all tests: a settable clock and a store on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.storage.store import Store
from tests.given import NOON, TEST_KEY, Clock
from tests.postgres import Postgres

__all__ = ["NOON", "TEST_KEY", "Clock"]

_ours = ExitStack()


def pytest_configure() -> None:
    """What is kept between starts is kept for this run alone: one folder for its workers and all that they start."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["XDG_CACHE_HOME"] = _ours.enter_context(tempfile.TemporaryDirectory(prefix="policywatch-cache-"))


def pytest_unconfigure() -> None:
    _ours.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server of our own, started from the pip package and stopped at the end."""
    with Postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/policywatch.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.new_database() as url:
        yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A migrated store on each engine."""
    store = Store(database_url, keys=(TEST_KEY,))
    yield store
    store.close()
