"""A document that a person wrote, as plain values that remember where each one stands.

The ground floor knows no YAML: it is handed this tree, and its complaints name file and line all the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from service.domain.model import Problem

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a sequence or a mapping, and its place as `file:line`."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    where: str
    keys: Mapping[str, str] | None = None  # where each key of a mapping stands

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
        return f"{self.value!r}"

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


def unknown_keys(node: Node, known: Iterable[str]) -> Iterator[Problem]:
    """A problem for each key of a mapping that is not known, with the nearest known one as hint."""
    known = tuple(known)
    for key in node.mapping or {}:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
            yield Problem(where=(node.keys or {}).get(key, node.where), what=f"unknown key {key!r}", hint=hint)
