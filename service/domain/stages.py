"""How far along an act is, and which way it goes."""

from __future__ import annotations

from service.domain.acts import Act
from service.domain.article import Article, Clause, parts, stage_words
from service.domain.concepts import Annotation, Role
from service.domain.model import Action, Concept, ConceptKind, Direction, Stage, Topic
from service.domain.text import Zone

STAGE_WEIGHT = (
    Stage.RUMOURED, Stage.CONSULTATION, Stage.PASSED, Stage.ENACTED, Stage.IN_FORCE, Stage.REAFFIRMED, Stage.PROPOSED,
    Stage.CONSIDERING, Stage.WITHDRAWN, Stage.ENFORCED, Stage.NOT_APPLICABLE,
)  # fmt: skip
"""Which of several stages named in one sentence is the news."""

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

_FIXED_BY_TOPIC = {
    # A state's own money permits and forbids nothing.
    (Action.ADOPTION, Topic.CBDC): Direction.NEUTRAL,
    (Action.SANDBOX, Topic.CBDC): Direction.NEUTRAL,
    (Action.ADVISORY, Topic.CBDC): Direction.NEUTRAL,
    # What is put off on these is a duty or a levy, and not a day on which something would be allowed.
    **{
        (Action.DELAY, topic): Direction.EASING
        for topic in (Topic.TAX, Topic.BANKING, Topic.PRIVACY, Topic.AI, Topic.AML, Topic.PAYMENTS)
    },
}
"""Where the topic decides otherwise than FIXED_DIRECTION."""

VERB_LAST = frozenset({"ko", "ja", "tr", "hi"})


def stage_of(article: Article, act: Act) -> tuple[Stage, Clause | None, Annotation | None]:
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
        if foretold or (clauses[:1] and clauses[0].zone is Zone.LEAD and act.clause.zone is Zone.TITLE):
            found = [
                (c, n) for c, n in found
                if n.concept.name in _SETTLED or (not foretold and _speaks_of(act, c, n))
            ]  # fmt: skip
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


def _speaks_of(act: Act, clause: Clause, stage: Annotation) -> bool:
    """Whether the part of the sentence in which a stage is named tells of the act, or of what it is about."""
    part = next(p for p in parts(clause) if p.start <= stage.start < p.end)
    return any(n.concept == act.word.concept or n.concept.name in act.topics for n in part.notes)


def _weighed(article: Article, act: Act) -> tuple[Stage, Clause, Annotation] | None:
    """Whether an act that mostly is done when it is told is only weighed: "considers fines", "허용 검토"."""
    for clause, note in stage_words(act.clause, Stage.CONSIDERING):
        if (note.start > act.word.start) is (article.lang in VERB_LAST):
            return Stage.CONSIDERING, clause, note
    return None


def _hearsay(article: Article, act: Act) -> tuple[Clause, Annotation] | None:
    """Where the act is laid to sources without a name: in its own sentence, or where the lead tells it again."""
    own = (act.clause.field, act.clause.sentence)
    told = [next((c for c in article.core if (c.field, c.sentence) == own), act.clause)]
    told += [c for c in article.lead[:1] if any(n.concept == act.word.concept for n in c.of(ConceptKind.ACTION))]
    return next((words[0] for c in told if (words := stage_words(c, Stage.RUMOURED))), None)


def _governing(article: Article, act: Act, found: list[tuple[Clause, Annotation]]) -> tuple[Clause, Annotation]:
    """Of several stages named, the one that is said of the act.

    "Restates that it is illegal and promises more": what stands before the act governs it. Where the verb comes last
    ("금지 방침 재확인") it is the last word after the act.
    """
    found = [(c, n) for c, n in found if n.role is not Role.WEAK] or found
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


def direction_of(article: Article, act: Act, topic: Topic, stage: Stage) -> Direction:
    """Which way the act goes for those it meets, by the labelling guide of the corpus.

    Tightening is a new duty or prohibition, easing is what becomes permitted, cheaper or is dropped, neutral a frame
    for what was lawful already or a step of procedure. So:

    - bans, restrictions, enforcement, sanctions and warnings tighten; easings, approvals, sandboxes, adoption and
      advice (a state makes room for something) ease, save for a state's own money, which is neutral; delays and
      statistics are neutral, save for a delay of a duty or a levy, which eases. A measure that is withdrawn goes the
      other way, save for an easing or a delay.
    - a law on crypto at large is a frame, and tightens only where title or lead tell of a ban.
    - a tax tightens unless title or lead tell of relief.
    - legislation, licensing, consultation, guidance and rulings go the way that their words go: those of the clause,
      else of the title, else of title and lead. Words for a licence, a vote or a nod count for nothing here.
    - a law or a licence without such words tightens on topics where it lies in duties of firms; all else is neutral.
    """
    fixed = _FIXED_BY_TOPIC.get((act.action, topic), FIXED_DIRECTION.get(act.action))
    if fixed is not None:
        # "scraps bitcoin as legal tender"
        undone = stage is Stage.WITHDRAWN and act.action not in (Action.EASING, Action.DELAY)
        return _REVERSE.get(fixed, fixed) if undone else fixed
    if act.action is Action.LEGISLATION and act.word.concept.name == Action.ENFORCEMENT:
        return Direction.TIGHTENING
    if act.action is Action.LEGISLATION and topic is Topic.CRYPTO_GENERAL:
        forbids = any(n.concept.name == Action.BAN for c in article.core for n in c.of(ConceptKind.ACTION))
        return Direction.TIGHTENING if forbids and stage is not Stage.WITHDRAWN else Direction.NEUTRAL
    if act.action is Action.TAX_CHANGE or (act.action is Action.LEGISLATION and topic is Topic.TAX):
        eased = any(n.concept.name == Direction.EASING for c in article.core for n in c.of(ConceptKind.DIRECTION))
        return Direction.EASING if eased else Direction.TIGHTENING
    for clauses in ((act.clause,), article.title, article.core):
        weight = sum(_WAY.get(n.concept, 0) for c in clauses for n in c.notes if not _is_licence(act, c, n))
        if weight:
            return Direction.TIGHTENING if weight > 0 else Direction.EASING
    if act.action in (Action.LEGISLATION, Action.LICENSING) and topic in _BINDS_FIRMS and stage is not Stage.WITHDRAWN:
        return Direction.TIGHTENING
    return Direction.NEUTRAL


_BINDS_FIRMS = frozenset({Topic.CUSTODY, Topic.EXCHANGE, Topic.AML, Topic.TOKEN_OFFERING})
"""What a law or a licence on these says lies in duties of those who do it, unless the text says otherwise."""


def _is_licence(act: Act, clause: Clause, note: Annotation) -> bool:
    """Whether this only says once more that a licence is what it is about, not that one is easier to have."""
    return act.action is Action.LICENSING and any(
        note.start < word.end and word.start < note.end
        for word in clause.of(ConceptKind.ACTION)
        if word.concept.name == Action.LICENSING
    )


_REVERSE = {Direction.TIGHTENING: Direction.EASING, Direction.EASING: Direction.TIGHTENING}
_WAY = {
    Concept(ConceptKind.DIRECTION, Direction.TIGHTENING): 1,
    Concept(ConceptKind.DIRECTION, Direction.EASING): -1,
    Concept(ConceptKind.ACTION, Action.BAN): 1,
    Concept(ConceptKind.ACTION, Action.RESTRICTION): 1,
    Concept(ConceptKind.ACTION, Action.EASING): -1,
}
"""What says which way a law, a licence or a tax goes: outright, or by what it does ("a law with trading bans")."""
