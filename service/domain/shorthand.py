"""The shorthand that analysts write rules in: `China + (ban | restriction) -"advertising ban"` -> a syntax tree.

Never raises for what a person wrote, but says what is wrong with it and in which column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from service.domain.condition import AnyOf, Condition, Has, IsNew, Not, Unit, Within, both, with_narrower
from service.domain.forms import MIN_STEM
from service.domain.groups import Groups
from service.domain.model import Action, Concept, ConceptKind, Direction, Problem, Stage, Topic
from service.domain.words import Form, Literal, Phrase, Word, literal

MAX_CHARS = 2_000
MAX_TERMS = 200
MAX_DEPTH = 10
MAX_WORDS = 20


class Meanings(Protocol):
    """What a rule needs of the lexicon while it is read: what words mean, and which concepts there are."""

    def lookup(self, phrase: str) -> tuple[Concept, ...]: ...

    @property
    def names(self) -> Collection[Concept]: ...


class Vocabulary:
    """The lexicon and the groups as the rules of one document ask them: each question once."""

    def __init__(self, lexicon: Meanings, groups: Groups | None = None) -> None:
        self._lexicon = lexicon
        self._groups = groups or Groups()
        self._meanings: dict[str, tuple[Concept, ...]] = {}
        self._names: dict[ConceptKind, tuple[str, ...]] = {kind: tuple(names) for kind, names in _VOCABULARY.items()}
        self._names[ConceptKind.JURISDICTION] = tuple(
            sorted(concept.name for concept in lexicon.names if concept.kind is ConceptKind.JURISDICTION)
        )

    def lookup(self, phrase: str) -> tuple[Concept, ...]:
        """What a word or phrase means; the name of a group means each of its members."""
        if phrase not in self._meanings:
            members = self.members(phrase)
            meant = tuple(Concept(ConceptKind.JURISDICTION, code) for code in members)
            self._meanings[phrase] = meant or self._lexicon.lookup(phrase)
        return self._meanings[phrase]

    def members(self, name: str) -> tuple[str, ...]:
        """The codes of the group with this name; () when there is none."""
        group = self._groups.get(name)
        return group.members if group else ()

    def names(self, kind: ConceptKind) -> tuple[str, ...]:
        """The names that a concept of this kind may have: the vocabulary's, or the lexicon's for jurisdictions."""
        return self._names.get(kind, ())


# Signs as other keyboards write them; one letter each, so that columns stay true.
_SIGNS = str.maketrans("“”„«»＂（）＋｜－−", '""""""()+|--')
_TOKEN = re.compile(r'\s*(?:(?P<sign>[()+|])|(?P<quoted>"[^"]*"?)|(?P<word>[^\s()+|"]+))')
_FORCED = re.compile(r"(?P<kind>[A-Za-z]+):(?P<name>\S*)")
_OPERATORS = {"AND": "write + for and", "OR": "write | for or, in brackets", "NOT": "write -term for not"}
_FILLERS = frozenset({"a", "an", "the", "of", "on", "in", "for", "to", "by", "and", "with", "at", "from", "as", "is"})
_NEW = frozenset({
    "new", "nuevo", "nueva", "nuevos", "nuevas", "novo", "nova", "novos", "novas", "nouveau", "nouvelle", "nouveaux",
    "nouvelles", "nuovo", "nuova", "nuovi", "nuove", "neu", "neue", "neuer", "neues", "neuen", "новый", "новая",
    "новое", "новые", "новых", "yeni", "新", "新的", "新たな", "新しい", "새", "새로운", "신규",
})  # fmt: skip
_VOCABULARY: Mapping[ConceptKind, type[StrEnum]] = {
    ConceptKind.TOPIC: Topic,
    ConceptKind.ACTION: Action,
    ConceptKind.STAGE: Stage,
    ConceptKind.DIRECTION: Direction,
}
_NEW_STUCK = ("新たな", "新しい", "新的", "新")
_FORCIBLE = tuple(kind for kind in ConceptKind if kind is not ConceptKind.CUE)
# Written as names everywhere; other two-letter codes are also words (US, IT, IN, NO) and must be said plainly.
_NAMES_OF_TWO_LETTERS = frozenset({"EU", "UK", "UN"})


@dataclass(frozen=True, slots=True)
class _Token:
    sign: str  # one of ( ) + | - or "quoted", "word", "end"
    text: str
    column: int

    @property
    def opens_term(self) -> bool:
        return self.sign in ("(", "quoted", "word")


Window = tuple[Unit, int]
MAX_WINDOW = 1_000


def read_window(text: str) -> Window | None:
    """`sentence`, `paragraph` or `12 words` (what follows the first two does not matter); None for anything else."""
    first, _, rest = text.partition(" ")
    if first in (Unit.SENTENCE, Unit.PARAGRAPH):
        return Unit(first), 0
    counts = first.isascii() and first.isdecimal() and len(first) <= 4 and 2 <= int(first) <= MAX_WINDOW
    return (Unit.WORDS, int(first)) if counts and rest in ("words", "word") else None


class _Fault(Exception):
    """The shorthand cannot be read on from here."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


def read_shorthand(text: str, where: str, lexicon: Vocabulary) -> tuple[Condition | None, tuple[Problem, ...]]:
    """The condition that `text` stands for, or None and everything that is wrong with it."""
    if not text.strip():
        return None, (Problem(where=where, what="the match is empty", hint="write what to look for"),)
    if len(text) > MAX_CHARS:
        hint = "make several rules of it"
        return None, (Problem(where=where, what=f"the match is longer than {MAX_CHARS:,} characters", hint=hint),)
    if not is_text(text):
        return None, (Problem(where=where, what="the match holds characters that are no text", hint="type it again"),)
    reader = _Reader(text=text, where=where, lexicon=lexicon, tokens=tuple(_tokens(text.translate(_SIGNS))))
    try:
        condition = reader.whole()
    except _Fault as fault:
        return None, (*reader.problems, Problem(where=where, what=fault.what, hint=fault.hint))
    return (None if reader.problems else condition), tuple(reader.problems)


def is_text(text: str) -> bool:
    """Whether UTF-8 can hold it: half a surrogate pair is not text."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while match := _TOKEN.match(text, position):
        kind = str(match.lastgroup)
        start, value = match.start(kind), match.group(kind)
        position = match.end()
        if kind == "word" and value[0] == "-":  # give the rest of the word back: it may be a quote or a bracket
            position = start + 1
            yield _Token("-", "-", start + 1)
        else:
            yield _Token(value if kind == "sign" else kind, value, start + 1)
    yield _Token("end", "", len(text) + 1)


@dataclass(slots=True, kw_only=True)
class _Reader:
    """One pass over the tokens of one shorthand. Faults of a term are collected; a fault of structure ends it."""

    text: str
    where: str
    lexicon: Vocabulary
    tokens: tuple[_Token, ...]
    at: int = 0
    terms: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def complain(self, what: str, hint: str = "") -> None:
        self.problems.append(Problem(where=self.where, what=what, hint=hint))

    def whole(self) -> Condition | None:
        condition = self.group(depth=1)
        if self.next.sign == ")":
            raise _Fault(f"')' at column {self.next.column} closes nothing", "remove it or add the '('")
        return condition

    def group(self, depth: int) -> Condition | None:
        """Terms joined by + (or nothing) or by |, up to a closing bracket or the end."""
        if depth > MAX_DEPTH:
            raise _Fault(f"brackets are nested deeper than {MAX_DEPTH} levels", "make several rules of it")
        parts = [self.signed(depth)]
        joined = ""
        while self.next.sign in ("+", "|", "-") or (self.next.opens_term and not self.closeness_ahead()):
            token = self.next
            sign = self.take().sign if token.sign in ("+", "|") else "+"
            if joined and sign != joined:
                hint = "put the terms between | in brackets: a + (b | c)"
                raise _Fault(f"+ and | are mixed at column {token.column} without brackets", hint)
            joined = sign
            parts.append(self.signed(depth))
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        if joined == "|" and any(isinstance(part, Not) for part in found):
            raise _Fault("a minus cannot be one side of |", "write (a | b) -c")
        return self.close(AnyOf(tuple(found)) if joined == "|" else both(found))

    def closeness_ahead(self) -> Window | None:
        """The window that the next words name: `within sentence`, `within 12 words`."""
        if self.next.text != "within" or self.next.sign != "word":
            return None
        return read_window(" ".join(token.text for token in self.tokens[self.at + 1 : self.at + 3]))

    def close(self, group: Condition) -> Condition:
        """The group, held to the window that is named at its end, if any."""
        window = self.closeness_ahead()
        if window is None:
            return group
        column = self.take().column
        self.at += 2 if window[0] is Unit.WORDS else 1
        if self.next.sign not in (")", "end"):
            raise _Fault(f"'within' at column {column} is not at the end", "write (a + b) within sentence, in brackets")
        return Within(group, *window)

    def signed(self, depth: int) -> Condition | None:
        if self.next.sign != "-":
            return self.term(depth)
        minus = self.take()
        if self.next.column != minus.column + 1 or not self.next.opens_term:
            raise _Fault(f"the minus at column {minus.column} stands alone", "write it directly before a term: -term")
        part = self.term(depth)
        return None if part is None else Not(part)

    def term(self, depth: int) -> Condition | None:
        token = self.next
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise _Fault(f"the match has more than {MAX_TERMS} terms", "make several rules of it")
        match token.sign:
            case "(":
                return self.bracket(depth)
            case "quoted":
                return self.quoted()
            case "word":
                return self.forced() if self.is_forced(token) else self.words()
            case "end":
                raise _Fault("the match ends where a term should stand", f"add it after column {token.column - 1}")
            case _:
                raise _Fault(f"a term is missing before {token.text!r} at column {token.column}")

    def bracket(self, depth: int) -> Condition | None:
        opened = self.take()
        self.terms -= 1
        inner = self.group(depth + 1)
        if self.next.sign != ")":
            raise _Fault(f"'(' at column {opened.column} is not closed", "add the ')'")
        self.take()
        return inner

    def quoted(self) -> Condition | None:
        token = self.take()
        if len(token.text) < 2 or not token.text.endswith('"'):
            raise _Fault(f"the quote at column {token.column} is not closed", 'add the closing "')
        inner = self.text[token.column : token.column + len(token.text) - 2]
        return self.checked(literal(inner, shown=f'"{inner}"', exact=True), f'"{inner}"')

    def is_forced(self, token: _Token) -> bool:
        return _FORCED.fullmatch(token.text) is not None

    def forced(self) -> Condition | None:
        token = self.take()
        kind, _, name = token.text.partition(":")
        if kind not in _FORCIBLE:
            close = difflib.get_close_matches(kind, _FORCIBLE, n=1)
            hint = f"did you mean {close[0]}:{name}?" if close else f"one of {', '.join(_FORCIBLE)}; or use quotes"
            self.complain(f"unknown kind {kind!r} at column {token.column}", hint)
            return None
        concept = Concept(ConceptKind(kind), name)
        if name not in self.lexicon.names(concept.kind):
            hint = nearest(name, concept.kind, self.lexicon)
            self.complain(f"unknown {kind} {name!r} at column {token.column}", hint)
            return None
        return Has((concept,), token.text, exact=True)

    def words(self) -> Condition | None:
        taken = [self.take()]
        while self.next.sign == "word" and not self.is_forced(self.next) and not self.closeness_ahead():
            taken.append(self.take())
        written, column = [token.text for token in taken], taken[0].column
        shown = " ".join(written)
        if len(written) > MAX_WORDS:
            self.complain(f"{len(written)} words in a row at column {column}", "write + between the terms")
            return None
        if fault := _misread(written, self.lexicon):
            at, what, hint = fault
            self.complain(f"{what} at column {taken[at].column}", hint)
            return None
        if any(word.startswith("=") or "*" in word for word in written):
            return self.starred(taken, shown)
        return meaning(written, self.lexicon) or self.checked(literal(shown, shown=shown, exact=False), shown)

    def starred(self, taken: Sequence[_Token], shown: str) -> Condition | None:
        for word, column in ((token.text, token.column) for token in taken if "*" in token.text):
            if word.index("*") != len(word) - 1:
                self.complain(f"the * in {word!r} at column {column} is not at the end", "only word* is understood")
                return None
            if len(word) - 1 < MIN_STEM and word[:-1].isascii():
                hint = f"write at least {MIN_STEM} letters before the *"
                self.complain(f"{word!r} at column {column} matches nearly everything", hint)
                return None
        return self.checked(literal(shown, shown=shown, exact=False), shown)

    def checked(self, term: Literal | None, shown: str) -> Condition | None:
        if term is None:
            self.complain(f"there is nothing to look for in {shown}", "write words or a concept")
        elif isinstance(term, Phrase) and all(_is_small(word) for word in term.words):
            self.complain(f"{shown!r} is in every text", "write a word that says more")
        elif isinstance(term, Phrase) and len(term.words) > MAX_WORDS:
            self.complain(f"a phrase has more than {MAX_WORDS} words", "shorten it")
        else:
            return term
        return None


def _is_small(word: Word) -> bool:
    return word.form is not Form.CASE and word.key in _FILLERS


# --- what words mean ----------------------------------------------------------------------------------------------


def meaning(written: Sequence[str], lexicon: Vocabulary) -> Condition | None:
    """The concepts that words in a row stand for when the lexicon knows every one of them; None otherwise.

    "new" before a concept asks for a new measure: `new licensing regime`.
    """
    if not _begins_with_name(written, lexicon):
        rest = _without_new(written)
        if rest and (found := _concepts(rest, lexicon)):
            return both((IsNew(), *found))
    return both(found) if (found := _concepts(written, lexicon)) else None


def _begins_with_name(written: Sequence[str], lexicon: Vocabulary) -> bool:
    """New Delhi and 新加坡 are names of places, not new ones."""
    heads = (" ".join(written[:end]) for end in range(1, len(written) + 1))
    return any(concept.kind is ConceptKind.JURISDICTION for head in heads for concept in lexicon.lookup(head))


def _without_new(written: Sequence[str]) -> Sequence[str]:
    """The words after "new"; () when there is no such word."""
    if len(written) > 1 and written[0].casefold() in _NEW:
        return written[1:]
    for stuck in _NEW_STUCK:
        if written[0].startswith(stuck) and len(written[0]) > len(stuck):
            return (written[0].removeprefix(stuck), *written[1:])
    return ()


def _concepts(written: Sequence[str], lexicon: Vocabulary) -> tuple[Has, ...]:
    """Longest known phrases from the left, small words between them left out; () when a word is not known."""
    found: list[Has] = []
    at = 0
    while at < len(written):
        small = written[at].casefold() in _FILLERS
        for end in range(len(written), at + small, -1):
            shown = " ".join(written[at:end])
            if concepts := _known(shown, lexicon):
                found.append(Has(concepts, shown))
                at = end
                break
        else:
            if not small:
                return ()
            at += 1
    return tuple(found)


def _known(phrase: str, lexicon: Vocabulary) -> tuple[Concept, ...]:
    concepts = (concept for concept in lexicon.lookup(phrase) if concept.kind is not ConceptKind.CUE)
    if _is_code(phrase):
        concepts = (concept for concept in concepts if concept.kind is not ConceptKind.JURISDICTION)
    return with_narrower(concepts)


def _is_code(word: str) -> bool:
    return len(word) == 2 and word.isascii() and word.isalpha() and word.upper() not in _NAMES_OF_TWO_LETTERS


def _misread(written: Sequence[str], lexicon: Vocabulary) -> tuple[int, str, str] | None:
    """Which word an analyst may mean otherwise than the rule would read it, and how to write it."""
    for at, word in enumerate(written):
        if word in _OPERATORS:
            return at, f"{word!r} is read as a word", f"{_OPERATORS[word]}; use quotes for the word itself"
        if _is_code(word) and (len(written) == 1 or word.isupper()) and not _known(word, lexicon):
            hint = f"write jurisdiction:{word.upper()}, or the name, or quotes"
            if word.upper() in lexicon.names(ConceptKind.JURISDICTION):
                return at, f"{word!r} may be a word or a code", hint
    if "or" in written and _concepts([word for word in written if word != "or"], lexicon):
        return written.index("or"), "'or' is read as a word", _OPERATORS["OR"]
    return None


def _may_look_up(name: str) -> bool:
    return bool(name.strip()) and len(name) <= MAX_CHARS and is_text(name)


def nearest(name: str, kind: ConceptKind, lexicon: Vocabulary) -> str:
    """A hint for a concept name that does not exist: what was probably meant."""
    meant = [concept.name for concept in lexicon.lookup(name) if concept.kind is kind] if _may_look_up(name) else []
    known = lexicon.names(kind)
    if not meant and name.upper() in known:
        meant = [name.upper()]
    meant = meant or difflib.get_close_matches(name[:MAX_CHARS].casefold(), known, n=1)
    if meant:
        return f"did you mean {meant[0]}?"
    if kind is ConceptKind.JURISDICTION:
        return "an ISO 3166-1 code such as KZ, or HK, MO, EU, INTL"
    return f"one of {', '.join(known)}"
