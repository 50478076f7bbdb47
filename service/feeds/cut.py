"""A feed document -> its items as text, where that is certain: so that only what is new is parsed.

Certain means: one kind of item, each closed before the next begins, no comment or CDATA section across a border, and no
identity that stands twice. Anything else is None, and the document is parsed whole. The document may be broken XML: it
is cut before it is repaired, since most of it need not be.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import pairwise

from service.feeds.repair import ILLEGAL

_ITEM = re.compile(r"<(/?)((?:[\w.-]+:)?(?:item|entry))(?=[\s>/])", re.IGNORECASE)
_IDENTITY_TAG = re.compile(r"<(?:[\w.-]+:)?(?:guid|id)\b", re.IGNORECASE)
_IDENTITY = re.compile(
    r"<(?:[\w.-]+:)?(?:guid|id)\b[^<>]*>\s*(?:<!\[CDATA\[([^\]<]*)\]\]>|([^<]*))</", re.IGNORECASE
)  # never looks beyond the next tag, so that no document makes it slow
_BROKEN_NAME = re.compile(rf"</?[\w.:-]*(?:{ILLEGAL}|<!--)")  # repair may join what such a name is broken into
_ROOT = re.compile(r"<([A-Za-z_][\w.:-]*)")
_BORDERS = (("<![CDATA[", "]]>"), ("<!--", "-->"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A document in pieces: `head + "".join(items) + tail` is the document."""

    head: str
    items: tuple[str, ...]
    tail: str

    def digests(self) -> tuple[str, ...]:
        """What tells each item from every other, and from what it was before."""
        return tuple(hashlib.sha256(item.encode("utf-8", "replace")).hexdigest()[:20] for item in self.items)


def cut(document: str) -> Cut | None:
    """The document in pieces, or None when its borders are not certain."""
    starts: list[int] = []
    names: set[str] = set()
    end = -1
    for tag in _ITEM.finditer(document):
        closing = bool(tag[1])
        if closing != (len(starts) > 0 and end <= starts[-1]):
            return None  # an item in an item, or an end without a beginning
        names.add(tag[2])
        if closing:
            end = document.find(">", tag.end()) + 1
        else:
            starts.append(tag.start())
    if not starts or len(names) != 1 or end <= starts[-1]:
        return None
    bounds = [*starts, end]
    items = tuple(document[a:b] for a, b in pairwise(bounds))
    found = Cut(head=document[: starts[0]], items=items, tail=document[end:])
    return found if _is_certain(found) else None


def _is_certain(found: Cut) -> bool:
    pieces = (found.head, *found.items, found.tail)
    for opened, closed in _BORDERS:
        if any(piece.count(opened) != piece.count(closed) for piece in pieces):
            return False
    items = "".join(found.items)
    root = _ROOT.search(found.head)
    if root is None or f"</{root[1]}" in items or any(_BROKEN_NAME.search(piece) for piece in pieces):
        return False  # the document ends among its items, or its tags are not what they seem
    said = [(identity[1] or identity[2]).strip() for identity in _IDENTITY.finditer(items)]
    return len(said) == len(set(said)) == len(_IDENTITY_TAG.findall(items))
