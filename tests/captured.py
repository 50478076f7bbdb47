"""What each service is sent: an alert, an update, a correction and a digest, taken from the wire, for docs/messages.md.

`python -m tests.captured` writes docs/messages.md and the schema in docs/webhook.md anew; a test holds them to it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp

from service.config import DEFAULT_SCHEMAS
from service.delivery.channels import DeliverySettings, Sender, SmtpSettings
from service.delivery.message import render
from service.delivery.payload import PAYLOAD_SCHEMA
from service.delivery.signing import new_keys
from service.domain.links import Links
from service.domain.model import (
    Action,
    Alert,
    Channel,
    ChannelKind,
    Delivery,
    DeliveryKind,
    Digest,
    DigestItem,
    Direction,
    Evidence,
    ItemReason,
    Language,
    OutcomeStatus,
    Predecessor,
    RouteReason,
    Severity,
    Stage,
    Tally,
    Topic,
    Update,
    UpdateReason,
)
from service.switchboard import Switchboard
from tests.fakes_delivery import (
    LOOPBACK,
    NOON,
    SLACK,
    TELEGRAM,
    Answers,
    Got,
    Mailbox,
    SlackHook,
    a_channel,
    a_delivery,
    a_development,
    a_source,
    part,
    receiving,
    serving,
)

DOCS = Path(__file__).parent.parent / "docs"
TITLE = "Hong Kong passes law that licenses stablecoin issuers"
SENTENCE = "The Legislative Council passed the bill on Wednesday: issuers of stablecoins will need a licence."


def spans(field: str, text: str, *words: str) -> tuple[Evidence, ...]:
    """The words where they stand in the text."""
    return tuple(Evidence(field=field, start=(at := text.index(w)), end=at + len(w), text=w) for w in words)


ALERT = Alert(
    id=1207,
    story_id=611,
    raised_at=NOON,
    title=TITLE,
    severity=Severity.HIGH,
    rules=("stablecoin-licensing", "asia-laws"),
    developments=(
        a_development(
            jurisdiction="HK",
            topic=Topic.STABLECOIN,
            action=Action.LICENSING,
            direction=Direction.TIGHTENING,
            stage=Stage.PASSED,
            evidence=spans("title", TITLE, "passes", "licenses stablecoin issuers"),
        ),
    ),
    evidence=(
        Evidence(field="summary", start=0, end=len(SENTENCE), text=SENTENCE),
        *spans("summary", SENTENCE, "passed the bill", "stablecoins", "licence"),
    ),
    sources=(
        a_source(1, title=TITLE, source="Example Wire", link="https://wire.example.org/hk-stablecoins"),
        a_source(2, title="香港立法會通過穩定幣條例草案", source="例報", link="https://news.example.hk/1", lang="zh"),
        a_source(3, title="Stablecoin bill passed", source="Example Times", link="https://times.example.org/9"),
    ),
    predecessor=Predecessor(
        story_id=402,
        alert_id=803,
        title="Hong Kong proposes licences for stablecoin issuers",
        at=NOON - timedelta(days=200),
        changed="stage proposed → passed",
    ),
)


def changed(reason: UpdateReason, detail: str) -> Alert:
    """The alert with one thing changed an hour later."""
    return replace(ALERT, updates=(Update(id=9, reason=reason, detail=detail, entry_id=9, at=NOON),))


OFFICIAL = changed(
    UpdateReason.OFFICIAL_SOURCE, "the first official source: Gazette: Stablecoins Ordinance (Ord. No. 17 of 2026)"
)
CORRECTED = changed(UpdateReason.CORRECTION, "figure 25,000,000 → 2,500,000; date november → december")


def item(alert_id: int, title: str, severity: Severity, reason: ItemReason, **act: object) -> DigestItem:
    """A line of the digest; `act` is what its development says."""
    at = a_source(alert_id, title=title, source="Example Wire", link=f"https://wire.example.org/{alert_id}")
    return DigestItem(
        alert_id=alert_id,
        title=title,
        severity=severity,
        developments=(a_development(**act),),
        source=at,
        sources=1,
        reason=reason,
    )


HK = {"jurisdiction": "HK", "topic": Topic.STABLECOIN, "direction": Direction.TIGHTENING}
DIGEST = Digest(
    since=NOON - timedelta(days=1),
    until=NOON,
    items=(
        item(1207, TITLE, Severity.HIGH, ItemReason.OVER_BUDGET, action=Action.LICENSING, stage=Stage.PASSED, **HK),
        replace(
            item(1199, "HKMA warns of stablecoin scams", Severity.LOW, ItemReason.UPDATED, action=Action.WARNING, **HK),
            updates=(Update(id=9, reason=UpdateReason.CORRECTION, detail="figure 40 → 14", entry_id=9, at=NOON),),
        ),
        item(
            1208,
            "Brazil may drop the tax on foreign crypto",
            Severity.MEDIUM,
            ItemReason.UNCONFIRMED,
            jurisdiction="BR",
            topic=Topic.CRYPTO_GENERAL,
            action=Action.TAX_CHANGE,
            direction=Direction.EASING,
            stage=Stage.RUMOURED,
        ),
    ),
    tallies=(
        Tally(jurisdiction="BR", week=1, week_before=0),
        Tally(jurisdiction="HK", week=4, week_before=6),
    ),
    held=((RouteReason.THROTTLED, 3), (RouteReason.ALREADY_TOLD, 17)),
)
LINKS = Links(base="https://watch.example.net", keys=(b"\x07" * 32,), decide_for=timedelta(days=14))
SAYINGS = {"An alert": (ALERT, "msg_1"), "An update": (OFFICIAL, "msg_2"), "A correction": (CORRECTED, "msg_3")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A kind of channel, as the page shows it."""

    name: str
    kind: ChannelKind
    url: str
    note: str


PLACES = (
    Place(
        name="Slack",
        kind=ChannelKind.SLACK,
        url=SLACK,
        note="Block Kit. Titles and evidence stand in rich text, in which Slack parses nothing.",
    ),
    Place(
        name="Telegram",
        kind=ChannelKind.TELEGRAM,
        url=TELEGRAM,
        note="`sendMessage` with Telegram's HTML, at most 4,096 characters.",
    ),
    Place(
        name="Mail",
        kind=ChannelKind.EMAIL,
        url="mailto:desk@example.org",
        note="Text and HTML. An update refers to the first mail of its story, so that programs show them as one thread "
        "(Gmail also wants equal subjects, and shows an update by itself).",
    ),
    Place(
        name="Discord",
        kind=ChannelKind.OTHER,
        url="discord://" + "4" * 24 + "/" + "c" * 64,
        note="Markdown, escaped, and nothing in it is a mention. Webex, Teams and Google Chat get the same text.",
    ),
    Place(
        name="Pushover",
        kind=ChannelKind.OTHER,
        url="pover://" + "u" * 30 + "@" + "a" * 30,
        note="Plain text within the service's limit, as for all other services.",
    ),
    Place(
        name="Webhook",
        kind=ChannelKind.WEBHOOK,
        url="",
        note="Signed JSON; [webhook.md](webhook.md) has the schema and says how to verify it.",
    ),
)


@asynccontextmanager
async def services() -> AsyncIterator[tuple[Sender, Answers, Mailbox]]:
    """A sender, the one loopback service that stands for all the others, and a mailbox."""
    mailbox, switchboard = Mailbox(), Switchboard(children=1, egress_allow=LOOPBACK, wall_seconds=60)
    answer = (200, {"content-type": "application/json"}, '{"ok": true, "status": 1}')
    async with serving(Answers([answer])) as web, serving(SlackHook()) as slack, receiving(mailbox) as port:
        bases = {f"https://{host}": web.url for host in ("discord.com", "api.pushover.net", "api.telegram.org")}
        smtp = SmtpSettings(
            host="127.0.0.1",
            port=port,
            sender="policywatch <alerts@example.net>",
            security="none",
            unsubscribe="mailto:policywatch-off@example.net",
        )
        settings = DeliverySettings(
            allow_schemas=DEFAULT_SCHEMAS, smtp=smtp, base_urls=bases | {"https://hooks.slack.com": slack.url}
        )
        async with aiohttp.ClientSession() as session:
            slack.got = web.got
            yield Sender(session, switchboard, settings), web, mailbox
    switchboard.close()


def _channel_of(place: Place, url: str) -> Channel:
    return replace(
        a_channel(place.kind, place.url or f"{url}/hook"),
        keys=(new_keys(lambda n: b"\x07" * n),) if place.kind is ChannelKind.WEBHOOK else (),
    )


def digest_of(place: Place, url: str, language: Language) -> Delivery:
    """The digest to that kind of channel."""
    return a_delivery(
        _channel_of(place, url),
        None,
        message_id="msg_4",
        subscription_id=3,
        kind=DeliveryKind.DIGEST,
        digest=DIGEST,
        language=language,
    )


def delivery_of(place: Place, alert: Alert, message_id: str, url: str, language: Language) -> Delivery:
    """One message to that kind of channel; the updates follow the alert."""
    channel = _channel_of(place, url)
    update = bool(alert.updates)
    return a_delivery(
        channel,
        alert,
        message_id=message_id,
        subscription_id=3,
        kind=DeliveryKind.UPDATE if update else DeliveryKind.ALERT,
        thread="msg_1" if update else None,
        created_at=NOON + timedelta(hours=1) if update else NOON,
        language=language,
    )


async def _sent(sender: Sender, web: Answers, mailbox: Mailbox, delivery: Delivery) -> Got | EmailMessage:
    message = render(delivery, now=delivery.created_at, links=LINKS)
    outcome = await sender.send(
        delivery.channel, message, message_id=delivery.message_id, attempt=1, now=delivery.created_at
    )
    assert outcome.status is OutcomeStatus.SENT, outcome
    return mailbox.mails[-1] if delivery.channel.kind is ChannelKind.EMAIL else web.got[-1]


# --- the page -------------------------------------------------------------------------------------------------------


async def page() -> str:
    """docs/messages.md."""
    lines = [
        "# What a reader gets",
        "",
        "The same alert, an update of it, a correction and a digest, as each kind of service received them. Titles,",
        "evidence and links come from strangers: they are cleaned and escaped, so that they cannot mention anybody,",
        "become markup or pose as our words. What is too long is cut before it becomes markup. The links below",
        "`/decide/` are ours: [decisions.md](decisions.md) says what they do and when there are none.",
        "`python -m tests.captured` writes this page, and a test holds it.",
        "",
    ]
    async with services() as (sender, web, mailbox):
        for place in PLACES:
            lines += [f"## {place.name}", "", place.note, ""]
            for saying, (alert, message_id) in SAYINGS.items():
                delivery = delivery_of(place, alert, message_id, web.url, Language.ENGLISH)
                got = await _sent(sender, web, mailbox, delivery)
                lines += [f"### {saying} ({place.name})", "", *shown(got), ""]
            got = await _sent(sender, web, mailbox, digest_of(place, web.url, Language.ENGLISH))
            lines += [f"### A digest ({place.name})", "", *shown(got), ""]
        lines += [
            "## In another language",
            "",
            "Our own words follow the subscription's `language`; the rest stays as it is.",
            "",
        ]
        for language in Language:
            delivery = delivery_of(PLACES[1], CORRECTED, "msg_3", web.url, language)
            message = render(delivery, now=delivery.created_at, links=LINKS)
            lines += [f"`{language}`", "", "```text", message.title, "", message.body, "```", ""]
            message = render(digest_of(PLACES[1], web.url, language), now=NOON, links=LINKS)
            lines += ["```text", message.title, "", message.body, "```", ""]
    return "\n".join(lines)


def shown(got: Got | EmailMessage) -> list[str]:
    """A request or a mail as a block of the page, without what differs from time to time."""
    if isinstance(got, EmailMessage):
        names = [name for name in got if name not in ("Date", "Content-Type", "MIME-Version", "X-Application")]
        headers = [f"{name}: {got[name].strip()}" for name in sorted(names)]
        page = part(got, "html").strip()
        page = re.sub(r"(</(?:h1|h2|p|blockquote|ul|head)>|<body>)", r"\1\n", page)
        return ["```text", *headers, "", part(got, "plain").rstrip(), "```", "", "```html", page.strip(), "```"]
    headers = [f"{name}: {value}" for name, value in got.headers.items() if name.startswith("webhook-")]
    said: Any = got.json if got.body.startswith(b"{") else dict(parse_qsl(got.body.decode()))
    return [
        *(["```http", *headers, "```", ""] if headers else []),
        "```json",
        compact(said),
        "```",
    ]


def with_schema(text: str) -> str:
    """docs/webhook.md with the schema that stands in the code."""
    return re.sub(
        r"(<!-- schema -->\n```json)\n.*?(```\n)",
        lambda m: f"{m[1]}\n{compact(PAYLOAD_SCHEMA)}\n{m[2]}",
        text,
        flags=re.DOTALL,
    )


def compact(value: object, indent: str = "", before: int = 0) -> str:
    """JSON with as much on a line as fits."""
    whole = json.dumps(value, ensure_ascii=False)
    if before + len(indent) + len(whole) <= 118 or not isinstance(value, dict | list):
        return whole
    inner = indent + "  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {compact(one, inner, len(key) + 5)}" for key, one in value.items()]
    else:
        items = [compact(one, inner) for one in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{closing}"


def main() -> None:
    (DOCS / "messages.md").write_text(asyncio.run(page()), encoding="utf-8")
    webhook = DOCS / "webhook.md"
    webhook.write_text(with_schema(webhook.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
