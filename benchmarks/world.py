"""A made-up world to measure matching on: articles, a lexicon, rules, all from one seed; nothing is read or fetched.

Five scripts; words of natural length and frequency; phrases of one to three words, some of which begin with another;
some 25 concepts an article; rules that few articles meet. The names of countries that the lexicon adds by itself count
as phrases but occur in no article, so that a plain evaluation need not know how names decline.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from babel import Locale

from service.domain.concepts import ANY, Lexicon
from service.domain.document import Node
from service.domain.model import Action, Concept, ConceptKind, Entry, Topic

SEED = 20
ARTICLE_BYTES = 4_100
PHRASES = 15_000
"""Made-up ones; with the names of countries the lexicon holds some 20,000."""

CURLY = ("{}", "{}", "“{}”", "({})", "{}’s", "{} –", "{}:")
STRAIGHT = ("{}", "{}", '"{}"', "({})", "{}'s", "{} -", "{}:")
"""What stands around one word of a sentence, by house style."""


@dataclass(frozen=True, slots=True)
class Script:
    """One way of writing: the language it is read as, what its words are made of, how much of the news is in it."""

    lang: str
    syllables: tuple[str, ...]
    share: int
    vocabulary: int
    bytes: float = 1.1
    styles: tuple[tuple[str, ...], ...] = (CURLY, STRAIGHT)
    blank: str = " "
    sizes: tuple[int, int, int, int] = (2, 40, 40, 18)  # how many words in a hundred have 1, 2, 3, 4 syllables
    one_word: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule as plain sets: of each of `all` one concept must be there, of `none` no concept may."""

    id: str
    all: tuple[tuple[Concept, ...], ...]
    none: tuple[Concept, ...]

    def shorthand(self) -> str:
        """As an analyst would write it."""
        parts = [str(among[0]) if len(among) == 1 else f"({' | '.join(map(str, among))})" for among in self.all]
        return " + ".join(parts) + "".join(f" -{concept}" for concept in self.none)


@dataclass(frozen=True, slots=True)
class World:
    """`phrases` holds what was made up for each concept: without the names of countries that `lexicon` has besides."""

    phrases: dict[Concept, tuple[str, ...]]
    lexicon: Lexicon
    articles: tuple[Entry, ...]


def make_world(articles: int, seed: int = SEED) -> World:
    chance = random.Random(seed)
    scripts = _scripts()
    words = {script.lang: _vocabulary(script, chance) for script in scripts}
    phrases = _phrases(scripts, words, chance)
    order = _by_popularity(seed)
    popular = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(order))))
    made = []
    for number in range(articles):
        script = chance.choices(scripts, [s.share for s in scripts])[0]
        picked = dict.fromkeys(chance.choices(order, cum_weights=popular, k=chance.randint(18, 36)))
        terms = [_term(phrases[concept], script.lang, chance) for concept in picked]
        made.append(_article(number, script, terms, words[script.lang], chance))
    plain = {concept: tuple(term for _, term in found) for concept, found in phrases.items()}
    return World(plain, _lexicon(plain), tuple(made))


def make_rules(count: int, seed: int = SEED) -> tuple[Wanted, ...]:
    """All of two to four concepts, at times with alternatives for one of them, at times with one that must not be.

    What every other article names is asked for less often: nobody wants that alert.
    """
    chance = random.Random(seed + count)
    known = _by_popularity(seed)
    weights = list(itertools.accumulate((rank + 5) ** 0.8 for rank in range(len(known))))
    rules = []
    for number in range(count):
        size = chance.choices((2, 3, 4), (8, 40, 52))[0]
        picked = _different(known, weights, size + 2, chance)
        among: list[tuple[Concept, ...]] = [(concept,) for concept in picked[:size]]
        if chance.random() < 0.2:
            among[0] = (picked[0], picked[size])
        none = (picked[size + 1],) if chance.random() < 0.25 else ()
        rules.append(Wanted(f"r{number}", tuple(among), none))
    return tuple(rules)


def _different(known: Sequence[Concept], weights: list[float], count: int, chance: random.Random) -> list[Concept]:
    found: dict[Concept, None] = {}
    while len(found) < count:
        found.update(dict.fromkeys(chance.choices(known, cum_weights=weights, k=count)))
    return list(found)[:count]


def _by_popularity(seed: int) -> list[Concept]:
    known = _concepts()
    random.Random(seed).shuffle(known)
    return known


def _concepts() -> list[Concept]:
    """What a rule may ask for by mention alone."""
    names = [c for c in Lexicon.build([]).names if c.kind is ConceptKind.JURISDICTION]
    names += [Concept(ConceptKind.TOPIC, str(topic)) for topic in Topic]
    return names + [Concept(ConceptKind.ACTION, str(action)) for action in Action]


# --- words and phrases --------------------------------------------------------------------------------------------


def _scripts() -> tuple[Script, ...]:
    onsets = "b c d f g h l m n p r s t v br cr dr gr pl pr sc sp st tr ch th qu"
    latin = _joined(onsets, "a e i o u ai ea ou an en in on er or al es ti")
    accented = _joined(onsets, "a e i o é è ü ö ä ñe ção ł ż ą ê â í ó an en er")
    cyrillic = _joined("б в г д ж з к л м н п р с т ф х ц ч ш пр ст", "а е и о у ы я ов ен ит")
    named = {letter for lang in ("zh-Hans", "zh-Hant", "ja", "ko") for name in _countries(lang) for letter in name}
    han = tuple(letter for letter in map(chr, range(0x4E00, 0x7E00, 6)) if letter not in named)
    hangul = tuple(letter for letter in map(chr, range(0xAC00, 0xD7A3, 17)) if letter not in named)
    short = (0, 70, 20, 10)
    return (
        Script("en", latin, 55, 24_000),
        Script("fr", accented, 20, 12_000, 1.25),
        Script("ru", cyrillic, 10, 8_000, 1.9),
        Script("zh-Hans", han, 10, 8_000, 3, (("{}", "“{}”", "（{}）", "《{}》"),), "", short, one_word=True),
        Script("ko", hangul, 5, 6_000, 2.6, (("{}", "‘{}’", "({})"),), " ", short, one_word=True),
    )


def _joined(heads: str, tails: str) -> tuple[str, ...]:
    return tuple(head + tail for head in heads.split() for tail in tails.split())


def _countries(lang: str) -> Iterator[str]:
    yield from Locale.parse(lang.replace("-", "_")).territories.values()


def _vocabulary(script: Script, chance: random.Random) -> list[str]:
    """Words, the commonest first and shorter; none begins like the name of a country."""
    taken = {word[:4] for lang in (script.lang, "en") for name in _countries(lang) for word in name.casefold().split()}
    found: dict[str, None] = {}
    while len(found) < script.vocabulary:
        sizes = (60, 40, 0, 0) if len(found) < 150 and script.blank and not script.one_word else script.sizes
        word = "".join(chance.choices(script.syllables, k=chance.choices((1, 2, 3, 4), sizes)[0]))
        if word[:4] not in taken:
            found[word] = None
    return list(found)


def _phrases(
    scripts: Sequence[Script], words: dict[str, list[str]], chance: random.Random
) -> dict[Concept, list[tuple[str, str]]]:
    """For each concept some fifty phrases as (language, phrase); none means two concepts of one kind."""
    known = _concepts()
    phrases: dict[Concept, list[tuple[str, str]]] = {concept: [] for concept in known}
    shorter: dict[tuple[ConceptKind, str], list[str]] = {}
    seen: set[tuple[ConceptKind, str]] = set()
    while len(seen) < PHRASES:
        concept = chance.choice(known)
        script = chance.choices(scripts, [s.share for s in scripts])[0]
        pool = words[script.lang]
        more = 0 if script.one_word else chance.choices((0, 1, 2), (35, 40, 25))[0]
        term = script.blank.join(
            [chance.choice(pool[len(pool) // 3 :]), *(chance.choice(pool[300:]) for _ in range(more))]
        )
        older = shorter.setdefault((concept.kind, script.lang), [])
        if older and chance.random() < 0.06:  # as "stablecoin issuer" begins with "stablecoin"
            term = script.blank.join([chance.choice(older), chance.choice(pool[300:])])
        if concept.kind is ConceptKind.JURISDICTION:
            term = term.title()
        if (concept.kind, term) not in seen:
            seen.add((concept.kind, term))
            older.append(term)
            phrases[concept].append((script.lang, term))
    return phrases


def _term(phrases: list[tuple[str, str]], lang: str, chance: random.Random) -> str:
    """One of the phrases in the language, if there is one; in one of ten cases as a careless hand writes it."""
    term = chance.choice([term for spoken, term in phrases if spoken == lang] or [term for _, term in phrases])
    return term.lower() if chance.random() < 0.1 else term


def _lexicon(phrases: dict[Concept, tuple[str, ...]]) -> Lexicon:
    """Built as from files; each phrase holds in every language, since engines compared with know no languages."""
    sections: dict[str, dict[str, Node]] = {}
    for concept, found in phrases.items():
        listed = Node(tuple(Node(term, "world:1") for term in found), "world:1")
        sections.setdefault(f"{concept.kind}s", {})[concept.name] = Node({ANY: listed}, "world:1")
    document = {name: Node(nodes, "world:1") for name, nodes in sections.items()}
    return Lexicon.build([Node(document, "world:1")])


# --- articles -----------------------------------------------------------------------------------------------------


def _article(number: int, script: Script, terms: list[str], words: list[str], chance: random.Random) -> Entry:
    """Sentences of common and rare words, with the terms strewn in."""
    size = int(ARTICLE_BYTES / script.bytes)
    letters = 2.4 if script.one_word else 6.8
    strewn = chance.choices(words, cum_weights=_frequencies(len(words)), k=int(size / (letters + len(script.blank))))
    for term in terms:
        strewn.insert(chance.randrange(len(strewn)), term)
    return Entry(id=f"a{number}", title="", content=_text(strewn, script, chance), lang=script.lang)


def _text(words: list[str], script: Script, chance: random.Random) -> str:
    """The words as sentences and paragraphs, with the marks that newsrooms use."""
    comma, stop = ("，", "。") if not script.blank else (", ", ". ")
    marks = chance.choice(script.styles)
    sentences = []
    at = 0
    while at < len(words):
        sentence = words[at : at + chance.randint(8, 25)]
        at += len(sentence)
        cut = chance.randrange(len(sentence))
        sentence[cut] = chance.choice(marks).format(sentence[cut])
        joined = comma.join(script.blank.join(part) for part in (sentence[: cut + 1], sentence[cut + 1 :]) if part)
        sentences.append(joined[:1].upper() + joined[1:] + (stop if chance.random() < 0.8 else stop.strip() + "\n\n"))
    return "".join(sentences)


@lru_cache
def _frequencies(words: int) -> tuple[float, ...]:
    return tuple(itertools.accumulate(1 / (rank + 3) for rank in range(words)))
