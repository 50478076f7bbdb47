"""The team's desk: what lists are narrowed to, several decisions at once, comments, counts, and files to take away."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from service.api import exports
from service.domain.model import Alert, Scope, Severity, Source, Verdict
from service.domain.statistics import Seen, Settled, pace, precisions, weeks
from tests import test_api as doors
from tests.conftest import NOON
from tests.test_api import Api, raise_alerts

api, empty_database, rulebook, sqlite_store = doors.api, doors.empty_database, doors.rulebook, doors.sqlite_store

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(api: Api) -> Api:
    """A team with alerts about China (1) and Kazakhstan (2)."""
    api.store.subscriptions.create("desk", doors.a_subscription("all"), now=NOON)
    raise_alerts(api.store, "CN", "KZ")
    return api


async def ids(desk: Api, query: str, team: str = "desk") -> list[int]:
    response = await desk.client.get(f"/v1/alerts?{query}", headers=desk.key(team))
    assert response.status_code == 200, response.text
    return [alert["id"] for alert in response.json()["items"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [2, 1]),
        ("jurisdiction=KZ", [2]),
        ("stage=reaffirmed&direction=tightening", [2, 1]),
        ("stage=proposed", []),
        ("jurisdiction=CN&direction=easing", []),
        ("min_severity=info", [2, 1]),
        ("min_severity=critical", []),
        ("until=2026-03-02T11:00:00Z", []),
        ("decision=none", [2, 1]),
        ("decision=applicable", []),
        ("text=no%20such%20words", []),
        ("text=100%25", []),
        ("text=_", []),
    ],
)
async def test_a_list_is_narrowed(desk: Api, query: str, found: list[int]) -> None:
    assert await ids(desk, query) == found


async def test_letters_of_a_title_are_found_in_any_case(desk: Api) -> None:
    title = (await desk.client.get("/v1/alerts/1", headers=desk.key())).json()["title"]
    assert 1 in await ids(desk, f"text={title[:8].swapcase()}")


async def test_another_team_sees_none_of_it(desk: Api) -> None:
    assert await ids(desk, "", team="other") == []
    assert (await desk.client.get("/v1/alerts/export", headers=desk.key("other"))).text.count("\n") == 1


async def test_several_are_decided_at_once_or_none(desk: Api) -> None:
    key = desk.key("desk", Scope.DECIDE)
    body = {"alerts": [2, 1, 2], "verdict": "not_applicable", "by": "ana", "reason": "no business there"}
    absent = await desk.client.post("/v1/alerts/decisions", headers=key, json={**body, "alerts": [1, 7, 9]})
    assert (absent.status_code, absent.json()["detail"]) == (404, "there is no alert 7, 9 here")
    assert await ids(desk, "decision=none") == [2, 1]
    made = await desk.client.post("/v1/alerts/decisions", headers=key, json=body)
    assert (made.status_code, len(made.json())) == (201, 2)
    assert await ids(desk, "decision=not_applicable") == [2, 1]
    later = {"verdict": "applicable", "by": "ben"}
    await desk.client.post("/v1/alerts/1/decisions", headers=key, json=later)
    assert (await ids(desk, "decision=applicable"), await ids(desk, "decision=not_applicable")) == ([1], [2])


async def test_members_say_something_of_an_alert(desk: Api) -> None:
    key = desk.key("desk", Scope.DECIDE)
    text = "Asked counsel.\nAnswer on Friday."
    said = await desk.client.post("/v1/alerts/1/comments", headers=key, json={"by": "ana", "text": text})
    assert said.status_code == 201
    assert (await desk.client.get("/v1/alerts/1", headers=key)).json()["comments"] == [said.json()]
    for team, number in (("desk", 9), ("other", 1)):
        path, foreign = f"/v1/alerts/{number}/comments", desk.key(team, Scope.DECIDE)
        assert (await desk.client.post(path, headers=foreign, json={"by": "ana", "text": text})).status_code == 404


async def test_what_a_list_showed_is_shown_anew_once_it_has_changed(desk: Api) -> None:
    before = await desk.client.get("/v1/alerts", headers=desk.key())
    raise_alerts(desk.store, "KZ")  # another report of the story, or another alert: no list keeps the old one
    after = await desk.client.get("/v1/alerts", headers=desk.key())
    assert after.json() != before.json()
    assert after.headers["etag"] != before.headers["etag"]


async def test_files_hold_what_lists_hold(desk: Api) -> None:
    key = desk.key()
    table = await desk.client.get("/v1/alerts/export?jurisdiction=KZ", headers=key)
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["id"], row["jurisdictions"]) for row in rows] == [("2", "KZ")]
    lines = await desk.client.get("/v1/alerts/export?format=jsonl", headers=key)
    listed = (await desk.client.get("/v1/alerts", headers=key)).json()["items"]
    assert [json.loads(line) for line in lines.text.splitlines()] == listed


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "|calc", "%x"])
def test_a_title_is_never_a_formula(title: str) -> None:
    alert = Alert(
        id=1, story_id=1, raised_at=NOON, title=title, severity=Severity.INFO, rules=(title,), developments=(),
        evidence=(), sources=(Source(entry_id=1, title=title, source=title, link=title, lang="en", published=NOON),),
    )  # fmt: skip
    *_, row = csv.reader(io.StringIO("".join(exports.rows([alert]))))
    assert sum(cell.startswith("'") for cell in row) == 4
    quoted = replace(alert, title='say "ban", now\nor never')
    *_, row = csv.reader(io.StringIO("".join(exports.rows([quoted]))))
    assert row[4] == 'say "ban", now\nor never'


async def test_counts_tell_of_this_team_alone(desk: Api) -> None:
    key = desk.key("desk", Scope.DECIDE)
    desk.clock.advance(2 * HOUR)
    await desk.client.post("/v1/alerts/1/decisions", headers=key, json={"verdict": "applicable", "by": "ana"})
    told = (await desk.client.get("/v1/alerts/statistics", headers=key)).json()
    assert [(week["monday"], week["jurisdiction"], week["alerts"]) for week in told["weeks"]] == [
        ("2026-03-02", "CN", 1),
        ("2026-03-02", "KZ", 1),
    ]
    assert [(one["applicable"], one["not_applicable"], one["precision"]) for one in told["rules"]] == [(1, 0, 1.0)]
    assert told["decided"] == {"alerts": 1, "median_seconds": 7200.0, "p90_seconds": 7200.0}
    other = (await desk.client.get("/v1/alerts/statistics", headers=desk.key("other"))).json()
    assert (other["weeks"], other["rules"], other["decided"]["alerts"]) == ([], [], 0)


def test_weeks_begin_on_monday() -> None:
    monday = NOON.replace(hour=0)
    seen = [Seen(alert_id=n, at=monday + n * timedelta(days=1) - HOUR, jurisdiction="CN") for n in (0, 1, 7, 8)]
    assert [(str(week.monday), week.alerts) for week in weeks(seen)] == [
        ("2026-03-09", 1),
        ("2026-03-02", 2),
        ("2026-02-23", 1),
    ]


def test_a_rule_is_as_right_as_the_team_says_and_the_worst_comes_first() -> None:
    def settled(rule: str, *verdicts: Verdict) -> list[Settled]:
        return [
            Settled(alert_id=n, rule_id=rule, verdict=one, raised_at=NOON, first_at=NOON + n * HOUR)
            for n, one in enumerate(verdicts)
        ]

    yes, no, later = Verdict.APPLICABLE, Verdict.NOT_APPLICABLE, Verdict.DEFERRED
    all_of = settled("good", yes, yes, later) + settled("bad", no, yes, no) + settled("new", later)
    found = precisions(all_of)
    assert [(one.rule_id, one.precision) for one in found] == [("bad", 1 / 3), ("good", 1.0), ("new", None)]
    assert (pace(all_of).decided, pace(all_of).median, pace([]).p90) == (3, HOUR, None)


async def test_a_new_subscription_does_not_inherit_the_ledger_of_one_that_is_gone(desk: Api) -> None:
    desk.store.subscriptions.remove("desk", 1, now=NOON)
    desk.clock.advance(timedelta(days=1))
    key = desk.key("other")
    made = (await desk.client.post("/v1/subscriptions", headers=key, json={"name": "new"})).json()
    ledger = (await desk.client.get(f"/v1/subscriptions/{made['id']}/ledger", headers=key)).json()
    assert (ledger["matches"], ledger["delivered"], ledger["suppressed"]) == (0, 0, {})
