"""What a watch may name: jurisdictions of the lexicon and rules of the rulebook; and what a timing must agree on. Needs
no web framework."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from service.config import Rulebook
from service.domain.document import Node
from service.domain.model import Concept, ConceptKind, Notices, Problem, Schedule, Timing, Watch
from service.domain.own import SEVERITY, UNNUMBERED, read_own
from service.domain.text import LANGUAGES

MAX_HINTS = 5
_PATTERN = frozenset("*?[")


def watch_problems(watch: Watch, rulebook: Rulebook, *, where: str = "watch") -> tuple[Problem, ...]:
    """Jurisdictions, groups and languages that do not exist, and rule ids that are neither a rule nor a pattern."""
    problems: list[Problem] = []
    for place, part in ((where, watch), (f"{where}.exclude", watch.exclude)):
        codes = {f"{place}.jurisdictions.{n}": code for n, code in enumerate(part.jurisdictions)}
        problems += jurisdiction_problems(codes, rulebook)
        problems += _group_problems(part.groups, rulebook, where=f"{place}.groups")
        problems += _rule_problems(part.rules, rulebook, where=f"{place}.rules")
    problems += _pack_problems(watch.packs, rulebook, where=f"{where}.packs")
    hint = f"one of {', '.join(LANGUAGES)}"
    problems += [
        Problem(where=f"{where}.languages.{n}", what=f"unknown language {lang!r}", hint=hint)
        for n, lang in enumerate(watch.languages)
        if lang not in LANGUAGES
    ]
    return tuple(problems)


def match_problems(
    expressions: Sequence[Node], watch: Watch, notices: Notices, rulebook: Rulebook, *, where: str = ""
) -> Iterator[Problem]:
    """What is wrong with expressions of a subscription's own, as of the match of a rule, and what would keep all of
    them from being told; `where` is the subscription's place."""
    yield from read_own(UNNUMBERED, expressions, rulebook.lexicon, rulebook.groups)[1]
    below = f"{where}." if where else ""
    if expressions and watch.min_severity.rank > SEVERITY.rank:
        what = f"what a subscription matches by itself is {SEVERITY}: none of it would be told"
        hint = f"{SEVERITY} or a quieter one; or make two subscriptions of it"
        yield Problem(where=f"{below}watch.min_severity", what=what, hint=hint)
    if expressions and notices is Notices.ONLY:
        hint = "leave out match, or let notices be gaps, all or off"
        yield Problem(where=f"{below}notices", what="with notices: only no alert is told", hint=hint)


def _group_problems(names: Sequence[str], rulebook: Rulebook, *, where: str) -> Iterator[Problem]:
    known = [group.id for group in rulebook.groups.all]
    for number, name in enumerate(names):
        if rulebook.groups.get(name) is None:
            hint = f"there are {', '.join(known)}; your own go into rules.groups of the configuration"
            yield Problem(where=f"{where}.{number}", what=f"there is no group {name!r}", hint=hint)


def _pack_problems(names: Sequence[str], rulebook: Rulebook, *, where: str) -> Iterator[Problem]:
    known = sorted(set(rulebook.packs.values()))
    for number, name in enumerate(names):
        if name not in known:
            hint = f"switched on are {', '.join(known) or 'none'}: see rules.packs of the configuration"
            yield Problem(where=f"{where}.{number}", what=f"there is no pack {name!r}", hint=hint)


def jurisdiction_problems(codes: Mapping[str, str], rulebook: Rulebook) -> tuple[Problem, ...]:
    """A problem for each code that names no jurisdiction; `codes` maps the place of each to what is written there."""
    return tuple(
        Problem(where=where, what=f"unknown jurisdiction {code!r}", hint=_code_for(code, rulebook))
        for where, code in codes.items()
        if Concept(ConceptKind.JURISDICTION, code) not in rulebook.lexicon.names
    )


def _code_for(name: str, rulebook: Rulebook) -> str:
    for found in rulebook.lexicon.lookup(name):
        if found.kind is ConceptKind.JURISDICTION:
            return f"did you mean {found.name}?"
    return "an ISO 3166-1 code such as KZ, or EU, INTL"


def _rule_problems(wanted: Sequence[str], rulebook: Rulebook, *, where: str) -> tuple[Problem, ...]:
    known = {rule.id for rule in rulebook.ruleset.rules}
    problems: list[Problem] = []
    for number, rule in enumerate(wanted):
        if rule in known or _PATTERN.intersection(rule):
            continue
        # The search for a near one takes long where there are many rules, so a long list of wrong ids gets few hints.
        close = difflib.get_close_matches(rule, known, n=1) if len(problems) < MAX_HINTS else []
        hint = f"did you mean {close[0]!r}?" if close else "GET /v1/rules lists them; cn-* is a pattern"
        problems.append(Problem(where=f"{where}.{number}", what=f"there is no rule {rule!r}", hint=hint))
    return tuple(problems)


def timing_problems(timing: Timing, own: Sequence[Schedule | None], *, where: str) -> Iterator[Problem]:
    """A problem where somebody would wait for what never comes; `own` are the schedules of the channels."""
    schedules = [schedule or timing.schedule for schedule in own]
    if timing.schedule is Schedule.ESCALATION:
        hint = "give the schedule escalation to a channel, and another one to the subscription"
        yield Problem(where=where, what="a subscription cannot hear of escalations only", hint=hint)
    elif (Schedule.ESCALATION in schedules) != (timing.escalate_after is not None):
        hint = "set escalate_after and the schedule escalation for a channel, or neither"
        what = "alerts are escalated to nobody" if timing.escalate_after else "nothing is ever escalated"
        yield Problem(where=where, what=what, hint=hint)
