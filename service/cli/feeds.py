"""Commands about feeds: what is polled, how it goes, what the catalogue offers, lists in and out."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from service import egress
from service.addresses import shown_address
from service.cli.common import ConfigOption, JsonOption, add_row, opened, out, plain, print_json, printable
from service.cli.credentials import BasicOption, BearerOption, HeaderOption, address_of
from service.config import Settings, load, load_groups
from service.domain import polling
from service.domain.coverage import SOUND, coverage
from service.domain.model import (
    Feed,
    FeedGap,
    Invalid,
    Paths,
    Push,
    Recipe,
    Selectors,
    ServiceError,
    SourceKind,
    Tier,
)
from service.domain.routing import spelt_out
from service.domain.text import LANGUAGES
from service.feedlists import EVERY, export_list, import_list
from service.feeds.catalogue import Source, catalogue
from service.feeds.found import Found
from service.feeds.recipes import recipe_faults
from service.sandbox import Sandbox
from service.storage.feeds import NewFeed
from service.storage.store import Store

feeds = typer.Typer(help="The feeds that are polled.", no_args_is_help=True)

JurisdictionOption = Annotated[
    list[str] | None, typer.Option("--jurisdiction", help="Whose news it carries, such as KR; may be repeated.")
]
KindOption = Annotated[SourceKind | None, typer.Option("--kind", help="What publishes it.")]


@feeds.command("list")
def feeds_list(
    from_catalogue: Annotated[bool, typer.Option("--catalogue", help="What could be added instead.")] = False,
    jurisdiction: JurisdictionOption = None,
    kind: KindOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every feed that is polled, with its state and what is wrong with it; --catalogue shows the sources on offer."""
    if from_catalogue:
        _show_sources(_offered(jurisdiction, kind), as_json=as_json)
        return
    with opened(config) as (_, store):
        rows = [feed for feed in store.feeds.page(limit=EVERY) if _is_wanted(feed, jurisdiction, kind)]
        pushes = store.pushes.of([feed.id for feed in rows])
    if as_json:
        print_json(rows)
        return
    table = Table("id", "state", "pushed", "entries", "next poll", "title", "address", "problem")
    for feed in rows:
        due = feed.next_due_at.isoformat(timespec="minutes")
        push = pushes[feed.id].state if feed.id in pushes else ""
        add_row(
            table,
            str(feed.id),
            feed.state,
            push,
            str(feed.entries),
            due,
            feed.title,
            shown_address(feed.url),
            feed.problem or "",
        )
    out.print(table)


@feeds.command("add")
def feeds_add(
    url: Annotated[str | None, typer.Argument(help="Address; without it the catalogue's sources are added.")] = None,
    title: Annotated[str, typer.Option(help="Name shown in alerts.")] = "",
    jurisdiction: JurisdictionOption = None,
    kind: KindOption = None,
    tier: Annotated[Tier, typer.Option(help="How close the source is to the act.")] = Tier.UNKNOWN,
    item: Annotated[str, typer.Option(help="For an HTML list page: CSS selector of its items.")] = "",
    item_title: Annotated[str, typer.Option("--item-title", help="Of the title in an item; its link by default.")] = "",
    item_link: Annotated[str, typer.Option("--item-link", help="Of the link in an item; the longest by default.")] = "",
    date: Annotated[str, typer.Option(help="Of the date in an item; none by default.")] = "",
    json_items: Annotated[
        str, typer.Option(help="For a JSON API: JMESPath of its items; the options of an item are JMESPath too then.")
    ] = "",
    item_id: Annotated[str, typer.Option("--item-id", help="Of the id in an item of JSON; its link by default.")] = "",
    item_text: Annotated[str, typer.Option("--item-text", help="Of the text in an item of JSON.")] = "",
    language: Annotated[str | None, typer.Option(help="Its language; detected by default.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A word to find it by; may be repeated.")] = None,
    header: HeaderOption = None,
    user: BasicOption = "",
    token: BearerOption = "",
    config: ConfigOption = None,
) -> None:
    """Add a feed, or the catalogue's sources of a jurisdiction or kind; a running service polls them soon."""
    if url is None:
        _add_offered(jurisdiction, kind, config)
        return
    if item and json_items:
        raise typer.BadParameter("--item is for an HTML page, --json-items for a JSON API: give one of them")
    recipe: Recipe | None = None
    if item:
        recipe = Selectors(item=item, title=item_title, link=item_link, date=date)
    elif json_items:
        recipe = Paths(items=json_items, id=item_id, title=item_title, link=item_link, date=date, text=item_text)
    elif item_title or item_link or date or item_id or item_text:
        raise typer.BadParameter("options of an item need --item (an HTML page) or --json-items (a JSON API)")
    for name, fault in recipe_faults(recipe) if recipe is not None else ():
        raise ServiceError(f"{name}: {fault}")
    if language is not None and language not in LANGUAGES:
        raise typer.BadParameter(f"unknown language {language!r}; one of {', '.join(LANGUAGES)}")
    address = address_of(url, header, user, token)
    with opened(config) as (settings, store):
        if problem := egress.check_url(address.url, settings.egress.allow):
            raise ServiceError(f"{address.url}: {problem}")
        code = jurisdiction[0] if jurisdiction else None
        new = NewFeed(
            url=address.url,
            title=title,
            jurisdiction=code,
            kind=kind,
            tier=tier,
            language=language,
            tags=tuple(tag or ()),
            headers=address.headers,
            interval=settings.feeds.interval,
            recipe=recipe,
        )
        feed = store.feeds.add(new, now=datetime.now(UTC))
    if feed is None:
        raise ServiceError(f"{address.url} is polled already; see policywatch feeds list")
    out.print(f"feed {feed.id} added: {shown_address(feed.url)}", markup=False, highlight=False)


def _add_offered(jurisdiction: list[str] | None, kind: SourceKind | None, config: Path | None) -> None:
    if not jurisdiction and kind is None:
        raise typer.BadParameter("give an address, or --jurisdiction or --kind to add from the catalogue")
    offered = _offered(jurisdiction, kind)
    if not offered:
        raise ServiceError("the catalogue has no such source; see policywatch feeds list --catalogue")
    with opened(config) as (settings, store):
        added = _add_all(store, [_from_source(source, settings) for source in offered])
    known = len(offered) - len(added)
    for feed in added:
        out.print(f"feed {feed.id} added: {feed.title}, {shown_address(feed.url)}", markup=False, highlight=False)
    out.print(f"{len(added)} added, {known} polled already")


def _add_all(store: Store, new: Iterable[NewFeed]) -> list[Feed]:
    now = datetime.now(UTC)
    return [feed for each in new if (feed := store.feeds.add(each, now=now)) is not None]


def _offered(jurisdiction: list[str] | None, kind: SourceKind | None) -> list[Source]:
    return [source for source in catalogue() if _is_wanted(source, jurisdiction, kind)]


def _is_wanted(it: Feed | Source, jurisdiction: list[str] | None, kind: SourceKind | None) -> bool:
    return (not jurisdiction or it.jurisdiction in jurisdiction) and (kind is None or it.kind == kind)


def _from_source(source: Source, settings: Settings) -> NewFeed:
    return NewFeed(
        url=source.url,
        title=source.name,
        jurisdiction=source.jurisdiction,
        kind=source.kind,
        tier=source.tier,
        language=source.spoken,
        interval=settings.feeds.interval,
    )


def _show_sources(sources: list[Source], *, as_json: bool) -> None:
    if as_json:
        print_json(sources)
        return
    table = Table("jurisdiction", "tier", "kind", "language", "name", "address")
    for each in sources:
        add_row(table, each.jurisdiction, each.tier, each.kind, each.language or "", each.name, each.url)
    out.print(table)


@feeds.command("discover")
def feeds_discover(url: str, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What could be polled at a site: its feeds, else its sitemaps and the lists of news on the page."""
    settings = load(config)
    found = asyncio.run(_discover(url, settings))
    if as_json:
        print_json(found)
    for each in () if as_json else found:
        said = f"{each.way}: {each.url} ({each.entries} entries{', ' + each.title if each.title else ''})"
        out.print(printable(said), markup=False, highlight=False, soft_wrap=True)
        if each.recipe is not None:
            out.print(printable(f"    {_as_options(each.recipe)}"), markup=False, highlight=False, soft_wrap=True)
        for title in each.titles:
            out.print(printable(f"    {title}"), markup=False, highlight=False, soft_wrap=True)
    if not found:
        raise ServiceError(f"{url} has no feed, no sitemap and no list of news that could be found")


_OPTIONS = {
    Selectors: {"item": "--item", "title": "--item-title", "link": "--item-link", "date": "--date"},
    Paths: {
        "items": "--json-items",
        "id": "--item-id",
        "title": "--item-title",
        "link": "--item-link",
        "date": "--date",
        "text": "--item-text",
    },
}


def _as_options(recipe: Recipe) -> str:
    """A recipe as `feeds add` takes it."""
    written = ((option, getattr(recipe, name)) for name, option in _OPTIONS[type(recipe)].items())
    return " ".join(f"{option} {shlex.quote(value)}" for option, value in written if value)


async def _discover(url: str, settings: Settings) -> tuple[Found, ...]:
    """Under the same guard and in the same sandbox as the service itself."""
    from service.app import fetch_limits, user_agent  # noqa: PLC0415  (the web framework is only needed here)
    from service.feeds.discover import discover  # noqa: PLC0415
    from service.feeds.fetch import Fetcher, session  # noqa: PLC0415

    if problem := egress.check_url(url, settings.egress.allow):
        raise ServiceError(f"{url}: {problem}")
    egress.install(settings.egress.allow)
    box = Sandbox(workers=1)
    try:
        async with session(user_agent=user_agent(settings)) as client:
            return await discover(url, Fetcher(client, limits=fetch_limits(settings)), box, now=datetime.now(UTC))
    finally:
        box.close()


# --- how it goes ----------------------------------------------------------------------------------------------------


@feeds.command("health")
def feeds_health(
    days: Annotated[int, typer.Option(help="How far back notices and gaps are shown.", min=1)] = 30,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The story of each feed: state, rhythm, notices and gaps. Exit 1 when a feed needs somebody to look at it."""
    with opened(config) as (_, store):
        rows = store.feeds.page(limit=EVERY)
        since = datetime.now(UTC).timestamp() - days * 86_400
        notices = [each for each in store.feeds.notices(limit=1000) if each.at.timestamp() >= since]
        gaps = [each for each in store.feeds.gaps(limit=1000) if each.opened_at.timestamp() >= since]
        pushes = store.pushes.of([feed.id for feed in rows])
    troubled = sorted((feed for feed in rows if feed.state not in SOUND), key=lambda feed: feed.state)
    sound = [feed for feed in rows if feed.state in SOUND]
    if as_json:
        stories = [
            plain(feed)
            | {"push": plain(pushes[feed.id]) if feed.id in pushes else None}
            | {"notices": [plain(n) for n in notices if n.feed_id == feed.id]}
            | {"gaps": [plain(g) for g in gaps if g.feed_id == feed.id]}
            for feed in (*troubled, *sound)
        ]
        print(json.dumps(stories, ensure_ascii=False))
        raise typer.Exit(1 if troubled else 0)
    table = Table(
        "id", "state", "since", "last news", "usual pause", "polled every", "pushed", "gaps", "feed", "problem"
    )
    for feed in (*troubled, *sound):
        add_row(table, *_health(feed, pushes.get(feed.id)))
    out.print(table)
    names = {feed.id: feed.title or shown_address(feed.url) for feed in rows}
    for notice in notices[:100]:
        said = f"{notice.at:%Y-%m-%d %H:%M} {names.get(notice.feed_id, '?')}: {notice.kind}: {notice.detail}"
        out.print(printable(said), markup=False, highlight=False, soft_wrap=True)
    for each in gaps[:100]:
        said = f"{each.opened_at:%Y-%m-%d %H:%M} {names.get(each.feed_id, '?')}: gap {_gap(each)}"
        out.print(printable(said), markup=False, highlight=False, soft_wrap=True)
    if troubled:
        raise typer.Exit(1)


def _gap(each: FeedGap) -> str:
    found = f"{each.recovered} entries recovered" if each.recovered else "nothing recovered"
    missing = f", about {each.gap.missing} were missing" if each.gap.missing else ""
    span = f"{each.gap.since:%Y-%m-%d %H:%M} to {each.gap.until:%Y-%m-%d %H:%M} UTC"
    return f"{span}: {each.fate}, {found}{missing}" + (f"; {each.detail}" if each.detail else "")


def _health(feed: Feed, push: Push | None) -> tuple[str, ...]:
    usual = polling.in_words(feed.rhythm.usual) if feed.rhythm else "not learned yet"
    name = feed.title or shown_address(feed.url)
    moved = "" if feed.address == feed.url else f"fetched from {shown_address(feed.address)}"
    return (
        str(feed.id),
        feed.state,
        f"{feed.state_since:%Y-%m-%d %H:%M}" if feed.state_since else "",
        f"{feed.last_news_at:%Y-%m-%d %H:%M}" if feed.last_news_at else "never",
        usual,
        polling.in_words(polling.pace_of(feed)),
        _pushed(push),
        str(feed.gaps),
        name,
        feed.problem or moved or (push.problem if push is not None and push.problem else ""),
    )


def _pushed(push: Push | None) -> str:
    """How far its hub's promise has come, what it brought, and what was not believed."""
    if push is None:
        return ""
    until = f" until {push.lease_until:%Y-%m-%d %H:%M}" if push.lease_until else ""
    refused = f", {push.refused} refused ({push.last_refusal})" if push.refused else ""
    return f"{push.state}{until}, {push.taken} taken{refused}"


@feeds.command("coverage")
def feeds_coverage(
    watchlist: Annotated[
        str | None, typer.Option(help="Only the jurisdictions that this subscription watches.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Jurisdictions by tier and state, and the holes: those without an official source that works. Exit 1 if any."""
    with opened(config) as (settings, store):
        codes = _watched(settings, store, watchlist) if watchlist else ()
        rows = coverage(store.feeds.page(limit=EVERY), codes)
    holes = [row.hole for row in rows if row.hole]
    if as_json:
        print_json(rows)
        raise typer.Exit(1 if holes else 0)
    table = Table("jurisdiction", *Tier)
    for row in rows:
        shown = [", ".join(f"{n} {state}" for state, n in row.of(tier).items()) or "-" for tier in Tier]
        add_row(table, row.jurisdiction, *shown)
    out.print(table)
    for hole in holes:
        out.print(hole, markup=False, highlight=False)
    if holes:
        raise typer.Exit(1)


def _watched(settings: Settings, store: Store, name: str) -> tuple[str, ...]:
    """The jurisdictions of the subscriptions of that name, declared ones before their first start too."""
    groups, _ = load_groups(settings.rules)
    declared = [each.watch.watch for each in settings.subscriptions if each.name == name]
    with store.database.read() as session:
        kept = [each.watch for each in store.subscriptions.all(session) if each.name == name]
    if not declared and not kept:
        raise ServiceError(f"no subscription is named {name!r}")
    watches = (spelt_out(watch, groups) for watch in (*declared, *kept))
    codes = tuple(dict.fromkeys(code for watch in watches for code in watch.jurisdictions))
    if not codes:
        raise ServiceError(f"{name!r} watches every jurisdiction; leave --watchlist out to see all that have feeds")
    return codes


# --- lists ----------------------------------------------------------------------------------------------------------


@feeds.command("import")
def feeds_import(
    file: Annotated[Path, typer.Argument(help="An OPML file.", exists=True, dir_okay=False)],
    config: ConfigOption = None,
) -> None:
    """Add the feeds of an OPML list; folders become tags. An address that may not be polled costs no other."""
    with opened(config) as (settings, store):
        done = import_list(store, file.read_bytes(), settings, shown=str(file), now=datetime.now(UTC))
    out.print(f"{len(done.added)} added, {done.known} polled already, {len(done.problems)} refused")
    if done.problems:
        raise Invalid(tuple(done.problems))


@feeds.command("export")
def feeds_export(config: ConfigOption = None) -> None:
    """Every feed that is polled as an OPML list, to standard output; `feeds import` takes it back whole."""
    with opened(config) as (_, store):
        sys.stdout.buffer.write(export_list(store))
