"""The days that a report names and what happens on them: something takes effect, or comments are due.

A date alone says nothing: it counts where the words beside it, in the same sentence, say what it is. Dates that depend
on something else ("thirty days after publication") are not worked out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import groupby, islice

from babel.dates import get_month_names

from service.domain.model import Alert, Entry
from service.domain.text import LANGUAGES


class Meaning(StrEnum):
    """What happens on a day."""

    EFFECTIVE = "effective"
    COMMENT_BY = "comment_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDay:
    """A day, what happens on it, and the words that say so."""

    day: date
    meaning: Meaning
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedAlert(NamedDay):
    """A day that some report of an alert names."""

    alert: Alert


READ = 60_000
"""Characters of a text that are looked through."""
NEXT, NEAR = 30, 90
"""Characters between the words that say what a date is and the date: right beside them, and at most."""
PAST, FUTURE = timedelta(days=7), timedelta(days=3660)
"""A day further back from the report is history, and one further ahead a mistake."""
MOST = 10
MOST_DATES = 200  # a hostile text holds thousands
QUOTED = 300

# What says that something begins to hold, or until when comments are taken.
_EFFECTIVE = {
    "en": r"tak(?:es?|ing) effect|comes? in(?:to)? (?:force|effect)|coming into (?:force|effect)|enters? into force"
    r"|entering into force|entry into force|effective (?:date|as of|from|on)|(?:is|are|be|becomes?) effective"
    r"|in (?:force|effect) (?:from|on|as of)|(?:will|shall|to) apply (?:from|as of|on)|appl(?:y|ies) (?:from|as of)"
    r"|go(?:es)? into (?:force|effect)|took effect"
    r"|effective (?=\d|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
    "es": r"entrar[áa]n? en vigor|entran? en vigor|entrada en vigor|entr[óo] en vigor|en vigor (?:desde|a partir)"
    r"|surtir[áa]n? efecto|ser[áa]n? (?:aplicables?|efectiv[ao]s?)|vigente (?:desde|a partir)|en vigencia",
    "fr": r"entr(?:era|eront|ent|e|ée|é) en vigueur|prend(?:ra|ront)? effet|s[’']appliquer(?:a|ont)"
    r"|en vigueur (?:à compter|à partir|depuis|le)|applicables? (?:à compter|à partir|dès)",
    "de": r"in Kraft(?:treten|tritt|getreten)?|Inkrafttretens?|gilt (?:ab|seit)|gelten ab|wirksam (?:ab|zum|werden)",
    "pt": r"entra(?:r[áa]|m|r[ãa]o)? em vigor|entrada em vigor|em vigor (?:a partir|desde)",
    "it": r"entra(?:no|ta)? in vigore|entrer(?:à|anno) in vigore|in vigore (?:dal|da)",
    "ru": r"вступ(?:ает|ают|ит|ят|ил[аи]?|ление|ления) в силу|вводится в действие|введ[её]н[аыо]? в действие"
    r"|действует с|начн[уё]т действовать",
    "uk": r"набира(?:є|ють) чинності|набуд(?:е|уть) чинності|набере чинності",
    "zh": r"施行|生效|实施|實施|起执行|起執行|正式执行|开始执行",
    "ja": r"施行|発効|適用(?:開始|され|する)|から適用",
    "ko": r"시행|발효|적용",
}
_COMMENT = {
    "en": r"comments? (?:\w+ )?(?:by|until|before|are due|due|must be (?:received|submitted))|comment period"
    r"|consultation (?:\w+ )?(?:closes?|ends?|runs until|is open until|open until|deadline|period)|responses? by"
    r"|(?:submit|send|provide)\w* (?:\w+ ){0,3}(?:comments?|feedback|responses?|views|submissions)"
    r"|feedback (?:by|until|before|is due|period)|open for (?:public )?(?:comment|consultation)"
    r"|submissions? (?:by|close)|comments? deadline"
    r"|deadline for (?:\w+ ){0,3}(?:comments?|responses?|submissions?|feedback)",
    "es": r"consulta pública|comentarios (?:hasta|antes)|(?:enviar|presentar|remitir|formular) (?:\w+ ){0,3}"
    r"(?:comentarios|observaciones|alegaciones)"
    r"|plazo (?:de|para) (?:\w+ ){0,4}(?:comentarios|observaciones|alegaciones)",
    "fr": r"consultation (?:publique )?(?:\w+ ){0,4}(?:jusqu|close|ouverte|s[’']achève|prend fin|se termine)"
    r"|(?:commentaires|observations|contributions|réponses) (?:\w+ ){0,4}(?:jusqu|avant|au plus tard)"
    r"|(?:adresser|envoyer|soumettre|transmettre) (?:\w+ ){0,3}(?:commentaires|observations|contributions|réponses)",
    "de": r"Konsultation (?:\w+ ){0,3}(?:endet|läuft|bis|schließt)|Stellungnahmen?|Konsultationsfrist"
    r"|Kommentare (?:\w+ ){0,3}bis|Rückmeldungen (?:\w+ ){0,3}bis",
    "pt": r"consulta pública|contribuições (?:até|podem)|sugestões até|comentários até",
    "it": r"consultazione (?:pubblica )?|osservazioni (?:entro|fino)|commenti entro",
    "ru": r"(?:замечания|предложения|комментарии|отзывы)|общественн\w+ обсужден\w+|публичн\w+ обсужден\w+",
    "uk": r"зауваження|пропозиції|громадськ\w+ обговоренн\w+",
    "zh": r"征求意见|徵求意見|意见反馈|意見反饋|反馈意见|反饋意見"
    r"|提出意见|提出意見|提交意见|公众咨询|公眾諮詢|咨询期|諮詢期"
    r"|截止日期|公开征求|發表意見|提意见",
    "ja": r"意見(?:募集|を?提出|公募|の?締切|を求め|を募集|の受付|を受け付け)"
    r"|パブリックコメント|パブコメ|意見(?=.{0,12}まで)",
    "ko": r"의견(?:을|서를|서)? ?(?:제출|수렴|접수|청취|보내)|입법예고|행정예고|의견제출",
}
_DATE_FIRST = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""In these scripts a date stands before what happens on it."""
_BREAK = re.compile(r"[。！？；;\n]|(?<!\d)[.!?](?=\s)|(?<=\d{4})\.(?=\s+\D)")
_DAY_FIRST = frozenset({"es", "fr", "pt", "it", "vi", "id"})
_UNTIL = 15  # characters between the ends of a span of time: "from 1 March to 30 April"


def days_of(entry: Entry, lang: str) -> tuple[NamedDay, ...]:
    """The days that an entry names with what happens on them, in order; each day and meaning once."""
    found: dict[tuple[date, Meaning], NamedDay] = {}
    for text in (entry.title, entry.summary, entry.content):
        for named in _in_text(text[:READ], lang, entry.published.date() if entry.published else None):
            found.setdefault((named.day, named.meaning), named)
    return tuple(sorted(found.values(), key=lambda named: (named.day, named.meaning)))[:MOST]


def _in_text(text: str, lang: str, told: date | None) -> Iterator[NamedDay]:
    dates = _dates(text, lang, told)
    if not dates:
        return
    for first, last, beside in _clauses(text, dates):
        for meaning, cues in _cues():
            for cue in islice(cues.finditer(text, first, last), MOST):
                chosen = _beside(beside, cue.span(), meaning, text)
                if chosen is not None and _is_due(chosen.day, meaning, told):
                    yield NamedDay(day=chosen.day, meaning=meaning, text=text[first:last].strip()[:QUOTED])


def _clauses(text: str, dates: Sequence[_At]) -> Iterator[tuple[int, int, list[_At]]]:
    """The clauses that hold a date, each with its dates."""
    breaks = [match.end() for match in _BREAK.finditer(text)]
    for after, together in groupby(dates, key=lambda one: bisect_right(breaks, one.start)):
        end = breaks[after] if after < len(breaks) else len(text)
        yield breaks[after - 1] if after else 0, end, list(together)


def _is_due(day: date, meaning: Meaning, told: date | None) -> bool:
    """Whether somebody who reads the report can still prepare for the day; comments are never due before it."""
    if told is None:
        return True
    return (told if meaning is Meaning.COMMENT_BY else told - PAST) <= day <= told + FUTURE


def _beside(dates: list[_At], cue: tuple[int, int], meaning: Meaning, text: str) -> _At | None:
    """Of the dates of a clause, the one that these words speak of."""
    before = next((one for one in reversed(dates) if one.end <= cue[0]), None)
    after = next((one for one in dates if one.start >= cue[1]), None)
    back = cue[0] - before.end if before else NEAR + 1
    ahead = after.start - cue[1] if after else NEAR + 1
    if _DATE_FIRST.search(text[cue[0] : cue[1]]):
        chosen = before if back <= NEXT else after if ahead <= NEXT else None
    elif ahead <= NEXT:
        chosen = after
    else:
        chosen = before if back <= NEAR else after if ahead <= NEAR else None
    if chosen is not None and meaning is Meaning.COMMENT_BY:  # of a span of time its end
        chosen = next((one for one in dates if 0 < one.start - chosen.end <= _UNTIL), chosen)
    return chosen


# --- dates ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _At:
    """A date, and where in the text it stands."""

    start: int
    end: int
    day: date


_ERAS = {"令和": 2018, "民國": 1911, "民国": 1911}
LONGEST_DATE = 30  # what stands before or after a number in it
_NUMBER = re.compile(r"\d+")
_ISO = re.compile(r"(?<![\d-])(?P<year>20\d\d)-(?P<month>\d\d)-(?P<day>\d\d)(?![\d-])")
_DOTTED = re.compile(r"(?<![\d.])(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>20\d\d)(?!\d)")
_YEAR_FIRST = re.compile(r"(?<![\d.])(?P<year>20\d\d)\. ?(?P<month>\d{1,2})\. ?(?P<day>\d{1,2})(?!\d)")
_SLASHED = re.compile(r"(?<![\d/])(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>20\d\d)(?![\d/])")
# A month's name is looked up, not spelt out: 1 July 2026, 1 de julio de 2026, 1. Juli 2026, 1 июля 2026; July 1, 2026.
_DAY_NAMED = re.compile(
    r"(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th|er|º|°|\.)?\s+(?:de |of |di )?(?P<month>[^\s\d.,;:()]{3,20})\.?"
    r"(?:,?\s+(?:de |del )?(?P<year>\d{4})(?!\d))?"
)
_NAMED_DAY = re.compile(
    r"(?<!\w)(?P<month>[^\s\d.,;:()]{3,20})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?(?!\d)(?:,?\s+(?P<year>\d{4})(?!\d))?"
)
_SIGNED = re.compile(
    r"(?:(?P<era>令和|民國|民国)?\s?(?P<year>\d{1,4})\s?[年년]\s?)?"
    r"(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日일号號]"
)


def _dates(text: str, lang: str, told: date | None) -> list[_At]:
    """Every date of a text with day and month, in order; a year that is not written is that of the next such day."""
    patterns = [_ISO, _DOTTED, _YEAR_FIRST, _SIGNED, _DAY_NAMED, _NAMED_DAY]
    if lang in _DAY_FIRST:
        patterns.append(_SLASHED)
    found: dict[int, _At] = {}
    for start, end in _around_numbers(text):
        for pattern in patterns:
            for match in pattern.finditer(text, start, end):
                day = _day(match, told)
                if day is not None and (match.start() not in found or found[match.start()].end < match.end()):
                    found[match.start()] = _At(match.start(), match.end(), day)
        if len(found) >= MOST_DATES:
            break
    return [found[start] for start in sorted(found)]


def _around_numbers(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of a text in which a date may stand: looking for a month's name at every letter takes long."""
    begun = ended = -1
    for number in _NUMBER.finditer(text):
        if begun < 0 or number.start() - LONGEST_DATE > ended:
            if begun >= 0:
                yield begun, ended
            begun = max(0, number.start() - LONGEST_DATE)
        ended = number.end() + LONGEST_DATE
    if begun >= 0:
        yield begun, ended


def _day(match: re.Match[str], told: date | None) -> date | None:
    said = match.groupdict()
    month = int(said["month"]) if said["month"].isdecimal() else _months().get(said["month"].casefold())
    if month is None:
        return None
    if said["year"] is None:
        return _next(month, int(said["day"]), told) if told is not None else None
    year = int(said["year"]) + _ERAS.get(said.get("era") or "", 0)
    year -= 543 if year > 2400 else 0  # the Buddhist calendar
    try:
        return date(year, month, int(said["day"])) if 2000 <= year < 2100 else None
    except ValueError:  # the 31st of June
        return None


def _next(month: int, day: int, told: date) -> date | None:
    for year in (told.year, told.year + 1):
        try:
            if (found := date(year, month, day)) >= told - PAST:
                return found
        except ValueError:
            continue
    return None


@lru_cache(maxsize=1)
def _months() -> dict[str, int]:
    """The months by their names in every language, and by the short ones in English."""
    found: dict[str, int] = {}
    for lang in LANGUAGES:
        for context in ("format", "stand-alone"):
            for month, name in get_month_names("wide", context, lang.replace("-", "_")).items():
                if len(name) > 2 and not any(sign.isdigit() for sign in name):
                    found.setdefault(name.casefold(), month)
    for month, name in get_month_names("abbreviated", "format", "en").items():
        found.setdefault(name.casefold(), month)
    return found | {"sept": 9}


@lru_cache(maxsize=1)
def _cues() -> tuple[tuple[Meaning, re.Pattern[str]], ...]:
    """One pattern for each meaning: a report may quote a rule in a language other than its own."""
    pairs = ((Meaning.EFFECTIVE, _EFFECTIVE), (Meaning.COMMENT_BY, _COMMENT))
    return tuple((meaning, re.compile("|".join(table.values()), re.IGNORECASE)) for meaning, table in pairs)
