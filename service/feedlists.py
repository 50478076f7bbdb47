"""Lists of feeds in and out (OPML): whoever asks, by command or by REST, gets the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service import egress
from service.addresses import Address, read_address, shown_address
from service.config import Settings
from service.domain.model import Feed, Problem
from service.domain.text import LANGUAGES
from service.feeds.opml import Listed, read_opml, write_opml
from service.feeds.recipes import recipe_faults
from service.storage.feeds import NewFeed
from service.storage.store import Store

EVERY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of a list: the feeds that were added, how many were polled already, and what was refused and why."""

    added: Sequence[Feed]
    known: int
    problems: Sequence[Problem]


def import_list(store: Store, body: bytes, settings: Settings, *, shown: str, now: datetime) -> Imported:
    """Add the feeds of an OPML list, folders as tags. An address that may not be polled costs no other.

    BadList when it is none; `shown` is what it is called in problems.
    """
    problems: list[Problem] = []
    usable: list[NewFeed] = []
    for each in read_opml(body):
        try:
            address = read_address(each.url)
            problem = egress.check_url(address.url, settings.egress.allow)
        except ValueError as exc:
            problem = str(exc)
        faults = recipe_faults(each.recipe) if each.recipe is not None and not problem else ()
        problem = problem or "; ".join(f"{name} {fault}" for name, fault in faults)
        if problem:
            problems.append(Problem(where=f"{shown}: {each.title or shown_address(each.url)}", what=problem))
        else:
            usable.append(_from_list(each, address, settings))
    added = [feed for new in usable if (feed := store.feeds.add(new, now=now)) is not None]
    return Imported(added=added, known=len(usable) - len(added), problems=problems)


def export_list(store: Store) -> bytes:
    """Every feed that is polled as an OPML document, which `import_list` takes back whole."""
    return write_opml(_to_list(feed) for feed in store.feeds.page(limit=EVERY))


def _from_list(each: Listed, address: Address, settings: Settings) -> NewFeed:
    return NewFeed(
        url=address.url,
        headers=address.headers,
        title=each.title,
        tags=each.tags,
        language=each.language if each.language in LANGUAGES else None,
        jurisdiction=each.jurisdiction,
        kind=each.kind,
        tier=each.tier,
        full_text=each.full_text,
        interval=each.interval or settings.feeds.interval,
        recipe=each.recipe,
    )


def _to_list(feed: Feed) -> Listed:
    return Listed(
        url=feed.url,
        title=feed.title,
        tags=feed.tags,
        language=feed.language,
        jurisdiction=feed.jurisdiction,
        kind=feed.kind,
        tier=feed.tier,
        full_text=feed.full_text,
        interval=feed.interval,
        recipe=feed.recipe,
    )
