"""Notices about feeds and channels -> what they say: which one, what happened to it, what that means. Pure; in English
only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC

from service.delivery.languages import Words
from service.delivery.letter import Letter, Part, PartKind, Run, letter_of
from service.delivery.text import phrase
from service.domain.model import ChannelNoticeKind, ChannelReport, Delivery, FeedReport, NoticeKind

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
    about = "the feeds, not about policy; policywatch feeds health tells all"
    return _letter(delivery, words, _title(delivery), map(_line, delivery.reports), about)


def _letter(delivery: Delivery, words: Words, title: str, lines: Iterable[str], about: str) -> Letter:
    whose = f"subscription {phrase(delivery.subscription, 60)} of {phrase(delivery.team, 60)}"
    foot = Part(kind=PartKind.FOOT, lines=((Run(text=f"This is about {about}. {whose}"),),))
    told = Part(kind=PartKind.LIST, lines=tuple((Run(text=line),) for line in lines))
    return letter_of(title, [told, foot], words)


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
    return _dated(report, report.name, _HAPPENED[report.kind])


def _dated(report: FeedReport | ChannelReport, name: str, what: str) -> str:
    return f"{report.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC {phrase(name, 80)} {what}: {phrase(report.detail, 300)}"


# --- about channels -------------------------------------------------------------------------------------------------

_BEFELL = {
    ChannelNoticeKind.FAILING: "accepts nothing any more",
    ChannelNoticeKind.RECOVERED: "accepts messages again",
    ChannelNoticeKind.DISABLED: "is disabled",
    ChannelNoticeKind.GIVEN_UP: "did not get a message",
    ChannelNoticeKind.DRILL_MISSED: "did not get a drill in time",
}


def channel_notice_letter(delivery: Delivery, words: Words) -> Letter:
    """A line for each report about another channel, oldest first."""
    about = "where messages go, not about policy; policywatch channels list tells all"
    return _letter(delivery, words, _channel_title(delivery), map(_channel_line, delivery.channel_reports), about)


def _channel_title(delivery: Delivery) -> str:
    first, *others = delivery.channel_reports
    if not others:
        return f"Channel notice: {phrase(first.shown, 80)} {_BEFELL[first.kind]}"
    channels = len({report.channel_id for report in delivery.channel_reports})
    return f"Channel notices: {len(others) + 1} about {channels} channel{'s' if channels > 1 else ''}"


def _channel_line(report: ChannelReport) -> str:
    return _dated(report, report.shown, _BEFELL[report.kind])
