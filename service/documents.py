"""Strict YAML files: bytes of a file -> a tree of values that know their line. Reads files, decides nothing.

YAML 1.2 scalars (`NO` is text, `22:00` is text, only true and false are booleans), no aliases, no tags, no repeated
keys, bounded size and depth: a file of rules is input that a person may get wrong and a stranger may get hostile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]

from service.domain.document import Node, Scalar, bounded
from service.domain.model import Invalid, Problem

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 30
MAX_DIGITS = 30


def read_yaml(path: Path, *, shown: str | None = None) -> Node:
    """The document in `path`; Invalid names file and line of everything that is wrong with it.

    `shown` is the name used in messages (the path as given by default).
    """
    return _without_faults(read_document(path, shown=shown))


def parse_yaml(raw: bytes, *, shown: str) -> Node:
    """The document in `raw`, named `shown` in messages."""
    return _without_faults(parse_document(raw, shown=shown))


def read_document(path: Path, *, shown: str | None = None, limit: int = MAX_BYTES) -> Node:
    """As `read_yaml`, but what is wrong with one value is noted there (`Node.faults`), so that the others can be used.

    Invalid when there is no document at all: not readable, too large, not YAML.
    """
    return parse_document(read_raw(path, shown=shown, limit=limit), shown=shown or str(path), limit=limit)


def read_raw(path: Path, *, shown: str | None = None, limit: int = MAX_BYTES) -> bytes:
    """What is in `path`, and a byte more than `limit` if that is not all; Invalid when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as exc:
        raise Invalid((Problem(where=shown or str(path), what=f"cannot be read: {exc.strerror or exc}"),)) from exc


def parse_document(raw: bytes, *, shown: str, limit: int = MAX_BYTES) -> Node:
    """The document in `raw`, with faults noted where they stand; Invalid when there is none."""
    if len(raw) > limit:
        raise Invalid((Problem(where=shown, what=f"is larger than {limit // 1024} KiB", hint="split the file"),))
    tree = _Tree(_decoded(raw, shown), shown)
    try:
        return tree.document()
    except yaml.YAMLError as exc:
        fault = _in_words(exc, tree)
        # What was noted on this very line is the cause: `- *ban + x` is an alias, and then nonsense.
        found = (*tree.noted, *(() if any(known.where == fault.where for known in tree.noted) else (fault,)))
        raise Invalid(bounded(found)) from exc


def _without_faults(node: Node) -> Node:
    if node.faults:
        raise Invalid(bounded(node.faults))
    return node


# What YAML calls printable, without three line ends that libyaml counts and no editor shows (U+0085, U+2028, U+2029).
_NO_TEXT = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _decoded(raw: bytes, shown: str) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        where = f"{shown}:{_line(raw[: exc.start])}"
        raise Invalid((Problem(where=where, what="is not UTF-8 text", hint="save it as UTF-8"),)) from exc
    if found := _NO_TEXT.search(text):
        where = f"{shown}:{_line(text[: found.start()].encode())}"
        what = f"holds the character U+{ord(found[0]):04X}, which is no text"
        raise Invalid((Problem(where=where, what=what, hint="remove it"),))
    return text


def _line(before: bytes) -> int:
    return before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n") + 1


# --- the tree -----------------------------------------------------------------------------------------------------

_QUOTES = "put the whole text in quotes ('...') if it begins with a sign or a quote, or holds ': ' or ' #'"
_ONE_BLANK_AND_HASH = re.compile(r"[ \t](#.*)")


class _Tree:
    """Builds the tree from the events of libyaml's parser: one pass, as fast on a bomb as on a list.

    PyYAML's own loaders are not asked: they are YAML 1.1, where `NO` is false and `22:00` is 1320.
    """

    def __init__(self, text: str, shown: str) -> None:
        self.text, self.shown = text, shown
        self.noted: list[Problem] = []
        self.events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=cast(Any, CParser)))

    def document(self) -> Node:
        next(self.events)  # the beginning of the stream
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return Node(value=None, where=f"{self.shown}:1")
        root = self.node(next(self.events), depth=1)
        next(self.events)  # the end of the document
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            what = "a second document begins here"
            raise Invalid((Problem(where=self.place(after), what=what, hint="leave the --- out"),))
        return replace(root, faults=tuple(self.noted))

    def place(self, event: yaml.Event) -> str:
        return f"{self.shown}:{event.start_mark.line + 1 if event.start_mark else 1}"

    def note(self, where: str, what: str, hint: str) -> None:
        self.noted.append(Problem(where=where, what=what, hint=hint))

    def node(self, event: yaml.Event, depth: int) -> Node:
        where, sound = self.place(event), len(self.noted)
        if depth > MAX_DEPTH:
            raise Invalid((Problem(where=where, what=f"is nested deeper than {MAX_DEPTH} levels"),))
        if getattr(event, "anchor", None) is not None:  # never followed: a bomb is a list of faults
            hint = "write the value out; a text that begins with * or & goes in quotes"
            self.note(where, "anchors and aliases are not used here", hint)
        if (tag := getattr(event, "tag", None)) is not None:
            self.note(where, f"tag {tag!r} is not used here", "a text that begins with ! goes in quotes")
        match event:
            case yaml.ScalarEvent():
                node = self.scalar(event, where)
            case yaml.SequenceStartEvent():
                node = Node(value=tuple(self.items(depth)), where=where)
            case yaml.MappingStartEvent():
                node = self.mapping(where, depth)
            case _:
                node = Node(value=None, where=where)
        return replace(node, faults=tuple(self.noted[sound:])) if len(self.noted) > sound else node

    def items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self.node(event, depth + 1)

    def mapping(self, where: str, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, str] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            place = self.node(event, depth + 1).where
            value = self.node(next(self.events), depth + 1)
            if not isinstance(event, yaml.ScalarEvent):
                self.note(place, "a key must be a word", _QUOTES)
            elif event.value in values:
                self.note(place, f"key {event.value!r} is repeated", f"first at {keys[event.value]}")
            else:
                values[event.value], keys[event.value] = value, place
        return Node(value=values, where=where, keys=keys)

    def scalar(self, event: yaml.ScalarEvent, where: str) -> Node:
        if not event.implicit[0]:  # quoted, or a block of text
            return Node(value=event.value, where=where)
        if len(event.value) > MAX_DIGITS and _NUMBER.fullmatch(event.value):
            self.note(where, f"a number of more than {MAX_DIGITS} digits", _QUOTES)
            return Node(value=None, where=where)
        after = _ONE_BLANK_AND_HASH.match(self.text, event.end_mark.index if event.end_mark else len(self.text))
        return Node(value=_plain(event.value), where=where, cut=after[1] if after else "")


_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(rf"{_INTEGER.pattern}|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NAMED: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _plain(written: str) -> Scalar:
    """What an unquoted scalar is (YAML 1.2.2, section 10.3.2), without the infinities: here they are words."""
    if written in _NAMED:
        return _NAMED[written]
    if written[0] not in "+-.0123456789" or not _NUMBER.fullmatch(written):
        return written
    if _INTEGER.fullmatch(written):
        return int(written, 0) if written.startswith(("0o", "0x")) else int(written)
    return float(written)


# --- faults in words ----------------------------------------------------------------------------------------------

_OPEN = "found unexpected end of stream"
_WORDS = {
    "mapping values are not allowed in this context": "': ' stands inside a text without quotes",
    "found character that cannot start any token": "a text without quotes cannot begin with SIGN",
    "did not find expected comment or line break": "a text without quotes cannot begin with > or |",
    "did not find expected '-' indicator": "this is not part of the list above",
    "did not find expected key": "this is not part of the mapping above",
    "did not find expected ',' or ']'": "[ is not closed, or a text after it needs quotes",
    "did not find expected ',' or '}'": "{ is not closed, or a text after it needs quotes",
    "could not find expected ':'": "a key without ':'",
    _OPEN: "a quote is opened and not closed",
}
"""What libyaml says, as a person would say it."""


def _in_words(error: yaml.YAMLError, tree: _Tree) -> Problem:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if problem == _OPEN:
        mark = getattr(error, "context_mark", None) or mark
    sign = tree.text[mark.index : mark.index + 1] if mark is not None else ""
    what, hint = _WORDS.get(problem, problem).replace("SIGN", sign or "this"), f"{_QUOTES}; check the indentation"
    if sign == "\t":
        what, hint = "a tab where only blanks may stand", "indent with blanks"
    where = f"{tree.shown}:{mark.line + 1 if mark is not None else 1}"
    return Problem(where=where, what=f"not valid YAML: {what}", hint=hint)
