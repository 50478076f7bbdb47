"""The schema for editors: made of the code, described throughout, and never stricter than the reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from service.config import load_groups, read_rules
from service.documents import parse_document, parse_yaml, read_document
from service.domain.groups import Groups
from service.domain.model import Invalid
from service.domain.rulefile import KEYS, parse_rules
from service.domain.schema import file_schema
from tests.domain.lexicon import shipped
from tests.fuzz import grammar
from tests.fuzz.writer import strict

ROOT = Path(__file__).parent.parent.parent
SCHEMA: Any = file_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def faults(document: object) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(document)]


@cache
def groups() -> Groups:
    return load_groups(read_rules())[0]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_file_is_what_the_code_makes() -> None:
    """If this fails: policywatch rules schema > rules/schema.json"""
    written = (ROOT / "rules" / "schema.json").read_text(encoding="utf-8")
    assert written == json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"


def keys(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every key that a mapping may have, with what the schema says of it; references are followed."""
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from keys(part)
    if isinstance(schema, dict) and schema.get("type") == "object":
        for key, said in schema["properties"].items():
            target = SCHEMA["$defs"][said["$ref"].rpartition("/")[2]] if "$ref" in said else {}
            yield key, {**target, **said}


def test_every_key_is_described_with_an_example_that_is_valid() -> None:
    found = list(keys(SCHEMA))
    assert set(KEYS) <= {key for key, _ in found}
    for key, said in found:
        assert said["description"].endswith("."), key
        for example in said["examples"]:
            assert not list(Draft202012Validator({**said, "$defs": SCHEMA["$defs"]}).iter_errors(example)), key


PACKS = sorted((ROOT / "rules" / "packs").glob("*.yaml"))


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_the_shipped_packs_are_valid(path: Path) -> None:
    assert not faults(read_document(path).plain())


def test_the_files_of_rules_in_the_documents_are_valid() -> None:
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    found = [parse_yaml(part.encode(), shown="rules.md") for part in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    files = [node.plain() for node in found if (rules := node.get("rules")) is not None and rules.items]
    assert len(files) >= 2
    assert not [fault for file in files for fault in faults(file)]


BROKEN = sorted((ROOT / "tests" / "data" / "rules").glob("*.yaml"))


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_of_a_broken_file_every_rule_that_is_read_is_valid(path: Path) -> None:
    try:
        document = read_document(path)
    except Invalid:
        return
    rules, _ = parse_rules(document, shipped(), groups())
    read = {rule.where for rule in rules}
    listed = document.items if document.items is not None else (document.get("rules") or document).items or ()
    assert not [fault for node in listed if node.where in read for fault in faults([node.plain()])]


# What the schema cannot see. Everything else that the reader refuses, the schema refuses too.
UNSEEN = re.compile(
    r"at column|unknown jurisdiction|words in a row|nothing to look for in|is in every text|the match ends where"
    r"|can never fire|matches everything|no title to make one|are of a development, not of a mention"
    r"|(every|expect|review-by) cannot be '|more than \d+ terms|deeper than \d+ levels"
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(grammar.rules())
def test_schema_and_reader_agree(rule: object) -> None:
    document = parse_document(strict([rule]), shown="rules.yaml")
    _, problems = parse_rules(document, shipped(), groups())
    refused = faults(document.plain())
    if not problems:
        assert not refused
    elif not refused:
        assert all(UNSEEN.search(problem.what) for problem in problems), [str(problem) for problem in problems]
