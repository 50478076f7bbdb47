"""Rules as heavy as the reader lets through, before long texts made for them: judged in time, or refused."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import pytest

from service.documents import parse_yaml
from service.domain.developments import read
from service.domain.judge import Facts, judge
from service.domain.model import Entry, Reading
from service.domain.rule import Rule
from service.domain.rulefile import parse_rules
from tests.domain.lexicon import shipped
from tests.fuzz.writer import strict

SIZE = 40_000
SLOWEST = 0.5  # seconds of processor time: ten times the bar, as machines that run tests are shared


def filled(text: str) -> str:
    return (text * (SIZE // len(text) + 1))[:SIZE]


WORDS = [f"w{n}x" for n in range(150)]
ANY = f"({' | '.join(WORDS[:90])})"
TEXTS = {
    "aaab": filled("aaab aaac aaad. "),
    "two words": filled("zeta beta "),
    "all different": filled(" ".join(f"aaa{n}" for n in range(5_200))),
    "all words": filled(f"{' '.join(WORDS)} "),
    "forms": filled("regulation regulated regulating "),
    "news": filled("China bans stablecoins. "),
    "a and b": filled("a b "),
    "short sentences": filled("w2x. w3x! "),
    "no blanks": filled("禁止"),
    "one word": "a" * SIZE,
}
RULES: dict[str, tuple[tuple[str, ...], Any]] = {
    "alternatives": (("all words",), {"all": [ANY, ANY]}),
    "many terms": (("all words", "news"), {"all": [*WORDS, "China", "missing"]}),
    "many terms together": (("all words",), {"all": WORDS, "within": "1000 words"}),
    "stars": (("all different", "aaab"), {"any": [*(f"aaa{n}*" for n in range(190)), "aaa*"]}),
    "phrases of stars": (("all different", "aaab", "a and b"), {"any": [" ".join(["aaa*"] * n) for n in range(2, 20)]}),
    "phrases of stars together": (
        ("all different", "aaab"),
        {"all": [" ".join(["aaa*"] * n) for n in range(2, 19)], "within": "1000 words"},
    ),
    "long phrases": (("forms",), {"any": [" ".join(["regulation"] * 19 + [f"z{n}"]) for n in range(90)]}),
    "phrases that nearly match": (
        ("two words",),
        {"any": [" ".join(("zeta", "beta")[n >> at & 1] for at in range(8)) for n in range(190) if n not in (85, 170)]},
    ),
    "capitals": (
        ("forms",),
        {
            "any": [
                f"={''.join(c.upper() if n >> at & 1 else c for at, c in enumerate('regulation'))}" for n in range(190)
            ]
        },
    ),
    "signs between": (("a and b",), {"any": [f'"a{".-/&!"[n % 5] * (n // 5 + 1)}b"' for n in range(100)]}),
    "runs": (("no blanks", "one word"), {"any": ["禁止" * n for n in range(1, 60)]}),
    "excluded phrases": (
        ("two words", "short sentences"),
        {"all": ["(zeta | w2x)"], "none": ['"zeta beta"', '"w2x w3x"', *(f'"zeta {word}"' for word in WORDS[:90])]},
    ),
    "an exclusion in each window": (
        ("short sentences", "all words"),
        {
            "all": [f"({' | '.join(WORDS[2:15])})", f"({' | '.join(WORDS[15:29])})"],
            "none": ["w1x"],
            "within": "sentence",
        },
    ),
    "brackets": (("aaab", "all words"), {"all": ["(" * 9 + "aaa* + w1x" + ")" * 9]}),
}


@cache
def entry_of(name: str) -> tuple[Entry, Reading]:
    entry = Entry(id="1", title="China bans stablecoins", content=TEXTS[name])
    return entry, read(entry, shipped())


def seconds(rule: Rule, entry: Entry, reading: Reading) -> float:
    """The best of three, if it takes three: what the text is made of is shared by all rules and is not counted."""
    best = 60.0
    for _ in range(3):
        facts = Facts(entry, reading, shipped())
        assert facts.texts
        assert facts.mentions is not None
        began = time.process_time()
        judge(rule, facts)
        best = min(best, time.process_time() - began)
        if best < SLOWEST / 2:
            break
    return best


def read_rule(when: Any, scope: str) -> Rule:
    (rule,), problems = parse_rules(
        parse_yaml(strict([{"id": "r", "scope": scope, "when": when}]), shown="r"), shipped()
    )
    assert not problems
    return rule


@pytest.mark.parametrize("scope", ["mention", "reported"])
@pytest.mark.parametrize("name", RULES)
def test_a_heavy_rule_is_judged_in_time(name: str, scope: str) -> None:
    texts, when = RULES[name]
    rule = read_rule(when, scope)
    took = {text: seconds(rule, *entry_of(text)) for text in texts}
    assert max(took.values()) < SLOWEST, took


REFUSED: dict[str, Any] = {
    "too many terms": {"any": [ANY, ANY, ANY]},
    "too many words": " ".join(["regulation"] * 21),
    "a star for everything": "aa*",
    "brackets too deep": "(" * 11 + "ban" + ")" * 11,
    "an exclusion in every window": {"all": [ANY], "none": ["w1x"], "within": "sentence"},
    "exclusions in many windows": {"any": [{"all": ["ban"], "none": ["w1x"], "within": "9 words"} for _ in range(16)]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_rule_that_is_too_heavy_is_refused(name: str) -> None:
    asked = REFUSED[name]
    rule = {"id": "r", **({"match": asked} if isinstance(asked, str) else {"when": asked})}
    rules, problems = parse_rules(parse_yaml(strict([rule]), shown="r"), shipped())
    assert not rules
    assert problems
