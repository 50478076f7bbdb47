"""What every shipped rule brings along: its reason, its severity, and tests of both kinds in two languages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from service.documents import read_yaml
from service.domain.text import detect_language

PACKS = sorted((Path(__file__).parents[2] / "rules" / "packs").glob("*.yaml"))
LEAST = {"digital-assets": 60}


def rules_of(pack: Path) -> Iterator[dict[str, Any]]:
    found = cast(Any, read_yaml(pack).plain())
    yield from found["rules"] if isinstance(found, dict) else found


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.stem)
def test_a_pack_is_deep_and_each_rule_says_why_and_is_tried(pack: Path) -> None:
    rules = list(rules_of(pack))
    assert len(rules) >= LEAST.get(pack.stem, 10)
    for rule in rules:
        fires = [test["expect"]["fire"] for test in rule["tests"]]
        spoken = {test.get("lang") or detect_language(test.get("text") or test["title"]) for test in rule["tests"]}
        assert rule["reason"], rule["id"]
        assert rule["severity"], rule["id"]
        assert fires.count(True) >= 2, rule["id"]
        assert fires.count(False) >= 2, rule["id"]
        assert len(spoken) >= 2, rule["id"]
