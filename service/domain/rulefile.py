"""A document of rules as a person wrote it -> rules, and everything that is wrong with it, each fault with file:line.

Reads no file and judges no entry.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from service.domain.condition import (
    All,
    AnyOf,
    Condition,
    Has,
    IsNew,
    Not,
    Within,
    asks_nothing,
    both,
    count_terms,
    dead,
    show,
    wanted,
)
from service.domain.document import Node, unknown_keys
from service.domain.model import Action, Concept, ConceptKind, Direction, Problem, Severity, Stage, Topic
from service.domain.shorthand import (
    MAX_DEPTH,
    MAX_TERMS,
    Meanings,
    Vocabulary,
    nearest,
    read_shorthand,
    read_window,
)
from service.domain.words import Literal, Phrase, Run, Text

MAX_ID = 100

E = TypeVar("E", bound=StrEnum)


class Status(StrEnum):
    """Only active rules fire."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


class Reach(StrEnum):
    """What a rule looks at: developments reported as news, or every mention of its terms."""

    REPORTED = "reported"
    MENTION = "mention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as it was written. Empty sets of jurisdictions, topics, actions, stages mean "any".

    `condition` is None when the sets alone say what the rule wants. `apart` are excluded phrases that hold a term of
    the rule themselves: they remove the hits that they cover and nothing else. `digest` changes with any word of it.
    """

    id: str
    title: str
    where: str
    digest: str
    condition: Condition | None
    apart: tuple[Literal, ...] = ()
    severity: Severity = Severity.MEDIUM
    status: Status = Status.ACTIVE
    reach: Reach = Reach.REPORTED
    jurisdictions: tuple[str, ...] = ()
    topics: tuple[Topic, ...] = ()
    actions: tuple[Action, ...] = ()
    stages: tuple[Stage, ...] = ()
    direction: Direction | None = None
    references: tuple[str, ...] = ()
    reason: str = ""

    @property
    def scope(self) -> tuple[Has, ...]:
        """The sets of jurisdictions, topics, actions, stages and the direction, each as a term."""
        kinds: tuple[tuple[ConceptKind, Collection[str]], ...] = (
            (ConceptKind.JURISDICTION, self.jurisdictions),
            (ConceptKind.TOPIC, self.topics),
            (ConceptKind.ACTION, self.actions),
            (ConceptKind.STAGE, self.stages),
            (ConceptKind.DIRECTION, (self.direction,) if self.direction else ()),
        )
        return tuple(
            Has(tuple(Concept(kind, str(name)) for name in names), f"{kind} {' or '.join(names)}", exact=True)
            for kind, names in kinds
            if names
        )

    @property
    def whole(self) -> Condition:
        """Scope and condition as one."""
        return both((*self.scope, *((self.condition,) if self.condition is not None else ())))


# --- reading a document -------------------------------------------------------------------------------------------

_KEYS = (
    "id", "title", "severity", "status", "match", "when", "jurisdictions", "topics", "actions", "stage", "direction",
    "scope", "references", "reason",
)  # fmt: skip
_PACK_KEYS = ("id", "title", "description", "version")
_ID = re.compile(r"\w[\w.-]*")


def parse_rules(document: Node, lexicon: Meanings) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    """The good rules of a document and everything that is wrong with the others."""
    reader = _Reader(lexicon)
    rules: dict[str, Rule] = {}
    for node in reader.rule_nodes(document):
        rule = reader.rule(node)
        if rule is None:
            continue
        if rule.id in rules:
            hint = f"first at {rules[rule.id].where}"
            reader.complain(node.get("id") or node, f"rule id {rule.id!r} is used twice", hint)
        else:
            rules[rule.id] = rule
    return tuple(rules.values()), tuple(sorted(reader.problems, key=_line))


def _line(problem: Problem) -> int:
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


class _Reader:
    """Walks one document and collects its problems."""

    def __init__(self, lexicon: Meanings) -> None:
        self.lexicon = Vocabulary(lexicon)
        self.problems: list[Problem] = []

    def complain(self, node: Node, what: str, hint: str = "") -> None:
        self.problems.append(Problem(where=node.where, what=what, hint=hint))

    def rule_nodes(self, document: Node) -> tuple[Node, ...]:
        listed: Node | None = document
        if document.mapping is not None:
            self.problems.extend(unknown_keys(document, ("rules", "pack")))
            self.pack(document.get("pack"))
            listed = document.get("rules")
        if listed is None:
            self.complain(document, "there is no `rules:` list here", "write the rules as a list under `rules:`")
        elif listed.items is None:
            self.complain(listed, f"rules should be a list, not {listed.kind}", "write `rules: []` for no rules")
        return (listed.items or ()) if listed is not None else ()

    def pack(self, node: Node | None) -> None:
        if node is None:
            return
        if node.mapping is None:
            self.complain(node, f"pack should be a mapping, not {node.kind}", f"known here: {', '.join(_PACK_KEYS)}")
            return
        self.problems.extend(unknown_keys(node, _PACK_KEYS))
        for key in _PACK_KEYS:
            self.text(node, key)

    def rule(self, node: Node) -> Rule | None:
        """The rule that `node` holds, or None when anything about it is wrong."""
        if node.text is None and node.mapping is None:
            hint = "write a shorthand such as China + stablecoin + ban, in quotes if it is a number"
            self.complain(node, f"a rule is a text or a mapping, not {node.kind}", hint)
            return None
        faults = len(self.problems)
        rule = self.full(node) if node.mapping is not None else self.short(node)
        if rule is not None and len(self.problems) == faults:
            self.check(rule, node)
        if rule is None or len(self.problems) > faults:
            return None
        return _with_apart(replace(rule, digest=_digest(node)), self.lexicon)

    def short(self, node: Node) -> Rule | None:
        text = node.text or ""
        condition = self.shorthand(node)
        if condition is None:
            return None
        return Rule(id=slug(text), title=" ".join(text.split()), where=node.where, digest="", condition=condition)

    def full(self, node: Node) -> Rule:
        self.problems.extend(unknown_keys(node, _KEYS))
        match, when = node.get("match"), node.get("when")
        if match is not None and when is not None:
            self.complain(when, "a rule has either `match` or `when`", "put the match into `when: {all: […]}`")
        condition = self.shorthand(match) if match is not None else self.terms(when, 1) if when is not None else None
        title = self.text(node, "title") or (match.text if match is not None and match.text else "")
        rule_id = self.id(node, title or (show(condition) if condition is not None else ""))
        return Rule(
            id=rule_id,
            title=" ".join(title.split()) or rule_id,
            where=node.where,
            digest="",
            condition=condition,
            severity=self.one(node, "severity", Severity) or Severity.MEDIUM,
            status=self.one(node, "status", Status) or Status.ACTIVE,
            reach=self.one(node, "scope", Reach) or Reach.REPORTED,
            jurisdictions=self.names(node, "jurisdictions", ConceptKind.JURISDICTION),
            topics=tuple(map(Topic, self.names(node, "topics", ConceptKind.TOPIC))),
            actions=tuple(map(Action, self.names(node, "actions", ConceptKind.ACTION))),
            stages=tuple(map(Stage, self.names(node, "stage", ConceptKind.STAGE))),
            direction=self.direction(node),
            references=self.texts(node, "references"),
            reason=self.text(node, "reason"),
        )

    # -- parts of a rule

    def id(self, node: Node, title: str) -> str:
        if "id" not in (node.mapping or {}):
            made = slug(title)
            if not made:
                self.complain(node, "the rule has no id and no title to make one of", "add `id:`")
            return made
        written = self.text(node, "id")
        if written and (len(written) > MAX_ID or not _ID.fullmatch(written)):
            what = f"{written[:MAX_ID]!r} cannot be an id"
            self.complain(node.at(["id"]), what, f"letters, digits, - _ and . only, at most {MAX_ID}")
        return written

    def text(self, node: Node, key: str) -> str:
        child = node.get(key)
        if child is None:
            return ""
        if child.text is None or not child.text.strip():
            self.complain(child, f"{key} should be a text, not {child.kind}", "put it in quotes")
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

    def names(self, node: Node, key: str, kind: ConceptKind) -> tuple[str, ...]:
        known = self.lexicon.names(kind)
        good: list[str] = []
        for item in self.items(node, key):
            if item.text in known:
                good.append(item.text)
            else:
                self.complain(item, f"unknown {kind} {item.text!r}", nearest(item.text or "", kind, self.lexicon))
        return tuple(dict.fromkeys(good))

    def one(self, node: Node, key: str, known: type[E]) -> E | None:
        child = node.get(key)
        if child is None:
            return None
        if child.text is None or child.text not in tuple(known):
            self.complain(child, f"{key} cannot be {child.kind}", f"one of {', '.join(known)}")
            return None
        return known(child.text)

    def direction(self, node: Node) -> Direction | None:
        child = node.get("direction")
        return None if child is not None and child.text == "any" else self.one(node, "direction", Direction)

    # -- conditions

    def shorthand(self, node: Node) -> Condition | None:
        if node.text is None:
            what = "the match is empty" if node.value is None else f"a match is a text, not {node.kind}"
            self.complain(node, what, "write a shorthand such as China + stablecoin + ban")
            return None
        condition, problems = read_shorthand(node.text, node.where, self.lexicon)
        self.problems.extend(problems)
        return condition

    def terms(self, node: Node, depth: int) -> Condition | None:
        """`{all: […], any: […], none: […]}`: all of `all`, one of `any`, nothing of `none`."""
        if depth > MAX_DEPTH:
            self.complain(node, f"`when` is nested deeper than {MAX_DEPTH} levels", "make several rules of it")
            return None
        if node.mapping is None:
            if depth == 1:
                hint = "write {all: […], any: […], none: […]}; a shorthand goes under `match:`"
                self.complain(node, f"`when` is a mapping, not {node.kind}", hint)
                return None
            return self.shorthand(node)
        self.problems.extend(unknown_keys(node, ("all", "any", "none", "within")))
        if not node.mapping:
            self.complain(node, "`when` is empty", "write {all: […], any: […], none: […]}")
        found: list[Condition] = []
        for key, child in node.mapping.items():
            parts = self.listed(key, child, depth) if key in ("all", "any", "none") else ()
            if not parts:
                continue
            found.extend({"all": parts, "any": (AnyOf(parts),), "none": tuple(map(Not, parts))}[key])
        return self.close(both(found), node.get("within")) if found else None

    def close(self, group: Condition, node: Node | None) -> Condition:
        """The group, held to its `within:` if there is one."""
        if node is None:
            return group
        window = read_window(node.text or "")
        if window is None:
            self.complain(node, f"within cannot be {node.kind}", "sentence, paragraph or, for example, 12 words")
            return group
        return Within(group, *window)

    def listed(self, key: str, node: Node, depth: int) -> tuple[Condition, ...]:
        if not node.items:
            what = f"{key} is empty" if node.items is not None else f"{key} should be a list, not {node.kind}"
            self.complain(node, what, "list shorthands or mappings under it")
            return ()
        parts = (self.terms(item, depth + 1) for item in node.items)
        return tuple(part for part in parts if part is not None)

    # -- the rule as a whole

    def check(self, rule: Rule, node: Node) -> None:
        terms = rule.whole
        named = rule.jurisdictions or rule.topics or rule.actions
        if rule.condition is None and not named:
            hint = "add `match`, `when`, or jurisdictions, topics or actions"
            self.complain(node, "the rule says nothing to look for", hint)
        elif count_terms(terms) > MAX_TERMS:
            self.complain(node, f"the rule has more than {MAX_TERMS} terms", "make several rules of it")
        elif rule.condition is not None and not named and asks_nothing(rule.condition):
            self.complain(node, "the rule matches everything that it does not exclude", "add what it should look for")
        elif rule.reach is Reach.REPORTED and (part := dead(terms)) is not None:
            hint = "use (a | b) if one is enough, or scope: mention"
            self.complain(node, f"no single development is all of {cut(show(part))}: this can never fire", hint)
        elif rule.reach is Reach.MENTION and (
            rule.stages or rule.direction or any(isinstance(term, IsNew) for term in wanted(terms))
        ):
            hint = "leave out new, stage and direction, or scope: mention"
            self.complain(node, "new, stage and direction are of a development, not of a mention", hint)


def cut(text: str) -> str:
    """A text short enough for a message."""
    return text if len(text) <= MAX_ID else f"{text[: MAX_ID - 1]}…"


def slug(text: str) -> str:
    """An id made of a title: its words in small letters with hyphens, cut to a bound."""
    made = "-".join(re.findall(r"\w+", text.casefold()))
    if len(made) <= MAX_ID:
        return made
    return f"{made[: MAX_ID - 9]}-{hashlib.sha256(made.encode()).hexdigest()[:8]}"


def _digest(node: Node) -> str:
    written = json.dumps(node.plain(), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def _with_apart(rule: Rule, lexicon: Vocabulary) -> Rule:
    """The rule with those excluded phrases set apart that hold a term of the rule ("advertising ban" and ban)."""
    if not isinstance(rule.condition, All):
        return rule
    terms = tuple(wanted(rule.whole))
    apart: list[Literal] = []
    rest: list[Condition] = []
    for part in rule.condition.parts:
        excluded = part.part if isinstance(part, Not) else None
        if isinstance(excluded, Phrase | Run) and _holds_term(excluded, terms, lexicon):
            apart.append(excluded)
        else:
            rest.append(part)
    return replace(rule, condition=both(rest) if rest else None, apart=tuple(apart))


def _holds_term(phrase: Literal, terms: Iterable[Has | IsNew | Literal], lexicon: Vocabulary) -> bool:
    concepts = {concept for term in terms if isinstance(term, Has) for concept in term.concepts}
    written = phrase.shown.strip('"').split()
    heads = [" ".join(written[a:b]) for a in range(len(written)) for b in range(a + 1, len(written) + 1)]
    if any(concepts.intersection(lexicon.lookup(head)) for head in heads):
        return True
    text = Text("match", phrase.shown)
    return any(not isinstance(term, Has | IsNew) and any(text.hits(term)) for term in terms)
