"""`policywatch label`: an alert, an entry or a text becomes an item of the team's own labelled corpus."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from service.cli.common import ConfigOption, err, plain
from service.cli.subject import subject_of
from service.config import load, load_lexicon
from service.domain.developments import read
from service.domain.evaluation import Label, read_as
from service.domain.model import Invalid, Problem

_LABEL = TypeAdapter(Label)
_KEPT = ("source", "published", "link", "title", "summary", "content")


def label_item(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[WHAT]", help="alert:ID, an entry id, an address, or a text; standard input if none."),
    ] = None,
    into: Annotated[Path, typer.Option("--into", help="The corpus: a JSONL file that the item is added to.")] = Path(
        "labels.jsonl"
    ),
    nothing: Annotated[
        bool, typer.Option("--nothing", help="It reports no development: the alert was not applicable.")
    ] = False,
    reports: Annotated[
        list[str] | None,
        typer.Option("--is", help='What it reports, as "CN stablecoin ban tightening in-force"; may be repeated.'),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Add a labelled item to the team's corpus: what a text reports, by a person; as it was read if nothing is said.

    `policywatch evaluate` measures reading on such files, and holds a floor under the figures.
    """
    if nothing and reports:
        raise typer.BadParameter("--nothing and --is contradict each other")
    labels = tuple(_label(text) for text in reports or ())
    subject = subject_of(what if what is not None else sys.stdin.read(), load(config), config)
    reading = read(subject.entry, load_lexicon(), jurisdiction=subject.jurisdiction)
    if not nothing and not labels:
        labels = tuple(map(read_as, reading.developments))
    entry = plain(subject.entry)
    item: dict[str, Any] = {
        "id": f"own-{_lines(into) + 1:04d}",
        "lang": reading.lang,
        **{name: entry[name] for name in _KEPT if entry[name]},
        "labels": [label._asdict() for label in labels],
    }
    with into.open("a", encoding="utf-8") as file:
        file.write(json.dumps(item, ensure_ascii=False) + "\n")
    said = "; ".join(" ".join(map(str, label)) for label in labels) or "nothing"
    err.print(f"{into}: {item['id']} reports {said}", highlight=False, markup=False)


def _label(text: str) -> Label:
    parts = text.split()
    if len(parts) != len(Label._fields):
        raise Invalid((Problem(where=f"--is {text!r}", what=f"has {len(parts)} words", hint=_HINT),))
    parts[0] = parts[0].upper()
    try:
        return _LABEL.validate_python(parts)
    except ValidationError as exc:
        wrong = exc.errors()[0]
        field = Label._fields[int(wrong["loc"][-1])]
        problem = Problem(where=f"--is {text!r}", what=f"there is no {field} {wrong['input']!r}", hint=_HINT)
        raise Invalid((problem,)) from None


_HINT = f"five words: {', '.join(Label._fields)}"


def _lines(path: Path) -> int:
    try:
        with path.open(encoding="utf-8") as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0
