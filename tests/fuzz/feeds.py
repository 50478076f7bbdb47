"""Feeds after an accident or with bad intent: `python -m tests.fuzz.feeds --mutants 1000000 [--corpus FOLDER]`.

Mutants of our own test feeds, and of those in a folder, through the parser as a poll calls it. Whatever they hold, the
answer must be a feed or a refusal with its reason, in two seconds of CPU time, every field safe to store, and the same
whether it is read in pieces or whole. One kind of mutant is broken inside a single entry: there it is counted how many
of its siblings are still read.
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from random import Random
from types import FrameType

from service.domain.model import ParsedEntry, ParsedFeed
from service.feeds import clean
from service.feeds.parse import MAX_ENTRIES, Changed, parse_changed, parse_feed
from tests.fuzz.ordinary import ordinary
from tests.loopback import item, rss

OWN = Path(__file__).parent.parent / "data" / "feeds"
CPU_SECONDS = 2.0
SIBLINGS = 12
SURVIVE = 0.95
CHUNK = 5_000

TOKENS = (
    b"<item>", b"</item>", b"<entry>", b"</entry>", b"<item ", b"</channel>", b"</rss>", b"<![CDATA[", b"]]>", b"<!--",
    b"-->", b"&#xD800;", b"&#0;", b"&#x110000;", b"&#99999999999;", b"&", b"&amp;amp;", b"<", b">", b"/>", b"\0",
    b"<guid>", b"</guid>", b"<link>file:///etc/passwd</link>", b"<link>javascript:x</link>", b"<title>", b"</title>",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"<?xml version='1.0' encoding='utf-7'?>", b"\xff\xfe", b"\xed\xa0\x80",
    b"\xe2\x80\xae", b"xmlns:x='y'", b"<x:y>", b" a='", b'"', b"<pubDate>0000-99-99T99:99:99</pubDate>",
    b"<pubDate>Mon, 32 Foo 99999 25:61:61 XXXX</pubDate>", b"<b>" * 50, b"<content type='xhtml'><div>",
    b"<content mode='base64'>!!</content>", b"<source><id>1</id></source>", b"<category>", b"\xc3", b"\r", b"{",
)  # fmt: skip


@dataclass(slots=True)
class Report:
    """What became of the mutants; `siblings` and `kept` count the entries beside a broken one."""

    mutants: int = 0
    read: int = 0
    siblings: int = 0
    kept: int = 0
    escapes: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, other: Report) -> None:
        self.mutants += other.mutants
        self.read += other.read
        self.siblings += other.siblings
        self.kept += other.kept
        self.escapes += other.escapes


# --- mutants --------------------------------------------------------------------------------------------------------


def mutant(samples: Sequence[bytes], rng: Random) -> bytes:
    """One sample after one to six accidents."""
    body = rng.choice(samples)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        body = accident(body, samples, rng)
    return body


def accident(body: bytes, samples: Sequence[bytes], rng: Random) -> bytes:
    """A byte, a token, a cut, a piece twice, a piece of another document, or a tag in another's place."""
    at = rng.randrange(len(body) + 1)
    end = min(len(body), at + rng.choice((1, 3, 20, 300)))
    match rng.randrange(6):
        case 0:
            return body[:at] + bytes((rng.randrange(256),)) + body[at + 1 :]
        case 1:
            return body[:at] + rng.choice(TOKENS) + body[at:]
        case 2:
            return body[:at] + body[end:]
        case 3:
            return body[:end] + body[at:end] * rng.choice((1, 1, 2, 30)) + body[end:]
        case 4:
            other = rng.choice(samples)
            start = rng.randrange(len(other) + 1)
            return body[:at] + other[start : start + rng.choice((10, 200, 5_000))] + body[at:]
        case _:
            tag = body.find(b"<", at)
            close = body.find(b">", tag)
            return body[:tag] + rng.choice(TOKENS) + body[close + 1 :] if tag >= 0 and close > tag else body


def poisoned(rng: Random) -> tuple[bytes, frozenset[str]]:
    """A feed with one entry broken from its beginning to its end, and the titles of the others."""
    items = [
        item(f"g{n}", f"Notice {n}", text=f"Text of &lt;b&gt;notice&lt;/b&gt; {n}", link=f"https://a.example/{n}")
        for n in range(SIBLINGS)
    ]
    worst = rng.randrange(SIBLINGS)
    inside = items[worst].removeprefix("<item>").removesuffix("</item>").encode()
    for _ in range(rng.choice((1, 2, 4))):
        inside = accident(inside, [inside], rng)
    marked = rss(*(text if n != worst else "<item>@@</item>" for n, text in enumerate(items)))
    titles = frozenset(f"Notice {n}" for n in range(SIBLINGS) if n != worst)
    return marked.encode().replace(b"@@", inside), titles


# --- what must hold -------------------------------------------------------------------------------------------------


def wrong_with(changed: Changed) -> str | None:
    """What of an answer could do harm further on, if anything."""
    parsed = changed.feed
    if not isinstance(parsed, ParsedFeed):
        return None if parsed.detail and parsed.detail.isprintable() else f"a refusal with the reason {parsed.detail!r}"
    if len(parsed.entries) > MAX_ENTRIES:
        return f"{len(parsed.entries)} entries"
    for text in (parsed.title, parsed.link or "", parsed.language or ""):
        if clean.without_controls(text) != text:
            return f"control characters in the feed's {text!r}"
    return next((found for entry in parsed.entries if (found := _wrong_with_entry(entry)) is not None), None)


def _wrong_with_entry(entry: ParsedEntry) -> str | None:
    fields = (entry.title, entry.summary, entry.content, entry.guid or "", *entry.authors, *entry.categories)
    for text in fields:
        if clean.without_controls(text) != text:
            return f"control characters in {text[:80]!r}"
    if entry.link is not None and clean.web_link(entry.link, "") != entry.link:
        return f"the link {entry.link!r}"
    if len(entry.title) > clean.MAX_TITLE or max(len(entry.summary), len(entry.content)) > clean.MAX_HTML:
        return "a field without bounds"
    return None


@contextmanager
def cpu_limit() -> Iterator[None]:
    def too_long(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {CPU_SECONDS:g} s of CPU time")

    signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def try_one(body: bytes, report: Report, rng: Random) -> Changed | None:
    """Parse it as new, and again with some of its items known, as the next poll would."""
    report.mutants += 1
    try:
        with cpu_limit():
            changed = parse_changed(body, url="https://feed.example/a", known=frozenset())
            known = frozenset(digest for digest in changed.digests if rng.random() < 0.5)
            again = parse_changed(body, url="https://feed.example/a", known=known)
            whole = parse_feed(body, url="https://feed.example/a")
    except Exception as exc:  # whatever it is: this is what the run looks for
        report.escapes.append((f"{type(exc).__name__}: {exc}"[:300], body))
        return None
    wrong = wrong_with(changed) or wrong_with(again)
    if wrong is None and changed.feed != whole:
        wrong = "read piece by piece it says something else"
    if wrong is None and again.digests != changed.digests:
        wrong = "known items change how the document is cut"
    if wrong is not None:
        report.escapes.append((wrong, body))
    report.read += isinstance(changed.feed, ParsedFeed)
    return changed


def chunk(samples: Sequence[bytes], seed: int, count: int) -> Report:
    """So many mutants; of ten one is poisoned, and two are documents as most publishers write them."""
    rng, report = Random(seed), Report()
    for number in range(count):
        if number % 10:
            body = mutant(samples, rng) if number % 10 > 2 else ordinary(rng)
            try_one(body if number % 10 > 1 else accident(body, [body], rng), report, rng)
            continue
        body, titles = poisoned(rng)
        changed = try_one(body, report, rng)
        entries = changed.feed.entries if changed and isinstance(changed.feed, ParsedFeed) else ()
        report.siblings += len(titles)
        report.kept += len(titles & {entry.title for entry in entries})
    return report


def own_samples() -> list[bytes]:
    return [path.read_bytes() for path in sorted(OWN.glob("*.*")) if path.suffix in (".xml", ".json", ".rss", ".atom")]


def keep(body: bytes, folder: Path) -> Path:
    """Where a mutant that escaped is now: written at once, since a long run may be ended before it is over."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{hashlib.sha256(body).hexdigest()[:12]}.feed"
    path.write_bytes(body)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.feeds", description=__doc__)
    parser.add_argument("--mutants", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--corpus", type=Path, help="a folder of feeds to mutate beside our own")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"), help="where mutants that escaped go")
    wanted = parser.parse_args()
    samples = own_samples()
    if wanted.corpus:
        samples += [path.read_bytes() for path in sorted(wanted.corpus.rglob("*.xml"))]
    sizes = [min(CHUNK, wanted.mutants - start) for start in range(0, wanted.mutants, CHUNK)]
    report = Report()
    with ProcessPoolExecutor(wanted.processes) as pool:  # a child that dies ends the run, with its seed
        for number, part in enumerate(pool.map(chunk, repeat(samples), range(wanted.seed, 10**9), sizes)):
            report.add(part)
            told = f"{report.mutants:,} mutants, seed {wanted.seed + number} done: {len(report.escapes)} escapes"
            print(told, *(f"  {what}: {keep(body, wanted.keep)}" for what, body in part.escapes), sep="\n", flush=True)
    share = report.kept / max(report.siblings, 1)
    print(f"{report.mutants:,} mutants of {len(samples)} feeds: {report.read:,} read, the others refused with a reason")
    print(
        f"{len(report.escapes)} escapes; siblings of a broken entry that were read: {share:.2%} of {report.siblings:,}"
    )
    for what, times in Counter(what for what, _ in report.escapes).most_common(20):
        print(f"{times:6} {what}", file=sys.stderr)
    return 1 if report.escapes or share < SURVIVE else 0


if __name__ == "__main__":
    sys.exit(main())
