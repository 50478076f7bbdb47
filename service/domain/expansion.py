"""What a rule looks for, spelled out: every concept with every phrase of every language, every literal with its forms.

Nothing that decides whether a rule fires is left out; nothing here judges an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.concepts import Lexicon
from service.domain.condition import NEW_STAGES, Has, IsNew, show, terms_of
from service.domain.model import Concept
from service.domain.rule import Rule
from service.domain.words import Phrase, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """One term of a rule. `phrases` are by concept and language; `note` says how a literal or a special term is met."""

    term: str
    excluded: bool
    concepts: Mapping[Concept, Mapping[str, tuple[str, ...]]]
    note: str = ""


def expand(rule: Rule, lexicon: Lexicon) -> tuple[Expansion, ...]:
    """Every term of the rule once: first those that it looks for, then those that it excludes."""
    found: dict[tuple[str, bool], Expansion] = {}
    for term, excluded in terms_of(rule.whole):
        made = _expansion(term, excluded, lexicon)
        found.setdefault((made.term, made.excluded), made)
    for phrase in rule.apart:
        note = "removes only the hits that it covers; " + _literal_note(phrase)
        found[phrase.shown, True] = Expansion(term=phrase.shown, excluded=True, concepts={}, note=note)
    return tuple(sorted(found.values(), key=lambda expansion: expansion.excluded))


def _expansion(term: Has | IsNew | Phrase | Run, excluded: bool, lexicon: Lexicon) -> Expansion:
    if isinstance(term, Has):
        concepts = {concept: _by_language(concept, lexicon) for concept in term.concepts}
        note = "this alone" if term.exact else ""
        return Expansion(term=term.shown, excluded=excluded, concepts=concepts, note=note)
    if isinstance(term, IsNew):
        note = f"the development is at one of the stages {', '.join(sorted(NEW_STAGES))}"
        return Expansion(term=term.shown, excluded=excluded, concepts={}, note=note)
    return Expansion(term=term.shown, excluded=excluded, concepts={}, note=_literal_note(term))


def _by_language(concept: Concept, lexicon: Lexicon) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for lang, phrase in lexicon.phrases(concept):
        found.setdefault(lang, []).append(phrase)
    return {lang: tuple(dict.fromkeys(phrases)) for lang, phrases in found.items()}


def _literal_note(literal: Phrase | Run) -> str:
    if isinstance(literal, Run):
        return "these characters anywhere"
    words = " ".join(_word_note(word.form, word.written) for word in literal.words)
    return f"words: {words}"


_FORMS = {"forms": "{} (and its forms)", "exact": "{}", "prefix": "{}…", "case": "{} (in this case)"}


def _word_note(form: str, written: str) -> str:
    return _FORMS[form].format(written)


def sentence(rule: Rule) -> str:
    """The rule as one line of shorthand, sets included."""
    apart = "".join(f" -{phrase.shown}" for phrase in rule.apart)
    return show(rule.whole) + apart
