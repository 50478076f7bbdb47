"""A document that a person wrote, as plain values that remember where each one stands.

The ground floor knows no YAML: it is handed this tree, and its complaints name file and line all the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from service.domain.model import Problem

MAX_PROBLEMS = 100  # of one document: a person mends those first, and a terminal shows them

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a sequence or a mapping, and its place as `file:line`.

    `keys` are the places of a mapping's keys. `faults` say what is wrong with how it is written, here and below. `cut`
    is the comment that follows an unquoted scalar after a single blank: the writer may have meant it as text.
    """

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    where: str
    keys: Mapping[str, str] | None = None
    faults: tuple[Problem, ...] = ()
    cut: str = ""

    @property
    def mapping(self) -> Mapping[str, Node] | None:
        if isinstance(self.value, str | dict):  # most are one of these, and asking what is a Mapping takes long
            return None if isinstance(self.value, str) else self.value
        return self.value if isinstance(self.value, Mapping) else None

    @property
    def items(self) -> tuple[Node, ...] | None:
        return self.value if isinstance(self.value, tuple) else None

    @property
    def text(self) -> str | None:
        return self.value if isinstance(self.value, str) else None

    @property
    def kind(self) -> str:
        """What this is, in a reader's words."""
        if isinstance(self.value, Mapping):
            return "a mapping"
        if isinstance(self.value, tuple):
            return "a list"
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return "nothing" if self.value is None else repr(self.value)

    def get(self, key: str) -> Node | None:
        mapping = self.mapping
        return mapping.get(key) if mapping is not None else None

    def plain(self) -> object:
        """The value without places: what a JSON reader would have given."""
        if isinstance(self.value, Mapping):
            return {k: v.plain() for k, v in self.value.items()}
        if isinstance(self.value, tuple):
            return [v.plain() for v in self.value]
        return self.value

    def at(self, path: Iterable[object]) -> Node:
        """The deepest node on `path` that exists: where to point when something below is wrong."""
        node = self
        for step in path:
            child: Node | None = None
            if node.mapping is not None and isinstance(step, str):
                child = node.mapping.get(step)
            elif node.items is not None and isinstance(step, int) and step < len(node.items):
                child = node.items[step]
            if child is None:
                return node
            node = child
        return node


def bounded(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems of one document by line, the first of them in full and the rest as a number."""
    found = sorted(problems, key=_line)
    if len(found) <= MAX_PROBLEMS:
        return tuple(found)
    first, rest = found[:MAX_PROBLEMS], found[MAX_PROBLEMS:]
    return (*first, Problem(where=rest[0].where, what=f"and {len(rest):,} more problems from here on"))


def _line(problem: Problem) -> int:
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


def unknown_keys(node: Node, known: Iterable[str], *, hints: int = MAX_PROBLEMS) -> Iterator[Problem]:
    """A problem for each key of a mapping that is not known; for the first `hints` the nearest known one is given."""
    known = tuple(known)
    wrong = [key for key in node.mapping or {} if key not in known]
    for count, key in enumerate(wrong):
        close = difflib.get_close_matches(key, known, n=1) if count < hints else ()
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        if len(wrong) == len(node.mapping or {}) == 1:
            hint = f"{hint}; a text that holds ': ' goes in quotes"
        yield Problem(where=(node.keys or {}).get(key, node.where), what=f"unknown key {key!r}", hint=hint)
