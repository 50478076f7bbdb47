"""How well entries are read: labelled items against what was read, as figures, errors and confusions.

The figures are micro-averages: an item, a jurisdiction of an item, an act of an item counts once each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from service.domain.model import Action, Development, Direction, Stage, Topic


class Label(NamedTuple):
    """A development that an item reports as news, as a person labelled it or as it was read."""

    jurisdiction: str
    topic: Topic
    action: Action
    direction: Direction
    stage: Stage


def read_as(found: Development) -> Label:
    """A development as a label: without its evidence."""
    return Label(found.jurisdiction, found.topic, found.action, found.direction, found.stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A labelled entry and what was read in it; `story` and `told` name the event, as labelled and as placed."""

    id: str
    lang: str
    title: str
    wanted: tuple[Label, ...]
    found: tuple[Label, ...]
    story: str = ""
    told: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether another act was read than the one reported, or none, or one too many."""
        return {w[:3] for w in self.wanted} != {f[:3] for f in self.found}


@dataclass(frozen=True, slots=True)
class Rate:
    """Precision, recall and their harmonic mean F1; 0 where nothing can be said."""

    hits: int
    extra: int
    missing: int

    @property
    def precision(self) -> float:
        return self.hits / (self.hits + self.extra) if self.hits else 0.0

    @property
    def recall(self) -> float:
        return self.hits / (self.hits + self.missing) if self.hits else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.hits / (2 * self.hits + self.extra + self.missing) if self.hits else 0.0


class Confusion(NamedTuple):
    """What stood for what: of `field`, `wanted` was labelled and `found` was read."""

    field: str
    wanted: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was reached on a set of items; shares are between 0 and 1.

    relevance: is anything reported at all? jurisdiction: by whom? event: jurisdiction, topic and action, strictly.
    direction, stage: the share that is right among labels whose jurisdiction was found. story: B-cubed F1 over the
    labelled items (Bagga and Baldwin 1998); an item without a story stands alone.
    """

    items: int
    relevance: Rate
    jurisdiction: Rate
    event: Rate
    direction: float
    stage: float
    story: float
    confusions: Mapping[Confusion, int] = field(default_factory=dict)

    def shares(self) -> dict[str, float]:
        """The figures as one number each."""
        rates = {"relevance": self.relevance.f1, "jurisdiction": self.jurisdiction.f1, "event": self.event.f1}
        return {**rates, "direction": self.direction, "stage": self.stage, "story": self.story}


def evaluate(items: Sequence[Item]) -> Figures:
    """The figures of these items."""
    pairs = [(label, nearest) for item in items for label in item.wanted if (nearest := _nearest(label, item.found))]
    return Figures(
        items=len(items),
        relevance=_rate(items, lambda labels: {"any"} if labels else set()),
        jurisdiction=_rate(items, lambda labels: {label.jurisdiction for label in labels}),
        event=_rate(items, lambda labels: {label[:3] for label in labels}),
        direction=_share(wanted.direction == found.direction for wanted, found in pairs),
        stage=_share(wanted.stage == found.stage for wanted, found in pairs),
        story=_story(items),
        confusions=_confusions(pairs),
    )


def by_language(items: Iterable[Item]) -> dict[str, Figures]:
    """The figures of each language, in order of its name."""
    spoken: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        spoken[item.lang].append(item)
    return {lang: evaluate(spoken[lang]) for lang in sorted(spoken)}


def _rate(items: Iterable[Item], keys: Callable[[tuple[Label, ...]], set[object]]) -> Rate:
    hits = extra = missing = 0
    for item in items:
        wanted, found = keys(item.wanted), keys(item.found)
        hits += len(wanted & found)
        extra += len(found - wanted)
        missing += len(wanted - found)
    return Rate(hits, extra, missing)


def _nearest(label: Label, found: Iterable[Label]) -> Label | None:
    """What was read of the same jurisdiction that is most like the label."""
    same = [other for other in found if other.jurisdiction == label.jurisdiction]
    return max(same, key=lambda o: 2 * (o.action == label.action) + (o.topic == label.topic), default=None)


def _share(rights: Iterable[bool]) -> float:
    told = list(rights)
    return sum(told) / len(told) if told else 0.0


def _confusions(pairs: Iterable[tuple[Label, Label]]) -> Mapping[Confusion, int]:
    counted = Counter(
        Confusion(name, str(getattr(wanted, name)), str(getattr(found, name)))
        for wanted, found in pairs
        for name in ("topic", "action", "direction", "stage")
    )
    return {confusion: count for confusion, count in counted.most_common() if confusion.wanted != confusion.found}


def _story(items: Iterable[Item]) -> float:
    rows = [(item.id, item.story, item.told or f"alone:{item.id}") for item in items if item.wanted and item.story]
    labelled: dict[str, set[str]] = defaultdict(set)
    placed: dict[str, set[str]] = defaultdict(set)
    for id_, story, told in rows:
        labelled[story].add(id_)
        placed[told].add(id_)
    if not rows:
        return 0.0
    shared = [(len(labelled[story] & placed[told]), story, told) for _, story, told in rows]
    precision = sum(both / len(placed[told]) for both, _, told in shared) / len(rows)
    recall = sum(both / len(labelled[story]) for both, story, _ in shared) / len(rows)
    return 2 * precision * recall / (precision + recall)
