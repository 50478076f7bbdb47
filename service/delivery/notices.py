"""Notices about feeds -> what they say: which feed, what happened to it, what that means. Pure; in English only."""

from __future__ import annotations

from collections import Counter
from datetime import UTC

from service.delivery.languages import Words
from service.delivery.letter import Letter, Part, PartKind, Run, letter_of
from service.delivery.text import phrase
from service.domain.model import Delivery, FeedReport, NoticeKind

_HAPPENED = {
    NoticeKind.FAILING: "brings nothing any more",
    NoticeKind.LIMITED: "asks us to wait",
    NoticeKind.GONE: "is gone",
    NoticeKind.QUIET: "has fallen silent",
    NoticeKind.MOVED: "has moved",
    NoticeKind.ADDRESS_LEARNED: "has a new address",
    NoticeKind.ADDRESS_DROPPED: "has lost its new address",
    NoticeKind.GAP: "may have lost entries",
    NoticeKind.GAP_CLOSED: "was looked through for lost entries",
    NoticeKind.RECOVERED: "is well again",
    NoticeKind.PUSH_STARTED: "is pushed to us",
    NoticeKind.PUSH_LOST: "is no longer pushed to us",
}


def notice_letter(delivery: Delivery, words: Words) -> Letter:
    """A line for each report, oldest first."""
    lines = tuple((Run(text=_line(report)),) for report in delivery.reports)
    whose = f"subscription {phrase(delivery.subscription, 60)} of {phrase(delivery.team, 60)}"
    about = f"This is about the feeds, not about policy; policywatch feeds health tells all. {whose}"
    parts = [Part(kind=PartKind.LIST, lines=lines), Part(kind=PartKind.FOOT, lines=((Run(text=about),),))]
    return letter_of(_title(delivery), parts, words)


def _title(delivery: Delivery) -> str:
    """One line: the feed and what happened to it, or how many feeds and what happened to most of them."""
    first, *others = delivery.reports
    if not others:
        return f"Feed notice: {phrase(first.name, 80)} {_HAPPENED[first.kind]}"
    (most, times), *rest = Counter(report.kind for report in delivery.reports).most_common()
    feeds = len({report.feed_id for report in delivery.reports})
    what = f"{times} times “{_HAPPENED[most]}”" if rest else f"“{_HAPPENED[most]}”"
    return f"Feed notices: {feeds} feed{'s' if feeds > 1 else ''}, {what}"


def _line(report: FeedReport) -> str:
    when = f"{report.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"{when} {phrase(report.name, 80)} {_HAPPENED[report.kind]}: {phrase(report.detail, 300)}"
