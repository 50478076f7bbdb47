"""What is likely done, where words say who acts and about what, and none that is listed says what."""

from __future__ import annotations

import zlib
from copy import copy
from pathlib import Path

import numpy as np
import pytest

from service.config import load_sense, shipped_rules
from service.domain.concepts import Lexicon
from service.domain.developments import read
from service.domain.model import Action, Development, Entry, Invalid
from service.domain.sense import UNTAUGHT, Sense
from tests.domain.lexicon import shipped

ODD = "Bank of Russia pulls the drawbridge up on stablecoin wallets"
"""The lexicon has no word for what is done here."""


def taught(*, report: int = 120, restriction: int = 120) -> Sense:
    """Weights that know one word: "drawbridge" says that something is reported, and restricted."""
    return Sense(
        np.array([zlib.crc32(b"drawbridge")], np.uint32),
        np.array([[report, 0, restriction]], np.int8),
        np.full(3, 0.1, np.float32),
        np.zeros(3, np.float32),
        actions=("ban", "restriction"),
        version="one word",
    )


def found(title: str, sense: Sense, *, summary: str = "") -> tuple[Development, ...]:
    lexicon = copy(shipped())
    lexicon.sense = sense
    return read(Entry(id="1", title=title, summary=summary, lang="en"), lexicon).developments


def test_an_act_in_words_that_nobody_listed() -> None:
    assert found(ODD, UNTAUGHT) == ()
    (one,) = found(ODD, taught())
    assert (one.jurisdiction, one.topic, one.action) == ("RU", "stablecoin", Action.RESTRICTION)
    assert one.is_likely
    assert any("drawbridge" in e.text for e in one.evidence), "the words that say it, known or not"


@pytest.mark.parametrize(
    ("title", "why"),
    [
        ("Bank of Russia pulls up the drawbridge on visitors", "no topic of ours"),
        ("Drawbridge, a stablecoin wallet, opens for business", "nobody who acts"),
        ("Opinion: Bank of Russia pulls the drawbridge up on stablecoins", "an opinion"),
        ("Is the Bank of Russia pulling the drawbridge up on stablecoins?", "a question"),
        ("Bank of Russia has no plans to pull the drawbridge up on stablecoins", "a denial"),
        ("Stablecoin prices slump after Bank of Russia drawbridge remark", "the market"),
    ],
)
def test_nothing_is_likely_without_the_rest(title: str, why: str) -> None:
    assert found(title, taught()) == (), why


def test_words_go_before_what_is_likely() -> None:
    (one,) = found("Bank of Russia bans stablecoins and pulls the drawbridge up", taught())
    assert (one.action, one.is_likely) == (Action.BAN, False)


@pytest.mark.parametrize("weak", [{"report": 5}, {"report": -120}])
def test_what_is_hardly_likely_is_not_told(weak: dict[str, int]) -> None:
    assert found(ODD, taught(**weak)) == ()


def test_the_lexicon_is_another_one_with_other_weights() -> None:
    """What was read before is read again when the weights change."""
    assert Lexicon([]).version != Lexicon([], taught()).version


def test_shares_are_of_one_and_the_same_every_time() -> None:
    sense = load_sense(shipped_rules() / "sense.npz")
    likely = sense.weigh(["drawbridge", "stablecoin", "language en"])
    assert likely == sense.weigh(["language en", "stablecoin", "drawbridge"])
    assert sum(likely.actions.values()) == pytest.approx(1)
    assert 0 < likely.report < 1


def test_weights_must_fit_their_columns() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Sense(np.zeros(2, np.uint32), np.zeros((2, 3), np.int8), np.zeros(3, np.float32), np.zeros(3, np.float32))


@pytest.mark.parametrize("fault", ["missing", "cut", "text", "renamed"])
def test_a_file_of_weights_that_cannot_be_used_is_told(tmp_path: Path, fault: str) -> None:
    path, raw = tmp_path / "sense.npz", (shipped_rules() / "sense.npz").read_bytes()
    if fault == "renamed":
        np.savez(path, other=np.zeros(1))
    elif fault != "missing":
        path.write_bytes(raw[: len(raw) // 2] if fault == "cut" else b"drawbridge")
    with pytest.raises(Invalid) as said:
        load_sense(path)
    assert "install the package again" in said.value.problems[0].hint


def test_a_lexicon_needs_no_weights() -> None:
    assert Lexicon([]).sense is UNTAUGHT
