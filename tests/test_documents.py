"""Strict YAML: 1.2 scalars, places, and nothing clever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.documents import MAX_BYTES, parse_document, parse_yaml
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
        pytest.param(b"a: [1\n", "f:2: not valid YAML: [ is not closed", id="bracket"),
        pytest.param(b"a: 1\nb: \x07\n", "f:2: holds the character U+0007", id="bell"),
        pytest.param(b"a: 1\r\rb: \xff", "f:3: is not UTF-8", id="old-line-ends"),
        pytest.param(b'a: "\\uD800"\n', "f:1: not valid YAML", id="half-a-pair"),
        pytest.param(b"a: " + b"9" * 5000, "f:1: a number of more than 30 digits", id="long-number"),
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


def test_a_fault_in_a_value_is_noted_there_and_the_others_can_be_used() -> None:
    root = parse_document(b"a: {b: 1, b: 2}\nc: !x d\ne: 5\n", shown="f")
    assert [problem.where for problem in root.faults] == ["f:1", "f:2"]
    assert [len(root.at([key]).faults) for key in ("a", "c", "e")] == [1, 1, 0]


def test_of_a_thousand_faults_a_hundred_are_told() -> None:
    with pytest.raises(Invalid) as caught:
        parse_yaml(b"a: 1\n" * 1_001, shown="f")
    assert len(caught.value.problems) == 101
    assert str(caught.value.problems[-1]) == "f:102: and 900 more problems from here on"


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        pytest.param("a #1 b", "#1 b", id="one-blank"),
        pytest.param("a  # b", "", id="two-blanks"),
        pytest.param("'a' # b", "", id="quoted"),
        pytest.param("#b", "#b", id="nothing-left"),
        pytest.param("a#b", "", id="no-blank"),
        pytest.param("\U0001f600 é #1", "#1", id="letters-of-many-bytes"),
    ],
)
def test_a_comment_that_may_be_meant_as_text_is_remembered(text: str, cut: str) -> None:
    assert parse_yaml(f"key: {text}\n".encode(), shown="f").at(["key"]).cut == cut


@pytest.mark.parametrize("quoted", ["\x1b[31m", "\u202e", "x" * 100_000, "\ud800"])
def test_a_problem_is_a_line_that_a_terminal_can_show(quoted: str) -> None:
    said = str(Problem(where="f:1", what=quoted, hint=quoted))
    assert said.isprintable()
    assert len(said) < 2_000


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_any_bytes_give_a_document_or_named_problems(raw) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        parse_yaml(raw, shown="f").plain()
    except Invalid as exc:
        problems = exc.problems
    assert all(p.where.startswith("f") and p.what for p in problems)
