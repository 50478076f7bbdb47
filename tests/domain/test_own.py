"""Rules that subscriptions bring along: their ids, what is wrong with them, and that a change costs little."""

from __future__ import annotations

import pytest

from service.config import RulesSettings, load_groups, load_lexicon
from service.domain.developments import read
from service.domain.groups import NO_GROUPS, Groups
from service.domain.model import Entry, Severity
from service.domain.own import FRESH, MAX_LENGTH, OwnRules, owner_of, read_own, written

NEWS = Entry(
    id="1",
    title="Kazakhstan signs law licensing crypto exchanges",
    content="Kazakhstan signed a law that licenses crypto exchanges. It also creates a national crypto reserve.",
)


@pytest.fixture(scope="module")
def lexicon():
    return load_lexicon()


@pytest.fixture(scope="module")
def groups() -> Groups:
    return load_groups(RulesSettings())[0]


def fired(rules: OwnRules, entry: Entry = NEWS) -> list[int | None]:
    return [owner_of(match.rule_id) for match in rules.match(entry, read(entry, rules.lexicon))]


def test_an_id_means_one_expression_of_one_subscription(lexicon) -> None:
    texts = ("Kazakhstan + reserve", "Kazakhstan | reserve", "Kazakhstan + (reserve | vault) -sport")
    (rules, problems), (others, _) = (read_own(n, written(texts), lexicon, NO_GROUPS) for n in (7, 8))
    assert not problems
    assert len({rule.id for rule in (*rules, *others)}) == 6
    assert [owner_of(rule.id) for rule in rules] == [7, 7, 7]
    assert rules[0].id.startswith("7:kazakhstan-reserve.")
    assert (rules[0].title, rules[0].severity) == ("Kazakhstan + reserve", Severity.MEDIUM)
    assert rules[0].id == read_own(7, written(("x + y", texts[0])), lexicon, NO_GROUPS)[0][-1].id
    assert owner_of("cn-stablecoin-ban") is None


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("", "empty", "write"),
        ("Kazakhstan + (reserve", "not closed", "add the ')'"),
        ("Kazakhstan AND reserve", "'AND'", "+"),
        ("topic:stablecoins", "stablecoins", "stablecoin"),
        ("-reserve", "everything", "add"),
        ("US + reserve", "may be a word or a code", "jurisdiction:US"),
        ("a" * (MAX_LENGTH + 1), "longer", "several"),
    ],
)
def test_what_is_wrong_is_said_as_of_a_rule_file(lexicon, text: str, what: str, hint: str) -> None:
    rules, (problem,) = read_own(7, written(("Kazakhstan + reserve", text)), lexicon, NO_GROUPS)
    assert len(rules) == 1
    assert (problem.where, what in problem.what, hint in problem.hint) == ("match.1", True, True), problem


def test_each_change_is_in_force_at_once_and_nothing_of_before(lexicon, groups) -> None:
    none = OwnRules.none(lexicon, groups)
    assert (fired(none), none.version) == ([], "")
    first = none.updated({7: ("Kazakhstan + reserve",), 9: ("Japan + reserve",), 8: ("Central Asia + licensing",)})
    assert fired(first) == [7, 8]
    changed = first.updated({7: ("Kazakhstan + vault",), 9: ("reserve",)})
    assert fired(changed) == [9]
    assert fired(changed.updated({7: ("Kazakhstan + reserve",)})) == [7]
    assert len({none.version, first.version, changed.version}) == 3


def test_what_was_right_once_is_named_when_it_is_so_no_more(lexicon, groups) -> None:
    rules = OwnRules.none(lexicon, groups).updated({7: ("topic:no-such-thing + reserve", "Kazakhstan + reserve")})
    assert fired(rules) == [7]
    (problem,) = rules.problems
    assert problem.where == "subscription 7: match.0"


def test_many_changes_are_compiled_into_one_and_stay_what_they_are(lexicon, groups) -> None:
    wanted = {number: (f"Japan + ward{number}",) for number in range(1, FRESH + 10)}
    many = OwnRules.none(lexicon, groups).updated(wanted)
    more = many.updated({**wanted, 5: ("Kazakhstan + reserve",)})
    assert fired(more) == [5]
    assert fired(more.updated({**wanted, 5: ("Japan + ward5",)})) == []
    assert fired(more.updated({})) == []
