"""Strict YAML: 1.2 scalars, places, and nothing clever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.documents import MAX_BYTES, parse_yaml
from service.domain.model import Invalid, Problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("22:00", "22:00"),
        ("2026-01-01", "2026-01-01"),
        ("012", 12),
        ("0o14", 12),
        ("0x1f", 31),
        ("1_000", "1_000"),
        ("1.5e3", 1500.0),
        ("~", None),
        ("", None),
        ("'5'", "5"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value) -> None:
    found = parse_yaml(f"key: {text}".encode(), shown="f").get("key")
    assert found is not None
    assert found.value == value
    assert type(found.value) is type(value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(b"a: 1\nb: 2\na: 3\n", "f:3: key 'a' is repeated (first at f:1)", id="repeated-key"),
        pytest.param(b"a: &x 1\nb: *x\n", "f:1: anchors and aliases", id="alias"),
        pytest.param(b"- *ban + x\n", "f:1: anchors and aliases", id="a-match-that-begins-with-a-star"),
        pytest.param(b"a: !!python/object:os.system x\n", "f:1: tag", id="tag"),
        pytest.param(b"a: b: c\n", "f:1: not valid YAML", id="colon"),
        pytest.param(b"a: 1\n\tb: 2\n", "f:2: not valid YAML", id="tab"),
        pytest.param(b"- a\n- @b\n", "f:2: not valid YAML", id="at"),
        pytest.param(b"a: \xff\n", "f:1: is not UTF-8", id="latin-1"),
        pytest.param(b"a: 1\n---\nb: 2\n", "f:", id="two-documents"),
        pytest.param(b"[" * 5000, "f:1: is nested deeper", id="deep"),
        pytest.param(b"#" * (MAX_BYTES + 1), "is larger than", id="large"),
        pytest.param(b"? [a]\n: b\n", "f:1: a key must be a word", id="list-as-key"),
    ],
)
def test_what_is_refused_is_named_with_its_line(raw, message) -> None:
    with pytest.raises(Invalid) as caught:
        parse_yaml(raw, shown="f")
    assert message in str(caught.value)


def test_every_value_knows_its_line() -> None:
    root = parse_yaml(b"a:\n  - x\n  - b: y\n", shown="f")
    assert root.at(("a", 1, "b")).where == "f:3"
    assert root.at(("a", 9)).where == "f:2"


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_any_bytes_give_a_document_or_named_problems(raw) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        parse_yaml(raw, shown="f").plain()
    except Invalid as exc:
        problems = exc.problems
    assert all(p.where.startswith("f") and p.what for p in problems)
