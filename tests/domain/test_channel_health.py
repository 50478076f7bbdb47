"""When a channel's failures are told, and when it is given up on: the decisions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.channels import DISABLED_AFTER, LULL, TOLD_AFTER, after_attempt
from service.domain.model import (
    HEALTHY,
    ChannelHealth,
    ChannelNoticeKind,
    DeliveryKind,
    DeliveryState,
    DisabledReason,
    Outcome,
    OutcomeStatus,
    Settlement,
)
from service.domain.routing import JITTER, MAX_RETRY_AFTER, WAITS
from tests.conftest import NOON

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def ended(state: DeliveryState = DeliveryState.PENDING, status: int | None = 500) -> Settlement:
    sent = OutcomeStatus.SENT if state is DeliveryState.SENT else OutcomeStatus.RETRY
    return Settlement(state=state, due_at=NOON, outcome=Outcome(status=sent, http_status=status))


def failing(since: timedelta, last: timedelta = HOUR, *, told: bool = False) -> ChannelHealth:
    """A channel that has failed for so long, the last time so long ago."""
    return ChannelHealth(failing_since=NOON - since, last_failed_at=NOON - last, told=told)


@pytest.mark.parametrize(
    ("health", "settlement", "tell", "disabled"),
    [
        pytest.param(HEALTHY, ended(DeliveryState.SENT, 200), None, None, id="well"),
        pytest.param(HEALTHY, ended(), None, None, id="first-failure"),
        pytest.param(HEALTHY, ended(DeliveryState.DEAD, 410), "disabled", "gone", id="gone-at-once"),
        pytest.param(HEALTHY, ended(DeliveryState.DEAD, 400), "given_up", None, id="one-refused"),
        pytest.param(failing(TOLD_AFTER - MINUTE), ended(), None, None, id="not-told-yet"),
        pytest.param(failing(TOLD_AFTER), ended(), "failing", None, id="told"),
        pytest.param(failing(TOLD_AFTER, told=True), ended(), None, None, id="told-once"),
        pytest.param(failing(TOLD_AFTER, told=True), ended(DeliveryState.SENT, 200), "recovered", None, id="recovers"),
        pytest.param(failing(HOUR), ended(DeliveryState.SENT, 200), None, None, id="recovers-unnoticed"),
        pytest.param(failing(DISABLED_AFTER - MINUTE, told=True), ended(), None, None, id="almost"),
        pytest.param(failing(DISABLED_AFTER, told=True), ended(), "disabled", "failing", id="five-days"),
        pytest.param(failing(DISABLED_AFTER), ended(DeliveryState.DEAD), "disabled", "failing", id="said-once"),
        pytest.param(failing(DISABLED_AFTER, LULL + MINUTE), ended(), None, None, id="sporadic"),
        pytest.param(failing(DISABLED_AFTER), ended(DeliveryState.SENT, 200), None, None, id="accepted-after-all"),
    ],
)
def test_after_attempt(
    health: ChannelHealth, settlement: Settlement, tell: str | None, disabled: DisabledReason | None
) -> None:
    verdict = after_attempt(health, DeliveryKind.ALERT, settlement, NOON)
    assert verdict.tell == tell
    assert verdict.health.disabled_because == disabled
    assert verdict.health.disabled_at == (NOON if disabled else None)


def test_an_acceptance_forgets_every_failure() -> None:
    assert after_attempt(failing(DISABLED_AFTER), DeliveryKind.TEST, ended(DeliveryState.SENT), NOON).health == HEALTHY


def test_failures_far_apart_begin_the_count_anew() -> None:
    health = after_attempt(failing(DISABLED_AFTER, LULL + MINUTE), DeliveryKind.ALERT, ended(), NOON).health
    assert health.failing_since == NOON


def test_no_wait_between_two_attempts_is_a_lull() -> None:
    """Else a channel with a single message, tried for days, would never be seen to fail for long."""
    assert max(max(WAITS) * (1 + JITTER), MAX_RETRY_AFTER) < LULL


@pytest.mark.parametrize("kind", [DeliveryKind.CHANNEL_NOTICE, DeliveryKind.DRILL, DeliveryKind.TEST])
def test_a_notice_that_cannot_be_delivered_raises_none(kind: DeliveryKind) -> None:
    assert after_attempt(HEALTHY, kind, ended(DeliveryState.DEAD), NOON).tell is None
    assert after_attempt(HEALTHY, DeliveryKind.NOTICE, ended(DeliveryState.DEAD), NOON).tell is (
        ChannelNoticeKind.GIVEN_UP
    )
