"""Alerts as files: CSV that a spreadsheet opens without running it, and JSON Lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from service.domain.model import Alert

CSV_COLUMNS = (
    "id", "story_id", "raised_at", "severity", "title", "jurisdictions", "topics", "actions", "stages", "directions",
    "rules", "reports", "source", "link", "published",
)  # fmt: skip

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def rows(alerts: Iterable[Alert]) -> Iterator[str]:
    """A line of names, and then one for each alert (RFC 4180), each of its lists in one cell."""
    yield _line(CSV_COLUMNS)
    for alert in alerts:
        first = alert.sources[0] if alert.sources else None
        acts = alert.developments
        yield _line((
            alert.id,
            alert.story_id,
            alert.raised_at.isoformat(),
            alert.severity,
            alert.title,
            _several(one.jurisdiction for one in acts),
            _several(one.topic for one in acts),
            _several(one.action for one in acts),
            _several(one.stage for one in acts),
            _several(one.direction for one in acts),
            _several(alert.rules),
            alert.reports,
            first.source if first else "",
            (first.link if first else None) or "",
            first.published.isoformat() if first and first.published else "",
        ))  # fmt: skip


def _several(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(map(str, values)))


def _line(cells: Sequence[object]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([_harmless(str(cell)) for cell in cells])
    return out.getvalue()


def _harmless(text: str) -> str:
    """A title that begins like a formula is text (OWASP, CSV injection): an apostrophe before it says so."""
    return f"'{text}" if text.lstrip(" \u00a0\ufeff").startswith(_FORMULA) else text
