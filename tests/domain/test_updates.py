"""What readers hear of a story again, and what is one more report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.model import Direction, Entry, Severity, Stage, StoryKey, Tier
from service.domain.model import UpdateReason as Why
from service.domain.traits import traits_of
from service.domain.updates import Before, Joining, changes, corrections
from tests.builders import a_development

RUMOUR = a_development(stage=Stage.RUMOURED)
BAN = a_development(stage=Stage.IN_FORCE)
UNCLEAR = a_development(stage=Stage.IN_FORCE, direction=Direction.NEUTRAL)


def a_key(title: str, *developments, lead: str = "") -> StoryKey:
    traits = traits_of(Entry(id="1", title=title, summary=lead), "en")
    return StoryKey(developments=developments, link="", sketch=(), title=title, traits=traits)


def before(*members: StoryKey, official=False, severity=Severity.MEDIUM) -> Before:
    return Before(members=members, official=official, severity=severity)


def joining(*developments, tier=Tier.UNKNOWN, severity=None) -> Joining:
    return Joining(key=a_key("Ban on stablecoins", *developments), tier=tier, severity=severity)


@pytest.mark.parametrize(
    ("told", "new", "reasons"),
    [
        pytest.param(before(a_key("t", BAN)), joining(BAN), [], id="one-more-report"),
        pytest.param(before(a_key("t", RUMOUR)), joining(RUMOUR), [], id="the-rumour-again"),
        pytest.param(before(a_key("t", RUMOUR)), joining(BAN), [Why.CONFIRMED], id="confirmed"),
        pytest.param(
            before(a_key("t", RUMOUR)), joining(BAN, tier=Tier.OFFICIAL), [Why.CONFIRMED], id="officially-confirmed"
        ),
        pytest.param(
            before(a_key("t", BAN)), joining(BAN, tier=Tier.OFFICIAL), [Why.OFFICIAL_SOURCE], id="first-official"
        ),
        pytest.param(
            before(a_key("t", BAN), official=True), joining(BAN, tier=Tier.OFFICIAL), [], id="second-official"
        ),
        pytest.param(before(a_key("t", UNCLEAR)), joining(BAN), [Why.DIRECTION_CLARIFIED], id="direction"),
        pytest.param(
            before(a_key("t", BAN)), joining(BAN, severity=Severity.HIGH), [Why.SEVERITY_RAISED], id="severity"
        ),
        pytest.param(
            before(a_key("t", BAN)),
            joining(BAN, a_development("HK", stage=Stage.IN_FORCE)),
            [Why.JURISDICTION_ADDED],
            id="jurisdiction",
        ),
    ],
)
def test_changes(told, new, reasons) -> None:
    assert [change.reason for change in changes(told, new)] == reasons


def test_only_an_official_denial_retracts() -> None:
    key = a_key("Bank denies ban on stablecoins")
    denial = replace(key, traits=replace(key.traits, denies=True))
    told = before(a_key("t", RUMOUR))
    assert [c.reason for c in changes(told, Joining(key=denial, tier=Tier.OFFICIAL))] == [Why.RETRACTION]
    assert changes(told, Joining(key=denial, tier=Tier.UNKNOWN)) == ()


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        pytest.param("Bank fined $4 million", "Bank fined $9 million", "figure 4,000,000 → 9,000,000", id="figure"),
        pytest.param("Rules start 14 March", "Rules start 21 March", "date 03-14 → 03-21", id="date"),
        pytest.param("House passes H.R. 4763", "House passes H.R. 4766", "number hr4763 → hr4766", id="law"),
        pytest.param("Court fines Acme", "Court fines Borealis", "name acme → borealis", id="name"),
        pytest.param("Court fines Boreals", "Court fines Borealis", None, id="typo-in-a-name"),
        pytest.param("Bank fined $4.3 billion", "Bank fined $4.32 billion", None, id="told-more-exactly"),
        pytest.param("Bank fined", "Bank fined $9 million", None, id="more-text"),
        pytest.param("Bank wil be fined", "Bank will be fined", None, id="typo"),
    ],
)
def test_corrections_of_facts(old, new, detail) -> None:
    assert [change.detail for change in corrections(a_key(old, BAN), a_key(new, BAN))] == ([detail] if detail else [])


@pytest.mark.parametrize(
    ("new", "detail"),
    [
        pytest.param((replace(BAN, stage=Stage.PROPOSED),), "stage in-force → proposed", id="stage"),
        pytest.param((replace(BAN, direction=Direction.EASING),), "direction tightening → easing", id="negation"),
        pytest.param((), "it no longer says so: No ban", id="the-act-is-gone"),
    ],
)
def test_corrections_of_acts(new, detail) -> None:
    assert [change.detail for change in corrections(a_key("Ban", BAN), a_key("No ban", *new))] == [detail]
