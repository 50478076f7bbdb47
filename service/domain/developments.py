"""Entry -> developments: which policy acts it reports as news, by whom, about what, how far along, which way.

Pure and deterministic. Words live in the lexicon; here is only how a report is read, in small steps: segments ->
annotations -> clauses -> acts -> merge. Title and lead decide what is news; the body only helps to tell who acts.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import attrgetter

from service.domain.concepts import Annotation, Cue, Lexicon, Role
from service.domain.model import (
    Action,
    Concept,
    ConceptKind,
    Development,
    Direction,
    Entry,
    Evidence,
    Reading,
    Stage,
    Topic,
)
from service.domain.text import READ_LIMIT, Segment, Zone, detect_language, fold, segments

FIELDS = ("title", "summary", "content")

# --- how the vocabulary hangs together ----------------------------------------------------------------------------

CRYPTO = frozenset({
    Topic.STABLECOIN, Topic.EXCHANGE, Topic.MINING, Topic.CBDC, Topic.TOKEN_OFFERING, Topic.TOKENIZATION, Topic.DEFI,
    Topic.CUSTODY, Topic.PAYMENTS, Topic.FUND_ETF, Topic.RESERVE, Topic.TAX, Topic.AML, Topic.ADVERTISING,
    Topic.CRYPTO_GENERAL,
})  # fmt: skip
"""Topics whose weak words are believed only where one of these is named outright."""

ALONE = (Topic.TAX, Topic.ADVERTISING, Topic.FUND_ETF, Topic.CBDC, Topic.RESERVE, Topic.TOKEN_OFFERING)
"""A measure about one of these is about it alone, whatever else is named beside it; the first found wins."""

OWN_FIELD = frozenset({Topic.AI, Topic.PRIVACY, Topic.TRADE, Topic.SANCTIONS_GENERAL, Topic.BANKING})

WEIGHT = (
    Action.DELAY, Action.CONSULTATION, Action.COURT_RULING, Action.EASING, Action.ADVISORY, Action.SANDBOX,
    Action.TAX_CHANGE, Action.ADOPTION, Action.BAN, Action.SANCTION, Action.APPROVAL, Action.ENFORCEMENT,
    Action.RESTRICTION, Action.LICENSING, Action.GUIDANCE, Action.WARNING, Action.LEGISLATION, Action.STATISTICS,
    Action.OTHER,
)  # fmt: skip
"""Which of several acts in one clause names what is done: the telling ones first, the mere instrument (a law) late."""

STAGE_WEIGHT = (
    Stage.RUMOURED, Stage.CONSULTATION, Stage.PASSED, Stage.ENACTED, Stage.IN_FORCE, Stage.REAFFIRMED, Stage.PROPOSED,
    Stage.CONSIDERING, Stage.WITHDRAWN, Stage.ENFORCED, Stage.NOT_APPLICABLE,
)  # fmt: skip
"""Which of several stages named in one sentence is the news."""

_MAY_BE_DRAFTS = frozenset({Action.BAN, Action.RESTRICTION, Action.LICENSING, Action.LEGISLATION, Action.GUIDANCE})

FIXED_STAGE = {
    Action.GUIDANCE: Stage.IN_FORCE,
    Action.APPROVAL: Stage.IN_FORCE,
    Action.COURT_RULING: Stage.NOT_APPLICABLE,
    Action.WARNING: Stage.NOT_APPLICABLE,
    Action.ADVISORY: Stage.NOT_APPLICABLE,
    Action.ENFORCEMENT: Stage.ENFORCED,
    Action.CONSULTATION: Stage.CONSULTATION,
    Action.STATISTICS: Stage.NOT_APPLICABLE,
}

_MAY_BE_WEIGHED = frozenset({Action.APPROVAL, Action.ENFORCEMENT})

FIXED_DIRECTION = {
    Action.BAN: Direction.TIGHTENING,
    Action.RESTRICTION: Direction.TIGHTENING,
    Action.ENFORCEMENT: Direction.TIGHTENING,
    Action.SANCTION: Direction.TIGHTENING,
    Action.WARNING: Direction.TIGHTENING,
    Action.EASING: Direction.EASING,
    Action.APPROVAL: Direction.EASING,
    Action.ADOPTION: Direction.EASING,
    Action.SANDBOX: Direction.EASING,
    Action.ADVISORY: Direction.EASING,
    Action.DELAY: Direction.NEUTRAL,
    Action.STATISTICS: Direction.NEUTRAL,
}

HOME = {
    "ko": "KR", "ja": "JP", "tr": "TR", "vi": "VN", "th": "TH", "id": "ID", "hi": "IN", "uk": "UA", "pl": "PL",
    "it": "IT",
}  # fmt: skip
"""Where a language is at home in one country: whose authorities an article means that names no country."""

VERB_LAST = frozenset({"ko", "ja", "tr", "hi"})

# --- the stations -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A stretch of a field and the annotations in it (a sentence, or a part of one between commas)."""

    field: str
    start: int
    end: int
    zone: Zone
    text: str
    notes: tuple[Annotation, ...]
    sentence: tuple[int, int]

    def of(self, kind: ConceptKind) -> tuple[Annotation, ...]:
        return tuple(n for n in self.notes if n.concept.kind is kind)

    def cues(self, *cues: Cue) -> tuple[Annotation, ...]:
        return tuple(n for n in self.of(ConceptKind.CUE) if n.concept.name in cues)


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """An entry as read so far: its sentences by zone, and whether it is about crypto at all."""

    entry: Entry
    lang: str
    hint: str | None
    title: tuple[Clause, ...]
    lead: tuple[Clause, ...]
    body: tuple[Clause, ...]
    about_crypto: bool = False

    @property
    def core(self) -> tuple[Clause, ...]:
        return self.title + self.lead


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something done, in one clause: what, about which topics, and the words that say so."""

    action: Action
    clause: Clause
    word: Annotation
    topics: tuple[Topic, ...] = ()
    topic_words: tuple[tuple[Clause, Annotation], ...] = field(default=())


def read(entry: Entry, lexicon: Lexicon, *, jurisdiction: str | None = None) -> Reading:
    """The developments that `entry` reports as news, each with the words it was read from.

    `jurisdiction` is the home of the entry's feed: it settles whose "central bank" is meant where the text leaves it
    open. Fields hold plain text; evidence spans are of these fields as given. The language is detected if absent.
    """
    lang = detect_language(f"{entry.title}\n{entry.summary}\n{entry.content[:600]}", entry.lang)
    article = _article(entry, lexicon, lang, jurisdiction)
    if _is_no_report(article):
        return Reading(lang=lang)
    acts = _acts(article)
    acts = _merge((*(_as_law(article, act, acts) for act in acts), *_resting_on_privacy(article, acts)))
    return Reading(lang=lang, developments=_developments(article, acts))


# --- segments and annotations -------------------------------------------------------------------------------------


def _article(entry: Entry, lexicon: Lexicon, lang: str, hint: str | None) -> Article:
    openers = _openers(lexicon)
    notes = {name: lexicon.annotate(getattr(entry, name)[:READ_LIMIT], lang) for name in FIELDS}
    clauses = [_clause(entry, s, notes[s.field]) for s in segments(entry, openers) if s.zone is not Zone.APART]
    article = Article(
        entry=entry,
        lang=lang,
        hint=hint or _home_of_source(entry, lexicon, lang),
        title=tuple(c for c in clauses if c.zone is Zone.TITLE),
        lead=tuple(c for c in clauses if c.zone is Zone.LEAD),
        body=tuple(c for c in clauses if c.zone in (Zone.BODY, Zone.BACKGROUND)),
    )
    return replace(article, about_crypto=any(map(_names_crypto, article.core)))


def _names_crypto(clause: Clause) -> bool:
    """Whether a sentence is about crypto: by an outright word, or by two weak ones that say it together
    ("exchanges and miners")."""
    named = [n for n in clause.of(ConceptKind.TOPIC) if Topic(n.concept.name) in CRYPTO]
    return any(n.role is Role.STRONG for n in named) or len({n.concept for n in named}) > 1


@lru_cache(maxsize=4)
def _openers(lexicon: Lexicon) -> frozenset[str]:
    return frozenset(fold(text).text for _, text in lexicon.phrases(Concept(ConceptKind.CUE, Cue.APART)))


def _clause(entry: Entry, segment: Segment, notes: Sequence[Annotation]) -> Clause:
    first = bisect_left(notes, segment.start, key=_start)
    inside = tuple(n for n in notes[first : bisect_left(notes, segment.end, first, key=_start)] if n.end <= segment.end)
    text = getattr(entry, segment.field)[segment.start : segment.end]
    return Clause(
        field=segment.field,
        start=segment.start,
        end=segment.end,
        zone=segment.zone,
        text=text,
        notes=inside,
        sentence=(segment.start, segment.end),
    )


_start = attrgetter("start")


def _home_of_source(entry: Entry, lexicon: Lexicon, lang: str) -> str | None:
    """The one jurisdiction that the outlet's name names, if any."""
    homes = {
        n.concept.name
        for n in lexicon.annotate(entry.source[:200], lang)
        if n.concept.kind is ConceptKind.JURISDICTION and n.role is not Role.OWN
    }
    return homes.pop() if len(homes) == 1 else None


# --- what kind of article -----------------------------------------------------------------------------------------

_QUESTION = re.compile(r"[?？؟]\s*[\"'”’»」』)）]*$")
_APART = re.compile(r"[;；]")
_BORDER = re.compile(r"(?<=\w)[,;:](?=\s)|\s[-–—|]\s|[，；：。—–\u3000…]|\s/\s")


def _is_no_report(article: Article) -> bool:
    """Whether this is no report of an act at all: an opinion, a list, a look back, a price report, a denial…"""
    if not article.title and not article.lead:
        return True
    head = article.title or article.lead[:1]
    at_start = [n for c in head for n in c.cues(Cue.OPINION, Cue.HYPOTHESIS) if n.start - head[0].start <= 3]
    anywhere = [n for c in head for n in c.cues(Cue.LISTING, Cue.ANNIVERSARY, Cue.PROMOTION)]
    if at_start or anywhere or _QUESTION.search(article.entry.title):
        return True
    if not any(c.cues(Cue.AUTHORITY) or _official(c) for c in article.core) and not any(map(_state_acts, head)):
        return True
    done = [n for c in head for part in _parts(c) if not _held_back(part) for n in _act_words(part)]
    turned_down = any(c.cues(Cue.DENIAL) for c in head)
    others_business = any(c.cues(Cue.MARKET, Cue.COMPANY) for c in head)
    return not done and (turned_down or others_business)


def _official(clause: Clause) -> bool:
    """Whether a state speaks here: one of its bodies, its leader, or its capital in place of its government."""
    roles = (Role.BODY, Role.OWN, Role.LEADER, Role.CAPITAL)
    return any(n.role in roles for n in clause.of(ConceptKind.JURISDICTION))


_PLACE = re.compile(r"(?<!^)\b(?:in|en|em|im|au|aux|в|у|w|di|tại|ở)\s$", re.IGNORECASE)
"""What makes a country's name the place of an act, and not who acts: "a developer in Peru buys bitcoin"."""


def _state_acts(clause: Clause) -> bool:
    """Whether a country's or a region's name stands before the word for what is done: "Bolivia ends ten-year ban"."""
    named = [n for n in clause.of(ConceptKind.JURISDICTION) if n.role in (Role.NAME, Role.PART)]
    subjects = [n.start for n in named if not _PLACE.search(clause.text, 0, n.start - clause.start)]
    names = [n.start for n in named]
    return any(
        n.start > start
        for n in _act_words(clause)
        for start in (subjects if n.concept.name == Action.ADOPTION else names)[:1]
    )


# --- clauses and acts ---------------------------------------------------------------------------------------------

_YEAR = re.compile(
    r"\b(?:in|since|en|desde|em|im|seit|depuis|nel|dal|năm|pada|sejak|в|с|у|від)\s(?:\w+\s)?((?:19|20)\d\d)(?!\d)"
    r"|((?:19|20)\d\d)(?=年|년|\sгод|\sгода|\sroku|'[dt]e)",
    re.IGNORECASE,
)
"""A year that dates something ("in 2021", "2021年"), not one that names it ("a 2020 resolution")."""


def _meanwhile(clause: Clause) -> Iterator[int]:
    """Where another's act begins that is told along with the first: "funds sell bitcoin as US raises tariffs"."""
    for note in clause.of(ConceptKind.JURISDICTION):
        if clause.text[: note.start - clause.start].endswith((" as ", " while ")):
            yield note.start - clause.start


def _parts(clause: Clause) -> tuple[Clause, ...]:
    """A sentence in its clauses; an annotation belongs to the clause in which it begins."""
    borders = sorted({0, *(m.end() for m in _BORDER.finditer(clause.text)), *_meanwhile(clause), len(clause.text)})
    if len(borders) == 2:
        return (clause,)
    parts = []
    for start, end in itertools.pairwise(borders):
        first, last = clause.start + start, clause.start + end
        notes = tuple(n for n in clause.notes if first <= n.start < last)
        if notes:
            parts.append(replace(clause, start=first, end=last, text=clause.text[start:end], notes=notes))
    return tuple(parts)


def _held_back(part: Clause, year: int | None = None) -> bool:
    """Whether what the clause names is denied, only feared or hoped for, or told as something of the past."""
    if part.cues(Cue.DENIAL, Cue.EXPECTATION):
        return True
    if part.zone is Zone.TITLE:
        return False
    if part.cues(Cue.HISTORY):
        return True
    years = [int(m[1] or m[2]) for m in _YEAR.finditer(part.text)]
    return year is not None and bool(years) and max(years) < year


def _act_words(part: Clause) -> list[Annotation]:
    """The words of a clause that say what is done; instruments ("law", "rules") only beside how far along they are."""
    staged = bool(part.of(ConceptKind.STAGE))
    return [n for n in part.of(ConceptKind.ACTION) if n.role is Role.STRONG or staged]


def _topics(article: Article, part: Clause) -> tuple[Annotation, ...]:
    """The topics of a clause; weak words only in an article about crypto ("exchange", "mining": not beside more)."""
    notes = part.of(ConceptKind.TOPIC)
    strong = any(n.role is Role.STRONG and Topic(n.concept.name) in CRYPTO for n in notes)
    return tuple(
        n for n in notes
        if n.role is Role.STRONG
        or (article.about_crypto and not (strong and Topic(n.concept.name) in (Topic.EXCHANGE, Topic.MINING)))
    )  # fmt: skip


def _live(article: Article, clauses: Iterable[Clause]) -> list[Clause]:
    year = article.entry.published.year if article.entry.published else None
    return [part for clause in clauses for part in _parts(clause) if not _held_back(part, year)]


def _opened_for_comment(acts: list[Act], lead: list[Clause]) -> list[Act]:
    """A measure announced in the title is a consultation where the lead says that it is out for comment."""
    asked = [
        (part, n) for part in lead[:4] for n in part.of(ConceptKind.ACTION) if n.concept.name == Action.CONSULTATION
    ]  # fmt: skip
    if not asked:
        return acts
    part, word = asked[0]
    draft = Act(action=Action.CONSULTATION, clause=part, word=word)
    return [
        replace(draft, topics=a.topics, topic_words=a.topic_words) if a.action in _MAY_BE_DRAFTS else a for a in acts
    ]


def _acts(article: Article) -> list[Act]:
    """What the title says is done, clause by clause; what the lead says where the title leaves it open."""
    title, lead = _live(article, article.title), _live(article, article.lead)
    acts = _opened_for_comment([a for part in title if (a := _act_in(article, part)) is not None], lead)
    full = [a for a in acts if a.topics]
    if full:
        return [*full, *_left_open(article, full, title, lead), *_besides(article, full, lead)]
    named = _topic_words(article, article.title) or _topic_words(article, article.lead[:1])
    acts = [a for a in acts if not _said_of_something_else(a, named)]
    if acts and named:
        main = min(acts, key=lambda a: WEIGHT.index(a.action))
        chosen = [_about(main, named)]
        return [*chosen, *_besides(article, chosen, lead)]
    for part in lead:
        act = _act_in(article, part)
        if act is not None and (act.topics or named):
            chosen = [_about(act, named) if named else act]
            return [*chosen, *_besides(article, chosen, lead)]
    return []


def _said_of_something_else(act: Act, named: Sequence[tuple[Clause, Annotation]]) -> bool:
    """Whether a semicolon stands between the act and every topic of its title: two statements, not one."""
    sentence = next((c for c, _ in named if c.sentence == act.clause.sentence and c.field == act.clause.field), None)
    if sentence is None:
        return False
    gaps = [sorted((act.word.start - sentence.start, n.start - sentence.start)) for c, n in named if c is sentence]
    return all(_APART.search(sentence.text, first, last) for first, last in gaps)


def _act_in(article: Article, part: Clause) -> Act | None:
    words = _act_words(part)
    if not words:
        return _vote(article, part)
    word = min(words, key=lambda n: (WEIGHT.index(Action(n.concept.name)), n.start))
    act = Act(action=Action(word.concept.name), clause=part, word=word)
    return _about(act, [(part, n) for n in _topics(article, part)])


def _vote(article: Article, part: Clause) -> Act | None:
    """What a parliament passes is a law, though the clause does not say so: "Parliament passes MiCA"."""
    votes = [n for _, n in _stage_words(part, Stage.PASSED) if n.role is Role.STRONG]
    topics = [(part, n) for n in _topics(article, part)]
    return _about(Act(action=Action.LEGISLATION, clause=part, word=votes[0]), topics) if votes and topics else None


def _topic_words(article: Article, clauses: Iterable[Clause]) -> list[tuple[Clause, Annotation]]:
    return [(clause, note) for clause in clauses for note in _topics(article, clause)]


def _about(act: Act, words: Sequence[tuple[Clause, Annotation]]) -> Act:
    return replace(act, topics=_choose_topics(act, words), topic_words=tuple(words))


def _choose_topics(act: Act, words: Sequence[tuple[Clause, Annotation]]) -> tuple[Topic, ...]:
    """Which of the topics named the measure is about: the specific rather than crypto at large."""
    named = list(dict.fromkeys(Topic(n.concept.name) for _, n in words))
    if act.action is Action.TAX_CHANGE and any(t in CRYPTO for t in named):
        return (Topic.TAX,)
    for topic in ALONE:
        if topic in named:
            return (topic,)
    specific = tuple(t for t in named if t is not Topic.CRYPTO_GENERAL)
    if any(t in CRYPTO for t in named) and not any(t in CRYPTO for t in specific):
        return (Topic.CRYPTO_GENERAL,)
    return specific


def _left_open(article: Article, acts: list[Act], title: list[Clause], lead: list[Clause]) -> Iterator[Act]:
    """Topics that stand in the title without an act, with what the lead says is done about them."""
    settled = {t for a in acts for t in a.topics}
    for part in title:
        for topic in _choose_topics(acts[0], [(part, n) for n in _topics(article, part)]):
            if topic in settled or topic is Topic.CRYPTO_GENERAL:
                continue
            for told in lead:
                act = _act_in(article, told)
                if act is not None and topic in act.topics:
                    settled.add(topic)
                    yield replace(act, topics=(topic,))
                    break


def _besides(article: Article, acts: list[Act], lead: list[Clause]) -> Iterator[Act]:
    """Acts that the lead adds ("also", "separately") on topics of their own."""
    settled = {t for a in acts for t in a.topics}
    if settled & set(ALONE):
        return
    for clause in article.lead:
        also = clause.cues(Cue.ALSO)
        if not also:
            continue
        rest = replace(clause, notes=tuple(n for n in clause.notes if n.start >= also[0].start))
        act = _act_in(article, rest) or _act_in(article, clause)
        new = tuple(t for t in act.topics if t not in settled and t is not Topic.CRYPTO_GENERAL) if act else ()
        if act is not None and new and not _held_back(rest):
            settled |= set(new)
            yield replace(act, topics=new)


def _resting_on_privacy(article: Article, acts: list[Act]) -> Iterator[Act]:
    """What is done about an AI because of the data that it takes: its authority and its law are those of privacy."""
    about_ai = [act for act in acts if Topic.AI in act.topics]
    if not about_ai or any(Topic.PRIVACY in act.topics for act in acts):
        return
    words = [(c, n) for c, n in _topic_words(article, article.core[:3]) if n.concept.name == Topic.PRIVACY]
    if words:
        yield replace(about_ai[0], topics=(Topic.PRIVACY,), topic_words=tuple(words))


_MAY_BE_LAW = frozenset({Action.LICENSING, Action.TAX_CHANGE, Action.ENFORCEMENT})


def _as_law(article: Article, act: Act, acts: Sequence[Act]) -> Act:
    """A bill on licences, taxes or penalties is legislation while it is made, unless the law is told beside it."""
    laws = [other for other in acts if other.action is Action.LEGISLATION]
    if act.action not in _MAY_BE_LAW or (laws and not any(set(law.topics) & set(act.topics) for law in laws)):
        return act
    stage, _, _ = _stage(article, act)
    told = (*article.title, *article.lead[:1])
    words = [(c, n) for c in told for n in c.of(ConceptKind.ACTION) if n.concept.name == Action.LEGISLATION]
    by_bill = words and stage in (Stage.PROPOSED, Stage.ENACTED) and act.action is not Action.TAX_CHANGE
    if stage is Stage.PASSED or by_bill:
        return replace(act, action=Action.LEGISLATION)
    return act


def _merge(acts: Iterable[Act]) -> list[Act]:
    """One act for each topic: the telling one where several clauses speak of it."""
    best: dict[Topic, Act] = {}
    for act in acts:
        for topic in act.topics:
            known = best.get(topic)
            if known is None or WEIGHT.index(act.action) < WEIGHT.index(known.action):
                best[topic] = replace(act, topics=(topic,))
    alone = {act.action for topic, act in best.items() if topic in ALONE}
    if (general := best.get(Topic.CRYPTO_GENERAL)) and general.action in alone:
        del best[Topic.CRYPTO_GENERAL]
    return list(best.values())


# --- who acts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The jurisdiction that acts, and the words that name it (none where the feed or the language tells it)."""

    name: str
    clause: Clause | None = None
    word: Annotation | None = None


def _actor(article: Article, act: Act) -> Actor | None:
    """Who acts: named in the title, else in the lead, else by a body in the text, the feed, the language."""
    own = () if act.clause.zone is Zone.TITLE else (act.clause,)
    for clauses in (article.title, own, article.lead):
        named = [(c, n) for c in clauses for n in c.of(ConceptKind.JURISDICTION)]
        if found := _subject(article, act, named):
            return found
    bodies = [
        (c, n) for c in article.body if c.zone is Zone.BODY
        for n in c.of(ConceptKind.JURISDICTION) if n.role in (Role.BODY, Role.OWN)
    ]  # fmt: skip
    if article.hint:
        return Actor(name=article.hint)
    if bodies:
        return Actor(name=bodies[0][1].concept.name, clause=bodies[0][0], word=bodies[0][1])
    home = HOME.get(article.lang)
    return Actor(name=home) if home else None


def _subject(article: Article, act: Act, named: list[tuple[Clause, Annotation]]) -> Actor | None:
    """Of the jurisdictions named, the one nearest before the act, or else the first after it."""
    named = _without_foreign_bodies(named)
    outright = [(c, n) for c, n in named if n.role is not Role.OWN]
    implied = [(c, n) for c, n in named if n.role is Role.OWN]
    against = act.action in (Action.SANCTION, Action.ENFORCEMENT)
    if implied and (against or not outright):
        if article.hint and all(n.concept.name != article.hint for _, n in implied):
            return Actor(name=article.hint, clause=implied[0][0], word=implied[0][1])
        outright = [(c, n) for c, n in implied if n.concept.name == (article.hint or n.concept.name)]
    if not outright:
        return None
    same = [(c, n) for c, n in outright if c.field == act.clause.field]
    before = [(c, n) for c, n in same if n.start <= act.word.start]
    clause, word = before[0] if before else (same or outright)[0]
    return Actor(name=word.concept.name, clause=clause, word=word)


def _without_foreign_bodies(named: list[tuple[Clause, Annotation]]) -> list[tuple[Clause, Annotation]]:
    """Without bodies whose owner stands beside them: "Nigeria's SEC", "SEC Abuja" is not the American one."""
    kept: list[tuple[Clause, Annotation]] = []
    for at, (clause, note) in enumerate(named):
        beside = [other for c, other in (*named[at - 1 : at], *named[at + 1 : at + 2]) if c is clause]
        if note.role not in (Role.BODY, Role.OWN) or not any(_owns(other, note) for other in beside):
            kept.append((clause, note))
    return kept


def _owns(owner: Annotation, body: Annotation) -> bool:
    """Whether the country named right before a body, or the capital right after it, is another one than the body's."""
    if owner.concept == body.concept:
        return owner.role in (Role.NAME, Role.PEOPLE) and 0 <= body.start - owner.end <= 3
    if owner.start < body.start:
        return owner.role in (Role.NAME, Role.PEOPLE) and body.start - owner.end <= 3
    return owner.role is Role.CAPITAL and owner.start - body.end == 1


# --- how far along, which way -------------------------------------------------------------------------------------


def _stage(article: Article, act: Act) -> tuple[Stage, Clause | None, Annotation | None]:
    fixed = FIXED_STAGE.get(act.action)
    if fixed is not None and act.action not in _MAY_BE_WEIGHED:
        return fixed, None, None
    if hearsay := _hearsay(article, act):
        return Stage.RUMOURED, *hearsay
    if fixed is not None:
        return _weighed(article, act) or (fixed, None, None)
    foretold: tuple[Stage, Clause, Annotation] | None = None
    for clauses in ((act.clause,), article.title, *((c,) for c in article.lead[:2])):
        found = [(c, n) for c in clauses for n in c.of(ConceptKind.STAGE)]
        if foretold:
            found = [(c, n) for c, n in found if n.concept.name in _SETTLED]
        if found:
            clause, note = _governing(article, act, found)
            told = (Stage(note.concept.name), clause, note)
            if note.role is not Role.WEAK:
                return told
            foretold = foretold or told
    if foretold:
        return foretold
    if act.action is Action.LEGISLATION:
        return Stage.PROPOSED, None, None
    return Stage.IN_FORCE, None, None


_SETTLED = frozenset({Stage.PASSED, Stage.ENACTED, Stage.IN_FORCE})
"""What makes a bare future of the title certain: "to lift its ban", and the order is published."""


def _weighed(article: Article, act: Act) -> tuple[Stage, Clause, Annotation] | None:
    """Whether an act that mostly is done when it is told is only weighed: "considers fines", "허용 검토"."""
    for clause, note in _stage_words(act.clause, Stage.CONSIDERING):
        if (note.start > act.word.start) is (article.lang in VERB_LAST):
            return Stage.CONSIDERING, clause, note
    return None


def _stage_words(clause: Clause, stage: Stage) -> list[tuple[Clause, Annotation]]:
    return [(clause, n) for n in clause.of(ConceptKind.STAGE) if n.concept.name == stage]


def _hearsay(article: Article, act: Act) -> tuple[Clause, Annotation] | None:
    """Where the act is laid to sources without a name: in its own sentence, or where the lead tells it again."""
    own = (act.clause.field, act.clause.sentence)
    told = [next((c for c in article.core if (c.field, c.sentence) == own), act.clause)]
    told += [c for c in article.lead[:1] if any(n.concept == act.word.concept for n in c.of(ConceptKind.ACTION))]
    return next((words[0] for c in told if (words := _stage_words(c, Stage.RUMOURED))), None)


def _governing(article: Article, act: Act, found: list[tuple[Clause, Annotation]]) -> tuple[Clause, Annotation]:
    """Of several stages named, the one that is said of the act.

    "Restates that it is illegal and promises more": what stands before the act governs it. Where the verb comes last
    ("금지 방침 재확인") it is the last word after the act.
    """
    own = [(c, n) for c, n in found if c is act.clause]
    if article.lang in VERB_LAST and (after := [pair for pair in own if pair[1].start >= act.word.start]):
        return after[-1]
    before = [(c, n) for c, n in own if n.start <= act.word.start]
    if before and before[0][1].concept.name == Stage.WITHDRAWN:  # "withdraws its draft law": the draft is what goes
        return before[0]
    chosen = min(before or found, key=lambda cn: STAGE_WEIGHT.index(Stage(cn[1].concept.name)))
    if chosen[1].concept.name in (Stage.PASSED, Stage.ENACTED):  # "the law passed in June took effect"
        later = [(c, n) for c, n in found if c is chosen[0] and n.start > chosen[1].start]
        return next(((c, n) for c, n in later if n.concept.name == Stage.IN_FORCE), chosen)
    return chosen


def _direction(article: Article, act: Act, topic: Topic, stage: Stage) -> Direction:
    fixed = FIXED_DIRECTION.get(act.action)
    if fixed is not None:
        undone = stage is Stage.WITHDRAWN and act.action is not Action.EASING  # "scraps bitcoin as legal tender"
        return _REVERSE.get(fixed, fixed) if undone else fixed
    if act.action is Action.LEGISLATION and topic is Topic.CRYPTO_GENERAL:
        return Direction.NEUTRAL
    if act.action is Action.TAX_CHANGE or (act.action is Action.LEGISLATION and topic is Topic.TAX):
        eased = any(n.concept.name == Direction.EASING for c in article.core for n in c.of(ConceptKind.DIRECTION))
        return Direction.EASING if eased else Direction.TIGHTENING
    for clauses in ((act.clause,), article.title, article.core):
        weight = sum(_WAY.get(n.concept, 0) for c in clauses for n in c.notes if not _is_licence(act, n))
        if weight:
            return Direction.TIGHTENING if weight > 0 else Direction.EASING
    return Direction.NEUTRAL


def _is_licence(act: Act, note: Annotation) -> bool:
    """Whether this only says once more that a licence is what it is about, not that one is easier to have."""
    return act.action is Action.LICENSING and note.start < act.word.end and act.word.start < note.end


_REVERSE = {Direction.TIGHTENING: Direction.EASING, Direction.EASING: Direction.TIGHTENING}
_WAY = {
    Concept(ConceptKind.DIRECTION, Direction.TIGHTENING): 1,
    Concept(ConceptKind.DIRECTION, Direction.EASING): -1,
    Concept(ConceptKind.ACTION, Action.BAN): 1,
    Concept(ConceptKind.ACTION, Action.RESTRICTION): 1,
    Concept(ConceptKind.ACTION, Action.EASING): -1,
}
"""What says which way a law, a licence or a tax goes: outright, or by what it does ("a law with trading bans")."""


# --- developments -------------------------------------------------------------------------------------------------


def _developments(article: Article, acts: Iterable[Act]) -> tuple[Development, ...]:
    found: dict[tuple[str, Topic], Development] = {}
    for act in acts:
        actor = _actor(article, act)
        if actor is None:
            continue
        if act.action is Action.EASING and act.topics == (Topic.TAX,):
            act = replace(act, action=Action.TAX_CHANGE)
        for topic in act.topics:
            for party in (actor, *_targets(article, act)):
                found.setdefault((party.name, topic), _development(article, act, party, topic))
    return tuple(found.values())


def _targets(article: Article, act: Act) -> Iterator[Actor]:
    """The country that sanctions are laid on: named right after the word for them, and not as the home of a firm."""
    if act.action is not Action.SANCTION:
        return
    for note in act.clause.of(ConceptKind.JURISDICTION):
        owns = act.clause.text[note.end - act.clause.start :].startswith(("'s ", "’s "))
        if note.role is Role.NAME and not owns and 0 <= note.start - act.word.end <= 12:
            yield Actor(name=note.concept.name, clause=act.clause, word=note)
            return


def _development(article: Article, act: Act, actor: Actor, topic: Topic) -> Development:
    stage, stage_clause, stage_word = _stage(article, act)
    words = [
        (actor.clause, actor.word), (act.clause, act.word), (stage_clause, stage_word),
        *((c, n) for c, n in act.topic_words if n.concept.name == topic),
        *_content_of_law(article, act),
    ]  # fmt: skip
    return Development(
        jurisdiction=actor.name,
        topic=topic,
        action=act.action,
        direction=_direction(article, act, topic, stage),
        stage=stage,
        evidence=tuple(dict.fromkeys(_evidence(article.entry, c, n) for c, n in words if c and n)),
        quotes=tuple(_quote(article.entry, c) for c in (act.clause, *_confirming(article, act, topic))),
    )


def _content_of_law(article: Article, act: Act) -> Iterator[tuple[Clause, Annotation]]:
    """What the lead says that a law named in the title does: "the law creates a licensing regime"."""
    if act.action is not Action.LEGISLATION or act.clause.zone is not Zone.TITLE:
        return
    for part in _live(article, article.lead):
        words = part.of(ConceptKind.ACTION)
        if any(n.concept.name == Action.LEGISLATION for n in words):
            yield from ((part, n) for n in words if n.role is Role.STRONG)


def _confirming(article: Article, act: Act, topic: Topic) -> Iterator[Clause]:
    """The first sentence of the lead that tells more of what the title said: the same act, or its topic."""
    if act.clause.zone is not Zone.TITLE:
        return
    lead = _live(article, article.lead)
    for wanted in (act.action, topic):
        for part in lead:
            if any(n.concept.name == wanted for n in part.notes):
                yield part
                return


def _quote(entry: Entry, clause: Clause) -> Evidence:
    start, end = clause.sentence
    return Evidence(field=clause.field, start=start, end=end, text=getattr(entry, clause.field)[start:end])


def _evidence(entry: Entry, clause: Clause, note: Annotation) -> Evidence:
    text = getattr(entry, clause.field)
    return Evidence(field=clause.field, start=note.start, end=note.end, text=text[note.start : note.end])
