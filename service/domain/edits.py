"""Entries that their publishers change: what counts as an edit, and when an entry that was edited is read again.

A text that changes with every poll (a live report, a counter, a site that cannot make up its mind) would be read, and
might be told, without end. Its newest text is always stored and always read in the end, only later and later.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from service.domain.model import ParsedEntry

AT_ONCE = 3
"""Edits of an entry that are read as soon as they are seen."""

FIRST_WAIT = timedelta(hours=1)
LONGEST_WAIT = timedelta(hours=12)

_TAG = re.compile(r"<[^<>]*>")


def words_of(parsed: ParsedEntry) -> str:
    """What an entry says, without markup and white space: a new class or tracking parameter in it is no edit."""
    fields = (parsed.title, parsed.summary, parsed.content)
    return "\0".join(" ".join(_TAG.sub(" ", text).split() if "<" in text else text.split()) for text in fields)


def read_again_at(edits: int, last_read: datetime | None, now: datetime) -> datetime:
    """When an entry is read after its edit number `edits`: at once for the first few, then ever longer after
    `last_read` (None: not read yet). At most ten readings on any day, and two on each when it goes on."""
    if last_read is None or edits <= AT_ONCE:
        return now
    doublings = min(edits - AT_ONCE - 1, 8)  # far beyond the longest wait
    return max(now, last_read + min(LONGEST_WAIT, FIRST_WAIT * (1 << doublings)))
