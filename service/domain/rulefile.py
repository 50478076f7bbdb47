"""A document of rules as a person wrote it -> rules, and everything that is wrong with it, each fault with file:line.

Reads no file and judges no entry.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypedDict, TypeVar

from service.domain.condition import (
    All,
    AnyOf,
    Condition,
    Has,
    IsNew,
    Not,
    Unit,
    Within,
    asks_nothing,
    both,
    count_terms,
    dead,
    excludes,
    show,
    wanted,
)
from service.domain.document import Node, bounded
from service.domain.fields import CUT, Fields, read_date
from service.domain.groups import Groups
from service.domain.model import (
    Action,
    ConceptKind,
    Direction,
    Entry,
    Invalid,
    Problem,
    Severity,
    Stage,
    Step,
    Tier,
    Topic,
)
from service.domain.rule import (
    Confirm,
    Escalation,
    Example,
    Exempt,
    Expectation,
    Per,
    Reach,
    Rule,
    Sources,
    Status,
    Throttle,
    Unclear,
    read_duration,
)
from service.domain.shorthand import (
    MAX_DEPTH,
    MAX_TERMS,
    Meanings,
    Vocabulary,
    nearest,
    read_shorthand,
    read_window,
)
from service.domain.text import LANGUAGES
from service.domain.words import Literal, Phrase, Run, Text

T = TypeVar("T")

MAX_ID = 100
MAX_FILE_WORDS = 30_000  # to look for, in all rules of a file together
MAX_FILE_RULES = 10_000
MAX_FILE_TESTS = 1_000
MAX_WINDOW_TERMS = 30  # each is looked for anew in every sentence, paragraph or stretch of a text

# --- reading a document -------------------------------------------------------------------------------------------

KEYS = (
    "id", "title", "status", "owner", "severity", "reason", "references", "review-by", "languages", "sources",
    "jurisdictions", "topics", "actions", "match", "when", "scope", "stage", "direction", "unclear", "confirm",
    "escalate", "throttle", "expect", "tests",
)  # fmt: skip
SCOPE_KEYS = ("jurisdictions", "topics", "actions", "stage", "direction")
PACK_KEYS = ("id", "title", "description", "version")
TEXT_KEYS = ("text", "title", "summary", "content")
ENTRY_KEYS = ("lang", "source", "link", "tier", "feed")
_BETWEEN = re.compile(r"[\s+|()]+")
_A_SHORTHAND = "write a shorthand such as China + stablecoin + ban"
_NO_TEXT = "put the text in quotes if it begins with #, [ or {"
_ID = re.compile(r"\w[\w.-]*")


def parse_rules(
    document: Node, lexicon: Meanings, groups: Groups | None = None
) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    """The good rules of a document and everything that is wrong with the others. Their inline tests are not run."""
    reader = _Reader(Vocabulary(lexicon, groups))
    reader.problems.extend(document.faults)
    rules: dict[str, Rule] = {}
    for node in reader.rule_nodes(document):
        if reader.has_read_enough():
            what = (
                f"more than {MAX_FILE_RULES:,} rules, {MAX_FILE_WORDS:,} words or {MAX_FILE_TESTS:,} tests above: "
                "from here on nothing is read"
            )
            reader.complain(node, what, "split the file")
            break
        rule = reader.rule(node)
        if rule is None:
            continue
        if rule.id in rules:
            hint = f"first at {rules[rule.id].where}"
            reader.complain(node.get("id") or node, f"rule id {rule.id!r} is used twice", hint)
        else:
            rules[rule.id] = rule
    return tuple(rules.values()), bounded(reader.problems)


def may_be_shorthand(text: str) -> bool:
    """Whether a text is rather a shorthand than the id of a rule."""
    return any(sign in text for sign in ' +|"*=:')


def rule_of(shorthand: str, lexicon: Meanings, groups: Groups | None = None) -> Rule:
    """The rule that a shorthand makes; Invalid tells what is wrong with it."""
    node = Node(value=(Node(value=shorthand, where="RULE"),), where="RULE")
    found, problems = parse_rules(node, lexicon, groups)
    if problems:
        raise Invalid(problems)
    return found[0]


class _Reader(Fields):
    """Walks one document and collects its problems."""

    def __init__(self, lexicon: Vocabulary) -> None:
        super().__init__()
        self.lexicon = lexicon
        self.rules = 0
        self.words = 0
        self.tests = 0

    def has_read_enough(self) -> bool:
        """Whether reading on may take longer than a person waits for a file."""
        return self.rules > MAX_FILE_RULES or self.words > MAX_FILE_WORDS or self.tests > MAX_FILE_TESTS

    def rule_nodes(self, document: Node) -> tuple[Node, ...]:
        listed: Node | None = document
        if document.mapping is not None:
            self.known_keys(document, ("rules", "pack"))
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
            self.complain(node, f"pack should be a mapping, not {node.kind}", f"known here: {', '.join(PACK_KEYS)}")
            return
        self.known_keys(node, PACK_KEYS)
        for key in PACK_KEYS:
            self.text(node, key)

    def rule(self, node: Node) -> Rule | None:
        """The rule that `node` holds, or None when anything about it is wrong."""
        self.rules += 1
        if node.faults and node.mapping is None:
            return None
        if node.text is None and node.mapping is None:
            hint = f"{_A_SHORTHAND}, in quotes if it is a number or begins with #, [ or {{"
            self.complain(node, f"a rule is a text or a mapping, not {node.kind}", hint)
            return None
        self.words += 1
        faults = len(self.problems)
        rule = self.full(node) if node.mapping is not None else self.short(node)
        if rule is not None and not node.faults and len(self.problems) == faults:
            self.check(rule, node)
        if rule is None or node.faults or len(self.problems) > faults:
            return None
        return _with_apart(replace(rule, digest=_digest(node)), self.lexicon)

    def short(self, node: Node) -> Rule | None:
        text = node.text or ""
        condition = self.shorthand(node)
        if condition is None:
            return None
        return Rule(id=slug(text), title=" ".join(text.split()), where=node.where, digest="", condition=condition)

    def full(self, node: Node) -> Rule:
        self.known_keys(node, KEYS)
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
            unclear=self.one(node, "unclear", Unclear) or Unclear.HOLD,
            **self.scope(node),
            direction=self.direction(node),
            languages=self.languages(node),
            sources=self.sources(node.get("sources")),
            confirm=self.read(node, "confirm", read_confirm, "official, 2 independent, or: official or 2 independent"),
            escalate=self.listed_mappings(node, "escalate", self.escalation),
            throttle=self.throttle(node.get("throttle")),
            expect=self.read(node, "expect", read_expectation, "for example: at least 1 per 60d"),
            owner=self.text(node, "owner"),
            review_by=self.read(node, "review-by", read_date, "a date such as 2027-06-30"),
            references=self.texts(node, "references"),
            reason=self.text(node, "reason"),
            tests=self.listed_mappings(node, "tests", self.example),
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

    def scope(self, node: Node) -> _Sets:
        return {
            "jurisdictions": self.names(node, "jurisdictions", ConceptKind.JURISDICTION),
            "topics": tuple(map(Topic, self.names(node, "topics", ConceptKind.TOPIC))),
            "actions": tuple(map(Action, self.names(node, "actions", ConceptKind.ACTION))),
            "stages": tuple(map(Stage, self.names(node, "stage", ConceptKind.STAGE))),
        }

    def names(self, node: Node, key: str, kind: ConceptKind) -> tuple[str, ...]:
        known = self.lexicon.names(kind)
        good: list[str] = []
        for item in self.items(node, key):
            if item.text in known:
                good.append(item.text)
            elif kind is ConceptKind.JURISDICTION and (members := self.lexicon.members(item.text or "")):
                good.extend(members)
            else:
                hint = nearest(item.text or "", kind, self.lexicon) if self.hints else ""
                self.complain(item, f"unknown {kind} {item.text!r}", hint)
        return tuple(dict.fromkeys(good))

    def direction(self, node: Node) -> Direction | None:
        child = node.get("direction")
        return None if child is not None and child.text == "any" else self.one(node, "direction", Direction)

    def languages(self, node: Node) -> tuple[str, ...]:
        good: list[str] = []
        for item in self.items(node, "languages"):
            found = [lang for lang in LANGUAGES if item.text in (lang, lang.partition("-")[0])]
            if not found:
                self.complain(item, f"unknown language {item.text!r}", f"one of zh, {', '.join(LANGUAGES)}")
            good.extend(found)
        return tuple(dict.fromkeys(good))

    def sources(self, node: Node | None) -> Sources:
        if node is None or not self.mapping(node, "sources", ("tiers", "include", "exclude")):
            return Sources()
        return Sources(
            tiers=self.several(node, "tiers", Tier),
            include=self.texts(node, "include"),
            exclude=self.texts(node, "exclude"),
        )

    def listed_mappings(self, node: Node, key: str, one: Callable[[Node], T | None]) -> tuple[T, ...]:
        child = node.get(key)
        if child is None:
            return ()
        if not child.items:
            what = f"{key} is empty" if child.items is not None else f"{key} should be a list, not {child.kind}"
            self.complain(child, what, "begin each one with a -")
        found = (one(item) for item in child.items or ())
        return tuple(item for item in found if item is not None)

    def escalation(self, node: Node) -> Escalation | None:
        if not self.mapping(node, "an escalation", ("when", "severity")):
            return None
        severity, when = self.one(node, "severity", Severity), node.get("when")
        if when is None or (severity is None and node.get("severity") is None):
            self.complain(node, "an escalation has `when` and `severity`", "{when: {stage: in-force}, severity: high}")
            return None
        if not self.mapping(when, "when", (*SCOPE_KEYS, "tier")) or severity is None:
            return None
        return Escalation(
            severity=severity,
            **self.scope(when),
            directions=self.several(when, "direction", Direction),
            tiers=self.several(when, "tier", Tier),
        )

    def throttle(self, node: Node | None) -> Throttle | None:
        if node is None or not self.mapping(node, "throttle", ("per", "every", "except")):
            return None
        every = self.read(node, "every", read_duration, "a number and a unit: 30m, 24h, 7d")
        if node.get("every") is None:
            self.complain(node, "a throttle has `every`", "{per: story, every: 24h}")
        if every is None:
            return None
        return Throttle(
            per=self.one(node, "per", Per) or Per.STORY, every=every, exempt=self.several(node, "except", Exempt)
        )

    def example(self, node: Node) -> Example | None:
        """An inline test. What must not fire says why, so that it fails for its own reason and no other."""
        self.tests += 1
        if not self.mapping(node, "a test", (*TEXT_KEYS, *ENTRY_KEYS, "expect")):
            return None
        texts = {key: self.text(node, key) for key in TEXT_KEYS if node.get(key) is not None}
        if not texts or ("text" in texts and "title" in texts):
            self.complain(node, "a test has a `text`, or a `title` with `summary` and `content`", "write what to read")
            return None
        expect = node.get("expect")
        if expect is None or not self.mapping(expect, "expect", (*SCOPE_KEYS, "fire", "because", "severity")):
            if expect is None:
                self.complain(node, "a test says what it expects", "expect: {fire: true}")
            return None
        fire = expect.get("fire")
        if fire is None or not isinstance(fire.value, bool):
            self.complain(fire or expect, "expect says whether the rule must fire", "fire: true, or fire: false")
            return None
        because = self.one(expect, "because", Step)
        if fire.value is (because is not None) or (fire.value and expect.get("because") is not None):
            hint = f"because: one of {', '.join(Step)}"
            self.complain(expect, "`because` is for tests that must not fire, and each of those has one", hint)
            return None
        return Example(
            where=node.where,
            entry=Entry(
                id=node.where,
                title=texts.get("text", texts.get("title", "")),
                summary=texts.get("summary", ""),
                content=texts.get("content", ""),
                source=self.text(node, "source"),
                link=self.text(node, "link"),
                lang=self.text(node, "lang") or None,
                tier=self.one(node, "tier", Tier) or Tier.UNKNOWN,
            ),
            feed=next(iter(self.names(node, "feed", ConceptKind.JURISDICTION)), None),
            because=because,
            **self.scope(expect),
            directions=self.several(expect, "direction", Direction),
            severity=self.one(expect, "severity", Severity),
        )

    # -- conditions

    def shorthand(self, node: Node) -> Condition | None:
        if node.faults:
            return None
        if node.text is None:
            what = "the match is empty" if node.value is None else f"a match is a text, not {node.kind}"
            self.complain(node, what, _NO_TEXT if node.cut or node.items is not None else _A_SHORTHAND)
            return None
        if node.cut:
            self.complain(node, f"the match ends before {node.cut[:40]!r}, which is read as a comment", CUT)
        self.words += len(_BETWEEN.split(node.text))
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
        self.known_keys(node, ("all", "any", "none", "within"))
        if node.mapping.keys() <= {"within"}:
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
        if window is None or (window[0] is not Unit.WORDS and node.text != window[0]):
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
        elif _window_terms(terms) > MAX_WINDOW_TERMS:
            what = f"more than {MAX_WINDOW_TERMS} terms are held together by `within` with something excluded"
            self.complain(node, what, "exclude it outside of the within, or make several rules of it")
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


class _Sets(TypedDict):
    jurisdictions: tuple[str, ...]
    topics: tuple[Topic, ...]
    actions: tuple[Action, ...]
    stages: tuple[Stage, ...]


def _window_terms(condition: Condition) -> int:
    """How many terms stand in a `within` that also excludes: these are asked of one stretch of text after another."""
    match condition:
        case All(parts) | AnyOf(parts):
            return sum(map(_window_terms, parts))
        case Not(part):
            return _window_terms(part)
        case Within(part):
            return count_terms(part) if excludes(part) else _window_terms(part)
        case _:
            return 0


def read_confirm(text: str) -> Confirm | None:
    """`official`, `2 independent` or `official or 2 independent`; None for anything else."""
    found = re.fullmatch(r"(official)?(?: or )?(?:([2-9]) independent)?", " ".join(text.split()))
    if not found or not any(found.groups()) or ("or" in text.split()) != all(found.groups()):
        return None
    return Confirm(official=found[1] is not None, independent=int(found[2]) if found[2] else None)


def read_expectation(text: str) -> Expectation | None:
    """`at least 1 per 60d`; None for anything else."""
    found = re.fullmatch(r"at least ([1-9]\d{0,5}) per (\S+)", " ".join(text.split()), re.ASCII)
    per = read_duration(found[2]) if found else None
    return Expectation(at_least=int(found[1]), per=per) if found and per else None


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
    if not isinstance(rule.condition, All) or not any(map(_excludes_words, rule.condition.parts)):
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


def _excludes_words(part: Condition) -> bool:
    return isinstance(part, Not) and isinstance(part.part, Phrase | Run)


def _holds_term(phrase: Literal, terms: Iterable[Has | IsNew | Literal], lexicon: Vocabulary) -> bool:
    concepts = {concept for term in terms if isinstance(term, Has) for concept in term.concepts}
    written = phrase.shown.strip('"').split()
    heads = [" ".join(written[a:b]) for a in range(len(written)) for b in range(a + 1, len(written) + 1)]
    if any(concepts.intersection(lexicon.lookup(head)) for head in heads):
        return True
    text = Text("match", phrase.shown, "en")
    return any(not isinstance(term, Has | IsNew) and any(text.hits(term)) for term in terms)
