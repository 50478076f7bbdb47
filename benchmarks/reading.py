"""Reading articles of 4 KB for developments: the median of five runs, and what loading the lexicon takes (Linux).

    python -m benchmarks.reading            the figures, in a minute
    python -m benchmarks.reading --quick    a few articles: it works; no bar is judged

The articles are the labelled entries of tests/corpus with leads and bodies, lengthened to 4 KB with further paragraphs
of the same language: all the languages of the lexicon, as much of each as the corpus holds. Times are of the processor.
Each step of reading is measured apart: detecting the language, finding phrases (with folding), sentences and zones;
and the whole, which does them all and draws the developments.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from service.config import load_lexicon
from service.domain.concepts import Lexicon
from service.domain.developments import read
from service.domain.model import Entry
from service.domain.text import detect_language, segments

CORPUS = Path(__file__).parents[1] / "tests" / "corpus"
ARTICLE_BYTES = 4_000
ROUNDS = 5
BAR_READ, BAR_LOAD, BAR_MEMORY = 0.002, 1.0, 200.0  # seconds an article, seconds, megabytes


def articles(most: int | None) -> list[Entry]:
    """The labelled entries, each made 4 KB long with paragraphs that stand in other entries of its language."""
    rows = [json.loads(line) for path in sorted(CORPUS.glob("*.jsonl")) for line in path.open(encoding="utf-8")]
    by_language: dict[str, list[str]] = {}
    for row in rows:
        if row["summary"]:
            by_language.setdefault(row["lang"], []).append(row["summary"])
    made = []
    for number, row in enumerate(rows[:most]):
        others = by_language[row["lang"]]
        paragraphs = itertools.cycle(others[number % len(others) :] + others[: number % len(others)])
        content = row.get("content", "")
        entry = Entry(id=row["id"], title=row["title"], summary=row["summary"], content=content, lang=None)
        made.append(replace(entry, content=_lengthened(entry, paragraphs)))
    return made


def _lengthened(entry: Entry, paragraphs: itertools.cycle[str]) -> str:
    parts = [entry.content] if entry.content else []
    size = len(f"{entry.title}{entry.summary}{entry.content}".encode())
    while size < ARTICLE_BYTES:
        parts.append(next(paragraphs))
        size += len(parts[-1].encode()) + 2
    return "\n\n".join(parts)


def median_times(work: Callable[[Entry], object], entries: Sequence[Entry], rounds: int) -> tuple[float, float]:
    """Seconds for an article: the median article and the slowest in a hundred, each the median of its rounds."""
    spent: list[list[float]] = [[] for _ in entries]
    gc.collect()
    for _ in range(rounds):
        for entry, times in zip(entries, spent, strict=True):
            begun = time.process_time()
            work(entry)
            times.append(time.process_time() - begun)
    each = sorted(map(statistics.median, spent))
    return statistics.median(each), each[int(len(each) * 0.99)]


def load_alone() -> tuple[float, float]:
    """Seconds and megabytes that a fresh process spends on loading the lexicon."""
    done = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


_LOAD = """
import time
from service.config import load_lexicon
from service.domain import developments
def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
before, begun = megabytes(), time.process_time()
lexicon = load_lexicon()
print(time.process_time() - begun, megabytes() - before)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a few articles; no bar is judged")
    quick: bool = parser.parse_args().quick
    lexicon, entries = load_lexicon(), articles(20 if quick else None)
    size = statistics.median(len(f"{e.title}{e.summary}{e.content}".encode()) for e in entries)
    print(f"{len(entries)} articles, {size:,.0f} bytes each (median)")
    gc.collect()
    gc.freeze()
    whole = _report(lexicon, entries, 1 if quick else ROUNDS)
    loads = [load_alone() for _ in range(1 if quick else ROUNDS)]
    seconds, megabytes = (statistics.median(found) for found in zip(*loads, strict=True))
    print(f"loading the lexicon: {seconds:.2f} s, {megabytes:.0f} MB")
    met = (whole <= BAR_READ, seconds <= BAR_LOAD, megabytes <= BAR_MEMORY)
    if not quick:
        names = (f"{BAR_READ * 1000:.0f} ms an article", f"{BAR_LOAD:.0f} s to load", f"{BAR_MEMORY:.0f} MB")
        print("; ".join(f"{name}: {'met' if ok else 'MISSED'}" for name, ok in zip(names, met, strict=True)))
    return 0 if quick or all(met) else 1


def _report(lexicon: Lexicon, entries: Sequence[Entry], rounds: int) -> float:
    langs = {entry.id: read(entry, lexicon).lang for entry in entries}
    steps: dict[str, Callable[[Entry], object]] = {
        "language": lambda e: detect_language(f"{e.title}\n{e.summary}\n{e.content[:600]}", None),
        "phrases": lambda e: [lexicon.annotate(text, langs[e.id]) for text in (e.title, e.summary, e.content)],
        "sentences": lambda e: list(segments(e, frozenset())),
        "whole": lambda e: read(e, lexicon),
    }
    median = 0.0
    for name, work in steps.items():
        median, slow = median_times(work, entries, rounds)
        print(f"{name:10} {median * 1e6:7,.0f} us an article, 99 in 100 under {slow * 1e6:7,.0f} us")
    return median


if __name__ == "__main__":
    sys.exit(main())
