"""What a command is asked about: a stored entry, an alert's first report, a page, or a text."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from service import egress
from service.cli.common import opened
from service.config import Settings
from service.domain.model import Entry, Failed, Fetched, PageNote, ServiceError
from service.domain.whynot import Fate
from service.sandbox import Sandbox
from service.storage.store import Store, is_there

_ALERT = re.compile(r"alert:(\d{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is asked about. `looked_up` says whether a store was asked what became of it."""

    entry: Entry
    jurisdiction: str | None = None
    fate: Fate | None = None
    looked_up: bool = False


def subject_of(what: str, settings: Settings, config: Path | None) -> Subject:
    """The entry that `what` stands for: `alert:ID` (its first report), an entry id, an address, or else a text.

    An address that no stored entry leads to is fetched under the same guard as by the service. Raises ServiceError if
    there is nothing of the kind.
    """
    what = what.strip()
    if alert := _ALERT.fullmatch(what):
        if not is_there(settings.storage.url):
            raise ServiceError(f"no alert {alert[1]} is stored: there is no database yet")
        with opened(config) as (_, store):
            if not (reports := store.fates.reports(int(alert[1]))):
                raise ServiceError(f"no alert {alert[1]} is stored")
            return _stored(store, reports[0])
    if what.isdecimal():
        if not is_there(settings.storage.url):
            raise ServiceError(f"no entry {what} is stored: there is no database yet")
        with opened(config) as (_, store):
            return _stored(store, int(what))
    if not what.startswith(("http://", "https://")) or len(what.split()) != 1:
        title, _, content = what.partition("\n")
        return Subject(entry=Entry(id="text", title=title, content=content.strip()))
    looked_up = is_there(settings.storage.url)
    if looked_up:
        with opened(config) as (_, store):
            if ids := store.fates.at(what):
                return _stored(store, ids[0])
    return Subject(entry=asyncio.run(_page(what, settings)), looked_up=looked_up)


def _stored(store: Store, entry_id: int) -> Subject:
    """An entry with the text as it was read, and what became of it."""
    fate = store.fates.get(entry_id)
    if fate is None:
        raise ServiceError(f"no entry {entry_id} is stored")
    (whole,) = store.readings.whole([entry_id])
    return Subject(entry=whole.entry, jurisdiction=whole.jurisdiction, fate=fate, looked_up=True)


async def _page(url: str, settings: Settings) -> Entry:
    """The main text of a page, fetched under the same guard and read in the same sandbox as by the service."""
    from service.app import fetch_limits, user_agent  # noqa: PLC0415  (the web framework is only needed here)
    from service.feeds.apart import main_text  # noqa: PLC0415
    from service.feeds.fetch import Fetcher, session  # noqa: PLC0415

    egress.install(settings.egress.allow)
    box = Sandbox(workers=1)
    try:
        async with session(user_agent=user_agent(settings)) as client:
            fetched = await Fetcher(client, limits=fetch_limits(settings)).get(url, now=datetime.now(UTC))
        if not isinstance(fetched, Fetched):
            said = fetched.detail if isinstance(fetched, Failed) else f"the server answered {type(fetched).__name__}"
            raise ServiceError(f"{url} cannot be fetched: {said}")
        page = await box.run(main_text, fetched.body, fetched.url, fetched.content_type)
    finally:
        box.close()
    if isinstance(page, PageNote):
        raise ServiceError(f"{url} has no main text ({page.detail}); give the text itself instead of the address")
    host = urlsplit(url).hostname or ""
    return Entry(id=url, title=page.title, content=page.text, source=host, link=url, published=page.published)
