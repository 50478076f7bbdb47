"""What holds a match back: confirmation and throttles, as tables of decisions; and rules that have gone blind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.holding import (
    Background,
    Report,
    Told,
    blind_rules,
    confirmed,
    held_back,
    independent,
    is_settled,
    no_longer_held,
)
from service.domain.model import Match, RouteReason, Severity, Stage, Tier
from service.domain.rule import Confirm, Exempt, Expectation, Per, Rule, Status, Throttle
from service.domain.text import sketch
from tests import builders
from tests.builders import a_development, a_match
from tests.conftest import NOON

HOUR = timedelta(hours=1)
WIRE = "China will ban stablecoins from July, three officials told the agency on Monday, ending months of doubt."
OTHER = "Stablecoins are to be outlawed on the mainland, according to a draft seen by this newspaper last night."


def a_report(outlet: str, text: str = WIRE, tier: Tier = Tier.UNKNOWN) -> Report:
    return Report(outlet=outlet, tier=tier, sketch=sketch(text))


@pytest.mark.parametrize(
    ("asked", "reports", "expected"),
    [
        pytest.param(Confirm(independent=2), [a_report("a")], False, id="one"),
        pytest.param(Confirm(independent=2), [a_report("a"), a_report("a", OTHER)], False, id="one-outlet-twice"),
        pytest.param(Confirm(independent=2), [a_report("a"), a_report("b", WIRE + " More soon.")], False, id="a-copy"),
        pytest.param(Confirm(independent=2), [a_report("a"), a_report("b", OTHER)], True, id="two"),
        pytest.param(Confirm(independent=3), [a_report("a"), a_report("b", OTHER)], False, id="two-of-three"),
        pytest.param(Confirm(official=True), [a_report("a"), a_report("b", OTHER)], False, id="nothing-official"),
        pytest.param(Confirm(official=True), [a_report("a", tier=Tier.OFFICIAL)], True, id="official"),
        pytest.param(Confirm(official=True, independent=2), [a_report("a", tier=Tier.OFFICIAL)], True, id="either"),
        pytest.param(Confirm(official=True, independent=2), [], False, id="nothing"),
    ],
)
def test_what_confirms_a_story(asked: Confirm, reports: list[Report], expected: bool) -> None:
    assert confirmed(asked, reports) is expected


def test_copies_of_one_wire_are_one_report() -> None:
    assert independent([a_report("a"), a_report("b"), a_report("c", OTHER), a_report("c", WIRE)]) == 2


@pytest.mark.parametrize(
    ("rules", "free"),
    [
        pytest.param({"sure": Confirm(official=True)}, None, id="waits"),
        pytest.param({"sure": Confirm(official=True), "open": None}, None, id="what-never-waited-is-not-looked-for"),
        pytest.param({"two": Confirm(independent=1), "sure": Confirm(official=True)}, {"two"}, id="one-of-two"),
        pytest.param({"two": Confirm(independent=1), "open": None}, {"two", "open"}, id="nothing-waits-any-more"),
    ],
)
def test_which_matches_are_decided_anew(rules: dict[str, Confirm | None], free: set[str] | None) -> None:
    by_id = {rule_id: a_rule(confirm=confirm) for rule_id, confirm in rules.items()}
    assert no_longer_held(by_id, [a_report("a")]) == (frozenset(free) if free else None)
    assert no_longer_held({"gone": None}, []) == {"gone"}


@pytest.mark.parametrize(
    ("stages", "official", "settled"),
    [
        pytest.param((Stage.RUMOURED,), True, True, id="rumour-of-what-is-known"),
        pytest.param((Stage.RUMOURED,), False, False, id="rumour"),
        pytest.param((Stage.RUMOURED, Stage.PASSED), True, False, id="more-than-a-rumour"),
        pytest.param((), True, False, id="words-alone"),
    ],
)
def test_a_rumour_is_settled_by_an_official_text(stages: tuple[Stage, ...], official: bool, settled: bool) -> None:
    match = replace(CN, developments=tuple(a_development("CN", stage=stage) for stage in stages))
    acts = [(d.jurisdiction, d.topic, d.action) for d in (a_development("CN"),)] if official else []
    assert is_settled(match, replace(a_background(a_rule()), official=acts)) is settled


def a_background(rule: Rule, *told: Told) -> Background:
    return builders.a_background(rules={rule.id: rule}, story_id=7, reports=(a_report("a"),), told=told)


def a_rule(**changes: object) -> Rule:
    plain = Rule(id="cn-ban", title="t", where="f:1", digest="d", condition=None)
    return replace(plain, **changes)  # type: ignore[arg-type]


def told(match: Match, *, story: int = 3, ago: timedelta = HOUR, subscription: int = 1) -> Told:
    return Told(
        rule_id=match.rule_id,
        subscription_id=subscription,
        story_id=story,
        at=NOON - ago,
        severity=match.severity,
        developments=match.developments,
    )


CN, KZ = a_match(), a_match("cn-ban", a_development("KZ"))
LATER = a_match("cn-ban", a_development(stage=Stage.IN_FORCE))
LOUDER = a_match(severity=Severity.CRITICAL)


@pytest.mark.parametrize(
    ("per", "exempt", "match", "before", "throttled"),
    [
        pytest.param(Per.RULE, (), KZ, told(CN), True, id="rule"),
        pytest.param(Per.RULE, (), CN, told(CN, ago=HOUR * 25), False, id="long-ago"),
        pytest.param(Per.RULE, (), CN, told(CN, subscription=2), False, id="told-to-somebody-else"),
        pytest.param(Per.RULE, (), CN, told(a_match("other")), False, id="another-rule"),
        pytest.param(Per.JURISDICTION, (), KZ, told(CN), False, id="another-country"),
        pytest.param(Per.JURISDICTION, (), CN, told(CN), True, id="same-country"),
        pytest.param(Per.STORY, (), CN, told(CN, story=3), False, id="another-story"),
        pytest.param(Per.STORY, (), CN, told(CN, story=7), True, id="same-story"),
        pytest.param(Per.RULE, (Exempt.STAGE_CHANGE,), CN, told(CN), True, id="same-stage"),
        pytest.param(Per.RULE, (Exempt.STAGE_CHANGE,), LATER, told(CN), False, id="new-stage"),
        pytest.param(Per.RULE, (Exempt.STAGE_CHANGE,), KZ, told(CN), True, id="another-measure-is-no-stage-change"),
        pytest.param(Per.RULE, (Exempt.DIRECTION_CHANGE,), LATER, told(CN), True, id="same-direction"),
        pytest.param(Per.RULE, (Exempt.SEVERITY_RISE,), LOUDER, told(CN), False, id="louder"),
        pytest.param(Per.RULE, (Exempt.SEVERITY_RISE,), CN, told(LOUDER), True, id="quieter"),
    ],
)
def test_a_throttle(per: Per, exempt: tuple[Exempt, ...], match: Match, before: Told, throttled: bool) -> None:
    rule = a_rule(throttle=Throttle(per=per, every=HOUR * 24, exempt=exempt))
    expected = RouteReason.THROTTLED if throttled else None
    assert held_back(match, 1, a_background(rule, before)) is expected


def test_confirmation_comes_before_the_throttle_and_a_rule_that_is_gone_holds_nothing_back() -> None:
    rule = a_rule(confirm=Confirm(independent=2), throttle=Throttle(per=Per.RULE, every=HOUR))
    assert held_back(CN, 1, a_background(rule, told(CN))) is RouteReason.UNCONFIRMED
    assert held_back(a_match("gone"), 1, a_background(rule)) is None


def test_a_rule_is_blind_only_after_its_time_and_only_if_it_is_active() -> None:
    rule = a_rule(expect=Expectation(at_least=2, per=HOUR * 24))
    (problem,) = blind_rules([rule], {"cn-ban": 1}, NOON - HOUR * 25, NOON)
    assert problem.what == "rule 'cn-ban' may be blind: it fired 1 times in 1d"
    assert list(blind_rules([rule], {"cn-ban": 2}, NOON - HOUR * 25, NOON)) == []
    assert list(blind_rules([rule], {}, NOON - HOUR * 23, NOON)) == []
    assert list(blind_rules([rule], {}, None, NOON)) == []
    assert list(blind_rules([replace(rule, status=Status.DRAFT)], {}, NOON - HOUR * 25, NOON)) == []
