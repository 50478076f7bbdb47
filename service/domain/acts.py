"""What an article says is done: its acts, each with the words for it and the topics that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from service.domain.article import CRYPTO, Article, Clause, act_words, held_back, live, stage_words, topics_in
from service.domain.concepts import Annotation, Cue, Role
from service.domain.model import Action, ConceptKind, Stage, Topic

ALONE = (Topic.TAX, Topic.ADVERTISING, Topic.FUND_ETF, Topic.CBDC, Topic.RESERVE, Topic.TOKEN_OFFERING)
"""A measure about one of these is about it alone, whatever else is named beside it; the first found wins."""

WEIGHT = (
    Action.DELAY, Action.CONSULTATION, Action.COURT_RULING, Action.EASING, Action.ADVISORY, Action.SANDBOX,
    Action.TAX_CHANGE, Action.ADOPTION, Action.BAN, Action.SANCTION, Action.APPROVAL, Action.ENFORCEMENT,
    Action.RESTRICTION, Action.LICENSING, Action.GUIDANCE, Action.WARNING, Action.LEGISLATION, Action.STATISTICS,
    Action.OTHER,
)  # fmt: skip
"""Which of several acts in one clause names what is done: the telling ones first, the mere instrument (a law) late."""

_MAY_BE_DRAFTS = frozenset({
    Action.BAN, Action.RESTRICTION, Action.LICENSING, Action.LEGISLATION, Action.GUIDANCE, Action.TAX_CHANGE,
    Action.EASING, Action.SANDBOX,
})  # fmt: skip

_APART = re.compile(r"[;；]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something done, in one clause: what, about which topics, and the words that say so."""

    action: Action
    clause: Clause
    word: Annotation
    topics: tuple[Topic, ...] = ()
    topic_words: tuple[tuple[Clause, Annotation], ...] = field(default=())


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


def acts_of(article: Article) -> list[Act]:
    """What the title says is done, clause by clause; what the lead says where the title leaves it open."""
    title, lead = live(article, article.title), live(article, article.lead)
    acts = _opened_for_comment([a for part in title if (a := _act_in(article, part)) is not None], lead)
    ruling = next((a for a in acts if a.action is Action.COURT_RULING), None)
    full = [a if ruling is None else replace(a, action=ruling.action, word=ruling.word) for a in acts if a.topics]
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
    return list(_told_by_stage(article, title))


_MEANT_BY = {
    Topic.TAX: Action.TAX_CHANGE,
    Topic.RESERVE: Action.ADOPTION,
    Topic.CBDC: Action.ADOPTION,
    Topic.FUND_ETF: Action.APPROVAL,
}
"""What a state that weighs something about a topic mostly has in mind; legislation for the others."""


def _told_by_stage(article: Article, title: list[Clause]) -> Iterator[Act]:
    """What a state weighs or gives up, where no word says what: "China mulls stablecoins", "shelves its e-peso"."""
    for part in title:
        words = [(part, n) for n in topics_in(article, part)]
        staged = [
            n for n in part.of(ConceptKind.STAGE)
            if n.role is Role.STRONG and n.concept.name in (Stage.CONSIDERING, Stage.WITHDRAWN)
        ]  # fmt: skip
        if not (words and staged and any(n.start < staged[0].start for n in part.of(ConceptKind.JURISDICTION))):
            continue
        act = _about(Act(action=Action.OTHER, clause=part, word=staged[0]), words)
        if act.topics[0] in CRYPTO:
            dropped = staged[0].concept.name == Stage.WITHDRAWN
            yield act if dropped else replace(act, action=_MEANT_BY.get(act.topics[0], Action.LEGISLATION))
            return


def _said_of_something_else(act: Act, named: Sequence[tuple[Clause, Annotation]]) -> bool:
    """Whether a semicolon stands between the act and every topic of its title: two statements, not one."""
    sentence = next((c for c, _ in named if c.sentence == act.clause.sentence and c.field == act.clause.field), None)
    if sentence is None:
        return False
    gaps = [sorted((act.word.start - sentence.start, n.start - sentence.start)) for c, n in named if c is sentence]
    return all(_APART.search(sentence.text, first, last) for first, last in gaps)


def _act_in(article: Article, part: Clause) -> Act | None:
    words = act_words(part)
    if not words:
        return _vote(article, part)
    word = min(words, key=lambda n: (WEIGHT.index(Action(n.concept.name)), n.start))
    if word.concept.name == Action.LICENSING:  # "explains how its licences move under MiCA": the licence is its matter
        explained = (n for n in words if n.concept.name == Action.GUIDANCE and n.start < word.start)
        word = next(explained, word)
    act = Act(action=Action(word.concept.name), clause=part, word=word)
    return _about(act, [(part, n) for n in topics_in(article, part)])


def _vote(article: Article, part: Clause) -> Act | None:
    """What a parliament passes is a law, though the clause does not say so: "Parliament passes MiCA"."""
    votes = [n for _, n in stage_words(part, Stage.PASSED) if n.role is Role.STRONG]
    topics = [(part, n) for n in topics_in(article, part)]
    return _about(Act(action=Action.LEGISLATION, clause=part, word=votes[0]), topics) if votes and topics else None


def _topic_words(article: Article, clauses: Iterable[Clause]) -> list[tuple[Clause, Annotation]]:
    return [(clause, note) for clause in clauses for note in topics_in(article, clause)]


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
        for topic in _choose_topics(acts[0], [(part, n) for n in topics_in(article, part)]):
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
        if act is not None and new and not held_back(rest):
            settled |= set(new)
            yield replace(act, topics=new)


_LAW_BEHIND = {
    Topic.PRIVACY: (frozenset({Topic.AI}), frozenset(Action)),
    Topic.AML: (
        frozenset({Topic.EXCHANGE, Topic.DEFI, Topic.PAYMENTS}),
        frozenset({Action.ENFORCEMENT, Action.COURT_RULING}),
    ),
}
"""Whose authority and law an act rests on that is told about something else: on which topics, by which acts."""


def resting_on_law(article: Article, acts: list[Act]) -> Iterator[Act]:
    """What is done to an AI because of the data that it takes, to an exchange because of whose money it washed."""
    settled = {topic for act in acts for topic in act.topics}
    for law, (topics, done) in _LAW_BEHIND.items():
        about = [act for act in acts if act.action in done and topics & set(act.topics)]
        words = [(c, n) for c, n in _topic_words(article, article.core[:3]) if n.concept.name == law]
        if about and words and law not in settled:
            yield replace(about[0], topics=(law,), topic_words=tuple(words))


def merged(acts: Iterable[Act]) -> list[Act]:
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
