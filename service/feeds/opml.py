"""OPML 2.0 (opml.org/spec2.opml): lists of feeds in and out, folders as tags. A list is hostile input like a feed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring
from xml.parsers.expat import ExpatError, ParserCreate

from service.domain.model import FullText, Paths, Recipe, Selectors, ServiceError, Tier
from service.feeds.repair import decode

MOST_BYTES = 20 * 1024 * 1024
MOST_OUTLINES = 100_000
DEEPEST = 50
LONGEST_TAG = 200

_OURS = "urn:policywatch:opml"
"""The namespace of what a feed is to us; OPML asks for one where it has no attribute of its own."""

register_namespace("policywatch", _OURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A feed as a list names it. `tags` are its folders, an inner one written as `outer/inner`."""

    url: str
    title: str = ""
    tags: tuple[str, ...] = ()
    language: str | None = None
    jurisdiction: str | None = None
    kind: str | None = None
    tier: Tier = Tier.UNKNOWN
    full_text: FullText = FullText.AUTO
    interval: timedelta | None = None
    recipe: Recipe | None = None
    """As the list says it: whether its expressions can be used is for `recipe_faults` to tell."""


class BadList(ServiceError):
    """A document that is no usable OPML list; the message says why."""


# --- in -------------------------------------------------------------------------------------------------------------


@dataclass
class _Reading:
    """The state of one pass: open outlines, and the feeds found so far by address."""

    found: dict[str, Listed] = field(default_factory=dict)
    path: list[str | None] = field(default_factory=list)
    root: str | None = None
    outlines: int = 0


def read_opml(body: bytes) -> tuple[Listed, ...]:
    """The feeds of an OPML document, each once, with all its folders. BadList when it is none, or a trap."""
    if len(body) > MOST_BYTES:
        raise BadList(f"the list is larger than {MOST_BYTES // 1024 // 1024} MiB")
    reading = _Reading()
    text, _ = decode(body, "")
    parser = ParserCreate("utf-8", " ")  # of the encodings that a prolog may name, expat knows few
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        _open(reading, name.lower(), attributes)

    def end(name: str) -> None:
        if name.lower() == "outline":
            reading.path.pop()

    def refuse(*_: object) -> None:
        raise BadList("the list declares XML entities; no honest list does")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text.encode(), True)
    except ExpatError as exc:
        raise BadList(f"the list is not well-formed XML: {exc}") from exc
    if reading.root != "opml":
        raise BadList(f"this is not OPML but a document that begins with <{(reading.root or '?')[:40]}>")
    return tuple(reading.found.values())


def _open(reading: _Reading, name: str, attributes: Mapping[str, str]) -> None:
    reading.root = reading.root or name
    if name != "outline":
        return
    reading.outlines += 1
    if reading.outlines > MOST_OUTLINES or len(reading.path) >= DEEPEST:
        raise BadList(f"the list holds more than {MOST_OUTLINES} outlines or nests deeper than {DEEPEST}")
    said = {key.lower(): value.strip() for key, value in attributes.items()}
    title = said.get("title") or said.get("text", "")
    url = said.get("xmlurl", "")
    if not url:
        reading.path.append(title.replace("/", "∕") or None)
        return
    folder = "/".join(name for name in reading.path if name)[:LONGEST_TAG]
    reading.path.append(None)
    before = reading.found.get(url)
    tags = dict.fromkeys((*(before.tags if before else ()), *([folder] if folder else ()), *_categories(said)))
    reading.found[url] = _listed(url, title if title != url else "", tuple(tags), said)


def _categories(said: Mapping[str, str]) -> list[str]:
    """The categories that the list itself names (a comma between, a slash before: OPML 2.0)."""
    return [tag for part in said.get("category", "").split(",") if (tag := part.strip().strip("/")[:LONGEST_TAG])]


def _listed(url: str, title: str, tags: tuple[str, ...], said: Mapping[str, str]) -> Listed:
    def ours(name: str) -> str:
        return said.get(f"{_OURS} {name}", "")

    seconds = ours("interval")
    return Listed(
        url=url,
        title=title[:300],
        tags=tags,
        language=said.get("language") or None,
        jurisdiction=ours("jurisdiction") or None,
        kind=ours("kind") or None,
        tier=Tier(ours("tier")) if ours("tier") in [*Tier] else Tier.UNKNOWN,
        full_text=FullText(ours("full_text")) if ours("full_text") in [*FullText] else FullText.AUTO,
        interval=timedelta(seconds=int(seconds))
        if seconds.isascii() and seconds.isdigit() and len(seconds) < 8
        else None,
        recipe=_recipe(Selectors, "selectors", ours) or _recipe(Paths, "paths", ours),
    )


def _recipe(kind: type[Selectors] | type[Paths], group: str, ours: Callable[[str], str]) -> Recipe | None:
    """How to read a source that is no feed, from attributes such as `selectors.item`; the first field must be said."""
    first, *others = (field.name for field in fields(kind))
    written = {name: ours(f"{group}.{name}") for name in (first, *others)}
    return kind(**written) if written[first] else None


# --- out ------------------------------------------------------------------------------------------------------------


def write_opml(feeds: Iterable[Listed], *, title: str = "policywatch feeds") -> bytes:
    """An OPML 2.0 document of these feeds; one with several tags stands in each of those folders."""
    root = Element("opml", version="2.0")
    SubElement(SubElement(root, "head"), "title").text = title
    body = SubElement(root, "body")
    folders: dict[str, Element] = {}
    for feed in feeds:
        for tag in feed.tags or ("",):
            SubElement(_folder(body, folders, tag), "outline", _attributes(feed))
    indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode").encode() + b"\n"


def _folder(body: Element, folders: dict[str, Element], tag: str) -> Element:
    if not tag:
        return body
    if tag not in folders:
        outer, _, name = tag.rpartition("/")
        folders[tag] = SubElement(_folder(body, folders, outer), "outline", {"text": name, "title": name})
    return folders[tag]


def _attributes(feed: Listed) -> dict[str, str]:
    shown = {"type": "rss", "text": feed.title or feed.url, "title": feed.title or feed.url, "xmlUrl": feed.url}
    if feed.language:
        shown["language"] = feed.language
    ours = {
        "jurisdiction": feed.jurisdiction,
        "kind": feed.kind,
        "tier": feed.tier if feed.tier is not Tier.UNKNOWN else None,
        "full_text": feed.full_text if feed.full_text is not FullText.AUTO else None,
        "interval": str(round(feed.interval.total_seconds())) if feed.interval else None,
    }
    if feed.recipe is not None:
        group = "selectors" if isinstance(feed.recipe, Selectors) else "paths"
        ours |= {f"{group}.{name}": written for name, written in asdict(feed.recipe).items()}
    known = shown | {f"{{{_OURS}}}{name}": value for name, value in ours.items() if value}
    return {name: "".join(c for c in value if c.isprintable()) for name, value in known.items()}
