"""The egress guard: the decision as a table, and the hook at real connects."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from service import egress
from service.domain.model import EgressRefused

REFUSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.0.1
169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1
198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
64:ff9b::10.0.0.1 64:ff9b:1::1 64:ff9b:1::8.8.8.8 100::1 2001::1 2001:0:1234::1 2001:2::1 2001:10::1 2001:20::1
2001:db8::1 2002:7f00:1:: 2002:a00:1::1 2002:c0a8:101:: 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254
fd12:3456::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 ff02::1 ff0e::1
localhost 2130706433 127.1 0x7f000001 010.0.0.1 example.org
"""

PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.0.1 172.15.0.1
172.32.0.1 192.0.1.1 192.167.0.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.255
2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1
"""


@pytest.mark.parametrize("address", REFUSED.split())
def test_refused(address: str) -> None:
    reason = egress.refusal(address, 80, ())
    assert reason is not None
    assert address in reason


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public(address: str) -> None:
    assert egress.refusal(address, 443, ()) is None


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"])
def test_the_operators_list_permits_every_spelling(address: str) -> None:
    assert egress.refusal(address, 80, [ip_network("10.1.2.0/24")]) is None
    assert egress.refusal(address, 80, [ip_network("10.9.0.0/16"), ip_network("fd00::/8")]) is not None


def test_the_reason_names_the_setting_and_the_least_that_would_permit_it() -> None:
    assert "egress.allow: [10.1.2.3/32]" in (egress.refusal("10.1.2.3", 8080, ()) or "")
    assert "10.1.2.3:8080" in (egress.refusal("10.1.2.3", 8080, ()) or "")
    assert "egress.allow: [fe80::1/128]" in (egress.refusal("fe80::1", None, ()) or "")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//example.org/x",
        "example.org",
        "http:///x",
        "http://example.org\\@10.0.0.1/",
        "http://exa mple.org/",
        "http://example.org/\r\nHost: other",
        "http://example.org/\x00",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://[::1/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost:8080/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_addresses_that_a_person_is_warned_about(url: str) -> None:
    assert egress.check_url(url, ())


def test_addresses_that_are_fine() -> None:
    assert egress.check_url("https://example.org/feed.xml?a=1&b=2#x", ()) is None
    assert egress.check_url("https://пример.example/лента", ()) is None
    assert egress.check_url("http://10.1.2.3:8080/feed", [ip_network("10.0.0.0/8")]) is None
    assert egress.check_url("http://localhost:8080/feed", [ip_network("127.0.0.0/8")]) is None


def test_userinfo_is_for_feeds_only() -> None:
    assert egress.check_url("https://desk:pw@example.org/feed", ()) is None
    assert "password" in (egress.check_url("https://desk:pw@example.org/hook", (), userinfo=False) or "")


# --- the hook -----------------------------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server on the private side: it must not see a connection that the guard refuses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def guard() -> Iterator[None]:
    egress.install()
    yield
    egress.install(egress.ANYWHERE)


def nobody_came(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return True
    return False


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "", b"127.0.0.1", "0.0.0.0"])
def test_a_refused_connect_sends_nothing(listener: socket.socket, host: str) -> None:
    with socket.socket() as sock, pytest.raises(EgressRefused, match="egress guard"):
        sock.connect((host, listener.getsockname()[1]))
    assert nobody_came(listener)


@pytest.mark.usefixtures("guard")
def test_a_mapped_address_is_refused(listener: socket.socket) -> None:
    with socket.socket(socket.AF_INET6) as sock, pytest.raises(EgressRefused):
        sock.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))
    assert nobody_came(listener)


@pytest.mark.usefixtures("guard")
def test_libraries_are_guarded_too(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(OSError, match="egress guard"):
        urllib.request.urlopen(f"http://localhost:{port}/", timeout=1)
    with pytest.raises(EgressRefused):
        socket.create_connection(("localhost", port), timeout=1)
    assert nobody_came(listener)


@pytest.mark.usefixtures("guard")
async def test_asyncio_is_guarded_too(listener: socket.socket) -> None:
    with pytest.raises(EgressRefused):
        await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    assert nobody_came(listener)


@pytest.mark.usefixtures("guard")
def test_datagrams_are_guarded_too() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(EgressRefused):
            sock.sendto(b"x", ("127.0.0.1", 9))
        with pytest.raises(EgressRefused):
            sock.sendmsg([b"x"], [], 0, ("127.0.0.1", 9))


@pytest.mark.usefixtures("guard")
def test_unix_sockets_are_not_touched() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendmsg([b"x"])
        assert theirs.recv(1) == b"x"


@pytest.mark.usefixtures("guard")
def test_a_later_install_replaces_the_list(listener: socket.socket) -> None:
    egress.install([ip_network("127.0.0.0/8")])
    with socket.create_connection(listener.getsockname(), timeout=1):
        pass
    assert not nobody_came(listener)
    egress.install()
    with pytest.raises(EgressRefused):
        socket.create_connection(listener.getsockname(), timeout=1)
