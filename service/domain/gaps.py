"""What is looked for to fill a gap, and when it counts as filled: decisions only.

An archive page or a sitemap holds more than a gap: what is older was seen or was never ours, and what a sitemap names
elsewhere on the site is not what the feed publishes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from service.domain.model import FeedGap, Gap, GapFate, ParsedEntry

MAX_ATTEMPTS = 3
RETRY_AFTER = timedelta(minutes=30)

MOST_RECOVERED = 500
"""Entries that one gap may bring: an archive in which everything is new is not believed beyond this."""

_SLACK = timedelta(days=1)
"""A feed's dates may name no more than a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """A document that may hold what a gap swallowed, held against what is stored: the places of the entries that are
    stored by now, and of those that were before the gap was noticed. `ordered`: newest first, as feeds are."""

    entries: tuple[ParsedEntry, ...]
    stored: frozenset[int] = frozenset()
    before: frozenset[int] = frozenset()
    ordered: bool = True


def joins(older: Older, gap: Gap) -> bool:
    """Whether the document reaches back beyond the gap: to an entry that was known before it, or that is older."""
    return bool(older.before) or any((when := _time_of(e)) and when < gap.since for e in older.entries)


def lost(older: Older, gap: Gap, scope: str | None = None) -> tuple[ParsedEntry, ...]:
    """The entries of the document that came and went in the gap; only those below `scope`, if one is given."""
    end = min(older.before) if older.before and older.ordered else len(older.entries)
    return tuple(
        entry
        for place, entry in enumerate(older.entries[:end])
        if place not in older.stored and _is_of(entry, gap, certain=not older.ordered) and _is_below(entry, scope)
    )


def fate_of(recovered: int, *, joined: bool) -> GapFate:
    """What becomes of a gap of which so many entries were found."""
    if joined:
        return GapFate.FILLED
    return GapFate.PARTLY if recovered else GapFate.UNFILLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What looking for a gap's entries has brought so far."""

    found: tuple[ParsedEntry, ...] = ()
    joined: bool = False
    trouble: str = ""


def searched(search: Search, older: Older, gap: Gap, scope: str | None = None) -> Search:
    """The search after one more document."""
    found = (*search.found, *lost(older, gap, scope))[:MOST_RECOVERED]
    return Search(found=found, joined=search.joined or joins(older, gap), trouble=search.trouble)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What becomes of a gap after a search; an OPEN one is looked at again at `again_at`."""

    fate: GapFate
    detail: str
    again_at: datetime


def closing(search: Search, claimed: FeedGap, now: datetime) -> Closing:
    """A search that met trouble is made again, three times in all; any other is the last word."""
    known = claimed.recovered + len(search.found)
    again_at = now + RETRY_AFTER
    if search.trouble and not search.joined and claimed.attempts < MAX_ATTEMPTS:
        return Closing(fate=GapFate.OPEN, detail=f"looked for in vain so far: {search.trouble}", again_at=again_at)
    fate = fate_of(known, joined=search.joined)
    said = {
        GapFate.FILLED: "what its site still offers joins up with what was known",
        GapFate.PARTLY: "what its site still offers does not reach back to what was known",
        GapFate.UNFILLED: "its site offers neither an archive nor a sitemap that reaches back",
    }[fate]
    return Closing(fate=fate, detail=said + (f" ({search.trouble})" if search.trouble else ""), again_at=again_at)


def scope_of(links: Iterable[str]) -> str | None:
    """The part of its site that a feed publishes in (`gov.example/press/`); None when its links have none in common."""
    paths = [_steps(link) for link in links if link]
    common: list[str] = []
    for steps in zip(*paths, strict=False):
        if len(set(steps)) > 1:
            break
        common.append(steps[0])
    return "/".join(common) + "/" if len(common) > 1 else None


def _steps(link: str) -> list[str]:
    """The host and the folders of an address: the last step is the page itself."""
    parts = urlsplit(link)
    return [parts.netloc.lower(), *parts.path.strip("/").split("/")[:-1]]


def _is_below(entry: ParsedEntry, scope: str | None) -> bool:
    return scope is None or ("/".join(_steps(entry.link or "")) + "/").startswith(scope)


def _is_of(entry: ParsedEntry, gap: Gap, *, certain: bool) -> bool:
    when = _time_of(entry)
    if when is None:
        return not certain
    return gap.since - _SLACK <= when and (not certain or when <= gap.until + _SLACK)


def _time_of(entry: ParsedEntry) -> datetime | None:
    return entry.published or entry.updated
