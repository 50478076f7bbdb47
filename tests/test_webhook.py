"""Webhooks as a receiver meets them: signed by Standard Webhooks, verified with its own library, one verdict a code."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
import standardwebhooks
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service import egress
from service.delivery.channels import DeliverySettings, Sender
from service.delivery.message import render
from service.delivery.outcomes import masked, parse_retry_after, secrets_in, status_of
from service.delivery.signing import new_keys, public_key, sign
from service.domain.model import ChannelKind, Message, Outcome, OutcomeStatus, Secret, SigningKeys
from service.feeds.fetch import session
from service.switchboard import Switchboard
from tests.fakes_delivery import (
    CANARIES,
    NOON,
    WHSEC,
    Answers,
    Got,
    a_channel,
    a_delivery,
    an_alert,
    certificate,
    raw,
    serving,
)

SETTINGS = DeliverySettings(allow_schemas=(), timeout=timedelta(seconds=0.3))
PATIENT = DeliverySettings(allow_schemas=(), timeout=timedelta(seconds=10))


@asynccontextmanager
async def sender(settings: DeliverySettings = SETTINGS) -> AsyncIterator[Sender]:
    switchboard = Switchboard()
    async with aiohttp.ClientSession(trust_env=False) as session:
        yield Sender(session, switchboard, settings)
    switchboard.close()


async def send(
    url: str, *, secret: Secret | None = WHSEC, now: datetime = NOON, attempt: int = 1, message_id: str = "msg_1"
) -> Outcome:
    channel = a_channel(ChannelKind.WEBHOOK, url, secret=secret)
    message = render(a_delivery(channel, an_alert()), now=now)
    async with sender() as out:
        return await out.send(channel, message, message_id=message_id, attempt=attempt, now=now)


async def received(**changes: object) -> Got:
    async with serving(Answers()) as service:
        outcome = await send(service.url + "/in?x=1", **changes)
        assert outcome == Outcome(status=OutcomeStatus.SENT, detail="answered 200: ok", http_status=200)
        (got,) = service.got
        return got


# --- on the wire ----------------------------------------------------------------------------------------------------


async def test_request_as_received():
    got = await received(attempt=3)
    assert (got.method, got.path) == ("POST", "/in?x=1")
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"] == "policywatch"
    assert got.headers["webhook-id"] == "msg_1"
    assert got.headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert got.headers["webhook-attempt"] == "3"
    assert got.json["data"]["alert_id"] == 42


async def test_verified_by_the_reference_library():
    now = datetime.now(UTC)  # the library compares with the real clock
    got = await received(now=now)
    verified = standardwebhooks.Webhook(WHSEC.reveal()).verify(got.body, got.headers)
    assert verified["type"] == "alert.raised"


@pytest.mark.parametrize("tampered", ["webhook-id", "webhook-timestamp", "body", "secret"])
async def test_tampering_is_noticed(tampered):
    got = await received(now=datetime.now(UTC))
    headers, body, secret = dict(got.headers), got.body, WHSEC.reveal()
    match tampered:
        case "webhook-id":
            headers["webhook-id"] = "msg_2"
        case "webhook-timestamp":
            headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) - 1)
        case "body":
            body = body.replace(b'"alert_id":42', b'"alert_id":43')
        case "secret":
            secret = new_keys(lambda n: b"\x01" * n).secret.reveal()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(body, headers)


async def test_retries_carry_the_same_id_and_body_and_their_own_time():
    first = await received()
    again = await received(now=NOON + timedelta(hours=5), attempt=2)
    assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)
    assert int(again.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5 * 3600
    assert first.headers["webhook-signature"] != again.headers["webhook-signature"]


# --- secrets --------------------------------------------------------------------------------------------------------


def test_new_keys_are_32_random_bytes_each():
    keys = new_keys(lambda n: bytes(range(n)))
    assert keys.private is not None
    for key, prefix in ((keys.secret, "whsec_"), (keys.private, "whsk_")):
        assert key.reveal().startswith(prefix)
        assert base64.b64decode(key.reveal().removeprefix(prefix)) == bytes(range(32))
    assert new_keys(os.urandom) != new_keys(os.urandom)


def test_ed25519_of_the_rfc():
    # RFC 8032 section 7.1, test 1: the public key of a seed.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    private = Secret("whsk_" + base64.b64encode(seed).decode())
    assert public_key(private) == "whpk_" + base64.b64encode(public).decode()


def test_signature_of_the_specification():
    # The example of the specification's own test vectors (standard-webhooks, libraries' tests).
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, tz=UTC)
    signature = sign(secret, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=at, body=b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["whsec_", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "", "xwhsec_MfKQ"])
async def test_unusable_secret(secret):
    outcome = await send("http://127.0.0.1:9/", secret=Secret(secret))
    assert outcome == Outcome(status=OutcomeStatus.REFUSED, detail="a webhook's secret is whsec_ followed by base64")


def test_an_id_with_a_dot_is_ambiguous():
    with pytest.raises(ValueError, match="no dot"):
        sign(WHSEC, message_id="a.1", at=NOON, body=b"")


async def test_nothing_is_sent_unsigned():
    async with serving(Answers()) as service:
        outcome = await send(service.url, secret=None)
        assert outcome.status is OutcomeStatus.REFUSED
        assert service.got == []


# --- rotation -------------------------------------------------------------------------------------------------------


def key(n: int) -> Secret:
    return new_keys(lambda size: bytes([n]) * size).secret


OLD, NEW = (new_keys(lambda size, n=n: bytes([n]) * size) for n in (1, 2))


async def signed(now: datetime, *keys: SigningKeys) -> Got:
    """One message as it arrived from a webhook with these keys."""
    async with serving(Answers()) as service, sender() as out:
        channel = replace(a_channel(ChannelKind.WEBHOOK, service.url), keys=keys)
        message = render(a_delivery(channel, an_alert()), now=now)
        outcome = await out.send(channel, message, message_id="msg_1", attempt=1, now=now)
        assert outcome.status is OutcomeStatus.SENT
        (got,) = service.got
        return got


def accepts(keys: SigningKeys, got: Got) -> tuple[bool, bool]:
    """Whether a receiver with the secret, and one with the public key, takes the message."""
    try:
        standardwebhooks.Webhook(keys.secret.reveal()).verify(got.body, got.headers)
        by_secret = True
    except standardwebhooks.WebhookVerificationError:
        by_secret = False
    assert keys.private is not None
    known = base64.b64decode(public_key(keys.private).removeprefix("whpk_"))
    said = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    found = [one.removeprefix("v1a,") for one in got.headers["webhook-signature"].split(" ") if one.startswith("v1a,")]
    return by_secret, any(_verifies(known, base64.b64decode(one), said) for one in found)


def _verifies(public: bytes, signature: bytes, said: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, said)
    except InvalidSignature:
        return False
    return True


async def test_old_and_new_keys_sign_side_by_side_for_a_time():
    now = datetime.now(UTC)  # the library compares with the real clock
    former = replace(OLD, until=now + timedelta(hours=1))
    before, during, after = (
        await signed(now, OLD),
        await signed(now, NEW, former),
        await signed(former.until, NEW, former),
    )
    assert [accepts(OLD, before), accepts(NEW, before)] == [(True, True), (False, False)]
    assert [accepts(OLD, during), accepts(NEW, during)] == [(True, True), (True, True)]
    assert [one.partition(",")[0] for one in during.headers["webhook-signature"].split(" ")] == ["v1", "v1a"] * 2
    assert len(after.headers["webhook-signature"].split(" ")) == 2
    assert accepts(OLD, after)[1] is False


JAVASCRIPT = """
const { Webhook } = require("standardwebhooks");
const cases = JSON.parse(require("fs").readFileSync(0));
const taken = cases.map(({ secret, headers, body }) => {
  try { return new Webhook(secret).verify(body, headers).type; } catch (wrong) { return String(wrong.message); }
});
console.log(JSON.stringify(taken));
"""


@pytest.fixture
def node() -> str:
    """A node with the npm package standardwebhooks, which needs to be where node looks (NODE_PATH)."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed: the JavaScript library does not check our signatures here")
    resolved = subprocess.run([found, "-e", 'require.resolve("standardwebhooks")'], capture_output=True, check=False)
    if resolved.returncode:
        pytest.skip("npm package standardwebhooks is not installed: npm install -g it and set NODE_PATH")
    return found


async def test_verified_by_the_reference_library_in_javascript(node):
    now = datetime.now(UTC)
    got = await signed(now, NEW, replace(OLD, until=now + timedelta(hours=1)))
    stranger, body = key(3).reveal(), got.body.decode()
    cases = [
        (NEW.secret.reveal(), body),
        (OLD.secret.reveal(), body),
        (stranger, body),
        (NEW.secret.reveal(), body + " "),
    ]
    asked = json.dumps([{"secret": secret, "headers": got.headers, "body": text} for secret, text in cases])
    process = await asyncio.create_subprocess_exec(
        node, "-e", JAVASCRIPT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate(asked.encode())
    assert json.loads(answer) == ["alert.raised", "alert.raised", *["No matching signature found"] * 2]


# --- the verdict ----------------------------------------------------------------------------------------------------

CHAT_REFUSED = {400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 451}
MAIL_REFUSED = {550, 551, 552, 553, 554, 555, 556}


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        pytest.param(ChannelKind.WEBHOOK, {410}, id="webhook"),
        pytest.param(ChannelKind.SLACK, CHAT_REFUSED, id="slack"),
        pytest.param(ChannelKind.TELEGRAM, CHAT_REFUSED, id="telegram"),
        pytest.param(ChannelKind.OTHER, CHAT_REFUSED, id="other"),
        pytest.param(ChannelKind.EMAIL, MAIL_REFUSED, id="email"),
    ],
)
def test_every_status_code(kind, refused):
    for code in range(100, 600):
        expected = (
            OutcomeStatus.SENT
            if code // 100 == 2
            else OutcomeStatus.REFUSED
            if code in refused
            else OutcomeStatus.RETRY
        )
        assert status_of(kind, code) is expected, code
    assert status_of(kind, 429) is OutcomeStatus.RETRY


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299, 300, 304, 400, 401, 403, 404, 410, 418, 429, 500, 503, 599])
async def test_answers(code):
    async with serving(Answers([(code, {}, "" if code in (204, 304) else "because")])) as service:
        outcome = await send(service.url)
    assert outcome.status is status_of(ChannelKind.WEBHOOK, code)
    assert outcome.http_status == code
    assert outcome.detail == (f"answered {code}" if code in (204, 304) else f"answered {code}: because")


async def test_redirects_are_not_followed():
    async with serving(Answers()) as other, serving(Answers([(307, {"location": other.url}, "")])) as service:
        outcome = await send(service.url)
        assert (outcome.status, outcome.http_status) == (OutcomeStatus.RETRY, 307)
        assert len(service.got) == 1
        assert other.got == []


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        pytest.param("120", timedelta(seconds=120), id="seconds"),
        pytest.param("0", timedelta(), id="now"),
        pytest.param("-5", timedelta(), id="negative"),
        pytest.param("1.5", timedelta(seconds=1.5), id="discord-fraction"),
        pytest.param("999999999999", timedelta(hours=24), id="capped"),
        pytest.param("Sat, 21 Nov 2026 12:01:00 GMT", timedelta(seconds=60), id="date"),
        pytest.param("Sat, 21 Nov 2026 11:00:00 GMT", timedelta(), id="past-date"),
        pytest.param("Sat, 21 Nov 2026 12:01:00", timedelta(seconds=60), id="date-without-zone"),
        pytest.param("Sat, 21 Nov 2099 12:01:00 GMT", timedelta(hours=24), id="far-date"),
        pytest.param("soon", None, id="garbage"),
        pytest.param("", None, id="absent"),
        pytest.param("1e9", None, id="exponent"),
        pytest.param("Sat, 99 Nov 2026 99:99:99 GMT", None, id="impossible-date"),
    ],
)
def test_retry_after(value, wait):
    assert parse_retry_after(value, now=NOON) == wait


async def test_retry_after_is_honoured():
    async with serving(Answers([(429, {"retry-after": "90"}, "slow down")])) as service:
        outcome = await send(service.url)
    assert (outcome.status, outcome.retry_after) == (OutcomeStatus.RETRY, timedelta(seconds=90))


# --- receivers that misbehave ---------------------------------------------------------------------------------------


async def test_no_answer_in_time():
    async with raw(b"", hang=True) as url:
        assert await send(url) == Outcome(status=OutcomeStatus.RETRY, detail="no answer within 0.3 s")


async def test_headers_that_never_end():
    async with raw(b"HTTP/1.1 200 OK\r\nx: y\r\n", hang=True) as url:
        assert (await send(url)).detail == "no answer within 0.3 s"


async def test_a_status_counts_though_its_body_never_ends():
    async with raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf", hang=True) as url:
        outcome = await send(url)
    assert (outcome.status, outcome.http_status) == (OutcomeStatus.SENT, 200)


async def test_connection_closed_without_an_answer():
    async with raw(b"", hang=False) as url:
        outcome = await send(url)
    assert outcome.status is OutcomeStatus.RETRY
    assert outcome.detail in ("the connection was closed before an answer", "the connection failed: ClientOSError")


async def test_an_answer_that_is_not_http():
    async with raw(b"SSH-2.0-OpenSSH\r\n\r\n", hang=False) as url:
        assert await send(url) == Outcome(status=OutcomeStatus.RETRY, detail="the answer is not HTTP")


async def test_a_large_answer_is_only_looked_at():
    async with serving(Answers([(500, {}, "x" * 1_000_000)])) as service:
        assert len((await send(service.url)).detail) <= 200


async def test_connection_refused():
    async with raw(b"", hang=False) as url:
        pass
    outcome = await send(url)
    assert outcome.status is OutcomeStatus.RETRY
    assert outcome.detail.startswith("no connection to 127.0.0.1:")


async def test_tls_where_there_is_none():
    async with raw(b"HTTP/1.1 200 OK\r\n\r\n", hang=False) as url:
        outcome = await send(url.replace("http:", "https:"))
    assert outcome.status is OutcomeStatus.RETRY


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(b"content-length: 99\r\n\r\nhalf", 200, id="less-than-it-said"),
        pytest.param(b"content-length: 2\r\n\r\nok and more", None, id="more-than-it-said"),
        pytest.param(b"transfer-encoding: chunked\r\n\r\nzz\r\n", None, id="no-chunks"),
        pytest.param(b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc", 200, id="not-compressed"),
        pytest.param(b"content-length: -1\r\n\r\nok", None, id="negative"),
    ],
)
async def test_an_answer_that_lies_about_its_body(answer, status):
    """Its status is its answer; what came with the head and is no HTTP spoils that too, and the message is repeated."""
    async with raw(b"HTTP/1.1 200 OK\r\n" + answer, hang=False) as url:
        outcome = await send(url)
    assert outcome.http_status == status
    assert outcome.status is (OutcomeStatus.SENT if status else OutcomeStatus.RETRY)


async def test_an_answer_that_drips():
    async with raw(b"HTTP/1.1 200 OK\r\n", hang=True, drip=b"x: y\r\n") as url:
        assert await send(url) == Outcome(status=OutcomeStatus.RETRY, detail="no answer within 0.3 s")


@pytest.mark.parametrize(
    ("trusted", "host", "said"),
    [
        pytest.param(False, "localhost", "self-signed certificate", id="unknown-authority"),
        pytest.param(True, "127.0.0.2", "IP address mismatch", id="of-somebody-else"),
    ],
)
async def test_a_wrong_certificate_gets_no_message(tmp_path, monkeypatch, trusted, host, said):
    egress.install([ip_network("127.0.0.0/8")])  # whatever an earlier test has left
    path, tls = certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
    async with serving(Answers(), tls=tls, host="127.0.0.2" if trusted else "127.0.0.1") as service:
        channel = a_channel(ChannelKind.WEBHOOK, service.url.replace("localhost", host), secret=WHSEC)
        switchboard = Switchboard()
        async with session(user_agent="test") as client:
            out = Sender(client, switchboard, PATIENT)
            message = render(a_delivery(channel, an_alert()), now=NOON)
            outcome = await out.send(channel, message, message_id="msg_1", attempt=1, now=NOON)
        assert service.got == []
    assert outcome.status is OutcomeStatus.RETRY
    assert outcome.detail.startswith("its TLS certificate was not accepted:")
    assert said in outcome.detail


@pytest.mark.parametrize("url", ["http://", "http://[", "nonsense", "http://127.0.0.1:99999/"])
async def test_an_address_that_is_none(url):
    assert (await send(url)).status in (OutcomeStatus.REFUSED, OutcomeStatus.RETRY)


# --- details hold no secret -----------------------------------------------------------------------------------------


async def test_an_echo_of_the_address_is_masked():
    url_path = "/hooks/canarytokencanary/x?key=canarykey&user=me"

    class Echo(Answers):
        def judge(self, got: Got) -> tuple[int, dict[str, str], str]:
            return 500, {}, f"cannot POST {got.path} at {self.url}{got.path}"

    async with serving(Echo()) as service:
        outcome = await send(service.url + url_path)
    assert outcome.detail.startswith("answered 500: cannot POST ***")
    assert not any(canary in outcome.detail for canary in CANARIES)


def test_masking_takes_the_longest_first_and_keeps_one_line():
    assert masked("a\r\nb\x00 secretsecret secret \u202e", ["secret", "secretsecret"]) == "a b *** ***"


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1CANARYA/B2CANARYB/C3canarysecret",
        "tgram://123456:canarycanary/99",
        "https://user:canarypw@e.example/",
        "https://e.example/%63anary-token",
        "https://e.example/?a=canary%2Dkey",
        "pover://usercanary@tokencanary",
        "http://[broken/canary",
    ],
)
def test_every_secret_piece_of_an_address_is_known(url):
    shown = masked(f"failed: {url} and {url.partition('://')[2]}", secrets_in(url))
    assert "canary" not in shown.casefold()


async def test_a_message_without_payload_is_not_sent():
    async with sender() as out:
        channel = a_channel(ChannelKind.WEBHOOK, "http://127.0.0.1:9/", secret=WHSEC)
        outcome = await out.send(channel, Message(title="t", body="b"), message_id="m", attempt=1, now=NOON)
    assert outcome.status is OutcomeStatus.REFUSED


# --- killed in between ----------------------------------------------------------------------------------------------

SEND_ONE = """
import asyncio, sys
from tests.test_webhook import send
asyncio.run(send(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("point", "answered"),
    [
        pytest.param("deliver.request_written", False, id="request-written"),
        pytest.param("deliver.response_read", True, id="response-read"),
    ],
)
async def test_a_kill_between_request_and_answer(point, answered):
    """The receiver has the whole request: the places where a crash may cause a repeat are where we say they are."""
    served = asyncio.Event()

    class Patient(Answers):
        async def __call__(self, request: web.Request) -> web.StreamResponse:
            response = await super().__call__(request)
            served.set()
            if not answered:
                await never.wait()
            return response

    never = asyncio.Event()
    async with serving(Patient()) as service:
        environment = os.environ | {"POLICYWATCH_FAILPOINT": point}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SEND_ONE, service.url, env=environment, cwd=Path(__file__).parent.parent
        )
        assert await process.wait() == -signal.SIGKILL
        await served.wait()
        assert service.got[0].json["data"]["alert_id"] == 42
        never.set()


async def test_the_answer_is_kept_without_secrets():
    """Headers that explain it, no cookies, and not the secret that its address holds, however it comes back."""
    headers = {"server": "nginx/1", "retry-after": "9", "set-cookie": "session=1", "x-request-id": "r-topsecretpath"}
    said = "no room at /hook/topsecretpath\r\n" + "x" * 3000
    async with serving(Answers([(503, headers, said)])) as service:
        outcome = await send(service.url + "/hook/topsecretpath")
    assert outcome.answer is not None
    kept = outcome.answer.headers
    assert (kept["server"], kept["retry-after"], kept["x-request-id"]) == ("nginx/1", "9", "r-***")
    assert "set-cookie" not in kept
    assert outcome.answer.body.startswith("no room at ***")
    assert len(outcome.answer.body) <= 1000
    assert "topsecretpath" not in str(outcome)
