"""What a person might write in a rule file: documents mostly right, now and then wrong in one of the usual ways."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from service.domain.model import Action, Direction, Severity, Stage, Step, Tier, Topic
from service.domain.rule import Exempt, Per, Reach, Status, Unclear

Draw = Callable[[st.SearchStrategy[Any]], Any]

WORDS = (
    "China", "Kazakhstan", "Central Asia", "EU", "US", "Atlantis", "ban", "tax", "licensing regime", "stablecoin",
    "crypto", "new ban", "custod*", "ab*", "cu*stody", "=SAFE", '"Project Ensemble"', '"', "topic:mining",
    "topic:minning",
    "jurisdiction:NO", "action:ban", "stage:enacted", "kind:x", "the", "AND", "or", "新的 禁止", "禁*", "запрет",
    "قانون", "\u202eban", "🚫", "cafe\u0301", "(", ")", "|", "-", "within sentence", "x" * 60,
)  # fmt: skip
PLACES = ("CN", "KZ", "NO", "EU", "INTL", "Central Asia", "Atlantis", "cn", "no")
TEXTS = (
    "China bans stablecoins", "Kazakhstan taxes miners", "中国人民银行禁止稳定币交易", "a: b", "#1 of them",
    "No. 4 # four", "x" * 300, "\u202emirrored", "🙂", "NO", "22:00", "1.10", "'", '"', "- a", "a\nb",
)  # fmt: skip

terms = st.sampled_from(WORDS)
shorthands = st.one_of(
    st.lists(terms, min_size=1, max_size=4).map(" + ".join),
    st.tuples(terms, st.lists(terms, min_size=2, max_size=4).map(" | ".join)).map(lambda t: f"{t[0]} + ({t[1]})"),
    st.tuples(terms, terms).map(lambda t: f"{t[0]} -{t[1]}"),
    st.tuples(terms, terms, st.sampled_from(("sentence", "12 words", "1 words", "page"))).map(
        lambda t: f"({t[0]} + {t[1]}) within {t[2]}"
    ),
    st.just("China + stablecoin + ban"),
    st.just("new licensing regime"),
)
texts = st.sampled_from(TEXTS)
wrong = st.sampled_from((
    None, True, False, 0, -7, 1.5, 10**25, "", " ", "nonsense", [], {}, [[]], [None], {"a": 1}, ["x", 1], "x" * 3_000,
    {"when": {}}, "2 independent", "24h", "\ufeff", "\u2028",
))  # fmt: skip


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return one | st.lists(one, min_size=1, max_size=3)


def names(known: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(tuple(map(str, known)))


def mapping(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these keys; `_` in a name is `-`, and a key that ends in `_` is always there."""
    must = {key.rstrip("_").replace("_", "-"): value for key, value in keys.items() if key.endswith("_")}
    may = {key.replace("_", "-"): value for key, value in keys.items() if not key.endswith("_")}
    return st.fixed_dictionaries(must, optional=may)


SCOPE: dict[str, st.SearchStrategy[Any]] = {
    "jurisdictions": several(st.sampled_from(PLACES[:6])),
    "topics": several(names(Topic)),
    "actions": several(names(Action)),
    "stage": several(names(Stage)),
    "direction": names(Direction),
}

groups: st.SearchStrategy[Any] = st.deferred(
    lambda: mapping(
        **dict.fromkeys(("all", "any", "none"), st.lists(shorthands | groups, min_size=1, max_size=3)),
        within=st.sampled_from(("sentence", "paragraph", "12 words", "1 words", "1001 words", "page")),
    )
)
expectations = mapping(fire_=st.just(True), severity=names(Severity), **SCOPE) | mapping(
    fire_=st.just(False), because_=names(Step)
)
examples = mapping(
    text_=texts, summary=texts, lang=st.sampled_from(("en", "zh", "xx")), source=texts, link=texts, tier=names(Tier),
    feed=st.sampled_from(PLACES), expect_=expectations,
)  # fmt: skip
scope_or_tier = mapping(tier=several(names(Tier)), **SCOPE)

FULL = mapping(
    id=st.text("abcé中-_. ", min_size=1, max_size=12), title=texts, status=names(Status), owner=texts,
    severity=names(Severity), reason=texts, references=several(texts),
    review_by=st.sampled_from(("2027-06-30", "2027-13-30", "2027-W26-3", "30.6.2027")),
    languages=several(st.sampled_from(("en", "zh", "zh-Hans", "ko", "tlh"))),
    sources=mapping(tiers=several(names(Tier)), include=several(texts), exclude=several(texts)),
    scope=names(Reach), unclear=names(Unclear),
    confirm=st.sampled_from(("official", "2 independent", "official or  3 independent", "1 independent", "never")),
    escalate=st.lists(mapping(when_=scope_or_tier, severity_=names(Severity)), min_size=1, max_size=2),
    throttle=mapping(per=names(Per), every_=st.sampled_from(("24h", "1.5 d", "99999999d", "h")), **{
        "except": several(names(Exempt))
    }),
    expect=st.sampled_from(("at least 1 per 60d", "at  least 2 per 1d", "at least 0 per 1d", "often")),
    tests=st.lists(examples, min_size=1, max_size=2),
    **SCOPE,
)  # fmt: skip


@st.composite
def rules(draw: Draw) -> Any:
    """A shorthand, or a mapping with `match`, `when` or neither, in which a value or a key may be wrong."""
    if draw(st.integers(0, 3)) == 0:
        return draw(shorthands | wrong)
    rule: dict[str, Any] = deepcopy(draw(FULL))
    what = draw(st.integers(0, 7))
    rule |= {"match": draw(shorthands)} if what < 4 else {"when": deepcopy(draw(groups))} if what < 7 else {}
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        spoil(draw, rule)
    return rule


def spoil(draw: Draw, node: Any) -> None:
    """Makes one thing wrong in a document, somewhere."""
    while isinstance(node, dict | list) and node:
        at = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[at], dict | list) or draw(st.booleans()):
            if isinstance(node, dict) and draw(st.booleans()):
                node[draw(st.sampled_from((at[:-1] + "x", at.upper(), "nonsense", "when", "match")))] = node.pop(at)
            else:
                node[at] = deepcopy(draw(wrong))
            return
        node = node[at]


documents = st.one_of(
    st.lists(rules(), max_size=4),
    mapping(rules_=st.lists(rules(), max_size=4)),
    mapping(
        rules_=st.lists(rules(), max_size=4) | wrong,
        pack=mapping(id=texts, title=texts, version=texts | wrong) | wrong,
        other=wrong,
    ),
)
