"""Named groups of jurisdictions: "Central Asia", "FATF grey list", and those that a team makes for itself.

A group is nothing but its members: a rule that names it asks for one of them. Reads no file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from service.domain.document import Node
from service.domain.fields import Fields, read_date
from service.domain.model import Problem
from service.domain.text import fold

_KEYS = ("names", "members", "as-of", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`as_of` is the day on which the members were right, for lists that change."""

    id: str
    names: tuple[str, ...]
    members: tuple[str, ...]
    where: str
    as_of: date | None = None
    source: str = ""


class Groups:
    """Groups by every name that they have, in any case, with hyphens or blanks."""

    __slots__ = ("_by_name", "all")

    def __init__(self, groups: Iterable[Group] = ()) -> None:
        self.all = tuple(groups)
        self._by_name = {_plain(name): group for group in self.all for name in (group.id, *group.names)}

    def get(self, name: str) -> Group | None:
        return self._by_name.get(_plain(name))

    def __bool__(self) -> bool:
        return bool(self.all)


NO_GROUPS = Groups()


def _plain(name: str) -> str:
    return " ".join(fold(name).text.replace("-", " ").split())


def read_groups(
    document: Node, known: Collection[str], earlier: Groups | None = None
) -> tuple[Groups, tuple[Problem, ...]]:
    """`{id: {names, members, as-of, source}}` or `{id: [members]}` -> groups, after those of `earlier`.

    `known` are the codes that there are. A group with a fault is left out; one that has a name of an earlier group
    takes its place.
    """
    fields = Fields()
    found: list[Group] = list(earlier.all) if earlier else []
    taken: dict[str, Group] = {}
    if document.mapping is None:
        fields.complain(document, f"groups should be a mapping, not {document.kind}", "write nordics: [DK, FI, ...]")
    for name, node in (document.mapping or {}).items():
        group = _read_group(name, node, known, fields)
        if group is None:
            continue
        called = {_plain(word) for word in (group.id, *group.names)}
        if clash := next((taken[word] for word in called if word in taken), None):
            fields.complain(node, f"group {name!r} has a name of {clash.id!r}", f"first at {clash.where}")
            continue
        taken.update(dict.fromkeys(called, group))
        found.append(group)
    return Groups(found), tuple(fields.problems)


def _read_group(name: str, node: Node, known: Collection[str], fields: Fields) -> Group | None:
    faults = len(fields.problems)
    whole = node if node.mapping is not None else Node(value={"members": node}, where=node.where)
    fields.mapping(whole, f"group {name!r}", _KEYS)
    members = fields.texts(whole, "members")
    for code in members:
        if code not in known:
            fields.complain(node, f"group {name!r} has the unknown member {code!r}", "codes such as KZ, HK, EU")
    if not members and len(fields.problems) == faults:
        fields.complain(node, f"group {name!r} has no members", "list their codes")
    group = Group(
        id=name,
        names=fields.texts(whole, "names"),
        members=tuple(dict.fromkeys(members)),
        where=node.where,
        as_of=fields.read(whole, "as-of", read_date, "a date such as 2026-06-30, in quotes"),
        source=fields.text(whole, "source"),
    )
    return group if len(fields.problems) == faults else None
