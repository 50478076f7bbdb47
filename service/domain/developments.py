"""Entry -> developments: which policy acts it reports as news, by whom, about what, how far along, which way.

Pure and deterministic. Words live in the lexicon; here is only how a report is read, in small steps: segments ->
annotations -> clauses (article) -> acts -> actors, stages and directions. Title and lead decide what is news; the body
only helps to tell who acts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from service.domain.actors import Actor, actor_of
from service.domain.acts import Act, acts_of, merged, resting_on_law
from service.domain.article import Article, Clause, article_of, is_no_report, live
from service.domain.concepts import Annotation, Lexicon, Role
from service.domain.likely import with_likely_act
from service.domain.model import Action, ConceptKind, Development, Entry, Evidence, Reading, Stage, Topic
from service.domain.stages import direction_of, stage_of
from service.domain.text import Zone, detect_language


def read(entry: Entry, lexicon: Lexicon, *, jurisdiction: str | None = None) -> Reading:
    """The developments that `entry` reports as news, each with the words it was read from.

    `jurisdiction` is the home of the entry's feed: it settles whose "central bank" is meant where the text leaves it
    open. Fields hold plain text; evidence spans are of these fields as given. The language is detected if absent.
    """
    lang = detect_language(f"{entry.title}\n{entry.summary}\n{entry.content[:600]}", entry.lang)
    article = article_of(entry, lexicon, lang, jurisdiction)
    developments = _reported(article)
    if not developments and (supplied := with_likely_act(article, lexicon.sense)) is not None:
        developments = tuple(replace(one, is_likely=True) for one in _reported(supplied))
    return Reading(lang=lang, developments=developments)


def _reported(article: Article) -> tuple[Development, ...]:
    if is_no_report(article):
        return ()
    acts = acts_of(article)
    acts = merged((*(_as_law(article, act, acts) for act in acts), *resting_on_law(article, acts)))
    return _developments(article, acts)


_MADE = (Stage.PROPOSED, Stage.PASSED, Stage.ENACTED)


def _as_law(article: Article, act: Act, acts: Sequence[Act]) -> Act:
    """A bill on licences, taxes, limits or penalties is legislation while it is made, unless it is told beside it.

    Once it is in force, the licences that it asks for are what it does.
    """
    if _is_law(article, act, acts):
        return replace(act, action=Action.LEGISLATION)
    return replace(act, action=Action.LICENSING) if _brings_licences(article, act) else act


def _is_law(article: Article, act: Act, acts: Sequence[Act]) -> bool:
    if act.action is Action.RESTRICTION:
        return _names_law(article.title) and stage_of(article, act)[0] in _MADE
    laws = [other for other in acts if other.action is Action.LEGISLATION]
    if laws and not any(set(law.topics) & set(act.topics) for law in laws):
        return False
    match act.action:
        case Action.ENFORCEMENT:
            return _is_penalty_of_law(article)
        case Action.APPROVAL:  # a nod that a law gets, and no applicant
            return _names_law((act.clause,))
        case Action.EASING:
            return stage_of(article, act)[0] is Stage.PASSED
        case Action.TAX_CHANGE:  # a law that the title names; a vote on a tax alone changes the tax
            return _names_law(article.title) and stage_of(article, act)[0] is Stage.PASSED
        case Action.LICENSING:
            stage = stage_of(article, act)[0]
            return stage is Stage.PASSED or (
                stage is Stage.PROPOSED and _names_law((*article.title, *article.lead[:1]))
            )
    return False


def _brings_licences(article: Article, act: Act) -> bool:
    """Whether a law that applies is told by the licences that it asks for: "MiCA in force: no tokens without one"."""
    if act.action is not Action.LEGISLATION or stage_of(article, act)[0] is not Stage.IN_FORCE:
        return False
    told = live(article, (*article.title, *article.lead[:1]))
    return any(n.concept.name == Action.LICENSING and n.role is Role.STRONG for c in told for n in c.notes)


def _names_law(clauses: Iterable[Clause]) -> bool:
    return any(n.concept.name == Action.LEGISLATION for c in clauses for n in c.of(ConceptKind.ACTION))


def _is_penalty_of_law(article: Article) -> bool:
    """Whether the lead opens with a law being made: "prison for" those who break it is threatened, not given."""
    for part in live(article, article.lead[:1]):
        outright = {n.concept.name for n in part.notes if n.role is not Role.WEAK}
        if Action.LEGISLATION in outright and outright & {Stage.PROPOSED, Stage.PASSED, Stage.ENACTED, Stage.IN_FORCE}:
            return True
    return False


def _developments(article: Article, acts: Iterable[Act]) -> tuple[Development, ...]:
    found: dict[tuple[str, Topic], Development] = {}
    for act in acts:
        actor = actor_of(article, act)
        if actor is None:
            continue
        if act.action is Action.EASING and act.topics == (Topic.TAX,):
            act = replace(act, action=Action.TAX_CHANGE)
        for topic in act.topics:
            for party in (actor, *_targets(act, actor)):
                found.setdefault((party.name, topic), _development(article, act, party, topic))
    return tuple(found.values())


_OF_THAT_COUNTRY = re.compile(
    r"['’]s\s|\s(?:\w+\s){0,2}(?:firms?|banks?|compan(?:y|ies)|airlines?|shippers?|refiner(?:y|ies|s)?|exchanges?"
    r"|oligarchs?|officials?|individuals?|ministers?|judges?|traders?|networks?)\b"
)
"""What follows a country's name where one of its firms or people is meant: "sanctions on Belarus potash firm"."""


def _targets(act: Act, actor: Actor) -> Iterator[Actor]:
    """The country that sanctions are laid on or lifted from, named beside the word for them, not as a firm's home."""
    lifted = act.action is Action.EASING and Topic.SANCTIONS_GENERAL in act.topics
    if act.action is not Action.SANCTION and not lifted:
        return
    words = [n for _, n in act.topic_words if n.concept.name == Topic.SANCTIONS_GENERAL] if lifted else [act.word]
    for note in act.clause.of(ConceptKind.JURISDICTION):
        if (
            _OF_THAT_COUNTRY.match(act.clause.text, note.end - act.clause.start)
            or note.role is not Role.NAME
            or note.concept.name == actor.name
        ):
            continue
        after = any(0 <= note.start - word.end <= 12 for word in words)
        if after or (lifted and any(word.start <= note.start < word.end for word in words)):  # "lifts Syria sanctions"
            yield Actor(name=note.concept.name, clause=act.clause, word=note)
            return


def _development(article: Article, act: Act, actor: Actor, topic: Topic) -> Development:
    stage, stage_clause, stage_word = stage_of(article, act)
    words = [
        (actor.clause, actor.word), (act.clause, act.word), (stage_clause, stage_word),
        *((c, n) for c, n in act.topic_words if n.concept.name == topic),
        *_content_of_law(article, act),
    ]  # fmt: skip
    return Development(
        jurisdiction=actor.name,
        topic=topic,
        action=act.action,
        direction=direction_of(article, act, topic, stage),
        stage=stage,
        evidence=tuple(dict.fromkeys(_evidence(article.entry, c, n) for c, n in words if c and n)),
        quotes=tuple(_quote(article.entry, c) for c in (act.clause, *_confirming(article, act, topic))),
    )


def _content_of_law(article: Article, act: Act) -> Iterator[tuple[Clause, Annotation]]:
    """What the lead says that a law named in the title does: "the law creates a licensing regime"."""
    if act.action is not Action.LEGISLATION or act.clause.zone is not Zone.TITLE:
        return
    for part in live(article, article.lead):
        words = part.of(ConceptKind.ACTION)
        if any(n.concept.name == Action.LEGISLATION for n in words):
            yield from ((part, n) for n in words if n.role is Role.STRONG)


def _confirming(article: Article, act: Act, topic: Topic) -> Iterator[Clause]:
    """The first sentence of the lead that tells more of what the title said: the same act, or its topic."""
    if act.clause.zone is not Zone.TITLE:
        return
    lead = live(article, article.lead)
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
