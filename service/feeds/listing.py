"""HTML pages that list news -> a parsed feed by CSS selectors, and the selectors that a page suggests itself.

For sources without a feed. Runs in a sandbox child: a page is hostile input, and so is a selector.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from service.domain.model import Failed, FetchReason, ParsedEntry, ParsedFeed, Selectors
from service.feeds import clean
from service.feeds.repair import decode

MAX_PAGE = 5 * 1024 * 1024
MAX_ITEMS = 500
LEAST_ITEMS = 4
"""A list has at least so many items: fewer are a menu, or chance."""

_HEADLINE = 20  # letters that make a headline; ideographs and syllables count three
_CLASS = re.compile(r"[A-Za-z][\w-]*")
_DATE_CLASS = re.compile(r"date|time|publi|fecha|datum", re.IGNORECASE)


def parse_list(body: bytes, *, content_type: str, url: str, selectors: Selectors) -> ParsedFeed | Failed:
    """The entries of a list page, in its order. Failed when the selectors find none: the page may have been rebuilt."""
    tree = html_tree(body, content_type)
    if tree is None:
        return Failed(url=url, reason=FetchReason.UNPARSABLE, detail="the page cannot be read as HTML")
    entries: dict[str, ParsedEntry] = {}
    for item in tree.cssselect(selectors.item)[:MAX_ITEMS]:
        entry = _entry(item, url, selectors)
        if entry is not None and entry.link is not None:
            entries.setdefault(entry.link, entry)
    if not entries:
        detail = f"nothing on the page fits {selectors.item!r}; was it rebuilt? See policywatch feeds discover"
        return Failed(url=url, reason=FetchReason.NOT_A_FEED, detail=detail)
    title = next((_said(found) for found in tree.iter("title")), "")
    hubs = _linked(tree, "hub", url)
    topic = next(iter(_linked(tree, "self", url)), None)
    return ParsedFeed(title=clean.plain_text(title), link=url, entries=tuple(entries.values()), hubs=hubs, topic=topic)


def _linked(tree: Any, rel: str, url: str) -> tuple[str, ...]:
    """The targets of a page's link tags of this relation; only in its head, for a body may hold a stranger's tags
    (WebSub section 8.1)."""
    tags = (each for each in tree.xpath("//head/link[@href]") if rel in (each.get("rel") or "").lower().split())
    return tuple(link for each in tags if (link := clean.web_link(each.get("href"), url)) is not None)


def fault_in(selector: str) -> str | None:
    """What is wrong with a CSS selector, None when it is one."""
    from cssselect import HTMLTranslator, SelectorError  # noqa: PLC0415  (needed where pages are)

    try:
        HTMLTranslator().css_to_xpath(selector)
    except SelectorError as exc:
        return f"not a CSS selector: {exc}"[:200]
    return None


def html_tree(body: bytes, content_type: str) -> Any:
    """The page as an lxml tree, None when there is none in it."""
    import lxml.html  # heavy, and needed in the child process only  # noqa: PLC0415
    from lxml.etree import ParserError  # noqa: PLC0415

    text = clean.without_controls(decode(body[:MAX_PAGE], content_type)[0])
    try:
        return lxml.html.document_fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    except (ParserError, ValueError):
        return None


def _entry(item: Any, base: str, selectors: Selectors) -> ParsedEntry | None:
    links = item.cssselect(selectors.link) if selectors.link else _links(item)
    target = max(links, key=lambda a: len(_said(a)), default=None)
    link = clean.web_link(target.get("href") or "", base) if target is not None else None
    if link is None:
        return None
    titles = item.cssselect(selectors.title) if selectors.title else [target]
    dated = item.cssselect(selectors.date) if selectors.date else ()
    return ParsedEntry(
        guid=link,
        link=link,
        title=clean.plain_text(_said(titles[0]) if titles else _said(target)),
        published=next((when for each in dated if (when := _moment(each)) is not None), None),
    )


def _links(item: Any) -> list[Any]:
    return [item] if item.tag == "a" else list(item.iter("a"))


def _said(element: Any) -> str:
    return " ".join(element.text_content().split())


def _moment(element: Any) -> datetime | None:
    """A date by its `datetime` attribute or its words; the day of a local date is taken as it stands."""
    written = element.get("datetime")
    if written and (when := clean.from_iso(written.strip())) is not None:
        return when
    return clean.day_in(_said(element))


# --- what a page suggests -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Selectors that find a list on the page, with what they find first."""

    selectors: Selectors
    items: int
    titles: tuple[str, ...]


def propose(body: bytes, *, content_type: str, url: str, most: int = 3) -> tuple[Proposal, ...]:
    """The lists of headlines on a page, the most likely first: like elements below one parent, each with its own link
    to the same site and a text as long as a headline."""
    tree = html_tree(body, content_type)
    if tree is None:
        return ()
    found: dict[str, tuple[float, Proposal]] = {}
    for parent, kind, items in _repeated(tree):
        selectors = Selectors(item=f"{_path_to(parent)} > {kind}", date=_date_selector(items))
        parsed = parse_list(body, content_type=content_type, url=url, selectors=selectors)
        if isinstance(parsed, Failed):
            continue
        fit = [entry for entry in parsed.entries if _is_headline(entry, url)]
        if len(fit) < LEAST_ITEMS or len(fit) < 0.7 * len(parsed.entries):
            continue
        weight = sum(min(_weight(entry.title), 120) for entry in fit) * (1.5 if selectors.date else 1.0)
        titles = tuple(entry.title[:120] for entry in fit[:3])
        proposal = Proposal(selectors=selectors, items=len(fit), titles=titles)
        found[selectors.item] = max(found.get(selectors.item, (0.0, proposal)), (weight, proposal), key=lambda p: p[0])
    ranked = sorted(found.values(), key=lambda pair: -pair[0])
    return tuple(proposal for _, proposal in ranked[:most])


def _repeated(tree: Any) -> Iterator[tuple[Any, str, list[Any]]]:
    """Groups of like elements below one parent, as (parent, their selector, themselves)."""
    for parent in tree.iter("ul", "ol", "div", "section", "main", "tbody", "table", "dl", "article", "td"):
        kinds: dict[str, list[Any]] = defaultdict(list)
        for child in parent:
            if isinstance(child.tag, str):
                kinds[_kind(child)].append(child)
        for kind, items in kinds.items():
            if LEAST_ITEMS <= len(items) <= MAX_ITEMS and all(_links(item) for item in items[:LEAST_ITEMS]):
                yield parent, kind, items


def _kind(element: Any) -> str:
    classes = [name for name in (element.get("class") or "").split() if _CLASS.fullmatch(name)]
    return str(element.tag) + (f".{classes[0]}" if classes else "")


def _path_to(element: Any) -> str:
    """The nearest ancestor with an id, or two steps of kinds: enough to find it, and no more."""
    steps = [_kind(element)]
    for ancestor in (element, *element.iterancestors()):
        name = ancestor.get("id") or ""
        if _CLASS.fullmatch(name):
            return f"#{name}" + (f" {steps[0]}" if ancestor is not element else "")
    above = element.getparent()
    return f"{_kind(above)} > {steps[0]}" if above is not None and above.tag != "html" else steps[0]


def _date_selector(items: list[Any]) -> str:
    """What marks the dates in most of the items, if anything does."""
    marks: dict[str, int] = defaultdict(int)
    for item in items[:20]:
        kinds = {"time" if e.tag == "time" else _kind(e) for e in item.iterdescendants() if isinstance(e.tag, str)}
        for kind in kinds:
            dated = kind == "time" or _DATE_CLASS.search(kind.partition(".")[2])
            if dated and any(_moment(e) is not None for e in item.cssselect(kind)):
                marks[kind] += 1
    best = max(marks, key=lambda kind: marks[kind], default="")
    return best if best and marks[best] * 2 >= min(len(items), 20) else ""


def _is_headline(entry: ParsedEntry, base: str) -> bool:
    same_site = urlsplit(entry.link or "").hostname == urlsplit(base).hostname
    return same_site and _weight(entry.title) >= _HEADLINE


def _weight(title: str) -> int:
    return sum(3 if ord(sign) >= 0x2E80 else 1 for sign in title if sign.isalnum())
