"""The only file that knows every other: builds the service from its settings, starts it, stops it."""

from __future__ import annotations

import asyncio
import gc
import random as chances
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.context import BaseContext

import structlog
import uvicorn
from fastapi import FastAPI

from service import __version__, egress
from service.addresses import read_address
from service.api import channels as addresses
from service.api.app import Deps, build
from service.api.watches import match_problems, timing_problems, watch_problems
from service.config import Rulebook, Settings, load_rulebook, rule_files_mark
from service.delivery.channels import DeliverySettings, Sender, SmtpSettings
from service.domain.holding import blind_rules
from service.domain.links import Links
from service.domain.model import Invalid, Problem, ServiceError
from service.engine import Engine
from service.feeds.discover import discover
from service.feeds.fetch import Fetcher, Limits, session
from service.feeds.found import Found
from service.feeds.hubs import ask_hub
from service.feeds.recipes import recipe_faults
from service.feeds.robots import Robots
from service.pipeline import DrillPlan, Pace, Pipeline
from service.pushing import Pushing, taking_up
from service.runner import SLOW_SHARE, Chore, Embedded
from service.sandbox import FROM_NOTHING, Sandbox
from service.storage.audit import acting
from service.storage.feeds import NewFeed
from service.storage.store import Store
from service.storage.subscriptions import NewChannel, NewSubscription
from service.storage.sweep import sweep
from service.storage.vault import Vault
from service.switchboard import Switchboard

log = structlog.get_logger()

STOP_PATIENCE = timedelta(seconds=10)
"""How long a stop waits for what is in flight; after that leases run out by themselves."""

SWEEP_EVERY = timedelta(seconds=30)
"""How often leases of the dead are looked for where several processes share a database."""

STALE_TICK = timedelta(seconds=30)
"""A runner that has not ticked for this long is not ready, whatever else works."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Service:
    """One process of policywatch: fetching, reading, delivering, and the API, on one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        rulebook: Rulebook | None = None,
        now: Callable[[], datetime] = utc_now,
        chance: Callable[[], float] = chances.random,
        children: BaseContext = FROM_NOTHING,
        leads: bool = True,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Opens and migrates the database; nothing runs and nothing is connected to until `start`.

        `children` is how the processes begin in which feeds are parsed and messages sent. One that does not lead finds
        its tables and what the configuration declares made by others. `beat` is called after each successful claim.
        """
        self.settings = settings
        self.now = now
        self._chance = chance
        self._children = children
        egress.install(settings.egress.allow)
        self.rulebook = rulebook or load_rulebook(settings.rules)
        self.store = Store(
            settings.storage.url,
            keys=settings.secrets.keys,
            key_file=settings.secrets.key_file,
            pooler=settings.storage.pooler,
            may_migrate=leads,
        )
        self._beat = beat
        self._engine: Engine | None = None
        self.links = links_of(settings, self.store.vault)
        self.store.database.hold()
        if self.store.database.is_sqlite:
            self.store.release_leases()
        self._declared_problems = self._apply_declared() if leads else []
        self._rule_problems: Sequence[Problem] = self.rulebook.problems
        self._rule_files = rule_files_mark(settings.rules)
        self._reloading = threading.Lock()
        _log_problems(self.problems)
        self.started_at = now()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the configuration and the rules as they were last read, and which rules seem blind."""
        return (*self._rule_problems, *self._declared_problems, *self._blind_rules())

    def use(self, rulebook: Rulebook) -> None:
        """Judge by these rules from the next entry on: one step, no entry sees half of each."""
        self.rulebook = rulebook

    def reload_rules(self) -> Rulebook:
        """Read the rule files again and use them. Invalid when anything is wrong: then the last good set stays.

        The mark of the files is taken first, so that a change during the reading is seen at the next look.
        """
        with self._reloading:
            self._rule_files = rule_files_mark(self.settings.rules)
            try:
                rulebook = load_rulebook(self.settings.rules)
            except Invalid as exc:
                rulebook = replace(self.rulebook, problems=exc.problems)
            self._rule_problems = rulebook.problems
            if rulebook.problems:
                log.error("rules not reloaded, the last good set stays", problems=len(rulebook.problems))
                _log_problems(rulebook.problems)
                raise Invalid(rulebook.problems)
            self.use(rulebook)
        log.info("rules reloaded", rules=len(rulebook.ruleset.rules), version=rulebook.version)
        return rulebook

    def reload_changed_rules(self) -> None:
        """Reload if a rule file has changed since it was last read; what is wrong is kept for `problems`."""
        if rule_files_mark(self.settings.rules) != self._rule_files:
            with suppress(Invalid):
                self.reload_rules()

    def _blind_rules(self) -> Iterator[Problem]:
        now = self.now()
        expecting = [rule for rule in self.rulebook.ruleset.rules if rule.expect is not None]
        if not expecting:
            return
        since = self.store.alerts.watching_since()
        fired = self.store.alerts.fired({rule.id: now - rule.expect.per for rule in expecting if rule.expect})
        yield from blind_rules(expecting, fired, since, now)

    async def start(self) -> None:
        """Build what lives on the running loop, and begin to tick."""
        settings = self.settings
        # Polls that wait for slow servers beside those that do not, as many for pages, and messages.
        connections = (settings.feeds.concurrency * 2 + settings.delivery.concurrency) * (1 + SLOW_SHARE)
        self._client = session(user_agent=user_agent(settings), connections=connections)
        self._parsing = Sandbox(workers=2, start=self._children)
        self._sending = Switchboard(
            wall_seconds=settings.delivery.timeout.total_seconds(),
            egress_allow=settings.egress.allow,
            start=self._children,
        )
        self._fetcher = fetcher = Fetcher(self._client, limits=fetch_limits(settings))
        may_push = bool(settings.api.public_url)
        self.pipeline = Pipeline(
            store=self.store,
            fetcher=fetcher,
            robots=Robots(fetcher, self._parsing),
            sandbox=self._parsing,
            sender=Sender(self._client, self._sending, _sending_settings(settings)),
            rulebook=lambda: self.rulebook,
            pace=Pace(
                lease=settings.runner.lease,
                look_back=settings.feeds.look_back,
                look_again=tuple(sorted(settings.feeds.look_again)),
                turn=settings.turn,
                gaps=settings.delivery.gaps,
                host_gap=settings.feeds.host_gap,
            ),
            now=self.now,
            chance=self._chance,
            take_up=taking_up(self.store, now=self.now, random=secrets.token_bytes) if may_push else None,
            drilling=self._drilling(),
            links=self.links,
        )
        self.pushing = self._pushing() if may_push else None
        if not may_push:
            await asyncio.to_thread(self.store.pushes.suspend)
        self.runner = Embedded(
            self.pipeline,
            now=self.now,
            tick=settings.runner.tick,
            polls=settings.feeds.concurrency,
            deliveries=settings.delivery.concurrency,
            chores=tuple(self._chores()),
            pushing=self.pushing,
            beat=self._beat,
        )
        if not self.store.database.is_sqlite:
            self._engine = Engine(
                self.store.database,
                wake=self.runner.look_for,
                listen=settings.runner.listen and not settings.storage.pooler,
                every=settings.runner.tick,
            )

    def begin(self) -> None:
        """Tick from now on, and hear what others make due."""
        self.runner.start()
        if self._engine is not None:
            self._engine.start()

    def _chores(self) -> Iterator[Chore]:
        yield Chore("rules", self.settings.rules.look_every, self.reload_changed_rules)
        if not self.store.database.is_sqlite:
            yield Chore("sweep", SWEEP_EVERY, self._sweep)

    def _sweep(self) -> None:
        swept = sweep(self.store.database, self.now())
        if swept:
            log.warning("taken back", **asdict(swept))

    def _drilling(self) -> DrillPlan | None:
        drill, timing = self.settings.drill, self.settings.drill.timing
        return DrillPlan(timing=timing, within=drill.within, since=self.started_at) if timing is not None else None

    def _pushing(self) -> Pushing:
        settings = self.settings
        return Pushing(
            store=self.store,
            ask=partial(ask_hub, self._client, seconds=settings.feeds.timeout.total_seconds()),
            public_url=settings.api.public_url,
            most=fetch_limits(settings).inflated_bytes,
            look_back=settings.feeds.look_back,
            lease=settings.runner.lease,
            read=self.pipeline.read_pushed,
            now=self.now,
        )

    async def discover(self, url: str) -> tuple[Found, ...]:
        """What could be polled at an address, by this service's own client and sandbox. ServiceError if nothing is."""
        return await discover(url, self._fetcher, self._parsing, now=self.now())

    async def stop(self) -> None:
        """Finish what is in flight, then let go of everything."""
        if self._engine is not None:
            await self._engine.stop()
        await self.runner.stop(patience=STOP_PATIENCE)
        self._parsing.close()
        self._sending.close()
        await self._client.close()
        self.store.close()

    def not_ready(self) -> list[str]:
        """Why requests should go elsewhere; empty when all is well."""
        reasons = []
        try:
            self.store.database.check()
        except ServiceError as exc:
            reasons.append(str(exc))
        if self.now() - (self.runner.last_tick or self.started_at) > STALE_TICK:
            reasons.append("the runner has not looked for work lately")
        return reasons

    def _apply_declared(self) -> list[Problem]:
        """Feeds and subscriptions of the configuration file; a faulty one is left out and named."""
        settings = self.settings
        problems: list[Problem] = []
        feeds: list[NewFeed] = []
        for number in range(len(settings.feeds.sources)):
            try:
                feeds.append(declared_feed(settings, number))
            except Invalid as exc:
                problems.extend(exc.problems)
        with acting("the configuration file"):
            self.store.feeds.apply(feeds, now=self.now())
        declared: list[tuple[str, NewSubscription]] = []
        for number, wanted in enumerate(settings.subscriptions):
            try:
                declared.append((wanted.team, declared_subscription(settings, number, self.rulebook)))
            except Invalid as exc:
                problems.extend(exc.problems)
        with acting("the configuration file"):
            self.store.subscriptions.apply(declared, now=self.now())
        return problems


def _log_problems(problems: Iterable[Problem]) -> None:
    for problem in problems:
        log.error("configuration problem", where=problem.where, what=problem.what, hint=problem.hint)


def links_of(settings: Settings, vault: Vault) -> Links | None:
    """What makes the links in messages; None where readers could not reach us."""
    if not settings.api.public_url:
        return None
    return Links(base=settings.api.public_url, keys=vault.derived("links"), decide_for=settings.delivery.decide_for)


def declared_feed(settings: Settings, number: int) -> NewFeed:
    """Source `number` of the configuration. Invalid names each selector or expression that cannot be used."""
    source = settings.feeds.sources[number]
    recipe = source.recipe
    if recipe is not None:
        key = "selectors" if source.selectors is not None else "paths"
        where = ("feeds", "sources", number, key)
        faults = tuple(Problem(where=settings.where(*where, name), what=said) for name, said in recipe_faults(recipe))
        if faults:
            raise Invalid(faults)
    address = read_address(str(source.url))
    return NewFeed(
        url=address.url,
        title=source.title,
        interval=source.interval or settings.feeds.interval,
        tier=source.tier,
        full_text=source.full_text,
        jurisdiction=source.jurisdiction,
        language=source.language,
        managed=True,
        kind=source.kind,
        tags=source.tags,
        headers=source.auth.given if source.auth is not None else address.headers,
        recipe=recipe,
    )


def declared_subscription(settings: Settings, number: int, rulebook: Rulebook) -> NewSubscription:
    """Subscription `number` of the configuration. Invalid names the channel, rule or jurisdiction that is wrong."""
    wanted = settings.subscriptions[number]
    watch = wanted.watch.watch
    channels: list[NewChannel] = []
    problems = list(watch_problems(watch, rulebook, where=settings.where("subscriptions", number, "watch")))
    problems += match_problems(
        settings.written("subscriptions", number, "match", texts=wanted.match),
        watch,
        wanted.notices,
        rulebook,
        where=settings.where("subscriptions", number),
    )
    timing = wanted.when.timing
    own = [one.schedule for one in wanted.channels]
    problems += timing_problems(timing, own, where=settings.where("subscriptions", number, "when"))
    for position, channel in enumerate(wanted.channels):
        where = settings.where("subscriptions", number, "channels", position)
        try:
            made = addresses.checked_channel(channel.to.reveal(), settings, random=secrets.token_bytes, where=where)
            channels.append(replace(made, schedule=channel.schedule))
        except Invalid as exc:
            problems.extend(exc.problems)
    if problems:
        raise Invalid(tuple(problems))
    return NewSubscription(
        name=wanted.name,
        watch=watch,
        channels=tuple(channels),
        active=wanted.active,
        mute_rumours=wanted.mute_rumours,
        managed=True,
        notices=wanted.notices,
        language=wanted.language,
        timing=timing,
        match=tuple(dict.fromkeys(wanted.match)),
    )


def api_of(service: Service, *, stopping: Callable[[], bool] = lambda: False) -> FastAPI:
    """The service's API, to be served on the loop on which it was started; `stopping` ends its streams."""
    return build(
        Deps(
            store=service.store,
            rulebook=lambda: service.rulebook,
            settings=service.settings,
            now=service.now,
            random=secrets.token_bytes,
            links=service.links,
            pushing=lambda: service.pushing,
            pushed=lambda: service.runner.wake(),
            ready=service.not_ready,
            problems=lambda: service.problems,
            reload=service.reload_rules,
            stopping=stopping,
            discover=service.discover,
        )
    )


class Server:
    """The service and its API on one port, for as long as `run` lasts."""

    def __init__(self, service: Service) -> None:
        self.service = service
        settings = service.settings
        # asyncio's own loop: the egress guard does not see connections made by uvloop.
        self._uvicorn = _Quiet(
            uvicorn.Config(
                api_of(service, stopping=lambda: self._uvicorn.should_exit),
                host=settings.api.host,
                port=settings.api.port,
                loop="asyncio",
                lifespan="off",
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=int(STOP_PATIENCE.total_seconds()),
            )
        )

    async def run(self, *, ready: Callable[[str], None] = lambda address: None) -> None:
        """Serve until `stop`; `ready` is told the address once requests are answered."""
        await self.service.start()
        gc.collect()
        gc.freeze()  # lexicon and rules stay: looking through them for garbage would cost more than reading does
        warming = asyncio.create_task(self.service.pipeline.warm_up())
        try:
            serving = asyncio.create_task(self._uvicorn.serve())
            up = asyncio.create_task(self._uvicorn.up.wait())
            await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            if self._uvicorn.started:
                self.service.begin()
                ready(self.address)
            await serving
        finally:
            await self.service.stop()
            await warming

    def stop(self) -> None:
        self._uvicorn.should_exit = True

    @property
    def address(self) -> str:
        """Where the API answers: the port is the real one even when a free one was asked for."""
        host, port = self._uvicorn.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Quiet(uvicorn.Server):
    """uvicorn, but a port in use is an error of ours for a person to read, not an exit from inside a library."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on the first signal and raise it to nobody.

        uvicorn's own raises it once more when its part has ended, which would kill us with messages still in flight.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        host, port = self.config.host, self.config.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # With the protocol named, asyncio sets TCP_NODELAY; without it every answer waits 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as exc:
            listener.close()
            raise ServiceError(
                f"cannot listen on {host}:{port}: {exc.strerror or exc}; choose another with api.port or api.host"
            ) from exc
        await super().startup(sockets=[listener])
        self.up.set()


def serve(settings: Settings, *, ready: Callable[[str], None] = lambda address: None) -> None:
    """Run the service until SIGTERM or SIGINT."""
    asyncio.run(Server(Service(settings)).run(ready=ready))


def _sending_settings(settings: Settings) -> DeliverySettings:
    delivery, smtp = settings.delivery, settings.delivery.smtp
    return DeliverySettings(
        allow_schemas=delivery.allow_schemas,
        timeout=delivery.timeout,
        smtp=SmtpSettings(
            host=smtp.host,
            port=smtp.port,
            sender=smtp.sender,
            user=smtp.user,
            password=smtp.password,
            security=smtp.security,
            unsubscribe=smtp.unsubscribe,
        )
        if smtp.host
        else None,
        base_urls=delivery.base_urls,
        user_agent=user_agent(settings),
    )


def user_agent(settings: Settings) -> str:
    """Who asks, and whom to write to about it."""
    contact = settings.feeds.contact
    return f"policywatch/{__version__}" + (f" (+{contact})" if contact else " (self-hosted policy alerting)")


def fetch_limits(settings: Settings) -> Limits:
    """How long and how much a stranger's server may send."""
    return Limits(
        deadline=settings.feeds.timeout.total_seconds(),
        wire_bytes=settings.feeds.max_bytes,
        inflated_bytes=settings.feeds.max_bytes * 3 // 2,
        host_gap=settings.feeds.host_gap.total_seconds(),
    )
