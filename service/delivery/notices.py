"""Notices about feeds -> the words that go out: which feed, what happened to it, what that means. Pure."""

from __future__ import annotations

import html
from collections import Counter
from datetime import UTC

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
}


def notice_title(delivery: Delivery) -> str:
    """One line: the feed and what happened to it, or how many feeds and what happened to most of them."""
    first, *others = delivery.reports
    if not others:
        return f"Feed notice: {phrase(first.name, 80)} {_HAPPENED[first.kind]}"
    (most, times), *rest = Counter(report.kind for report in delivery.reports).most_common()
    feeds = len({report.feed_id for report in delivery.reports})
    what = f"{times} times “{_HAPPENED[most]}”" if rest else f"“{_HAPPENED[most]}”"
    return f"Feed notices: {feeds} feed{'s' if feeds > 1 else ''}, {what}"


def notice_lines(delivery: Delivery) -> list[str]:
    """A line for each report, oldest first."""
    return [_line(report) for report in delivery.reports]


def notice_footer(delivery: Delivery) -> str:
    whose = f"subscription {phrase(delivery.subscription, 60)} of {phrase(delivery.team, 60)}"
    return f"This is about the feeds, not about policy; policywatch feeds health tells all. {whose}"


def notice_html(delivery: Delivery) -> str:
    """The content of a mail."""
    items = "".join(f"<li>{html.escape(line)}</li>" for line in notice_lines(delivery))
    return f"<ul>{items}</ul><p><small>{html.escape(notice_footer(delivery))}</small></p>"


def _line(report: FeedReport) -> str:
    when = f"{report.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"{when} {phrase(report.name, 80)} {_HAPPENED[report.kind]}: {phrase(report.detail, 300)}"
