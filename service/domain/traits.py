"""What a text names: laws, amounts, dates and names, in forms that can be compared across texts. Pure.

Laws, amounts and dates come out alike in every language; names and words can be compared within one language only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice, pairwise

from babel.dates import get_month_names

from service.domain.judge import Lexicon
from service.domain.model import Concept, ConceptKind, Entry, Reading, StoryKey, Traits
from service.domain.text import LANGUAGES, canonical_url, fold, sketch

LEAD = 1_200
"""Characters of the summary and the content that are read for traits: what follows is background more often."""

_DENIAL = Concept(ConceptKind.CUE, "denial")
STEM = 5  # "approves", "approved" and "approval" begin alike
_BODY = re.compile(r"(?!uae$|usa$|eea$)[a-z]{3,6}")  # "SEC", "CFTC"; longer names of bodies are told in many ways
_TELLING = 600  # letters below the headline that tell the news once more, before they tell what led to it
_MANY = 60  # terms of one text: more are a list
_MANY_TOLD = 120  # words of headline and lead; where signs are written without blanks, this ends before the lead does


def traits_of(entry: Entry, lang: str, places: Collection[str] = (), common: Collection[str] = ()) -> Traits:
    """What the entry names; `places` are the jurisdictions that its headline mentions.

    `common` are words that name no party whatever their capitals say: those of places, bodies and topics.
    """
    title, lead = entry.title[:LEAD], f"{entry.summary[:LEAD]}\n{entry.content[:LEAD]}"
    shouted = _is_title_case(title)
    spoken = frozenset(_names(lead))
    named = frozenset(_names(title)).difference(common)
    bodies = frozenset(name for name in common if _BODY.fullmatch(name) and name.upper() in title)
    if shouted:  # every word has a capital: it is a name if the text below writes it as one
        named = frozenset(name for name in named if name in spoken or _is_acronym(name, title))
    head = _facts(title) | {f"w:{name}" for name in named} | {f"b:{name}" for name in bodies}
    whole = head | _facts(lead) | {f"w:{name}" for name in spoken}
    return Traits(
        lang=lang,
        head=frozenset(sorted(head)[:_MANY]),
        whole=frozenset(sorted(whole)[:_MANY]),
        words=frozenset(_stems(title)),
        lead=frozenset(islice(_telling(title, f"{entry.summary}\n{entry.content}"[:_TELLING]), _MANY_TOLD)),
        places=frozenset(places),
    )


def key_of(entry: Entry, reading: Reading, lexicon: Lexicon) -> StoryKey:
    """What an entry is compared by when its story is sought."""
    title = entry.title[:LEAD]
    places: set[str] = set()
    common: set[str] = set()
    denies = False
    for concept, start, end in lexicon.mentions(title, reading.lang):
        denies = denies or concept == _DENIAL
        if concept.kind is ConceptKind.JURISDICTION:
            places.add(concept.name)
        common.update(_names(f" {title[start:end]}"))
    traits = traits_of(entry, reading.lang, places, common)
    return StoryKey(
        developments=reading.developments,
        link=canonical_url(entry.link) if entry.link else "",
        sketch=sketch(f"{entry.title}\n{entry.summary}\n{entry.content}"),
        title=entry.title,
        traits=replace(traits, denies=denies and not reading.developments),
    )


def of_kind(terms: Collection[str], kind: str) -> frozenset[str]:
    """The terms of one kind (`n`, `a`, `m`, `d`, `w`, `b`), without it."""
    return frozenset(term[2:] for term in terms if term[0] == kind)


def _facts(text: str) -> set[str]:
    return {
        *(f"n:{number}" for number in _law_numbers(text)),
        *(f"a:{amount}" for amount in _amounts(text)),
        *_dates(text),
    }


# --- words and names ----------------------------------------------------------------------------------------------

_NO_BLANKS = "\u0e01-\u0e5b\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile(f"[{_NO_BLANKS}]+")
_WORD = re.compile(f"[^\\W\\d_{_NO_BLANKS}][^\\W_{_NO_BLANKS}]*(?:['’.&-][^\\W_{_NO_BLANKS}]+)*")
_BARE = re.compile(r"(?<![\w.,:])(?!(?:19|20)\d\d(?![\d.,:]))\d[\d.,:]*\d")
_STOPS = re.compile(r"[.!?:;…\n|]\s*[\"'“«(]*$")


def _stems(text: str) -> Iterator[str]:
    """What a text is worded with: the beginnings of its longer words; pairs of signs where nothing parts the words."""
    folded = fold(text).text
    for run in _RUN.findall(folded):
        yield from (a + b for a, b in pairwise(run))
    for word in _WORD.findall(folded):
        if len(word) > 3 or any(sign > "\u0400" for sign in word):
            yield word[:STEM]


def _telling(title: str, lead: str) -> Iterator[str]:
    """The stems of headline and lead and the numbers in them, whatever they count: all but digits, years and dates."""
    days = {term[-2:].lstrip("0") for term in _dates(f"{title}\n{lead}") if term.startswith("d:")}
    for text in (title, lead):
        yield from (number for number in _BARE.findall(text) if number not in days)
        yield from (stem for stem in _stems(text) if stem not in _month_stems())


def _names(text: str) -> Iterator[str]:
    """Words with a capital where the sentence asks for none, and acronyms, folded."""
    for match in _WORD.finditer(text):
        word = match.group()
        if not word[0].isupper() or (len(word) < 3 and not word.isupper()) or len(word) < 2:
            continue
        if word.isupper() or not (match.start() == 0 or _STOPS.search(text, max(0, match.start() - 4), match.start())):
            name = fold(word).text.removesuffix("'s").replace(".", "")
            if name not in _months():
                yield name


def _is_acronym(name: str, title: str) -> bool:
    return name.upper() in title and len(name) <= 6 and not title.isupper()


def _is_title_case(title: str) -> bool:
    words = [word for word in _WORD.findall(title) if len(word) > 3]
    return len(words) > 2 and sum(word[0].isupper() for word in words) >= 0.7 * len(words)


# --- laws and cases -----------------------------------------------------------------------------------------------

_BILL = re.compile(r"\b(H\.?\s?R\.?|H\.?B\.?|S\.?B\.?|A\.?B\.?|LB|LD|HF|SF|S\.)\s?(\d{1,5})\b")
_NUMBERED = re.compile(
    r"(?:\b(?:No|Nr|Nos|Bill|Law|Act|Decree|Regulation|Directive|Circular|Resolution|Order|Rule|Ley|Lei|Decreto|Loi|"
    r"Legge|Gesetz|Verordnung|Kanun|Закон\w*|Указ\w*)\.?|[№]|\bn\.?[º°])\s*(?:\((?:EU|UE)\)\s*)?(?:No\.?|№|n\.?[º°])?\s*"
    r"(\d{1,5}(?:[./-]\d{1,5})*)(?![\d%.,])",
    re.IGNORECASE,
)
_YEARLY = re.compile(r"\b(\d{4}/\d{2,5}|\d{1,4}/20\d\d)\b")
_RUSSIAN = re.compile(r"\b(\d{1,4})-(?:ФЗ|фз)\b")
_EAST = re.compile(r"第\s?(\d{1,5})\s?[号號]|제\s?(\d{1,5})\s?호")


def _law_numbers(text: str) -> Iterator[str]:
    """The numbers by which laws, bills and orders are known: "H.R. 1234", "2023/1114", "259-ФЗ", "第12号"."""
    for prefix, number in _BILL.findall(text):
        yield re.sub(r"[.\s]", "", prefix).lower() + number
    for pattern in (_NUMBERED, _YEARLY, _RUSSIAN):
        yield from (number.replace(".", "") for number in pattern.findall(text))
    yield from (a or b for a, b in _EAST.findall(text))


# --- amounts ------------------------------------------------------------------------------------------------------

_SCALES = {
    1e3: "thousand mil mille тыс тысяч ribu nghìn ngàn bin พัน 千 천 هزار ألف",
    1e4: "万 萬 만 หมื่น",
    1e5: "lakh लाख แสน",
    1e6: "million millions m mn mln mio millionen millones millón milhão milhões milione milioni milyon juta triệu "
    "миллион миллиона миллионов млн мільйон мільйонів милн ล้าน مليون ملايين 百万 백만",
    1e7: "crore करोड़",
    1e8: "億 亿 억",
    1e9: "billion billions bn b mrd milliard milliards milliarde milliarden miliard miliardów miliardo miliardi "
    "milyar miliar tỷ миллиард миллиарда миллиардов млрд мільярд мільярдів مليار",
    1e12: "trillion trillions tn bio billón billones trilhão trilhões триллион триллиона трлн 兆 조",
}
_FACTORS = {unit: factor for factor, units in _SCALES.items() for unit in units.split()}
_PERCENT = r"%|％|per ?cent|percent|prozent|por ciento|por cento|pour cent|per cento|процент\w*|yüzde|persen|phần trăm"
_UNITS = "|".join(sorted(map(re.escape, _FACTORS), key=len, reverse=True))
_AMOUNT = re.compile(
    r"(?P<money>[$€£¥₩₽₹฿]\s?)?(?P<number>\d{1,3}(?:[,.\u00a0\u202f ']\d{3})+(?!\d)|\d+(?:[.,]\d+)?)\s?-?"
    rf"(?:(?P<percent>{_PERCENT})|(?P<unit>{_UNITS})(?![a-zа-яçğışöü]))?",
    re.IGNORECASE,
)


def _amounts(text: str) -> Iterator[str]:
    """Amounts of money and shares as numbers of three digits: "1.5 billion", "15億" and "$1,500,000,000" are one."""
    for match in _AMOUNT.finditer(text):
        number, unit = _number(match["number"]), (match["unit"] or "").lower()
        if match["percent"]:
            yield f"{number:.3g}%"
        elif unit or match["money"] or number >= 10_000:
            yield f"{number * _FACTORS.get(unit, 1):.2e}"


def _number(written: str) -> float:
    bare = re.sub(r"[\u00a0\u202f ']", "", written)
    if re.fullmatch(r"\d{1,3}(?:[,.]\d{3})+", bare):
        return float(re.sub(r"[,.]", "", bare))
    return float(re.sub(r"[,.](?=.*[,.])", "", bare).replace(",", "."))


def near(a: str, b: str) -> bool:
    """Whether two amounts may be one, told more or less exactly."""
    if a.endswith("%") or b.endswith("%"):
        return a == b
    low, high = sorted((float(a), float(b)))
    return high <= low * 1.05


# --- dates --------------------------------------------------------------------------------------------------------

_ISO = re.compile(r"\b20\d\d-(\d\d)-(\d\d)\b")
_DOTTED = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./]20\d\d\b")
_SIGNED = re.compile(r"(\d{1,2})\s?[月월](?:\s?(\d{1,2})\s?[日일])?")
_TOKEN = re.compile(r"\d+|[^\W\d_]+")
_ALSO_WORDS = frozenset({"may", "march", "mars", "mart", "mai", "mei", "maio", "marzo", "ocak", "mayo", "maj", "lip"})


def _dates(text: str) -> Iterator[str]:
    """Months (`m:03`) and days (`d:03-14`) that a text names, in any of the languages."""
    for month, day in (*_ISO.findall(text), *((m, d) for d, m in _DOTTED.findall(text)), *_SIGNED.findall(text)):
        yield from _date(int(month), int(day or 0))
    words = _TOKEN.findall(text[: 2 * LEAD])
    shouted = _is_title_case(text)
    for place, word in enumerate(words):
        month = _months().get(word.casefold())
        if month is None:
            continue
        before = words[:place][-2:]
        if before and before[-1].casefold() in ("de", "of", "di"):  # "3 de mayo"
            before = before[:-1]
        beside = [w for w in (*before[-1:], *words[place + 1 : place + 2]) if w.isdecimal()]
        sure = word.casefold() not in _ALSO_WORDS or (place > 0 and not shouted)  # "in May", and not "May 5 nations"
        if beside or (word[0].isupper() and sure):
            yield from _date(month, next((int(w) for w in beside if len(w) <= 2), 0))


def _date(month: int, day: int) -> Iterator[str]:
    if 1 <= month <= 12:
        yield f"m:{month:02}"
        if 1 <= day <= 31:
            yield f"d:{month:02}-{day:02}"


@lru_cache(maxsize=1)
def _months() -> dict[str, int]:
    found: dict[str, int] = {}
    for lang in LANGUAGES:
        for context in ("format", "stand-alone"):
            for month, name in get_month_names("wide", context, lang.replace("-", "_")).items():
                if len(name) > 2 and name.isalpha():
                    found.setdefault(name.casefold(), month)
    for month, name in get_month_names("abbreviated", "format", "en").items():
        found.setdefault(name.casefold(), month)
    return found


@lru_cache(maxsize=1)
def _month_stems() -> frozenset[str]:
    return frozenset(fold(month).text[:STEM] for month in _months())
