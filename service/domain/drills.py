"""What a drill is made of: an entry that nobody takes for news, the rule that it is for, and when one is due. Pure.

It goes through the whole line, but nothing of it is kept where stories, matches and alerts are: nothing real can join
it, and no count can hold it. What stays is the drill with its receipts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from functools import lru_cache

from service.domain.concepts import Lexicon
from service.domain.document import Node
from service.domain.model import Alert, Entry, Invalid, Match, Schedule, Source, Timing
from service.domain.rulefile import parse_rules
from service.domain.rules import Ruleset
from service.domain.timing import next_due

SCHEME = "drill:"
"""How the address of a drill's feed begins: no feed that is polled can have such a one."""

RULE = "policywatch-drill"
_MATCH = "Antarctica + stablecoin + ban"  # a place with a code and without a government


def entry_title(drill_id: int) -> str:
    """A headline that the reader has to understand and a person does not believe."""
    return f"Drill {drill_id}: Antarctica bans stablecoin payments"


def entry_text(drill_id: int) -> str:
    return (
        f"This is drill {drill_id} of policywatch; none of it has happened. The government of Antarctica banned "
        "stablecoin payments. The ban took effect today."
    )


@lru_cache(maxsize=2)
def ruleset(lexicon: Lexicon) -> Ruleset:
    """The one rule that judges drills, read and compiled as any other."""
    fields = {"id": RULE, "match": _MATCH}
    rule = Node(value={name: Node(value=text, where=SCHEME) for name, text in fields.items()}, where=SCHEME)
    document = Node(value={"rules": Node(value=(rule,), where=SCHEME)}, where=SCHEME)
    rules, problems = parse_rules(document, lexicon)
    if problems:
        raise Invalid(problems)
    return Ruleset.compile(rules, lexicon)


def alert_of(entry: Entry, matches: Sequence[Match], now: datetime) -> Alert:
    """What the receivers of a drill are told; it has no number, as it is no alert."""
    first = matches[0]
    source = Source(
        entry_id=0, title=entry.title, source=entry.source, link="", lang=entry.lang, published=entry.published
    )
    return Alert(
        id=0,
        story_id=0,
        raised_at=now,
        title=entry.title,
        severity=first.severity,
        rules=tuple(match.rule_id for match in matches),
        developments=first.developments,
        evidence=first.evidence,
        sources=(source,),
    )


def slot(timing: Timing, schedule: Schedule, last: datetime, now: datetime, zone: tzinfo) -> datetime | None:
    """The time of the schedule for which a drill is due now, `last` being the last one's; None if none is.

    Of several that were missed, the first stands for all.
    """
    due = next_due(replace(timing, schedule=schedule), last, zone)
    return due if due <= now else None
