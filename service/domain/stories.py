"""Whether two entries report the same event. Pure; the caller holds the lock and the nearby stories.

Two entries stand in one story when they are the same page, nearly the same text, or report the same act (jurisdiction,
topic, action) at the same stage close in time, and nothing that they name tells them apart. A later stage of the same
measure, the opposite direction, or another jurisdiction doing likewise is a new story; it comes after the story of the
earlier stage, and so the stories of one measure form a dossier.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from service.domain.model import (
    Action,
    Development,
    Direction,
    Placement,
    PlacementReason,
    Stage,
    Story,
    StoryKey,
    Topic,
    Traits,
)
from service.domain.text import likeness
from service.domain.traits import near, of_kind

WINDOW = timedelta(days=7)
"""How far apart in time two reports of one event may be; also how far back the caller looks for stories to join."""

DOSSIER = timedelta(days=400)
"""How far apart two steps of one measure may be: a law is proposed in one year and in force in the next."""

SAME_TEXT = 0.6
"""Likeness of sketches from which two texts count as copies of one another."""

SAME_NEWS = timedelta(hours=36)
"""Reports this close in time on one topic in one jurisdiction are one event even if outlets tell it differently."""

SAME_FACTS = 0.5
"""How far names, figures, dates and wording must agree where no act tells that two texts report one event."""

NEARLY_ALL = 0.95
"""The part of a headline's words that copies share even if they were read differently: forms differ in less."""

RETOLD, TRANSLATED = 0.25, 0.15
"""The same for headline and lead together, in one language and across two: two outlets tell one event in their own
words and share a quarter of what they say of it, while two events of one kind share half as much."""

RELATED = 0.3
"""The same, where the acts are at least akin: one outlet tells the law, another what is in it."""

_FEW = 3  # words in common: what has fewer was not told of one event

_CONTENT = (Action.LICENSING, Action.APPROVAL, Action.EASING, Action.RESTRICTION, Action.BAN, Action.TAX_CHANGE)
_ALIKE = (
    *(frozenset({Action.LEGISLATION, content}) for content in _CONTENT),  # one tells the law, another what is in it
    frozenset({Action.LICENSING, Action.APPROVAL}),  # licences handed out
    frozenset({Action.APPROVAL, Action.EASING}),
    frozenset({Action.BAN, Action.RESTRICTION}),
    frozenset({Action.ENFORCEMENT, Action.BAN}),  # a regulator stops a service
    frozenset({Action.ENFORCEMENT, Action.SANCTION}),
)
_ON_SOMEBODY = frozenset(
    {Action.ENFORCEMENT, Action.SANCTION, Action.COURT_RULING, Action.WARNING, Action.APPROVAL, Action.LICENSING}
)
"""Acts that name a party, and of which a body does many in a week: the party tells them apart."""

_MEASURES = frozenset({*_CONTENT, Action.LEGISLATION, Action.CONSULTATION, Action.GUIDANCE, Action.DELAY})
"""Acts that go through stages, so that one of them can be a step of another's dossier."""

_CRYPTO = frozenset(
    {
        Topic.STABLECOIN,
        Topic.EXCHANGE,
        Topic.TOKEN_OFFERING,
        Topic.CUSTODY,
        Topic.DEFI,
        Topic.AML,
        Topic.PAYMENTS,
        Topic.MINING,
        Topic.TOKENIZATION,
    }
)
"""What one outlet tells as this, another tells as crypto assets in general."""

_OPPOSITE = frozenset({Direction.TIGHTENING, Direction.EASING})
_DECIDED = frozenset({Stage.PROPOSED, Stage.IN_FORCE})  # "will set up" and "sets up"

_ORDER = {
    Stage.RUMOURED: 0,
    Stage.CONSIDERING: 0,
    Stage.PROPOSED: 1,
    Stage.CONSULTATION: 1,
    Stage.PASSED: 2,
    Stage.ENACTED: 3,
    Stage.IN_FORCE: 3,
    Stage.ENFORCED: 4,
    Stage.REAFFIRMED: 5,
    Stage.WITHDRAWN: 6,
    Stage.NOT_APPLICABLE: 7,
}
"""Stages that outlets confuse in reports of one and the same day share a step; a new step is a new event."""

_LAST_STEP = _ORDER[Stage.ENFORCED]


class _Verdict(NamedTuple):
    """What one comparison says: the stronger of those that join wins; else the strongest that tells apart."""

    joins: bool
    strength: float
    reason: PlacementReason


def told_at(published: datetime | None, received: datetime, now: datetime) -> datetime:
    """When an entry counts as told: as it says, if that is neither in the future nor long before it was received.

    Feeds date what is new by the page that it replaces, by 1970, or by next year; when it came in is known.
    """
    if published is None or published > now or published < received - WINDOW:
        return min(received, now)
    return published


def place(key: StoryKey, published: datetime, nearby: Iterable[Story]) -> Placement:
    """The story that `key` belongs to, newest first among equals; a new one when there is none.

    A new story has the reason why it is none of those that look alike, and the story of the measure's step before.
    """
    near: tuple[tuple[bool, float, datetime], Story, PlacementReason] | None = None
    before: tuple[tuple[float, datetime], Story, PlacementReason] | None = None
    for story in nearby:
        apart = _distance(published, story)
        for member in story.members:
            verdict = _compare(key, member, apart) if apart <= WINDOW else None
            if verdict and (near is None or (*verdict[:2], story.last_at) > near[0]):
                near = (*verdict[:2], story.last_at), story, verdict.reason
            bond = _follows(key, member) if apart <= DOSSIER and story.opened_at <= published else None
            if bond and (before is None or (bond[0], story.last_at) > before[0]):
                before = (bond[0], story.last_at), story, bond[1]
    if near is not None and near[0][0]:
        return Placement(story_id=near[1].id, reason=near[2])
    if before is not None:
        return Placement(story_id=None, reason=before[2], predecessor=before[1].id, rival=before[1].id)
    if near is not None:
        return Placement(story_id=None, reason=near[2], rival=near[1].id)
    return Placement(story_id=None, reason=PlacementReason.FIRST_REPORT)


# --- the same event? ----------------------------------------------------------------------------------------------


def _compare(new: StoryKey, old: StoryKey, apart: timedelta) -> _Verdict | None:
    """What the two keys say of one another; None when they have nothing to do with each other."""
    if new.link and new.link == old.link:
        return _Verdict(True, 4.0, PlacementReason.SAME_LINK)
    alike = likeness(new.sketch, old.sketch)
    if not new.developments or not old.developments:
        return _without_act(new, old, alike, apart)
    shared = [(a, b) for a in new.developments for b in old.developments if _same_act(a, b, apart)]
    if shared:
        party = all(a.action in _ON_SOMEBODY for a, _ in shared)
        against = differs(new.traits, old.traits, party=party)
        if against:
            return _Verdict(False, 2 + alike, against)
        if party and apart > SAME_NEWS and not _is_supported(new.traits, old.traits, alike):
            return None
        copied = alike >= SAME_TEXT
        return _Verdict(True, 2 + alike, PlacementReason.SAME_TEXT if copied else PlacementReason.SAME_ACT)
    return _akin(new, old, alike, apart)


def _without_act(new: StoryKey, old: StoryKey, alike: float, apart: timedelta) -> _Verdict | None:
    agreed = agreement(new.traits, old.traits)
    asked = SAME_FACTS if apart <= SAME_NEWS * 2 else 0.7
    if new.traits.denies and new.traits.places & old.traits.places:
        asked = RELATED  # it names what it denies, and says something else of it
    told = retold(new.traits, old.traits) if apart <= SAME_NEWS * 2 else 0.0
    if alike < SAME_TEXT and agreed < asked and told < _asked_of_leads(new.traits, old.traits):
        return None
    elsewhere = _are_apart(new.traits.places, old.traits.places)
    against = PlacementReason.OTHER_PLACE if elsewhere else differs(new.traits, old.traits, party=True)
    if against:
        return _Verdict(False, 1 + alike, against)
    copied = alike >= SAME_TEXT
    return _Verdict(
        True, 1 + max(alike, agreed, told), PlacementReason.SAME_TEXT if copied else PlacementReason.SAME_FACTS
    )


def _asked_of_leads(a: Traits, b: Traits) -> float:
    return RETOLD if a.lang == b.lang else TRANSLATED


def _akin(new: StoryKey, old: StoryKey, alike: float, apart: timedelta) -> _Verdict | None:
    """Two reports of acts that are not the same: one event told in two ways, another step, or look-alikes.

    In one language wording alone is not enough: a regulator's headlines on custody and on crypto assets are alike.
    Across languages it cannot agree; there the same act under a wider topic is enough.
    """
    pairs = [(a, b) for a in new.developments for b in old.developments if a.jurisdiction == b.jurisdiction]
    agreed = max(alike, agreement(new.traits, old.traits))
    if not pairs:
        return _Verdict(False, agreed, PlacementReason.OTHER_PLACE) if agreed >= SAME_FACTS else None
    told_twice = [(a, b) for a, b in pairs if _is_kin(a, b)]
    translated = new.traits.lang != old.traits.lang and any(a.action == b.action for a, b in told_twice)
    supported = agreed >= RELATED and _name_the_same(new.traits, old.traits)
    if told_twice and apart <= SAME_NEWS and (supported or translated):
        against = differs(new.traits, old.traits, party=all(a.action in _ON_SOMEBODY for a, _ in told_twice))
        if against:
            return _Verdict(False, 1 + agreed, against)
        return _Verdict(True, 1 + agreed, PlacementReason.RELATED_ACT)
    copied = alike >= SAME_TEXT and _share(new.traits.words, old.traits.words) > NEARLY_ALL
    if copied and any(_is_same_step(a, b) for a, b in pairs):
        against = differs(new.traits, old.traits, party=True)
        return _Verdict(against is None, 1 + alike, against or PlacementReason.SAME_TEXT)
    return None


def _same_act(a: Development, b: Development, apart: timedelta) -> bool:
    if (a.jurisdiction, a.topic) != (b.jurisdiction, b.topic):
        return False
    if apart <= SAME_NEWS:
        return _is_alike(a.action, b.action) and _is_same_step(a, b)
    return a.action == b.action and _ORDER[a.stage] == _ORDER[b.stage] and {a.direction, b.direction} != _OPPOSITE


def _is_kin(a: Development, b: Development) -> bool:
    """Whether one act may be told as `a` and as `b`: an act of another name, or a wider topic, at the same step."""
    wider = Topic.CRYPTO_GENERAL in (a.topic, b.topic) and field_of(a.topic) is field_of(b.topic)
    return (a.topic == b.topic or wider) and _is_alike(a.action, b.action) and _is_same_step(a, b)


def _is_alike(a: Action, b: Action) -> bool:
    return a == b or {a, b} in _ALIKE


def _is_same_step(a: Development, b: Development) -> bool:
    """Outlets of one day tell one step as another, and a rumour of the morning comes true in the afternoon."""
    near_steps = {_ORDER[a.stage], _ORDER[b.stage]} == {_ORDER[Stage.ENACTED], _LAST_STEP}  # done, and done to somebody
    told_of = Stage.RUMOURED in (a.stage, b.stage) and max(_ORDER[a.stage], _ORDER[b.stage]) <= _LAST_STEP
    return _ORDER[a.stage] == _ORDER[b.stage] or {a.stage, b.stage} == _DECIDED or near_steps or told_of


# --- for and against ----------------------------------------------------------------------------------------------


def differs(a: Traits, b: Traits, *, party: bool) -> PlacementReason | None:
    """What the headlines name that rules one event out; with `party`, other names do so too."""
    if _is_strange("n", a, b) or _is_strange("n", b, a):
        return PlacementReason.OTHER_LAW
    if _are_apart(of_kind(a.head, "d"), of_kind(b.head, "d")) or _are_apart(of_kind(a.head, "m"), of_kind(b.head, "m")):
        return PlacementReason.OTHER_DATE
    if a.lang != b.lang:
        return None  # names are written otherwise there, and amounts are told in other money
    if _other_amount(a, b) and _other_amount(b, a):
        return PlacementReason.OTHER_FIGURE
    shared = of_kind(a.head, "w") & of_kind(b.whole, "w") or of_kind(b.head, "w") & of_kind(a.whole, "w")
    if party and not shared and any(_is_strange(kind, a, b) and _is_strange(kind, b, a) for kind in "wb"):
        return PlacementReason.OTHER_NAME
    return None


def agreement(a: Traits, b: Traits) -> float:
    """How far two texts agree in wording and in what they name: 0 not at all, 1 wholly."""
    wording = _share(a.words, b.words) if a.lang == b.lang else 0.0
    whole_a, whole_b = a.whole, b.whole
    if a.lang != b.lang:
        whole_a, whole_b = _spoken_everywhere(a.whole), _spoken_everywhere(b.whole)
    facts = _share(whole_a, whole_b) if len(whole_a & whole_b) > 1 else 0.0
    if a.lang != b.lang:
        return 0.6 * facts
    return max(wording, 0.6 * (wording + facts))


def retold(a: Traits, b: Traits) -> float:
    """How far headline and lead tell the same, in figures, names and words: 0 not at all, 1 wholly.

    Days and months count for nothing, since all that is told on one day shares them; and texts that name things, but
    none in common, share phrases and not an event.
    """
    if len(a.lead & b.lead) < _FEW:
        return 0.0  # nearly all that is compared ends here
    named_a, named_b = _named(a), _named(b)
    if _are_apart(named_a, named_b):
        return 0.0
    told_a, told_b = a.lead | named_a, b.lead | named_b
    return 2 * _weight(told_a & told_b) / (_weight(told_a) + _weight(told_b))


def _named(traits: Traits) -> frozenset[str]:
    return frozenset(term for term in traits.whole if term[0] in "wnab")


def _weight(terms: frozenset[str]) -> int:
    """A figure is seldom shared by chance, and weighs as much as three words; a name, being a word too, as two."""
    return len(terms) + 2 * sum(term[0].isdecimal() for term in terms)


def _name_the_same(a: Traits, b: Traits) -> bool:
    """Whether one names in its headline what the other names too: a party, law, amount or day."""
    common = (a.head & b.whole) | (b.head & a.whole)
    return any(term[0] in "wnad" for term in common)


def _is_supported(a: Traits, b: Traits, alike: float) -> bool:
    """Whether reports days apart have more in common than the act; texts that cannot be compared are believed."""
    if a.lang != b.lang or not a.words or not b.words:
        return True
    return alike >= 0.1 or agreement(a, b) >= 0.15 or len(a.whole & b.whole) > 1


def _is_strange(kind: str, a: Traits, b: Traits) -> bool:
    """Whether the headline of `a` names such things, and `b`, which does too, knows none of them."""
    named, known = of_kind(a.head, kind), of_kind(b.whole, kind)
    asked = bool(known) if kind == "n" else bool(of_kind(b.head, kind))
    return bool(named) and asked and named.isdisjoint(known)


def _are_apart(a: frozenset[str], b: frozenset[str]) -> bool:
    return bool(a) and bool(b) and a.isdisjoint(b)


def _other_amount(a: Traits, b: Traits) -> bool:
    amounts, known = of_kind(a.head, "a"), of_kind(b.whole, "a")
    both = bool(amounts) and bool(of_kind(b.head, "a"))
    return both and not any(near(x, y) for x in amounts for y in known)


def _spoken_everywhere(terms: frozenset[str]) -> frozenset[str]:
    """The terms that every language writes alike: numbers, amounts, dates, and names in Latin letters and digits."""
    return frozenset(term for term in terms if term[0] != "w" or (term.isascii() and len(term) > 3))


def _share(a: frozenset[str], b: frozenset[str]) -> float:
    """The part that both have, of what each has on average (Dice)."""
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def _distance(when: datetime, story: Story) -> timedelta:
    """How far `when` lies outside the time from a story's first report to its last; zero within."""
    return max(story.opened_at - when, when - story.last_at, timedelta(0))


# --- a step of the same measure -----------------------------------------------------------------------------------


def _follows(new: StoryKey, old: StoryKey) -> tuple[float, PlacementReason] | None:
    """How firmly `new` comes after `old` in one dossier, and as what; a number or name in common binds most."""
    if differs(new.traits, old.traits, party=False) is PlacementReason.OTHER_LAW:
        return None
    steps = [(a, b) for a in new.developments for b in old.developments if _is_next_step(a, b)]
    if not steps:
        return None
    reversed_ = all({a.direction, b.direction} == _OPPOSITE for a, b in steps)
    reason = PlacementReason.REVERSAL if reversed_ else PlacementReason.LATER_STEP
    if of_kind(new.traits.whole, "n") & of_kind(old.traits.whole, "n"):
        return 3.0, reason
    bond = agreement(new.traits, old.traits)
    same = any(a.action == b.action for a, b in steps)
    comparable = new.traits.lang == old.traits.lang and new.traits.words and old.traits.words
    if comparable and bond < 0.15 and not same:
        return None
    return 1.0 + bond + same, reason


def _is_next_step(a: Development, b: Development) -> bool:
    if (a.jurisdiction, a.topic) != (b.jurisdiction, b.topic) or not {a.action, b.action} <= _MEASURES:
        return False
    akin = _is_alike(a.action, b.action) or Action.CONSULTATION in (a.action, b.action) or a.action is Action.DELAY
    if not akin:
        return False
    if {a.direction, b.direction} == _OPPOSITE:
        return True
    if a.stage is Stage.WITHDRAWN or a.action is Action.DELAY:
        return b.stage is not Stage.WITHDRAWN
    return _ORDER[b.stage] < _ORDER[a.stage] <= _LAST_STEP


def field_of(topic: Topic) -> Topic:
    """The topic itself, or the wider one under which outlets may tell it."""
    return Topic.CRYPTO_GENERAL if topic in _CRYPTO else topic


def step_of(development: Development) -> int | None:
    """How far along its measure is, for what goes through stages; None for what does not."""
    step = _ORDER[development.stage]
    return step if development.action in _MEASURES and step <= _LAST_STEP else None


def steps_before(development: Development) -> range:
    """The steps at which a measure may have been before; its own is one of them, since it may be reversed there."""
    if development.stage is Stage.WITHDRAWN or development.action is Action.DELAY:
        return range(_LAST_STEP + 1)
    step = step_of(development)
    return range(0 if step is None else step + 1)


def since(then: Iterable[StoryKey], now: Iterable[StoryKey]) -> str:
    """What a story changes against the one before it in its dossier, for a person: `stage proposed → passed`."""
    pairs = [
        (b, a) for new in now for old in then for a in new.developments for b in old.developments if _is_next_step(a, b)
    ]
    if not pairs:
        return ""
    old_act, new_act = max(pairs, key=lambda pair: (pair[0].action == pair[1].action, _ORDER[pair[0].stage]))
    said = [
        f"{name} {before} → {after}"
        for name in ("stage", "direction", *(() if _is_alike(old_act.action, new_act.action) else ("action",)))
        if (before := getattr(old_act, name)) != (after := getattr(new_act, name))
    ]
    return ", ".join(said)
