"""Untrusted text made fit to show: no control or direction characters, no mentions, no markup, cut at a word boundary.

Pure. Titles and evidence come from strangers' feeds and go to rooms full of people: what is shown must be what was
written, must ping nobody and must not pose as our own words. Escaping for a service is left to Apprise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, urlsplit, urlunsplit

MAX_LINK = 600

# Controls, soft hyphen, direction marks, overrides and isolates, zero-width characters, fillers, tags, surrogates and
# non-characters (UAX #9 section 2, UTR #36): none is needed to read a headline, all have been used to forge one.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_JOINERS = re.compile("[\u200c\u200d]{2,}")  # one joins Persian letters and emoji, a run only hides
_BLANK = re.compile(r"[\s\x85\u2028\u2029]+")
# A mention. The @ of a mail address stays, but @everyone pings a Discord server wherever it stands.
_AT = re.compile(r"(?i)@(?=(?:everyone|here|channel|room|all)\b)|(?<![a-z0-9_])@|@(?![\w-]+\.[a-z]{2})")
_ANGLE = re.compile(r"<(?=[!@#/?:a-zA-Z])")  # <!channel>, <@U1>, <#C1>, <b>, <http://…|text>, <:emoji:1>
_SCHEME = re.compile(r"(?i)\b(?!https?:)([a-z][a-z0-9+.-]{1,20}):(?=//)|\b(javascript|vbscript|data|file):(?=\S)")
_LINK_UNSAFE = re.compile(r"[\s\x00-\x20\x7f<>\"\\^`{|}]")


def visible(text: str) -> str:
    """`text` in one line without characters that a reader cannot see; blanks at its ends stay."""
    return _BLANK.sub(" ", _JOINERS.sub("\u200d", _INVISIBLE.sub("", text)))


def harmless(text: str) -> str:
    """`visible(text)` that pings nobody and holds no markup, masked link or odd scheme in any of the services."""
    text = _ANGLE.sub("‹", visible(text))
    text = _AT.sub("＠", text)
    text = text.replace("](", "] (")
    text = text.replace("=?", "= ?")  # RFC 2047: "=?utf-8?q?=0aBcc:x?=" in a subject is a new header to Python 3.11
    return _SCHEME.sub(lambda m: f"{m[1] or m[2]}: ", text)


def phrase(text: str, limit: int) -> str:
    """One harmless line of at most `limit` characters, cut at a word boundary."""
    return cut(harmless(text).strip(), limit)


def link(url: str) -> str | None:
    """`url` in ASCII if it is plain http or https with a host and no user, else None.

    An @ in the path is written as %40: chat services look for mentions in links too.
    """
    url = url.strip()
    if _LINK_UNSAFE.search(url) or _INVISIBLE.search(url):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
            return None
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError:
        return None
    if ":" in host:
        host = f"[{host}]"
    keep = "/%:;=+$,!~*'()-._?&"
    plain = urlunsplit(
        (
            parts.scheme,
            host + (f":{port}" if port else ""),
            quote(parts.path, safe=keep),
            quote(parts.query, safe=keep),
            quote(parts.fragment, safe=keep),
        )
    )
    return plain if len(plain) <= MAX_LINK else None


def cut(text: str, limit: int, measure: Callable[[str], int] = len) -> str:
    """`text`, or its beginning with … when `measure(text)` exceeds `limit`; never ends inside a link or a character."""
    if measure(text) <= limit:
        return text
    low, high = 0, min(len(text), limit)
    while low < high:  # the longest prefix that fits: every measure grows with the text
        middle = (low + high + 1) // 2
        if measure(text[:middle] + "…") <= limit:
            low = middle
        else:
            high = middle - 1
    while low and _continues(text, low):
        low -= 1
    head = text[:low]
    boundary = max(head.rfind(" "), head.rfind("\n"))
    inside_word = low < len(text) and not text[low].isspace()
    if inside_word and boundary > 0 and (len(head) - boundary <= 80 or "://" in head[boundary:]):
        head = head[:boundary]
    elif inside_word and "://" in head[boundary + 1 :]:
        head = head[: boundary + 1]
    return head.rstrip(" \n…") + "…" if limit > 0 else ""


def shorten(text: str, limit: int, measure: Callable[[str], int] = len) -> str:
    """`cut`, but the last paragraph (our footer with the alert's id) is kept whole."""
    if measure(text) <= limit:
        return text
    head, gap, tail = text.rpartition("\n\n")
    if not gap or measure(tail) > limit // 2:
        return cut(text, limit, measure)
    return cut(head, limit - measure(gap + tail), measure) + gap + tail


def _continues(text: str, at: int) -> bool:
    """Whether the character at `at` belongs to the one before it."""
    if at >= len(text):
        return False
    here, before = text[at], text[at - 1]
    return bool(unicodedata.combining(here)) or here in "\u200d\ufe0f" or before == "\u200d"
