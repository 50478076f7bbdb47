"""The lexicon: what its documents may hold, what words mean, what is found in a text, traps."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.documents import parse_yaml
from service.domain.concepts import Lexicon, Role
from service.domain.model import Action, Concept, ConceptKind, Direction, Invalid, Stage, Topic
from service.domain.text import LANGUAGES
from tests.domain.lexicon import shipped
from tests.domain.test_text import ANY_TEXT, PIECES


def build(text):
    return Lexicon.build([parse_yaml(text.encode(), shown="mine.yaml")])


def found(text, lang="en", lexicon=None):
    return [(str(n.concept), text[n.start : n.end]) for n in (lexicon or shipped()).annotate(text, lang)]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("topics: {stablecoin: {xx: [a]}}", "mine.yaml:1", "unknown key 'xx'"),
        ("topics:\n  stablecion: {en: [a]}", "mine.yaml:2", "unknown key 'stablecion'"),
        ("jurisdictions:\n  ZQ: {en: {names: [a]}}", "mine.yaml:2", "unknown key 'ZQ'"),
        ("actions:\n  ban:\n    en: [ban,\n      Ban]\n    ru: [ban, ban]", "mine.yaml:5", "'ban' is given twice"),
        ("actions:\n  ban:\n    en: prohibits", "mine.yaml:3", "should be a list of phrases"),
        ("actions:\n  ban:\n    en: {phrase: [a]}", "mine.yaml:3", "unknown key 'phrase'"),
        ("actions:\n  ban:\n    en: [5]", "mine.yaml:3", "should be a phrase"),
        ("actions:\n  ban:\n    en: ['...']", "mine.yaml:3", "should be a phrase"),
        ("actions:\n  ban:\n    en: [a *b]", "mine.yaml:3", "cannot read"),
        ("verbs: {}", "mine.yaml:1", "unknown key 'verbs'"),
        ("- a", "mine.yaml:1", "should be a mapping"),
    ],
)
def test_faults_are_named_with_file_and_line(text, where, what):
    with pytest.raises(Invalid) as caught:
        build(text)
    assert [p.where for p in caught.value.problems] == [where]
    assert what in caught.value.problems[0].what


def test_all_faults_are_named_at_once():
    with pytest.raises(Invalid) as caught:
        build("topics: {x: {en: [a]}, tax: {en: 3}}\nactions: {ban: {qq: [a]}}")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("phrase", "concepts"),
    [
        ("China", ["jurisdiction:CN"]),
        ("china", ["jurisdiction:CN"]),
        ("中国", ["jurisdiction:CN"]),
        ("Казахстан", ["jurisdiction:KZ"]),
        ("European Union", ["jurisdiction:EU"]),
        ("SEC", ["jurisdiction:US"]),
        ("stablecoin", ["topic:stablecoin"]),
        ("stablecoins", ["topic:stablecoin"]),
        ("稳定币", ["topic:stablecoin"]),
        ("ban", ["action:ban"]),
        ("prohibit", ["action:ban"]),
        ("禁止", ["action:ban"]),
        ("licensing regime", ["action:licensing"]),
        ("royal assent", ["action:legislation"]),
        ("Ban Ki-moon", []),
        ("wombat", []),
        ("", []),
    ],
)
def test_lookup(phrase, concepts):
    assert [str(c) for c in shipped().lookup(phrase)] == concepts


@pytest.mark.parametrize(
    ("concept", "text", "trap"),
    [
        ("jurisdiction:JO", "Jordan bans", "Michael Jordan bans"),
        ("jurisdiction:CN", "China bans", "bone china and fine porcelain"),
        ("jurisdiction:TR", "Turkey bans", "roast turkey"),
        ("jurisdiction:TD", "Chad bans", "YouTube's Chad Hurley"),
        ("jurisdiction:GE", "Georgia taxes", "Georgia Tech"),
        ("action:ban", "to ban", "Ban Ki-moon"),
        ("action:ban", "the ban", "a transfer ban"),
        ("topic:exchange", "exchanges", "exchange students"),
        ("topic:exchange", "the exchange", "the exchange rate"),
        ("topic:mining", "mining", "coal mining"),
        ("topic:mining", "miners", "data mining"),
        ("action:sandbox", "a sandbox", "a sandbox game"),
    ],
)
def test_traps(concept, text, trap):
    assert concept in [c for c, _ in found(text)]
    assert concept not in [c for c, _ in found(trap)]


@pytest.mark.parametrize(
    ("lang", "text", "concept", "shown"),
    [
        ("zh-Hans", "国家发展改革委整治挖矿", "topic:mining", "挖矿"),
        ("zh-Hans", "上海证券交易所", "topic:exchange", None),
        ("ko", "가상자산거래소를 금지했다", "topic:exchange", "가상자산거래소"),
        ("ru", "в Казахстане запретили", "jurisdiction:KZ", "Казахстане"),
        ("ru", "в Южной Корее", "jurisdiction:KR", "Южной Корее"),
        ("ru", "на бирже труда", "topic:exchange", None),
        ("ar", "والبنك المركزي المصري يحذر", "jurisdiction:EG", "البنك المركزي المصري"),
        ("de", "Deutschlands Regierung", "jurisdiction:DE", "Deutschlands"),
        ("tr", "Türkiye'de yasaklandı", "jurisdiction:TR", "Türkiye"),
        ("en", "bans it. US lawmakers", "jurisdiction:US", "US"),
        ("en", "tells us", "jurisdiction:US", None),
        ("en", "embank the river", "action:ban", None),
        ("vi", "ban hành nghị định", "action:ban", None),
        ("en", "lifts its ten-year ban", "action:easing", "lifts its ten-year ban"),
        ("en", "lifts it. The ban", "action:easing", None),
        ("de", "Bundesrat", "jurisdiction:DE", "Bundesrat"),
        ("zh-Hant", "央行今日公布", "jurisdiction:TW", "央行"),
        ("zh-Hans", "央行今日公布", "jurisdiction:CN", "央行"),
    ],
)
def test_annotate(lang, text, concept, shown):
    assert ([s for c, s in found(text, lang) if c == concept] or [None])[0] == shown


def test_a_keyword_names_a_concept_in_a_rule_and_says_nothing_in_a_text():
    lexicon = build("actions: {enforcement: {en: {phrases: [fined], keywords: [fine, Fined]}}}")
    for word in ("fine", "fined", "FINE"):
        assert [str(c) for c in lexicon.lookup(word)] == ["action:enforcement"]
    assert found("A fine day for a bank that is fined", lexicon=lexicon) == [("action:enforcement", "fined")]
    assert found("A fine day", lang="xx", lexicon=lexicon) == []
    assert [phrase for _, phrase in lexicon.phrases(lexicon.lookup("fine")[0])] == ["fined"]


@pytest.mark.parametrize("kind", [Topic, Action, Stage, Direction])
def test_the_vocabulary_itself_is_understood_in_rules(kind):
    unsaid = {"other", "n/a", "neutral", "crypto-general", "sanctions-general", "fund-etf", "tax-change", "withdrawn"}
    for name in set(kind) - unsaid:
        assert name in {concept.name for concept in shipped().lookup(name.replace("-", " "))}, name


def test_longer_hits_cover_shorter_ones_of_their_kind():
    assert ("jurisdiction:KP", "North Korea") in found("North Korea acts")
    assert "jurisdiction:KR" not in dict(found("North Korea acts"))
    assert "action:ban" not in dict(found("regulator lifts the ban"))
    assert dict(found("crypto exchange"))["topic:exchange"] == "crypto exchange"
    assert "topic:crypto-general" not in dict(found("crypto exchange"))


def test_what_is_about_another_thing_lets_it_be_mentioned():
    def mentioned(text):
        return {(str(concept), text[start:end]) for concept, start, end in shipped().mentions(text, "en")}

    assert {("action:easing", "lifts the ban"), ("action:ban", "ban")} <= mentioned("regulator lifts the ban")
    assert "action:ban" not in dict(mentioned("lifts the transfer ban"))
    assert {("topic:tax", "crypto tax"), ("topic:crypto-general", "crypto")} <= mentioned("a crypto tax")
    assert "jurisdiction:KR" not in dict(mentioned("North Korea acts"))


def test_roles_and_places():
    notes = shipped().annotate("\u200b“Beijing” and Chinese banks", "en")
    assert [(n.concept.name, n.role) for n in notes if n.concept.kind is ConceptKind.JURISDICTION] == [
        ("CN", Role.CAPITAL),
        ("CN", Role.PEOPLE),
    ]


def test_version_follows_the_content():
    one = build("actions: {ban: {en: [prohibits, bans]}}")
    same = build("actions:\n  ban:\n    en: [bans, prohibits]")
    other = build("actions: {ban: {en: [bans]}}")
    assert one.version == same.version != other.version


def test_phrases_and_names():
    ban = Concept(ConceptKind.ACTION, "ban")
    lexicon = build("actions: {ban: {en: {phrases: [bans], traps: [Ban Ki-moon]}, es: [prohíbe]}}")
    assert lexicon.phrases(ban) == (("en", "bans"), ("es", "prohíbe"))
    assert ban in lexicon.names
    assert Concept(ConceptKind.JURISDICTION, "KZ") in lexicon.names
    assert lexicon.phrases(Concept(ConceptKind.TOPIC, "tax")) == ()


def test_every_country_has_a_name_in_every_language():
    countries = [c for c in shipped().names if c.kind is ConceptKind.JURISDICTION and c.name != "INTL"]
    assert len(countries) > 245
    for country in countries:
        spoken = {lang for lang, _ in shipped().phrases(country)}
        assert len(spoken & set(LANGUAGES)) >= len(LANGUAGES) - 1, country  # a name of one character is left out


def test_no_shipped_phrase_holds_quotes_that_were_meant_for_yaml():
    phrases = [phrase for concept in shipped().names for _, phrase in shipped().phrases(concept)]
    assert phrases
    assert [phrase for phrase in phrases if '"' in phrase] == []


def test_every_shipped_phrase_is_found_as_its_concept():
    lexicon = shipped()
    lost = []
    for concept in lexicon.names:
        if concept.kind not in (ConceptKind.TOPIC, ConceptKind.ACTION):
            continue
        for lang, phrase in lexicon.phrases(concept):
            plain = phrase.replace("*", "").replace(" ... ", " ")
            if concept not in {n.concept for n in lexicon.annotate(plain, "en" if lang == "any" else lang)}:
                lost.append((str(concept), lang, phrase))
    assert lost == []


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT | PIECES, st.sampled_from(LANGUAGES))
def test_any_text_gives_valid_spans_in_order(text, lang):
    notes = shipped().annotate(text, lang)
    assert all(0 <= n.start < n.end <= len(text) for n in notes)
    assert [n.start for n in notes] == sorted(n.start for n in notes)


@pytest.mark.parametrize("piece", ["lifts ban ", "禁止", "Ban Ki-moon ", "US ", "a\u200bb", "х"])
def test_a_long_text_takes_bounded_time(piece):
    begun = time.process_time()
    shipped().annotate(piece * (200_000 // len(piece)), "en")
    assert time.process_time() - begun < 20


def test_the_build_is_quick():
    documents = [parse_yaml(b"actions: {ban: {en: [bans]}}", shown="x")]
    begun = time.process_time()
    Lexicon.build(documents)
    assert time.process_time() - begun < 3
