"""Text as the reading floor needs it: folded for comparison, split into sentences and zones, told by language.

Everything here computes on strings and keeps offsets into the original; it knows no concept and never fetches.
"""

from __future__ import annotations

import heapq
import itertools
import re
import unicodedata
import zlib
from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from service.domain.latin import LatinLanguages
from service.domain.model import Entry

LANGUAGES = (
    "en", "zh-Hans", "zh-Hant", "ja", "ko", "ru", "es", "pt", "fr", "de", "it", "tr", "vi", "id", "ar", "th", "hi",
    "uk", "pl", "nl",
)  # fmt: skip
"""The languages that the lexicon may speak (BCP 47)."""

# --- folding ------------------------------------------------------------------------------------------------------

_ALIKE = {
    "'": "‘’‚‛′ʼ`´＇",
    '"': "“”„‟″＂",
    "-": "‐‑‒–—―−－﹣",
    " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    "·": "・‧•∙⋅･",
    "i": "ıİ",
    "е": "ёЁ",
    "ا": "أإآٱ",
    "ي": "ىی",
    "ه": "ة",
    "ك": "ک",
}
_UNIFIED = {ord(c): target for target, chars in _ALIKE.items() for c in chars}
_UNIFIED |= {c: chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F) if c not in _UNIFIED}  # full-width ASCII
_UNIFIED |= {ord("™"): " ", ord("®"): " "}
_UNIFIED |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # halves of broken pairs: no encoding holds them
_NOTHING = (
    "\u00ad\u034f\u061c\u064b-\u065f\u0640\u0670\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_NOTHING}]")
"""Characters that show nothing (soft hyphens, joiners, direction marks, Arabic vowel signs): they vanish in folding."""

_SWAPS = {chr(c): target for c, target in _UNIFIED.items()}
_SWAPPED_OR_UNEVEN = re.compile(f"[{re.escape(''.join(_SWAPS))}{_NOTHING}ß…]")
"""Characters that another one stands for in folding, and some that are not one character afterwards."""

_LONGEST_CLUSTER = 16


@dataclass(frozen=True, slots=True)
class Folded:
    """A text made comparable, and the way back: `origin(start, end)` is the stretch of the original.

    `uneven` are the stretches that did not stay one character for one, in order: where each begins and ends in `text`,
    then where it begins and ends in the original.
    """

    text: str
    uneven: tuple[tuple[int, int, int, int], ...] = ()

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span in the original text that became `text[start:end]` (start <= end)."""
        if not self.uneven:
            return start, end
        if start < end:
            return self._of(start)[0], self._of(end - 1)[1]
        at = self._of(start)[0] if start < len(self.text) else self._of(start - 1)[1] if self.text else 0
        return at, at

    def _of(self, place: int) -> tuple[int, int]:
        """The stretch of the original that became the character at `place`."""
        before = bisect_left(self.uneven, (place + 1,)) - 1
        if before < 0:
            return place, place + 1
        _, end, first, last = self.uneven[before]
        return (first, last) if place < end else (last + place - end, last + place - end + 1)


def fold(text: str) -> Folded:
    """NFKC, casefold, one form for look-alike punctuation, nothing invisible; with the way back to the original."""
    whole = _fold_in_place(text)
    return Folded(whole) if whole is not None else _fold_by_clusters(text)


def _fold_in_place(text: str) -> str | None:
    """The folded text if each character stays one character; None if offsets would move."""
    if text.isascii():
        return text.lower().replace("`", "'")
    try:
        unified = _SWAPPED_OR_UNEVEN.sub(_swap, text)
    except KeyError:
        return None
    if unified.isascii():  # all that was not, were quotation marks and dashes
        return unified.lower()
    if not unicodedata.is_normalized("NFKC", unified):
        return None
    folded = unified.casefold()
    return folded if len(folded) == len(text) else None


def _swap(match: re.Match[str]) -> str:
    return _SWAPS[match[0]]


def _fold_by_clusters(text: str) -> Folded:
    """The folded text, piece by piece: what stays one for one as a stretch, and each cluster that may not by itself."""
    pieces: list[str] = []
    uneven: list[tuple[int, int, int, int]] = []
    length = done = 0
    for match in _odd().finditer(text):
        start = match.start()
        if start < done:
            continue
        if start > done and _joins(text[start]):
            start -= 1
        end = _end_of_cluster(text, start)
        plain, folded = text[done:start].casefold(), _fold_cluster(text[start:end])
        length += len(plain)
        if len(folded) != 1 or end - start != 1:
            uneven.append((length, length + len(folded), start, end))
        pieces += (plain, folded)
        length += len(folded)
        done = end
    pieces.append(text[done:].casefold())
    return Folded("".join(pieces), tuple(uneven))


def _end_of_cluster(text: str, start: int) -> int:
    end = start + 1
    while end < len(text) and end - start < _LONGEST_CLUSTER and _joins(text[end]):
        end += 1
    return end


def _joins(char: str) -> bool:
    """Whether normalisation may join it to the character before it: a mark, or a vowel or final jamo."""
    return char > "\u02ff" and (unicodedata.combining(char) > 0 or "\u1161" <= char <= "\u11ff")


@lru_cache(maxsize=20_000)
def _fold_cluster(cluster: str) -> str:
    visible = _INVISIBLE.sub("", cluster).translate(_UNIFIED)
    return unicodedata.normalize("NFKC", visible).casefold().translate(_UNIFIED)


@lru_cache(maxsize=1)
def _odd() -> re.Pattern[str]:
    """All characters that may not fold by casefold alone: it alters them otherwise, or they join the one before.

    Worked out when a text first asks, in some milliseconds. Beyond the basic plane all count as odd.
    """
    odd = [*_SWAPS, "`"]
    for block in itertools.chain(range(0x80, 0x3400, 64), range(0xA000, 0xAC00, 64), range(0xF900, 0x10000, 64)):
        chars = "".join(map(chr, range(block, block + 64)))
        odd += [c for c in chars if _joins(c) or _fold_in_place(c) != c.casefold()]
    return re.compile(f"[{re.escape(''.join(odd))}\U00010000-\U0010ffff]")


# --- addresses ----------------------------------------------------------------------------------------------------

_TRACKING = re.compile(
    r"(utm_\w*|fbclid|gclid|dclid|gbraid|wbraid|msclkid|yclid|igshid|mc_cid|mc_eid|_hsenc|_hsmi|mkt_tok|vero_id|"
    r"oly_enc_id|oly_anon_id|cmpid|ncid|ocid|smid|partner|ref_src|ref_url|guccounter|guce_\w*|at_\w+|__twitter_impression|"
    r"spm|share_token|cid|ito|amp|outputtype)",
    re.IGNORECASE,
)
_PLAIN_ADDRESS = re.compile(r"https?://([a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)+(?:/[A-Za-z0-9._~%-]+)+)/?")
"""An address whose parts are canonical but for its scheme, when no AMP is in it: most are, and reading takes time."""

_AMP = re.compile(r"[/.]amp(?:[/.]|$)|ampproject")

_DEFAULT_PORTS = {"http": 80, "https": 443}


def masked(url: str) -> str:
    """An address as it may be shown: without its password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}").geturl()


def canonical_url(url: str) -> str:
    """One spelling per page: https, lower-case host, no default port, fragment, tracking or AMP parts; sorted query.

    What cannot be read as a web address comes back stripped of blanks and otherwise untouched.
    """
    url = url.strip()
    if (plain := _PLAIN_ADDRESS.fullmatch(url)) is not None and _AMP.search(url) is None:
        return f"https://{plain[1]}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname:
        return url
    host = parts.hostname.lower().rstrip(".")
    path = parts.path or "/"
    if host.endswith(".cdn.ampproject.org") and (inner := re.match(r"/[cv]/(?:s/)?([^/]+)(/.*)?$", path)):
        host, path = inner.group(1).lower(), inner.group(2) or "/"
    host = re.sub(r"^amp\.", "www.", host)
    path = re.sub(r"^/amp/|/amp/?$|\.amp(?=(\.html?)?$)", lambda m: "/" if m.group().startswith("/") else "", path)
    if len(path) > 1:
        path = path.rstrip("/") or "/"
    if ":" in host:
        host = f"[{host}]"
    if port is not None and port != _DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    query = sorted((k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.fullmatch(k))
    scheme = "https" if scheme == "http" and port is None else scheme
    return urlunsplit((scheme, host, path, urlencode(query, errors="replace"), ""))


# --- language -----------------------------------------------------------------------------------------------------

_KANA = re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d]")
_HANGUL = re.compile("[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_ARABIC = re.compile("[\u0600-\u06ff\u0750-\u077f]")
_DEVANAGARI = re.compile("[\u0900-\u097f]")
_THAI = re.compile("[\u0e01-\u0e5b]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_UKRAINIAN = re.compile("[іїєґІЇЄҐ]")
_NOT_UKRAINIAN = re.compile("[ыэъёЫЭЪЁ]")
_SIMPLIFIED = frozenset(
    "国们为这来时个对会说发后产业务币贷证监银关于还过进动电开无现实东车长门问间风险规则则权价货资与从众优传体让设许论诉"
    "该询财贸质质购贪责败账贵费赔赛赞转轮轻较辑边达迁运远违连迟适选递逻遗邮释钟钢钱铁链销锁错键镇闭闻际陆队阶险随隐难"
    "预领频题额颁颜飞馆马驱验惊鱼鸟鲜麦黄点热爱独环执护报担拟据损换"
)
_TRADITIONAL = frozenset(
    "國們為這來時個對會說發後產業務幣貸證監銀關於還過進動電開無現實東車長門問間風險規則權價貨資與從眾優傳體讓設許論訴"
    "該詢財貿質購貪責敗賬貴費賠賽贊轉輪輕較輯邊達遷運遠違連遲適選遞邏遺郵釋鐘鋼錢鐵鏈銷鎖錯鍵鎮閉聞際陸隊階隨隱難"
    "預領頻題額頒顏飛館馬驅驗驚魚鳥鮮麥黃點熱愛獨環執護報擔擬據損換"
)

_LATIN_LANGUAGES = ("en", "es", "pt", "fr", "de", "it", "tr", "vi", "id", "pl", "nl")


_SAMPLE = 800
"""Letters that tell the language: more make it no surer, and slower."""


def detect_language(text: str, hint: str | None = None) -> str:
    """The language of `text` as BCP 47; the hint (a feed's claim) decides only where the text itself does not."""
    sample = text[:_SAMPLE]
    hint = _known_language(hint)
    counts = {
        name: len(pattern.findall(sample))
        for name, pattern in (
            ("kana", _KANA), ("hangul", _HANGUL), ("han", _HAN), ("cyrillic", _CYRILLIC), ("arabic", _ARABIC),
            ("devanagari", _DEVANAGARI), ("thai", _THAI), ("latin", _LATIN),
        )
    }  # fmt: skip
    # A Han, kana or Hangul character says about as much as three Latin letters, and Latin names are everywhere.
    latin = counts.pop("latin") / 4
    script, most = max(counts.items(), key=lambda item: item[1])
    if most == 0 or latin > most:
        return _latin_language(sample, hint) if latin else hint or "en"
    if script in ("kana", "han") and counts["kana"] * 20 >= counts["han"]:
        return "ja"
    match script:
        case "han" if _is_japanese(sample, hint):
            return "ja"
        case "han":
            return _chinese(sample, hint)
        case "hangul":
            return "ko"
        case "cyrillic":
            return "uk" if len(_UKRAINIAN.findall(sample)) > len(_NOT_UKRAINIAN.findall(sample)) else "ru"
        case "arabic":
            return "ar"
        case "devanagari":
            return "hi"
        case _:
            return "th"


def _known_language(tag: str | None) -> str | None:
    if not tag:
        return None
    parts = tag.replace("_", "-").lower().split("-")
    if parts[0] == "zh":
        return "zh-Hant" if {"hant", "tw", "hk", "mo"} & set(parts) else "zh-Hans"
    return parts[0] if parts[0] in LANGUAGES else None


def _is_japanese(sample: str, hint: str | None) -> bool:
    """Whether Han text without kana is Japanese: headlines of public bodies often are ("金融庁、規制改正案提出")."""
    japanese = sum(_writes(c, "shift_jis") and not _writes(c, "gb2312") and not _writes(c, "big5") for c in sample)
    chinese = sum(_writes(c, "gb2312") and not _writes(c, "shift_jis") for c in sample)
    claimed = hint == "ja" or (japanese > 0 and hint is None)
    return claimed and japanese >= chinese


@lru_cache(maxsize=20_000)
def _writes(sign: str, charset: str) -> bool:
    """Whether a country writes this sign: its national character set has it."""
    try:
        sign.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _chinese(sample: str, hint: str | None) -> str:
    simplified = sum(c in _SIMPLIFIED and c not in _TRADITIONAL for c in sample)
    traditional = sum(c in _TRADITIONAL and c not in _SIMPLIFIED for c in sample)
    if simplified == traditional:
        return hint if hint in ("zh-Hans", "zh-Hant") else "zh-Hans"
    return "zh-Hans" if simplified > traditional else "zh-Hant"


def _latin_language(sample: str, hint: str | None) -> str:
    ranked = _identifier().rank(sample)
    best, score = ranked[0]
    if hint in _LATIN_LANGUAGES and best != hint:
        held = next(value for language, value in ranked if language == hint)
        if score - held < 12 or len(sample) < 25:  # log-probabilities: a short or mixed text leaves them close
            return hint
    english = next(value for language, value in ranked if language == "en")
    if best != hint and score - english < _DOUBT:  # "Malta licenses exchanges" is not French
        return "en"
    return best


_DOUBT = 5
"""Log-probability by which another language must beat English, the language of most headlines without a hint."""


@lru_cache(maxsize=1)
def _identifier() -> LatinLanguages:
    return LatinLanguages(_LATIN_LANGUAGES)


# --- HTML ---------------------------------------------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLOCKS = _words(
    "p div br li ul ol table tr td th h1 h2 h3 h4 "
    "h5 h6 blockquote section article header footer figure figcaption hr pre dl dt dd"
)
_SILENT = _words("script style noscript template iframe svg math head title nav form button select")
_VOID = _words("br hr img input meta link area base col embed source track wbr")
_MARKUP = re.compile(r"<[a-zA-Z/!?]|&[a-zA-Z#]\w*;")


_CUT_OFF = re.compile(r"<[a-zA-Z/][^<>]*\Z")


class _TextOf(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS and tag not in _VOID:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def html_to_text(html: str) -> str:
    """The readable text of an HTML fragment, paragraphs separated by blank lines; plain text passes unharmed."""
    if not _MARKUP.search(html):
        return html.strip()
    parser = _TextOf()
    parser.feed(_CUT_OFF.sub("", html))
    parser.close()
    paragraphs = (" ".join(p.split()) for p in re.split(r"\n[ \t\r]*\n\s*", "".join(parser.parts)))
    return "\n\n".join(p for p in paragraphs if p)


# --- sentences ----------------------------------------------------------------------------------------------------

_END = re.compile(
    r"[。！？｡︒]+[」』”’\"'）)】》〉］\]]*"  # East Asian: no blank follows
    r"|[.!?…؟।۔]+[\"'”’»)\]」』]*(?=\s|$)"
    r"|[!?…]+[”»」』]"
    r"|\n+"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘«])(?:[A-Z]|(?:[A-Za-z]\.)+[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|Sen|Rep|Gov|Gen|Col|Lt|Capt|Hon|Rev|Sr|Jr|St|"
    r"No|Nos|Art|Sec|para|Inc|Ltd|Corp|Co|vs|etc|approx|Jan|Feb|Mar|Apr|Aug|Sept|Sep|Oct|Nov|Dec|"
    r"Nr|Abs|bzw|Mio|Mrd|z\.B|núm|Sra|Dra|Lic|art|págs|pág|vol|млн|млрд|тыс|руб|ст|стр|им|г|гг|т\.д|т\.п|т\.е|"
    r"M|MM|Mme|Mlle|env|Sig|On|dott|Hal|Rp|yy|vb|Av|Şti|TP)\.$"
)
_LOWER_NEXT = re.compile(r"\s+[a-zа-яçğıöşüéèàáíóúñ]")


def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Spans of the sentences of `text` in any script, without surrounding blanks; a line break ends a sentence."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        if match.group().endswith(".") and _is_abbreviation(text, start, end):
            continue
        _add_trimmed(spans, text, start, end)
        start = end
    _add_trimmed(spans, text, start, len(text))
    return tuple(spans)


def _is_abbreviation(text: str, start: int, end: int) -> bool:
    window = text[max(start, end - 12) : end]
    if "\u0e00" <= text[end - 2 : end - 1] <= "\u0e7f":  # Thai ends a sentence with a blank: "ก.ล.ต."
        return True
    if _LOWER_NEXT.match(text, end):  # "approx. five", "г. в": a sentence begins with a capital
        return True
    return _ABBREVIATION.search(window) is not None


def _add_trimmed(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        spans.append((start, end))


# --- likeness -----------------------------------------------------------------------------------------------------

SKETCH_SIZE = 32
_SHINGLE_LIMIT = 20_000
_WORD = re.compile(
    "[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e01-\u0e5b]|"
    "[^\\W_\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e01-\u0e5b]+"
)


def sketch(text: str) -> tuple[int, ...]:
    """The smallest hashes of the text's word pairs (character pairs in Han, kana, Thai): at most 32, sorted.

    Equal texts have equal sketches on every machine; a text with fewer pairs has a shorter sketch.
    """
    words = _WORD.findall(fold(text[: _SHINGLE_LIMIT * 8]).text)[:_SHINGLE_LIMIT]
    if not words:
        return ()
    pairs = {f"{a} {b}" for a, b in itertools.pairwise(words)} or {words[0]}
    return tuple(heapq.nsmallest(SKETCH_SIZE, {zlib.crc32(pair.encode("utf-8", "surrogatepass")) for pair in pairs}))


def likeness(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """The estimated share of pairs that two texts have in common: 0 nothing (or nothing to compare), 1 all."""
    if not a or not b:
        return 0.0
    in_a, in_b = set(a), set(b)
    if in_a.isdisjoint(in_b):
        return 0.0
    sample = heapq.nsmallest(SKETCH_SIZE, in_a | in_b)
    return sum(h in in_a and h in in_b for h in sample) / len(sample)


# --- zones --------------------------------------------------------------------------------------------------------


class Zone(StrEnum):
    """Where a sentence stands. Title and lead say what is news; what is apart is never read."""

    TITLE = "title"
    LEAD = "lead"
    BODY = "body"
    BACKGROUND = "background"
    APART = "apart"


@dataclass(frozen=True, slots=True)
class Segment:
    """One sentence of an entry: `entry.<field>[start:end]`."""

    field: str
    start: int
    end: int
    zone: Zone


READ_LIMIT = 40_000
"""Characters of a field that are read: a news article is shorter, and what follows is comments and furniture."""

_LEAD_LIMIT = 1_500
_PARAGRAPH = re.compile(r"[^\n]+")
_OPENING_MARKS = " \t*•-–—>»#:|[("


def segments(entry: Entry, apart: Collection[str] = ()) -> tuple[Segment, ...]:
    """The sentences of an entry with their zones, in reading order.

    `apart` holds folded phrases that open what is not the article ("more to read"): a paragraph that is such a
    phrase, or begins with one as a label, and all that follows it in its field is apart. The lead is the summary, or
    the first paragraphs of the content where there is no summary of its own.
    """
    title, summary = entry.title[:READ_LIMIT], entry.summary[:READ_LIMIT]
    lone = not summary.strip() or fold(summary).text.strip() == fold(title).text.strip()
    openers = tuple(sorted(apart))
    return (
        *(Segment("title", s, e, Zone.TITLE) for s, e in sentences(title)),
        *_field_segments("summary", summary, openers, lead=True),
        *_field_segments("content", entry.content, openers, lead=lone),
    )


def _field_segments(field: str, text: str, openers: tuple[str, ...], *, lead: bool) -> Iterator[Segment]:
    text = text[:READ_LIMIT]
    away, read = False, 0
    paragraphs = list(_PARAGRAPH.finditer(text))
    for number, paragraph in enumerate(paragraphs):
        away = away or _opens_apart(paragraph.group(), openers)
        if away:
            zone = Zone.APART
        elif lead and read < _LEAD_LIMIT and (field == "summary" or number < 2):
            zone = Zone.LEAD
        else:
            zone = Zone.BODY if number * 2 < len(paragraphs) or field == "summary" else Zone.BACKGROUND
        read += len(paragraph.group())
        base = paragraph.start()
        for start, end in sentences(paragraph.group()):
            yield Segment(field, base + start, base + end, zone)


def _opens_apart(paragraph: str, openers: tuple[str, ...]) -> bool:
    line = fold(paragraph[:200]).text.strip(_OPENING_MARKS)
    for opener in _by_beginning(openers).get(line[:1], ()):
        if line.startswith(opener):
            rest = line[len(opener) :].strip()
            if not rest or rest[0] in ":>-|.…»]" or len(rest) < 30:
                return True
    return False


@lru_cache(maxsize=4)
def _by_beginning(openers: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    beginnings = itertools.groupby(sorted(openers), key=lambda opener: opener[:1])
    return {beginning: tuple(found) for beginning, found in beginnings}
