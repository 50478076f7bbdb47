"""Loopback receivers that speak as the real services do and keep what they were sent, and an alert to send them.

They judge what they get by the services' documented rules, so that a test fails as a real room would.
"""

from __future__ import annotations

import asyncio
import contextlib
import html.parser
import json
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.domain.model import (
    Action,
    Alert,
    Channel,
    ChannelKind,
    Delivery,
    DeliveryKind,
    Development,
    Direction,
    Evidence,
    Secret,
    Severity,
    SigningKeys,
    Source,
    Stage,
    Topic,
)

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LOOPBACK = (ip_network("127.0.0.0/8"),)
SLACK = "slack://T1CANARYA/B2CANARYB/C3canarysecretcanaryC3c4"
SLACK_BOT = "slack://xoxb-1234-1234-c4n4ryc4n4ry/#desk"
TELEGRAM = "tgram://123456789:AAcanarycanarycanarycanarycanarycan/4321"
WHSEC = Secret("whsec_" + "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5")
CANARIES = ("CANARY", "canary", "c4n4ry")  # parts of every secret above


@dataclass
class Got:
    """One HTTP request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answers:
    """A loopback HTTP service: answers in the given order (the last one again and again) and keeps the requests."""

    answers: list[web.Response | tuple[int, dict[str, str], str]] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    url: str = ""

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        got = Got(request.method, request.path_qs, {k.lower(): v for k, v in request.headers.items()}, b"")
        got.body = await request.read()
        self.got.append(got)
        status, headers, text = self.judge(got) or self.next()
        return web.Response(status=status, headers=headers, text=text)

    def next(self) -> tuple[int, dict[str, str], str]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else (self.answers or [(200, {}, "ok")])[0]
        assert isinstance(answer, tuple)
        return answer

    def judge(self, got: Got) -> tuple[int, dict[str, str], str] | None:
        return None


class SlackHook(Answers):
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and /reference/block-kit: a JSON object
    with text or blocks; 400 invalid_blocks, no_text otherwise. In its texts & < > are escaped, and <…> is a link or a
    mention; in rich text nothing is."""

    def judge(self, got: Got) -> tuple[int, dict[str, str], str] | None:
        try:
            message = got.json
        except ValueError:
            return self._fault(400, "invalid_payload")
        if not got.headers["content-type"].startswith("application/json") or not isinstance(message, dict):
            return self._fault(400, "invalid_payload")
        if not message.get("text") and not message.get("blocks"):
            return self._fault(400, "no_text")
        for fault in slack_faults(message):
            return self._fault(400, f"invalid_blocks: {fault}")
        return None

    def _fault(self, code: int, text: str) -> tuple[int, dict[str, str], str]:
        self.faults.append(text)
        return code, {}, text


def slack_faults(message: Mapping[str, Any]) -> Iterator[str]:
    """What Slack would refuse or read as markup."""
    texts = [message["text"]]
    blocks = message.get("blocks", [])
    if len(blocks) > 50 or len(json.dumps(message)) > 40_000:
        yield "too long"
    for block in blocks:
        match block:
            case {"type": "header", "text": {"type": "plain_text", "text": text}} if len(text) <= 150:
                texts.append(text)
            case {"type": "context", "elements": [{"type": "plain_text", "text": text}]}:
                texts.append(text)
            case {"type": "rich_text", "elements": [_, *_] as elements}:
                yield from (fault for one in elements for fault in _rich_faults(one))
            case _:
                yield f"block {block}"
    for text in texts:
        if not 1 <= len(text) <= 3000 or re.search(r"[<>]|&(?!(amp|lt|gt);)", text):
            yield f"text {text}"


def _rich_faults(element: Any) -> Iterator[str]:
    match element:
        case {"type": "rich_text_list", "style": "bullet", "elements": [_, *_] as items}:
            for item in items:
                yield from _rich_faults(item) if item["type"] == "rich_text_section" else [f"item {item}"]
        case {"type": "rich_text_section" | "rich_text_quote", "elements": [_, *_] as inner}:
            for one in inner:
                fine = one["type"] in ("text", "link") and one["text"] and {*one} <= {"type", "text", "url", "style"}
                if not fine or (one["type"] == "link") != ("url" in one):
                    yield f"element {one}"
        case _:
            yield f"element {element}"


def slack_shown(message: Mapping[str, Any]) -> list[str]:
    """Every text that Slack would show, as it shows it."""
    found = [html.unescape(message["text"])]
    todo: list[Any] = list(message["blocks"])
    while todo:
        one = todo.pop(0)
        if isinstance(text := one.get("text"), str):
            found.append(html.unescape(text) if one["type"] == "plain_text" else text)
        elif isinstance(text, dict):
            todo.insert(0, text)
        todo[:0] = one.get("elements", [])
    return found


class TelegramBot(Answers):
    """https://core.telegram.org/bots/api#sendmessage: chat_id and 1 to 4096 characters (UTF-16 units) of text after
    entities; parse_mode HTML takes a few tags, properly nested, and 400 for anything else."""

    def judge(self, got: Got) -> tuple[int, dict[str, str], str] | None:
        if not re.fullmatch(r"/bot\d+:[\w-]{35}/sendMessage", got.path):
            return self._fault(404, "Not Found")
        message = got.json
        if not message.get("chat_id"):
            return self._fault(400, "Bad Request: chat_id is empty")
        if message.get("parse_mode") != "HTML":
            return self._fault(400, "Bad Request: unsupported parse_mode")
        reader = self.read(message)
        if reader.faults or reader.open:
            return self._fault(400, f"Bad Request: can't parse entities: {reader.faults or reader.open}")
        if not 1 <= len(reader.text.encode("utf-16-le")) // 2 <= 4096:
            return self._fault(400, "Bad Request: message is too long")
        return None

    def _fault(self, code: int, text: str) -> tuple[int, dict[str, str], str]:
        self.faults.append(text)
        return self.error(code, text)

    @staticmethod
    def ok() -> tuple[int, dict[str, str], str]:
        return 200, {"content-type": "application/json"}, '{"ok":true,"result":{"message_id":1}}'

    @staticmethod
    def error(code: int, text: str, **parameters: int) -> tuple[int, dict[str, str], str]:
        said: dict[str, Any] = {"ok": False, "error_code": code, "description": text}
        if parameters:
            said["parameters"] = parameters
        return code, {"content-type": "application/json"}, json.dumps(said)

    @staticmethod
    def shown(message: Mapping[str, Any]) -> str:
        """The text as Telegram shows it."""
        return TelegramBot.read(message).text

    @staticmethod
    def read(message: Mapping[str, Any]) -> TelegramHtml:
        """The text as Telegram reads it: its tags, its links, what is wrong with it."""
        reader = TelegramHtml()
        reader.feed(message["text"])
        reader.close()
        return reader


class TelegramHtml(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.open: list[str] = []
        self.faults: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in ("b", "i", "blockquote", "a") or (tag != "a" and attrs):
            self.faults.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_decl(self, decl: str) -> None:
        self.faults.append(decl)

    def handle_comment(self, data: str) -> None:
        self.faults.append(data)

    def unknown_decl(self, data: str) -> None:
        self.faults.append(data)


@asynccontextmanager
async def serving(
    service: Answers, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Answers]:
    """The service on a loopback port of its own."""
    runner = web.ServerRunner(web.Server(service))
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0, ssl_context=tls)
        await site.start()
        service.url = f"http{'s' if tls else ''}://localhost:{runner.addresses[0][1]}"
        yield service
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(answer: bytes, *, hang: bool, drip: bytes = b"") -> AsyncIterator[str]:
    """A server that reads the request, writes `answer` as it stands, and closes or holds the connection, where it
    goes on with `drip` twenty times a second."""
    over = asyncio.Event()

    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            while hang and not over.is_set():
                writer.write(drip)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.05 if drip else None)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client spoke something else
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        over.set()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*(task for task in serving if task is not None))


class Mailbox:
    """A real SMTP server that keeps mail and log-ins, or refuses recipients and data as told."""

    def __init__(self) -> None:
        self.logins: list[tuple[str, str]] = []
        self.raw: list[bytes] = []
        self.recipients: list[list[str]] = []
        self.rcpt_answer = ""
        self.data_answer = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.rcpt_answer:
            return self.rcpt_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data_answer.startswith("2"):
            self.raw.append(envelope.content)
            self.recipients.append(envelope.rcpt_tos)
        return self.data_answer

    def log_in(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password != b"wrong password", handled=False)

    @property
    def mails(self) -> list[EmailMessage]:
        found = [message_from_bytes(raw, policy=modern) for raw in self.raw]
        assert all(isinstance(mail, EmailMessage) for mail in found)
        return found  # type: ignore[return-value]


@asynccontextmanager
async def receiving(
    mailbox: Mailbox, *, security: str = "none", tls: ssl.SSLContext | None = None, log_in: bool = False
) -> AsyncIterator[int]:
    """The loopback port of a mail server for `mailbox`."""

    def protocol() -> SMTP:
        return SMTP(
            mailbox,
            tls_context=tls if security == "starttls" else None,
            authenticator=mailbox.log_in if log_in else None,
            auth_require_tls=not log_in,
            hostname="localhost",
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if security == "tls" else None)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def certificate(folder: Path, *addresses: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost and further addresses that signs itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost")]
                + [x509.IPAddress(ip_address(address)) for address in ("127.0.0.1", *addresses)]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(signed.public_bytes(Encoding.PEM))
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return path, context


def part(mail: EmailMessage, kind: str) -> str:
    """The text of the mail's part of that subtype (plain, html)."""
    found = mail.get_body((kind,))
    assert found is not None
    text = found.get_content()
    assert isinstance(text, str)
    return text.replace("\r\n", "\n")


# --- something to send ----------------------------------------------------------------------------------------------


def a_channel(kind: ChannelKind, url: str, *, secret: Secret | None = None) -> Channel:
    keys = (SigningKeys(secret=secret),) if secret is not None else ()
    return Channel(id=7, kind=kind, url=Secret(url), shown="shown", keys=keys)


def a_development(**changes: Any) -> Development:
    given: dict[str, Any] = {
        "jurisdiction": "CN",
        "topic": Topic.STABLECOIN,
        "action": Action.BAN,
        "direction": Direction.TIGHTENING,
        "stage": Stage.ENACTED,
        "evidence": (Evidence(field="title", start=6, end=10, text="bans"),),
    }
    return Development(**given | changes)


def a_source(n: int = 1, **changes: Any) -> Source:
    given: dict[str, Any] = {
        "entry_id": n,
        "title": "China bans stablecoin payments",
        "source": "Example Wire",
        "link": f"https://news.example.org/china/{n}?a=1&b=2",
        "lang": "en",
        "published": NOON,
    }
    return Source(**given | changes)


def an_alert(**changes: Any) -> Alert:
    given: dict[str, Any] = {
        "id": 42,
        "story_id": 9,
        "raised_at": NOON,
        "title": "China bans stablecoin payments",
        "severity": Severity.HIGH,
        "rules": ("asia-bans", "stablecoins"),
        "developments": (a_development(),),
        "evidence": (
            Evidence(
                field="summary", start=10, end=71, text="the central bank banned stablecoin payments nationwide today."
            ),
            Evidence(field="summary", start=27, end=33, text="banned"),
        ),
        "sources": (a_source(),),
    }
    return Alert(**given | changes)


def a_delivery(channel: Channel, alert: Alert | None, **changes: Any) -> Delivery:
    given: dict[str, Any] = {
        "id": 1,
        "message_id": "msg_1",
        "kind": DeliveryKind.ALERT if alert else DeliveryKind.TEST,
        "channel": channel,
        "alert": alert,
        "team": "compliance",
        "subscription": "asia desk",
        "attempts": 1,
        "created_at": NOON,
        "lease_token": 1,
    }
    return Delivery(**given | changes)


HOSTILE = (
    "@everyone look",
    "@here now",
    "hi.@everyone",
    "mail@everyone.com",
    "<!channel> urgent",
    "<!here|here>",
    "<!everyone>",
    "<!subteam^S012|team>",
    "<@U024BE7LH> call me",
    "<@&123456789012345678>",
    "<#C024BE7LR>",
    "@channel @room @all",
    "<https://evil.example/|Click here>",
    "[Click here](https://evil.example/)",
    "<a href='https://evil.example/'>Click</a>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</b></i></pre>",
    "<b>unclosed & <i>crossed</b></i>",
    "<![CDATA[x]]> <!DOCTYPE html> <!-- c -->",
    "&lt;!channel&gt; &amp;",
    "&#x202e;gnp",
    "SEC \u202egnisnecil\u202c approved",
    "FCA\u2066hidden\u2069",
    "S\u200b\u200b\u200bEC\ufeff\u2060",
    "\u200d\u200c\u200d\u200c joiners",
    "null\x00byte \x1b[31mred \x07",
    "line one\r\nBcc: victim@example.org\r\n\r\nbody",
    "tab\tand\vvertical\fform\x85next\u2028line\u2029para",
    "<users/all> <@all> <@personEmail:desk@example.org>",
    "<at>Desk</at> <t:1618953630:R> <:emoji:123> :tada:",
    "![x](https://evil.example/x.png) [x]: https://evil.example",
    "[x][1] <https://evil.example/>",
    "# heading",
    "> quote",
    "1. item 2) item",
    "- [ ] task",
    "+ item",
    "---",
    "===",
    "| a | b |\n|---|---|",
    "\\*not bold\\* \\[x\\](https://evil.example/)",
    "&lt;script&gt; &#42;bold&#42;",
    "<!-- -->**bold**__bold__***both***",
    "www.evil.example https://evil.example/__init__",
    "*bold* _it_ ~strike~ `code` ```block``` ||spoiler||",
    "javascript:alert(1) data:text/html,x vbscript:x",
    "tg://resolve?domain=evil slack://open file:///etc/passwd",
    "{{7*7}} ${7*7} %s %n {0} {title}",
    "'; DROP TABLE alerts; --",
    "lone \ud800 surrogate \udfff",
    "tags \U000e0041\U000e0042 and \uffff",
    "x" * 5000,
    "政" * 5000,
    "👩‍👩‍👧‍👦" * 900,
    "& < > " * 1500,
    "e\u0301\u0301\u0301" * 300,
    "=?utf-8?q?=0aBcc:x?=",
    "",
    "   ",
)
"""Titles of feeds that we would rather not meet."""

_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff"
    "\ud800-\udfff\uffff\U000e0000-\U000e007f]|[\u200c\u200d]{2}"
    r"|(?i:@(?:everyone|here|channel|room|all)\b)|<[!@#]|<https?:|\]\(|(?i:\b(?:javascript|vbscript):\S)|\btg://"
)


def forbidden(text: str) -> str | None:
    """What must never be shown to a reader, if `text` holds it."""
    found = _FORBIDDEN.search(text)
    return found and f"{found[0]!r} in {text[:200]!r}"
