"""The egress guard: which addresses this process may connect to, held at the connect itself.

Feed, page and webhook addresses come from users. The decision is made on the address that is really connected to,
after name resolution, so redirects, rebinding names and odd spellings gain nothing. It sees every library that
connects through Python's socket module; it does not see uvloop or a C library's own sockets, so we use neither here.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from service.domain.model import EgressRefused

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

NOT_PUBLIC: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this host (0.0.0.0/8)"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "a carrier's internal network"),
        ("127.0.0.0/8", "this machine itself"),
        ("168.63.129.16/32", "a cloud provider's internal service"),
        ("169.254.0.0/16", "link-local, where cloud metadata lives"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "reserved for documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "a private network"),
        ("198.18.0.0/15", "reserved for benchmarks"),
        ("198.51.100.0/24", "reserved for documentation"),
        ("203.0.113.0/24", "reserved for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "this host (::)"),
        ("::1/128", "this machine itself"),
        ("64:ff9b:1::/48", "a network's own IPv4 translation (NAT64)"),
        ("fc00::/7", "a private network"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "a private network (site-local)"),
        ("ff00::/8", "multicast"),
        ("2001::/32", "a Teredo tunnel"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "reserved for documentation"),
        ("3fff::/20", "reserved for documentation"),
    )
)
"""Python's own `is_global` differs between versions and misses NAT64, site-local and others: the table is ours."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f-\x9f\\]|\s")

ANYWHERE: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
"""An allow list that permits everything."""


def refusal(address: str, port: int | None, allow: Sequence[Network]) -> str | None:
    """Why a connection to the literal `address` is refused, for a person to read, or None when it may go ahead.

    IPv4 inside IPv6 (mapped, NAT64, 6to4) is judged as the IPv4 address that would be reached.
    """
    shown = _shown(address, port)
    try:
        written = ip_address(address)
    except ValueError:
        return f"{shown} is not a plain IP address, and only resolved addresses are connected to"
    reached = _reached(written)
    if any(_within(ip, network) for ip in (written, reached) for network in allow):
        return None
    what = _not_public(reached)
    if what is None:
        return None
    single = f"{reached}/{reached.max_prefixlen}".split("%")[0]
    return f"{shown} is not a public address: {what}; the operator can permit it with egress.allow: [{single}]"


def check_url(url: str, allow: Sequence[Network], *, userinfo: bool = True) -> str | None:
    """Why `url` cannot be used as a feed's or webhook's address, or None when nothing speaks against it.

    For a friendly answer while somebody is writing; the connect is guarded anyway. Nothing is resolved.
    `userinfo=False` also refuses `user:password@host`.
    """
    if _CONTROL_OR_SPACE.search(url):
        return "the address holds a space, a backslash or a control character"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as exc:
        return f"not a valid address: {exc}"
    if parts.scheme not in ("http", "https"):
        return f"only http and https addresses are used, not {parts.scheme + ':' if parts.scheme else 'this'}"
    if not host:
        return "the address names no host"
    if port == 0:
        return "port 0 cannot be connected to"
    if "@" in parts.netloc and not userinfo:
        return "the address holds a user name or password; leave it out"
    literal = _literal(host)
    if literal is None and (host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")):
        literal = "127.0.0.1"
    return refusal(literal, port, allow) if literal else None


def install(allow: Sequence[Network] = ()) -> None:
    """Guard every connect of this process from now on: EgressRefused for what is neither public nor in `allow`.

    A later call only replaces the list; the guard cannot be taken off again.
    """
    _impose(_Policy(tuple(allow)))


def close() -> None:
    """Refuse every connection of this process from now on, public ones too: for children that only compute."""
    _impose(_Policy(None))


def verdict(address: str, port: int | None) -> str | None:
    """What the installed guard would say of a connection: the reason of its refusal, or None."""
    if _policy is None:
        return None
    if _policy.allow is None:
        return f"{_shown(address, port)}: this process makes no connections"
    return refusal(address, port, _policy.allow)


# --- the hook -----------------------------------------------------------------------------------------------------


class _Policy:
    """What may be connected to; `allow` None means nothing at all."""

    __slots__ = ("allow",)

    def __init__(self, allow: tuple[Network, ...] | None) -> None:
        self.allow = allow


_policy: _Policy | None = None
_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


def _impose(policy: _Policy) -> None:
    global _policy
    first = _policy is None
    _policy = policy
    if first:
        sys.addaudithook(_on_event)  # cannot be removed, which is what we want


def _on_event(event: str, args: tuple[object, ...]) -> None:
    if event not in _EVENTS:
        return
    sock, target = args[0], args[1]
    if getattr(sock, "family", None) not in (socket.AF_INET, socket.AF_INET6) or not isinstance(target, tuple):
        return  # a Unix socket, or a datagram on a socket whose connect was judged already
    host, port = target[0], target[1]
    reason = verdict(host if isinstance(host, str) else repr(host), port)
    if reason is not None:
        raise EgressRefused(f"connection refused by the egress guard: {reason}")


# --- addresses ----------------------------------------------------------------------------------------------------


def _shown(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _reached(ip: Address) -> Address:
    """The address at the far end: IPv4 carried inside IPv6 is taken out."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _not_public(ip: Address) -> str | None:
    for network, what in NOT_PUBLIC:
        if _within(ip, network):
            return what
    if isinstance(ip, IPv6Address) and ip not in _GLOBAL_UNICAST:
        return "outside of the global address space"
    return None


def _within(ip: Address, network: Network) -> bool:
    return ip.version == network.version and ip in network


def _literal(host: str) -> str | None:
    """The IP address that `host` spells, in any spelling a resolver takes (2130706433, 0x7f.1), or None for a name."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
    except (OSError, UnicodeError, ValueError):
        return None
