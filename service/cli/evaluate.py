"""`policywatch evaluate`: labelled entries against what is read in them, and a floor under the figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.markup import escape
from rich.table import Table

from service.cli.common import JsonOption, entries_in, err, in_order, out
from service.cli.entries import Placer
from service.config import load_lexicon
from service.documents import read_yaml
from service.domain.developments import read
from service.domain.evaluation import Figures, Item, Label, by_language, evaluate, read_as
from service.domain.model import Invalid, Problem

_LABELS = TypeAdapter(tuple[Label, ...])


def evaluate_labels(
    files: Annotated[list[Path], typer.Argument(help="JSONL files of entries with labels.")],
    errors: Annotated[int, typer.Option(help="List so many entries that were read wrongly.")] = 0,
    floor: Annotated[Path | None, typer.Option(help="YAML: the least that each figure may be.")] = None,
    as_json: JsonOption = False,
) -> None:
    """How well labelled entries are read: figures by language, confusions, errors. Exit 1 below the floor.

    An entry is as for `annotate`, with `labels`: a list of jurisdiction, topic, action, direction and stage, empty
    where nothing is reported; and, if you like, `story`, a name for the event.
    """
    items = _items(files)
    if not items:
        raise Invalid((Problem(where=", ".join(map(str, files)), what="holds no labelled entries"),))
    figures, spoken = evaluate(items), by_language(items)
    if as_json:
        print(json.dumps({"all": _plain(figures), "languages": {lang: _plain(f) for lang, f in spoken.items()}}))
    else:
        _show(figures, spoken)
        _show_errors([item for item in items if item.is_wrong][:errors])
    if floor is not None:
        _hold(figures, spoken, floor)


def _items(files: list[Path]) -> list[Item]:
    lexicon = load_lexicon()
    placer = Placer(lexicon)
    items: list[Item] = []
    problems: list[Problem] = []
    with entries_in(files) as found:
        for entry, row in in_order(found):
            reading = read(entry, lexicon)
            told, _ = placer.place(entry, reading) if reading.developments else ("", "")
            try:
                wanted = _LABELS.validate_python([_label(label) for label in row["labels"]])
            except (KeyError, TypeError, ValidationError) as exc:
                problems.append(_misfit(entry.id, exc))
                continue
            items.append(
                Item(
                    id=entry.id,
                    lang=entry.lang or reading.lang,
                    title=entry.title,
                    wanted=wanted,
                    found=tuple(map(read_as, reading.developments)),
                    story=str(row.get("story") or ""),
                    told=told,
                )
            )
    if problems:
        raise Invalid(tuple(problems))
    return items


def _label(label: Any) -> list[Any]:
    return [label[name] for name in Label._fields]


def _misfit(id_: str, exc: Exception) -> Problem:
    hint = "each label needs jurisdiction, topic, action, direction and stage"
    if isinstance(exc, ValidationError):
        first = exc.errors()[0]
        where = Label._fields[int(first["loc"][-1])]
        return Problem(where=id_, what=f"label: {where} {first['input']!r} is not known", hint=str(first["msg"]))
    if isinstance(exc, KeyError):
        return Problem(where=id_, what=f"{exc.args[0]} is missing", hint=hint)
    return Problem(where=id_, what="labels is no list of labels", hint=hint)


def _plain(figures: Figures) -> dict[str, Any]:
    return {"items": figures.items, **{name: round(share, 4) for name, share in figures.shares().items()}}


def _show(figures: Figures, spoken: dict[str, Figures]) -> None:
    rows = [(lang, f) for lang, f in (*spoken.items(), ("all", figures))]
    grid = Table("language", "items", *figures.shares())
    for lang, found in rows:
        grid.add_row(lang, str(found.items), *(f"{share:.3f}" for share in found.shares().values()))
    out.print(grid)
    for kind, rate in (("relevance", figures.relevance), ("event", figures.event)):
        out.print(f"{kind}: {rate.hits} right, {rate.extra} too many, {rate.missing} missed")
    for confusion, count in list(figures.confusions.items())[:15]:
        out.print(f"{count:4}  {confusion.field}: {confusion.wanted} read as {confusion.found}")


def _show_errors(items: list[Item]) -> None:
    for item in items:
        out.print(f"\n[bold]{escape(item.id)}[/] {item.lang}  {escape(item.title)}", highlight=False)
        for name, labels in (("labelled", item.wanted), ("read as", item.found)):
            shown = "; ".join(" ".join(map(str, label)) for label in labels) or "nothing"
            out.print(f"  {name}: {shown}", highlight=False)


def _hold(figures: Figures, spoken: dict[str, Figures], path: Path) -> None:
    """Exit 1 with every figure that is below its floor: `all` or a language, and then the figure."""
    lost = []
    floors = read_yaml(path)
    for lang, least in (floors.mapping or {}).items():
        reached = figures if lang == "all" else spoken.get(lang)
        for name, node in (least.mapping or {}).items():
            share = reached.shares().get(name) if reached is not None else None
            if share is None:
                raise Invalid((Problem(where=node.where, what=f"there is no figure {name!r} for {lang!r}"),))
            bar = float(str(node.value))
            if share < bar:
                lost.append(f"{node.where}: {name} of {lang} is {share:.4f}, the floor is {bar:g}")
    if lost:
        err.print("\n".join(lost), highlight=False, markup=False)
        raise typer.Exit(1)
