"""Who is told, and what follows an attempt: tables of decisions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.groups import Group, Groups
from service.domain.model import (
    Action,
    Channel,
    ChannelKind,
    DeliveryState,
    Direction,
    Exclusion,
    Origin,
    Outcome,
    OutcomeStatus,
    RouteReason,
    Secret,
    Severity,
    Stage,
    Subscription,
    Tier,
    Topic,
    Watch,
)
from service.domain.routing import MAX_ATTEMPTS, WAITS, after_attempt, route, selects, spelt_out
from tests.builders import a_background, a_development, a_match
from tests.conftest import NOON

HOUR = timedelta(hours=1)


def a_subscription(number: int = 1, *, channels: tuple[int, ...] = (1,), active: bool = True):
    made = tuple(Channel(id=n, kind=ChannelKind.WEBHOOK, url=Secret("x"), shown="x") for n in channels)
    return Subscription(
        id=number, team="t", name=f"s{number}", watch=Watch(), channels=made, created_at=NOON, active=active
    )


@pytest.mark.parametrize(
    ("watch", "reason"),
    [
        pytest.param(Watch(), None, id="everything"),
        pytest.param(Watch(jurisdictions=("KZ", "CN")), None, id="its-country"),
        pytest.param(Watch(jurisdictions=("KZ",)), RouteReason.NOT_WATCHED, id="another-country"),
        pytest.param(Watch(topics=(Topic.STABLECOIN,), actions=(Action.BAN,)), None, id="topic-and-action"),
        pytest.param(Watch(topics=(Topic.AI,)), RouteReason.NOT_WATCHED, id="another-topic"),
        pytest.param(Watch(rules=("cn-*",)), None, id="rule-pattern"),
        pytest.param(Watch(rules=("kz-*",)), RouteReason.NOT_WATCHED, id="another-rule"),
        pytest.param(Watch(min_severity=Severity.MEDIUM), None, id="loud-enough"),
        pytest.param(Watch(min_severity=Severity.HIGH), RouteReason.BELOW_SEVERITY, id="too-quiet"),
    ],
)
def test_selects(watch, reason) -> None:
    assert selects(watch, a_match()) is reason


NORDICS = Groups([Group(id="nordics", names=("Nordic countries",), members=("DK", "FI"), where="groups.yaml:1")])


@pytest.mark.parametrize(
    ("watch", "is_watched"),
    [
        (Watch(stages=(Stage.ENACTED,)), True),
        (Watch(stages=(Stage.PROPOSED,)), False),
        (Watch(directions=(Direction.TIGHTENING,)), True),
        (Watch(directions=(Direction.EASING,)), False),
        (Watch(tiers=(Tier.OFFICIAL,), languages=("zh-Hans",), tags=("beijing", "pboc")), True),
        (Watch(tiers=(Tier.WIRE,)), False),
        (Watch(languages=("en",)), False),
        (Watch(tags=("seoul",)), False),
        (Watch(exclude=Exclusion(jurisdictions=("KZ",))), True),
        (Watch(exclude=Exclusion(jurisdictions=("CN",))), False),
        (Watch(jurisdictions=("CN",), exclude=Exclusion(topics=(Topic.STABLECOIN,))), False),
        (Watch(exclude=Exclusion(actions=(Action.BAN,))), False),
        (Watch(exclude=Exclusion(rules=("r*",))), False),
    ],
)
def test_what_else_a_watch_may_ask(watch: Watch, is_watched: bool) -> None:
    origin = Origin(tier=Tier.OFFICIAL, language="zh-Hans", tags=("pboc",))
    match = a_match("r", a_development("CN", stage=Stage.ENACTED))
    assert (selects(watch, match, origin) is None) is is_watched
    if watch.tiers or watch.languages or watch.tags:
        assert selects(watch, match) is RouteReason.NOT_WATCHED  # where it came from is not known


@pytest.mark.parametrize(
    ("watch", "is_watched"),
    [
        pytest.param(Watch(packs=("digital-assets",)), True, id="its-pack"),
        pytest.param(Watch(packs=("ai",)), False, id="another-pack"),
        pytest.param(Watch(packs=("ai",), rules=("cn-*",)), True, id="or-by-its-id"),
        pytest.param(Watch(packs=("digital-assets",), rules=("kz-*",)), True, id="or-by-its-pack"),
        pytest.param(Watch(packs=("digital-assets",), jurisdictions=("KZ",)), False, id="narrowed-all-the-same"),
    ],
)
def test_a_pack_selects_its_rules(watch: Watch, is_watched: bool) -> None:
    packs = {"cn-ban": "digital-assets", "ai-act": "ai"}
    assert (selects(watch, a_match(), packs=packs) is None) is is_watched
    assert selects(Watch(packs=("digital-assets",)), a_match("of-no-pack"), packs=packs) is RouteReason.NOT_WATCHED


def test_what_is_excluded_leaves_the_other_developments() -> None:
    match = a_match("r", a_development("CN"), a_development("KZ"))
    assert selects(Watch(exclude=Exclusion(jurisdictions=("CN",))), match) is None
    assert selects(Watch(exclude=Exclusion(jurisdictions=("CN", "KZ"))), match) is RouteReason.NOT_WATCHED


def test_a_group_stands_for_its_members_and_one_that_is_gone_for_nobody() -> None:
    watch = Watch(jurisdictions=("SE",), groups=("Nordic Countries",), exclude=Exclusion(groups=("nordics",)))
    told = spelt_out(watch, NORDICS)
    assert (told.jurisdictions, told.exclude.jurisdictions) == (("SE", "DK", "FI"), ("DK", "FI"))
    gone = spelt_out(Watch(groups=("nordics",)), Groups())
    assert selects(gone, a_match("r", a_development("DK"))) is RouteReason.NOT_WATCHED
    assert spelt_out(Watch(), NORDICS) is not None


def test_a_watch_is_met_by_one_development_not_by_parts_of_two() -> None:
    match = a_match("r", a_development("CN"), a_development("KZ", topic=Topic.MINING))
    assert selects(Watch(jurisdictions=("KZ",), topics=(Topic.STABLECOIN,)), match) is RouteReason.NOT_WATCHED


@pytest.mark.parametrize(
    ("subscriptions", "told", "reasons"),
    [
        pytest.param([], (), [RouteReason.NO_SUBSCRIPTION], id="nobody"),
        pytest.param([a_subscription()], (), [RouteReason.DELIVERED], id="delivered"),
        pytest.param([a_subscription()], (1,), [RouteReason.ALREADY_TOLD], id="told-before"),
        pytest.param(
            [a_subscription(1), a_subscription(2)],
            (),
            [RouteReason.DELIVERED, RouteReason.ALREADY_TOLD],
            id="one-message-a-channel",
        ),
        pytest.param([a_subscription(active=False)], (), [RouteReason.INACTIVE], id="silenced"),
        pytest.param([a_subscription(channels=())], (), [RouteReason.NO_CHANNEL], id="no-channel"),
    ],
)
def test_route(subscriptions, told, reasons) -> None:
    assert [r.reason for r in route([a_match()], subscriptions, told, a_background())] == reasons


def test_two_rules_lead_to_one_message() -> None:
    routes = route([a_match("a"), a_match("b")], [a_subscription()], (), a_background())
    assert [(r.rule_id, r.channel_ids) for r in routes] == [("a", (1,)), ("b", ())]


def test_a_second_channel_is_told_even_when_the_first_was() -> None:
    (only,) = route([a_match()], [a_subscription(channels=(1, 2))], {1}, a_background())
    assert (only.reason, only.channel_ids) == (RouteReason.DELIVERED, (2,))


@pytest.mark.parametrize(
    ("tries", "status", "state"),
    [
        pytest.param(1, OutcomeStatus.SENT, DeliveryState.SENT, id="sent"),
        pytest.param(1, OutcomeStatus.RETRY, DeliveryState.PENDING, id="tried-again"),
        pytest.param(1, OutcomeStatus.REFUSED, DeliveryState.DEAD, id="refused-for-good"),
        pytest.param(MAX_ATTEMPTS - 1, OutcomeStatus.RETRY, DeliveryState.PENDING, id="last-wait"),
        pytest.param(MAX_ATTEMPTS, OutcomeStatus.RETRY, DeliveryState.DEAD, id="patience-over"),
    ],
)
def test_after_attempt(tries, status, state) -> None:
    assert after_attempt(tries, Outcome(status=status), NOON, 0.5).state is state


def test_the_schedule_is_ten_attempts_over_about_three_days() -> None:
    assert MAX_ATTEMPTS == 10
    assert timedelta(hours=75) < sum(WAITS, timedelta()) < timedelta(hours=77)


@pytest.mark.parametrize(("chance", "low", "high"), [(0.0, 4.0, 4.0), (0.5, 5.0, 5.0), (1.0, 6.0, 6.0)])
def test_retries_spread(chance, low, high) -> None:
    due = after_attempt(1, Outcome(status=OutcomeStatus.RETRY), NOON, chance).due_at
    assert low <= (due - NOON).total_seconds() <= high


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        pytest.param(timedelta(seconds=1), timedelta(seconds=5), id="never-sooner-than-the-schedule"),
        pytest.param(HOUR, HOUR, id="as-asked"),
        pytest.param(timedelta(days=400), timedelta(hours=24), id="within-reason"),
    ],
)
def test_retry_after(asked, waited) -> None:
    outcome = Outcome(status=OutcomeStatus.RETRY, retry_after=asked)
    assert after_attempt(1, outcome, NOON, 0.5).due_at - NOON == waited


@pytest.mark.parametrize(
    ("outcome", "gap", "rest"),
    [
        pytest.param(Outcome(status=OutcomeStatus.SENT, http_status=200), 0, None, id="no-gap"),
        pytest.param(Outcome(status=OutcomeStatus.SENT, http_status=200), 3, 3, id="a-room's-gap"),
        pytest.param(Outcome(status=OutcomeStatus.RETRY, http_status=500), 0, None, id="about-the-message"),
        pytest.param(Outcome(status=OutcomeStatus.RETRY, http_status=503), 0, 5, id="about-the-endpoint"),
        pytest.param(Outcome(status=OutcomeStatus.RETRY, http_status=429, retry_after=HOUR / 60), 3, 60, id="as-asked"),
        pytest.param(
            Outcome(status=OutcomeStatus.RETRY, http_status=429, retry_after=HOUR), 0, 900, id="within-reason"
        ),
        pytest.param(Outcome(status=OutcomeStatus.RETRY), 1, 1, id="no-answer"),
    ],
)
def test_how_long_a_channel_rests(outcome: Outcome, gap: int, rest: int | None) -> None:
    until = after_attempt(1, outcome, NOON, 0.5, timedelta(seconds=gap)).rest_until
    assert until == (NOON + timedelta(seconds=rest) if rest is not None else None)
