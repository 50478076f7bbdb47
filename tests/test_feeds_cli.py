"""The feeds commands through the command line's own door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli import app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(
        "subscriptions:\n  - {name: nordic, watch: {jurisdictions: ['NO', SE, KZ]}, channels: ['json://a.example']}\n"
    )
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["feeds", *args], env={"COLUMNS": "200"})


def rows(*args: str) -> list[dict]:  # type: ignore[type-arg]
    return json.loads(run(*args, "--json").stdout)


def test_the_catalogue_is_on_offer_and_added_by_country_and_kind(folder: Path) -> None:
    offered = rows("list", "--catalogue", "--jurisdiction", "KR", "--kind", "regulator")
    assert offered
    assert {row["jurisdiction"] for row in offered} == {"KR"}
    done = run("add", "--jurisdiction", "KR", "--kind", "regulator")
    assert done.exit_code == 0
    assert f"{len(offered)} added, 0 polled already" in done.stdout
    again = run("add", "--jurisdiction", "KR", "--kind", "regulator")
    assert f"0 added, {len(offered)} polled already" in again.stdout
    assert {(row["url"], row["kind"], row["tier"]) for row in rows("list")} == {
        (row["url"], "regulator", "official") for row in offered
    }
    assert run("add").exit_code == 2
    assert run("add", "--jurisdiction", "XX").exit_code == 1


RECIPES = (("selectors", "item"), ("paths", "items"))


def test_lists_go_out_and_come_back_whole(folder: Path) -> None:
    run("add", "--jurisdiction", "NO")
    run("add", "https://own.example/rss", "--title", "Own & <only>", "--jurisdiction", "KZ", "--tier", "trade")
    run("add", "https://list.example/news", "--item", "li.news", "--item-title", "h3 > a")
    run("add", "https://api.example/news", "--json-items", "data[?kind == 'news']", "--item-link", "url")
    exported = CliRunner().invoke(app, ["feeds", "export"]).stdout_bytes
    assert [f"{name}.{field}='".encode() in exported.replace(b'"', b"'") for name, field in RECIPES] == [True, True]
    before = rows("list")
    (folder / "list.opml").write_bytes(exported)
    for path in folder.glob("*.db*"):
        path.unlink()
    assert run("import", "list.opml").exit_code == 0
    kept = ("url", "title", "jurisdiction", "kind", "tier", "language", "tags", "interval")
    assert [{k: row[k] for k in kept} for row in rows("list")] == [{k: row[k] for k in kept} for row in before]
    assert CliRunner().invoke(app, ["feeds", "export"]).stdout_bytes == exported


def test_an_imported_address_that_may_not_be_polled_costs_no_other(folder: Path) -> None:
    (folder / "l.opml").write_text(
        "<opml version='2.0'><body><outline text='Desk'><outline xmlUrl='https://a.example/'/>"
        "<outline xmlUrl='http://127.0.0.1/'/><outline xmlUrl='https://b.example/' p:selectors.item='li['"
        " xmlns:p='urn:policywatch:opml'/></outline></body></opml>"
    )
    assert "1 added, 0 polled already, 2 refused" in run("import", "l.opml").stdout
    assert [(row["url"], row["tags"]) for row in rows("list")] == [("https://a.example/", ["Desk"])]


def test_coverage_names_the_holes(folder: Path) -> None:
    run("add", "--jurisdiction", "SE")
    run("add", "https://own.example/rss", "--jurisdiction", "KZ", "--tier", "trade")
    done = run("coverage")
    assert done.exit_code == 1
    assert "KZ: 0 official sources" in done.stdout
    assert "SE: " not in done.stdout
    watched = run("coverage", "--watchlist", "nordic")
    assert "NO: 0 official sources" in watched.stdout
    assert [row["jurisdiction"] for row in rows("coverage", "--watchlist", "nordic")] == ["NO", "SE", "KZ"]
    assert run("coverage", "--watchlist", "nobody").exit_code == 1


def test_health_is_1_when_somebody_must_look(folder: Path) -> None:
    assert run("add", "https://a.example/rss").exit_code == 0
    assert run("health").exit_code == 0
    (story,) = rows("health")
    assert (story["state"], story["notices"], story["gaps"]) == ("new", [], [])


def test_a_source_that_is_no_feed_is_added_with_its_recipe(folder: Path) -> None:
    done = run("add", "https://a.example/api", "--json-items", "data[]", "--item-title", "title", "--date", "day")
    assert done.exit_code == 0
    assert rows("list")[0]["recipe"] == {
        "items": "data[]", "id": "", "title": "title", "link": "", "date": "day", "text": ""
    }  # fmt: skip
    wrong = run("add", "https://b.example/api", "--json-items", "data[")
    assert (wrong.exit_code, "not a JMESPath expression" in str(wrong.exception)) == (1, True)
    assert run("add", "https://b.example/", "--item", "li", "--json-items", "a").exit_code == 2
    assert run("add", "https://b.example/", "--date", "time").exit_code == 2
    with (folder / "config.yaml").open("a") as file:
        file.write("feeds: {sources: [{url: 'https://c.example/', selectors: {item: 'li['}}]}\n")
    checked = CliRunner().invoke(app, ["check"])
    assert "feeds.sources.0.selectors.item" in checked.output
    assert checked.exit_code == 1
