"""The public door for rule files, and what must hold of everything that goes through it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from service.config import load_rulebook, read_rules
from service.domain.concepts import Lexicon
from service.domain.document import MAX_PROBLEMS
from service.domain.model import Problem

SLOWEST = 4.0  # seconds of the processor for any file, with the time for its tests; 1.7 alone on an idle machine
LONGEST = 1_200  # characters of one problem
WITHOUT_LINE = re.compile(r"is larger than|cannot be read")
A_TEST_FAILS = re.compile(r"a test of .* fails: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What became of one file."""

    rules: frozenset[str]
    problems: tuple[Problem, ...]
    seconds: float


def load(raw: bytes, path: Path, lexicon: Lexicon) -> Loaded:
    """The rules that these bytes hold, as the service reads them from a file."""
    path.write_bytes(raw)
    began = time.process_time()
    book = load_rulebook(read_rules(path), lexicon)
    seconds = time.process_time() - began
    return Loaded(rules=frozenset(book.ruleset.by_id), problems=book.problems, seconds=seconds)


def complaint(raw: bytes, path: Path, loaded: Loaded) -> str:
    """What is wrong with how the file was taken; empty when nothing is."""
    lines = raw.count(b"\n") + raw.count(b"\r") + 2
    for problem in loaded.problems:
        name, _, line = problem.where.rpartition(":")
        if problem.where == str(path):
            if not WITHOUT_LINE.match(problem.what):
                return f"a problem without a line: {problem}"
        elif name != str(path) or not line.isdecimal() or not 1 <= int(line) <= lines:
            return f"a problem at no place of the file: {problem}"
        shown = str(problem)
        if not shown.isprintable() or len(shown) > LONGEST + len(problem.where):
            return f"a problem that no terminal should show: {shown[:LONGEST]!r}"
    faults = [problem for problem in loaded.problems if not A_TEST_FAILS.match(problem.what)]
    if len(faults) > MAX_PROBLEMS + 1:
        return f"{len(faults)} problems of one file"
    if loaded.seconds > SLOWEST:
        return f"took {loaded.seconds:.2f} s"
    return ""
