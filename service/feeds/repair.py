"""A feed document's bytes as clean XML text: decoded, bounded, without entity declarations, with its faults mended.

What comes out is safe to give to a parser that was written for honest feeds. Nothing here knows what an entry is.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from html.entities import html5
from xml.sax.saxutils import escape

MAX_FIELD = 256 * 1024
MAX_ATTRIBUTES = 2_000
MAX_DEPTH = 200
MAX_TAGS = 400_000

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
_FEED_ROOTS = frozenset({"rss", "rdf", "feed", "channel"})
_LOOK_FOR_ROOT = 64 * 1024


class TooComplex(Exception):
    """The document would cost a parser more than any feed is worth."""


# --- bytes to text ------------------------------------------------------------------------------------------------

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED = (
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_PROLOG = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)[\"']", re.IGNORECASE)
_WIDER = {  # what is declared by habit, and the superset that is meant
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
}
_OTHER_NAMES = {"mac": "mac_roman", "csmacintosh": "mac_roman", "ms-cyrl": "cp1251"}  # registered; unknown to Python
_ASCII_BYTES = ("iso2022", "hz", "utf-16", "utf-32")  # encodings whose bytes can pass for UTF-8 and are not


def decode(body: bytes, content_type: str) -> tuple[str, str | None]:
    """The text of a document, and a warning when some of it could not be read as its encoding.

    The byte order mark counts most, then what the bytes are, then what header and prolog declare. UTF-7 is not read:
    it exists to get text past filters.
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace"), None
    for start, name in _UNMARKED:
        if body.startswith(start):
            return body.decode(name, "replace"), None
    declared = _declared(body, content_type)
    if not any(name.startswith(_ASCII_BYTES) for name in declared):
        declared = ["utf-8", *declared]  # text in another encoding is hardly ever valid UTF-8, whatever is declared
    for name in declared:
        try:
            return body.decode(name), None
        except UnicodeError:
            continue
    return _decode_anyhow(body, [name for name in declared if name != "utf-8"])


def _declared(body: bytes, content_type: str) -> list[str]:
    header = _CHARSET.search(content_type)
    prolog = _PROLOG.search(body[:1024])
    named = (header[1] if header else "", prolog[1].decode("ascii", "replace") if prolog else "")
    return [known for name in named if (known := _codec(name)) is not None]


def _codec(name: str) -> str | None:
    """Python's name of a text encoding, or None for what is unknown, no text encoding, or UTF-7."""
    try:
        known = codecs.lookup(_OTHER_NAMES.get(name.lower(), name)).name
        "".encode(known)
    except (LookupError, UnicodeError, ValueError, TypeError):
        return None
    return None if known == "utf-7" else _WIDER.get(known, known)


def _decode_anyhow(body: bytes, declared: list[str]) -> tuple[str, str]:
    """Text with marks where bytes make no sense: UTF-8 with a cut character is more common than another encoding."""
    text = body.decode("utf-8", "replace")
    strange = text.count("\ufffd")
    if declared or strange * 50 > len(text) - len(text.encode("ascii", "ignore")):
        name = declared[0] if declared else "cp1252"
        text = body.decode(name, "replace")
        return text, f"not valid UTF-8; read as {name}"
    return text, f"not valid UTF-8 in {strange} places"


# --- what it is ---------------------------------------------------------------------------------------------------

_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"RIFF", "an image or sound file"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed data that the server does not declare"),
    (b"BZh", "bzip2-compressed data"),
    (b"{\\rtf", "an RTF document"),
)
_ROOT_TAG = re.compile(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)")
_ANY_FEED_ROOT = re.compile(r"<(?:rss[\s>]|rdf:RDF\s|(?:atom:)?feed\s[^<>]{0,2000}xmlns)", re.IGNORECASE)
_SKIP = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
_HTML_DOCTYPE = re.compile(r"<!DOCTYPE\s+html", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,300})", re.IGNORECASE)
_LINK_TAG = re.compile(r"<link\s[^<>]{1,1000}>", re.IGNORECASE)
_FEED_TYPE = re.compile(r"application/(?:rss|atom|feed)\+(?:xml|json)", re.IGNORECASE)
_HREF = re.compile(r"href\s*=\s*[\"']?([^\"'\s>]{1,500})", re.IGNORECASE)


def binary_kind(body: bytes) -> str | None:
    """What a body that is no text looks like, in a reader's words."""
    return next((what for magic, what in _MAGIC if body.startswith(magic)), None)


def find_root(text: str) -> tuple[int, str | None]:
    """Where the feed's root element begins, or (-1, what the text is instead)."""
    head = text[:_LOOK_FOR_ROOT]
    at = 0
    while (skipped := _SKIP.match(head, at)) is not None:
        at = skipped.end()
    root = _ROOT_TAG.match(head, at)
    name = root[1].lower() if root else ""
    if name in _FEED_ROOTS:
        return at, None
    if name in ("html", "head", "body") or _HTML_DOCTYPE.search(head[:at]):
        return -1, _describe_html(head)
    stray = _ANY_FEED_ROOT.search(head)  # a server's warning or an unusual doctype before the feed
    if stray is not None:
        return stray.start(), None
    if name == "opml":
        return -1, "an OPML list of feeds; import it instead"
    if root is None:
        return -1, "plain text" if head.strip() else "an empty document"
    if _TITLE.search(head) and "</" in head and not head.lstrip().startswith("<?xml"):
        return -1, _describe_html(head)
    return -1, f"an XML document that begins with <{name[:40]}>"


def _describe_html(head: str) -> str:
    title = _TITLE.search(head)
    what = "an HTML page" + (f" titled {' '.join(title[1].split())[:100]!r}" if title else "")
    for link in _LINK_TAG.findall(head):
        if _FEED_TYPE.search(link) and (href := _HREF.search(link)):
            return f"{what}; it offers a feed at {href[1]}"
    return what


# --- mending ------------------------------------------------------------------------------------------------------

ILLEGAL = "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]"
"""What no XML document may hold; it is left out, wherever it stands."""

_ILLEGAL = re.compile(ILLEGAL)
_OPENING = re.compile(r"<!\[CDATA\[|<!--")
_NUMERIC = re.compile(r"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?")
_REFERENCE = re.compile(r"&(?:#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?|([A-Za-z][A-Za-z0-9]*);)?")
_STRAY_LESS_THAN = re.compile(r"<(?![A-Za-z_/!?])")
_NAME = re.compile(r"/?([^\s/>]{1,100})")
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source"})


def repair(text: str) -> str:
    """A document from its root element on, as well-formed as repair by rule can make it; TooComplex if it is a trap.

    Prolog, doctype (and so every entity declaration), comments and what follows the root element are left out.
    """
    text = _ILLEGAL.sub("", _without_tail(text))
    pieces = list(_sections(text))
    check_complexity(piece for is_markup, piece in pieces if is_markup)
    mended = (
        _mend_markup(piece) if is_markup else f"<![CDATA[{mend_references(piece[:MAX_FIELD])}]]>"
        for is_markup, piece in pieces
    )
    return _DECLARATION + "".join(mended)


def check_complexity(pieces: Iterable[str]) -> None:
    """TooComplex for very many attributes in a tag, deep nesting or very many tags: parsers take too long there."""
    open_tags: list[str] = []
    tags = 0
    for piece in pieces:
        parts = piece.split("<")[1:]
        tags += len(parts)
        if tags > MAX_TAGS:
            raise TooComplex(f"there are more than {MAX_TAGS} tags")
        for part in parts:
            tag = part.partition(">")[0]
            if len(tag) > 2 * MAX_ATTRIBUTES and tag.count("=") > MAX_ATTRIBUTES:
                raise TooComplex(f"a tag has more than {MAX_ATTRIBUTES} attributes")
            _nest(open_tags, tag)
            if len(open_tags) > MAX_DEPTH:
                raise TooComplex(f"elements are nested deeper than {MAX_DEPTH} levels")


def _nest(open_tags: list[str], tag: str) -> None:
    found = _NAME.match(tag)
    if found is None or tag.startswith(("!", "?")) or tag.endswith("/"):
        return
    name = found[1].lower()
    if not tag.startswith("/"):
        if name not in _VOID:  # HTML that was not escaped is no deep nesting
            open_tags.append(name)
    elif name in open_tags:
        while open_tags.pop() != name:
            pass


def _without_tail(text: str) -> str:
    """Without what servers append after the root element: scripts, comments, a second document."""
    root = _ROOT_TAG.match(text)
    end = text.rfind(f"</{text[1 : root.end()]}") if root else -1
    close = text.find(">", end) if end > 0 else -1
    return text[: close + 1] if close > 0 else text


def _sections(text: str) -> Iterator[tuple[bool, str]]:
    """Markup and CDATA contents in order, without comments. A section that never ends runs to the end."""
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        yield True, text[at : opening.start()]
        is_cdata = opening[0] != "<!--"
        end = text.find("]]>" if is_cdata else "-->", opening.end())
        if is_cdata:
            yield False, text[opening.end() : end if end >= 0 else len(text)]
        if end < 0:
            return
        at = end + 3
    yield True, text[at:]


def mend_references(content: str) -> str:
    """The content of a CDATA section, where its numeric character references name characters that XML allows."""
    return _NUMERIC.sub(_legal_or_nothing, content)


def _mend_markup(markup: str) -> str:
    parts = _STRAY_LESS_THAN.sub("&lt;", markup).split("<")
    if max(map(len, parts)) > MAX_FIELD:
        parts = [_cut(part) for part in parts]
    return _REFERENCE.sub(_reference, "<".join(parts))


def _cut(part: str) -> str:
    """A tag and the text after it, with the text bounded."""
    tag, close, after = part.partition(">")
    if not close:
        tag, after = "", part
    if len(after) > MAX_FIELD:
        after = after[:MAX_FIELD].rsplit("&", 1)[0] if "&" in after[MAX_FIELD - 12 : MAX_FIELD] else after[:MAX_FIELD]
    return tag + close + after


def _reference(found: re.Match[str]) -> str:
    name = found[3]
    if name is None:
        return "&amp;" if found[0] == "&" else _legal_or_nothing(found)
    if name in _XML_ENTITIES:
        return found[0]
    value = html5.get(f"{name};")
    return escape(value, {'"': "&quot;"}) if value else f"&amp;{name};"


def _legal_or_nothing(found: re.Match[str]) -> str:
    """A numeric character reference, or nothing where it names no character that XML allows."""
    digits, base = (found[1], 16) if found[1] else (found[2], 10)
    digits = digits.lstrip("0")
    if not digits or len(digits) > 7:
        return ""
    code = int(digits, base)
    if code > 0x10FFFF or _ILLEGAL.match(chr(code)):
        return ""
    return f"&#{code};"
