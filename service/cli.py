"""The command line: `policywatch COMMAND`. Exit codes: 0 fine, 1 problems were found, 2 wrong usage."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service import __version__, egress, logs
from service.config import (
    Rulebook,
    RulesSettings,
    Settings,
    example,
    load,
    load_lexicon,
    load_rulebook,
    read_rules,
)
from service.domain.developments import read
from service.domain.model import (
    DeliveryState,
    Development,
    Entry,
    Failed,
    Invalid,
    ParsedFeed,
    Problem,
    Reading,
    Scope,
    ServiceError,
    Story,
    StoryKey,
    Tier,
)
from service.domain.stories import WINDOW, place
from service.domain.text import canonical_url, sketch
from service.sandbox import Sandbox
from service.storage.feeds import NewFeed
from service.storage.store import Store

T = TypeVar("T")

app = typer.Typer(
    name="policywatch",
    help="Reads news and regulator feeds, recognises what governments did, sends one alert per event.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
feeds_app = typer.Typer(help="The feeds that are polled.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys.", no_args_is_help=True)
deliveries_app = typer.Typer(help="The outbox.", no_args_is_help=True)
rules_app = typer.Typer(help="The rules.", no_args_is_help=True)
for name, group in (("feeds", feeds_app), ("keys", keys_app), ("deliveries", deliveries_app), ("rules", rules_app)):
    app.add_typer(group, name=name)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file; config.yaml by default, if it is there.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
EntriesArgument = Annotated[list[Path] | None, typer.Argument(help="JSONL files; standard input by default.")]

out = Console()
err = Console(stderr=True)


def main() -> None:
    """Entry point: mistakes that a person can mend are told in words, not as a traceback."""
    try:
        app()
    except Invalid as exc:
        _print_problems(exc.problems)
        sys.exit(1)
    except ServiceError as exc:
        err.print(f"policywatch: {exc}", style="red", markup=False, highlight=False)
        sys.exit(1)


# --- the service --------------------------------------------------------------------------------------------------


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Run the service: scheduler, delivery and API on one port, until Ctrl-C."""
    settings = load(config)
    logs.configure(settings.logging.level, settings.logging.format)
    from service.app import serve as run  # noqa: PLC0415  (the web framework is only needed here)

    run(settings, ready=lambda address: err.print(f"policywatch {__version__} is ready: {address}/docs", style="green"))


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the API (with --world: of the sites); 0 takes a free one.")] = 8080,
    once: Annotated[bool, typer.Option("--once", help="End after the alerts instead of serving on.")] = False,
    world: Annotated[
        bool, typer.Option("--world", help="Only serve the example sites and a webhook receiver that prints alerts.")
    ] = False,
) -> None:
    """The whole line on bundled example feeds, on this machine alone: no account, no network."""
    from service.demo import show  # noqa: PLC0415  (the web framework is only needed here)

    logs.configure("error", "console")
    sys.exit(show.run_world(port=port, console=out) if world else show.run(port=port, once=once, console=out))


@app.command()
def check(
    config: ConfigOption = None,
    print_example: Annotated[bool, typer.Option("--print-example", help="Print config.example.yaml.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check configuration, rules and channels: every problem with file and line."""
    if print_example:
        print(example(), end="")
        return
    problems: list[Problem] = []
    rules = 0
    try:
        settings = load(config)
        rulebook = load_rulebook(settings.rules)
        rules = len(rulebook.ruleset.rules)
        problems.extend(rulebook.problems)
        problems.extend(_subscription_problems(settings, rulebook))
    except Invalid as exc:
        problems.extend(exc.problems)
    if as_json:
        rows = [{"where": p.where, "what": p.what, "hint": p.hint} for p in problems]
        print(json.dumps({"ok": not problems, "rules": rules, "problems": rows}, ensure_ascii=False))
    elif problems:
        _print_problems(problems)
    else:
        out.print(f"All is well: {rules} rules.", style="green")
    if problems:
        raise typer.Exit(1)


def _subscription_problems(settings: Settings, rulebook: Rulebook) -> Iterator[Problem]:
    from service.app import declared_subscription  # noqa: PLC0415

    for number in range(len(settings.subscriptions)):
        try:
            declared_subscription(settings, number, rulebook)
        except Invalid as exc:
            yield from exc.problems


# --- entries through the floors -----------------------------------------------------------------------------------


@app.command()
def annotate(files: EntriesArgument = None) -> None:
    """Read JSONL entries: their developments with evidence, and the story each belongs to."""
    lexicon = load_lexicon()
    placer = _Placer()
    with _entries(files) as entries:
        for entry, _ in _in_order(entries):
            reading = read(entry, lexicon)
            story, _reason = placer.place(entry, reading) if reading.developments else (None, "")
            print(json.dumps(_annotated(entry, reading, story), ensure_ascii=False))


def _annotated(entry: Entry, reading: Reading, story: str | None) -> dict[str, Any]:
    developments = [_shown(development) for development in reading.developments]
    return {"id": entry.id, "lang": reading.lang, "developments": developments, "story": story}


def _shown(development: Development) -> dict[str, Any]:
    """A development with one list of evidence: the sentences first, then the words in them."""
    plain = _plain(development)
    quotes = plain.pop("quotes")
    return {**plain, "evidence": [*quotes, *plain["evidence"]]}


@app.command()
def match(
    rules: Annotated[Path, typer.Option("--rules", help="A rule file or a folder of them.")],
    files: EntriesArgument = None,
    why: Annotated[bool, typer.Option("--why", help="Also the first failing step of each rule.")] = False,
) -> None:
    """Match JSONL entries against the rules under a path and no others."""
    rulebook = load_rulebook(read_rules(rules))
    if rulebook.problems:
        raise Invalid(rulebook.problems)
    with _entries(files) as entries:
        for entry, _ in entries:
            print(json.dumps(_matched(entry, rulebook, why=why), ensure_ascii=False))


def _matched(entry: Entry, rulebook: Rulebook, *, why: bool) -> dict[str, Any]:
    reading = read(entry, rulebook.lexicon)
    matches = []
    for found in rulebook.ruleset.match(entry, reading):
        developments = [_shown(development) for development in found.developments]
        evidence = _plain(found)["evidence"]
        matches.append({"rule": found.rule_id, "developments": developments, "evidence": evidence})
    row = {"id": entry.id, "matches": matches}
    if why:
        misses = rulebook.ruleset.why_not(entry, reading)
        row["why"] = [{"rule": m.rule_id, "step": m.step, "detail": m.detail} for m in misses]
    return row


@app.command()
def stories(files: EntriesArgument = None) -> None:
    """Place JSONL entries, with or without developments, in stories, in published order."""
    lexicon = load_lexicon()
    placer = _Placer()
    with _entries(files) as entries:
        for entry, given in _in_order(entries):
            reading = read(entry, lexicon)
            if isinstance(given.get("developments"), list):
                developments = [{**d, "evidence": ()} for d in given["developments"]]
                reading = TypeAdapter(Reading).validate_python({"lang": reading.lang, "developments": developments})
            story, reason = placer.place(entry, reading)
            print(json.dumps({"id": entry.id, "story": story, "reason": reason}, ensure_ascii=False))


@app.command()
def parse(paths: Annotated[list[Path], typer.Argument(help="Feed files or folders of them.")]) -> None:
    """Parse feed files: one JSON line a file, with its entries or the reason why it has none."""
    from service.feeds.parse import parse_feed  # noqa: PLC0415  (sandboxed code is only needed here)

    for path, parsed in _sandboxed(_files(paths), lambda box, body: box.run(parse_feed, body)):
        print(json.dumps({"file": str(path), **_parsed_row(parsed)}, ensure_ascii=False))


def _parsed_row(parsed: ParsedFeed | Failed | ServiceError | None) -> dict[str, Any]:
    if not isinstance(parsed, ParsedFeed):
        error = f"{parsed.reason}: {parsed.detail}" if isinstance(parsed, Failed) else str(parsed)
        return {"error": error, "feed": {}, "entries": []}
    plain = TypeAdapter(ParsedFeed).dump_python(parsed, mode="json")
    entries = plain.pop("entries")
    return {"feed": plain, "entries": entries}


@app.command()
def extract(
    files: Annotated[list[Path], typer.Argument(help="HTML pages.")],
    url: Annotated[str, typer.Option(help="Where the page came from.")] = "",
) -> None:
    """The main text of HTML pages, without what stands below and beside the article."""
    from service.feeds.extract import extract as page_of  # noqa: PLC0415

    for path, page in _sandboxed(_files(files), lambda box, body: box.run(page_of, body, url=url)):
        row: dict[str, Any] = {"file": str(path)}
        if isinstance(page, ServiceError) or page is None:
            row["error"] = str(page) if page else "no main text found"
        else:
            published = page.published.isoformat() if page.published else None
            row |= {"title": page.title, "text": page.text, "published": published}
        print(json.dumps(row, ensure_ascii=False))


def _sandboxed(
    paths: Iterable[Path], call: Callable[[Sandbox, bytes], Coroutine[Any, Any, T]]
) -> Iterator[tuple[Path, T | ServiceError]]:
    """Each file through a child process with limits: a hostile one costs its own line, no other."""
    with asyncio.Runner() as runner:
        box = Sandbox(workers=1)

        async def one(body: bytes) -> T | ServiceError:
            try:
                return await call(box, body)
            except ServiceError as exc:
                return exc

        try:
            for path in paths:
                try:
                    body = path.read_bytes()
                except OSError as exc:
                    yield path, ServiceError(f"cannot be read: {exc.strerror}")
                    continue
                yield path, runner.run(one(body))
        finally:
            box.close()


class _Placer:
    """Stories in memory, by the same pure decision as in the service."""

    def __init__(self) -> None:
        self._stories: list[Story] = []

    def place(self, entry: Entry, reading: Reading) -> tuple[str, str]:
        when = entry.published or datetime.now(UTC)
        key = StoryKey(
            developments=reading.developments,
            link=canonical_url(entry.link) if entry.link else "",
            sketch=sketch(f"{entry.title}\n{entry.summary}\n{entry.content}"),
            title=entry.title,
        )
        near = [story for story in self._stories if story.last_at >= when - WINDOW]
        placement = place(key, when, near)
        if placement.story_id is None:
            story = Story(id=len(self._stories) + 1, opened_at=when, last_at=when, members=(key,))
            self._stories.append(story)
            return f"s{story.id}", placement.reason
        index = placement.story_id - 1
        old = self._stories[index]
        self._stories[index] = Story(
            id=old.id,
            opened_at=min(old.opened_at, when),
            last_at=max(old.last_at, when),
            members=(*old.members, key),
        )
        return f"s{old.id}", placement.reason


# --- feeds, keys, deliveries, rules -------------------------------------------------------------------------------


@feeds_app.command("list")
def feeds_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every feed that is polled, with its state and what is wrong with it."""
    with _opened(config) as (_, store):
        rows = store.feeds.page(limit=1_000_000)
    if as_json:
        _print_json(rows)
        return
    table = Table("id", "state", "entries", "next poll", "title", "address", "problem")
    for feed in rows:
        due = feed.next_due_at.isoformat(timespec="minutes")
        problem = feed.problem or ""
        _add_row(table, str(feed.id), feed.state, str(feed.entries), due, feed.title, feed.url, problem)
    out.print(table)


@feeds_app.command("add")
def feeds_add(
    url: str,
    title: Annotated[str, typer.Option(help="Name shown in alerts.")] = "",
    jurisdiction: Annotated[str | None, typer.Option(help="Whose news it carries, such as KR.")] = None,
    tier: Annotated[Tier, typer.Option(help="How close the source is to the act.")] = Tier.UNKNOWN,
    config: ConfigOption = None,
) -> None:
    """Add a feed; a running service polls it at its next tick."""
    with _opened(config) as (settings, store):
        if problem := egress.check_url(url, settings.egress.allow):
            raise ServiceError(f"{url}: {problem}")
        new = NewFeed(url=url, title=title, jurisdiction=jurisdiction, tier=tier, interval=settings.feeds.interval)
        feed = store.feeds.add(new, now=datetime.now(UTC))
    if feed is None:
        raise ServiceError(f"{url} is polled already; see policywatch feeds list")
    out.print(f"feed {feed.id} added: {feed.url}", markup=False, highlight=False)


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    team: Annotated[str, typer.Option(help="The team it acts for.")] = "default",
    scope: Annotated[list[Scope] | None, typer.Option(help="read, write or admin; write by default.")] = None,
    days: Annotated[int | None, typer.Option(help="Days until it expires; never by default.", min=1)] = None,
    config: ConfigOption = None,
) -> None:
    """Make an API key. It is printed once, alone on standard output, and cannot be shown again."""
    now = datetime.now(UTC)
    with _opened(config) as (_, store):
        key, secret = store.keys.create(
            team=team,
            name=name,
            scopes=scope or [Scope.WRITE],
            random=secrets.token_bytes,
            now=now,
            expires_at=now + timedelta(days=days) if days else None,
        )
    err.print(f"key {key.prefix} for team {key.team} ({', '.join(key.scopes)}); keep it, it is not shown again:")
    print(secret.reveal())


@keys_app.command("list")
def keys_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every key, without its secret part."""
    with _opened(config) as (_, store):
        rows = store.keys.list()
    if as_json:
        _print_json(rows)
        return
    table = Table("prefix", "team", "name", "scopes", "created", "last use", "state")
    now = datetime.now(UTC)
    for key in rows:
        expired = key.expires_at is not None and key.expires_at <= now
        state = "revoked" if key.revoked_at else "expired" if expired else "active"
        created, used = key.created_at.isoformat(timespec="minutes"), key.last_used_at
        shown = used.isoformat(timespec="minutes") if used else "never"
        _add_row(table, key.prefix, key.team, key.name, " ".join(key.scopes), created, shown, state)
    out.print(table)


@keys_app.command("revoke")
def keys_revoke(prefix: str, config: ConfigOption = None) -> None:
    """End a key at once, by its prefix (see keys list)."""
    with _opened(config) as (_, store):
        if not store.keys.revoke(prefix, now=datetime.now(UTC)):
            raise ServiceError(f"no key has the prefix {prefix!r}; see policywatch keys list")
    out.print(f"key {prefix} is revoked")


@deliveries_app.command("list")
def deliveries_list(
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The newest deliveries of all teams, with what came of their last attempt."""
    with _opened(config) as (_, store):
        rows = store.outbox.page(team=None, state=state, limit=limit)
    if as_json:
        _print_json(rows)
        return
    table = Table("id", "state", "attempts", "next or settled", "channel", "alert", "last answer")
    for row in rows:
        when = (row.settled_at or row.due_at).isoformat(timespec="seconds")
        alert = str(row.alert_id or row.kind)
        _add_row(table, str(row.id), row.state, str(row.attempts), when, row.channel, alert, row.detail)
    out.print(table)


@deliveries_app.command("retry")
def deliveries_retry(delivery_id: int, config: ConfigOption = None) -> None:
    """Put a dead delivery back in line, due now."""
    with _opened(config) as (_, store):
        if not store.outbox.retry(delivery_id, team=None, now=datetime.now(UTC)):
            raise ServiceError(f"delivery {delivery_id} is not dead; see policywatch deliveries list --state dead")
    out.print(f"delivery {delivery_id} is due now")


@rules_app.command("check")
def rules_check(paths: Annotated[list[Path] | None, typer.Argument(help="Rule files or folders.")] = None) -> None:
    """Check rule files (the shipped packs by default): every problem with file and line."""
    rulebook = load_rulebook(RulesSettings(packs=(), paths=tuple(paths)) if paths else RulesSettings())
    if rulebook.problems:
        raise Invalid(rulebook.problems)
    out.print(f"All is well: {len(rulebook.ruleset.rules)} rules.", style="green")


# --- small parts --------------------------------------------------------------------------------------------------


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[Settings, Store]]:
    logs.configure("warning", "console")
    settings = load(config)
    store = Store(settings.storage.url, keys=settings.secrets.keys, key_file=settings.secrets.key_file)
    try:
        yield settings, store
    finally:
        store.close()


@contextmanager
def _entries(files: list[Path] | None) -> Iterator[Iterator[tuple[Entry, dict[str, Any]]]]:
    """Entries and the rows they came from. Lines that are none cost no other: they are told when the block ends."""
    problems: list[Problem] = []
    yield _parsed(files, problems)
    if problems:
        raise Invalid(tuple(problems))


def _parsed(files: list[Path] | None, problems: list[Problem]) -> Iterator[tuple[Entry, dict[str, Any]]]:
    for name, number, line in _lines(files, problems):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not a JSON object")
            yield _ENTRY.validate_python({k: row[k] for k in _ENTRY_FIELDS if row.get(k) is not None}), row
        except ValidationError as exc:
            field = ".".join(str(part) for part in exc.errors()[0]["loc"])
            problems.append(Problem(where=where, what=f"{field}: {exc.errors()[0]['msg']}"))
        except ValueError as exc:
            problems.append(Problem(where=where, what=f"not an entry: {exc}"))


_ENTRY = TypeAdapter(Entry)
_ENTRY_FIELDS = ("id", "source", "lang", "published", "link", "title", "summary", "content")


def _lines(files: list[Path] | None, problems: list[Problem]) -> Iterator[tuple[str, int, str]]:
    if not files:
        yield from (("stdin", number, line) for number, line in enumerate(sys.stdin, 1))
        return
    for path in files:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from ((str(path), number, line) for number, line in enumerate(file, 1))
        except OSError as exc:
            problems.append(Problem(where=str(path), what=f"cannot be read: {exc.strerror}"))


def _in_order(entries: Iterable[tuple[Entry, dict[str, Any]]]) -> list[tuple[Entry, dict[str, Any]]]:
    """In published order, undated ones last; equal times keep their order."""
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(entries, key=lambda pair: _aware(pair[0].published) or last)


def _aware(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=UTC) if when is not None and when.tzinfo is None else when


def _plain(value: object) -> dict[str, Any]:
    return dict(TypeAdapter(type(value)).dump_python(value, mode="json"))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _print_json(rows: Iterable[object]) -> None:
    print(json.dumps([_plain(row) for row in rows], ensure_ascii=False))


def _add_row(table: Table, *cells: str) -> None:
    """A row of plain text: a stranger's title is no markup, and no control sequence for the terminal."""
    table.add_row(*(Text("".join(sign for sign in cell if sign.isprintable())) for cell in cells))


def _print_problems(problems: Iterable[Problem]) -> None:
    for problem in problems:
        err.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
