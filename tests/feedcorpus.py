"""The test feeds of feedparser's source archive, through the door of `policywatch parse`.

    pip download --no-binary :all: --no-deps feedparser, unpack it, and: python -m tests.feedcorpus FOLDER/tests

Each file must be answered without an exception or a dead child, in 2 s of CPU time and 256 MiB. Where a test expects
something of a field that we keep too, ours is held against it; what differs is listed with the reason, and what has no
reason fails the run. Nothing of the archive is part of this project.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import codecs
import re
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date
from enum import StrEnum
from html import unescape
from pathlib import Path

from service.domain.model import Failed, ParsedEntry, ParsedFeed, ServiceError
from service.feeds import clean
from service.feeds.cut import cut
from service.feeds.parse import parse_feed
from service.feeds.plain import read_plain
from service.feeds.repair import decode, find_root
from service.sandbox import Sandbox

CPU_SECONDS, MEMORY_MIB = 2.0, 256
_SERVED_AT = "http://127.0.0.1:8097/"  # where those tests serve their files, which some expectations name
_EXPECT = re.compile(rb"Expect:[ \t]*(.+?)\s*\n?-->", re.DOTALL)
_HEADER = re.compile(rb"^Header:\s+([^:]+):(.+)$", re.MULTILINE)


class Reason(StrEnum):
    """Why a field of ours may differ from what feedparser's own tests expect."""

    PLAIN = "our titles and names are plain text, on one line"
    NO_WEB_LINK = "only http and https addresses are links"
    MARKUP = "HTML is kept as written, and cleaned where it is shown"
    ESCAPED = "plain text is escaped where it would be read as HTML"
    SAME_TWICE = "a summary that repeats the content is left out"
    IMPOSSIBLE_DATE = "no news has that date"
    NOT_A_FEED = "the document is refused, with its reason"
    EMPTY = "an entry without anything in it is no entry"
    LABEL = "a category goes by the name that is meant for people"
    NAME = "of an author the name is kept, not the address"
    AS_WRITTEN = "an id is kept as written"
    BODY_ONLY = "Content-Location is no base any more (RFC 9110 section 8.7), and the document says its language itself"
    CHARSET = "Python does not know that encoding"
    HTML5 = "the entity stands for another character since HTML 5"
    BROKEN = "the bytes are in no encoding: what stands in their place is a guess"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a child made of a file, its CPU seconds, and the MiB that the child has held at most so far."""

    parsed: ParsedFeed | Failed
    cpu: float
    mib: int
    plain: bool | None = None
    """Whether its items read without feedparser are the same, if they are of the form for which that is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One comparison of a test that is about a field of ours: where it stands, and its value."""

    place: str
    value: str | tuple[int, ...]


def measured(body: bytes, content_type: str, url: str) -> Answer:
    """Runs in the child."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    parsed = parse_feed(body, content_type=content_type, url=url)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Answer(parsed=parsed, cpu=cpu, mib=_peak(), plain=_agrees(body, content_type, url, parsed))


def _agrees(body: bytes, content_type: str, url: str, parsed: ParsedFeed | Failed) -> bool | None:
    if isinstance(parsed, Failed) or parsed.warning:  # what is not well-formed is never read so
        return None
    text = decode(body, content_type)[0].lstrip()
    pieces = cut(text[max(0, find_root(text)[0]) :])
    entries = pieces and read_plain(pieces.head, pieces.items, url)
    return entries == parsed.entries if entries else None


def _peak() -> int:
    """The most MiB that this process has held; `ru_maxrss` would count what its parent held when it was forked."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


# --- what a test expects --------------------------------------------------------------------------------------------


def expectations(body: bytes) -> Iterator[Expected]:
    """The comparisons `path == literal` in a test's expression, as far as they are about fields that we keep."""
    found = _EXPECT.search(body)
    if found is None:
        return
    try:
        tree = ast.parse(found[1].decode("utf-8", "replace").strip(), mode="eval").body
    except SyntaxError:
        return
    parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
    for part in parts:
        if not isinstance(part, ast.Compare) or not isinstance(part.ops[0], ast.Eq):
            continue
        try:
            value = ast.literal_eval(part.comparators[0])
        except ValueError:
            continue
        place = re.sub(r"\['(\w+)'\]", r".\1", ast.unparse(part.left)).replace("summary_detail.value", "summary")
        place = place.replace("title_detail.value", "title").replace(".description", ".summary")
        if isinstance(value, str | tuple) and re.fullmatch(_OURS, place):
            yield Expected(place=place, value=value)


_OURS = (
    r"entries\[\d+\]\.(title|link|id|summary|content\[0\]\.value|published_parsed|updated_parsed|author|"
    r"tags\[\d+\]\.term)|feed\.(title|link|language)"
)


def ours(parsed: ParsedFeed, place: str) -> object:
    """Our value for a place; IndexError where there is no such entry or category."""
    part = place.rpartition(".")[2]
    if place.startswith("feed."):
        return {"title": parsed.title, "link": parsed.link, "language": parsed.language}[part]
    entry = parsed.entries[int(place[len("entries[") : place.index("]")])]
    if "tags[" in place:
        return entry.categories[int(place.rpartition("tags[")[2].partition("]")[0])]
    return _field(entry, part if "content" not in place else "content")


def _field(entry: ParsedEntry, name: str) -> object:
    moments = {"published_parsed": entry.published, "updated_parsed": entry.updated}
    if name in moments:
        moment = moments[name]
        return moment.astimezone(UTC).utctimetuple()[:6] if moment else None
    if name == "author":
        return entry.authors[0] if entry.authors else ""
    return {
        "title": entry.title, "link": entry.link, "id": entry.guid, "summary": entry.summary, "content": entry.content
    }[name]  # fmt: skip


def reason_for(path: str, expected: Expected, parsed: ParsedFeed | Failed) -> Reason | str | None:
    """None where ours is what is expected; otherwise the reason, or what ours is where there is no reason."""
    value = expected.value
    if isinstance(parsed, Failed):
        return Reason.NOT_A_FEED
    try:
        got = ours(parsed, expected.place)
    except IndexError:
        return Reason.EMPTY if not value or not parsed.entries else "there is no such entry or category"
    if isinstance(value, tuple):
        if got == tuple(value[:6]):
            return None
        return Reason.IMPOSSIBLE_DATE if got is None and _impossible(value) else f"ours is {got!r}"
    if (got or "") == value:
        return None
    if expected.place.endswith(("link", "id")) and got is None and clean.web_link(value, "") is None:
        return Reason.NO_WEB_LINK
    if expected.place.endswith("summary") and not got and _same(parsed.entries, value):
        return Reason.SAME_TWICE
    got = str(got or "")
    if (known := _by_place(path, expected.place, got, value)) is not None:
        return known
    if re.search(r"(title|author|term)$", expected.place) and got == clean.plain_text(value):
        return Reason.PLAIN
    if got == clean.escape_plain(value):
        return Reason.ESCAPED
    if _visible(got) == _visible(value):
        return Reason.MARKUP
    return f"ours is {got[:120]!r}"


def _by_place(path: str, place: str, got: str, value: str) -> Reason | None:
    if "tags[" in place and "_term" in path:
        return Reason.LABEL
    if place.endswith("author") and value.startswith(f"{got} (") and "@" in value:
        return Reason.NAME
    if place.endswith(".id") and value.endswith(got):
        return Reason.AS_WRITTEN
    if "content_location" in path or "http_content_language" in path:
        return Reason.BODY_ONLY
    if path.startswith("encoding/x80_") and not _is_encoding(path[len("encoding/x80_") : -len(".xml")]):
        return Reason.CHARSET
    if path in ("entities/lang.xml", "entities/rang.xml"):
        return Reason.HTML5
    return Reason.BROKEN if path == "encoding/bozo_linenoise.xml" else None


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True


def _impossible(value: tuple[int, ...]) -> bool:
    try:
        date(*value[:3])
    except ValueError:
        return True
    return not 1970 < value[0] < 2100


def _same(entries: tuple[ParsedEntry, ...], value: str) -> bool:
    return any(_visible(entry.content) == _visible(value) for entry in entries)


def _visible(html: str) -> str:
    """Its text without scripts, styles, anything between angle brackets, and spaces."""
    text = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    return "".join(unescape(re.sub(r"<[^<>]*>", "", text)).split())


# --- the run --------------------------------------------------------------------------------------------------------


async def run(folder: Path, paths: list[Path]) -> bool:
    """Send every file through; gives whether all went well."""
    box = Sandbox(workers=1, memory_bytes=2 * MEMORY_MIB * 1024 * 1024, cpu_seconds=CPU_SECONDS)
    counted: Counter[str] = Counter()
    slowest, most = 0.0, 0
    bad: list[str] = []
    for path in paths:
        body = await asyncio.to_thread(path.read_bytes)
        content_type = next((v.decode().strip() for k, v in _HEADER.findall(body) if k.lower() == b"content-type"), "")
        try:
            answer = await box.run(measured, body, content_type, _SERVED_AT + str(path.relative_to(folder)))
        except (ServiceError, Exception) as exc:  # either is what this run looks for
            bad.append(f"{path}: {type(exc).__name__}: {exc}")
            continue
        slowest, most = max(slowest, answer.cpu), max(most, answer.mib)
        counted["without feedparser"] += answer.plain is not None
        if answer.plain is False:
            bad.append(f"{path.relative_to(folder)}: read without feedparser its entries are others")
        counted["refused" if isinstance(answer.parsed, Failed) else "read"] += 1
        for expected in expectations(body):
            reason = reason_for(str(path.relative_to(folder)), expected, answer.parsed)
            counted[f"  {reason}" if isinstance(reason, Reason) else "as expected" if reason is None else "bad"] += 1
            if isinstance(reason, Reason):
                print(f"{path.relative_to(folder)}: {expected.place}: {reason}")
            elif reason is not None:
                bad.append(f"{path.relative_to(folder)}: {expected.place}: {expected.value!r}, but {reason}")
    box.close()
    print("\n".join(bad), file=sys.stderr)
    print(f"{len(paths)} files: {counted.pop('read', 0)} read, {counted.pop('refused', 0)} refused with their reason")
    print(f"{counted.pop('without feedparser')} have items that are read without feedparser")
    print(f"slowest {slowest:.2f} s of CPU, at most {most} MiB; without a reason: {len(bad)}")
    for what, times in sorted(counted.items()):
        print(f"{times:6} fields {what}")
    return not bad and most <= MEMORY_MIB


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.feedcorpus", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    if not folder.is_dir():
        parser.error(f"{folder} is no folder")
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".xml", ".gz", ".z"))
    return 0 if asyncio.run(run(folder, paths)) else 1


if __name__ == "__main__":
    sys.exit(main())
