"""Commands that take entries, feeds or pages from files through the floors and print JSON lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import TypeAdapter

from service.cli.common import EntriesArgument, entries_in, files_under, in_order, plain
from service.config import Rulebook, load_lexicon, load_rulebook, read_rules
from service.domain.developments import read
from service.domain.judge import Lexicon
from service.domain.model import (
    Development,
    Entry,
    Failed,
    Invalid,
    NearMiss,
    PageNote,
    ParsedFeed,
    Reading,
    ServiceError,
)
from service.domain.shelf import Shelf
from service.domain.traits import key_of
from service.sandbox import Sandbox

T = TypeVar("T")


def annotate(files: EntriesArgument = None) -> None:
    """Read JSONL entries: their developments with evidence, and the story each belongs to."""
    lexicon = load_lexicon()
    placer = Placer(lexicon)
    with entries_in(files) as found:
        for entry, _ in in_order(found):
            reading = read(entry, lexicon)
            story, _reason = placer.place(entry, reading) if reading.developments else (None, "")
            print(json.dumps(_annotated(entry, reading, story), ensure_ascii=False))


def _annotated(entry: Entry, reading: Reading, story: str | None) -> dict[str, Any]:
    developments = [shown_development(development) for development in reading.developments]
    return {"id": entry.id, "lang": reading.lang, "developments": developments, "story": story}


def shown_development(development: Development) -> dict[str, Any]:
    """A development with one list of evidence: the sentences first, then the words in them."""
    shown = plain(development)
    quotes = shown.pop("quotes")
    return {**shown, "evidence": [*quotes, *shown["evidence"]]}


def match(
    rules: Annotated[Path, typer.Option("--rules", help="A rule file or a folder of them.")],
    files: EntriesArgument = None,
    why: Annotated[
        bool, typer.Option("--why", help="Also the first failing step of each rule, and what came near.")
    ] = False,
) -> None:
    """Match JSONL entries against the rules under a path and no others."""
    rulebook = load_rulebook(read_rules(rules))
    if rulebook.problems:
        raise Invalid(rulebook.problems)
    with entries_in(files) as found:
        for entry, _ in found:
            print(json.dumps(_matched(entry, rulebook, why=why), ensure_ascii=False))


def _matched(entry: Entry, rulebook: Rulebook, *, why: bool) -> dict[str, Any]:
    reading = read(entry, rulebook.lexicon)
    matches = []
    for found in rulebook.ruleset.match(entry, reading):
        developments = [shown_development(development) for development in found.developments]
        evidence = plain(found)["evidence"]
        matches.append({"rule": found.rule_id, "developments": developments, "evidence": evidence})
    row = {"id": entry.id, "matches": matches}
    if why:
        misses = rulebook.ruleset.why_not(entry, reading)
        row["why"] = [shown_miss(miss) for miss in misses]
    return row


def shown_miss(miss: NearMiss) -> dict[str, Any]:
    return {"rule": miss.rule_id, "step": miss.step, "detail": miss.detail, "near": plain(miss)["near"]}


def stories(files: EntriesArgument = None) -> None:
    """Place JSONL entries, with or without developments, in stories, in published order."""
    lexicon = load_lexicon()
    placer = Placer(lexicon)
    with entries_in(files) as found:
        for entry, given in in_order(found):
            reading = read(entry, lexicon)
            if isinstance(given.get("developments"), list):
                developments = [{**d, "evidence": ()} for d in given["developments"]]
                reading = TypeAdapter(Reading).validate_python({"lang": reading.lang, "developments": developments})
            story, reason = placer.place(entry, reading)
            print(json.dumps({"id": entry.id, "story": story, "reason": reason}, ensure_ascii=False))


def parse(paths: Annotated[list[Path], typer.Argument(help="Feed files or folders of them.")]) -> None:
    """Parse feed files: one JSON line a file, with its entries or the reason why it has none."""
    from service.feeds.parse import parse_feed  # noqa: PLC0415  (sandboxed code is only needed here)

    for path, parsed in _sandboxed(files_under(paths), lambda box, body: box.run(parse_feed, body)):
        print(json.dumps({"file": str(path), **_parsed_row(parsed)}, ensure_ascii=False))


def _parsed_row(parsed: ParsedFeed | Failed | ServiceError | None) -> dict[str, Any]:
    if not isinstance(parsed, ParsedFeed):
        error = f"{parsed.reason}: {parsed.detail}" if isinstance(parsed, Failed) else str(parsed)
        return {"error": error, "feed": {}, "entries": []}
    plain = TypeAdapter(ParsedFeed).dump_python(parsed, mode="json")
    entries = plain.pop("entries")
    return {"feed": plain, "entries": entries}


def extract(
    files: Annotated[list[Path], typer.Argument(help="HTML pages and PDF documents.")],
    url: Annotated[str, typer.Option(help="Where the page came from.")] = "",
) -> None:
    """The main text of HTML pages, without what stands below and beside the article, and of PDF documents."""
    from service.feeds.apart import main_text  # noqa: PLC0415

    for path, page in _sandboxed(files_under(files), lambda box, body: box.run(main_text, body, url, "")):
        row: dict[str, Any] = {"file": str(path)}
        if isinstance(page, ServiceError | PageNote):
            row["error"] = page.detail if isinstance(page, PageNote) else str(page)
        else:
            published = page.published.isoformat() if page.published else None
            row |= {"title": page.title, "text": page.text, "published": published}
        print(json.dumps(row, ensure_ascii=False))


def _sandboxed(
    paths: Iterable[Path], call: Callable[[Sandbox, bytes], Coroutine[Any, Any, T]]
) -> Iterator[tuple[Path, T | ServiceError]]:
    """Each file through a child process with limits: a hostile one costs its own line, no other."""
    with asyncio.Runner() as runner:
        box = Sandbox(workers=1)

        async def one(body: bytes) -> T | ServiceError:
            try:
                return await call(box, body)
            except ServiceError as exc:
                return exc

        try:
            for path in paths:
                try:
                    body = path.read_bytes()
                except OSError as exc:
                    yield path, ServiceError(f"cannot be read: {exc.strerror}")
                    continue
                yield path, runner.run(one(body))
        finally:
            box.close()


class Placer:
    """Stories in memory, by the same pure decision as in the service."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._shelf = Shelf()

    def place(self, entry: Entry, reading: Reading) -> tuple[str, str]:
        when = entry.published or datetime.now(UTC)
        number, placement = self._shelf.add(key_of(entry, reading, self._lexicon), when)
        return f"s{number}", placement.reason
