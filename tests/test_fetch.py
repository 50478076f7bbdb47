"""Fetching from servers that behave, and from servers that do not."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import brotli
import pytest

from service import egress
from service.domain.model import Busy, Failed, Fetched, FetchReason, FetchResult, Gone, Limited, NotModified, Validators
from service.feeds.codings import BadBody, decoder
from service.feeds.fetch import Fetcher, Limits, fresh_for, retry_after, session

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BODY = b"<rss version='2.0'><channel><title>Desk</title></channel></rss>"
QUICK = Limits(deadline=0.3, host_gap=0)
ROOMY = Limits(deadline=10, host_gap=0)


@dataclass
class Server:
    """A loopback server that answers each request with the bytes, or by the function, it is given for the path."""

    port: int = 0
    answers: dict[str, bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                started = asyncio.get_running_loop().time()
                first, *lines = head.decode("latin-1").strip().split("\r\n")
                self.requests.append({"": first} | {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)})
                answer = self.answers[first.split(" ")[1]]
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(writer)
                self.times.append((started, asyncio.get_running_loop().time()))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status: str = "200 OK", body: bytes = BODY, /, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


@pytest.fixture(autouse=True)
def any_address() -> None:
    """Whatever guard an earlier test has left: loopback is fetched from here."""
    egress.install(egress.ANYWHERE)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await server.serve(reader, writer)
        except asyncio.CancelledError:  # the test is over
            writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def fetching(limits: Limits = ROOMY) -> AsyncIterator[Fetcher]:
    async with session(user_agent="policywatch (desk@example.org)") as client:
        yield Fetcher(client, limits=limits)


async def get(url: str, *, limits: Limits = ROOMY, validators: Validators | None = None) -> FetchResult:
    async with fetching(limits) as fetcher:
        return await fetcher.get(url, validators=validators or Validators(), now=NOON)


async def failed(url: str, limits: Limits = ROOMY) -> FetchReason:
    result = await get(url, limits=limits)
    assert isinstance(result, Failed), result
    assert result.detail
    return result.reason


# --- good servers -------------------------------------------------------------------------------------------------


async def test_a_body_comes_with_its_type_and_validators(server: Server) -> None:
    server.answers["/f?a=%2F&b=1+2"] = answer(
        Content_Type="application/rss+xml; charset=utf-8", ETag='W/"x y"', Last_Modified="yesterday, about noon"
    )
    assert await get(server.url("/f?a=%2F&b=1+2")) == Fetched(
        url=server.url("/f?a=%2F&b=1+2"),
        body=BODY,
        content_type="application/rss+xml; charset=utf-8",
        validators=Validators(etag='W/"x y"', last_modified="yesterday, about noon"),
    )


async def test_the_request_says_who_we_are_and_asks_with_what_the_server_gave(server: Server) -> None:
    server.answers["/f"] = answer("304 Not Modified", b"", Set_Cookie="a=1", ETag="other")
    asked = Validators(etag='W/"x y"', last_modified="yesterday, about noon")
    async with fetching() as fetcher:
        for _ in range(2):
            result = await fetcher.get(server.url("/f"), validators=asked, now=NOON)
            assert result == NotModified(url=server.url("/f"))
    for request in server.requests:
        assert request["user-agent"] == "policywatch (desk@example.org)"
        assert request["accept-encoding"] == "gzip, deflate, br"
        assert request["if-none-match"] == 'W/"x y"'
        assert request["if-modified-since"] == "yesterday, about noon"
        assert "cookie" not in request
    assert server.connections == 1  # kept alive


async def test_a_304_that_nobody_asked_for_is_a_failure(server: Server) -> None:
    server.answers["/f"] = answer("304 Not Modified", b"")
    result = await get(server.url("/f"))
    assert isinstance(result, Failed)
    assert (result.reason, result.status) == (FetchReason.HTTP_STATUS, 304)


@pytest.mark.parametrize("value", ["x" * 2000, "a\tb", "b\udcff"])
async def test_a_validator_that_cannot_be_sent_back_the_same_is_not_kept(server: Server, value: str) -> None:
    server.answers["/f"] = answer(ETag=value)
    result = await get(server.url("/f"))
    assert isinstance(result, Fetched)
    assert result.validators.etag is None


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", gzip.compress(BODY), id="gzip"),
        pytest.param("x-gzip", gzip.compress(BODY), id="x-gzip"),
        pytest.param("GZIP, identity", gzip.compress(BODY), id="gzip-and-identity"),
        pytest.param("gzip", gzip.compress(BODY[:20]) + gzip.compress(BODY[20:]), id="two-members"),
        pytest.param("gzip", gzip.compress(BODY) + bytes(64), id="padded"),
        pytest.param("deflate", zlib.compress(BODY), id="zlib"),
        pytest.param("deflate", zlib.compress(BODY)[2:-4], id="bare-deflate"),
        pytest.param("br", brotli.compress(BODY), id="brotli"),
        pytest.param("identity", BODY, id="identity"),
    ],
)
async def test_encodings(server: Server, encoding: str, body: bytes) -> None:
    server.answers["/f"] = answer("200 OK", body, Content_Encoding=encoding)
    result = await get(server.url("/f"))
    assert isinstance(result, Fetched)
    assert result.body == BODY


@pytest.mark.parametrize("size", [1, 3, 17])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param(b"gzip", gzip.compress(BODY[:30]) + gzip.compress(BODY[30:]), id="gzip"),
        pytest.param(b"br", brotli.compress(BODY), id="brotli"),
    ],
)
async def test_a_body_in_small_pieces(server: Server, size: int, encoding: bytes, body: bytes) -> None:
    async def pieces(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: %b\r\n\r\n" % encoding)
        for start in range(0, len(body), size):
            piece = body[start : start + size]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    server.answers["/f"] = pieces
    result = await get(server.url("/f"))
    assert isinstance(result, Fetched)
    assert result.body == BODY


# --- statuses -----------------------------------------------------------------------------------------------------


async def test_gone(server: Server) -> None:
    server.answers["/f"] = answer("410 Gone")
    assert await get(server.url("/f")) == Gone(url=server.url("/f"))


@pytest.mark.parametrize("status", [429, 503])
async def test_limited(server: Server, status: int) -> None:
    server.answers["/f"] = answer(f"{status} No", Retry_After="120")
    server.answers["/g"] = answer(f"{status} No")
    assert await get(server.url("/f")) == Limited(url=server.url("/f"), status=status, retry_after=timedelta(minutes=2))
    assert await get(server.url("/g")) == Limited(url=server.url("/g"), status=status)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", timedelta(0)),
        ("120", timedelta(minutes=2)),
        (" 7.5 ", timedelta(seconds=7.5)),
        ("-5", timedelta(0)),
        ("86401", timedelta(hours=24)),
        ("9" * 400, timedelta(hours=24)),
        ("-" + "9" * 400, timedelta(0)),
        ("Mon, 02 Mar 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Monday, 02-Mar-26 12:05:00 GMT", timedelta(minutes=5)),
        ("Mon Mar  2 12:05:00 2026", timedelta(minutes=5)),
        ("Mon, 02 Mar 2026 14:05:00 +0200", timedelta(minutes=5)),
        ("Mon, 02 Mar 2026 11:00:00 GMT", timedelta(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(hours=24)),
        ("Mon, 99 Mar 2026 12:05:00 GMT", None),
        ("soon", None),
        ("1e9", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, wait: timedelta | None) -> None:
    assert retry_after(value, NOON) == wait


@pytest.mark.parametrize("status", [201, 204, 206, 300, 400, 401, 403, 404, 418, 451, 500, 502, 599, 777])
async def test_other_statuses_are_failures_with_a_text_for_a_person(server: Server, status: int) -> None:
    server.answers["/f"] = answer(f"{status} Some", b"" if status == 204 else BODY)
    result = await get(server.url("/f"))
    assert isinstance(result, Failed)
    assert (result.reason, result.status) == (FetchReason.HTTP_STATUS, status)
    assert str(status) in result.detail


@pytest.mark.parametrize("body", [b"", b" \r\n\t "])
async def test_an_empty_body_is_a_failure(server: Server, body: bytes) -> None:
    server.answers["/f"] = answer("200 OK", body)
    assert await failed(server.url("/f")) is FetchReason.EMPTY


# --- slow servers -------------------------------------------------------------------------------------------------


async def endlessly(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    await endlessly(writer, b"x")


async def drip_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await endlessly(writer, b"X-A: b\r\n")


async def never_answer(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("behaviour", [drip_body, drip_headers, never_answer])
async def test_the_deadline_is_for_the_whole_fetch(
    server: Server, behaviour: Callable[[asyncio.StreamWriter], Awaitable[None]]
) -> None:
    server.answers["/f"] = behaviour
    started = asyncio.get_running_loop().time()
    assert await failed(server.url("/f"), QUICK) is FetchReason.TIMEOUT
    assert asyncio.get_running_loop().time() - started < 2


async def test_redirects_share_one_deadline(server: Server) -> None:
    async def slow_redirect(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.12)
        writer.write(answer("302 Found", b"", Location="/f"))

    server.answers["/f"] = slow_redirect
    assert await failed(server.url("/f"), QUICK) is FetchReason.TIMEOUT
    assert len(server.requests) <= 3


# --- broken and hostile bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        pytest.param("gzip", gzip.compress(bytes(64 << 20)), FetchReason.TOO_LARGE, id="bomb"),
        pytest.param("deflate", zlib.compress(bytes(64 << 20)), FetchReason.TOO_LARGE, id="deflate-bomb"),
        pytest.param("gzip", gzip.compress(b"x") * 1000, FetchReason.BAD_ENCODING, id="a-thousand-members"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(BODY)), FetchReason.BAD_ENCODING, id="stacked"),
        pytest.param("br", brotli.compress(bytes(64 << 20)), FetchReason.TOO_LARGE, id="brotli-bomb"),
        pytest.param("br", BODY, FetchReason.BAD_ENCODING, id="not-brotli"),
        pytest.param("br", brotli.compress(BODY)[:-3], FetchReason.BAD_ENCODING, id="truncated-brotli"),
        pytest.param("br, gzip", gzip.compress(brotli.compress(BODY)), FetchReason.BAD_ENCODING, id="brotli-in-gzip"),
        pytest.param("zstd", b"\x28\xb5", FetchReason.BAD_ENCODING, id="zstd"),
        pytest.param("gzip", BODY, FetchReason.BAD_ENCODING, id="not-gzip"),
        pytest.param("deflate", b"\xff" * 50, FetchReason.BAD_ENCODING, id="not-deflate"),
        pytest.param("gzip", gzip.compress(BODY)[:-12], FetchReason.BAD_ENCODING, id="truncated"),
        pytest.param("gzip", gzip.compress(BODY)[:-8] + bytes(8), FetchReason.BAD_ENCODING, id="bad-checksum"),
        pytest.param("gzip", b"", FetchReason.BAD_ENCODING, id="nothing"),
    ],
)
async def test_bad_encodings(server: Server, encoding: str, body: bytes, reason: FetchReason) -> None:
    server.answers["/f"] = answer("200 OK", body, Content_Encoding=encoding)
    assert await failed(server.url("/f")) is reason


@pytest.mark.parametrize("most", [1 << 10, 1 << 20])
def test_a_brotli_bomb_is_stopped_before_it_is_in_memory(most: int) -> None:
    bomb = brotli.compress(bytes(64 << 20), quality=1)
    tracemalloc.start()
    try:
        with pytest.raises(BadBody, match="inflates to more than"):
            decoder(["br"], most).feed(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * most + (1 << 20)
    finally:
        tracemalloc.stop()


async def test_two_encoding_headers_count_as_stacked(server: Server) -> None:
    server.answers["/f"] = answer("200 OK", gzip.compress(BODY), Content_Encoding="gzip\r\nContent-Encoding: gzip")
    assert await failed(server.url("/f")) is FetchReason.BAD_ENCODING


async def test_a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(server: Server) -> None:
    limits = Limits(wire_bytes=1000, inflated_bytes=2000, host_gap=0)
    server.answers["/wire"] = answer("200 OK", b"x" * 1000)
    server.answers["/wire+"] = answer("200 OK", b"x" * 1001)
    server.answers["/inflated"] = answer("200 OK", gzip.compress(b"x" * 2000), Content_Encoding="gzip")
    server.answers["/inflated+"] = answer("200 OK", gzip.compress(b"x" * 2001), Content_Encoding="gzip")
    server.answers["/br"] = answer("200 OK", brotli.compress(b"x" * 2000), Content_Encoding="br")
    server.answers["/br+"] = answer("200 OK", brotli.compress(b"x" * 2001), Content_Encoding="br")
    assert isinstance(await get(server.url("/br"), limits=limits), Fetched)
    assert await failed(server.url("/br+"), limits) is FetchReason.TOO_LARGE
    assert isinstance(await get(server.url("/wire"), limits=limits), Fetched)
    assert isinstance(await get(server.url("/inflated"), limits=limits), Fetched)
    assert await failed(server.url("/wire+"), limits) is FetchReason.TOO_LARGE
    assert await failed(server.url("/inflated+"), limits) is FetchReason.TOO_LARGE


async def test_an_endless_body_is_cut_off_at_ten_mebibytes(server: Server) -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"%x\r\n%b\r\n" % (1 << 16, b"x" * (1 << 16))
        while True:
            writer.write(piece)
            await writer.drain()
            sent += 1 << 16

    server.answers["/f"] = endless
    assert await failed(server.url("/f")) is FetchReason.TOO_LARGE
    assert sent < 20 << 20


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", id="body-breaks-off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="headers-break-off"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n\r\n", id="not-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n", id="header-flood"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50_000 + b"\r\n", id="many-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="bad-chunk"),
    ],
)
async def test_broken_http_is_a_value(server: Server, raw: bytes) -> None:
    async def break_off(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    server.answers["/f"] = break_off
    assert await failed(server.url("/f")) is FetchReason.UNREACHABLE


async def test_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
    assert await failed(url) is FetchReason.UNREACHABLE
    assert await failed("http://no-such-host.invalid/") is FetchReason.UNREACHABLE


async def test_a_certificate_that_is_not_one_is_said_plainly(server: Server) -> None:
    result = await get(server.url("/f").replace("http:", "https:"), limits=QUICK)
    assert isinstance(result, Failed)
    assert result.reason in (FetchReason.UNREACHABLE, FetchReason.TIMEOUT)


# --- redirects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(server: Server, status: int) -> None:
    server.answers["/a/f"] = answer(f"{status} Moved", b"", Location="../b/g?x=1#part")
    server.answers["/b/g?x=1"] = answer(ETag='"e"')
    result = await get(server.url("/a/f"))
    assert isinstance(result, Fetched)
    assert result.url == server.url("/b/g?x=1")
    assert result.validators.etag == '"e"'


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/b c", "/b%20c"),
        ("/b%20c", "/b%20c"),
        ("/статья", "/%D1%81%D1%82%D0%B0%D1%82%D1%8C%D1%8F"),
        ("/\udce9t\udce9", "/%E9t%E9"),
        ("?page=2", "/f?page=2"),
        ("//127.0.0.1:{port}/b", "/b"),
        ("http://127.0.0.1:{port}", "/"),
    ],
)
async def test_odd_targets(server: Server, location: str, path: str) -> None:
    server.answers["/f"] = answer("302 Found", b"", Location=location.format(port=server.port))
    server.answers[path] = answer()
    assert isinstance(await get(server.url("/f")), Fetched)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/f", FetchReason.TOO_MANY_REDIRECTS),
        ("file:///etc/passwd", FetchReason.BAD_URL),
        ("ftp://example.org/f", FetchReason.BAD_URL),
        ("javascript:alert(1)", FetchReason.BAD_URL),
        ("data:text/xml,<rss/>", FetchReason.BAD_URL),
        ("http://", FetchReason.TOO_MANY_REDIRECTS),
        ("http://[::1/", FetchReason.BAD_URL),
        ("http://a:99999/", FetchReason.BAD_URL),
        ("http://example.org\\@127.0.0.1/", FetchReason.BAD_URL),
        ("\\\\127.0.0.1\\f", FetchReason.BAD_URL),
        ("", FetchReason.HTTP_STATUS),
    ],
)
async def test_bad_targets(server: Server, location: str, reason: FetchReason) -> None:
    server.answers["/f"] = answer("302 Found", b"", Location=location)
    assert await failed(server.url("/f")) is reason
    assert len(server.requests) <= 6


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://a/", "http://", "/f", "http://a b/", "http://a\r\nb/"])
async def test_bad_addresses(url: str) -> None:
    assert await failed(url) is FetchReason.BAD_URL


# --- the guard ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost", "[::1]", "[::ffff:127.0.0.2]"])
async def test_a_refused_address_is_never_connected_to(server: Server, host: str) -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as private:
        private.setblocking(False)
        target = f"http://{host}:{private.getsockname()[1]}/"
        server.answers["/f"] = answer("302 Found", b"", Location=target)
        egress.install([ip_network("127.0.0.1/32")])
        try:
            if host == "localhost":
                egress.install([ip_network("127.0.0.99/32")])
            else:
                assert await failed(server.url("/f")) is FetchReason.REFUSED_ADDRESS
            result = await get(target)
        finally:
            egress.install(egress.ANYWHERE)
        assert isinstance(result, Failed)
        assert result.reason is FetchReason.REFUSED_ADDRESS
        assert "egress.allow" in result.detail
        with pytest.raises(BlockingIOError):
            private.accept()


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1", "0"])
async def test_odd_spellings_of_an_address_lead_nowhere(server: Server, host: str) -> None:
    egress.install()
    try:
        reason = await failed(f"http://{host}:{server.port}/f")
    finally:
        egress.install(egress.ANYWHERE)
    assert reason in (FetchReason.REFUSED_ADDRESS, FetchReason.BAD_URL)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("first", "second", "moved"),
    [
        pytest.param("301 Moved", "308 Moved", True, id="permanent-all-the-way"),
        pytest.param("301 Moved", "302 Found", False, id="permanent-then-for-now"),
        pytest.param("307 For Now", "301 Moved", False, id="for-now-then-permanent"),
    ],
)
async def test_a_new_address_is_one_that_every_hop_calls_permanent(
    server: Server, first: str, second: str, moved: bool
) -> None:
    server.answers["/f"] = answer(first, b"", Location="/g")
    server.answers["/g"] = answer(second, b"", Location="/h")
    server.answers["/h"] = answer()
    result = await get(server.url("/f"))
    assert isinstance(result, Fetched)
    assert (result.url, result.moved) == (server.url("/h"), moved)
    direct = await get(server.url("/h"))
    assert isinstance(direct, Fetched)
    assert not direct.moved


@pytest.mark.parametrize(
    ("said", "fresh"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param(["public, max-age=900"], timedelta(minutes=15), id="max-age"),
        pytest.param(["MAX-AGE=60", "max-age=5"], timedelta(minutes=1), id="the-first-counts"),
        pytest.param(["no-cache, max-age=900"], None, id="no-cache"),
        pytest.param(["max-age=" + "9" * 5000], timedelta(hours=24), id="beyond-reason"),
        pytest.param(["max-age=-5"], None, id="negative"),
        pytest.param(["max-age=\u0663"], None, id="no-digit-of-http"),
        pytest.param(["s-maxage=900"], None, id="for-shared-caches"),
    ],
)
def test_fresh_for(said, fresh) -> None:
    assert fresh_for(said) == fresh


# --- polite -------------------------------------------------------------------------------------------------------


async def test_one_request_at_a_time_with_a_gap_to_one_host(server: Server) -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(answer())

    server.answers["/f"] = slow
    async with fetching(Limits(host_gap=0.05)) as fetcher:
        results = await asyncio.gather(*(fetcher.get(server.url("/f"), now=NOON) for _ in range(4)))
    assert all(isinstance(result, Fetched) for result in results)
    gaps = [later[0] - earlier[1] for earlier, later in zip(server.times, server.times[1:], strict=False)]
    assert min(gaps) >= 0.045


def beside_one_that_never_answers(server: Server) -> asyncio.Event:
    """`/f` answers, `/slow` never does; the event is set once that was asked."""
    asked = asyncio.Event()

    async def slow_answer(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await never_answer(writer)

    server.answers["/slow"] = slow_answer
    server.answers["/f"] = answer()
    return asked


async def test_a_turn_that_does_not_come_in_time_is_no_fault_of_the_feed(server: Server) -> None:
    asked = beside_one_that_never_answers(server)
    async with fetching(QUICK) as fetcher:
        slow = asyncio.ensure_future(fetcher.get(server.url("/slow"), now=NOON))
        await asked.wait()
        waiting = await fetcher.get(server.url("/f"), now=NOON, patience=timedelta(seconds=0.01))
        assert waiting == Busy(url=server.url("/f"))
        assert isinstance(await slow, Failed)
        assert isinstance(await fetcher.get(server.url("/f"), now=NOON, patience=timedelta(seconds=5)), Fetched)


async def test_a_slow_host_delays_no_other(server: Server) -> None:
    asked = beside_one_that_never_answers(server)
    async with fetching(QUICK) as fetcher:
        slow = asyncio.ensure_future(fetcher.get(server.url("/slow"), now=NOON))
        await asked.wait()
        other = server.url("/f").replace("127.0.0.1", "localhost")
        assert isinstance(await fetcher.get(other, now=NOON), Fetched)
        assert not slow.done()
        assert isinstance(await slow, Failed)


async def test_what_one_address_is_told_to_wait_its_whole_host_waits(server: Server) -> None:
    server.answers |= {"/f": answer("429 No", Retry_After="120"), "/g": answer()}
    async with fetching(QUICK) as fetcher:
        assert isinstance(await fetcher.get(server.url("/f"), now=NOON), Limited)
        held = await fetcher.get(server.url("/g"), now=NOON + timedelta(seconds=20))
        assert held == Busy(url=server.url("/g"), wait=timedelta(seconds=100))
        assert isinstance(await fetcher.get(server.url("/g"), now=NOON + timedelta(seconds=120)), Fetched)


async def test_what_one_process_is_told_another_keeps_to(server: Server) -> None:
    server.answers |= {"/f": answer("429 No", Retry_After="120"), "/g": answer()}
    async with fetching(QUICK) as fetcher, fetching(QUICK) as other:
        await fetcher.get(server.url("/f"), now=NOON)
        assert list(fetcher.closed(NOON).values()) == [NOON + timedelta(seconds=120)]
        other.keep_closed(fetcher.closed(NOON))
        assert await other.get(server.url("/g"), now=NOON) == Busy(url=server.url("/g"), wait=timedelta(seconds=120))
        assert other.closed(NOON + timedelta(seconds=120)) == {}
        assert isinstance(await other.get(server.url("/g"), now=NOON + timedelta(seconds=120)), Fetched)


@pytest.mark.parametrize(("status", "closes"), [(429, True), (503, False)])
async def test_trouble_at_one_address_without_a_time_is_its_own(server: Server, status: int, closes: bool) -> None:
    server.answers |= {"/f": answer(f"{status} No"), "/g": answer()}
    async with fetching(QUICK) as fetcher:
        await fetcher.get(server.url("/f"), now=NOON)
        assert isinstance(await fetcher.get(server.url("/g"), now=NOON), Busy if closes else Fetched)
