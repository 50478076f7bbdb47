"""A delivery -> what it says, in parts that know no markup: who did what, the article, the words that fired, sources,
rules, alert id. Pure. How a part looks in a service is the business of `service.delivery.markup`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from enum import StrEnum

from service.delivery.evidence import Segments, marked_title, quotes
from service.delivery.languages import Words
from service.delivery.text import cut, link, phrase
from service.delivery.words import (
    acts,
    changes,
    drill_headline,
    escalated_headline,
    follows,
    headline,
    left_open,
    place,
    reported_by,
    update_headline,
)
from service.domain.digest import Group, groups
from service.domain.links import Links
from service.domain.model import Alert, Delivery, DeliveryKind, Digest, DigestItem, ItemReason, Source, Tally


class Style(StrEnum):
    PLAIN = "plain"
    STRONG = "strong"
    MARKED = "marked"  # a word that fired
    SPARE = "spare"  # left out where a letter is too long, before anything else


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
    ACTION = "action"  # what its reader can do: a link of ours, kept whole like the foot
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


def compose(alert: Alert, delivery: Delivery, words: Words, *, late: bool, links: Links | None = None) -> Letter:
    """What the delivery says to its reader; the same alert says the same. With `links`, where to decide about it."""
    said = {
        DeliveryKind.UPDATE: update_headline,
        DeliveryKind.ESCALATION: escalated_headline,
        DeliveryKind.DRILL: drill_headline,
    }
    title = said.get(delivery.kind, headline)(alert, words)
    action = _decide(alert, delivery, words, links) if links is not None else ()
    to = (delivery.subscription, delivery.team)
    return letter_of(title, _parts(alert, words, kind=delivery.kind, to=to, late=late, action=action), words)


def standing(alert: Alert, words: Words, *, subscription: str, team: str) -> Letter:
    """What the alert says as it stands now, to whoever looks for themselves: what changed since comes first."""
    kind, said = (DeliveryKind.UPDATE, update_headline) if alert.updates else (DeliveryKind.ALERT, headline)
    parts = _parts(alert, words, kind=kind, to=(subscription, team), late=False)
    return letter_of(said(alert, words), parts, words)


def digest_letter(digest: Digest, delivery: Delivery, words: Words, links: Links | None = None) -> Letter:
    """The items by jurisdiction and direction, the loudest first; counts, and what was held back, in the foot.

    With `links` each item says where to decide about it, if there is room for all of them.
    """
    decide = {item.alert_id: links.decide(delivery, item.alert_id) for item in digest.items} if links else {}
    title = words.digest.format(count=len(digest.items), subscription=phrase(delivery.subscription, 60))
    foot = Part(kind=PartKind.FOOT, lines=tuple(map(_line, _digest_foot(digest, delivery, words))))
    weeks = {tally.jurisdiction: tally for tally in digest.tallies}
    return letter_of(title, [*(_group(group, weeks, decide, words) for group in groups(digest.items)), foot], words)


def test_letter(delivery: Delivery, words: Words) -> Letter:
    """A message that says it is a test, and whose."""
    names = {"subscription": phrase(delivery.subscription, 60), "team": phrase(delivery.team, 60)}
    body = _line(words.test_body.format(**names))
    return letter_of(words.test_title, [Part(kind=PartKind.FOOT, lines=(body,))], words)


def as_repeat(letter: Letter, words: Words) -> Letter:
    """The letter with a line, where nothing is cut, that says that the reader may have it already."""
    foot = letter.parts[-1]
    return replace(letter, parts=(*letter.parts[:-1], replace(foot, lines=(*foot.lines, _line(words.sent_again)))))


def left_letter(delivery: Delivery, words: Words) -> Letter:
    """That another channel of the subscription hears no more."""
    names = {"subscription": phrase(delivery.subscription, 60), "team": phrase(delivery.team, 60)}
    body = _line(words.page_unsubscribed.format(address=phrase(delivery.left, 200), **names))
    return letter_of(words.left_title.format(**names), [Part(kind=PartKind.FOOT, lines=(body,))], words)


def letter_of(title: str, parts: Iterable[Part], words: Words) -> Letter:
    """A letter in the language of `words`."""
    before, after = words.quote.split("{text}")
    return Letter(title=title, parts=tuple(parts), lang=words.tag, quotation=(before, after))


def _decide(alert: Alert, delivery: Delivery, words: Words, links: Links) -> Iterator[Part]:
    until = f"{links.decides_until(delivery).astimezone(UTC):%Y-%m-%d %H:%M}"
    said = words.heading.format(text=words.decide_until.format(time=until))
    yield Part(kind=PartKind.ACTION, lines=((Run(text=f"{said} "), _ours(links.decide(delivery, alert.id))),))


def _parts(
    alert: Alert, words: Words, *, kind: DeliveryKind, to: tuple[str, str], late: bool, action: Iterable[Part] = ()
) -> Iterator[Part]:
    """`to` are the subscription and its team; `action` stands above the foot."""
    if kind is DeliveryKind.UPDATE and alert.updates:
        changed = tuple((Run(text=said, style=Style.STRONG),) for said in changes(alert.updates, words))
        yield Part(kind=PartKind.LIST, lines=changed)
    if kind is DeliveryKind.ESCALATION:
        yield Part(kind=PartKind.TEXT, lines=(_line(words.undecided),))
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
    yield from action
    yield Part(kind=PartKind.FOOT, lines=tuple(map(_line, _foot(alert, words, kind=kind, to=to, late=late))))


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


def _ours(url: str, style: Style = Style.PLAIN) -> Run:
    """A link of ours, shown like any other by where it leads to."""
    return Run(text=url.split("/")[2], href=url, style=style)


def _report(source: Source, words: Words) -> Line:
    title = phrase(source.title, 140) or words.no_title
    return (Run(text=f"{title}: "), *_source(source))


def _foot(alert: Alert, words: Words, *, kind: DeliveryKind, to: tuple[str, str], late: bool) -> Iterable[str]:
    if kind is DeliveryKind.DRILL:
        yield words.drill_body.format(subscription=phrase(to[0], 60), team=phrase(to[1], 60))
        return
    rules = phrase(", ".join(phrase(rule, 60) for rule in alert.rules[:8]), 300)
    rules += ", …" if len(alert.rules) > 8 else ""
    yield words.matched_by.format(rules=rules) if rules else words.matched_by_none
    yield (words.raised_late if late else words.raised).format(
        alert=alert.id,
        time=f"{alert.raised_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        subscription=phrase(to[0], 60),
        team=phrase(to[1], 60),
    )


# --- digests --------------------------------------------------------------------------------------------------------


def _group(group: Group, weeks: Mapping[str, Tally], decide: Mapping[int, str], words: Words) -> Part:
    heading = words.ungrouped
    if group.jurisdiction is not None and group.direction is not None:
        tally = weeks.get(group.jurisdiction)
        heading = words.group.format(
            place=place(group.jurisdiction, words),
            direction=words.directions[group.direction],
            week=tally.week if tally else 0,
            before=tally.week_before if tally else 0,
        )
    lines = tuple(_item(item, decide.get(item.alert_id), words) for item in group.items)
    return Part(kind=PartKind.LIST, heading=words.heading.format(text=heading), lines=lines)


def _item(item: DigestItem, decide: str | None, words: Words) -> Line:
    title = phrase(item.title, 140) or words.no_title
    act = acts(item.developments[:1], words)
    said = words.item.format(severity=words.severities[item.severity], act=act[0] if act else title)
    if item.reason is ItemReason.UNCONFIRMED:
        said = words.rumour.format(act=said)
    elif item.reason is ItemReason.UPDATED:
        detail = "; ".join(changes(item.updates, words))
        said = words.item_updated.format(act=said, detail=detail)
    at = _source(item.source) if item.source else ()
    line = (Run(text=said, style=Style.STRONG), Run(text=f" – {title}: " if act else ": "), *at)
    if decide is None:
        return line
    lead = Run(text=f" – {words.heading.format(text=words.decide)} ", style=Style.SPARE)
    return (*line, lead, _ours(decide, Style.SPARE))


def _digest_foot(digest: Digest, delivery: Delivery, words: Words) -> Iterator[str]:
    since, until = (f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" for at in (digest.since, digest.until))
    yield words.digest_total.format(count=len(digest.items), since=since, until=until)
    reasons = [item.reason for item in digest.items]
    for reason, said in (
        (ItemReason.OVER_BUDGET, words.digest_over),
        (ItemReason.UNCONFIRMED, words.digest_rumours),
    ):
        if reason in reasons:
            yield said.format(count=reasons.count(reason))
    if digest.held:
        held = ", ".join(words.held_reasons[reason].format(count=count) for reason, count in digest.held)
        yield words.held.format(held=held)
    yield words.digest_foot.format(subscription=phrase(delivery.subscription, 60), team=phrase(delivery.team, 60))


# --- cutting --------------------------------------------------------------------------------------------------------


_KEPT = (PartKind.ACTION, PartKind.FOOT)


def bare(letter: Letter) -> Letter:
    """The letter without what is spare in it."""
    return replace(
        letter,
        parts=tuple(
            replace(
                part, lines=tuple(tuple(run for run in line if run.style is not Style.SPARE) for line in part.lines)
            )
            for part in letter.parts
        ),
    )


def length(letter: Letter) -> int:
    """Characters of everything that may be cut."""
    cuttable = (part for part in letter.parts if part.kind not in _KEPT)
    return sum(len(run.text) for part in cuttable for line in part.lines for run in line)


def shortened(letter: Letter, keep: int) -> Letter:
    """The letter with its first `keep` characters, cut at a word, its action and foot; a link stays whole or goes."""
    parts: list[Part] = []
    for part in (one for one in letter.parts if one.kind not in _KEPT):
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
    return replace(letter, parts=(*parts, *(part for part in letter.parts if part.kind in _KEPT)))


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
