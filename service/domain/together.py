"""Whether terms stand together: a condition asked of one stretch of a text after another.

Each hit is taken in once and let go once, however many stretches hold it, and a condition is asked of sets of terms
as bits: so a rule of two hundred terms costs no more than the hits that the text has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby

from service.domain.condition import All, AnyOf, Condition, Has, IsNew, Not, Within
from service.domain.words import Literal

Window = tuple[str, int, int]
"""A field, and from where to where in it."""

Bits = Mapping[Has | IsNew | Literal, int]
"""A bit for each term."""

Placed = tuple[int, int, int]
"""Where a hit begins and ends, and the bit of its term."""


def asked(condition: Condition, bits: Bits) -> Callable[[int], bool]:
    """The question whether `condition` holds where just these terms do. A window within it is the one asked about."""
    return cache(_question(condition, bits))


def _question(node: Condition, bits: Bits) -> Callable[[int], bool]:
    match node:
        case All(parts):
            all_, each = _split(parts, bits)
            return lambda present: present & all_ == all_ and all(holds(present) for holds in each)
        case AnyOf(parts):
            some, either = _split(parts, bits)
            return lambda present: present & some != 0 or any(holds(present) for holds in either)
        case Not(part):
            excluded = _question(part, bits)
            return lambda present: not excluded(present)
        case Within(part):
            return _question(part, bits)
        case _:
            bit = bits[node]
            return lambda present: present & bit != 0


def _split(parts: Iterable[Condition], bits: Bits) -> tuple[int, list[Callable[[int], bool]]]:
    """Those of the parts that are terms as one set of bits, and the questions of the others."""
    terms, others = 0, []
    for part in parts:
        if isinstance(part, All | AnyOf | Not | Within):
            others.append(_question(part, bits))
        else:
            terms |= bits[part]
    return terms, others


def terms_in(windows: Iterable[Window], hits: Mapping[str, Sequence[Placed]]) -> Iterator[tuple[Window, int]]:
    """Each window with the terms that lie in it whole. Windows of a field are together, and in order at both ends."""
    for field, of_field in groupby(windows, key=lambda window: window[0]):
        yield from _swept(of_field, hits.get(field, ()))


def _swept(windows: Iterable[Window], hits: Sequence[Placed]) -> Iterator[tuple[Window, int]]:
    coming, going = sorted(hits, key=lambda hit: hit[1]), sorted(hits)
    counts: Counter[int] = Counter()
    present = came = gone = reach = 0
    for window in windows:
        _, start, end = window
        while gone < len(going) and going[gone][0] < start:
            _, stop, bit = going[gone]
            gone += 1
            if stop <= reach:  # otherwise it has never come
                counts[bit] -= 1
                present &= ~0 if counts[bit] else ~bit
        while came < len(coming) and coming[came][1] <= end:
            first, _, bit = coming[came]
            came += 1
            if first >= start:
                counts[bit] += 1
                present |= bit
        reach = max(reach, end)
        yield window, present if start < end else 0
