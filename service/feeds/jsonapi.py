"""JSON APIs that list news -> a parsed feed by JMESPath expressions, and the expressions that a document suggests.

For sources without a feed. Runs in a sandbox child: the document is hostile input, and so is an expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from service.domain.model import Failed, FetchReason, ParsedEntry, ParsedFeed, Paths
from service.feeds import clean
from service.feeds.repair import decode

MAX_ITEMS = 500
LONGEST_EXPRESSION = 500
LEAST_ITEMS = 2
"""A document proposes a list of so many objects at least: one object is an answer, not a list."""

_DEEPEST = 5
_SAMPLE = 20
_HEADLINE = 8  # letters, on average, of what is taken for a title without being called one
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPACT_DAY = re.compile(r"(19|20)\d{6}")


def parse_json_list(body: bytes, *, content_type: str, url: str, paths: Paths) -> ParsedFeed | Failed:
    """The entries of a JSON document, in its order; Failed when the expressions do not fit it (any more).

    An empty list is a feed without entries: an API that has nothing to say says so.
    """
    document = _document(body, content_type, url)
    if isinstance(document, Failed):
        return document
    try:
        items = jmespath.search(paths.items, document.value)
        if not isinstance(items, list):
            return _misfit(url, f"{paths.items!r} finds no list in this document")
        entries = [entry for item in items[:MAX_ITEMS] if (entry := _entry(item, url, paths)) is not None]
    except JMESPathError as exc:
        return _misfit(url, f"an expression does not fit this document: {' '.join(str(exc).split())}"[:300])
    except RecursionError:
        return Failed(url=url, reason=FetchReason.TOO_COMPLEX, detail="the JSON is nested too deeply")
    if items and not entries:
        return _misfit(url, f"none of the {len(items)} items at {paths.items!r} has a title or a link")
    too_many = f"only the first {MAX_ITEMS} of {len(items)} items were read" if len(items) > MAX_ITEMS else None
    return ParsedFeed(entries=tuple(entries), warning=too_many)


def fault_in_path(expression: str) -> str | None:
    """What is wrong with a JMESPath expression, None when it is one."""
    if len(expression) > LONGEST_EXPRESSION:
        return f"longer than {LONGEST_EXPRESSION} characters"
    try:
        jmespath.compile(expression)
    except JMESPathError as exc:
        return f"not a JMESPath expression: {' '.join(str(exc).split())}"[:200]
    return None


@dataclass(frozen=True, slots=True)
class _Json:
    value: Any


def _document(body: bytes, content_type: str, url: str) -> _Json | Failed:
    try:
        return _Json(json.loads(decode(body, content_type)[0].lstrip("\ufeff")))
    except RecursionError:
        return Failed(url=url, reason=FetchReason.TOO_COMPLEX, detail="the JSON is nested too deeply")
    except ValueError as exc:
        return Failed(url=url, reason=FetchReason.UNPARSABLE, detail=f"this is not JSON: {exc}"[:300])


def _misfit(url: str, said: str) -> Failed:
    detail = f"{said}; has the API changed? See policywatch feeds discover"
    return Failed(url=url, reason=FetchReason.NOT_A_FEED, detail=detail)


def _entry(item: Any, base: str, paths: Paths) -> ParsedEntry | None:
    link = clean.web_link(_said(item, paths.link), base)
    title = clean.plain_text(_said(item, paths.title))
    if link is None and not title:
        return None
    text = _said(item, paths.text)
    return ParsedEntry(
        guid=clean.guid(_said(item, paths.id)) or link,
        link=link,
        title=title,
        content=clean.html_text(text if "</" in text or "/>" in text else clean.escape_plain(text)),
        published=moment(jmespath.search(paths.date, item)) if paths.date else None,
    )


def _said(item: Any, expression: str) -> str:
    """What an expression finds, as text; a list of texts is joined, anything else is as good as missing."""
    found = jmespath.search(expression, item) if expression else None
    if isinstance(found, list):
        return " ".join(part for part in found if isinstance(part, str))
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    return str(found)


def moment(value: object) -> datetime | None:
    """A time as APIs write it: ISO 8601, 20260305, seconds or milliseconds since 1970, or a day in words."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    written = str(value).strip()
    if _COMPACT_DAY.fullmatch(written):
        return clean.from_iso(f"{written[:4]}-{written[4:6]}-{written[6:]}")
    if re.fullmatch(r"\d{9,13}(\.\d+)?", written, re.ASCII):
        seconds = float(written)
        return clean.from_iso(datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC).isoformat())
    return clean.from_iso(written) or clean.day_in(written)


# --- what a document suggests ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonProposal:
    """Expressions that find a list in the document, with what they find first."""

    paths: Paths
    items: int
    titles: tuple[str, ...]


_NAMES = {
    "title": ("title", "headline", "subject", "name", "heading"),
    "link": ("html_url", "link", "url", "permalink", "href", "web_url"),
    "date": ("publication_date", "published", "pubdate", "date_published", "publishedat", "date", "created", "updated"),
    "text": ("content", "body", "text", "abstract", "summary", "description", "excerpt", "lead"),
    "id": ("id", "guid", "uuid", "document_number", "number", "slug"),
}
"""Names that fields go by, the surest first; a field that is called otherwise is known by what it holds."""


def propose_paths(body: bytes, *, content_type: str, url: str, most: int = 3) -> tuple[JsonProposal, ...]:
    """The lists of objects in a JSON document whose objects have titles, the richest first; none when it is no JSON."""
    document = _document(body, content_type, url)
    if isinstance(document, Failed):
        return ()
    found: list[JsonProposal] = []
    for expression, objects in _lists(document.value, "", 0):
        fields = _fields(objects[:_SAMPLE])
        paths = Paths(items=expression or "@", **{role: _field(role, fields, url) for role in _NAMES})
        parsed = parse_json_list(body, content_type=content_type, url=url, paths=paths)
        if paths.title and isinstance(parsed, ParsedFeed):
            titles = tuple(entry.title[:120] for entry in parsed.entries[:3])
            found.append(JsonProposal(paths=paths, items=len(parsed.entries), titles=titles))
    found.sort(key=lambda each: (-sum(bool(part) for part in _parts(each.paths)), -each.items))
    return tuple(found[:most])


def _parts(paths: Paths) -> tuple[str, ...]:
    return paths.link, paths.date, paths.text, paths.id


def _lists(value: Any, path: str, depth: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every list of objects in a document that is not itself inside of a list, with the expression that finds it."""
    if isinstance(value, list):
        objects = [each for each in value[:MAX_ITEMS] if isinstance(each, dict)]
        if len(objects) >= LEAST_ITEMS and len(objects) == len(value[:MAX_ITEMS]):
            yield path, objects
    elif isinstance(value, dict) and depth < _DEEPEST:
        for key, each in list(value.items())[:100]:
            yield from _lists(each, f"{path}.{_quoted(key)}" if path else _quoted(key), depth + 1)


def _quoted(key: str) -> str:
    """A key as JMESPath writes it: names as they are, anything else as a JSON text."""
    return key if _PLAIN_NAME.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _fields(objects: list[dict[str, Any]]) -> dict[str, list[object]]:
    """The plain values of every field by its expression, of those one level down too (`title.rendered`)."""
    fields: dict[str, list[object]] = {}
    for each in objects:
        for key, value in list(each.items())[:100]:
            inner = {"": value} if not isinstance(value, dict) else dict(list(value.items())[:20])
            for below, held in inner.items():
                if isinstance(held, str | int | float) and not isinstance(held, bool) and held != "":
                    path = _quoted(key) + (f".{_quoted(below)}" if below else "")
                    fields.setdefault(path, []).append(held)
    least = max(1, len(objects) // 2)
    return {path: values for path, values in fields.items() if len(values) >= least}


def _field(role: str, fields: dict[str, list[object]], url: str) -> str:
    """The expression of the field that plays a role; empty when none can."""
    able = [path for path, values in fields.items() if _PLAYS[role](values, url)]
    for name in _NAMES[role]:
        for path in able:
            if name in re.split(r"[^a-z_]+", path.lower()):
                return path
    loosely = (path for name in _NAMES[role] for path in able if name in path.lower().replace("_", ""))
    return next(loosely, able[0] if able and role in ("title", "link") else "")


def _texts(values: list[object]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _is_link(value: str, url: str) -> bool:
    return value.startswith(("http://", "https://", "/")) and clean.web_link(value, url) is not None


def _may_be_title(values: list[object], url: str) -> bool:
    texts = [text for text in _texts(values) if not _is_link(text, url) and moment(text) is None]
    return 2 * len(texts) > len(values) and sum(map(len, texts)) >= _HEADLINE * len(texts) and len(set(texts)) > 1


_PLAYS: dict[str, Callable[[list[object], str], bool]] = {
    "title": _may_be_title,
    "link": lambda values, url: len(links := _texts(values)) == len(values) and all(_is_link(v, url) for v in links),
    "date": lambda values, _: all(moment(value) is not None for value in values),
    "text": lambda values, url: _may_be_title(values, url),
    "id": lambda values, _: len({str(value) for value in values}) == len(values),
}
