"""`policywatch demo`: the real service on the example sites, and its alerts on the terminal as they arrive."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from service.app import Server, Service, utc_now
from service.config import Settings
from service.delivery.evidence import Segments, marked_title, quotes
from service.demo.world import Site, World, load_sites
from service.domain.model import Alert, DeliveryState, Scope
from service.storage.alerts import AlertFilter

TEAM = "demo"
DEADLINE = 60.0
"""Seconds after which a demo that shows no end says so and fails."""


def run(*, port: int, once: bool, console: Console) -> int:
    """Run the demo; 0 when alerts were raised and none was wrong, told twice or left undelivered."""
    with tempfile.TemporaryDirectory(prefix="policywatch-demo-") as folder:
        try:
            return asyncio.run(_run(Path(folder), port=port, once=once, console=console))
        except KeyboardInterrupt:
            return 0


def run_world(*, port: int, console: Console) -> int:
    """Serve only the example sites and a webhook receiver that prints what it is sent, until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        asyncio.run(_run_world(port, console))
    return 0


async def _run_world(port: int, console: Console) -> None:
    world = World(load_sites(), now=utc_now(), port=port)
    address = await world.start()
    console.print(f"Feeds: {', '.join(world.feeds)}\nWebhook receiver: {address}/hook\nUntil Ctrl-C.", soft_wrap=True)
    while True:
        headers, payload = await world.received.get()
        console.print_json(data={"webhook-id": headers.get("webhook-id"), **payload})


async def _run(folder: Path, *, port: int, once: bool, console: Console) -> int:
    started = time.monotonic()
    sites = load_sites()
    world = World(sites, now=utc_now())
    address = await world.start()
    server = Server(Service(_settings(folder, port, world.feeds, address)))
    _, key = server.service.store.keys.create(
        team=TEAM, name="demo", scopes=[Scope.ADMIN], random=secrets.token_bytes, now=utc_now()
    )
    articles = sum(len(site.articles) for site in sites)
    console.print(
        f"[bold]policywatch demo[/]: {len(sites)} example feeds, {articles} articles, one webhook, all on {address}\n",
        soft_wrap=True,
    )
    up = asyncio.Event()
    serving = asyncio.create_task(server.run(ready=lambda _: up.set()))
    try:
        waiting = asyncio.create_task(up.wait())
        await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if serving.done():
            serving.result()
        shown = await _show(server.service, world, console, started)
        status = _summary(server.service, shown, sites, console, started)
        if not once:
            _invite(server.address, key.reveal(), console)
            await serving
        return status
    finally:
        server.stop()
        await asyncio.gather(serving, return_exceptions=True)
        await world.stop()


def _settings(folder: Path, port: int, feeds: list[str], address: str) -> Settings:
    return Settings.model_validate(
        {
            "api": {"port": port},
            "storage": {"url": f"sqlite:///{folder}/demo.db"},
            "secrets": {"key_file": folder / "secret.key"},
            "egress": {"allow": ["127.0.0.1/32"]},
            "feeds": {
                "look_back": "4d",
                "host_gap": "0s",
                "sources": [{"url": url} for url in feeds],
            },
            "subscriptions": [{"name": "everything", "team": TEAM, "channels": [f"{address}/hook"]}],
            "runner": {"tick": "0.2s"},
        }
    )


async def _show(service: Service, world: World, console: Console, started: float) -> list[Alert]:
    """Print each alert as the webhook receives it, until all entries are read and all alerts delivered."""
    shown: list[Alert] = []
    while time.monotonic() - started < DEADLINE:
        try:
            _, payload = await asyncio.wait_for(world.received.get(), 0.2)
        except TimeoutError:
            if await asyncio.to_thread(_is_quiet, service):
                break
            continue
        data = payload["data"]
        alert_id = data["alert_id"] if isinstance(data, dict) else 0
        alert = await asyncio.to_thread(service.store.alerts.get, TEAM, alert_id)
        if alert is not None and payload["type"] == "alert.updated":
            console.print(_update(alert, data if isinstance(data, dict) else {}), soft_wrap=True)
        elif alert is not None:
            console.print(_panel(alert, str(data["headline"]) if isinstance(data, dict) else alert.title))
            shown.append(alert)
    return shown


def _is_quiet(service: Service) -> bool:
    feeds = service.store.feeds.page()
    polled = all(feed.polled_once or feed.failures for feed in feeds)
    waiting = service.store.outbox.counts()[DeliveryState.PENDING] + service.store.entries.waiting()
    return polled and not waiting


def _panel(alert: Alert, headline: str) -> Panel:
    lines = [_marks(marked_title(alert)), *(_marks(quote) for quote in quotes(alert)[:2])]
    sources = ", ".join(dict.fromkeys(source.source for source in alert.sources))
    lines.append(Text(f"{alert.severity} · {', '.join(alert.rules)} · {sources}", style="dim"))
    return Panel(Text("\n").join(lines), title=Text(headline, style="bold"), title_align="left")


def _update(alert: Alert, data: dict[str, Any]) -> Text:
    reasons = ", ".join(f"{update['reason']}: {update['detail']}" for update in data.get("updates", ()))
    return Text(f"  Update to “{alert.title}”: {reasons}", style="italic")


def _marks(segments: Segments) -> Text:
    text = Text()
    for words, fired in segments:
        text.append(words, style="bold black on yellow" if fired else "")
    return text


def _summary(service: Service, shown: list[Alert], sites: tuple[Site, ...], console: Console, started: float) -> int:
    """Hold what was told against what the sites report; 0 when nothing was wrong, told twice or not delivered."""
    events = {article.slug: article.event for site in sites for article in site.articles}
    alerts = service.store.alerts.page(TEAM, AlertFilter(), limit=1000)
    reported = [{events.get(_slug(source.link)) for source in alert.sources} for alert in alerts]
    told = [event for group in reported for event in group if event is not None]
    counts = {
        "told twice": len(told) - len(set(told)),
        "false": sum(None in group for group in reported),
        "repeated": len(shown) - len({alert.id for alert in shown}),
        "undelivered": len({alert.id for alert in alerts} - {alert.id for alert in shown}),
    }
    for event in sorted({event for event in told if told.count(event) > 1}):
        console.print(f"told twice: {event}", style="red")
    happened = {event for event in events.values() if event is not None}
    console.print(
        f"\n{len(events)} articles read; {len(alerts)} alerts from {sum(len(a.sources) for a in alerts)} reports, "
        f"for {len(set(told))} of {len(happened)} events; {', '.join(f'{n} {what}' for what, n in counts.items())}; "
        f"{time.monotonic() - started:.1f} s",
        soft_wrap=True,
    )
    return 1 if any(counts.values()) or not alerts else 0


def _slug(link: str) -> str:
    return link.rsplit("/", 1)[-1].removesuffix(".html")


def _invite(address: str, key: str, console: Console) -> None:
    console.print(
        f"\nThe API is at {address}/docs until Ctrl-C. Try:\n"
        f'  curl -H "Authorization: Bearer {key}" {address}/v1/alerts',
        highlight=False,
        soft_wrap=True,
    )
