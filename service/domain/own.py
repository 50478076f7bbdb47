"""The rules that subscriptions bring along: expressions as in a rule's `match`, heard of by their subscription alone.

Their ids begin with the number of the subscription and a colon, which no id of a rule file can hold, and end with a
mark of the text: an id means one expression for ever, so that what is told or decided under it stays true when the
expression is changed. Pure: what the subscriptions are is handed in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.domain.document import Node
from service.domain.groups import Groups
from service.domain.judge import Lexicon
from service.domain.model import Entry, Match, Problem, Reading, Severity
from service.domain.rule import Rule
from service.domain.rulefile import parse_rules
from service.domain.rules import Ruleset
from service.domain.shorthand import Meanings

UNNUMBERED = 0
"""Stands for a subscription that is not stored."""

MAX_EXPRESSIONS = 50  # of one subscription
MAX_OF_TEAM = 2_000  # of all subscriptions of a team
MAX_LENGTH = 500  # letters of one
MAX_WORDS = 60  # letters of the words in an id

SEVERITY = Severity.MEDIUM
"""Of every match of an expression, as of a rule that names none."""

_ID = re.compile(r"[0-9]{1,18}:[\w-]*\.[0-9a-f]{6}")
Expressions = tuple[str, ...]


def owner_of(rule_id: str) -> int | None:
    """The subscription that brought this rule along; None for a rule that all teams share."""
    number, colon, _ = rule_id.partition(":")
    return int(number) if colon else None


def is_own(text: str) -> bool:
    """Whether a text can be such an id; no id of a shared rule is, and no shorthand that finds anything."""
    return _ID.fullmatch(text) is not None


def id_of(subscription_id: int, expression: str, slug: str) -> str:
    """The id of a subscription's expression; `slug` are its words for a reader."""
    return f"{subscription_id}:{slug[:MAX_WORDS].rstrip('-')}.{_mark(expression)}"


def means(rule_id: str, expression: str) -> bool:
    """Whether an id of the subscription that has the expression is of this one."""
    return rule_id.rpartition(".")[2] == _mark(expression)


def _mark(expression: str) -> str:
    return hashlib.sha256(expression.encode("utf-8", "surrogatepass")).hexdigest()[:6]


def written(expressions: Iterable[str], where: str = "match") -> tuple[Node, ...]:
    """Expressions as they stand in a list at `where`."""
    return tuple(Node(value=text, where=f"{where}.{number}") for number, text in enumerate(expressions))


def read_own(
    subscription_id: int, nodes: Iterable[Node], lexicon: Meanings, groups: Groups | None = None
) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    """The rules of these expressions, and what is wrong with the others, each with its place."""
    found: list[Rule] = []
    problems: list[Problem] = []
    for node in nodes:
        text = node.text or ""
        if len(text) > MAX_LENGTH:
            what = f"the match is longer than {MAX_LENGTH} characters"
            problems.append(Problem(where=node.where, what=what, hint="make several of it"))
            continue
        # One by one: their words may make the same id, as those of `a + b` and `a | b` do.
        rules, wrong = parse_rules(Node(value=(node,), where=node.where), lexicon, groups)
        problems.extend(wrong)
        found.extend(replace(rule, id=id_of(subscription_id, text, rule.id), severity=SEVERITY) for rule in rules)
    return tuple(found), tuple(problems)


# --- all of them, ready to judge entries ---------------------------------------------------------------------------

FRESH = 500
"""Rules that are compiled anew with each change. Compiling takes 20 ms for a thousand, reading 0.2 ms for each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OwnRules:
    """The rules of all subscriptions. A change reads and compiles what is new beside what stands, so that one more
    subscription costs no more where there are thousands; once much is new, or gone, all is compiled at once."""

    lexicon: Lexicon
    groups: Groups
    version: str
    problems: tuple[Problem, ...]
    _read: Mapping[int, _OfOne]
    _standing: Ruleset
    _fresh: Ruleset
    _in_force: frozenset[str]

    @classmethod
    def none(cls, lexicon: Lexicon, groups: Groups) -> OwnRules:
        """Nobody has any."""
        empty = Ruleset.compile((), lexicon)
        return cls(
            lexicon=lexicon, groups=groups, version="", problems=(),
            _read={}, _standing=empty, _fresh=empty, _in_force=frozenset(),
        )  # fmt: skip

    def updated(self, wanted: Mapping[int, Expressions]) -> OwnRules:
        """With these expressions in force and no others, by subscription. One that is wrong is left out and named:
        it was right when it was stored, but groups and words may mean something else since."""
        read = {number: self._of_one(number, expressions) for number, expressions in wanted.items()}
        rules = {rule.id: rule for one in read.values() for rule in one.rules}
        fresh = [rule for rule_id, rule in rules.items() if rule_id not in self._standing.by_id]
        gone = len(self._standing.rules) + len(fresh) - len(rules)
        if len(fresh) > FRESH or gone > FRESH + len(rules):
            standing, fresh = Ruleset.compile(rules.values(), self.lexicon), []
        else:
            standing = self._standing
        return replace(
            self,
            version=hashlib.sha256("\n".join(sorted(rules)).encode()).hexdigest()[:8] if rules else "",
            problems=tuple(problem for one in read.values() for problem in one.problems),
            _read=read,
            _standing=standing,
            _fresh=Ruleset.compile(fresh, self.lexicon),
            _in_force=frozenset(rules),
        )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those in force."""
        return tuple(rule for one in self._read.values() for rule in one.rules)

    def match(self, entry: Entry, reading: Reading) -> tuple[Match, ...]:
        """The rules in force that fire on this entry, by the number of their subscription."""
        found = [match for match in self._standing.match(entry, reading) if match.rule_id in self._in_force]
        return tuple(sorted((*found, *self._fresh.match(entry, reading)), key=_number))

    def _of_one(self, number: int, expressions: Expressions) -> _OfOne:
        known = self._read.get(number)
        if known is not None and known.expressions == expressions:
            return known
        nodes = written(expressions, f"subscription {number}: match")
        rules, problems = read_own(number, nodes, self.lexicon, self.groups)
        return _OfOne(expressions, rules, problems)


@dataclass(frozen=True, slots=True)
class _OfOne:
    expressions: Expressions
    rules: Sequence[Rule]
    problems: Sequence[Problem]


def _number(match: Match) -> int:
    return owner_of(match.rule_id) or 0
