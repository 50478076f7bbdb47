"""What the commands share: options, consoles, an opened store, JSONL entries in, tables and problems out."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service import logs
from service.config import Settings, load
from service.domain.model import Entry, Invalid, Problem
from service.storage.audit import acting
from service.storage.store import Store

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file; config.yaml by default, if it is there.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
EntriesArgument = Annotated[list[Path] | None, typer.Argument(help="JSONL files; standard input by default.")]

out = Console()
err = Console(stderr=True)


@contextmanager
def opened(config: Path | None) -> Iterator[tuple[Settings, Store]]:
    logs.configure("warning", "console")
    settings = load(config)
    store = Store(
        settings.storage.url,
        keys=settings.secrets.keys,
        key_file=settings.secrets.key_file,
        pooler=settings.storage.pooler,
    )
    try:
        with acting(f"a command of {_user()}"):
            yield settings, store
    finally:
        store.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name, as in some containers
        return "an unknown user"


@contextmanager
def entries_in(files: list[Path] | None) -> Iterator[Iterator[tuple[Entry, dict[str, Any]]]]:
    """Entries and the rows they came from. Lines that are none cost no other: they are told when the block ends."""
    problems: list[Problem] = []
    yield _parsed(files, problems)
    if problems:
        raise Invalid(tuple(problems))


def _parsed(files: list[Path] | None, problems: list[Problem]) -> Iterator[tuple[Entry, dict[str, Any]]]:
    for name, number, line in _lines(files, problems):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not a JSON object")
            yield _ENTRY.validate_python({k: row[k] for k in _ENTRY_FIELDS if row.get(k) is not None}), row
        except ValidationError as exc:
            field = ".".join(str(part) for part in exc.errors()[0]["loc"])
            problems.append(Problem(where=where, what=f"{field}: {exc.errors()[0]['msg']}"))
        except ValueError as exc:
            problems.append(Problem(where=where, what=f"not an entry: {exc}"))


_ENTRY = TypeAdapter(Entry)
_ENTRY_FIELDS = ("id", "source", "lang", "published", "link", "title", "summary", "content", "tier")


def _lines(files: list[Path] | None, problems: list[Problem]) -> Iterator[tuple[str, int, str]]:
    if not files:
        yield from (("stdin", number, line) for number, line in enumerate(sys.stdin, 1))
        return
    for path in files:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from ((str(path), number, line) for number, line in enumerate(file, 1))
        except OSError as exc:
            problems.append(Problem(where=str(path), what=f"cannot be read: {exc.strerror}"))


def in_order(entries: Iterable[tuple[Entry, dict[str, Any]]]) -> list[tuple[Entry, dict[str, Any]]]:
    """In published order, undated ones last; equal times keep their order."""
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(entries, key=lambda pair: _aware(pair[0].published) or last)


def _aware(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=UTC) if when is not None and when.tzinfo is None else when


def plain(value: object) -> dict[str, Any]:
    return dict(TypeAdapter(type(value)).dump_python(value, mode="json"))


def files_under(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def print_json(rows: Iterable[object]) -> None:
    print(json.dumps([plain(row) for row in rows], ensure_ascii=False))


def add_row(table: Table, *cells: str) -> None:
    """A row of plain text: a stranger's title is no markup, and no control sequence for the terminal."""
    table.add_row(*(Text(printable(cell)) for cell in cells))


def printable(text: str) -> str:
    """A stranger's text without what would steer a terminal."""
    return "".join(sign for sign in text if sign.isprintable())


def print_problems(problems: Iterable[Problem], *, style: str = "red") -> None:
    for problem in problems:
        err.print(str(problem), style=style, markup=False, highlight=False, soft_wrap=True)
