"""How the few stories that an entry may belong to are found among very many: by handles. Pure.

A story is kept under the handles of its entries (what they tell, name and are worded with); an entry looks under its
own, newest first and a few under each, and the stories met most often are compared. So the work for one entry does not
grow with the number of stories.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from service.domain.model import Placement, Story, StoryKey, Traits
from service.domain.stories import DOSSIER, WINDOW, field_of, place, step_of, steps_before
from service.domain.traits import STEM, of_kind

DEEP, SHALLOW = 24, 6
"""Stories looked at under one handle, the newest: many under an act, which may be all that two languages share; few
under a word, for a story that is meant is met under several."""

COMPARED = 12
"""Stories compared with an entry: those met under the most handles."""

MET_ENOUGH = 3
"""Stories met under less are not compared: one word in common, or one of the pairs that make up a copy."""

_WORDS = 8
_COPIES = 5
_NAMES, _FIGURES = 6, 3
_FIRST, _LAST = 3, 5


@dataclass(frozen=True, slots=True)
class Handle:
    """Where a story is kept, or looked for: `weight` is how much it says, `span` how long it is of use, `depth` how
    many of the newest stories there are looked at."""

    code: int
    weight: int
    span: timedelta
    depth: int


def handles_of(key: StoryKey) -> tuple[Handle, ...]:
    """The handles under which a story with this entry is kept."""
    found = [*_handles(key)]
    for development in key.developments:
        if (step := step_of(development)) is not None:
            found.append(_step_handle(development.jurisdiction, development.topic, step))
    return tuple({handle.code: handle for handle in found}.values())


def looks_under(key: StoryKey) -> tuple[Handle, ...]:
    """The handles under which the story of an entry may be, and that of the step before it."""
    found = [*_handles(key)]
    for development in key.developments:
        for earlier in steps_before(development):
            found.append(_step_handle(development.jurisdiction, development.topic, earlier))
    return tuple({handle.code: handle for handle in found}.values())


def _handles(key: StoryKey) -> Iterator[Handle]:
    if key.link:
        yield _handle("link", key.link, 8)
    for development in key.developments:
        yield _handle("act", f"{development.jurisdiction}/{field_of(development.topic)}", 3)
    for value in key.sketch[:_COPIES]:
        yield _handle("copy", str(value), 2)
    for number in sorted(term for term in key.traits.whole if term.startswith("n:"))[:_COPIES]:
        yield _handle("term", number, 4, DOSSIER)
    telling = (term for term in key.traits.head if term.startswith(("a:", "d:")) or len(term) <= 5)  # short names
    for term in sorted(term for term in telling if not term.startswith(("n:", "m:")))[:_COPIES]:
        yield _handle("term", term, 2)
    words = sorted(key.traits.words)[:_WORDS]
    for word in (*words, *_retelling(key.traits, words)):
        yield _handle("word", word, 1)


def _retelling(traits: Traits, words: Collection[str]) -> Iterator[str]:
    """Names and figures of the lead: what another headline is worded with, or what two leads share. Those of the
    smallest hashes, so that two texts which name much choose alike."""
    names = {name[:STEM] for name in of_kind(traits.whole, "w")} & traits.lead
    figures = (term for term in traits.lead if term[0].isdecimal())
    yield from sorted(names.difference(words), key=_code)[:_NAMES]
    yield from sorted(figures, key=_code)[:_FIGURES]


def _step_handle(jurisdiction: str, topic: str, step: int) -> Handle:
    return _handle("step", f"{jurisdiction}/{topic}/{step}", 3, DOSSIER)


def _handle(kind: str, value: str, weight: int, span: timedelta = WINDOW) -> Handle:
    depth = DEEP if kind in ("act", "link") else SHALLOW
    return Handle(_code(f"{kind}:{value}"), weight, span, depth)


def _code(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "replace"))


def most_met(met: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """The stories to compare with, from each (story, weight) that was met; the newest number among equals first."""
    weights: Counter[int] = Counter()
    for story_id, weight in met:
        weights[story_id] += weight
    enough = (story_id for story_id, weight in weights.items() if weight >= MET_ENOUGH)
    return tuple(sorted(enough, key=lambda story_id: (-weights[story_id], -story_id))[:COMPARED])


def with_member(members: tuple[StoryKey, ...], key: StoryKey) -> tuple[StoryKey, ...]:
    """The keys that stand for a story once `key` has joined: its first ones and its newest."""
    if len(members) < _FIRST + _LAST:
        return (*members, key)
    return (*members[:_FIRST], *members[_FIRST + 1 :], key)


class Shelf:
    """Stories in memory, found and decided on as in the service; entries are added in the order of their times."""

    def __init__(self) -> None:
        self._stories: dict[int, Story] = {}
        self._under: dict[int, dict[int, datetime]] = defaultdict(dict)  # the last that was added stands last
        self._made = 0

    def add(self, key: StoryKey, when: datetime) -> tuple[int, Placement]:
        """Put an entry in its story, which is made when there is none; gives its number and why."""
        placement = place(key, when, [self._stories[number] for number in self._near(key, when)])
        if placement.story_id is None:
            self._made += 1
            story = Story(id=self._made, opened_at=when, last_at=when, members=(key,))
        else:
            old = self._stories[placement.story_id]
            story = replace(
                old,
                opened_at=min(old.opened_at, when),
                last_at=max(old.last_at, when),
                members=with_member(old.members, key),
            )
        self._stories[story.id] = story
        for handle in handles_of(key):
            self._under[handle.code].pop(story.id, None)
            self._under[handle.code][story.id] = when
        return story.id, placement

    def _near(self, key: StoryKey, when: datetime) -> tuple[int, ...]:
        met: list[tuple[int, int]] = []
        for handle in looks_under(key):
            newest = islice(reversed(self._under.get(handle.code, {}).items()), handle.depth)
            met += [(number, handle.weight) for number, at in newest if at >= when - handle.span]
        return most_met(met)
