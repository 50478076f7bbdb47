"""Notices about feeds and channels -> what they say: which one, what happened to it, what that means. Pure; in English
only.
"""

from __future__ import annotations

from collections import Counter
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
    lines = tuple((Run(text=_channel_line(report)),) for report in delivery.channel_reports)
    whose = f"subscription {phrase(delivery.subscription, 60)} of {phrase(delivery.team, 60)}"
    about = f"This is about where messages go, not about policy; policywatch channels list tells all. {whose}"
    parts = [Part(kind=PartKind.LIST, lines=lines), Part(kind=PartKind.FOOT, lines=((Run(text=about),),))]
    return letter_of(_channel_title(delivery), parts, words)


def _channel_title(delivery: Delivery) -> str:
    first, *others = delivery.channel_reports
    if not others:
        return f"Channel notice: {phrase(first.shown, 80)} {_BEFELL[first.kind]}"
    channels = len({report.channel_id for report in delivery.channel_reports})
    return f"Channel notices: {len(others) + 1} about {channels} channel{'s' if channels > 1 else ''}"


def _channel_line(report: ChannelReport) -> str:
    when = f"{report.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"{when} {phrase(report.shown, 80)} {_BEFELL[report.kind]}: {phrase(report.detail, 300)}"
