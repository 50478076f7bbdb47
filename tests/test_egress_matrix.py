"""Every way out × every spelling of a private address: the private side sees no connection.

And with the guard off it sees one from each, which shows that the matrix can fail.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web

from service import egress
from service.delivery.channels import DeliverySettings, Sender
from service.delivery.message import render
from service.domain.model import ChannelKind, EgressRefused, ServiceError
from service.feeds.archive import Archive
from service.feeds.discover import discover
from service.feeds.fetch import Fetcher, Limits, session
from service.feeds.hubs import ask_hub
from service.feeds.pages import Pages
from service.feeds.robots import Robots
from service.sandbox import Sandbox
from service.switchboard import Switchboard
from tests.conftest import NOON
from tests.fakes_delivery import WHSEC, a_channel, a_delivery, an_alert
from tests.loopback import rss

FRONT = "127.0.0.99"
"""The one address that the operator permits: what stands there leads, redirects and links to the private side."""

REACHING = (
    "127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "0", "0.0.0.0", "localhost",
    "LOCALHOST", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "user@127.0.0.1",
    "news.example:80@127.0.0.1", "127。0。0。1", "inside.test", "inside6.test", "both.test",
)  # fmt: skip
"""Spellings by which the private side can be reached from here. The last three are names: what resolves to it in IPv4,
in IPv6 only, and beside an address that is permitted."""

BEYOND = (
    "10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.1.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fd00::1]",
    "[fe80::1]", "[fec0::1]", "[::ffff:10.0.0.1]", "[ff02::1]", "224.0.0.1", "255.255.255.255", "168.63.129.16",
)  # fmt: skip
"""Private addresses at which nobody listens here: a connection to them would hang or fail, and is refused at once."""

NAMES = {"inside.test": ["127.0.0.1"], "inside6.test": ["::1"], "both.test": ["127.0.0.1", FRONT]}


@dataclass
class World:
    """The private side, which counts; the front, which leads there; and the tools of the service."""

    port: int
    target: str = ""
    came: int = 0
    looked_up: int = 0
    front: str = ""
    tools: dict[str, Any] = field(default_factory=dict)

    async def private(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += FRONT not in writer.get_extra_info("sockname")[0]
        with suppress(Exception):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    async def lead(self, request: web.Request) -> web.Response:
        match request.path:
            case "/redirect":
                return web.Response(status=302, headers={"Location": self.target})
            case "/hub":  # only these statuses keep a form as it was sent
                return web.Response(status=307, headers={"Location": self.target})
            case "/feed":
                link = f"<link xmlns='http://www.w3.org/2005/Atom' rel='next' href='{self.target}'/>"
                return web.Response(
                    text=rss().replace("<description>", link + "<description>"), content_type="text/xml"
                )
            case "/site":
                link = f"<link rel='alternate' type='application/rss+xml' href='{self.target}'>"
                return web.Response(text=f"<head>{link}</head>", content_type="text/html")
            case _:
                return web.Response(status=404)


Sink = Callable[[World], Awaitable[object]]


async def _archive(world: World) -> None:
    async for _ in world.tools["archive"].pages(f"{world.front}/feed", now=NOON):
        pass


async def _sitemap(world: World) -> None:
    async for _ in world.tools["archive"].sitemaps(world.target, now=NOON):
        pass


async def _send(world: World, kind: ChannelKind, url: str) -> None:
    channel = a_channel(kind, url, secret=WHSEC if kind is ChannelKind.WEBHOOK else None)
    message = render(a_delivery(channel, an_alert()), now=NOON)
    await world.tools["sender"].send(channel, message, message_id="msg_1", attempt=1, now=NOON)


FORM = {"hub.mode": "subscribe", "hub.topic": "https://feed.example/", "hub.callback": "https://us.example/push/1"}

SINKS: dict[str, Sink] = {
    "feed": lambda world: world.tools["fetcher"].get(world.target, now=NOON),
    "redirect": lambda world: world.tools["fetcher"].get(f"{world.front}/redirect", now=NOON),
    "robots": lambda world: world.tools["robots"].refusal(world.target, now=NOON),
    "page": lambda world: world.tools["pages"].read(world.target, now=NOON),
    "page-redirect": lambda world: world.tools["pages"].read(f"{world.front}/redirect", now=NOON),
    "archive": _archive,
    "sitemap": _sitemap,
    "discover": lambda world: discover(world.target, world.tools["fetcher"], world.tools["box"], now=NOON),
    "discover-link": lambda world: discover(
        f"{world.front}/site", world.tools["fetcher"], world.tools["box"], now=NOON
    ),
    "hub": lambda world: ask_hub(world.tools["client"], world.target, FORM, seconds=3),
    "hub-redirect": lambda world: ask_hub(world.tools["client"], f"{world.front}/hub", FORM, seconds=3),
    "webhook": lambda world: _send(world, ChannelKind.WEBHOOK, world.target),
    "apprise": lambda world: _send(world, ChannelKind.OTHER, world.target.replace("http://", "json://", 1)),
}


Boxes = dict[bool, tuple[Sandbox, Switchboard]]


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    """Children that parse, and children that send: under the guard, and for the control without it."""
    allowed = {True: (ip_network(f"{FRONT}/32"),), False: egress.ANYWHERE}
    made = {key: (Sandbox(egress_allow=nets), Switchboard(egress_allow=nets)) for key, nets in allowed.items()}
    yield made
    for parsing, sending in made.values():
        parsing.close()
        sending.close()


@asynccontextmanager
async def the_world(boxes: Boxes, patch: pytest.MonkeyPatch, *, guarded: bool) -> AsyncIterator[World]:
    listener = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    world = World(port=listener.getsockname()[1])
    server = await asyncio.start_server(world.private, sock=listener)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", world.lead)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, FRONT, 0).start()
    world.front = f"http://{FRONT}:{runner.addresses[0][1]}"
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        """A name server of a stranger."""
        if host == "changes.test":
            world.looked_up += 1
            return real(FRONT if world.looked_up == 1 else "127.0.0.1", port, *args, **kwargs)
        if host not in NAMES:
            return real(host, port, *args, **kwargs)
        return [found for answer in NAMES[host] for found in real(answer, port)]

    patch.setattr(socket, "getaddrinfo", lookup)
    parsing, sending = boxes[guarded]
    egress.install([ip_network(f"{FRONT}/32")] if guarded else egress.ANYWHERE)
    try:
        async with session(user_agent="policywatch/1") as client:
            fetcher = Fetcher(client, limits=Limits(deadline=3, host_gap=0))
            robots = Robots(fetcher, parsing)
            settings = DeliverySettings(allow_schemas=("json",), timeout=timedelta(seconds=30), smtp=None)
            world.tools = {
                "client": client,
                "fetcher": fetcher,
                "robots": robots,
                "pages": Pages(fetcher, parsing, robots),
                "archive": Archive(fetcher, parsing, robots),
                "box": parsing,
                "sender": Sender(client, sending, settings),
            }
            yield world
    finally:
        egress.install(egress.ANYWHERE)
        server.close()
        await runner.cleanup()


async def reached(world: World, sink: Sink, hosts: tuple[str, ...]) -> set[str]:
    """The spellings by which the private side was reached."""
    found = set()
    for host in hosts:
        world.target, world.came, world.looked_up = f"http://{host}:{world.port}/x", 0, 0
        with suppress(ServiceError):
            await sink(world)
        if world.came:
            found.add(host)
    return found


@pytest.mark.parametrize("name", SINKS)
async def test_no_way_out_leads_to_a_private_address(name: str, boxes: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with the_world(boxes, monkeypatch, guarded=True) as world:
        assert await reached(world, SINKS[name], (*REACHING, *BEYOND)) == set()


SHORTHAND = {"0", "0177.0.0.1", "127.1"}
"""Numbers that aiohttp and Apprise refuse by themselves; the next aiohttp alone."""
DECIMAL = "2130706433"

ALONE: dict[str, set[str]] = {
    "redirect": {"127。0。0。1"},  # percent-encoded in a Location, it is no host
    "page-redirect": {"127。0。0。1"},
    "robots": {"LOCALHOST", "user@127.0.0.1", "news.example:80@127.0.0.1"},  # the same site: its file is kept
    # Apprise knows no such hosts, and its child asks the machine's own name server, not the test's.
    "apprise": {"0x7f.1", "127。0。0。1", "[::ffff:127.0.0.1]", "inside.test", "inside6.test", "both.test"},
}
"""Cells of the control that reach nobody for a reason of their own: nothing is proved by them."""


@pytest.mark.parametrize("name", SINKS)
async def test_without_the_guard_every_way_out_leads_there(
    name: str, boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with the_world(boxes, monkeypatch, guarded=False) as world:
        found = await reached(world, SINKS[name], REACHING)
    refused_anyway = SHORTHAND if name == "apprise" else SHORTHAND | {DECIMAL}
    assert set(REACHING) - found == refused_anyway | ALONE.get(name, set())


@pytest.mark.parametrize("guarded", [True, False])
async def test_an_answer_that_changes_between_look_up_and_connect(
    guarded: bool, boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with the_world(boxes, monkeypatch, guarded=guarded) as world:
        assert socket.getaddrinfo("changes.test", world.port)[0][4][0] == FRONT, "permitted when it is looked at"
        connect = asyncio.to_thread(socket.create_connection, ("changes.test", world.port), 3)
        if guarded:
            with pytest.raises(EgressRefused):
                await connect
        else:
            (await connect).close()
