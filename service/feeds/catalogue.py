"""The catalogue of real sources that is shipped as data: whose, how close to the act, what kind, where.

It states facts and promises nothing: an address that has changed shows as a feed that fails, never as one that is fine.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files

from service import egress
from service.domain.model import Invalid, Problem, SourceKind, Tier
from service.domain.text import LANGUAGES

COLUMNS = ("jurisdiction", "tier", "kind", "language", "name", "url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A row of the catalogue. `language` is None where it is not known."""

    jurisdiction: str
    tier: Tier
    kind: SourceKind
    language: str | None
    name: str
    url: str

    @property
    def spoken(self) -> str | None:
        """The language where it is one that is read; others are detected, and then found to be foreign."""
        return self.language if self.language in LANGUAGES else None


def catalogue() -> tuple[Source, ...]:
    """Every source that is shipped, by jurisdiction, the closest to the act first."""
    text = files("service.feeds").joinpath("catalogue.csv").read_text(encoding="utf-8")
    return read_sources(text.splitlines(), name="catalogue.csv")


def read_sources(lines: Iterable[str], *, name: str) -> tuple[Source, ...]:
    """Sources from CSV lines with a header of COLUMNS. Invalid names every faulty row at once."""
    rows = csv.DictReader(lines)
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise Invalid((Problem(where=f"{name}:1", what=f"the columns must be {', '.join(COLUMNS)}"),))
    problems: list[Problem] = []
    sources: list[Source] = []
    seen: set[str] = set()
    for row in rows:
        where = f"{name}:{rows.line_num}"
        found = [Problem(where=where, what=what) for what in _faults(row, seen)]
        problems += found
        seen.add(row["url"])
        if not found:
            sources.append(_source(row))
    if problems:
        raise Invalid(tuple(problems))
    return tuple(sources)


def _source(row: dict[str, str]) -> Source:
    return Source(
        jurisdiction=row["jurisdiction"],
        tier=Tier(row["tier"]),
        kind=SourceKind(row["kind"]),
        language=row["language"] or None,
        name=row["name"],
        url=row["url"],
    )


def _faults(row: dict[str, str], seen: set[str]) -> Iterator[str]:
    """What is wrong with the form of a row."""
    if None in row or None in row.values():
        yield f"a row has {len(COLUMNS)} cells"
        return
    code = row["jurisdiction"]
    if not (code.isascii() and code.isupper() and len(code) == 2) and code != "INTL":
        yield f"{code!r} is no jurisdiction: two capital letters, or INTL"
    if row["tier"] not in [*Tier]:
        yield f"{row['tier']!r} is no tier: one of {', '.join(Tier)}"
    if row["kind"] not in [*SourceKind]:
        yield f"{row['kind']!r} is no kind: one of {', '.join(SourceKind)}"
    if row["name"] != row["name"].strip() or not row["name"].isprintable() or not row["name"]:
        yield "the name is empty, or holds blanks at its ends or signs that do not print"
    if problem := egress.check_url(row["url"], (), userinfo=False):
        yield f"{row['url']!r}: {problem}"
    if row["url"] in seen:
        yield f"{row['url']!r} stands here twice"
