"""Alerts as lists show them, rendered once: most of what a list answers was answered a moment ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from service.domain.model import Alert

_MOST = 10_000
_GOOD_FOR = timedelta(minutes=1)
"""A feed's name may change without any change of the alerts that it is shown in."""


@dataclass(frozen=True, slots=True)
class _Card:
    version: int
    at: datetime
    text: bytes


class Cards:
    """For any number of threads. An alert that has changed has another version, and is rendered anew."""

    def __init__(self, render: Callable[[Alert], bytes], now: Callable[[], datetime]) -> None:
        self._render = render
        self._now = now
        self._cards: OrderedDict[int, _Card] = OrderedDict()
        self._lock = Lock()

    def of(
        self, versions: Sequence[tuple[int, int]], read: Callable[[Collection[int]], Iterable[Alert]]
    ) -> list[bytes]:
        """The cards of these alerts (id and version), in order; `read` gives those that must be rendered."""
        now = self._now()
        with self._lock:
            found = {number: card.text for number, version in versions if (card := self._fresh(number, version, now))}
        missing = {number: version for number, version in versions if number not in found}
        made = {alert.id: self._render(alert) for alert in read(list(missing))} if missing else {}
        with self._lock:
            for number, text in made.items():
                self._cards[number] = _Card(missing[number], now, text)
                self._cards.move_to_end(number)
            while len(self._cards) > _MOST:
                self._cards.popitem(last=False)
        texts = found | made
        return [texts[number] for number, _ in versions if number in texts]

    def _fresh(self, number: int, version: int, now: datetime) -> _Card | None:
        card = self._cards.get(number)
        if card is None or card.version != version or not timedelta() <= now - card.at < _GOOD_FOR:
            return None
        self._cards.move_to_end(number)
        return card
