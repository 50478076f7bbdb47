"""A development and a story in words: `China: ban on stablecoins, proposed (tightening)`. Pure; no markup, no limits.

The sentences stand in `service.delivery.languages`; this is how they are put together, the same in every language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC
from functools import cache
from itertools import chain

from babel import Locale

from service.delivery.languages import WORDS, Words
from service.delivery.text import harmless, phrase
from service.domain.model import Alert, Development, Language, Update, UpdateReason

TITLE_LIMIT = 200
"""Characters of a headline: what a mail's subject may have, and less than every other service's title."""

_KINDS = (UpdateReason.CORRECTION, UpdateReason.RETRACTION, UpdateReason.CONFIRMED)
"""What an update is called by if it is of such a kind; "Update" otherwise. The first that applies is said."""
_STEP = re.compile(r"\b(stage|direction|severity|action|number|figure|date|name|body) ([^→]+?) → ([^→,]+)")


def words_of(language: Language) -> Words:
    """The table of a language."""
    return WORDS[language]


def headline(alert: Alert, words: Words) -> str:
    """Who does what about what, how far along, which way; the article's title where no development was read."""
    if not alert.developments:
        said = harmless(alert.title).strip() or words.no_title
    else:
        first, *others = acts(alert.developments, words)
        said = words.and_more.format(headline=first, count=len(others)) if others else first
    return phrase(words.loud.format(severity=words.severities[alert.severity], headline=said), TITLE_LIMIT)


def update_headline(alert: Alert, words: Words) -> str:
    """The alert's headline behind what has become of it."""
    reasons = {update.reason for update in alert.updates}
    kind = next((words.updates[reason] for reason in _KINDS if reason in reasons), words.update)
    return phrase(words.updated.format(kind=kind, headline=headline(alert, words)), TITLE_LIMIT)


def escalated_headline(alert: Alert, words: Words) -> str:
    """The alert's headline behind why it is told to somebody else."""
    return phrase(words.escalated.format(headline=headline(alert, words)), TITLE_LIMIT)


def drill_headline(alert: Alert, words: Words) -> str:
    """A headline that nobody takes for news."""
    return phrase(words.drill.format(headline=headline(alert, words)), TITLE_LIMIT)


def changes(updates: Iterable[Update], words: Words) -> list[str]:
    """What an update has to say, a line for each change."""
    return [
        words.changed.format(kind=words.updates[update.reason], detail=phrase(in_words(update.detail, words), 300))
        for update in updates
    ]


def reported_by(alert: Alert, words: Words) -> str:
    """How widely a story is told: `Reported by 14 sources in 5 languages`; nothing for a single report."""
    sources = len({source.source or source.link for source in alert.sources})
    languages = len({source.lang for source in alert.sources if source.lang})
    if sources < 2:
        return ""
    told = words.reported_in if languages > 1 else words.reported_by
    return told.format(sources=sources, languages=languages)


def follows(alert: Alert, words: Words) -> str:
    """Which step of the measure came before, and what changed: `Follows "…" (alert 3, 2026-03-02): stage …`."""
    before = alert.predecessor
    if before is None:
        return ""
    day = f"{before.at.astimezone(UTC):%Y-%m-%d}"
    which = words.which_alert.format(alert=before.alert_id, date=day) if before.alert_id else day
    template = words.follows_with if before.changed else words.follows
    title = phrase(before.title, 140) or words.no_title
    return template.format(title=title, which=which, changed=phrase(in_words(before.changed, words), 200))


def left_open(alert: Alert, words: Words) -> str:
    """What the rules asked for and the text does not say outright, as a sentence."""
    names = {"action": words.open_action, "direction": words.open_direction, "stage": words.open_stage}
    what = words.open_and.join(names.get(name, name) for name in alert.unclear)
    return words.unclear.format(what=what) if what else ""


def describe(development: Development, words: Words) -> str:
    """One development in words: `China: ban on stablecoins, proposed (tightening)`."""
    template = words.act_at_stage if words.stages[development.stage] else words.act
    return template.format(
        place=place(development.jurisdiction, words),
        act=words.actions[development.action].format(words.topics[development.topic]),
        stage=words.stages[development.stage],
        direction=words.directions[development.direction],
    )


def acts(developments: Iterable[Development], words: Words) -> list[str]:
    """The developments in words, each once, in order."""
    return list(dict.fromkeys(describe(d, words) for d in developments))


def place(jurisdiction: str, words: Words) -> str:
    """A jurisdiction's name; an unknown code stands for itself."""
    return words.places.get(jurisdiction) or _territories(words.locale).get(jurisdiction) or phrase(jurisdiction, 40)


@cache
def _territories(locale: str) -> dict[str, str]:
    return dict(Locale.parse(locale).territories)


def in_words(said: str, words: Words) -> str:
    """A change as the story's logic states it (English, with the words of the closed sets) in another language.

    Names, numbers and titles in it stay as they are, and so does a sentence that is in no table.
    """
    return "; ".join(_in_words(part, words) for part in said.split("; "))


def _in_words(said: str, words: Words) -> str:
    opening, colon, rest = said.partition(": ")
    if colon and opening in words.phrases:
        return f"{words.phrases[opening]}: {_word(rest, words)}"
    if said.startswith("also in "):
        return f"{words.phrases['also in']} {place(said.removeprefix('also in '), words)}"

    def step(found: re.Match[str]) -> str:
        return f"{words.phrases[found[1]]} {_word(found[2], words)} → {_word(found[3], words)}"

    return _STEP.sub(step, said)


def _word(value: str, words: Words) -> str:
    """The name of a stage, direction or severity; anything else as it is."""
    known = chain(words.stages.items(), words.directions.items(), words.severities.items())
    return next((text for name, text in known if name == value and text), value)
