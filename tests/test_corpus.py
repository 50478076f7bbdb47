"""What is read in labelled entries does not get worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.storage.store import Store
from tests.conftest import TEST_KEY
from tests.test_api import raise_alerts
from tests.test_cli import policywatch

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", ["hard", "unseen", "typical", "typical-unseen", "reports-unseen"])
def test_no_figure_falls_below_its_floor(name: str, tmp_path: Path) -> None:
    labels, floor = str(CORPUS / f"{name}.jsonl"), str(CORPUS / f"floor-{name}.yaml")
    done = policywatch("evaluate", labels, "--floor", floor, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_floor_that_is_not_reached_is_told(tmp_path: Path) -> None:
    floor = tmp_path / "floor.yaml"
    floor.write_text("all: {relevance: 1.0}\n")
    done = policywatch("evaluate", str(CORPUS / "hard.jsonl"), "--floor", str(floor), folder=tmp_path)
    assert (done.returncode, "relevance of all is" in done.stderr) == (1, True)


class TestLabel:
    """What a person says of a text becomes an item that `evaluate` takes."""

    def test_an_alert_that_was_none(self, tmp_path: Path) -> None:
        done = policywatch("label", "Ban Ki-moon opens a bank in Geneva", "--nothing", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        (item,) = items(tmp_path)
        assert (item["id"], item["lang"], item["labels"]) == ("own-0001", "en", [])

    def test_what_was_missed_is_said_in_five_words(self, tmp_path: Path) -> None:
        done = policywatch(
            "label", "--is", "kz reserve adoption easing proposed", folder=tmp_path, stdin="A text\nmore"
        )
        assert done.returncode == 0, done.stderr
        (item,) = items(tmp_path)
        assert (item["title"], item["content"]) == ("A text", "more")
        assert item["labels"] == [
            {"jurisdiction": "KZ", "topic": "reserve", "action": "adoption", "direction": "easing", "stage": "proposed"}
        ]
        figures = json.loads(policywatch("evaluate", "labels.jsonl", "--json", folder=tmp_path).stdout)
        assert figures["all"]["items"] == 1

    def test_what_was_read_is_confirmed(self, tmp_path: Path) -> None:
        policywatch("label", "China bans stablecoins", "--into", "mine.jsonl", folder=tmp_path)
        (item,) = items(tmp_path, "mine.jsonl")
        assert [(label["jurisdiction"], label["action"]) for label in item["labels"]] == [("CN", "ban")]

    def test_an_alert_is_its_first_report(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/data/policywatch.db", keys=(TEST_KEY,))
        raise_alerts(store, "CN")
        store.close()
        done = policywatch("label", "alert:1", "--nothing", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        (item,) = items(tmp_path)
        assert (item["title"], item["labels"]) == ("CN bans stablecoins", [])

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["x", "--is", "CN stablecoin ban"], "has 3 words"),
            (["x", "--is", "CN stablecoin bann tightening in-force"], "there is no action 'bann'"),
            (["alert:7", "--nothing"], "no alert 7 is stored"),
        ],
    )
    def test_a_slip_is_told_and_nothing_is_written(self, tmp_path: Path, args: list[str], said: str) -> None:
        done = policywatch("label", *args, folder=tmp_path)
        assert (done.returncode, said in done.stderr) == (1, True)
        assert list(tmp_path.iterdir()) == []


def items(folder: Path, name: str = "labels.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
