"""The shipped catalogue keeps its form, and a row that does not is named."""

from __future__ import annotations

from collections import Counter

import pytest

from service.domain.model import Invalid, SourceKind, Tier
from service.feeds.catalogue import COLUMNS, catalogue, read_sources

HEADER = ",".join(COLUMNS)


def test_every_row_has_the_form_of_a_source() -> None:
    sources = catalogue()
    assert len(sources) >= 215
    assert {source.tier for source in sources} == {Tier.OFFICIAL, Tier.WIRE, Tier.TRADE}
    assert Counter(source.kind for source in sources)[SourceKind.REGULATOR] >= 89
    assert all(source.spoken is None or source.spoken == source.language for source in sources)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Korea,official,regulator,ko,FSC,https://fsc.example/", "no jurisdiction"),
        ("KR,state,regulator,ko,FSC,https://fsc.example/", "no tier"),
        ("KR,official,ministry,ko,FSC,https://fsc.example/", "no kind"),
        ("KR,official,regulator,ko,,https://fsc.example/", "name is empty"),
        ("KR,official,regulator,ko,FSC,ftp://fsc.example/", "only http"),
        ("KR,official,regulator,ko,FSC,http://10.0.0.1/", "10.0.0.1"),
        ("KR,official,regulator,ko,FSC,https://u:p@fsc.example/", "user name"),
        ("KR,official,regulator,ko", "6 cells"),
        ("KR,official,regulator,ko,FSC,https://twice.example/", "twice"),
    ],
)
def test_a_faulty_row_is_named(row: str, said: str) -> None:
    twice = "KR,official,regulator,ko,FSC,https://twice.example/"
    with pytest.raises(Invalid) as caught:
        read_sources([HEADER, twice, row], name="own.csv")
    (problem,) = caught.value.problems
    assert problem.where == "own.csv:3"
    assert said in problem.what
