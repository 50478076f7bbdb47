"""Sending through Apprise, judged on the wire: Slack, Telegram and mail as those services document their formats, and
what may be written as a channel's address. The child process, its guard and the servers are real."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from apprise.manager_plugins import NotificationManager

from service.config import DEFAULT_SCHEMAS
from service.delivery.addresses import load_apprise
from service.delivery.channels import DeliverySettings, Sender, SmtpSettings, parse_channel
from service.delivery.message import render
from service.delivery.schemas import NEVER, REACH, Reach
from service.domain.model import (
    Alert,
    Channel,
    ChannelKind,
    DeliveryKind,
    Invalid,
    Outcome,
    OutcomeStatus,
    Secret,
    Update,
    UpdateReason,
)
from service.sandbox import SandboxDied
from service.switchboard import Switchboard
from tests.fakes_delivery import (
    CANARIES,
    HOSTILE,
    LOOPBACK,
    NOON,
    SLACK,
    SLACK_BOT,
    TELEGRAM,
    WHSEC,
    Answers,
    Got,
    Mailbox,
    SlackHook,
    TelegramBot,
    a_channel,
    a_delivery,
    a_source,
    an_alert,
    certificate,
    forbidden,
    part,
    raw,
    receiving,
    serving,
    slack_shown,
)

SLACK_ROOM = a_channel(ChannelKind.SLACK, SLACK)
TELEGRAM_CHAT = a_channel(ChannelKind.TELEGRAM, TELEGRAM)
MAIL = a_channel(ChannelKind.EMAIL, "mailto:desk@example.org")
DISCORD = a_channel(ChannelKind.OTHER, "discord://" + "4" * 24 + "/" + "canary" * 10 + "bbbb")
PUSHOVER = a_channel(ChannelKind.OTHER, "pover://" + "u" * 30 + "@" + "a" * 30)
CHILD: list[Switchboard] = []


@pytest.fixture(autouse=True, scope="module")
def _one_child_for_all() -> Iterator[None]:
    """A child takes a second to start and load Apprise; a real one serves many channels too."""
    CHILD.append(Switchboard(children=1, egress_allow=LOOPBACK, wall_seconds=60))
    yield
    CHILD.pop().close()


@asynccontextmanager
async def sender(
    *,
    slack: str = "",
    bot: str = "",
    telegram: str = "",
    other: str = "",
    smtp: SmtpSettings | None = None,
    patience: timedelta = timedelta(seconds=20),
    switchboard: Switchboard | None = None,
) -> AsyncIterator[Sender]:
    """A sender whose services are on loopback; without an address a service is somewhere that refuses connections."""
    nowhere = "http://127.0.0.1:9"
    base_urls = {
        "https://hooks.slack.com": slack or nowhere,
        "https://slack.com": bot or nowhere,
        "https://api.telegram.org": telegram or nowhere,
        "https://discord.com": other or nowhere,
        "https://api.pushover.net": other or nowhere,
    }
    settings = DeliverySettings(allow_schemas=DEFAULT_SCHEMAS, timeout=patience, smtp=smtp, base_urls=base_urls)
    async with aiohttp.ClientSession() as session:
        yield Sender(session, switchboard or CHILD[0], settings)


async def send(out: Sender, channel: Channel, alert: Alert | None = None, **changes: Any) -> Outcome:
    delivery = a_delivery(channel, alert or an_alert(), **changes)
    return await out.send(channel, render(delivery, now=NOON), message_id="msg_1", attempt=1, now=NOON)


# --- Slack ----------------------------------------------------------------------------------------------------------


async def test_slack_receives_an_alert():
    async with serving(SlackHook()) as slack, sender(slack=slack.url) as out:
        assert await send(out, SLACK_ROOM) == Outcome(status=OutcomeStatus.SENT, http_status=200)
        (got,) = slack.got
    assert (got.method, got.path) == ("POST", "/services/T1CANARYA/B2CANARYB/C3canarysecretcanaryC3c4")
    assert got.json.keys() == {"text", "blocks"}
    assert got.json["text"] == "[HIGH] China: ban on stablecoins, enacted (tightening)"
    assert [block["type"] for block in got.json["blocks"]] == ["header", "rich_text", "rich_text", "context"]
    assert {"type": "text", "text": "bans", "style": {"bold": True}} in got.json["blocks"][1]["elements"][0]["elements"]
    assert "Alert 42" in slack_shown(got.json)[-1]


async def test_an_address_as_slack_hands_it_out_is_slack():
    pasted = a_channel(ChannelKind.SLACK, "https://hooks.slack.com/services/T1CANARYA/B2CANARYB/C3canarysecretC3canary")
    async with serving(SlackHook()) as slack, sender(slack=slack.url) as out:
        assert (await send(out, pasted)).status is OutcomeStatus.SENT
        assert "blocks" in slack.got[0].json


async def test_slack_takes_every_hostile_title_and_a_long_alert():
    """One child, one connection: the room shows nothing forbidden, and Slack would refuse none of it."""
    async with serving(SlackHook()) as slack, sender(slack=slack.url) as out:
        for text in (*HOSTILE, "& < > " * 3000):
            alert = an_alert(title=text, sources=tuple(a_source(i, title=text, source=text) for i in range(9)))
            assert (await send(out, SLACK_ROOM, alert)).status is OutcomeStatus.SENT
        assert slack.faults == []
        for got in slack.got:
            assert all(forbidden(shown) is None for shown in slack_shown(got.json))


@pytest.mark.parametrize(
    ("answer", "status", "retry_after", "detail"),
    [
        pytest.param((200, {}, "ok"), OutcomeStatus.SENT, None, "", id="ok"),
        pytest.param((404, {}, "no_service"), OutcomeStatus.REFUSED, None, "answered 404: no_service", id="gone"),
        pytest.param(
            (403, {}, "invalid_token"), OutcomeStatus.REFUSED, None, "answered 403: invalid_token", id="token"
        ),
        pytest.param(
            (410, {}, "channel_is_archived"),
            OutcomeStatus.REFUSED,
            None,
            "answered 410: channel_is_archived",
            id="arch",
        ),
        pytest.param(
            (429, {"retry-after": "30"}, "rate_limited"),
            OutcomeStatus.RETRY,
            30,
            "answered 429: rate_limited",
            id="rate",
        ),
        pytest.param((500, {}, "rollup_error"), OutcomeStatus.RETRY, None, "answered 500: rollup_error", id="fault"),
        pytest.param((302, {"location": "/x"}, ""), OutcomeStatus.RETRY, None, "answered 302", id="redirect"),
        pytest.param((200, {}, "<html>portal"), OutcomeStatus.RETRY, None, "answered 200: <html>portal", id="portal"),
    ],
)
async def test_slack_answers(answer, status, retry_after, detail):
    async with serving(SlackHook([answer])) as slack, sender(slack=slack.url) as out:
        outcome = await send(out, SLACK_ROOM)
        assert len(slack.got) == 1
    assert outcome == Outcome(
        status=status,
        detail=detail,
        http_status=answer[0],
        retry_after=timedelta(seconds=retry_after) if retry_after else None,
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param("channel_not_found", OutcomeStatus.REFUSED, id="channel"),
        pytest.param("invalid_auth", OutcomeStatus.REFUSED, id="auth"),
        pytest.param("internal_error", OutcomeStatus.RETRY, id="fault"),
    ],
)
async def test_slack_bot_says_no_with_status_200(error, status):
    answer = (200, {"content-type": "application/json"}, json.dumps({"ok": False, "error": error}))
    async with serving(Answers([answer])) as slack, sender(bot=slack.url) as out:
        outcome = await send(out, a_channel(ChannelKind.SLACK, SLACK_BOT))
        (got,) = slack.got
    assert got.path == "/api/chat.postMessage"
    assert got.json.keys() == {"channel", "text", "blocks"}
    assert got.json["channel"] == "#desk"
    assert (outcome.status, outcome.detail) == (status, f"answered 200: {error}")


# --- Telegram -------------------------------------------------------------------------------------------------------


async def test_telegram_receives_an_alert():
    async with serving(TelegramBot([TelegramBot.ok()])) as telegram, sender(telegram=telegram.url) as out:
        assert (await send(out, TELEGRAM_CHAT)).status is OutcomeStatus.SENT
        (got,) = telegram.got
    assert got.json["chat_id"] == 4321
    shown = TelegramBot.shown(got.json)
    assert shown.startswith("[HIGH] China: ban on stablecoins, enacted (tightening)\n\nChina bans stablecoin payments")
    assert TelegramBot.read(got.json).links == ["https://news.example.org/china/1?a=1&b=2"]
    assert "<blockquote>the central bank <b>banned</b> stablecoin" in got.json["text"]
    assert "Alert 42" in shown


async def test_telegram_takes_every_hostile_title_and_a_long_alert():
    async with serving(TelegramBot([TelegramBot.ok()])) as telegram, sender(telegram=telegram.url) as out:
        for text in (*HOSTILE, "& < > 😀 " * 3000):
            alert = an_alert(title=text, sources=tuple(a_source(i, title=text, source=text) for i in range(9)))
            assert (await send(out, TELEGRAM_CHAT, alert)).status is OutcomeStatus.SENT
        assert telegram.faults == []
        assert len(telegram.got) == len(HOSTILE) + 1  # one message each, never split
        assert all(forbidden(TelegramBot.shown(got.json).replace("<", "‹")) is None for got in telegram.got)
        assert all("Alert 42" in got.json["text"] for got in telegram.got)


@pytest.mark.parametrize(
    ("answer", "status", "retry_after"),
    [
        pytest.param(TelegramBot.error(400, "Bad Request: chat not found"), OutcomeStatus.REFUSED, None, id="chat"),
        pytest.param(TelegramBot.error(401, "Unauthorized"), OutcomeStatus.REFUSED, None, id="token"),
        pytest.param(TelegramBot.error(403, "Forbidden: bot was blocked"), OutcomeStatus.REFUSED, None, id="blocked"),
        pytest.param(TelegramBot.error(429, "Too Many Requests", retry_after=35), OutcomeStatus.RETRY, 35, id="rate"),
        pytest.param(TelegramBot.error(502, "Bad Gateway"), OutcomeStatus.RETRY, None, id="fault"),
    ],
)
async def test_telegram_answers(answer, status, retry_after):
    async with serving(TelegramBot([answer])) as telegram, sender(telegram=telegram.url) as out:
        outcome = await send(out, TELEGRAM_CHAT)
    assert (outcome.status, outcome.http_status) == (status, answer[0])
    assert outcome.detail == f"answered {answer[0]}: {json.loads(answer[2])['description']}"
    assert outcome.retry_after == (timedelta(seconds=retry_after) if retry_after else None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(TelegramBot.error(400, "Bad Request: chat not found")[2], OutcomeStatus.REFUSED, id="refused"),
        pytest.param(TelegramBot.error(429, "Too Many Requests")[2], OutcomeStatus.RETRY, id="passing"),
        pytest.param('{"ok":false,"error_code":"?"}', OutcomeStatus.RETRY, id="no-code"),
        pytest.param("<html>Please log in to the network", OutcomeStatus.RETRY, id="portal"),
        pytest.param("", OutcomeStatus.RETRY, id="empty"),
    ],
)
async def test_telegram_says_no_with_status_200(body, status):
    async with serving(TelegramBot([(200, {}, body)])) as telegram, sender(telegram=telegram.url) as out:
        outcome = await send(out, TELEGRAM_CHAT)
    assert (outcome.status, outcome.http_status) == (status, 200)
    assert outcome.detail.startswith("answered 200")


# --- other services -------------------------------------------------------------------------------------------------


async def test_a_small_service_gets_one_message_that_keeps_the_alert_id():
    answer = (200, {"content-type": "application/json"}, '{"status":1}')
    alert = an_alert(sources=tuple(a_source(i, title="Long title " * 20) for i in range(9)))
    async with serving(Answers([answer])) as other, sender(other=other.url) as out:
        assert (await send(out, PUSHOVER, alert)).status is OutcomeStatus.SENT
        (got,) = other.got
    assert b"Alert+42" in got.body


async def test_discord_pings_nobody():
    async with serving(Answers([(204, {}, "")])) as other, sender(other=other.url) as out:
        for text in HOSTILE:
            assert (await send(out, DISCORD, an_alert(title=text))).status is OutcomeStatus.SENT
        assert all(got.json["allowed_mentions"] == {"parse": []} for got in other.got)
        assert all(forbidden(got.json["content"].replace("](", "")) is None for got in other.got)
        assert "**\\[HIGH\\] China: ban on stablecoins, enacted (tightening)**" in other.got[0].json["content"]
        assert all(len(got.json["content"]) <= 2000 for got in other.got)


# --- mail -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def mailing(mailbox: Mailbox, *, log_in: bool = False, **changes: Any) -> AsyncIterator[Sender]:
    async with receiving(mailbox, log_in=log_in) as port:
        given: dict[str, Any] = {"host": "127.0.0.1", "port": port, "sender": "Policy watch <alerts@example.net>"}
        async with sender(smtp=SmtpSettings(**{"security": "none"} | given | changes)) as out:
            yield out


async def test_mail_as_received():
    mailbox = Mailbox()
    async with mailing(mailbox) as out:
        outcome = await send(out, MAIL)
    assert outcome == Outcome(status=OutcomeStatus.SENT, detail="accepted by the mail server")
    (mail,) = mailbox.mails
    assert mailbox.recipients == [["desk@example.org"]]
    assert mail["Subject"] == "[HIGH] China: ban on stablecoins, enacted (tightening)"
    assert mail["From"] == "Policy watch <alerts@example.net>"
    assert mail["To"] == "desk@example.org"
    assert mail.get_all("Message-ID") == ["<msg_1@example.net>"]
    assert mail["X-Policywatch-Id"] == "msg_1"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"
    assert part(mail, "plain").startswith(
        "China «bans» stablecoin payments\nExample Wire https://news.example.org/china/1?a=1&b=2\n"
    )
    assert "China <mark>bans</mark> stablecoin payments" in part(mail, "html")


async def test_mails_of_one_story_hang_together():
    mailbox = Mailbox()
    update = Update(id=1, reason=UpdateReason.CORRECTION, detail="stage proposed → passed", entry_id=2, at=NOON)
    delivery = a_delivery(MAIL, an_alert(updates=(update,)), kind=DeliveryKind.UPDATE, thread="msg_1")
    async with mailing(mailbox, unsubscribe="mailto:desk-off@example.net?subject=off") as out:
        await send(out, MAIL)
        outcome = await out.send(MAIL, render(delivery, now=NOON), message_id="msg_2", attempt=1, now=NOON)
    assert outcome.status is OutcomeStatus.SENT
    first, second = mailbox.mails
    assert (first["In-Reply-To"], first["References"]) == (None, None)
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"] == "<msg_1@example.net>"
    assert second["Message-ID"] == "<msg_2@example.net>"
    assert second["Subject"] == "Correction: [HIGH] China: ban on stablecoins, enacted (tightening)"
    assert first["List-Id"] == second["List-Id"] == "policywatch <policywatch.example.net>"
    assert first["List-Unsubscribe"] == "<mailto:desk-off@example.net?subject=off>"


MAIL_HEADERS = [
    "Auto-Submitted",
    "Content-Type",
    "Date",
    "From",
    "List-Id",
    "MIME-Version",
    "Message-ID",
    "Subject",
    "To",
    "X-Application",
    "X-Policywatch-Id",
]


async def test_mail_of_every_hostile_title():
    mailbox = Mailbox()
    async with mailing(mailbox) as out:
        for text in HOSTILE:
            alert = an_alert(title=text, developments=(), sources=(a_source(title=text, source=text, link=text),))
            assert (await send(out, MAIL, alert)).status is OutcomeStatus.SENT
    for mail, recipients in zip(mailbox.mails, mailbox.recipients, strict=True):
        assert recipients == ["desk@example.org"]
        assert sorted(mail.keys()) == MAIL_HEADERS
        assert len(mail["Subject"]) <= 200
        assert forbidden(mail["Subject"]) is None
        assert forbidden(part(mail, "plain")) is None
        assert "<script" not in part(mail, "html")
        assert "<img" not in part(mail, "html")


async def test_a_test_mail():
    mailbox = Mailbox()
    async with mailing(mailbox) as out:
        delivery = a_delivery(MAIL, None)
        await out.send(MAIL, render(delivery, now=NOON), message_id="msg_2", attempt=1, now=NOON)
    (mail,) = mailbox.mails
    assert mail["Subject"] == "Test message from policywatch"
    assert "This is a test of subscription asia desk" in part(mail, "html")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        pytest.param({"rcpt_answer": "550 no such user"}, OutcomeStatus.REFUSED, id="no-mailbox"),
        pytest.param({"rcpt_answer": "450 greylisted"}, OutcomeStatus.RETRY, id="greylisted"),
        pytest.param({"rcpt_answer": "535 log in first"}, OutcomeStatus.RETRY, id="log-in"),
        pytest.param({"data_answer": "554 rejected"}, OutcomeStatus.REFUSED, id="rejected"),
        pytest.param({"data_answer": "452 full"}, OutcomeStatus.RETRY, id="disk-full"),
        pytest.param({"data_answer": "421 closing"}, OutcomeStatus.RETRY, id="closing"),
    ],
)
async def test_mail_server_says_no(said, status):
    mailbox = Mailbox()
    ((name, answer),) = said.items()
    setattr(mailbox, name, answer)
    async with mailing(mailbox) as out:
        outcome = await send(out, MAIL)
    assert outcome == Outcome(status=status, detail=f"answered {answer[:3]}: {answer[4:]}")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        pytest.param(
            {"security": "starttls"},
            "the mail server does not offer what delivery.smtp asks for (STARTTLS or log-in)",
            id="no-starttls",
        ),
        pytest.param({"security": "tls"}, "no TLS connection: WRONG_VERSION_NUMBER", id="no-tls"),
        pytest.param(
            {"user": "canaryuser@example.net", "password": Secret("canary:pw/@?#")},
            "the mail server does not offer what delivery.smtp asks for (STARTTLS or log-in)",
            id="no-log-in",
        ),
        pytest.param({"port": 9}, "connection refused", id="refused"),
    ],
)
async def test_mail_server_is_not_as_set(changes, detail):
    async with mailing(Mailbox(), **changes) as out:
        assert await send(out, MAIL) == Outcome(status=OutcomeStatus.RETRY, detail=detail)


@pytest.mark.parametrize("where", ["RCPT", "DATA"])
async def test_a_mail_server_that_drops_the_connection(where):
    """After DATA nobody knows whether it took the mail: it is sent again under the same Message-ID."""

    class Dropping(Mailbox):
        async def drop(self, server: Any, *_: Any) -> str:
            server.transport.abort()
            return "250 OK"

    mailbox = Dropping()
    setattr(mailbox, f"handle_{where}", mailbox.drop)
    async with mailing(mailbox) as out:
        outcome = await send(out, MAIL)
    assert outcome.status is OutcomeStatus.RETRY
    assert outcome.detail in ("the mail server closed the connection", "the connection failed: ConnectionResetError")


async def test_a_mail_server_that_is_none():
    async with raw(b"", hang=False) as url:
        smtp = SmtpSettings(host="127.0.0.1", port=int(url.rstrip("/").rpartition(":")[2]), sender="a@b.example")
        async with sender(smtp=smtp, patience=timedelta(seconds=2)) as out:
            assert await send(out, MAIL) == Outcome(status=OutcomeStatus.RETRY, detail="no answer within 1 s")


async def test_mail_that_is_not_set_up_waits_for_the_operator():
    async with sender() as out:
        outcome = await send(out, MAIL)
    assert (outcome.status, outcome.detail) == (
        OutcomeStatus.RETRY,
        "mail is not set up: the operator sets delivery.smtp",
    )


async def test_log_in_as_written():
    mailbox = Mailbox()
    for password in ("canary:pw/@?#& %41+", "wrong password"):
        async with mailing(mailbox, log_in=True, user="desk@example.net", password=Secret(password)) as out:
            outcome = await send(out, MAIL)
    assert set(mailbox.logins) == {("desk@example.net", "canary:pw/@?#& %41+"), ("desk@example.net", "wrong password")}
    assert len(mailbox.mails) == 1
    async with mailing(mailbox, log_in=True, user="desk", password=Secret("canäry")) as out:
        assert "not plain ASCII" in (await send(out, MAIL)).detail
    # The operator can mend it, so it is tried again; the server's words do not carry what we logged in with.
    assert (outcome.status, outcome.detail[:12]) == (OutcomeStatus.RETRY, "answered 535")


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_is_verified_and_shared(tmp_path, monkeypatch, trusted):
    path, tls = certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))  # as an operator with an authority of their own does
    switchboard = Switchboard(egress_allow=(*LOOPBACK, ip_network("::1/128")))
    outcomes = []
    mailbox = Mailbox()
    for security in ("tls", "starttls"):
        async with receiving(mailbox, security=security, tls=tls) as port:
            smtp = SmtpSettings(host="localhost", port=port, sender="a@example.net", security=security)
            async with sender(smtp=smtp, switchboard=switchboard) as out:
                outcomes.append(await send(out, MAIL))
    async with serving(SlackHook(), tls=tls) as slack, sender(slack=slack.url, switchboard=switchboard) as out:
        outcomes += [await send(out, SLACK_ROOM), await send(out, SLACK_ROOM)]
        assert len(slack.got) == (2 if trusted else 0)
    switchboard.close()
    if trusted:
        assert [outcome.status for outcome in outcomes] == [OutcomeStatus.SENT] * 4
        assert len(mailbox.mails) == 2
    else:
        detail = "the TLS certificate was not accepted: self-signed certificate"
        assert set(outcomes) == {Outcome(status=OutcomeStatus.RETRY, detail=detail)}


# --- what goes wrong on the way -------------------------------------------------------------------------------------


async def test_nobody_there():
    async with sender() as out:
        for channel in (SLACK_ROOM, TELEGRAM_CHAT):
            assert await send(out, channel) == Outcome(status=OutcomeStatus.RETRY, detail="connection refused")


async def test_the_guard_holds_in_the_child():
    guarded = Switchboard(egress_allow=())
    async with serving(SlackHook()) as slack, sender(slack=slack.url, switchboard=guarded) as out:
        outcome = await send(out, SLACK_ROOM)
        assert slack.got == []
    guarded.close()
    assert outcome.status is OutcomeStatus.RETRY
    assert "egress.allow" in outcome.detail


async def test_no_answer_in_time():
    over = asyncio.Event()

    class Silent(SlackHook):
        async def __call__(self, request: Any) -> Any:
            await over.wait()
            return await super().__call__(request)

    async with serving(Silent()) as slack, sender(slack=slack.url, patience=timedelta(seconds=1.5)) as out:
        async with sender(slack="") as ready:
            await send(ready, SLACK_ROOM)  # the child has loaded Apprise: what follows is the service's time
        outcome = await send(out, SLACK_ROOM)
        over.set()
    assert outcome == Outcome(status=OutcomeStatus.RETRY, detail="no answer within 0.75 s")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(b"", OutcomeStatus.RETRY, id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nok", OutcomeStatus.RETRY, id="less-than-it-said"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more", OutcomeStatus.SENT, id="more"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", OutcomeStatus.RETRY, id="chunks"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok", OutcomeStatus.RETRY, id="gzip"
        ),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", OutcomeStatus.RETRY, id="not-http"),
    ],
)
async def test_a_service_that_closes_early_or_lies(answer, status):
    async with raw(answer, hang=False) as url, sender(slack=url.rstrip("/")) as out:
        outcome = await send(out, SLACK_ROOM)
    assert outcome.status is status
    assert "plugin failed" not in outcome.detail


async def test_a_service_that_drips_loses_its_child_and_no_other_message():
    async with serving(SlackHook()) as slack, sender(slack=slack.url) as good:
        await send(good, SLACK_ROOM)  # the child has loaded Apprise
        async with (
            raw(b"HTTP/1.1 200 OK\r\n\r\n", hang=True, drip=b"x") as url,
            sender(slack=url.rstrip("/"), patience=timedelta(seconds=0.6)) as out,
        ):
            outcome = await send(out, SLACK_ROOM)
        assert outcome == Outcome(status=OutcomeStatus.RETRY, detail="no answer within 0.6 s")
        assert (await send(good, SLACK_ROOM)).status is OutcomeStatus.SENT


async def test_services_that_never_answer_delay_no_other_message():
    over, asked = asyncio.Event(), asyncio.Semaphore(0)

    class Silent(SlackHook):
        async def __call__(self, request: Any) -> Any:
            asked.release()
            await over.wait()
            return await super().__call__(request)

    few = timedelta(seconds=10)
    async with (
        serving(Silent()) as silent,
        serving(SlackHook()) as slack,
        sender(slack=silent.url) as stuck,
        sender(slack=slack.url, patience=few) as out,
    ):
        hanging = [asyncio.create_task(send(stuck, SLACK_ROOM)) for _ in range(8)]
        for _ in hanging:
            await asked.acquire()  # each has its place, and waits for an answer
        outcome = await send(out, SLACK_ROOM)
        assert not any(task.done() for task in hanging)
        over.set()
        assert {one.status for one in await asyncio.gather(*hanging)} == {OutcomeStatus.SENT}
    assert outcome.status is OutcomeStatus.SENT


async def test_a_child_that_dies_is_an_outcome():
    closed = Switchboard(egress_allow=LOOPBACK)
    closed.close()
    async with sender(switchboard=closed) as out:
        outcome = await send(out, SLACK_ROOM)
    assert outcome == Outcome(status=OutcomeStatus.RETRY, detail="the sending process ended before an answer")


async def test_standing_in_line_counts_as_waiting():
    busy = Switchboard(children=1, threads=1, egress_allow=LOOPBACK)
    first = asyncio.create_task(busy.run(_forever))
    async with sender(switchboard=busy, patience=timedelta(seconds=0.3)) as out:
        outcome = await send(out, SLACK_ROOM)
    assert outcome == Outcome(status=OutcomeStatus.RETRY, detail="no answer within 0.3 s")
    first.cancel()
    busy.close()
    with pytest.raises((asyncio.CancelledError, SandboxDied)):
        await first


async def test_a_schema_taken_off_the_list_is_refused_at_once():
    async with sender() as out:
        out._settings = replace(out._settings, allow_schemas=("tgram",))
        outcome = await send(out, SLACK_ROOM)
    assert outcome == Outcome(status=OutcomeStatus.REFUSED, detail="channels of the kind slack:// are not allowed here")


async def test_no_secret_in_details_or_logs(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("aiohttp.access").setLevel(logging.CRITICAL)  # the receiving end's own log
    outcomes: list[Outcome] = []

    class Echo(Answers):
        def judge(self, got: Got) -> tuple[int, dict[str, str], str]:
            return 500, {}, f"failed: {got.path} {got.path[1:]} {' '.join(got.path.split('/'))}"

    async with serving(Echo()) as bad, sender(slack=bad.url, telegram=bad.url, other=bad.url) as out:
        outcomes += [await send(out, channel) for channel in (SLACK_ROOM, TELEGRAM_CHAT, DISCORD)]
    async with sender() as out:
        outcomes += [await send(out, channel) for channel in (SLACK_ROOM, TELEGRAM_CHAT, DISCORD)]
    for channel in (SLACK_ROOM, TELEGRAM_CHAT):
        with pytest.raises(Invalid):
            parsed(channel.url.reveal().replace("canary", "can ary"))
    spoken = repr(outcomes) + caplog.text + "".join(capfd.readouterr())
    assert len(outcomes) == 6
    assert not any(canary in spoken for canary in CANARIES), spoken


# --- addresses ------------------------------------------------------------------------------------------------------


def parsed(url: str, *, smtp: bool = True, allow: tuple[str, ...] = DEFAULT_SCHEMAS) -> tuple[ChannelKind, str]:
    def check(address: str) -> str | None:
        return "10.0.0.1 is not public" if "10.0.0.1" in address else None

    return parse_channel(url, allow_schemas=allow, smtp_configured=smtp, check_webhook=check, where="channels[0]")


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        pytest.param(SLACK, ChannelKind.SLACK, "slack://T...A/B...B/C...4//", id="slack"),
        pytest.param(
            "https://hooks.slack.com/services/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",
            ChannelKind.SLACK,
            "slack://T...A/B...B/C...4//",
            id="slack-as-pasted",
        ),
        pytest.param(SLACK_BOT, ChannelKind.SLACK, "slack://x...y/%23desk/", id="slack-bot"),
        pytest.param(TELEGRAM, ChannelKind.TELEGRAM, "tgram://1...n/4321/", id="telegram"),
        pytest.param(TELEGRAM + "?silent=yes", ChannelKind.TELEGRAM, "tgram://1...n/4321/", id="parameter"),
        pytest.param(
            "https://discord.com/api/webhooks/123456789012345678/canarycanary",
            ChannelKind.OTHER,
            "discord://1...8/c...y/",
            id="discord-as-pasted",
        ),
        pytest.param("ntfys://desk-topic", ChannelKind.OTHER, "ntfys://desk-topic", id="ntfy"),
        pytest.param("mailto:desk@example.org", ChannelKind.EMAIL, "mailto:desk@example.org", id="mail"),
        pytest.param("https://e.example/in", ChannelKind.WEBHOOK, "https://e.example/in", id="webhook"),
        pytest.param(
            "https://e.example:8443/in?key=canary&b=",
            ChannelKind.WEBHOOK,
            "https://e.example:8443/in?key=***&b=***",
            id="webhook-query",
        ),
        pytest.param(
            "https://e.example/catch/12345/a1b2c3d4e5f6g7/",
            ChannelKind.WEBHOOK,
            "https://e.example/catch/12345/a1b…/",
            id="webhook-token-in-path",
        ),
        pytest.param("http://[2001:db8::1]/x", ChannelKind.WEBHOOK, "http://[2001:db8::1]/x", id="webhook-ipv6"),
    ],
)
def test_address(url, kind, shown):
    assert parsed(url) == (kind, shown)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        pytest.param("xyz://foo", "not allowed here", id="unknown"),
        pytest.param("json://127.0.0.1/x", "not allowed here", id="generic-http"),
        pytest.param("syslog://", "not allowed here", id="local"),
        pytest.param("mailtos://user:pw@smtp.example/?to=a@b.c", "not allowed here", id="own-mail-server"),
        pytest.param("mmost://chat.example/token", "not allowed here", id="host-of-ones-choice"),
        pytest.param("slack://T1/B2", "cannot read", id="unreadable"),
        pytest.param(SLACK + "/#one/#two", "exactly one target", id="two-rooms"),
        pytest.param(TELEGRAM + "/5678", "exactly one target", id="two-chats"),
        pytest.param(TELEGRAM.rpartition("/")[0], "exactly one target", id="no-chat"),
        pytest.param(SLACK + "?template=/etc/passwd", "'template'", id="file"),
        pytest.param("tgram" + TELEGRAM[5:] + "?TEMPLATE=http://e.example/", "'template'", id="remote-file"),
        pytest.param(SLACK + "?%74emplate=x", "'template'", id="escaped-name"),
        pytest.param(SLACK + "/%23desk/#x?template=x", "'template'", id="behind-a-fragment"),
        pytest.param(SLACK + "?footer=no?template=x", "one ?", id="two-queries"),
        pytest.param(SLACK + "?footer=no;template=x", "'template'", id="semicolon"),
        pytest.param(SLACK + "?verify=no", "'verify'", id="no-verification"),
        pytest.param(SLACK + "?redirect=yes", "'redirect'", id="redirects"),
        pytest.param(SLACK + "?format=markdown", "'format'", id="markup"),
        pytest.param(SLACK + "?to=general", "'to'", id="more-targets"),
        pytest.param(SLACK + "?rto=9999", "'rto'", id="timeouts"),
        pytest.param(SLACK + "?retry=5", "'retry'", id="retries"),
        pytest.param(SLACK + "?+X-Header=1", "'+x-header'", id="headers"),
        pytest.param(SLACK + "?:token=1", "':token'", id="template-tokens"),
        pytest.param("https://discord.com/api/webhooks/1/x?template=/etc/passwd", "'template'", id="pasted-file"),
        pytest.param("ntfys://ntfy.internal.example/topic", "hosted ntfy", id="own-ntfy"),
        pytest.param("workflows://10.0.0.1/643e69f83c8944/4D-C0-abc", "Microsoft's address", id="own-workflow"),
        pytest.param("mailto:a@b.example,c@d.example", "one plain address", id="two-mails"),
        pytest.param("mailto:a@b.example?bcc=c@d.example", "one plain address", id="bcc"),
        pytest.param("mailto:Desk<a@b.example>", "one plain address", id="named-mail"),
        pytest.param("mailto://user:pw@smtp.example", "one plain address", id="mail-server-in-address"),
        pytest.param("mailto:=?utf-8?q?x?=@b.example", "one plain address", id="encoded-mail"),
        pytest.param("mailto:a@b.example%0d%0aBcc:x", "one plain address", id="folded-mail"),
        pytest.param("https://user:pw@e.example/", "no user and password", id="webhook-user"),
        pytest.param("https://e.example/#x", "after #", id="webhook-fragment"),
        pytest.param("https://10.0.0.1/", "not public", id="webhook-private"),
        pytest.param("https:///x", "names no host", id="webhook-no-host"),
        pytest.param("https://e.example:x/", "not a valid URL", id="webhook-port"),
        pytest.param("https:\\\\e.example", "no blanks", id="backslash"),
        pytest.param("https://e.example/\n", "no blanks", id="newline"),
        pytest.param("slack://a/b/c, tgram://x", "no blanks", id="list"),
        pytest.param("https://e.example/" + "x" * 3000, "at most 2000", id="long"),
        pytest.param("e.example/x", "no address", id="no-schema"),
        pytest.param("", "no address", id="empty"),
        pytest.param("javascript:alert(1)", "no address", id="script"),
    ],
)
def test_address_refused(url, what):
    with pytest.raises(Invalid) as caught:
        parsed(url)
    (problem,) = caught.value.problems
    assert problem.where == "channels[0]"
    assert what in problem.what
    assert not any(canary in str(problem) for canary in CANARIES)


def test_mail_needs_the_operators_server():
    with pytest.raises(Invalid, match=r"delivery\.smtp\.host"):
        parsed("mailto:desk@example.org", smtp=False)


def test_the_operator_may_allow_more_but_not_this_machine():
    allow = ("mmosts", "syslog")
    assert parsed("mmosts://chat.example/canarytokencanary", allow=allow)[0] is ChannelKind.OTHER
    for url in ("syslog://local", "mmosts://chat.example/canarytokencanary?template=x"):
        with pytest.raises(Invalid):
            parsed(url, allow=allow)


def test_a_webhook_secret_is_never_printed():
    channel = a_channel(ChannelKind.WEBHOOK, "https://e.example/", secret=WHSEC)
    assert WHSEC.reveal() not in repr(channel)


def _forever() -> None:
    threading.Event().wait()


def test_every_schema_of_apprise_is_classified():
    """A new one fails here until somebody has looked where it reaches; one that went must be taken out."""
    load_apprise()
    known = set(NotificationManager().schemas())
    assert known - set(REACH) == set(), "put each into service/delivery/schemas.py"
    assert set(REACH) - known == set(), "Apprise knows these no more"
    assert len(known) > 250


def test_the_default_list_is_the_class_of_that_name():
    aliases = {"ntfy", "workflow", "webex"}
    assert {schema for schema, reach in REACH.items() if reach is Reach.DEFAULT} == {*DEFAULT_SCHEMAS} | aliases


@pytest.mark.parametrize("reach", [reach for reach in Reach if reach is not Reach.DEFAULT])
def test_a_schema_that_is_not_on_the_list_is_refused(reach):
    for schema in (schema for schema, found in REACH.items() if found is reach and schema != "mailto"):
        with pytest.raises(Invalid):
            parsed(f"{schema}://user:pw@host.example/token/target")


@pytest.mark.parametrize("reach", NEVER)
def test_what_nobody_may_use_says_why(reach):
    for schema in (schema for schema, found in REACH.items() if found is reach and schema != "mailto"):
        with pytest.raises(Invalid) as caught:
            parsed(f"{schema}://user:pw@host.example/token/target", allow=(schema,))
        assert NEVER[reach] in caught.value.problems[0].hint


def test_a_schema_that_a_newer_apprise_brings_is_refused_though_it_is_allowed():
    with pytest.raises(Invalid, match="not allowed here"):
        parsed("brandnew://token", allow=("brandnew",))
