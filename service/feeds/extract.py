"""A news page's HTML -> the text of its own story, without what stands below it. Runs in a sandbox child.

Pages carry other stories, whole ones at times; what they report is not what this page reports. So blocks that are
announced or built as "more to read" are cut before the main text is looked for, and once more in the text found.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from service.feeds import clean, furniture
from service.feeds.repair import decode

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it complains of every page without a story

MAX_PAGE = 5 * 1024 * 1024
MAX_TEXT = 256 * 1024
_ENOUGH = 60  # letters that make a short notice; ideographs and syllables count three
_LEAST = 25
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page's own story: paragraphs separated by blank lines, and when the page says it was published."""

    title: str
    text: str
    published: datetime | None = None


def extract(html: bytes, *, url: str = "", content_type: str = "") -> Page | None:
    """The story of a page, or None when there is no text worth the name. Never raises for what a page holds."""
    charset = _META_CHARSET.search(html[:4096])
    declared = f"{content_type}; charset={charset[1].decode('ascii', 'replace')}" if charset else content_type
    tree = _load(decode(html[:MAX_PAGE], declared)[0])
    if tree is None:
        return None
    story = _LinkedStory.of(tree)
    title = _title(tree, story)
    paragraphs = _own_paragraphs(_main_text(tree, url, title=story.headline), story, title)
    text = "\n\n".join(paragraphs)[:MAX_TEXT]
    if _weight(text) < _LEAST:
        return None
    return Page(title=title, text=text, published=story.published or _published(tree))


@cache
def _library() -> Any:
    """trafilatura, which is heavy and needed in the child process only.

    It is kept from its optional identifier of languages: that loads numpy, for what is not used here.
    """
    name = "py3langid"
    is_here = name in sys.modules
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None: what is imported cannot be found
    try:
        import trafilatura  # noqa: PLC0415
    finally:
        if not is_here:
            del sys.modules[name]
    return trafilatura


def _load(text: str) -> Any:
    try:
        return _library().load_html(clean.without_controls(text))
    except (ValueError, TypeError, RecursionError):
        return None


def _main_text(tree: Any, url: str, *, title: str) -> str:
    """What trafilatura finds once the page is trimmed, or trimmed less where trimming left nothing of a story."""
    best = ""
    for trim in (_trim, _trim_frame, None):
        page = deepcopy(tree)
        if trim is not None:
            trim(page, title)
        found = _trafilatura(page, url)
        if _weight(found) >= _ENOUGH:
            return found
        best = best or found
    return best


def _trafilatura(page: Any, url: str) -> str:
    try:
        # Without its metadata: the date would be guessed from any year in the text.
        document: Any = _library().bare_extraction(page, url=url or None, fast=True, include_comments=False)
    except Exception:  # what it makes of a broken page is its own affair: there is no text then
        return ""
    return str(document.text or "") if document is not None else ""


def _weight(text: str) -> int:
    return sum(3 if letter >= "\u2e80" else 1 for letter in text)


# --- trimming the page --------------------------------------------------------------------------------------------

_FRAME = "//nav|//footer|//aside|//*[@role='navigation' or @role='complementary' or @role='contentinfo']"
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_SILENT = frozenset({"head", "meta", "noscript", "script", "style", "title"})
_INLINE = frozenset({"a", "b", "span", "strong"})
_LONGEST_CHROME = 600
_LONG = 60  # letters that make a paragraph of a story, rather than a caption or a link
_KEEP = frozenset({"html", "body", "main"})


def _trim_frame(page: Any, title: str) -> None:
    """Cut what a page has around any story."""
    headline = _headline(page, title)
    for element in page.xpath(_FRAME):
        _drop(element, headline)


def _trim(page: Any, title: str) -> None:
    """Cut the frame, what is built or announced as other stories, and stories that follow in an endless scroll."""
    headline = _headline(page, title)
    for element in page.xpath(_FRAME):
        _drop(element, headline)
    beginning = _beginning(page, headline)
    for element in page.xpath("//*[@class or @id]"):
        names = f"{element.get('class') or ''} {element.get('id') or ''}"
        is_small_chrome = furniture.is_chrome(names) and _weight(_text(element)) < _LONGEST_CHROME
        if (is_small_chrome or furniture.holds_others(names)) and not _holds(element, beginning):
            _drop(element, headline)
    _cut_announced(page, headline)
    if headline is not None:
        _cut_following_stories(page, headline)
        _cut_linked_boxes(page, headline)


def _headline(page: Any, title: str) -> Any:
    """The heading of the page's own story: the one that says what the title says, else the first long h1."""
    known = [
        _letters(text)
        for text in (title, *page.xpath("//meta[@property='og:title']/@content"), *page.xpath("//title/text()"))
        if text
    ]
    best, best_score = None, 0.2
    for heading in page.iter("h1", "h2"):
        text = _letters(_text(heading))
        if len(text) < 4 or any(a.get("href") in ("/", "#") for a in heading.iter("a")):
            continue  # the site's name
        pairs = ((len(text), len(other)) for other in known if text in other or other in text)
        score = max((min(pair) / max(pair) for pair in pairs), default=0.0)
        if score > best_score:
            best, best_score = heading, score
    return best if best is not None else next((h for h in page.iter("h1") if _weight(_text(h)) >= 15), None)


def _cut_announced(page: Any, headline: Any) -> None:
    """Cut after headings such as "More to read": the block they head, or on a flat page what follows them."""
    for element, has_begun in _in_order(page, headline, *_HEADINGS, "p", "div", "dt", *_INLINE):
        is_heading = any(each.tag in _HEADINGS for each in (element, *element.iterancestors()))
        if len(element) > 3 or not furniture.announces_others(_text(element), is_heading=is_heading):
            continue
        if element is headline or not _is_in(element, page) or (element.tag in _INLINE and not _stands_alone(element)):
            continue  # cut already, or the words are part of a sentence or a link
        block = _block_headed_by(element, headline, whole=has_begun)
        if _text(block) == _text(element):
            _cut_after(block, headline, to_the_end=has_begun)
        _drop(block, headline)


def _in_order(page: Any, headline: Any, *tags: str) -> list[tuple[Any, bool]]:
    """Elements in the page's order, each with whether the story has begun before it."""
    beginning = _beginning(page, headline)
    has_begun = False
    found = []
    for element in page.iter():
        if element.tag in tags:
            found.append((element, has_begun))
        has_begun = has_begun or element is beginning
    return found


def _beginning(page: Any, headline: Any) -> Any:
    """The first element after the headline that has a paragraph's text in itself: where the story begins."""
    below = headline is None
    for element in page.iter():
        if element is headline:
            below = True
        elif below and isinstance(element.tag, str) and element.tag not in _SILENT and _has_long_text(element):
            return element
    return None


def _has_long_text(element: Any) -> bool:
    """Whether text of a paragraph's length stands in this element itself; short links and emphasis belong to it."""
    own = (element.text or "") + "".join(
        (_text(child) if child.tag in _INLINE else "") + (child.tail or "") for child in element
    )
    return _weight(" ".join(own.split())) >= _LONG and not _is_links(element)


def _stands_alone(element: Any) -> bool:
    """Whether words in a line are a heading or point to links, and do not run on as a sentence or lead somewhere."""
    line = next((a for a in element.iterancestors() if a.tag not in (*_INLINE, "em", "i", "u")), element)
    if element.tag == "a" and element.get("href"):
        return line.tag in _HEADINGS
    rest = _text(line).removeprefix(_text(element)).strip()
    return not rest or rest.startswith((":", "：")) or _text(element).endswith((":", "：")) or _is_links(line)


def _block_headed_by(element: Any, headline: Any, *, whole: bool = True) -> Any:
    """The largest element that begins with this one and does not hold the story's headline or any text before it.

    With `whole` False the story is still to come: a block that holds paragraphs is not taken for other stories'.
    """
    block = element
    while (parent := block.getparent()) is not None and parent.tag not in _KEEP:
        before = (parent.text or "") + "".join(
            _text(sibling) + (sibling.tail or "") for sibling in block.itersiblings(preceding=True)
        )
        if before.strip() or _holds(parent, headline):
            break
        if not whole and any(_has_long_text(each) for each in parent.iter() if isinstance(each.tag, str)):
            break
        block = parent
    return block


def _cut_after(block: Any, headline: Any, *, to_the_end: bool = True) -> None:
    """Cut what stands after a heading on a flat page: a list of links alone, or everything to the end."""
    after = [sibling for sibling in block.itersiblings() if sibling.tag not in _SILENT and _text(sibling)]
    links = 0
    while links < len(after) and _is_links(after[links]):
        links += 1
    goes_on = 0 < links < len(after) and after[links].tag == "p"  # a box of links in the middle of the story
    for sibling in after[:links] if goes_on or not to_the_end else after:
        _drop(sibling, headline)


def _is_links(element: Any) -> bool:
    linked = sum(len(_text(a)) for a in element.iter("a"))
    return linked > 0.6 * len(_text(element))


def _cut_following_stories(page: Any, headline: Any) -> None:
    """Cut further stories that follow the first: other `article` elements, and whatever begins with a second h1."""
    own = next((a for a in headline.iterancestors("article")), None)
    order = list(page.iter())
    later = order[order.index(headline) + 1 :]
    for element in later:
        if element.tag not in ("article", "h1") or not _is_in(element, page):
            continue
        if element.tag == "article" and own is None:
            own = element  # the headline stands above the body's article
        elif element.tag == "article":
            if element is not own and not _holds(element, headline) and any(True for _ in element.iter(*_HEADINGS)):
                _drop(element, headline)
        elif _weight(_text(element)) >= 15 and _letters(_text(element)) != _letters(_text(headline)):
            block = _block_headed_by(element, headline)
            if _text(block) == _text(element):
                _cut_after(block, headline)
            _drop(block, headline)


def _cut_linked_boxes(page: Any, headline: Any) -> None:
    """Cut boxes that begin with a heading which is a link: that is another story's title."""
    for heading, has_begun in _in_order(page, headline, "h2", "h3", "h4", "h5"):
        if not has_begun or heading is headline or not _is_in(heading, page) or not _is_linked_title(heading):
            continue
        block = _block_headed_by(heading, headline)
        if block is not heading and block.tag != "article":
            _drop(block, headline)


def _is_linked_title(heading: Any) -> bool:
    links = [a for a in (*heading.iter("a"), *heading.iterancestors("a")) if not (a.get("href") or "#").startswith("#")]
    text = _text(heading)
    return _weight(text) >= 12 and sum(len(_text(a)) for a in links) >= len(text)


def _drop(element: Any, headline: Any) -> None:
    if element.tag not in _KEEP and element.getparent() is not None and not _holds(element, headline):
        element.drop_tree()


def _holds(element: Any, other: Any) -> bool:
    return other is not None and (element is other or any(ancestor is element for ancestor in other.iterancestors()))


def _is_in(element: Any, page: Any) -> bool:
    return element is page or any(ancestor is page for ancestor in element.iterancestors())


def _text(element: Any) -> str:
    return " ".join(element.text_content().split()) if isinstance(element.tag, str) else ""


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


# --- what the page says of itself ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _LinkedStory:
    """The story as the page's JSON-LD describes it (schema.org Article), as far as it does."""

    headline: str = ""
    body: str = ""
    published: datetime | None = None

    @classmethod
    def of(cls, tree: Any) -> _LinkedStory:
        """The first article described, for a page that scrolls on describes the next ones too."""
        for script in tree.xpath("//script[@type='application/ld+json']/text()"):
            try:
                document = json.loads(script, strict=False)
            except (ValueError, RecursionError):
                continue
            for item in _objects(document, depth=6):
                kind = item.get("@type")
                if any(
                    str(name).endswith(("Article", "BlogPosting", "Report"))
                    for name in (kind if isinstance(kind, list) else [kind])
                ):
                    return cls(
                        headline=clean.plain_text(_string(item, "headline")),
                        body=_string(item, "articleBody"),
                        published=clean.from_iso(_string(item, "datePublished")),
                    )
        return cls()


def _objects(value: object, *, depth: int) -> Iterator[dict[str, object]]:
    if depth == 0:
        return
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value[:200]:
            yield from _objects(each, depth=depth - 1)


def _string(item: dict[str, object], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


_STATED = ("article:published_time", "og:published_time", "datepublished", "dc.date.issued", "pubdate", "publishdate")


def _title(tree: Any, story: _LinkedStory) -> str:
    heading = _headline(tree, story.headline)
    candidates = (
        story.headline,
        _text(heading) if heading is not None else "",
        *tree.xpath("//meta[@property='og:title']/@content"),
        *(_text(heading) for heading in tree.iter("h1")),
        *tree.xpath("//head/title/text()"),
    )
    return next((title for each in candidates if (title := clean.plain_text(each))), "")


def _published(tree: Any) -> datetime | None:
    """When the page says, in a form meant for machines, that it was published; dates in its text are not guessed at."""
    for meta in tree.iter("meta"):
        names = (meta.get(name, "").lower() for name in ("property", "itemprop", "name"))
        if any(name in _STATED for name in names) and (moment := clean.from_iso(meta.get("content", ""))) is not None:
            return moment
    stated = tree.xpath("//time[@datetime]/@datetime")
    return clean.from_iso(stated[0]) if stated else None


# --- the text -----------------------------------------------------------------------------------------------------


def _own_paragraphs(text: str, story: _LinkedStory, title: str) -> list[str]:
    """The paragraphs of the story itself. A body that the page declares decides which of them belong to it."""
    found = [" ".join(line.split()) for line in text.splitlines()]
    found = list(_until_others(line for line in found if line))
    at = next((i for i, line in enumerate(found[:5]) if _letters(line) == _letters(title)), -1)
    del found[: at + 1]  # the headline, and the site's own words above it
    declared = _declared_paragraphs(story.body)
    body = _letters("".join(declared))
    if not _is_whole(story.body, found):
        return found
    own = [line for line in found if _letters(line)[:60] in body]
    covered = sum(len(_letters(line)) for line in own)
    if covered >= (0.4 if len(declared) == 1 else 0.7) * len(body):
        return own
    return list(_until_others(declared))


def _is_whole(body: str, found: list[str]) -> bool:
    """Whether a declared body is the story and not its beginning: many sites declare the first 500 letters."""
    ends = re.search(r"[.!?。！？\"”»')）」]$", body.rstrip()) is not None and not body.rstrip().endswith("...")
    return ends and _weight(body) >= min(600, sum(map(_weight, found)) / 2)


def _declared_paragraphs(body: str) -> list[str]:
    lines = re.split(r"\n+|</p>|<br\s*/?>", body, flags=re.IGNORECASE)
    return [line for each in lines if (line := clean.plain_text(each, most=20_000))]


def _until_others(lines: Iterable[str]) -> Iterator[str]:
    """The lines up to a heading that announces other stories, without those that point to other stories."""
    for line in lines:
        bare = re.sub(r"^[-#*•\s]+", "", line)
        if furniture.announces_others(bare, is_heading=False):
            return
        if not furniture.points_elsewhere(bare):
            yield line
