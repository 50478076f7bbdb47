"""A delivery -> what it says, in parts that know no markup: who did what, the article, the words that fired, sources,
rules, alert id. Pure. How a part looks in a service is the business of `service.delivery.markup`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC
from enum import StrEnum

from service.delivery.evidence import Segments, marked_title, quotes
from service.delivery.languages import Words
from service.delivery.text import cut, link, phrase
from service.delivery.words import (
    acts,
    changes,
    follows,
    headline,
    left_open,
    reported_by,
    update_headline,
)
from service.domain.model import Alert, Delivery, DeliveryKind, Source


class Style(StrEnum):
    PLAIN = "plain"
    STRONG = "strong"
    MARKED = "marked"  # a word that fired


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Harmless text in one style. With `href` it is a link, and the text is the host that it leads to."""

    text: str
    style: Style = Style.PLAIN
    href: str | None = None


Line = tuple[Run, ...]


class PartKind(StrEnum):
    LEAD = "lead"  # the article's title, and where it stands
    QUOTE = "quote"
    LIST = "list"
    TEXT = "text"
    FOOT = "foot"  # rules, alert id, subscription: kept whole whatever is cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A paragraph. Of a LIST, `heading` stands above the items."""

    kind: PartKind
    lines: tuple[Line, ...]
    heading: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message before it is markup: its title of one line, and its parts, the last of which is the FOOT.

    `quotation` is what stands around a quote where nothing else shows that it is one.
    """

    title: str
    parts: tuple[Part, ...]
    lang: str
    quotation: tuple[str, str]


def compose(alert: Alert, delivery: Delivery, words: Words, *, late: bool) -> Letter:
    """What the delivery says to its reader; the same alert says the same."""
    update = delivery.kind is DeliveryKind.UPDATE
    title = update_headline(alert, words) if update else headline(alert, words)
    return letter_of(title, _parts(alert, delivery, words, late=late), words)


def test_letter(delivery: Delivery, words: Words) -> Letter:
    """A message that says it is a test, and whose."""
    names = {"subscription": phrase(delivery.subscription, 60), "team": phrase(delivery.team, 60)}
    body = _line(words.test_body.format(**names))
    return letter_of(words.test_title, [Part(kind=PartKind.FOOT, lines=(body,))], words)


def letter_of(title: str, parts: Iterable[Part], words: Words) -> Letter:
    """A letter in the language of `words`."""
    before, after = words.quote.split("{text}")
    return Letter(title=title, parts=tuple(parts), lang=words.tag, quotation=(before, after))


def _parts(alert: Alert, delivery: Delivery, words: Words, *, late: bool) -> Iterator[Part]:
    if delivery.kind is DeliveryKind.UPDATE and alert.updates:
        changed = tuple((Run(text=said, style=Style.STRONG),) for said in changes(alert, words))
        yield Part(kind=PartKind.LIST, lines=changed)
    first, *others = alert.sources or (None,)
    title = _runs(marked_title(alert)) or _line(words.no_title)
    at = _source(first) if first else ()
    yield Part(kind=PartKind.LEAD, lines=(title, at) if at else (title,))
    quoted = tuple(line for segments in quotes(alert) if (line := _runs(segments)))
    if quoted:
        yield Part(kind=PartKind.QUOTE, lines=quoted)
    told = acts(alert.developments, words)
    if len(told) > 1:
        lines = [*map(_line, told[:10]), *_more(len(told) - 10, words)]
        yield Part(kind=PartKind.LIST, heading=words.heading.format(text=words.developments), lines=tuple(lines))
    for said in (left_open(alert, words), follows(alert, words)):
        if said:
            yield Part(kind=PartKind.TEXT, lines=(_line(said),))
    if others:
        lines = [_report(source, words) for source in others[:5] if source]
        heading = words.heading.format(text=reported_by(alert, words) or words.also_reported)
        yield Part(kind=PartKind.LIST, heading=heading, lines=(*lines, *_more(len(others) - 5, words)))
    yield Part(kind=PartKind.FOOT, lines=tuple(map(_line, _foot(alert, delivery, words, late=late))))


def _line(text: str) -> Line:
    return (Run(text=text),)


def _runs(segments: Segments) -> Line:
    return tuple(Run(text=text, style=Style.MARKED if marked else Style.PLAIN) for text, marked in segments if text)


def _more(count: int, words: Words) -> list[Line]:
    return [_line(words.more.format(count=count))] if count > 0 else []


def _source(source: Source) -> Line:
    """Who published it and where, as far as that is known and fit to be shown."""
    language = f" [{phrase(source.lang, 8)}]" if source.lang and source.lang != "en" else ""
    name = phrase(source.source, 80) + language
    url = link(source.link)
    if url is None:
        return _line(name) if name else ()
    at = Run(text=url.split("/")[2], href=url)
    return (Run(text=f"{name} "), at) if name else (at,)


def _report(source: Source, words: Words) -> Line:
    title = phrase(source.title, 140) or words.no_title
    return (Run(text=f"{title}: "), *_source(source))


def _foot(alert: Alert, delivery: Delivery, words: Words, *, late: bool) -> Iterable[str]:
    rules = phrase(", ".join(phrase(rule, 60) for rule in alert.rules[:8]), 300)
    rules += ", …" if len(alert.rules) > 8 else ""
    yield words.matched_by.format(rules=rules) if rules else words.matched_by_none
    yield (words.raised_late if late else words.raised).format(
        alert=alert.id,
        time=f"{alert.raised_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        subscription=phrase(delivery.subscription, 60),
        team=phrase(delivery.team, 60),
    )


# --- cutting --------------------------------------------------------------------------------------------------------


def length(letter: Letter) -> int:
    """Characters of everything that may be cut."""
    return sum(len(run.text) for part in letter.parts[:-1] for line in part.lines for run in line)


def shortened(letter: Letter, keep: int) -> Letter:
    """The letter with its first `keep` characters, cut at a word, and its foot; a link stays whole or goes."""
    parts: list[Part] = []
    for part in letter.parts[:-1]:
        lines: list[Line] = []
        for line in part.lines:
            kept, keep = _first(line, keep)
            if kept:
                lines.append(kept)
            if keep < 0:
                break
        if lines:
            parts.append(replace(part, lines=tuple(lines)))
        if keep < 0:
            break
    return replace(letter, parts=(*parts, letter.parts[-1]))


def _first(line: Line, keep: int) -> tuple[Line, int]:
    """What of the line fits into `keep` characters, and what is left of these: -1 when something was cut."""
    kept: list[Run] = []
    for run in line:
        if len(run.text) <= keep:
            kept.append(run)
            keep -= len(run.text)
            continue
        text = "" if run.href else cut(run.text, keep)
        if len(text) > 1:
            kept.append(replace(run, text=text))
        elif kept:
            kept.append(Run(text="…"))
        return tuple(kept), -1
    return tuple(kept), keep
