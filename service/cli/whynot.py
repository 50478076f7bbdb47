"""`policywatch why-not`: what was read in a text, which rules fire, how near the others came, what became of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from service.cli.common import ConfigOption, JsonOption, opened, out, plain, print_problems, printable
from service.cli.entries import shown_development, shown_miss
from service.cli.show import RulesOption, find
from service.cli.subject import Subject, subject_of
from service.config import ReadRules, load, read_rulebook, read_rules
from service.domain.developments import read
from service.domain.judge import Facts
from service.domain.model import (
    Entry,
    Evidence,
    Match,
    NearMiss,
    PageFate,
    Reading,
    RouteReason,
    ServiceError,
)
from service.domain.own import is_own, read_own, written
from service.domain.rule import Rule, Status
from service.domain.text import sentences
from service.domain.whynot import Became, Decision, Fate, became, judged

NEAREST = 10
PASSAGES = 3
DETAIL = 200
"""Rules and, for each, sentences and letters of its reason that a person is shown; JSON has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    subject: Subject
    reading: Reading
    fired: tuple[Match, ...]
    missed: tuple[NearMiss, ...]

    @property
    def became(self) -> Became | None:
        subject = self.subject
        return became(subject.fate, fires_now=bool(self.fired)) if subject.looked_up else None


def why_not(
    what: Annotated[
        str | None, typer.Argument(metavar="[WHAT]", help="An entry id, an address, or a text; standard input if none.")
    ] = None,
    rule: Annotated[
        str | None, typer.Option("--rule", help="Only this rule: its id, or a shorthand in quotes.")
    ] = None,
    rules: RulesOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every rule, not only the nearest ten.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why something was not heard of: what was read in it, which rules fire, how near the others came."""
    settings = load(config)
    book = read_rulebook(read_rules(*rules) if rules else settings.rules)
    print_problems(book.problems)
    chosen: tuple[Rule, ...] = tuple(r for r in book.rules if r.status is not Status.RETIRED)
    subject = subject_of(what if what is not None else sys.stdin.read(), settings, config)
    if rule is not None:
        chosen = (_own(rule, book, config) if is_own(rule) else find(rule, book),)
    elif subject.looked_up and not rules:
        chosen = (*chosen, *_all_own(book, config).values())
    reading = read(subject.entry, book.lexicon, jurisdiction=subject.jurisdiction)
    fired, missed = judged(chosen, Facts(subject.entry, reading, book.lexicon))
    answer = _Answer(subject=subject, reading=reading, fired=fired, missed=missed)
    if as_json:
        print(json.dumps(_plain(answer), ensure_ascii=False))
        return
    _print(answer, shown=len(missed) if everything else NEAREST)


def _all_own(book: ReadRules, config: Path | None) -> Mapping[str, Rule]:
    """What subscriptions of all teams match by themselves, by id."""
    with opened(config) as (_, store):
        wanted = store.subscriptions.own_of(None)
    found = (read_own(number, written(texts), book.lexicon, book.groups)[0] for number, texts in wanted.items())
    return {rule.id: rule for rules in found for rule in rules}


def _own(rule_id: str, book: ReadRules, config: Path | None) -> Rule:
    rule = _all_own(book, config).get(rule_id)
    if rule is None:
        raise ServiceError(f"no subscription has a rule {rule_id!r} now: it may have been changed")
    return rule


def _plain(answer: _Answer) -> dict[str, Any]:
    entry = plain(answer.subject.entry)
    return {
        "entry": {name: entry[name] for name in ("id", "title", "link", "published")} | {"lang": answer.reading.lang},
        "became": answer.became,
        "fate": plain(answer.subject.fate) if answer.subject.fate else None,
        "developments": [shown_development(development) for development in answer.reading.developments],
        "fired": [plain(match) for match in answer.fired],
        "missed": [shown_miss(miss) | {"missing": miss.missing} for miss in answer.missed],
    }


# --- for a person -------------------------------------------------------------------------------------------------

_BECAME = {
    Became.NOT_RECEIVED: "No feed brought it: no entry leads to this address. See policywatch feeds list.",
    Became.HISTORY: "It was older than feeds.look_back when its feed was added: kept, but no news.",
    Became.WAITING: "It waits to be processed.",
    Became.FAILING: "It could not be processed yet, and is tried again.",
    Became.NO_RULE: "It was read, and no rule fired.",
    Became.RULES_CHANGED: "No rule fired when it was read; those of today would.",
    Became.HELD_BACK: "A rule fired, and nobody was sent anything.",
    Became.ON_ITS_WAY: "Its alert is being sent.",
    Became.DEAD: "Its alert could not be delivered. Mend the cause, then policywatch deliveries retry ID.",
    Became.TOLD: "Its story was told.",
}
_PAGES = {
    PageFate.SHORTER: "Its page says no more than the feed",
    PageFate.ROBOTS: "Its page may not be read (robots.txt)",
    PageFate.UNFETCHED: "Its page could not be had",
    PageFate.NO_TEXT: "Its page has no text",
    PageFate.ENCRYPTED: "Its document asks for a password",
    PageFate.BROKEN: "Its page could not be read",
}
_DECIDED = {
    RouteReason.DELIVERED: "sent",
    RouteReason.QUIET_HOURS: "held in the outbox until the quiet hours end",
    RouteReason.IN_DIGEST: "sent in a digest",
    RouteReason.FOR_DIGEST: "waits for the next digest",
    RouteReason.OVER_BUDGET: "over the day's budget: waits for the next digest",
    RouteReason.ALREADY_TOLD: "the same story is told on its channels anyway",
    RouteReason.SILENCED: "the team has silenced it for a while",
    RouteReason.RUMOUR_MUTED: "it is a rumour, and an official text has told of the same act",
    RouteReason.NOT_WATCHED: "the subscription does not watch this",
    RouteReason.BELOW_SEVERITY: "below the severity that the subscription asks for",
    RouteReason.UNCONFIRMED: "waits for the confirmation that the rule asks for",
    RouteReason.THROTTLED: "the rule's throttle held it back",
    RouteReason.INACTIVE: "the subscription is switched off",
    RouteReason.NO_CHANNEL: "the subscription has no channel",
    RouteReason.NO_SUBSCRIPTION: "nobody subscribes to anything",
}


def _print(answer: _Answer, *, shown: int) -> None:
    entry = answer.subject.entry
    out.print(Text(printable(entry.title), style="bold"))
    if (said := answer.became) is not None:
        out.print(Text(_BECAME[said]))
        _print_fate(answer.subject.fate)
    out.print("\nRead as:", style="bold")
    for told in answer.reading.developments:
        act = (told.jurisdiction, told.topic, told.action, told.direction, told.stage)
        out.print(Text(f"  {' '.join(act)}"))
        _print_passages(entry, (*told.quotes, *told.evidence))
    if not answer.reading.developments:
        out.print("  nothing that a government did")
    if answer.fired:
        out.print(f"\nRules that fire: {len(answer.fired)}", style="bold")
        for match in answer.fired:
            out.print(Text(f"  {match.rule_id}"))
    if answer.missed:
        out.print(f"\nRules that do not, the nearest of {len(answer.missed)} first:", style="bold")
    for miss in answer.missed[:shown]:
        out.print(Text(f"  {miss.rule_id}  {miss.step}: {shorten(printable(miss.detail), DETAIL)}"))
        _print_passages(entry, miss.near)


def _print_fate(fate: Fate | None) -> None:
    if fate is None:
        return
    judged_by = f", read {fate.judged_at:%Y-%m-%d %H:%M} by rules {fate.judged_by}" if fate.judged_at else ""
    story = f", story {fate.story_id}" if fate.story_id else ""
    alert = f", alert {fate.alert_id}" if fate.alert_id else ""
    out.print(Text(f"  entry {fate.entry_id}, received {fate.received_at:%Y-%m-%d %H:%M}{judged_by}{story}{alert}"))
    if fate.problem:
        out.print(Text(f"  {printable(fate.problem)}", style="yellow"))
    if fate.page is not None and fate.page.fate is not PageFate.READ:
        detail = f" ({printable(fate.page.detail)})" if fate.page.detail else ""
        out.print(Text(f"  {_PAGES[fate.page.fate]}, so the feed's own words were read{detail}"))
    for decision in fate.decisions:
        out.print(Text(f"  {decision.rule_id}{_for(decision)}: {_DECIDED[decision.reason]}"))
    for sent in fate.deliveries:
        detail = f", {printable(sent.detail)}" if sent.detail else ""
        said = f"{sent.state} after {sent.attempts} attempts{detail}"
        out.print(Text(f"  delivery {sent.id} of {sent.subscription} to {sent.channel}: {said}"))


def _for(decision: Decision) -> str:
    return f" for {decision.team}/{decision.subscription}" if decision.subscription else ""


def _print_passages(entry: Entry, near: Sequence[Evidence]) -> None:
    for number, (text, spans) in enumerate(passages(entry, near)):
        if number == PASSAGES:
            break
        out.print(Padding(marked(text, spans, coloured=out.is_terminal), (0, 0, 0, 6), expand=False))


def passages(entry: Entry, near: Iterable[Evidence]) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """The sentences in which something came near, in reading order, with the places in them that did."""
    for field in ("title", "summary", "content"):
        here = [(span.start, span.end) for span in near if span.field == field]
        text = getattr(entry, field)
        for start, end in sentences(text) if here else ():
            inside = [(max(a, start) - start, min(b, end) - start) for a, b in here if a < end and start < b]
            if inside:
                yield text[start:end], _words_of(inside)


def _words_of(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The innermost places, for a sentence says nothing beside the words in it; those that meet are one."""
    found: list[tuple[int, int]] = []
    every = sorted(set(spans))
    for a, b in every:
        if any((a, b) != (c, d) and a <= c and d <= b for c, d in every):
            continue
        if found and a <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], b))
        else:
            found.append((a, b))
    return found


def marked(text: str, spans: Iterable[tuple[int, int]], *, coloured: bool) -> Text:
    """The text with these places underlined, or between asterisks where there is no terminal."""
    shown, at = Text(), 0
    for start, end in spans:
        words = printable(text[start:end])
        shown.append(printable(text[at:start]), style="dim")
        shown.append(words if coloured else f"**{words}**", style="bold underline")
        at = end
    return shown.append(printable(text[at:]), style="dim")
