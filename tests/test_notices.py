"""Notices about feeds: who hears, what is said on every kind of channel, and that a burst is one message."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from jsonschema import validate

from service.app import declared_subscription
from service.config import Settings
from service.delivery.message import render
from service.delivery.payload import PAYLOAD_LIMIT, PAYLOAD_SCHEMA
from service.domain.model import ChannelKind, DeliveryKind, FeedReport, NoticeKind, Notices, RouteReason, Watch
from service.domain.notices import hears
from service.domain.routing import route
from tests.builders import a_background, a_match
from tests.domain.test_routing import a_subscription
from tests.fakes_delivery import NOON, a_delivery
from tests.loopback import item
from tests.test_message import CHANNELS
from tests.test_pipeline import BAN, Line, line, rulebook  # noqa: F401  (fixtures)

NORDIC = Watch(jurisdictions=("SE", "NO"))


@pytest.mark.parametrize(
    ("wish", "watch", "kind", "jurisdiction", "heard"),
    [
        pytest.param(Notices.GAPS, Watch(), NoticeKind.GAP, "KR", True, id="a-gap-concerns-everybody"),
        pytest.param(Notices.GAPS, Watch(), NoticeKind.GAP_CLOSED, None, True, id="and-its-end"),
        pytest.param(Notices.GAPS, NORDIC, NoticeKind.GAP, "SE", True, id="who-watches-it"),
        pytest.param(Notices.GAPS, NORDIC, NoticeKind.GAP, "KR", False, id="not-who-watches-another"),
        pytest.param(Notices.GAPS, NORDIC, NoticeKind.GAP, None, True, id="a-feed-of-any-country"),
        pytest.param(Notices.GAPS, Watch(), NoticeKind.FAILING, "KR", False, id="trouble-is-the-owner's"),
        pytest.param(Notices.ALL, Watch(), NoticeKind.FAILING, "KR", True, id="the-owner"),
        pytest.param(Notices.ALL, NORDIC, NoticeKind.FAILING, "KR", False, id="the-owner-of-others"),
        pytest.param(Notices.ONLY, Watch(), NoticeKind.MOVED, None, True, id="nothing-but-notices"),
        pytest.param(Notices.OFF, Watch(), NoticeKind.GAP, None, False, id="nothing-of-all-that"),
    ],
)
def test_who_hears(wish: Notices, watch: Watch, kind: NoticeKind, jurisdiction: str | None, heard: bool) -> None:
    assert hears(wish, watch, kind, jurisdiction) is heard


def test_only_notices_means_no_alerts() -> None:
    heard = replace(a_subscription(), notices=Notices.ONLY)
    (told,) = route([a_match()], [heard], told=(), background=a_background())
    assert (told.reason, told.channel_ids) == (RouteReason.NOT_WATCHED, ())


def report(number: int = 1, kind: NoticeKind = NoticeKind.FAILING, name: str = "Gazette") -> FeedReport:
    return FeedReport(
        feed_id=number, name=name, url=f"https://gov.example/{number}", kind=kind, detail="no answer", at=NOON
    )


def rendered(kind: ChannelKind, *reports: FeedReport):  # type: ignore[no-untyped-def]
    return render(a_delivery(CHANNELS[kind], None, kind=DeliveryKind.NOTICE, reports=reports), now=NOON)


@pytest.mark.parametrize("kind", list(ChannelKind))
def test_a_notice_names_feed_and_trouble_on_every_channel(kind: ChannelKind) -> None:
    message = rendered(kind, report())
    assert message.title == "Feed notice: Gazette brings nothing any more"
    if kind is ChannelKind.WEBHOOK:
        payload = json.loads(message.payload)
        validate(payload, PAYLOAD_SCHEMA)
        assert payload["type"] == "feed.notice"
        assert payload["data"]["reports"][0] == {
            "feed_id": 1,
            "name": "Gazette",
            "url": "https://gov.example/1",
            "kind": "failing",
            "detail": "no answer",
            "at": "2026-11-21T12:00:00Z",
        }
    else:
        assert "Gazette brings nothing any more: no answer" in message.body
        assert (message.html is not None) == (kind is ChannelKind.EMAIL)


def test_many_notices_are_summed_up_and_fit() -> None:
    many = [report(n, name="N" * 200) for n in range(49)] + [report(49, NoticeKind.GONE)]
    message = rendered(ChannelKind.WEBHOOK, *many)
    assert message.title == "Feed notices: 50 feeds, 49 times “brings nothing any more”"
    assert len(message.payload) < PAYLOAD_LIMIT
    assert json.loads(message.payload)["data"]["reports_total"] == 50
    assert len(rendered(ChannelKind.TELEGRAM, *many).body) < 4096


@pytest.mark.parametrize("hostile", ["@everyone look", "<!channel> urgent", "<!here|here>", "<@U024BE7LH>"])
def test_a_feed_cannot_ping_a_room_by_its_title(hostile: str) -> None:
    for kind in (ChannelKind.SLACK, ChannelKind.OTHER):
        message = rendered(kind, report(name=hostile))
        assert hostile not in message.title + message.body


async def test_the_owner_is_told_of_each_change_of_state_and_a_burst_is_one_message(line: Line) -> None:  # noqa: F811
    wanted = {
        "egress": {"allow": ["127.0.0.1/32"]},
        "subscriptions": [{"name": "owner", "notices": "only", "channels": [f"{line.web.address}/hook"]}],
    }
    settings = Settings.model_validate(wanted)
    line.store.subscriptions.apply(
        [("default", declared_subscription(settings, 0, line.service.rulebook))], now=line.clock()
    )
    paths = ("/a", "/b")
    feeds = [line.add(line.web.feed(path, item("g", "Nothing"), BAN)) for path in paths]
    await line.run()
    assert line.web.payloads() == [], "an owner of feeds hears no alerts"
    for path in paths:
        line.web.pages[path] = lambda _: web.Response(status=500)
    for _ in range(4):
        await line.run(after=timedelta(days=1))
    await line.run(after=timedelta(minutes=2))
    (down,) = line.web.payloads()
    assert [(r["feed_id"], r["kind"]) for r in down["data"]["reports"]] == [(id_, "failing") for id_ in feeds]
    line.web.pages["/a"] = lambda _: web.Response(status=410)
    await line.run(after=timedelta(days=2))
    line.web.feed("/a", item("g2", "Again"))
    await line.run(after=timedelta(days=2))
    await line.run(after=timedelta(minutes=2))
    kinds = [[r["kind"] for r in each["data"]["reports"]] for each in line.web.payloads()]
    assert kinds == [["failing", "failing"], ["gone"], ["gap", "recovered", "gap_closed"]]
