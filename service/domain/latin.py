"""Which language a text in Latin script is in: py3langid's model and its answers, in a fifth of its memory.

The library holds every language that it knows, and the table of its automaton as it is: 41 MiB of which nine tenths
are the same few rows. Here are the languages asked for, and each part of a row once.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

_WIDTH = 16
"""Columns in a part of a row: a power of two. Wider parts repeat less, narrower ones need more places."""


class LatinLanguages:
    """Ranks `languages`, which the model must know (ValueError). Immutable, for any thread; 0.7 s to load."""

    def __init__(self, languages: Sequence[str]) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415  (heavy: loaded when needed)

        model = LanguageIdentifier.from_model_file(MODEL_FILE)
        model.set_languages(list(languages))
        if len(model.labels) < len(model.nb_classes):
            raise ValueError("a language that the model has in two scripts")
        self._names: list[str] = model.nb_classes
        self._weights: Any = model.nb_ptc
        self._bias: Any = model.nb_pc
        self._feature = array("i", model.tk_output)
        self._places, self._parts = _in_parts(model.tk_nextmove)
        self._row = array("I", (row * (256 // _WIDTH) for row in model.tk_row))

    def rank(self, text: str) -> list[tuple[str, float]]:
        """All languages, the most likely first, with their log-probabilities."""
        found = self._features(_encoded(text))
        if not found:
            return [(name, 0.0) for name in self._names]
        import numpy  # noqa: PLC0415  (heavy, and here already with the model)

        counts = numpy.fromiter(found.values(), dtype=numpy.float32, count=len(found))
        scores = numpy.log1p(counts) @ self._weights[list(found)] + self._bias
        return sorted(zip(self._names, scores.tolist(), strict=True), key=lambda item: item[1], reverse=True)

    def _features(self, text: bytes) -> Counter[int]:
        """How often each feature of the model stands in `text`."""
        places, parts, row, feature = self._places, self._parts, self._row, self._feature
        state, found = 0, []
        for letter in text:
            state = parts[places[row[state] + letter // _WIDTH] + letter % _WIDTH]
            if feature[state] >= 0:
                found.append(feature[state])
        return Counter(found)


def _in_parts(table: array[int]) -> tuple[array[int], array[int]]:
    """Where in the second each part of the first is: the parts of a table, each of them once."""
    raw, size = table.tobytes(), _WIDTH * table.itemsize
    known: dict[bytes, int] = {}
    places = array("I", (known.setdefault(raw[at : at + size], len(known) * _WIDTH) for at in range(0, len(raw), size)))
    return places, array(table.typecode, b"".join(known))


def _encoded(text: str) -> bytes:
    """As the model was trained."""
    return unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8", "surrogatepass")
