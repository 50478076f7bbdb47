"""Alerts as lists show them, rendered once: most of what a list answers was answered a moment ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from service.domain.model import Alert
from service.storage.alerts import Version

_MOST = 10_000
_GOOD_FOR = timedelta(minutes=1)
"""A feed's name may change without any change of the alerts that it is shown in."""


_Key = tuple[int, int | None]


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
        self._cards: OrderedDict[_Key, _Card] = OrderedDict()
        self._lock = Lock()

    def of(
        self, versions: Sequence[Version], read: Callable[[Collection[int], int | None], Iterable[Alert]]
    ) -> list[bytes]:
        """The cards of these alerts, in order; `read` gives those that must be rendered, as a team sees them."""
        now = self._now()
        with self._lock:
            found = {_key(one): card.text for one in versions if (card := self._fresh(one, now))}
        missing = {_key(one): one.changes for one in versions if _key(one) not in found}
        made: dict[_Key, bytes] = {}
        for team_id in {team_id for _, team_id in missing}:
            numbers = [number for number, team in missing if team == team_id]
            made |= {(alert.id, team_id): self._render(alert) for alert in read(numbers, team_id)}
        with self._lock:
            for key, text in made.items():
                self._cards[key] = _Card(missing[key], now, text)
                self._cards.move_to_end(key)
            while len(self._cards) > _MOST:
                self._cards.popitem(last=False)
        texts = found | made
        return [texts[_key(one)] for one in versions if _key(one) in texts]

    def _fresh(self, one: Version, now: datetime) -> _Card | None:
        card = self._cards.get(_key(one))
        if card is None or card.version != one.changes or not timedelta() <= now - card.at < _GOOD_FOR:
            return None
        self._cards.move_to_end(_key(one))
        return card


def _key(one: Version) -> _Key:
    return (one.number, one.team_id)
