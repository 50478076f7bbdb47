"""`policywatch rules backtest` and `rules diff`: what rules would have done on the entries that are stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.bar import Bar
from rich.padding import Padding
from rich.progress import track
from rich.table import Table
from rich.text import Text

from service.cli.common import ConfigOption, JsonOption, add_row, err, opened, out, plain, printable
from service.cli.show import RulesOption, find
from service.config import ReadRules, Settings, read_rulebook, read_rules
from service.domain.concepts import Lexicon
from service.domain.model import Invalid
from service.domain.rule import Rule, Status, read_duration
from service.lookback import (
    Backtest,
    Difference,
    Example,
    Fired,
    Week,
    backtest,
    difference,
    examples,
    reread,
    weekly,
)
from service.storage.readings import Whole
from service.storage.store import Store

NEWEST = 10
"""Examples shown, unless JSON is asked for: then a backtest gives as many, and a difference gives all."""

SinceOption = Annotated[str, typer.Option("--since", metavar="90d", help="How far back: 90d, 48h.")]
RereadOption = Annotated[
    bool, typer.Option("--reread", help="First read the entries again that this lexicon has not read.")
]


@dataclass(frozen=True, slots=True)
class _Past:
    """A stretch of the store, and the lexicon that rules ask it with."""

    store: Store
    lexicon: Lexicon
    since: datetime
    now: datetime

    def of(self, rules: Sequence[Rule]) -> dict[str, Backtest]:
        """Each rule by itself; what takes long is shown."""
        shown = rules if len(rules) == 1 else track(rules, "Trying rules", console=err, transient=True, disable=_QUIET)
        return {rule.id: backtest(self.store, rule, self.lexicon, since=self.since, watch=_watched) for rule in shown}

    def reread(self) -> None:
        reread(self.store, self.lexicon, since=self.since, watch=_watched)

    def weeks(self, *sides: Mapping[str, Backtest]) -> list[tuple[Week, ...]]:
        """For each side all its rules together, from when there is something to see; an entry counts once."""
        fired = [sorted({f.entry_id: f for b in side.values() for f in b.fired}.values(), key=_time) for side in sides]
        begun = [self.store.alerts.watching_since() or self.now, *(f.at for side in fired for f in side[:1])]
        first = max(self.since, min(begun))
        return [weekly(side, first=first, last=self.now) for side in fired]

    def standing(self) -> dict[str, Any]:
        return plain(self.store.readings.standing(self.lexicon.version, since=self.since))


def _time(fired: Fired) -> tuple[datetime, int]:
    return (fired.at, fired.entry_id)


_QUIET = not err.is_terminal


def _watched(texts: Iterable[Whole], total: int) -> Iterable[Whole]:
    if total < NEWEST:
        return texts
    said = f"Reading {total:,} texts"
    return track(texts, said, total=total, console=err, transient=True, disable=_QUIET)


def _past(store: Store, lexicon: Lexicon, since: str) -> _Past:
    now = datetime.now(UTC)
    span = read_duration(since)
    if span is None:
        raise typer.BadParameter(f"{since!r} is no time span; write 90d or 48h", param_hint="--since")
    return _Past(store, lexicon, now - span, now)


# --- backtest -----------------------------------------------------------------------------------------------------


def backtest_rule(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Id of a rule, a shorthand in quotes, or a rule file.")],
    since: SinceOption = "90d",
    rules: RulesOption = None,
    again: RereadOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a rule on the stored entries, as if it had been active: how often, when, and on what it would have fired."""
    with opened(config) as (settings, store):
        book, wanted = _chosen(rule, settings, rules)
        past = _past(store, book.lexicon, since)
        if again:
            past.reread()
        found = past.of(wanted)
        fired = [(f, one) for one in wanted for f in found[one.id].fired]
        newest = sorted(fired, key=lambda pair: _time(pair[0]), reverse=True)
        shown = list(_examples(past, newest))
        standing, weeks = past.standing(), past.weeks(found)[0]
    if as_json:
        row = {
            "since": past.since.isoformat(),
            **standing,
            "rules": [_counted(one) for one in found.values()],
            "weeks": [plain(week) for week in weeks],
            "newest": [{"rule": one.id, **plain(example)} for one, example in shown],
        }
        print(json.dumps(row, ensure_ascii=False))
        return
    _print_counts(found, past, standing)
    out.print(_chart(weeks))
    _print_examples(shown)


def _chosen(wanted: str, settings: Settings, paths: list[Path] | None) -> tuple[ReadRules, tuple[Rule, ...]]:
    """The rules of a file, or the one that is meant; those that have been retired only when one is named."""
    path = Path(wanted)
    if path.suffix in (".yaml", ".yml") or path.is_dir():
        book = read_rulebook(read_rules(path))
        if book.problems:
            raise Invalid(book.problems)
        return book, tuple(rule for rule in book.rules if rule.status is not Status.RETIRED)
    book = read_rulebook(read_rules(*paths) if paths else settings.rules)
    return book, (find(wanted, book),)


def _examples(past: _Past, newest: Sequence[tuple[Fired, Rule]]) -> Iterator[tuple[Rule, Example]]:
    """The newest entries with their evidence, each under the first rule that fired on it."""
    chosen: dict[int, tuple[Fired, Rule]] = {}
    for fired, rule in newest:
        if len(chosen) == NEWEST:
            break
        chosen.setdefault(fired.entry_id, (fired, rule))
    for fired, rule in chosen.values():
        for example in examples(past.store, rule, [fired], past.lexicon):
            yield rule, example


def _counted(found: Backtest) -> dict[str, Any]:
    return {
        "rule": found.rule_id,
        "entries": len(found.fired),
        "stories": len(found.stories),
        "texts_read": found.texts,
    }


def _print_counts(found: Mapping[str, Backtest], past: _Past, standing: Mapping[str, int]) -> None:
    for one in found.values():
        read = f" ({one.texts:,} texts read for its words)" if one.texts else ""
        said = f"{one.rule_id}: {len(one.fired):,} entries, {len(one.stories):,} stories{read}"
        out.print(said, markup=False, highlight=False)
    since = past.since.date().isoformat()
    out.print(f"of {standing['entries']:,} entries since {since}", highlight=False)
    _print_standing(standing)


def _print_standing(standing: Mapping[str, int]) -> None:
    unread, another = standing["unread"], standing["read_by_another"]
    if unread:
        err.print(f"{unread:,} entries have not been read, and are left out; see --reread", style="yellow")
    if another:
        err.print(f"{another:,} entries were read by another version of the lexicon; see --reread", style="yellow")


def _chart(weeks: Sequence[Week]) -> Table:
    highest = max((week.entries for week in weeks), default=0)
    table = Table("week of", "entries", "stories", "", box=None)
    for week in weeks:
        bar = Bar(size=max(highest, 1), begin=0, end=week.entries, width=40)
        table.add_row(Text(week.monday.isoformat()), Text(str(week.entries)), Text(str(week.stories)), bar)
    return table


def _print_examples(shown: Sequence[tuple[Rule, Example]]) -> None:
    for number, (_, example) in enumerate(shown):
        if number == 0:
            out.print("The newest:", style="bold")
        where = " ".join(example.jurisdictions)
        out.print(Text(f"{example.entry_id}  {example.at.date()}  {where}  {printable(example.title)}"))
        if example.sentence:
            out.print(Padding(Text(printable(example.sentence), style="dim"), (0, 0, 0, 4)))


# --- diff ---------------------------------------------------------------------------------------------------------


def diff_rules(
    old: Annotated[Path, typer.Argument(help="The rules as they were: a file or a folder.")],
    new: Annotated[Path, typer.Argument(help="The rules as they will be: a file or a folder.")],
    since: SinceOption = "90d",
    again: RereadOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two sets of rules on the stored entries: the alerts that the new ones gain and lose."""
    before, after = _active(old), _active(new)
    with opened(config) as (_, store):
        past = _past(store, before.lexicon, since)
        if again:
            past.reread()
        same = {rule.id: rule.digest for rule in before.rules}
        found = past.of(before.rules)
        changed = past.of([rule for rule in after.rules if same.get(rule.id) != rule.digest])
        tried = {rule.id: changed.get(rule.id) or found[rule.id] for rule in after.rules}
        differences = difference(found, tried)
        titles = _titles(store, differences, all_of_them=as_json)
        standing, weeks = past.standing(), list(zip(*past.weeks(found, tried), strict=True))
    if as_json:
        row = {
            "since": past.since.isoformat(),
            **standing,
            "weeks": [{"monday": str(a.monday), "before": a.stories, "after": b.stories} for a, b in weeks],
            "alerts": _plain_difference(differences[0], titles),
            "rules": [{"rule": d.rule_id, **_plain_difference(d, titles)} for d in differences[1:]],
        }
        print(json.dumps(row, ensure_ascii=False))
        return
    _print_differences(differences)
    _print_weeks(weeks)
    _print_titles("gained", differences[0].gained, titles, "green")
    _print_titles("lost", differences[0].lost, titles, "red")
    _print_standing(standing)


def _active(path: Path) -> ReadRules:
    book = read_rulebook(read_rules(path))
    if book.problems:
        raise Invalid(book.problems)
    return replace(book, rules=tuple(rule for rule in book.rules if rule.status is Status.ACTIVE))


def _titles(store: Store, differences: Sequence[Difference], *, all_of_them: bool) -> dict[int, Whole]:
    """What is shown of alerts: all that changed, or those of the last few that a person is shown."""
    whole = differences[0]
    chosen = [*whole.gained[-NEWEST:], *whole.lost[-NEWEST:]]
    if all_of_them:
        chosen = [fired for d in differences for fired in (*d.gained, *d.lost)]
    ids = sorted({fired.entry_id for fired in chosen})
    return {int(whole.entry.id): whole for whole in store.readings.whole(ids)}


def _plain_difference(one: Difference, titles: Mapping[int, Whole]) -> dict[str, Any]:
    told = {"gained": one.gained, "lost": one.lost}
    rows = {
        name: [
            {**plain(f), "title": titles[f.entry_id].entry.title, "link": titles[f.entry_id].entry.link} for f in each
        ]
        for name, each in told.items()
    }
    return {"before": one.before, "after": one.after, **rows}


def _print_differences(differences: Sequence[Difference]) -> None:
    table = Table("", "before", "after", "gained", "lost", title="Alerts", title_justify="left")
    for one in differences:
        name = one.rule_id or "all rules together"
        add_row(table, name, str(one.before), str(one.after), f"+{len(one.gained)}", f"-{len(one.lost)}")
    out.print(table)


def _print_weeks(weeks: Sequence[tuple[Week, Week]]) -> None:
    table = Table("week of", "before", "after", box=None)
    for a, b in weeks:
        add_row(table, a.monday.isoformat(), str(a.stories), str(b.stories))
    out.print(table)


def _print_titles(what: str, fired: Sequence[Fired], titles: Mapping[int, Whole], style: str) -> None:
    if not fired:
        return
    out.print(f"{what}: {len(fired)}" + (f", the newest {NEWEST}" if len(fired) > NEWEST else ""), style=style)
    for one in reversed(fired[-NEWEST:]):
        title = Text(f"  {one.entry_id}  {one.at.date()}  {printable(titles[one.entry_id].entry.title)}")
        out.print(title)
