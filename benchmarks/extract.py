"""The main text of pages: how much of it is kept, and how much of other stories comes with it.

    python -m benchmarks.extract [--ordinary FOLDER]

Two kinds of pages. Those in tests/data/pages are built like news sites that print whole other stories below or within
the article; a paragraph that is not the article's is a leak. Ordinary ones come from a folder like the repository
scrapinghub/article-extraction-benchmark (`html/ID.html.gz` and `ground-truth.json`), scored as it scores: precision and
recall of runs of four words, the mean of each over the pages. The peer is trafilatura as it comes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean

import trafilatura

from service.feeds.extract import extract

PAGES = Path(__file__).parents[1] / "tests" / "data" / "pages"
KEPT, LEAKED, F1 = 0.99, 0.01, 0.96
RUN = 4

Extractor = Callable[[bytes], str]


def ours(page: bytes) -> str:
    found = extract(page, url="https://news.example/2026/03/03/story")
    return found.text if found else ""


def peers(page: bytes) -> str:
    return trafilatura.extract(page) or ""


def kept_and_leaked(extractor: Extractor) -> tuple[float, float]:
    """The share of the articles' text that is kept, and of what is printed that belongs to no article, in characters;
    the means over the pages with other stories."""
    kept, leaked = [], []
    for path in sorted(PAGES.glob("*.html")):
        _, _, expected = path.with_suffix(".txt").read_text("utf-8").rstrip("\n").partition("\n\n")
        wanted = {_letters(paragraph) for paragraph in expected.split("\n\n")}
        printed = [_letters(line) for line in extractor(path.read_bytes()).splitlines() if _letters(line)]
        kept.append(_size(each for each in wanted if each in " ".join(printed)) / _size(wanted))
        leaked.append(_size(each for each in printed if each not in " ".join(wanted)) / max(1, _size(printed)))
    return fmean(kept), fmean(leaked)


def _letters(text: str) -> str:
    return "".join(re.findall(r"\w", text))


def _size(texts: Iterable[str]) -> int:
    return sum(map(len, texts))


def f1(extractor: Extractor, folder: Path) -> tuple[float, int]:
    """F1 over the ordinary pages of a folder, and their number."""
    truth = json.loads((folder / "ground-truth.json").read_text("utf-8"))
    precisions, recalls = [], []
    for name, gold in truth.items():
        page = gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes())
        wanted, found = _runs(gold["articleBody"]), _runs(extractor(page))
        both = (wanted & found).total()
        precisions.append(both / found.total() if found else float(not wanted))
        recalls.append(both / wanted.total() if wanted else float(not found))
    precision, recall = fmean(precisions), fmean(recalls)
    return 2 * precision * recall / (precision + recall), len(truth)


def _runs(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text or "")
    if words and len(words) < RUN:
        return Counter([tuple(words)])
    return Counter(tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ordinary", type=Path)
    chosen = options.parse_args()
    missed = []
    kept, leaked = kept_and_leaked(ours)
    peer_kept, peer_leaked = kept_and_leaked(peers)
    print(f"pages with other stories: ours keeps {kept:.1%} and leaks {leaked:.1%}", end="; ")
    print(f"trafilatura keeps {peer_kept:.1%} and leaks {peer_leaked:.1%}")
    if kept < KEPT or leaked > LEAKED:
        missed.append(f"at least {KEPT:.0%} kept and at most {LEAKED:.0%} leaked")
    if chosen.ordinary:
        score, pages = f1(ours, chosen.ordinary)
        peer_score, _ = f1(peers, chosen.ordinary)
        print(f"{pages} ordinary pages: F1 {score:.3f}; trafilatura {peer_score:.3f}")
        if score < F1:
            missed.append(f"F1 of at least {F1}")
    if missed:
        raise SystemExit(f"MISSED: {', '.join(missed)}")


if __name__ == "__main__":
    main()
