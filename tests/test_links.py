"""Links in messages, from the message to the page and back: what they do, once, and what they refuse to do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import text
from structlog.testing import capture_logs

from service.api.app import Deps, build
from service.config import Rulebook, Settings, load_rulebook
from service.delivery.channels import SmtpSettings, mail_headers
from service.delivery.markup import MAIL_LIMIT, PLAIN_LIMIT
from service.delivery.message import render
from service.delivery.payload import PAYLOAD_LIMIT, PAYLOAD_SCHEMA
from service.domain.links import Links, Purpose
from service.domain.model import (
    ChannelKind,
    Delivery,
    DeliveryKind,
    Language,
    Message,
    Notice,
    NoticeKind,
    Scope,
    Secret,
    Verdict,
)
from service.logs import configure
from service.storage.store import Store
from service.storage.subscriptions import NewChannel
from tests.builders import LEASE, a_channel, a_subscription, healthy
from tests.conftest import NOON, TEST_KEY, Clock
from tests.fakes_delivery import TelegramBot, a_delivery, an_alert, slack_faults
from tests.test_api import raise_alerts
from tests.test_message import CHANNELS, LONG, a_digest

BASE = "https://watch.example.org"
HOSTILE = '{} bans <script>alert(1)</script> "quoted" stablecoins @everyone'
DAYS = timedelta(days=1)
APPLICABLE = {"verdict": "applicable", "by": "Ana"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A team that was told of one alert, and a browser."""

    store: Store
    clock: Clock
    links: Links
    browser: httpx.AsyncClient
    delivery: Delivery

    @property
    def decide(self) -> str:
        """The link that stands in the message."""
        message = render(self.delivery, now=self.clock(), links=self.links)
        (url,) = re.findall(rf"{BASE}/decide/\S+", message.body)
        return str(url)

    @property
    def unsubscribe(self) -> str:
        return render(self.delivery, now=self.clock(), links=self.links).unsubscribe or ""

    def decisions(self) -> list[tuple[str, str]]:
        return [(one.verdict.value, one.by) for one in self.store.decisions.of("desk", 1)]

    def key(self, team: str = "desk") -> dict[str, str]:
        _, text = self.store.keys.create(
            team=team, name="k", scopes=(Scope.WRITE,), random=lambda n: team[:1].encode() * n, now=self.clock()
        )
        return {"authorization": f"Bearer {text.reveal()}"}


def mail(address: str) -> NewChannel:
    return NewChannel(kind=ChannelKind.EMAIL, url=Secret(f"mailto:{address}"), shown=f"mailto:{address}")


def told(store: Store, code: str = "CN", team: str = "desk", language: Language = Language.ENGLISH) -> Delivery:
    """The delivery of an alert to the only channel of the team's subscription."""
    new = a_subscription("Asia", channels=(mail(f"{team}@example.org"),), language=language)
    store.subscriptions.create(team, new, now=NOON)
    raise_alerts(store, code, title=HOSTILE)
    (delivery,) = store.outbox.claim_due(NOON, limit=9, lease=LEASE)
    return delivery


def rulebook() -> Rulebook:
    """Not for the links: for the API beside them, which reads subscriptions with it."""
    return load_rulebook(Settings().rules)


def nothing() -> Any:
    raise AssertionError("no rule is needed to answer a link")


@asynccontextmanager
async def a_desk(store: Store, clock: Clock, links: Links | None = None) -> AsyncIterator[Desk]:
    made = links or Links(base=BASE, keys=store.vault.derived("links"), decide_for=14 * DAYS)
    deps = Deps(
        store=store,
        rulebook=rulebook,
        settings=Settings(),
        now=clock,
        random=bytes,
        reload=nothing,
        links=made,
    )
    delivery = told(store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build(deps)), base_url=BASE) as browser:
        yield Desk(store=store, clock=clock, links=made, browser=browser, delivery=delivery)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("links") / "empty.db"
    Store(f"sqlite:///{path}", keys=(TEST_KEY,)).close()
    return path


@pytest.fixture
def sqlite(tmp_path: Path, empty: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{shutil.copy(empty, tmp_path / 'p.db')}", keys=(TEST_KEY,))
    yield store
    store.close()


@pytest.fixture
async def desk(sqlite: Store, clock: Clock) -> AsyncIterator[Desk]:
    async with a_desk(sqlite, clock) as found:
        yield found


# --- what a link shows ----------------------------------------------------------------------------------------------


async def test_to_look_changes_nothing_however_often_a_scanner_does(desk: Desk) -> None:
    for method in ("GET", "HEAD", "GET"):
        page = await desk.browser.request(method, desk.decide)
        assert page.status_code == 200
    assert desk.decisions() == []
    assert desk.store.subscriptions.get("desk", 1).unsubscribed == {}  # type: ignore[union-attr]
    assert (await desk.browser.post(desk.decide, data=APPLICABLE)).status_code == 200


async def test_the_page_shows_the_alert_and_runs_nothing_of_a_hostile_title(desk: Desk) -> None:
    page = await desk.browser.get(desk.decide)
    assert "China: ban on stablecoins" in page.text
    assert "Subscription Asia of desk" in page.text
    assert "<script" not in page.text
    assert "alert(1)" in page.text
    assert "@everyone" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert {"form-action 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert 'name="viewport"' in page.text


async def test_the_style_is_the_one_that_the_policy_lets_through(desk: Desk) -> None:
    page = await desk.browser.get(desk.decide)
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in page.headers["content-security-policy"]
    assert " style=" not in page.text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (Language.SPANISH, "Su nombre"),
        (Language.CHINESE, "您的姓名"),
        (Language.JAPANESE, "お名前"),
        (Language.KOREAN, "이름"),
    ],
)
async def test_it_speaks_the_language_of_the_subscription(desk: Desk, language: Language, said: str) -> None:
    delivery = told(desk.store, "KE", team=language, language=language)
    page = await desk.browser.get(desk.links.decide(delivery, 2))
    assert said in page.text


# --- what it does ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "kept"),
    [
        ({"verdict": "applicable"}, {}),
        ({"verdict": "applicable", "reason": "not this button's", "until": "x", "assignee": "nor this"}, {}),
        ({"verdict": "not_applicable", "reason": "no business there"}, {"reason": "no business there"}),
        ({"verdict": "deferred", "until": "2026-03-20"}, {"until": "2026-03-20"}),
        ({"verdict": "assigned", "assignee": "Ben"}, {"assignee": "Ben"}),
    ],
)
async def test_each_button_decides_and_the_api_shows_it(desk: Desk, form: dict[str, str], kept: dict[str, str]) -> None:
    page = await desk.browser.post(desk.decide, data={"by": " Ana ", **form})
    assert (page.status_code, "Your decision is recorded" in page.text) == (200, True)
    (shown,) = (await desk.browser.get("/v1/alerts/1", headers=desk.key())).json()["decisions"]
    nothing_more = {"reason": "", "until": None, "assignee": ""}
    by_link = {"by": "Ana", "verdict": form["verdict"], "delivery_id": desk.delivery.id, "at": "2026-03-02T12:00:00Z"}
    assert shown == by_link | nothing_more | kept
    (change,) = desk.store.audit.page("desk", thing="decision")
    assert (change.actor, change.after["verdict"]) == ("the link in delivery 1", form["verdict"])


LACKING: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["Press one of the buttons", "Say who you are"]),
    ({"verdict": "burn", "by": "Ana"}, ["Press one of the buttons"]),
    ({"verdict": "applicable", "by": "  "}, ["Say who you are"]),
    ({"verdict": "applicable", "by": "A\u202eb"}, ["Say who you are"]),
    ({"verdict": "not_applicable", "by": "Ana"}, ["Say why it is not applicable"]),
    ({"verdict": "not_applicable", "by": "Ana", "reason": "x" * 301}, ["Say why it is not applicable"]),
    ({"verdict": "deferred", "by": "Ana"}, ["Name a day to come"]),
    ({"verdict": "deferred", "by": "Ana", "until": "2026-03-02"}, ["Name a day to come"]),
    ({"verdict": "deferred", "by": "Ana", "until": "2036-03-02"}, ["Name a day to come"]),
    ({"verdict": "deferred", "by": "Ana", "until": "tomorrow"}, ["Name a day to come"]),
    ({"verdict": "assigned", "by": "Ana"}, ["Say who is to decide"]),
]


async def test_a_form_that_lacks_something_says_what_and_uses_nothing_up(desk: Desk) -> None:
    for form, asked in LACKING:
        page = await desk.browser.post(desk.decide, data=form)
        assert (page.status_code, desk.decisions()) == (422, []), form
        assert [said for said in asked if said not in page.text] == [], form
        if "reason" not in form and form.get("by", "").strip():
            assert f'value="{form["by"]}"' in page.text, "what was written is not asked for again"
    assert (await desk.browser.post(desk.decide, data=APPLICABLE)).status_code == 200


async def test_enter_in_a_field_decides_nothing(desk: Desk) -> None:
    page = await desk.browser.get(desk.decide)
    first, *others = re.findall(r'name="verdict" value="(\w*)"', page.text)
    assert (first, others) == ("", [*Verdict])
    written = {"verdict": first, "by": "Ana", "reason": "no business there"}
    again = await desk.browser.post(desk.decide, data=written)
    assert (again.status_code, 'value="no business there"' in again.text, desk.decisions()) == (422, True, [])


async def test_what_is_no_form_decides_nothing(desk: Desk) -> None:
    for body in (b"\xff\xfe", b"&" * 500, b'{"verdict":"applicable"}', b"a=1&" * 50):
        page = await desk.browser.post(desk.decide, content=body)
        assert (page.status_code, desk.decisions()) == (422, []), body


# --- what it refuses ----------------------------------------------------------------------------------------------


async def test_a_link_decides_once_and_then_says_who_did(desk: Desk) -> None:
    await desk.browser.post(desk.decide, data=APPLICABLE)
    desk.clock.advance(timedelta(minutes=5))
    again = await desk.browser.post(desk.decide, data={"verdict": "not_applicable", "by": "Eve", "reason": "mine"})
    look = await desk.browser.get(desk.decide)
    assert (again.status_code, look.status_code) == (409, 200)
    for page in (again, look):
        assert "This link has decided already" in page.text
        assert "Ana, 2026-03-02 12:00 UTC: applicable" in page.text
        assert "<form" not in page.text
    assert desk.decisions() == [("applicable", "Ana")]


async def test_of_two_at_the_same_moment_one_decides(store: Store, clock: Clock) -> None:
    async with a_desk(store, clock) as desk:
        url = desk.decide
        names = [f"Ana {number}" for number in range(6)]
        pages = await asyncio.gather(
            *(desk.browser.post(url, data={"verdict": "applicable", "by": name}) for name in names)
        )
        assert sorted(page.status_code for page in pages) == [200, 409, 409, 409, 409, 409]
        ((_, by),) = desk.decisions()
        assert all(f"{by}, 2026-03-02 12:00 UTC" in page.text for page in pages)


async def test_another_decision_of_the_team_uses_no_link_up(desk: Desk) -> None:
    body = {"verdict": "applicable", "by": "api"}
    assert (await desk.browser.post("/v1/alerts/1/decisions", headers=desk.key(), json=body)).status_code == 201
    page = await desk.browser.get(desk.decide)
    assert "api, 2026-03-02 12:00 UTC: applicable" in page.text
    await desk.browser.post(desk.decide, data={"verdict": "assigned", "by": "Ana", "assignee": "Ben"})
    assert desk.decisions() == [("assigned", "Ana"), ("applicable", "api")]


def altered(url: str) -> dict[str, str]:
    """What somebody may make of a link that they were sent."""
    head, _, token = url.rpartition("/")
    delivery, alert, until, signature = token.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    return {
        "another delivery": f"{head}/2.{alert}.{until}.{signature}",
        "another alert": f"{head}/{delivery}.2.{until}.{signature}",
        "later": f"{head}/{delivery}.{alert}.{int(until) + 9}.{signature}",
        "zeros": f"{head}/0{delivery}.{alert}.{until}.{signature}",
        "another script's digits": f"{head}/\u0661.{alert}.{until}.{signature}",
        "another signature": f"{head}/{delivery}.{alert}.{until}.{flipped}",
        "none": f"{head}/{delivery}.{alert}.{until}.",
        "cut": url[:-1],
        "more": f"{url}A",
        "line break": f"{url}%0A",
        "nothing": f"{head}/x",
        "huge": f"{head}/{'9' * 4000}.1.1.{signature}",
        "for unsubscribing": f"{BASE}/unsubscribe/{token}",
    }


async def test_an_altered_link_does_nothing_and_says_what_to_do(desk: Desk) -> None:
    told(desk.store, "KE", team="rivals")
    for how, url in altered(desk.decide).items():
        for page in (await desk.browser.get(url), await desk.browser.post(url, data=APPLICABLE)):
            assert page.status_code == 403, how
            assert "This link is not valid. Open it from the message itself" in page.text
            assert "Asia" not in page.text, "who has no link learns nothing"
            assert "content-security-policy" in page.headers
    assert desk.decisions() == []
    assert desk.store.decisions.of("rivals", 2) == ()


async def test_a_link_of_another_team_decides_for_that_team_only(desk: Desk) -> None:
    theirs = told(desk.store, "KE", team="rivals")
    assert (await desk.browser.post(desk.links.decide(theirs, 2), data=APPLICABLE)).status_code == 200
    assert desk.store.decisions.of("desk", 2) == ()
    not_told = desk.links.decide(replace(theirs, id=desk.delivery.id), 99)
    assert (await desk.browser.get(not_told)).status_code == 410, "an alert that is not the team's is not there"


async def test_a_link_expires_and_says_so_in_the_browser_s_language(desk: Desk) -> None:
    url = desk.decide
    desk.clock.advance(14 * DAYS - timedelta(seconds=1))
    assert (await desk.browser.get(url)).status_code == 200
    desk.clock.advance(timedelta(seconds=1))
    for page in (await desk.browser.get(url), await desk.browser.post(url, data=APPLICABLE)):
        assert (page.status_code, "This link has expired" in page.text) == (410, True)
    page = await desk.browser.get(url, headers={"accept-language": "fr, es-MX;q=0.9, en;q=0.5"})
    assert "Este enlace ha caducado" in page.text
    assert desk.decisions() == []


async def test_a_key_that_is_replaced_still_reads_what_it_signed(sqlite: Store, clock: Clock) -> None:
    (old,) = sqlite.vault.derived("links")
    assert sqlite.vault.derived("feeds") != (old,), "a key for each purpose"
    links = Links(base=BASE, keys=(b"n" * 32, old), decide_for=DAYS)
    async with a_desk(sqlite, clock, links) as desk:
        for keys, status in (((old,), 200), ((b"n" * 32,), 200), ((b"x" * 32,), 403)):
            url = replace(links, keys=keys).decide(desk.delivery, 1)
            assert (await desk.browser.get(url)).status_code == status


@pytest.mark.parametrize("sends", [True, False])
async def test_who_switches_links_off_takes_none(sqlite: Store, clock: Clock, sends: bool) -> None:
    links = Links(base=BASE, keys=sqlite.vault.derived("links"), decide_for=timedelta(0))
    async with a_desk(sqlite, clock, links) as desk:
        message = render(desk.delivery, now=clock(), links=links if sends else None)
        assert "/decide/" not in message.body + (message.html or "")
        assert bool(message.unsubscribe) is sends
        old = replace(links, decide_for=DAYS).decide(desk.delivery, 1)
        page = await desk.browser.get(old)
        assert (page.status_code, "Links are switched off" in page.text) == (410, True)


async def test_a_link_is_never_in_the_log(desk: Desk) -> None:
    url = desk.decide
    configure("info", "json")  # an earlier test may have asked for less
    with capture_logs() as logs:
        await desk.browser.post(url, data=APPLICABLE)
        await desk.browser.post(altered(url)["cut"], data=APPLICABLE)
        with desk.store.database.write() as session:
            session.execute(text("ALTER TABLE delivery RENAME TO lost"))
        assert (await desk.browser.get(url)).status_code == 500
    assert [line["event"] for line in logs] == ["decided by link", "link refused", "request failed"]
    assert url.rpartition(".")[2][:-1] not in str(logs)


# --- unsubscribe --------------------------------------------------------------------------------------------------


async def test_one_click_ends_the_mails_of_that_subscription_and_the_api_undoes_it(store: Store, clock: Clock) -> None:
    async with a_desk(store, clock) as desk:
        url = desk.unsubscribe
        page = await desk.browser.get(url)
        assert (page.status_code, '<form method="post">' in page.text) == (200, True)
        assert "Subscription Asia of desk sends messages to mailto:desk@example.org" in page.text
        with capture_logs() as logs:
            for _ in range(2):
                clicked = await desk.browser.post(url, data={"List-Unsubscribe": "One-Click"})  # RFC 8058 section 3.2
                assert (clicked.status_code, "gets no more messages" in clicked.text) == (200, True)
        (line,) = logs
        (change, *_) = store.audit.page("desk", thing="subscription")
        assert (change.actor, change.number, *change.after["unsubscribed"]) == ("the link in delivery 1", 1, "1")
        assert (line["log_level"], line["event"]) == ("warning", "unsubscribed by its reader")
        assert "<form" not in (await desk.browser.get(url)).text
        key = desk.key()
        path = "/v1/subscriptions/1"
        (channel,) = (await desk.browser.get(path, headers=key)).json()["channels"]
        assert channel["unsubscribed_at"] == "2026-03-02T12:00:00Z"
        raise_alerts(store, "KE")
        assert reasons(desk) == {"delivered": 1, "no_channel": 1}
        assert (await desk.browser.post(f"{path}/test", headers=key)).status_code == 409
        assert (await desk.browser.patch(path, headers=key, json={"language": "es"})).status_code == 200
        other, undo = desk.key("rivals"), f"{path}/channels/1/unsubscribed"
        assert (await desk.browser.delete(undo, headers=other)).status_code == 404
        assert (await desk.browser.delete(undo, headers=key)).status_code == 204
        assert (await desk.browser.delete(undo, headers=key)).status_code == 404
        raise_alerts(store, "GH")
        assert reasons(desk) == {"delivered": 2, "no_channel": 1}


async def test_the_team_is_told_by_its_other_channels_who_hears_no_more(desk: Desk) -> None:
    hook = a_channel("https://hook.example.org/a")
    desk.store.subscriptions.create("rivals", a_subscription("theirs", channels=(mail("x@y.example"),)), now=NOON)
    desk.store.subscriptions.create("desk", a_subscription("other", channels=(hook,), active=False), now=NOON)
    desk.store.subscriptions.create("desk", a_subscription("more", channels=(hook,)), now=NOON)
    for _ in range(2):
        await desk.browser.post(desk.unsubscribe)
    (told_,) = desk.store.outbox.claim_due(NOON, limit=9, lease=LEASE)
    assert (told_.kind, told_.team, told_.channel.shown) == (DeliveryKind.UNSUBSCRIBED, "desk", hook.shown)
    payload = json.loads(render(told_, now=NOON, links=desk.links).payload or b"")
    Draft202012Validator(PAYLOAD_SCHEMA).validate(payload)
    assert (payload["type"], payload["data"]["left"]) == ("channel.unsubscribed", "mailto:desk@example.org")
    assert payload["data"]["headline"] == "A reader unsubscribed from Asia of desk"
    by_mail = render(replace(told_, channel=CHANNELS[ChannelKind.EMAIL]), now=NOON, links=desk.links)
    assert "mailto:desk@example.org gets no more" in by_mail.body


def reasons(desk: Desk) -> dict[str, int]:
    found = desk.store.alerts.sum_of("desk", 1)
    assert found is not None
    assert found.missing == 0
    return {"delivered": found.delivered, **{reason.value: count for reason, count in found.suppressed.items()}}


async def test_a_link_to_unsubscribe_outlives_the_one_to_decide_and_its_subscription(desk: Desk) -> None:
    url = desk.unsubscribe
    desk.clock.advance(300 * DAYS)
    assert (await desk.browser.get(url)).status_code == 200
    assert desk.store.subscriptions.remove("desk", 1, now=desk.clock())
    clicked = await desk.browser.post(url)
    assert (clicked.status_code, "gets no more messages" in clicked.text) == (200, True)
    desk.clock.advance(65 * DAYS)
    assert (await desk.browser.post(url)).status_code == 410


async def test_a_decision_s_link_does_not_unsubscribe(desk: Desk) -> None:
    url = desk.decide.replace(Purpose.DECIDE.path, Purpose.UNSUBSCRIBE.path)
    assert (await desk.browser.post(url)).status_code == 403
    assert (await desk.browser.post(desk.unsubscribe.replace("/unsubscribe/", "/decide/"))).status_code == 403


async def test_a_channel_that_left_hears_of_no_feed_either(desk: Desk) -> None:
    (feed,) = desk.store.feeds.claim_due(NOON + DAYS, limit=1, lease=LEASE)
    await desk.browser.post(desk.unsubscribe)
    lost = healthy(NOON + DAYS, notices=(Notice(kind=NoticeKind.GAP, detail="two hours"),))
    desk.store.feeds.save_poll(feed, lost, (), now=NOON, look_back=DAYS)
    assert [one.kind for one in desk.store.feeds.notices()] == [NoticeKind.GAP]
    assert [one.kind for one in desk.store.outbox.page(team="desk")] == [DeliveryKind.ALERT]


# --- what stands in messages --------------------------------------------------------------------------------------

SIGNER = Links(base=BASE, keys=(b"k" * 32,), decide_for=14 * DAYS)


def shown(message: Message) -> str:
    """All that a message of any kind holds, with the escapes of JSON and HTML undone."""
    parts = (message.body, message.html or "", message.markdown or "", json.dumps(message.fields or {}))
    return html.unescape("\n".join(parts) + (message.payload or b"").decode())


@pytest.mark.parametrize("kind", [DeliveryKind.ALERT, DeliveryKind.UPDATE, DeliveryKind.ESCALATION])
@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_shows_the_link_whole_however_long_the_alert(channel: ChannelKind, kind: DeliveryKind) -> None:
    delivery = a_delivery(CHANNELS[channel], LONG, kind=kind)
    message = render(delivery, now=NOON, links=SIGNER)
    assert SIGNER.decide(delivery, LONG.id) in shown(message)
    assert len(message.payload or b"") < PAYLOAD_LIMIT
    if channel is ChannelKind.SLACK:
        assert list(slack_faults(message.fields or {})) == []
    if channel is ChannelKind.TELEGRAM:
        reader = TelegramBot.read(message.fields or {})
        assert (reader.faults, reader.open) == ([], [])
        assert len(reader.text.encode("utf-16-le")) // 2 <= 4096
    assert len(message.body) <= (MAIL_LIMIT if channel is ChannelKind.EMAIL else PLAIN_LIMIT)
    assert message == render(delivery, now=NOON, links=SIGNER), "the same on every attempt"


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_digest_has_a_link_for_every_item_or_none(channel: ChannelKind) -> None:
    few, many = (
        a_delivery(CHANNELS[channel], None, kind=DeliveryKind.DIGEST, digest=a_digest(items)) for items in (2, 200)
    )
    message = render(few, now=NOON, links=SIGNER)
    assert all(SIGNER.decide(few, alert_id) in shown(message) for alert_id in (0, 1))
    without = render(many, now=NOON)
    crowded = render(many, now=NOON, links=SIGNER)
    if channel is ChannelKind.SLACK:  # counts the text of a link, not its address: there may be room
        assert list(slack_faults(crowded.fields or {})) == []
        crowded, without = (replace(one, fields=None) for one in (crowded, without))
    if channel is ChannelKind.TELEGRAM:
        crowded, without = (replace(one, fields=None) for one in (crowded, without))
    assert crowded == without


@pytest.mark.parametrize(("base", "headers"), [(BASE, 2), ("http://watch.example.org", 1), (None, 0)])
def test_a_mail_offers_one_click_where_it_is_https(base: str | None, headers: int) -> None:
    links = replace(SIGNER, base=base) if base else None
    delivery = a_delivery(CHANNELS[ChannelKind.EMAIL], an_alert(), subscription_id=3)
    message = render(delivery, now=NOON, links=links)
    found = dict(mail_headers(SmtpSettings(host="h", port=1, sender="a@b.example"), message, message_id="m"))
    about = {name: value for name, value in found.items() if name.startswith("List-Unsubscribe")}
    assert len(about) == headers
    if links:
        assert about["List-Unsubscribe"] == f"<{links.unsubscribe(delivery)}>"
    test = a_delivery(CHANNELS[ChannelKind.EMAIL], None)
    assert render(test, now=NOON, links=links).unsubscribe is None, "a test belongs to no subscription"
