"""What a reader gets: facts first, evidence marked, within each service's limits, and nothing smuggled in."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from service.delivery.letter import compose, length
from service.delivery.markup import TELEGRAM_LIMIT, fitted, slack
from service.delivery.message import render
from service.delivery.payload import PAYLOAD_LIMIT, PAYLOAD_SCHEMA
from service.delivery.text import cut, harmless, link, phrase
from service.delivery.words import words_of
from service.domain.digest import groups
from service.domain.model import (
    Action,
    Alert,
    Channel,
    ChannelKind,
    DeliveryKind,
    Digest,
    DigestItem,
    Direction,
    Evidence,
    ItemReason,
    Language,
    Message,
    RouteReason,
    Severity,
    Stage,
    Tally,
    Topic,
    Update,
    UpdateReason,
)
from tests.fakes_delivery import (
    HOSTILE,
    NOON,
    SLACK,
    TELEGRAM,
    WHSEC,
    TelegramBot,
    a_channel,
    a_delivery,
    a_development,
    a_source,
    an_alert,
    forbidden,
    slack_faults,
    slack_shown,
)

CHANNELS = {
    ChannelKind.WEBHOOK: a_channel(ChannelKind.WEBHOOK, "https://hooks.example.org/in", secret=WHSEC),
    ChannelKind.SLACK: a_channel(ChannelKind.SLACK, SLACK),
    ChannelKind.TELEGRAM: a_channel(ChannelKind.TELEGRAM, TELEGRAM),
    ChannelKind.EMAIL: a_channel(ChannelKind.EMAIL, "mailto:desk@example.org"),
    ChannelKind.OTHER: a_channel(ChannelKind.OTHER, "pover://u@t"),
}


def rendered(kind: ChannelKind, alert: Alert | None, **changes: object) -> Message:
    return render(a_delivery(CHANNELS[kind], alert, **changes), now=NOON)


def test_headline_says_who_did_what():
    message = rendered(ChannelKind.SLACK, an_alert())
    assert message.title == "[HIGH] China: ban on stablecoins, enacted (tightening)"


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        pytest.param({"jurisdiction": "HK"}, "Hong Kong: ban on stablecoins, enacted (tightening)", id="short-names"),
        pytest.param({"jurisdiction": "EU"}, "European Union: ban on stablecoins, enacted (tightening)", id="union"),
        pytest.param({"jurisdiction": "ZZX"}, "ZZX: ban on stablecoins, enacted (tightening)", id="unknown-code"),
        pytest.param({"stage": Stage.NOT_APPLICABLE}, "China: ban on stablecoins (tightening)", id="no-stage"),
        pytest.param({"direction": Direction.EASING}, "China: ban on stablecoins, enacted (easing)", id="reversal"),
    ],
)
def test_headline_words(changes, headline):
    alert = an_alert(developments=(a_development(**changes),), severity=Severity.LOW)
    assert rendered(ChannelKind.OTHER, alert).title == f"[LOW] {headline}"


@pytest.mark.parametrize("kind", [ChannelKind.SLACK, ChannelKind.EMAIL])
def test_what_the_text_leaves_open_is_said(kind):
    message = rendered(kind, an_alert(unclear=("direction", "stage")))
    assert "The text leaves the direction and the stage open." in message.body
    assert "leaves" not in rendered(kind, an_alert()).body
    assert kind is not ChannelKind.EMAIL or "direction and the stage open" in (message.html or "")


def test_every_act_has_words():
    for action, topic, stage in product(Action, Topic, Stage):
        act = a_development(action=action, topic=topic, stage=stage)
        title = rendered(ChannelKind.SLACK, an_alert(developments=(act,))).title
        assert title.startswith("[HIGH] China: ")
        assert "{}" not in title


def test_several_acts_are_counted_and_listed_once_each():
    acts = (a_development(), a_development(jurisdiction="KZ"), a_development(evidence=()))
    message = rendered(ChannelKind.SLACK, an_alert(developments=acts))
    assert message.title == "[HIGH] China: ban on stablecoins, enacted (tightening) and 1 more"
    assert message.body.count("• Kazakhstan: ban on stablecoins, enacted (tightening)") == 1


def test_without_a_development_the_article_is_the_headline():
    assert rendered(ChannelKind.SLACK, an_alert(developments=())).title == "[HIGH] China bans stablecoin payments"


def test_body_tells_all():
    body = rendered(ChannelKind.SLACK, an_alert(sources=(a_source(1), a_source(2, source="Zaobao", lang="zh")))).body
    assert body == (
        "China «bans» stablecoin payments\n"
        "Example Wire https://news.example.org/china/1?a=1&b=2\n\n"
        "“the central bank «banned» stablecoin payments nationwide today.”\n\n"
        "Reported by 2 sources in 2 languages:\n"
        "• China bans stablecoin payments: Zaobao [zh] https://news.example.org/china/2?a=1&b=2\n\n"
        "Matched by: asia-bans, stablecoins\n"
        "Alert 42, raised 2026-11-21 12:00 UTC; subscription asia desk of compliance"
    )


def test_words_without_a_sentence_are_shown_marked():
    evidence = (
        Evidence(field="content", start=5, end=9, text="bans"),
        Evidence(field="content", start=30, end=41, text="stablecoins"),
    )
    assert "“… «bans» … «stablecoins» …”" in rendered(ChannelKind.SLACK, an_alert(evidence=evidence)).body


def test_evidence_of_another_entry_marks_nothing_here():
    evidence = (Evidence(field="title", start=0, end=4, text="Peru"),)
    alert = an_alert(evidence=evidence, developments=(a_development(evidence=evidence),))
    assert rendered(ChannelKind.SLACK, alert).body.startswith("China bans stablecoin payments\n")


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("kind", [kind for kind in ChannelKind if kind is not ChannelKind.WEBHOOK])
def test_what_may_have_been_accepted_before_says_so(kind: ChannelKind, language: Language):
    once, again = (rendered(kind, LONG, repeat=repeat, language=language) for repeat in (False, True))
    line = words_of(language).sent_again
    assert line not in once.body
    assert line in again.body, "kept whole, however long the rest is"
    if kind is ChannelKind.EMAIL:
        assert again.html is not None
        assert line in again.html


def test_the_payload_of_a_repeat_is_the_same():
    once, again = (rendered(ChannelKind.WEBHOOK, an_alert(), repeat=repeat) for repeat in (False, True))
    assert once.payload == again.payload


def test_a_late_alert_says_so():
    delivery = a_delivery(CHANNELS[ChannelKind.SLACK], an_alert())
    assert "late" not in render(delivery, now=NOON + timedelta(minutes=14)).body
    assert "12:00 UTC, delivered late" in render(delivery, now=NOON + timedelta(hours=3)).body


def test_mail_has_marked_html():
    message = rendered(ChannelKind.EMAIL, an_alert())
    assert message.html is not None
    assert "<h2>China <mark>bans</mark> stablecoin payments</h2>" in message.html
    assert "<blockquote>the central bank <mark>banned</mark> stablecoin" in message.html
    assert 'href="https://news.example.org/china/1?a=1&amp;b=2"' in message.html
    assert ">news.example.org</a>" in message.html
    assert "Alert 42" in message.html


def test_only_mail_has_html_and_only_webhooks_a_payload():
    for kind in ChannelKind:
        message = rendered(kind, an_alert())
        assert (message.html is not None) == (kind is ChannelKind.EMAIL)
        assert (message.payload is not None) == (kind is ChannelKind.WEBHOOK)


@pytest.mark.parametrize("kind", list(ChannelKind))
def test_a_test_says_that_it_is_one(kind):
    message = rendered(kind, None)
    assert message.title == "Test message from policywatch"
    for text in (message.body, message.html or message.body):
        assert kind is ChannelKind.WEBHOOK or "This is a test of subscription asia desk of compliance" in text
    if message.payload:
        assert json.loads(message.payload) == {
            "type": "test",
            "version": 1,
            "timestamp": "2026-11-21T12:00:00Z",
            "data": {"headline": "Test message from policywatch", "team": "compliance", "subscription": "asia desk"},
        }


def test_an_alert_delivery_needs_its_alert():
    delivery = a_delivery(CHANNELS[ChannelKind.SLACK], None, kind=DeliveryKind.ALERT)
    with pytest.raises(ValueError, match="no alert"):
        render(delivery, now=NOON)


# --- the webhook's payload ------------------------------------------------------------------------------------------


def test_payload_of_an_alert():
    payload = rendered(ChannelKind.WEBHOOK, an_alert()).payload
    assert payload is not None
    assert json.loads(payload) == {
        "type": "alert.raised",
        "version": 1,
        "timestamp": "2026-11-21T12:00:00Z",
        "data": {
            "alert_id": 42,
            "story_id": 9,
            "headline": "[HIGH] China: ban on stablecoins, enacted (tightening)",
            "title": "China bans stablecoin payments",
            "severity": "high",
            "rules": ["asia-bans", "stablecoins"],
            "developments": [
                {
                    "jurisdiction": "CN",
                    "topic": "stablecoin",
                    "action": "ban",
                    "direction": "tightening",
                    "stage": "enacted",
                    "evidence": [{"field": "title", "start": 6, "end": 10, "text": "bans"}],
                }
            ],
            "sources": [
                {
                    "title": "China bans stablecoin payments",
                    "source": "Example Wire",
                    "link": "https://news.example.org/china/1?a=1&b=2",
                    "lang": "en",
                    "published": "2026-11-21T12:00:00Z",
                }
            ],
            "sources_total": 1,
            "languages": ["en"],
            "predecessor": None,
            "unclear": [],
            "team": "compliance",
            "subscription": "asia desk",
        },
    }


def test_payload_is_the_same_on_every_attempt():
    delivery = a_delivery(CHANNELS[ChannelKind.WEBHOOK], an_alert())
    assert render(delivery, now=NOON).payload == render(delivery, now=NOON + timedelta(hours=70)).payload


def test_payload_stays_below_the_limit():
    evidence = tuple(Evidence(field="content", start=i, end=i + 900, text="政" * 900) for i in range(50))
    alert = an_alert(
        title="政" * 900,
        rules=tuple(f"rule-{i}" * 20 for i in range(200)),
        developments=tuple(a_development(evidence=evidence) for _ in range(60)),
        sources=tuple(a_source(i, title="政" * 900, source="s" * 900) for i in range(300)),
    )
    payload = rendered(ChannelKind.WEBHOOK, alert).payload
    assert payload is not None
    assert len(payload) < PAYLOAD_LIMIT
    assert json.loads(payload)["data"]["sources_total"] == 300


# --- limits ---------------------------------------------------------------------------------------------------------

LONG = an_alert(
    title="Ministry & regulator <agree> " * 40,
    developments=tuple(a_development(jurisdiction=code) for code in ("CN", "HK", "KZ", "US", "FR", "DE", "JP", "KR")),
    evidence=tuple(
        Evidence(field="content", start=i * 1000, end=i * 1000 + 600, text="words & more 😀 " * 43) for i in range(9)
    ),
    sources=tuple(a_source(i, title="A & B <C> 😀 " * 40, link="https://e.example/" + "p/" * 250) for i in range(40)),
    updates=tuple(
        Update(id=i, reason=UpdateReason.CORRECTION, detail="figure 1 → 2 & more 😀 " * 20, entry_id=i, at=NOON)
        for i in range(9)
    ),
)


FOOT = "Alert 42, raised 2026-11-21 12:00 UTC; subscription asia desk of compliance"


@pytest.mark.parametrize("kind", [ChannelKind.SLACK, ChannelKind.TELEGRAM, ChannelKind.EMAIL, ChannelKind.OTHER])
def test_limits(kind):
    message = render(a_delivery(CHANNELS[kind], LONG, kind=DeliveryKind.UPDATE), now=NOON)
    assert len(message.title) <= 200
    assert message.body.endswith(FOOT)
    if kind is not ChannelKind.EMAIL:
        assert len(message.body) <= 1500
    if kind is ChannelKind.SLACK:
        assert list(slack_faults(message.fields)) == []
        assert sum(map(len, slack_shown(message.fields))) > 2000
        assert slack_shown(message.fields)[-1].endswith(FOOT)
    if kind is ChannelKind.TELEGRAM:
        shown = TelegramBot.shown(message.fields)
        assert 3500 < len(shown.encode("utf-16-le")) // 2 <= 4096
        assert shown.endswith(FOOT)
    if kind is ChannelKind.OTHER:
        assert 700 < len(message.markdown) <= 1000


@pytest.mark.parametrize("limit", range(0, 3000, 97))
def test_a_cut_letter_keeps_its_foot_and_its_links_whole(limit):
    delivery = a_delivery(CHANNELS[ChannelKind.EMAIL], LONG, kind=DeliveryKind.UPDATE)
    whole = compose(LONG, delivery, words_of(Language.ENGLISH), late=False)
    short = fitted(whole, limit, length)
    assert length(short) <= max(limit, 0)
    assert short.parts[-1] == whole.parts[-1]
    links = {run.text: run.href for part in whole.parts for line in part.lines for run in line if run.href}
    assert all(links[run.text] == run.href for part in short.parts for line in part.lines for run in line if run.href)
    assert list(slack_faults(slack(short))) == []


def test_no_link_is_cut():
    for kind in ChannelKind:
        for url in re.findall(r"https?://\S+", rendered(kind, LONG).body):
            assert url == "https://e.example/" + "p/" * 250


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        pytest.param("one two three", 13, "one two three", id="fits"),
        pytest.param("one two three", 10, "one two…", id="at-a-word"),
        pytest.param("one two three", 8, "one two…", id="boundary-itself"),
        pytest.param("one", 0, "", id="nothing"),
        pytest.param("政府宣布禁止", 4, "政府宣…", id="no-blanks"),
        pytest.param("see https://e.example/abcdef", 20, "see…", id="not-in-a-link"),
        pytest.param("https://e.example/abcdef", 20, "…", id="only-a-link"),
        pytest.param("xe\u0301", 2, "x…", id="not-in-a-character"),
        pytest.param("ab👩\u200d👧cd", 5, "ab…", id="not-in-an-emoji"),
    ],
)
def test_cut(text, limit, short):
    assert cut(text, limit) == short


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("https://e.example/a?b=c#d", "https://e.example/a?b=c#d", id="plain"),
        pytest.param("https://medium.example/@everyone/x", "https://medium.example/%40everyone/x", id="mention"),
        pytest.param("https://e.example/政策", "https://e.example/%E6%94%BF%E7%AD%96", id="path"),
        pytest.param("https://münchen.example/", "https://xn--mnchen-3ya.example/", id="host"),
        pytest.param("https://[::1]:8080/x", "https://[::1]:8080/x", id="ipv6"),
        pytest.param("https://user:pw@e.example/", None, id="user"),
        pytest.param("javascript:alert(1)", None, id="script"),
        pytest.param("data:text/html,x", None, id="data"),
        pytest.param("//e.example/x", None, id="relative"),
        pytest.param("https://e.example/a|b>", None, id="slack-syntax"),
        pytest.param("https://e.example/a b", None, id="blank"),
        pytest.param("https://e.example/\u202egpj", None, id="bidi"),
        pytest.param("https:///x", None, id="no-host"),
        pytest.param("https://e.example:x/", None, id="port"),
        pytest.param("https://" + "a" * 70 + ".example/é", "https://" + "a" * 70 + ".example/%C3%A9", id="odd-host"),
        pytest.param("https://e.example/" + "a" * 700, None, id="long"),
        pytest.param("", None, id="empty"),
    ],
)
def test_link(url, shown):
    assert link(url) == shown


# --- hostile text ---------------------------------------------------------------------------------------------------


MAIL_TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "body",
        "h1",
        "h2",
        "mark",
        "b",
        "blockquote",
        "ul",
        "li",
        "a",
        "p",
        "small",
        "br",
    )
}


def hostile_alert(text: str) -> Alert:
    return an_alert(
        title=text,
        rules=(text[:200], "asia-bans"),
        evidence=(
            Evidence(field="content", start=0, end=len(text), text=text),
            Evidence(field="content", start=1, end=4, text=text[1:4]),
        ),
        developments=(a_development(evidence=(Evidence(field="title", start=1, end=3, text=text[1:3]),)),),
        sources=(a_source(1, title=text, source=text, link=text), a_source(2, title=text, source=text, lang=text[:9])),
    )


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", list(ChannelKind))
def test_hostile_text(kind, text):
    for alert in (hostile_alert(text), an_alert(title=text, developments=(), evidence=(), sources=())):
        message = rendered(kind, alert, team="compliance", subscription=text[:100])
        assert "\n" not in message.title
        assert forbidden(message.title) is None
        assert forbidden(message.body) is None
        HARMLESS_IN[kind](message)


def harmless_payload(message: Message) -> None:
    assert forbidden(json.dumps(json.loads(message.payload or b""), ensure_ascii=False)) is None
    assert SCHEMA.is_valid(json.loads(message.payload or b""))
    assert len(message.payload or b"") < PAYLOAD_LIMIT


def harmless_mail(message: Message) -> None:
    page = message.html or ""
    assert forbidden(html.unescape(re.sub(r"<[^>]*>", "\n", page)).replace("<", "‹")) is None
    assert set(re.findall(r"</?([a-zA-Z][a-zA-Z0-9]*)", page)) <= MAIL_TAGS
    assert all(url.startswith(OURS) for url in re.findall(r'href="([^"]*)', page))


def harmless_blocks(message: Message) -> None:
    fields = message.fields or {}
    assert list(slack_faults(fields)) == []
    assert all(forbidden(shown) is None for shown in slack_shown(fields))
    assert all(url.startswith(OURS) for url in re.findall(r'"url": "([^"]*)', json.dumps(fields)))


def harmless_telegram(message: Message) -> None:
    fields = message.fields or {}
    reader = TelegramBot.read(fields)
    assert (reader.faults, reader.open) == ([], [])
    assert forbidden(reader.text.replace("<", "‹")) is None
    assert all(url.startswith(OURS) for url in reader.links)


def harmless_markdown(message: Message) -> None:
    """Read by a CommonMark parser with all that Discord and Teams add, a stranger's text is text."""
    if message.markdown is None:
        return  # plain text goes out instead
    tokens = [inner for token in MARKDOWN.parse(message.markdown) for inner in (token, *(token.children or ()))]
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in tokens} <= MARKDOWN_TOKENS
    assert all(str(token.attrs["href"]).startswith(OURS) for token in tokens if token.type == "link_open")
    shown = "".join(token.content for token in tokens if token.type == "text")
    assert forbidden(shown.replace("<", "‹").replace("](", "")) is None


@given(text=st.text(st.sampled_from("*_`[]()<>!#>-+=|~&;\\@:/. \n1ab"), max_size=60), mark=st.integers(0, 60))
def test_any_punctuation_is_text_in_every_markup(text, mark):
    spans = (Evidence(field="content", start=0, end=len(text), text=text),)
    spans += (Evidence(field="content", start=mark, end=mark + 3, text=text[mark : mark + 3]),)
    alert = an_alert(title=text, evidence=spans, sources=(a_source(1, title=text, source=text),))
    for kind in ChannelKind:
        HARMLESS_IN[kind](rendered(kind, alert))


SCHEMA = Draft202012Validator(PAYLOAD_SCHEMA)
OURS = "https://news.example.org/"
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
MARKDOWN_TOKENS = {
    *("paragraph", "inline", "text", "softbreak", "hardbreak", "strong", "link"),
    *("blockquote", "bullet_list", "list_item"),
}
HARMLESS_IN = {
    ChannelKind.WEBHOOK: harmless_payload,
    ChannelKind.EMAIL: harmless_mail,
    ChannelKind.SLACK: harmless_blocks,
    ChannelKind.TELEGRAM: harmless_telegram,
    ChannelKind.OTHER: harmless_markdown,
}


@given(text=st.text(st.characters(codec=None), max_size=200), limit=st.integers(0, 60))
@example(text="@\u200beveryone <\u200b!channel>", limit=60)
@example(text="]\u2060(x", limit=60)
def test_any_text_is_made_harmless(text, limit):
    shown = phrase(text, limit)
    assert len(shown) <= limit
    assert "\n" not in shown
    assert forbidden(shown) is None
    assert harmless(harmless(text)) == harmless(text)


def test_a_channel_type_is_all_that_is_read_of_the_channel():
    channel: Channel = CHANNELS[ChannelKind.SLACK]
    message = rendered(ChannelKind.SLACK, an_alert())
    assert channel.url.reveal() not in message.body


# --- digests ------------------------------------------------------------------------------------------------------


def a_digest(items: int = 200) -> Digest:
    """Strangers' titles from many places, in all directions."""
    places = ("CN", "KZ", "BR", "EU", "INTL", "US", "KE", "GH", "PE", "NO", "JP", "TR", "IT", "XX")
    return Digest(
        since=NOON - timedelta(days=1),
        until=NOON,
        items=tuple(
            DigestItem(
                alert_id=n,
                title=HOSTILE[n % len(HOSTILE)] * 3,
                severity=list(Severity)[n % 5],
                developments=(
                    (a_development(jurisdiction=places[n % len(places)], direction=list(Direction)[n % 3]),)
                    if n
                    else ()
                ),
                source=a_source(n),
                sources=1,
                reason=list(ItemReason)[n % 4],
            )
            for n in range(items)
        ),
        tallies=tuple(Tally(jurisdiction=place, week=1, week_before=2) for place in places),
        held=((RouteReason.THROTTLED, 3), (RouteReason.SILENCED, 7)),
    )


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", ChannelKind)
def test_a_long_digest_keeps_within_every_limit_and_says_how_much_it_is_of(kind, language):
    delivery = a_delivery(CHANNELS[kind], None, kind=DeliveryKind.DIGEST, digest=a_digest(), language=language)
    message = render(delivery, now=NOON)
    assert "200" in message.title
    if kind is ChannelKind.WEBHOOK:
        assert len(message.payload) < PAYLOAD_LIMIT
        data = json.loads(message.payload)["data"]
        assert (data["alerts_total"], data["held"]) == (200, {"throttled": 3, "silenced": 7})
        assert 20 <= sum(len(group["alerts"]) for group in data["groups"]) < 200
        Draft202012Validator(PAYLOAD_SCHEMA).validate(json.loads(message.payload))
        return
    held = words_of(language).held_reasons[RouteReason.SILENCED].format(count=7)
    assert held in message.body
    if kind is ChannelKind.SLACK:
        assert list(slack_faults(message.fields)) == []
    if kind is ChannelKind.TELEGRAM:
        assert len(TelegramBot.shown(message.fields).encode("utf-16-le")) // 2 <= TELEGRAM_LIMIT
    if kind is ChannelKind.OTHER:
        assert message.markdown is None or len(message.markdown) <= 1_000
    assert len(message.body) <= (20_000 if kind is ChannelKind.EMAIL else 1_500)
    assert "@everyone" not in message.body


def test_a_digest_begins_with_the_loudest_and_ends_with_rumours():
    shown = groups(a_digest().items)
    ranks = [group.items[0].severity.rank for group in shown if group.items[0].reason is not ItemReason.UNCONFIRMED]
    assert ranks == sorted(ranks, reverse=True)
    for group in shown:
        unsure = [item.reason is ItemReason.UNCONFIRMED for item in group.items]
        assert unsure == sorted(unsure)
    assert sum(len(group.items) for group in shown) == 200


def test_an_escalation_says_that_nobody_decided():
    message = render(a_delivery(CHANNELS[ChannelKind.EMAIL], LONG, kind=DeliveryKind.ESCALATION), now=NOON)
    assert message.title.startswith("Nobody decided: ")
    assert "nobody has decided about it in time" in message.body
