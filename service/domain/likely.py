"""What is likely done where words say who acts and about what, but none that is listed says what they do.

Headlines word an act in ways that no list foresees. There a model may name it; it never speaks where words did, and
never decides alone. It does not supply topics: words for acts without one are mostly acts about something else, and it
took as many of those for ours as it found of ours.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace

from service.domain.article import Article, Clause, act_words, held_back, live, parts, topics_in
from service.domain.concepts import Annotation, Cue, Role
from service.domain.model import Action, Concept, ConceptKind
from service.domain.sense import Sense
from service.domain.text import fold

REPORTS, SURE = 0.98, 0.25
"""How likely it must be that the entry reports an act at all, and that it is this one."""

_LEAD = 2  # sentences of the lead that are weighed
_MOST = 600  # characters of each sentence

# --- features -----------------------------------------------------------------------------------------------------

_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")
_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+|[^\W\d_]+")


def features_of(article: Article) -> set[str]:
    """What is weighed of an article: words, their beginnings, neighbours, and concepts, in title and lead."""
    found = {f"language {article.lang[:2]}"}
    for clause in (*article.title, *article.lead[:_LEAD]):
        found.update(_words(clause))
        found.update(_concepts(clause))
    return found


def _words(clause: Clause) -> Iterator[str]:
    """Words by themselves and by their first letters, and neighbours; runs of letters where no blank parts words."""
    before = ""
    for match in _WORD.finditer(fold(clause.text[:_MOST]).text):
        word = match[0]
        if _UNSPACED.match(word):
            before = ""
            for length in (2, 3, 4):
                yield from (word[at : at + length] for at in range(len(word) - length + 1))
            continue
        yield word
        yield f"{word[:6]}*"
        yield f"{word[:4]}~"
        if before:
            yield f"{before} {word[:5]}"
        before = word[:5]


def _concepts(clause: Clause) -> Iterator[str]:
    """Concepts with their roles and where they stand, and which act, stage or direction follows on which."""
    for part in parts(clause):
        held = "held back " if held_back(part) else ""
        acts = []
        for note in part.notes:
            kind, name = note.concept
            shown = f"{kind} {'' if kind is ConceptKind.JURISDICTION else name}"
            yield f"{held}{shown}"
            yield f"{held}{clause.zone} {shown} {note.role}"
            if kind in (ConceptKind.ACTION, ConceptKind.STAGE, ConceptKind.DIRECTION):
                acts.append(name)
        yield from (f"{first} > {then}" for first, then in itertools.pairwise(acts))


# --- evidence ---------------------------------------------------------------------------------------------------------


def with_likely_act(article: Article, sense: Sense) -> Article | None:
    """The article with the act that it is likely to tell; None where words tell one, or nothing is likely enough."""
    near = live(article, article.core[: 1 + _LEAD])
    topics = [part for part in near if topics_in(article, part)]
    if not topics or any(act_words(part) or part.cues(*_NOTHING_DONE) for part in near):
        return None
    likely = sense.weigh(features_of(article))
    action = max(likely.actions, key=likely.actions.__getitem__, default=Action.OTHER)
    if likely.report < REPORTS or likely.actions[action] < SURE:
        return None
    return _with(article, topics[0], Concept(ConceptKind.ACTION, action))


_NOTHING_DONE = (Cue.DENIAL, Cue.MARKET, Cue.COMPANY)


def _with(article: Article, part: Clause, concept: Concept) -> Article:
    """The article with `concept` told by all of a clause, as no single word of it is known, but for who acts there."""
    named = part.of(ConceptKind.JURISDICTION)
    start = named[0].end if named and named[0].end < part.end else part.start
    note = Annotation(concept, start, part.end, Role.STRONG)

    def told(clause: Clause) -> Clause:
        if (clause.field, clause.sentence) != (part.field, part.sentence):
            return clause
        return replace(clause, notes=tuple(sorted((*clause.notes, note), key=lambda one: one.start)))

    return replace(article, title=tuple(map(told, article.title)), lead=tuple(map(told, article.lead)))
