"""Who acts: the jurisdiction that a development belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.acts import Act
from service.domain.article import Article, Clause
from service.domain.concepts import Annotation, Cue, Role
from service.domain.model import Action, ConceptKind
from service.domain.text import Zone

HOME = {
    "ko": "KR", "ja": "JP", "tr": "TR", "vi": "VN", "th": "TH", "id": "ID", "hi": "IN", "uk": "UA", "pl": "PL",
    "it": "IT",
}  # fmt: skip
"""Where a language is at home in one country: whose authorities an article means that names no country."""

OWNER_LAST = frozenset({"pl", "ru", "th", "uk"})
"""Languages in which the country follows its body with nothing between: "KNF Litwy", "ก.ล.ต.กัมพูชา"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The jurisdiction that acts, and the words that name it (none where the feed or the language tells it)."""

    name: str
    clause: Clause | None = None
    word: Annotation | None = None


def actor_of(article: Article, act: Act) -> Actor | None:
    """Who acts: named in the title, else in the lead, else by a body in the text, the feed, the language."""
    own = () if act.clause.zone is Zone.TITLE else (act.clause,)
    for clauses in (*_told_later(article, act), article.title, own, article.lead):
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


def _told_later(article: Article, act: Act) -> tuple[tuple[Clause, ...], ...]:
    """The lead's first sentence, where a title tells a penalty without who gave it: "fined over data sent to China"."""
    if act.action is not Action.ENFORCEMENT or act.clause.zone is not Zone.TITLE:
        return ()
    first = article.lead[:1]
    named = [n for c in article.title for n in c.of(ConceptKind.JURISDICTION)]
    speaks = any(_speaks_for_a_state(c) for c in first)
    return (first,) if speaks and all(n.role is Role.NAME and n.start > act.word.start for n in named) else ()


def _speaks_for_a_state(clause: Clause) -> bool:
    """Whether a body speaks here, by its name or as its country's: "the Irish regulator"."""
    notes = clause.of(ConceptKind.JURISDICTION)
    authority = {n.start for n in clause.cues(Cue.AUTHORITY)}
    return any(n.role is Role.BODY or {n.end + 1, n.end + 3} & authority for n in notes)


def _subject(article: Article, act: Act, named: list[tuple[Clause, Annotation]]) -> Actor | None:
    """Of the jurisdictions named, the one nearest before the act, or else the first after it."""
    named = _without_foreign_bodies(named, article.lang)
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


def _without_foreign_bodies(named: list[tuple[Clause, Annotation]], lang: str) -> list[tuple[Clause, Annotation]]:
    """Without bodies whose owner stands beside them: "Nigeria's SEC", "SEC Abuja" is not the American one."""
    kept: list[tuple[Clause, Annotation]] = []
    for at, (clause, note) in enumerate(named):
        beside = [other for c, other in (*named[at - 1 : at], *named[at + 1 : at + 2]) if c is clause]
        if note.role not in (Role.BODY, Role.OWN) or not any(_owns(other, note, lang) for other in beside):
            kept.append((clause, note))
    return kept


def _owns(owner: Annotation, body: Annotation, lang: str) -> bool:
    """Whether a country named right before a body, or its capital right after, is another one than the body's.

    In some languages (OWNER_LAST) the country stands right after.
    """
    if owner.concept == body.concept:
        return owner.role in (Role.NAME, Role.PEOPLE) and 0 <= body.start - owner.end <= 3
    if owner.start < body.start:
        return owner.role in (Role.NAME, Role.PEOPLE) and body.start - owner.end <= 3
    gap = owner.start - body.end
    if owner.role is Role.NAME and lang in OWNER_LAST:
        return 0 <= gap <= 1
    return owner.role is Role.CAPITAL and gap == 1
