"""A small linear model of what reports say: how likely a text tells of an act at all, and which one.

Its weights are data, made by `python -m tests.training` from reports of our own; the same features always give the
same answer. What the features are, and what its answers may do, is in `likely`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.domain.model import Action


@dataclass(frozen=True, slots=True)
class Likely:
    """How likely an entry is to report an act at all, and if it does, each of them: shares of one."""

    report: float
    actions: dict[Action, float]


class Sense:
    """Weights of features, found by their hash (CRC-32 of UTF-8); immutable."""

    __slots__ = ("_bias", "_hashes", "_scale", "_weights", "actions", "version")

    def __init__(
        self,
        hashes: NDArray[np.uint32],
        weights: NDArray[np.int8],
        scale: NDArray[np.float32],
        bias: NDArray[np.float32],
        *,
        actions: Iterable[str] = (),
        version: str = "",
    ) -> None:
        """`hashes` ascend; a row of `weights` for each, a column for "reports", then one for each action.

        `scale` and `bias` belong to columns. A ValueError says that they do not fit together.
        """
        self.actions = tuple(map(Action, actions))
        columns = 1 + len(self.actions)
        if weights.shape != (len(hashes), columns) or scale.shape != (columns,) or bias.shape != (columns,):
            raise ValueError("weights, columns and hashes do not fit together")
        self._hashes, self._weights, self._scale, self._bias = hashes, weights, scale, bias
        self.version = version

    def weigh(self, features: Iterable[str]) -> Likely:
        """What a text with these features is likely to say."""
        asked = np.fromiter({zlib.crc32(one.encode()) for one in features}, dtype=np.uint32)
        places = np.searchsorted(self._hashes, asked)
        places[places == len(self._hashes)] = 0
        known = places[self._hashes[places] == asked] if len(self._hashes) else places[:0]
        scores = self._weights[known].sum(axis=0, dtype=np.int32) * self._scale + self._bias
        return Likely(
            report=float(1 / (1 + np.exp(-scores[0]))),
            actions=dict(zip(self.actions, _shares(scores[1:]), strict=True)),
        )


def _shares(scores: NDArray[np.float32]) -> list[float]:
    raised = np.exp(scores - scores.max()) if len(scores) else scores
    return (raised / raised.sum()).tolist()  # type: ignore[no-any-return]


UNTAUGHT = Sense(np.zeros(0, np.uint32), np.zeros((0, 1), np.int8), np.zeros(1, np.float32), np.zeros(1, np.float32))
"""It is never sure of anything."""
