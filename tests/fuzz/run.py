"""Random files, one after the other: from the grammar, from the shipped packs after an accident, and the bombs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from service.config import shipped_rules
from service.domain.concepts import Lexicon
from tests.fuzz import grammar
from tests.fuzz.bombs import bombs, oversized
from tests.fuzz.door import complaint, load
from tests.fuzz.writer import mutated, strict, written

GOOD = {
    "id": "zz-good",
    "match": "China + ban",
    "tests": [{"text": "China bans stablecoins", "expect": {"fire": True}}],
}
BROKEN = Path(__file__).parent.parent / "data" / "rules"


@dataclass(slots=True)
class Report:
    """How many files of each kind went through, the slowest of all, and what went wrong."""

    files: Counter[str] = field(default_factory=Counter)
    problems: int = 0
    rules: int = 0
    slowest: tuple[float, str] = (0.0, "")
    complaints: list[tuple[str, bytes]] = field(default_factory=list)


class Fuzz:
    """One run: every file is written to `path` anew and goes through the public door."""

    def __init__(self, path: Path, lexicon: Lexicon) -> None:
        self.path, self.lexicon, self.report = path, lexicon, Report()

    def try_file(self, kind: str, raw: bytes, *, keeps: str = "") -> None:
        """Reads one file; `keeps` is a rule that must be among those that are used."""
        report = self.report
        report.files[kind] += 1
        try:
            loaded = load(raw, self.path, self.lexicon)
        except Exception as exc:  # whatever it is: this is what the run looks for
            report.complaints.append((f"{kind}: {type(exc).__name__}: {exc}"[:400], raw))
            return
        report.problems += len(loaded.problems)
        report.rules += len(loaded.rules)
        report.slowest = max(report.slowest, (loaded.seconds, kind))
        wrong = complaint(raw, self.path, loaded)
        if not wrong and keeps and keeps not in loaded.rules:
            wrong = f"the good rule is lost: {[str(problem) for problem in loaded.problems][:3]}"
        if wrong:
            report.complaints.append((f"{kind}: {wrong}", raw))

    def documents(self, count: int, number: int) -> None:
        """Files of the grammar: strictly written with a good rule among them, carelessly written, or broken after."""

        @seed(number)
        @settings(
            max_examples=count, deadline=None, database=None, phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(grammar.documents, st.integers(0, 2**32))
        def each(document: Any, dice: int) -> None:
            rng = Random(dice)
            listed = document["rules"] if isinstance(document, dict) else document
            if dice % 3 == 0 and isinstance(listed, list):
                whole = [*listed, GOOD] if listed is document else {**document, "rules": [*listed, GOOD]}
                self.try_file("strict", strict(whole), keeps="zz-good")
            elif dice % 3 == 1:
                self.try_file("careless", written(document, rng).encode())
            else:
                self.try_file("broken", mutated(written(document, rng).encode(), rng))

        each()

    def accidents(self, count: int, number: int) -> None:
        """The shipped packs and the broken files of the tests, after an accident."""
        rng = Random(number)
        packs = [path.read_bytes() for path in sorted((shipped_rules() / "packs").glob("*.yaml"))]
        broken = [path.read_bytes() for path in sorted(BROKEN.glob("*.yaml"))]
        for _ in range(count):
            raw = rng.choice(broken) if rng.random() < 0.5 else _part(rng.choice(packs), rng)
            self.try_file("accident", mutated(raw, rng))

    def harm(self, larger: int = 10 * 1024 * 1024) -> None:
        for name, raw in (*bombs(), *oversized(larger)):
            self.try_file(name, raw)


def _part(raw: bytes, rng: Random) -> bytes:
    """A few rules out of a pack: a whole one, with its hundreds of tests, would be the same file again and again."""
    parts = raw.split(b"\n  - id:")
    at = rng.randrange(1, len(parts))
    return b"\n  - id:".join((b"rules:", *parts[at : at + rng.randrange(1, 4)]))


def fuzz(path: Path, lexicon: Lexicon, *, files: int, number: int, say: Callable[[str], None] = print) -> Report:
    """A whole run of so many random files, and all that mean harm."""
    run = Fuzz(path, lexicon)
    for what, step in (
        ("files that mean harm", run.harm),
        ("documents of the grammar", lambda: run.documents(files * 6 // 10, number)),
        ("accidents", lambda: run.accidents(files - files * 6 // 10, number)),
    ):
        step()
        say(f"{what}: {run.report.files.total():,} files so far, {len(run.report.complaints)} complaints")
    return run.report
