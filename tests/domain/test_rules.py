"""The rule language and its evaluation, through parse_rules and Ruleset: what fires, what does not, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.documents import parse_yaml, read_document, read_yaml
from service.domain.concepts import Lexicon
from service.domain.condition import show
from service.domain.developments import read
from service.domain.document import Node
from service.domain.examples import run_tests
from service.domain.model import (
    Action,
    Concept,
    ConceptKind,
    Development,
    Direction,
    Entry,
    Evidence,
    Invalid,
    Match,
    Problem,
    Reading,
    Severity,
    Stage,
    Step,
    Tier,
    Topic,
)
from service.domain.rule import Exempt, Per, Reach, Rule, Status, Unclear
from service.domain.rulefile import parse_rules, slug
from service.domain.rules import Ruleset

BROKEN = Path(__file__).parent.parent / "data" / "rules"
RULES = Path(__file__).parent.parent.parent / "rules"
DOCS = Path(__file__).parent.parent.parent / "docs" / "rules.md"


# --- a lexicon of a few words, and entries as the reading floor would hand them over --------------------------------

MEANINGS = {
    "jurisdiction:CN": ("China", "Chinese", "PBoC", "中国"),
    "jurisdiction:JP": ("Japan", "Japanese"),
    "jurisdiction:KZ": ("Kazakhstan",),
    "jurisdiction:NZ": ("New Zealand", "Zealand"),
    "jurisdiction:US": ("United States",),
    "jurisdiction:NO": ("Norway",),
    "jurisdiction:EU": ("EU", "European Union"),
    "topic:stablecoin": ("stablecoin", "stablecoins", "稳定币"),
    "topic:exchange": ("exchange", "exchanges"),
    "topic:mining": ("mining", "miners"),
    "topic:advertising": ("advertising",),
    "topic:ai": ("AI",),
    "topic:tax": ("tax",),
    "action:tax-change": ("tax",),
    "action:ban": ("ban", "bans", "banned", "prohibit", "illegal", "禁止"),
    "action:restriction": ("restriction", "restrict"),
    "action:licensing": ("licensing regime", "licence", "licensing", "许可制度"),
    "stage:passed": ("passed",),
    "cue:denial": ("denies",),
}


def concept(name: str) -> Concept:
    kind, _, rest = name.partition(":")
    return Concept(ConceptKind(kind), rest)


@dataclass(frozen=True)
class FewWords:
    """A lexicon behind the same interface as the real one."""

    version: str = "few-1"
    names: tuple[Concept, ...] = tuple(concept(name) for name in MEANINGS)
    seen: list[str] = field(default_factory=list)

    def lookup(self, phrase: str) -> tuple[Concept, ...]:
        folded = phrase.casefold()
        return tuple(concept(n) for n, phrases in MEANINGS.items() if folded in [p.casefold() for p in phrases])

    def mentions(self, text: str, lang: str) -> tuple[tuple[Concept, int, int], ...]:
        self.seen.append(text)
        return tuple(
            (concept(name), hit.start(), hit.end())
            for name, phrases in MEANINGS.items()
            for phrase in phrases
            for hit in re.finditer(rf"(?<![A-Za-z]){re.escape(phrase)}(?![A-Za-z])", text, re.IGNORECASE)
        )


LEXICON = FewWords()


def rules_of(text: str) -> tuple[Rule, ...]:
    rules, problems = parse_rules(parse_yaml(text.encode(), shown="rules.yaml"), LEXICON)
    assert [str(problem) for problem in problems] == []
    return rules


def compiled(text: str) -> Ruleset:
    return Ruleset.compile(rules_of(text), LEXICON)


def short(*shorthands: str) -> Ruleset:
    nodes = tuple(Node(value=text, where=f"rules.yaml:{n}") for n, text in enumerate(shorthands, start=1))
    rules, problems = parse_rules(Node(value=nodes, where="rules.yaml:1"), LEXICON)
    assert [str(problem) for problem in problems] == []
    return Ruleset.compile(rules, LEXICON)


def entry(title: str, summary: str = "", content: str = "") -> Entry:
    return Entry(id="e1", title=title, summary=summary, content=content, lang="en")


def development(what: str, *, said: str = "", within: Entry | None = None) -> Development:
    """`CN stablecoin ban in-force tightening`, with the first place of `said` in the entry as evidence."""
    jurisdiction, topic, action, *rest = what.split()
    evidence: tuple[Evidence, ...] = ()
    if within is not None:
        for name in ("title", "summary", "content"):
            start = getattr(within, name).find(said)
            if said and start >= 0:
                evidence = (Evidence(field=name, start=start, end=start + len(said), text=said),)
                break
    return Development(
        jurisdiction=jurisdiction,
        topic=Topic(topic),
        action=Action(action),
        stage=Stage(rest[0]) if rest else Stage.IN_FORCE,
        direction=Direction(rest[1]) if len(rest) > 1 else Direction.TIGHTENING,
        evidence=evidence,
    )


def reading(*whats: str) -> Reading:
    return Reading(lang="en", developments=tuple(development(what) for what in whats))


PLAIN = entry("A headline", "A summary.", "A body.")


def fired(ruleset: Ruleset, item: Entry, read: Reading) -> list[str]:
    return [match.rule_id for match in ruleset.match(item, read)]


def fires(shorthand: str, *whats: str, item: Entry = PLAIN) -> bool:
    return bool(short(shorthand).match(item, reading(*whats)))


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_broken_file_is_told_with_file_and_line_and_its_good_rules_stay(path: Path) -> None:
    rules, problems = _read(path)
    expected = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    assert [str(problem) for problem in problems] == expected
    assert "good" in [rule.id for rule in rules] or path.stem in NO_DOCUMENT


NO_DOCUMENT = {"rules-not-a-list"} | {
    f"trap-{name}"
    for name in (
        "at", "bracket", "colon", "greater", "latin-1", "line-separator", "nul", "percent",
        "quote-open", "quoted-beginning", "star", "tab", "two-documents",
    )
}  # fmt: skip
"""Files that are no YAML or no list of rules at all: nothing in them can be used."""


def _read(path: Path) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    try:
        return parse_rules(read_document(path, shown=path.name), LEXICON)
    except Invalid as exc:
        return (), exc.problems


def test_a_bare_string_is_a_whole_rule() -> None:
    (rule,) = rules_of("- China + stablecoin + ban")
    assert (rule.id, rule.title) == ("china-stablecoin-ban", "China + stablecoin + ban")
    assert (rule.severity, rule.status, rule.reach) == (Severity.MEDIUM, Status.ACTIVE, Reach.REPORTED)
    assert rule.where == "rules.yaml:1"


def test_the_full_form() -> None:
    (rule,) = rules_of(
        """
        pack: {id: mine, title: Mine, version: "1"}
        rules:
          - id: kz-regime
            title: Kazakhstan licenses somebody
            severity: high
            status: draft
            jurisdictions: [KZ, "NO"]
            topics: [exchange, mining]
            actions: licensing
            stage: [passed, enacted]
            direction: tightening
            scope: reported
            references: ["policy 4.2"]
            reason: We hold a licence there.
            when:
              any:
                - licensing
                - all: [exchange, {any: [restriction, ban]}]
              none: [driver licence]
        """
    )
    assert (rule.id, rule.title, rule.severity, rule.status) == (
        "kz-regime",
        "Kazakhstan licenses somebody",
        Severity.HIGH,
        Status.DRAFT,
    )
    assert (rule.jurisdictions, rule.topics, rule.actions) == (
        ("KZ", "NO"),
        (Topic.EXCHANGE, Topic.MINING),
        (Action.LICENSING,),
    )
    assert (rule.stages, rule.direction) == ((Stage.PASSED, Stage.ENACTED), Direction.TIGHTENING)
    assert (rule.references, rule.reason) == (("policy 4.2",), "We hold a licence there.")
    assert rule.condition is not None
    assert show(rule.condition) == "licensing | (exchange + (restriction | ban))"
    assert [phrase.shown for phrase in rule.apart] == ["driver licence"]


@pytest.mark.parametrize(
    ("shorthand", "shown"),
    [
        pytest.param("China+stablecoin+ban", "China + stablecoin + ban", id="no-spaces"),
        pytest.param("ban on stablecoins in China", "ban + stablecoins + China", id="concepts-in-a-row"),
        pytest.param("new licensing regime", "new + licensing regime", id="new"),
        pytest.param("新许可制度", "new + 许可制度", id="new-in-chinese"),
        pytest.param("New Zealand ban", "New Zealand + ban", id="new-in-a-name"),
        pytest.param("EU + ban", "EU + ban", id="EU-is-a-name"),
        pytest.param("AI + ban", "AI + ban", id="AI-is-a-topic"),
        pytest.param("central bank + ban", "central bank + ban", id="unknown-words"),
        pytest.param("（ban ｜ restriction） ＋ China", "(ban | restriction) + China", id="full-width-signs"),
        pytest.param("“Project X” + ban", '"Project X" + ban', id="curly-quotes"),
        pytest.param("jurisdiction:CN topic:exchange", "jurisdiction:CN + topic:exchange", id="forced-in-a-row"),
        pytest.param("anti-money-laundering + ban", "anti-money-laundering + ban", id="minus-inside-a-word"),
        pytest.param("stablecoin -(ban | tax) -Japan", "stablecoin -(ban | tax) -Japan", id="minus"),
    ],
)
def test_how_a_shorthand_is_read(shorthand: str, shown: str) -> None:
    (rule,) = short(shorthand).rules
    assert show(rule.whole) == shown


@pytest.mark.parametrize("value", ["\ud800 + China", "China\x00"])
def test_what_is_no_text_is_a_problem_or_a_rule(value: str) -> None:
    rules, problems = parse_rules(Node(value=(Node(value=value, where="f:1"),), where="f:1"), LEXICON)
    assert bool(rules) is not bool(problems)


def test_norway_is_not_false_and_a_digest_is_of_every_word() -> None:
    (rule,) = rules_of("- {id: a, jurisdictions: [NO]}")
    assert rule.jurisdictions == ("NO",)
    (changed,) = rules_of("- {id: a, jurisdictions: [NO], severity: low}")
    assert rule.digest != changed.digest


# --- firing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shorthand", "developments", "expected"),
    [
        pytest.param("China + stablecoin + ban", ["CN stablecoin ban"], True, id="all-of-it"),
        pytest.param("China + stablecoin + ban", ["CN stablecoin ban reaffirmed"], True, id="any-stage"),
        pytest.param("China + stablecoin + ban", ["CN stablecoin warning"], False, id="other-action"),
        pytest.param(
            "China + stablecoin + ban", ["CN exchange ban", "JP stablecoin ban"], False, id="never-across-developments"
        ),
        pytest.param("China + stablecoin + ban", ["JP tax tax-change", "CN stablecoin ban"], True, id="second-one"),
        pytest.param("China + (ban | restriction)", ["CN ai restriction"], True, id="one-of"),
        pytest.param("China + (ban | restriction)", ["CN ai licensing"], False, id="none-of"),
        pytest.param("new licensing regime", ["KZ mining licensing enacted"], True, id="new-enacted"),
        pytest.param("new licensing regime", ["KZ mining licensing in-force"], True, id="new-in-force"),
        pytest.param("new licensing regime", ["KZ mining licensing reaffirmed"], False, id="old-reaffirmed"),
        pytest.param("new licensing regime", ["KZ mining licensing enforced"], False, id="old-enforced"),
        pytest.param("new licensing regime", ["KZ mining licensing withdrawn"], False, id="withdrawn"),
        pytest.param("ban -Japan", ["JP exchange ban"], False, id="excluded"),
        pytest.param("ban -Japan", ["JP exchange ban", "CN exchange ban"], True, id="only-that-one-excluded"),
        pytest.param("tax", ["JP tax statistics"], True, id="two-meanings-topic"),
        pytest.param("tax", ["JP crypto-general tax-change"], True, id="two-meanings-action"),
        pytest.param("stage:passed + China", ["CN ai legislation passed"], True, id="stage"),
        pytest.param("direction:easing + China", ["CN ai legislation passed"], False, id="direction"),
        pytest.param("ban", [], False, id="no-news"),
    ],
)
def test_concepts_are_met_by_one_development(shorthand: str, developments: list[str], expected: bool) -> None:
    assert fires(shorthand, *developments) is expected


def test_a_development_that_fired_is_named_with_its_evidence() -> None:
    item = entry("China bans stablecoins", "Japan looks on.")
    said = development("CN stablecoin ban", said="China bans stablecoins", within=item)
    (match,) = short("China + ban").match(item, Reading(lang="en", developments=(development("JP ai guidance"), said)))
    assert match == Match(
        rule_id="china-ban",
        digest=match.digest,
        severity=Severity.MEDIUM,
        developments=(said,),
        evidence=said.evidence,
    )


def test_a_lifted_ban_fires_ban_unless_the_rule_says_tightening() -> None:
    item = entry("Japan lifts ban on exchanges")
    lifted = development("JP exchange easing in-force easing", said="lifts ban", within=item)
    read = Reading(lang="en", developments=(lifted,))
    ruleset = compiled("[{id: any, match: Japan + ban}, {id: tight, match: Japan + ban, direction: tightening}]")
    assert fired(ruleset, item, read) == ["any"]
    assert fired(ruleset, entry("Japan eases rules on exchanges"), reading("JP exchange easing in-force easing")) == []


def test_a_named_action_is_that_action_alone() -> None:
    item = entry("Japan lifts ban on exchanges")
    lifted = development("JP exchange easing in-force easing", said="lifts ban", within=item)
    ruleset = compiled("[{id: word, match: ban}, {id: forced, match: 'action:ban'}, {id: set, actions: [ban]}]")
    assert fired(ruleset, item, Reading(lang="en", developments=(lifted,))) == ["word"]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param("consultation", True, id="consultation-on-it"),
        pytest.param("legislation", True, id="law-on-it"),
        pytest.param("ban", False, id="another-act-beside-it"),
    ],
)
def test_an_act_about_another_act_has_that_action_too(action: str, expected: bool) -> None:
    item = entry("Kazakhstan sets a licensing regime for miners")
    read = Reading(
        lang="en", developments=(development(f"KZ mining {action} proposed", said="licensing regime", within=item),)
    )
    assert bool(short("new licensing regime").match(item, read)) is expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param("jurisdictions: [KZ]", True, id="jurisdiction"),
        pytest.param("jurisdictions: [CN]", False, id="other-jurisdiction"),
        pytest.param("topics: [mining]", True, id="topic"),
        pytest.param("topics: [ai, exchange]", False, id="other-topics"),
        pytest.param("actions: licensing", True, id="action"),
        pytest.param("jurisdictions: KZ, stage: [enacted, passed]", True, id="stage"),
        pytest.param("jurisdictions: KZ, stage: proposed", False, id="other-stage"),
        pytest.param("jurisdictions: KZ, direction: any", True, id="any-direction"),
        pytest.param("jurisdictions: KZ, direction: easing", False, id="other-direction"),
        pytest.param("jurisdictions: KZ, status: draft", False, id="draft"),
        pytest.param("jurisdictions: KZ, status: retired", False, id="retired"),
    ],
)
def test_sets_narrow_the_developments(keys: str, expected: bool) -> None:
    ruleset = compiled(f"[{{id: it, {keys}}}]")
    assert bool(ruleset.match(PLAIN, reading("KZ mining licensing enacted"))) is expected


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        pytest.param("data centre", "Two data centres were named", True, id="plural"),
        pytest.param("data centre", "centre of data", False, id="order"),
        pytest.param("data centre", "data. Centre", False, id="over-a-sentence-end"),
        pytest.param("data centre", "the data-centre tax", True, id="hyphen"),
        pytest.param("stake", "staking and staked tokens", True, id="verb-forms"),
        pytest.param("policy", "older policies", True, id="y-to-ies"),
        pytest.param("plan", "they planned it", True, id="doubled-letter"),
        pytest.param("plan", "an aeroplane", False, id="inside-a-word"),
        pytest.param("tether", "Tether's reserves", True, id="possessive"),
        pytest.param('"data centre"', "Data Centre", True, id="exact-in-any-case"),
        pytest.param('"data centre"', "data centres", False, id="exact-has-no-forms"),
        pytest.param('"U.S. Treasury"', "the U.S. Treasury said", True, id="exact-with-stops"),
        pytest.param("custod*", "custodians", True, id="any-ending"),
        pytest.param("digit* asset", "digitised assets", True, id="any-ending-in-a-phrase"),
        pytest.param("=SAFE", "the SAFE notice", True, id="case"),
        pytest.param("=SAFE", "a safe place", False, id="other-case"),
        pytest.param("算力", "全国算力中心", True, id="han-inside-a-run"),
        pytest.param('"人工智能法"', "《人工智能法》草案", True, id="han-exact"),
        pytest.param("가상자산", "가상자산을 규제", True, id="korean-particle"),
        pytest.param("биржа", "закрыли биржу", True, id="russian-case"),
        pytest.param("“Project X”", "project x begins", True, id="curly-quotes"),
        pytest.param("ＰＲＯＪＥＣＴ x", "Project X begins", True, id="full-width-letters"),
    ],
)
def test_words_that_the_lexicon_does_not_know_are_looked_for(words: str, text: str, expected: bool) -> None:
    for item in (entry(text), entry("Title", text), entry("Title", "", f"First paragraph.\n\n{text}")):
        matches = short(words).match(item, reading("CN ai guidance"))
        assert bool(matches) is expected
        for found in (evidence for match in matches for evidence in match.evidence):
            assert getattr(item, found.field)[found.start : found.end] == found.text


def test_words_alone_need_news_unless_the_rule_asks_for_mentions() -> None:
    item = entry("Tether in the background")
    ruleset = compiled("[{id: news, match: Tether}, {id: talk, match: Tether, scope: mention}]")
    assert fired(ruleset, item, reading()) == ["talk"]
    assert fired(ruleset, item, reading("CN ai guidance")) == ["news", "talk"]


def test_mention_is_co_occurrence_anywhere() -> None:
    item = entry("Stablecoins in Japan", "", "Trading is banned in China.")
    ruleset = compiled(
        """
        - {id: together, scope: mention, match: China + stablecoin + ban}
        - {id: reported, match: China + stablecoin + ban}
        - {id: elsewhere, scope: mention, match: China + mining}
        - {id: narrowed, scope: mention, match: stablecoin, jurisdictions: [KZ]}
        - {id: two-countries, scope: mention, match: China + Japan}
        """
    )
    matches = ruleset.match(item, reading())
    assert [match.rule_id for match in matches] == ["together", "two-countries"]
    assert [e.text for e in matches[0].evidence] == ["Stablecoins", "banned", "China"]
    assert matches[0].developments == ()


def test_an_excluded_word_removes_the_entry() -> None:
    assert fires("ban -podcast", "CN ai ban", item=entry("China bans it"))
    assert not fires("ban -podcast", "CN ai ban", item=entry("China bans it", "Listen to our podcasts."))


@pytest.mark.parametrize(
    ("title", "said", "expected"),
    [
        pytest.param("Japan ends advertising ban", "advertising ban", False, id="covered"),
        pytest.param("Japan sets a ban after its advertising ban", "Japan sets a ban", True, id="another-ban"),
        pytest.param("Japan sets a ban", "Japan sets a ban", True, id="no-such-phrase"),
    ],
)
def test_an_exclusion_that_holds_a_term_removes_only_what_it_covers(title: str, said: str, expected: bool) -> None:
    item = entry(title, "More on the advertising ban.")
    read = Reading(lang="en", developments=(development("JP exchange ban", said=said, within=item),))
    assert bool(short('Japan + ban -"advertising ban"').match(item, read)) is expected


def test_an_exclusion_removes_only_the_words_it_covers() -> None:
    rule = "permit -driving permit"
    assert not fires(rule, "JP ai guidance", item=entry("A driving permit"))
    assert fires(rule, "JP ai guidance", item=entry("A driving permit and an export permit"))


@pytest.mark.parametrize(
    ("shorthand", "text", "expected"),
    [
        pytest.param("(vault + bridge) within sentence", "A vault. A bridge.", False, id="two-sentences"),
        pytest.param("(vault + bridge) within sentence", "A rule. A vault and a bridge.", True, id="one-sentence"),
        pytest.param("vault + bridge within paragraph", "A vault. A bridge.", True, id="one-paragraph"),
        pytest.param("vault + bridge within paragraph", "A vault.\n\nA bridge.", False, id="two-paragraphs"),
        pytest.param("(vault + bridge) within 4 words", "vault, then a bridge", True, id="four-words"),
        pytest.param("(vault + bridge) within 4 words", "bridge near some old vault", False, id="five-words"),
        pytest.param("(vault -bridge) within sentence", "A vault. A bridge.", True, id="minus-in-another-sentence"),
        pytest.param("(rumour + bridge) within sentence", "A vault. A bridge.", False, id="missing"),
    ],
)
def test_within_asks_for_closeness(shorthand: str, text: str, expected: bool) -> None:
    for item in (entry(text), entry("Title", "", text)):
        assert bool(short(shorthand).match(item, reading("CN ai guidance"))) is expected


def test_within_holds_a_development_to_its_evidence() -> None:
    item = entry("", "China sets a ban on vaults. Bridges are old.")
    read = Reading(lang="en", developments=(development("CN ai ban", said="China sets a ban", within=item),))
    assert fired(short("(ban + vault) within sentence", "(ban + bridge) within sentence"), item, read) == [
        "ban-vault-within-sentence"
    ]
    mention = compiled(
        """
        - {id: near, scope: mention, when: {all: [China, ban], within: 4 words}}
        - {id: far, scope: mention, when: {all: [China, ban], within: 3 words}}
        """
    )
    assert fired(mention, item, read) == ["near"]


# --- why not -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "whats", "step", "detail"),
    [
        pytest.param(
            "{id: it, match: ban, status: draft}", ["CN ai ban"], Step.STATUS, "the rule is draft", id="draft"
        ),
        pytest.param(
            "{id: it, match: ban}",
            [],
            Step.DEVELOPMENT,
            "the entry reports no development as news; scope: mention would ask for the words alone",
            id="no-news",
        ),
        pytest.param(
            "{id: it, match: ban, jurisdictions: [KZ, JP]}",
            ["CN ai ban"],
            Step.JURISDICTIONS,
            "no development of jurisdiction KZ or JP (nearest: CN ai ban tightening in-force)",
            id="outside",
        ),
        pytest.param(
            "{id: it, match: China + stablecoin + ban}",
            ["JP ai warning n/a", "CN stablecoin warning n/a"],
            Step.WHEN,
            "missing: ban (nearest: CN stablecoin warning tightening n/a)",
            id="nearest",
        ),
        pytest.param(
            "{id: it, match: China + (ban | restriction) + Tether}",
            ["CN stablecoin warning n/a"],
            Step.WHEN,
            "missing: (ban | restriction), Tether (nearest: CN stablecoin warning tightening n/a)",
            id="several",
        ),
        pytest.param(
            "{id: it, match: ban -headline}",
            ["CN ai ban"],
            Step.NONE,
            "removed by -headline (nearest: CN ai ban tightening in-force)",
            id="excluded",
        ),
        pytest.param(
            "{id: it, match: China + ban, scope: mention}",
            ["CN ai ban"],
            Step.WHEN,
            "missing: China, ban",
            id="mention",
        ),
    ],
)
def test_every_no_has_a_reason(rule: str, whats: list[str], step: Step, detail: str) -> None:
    ruleset = compiled(f"- {rule}")
    assert [(no.step, no.detail) for no in ruleset.why_not(PLAIN, reading(*whats))] == [(step, detail)]
    assert ruleset.match(PLAIN, reading(*whats)) == ()


# --- the compiled set ----------------------------------------------------------------------------------------------


def test_an_id_used_in_two_files_is_refused_with_both_places() -> None:
    one, _ = parse_rules(parse_yaml(b"- {id: a, match: ban}", shown="one.yaml"), LEXICON)
    two, _ = parse_rules(parse_yaml(b"\n- {id: a, match: tax}", shown="two.yaml"), LEXICON)
    with pytest.raises(Invalid, match=r"two.yaml:2: rule id 'a' is used twice \(first at one.yaml:1\)"):
        Ruleset.compile((*one, *two), LEXICON)


def test_the_version_is_of_rules_and_lexicon() -> None:
    rules = rules_of("[China + ban, Japan + ban]")
    version = Ruleset.compile(rules, LEXICON).version
    assert Ruleset.compile(reversed(rules), LEXICON).version == version
    assert Ruleset.compile(rules[:1], LEXICON).version != version
    assert Ruleset.compile(rules, FewWords(version="few-2")).version != version


def test_an_empty_set_matches_nothing() -> None:
    assert Ruleset.compile((), LEXICON).match(PLAIN, reading("CN ai ban")) == ()


def test_a_text_is_annotated_only_when_a_rule_asks_for_it() -> None:
    lexicon = FewWords()
    rules = tuple(
        Ruleset.compile(rules_of(text), LEXICON).rules[0]
        for text in ("- China + ban", "- {id: b, match: Tether + ban}", "- new licensing regime")
    )
    Ruleset.compile(rules, lexicon).match(PLAIN, reading("CN ai ban"))
    assert lexicon.seen == []


def test_half_a_letter_in_a_text_does_no_harm(lexicon: Lexicon) -> None:
    item = entry("China\ud800 ban", "\ud800")
    rules, _ = parse_rules(parse_yaml(b"- {id: a, scope: mention, match: China + ban}", shown="f"), lexicon)
    assert [match.rule_id for match in Ruleset.compile(rules, lexicon).match(item, reading("CN ai ban"))] == ["a"]


def test_the_index_loses_no_rule() -> None:
    """Matching looks at candidates only, why_not at every rule: together they must be all rules, none twice."""
    shorthands = [
        f"{place} + {what}{more}"
        for place in ("China", "(Japan | Kazakhstan)", "headline", "head*", "稳定币")
        for what in ("ban", "(licensing | summary)", "(tax | body)", "new restriction", '"A body"', "stage:passed")
        for more in ("", " -headline", " + =A")
    ]
    ruleset = compiled("\n".join(f"- {{id: r{n}, match: '{text}'}}" for n, text in enumerate(shorthands)))
    for what in ("CN ai ban", "JP tax statistics", "KZ mining licensing", "CN exchange legislation passed"):
        matched = fired(ruleset, PLAIN, reading(what))
        missed = [miss.rule_id for miss in ruleset.why_not(PLAIN, reading(what))]
        assert matched
        assert sorted(matched + missed) == sorted(rule.id for rule in ruleset.rules)


# --- whatever is written -------------------------------------------------------------------------------------------

SIGNS = ('"', "(", ")", "+", "|", " -", " ", "*", "-", " within sentence", " within 5 words", "topic:")
WORDS = ("China", "ban", "new", "稳定币", "tax", "word*", "=CASE", "jurisdiction:CN")
pieces = st.sampled_from((*SIGNS, *WORDS))
shorthands = st.lists(pieces | st.text(max_size=3), max_size=30).map("".join) | st.text(max_size=60)
texts = st.lists(
    st.sampled_from(["China", "ban", "word", "CASE", "稳定币", " ", ". "]) | st.text(max_size=5), max_size=40
)
developments = st.lists(
    st.builds(
        Development,
        jurisdiction=st.sampled_from(["CN", "JP"]),
        topic=st.sampled_from(Topic),
        action=st.sampled_from(Action),
        direction=st.sampled_from(Direction),
        stage=st.sampled_from(Stage),
        evidence=st.lists(
            st.builds(
                Evidence, field=st.sampled_from(["title", "x"]), start=st.integers(), end=st.integers(), text=st.text()
            ),
            max_size=2,
        ).map(tuple),
    ),
    max_size=3,
).map(tuple)


@given(shorthand=shorthands, text=texts.map("".join), found=developments, mention=st.booleans())
@settings(deadline=None, max_examples=300)
def test_any_shorthand_is_a_rule_or_a_problem_and_judging_never_fails(
    shorthand: str, text: str, found: tuple[Development, ...], mention: bool
) -> None:
    keys = {"match": shorthand, "id": "it", **({"scope": "mention"} if mention else {})}
    node = Node(value={key: Node(value=value, where="f:1") for key, value in keys.items()}, where="f:1")
    rules, problems = parse_rules(Node(value=(node,), where="f:1"), LEXICON)
    assert bool(rules) is not bool(problems)
    ruleset = Ruleset.compile(rules, LEXICON)
    item, read = entry(text, text), Reading(lang="en", developments=found)
    matches, misses = ruleset.match(item, read), ruleset.why_not(item, read)
    assert len(matches) + len(misses) == len(rules)
    for match in matches:
        spans = [e for e in match.evidence if not any(e in d.evidence for d in found)]
        assert all(getattr(item, e.field)[e.start : e.end] == e.text for e in spans)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | shorthands
DOCUMENT_KEYS = (
    "rules", "pack", "id", "title", "severity", "status", "match", "when", "all", "any", "none", "within",
    "jurisdictions", "topics", "actions", "stage", "direction", "scope", "references",
)  # fmt: skip
keys = st.sampled_from(DOCUMENT_KEYS)
nodes = st.recursive(
    scalars.map(lambda value: Node(value=value, where="f:1")),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: Node(value=tuple(items), where="f:2"))
        | st.dictionaries(keys | st.text(max_size=4), inner, max_size=5).map(lambda m: Node(value=m, where="f:3"))
    ),
    max_leaves=20,
)


@given(document=nodes)
@settings(deadline=None, max_examples=300)
def test_any_document_gives_rules_or_problems(document: Node) -> None:
    rules, problems = parse_rules(document, LEXICON)
    assert all(problem.where.startswith("f:") for problem in problems)
    Ruleset.compile(rules, LEXICON)


# --- what the documentation says -----------------------------------------------------------------------------------


def test_the_examples_in_the_documentation_are_rules_and_pass_their_tests(lexicon: Lexicon) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    documents = [parse_yaml(block.encode(), shown="docs") for block in blocks]
    found = [parse_rules(document, lexicon) for document in documents if document.at(["rules"]).items]
    assert [problems for _, problems in found] == [(), ()]
    rules = [rule for rules, _ in found for rule in rules]
    assert [rule.id for rule in rules] == ["china-stablecoin-ban", "new-licensing-regime", "apac-licensing"]
    verdicts = list(run_tests(rules, lexicon))
    assert len(verdicts) == 4
    assert [verdict.fault for verdict in verdicts if verdict.fault] == []


def test_every_key_of_a_rule_and_every_step_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    _, problems = parse_rules(parse_yaml(b"- {qqq: 1, match: ban}", shown="f"), LEXICON)
    keys = problems[0].hint.removeprefix("known here: ").split(", ")
    assert len(keys) >= 14
    missing = [
        word
        for word in (*keys, *Step, *Severity, *Status, *Reach, *Unclear, *Per, *Exempt, *Tier)
        if f"`{word}`" not in text
    ]
    assert missing == []


# --- with the real lexicon -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.build(read_yaml(path) for path in sorted((RULES / "lexicon").glob("*.yaml")))


def test_the_shipped_packs_are_without_fault(lexicon: Lexicon) -> None:
    rules: list[Rule] = []
    for path in sorted((RULES / "packs").glob("*.yaml")):
        found, problems = parse_rules(read_yaml(path), lexicon)
        assert [str(problem) for problem in problems] == []
        rules += found
    ids = {rule.id for rule in Ruleset.compile(rules, lexicon).rules}
    assert {"china-stablecoin-ban", "new-licensing-regime"} <= ids
    written_out = [rule for rule in rules if rule.id != slug(rule.title)]
    assert all(rule.reason for rule in written_out)


@pytest.mark.parametrize(
    "shorthand",
    ["China + stablecoin + ban", "中国 + 稳定币 + 禁止", "Китай + стейблкоин + запрет", "중국 + 스테이블코인 + 금지"],
)
def test_a_rule_may_be_written_in_any_language_of_the_lexicon(lexicon: Lexicon, shorthand: str) -> None:
    rules, problems = parse_rules(Node(value=(Node(value=shorthand, where="f:1"),), where="f:1"), lexicon)
    assert problems == ()
    ruleset = Ruleset.compile(rules, lexicon)
    assert len(ruleset.match(PLAIN, reading("CN stablecoin ban"))) == 1
    assert ruleset.match(PLAIN, reading("JP stablecoin ban", "CN stablecoin warning")) == ()


@pytest.mark.parametrize(
    ("shorthand", "title", "fires"),
    [
        ("Bolivia + ban", "Bolivia lifts ban on crypto", True),
        ("{match: Bolivia + ban, direction: tightening}", "Bolivia lifts ban on crypto", False),
        ("Kenya + crypto + tax", "Kenya passes crypto tax bill", True),
        ("Kazakhstan + reserve", "Казахстан создаст государственный криптовалютный резерв", True),
        ("Kazakhstan + reserve", "Kazakhstan taxes crypto miners", False),
        ("Nigeria + fine", "Nigerian regulator fined crypto exchange", True),
        ("Brazil + tightening", "Brazil's central bank bans stablecoin transfers abroad", True),
        ("Brazil + tightening", "Brazil's central bank allows stablecoin transfers abroad", False),
    ],
)
def test_the_words_of_an_analyst_mean_what_she_means(lexicon: Lexicon, shorthand: str, title: str, fires: bool) -> None:
    rules, problems = parse_rules(parse_yaml(f"- {shorthand}".encode(), shown="f"), lexicon)
    assert problems == ()
    entry = Entry(id="1", title=title)
    assert bool(Ruleset.compile(rules, lexicon).match(entry, read(entry, lexicon))) is fires


def test_the_fines_that_a_law_threatens_are_no_enforcement(lexicon: Lexicon) -> None:
    rules, _ = parse_rules(parse_yaml(b"[stablecoin + enforcement, stablecoin + licensing]", shown="f"), lexicon)
    entry = Entry(
        id="1",
        title="Peru's congress passes stablecoin law",
        summary="The law creates a licence for issuers and fines those without one.",
    )
    found = Ruleset.compile(rules, lexicon).match(entry, read(entry, lexicon))
    assert [match.rule_id for match in found] == ["stablecoin-licensing"]


def test_a_mention_is_found_in_the_language_of_the_entry(lexicon: Lexicon) -> None:
    document = parse_yaml(b"- {id: a, scope: mention, match: China + stablecoin + ban}", shown="f")
    rules, _ = parse_rules(document, lexicon)
    item = entry("中国央行重申禁止稳定币")
    (match,) = Ruleset.compile(rules, lexicon).match(item, Reading(lang="zh-Hans"))
    texts = {evidence.text for evidence in match.evidence}
    assert texts >= {"禁止", "稳定币"}
    assert any(text.startswith("中国") for text in texts)
