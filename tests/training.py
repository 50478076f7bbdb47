"""Make rules/sense.npz: `python -m tests.training`. What `service.domain.sense` weighs is learned here.

It learns from reports of our own (tests/corpus/reports/LANG.tsv: jurisdiction, topic, action, direction, stage, title,
summary; dashes where nothing is reported) and from ordinary news (tests/corpus/silent/LANG.tsv: title, summary), and
from nothing in the labelled files beside them: those measure it. Needs scikit-learn, which the service does not.
"""

from __future__ import annotations

import csv
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from service.config import load_lexicon, shipped_rules
from service.domain.article import article_of
from service.domain.concepts import Lexicon
from service.domain.likely import features_of
from service.domain.model import Entry
from service.domain.sense import UNTAUGHT
from service.domain.text import detect_language

CORPUS = Path(__file__).parent / "corpus"
RARE = 3
"""Features met in fewer reports say nothing that carries."""
STRENGTH = 0.5
"""Inverse of the regularisation."""


@dataclass(frozen=True, slots=True)
class Report:
    """A text of the corpus, and what it reports if anything."""

    entry: Entry
    jurisdiction: str = ""
    topic: str = ""
    action: str = ""
    direction: str = ""
    stage: str = ""


def reports() -> Iterator[Report]:
    """The labelled reports."""
    for path in sorted((CORPUS / "reports").glob("*.tsv")):
        for number, (*labels, title, summary) in enumerate(_rows(path)):
            entry = Entry(id=f"{path.stem}-{number}", title=title, summary=summary, lang=path.stem)
            yield Report(entry, *(label if label != "-" else "" for label in labels))


def silent() -> Iterator[Report]:
    """Ordinary news."""
    for path in sorted((CORPUS / "silent").glob("*.tsv")):
        for number, (title, summary) in enumerate(_rows(path)):
            yield Report(Entry(id=f"silent-{path.stem}-{number}", title=title, summary=summary, lang=path.stem))


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def features(report: Report, lexicon: Lexicon) -> set[str]:
    """As `read` would weigh the entry."""
    entry = report.entry
    lang = detect_language(f"{entry.title}\n{entry.summary}", entry.lang)
    return features_of(article_of(entry, lexicon, lang, None))


# --- learning -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Learned:
    """What goes into the file, by the names in it."""

    hashes: NDArray[np.uint32]
    weights: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    actions: tuple[str, ...]


def learn(examples: Sequence[Report], found: Sequence[set[str]]) -> Learned:
    counts = Counter(zlib.crc32(one.encode()) for features in found for one in features)
    hashes = np.array(sorted(number for number, count in counts.items() if count >= RARE), dtype=np.uint32)
    places = {int(number): place for place, number in enumerate(hashes)}
    rows = _matrix(found, places)
    told = np.array([bool(one.action) for one in examples])
    actions = np.array([one.action for one in examples])
    models = [_fit(rows, told, weight="balanced"), _fit(rows[told], actions[told])]
    weights = np.hstack([model.coef_.T for model in models])
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-6) / 127
    return Learned(
        hashes=hashes,
        weights=np.round(weights / scale).astype(np.int8),
        scale=scale.astype(np.float32),
        bias=np.concatenate([model.intercept_ for model in models]).astype(np.float32),
        actions=tuple(map(str, models[1].classes_)),
    )


def _fit(rows: csr_matrix, wanted: NDArray[np.generic], *, weight: str | None = None) -> LogisticRegression:
    return LogisticRegression(C=STRENGTH, max_iter=500, class_weight=weight).fit(rows, wanted)


def _matrix(found: Sequence[set[str]], places: dict[int, int]) -> csr_matrix:
    known = [sorted({places[n] for one in each if (n := zlib.crc32(one.encode())) in places}) for each in found]
    starts = np.concatenate(([0], np.cumsum([len(each) for each in known])))
    columns = np.array([place for each in known for place in each])
    return csr_matrix((np.ones(len(columns), np.float32), columns, starts), shape=(len(found), len(places)))


def main() -> int:
    """Learn, and write the weights."""
    lexicon = load_lexicon(UNTAUGHT)
    examples = [*reports(), *silent()]
    learned = learn(examples, [features(one, lexicon) for one in examples])
    path = shipped_rules() / "sense.npz"
    np.savez_compressed(path, **{name: getattr(learned, name) for name in Learned.__slots__})
    print(f"{len(examples)} texts, {len(learned.hashes)} features, {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
