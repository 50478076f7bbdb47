"""Who hears that a feed is in trouble, silent, moved or has a gap: decisions only."""

from __future__ import annotations

from service.domain.model import NoticeKind, Notices, Watch

_GAPS = frozenset({NoticeKind.GAP, NoticeKind.GAP_CLOSED})


def hears(wish: Notices, watch: Watch, kind: NoticeKind, jurisdiction: str | None) -> bool:
    """Whether a subscription is told of a notice about a feed that carries news of `jurisdiction` (None: of any).

    Who watches a group of jurisdictions hears of all feeds: a group's members change, and a gap must not be missed.
    A gap concerns everybody who may have missed something by it; the rest concerns whoever looks after the feeds.
    """
    elsewhere = jurisdiction is not None and jurisdiction not in watch.jurisdictions
    if watch.jurisdictions and not watch.groups and elsewhere:
        return False
    match wish:
        case Notices.OFF:
            return False
        case Notices.GAPS:
            return kind in _GAPS
        case Notices.ALL | Notices.ONLY:
            return True
