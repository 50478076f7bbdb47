"""Which of the hits that claim the same words stand, against the rule as a sentence would say it."""

from hypothesis import given
from hypothesis import strategies as st

from service.domain.rivals import Claim, Hit, settle

CLAIMS = [Claim(concept, concept // 2, is_trap) for concept in range(4) for is_trap in (False, True)]


@st.composite
def hits(draw: st.DrawFn) -> Hit:
    cuts = sorted(draw(st.lists(st.integers(0, 80), min_size=2, max_size=6, unique=True)))
    parts = tuple(zip(cuts[::2], cuts[1::2], strict=False))
    return parts[0][0], -parts[-1][1], draw(st.integers(0, len(CLAIMS) - 1)), parts if len(parts) > 1 else ()


def stretches(hit: Hit) -> tuple[tuple[int, int], ...]:
    return hit[3] or ((hit[0], -hit[1]),)


def weight(hit: Hit) -> int:
    return sum(end - start for start, end in stretches(hit))


def plainly(found: list[Hit]) -> list[Hit]:
    traps = [(CLAIMS[n].concept, start, -back) for start, back, n, _ in found if CLAIMS[n].is_trap]
    stand: list[Hit] = []
    for hit in sorted(set(found), key=lambda hit: (-weight(hit), hit)):
        start, back, number, _ = hit
        concept, kind, is_trap = CLAIMS[number]
        trapped = any(c == concept and s <= start and -back <= e for c, s, e in traps)
        longer = [s for other in stand for s in stretches(other) if CLAIMS[other[2]].kind == kind
                  and weight(other) > weight(hit)]  # fmt: skip
        covered = all(any(s <= a and b <= e for s, e in longer) for a, b in stretches(hit))
        if not (is_trap or trapped or covered or any(s < start < e for s, e in longer)):
            stand.append(hit)
    return sorted(stand)


@given(st.lists(hits(), max_size=12))
def test_the_longest_of_each_kind_stand_and_traps_hold(found: list[Hit]) -> None:
    assert settle(found, CLAIMS) == plainly(found)


def test_hits_of_two_kinds_both_stand() -> None:
    found: list[Hit] = [(0, -5, 0, ()), (0, -9, 4, ())]
    assert settle(found, CLAIMS) == [(0, -9, 4, ()), (0, -5, 0, ())]
