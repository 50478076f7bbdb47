"""The index over rules: it may save work and must change nothing, whatever the rules and the entry are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.document import Node
from service.domain.judge import Facts, judge
from service.domain.model import (
    Action,
    Development,
    Direction,
    Entry,
    Evidence,
    Match,
    Reading,
    Stage,
    Topic,
)
from service.domain.rulefile import parse_rules
from service.domain.rules import Ruleset
from tests.domain.lexicon import shipped

TERMS = (
    "China", "Japan", "jurisdiction:US", "stablecoin", "exchange", "topic:tax", "ban", "licensing regime",
    "action:easing", "vault", '"cold vault"', "custod*", "=SAFE", "保险库", "(China | Japan)", "(ban | vault)",
    "(stablecoin | exchange | tax)", "(Japan + ban | China)", "(ban + stablecoin) within sentence",
    "(China -vault) within 8 words", "new licensing regime",
)  # fmt: skip
TEXT = (
    "China", "China's", "Japan", "U.S.", "bans", "stablecoins", "crypto exchange", "tax", "a licensing regime", "vault",
    "cold vault", "custodians", "SAFE", "保险库", "中国禁止稳定币", "lifts the ban", ". ", "\n\n", ", ", "\ud800", "ß",
)  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> Node:
    parts = draw(st.lists(st.sampled_from(TERMS), min_size=1, max_size=4, unique=True))
    without = draw(st.lists(st.sampled_from(TERMS[:14]), max_size=2, unique=True))
    keys: dict[str, str | list[str]] = {"match": " + ".join(parts) + "".join(f" -{term}" for term in without)}
    if draw(st.booleans()):
        keys["scope"] = "mention"
    for key, values in (("jurisdictions", ["CN", "JP"]), ("topics", ["tax", "exchange"]), ("languages", ["en", "zh"])):
        if draw(st.integers(0, 4)) == 0:
            keys[key] = draw(st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True))
    if draw(st.integers(0, 9)) == 0:
        keys["status"] = "draft"
    return node(keys)


def node(value: object) -> Node:
    if isinstance(value, dict):
        return Node({key: node(child) for key, child in value.items()}, "f:1")
    return Node(tuple(map(node, value)) if isinstance(value, list) else str(value), "f:1")


texts = st.lists(st.sampled_from(TEXT), max_size=12).map(" ".join)


@st.composite
def readings(draw: st.DrawFn, entry: Entry) -> Reading:
    """Developments that were read from some stretch of the entry, likely or not."""
    found = []
    for _ in range(draw(st.integers(0, 2))):
        end = draw(st.integers(1, max(1, len(entry.title))))
        found.append(
            Development(
                jurisdiction=draw(st.sampled_from(["CN", "JP", "US"])),
                topic=draw(st.sampled_from([Topic.STABLECOIN, Topic.EXCHANGE, Topic.TAX])),
                action=draw(st.sampled_from([Action.BAN, Action.EASING, Action.LICENSING])),
                direction=draw(st.sampled_from(Direction)),
                stage=draw(st.sampled_from(Stage)),
                evidence=(Evidence(field="title", start=0, end=end, text=entry.title[:end]),),
            )
        )
    return Reading(lang=draw(st.sampled_from(["en", "zh-Hans"])), developments=tuple(found))


@given(st.data())
@settings(deadline=None, max_examples=400)
def test_matching_is_what_judging_every_rule_gives(data: st.DataObject) -> None:
    written = data.draw(st.lists(rules(), min_size=1, max_size=12))
    numbered = [Node({**(n.mapping or {}), "id": node(f"r{i}")}, "f:1") for i, n in enumerate(written)]
    parsed, _ = parse_rules(Node(tuple(numbered), "f:1"), shipped())
    entry = Entry(id="e", title=data.draw(texts), summary=data.draw(texts), content=data.draw(texts))
    reading = data.draw(readings(entry))
    facts = Facts(entry, reading, shipped())
    expected = tuple(verdict for rule in parsed if isinstance(verdict := judge(rule, facts), Match))
    assert Ruleset.compile(parsed, shipped()).match(entry, reading) == expected
