"""Strict YAML files: bytes of a file -> a tree of values that know their line. Reads files, decides nothing.

YAML 1.2 scalars (`NO` is text, `22:00` is text, only true and false are booleans), no aliases, no tags, no repeated
keys, bounded size and depth: a file of rules is input that a person may get wrong and a stranger may get hostile.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.resolver import BaseResolver

from service.domain.document import Node, Scalar
from service.domain.model import Invalid, Problem

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20


class _Loader(CParser, BaseResolver):
    """libyaml's parser (16 times as fast as a pure one on a lexicon) under the scalar rules of YAML 1.2's core schema.

    PyYAML's own loaders are YAML 1.1: there `NO` is false and `22:00` is 1320.
    """

    def __init__(self, stream: str) -> None:
        CParser.__init__(self, stream)
        BaseResolver.__init__(self)


_CORE_SCHEMA = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
}
for _name, (_pattern, _first) in _CORE_SCHEMA.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _first)
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq", *_CORE_SCHEMA)}
_QUOTES = "put the text in double quotes if it holds one of : # * @ % > [ ] { } & ! |"


def read_yaml(path: Path, *, shown: str | None = None) -> Node:
    """The document in `path`; Invalid names file and line of everything that is wrong with it.

    `shown` is the name used in messages (the path as given by default).
    """
    name = shown or str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise Invalid((Problem(where=name, what=f"cannot be read: {exc.strerror or exc}"),)) from exc
    return parse_yaml(raw, shown=name)


def parse_yaml(raw: bytes, *, shown: str) -> Node:
    """The document in `raw`, named `shown` in messages."""
    if len(raw) > MAX_BYTES:
        raise Invalid((Problem(where=shown, what=f"is larger than {MAX_BYTES // 1024} KiB", hint="split the file"),))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise Invalid((Problem(where=f"{shown}:{line}", what="is not UTF-8 text", hint="save it as UTF-8"),)) from exc
    try:
        _refuse_tricks(text, shown)
        root = yaml.compose(text, Loader=cast(Any, _Loader))
        if root is None:
            return Node(value=None, where=f"{shown}:1")
        problems: list[Problem] = []
        node = _convert(root, shown, problems)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f"{shown}:{mark.line + 1}" if mark else shown
        raise Invalid((Problem(where=where, what=f"not valid YAML: {exc.problem}", hint=_QUOTES),)) from exc
    except (yaml.YAMLError, ValueError) as exc:
        raise Invalid((Problem(where=shown, what=f"not valid YAML: {str(exc).splitlines()[0]}"),)) from exc
    if problems:
        raise Invalid(tuple(problems))
    return node


def _refuse_tricks(text: str, shown: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=cast(Any, _Loader)):
        where = f"{shown}:{event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent) or (isinstance(event, yaml.NodeEvent) and event.anchor):
            hint = "write the value out; a text that begins with * or & goes in quotes"
            raise Invalid((Problem(where=where, what="anchors and aliases are not used here", hint=hint),))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise Invalid((Problem(where=where, what=f"is nested deeper than {MAX_DEPTH} levels"),))


def _convert(node: yaml.Node, shown: str, problems: list[Problem]) -> Node:
    where = f"{shown}:{node.start_mark.line + 1}"
    if str(node.tag) not in _TAGS:
        problems.append(Problem(where=where, what=f"tag {node.tag} is not used here", hint=_QUOTES))
        return Node(value=None, where=where)
    if isinstance(node, MappingNode):
        values: dict[str, Node] = {}
        keys: dict[str, str] = {}
        for key_node, value_node in node.value:
            place = f"{shown}:{key_node.start_mark.line + 1}"
            if not isinstance(key_node, ScalarNode):
                problems.append(Problem(where=place, what="a key must be a word", hint=_QUOTES))
                continue
            key = str(key_node.value)
            if key in values:
                problems.append(Problem(where=place, what=f"key {key!r} is repeated", hint=f"first at {keys[key]}"))
                continue
            keys[key] = place
            values[key] = _convert(value_node, shown, problems)
        return Node(value=values, where=where, keys=keys)
    if isinstance(node, SequenceNode):
        return Node(value=tuple(_convert(child, shown, problems) for child in node.value), where=where)
    assert isinstance(node, ScalarNode)
    return Node(value=_scalar(node), where=where)


def _scalar(node: ScalarNode) -> Scalar:
    value = str(node.value)
    match str(node.tag).rsplit(":", 1)[-1]:
        case "bool":
            return value.lower() == "true"
        case "null":
            return None
        case "int":
            return int(value, 0) if value.startswith(("0o", "0x")) else int(value)
        case "float":
            return float(value)
        case _:
            return value
