"""Typed values out of a mapping that a person wrote: what is wrong is collected with its place, never raised."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from enum import StrEnum
from typing import TypeVar

from service.domain.document import MAX_PROBLEMS, Node, unknown_keys
from service.domain.model import Problem

CUT = "put the text in quotes, or two blanks before the # of a comment"

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


class Fields:
    """Reads keys of mappings; every method gives the empty value for what is absent or wrong, and notes the fault."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def complain(self, node: Node, what: str, hint: str = "") -> None:
        self.problems.append(Problem(where=node.where, what=what, hint=hint))

    @property
    def hints(self) -> int:
        """For how many more faults a hint is worth looking for: no one reads those of a file full of faults."""
        return max(0, MAX_PROBLEMS - len(self.problems))

    def known_keys(self, node: Node, known: Iterable[str]) -> None:
        """Complains about every other key of a mapping."""
        self.problems.extend(unknown_keys(node, known, hints=self.hints))

    def mapping(self, node: Node, what: str, known: Iterable[str]) -> bool:
        """Whether `node` is a mapping that is not empty; its unknown keys are faults but do not hide the others."""
        known = tuple(known)
        if not node.mapping:
            wrong = f"{what} is empty" if node.mapping is not None else f"{what} should be a mapping, not {node.kind}"
            self.complain(node, wrong, f"known here: {', '.join(known)}")
            return False
        self.known_keys(node, known)
        return True

    def text(self, node: Node, key: str) -> str:
        child = node.get(key)
        if child is None:
            return ""
        if child.text is None or not child.text.strip():
            self.complain(child, f"{key} should be a text, not {child.kind}", "put it in quotes")
        elif child.cut[1:].lstrip() == child.cut[1:] != "":  # #1 and #StopCrypto, but not "# a comment"
            self.complain(child, f"{key} ends before {child.cut[:40]!r}, which is read as a comment", CUT)
        return child.text or ""

    def texts(self, node: Node, key: str) -> tuple[str, ...]:
        """A text or a list of texts; what is none is complained about and left out."""
        return tuple(child.text for child in self.items(node, key) if child.text is not None)

    def items(self, node: Node, key: str) -> tuple[Node, ...]:
        child = node.get(key)
        if child is None:
            return ()
        found = child.items if child.items is not None else (child,)
        if not found:
            self.complain(child, f"{key} is empty", "leave it out for any")
        for item in found:
            if item.text is None or not item.text.strip():
                self.complain(item, f"{key} should hold texts, not {item.kind}", "put it in quotes")
        return tuple(item for item in found if item.text is not None and item.text.strip())

    def one(self, node: Node, key: str, known: type[E]) -> E | None:
        child = node.get(key)
        if child is None:
            return None
        if child.text is None or child.text not in tuple(known):
            self.complain(child, f"{key} cannot be {child.kind}", f"one of {', '.join(known)}")
            return None
        return known(child.text)

    def several(self, node: Node, key: str, known: type[E]) -> tuple[E, ...]:
        """One or several words of a closed set."""
        good: list[E] = []
        for item in self.items(node, key):
            if item.text in tuple(known):
                good.append(known(str(item.text)))
            else:
                self.complain(item, f"{key} cannot be {item.kind}", f"one of {', '.join(known)}")
        return tuple(dict.fromkeys(good))

    def read(self, node: Node, key: str, reader: Callable[[str], T | None], hint: str) -> T | None:
        """A text that `reader` understands; None from it is a fault that `hint` helps with."""
        child = node.get(key)
        if child is None:
            return None
        found = reader(child.text) if child.text is not None else None
        if found is None:
            self.complain(child, f"{key} cannot be {child.kind}", hint)
        return found


def read_date(text: str) -> date | None:
    """An ISO 8601 calendar date such as 2027-06-30; None for anything else."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):  # a week or a day of the year is a date in ISO 8601 too
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
