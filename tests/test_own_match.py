"""What a subscription matches by itself, from a feed to its reader, and that no other team ever sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from service.config import Rulebook
from service.domain.model import RouteReason, Severity
from service.domain.rules import Ruleset
from service.storage.alerts import AlertFilter
from service.storage.subscriptions import NewSubscription
from tests.conftest import Clock
from tests.line import Line, a_line, only_rules, settings_of
from tests.loopback import item

RESERVE = item(
    "reserve",
    "Kazakhstan signs law on a national crypto reserve",
    text="Kazakhstan signed a law on Monday that creates a national crypto reserve.",
    published="Mon, 02 Mar 2026 10:00:00 GMT",
)
BAN = item(
    "ban",
    "China's central bank reaffirms ban on stablecoins",
    text="The People's Bank of China said on Friday that stablecoin business is prohibited on the mainland.",
    published="Mon, 02 Mar 2026 10:00:00 GMT",
)
AGAIN = item(
    "other-1",
    "PBoC repeats: stablecoin business is illegal",
    text="China's central bank reaffirmed on Friday that issuing stablecoins is banned and prohibited.",
    published="Mon, 02 Mar 2026 11:00:00 GMT",
)
JAPAN = item(
    "japan",
    "Japan bans stablecoins",
    text="Japan's parliament passed a law that bans stablecoins.",
    published="Mon, 02 Mar 2026 11:30:00 GMT",
)


@pytest.fixture(scope="session")
def rulebook(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    return only_rules(
        tmp_path_factory.mktemp("rules") / "rules.yaml",
        "rules:\n  - {id: cn-ban, match: China + stablecoin + ban, severity: low}\n",
    )


@pytest.fixture
async def line(database_url: str, rulebook: Rulebook, clock: Clock) -> AsyncIterator[Line]:
    async with a_line(settings_of(database_url), rulebook, clock) as made:
        yield made


def own(line: Line, *match: str, **more: object) -> int:
    """A subscription with expressions of its own, of another team than the desk."""
    return line.subscribe(**_wanted(line, match), **more)


def declared(line: Line, *match: str) -> NewSubscription:
    return line.declared(**_wanted(line, match))


def _wanted(line: Line, match: tuple[str, ...]) -> dict[str, object]:
    return {"name": "own", "team": "own", "match": match, "channels": [f"{line.web.address}/own"]}


def holes(line: Line) -> list[int]:
    return [one.missing for one in line.store.alerts.check_ledger()]


async def test_an_expression_is_told_to_its_subscription_alone(line: Line) -> None:
    line.subscribe()
    line.subscribe(name="others", team="own", channels=[f"{line.web.address}/others"])
    number = own(line, "Kazakhstan + reserve")
    line.add(line.web.feed("/a.xml", RESERVE, BAN))
    await line.run()
    told = sorted(payload["data"]["rules"] for payload in line.web.payloads())
    ((rule,), *others) = told
    assert others == [["cn-ban"], ["cn-ban"]]
    assert rule.startswith(f"{number}:kazakhstan-reserve.")
    assert [alert.rules for alert in line.alerts()] == [("cn-ban",)]
    assert holes(line) == [0, 0, 0, 0]
    (found,) = line.store.alerts.page("own", AlertFilter(rule=rule))
    assert (found.rules, found.severity) == ((rule,), Severity.MEDIUM)
    assert line.store.alerts.page("t", AlertFilter(rule=rule)) == ()
    fate = line.store.fates.get(int(found.sources[0].entry_id))
    assert fate is not None
    assert [(d.rule_id, d.subscription, d.reason) for d in fate.decisions] == [(rule, "own", RouteReason.DELIVERED)]


async def test_of_one_event_each_team_sees_its_own_and_what_all_share(line: Line) -> None:
    own(line, "China + prohibited", watch={"rules": ["cn-*"]})
    line.subscribe()
    line.add(line.web.feed("/a.xml", BAN))
    await line.run()
    (theirs,) = line.alerts()
    (mine,) = line.store.alerts.page("own", AlertFilter())
    assert theirs.id == mine.id
    assert (theirs.rules, theirs.severity, len(mine.rules)) == (("cn-ban",), Severity.LOW, 2)
    told = [payload["data"] for payload in line.web.payloads()]
    assert sorted(len(data["rules"]) for data in told) == [1, 2]
    assert {data["severity"] for data in told} == {"low"}
    versions = {team: line.store.alerts.versions(team, AlertFilter())[0].team_id for team in ("t", "own")}
    assert versions["t"] is None
    assert versions["own"] is not None
    (shared,) = line.store.alerts.some([mine.id])
    assert shared == theirs
    assert line.store.fates.get(1, team="t").fired == ("cn-ban",)
    assert len(line.store.fates.get(1).fired) == 2


async def test_a_shared_rule_makes_the_severity_whenever_it_comes(line: Line, rulebook: Rulebook) -> None:
    own(line, "China + prohibited")
    line.service.use(replace(rulebook, ruleset=Ruleset.compile((), rulebook.lexicon)))
    line.add(line.web.feed("/a.xml", BAN))
    await line.run()
    assert [alert.severity for alert in line.store.alerts.page("own", AlertFilter())] == [Severity.MEDIUM]
    line.service.use(rulebook)
    line.subscribe()
    line.add(line.web.feed("/b.xml", AGAIN))
    await line.run()
    (theirs,) = line.alerts()
    assert (theirs.rules, theirs.severity) == (("cn-ban",), Severity.LOW)


async def test_what_is_changed_takes_effect_and_what_was_told_stays(line: Line) -> None:
    number = own(line, "China + reserve")
    line.add(line.web.feed("/a.xml", BAN))
    await line.run()
    assert line.web.payloads() == []
    line.store.subscriptions.replace("own", number, declared(line, "China + prohibited"), now=line.clock())
    line.add(line.web.feed("/b.xml", AGAIN))
    await line.run()
    (payload,) = line.web.payloads()
    line.store.subscriptions.replace("own", number, declared(line, "Japan + ban"), now=line.clock())
    (alert,) = line.store.alerts.page("own", AlertFilter())
    assert list(alert.rules) == payload["data"]["rules"]
    line.store.subscriptions.remove("own", number, now=line.clock())
    line.add(line.web.feed("/c.xml", JAPAN))
    await line.run(timedelta(minutes=5))
    assert len(line.web.payloads()) == 1
    assert holes(line) == [0]
