"""What a person asks of the past on the command line: backtests, differences, and why something was not heard of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.config import RulesSettings, read_rulebook
from service.domain.concepts import Lexicon
from service.domain.model import Watch
from service.storage.store import Store
from service.storage.subscriptions import NewSubscription
from tests.conftest import NOON, TEST_KEY
from tests.test_cli import policywatch
from tests.test_lookback import articles, poll, process

EVER = ("--since", "3650d")
BEFORE = """rules:
- {id: cn, match: China + stablecoin + ban}
- {id: licences, match: (stablecoin | exchange | mining) + licensing}
"""
AFTER = "rules:\n- {id: cn, match: crypto + ban}\n- {id: gone, match: crypto + tax, status: draft}\n"


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return read_rulebook(RulesSettings(packs=())).lexicon


def furnish(store: Store, lexicon: Lexicon, folder: Path, url: str) -> Path:
    """A folder with a configuration whose store holds the articles of the demo."""
    poll(store, *articles())
    process(store, lexicon)
    settings = {"storage": {"url": url}, "secrets": {"keys": [TEST_KEY.reveal()]}}
    (folder / "config.yaml").write_text(json.dumps(settings))
    (folder / "before.yaml").write_text(BEFORE)
    (folder / "after.yaml").write_text(AFTER)
    return folder


@pytest.fixture(scope="module")
def folder(lexicon: Lexicon, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Filled once: these commands change nothing but readings, and those to what they were."""
    folder = tmp_path_factory.mktemp("looking-back")
    url = f"sqlite:///{folder}/policywatch.db"
    store = Store(url, keys=(TEST_KEY,))
    furnish(store, lexicon, folder, url)
    store.close()
    return folder


def test_a_backtest_on_each_database(store: Store, lexicon: Lexicon, database_url: str, tmp_path: Path) -> None:
    furnish(store, lexicon, tmp_path, database_url)
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE reading SET lexicon = 'old'")
    done = policywatch("rules", "backtest", "crypto + ban", *EVER, folder=tmp_path)
    assert (done.returncode, "another version of the lexicon" in done.stderr) == (0, True)
    found = asked(tmp_path, "rules", "backtest", "crypto + ban", "--reread", *EVER)
    assert (found["read_by_another"], found["rules"][0]["entries"] > 0) == (0, True)


def asked(folder: Path, *args: str) -> Any:
    done = policywatch(*args, "--json", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


class TestBacktest:
    def test_a_shorthand_is_tried(self, folder: Path) -> None:
        found = asked(folder, "rules", "backtest", "China + stablecoin + ban", *EVER)
        (rule,) = found["rules"]
        assert 0 < rule["stories"] <= rule["entries"] < found["entries"]
        assert sum(week["entries"] for week in found["weeks"]) == rule["entries"]
        assert len(found["newest"]) == min(rule["entries"], 10)
        assert all(example["jurisdictions"] == ["CN"] and example["sentence"] for example in found["newest"])
        assert (found["unread"], found["read_by_another"], rule["texts_read"]) == (0, 0, 0)

    def test_a_rule_of_the_configuration_and_a_file_are_tried(self, folder: Path) -> None:
        named = asked(folder, "rules", "backtest", "cn", "--rules", "before.yaml", *EVER)
        assert [rule["rule"] for rule in named["rules"]] == ["cn"]
        filed = asked(folder, "rules", "backtest", "after.yaml", *EVER)
        assert [rule["rule"] for rule in filed["rules"]] == ["cn", "gone"], "a draft is tried before it is switched on"
        assert all(rule["entries"] for rule in filed["rules"])

    def test_a_person_reads_weeks_and_examples(self, folder: Path) -> None:
        done = policywatch("rules", "backtest", '"central bank" + stablecoin', *EVER, folder=folder)
        assert done.returncode == 0
        assert "texts read for its words" in done.stdout
        assert "week of" in done.stdout
        assert "█" in done.stdout

    def test_mistakes_are_told(self, folder: Path) -> None:
        assert policywatch("rules", "backtest", "crypto + ban", "--since", "soon", folder=folder).returncode == 2
        nobody = policywatch("rules", "backtest", "no-such-rule", folder=folder)
        assert (nobody.returncode, "no-such-rule" in nobody.stderr) == (1, True)


class TestDiff:
    def test_alerts_gained_and_lost_are_told_by_rule(self, folder: Path) -> None:
        found = asked(folder, "rules", "diff", "before.yaml", "after.yaml", *EVER)
        whole = found["alerts"]
        assert whole["after"] - whole["before"] == len(whole["gained"]) - len(whole["lost"])
        assert all(alert["title"] for alert in (*whole["gained"], *whole["lost"]))
        by_rule = {rule["rule"]: rule for rule in found["rules"]}
        assert set(by_rule) == {"cn", "licences"}, "a draft raises no alert"
        assert (by_rule["licences"]["after"], by_rule["cn"]["lost"]) == (0, [])
        assert sum(week["before"] for week in found["weeks"]) == whole["before"]
        assert sum(week["after"] for week in found["weeks"]) == whole["after"]

    def test_equal_rules_change_nothing(self, folder: Path) -> None:
        found = asked(folder, "rules", "diff", "before.yaml", "before.yaml", *EVER)
        assert (found["alerts"]["gained"], found["alerts"]["lost"], found["rules"]) == ([], [], [])

    def test_a_person_reads_titles(self, folder: Path) -> None:
        done = policywatch("rules", "diff", "before.yaml", "after.yaml", *EVER, folder=folder)
        assert done.returncode == 0
        assert "all rules together" in done.stdout
        assert "gained: " in done.stdout
        assert "lost: " in done.stdout


class TestWhyNot:
    def test_a_text_of_ones_own_is_judged(self, folder: Path) -> None:
        found = asked(folder, "why-not", "China bans stablecoins", "--rules", "before.yaml")
        assert [match["rule_id"] for match in found["fired"]] == ["cn"]
        (missed,) = found["missed"]
        assert (missed["rule"], missed["step"], missed["missing"] > 0) == ("licences", "when", True)
        assert {span["text"] for span in missed["near"]} >= {"stablecoins"}
        assert (found["became"], found["fate"]) == (None, None)

    def test_what_subscriptions_match_by_themselves_is_asked_too(self, folder: Path) -> None:
        store = Store(f"sqlite:///{folder}/policywatch.db", keys=(TEST_KEY,))
        new = NewSubscription(name="own", watch=Watch(), channels=(), match=("China + (ban | restriction)",))
        number = store.subscriptions.create("desk", new, now=NOON).subscription.id
        store.close()
        found = asked(folder, "why-not", "1", "--all")
        judged = [match["rule_id"] for match in found["fired"]] + [miss["rule"] for miss in found["missed"]]
        (rule,) = [one for one in judged if one.startswith(f"{number}:china-ban-restriction.")]
        alone = asked(folder, "why-not", "China bans stablecoins", "--rule", rule)
        assert [match["rule_id"] for match in alone["fired"]] == [rule]

    def test_what_came_near_is_marked(self, folder: Path) -> None:
        done = policywatch("why-not", "--rule", "China + mining + ban", folder=folder, stdin="China bans stablecoins\n")
        assert done.returncode == 0
        assert "missing: mining" in done.stdout
        assert "**China** **bans**" in done.stdout
        assert "\x1b" not in done.stdout

    def test_an_entry_says_what_became_of_it(self, folder: Path) -> None:
        found = asked(folder, "why-not", "1", "--rules", "before.yaml")
        assert (found["entry"]["id"], found["fate"]["state"]) == ("1", "done")
        assert found["became"] == ("rules_changed" if found["fired"] else "no_rule")
        link = found["entry"]["link"]
        assert asked(folder, "why-not", f"{link}?utm_source=x", "--rules", "before.yaml")["fate"] == found["fate"]
        done = policywatch("why-not", "1", folder=folder)
        assert (done.returncode, "entry 1, received" in done.stdout) == (0, True)

    def test_what_cannot_be_had_is_told(self, folder: Path, tmp_path: Path) -> None:
        assert "no entry 99999" in policywatch("why-not", "99999", folder=folder).stderr
        private = policywatch("why-not", "http://127.0.0.1:9/", folder=folder, COLUMNS="500")
        assert (private.returncode, "egress.allow" in private.stderr) == (1, True)
        nothing = policywatch("why-not", "1", folder=tmp_path)
        assert (nothing.returncode, "no database yet" in nothing.stderr) == (1, True)
        assert list(tmp_path.iterdir()) == [], "asking makes no database"
