"""A whole service on loopback under a clock that the test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from service.app import Service, declared_subscription
from service.config import Rulebook, Settings, load_rulebook
from service.storage.alerts import AlertFilter
from service.storage.feeds import NewFeed
from service.storage.subscriptions import NewSubscription
from tests.conftest import TEST_KEY, Clock
from tests.loopback import Web


def settings_of(database_url: str, **more: object) -> Settings:
    """A service that reaches loopback and nothing else; `more` are further sections."""
    return Settings.model_validate(
        {
            "storage": {"url": database_url},
            "secrets": {"keys": [TEST_KEY.reveal()]},
            "egress": {"allow": ["127.0.0.1/32"]},
            "feeds": {"host_gap": "0s", "timeout": "5s", "look_again": []},
            "delivery": {"timeout": "5s"},
            **more,
        }
    )


def only_rules(path: Path, text: str) -> Rulebook:
    """A rulebook of these rules and no pack; they are written to `path`."""
    path.write_text(text, encoding="utf-8")
    return load_rulebook(Settings.model_validate({"rules": {"packs": [], "paths": [path]}}).rules)


@asynccontextmanager
async def a_line(settings: Settings, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    """A service that runs, with a web of its own, until the end of the block."""
    service = Service(settings, rulebook=rulebook, now=clock, chance=lambda: 0.5)
    await service.start()
    async with Web() as web:
        yield Line(service, clock, web)
        await service.stop()


class Line:
    """A service on loopback under a clock that the test sets."""

    def __init__(self, service: Service, clock: Clock, web: Web) -> None:
        self.service, self.clock, self.web = service, clock, web
        self.store = service.store

    def subscribe(self, **more: object) -> int:
        """Everything goes to the hook of this web, or what `more` says instead; gives the subscription's id."""
        team, new = str(more.get("team", "t")), self.declared(**more)
        return self.store.subscriptions.create(team, new, now=self.clock()).subscription.id

    def declared(self, **more: object) -> NewSubscription:
        """A subscription as the configuration file would declare it."""
        wanted = {"name": "desk", "team": "t", "channels": [f"{self.web.address}/hook"], **more}
        settings = Settings.model_validate(
            {
                "egress": {"allow": ["127.0.0.1/32"]},
                "subscriptions": [wanted],
            }
        )
        return replace(declared_subscription(settings, 0, self.service.rulebook), managed=False)

    def add(self, url: str) -> int:
        feed = self.store.feeds.add(NewFeed(url=url), now=self.clock())
        assert feed is not None
        return feed.id

    async def run(self, after: timedelta = timedelta(0)) -> None:
        self.clock.advance(after)
        await self.service.runner.drain()

    def alerts(self):
        return self.store.alerts.page("t", AlertFilter())
