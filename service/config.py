"""Settings: a YAML file, the environment and secret files become one checked value; rule folders become a rulebook.

Every setting has its default here and nowhere else. What is wrong is named with file and line, all at once.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import time, timedelta
from fnmatch import fnmatchcase
from io import BytesIO
from ipaddress import IPv4Network, IPv6Network
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast, get_args
from zipfile import BadZipFile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.networks import AnyHttpUrl
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service import kept
from service.documents import parse_document, read_raw, read_yaml
from service.domain.concepts import Lexicon, jurisdictions, listed, read_phrases
from service.domain.credentials import Headers, faults_in, written
from service.domain.document import Node
from service.domain.examples import Verdict, run_tests
from service.domain.groups import NO_GROUPS, Groups, read_groups
from service.domain.memory import without_collection
from service.domain.model import (
    Action,
    ChannelKind,
    Direction,
    Exclusion,
    FullText,
    Invalid,
    Language,
    Notices,
    Paths,
    Problem,
    Quiet,
    Recipe,
    Schedule,
    Secret,
    Selectors,
    Severity,
    SourceKind,
    Stage,
    Tier,
    Timing,
    Topic,
    Watch,
    Weekday,
)
from service.domain.own import MAX_EXPRESSIONS, MAX_LENGTH
from service.domain.rule import Rule, read_duration, show_duration
from service.domain.rulefile import parse_rules
from service.domain.rules import Ruleset
from service.domain.sense import Sense

ENV_PREFIX = "POLICYWATCH_"
DEFAULT_FILE = Path("config.yaml")
DEFAULT_SCHEMAS = (
    "slack", "discord", "tgram", "workflows", "gchat", "wxteams", "pover", "pbul", "opsgenie", "pagerduty", "ntfys",
)  # fmt: skip
"""Hosted services whose address a channel cannot choose: a list of what may be, since schemas arrive every release."""


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    found = read_duration(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a duration as a number and a unit: 30s, 15m, 48h, 3d (ten years at most)")
    return found


def _secret(value: object) -> object:
    return Secret(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(show_duration)]
SecretText = Annotated[
    Secret,
    BeforeValidator(_secret),
    PlainSerializer(lambda _: "***"),
    WithJsonSchema({"type": "string", "writeOnly": True}),
]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class ApiSettings(Section):
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every network of the machine.")
    port: int = Field(8080, ge=0, le=65535, description="Port for API, docs and health; 0 takes a free one.")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="Where hubs on the internet, and readers of messages and feeds, reach this service, such as "
        "https://policywatch.example.org; empty: no WebSub, and no links to decide by.",
    )
    rate: int = Field(1200, ge=0, description="Requests a minute that one API key may make; 0: no limit.")


class StorageSettings(Section):
    url: str = Field(
        "sqlite:///data/policywatch.db",
        description="Where everything is kept: sqlite:///PATH, or postgresql://USER:PASSWORD@HOST/NAME.",
    )
    pooler: bool = Field(
        False, description="Whether a pooler that hands out transactions (PgBouncer) stands before PostgreSQL."
    )


class SecretsSettings(Section):
    key_file: Path = Field(
        Path("data/secret.key"),
        description="File with the key that seals channel addresses; made at the first start. Back it up.",
    )
    keys: tuple[SecretText, ...] = Field(
        (), description="Keys given here (32 bytes, base64, newest first) instead of a file; best by environment."
    )


class EgressSettings(Section):
    allow: tuple[IPv4Network | IPv6Network, ...] = Field(
        (),
        description="Networks that are not public but may be fetched from and delivered to, such as 10.1.2.0/24.",
    )


Expression = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CssSelectors(Section):
    """CSS selectors that find the entries of an HTML page that lists news."""

    item: Expression = Field(min_length=1, description="Of the items of the page.")
    link: Expression = Field("", description="Of the link in an item; the one with the longest text by default.")
    title: Expression = Field("", description="Of the title in an item; the link's text by default.")
    date: Expression = Field("", description="Of the date in an item; none by default.")

    @property
    def recipe(self) -> Recipe:
        return Selectors(**self.model_dump())


class JsonPaths(Section):
    """JMESPath expressions that find the entries of a JSON API."""

    items: Expression = Field(min_length=1, description="Of the list in the document.")
    id: Expression = Field("", description="Of what makes an item one of its kind; its link by default.")
    title: Expression = Field("", description="Of the title in an item.")
    link: Expression = Field("", description="Of the link in an item.")
    date: Expression = Field("", description="Of the date in an item.")
    text: Expression = Field("", description="Of the text in an item.")

    @property
    def recipe(self) -> Recipe:
        return Paths(**self.model_dump())


class Auth(Section):
    """What a feed's server wants to be shown: sent to the feed's own scheme, host and port, and nowhere else."""

    user: str = Field("", max_length=200, description="User name for basic authentication.")
    password: SecretText | None = Field(None, description="Its password.")
    token: SecretText | None = Field(None, description="A bearer token.")
    headers: Mapping[str, SecretText] = Field({}, description="Request headers and their values, such as X-Api-Key.")

    @property
    def given(self) -> Headers:
        return written(user=self.user, password=self.password, token=self.token, headers=self.headers)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if faults := list(faults_in(self.given)):
            raise ValueError("; ".join(faults))
        return self


class SourceAuth(Auth):
    """The same in a file, where a value may be `${NAME}`: that environment variable's. Never so in a request, whose
    sender could read our environment by it."""

    @field_validator("user", "password", "token", "headers", mode="before")
    @classmethod
    def _from_environment(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return {name: _expanded(each) for name, each in value.items()}
        return _expanded(value)


def _expanded(value: object) -> object:
    found = re.fullmatch(r"\$\{(\w+)\}", value) if isinstance(value, str) else None
    if found is None:
        return value
    if found[1] not in os.environ:
        raise ValueError(f"the environment variable {found[1]} is not set")
    return os.environ[found[1]]


Tags = tuple[Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")], ...]


class SourceSettings(Section):
    url: AnyHttpUrl = Field(description="Address of an RSS, Atom or JSON feed, a sitemap, a list page or a JSON API.")
    title: str = Field("", description="Name shown in alerts; the feed's own title by default.")
    interval: Duration | None = Field(None, description="How often to poll; feeds.interval by default.")
    tier: Tier = Field(Tier.UNKNOWN, description="official, wire, trade, blog or unknown.")
    jurisdiction: str | None = Field(
        None, pattern="^([A-Z]{2}|INTL)$", description="Whose news it carries (ISO 3166-1 alpha-2, EU, INTL)."
    )
    language: str | None = Field(None, description="Language of the feed (en, zh-Hans, ko …); detected by default.")
    full_text: FullText = Field(FullText.AUTO, description="auto, always or never fetch the entry's page.")
    kind: SourceKind | None = Field(None, description="What publishes it: regulator, central-bank, legislature, …")
    tags: Tags = Field((), max_length=50, description="Words of your own to find it by.")
    auth: SourceAuth | None = Field(
        None,
        description="What its server wants to be shown: user and password, token, or headers; ${NAME} for secrets.",
    )
    selectors: CssSelectors | None = Field(None, description="For an HTML page that lists news: CSS selectors.")
    paths: JsonPaths | None = Field(None, description="For a JSON API: JMESPath expressions.")

    @model_validator(mode="after")
    def _one_recipe(self) -> SourceSettings:
        if self.selectors is not None and self.paths is not None:
            raise ValueError("a source is an HTML page (selectors) or a JSON API (paths), not both")
        return self

    @property
    def recipe(self) -> Recipe | None:
        """How its entries are found, when it is no feed."""
        found = self.selectors or self.paths
        return found.recipe if found is not None else None


class FeedsSettings(Section):
    interval: Duration = Field(timedelta(minutes=15), description="How often a feed is polled.")
    look_again: tuple[Duration, ...] = Field(
        (timedelta(minutes=15), timedelta(hours=6), timedelta(days=1), timedelta(days=3)),
        description="When the page of a report that was told is looked at again: if it is gone, a retraction follows.",
    )
    look_back: Duration = Field(
        timedelta(hours=48), description="A new feed's entries older than this are stored but raise no alert."
    )
    timeout: Duration = Field(timedelta(seconds=30), description="Total time for one fetch, redirects included.")
    max_bytes: int = Field(10_485_760, ge=1024, description="Largest body received from the wire, in bytes.")
    host_gap: Duration = Field(timedelta(seconds=1), description="Least time between two requests to one host.")
    concurrency: int = Field(20, ge=1, le=500, description="Feeds polled at the same time.")
    contact: str = Field("", description="Address or URL put in the User-Agent, so that a site's owner can reach you.")
    sources: tuple[SourceSettings, ...] = Field((), description="Feeds declared here; others are added by API or CLI.")


class RulesSettings(Section):
    packs: tuple[str, ...] = Field(("*",), description="Shipped packs to switch on, by name or pattern.")
    look_every: Duration = Field(
        timedelta(seconds=5), description="How often a running service looks whether rule files have changed."
    )
    off: tuple[str, ...] = Field((), description="Rules to switch off, by id or pattern such as mining-*.")
    paths: tuple[Path, ...] = Field((), description="Your own rule files and folders of rule files (*.yaml).")
    groups: Mapping[str, tuple[str, ...]] = Field(
        {}, description="Your own groups of jurisdictions: a name and its codes, for rules to use like a country."
    )


class SmtpSettings(Section):
    host: str = Field("", description="Mail server for mailto: channels; mail is off while this is empty.")
    port: int = Field(587, ge=1, le=65535, description="Its port: 587 for starttls, 465 for tls, 25 for none.")
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="How the connection is secured.")
    user: str = Field("", description="User name, if the server asks for one.")
    password: SecretText = Field(Secret(""), description="Password, if the server asks for one; best by environment.")
    sender: str = Field("", description="From address, such as policywatch@example.org.")
    unsubscribe: str = Field(
        "",
        pattern=r"^$|^(mailto:|https://)[!-;=?-~]+$",
        description="Where a reader asks to be taken off, mailto:… or https://…; put in every mail's List-Unsubscribe.",
    )


class DeliverySettings(Section):
    timeout: Duration = Field(timedelta(seconds=20), description="Total time for one attempt.")
    concurrency: int = Field(10, ge=1, le=200, description="Channels sent to at the same time (one message each).")
    gaps: Mapping[ChannelKind, Duration] = Field(
        {ChannelKind.SLACK: timedelta(seconds=1), ChannelKind.TELEGRAM: timedelta(seconds=3)},
        description="Least time between two messages to one channel, by kind: what these services allow a room.",
    )
    allow_schemas: tuple[str, ...] = Field(
        DEFAULT_SCHEMAS, description="Apprise services that channels may name; webhooks and mailto: need no entry."
    )
    smtp: SmtpSettings = Field(SmtpSettings(), description="The mail server.")
    decide_for: Duration = Field(
        timedelta(days=14),
        ge=timedelta(0),
        le=timedelta(days=90),
        description="How long the links in a message decide about its alert; 0s: no such links. See api.public_url.",
    )
    base_urls: Mapping[str, str] = Field(
        {}, description="Sends a service's requests elsewhere: a self-hosted Telegram Bot API server, a gateway."
    )


class RunnerSettings(Section):
    tick: Duration = Field(timedelta(seconds=1), description="How often to look for work that is due.")
    lease: Duration = Field(
        timedelta(minutes=2), description="After this time, work whose process died is taken up by another."
    )
    silence: Duration = Field(
        timedelta(minutes=1),
        description="A worker process that has claimed nothing successfully for so long is replaced.",
    )
    listen: bool = Field(
        True, description="Whether PostgreSQL tells of new work at once (LISTEN); else it is found at a tick."
    )


class LoggingSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity that is logged.")
    format: Literal["console", "json"] = Field("console", description="console for people, json for collectors.")


def _clock(value: object) -> object:
    if isinstance(value, str) and re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", value):
        return time.fromisoformat(value)
    if isinstance(value, time):
        return value
    raise ValueError("write a time of the day as 08:00, on 24 hours")


def _quiet(value: object) -> object:
    if value is None or isinstance(value, Quiet):
        return value
    since, dash, until = str(value).replace(" ", "").partition("-")
    if not dash or since == until:
        raise ValueError("write quiet hours as 22:00-07:00, with a beginning and another end")
    return Quiet(since=cast(time, _clock(since)), until=cast(time, _clock(until)))


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        close = difflib.get_close_matches(value, available_timezones(), n=1)
        hint = f"did you mean {close[0]}?" if close else "write it as Europe/Berlin or UTC"
        raise ValueError(f"no time zone is called {value!r}; {hint}") from exc
    return value


_HOURS = "[0-2][0-9]:[0-5][0-9]"
ClockTime = Annotated[
    time,
    BeforeValidator(_clock),
    PlainSerializer("{:%H:%M}".format),
    WithJsonSchema({"type": "string", "pattern": f"^{_HOURS}$", "examples": ["08:00"]}),
]
QuietHours = Annotated[
    Quiet | None,
    BeforeValidator(_quiet),
    PlainSerializer(lambda quiet: quiet and f"{quiet.since:%H:%M}-{quiet.until:%H:%M}"),
    WithJsonSchema({"type": ["string", "null"], "pattern": f"^{_HOURS}-{_HOURS}$", "examples": ["22:00-07:00"]}),
]
Patience = Annotated[
    Duration,
    Field(ge=timedelta(minutes=1), le=timedelta(days=30)),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[smhd]$", "examples": ["4h"]}),
]


class WhenSettings(Section):
    """When a subscription's alerts are told."""

    schedule: Schedule = Field(
        Schedule.IMMEDIATE,
        description="immediate, or hourly, daily or weekly for a digest; a channel may have its own, and one with "
        "escalation hears only of alerts that nobody decided in time.",
    )
    at: ClockTime = Field(time(8), description="When daily and weekly digests are sent, by the zone's clock.")
    on: Weekday = Field(Weekday.MONDAY, description="Day of the weekly digest: mon, tue, wed, thu, fri, sat or sun.")
    zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", max_length=60, description="Time zone (IANA), such as Asia/Hong_Kong."
    )
    quiet: QuietHours = Field(None, description="Hours in which nothing is sent, such as 22:00-07:00.")
    budget: int | None = Field(
        None, ge=0, le=10_000, description="Alerts a day sent at once; what is over goes to a digest. Null: any number."
    )
    urgent: Severity | None = Field(
        Severity.CRITICAL, description="From this severity on an alert waits for nothing. Null: each may have to."
    )
    escalate_after: Patience | None = Field(
        None, description="Time to decide about an alert before channels with schedule escalation are told."
    )

    @property
    def timing(self) -> Timing:
        return Timing(**{name: getattr(self, name) for name in type(self).model_fields})

    @classmethod
    def of(cls, timing: Timing) -> WhenSettings:
        return cls.model_construct(**{name: getattr(timing, name) for name in cls.model_fields})


class DrillSettings(Section):
    schedule: Literal["off", "daily", "weekly"] = Field(
        "off",
        description="How often a made-up entry goes through the whole line, to every channel: off, daily, weekly.",
    )
    at: ClockTime = Field(time(9), description="At what time, by the zone's clock.")
    on: Weekday = Field(Weekday.MONDAY, description="Day of a weekly drill: mon, tue, wed, thu, fri, sat or sun.")
    zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", max_length=60, description="Time zone (IANA), such as Asia/Hong_Kong."
    )
    within: Duration = Field(
        timedelta(minutes=10), description="A channel that did not get it by then is told of over another channel."
    )

    @property
    def timing(self) -> Timing | None:
        """When, or None if only on demand."""
        if self.schedule == "off":
            return None
        return Timing(schedule=Schedule(self.schedule), at=self.at, on=self.on, zone=self.zone)


class ChannelSettings(Section):
    to: SecretText = Field(description="Its address.")
    schedule: Schedule | None = Field(None, description="When it hears; as the subscription's others by default.")

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: object) -> object:
        return {"to": value} if isinstance(value, str | Secret) else value


Codes = tuple[Annotated[str, Field(pattern="^([A-Z]{2}|INTL)$")], ...]


class ExcludeSettings(Section):
    jurisdictions: Codes = Field((), description="Codes such as KZ, HK, EU.")
    groups: tuple[str, ...] = Field((), description="Groups of jurisdictions such as gcc.")
    topics: tuple[Topic, ...] = Field((), description="Topics such as mining.")
    actions: tuple[Action, ...] = Field((), description="Actions such as statistics.")
    rules: tuple[str, ...] = Field((), description="Rule ids or patterns such as cn-*.")


class WatchSettings(Section):
    jurisdictions: Codes = Field((), description="Codes such as KZ, HK, EU; empty for all.")
    topics: tuple[Topic, ...] = Field((), description="Topics such as stablecoin; empty for all.")
    actions: tuple[Action, ...] = Field((), description="Actions such as licensing; empty for all.")
    rules: tuple[str, ...] = Field((), description="Rule ids or patterns such as cn-*; empty for all.")
    min_severity: Severity = Field(Severity.INFO, description="Quietest severity that is sent.")
    groups: tuple[str, ...] = Field((), description="Groups of jurisdictions such as gcc or Central Asia.")
    stages: tuple[Stage, ...] = Field((), description="Stages such as in-force; empty for all.")
    directions: tuple[Direction, ...] = Field((), description="tightening, easing or neutral; empty for all.")
    tiers: tuple[Tier, ...] = Field((), description="Tiers of the sources: official, wire, trade, blog; empty for all.")
    languages: tuple[str, ...] = Field((), description="Languages of the reports: en, zh-Hans, ko …; empty for all.")
    tags: tuple[str, ...] = Field((), description="Tags of the feeds; empty for all.")
    packs: tuple[str, ...] = Field((), description="Packs of rules such as digital-assets, beside `rules`.")
    exclude: ExcludeSettings = Field(ExcludeSettings(), description="What is left out of all that.")

    @property
    def watch(self) -> Watch:
        chosen = {name: getattr(self, name) for name in type(self).model_fields if name != "exclude"}
        return Watch(**chosen, exclude=Exclusion(**dict(self.exclude)))


OwnMatch = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LENGTH)]


class SubscriptionSettings(Section):
    name: str = Field(min_length=1, max_length=100, description="Unique within the team.")
    team: str = Field("default", min_length=1, max_length=100, description="Who owns it.")
    watch: WatchSettings = Field(WatchSettings(), description="What it selects.")
    match: tuple[OwnMatch, ...] = Field(
        (),
        max_length=MAX_EXPRESSIONS,
        description="Rules of its own, each as the match of a rule: Kazakhstan + reserve. Of the rules that all share "
        "it hears then of those that its watch names.",
    )
    channels: tuple[ChannelSettings, ...] = Field(
        (),
        description="Where to: https://… (signed webhook), mailto:desk@example.org, or an Apprise URL; with a schedule "
        "of its own as {to: mailto:desk@example.org, schedule: daily}.",
    )
    when: WhenSettings = Field(WhenSettings(), description="When.")
    active: bool = Field(True, description="Set to false to silence it.")
    mute_rumours: bool = Field(
        False, description="Whether rumours of an act are held back once an official text has told of it."
    )
    notices: Notices = Field(
        Notices.GAPS, description="What it hears about the feeds themselves: off, gaps, all, or only (no alerts)."
    )
    language: Language = Field(Language.ENGLISH, description="Of our own words in its messages: en, zh, ko, ja or es.")


class Settings(BaseSettings):
    """Everything that an operator may set."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter="__", arbitrary_types_allowed=True
    )

    api: ApiSettings = Field(ApiSettings(), description="The HTTP interface.")
    storage: StorageSettings = Field(StorageSettings(), description="The database.")
    secrets: SecretsSettings = Field(SecretsSettings(), description="The key that seals what must stay secret.")
    egress: EgressSettings = Field(EgressSettings(), description="Which addresses may be connected to.")
    feeds: FeedsSettings = Field(FeedsSettings(), description="What comes in.")
    rules: RulesSettings = Field(RulesSettings(), description="What is worth an alert.")
    delivery: DeliverySettings = Field(DeliverySettings(), description="What goes out.")
    drill: DrillSettings = Field(DrillSettings(), description="Tries of the whole line: policywatch drill.")
    subscriptions: tuple[SubscriptionSettings, ...] = Field(
        (), description="Who wants which alerts, and where; others are added by API."
    )
    runner: RunnerSettings = Field(RunnerSettings(), description="The pace of the service.")
    logging: LoggingSettings = Field(LoggingSettings(), description="What the service says about its work.")

    _document: Node | None = PrivateAttr(None)

    def where(self, *path: str | int) -> str:
        """The place of a setting for a person: `file:line` if it was written in a file, else its name."""
        name = ".".join(str(part) for part in path)
        if self._document is None:
            return name
        found = self._document.at(path)
        return f"{found.where}: {name}"

    def written(self, *path: str | int, texts: Sequence[str]) -> tuple[Node, ...]:
        """The texts of a list at `path`, each with its place, and with what is read as a comment behind it."""
        places = [(*path, number) for number in range(len(texts))]
        found = [self._document.at(place) if self._document is not None else None for place in places]
        return tuple(
            Node(value=text, where=self.where(*place), cut=node.cut if node is not None else "")
            for text, place, node in zip(texts, places, found, strict=True)
        )

    @property
    def _slowest(self) -> timedelta:
        return max(self.feeds.timeout, self.delivery.timeout) + PARSE_ALLOWANCE

    @property
    def turn(self) -> timedelta:
        """What is left of a lease for waiting until a host has time for us."""
        return self.runner.lease - self._slowest

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        slowest = self._slowest
        if self.runner.lease <= slowest:
            raise ValueError(
                f"runner.lease ({show_duration(self.runner.lease)}) must exceed the slowest step "
                f"({show_duration(slowest)}: the larger of feeds.timeout and delivery.timeout, plus "
                f"{show_duration(PARSE_ALLOWANCE)}), or work would be taken up twice"
            )
        if self.delivery.smtp.host and not self.delivery.smtp.sender:
            raise ValueError("delivery.smtp.host is set but delivery.smtp.sender is empty; mail needs a From address")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


PARSE_ALLOWANCE = timedelta(seconds=20)
"""What a step may take beside its fetch: a robots.txt, parsing, reading, waiting for the database."""


def load(path: Path | None = None) -> Settings:
    """The settings in `path` (by default config.yaml, if it is there) under those of the environment.

    Raises Invalid with every problem: unknown keys, wrong values, contradictions, each with its place.
    """
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    root = read_yaml(path) if path is not None else Node(value={}, where="defaults")
    if root.value is None:
        root = Node(value={}, where=root.where)
    if root.mapping is None:
        raise Invalid((Problem(where=root.where, what=f"the configuration must be a mapping, not {root.kind}"),))
    plain = root.plain()
    try:
        settings = Settings(**plain) if isinstance(plain, dict) else Settings()
    except ValidationError as exc:
        raise Invalid(tuple(_problem(error, root) for error in exc.errors())) from exc
    if path is not None:
        settings._document = root
    return settings


def _problem(error: Mapping[str, Any], root: Node) -> Problem:
    loc = tuple(error["loc"])
    variable = ENV_PREFIX + "__".join(str(part) for part in loc).upper()
    from_env = next((name for name in os.environ if name.upper() == variable), None)
    name = ".".join(str(part) for part in loc)
    what = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        near = root.at(loc)
        known = _known_keys(loc[:-1])
        close = difflib.get_close_matches(str(loc[-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        parent = root.at(loc[:-1])
        where = (parent.keys or {}).get(str(loc[-1]), near.where)
        return Problem(where=from_env or where, what=f"unknown key {name!r}", hint=hint)
    return Problem(where=from_env or root.at(loc).where, what=f"{name}: {what}" if name else what)


def _known_keys(path: Sequence[object]) -> list[str]:
    model: Any = Settings
    for step in path:
        if isinstance(step, int):
            continue
        annotation = model.model_fields[str(step)].annotation
        while not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            args = [a for a in get_args(annotation) if a is not Ellipsis and a is not type(None)]
            if not args:
                return []
            annotation = args[0]
        model = annotation
    return list(model.model_fields)


# --- rules --------------------------------------------------------------------------------------------------------

MAX_RULE_BYTES = 512 * 1024  # of one file; the largest shipped pack is a fifth of it


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The lexicon and the rules compiled with it: swapped as one value, so no entry is judged by half of each.

    `problems` are the faults of rules that were left out: a fault in one rule stops no other. A rule of which an
    inline test fails is left out too.
    """

    lexicon: Lexicon
    ruleset: Ruleset
    groups: Groups = NO_GROUPS
    problems: tuple[Problem, ...] = ()
    packs: Mapping[str, str] = field(default_factory=dict)  # which rules are of a shipped pack, by id

    @property
    def version(self) -> str:
        return self.ruleset.version


def rule_files_mark(settings: RulesSettings) -> tuple[tuple[str, int, int], ...]:
    """What changes when a rule file, a group or the lexicon changes, appears or goes: names, times and sizes."""
    shipped = shipped_rules()
    paths = [shipped / "groups.yaml", *(shipped / "lexicon").rglob("*.yaml"), *_rule_files(settings, [])]
    marks = []
    for path in paths:
        with suppress(OSError):
            stat = path.stat()
            marks.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(sorted(marks))


def shipped_rules() -> Path:
    """The folder `rules/`: inside the installed package, or beside it in a checkout."""
    installed = Path(__file__).parent / "rules"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "rules"


def _packs() -> Path:
    return shipped_rules() / "packs"


def load_lexicon(sense: Sense | None = None) -> Lexicon:
    """The shipped lexicon, with the shipped weights or these. Invalid with file and line of every fault.

    Its phrases are kept between starts: reading them takes longer than all else that is done for a command.
    """
    paths = sorted((shipped_rules() / "lexicon").rglob("*.yaml"))
    sense = sense or load_sense(shipped_rules() / "sense.npz")
    with without_collection():
        key = kept.mark(*(path.read_bytes() for path in paths))
        with suppress(TypeError, ValueError, KeyError):
            return Lexicon(listed(kept.recall("lexicon", key)), sense)
        phrases = read_phrases(read_yaml(path, shown=_shown(path)) for path in paths)
        kept.keep("lexicon", key, phrases)
        return Lexicon(phrases, sense)


def load_sense(path: Path) -> Sense:
    """Weights as the training wrote them; Invalid where the file is something else."""
    try:
        raw = path.read_bytes()
        with np.load(BytesIO(raw), allow_pickle=False) as saved:
            return Sense(
                *(saved[name] for name in ("hashes", "weights", "scale", "bias")),
                actions=map(str, saved["actions"]),
                version=hashlib.sha256(raw).hexdigest()[:16],
            )
    except (OSError, ValueError, KeyError, BadZipFile) as exc:
        hint = "install the package again"
        raise Invalid((Problem(where=_shown(path), what=f"holds no weights: {exc}", hint=hint),)) from exc


def load_groups(settings: RulesSettings) -> tuple[Groups, tuple[Problem, ...]]:
    """The shipped groups of jurisdictions and those of the configuration."""
    path = shipped_rules() / "groups.yaml"
    shipped, wrong = read_groups(read_yaml(path, shown=_shown(path)), jurisdictions())
    own = {
        name: Node(value=tuple(Node(value=code, where=f"rules.groups.{name}") for code in codes), where="rules.groups")
        for name, codes in settings.groups.items()
    }
    groups, more = read_groups(Node(value=own, where="rules.groups"), jurisdictions(), shipped)
    return groups, (*wrong, *more)


@dataclass(frozen=True, slots=True)
class ReadRules:
    """Rules as they were read, before their tests were run, with the problems of those that could not be read.

    `files` has the contents of the file that each rule is in, `packs` the name of its pack if that is a shipped one;
    both by the rule's id.
    """

    lexicon: Lexicon
    groups: Groups
    rules: tuple[Rule, ...]
    problems: tuple[Problem, ...]
    files: Mapping[str, bytes]
    packs: Mapping[str, str]


def read_rulebook(settings: RulesSettings, lexicon: Lexicon | None = None, *, only: str = "*") -> ReadRules:
    """Every rule that is switched on and can be read, of all files at once; `only` is an id or a pattern."""
    lexicon = lexicon or load_lexicon()
    groups, wrong_groups = load_groups(settings)
    problems: list[Problem] = [*wrong_groups]
    rules: dict[str, Rule] = {}
    files: dict[str, bytes] = {}
    packs: dict[str, str] = {}
    for path in _rule_files(settings, problems):
        try:
            raw = read_raw(path, shown=_shown(path), limit=MAX_RULE_BYTES)
            document = parse_document(raw, shown=_shown(path), limit=MAX_RULE_BYTES)
            found, wrong = parse_rules(document, lexicon, groups)
        except Invalid as exc:
            problems.extend(exc.problems)
            continue
        problems.extend(wrong)
        for rule in found:
            if rule.id in rules:
                hint = f"first at {rules[rule.id].where}; the first one stays"
                problems.append(Problem(where=rule.where, what=f"rule id {rule.id!r} is taken", hint=hint))
            else:
                rules[rule.id] = rule
                files[rule.id] = raw
                if path.parent == _packs():
                    packs[rule.id] = path.stem
    wanted = _switched_on(tuple(rules.values()), settings.off, problems)
    chosen = tuple(rule for rule in wanted if fnmatchcase(rule.id, only))
    return ReadRules(lexicon, groups, chosen, tuple(problems), files, packs)


def read_rules_text(text: str, book: Rulebook, *, shown: str) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    """The rules of a text as of a file named `shown`, read with this lexicon and these groups, and what is wrong."""
    try:
        document = parse_document(text.encode("utf-8", "surrogatepass"), shown=shown, limit=MAX_RULE_BYTES)
    except Invalid as exc:
        return (), exc.problems
    return parse_rules(document, book.lexicon, book.groups)


def load_rulebook(settings: RulesSettings, lexicon: Lexicon | None = None) -> Rulebook:
    """Every rule that is switched on and sound and passes its tests, with the problems of those that are not."""
    book = read_rulebook(settings, lexicon)
    failed = tuple(_failed_tests(book))
    untrusted = {verdict.rule_id for verdict in failed}
    sound = [rule for rule in book.rules if rule.id not in untrusted]
    return Rulebook(
        lexicon=book.lexicon,
        ruleset=Ruleset.compile(sound, book.lexicon),
        groups=book.groups,
        problems=(*book.problems, *(verdict.problem for verdict in failed)),
        packs={rule.id: book.packs[rule.id] for rule in sound if rule.id in book.packs},
    )


def _failed_tests(book: ReadRules) -> Iterator[Verdict]:
    """The tests that fail. Those of a file that passed as a whole are not run again until anything about it changes."""
    groups = repr(book.groups.all).encode()
    for raw, found in groupby(book.rules, key=lambda rule: book.files[rule.id]):
        rules = tuple(found)
        key = kept.mark(book.lexicon.version.encode(), groups, raw, *(rule.id.encode() for rule in rules))
        if kept.recall("passed", key):
            continue
        failed = [verdict for verdict in run_tests(rules, book.lexicon) if verdict.fault]
        if not failed:
            kept.keep("passed", key, True)
        yield from failed


def _switched_on(rules: tuple[Rule, ...], off: Sequence[str], problems: list[Problem]) -> tuple[Rule, ...]:
    for pattern in off:
        if not any(fnmatchcase(rule.id, pattern) for rule in rules):
            problems.append(Problem(where="rules.off", what=f"no rule is called {pattern!r}"))
    return tuple(rule for rule in rules if not any(fnmatchcase(rule.id, pattern) for pattern in off))


def read_rules(*paths: Path) -> RulesSettings:
    """Settings that switch on the rules under `paths` (files or folders) and no others."""
    return RulesSettings(packs=(), paths=paths)


def _rule_files(settings: RulesSettings, problems: list[Problem]) -> list[Path]:
    packs = sorted(_packs().glob("*.yaml"))
    chosen = [pack for pack in packs if any(fnmatchcase(pack.stem, pattern) for pattern in settings.packs)]
    for pattern in settings.packs:
        if pattern != "*" and not any(fnmatchcase(pack.stem, pattern) for pack in packs):
            names = ", ".join(pack.stem for pack in packs)
            problems.append(
                Problem(where="rules.packs", what=f"no pack is called {pattern!r}", hint=f"there are: {names}")
            )
    for path in settings.paths:
        if path.is_dir():
            chosen.extend(sorted(path.rglob("*.yaml")))
        elif path.is_file():
            chosen.append(path)
        else:
            problems.append(Problem(where="rules.paths", what=f"{path} does not exist"))
    return chosen


def _shown(path: Path) -> str:
    """A name for messages: relative where that is shorter."""
    try:
        return str(path.relative_to(shipped_rules().parent))
    except ValueError:
        return str(path)


# --- config.example.yaml ------------------------------------------------------------------------------------------

_EXAMPLES = {
    "sources": """\
    # - url: https://www.fsc.go.kr/about/fsc_bbs_rss/?fid=0111
    #   jurisdiction: KR
    #   tier: official
    #   kind: regulator
    #   tags: [seoul]
    #   auth: {user: desk, password: "${FSC_PASSWORD}"}""",
    "subscriptions": """\
  # - name: central-asia
  #   watch:
  #     jurisdictions: [KZ, KG, TJ, TM, UZ]
  #   channels:
  #     - mailto:desk@example.org
  #     - {to: mailto:head@example.org, schedule: escalation}
  #   when: {schedule: daily, at: "08:00", zone: Asia/Almaty, quiet: 22:00-07:00, escalate_after: 4h}
  # - name: reserves
  #   match:
  #     - Kazakhstan + reserve
  #   channels:
  #     - mailto:treasury@example.org
  # - name: feeds-owner
  #   notices: only
  #   channels:
  #     - slack://TokenA/TokenB/TokenC/#policywatch""",
}


def example() -> str:
    """config.example.yaml: every setting with its default and one line of why."""
    lines = [
        "# policywatch: every setting with its default. Copy to config.yaml and keep what you change.",
        f"# Each can also come from the environment: {ENV_PREFIX}STORAGE__URL=postgresql://… sets storage.url.",
        "",
    ]
    for name, setting in Settings.model_fields.items():
        default = setting.get_default()
        if isinstance(default, BaseModel):
            lines += [f"# {setting.description}", f"{name}:", *_section(default, indent="  "), ""]
        else:
            lines += [f"# {setting.description}", f"{name}: []", _EXAMPLES[name], ""]
    return "\n".join(lines)


def _section(section: BaseModel, *, indent: str) -> Iterator[str]:
    for name, setting in type(section).model_fields.items():
        value = getattr(section, name)
        yield f"{indent}# {setting.description}"
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _section(value, indent=indent + "  ")
            continue
        shown = section.model_dump(mode="json")[name]
        if isinstance(value, Secret):
            shown = ""
        yield f"{indent}{name}: {json.dumps(shown, ensure_ascii=False)}"
        if name in _EXAMPLES:
            yield _EXAMPLES[name]
