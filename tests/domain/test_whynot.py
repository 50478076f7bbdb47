"""Where an entry ended, as a table; and which rules came nearest."""

from __future__ import annotations

import pytest

from service.config import RulesSettings, load_groups, load_lexicon
from service.documents import parse_yaml
from service.domain.developments import read
from service.domain.judge import Facts
from service.domain.model import DeliveryState, Entry, EntryState, RouteReason
from service.domain.rulefile import parse_rules
from service.domain.whynot import Became, Decision, Fate, Sent, became, judged
from tests.conftest import NOON

HELD = (Decision(rule_id="a", team="t", subscription="desk", reason=RouteReason.BELOW_SEVERITY),)


def sent(*states: DeliveryState) -> tuple[Sent, ...]:
    return tuple(
        Sent(id=number, channel="c", subscription="desk", state=state, attempts=1, detail="")
        for number, state in enumerate(states)
    )


@pytest.mark.parametrize(
    ("stored", "fires_now", "expected"),
    [
        ({"state": EntryState.HISTORY}, True, Became.HISTORY),
        ({"state": EntryState.NEW}, False, Became.WAITING),
        ({"state": EntryState.NEW, "problem": "the parser was killed"}, False, Became.FAILING),
        ({}, False, Became.NO_RULE),
        ({}, True, Became.RULES_CHANGED),
        ({"fired": ("a",), "decisions": HELD}, True, Became.HELD_BACK),
        ({"decisions": HELD, "deliveries": sent(DeliveryState.DEAD)}, True, Became.DEAD),
        ({"deliveries": sent(DeliveryState.DEAD, DeliveryState.PENDING)}, True, Became.ON_ITS_WAY),
        ({"deliveries": sent(DeliveryState.DEAD, DeliveryState.SENT)}, True, Became.TOLD),
        ({"deliveries": sent(DeliveryState.SENT)}, False, Became.TOLD),
    ],
)
def test_where_an_entry_ended(stored: dict[str, object], fires_now: bool, expected: Became) -> None:
    fate = Fate(**{"entry_id": 1, "received_at": NOON, "state": EntryState.DONE, **stored})  # type: ignore[arg-type]
    assert became(fate, fires_now=fires_now) is expected


def test_what_was_never_received() -> None:
    assert became(None, fires_now=True) is Became.NOT_RECEIVED


def test_rules_are_ranked_by_what_is_missing() -> None:
    text = """
    - {id: fires, match: China + stablecoin + ban}
    - {id: draft, match: China + stablecoin + ban, status: draft}
    - {id: two-off, match: Brazil + mining + ban}
    - {id: all-off, match: Brazil + mining + licensing}
    - {id: one-off, match: China + mining + ban}
    - {id: draft-and-off, match: Brazil + mining + ban, status: draft}
    """
    lexicon = load_lexicon()
    groups, _ = load_groups(RulesSettings())
    rules, problems = parse_rules(parse_yaml(text.encode(), shown="rules"), lexicon, groups)
    assert not problems
    entry = Entry(id="1", title="China bans stablecoins")
    fired, missed = judged(rules, Facts(entry, read(entry, lexicon), lexicon))
    assert [match.rule_id for match in fired] == ["fires"]
    order = [miss.rule_id for miss in missed]
    assert set(order[:2]) == {"draft", "one-off"}
    assert order.index("two-off") < order.index("draft-and-off")
    assert order.index("two-off") < order.index("all-off")
