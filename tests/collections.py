"""How well entries fall into stories, measured on any labelled collection.

    python -m tests.collections FILE… [--show N]

A file holds JSONL entries as `policywatch stories` takes them, each with the `story` that it belongs to in truth. Where
a collection only says of pairs whether they tell one event, each pair is a `group`: entries of different groups are
never compared. Printed are B-cubed precision, recall and F1, how many true stories were split, and how many of the
stories made hold entries of several; `--show` prints that many examples of each.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from service.cli.common import entries_in, in_order
from service.cli.entries import Placer
from service.config import load_lexicon
from service.domain.developments import read


class Row(NamedTuple):
    """An entry: the story that it belongs to, the one that it was put in, and why."""

    gold: str
    placed: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """B-cubed (Bagga and Baldwin, 1998), averaged over entries; stories split, stories merged, and their numbers."""

    precision: float
    recall: float
    stories: int
    split: int
    made: int
    merged: int

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def placed(files: Sequence[Path]) -> list[Row]:
    """Every entry of the files in its story; groups are stories' worlds of their own."""
    lexicon = load_lexicon()
    placers: dict[str, Placer] = defaultdict(lambda: Placer(lexicon))
    rows = []
    with entries_in(list(files)) as found:
        for entry, given in in_order(found):
            group = str(given.get("group", ""))
            story, reason = placers[group].place(entry, read(entry, lexicon))
            rows.append(Row(f"{group}/{given['story']}", f"{group}/{story}", entry.title, reason))
    return rows


def score(rows: Sequence[Row]) -> Score:
    gold, made = _grouped(rows, "gold"), _grouped(rows, "placed")
    both: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        both[row.gold, row.placed] += 1
    count = len(rows)
    return Score(
        precision=sum(both[r.gold, r.placed] / len(made[r.placed]) for r in rows) / count,
        recall=sum(both[r.gold, r.placed] / len(gold[r.gold]) for r in rows) / count,
        stories=len(gold),
        split=sum(len({r.placed for r in group}) > 1 for group in gold.values()),
        made=len(made),
        merged=sum(len({r.gold for r in group}) > 1 for group in made.values()),
    )


def _grouped(rows: Sequence[Row], by: str) -> Mapping[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, by)].append(row)
    return groups


def _show(rows: Sequence[Row], by: str, other: str, count: int) -> None:
    """The groups that fell apart into most parts, one headline of each part."""
    parts = [{getattr(r, other): r for r in group} for group in _grouped(rows, by).values()]
    for group in sorted((p for p in parts if len(p) > 1), key=len, reverse=True)[:count]:
        print("\n".join(f"  {row.reason:<14} {row.title[:110]}" for row in list(group.values())[:6]), end="\n\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--show", type=int, default=0)
    asked = parser.parse_args()
    rows = placed(asked.files)
    found = score(rows)
    print(
        f"{len(rows)} entries: B-cubed precision {found.precision:.3f}, recall {found.recall:.3f}, F1 {found.f1:.3f};"
        f" {found.split} of {found.stories} stories split, {found.merged} of {found.made} made are merged"
    )
    if asked.show:
        print("\nsplit:")
        _show(rows, "gold", "placed", asked.show)
        print("merged:")
        _show(rows, "placed", "gold", asked.show)


if __name__ == "__main__":
    main()
