"""A short run of tests/fuzz: `python -m tests.fuzz --files 10000` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests.domain.lexicon import shipped
from tests.fuzz.bombs import bombs, oversized
from tests.fuzz.run import Fuzz

SHORT = (
    "laughs",
    "aliases",
    "deep-list",
    "deep-mapping",
    "faults",
    "long-words",
    "brackets",
    "one-word-test",
    "digits",
)


def test_random_files_and_bombs_are_told_with_file_and_line(tmp_path: Path) -> None:
    run = Fuzz(tmp_path / "rules.yaml", shipped())
    run.documents(150, number=1)
    run.accidents(150, number=1)
    for name, raw in (*bombs(), *oversized(1_000_000)):
        if name in SHORT or name.startswith("large"):
            run.try_file(name, raw)
    assert [what for what, _ in run.report.complaints] == []
    assert run.report.files.total() >= 300
    assert run.report.rules > 50
