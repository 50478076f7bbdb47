"""A rule and a text that mean harm: the rule is refused when it is read, or one entry keeps it busy for a moment only.

What is timed is the rule: finding the words and concepts of the entry, which all its rules share, comes before.
"""

from __future__ import annotations

import random
import time

import pytest

from service.domain.document import Node
from service.domain.judge import Facts, judge
from service.domain.model import ConceptKind, Entry, Reading
from service.domain.rule import Rule
from service.domain.rulefile import parse_rules
from tests.domain.lexicon import shipped

SECONDS = 0.05
SIZE = 40_000

WORDS = [f"w{number:03}" for number in range(400)]
CONCEPTS = [str(concept) for concept in shipped().names if concept.kind is not ConceptKind.CUE]


def any_of(words: list[str]) -> str:
    return "(" + " | ".join(words) + ")"


def phrase(first: str, times: int, last: str) -> str:
    return '"' + " ".join([first] * times + [last]) + '"'


RULES = {
    "any of 200 words": any_of(WORDS[:200]),
    "all of 200 words": " + ".join(WORDS[:200]),
    "beginnings": any_of([f"{a}{b}{c}*" for a in "abcdefg" for b in "abcde" for c in "abcde"]),
    "phrases that nearly stand": any_of([phrase("a", 19, f"x{n}") for n in range(30)]),
    "letters that nearly stand": f'"{"中" * 14}国" | "{"中" * 200}国"',
    "excluded phrases around a term": "w000 " + " ".join(f'-"w000 {word}"' for word in WORDS[:100]),
    "any of 80 concepts": any_of(CONCEPTS[:80]),
    "concepts of three lists": " + ".join(any_of(CONCEPTS[at : at + 25]) for at in (0, 25, 50)),
    "all within words": f"({' + '.join(WORDS[:60])}) within 1000 words",
    "lists within words": f"({' + '.join(any_of(WORDS[at : at + 40]) for at in (0, 40, 80))}) within 1000 words",
    "lists within a sentence": f"({any_of(WORDS[:40])} + {any_of(WORDS[40:80])} -zzz) within sentence",
    "many windows": " | ".join(f"((w{n:03} + w{n + 1:03} -w{n + 2:03}) within 500 words)" for n in range(0, 80, 2)),
    "nested as deep as can be": "(" * 9 + "w000" + "".join(f" {'+|'[n % 2]} w{n:03})" for n in range(1, 10)),
    "nested too deep": "(" * 200 + "w000" + ")" * 200,
    "too many terms": " | ".join(f"w{n}" for n in range(300)),
}
TEXTS = {
    "words at random": " ".join(random.Random(1).choices(WORDS, k=SIZE)),
    "two words": "w000 w001 " * SIZE,
    "one letter": "a " * SIZE,
    "one word": "aaaa " * SIZE,
    "no borders": "中" * SIZE,
    "concepts": "China bans stablecoins, crypto exchange tax in Japan. " * SIZE,
    "short sentences": "w000. w001! " * SIZE,
    "one sentence": "China bans stablecoin and US exchange and w000 w001 " * SIZE,
}


def parsed(match: str) -> tuple[Rule, ...]:
    keys = {"id": "hostile", "match": match, "scope": "mention"}
    rule = Node({key: Node(value, "f:1") for key, value in keys.items()}, "f:1")
    return parse_rules(Node((rule,), "f:1"), shipped())[0]


@pytest.mark.parametrize("name", RULES)
def test_no_rule_keeps_an_entry_waiting(name: str) -> None:
    for rule in parsed(RULES[name]):
        for written, text in TEXTS.items():
            spent = min(seconds(rule, text[:SIZE]) for _ in range(3))
            assert spent < SECONDS, f"{spent:.3f} s on {written}"


def seconds(rule: Rule, text: str) -> float:
    """What the rule costs this thread, however busy the machine is."""
    facts = Facts(Entry(id="e", title=text[:200], content=text), Reading(lang="en"), shipped())
    assert facts.texts
    assert facts.places is not None
    begun = time.thread_time()
    judge(rule, facts)
    return time.thread_time() - begun


@pytest.mark.parametrize("name", ["nested too deep", "too many terms"])
def test_what_is_too_much_is_refused(name: str) -> None:
    assert parsed(RULES[name]) == ()


def test_most_are_read() -> None:
    assert sum(bool(parsed(match)) for match in RULES.values()) >= len(RULES) - 2
