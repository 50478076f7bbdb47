"""Looking back: on which stored entries would a rule have fired? Answers from readings, and from texts where it must.

Raises no alert, and changes nothing but readings, and those only when asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

from service.domain.concepts import Lexicon
from service.domain.developments import read
from service.domain.judge import Facts, match_of
from service.domain.model import Match
from service.domain.remembered import fires, note, reads_text, roughly
from service.domain.rule import Rule
from service.domain.text import sentences
from service.storage.readings import BATCH, Whole
from service.storage.store import Store

T = TypeVar("T")

Watch = Callable[[Iterable[Whole], int], Iterable[Whole]]
"""Passes texts on as they are read, of so many in all: for whoever shows progress."""


def unwatched(texts: Iterable[Whole], total: int) -> Iterable[Whole]:
    return texts


def patiently() -> None:
    """For whoever has the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """An entry on which a rule would have fired. `story` is what it is told as: entries with the same one are told
    once."""

    entry_id: int
    at: datetime
    story: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What a rule would have fired on, in order of time, and how many texts had to be read to know."""

    rule_id: str
    fired: tuple[Fired, ...]
    texts: int = 0

    @property
    def stories(self) -> frozenset[str]:
        return frozenset(fired.story for fired in self.fired)


def backtest(
    store: Store, rule: Rule, lexicon: Lexicon, *, since: datetime | None = None, watch: Watch = unwatched,
    go_on: Callable[[], None] = patiently,
) -> Backtest:  # fmt: skip
    """What `rule` would have fired on if it were active, of the entries that were read.

    A rule of concepts takes no text. With words in it, the texts are read of those entries that its concepts leave,
    which for a rule of words alone are all that report anything (with `scope: mention`, all). `go_on` is called often;
    what it raises ends the work.
    """
    rough = roughly(rule)
    found = {
        entry_id: at
        for alike in _asking(go_on, store.readings.candidates(rough, since=since))
        if fires(rough, alike.recorded, lexicon)
        for entry_id, at in alike.entries
    }
    texts = 0
    if reads_text(rule):
        texts = len(found)
        wholes = _asking(go_on, watch(store.readings.whole(sorted(found)), texts))
        found = {int(whole.entry.id): whole.at for whole in wholes if judged(rule, whole, lexicon) is not None}
    stories = store.readings.stories(found)
    fired = [Fired(entry_id=entry_id, at=at, story=stories[entry_id]) for entry_id, at in found.items()]
    return Backtest(rule_id=rule.id, fired=tuple(sorted(fired, key=lambda f: (f.at, f.entry_id))), texts=texts)


def _asking(go_on: Callable[[], None], things: Iterable[T]) -> Iterator[T]:
    for one in things:
        go_on()
        yield one


def judged(rule: Rule, whole: Whole, lexicon: Lexicon) -> Match | None:
    """The match of a rule, as if it were active, on a stored entry with its text."""
    return match_of(rule.activated(), Facts(whole.entry, whole.reading, lexicon))


def reread(store: Store, lexicon: Lexicon, *, since: datetime | None = None, watch: Watch = unwatched) -> int:
    """Read again what `lexicon` has not read, history too; gives how many readings were stored."""
    ids = store.readings.to_read(lexicon.version, since=since)
    kept, batch = 0, []
    for whole in watch(store.readings.whole(ids), len(ids)):
        reading = read(whole.entry, lexicon, jurisdiction=whole.jurisdiction)
        batch.append((whole, reading, note(whole.entry, reading, lexicon)))
        if len(batch) == BATCH:
            kept += store.readings.keep(batch, lexicon=lexicon.version)
            batch = []
    return kept + store.readings.keep(batch, lexicon=lexicon.version)


# --- what to show -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One entry that a rule fired on, for a person: what it says, where, and the sentence that made it fire."""

    entry_id: int
    at: datetime
    title: str
    link: str
    jurisdictions: tuple[str, ...]
    sentence: str


def examples(store: Store, rule: Rule, fired: Sequence[Fired], lexicon: Lexicon) -> Iterator[Example]:
    """These entries with the evidence of `rule`, in their order."""
    for whole in store.readings.whole([f.entry_id for f in fired]):
        match = judged(rule, whole, lexicon)
        told = match.developments if match is not None else whole.reading.developments
        yield Example(
            entry_id=int(whole.entry.id),
            at=whole.at,
            title=whole.entry.title,
            link=whole.entry.link,
            jurisdictions=tuple(sorted({development.jurisdiction for development in told})),
            sentence=_sentence(match, whole),
        )


def _sentence(match: Match | None, whole: Whole) -> str:
    """The sentence that tells of the first development that matched, or the one with the first evidence in it."""
    if match is None:
        return ""
    if quotes := [quote for development in match.developments for quote in development.quotes]:
        return quotes[0].text
    for span in match.evidence[:1]:
        text = getattr(whole.entry, span.field)
        return next((text[a:b] for a, b in sentences(text) if a <= span.start < b), span.text)
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A week by its Monday (UTC), with the entries and the stories of it; a story counts where it was first told."""

    monday: date
    entries: int
    stories: int


def weekly(fired: Iterable[Fired], *, first: datetime, last: datetime) -> tuple[Week, ...]:
    """Every week from `first` to `last`, the empty ones too. `fired` is in order of time."""
    entries: Counter[date] = Counter()
    opened: dict[str, date] = {}
    for one in fired:
        entries[_monday(one.at)] += 1
        opened.setdefault(one.story, _monday(one.at))
    stories = Counter(opened.values())
    weeks = (_monday(last) - _monday(first)).days // 7 + 1
    mondays = (_monday(first) + timedelta(weeks=n) for n in range(max(weeks, 1)))
    return tuple(Week(monday=monday, entries=entries[monday], stories=stories[monday]) for monday in mondays)


def _monday(when: datetime) -> date:
    return when.date() - timedelta(days=when.weekday())


# --- two sets of rules --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changes for one rule; `rule_id` is empty for all rules together: then stories are alerts."""

    rule_id: str
    gained: tuple[Fired, ...]
    lost: tuple[Fired, ...]
    before: int
    after: int


def difference(old: Mapping[str, Backtest], new: Mapping[str, Backtest]) -> tuple[Difference, ...]:
    """All rules together, then each rule of which something changes, by id. Counts are of stories."""
    rules = sorted(old.keys() | new.keys())
    whole = _between("", _together(old.values()), _together(new.values()))
    each = (_between(rule, _together(_only(old, rule)), _together(_only(new, rule))) for rule in rules)
    return (whole, *(d for d in each if d.gained or d.lost))


def _only(backtests: Mapping[str, Backtest], rule_id: str) -> tuple[Backtest, ...]:
    return (backtests[rule_id],) if rule_id in backtests else ()


def _together(backtests: Iterable[Backtest]) -> dict[str, Fired]:
    """The first entry of each story, in order of time."""
    first: dict[str, Fired] = {}
    for fired in sorted((f for b in backtests for f in b.fired), key=lambda f: (f.at, f.entry_id)):
        first.setdefault(fired.story, fired)
    return first


def _between(rule_id: str, old: Mapping[str, Fired], new: Mapping[str, Fired]) -> Difference:
    return Difference(
        rule_id=rule_id,
        gained=tuple(fired for story, fired in new.items() if story not in old),
        lost=tuple(fired for story, fired in old.items() if story not in new),
        before=len(old),
        after=len(new),
    )
