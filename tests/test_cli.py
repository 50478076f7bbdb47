"""The command line as a person types it: real processes, exit codes, mistakes in words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from service.app import Service
from service.config import Settings
from service.domain import routing
from service.domain.model import DeliveryState, Language, Outcome, OutcomeStatus
from service.storage.store import Store
from tests.builders import LEASE, a_subscription
from tests.conftest import NOON, TEST_KEY

ENTRY = {
    "id": "1",
    "title": "China bans stablecoins",
    "summary": "The People's Bank of China said on Friday that issuing stablecoins is prohibited.",
    "published": "2026-03-02T10:00:00Z",
}


def policywatch(*args: str, folder: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", *args],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "COLUMNS": "200", **env},
        timeout=120,
        check=False,
    )


def test_what_is_listed_unloaded_is_what_there_is(tmp_path: Path) -> None:
    told = policywatch("--help", folder=tmp_path)
    assert told.returncode == 0
    whole = [
        sys.executable,
        "-c",
        "import sys; from service.cli import main; sys.argv[0] = 'service'; main()",
        "--help",
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "COLUMNS": "200"}
    loaded = subprocess.run(whole, cwd=tmp_path, capture_output=True, text=True, env=env, timeout=120)
    assert _panels(told.stdout) == _panels(loaded.stdout), "COMMANDS in service/__main__.py is not what there is"


def _panels(help_: str) -> str:
    """A help page without its first lines, which name the program as it was called."""
    return help_.partition("╭")[2]


def test_wrong_usage_is_2(tmp_path: Path) -> None:
    assert policywatch("sevre", folder=tmp_path).returncode == 2


class TestCheck:
    def test_an_empty_folder_is_well(self, tmp_path: Path) -> None:
        done = policywatch("check", folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")

    def test_everything_wrong_is_named_with_file_and_line(self, tmp_path: Path) -> None:
        (tmp_path / "my.yaml").write_text("rules:\n  - id: a\n    matsch: China + ban\n  - topic:stablecoinz + ban\n")
        (tmp_path / "config.yaml").write_text(
            "rules:\n  paths: [my.yaml]\nsubscriptions:\n  - name: a\n    channels: ['nonsense://x', 'file:///etc/passwd']\n"
            "    watch: {rules: [no-such-rule]}\n"
            "    match:\n      - Kazakhstan AND reserve\n      - China + reserve #2\n"
        )
        done = policywatch("check", folder=tmp_path)
        assert done.returncode == 1
        lines = done.stderr.splitlines()
        assert any(line.startswith("my.yaml:3: ") and "match" in line for line in lines)
        assert any(line.startswith("my.yaml:4: ") and "stablecoin" in line for line in lines)
        assert any(line.startswith("config.yaml:5: ") and "nonsense" in line for line in lines)
        assert any(line.startswith("config.yaml:5: ") and "file" in line for line in lines)
        assert any(line.startswith("config.yaml:6: ") and "no-such-rule" in line for line in lines)
        assert any(line.startswith("config.yaml:8: ") and "write + for and" in line for line in lines)
        assert any(line.startswith("config.yaml:9: ") and "read as a comment" in line for line in lines)
        assert "Traceback" not in done.stderr

    def test_as_json(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").write_text("feds: 1\n")
        done = policywatch("check", "--json", folder=tmp_path)
        (problem,) = json.loads(done.stdout)["problems"]
        assert (problem["where"], done.returncode) == ("config.yaml:1", 1)


class TestEntries:
    def test_annotate(self, tmp_path: Path) -> None:
        done = policywatch("annotate", folder=tmp_path, stdin=json.dumps(ENTRY) + "\n")
        row = json.loads(done.stdout)
        (development,) = row["developments"]
        assert (row["id"], row["lang"], development["jurisdiction"], development["action"]) == ("1", "en", "CN", "ban")
        for evidence in development["evidence"]:
            assert ENTRY[evidence["field"]][evidence["start"] : evidence["end"]] == evidence["text"]
        assert row["story"]

    def test_a_bad_line_costs_no_other(self, tmp_path: Path) -> None:
        path = tmp_path / "e.jsonl"
        path.write_text('{"id": "0"}\nnonsense\n[]\n' + json.dumps(ENTRY) + "\n")
        done = policywatch("annotate", str(path), folder=tmp_path)
        assert done.returncode == 1
        assert json.loads(done.stdout)["id"] == "1"
        assert [f"{path}:{n}" in done.stderr for n in (1, 2, 3)] == [True] * 3
        assert "Traceback" not in done.stderr

    def test_match_uses_only_the_rules_named(self, tmp_path: Path) -> None:
        (tmp_path / "r.yaml").write_text("- China + stablecoin + ban\n- Kazakhstan + reserve\n")
        done = policywatch("match", "--rules", "r.yaml", "--why", folder=tmp_path, stdin=json.dumps(ENTRY) + "\n")
        row = json.loads(done.stdout)
        assert [m["rule"] for m in row["matches"]] == ["china-stablecoin-ban"]
        assert [w["rule"] for w in row["why"]] == ["kazakhstan-reserve"]

    def test_match_with_a_wrong_rule_names_it(self, tmp_path: Path) -> None:
        (tmp_path / "r.yaml").write_text("- China + (ban\n")
        done = policywatch("match", "--rules", "r.yaml", folder=tmp_path, stdin="")
        assert done.returncode == 1
        assert "r.yaml:1" in done.stderr

    def test_stories_joins_copies(self, tmp_path: Path) -> None:
        rows = [ENTRY, {**ENTRY, "id": "2", "published": "2026-03-02T11:00:00Z"}]
        done = policywatch("stories", folder=tmp_path, stdin="".join(json.dumps(row) + "\n" for row in rows))
        first, second = (json.loads(line) for line in done.stdout.splitlines())
        assert first["story"] == second["story"]
        assert (first["reason"], second["reason"]) == ("first_report", "same_text")


def test_the_demo_tells_every_event_once_and_nothing_else(tmp_path: Path) -> None:
    done = policywatch("demo", "--once", "--port", "0", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    *_, summary = done.stdout.strip().splitlines()
    assert "0 told twice, 0 false, 0 repeated, 0 undelivered" in summary
    assert int(summary.split(" for ")[1].split()[0]) >= 18, "events that raised an alert"
    for word in ("China", "Turkmenistan", "Harbour and Ledger", "澜桥财经", "새물결경제"):
        assert word in done.stdout


class TestFiles:
    def test_parse_goes_on_after_a_bad_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_text("<html><body>Log in</body></html>")
        (tmp_path / "b.xml").write_text("<rss version='2.0'><channel><item><title>T</title></item></channel></rss>")
        done = policywatch("parse", ".", folder=tmp_path)
        bad, good = (json.loads(line) for line in done.stdout.splitlines())
        assert bad["error"].startswith("not_a_feed")
        assert [entry["title"] for entry in good["entries"]] == ["T"]

    def test_extract(self, tmp_path: Path) -> None:
        text = "".join(f"<p>Sentence number {n} of the article on the new law for exchanges.</p>" for n in range(9))
        (tmp_path / "a.html").write_text(f"<html><body><article><h1>Law</h1>{text}</article></body></html>")
        row = json.loads(policywatch("extract", "a.html", folder=tmp_path).stdout)
        assert "Sentence number 8" in row["text"]


class TestStored:
    def test_keys_are_made_listed_and_revoked(self, tmp_path: Path) -> None:
        made = policywatch("keys", "create", "--name", "laptop", folder=tmp_path)
        assert made.stdout.startswith("pw_")
        listed = json.loads(policywatch("keys", "list", "--json", folder=tmp_path).stdout)
        assert [key["name"] for key in listed] == ["laptop"]
        assert made.stdout.strip() not in json.dumps(listed)
        assert policywatch("keys", "revoke", listed[0]["prefix"], folder=tmp_path).returncode == 0
        assert policywatch("keys", "revoke", "nobody", folder=tmp_path).returncode == 1

    def test_feeds_are_added_once_and_checked(self, tmp_path: Path) -> None:
        assert policywatch("feeds", "add", "https://a.example/rss", folder=tmp_path).returncode == 0
        again = policywatch("feeds", "add", "https://a.example/rss", folder=tmp_path)
        assert (again.returncode, "already" in again.stderr) == (1, True)
        private = policywatch("feeds", "add", "http://169.254.169.254/", folder=tmp_path)
        assert (private.returncode, "egress.allow" in private.stderr) == (1, True)
        listed = json.loads(policywatch("feeds", "list", "--json", folder=tmp_path).stdout)
        assert [feed["url"] for feed in listed] == ["https://a.example/rss"]

    def test_a_strangers_title_is_no_markup(self, tmp_path: Path) -> None:
        title = "[/red] [bold]boom \x1b[31m"
        assert policywatch("feeds", "add", "https://a.example/", "--title", title, folder=tmp_path).returncode == 0
        listed = policywatch("feeds", "list", folder=tmp_path)
        assert (listed.returncode, "[/red] [bold]boom" in listed.stdout, "\x1b" in listed.stdout) == (0, True, False)

    def test_channels_are_listed_and_their_keys_rotated(self, tmp_path: Path) -> None:
        assert policywatch("channels", "list", "--json", folder=tmp_path).stdout.strip() == "[]"
        key_file = tmp_path / "data" / "secret.key"
        with closing(Store(f"sqlite:///{tmp_path}/data/policywatch.db", keys=(), key_file=key_file)) as store:
            store.subscriptions.create("t", a_subscription(), now=NOON)
        rotated = policywatch("channels", "rotate", "1", "--overlap", "2d", folder=tmp_path)
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", rotated.stdout)
        (listed,) = json.loads(policywatch("channels", "list", "--json", folder=tmp_path).stdout)
        assert (listed["kind"], listed["address"]) == ("webhook", "https://hook.example.org/a")
        assert listed["public_key"] in rotated.stderr.replace("\n", "")
        assert policywatch("channels", "rotate", "9", folder=tmp_path).returncode == 1
        assert policywatch("channels", "rotate", "1", "--overlap", "soon", folder=tmp_path).returncode == 2

    def test_deliveries(self, tmp_path: Path) -> None:
        assert json.loads(policywatch("deliveries", "list", "--json", folder=tmp_path).stdout) == []
        assert policywatch("deliveries", "retry", "1", folder=tmp_path).returncode == 1

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("STORAGE__URL", "mysql://x"),
            ("STORAGE__URL", "postgresql://127.0.0.1:1/none"),
            ("STORAGE__URL", "sqlite:////proc/none/x.db"),
            ("STORAGE__URL", "sqlite:///:memory:"),
            ("SECRETS__KEY_FILE", "/proc/none/secret.key"),
        ],
    )
    def test_what_cannot_be_opened_is_told_in_words(self, tmp_path: Path, setting: str, value: str) -> None:
        done = policywatch("keys", "list", folder=tmp_path, **{f"POLICYWATCH_{setting}": value})
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "storage.url" in done.stderr or "secrets.key_file" in done.stderr

    def test_a_lost_secret_key_is_not_made_anew(self, tmp_path: Path) -> None:
        settings = Settings.model_validate(
            {
                "storage": {"url": f"sqlite:///{tmp_path}/data/policywatch.db"},
                "secrets": {"key_file": tmp_path / "data" / "secret.key"},
                "egress": {"allow": ["127.0.0.1/32"]},
                "subscriptions": [{"name": "a", "channels": ["http://127.0.0.1:9/hook"]}],
            }
        )
        Service(settings).store.close()
        (tmp_path / "data" / "secret.key").unlink()
        done = policywatch("keys", "list", folder=tmp_path)
        assert (done.returncode, "restore the file" in done.stderr) == (1, True)


RULES = """\
- id: cn-ban
  match: China + stablecoin + ban
  review-by: "2020-01-01"
  owner: team-a
  tests:
    - text: China bans stablecoins
      expect: {fire: true, jurisdictions: [CN]}
    - text: Japan bans stablecoins
      expect: {fire: false, because: when}
"""


class TestRules:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "own.yaml").write_text(RULES)
        return tmp_path

    def test_schema_prints_the_file_that_is_shipped(self, folder: Path) -> None:
        shipped = Path(__file__).parent.parent / "rules" / "schema.json"
        done = policywatch("rules", "schema", folder=folder)
        assert (done.returncode, done.stdout) == (0, shipped.read_text(encoding="utf-8"))

    def test_show_spells_a_rule_out_in_every_language(self, folder: Path) -> None:
        done = policywatch("rules", "show", "cn-ban", "--rules", "own.yaml", folder=folder)
        assert done.returncode == 0
        for phrase in ("own.yaml:1", "中国", "стейблкоин", "금지", "owner: team-a"):
            assert phrase in done.stdout
        made = policywatch("rules", "show", 'GCC + "Project Falcon" -oil', "--json", folder=folder)
        terms = {term["term"]: term for term in json.loads(made.stdout)["terms"]}
        assert set(terms["GCC"]["concepts"]) == {
            f"jurisdiction:{code}" for code in ("AE", "BH", "KW", "OM", "QA", "SA")
        }
        assert (terms["oil"]["excluded"], terms['"Project Falcon"']["note"]) == (True, "words: Project Falcon")

    @pytest.mark.parametrize(("wanted", "said"), [("nothing", "there is no rule 'nothing'"), ("a + (b", "not closed")])
    def test_show_says_what_is_wrong(self, folder: Path, wanted: str, said: str) -> None:
        done = policywatch("rules", "show", wanted, folder=folder)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert said in done.stderr

    def test_tests_pass_and_are_written_as_junit(self, folder: Path) -> None:
        done = policywatch("rules", "test", "own.yaml", "--junit", "out.xml", folder=folder)
        assert (done.returncode, done.stdout.strip()) == (0, "2 of 2 tests pass, 1 rules")
        suite = ElementTree.parse(folder / "out.xml").getroot()
        assert (suite.get("tests"), suite.get("failures")) == ("2", "0")

    def test_a_failing_test_is_told_with_what_was_read_and_its_rule_is_not_used(self, folder: Path) -> None:
        (folder / "own.yaml").write_text(RULES.replace("jurisdictions: [CN]", "jurisdictions: [KZ]"))
        done = policywatch("rules", "test", "own.yaml", "--junit", "out.xml", folder=folder)
        assert done.returncode == 1
        assert "own.yaml:6: a test of 'cn-ban' fails: it fires on jurisdictions CN, not KZ" in done.stderr
        assert "the text reads as: CN stablecoin ban tightening" in done.stderr
        assert ElementTree.parse(folder / "out.xml").getroot().get("failures") == "1"
        assert policywatch("rules", "check", "own.yaml", folder=folder).returncode == 1
        matched = policywatch("match", "--rules", "own.yaml", folder=folder, stdin=json.dumps(ENTRY))
        assert "a test of 'cn-ban' fails" in matched.stderr

    def test_a_review_that_is_overdue_is_a_reminder_and_no_problem(self, folder: Path) -> None:
        (folder / "config.yaml").write_text("rules: {packs: [], paths: [own.yaml]}")
        done = policywatch("check", folder=folder)
        assert done.returncode == 0
        assert "own.yaml:1: rule 'cn-ban': team-a wanted to review it by 2020-01-01" in done.stderr
        assert json.loads(policywatch("check", "--json", folder=folder).stdout)["reminders"][0]["where"] == "own.yaml:1"


def test_a_disabled_channel_is_enabled_and_its_deliveries_are_sent_again(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"secrets: {{keys: ['{TEST_KEY.reveal()}']}}\n")
    with closing(Store(f"sqlite:///{tmp_path}/data/policywatch.db", keys=(TEST_KEY,))) as store:
        store.subscriptions.create("t", a_subscription(), now=NOON)
        said = {"team": "t", "channel_id": 1, "subscription": "desk", "language": Language.ENGLISH}
        for nonce in ("1", "2"):
            store.outbox.add_test(**said, nonce=nonce, now=NOON)
        (claimed,) = store.outbox.claim_due(NOON, limit=1, lease=LEASE)
        store.outbox.begin_attempt(claimed, now=NOON)
        gone = Outcome(status=OutcomeStatus.REFUSED, http_status=410)
        store.outbox.settle(claimed, routing.after_attempt(1, gone, NOON, 0.5), now=NOON)

        shown = policywatch("channels", "list", folder=tmp_path)
        assert "disabled (gone)" in shown.stdout
        enabled = policywatch("channels", "enable", "1", "--since", "6h", folder=tmp_path)
        assert "dropped: 1" in enabled.stdout, "what is older than six hours"
        again = policywatch("deliveries", "replay", "1", "2", folder=tmp_path)
        assert "sent once more: 2" in again.stdout, again.stderr
        stuck = policywatch("deliveries", "replay", "1", folder=tmp_path)
        assert (stuck.returncode, "in line" in stuck.stderr) == (1, True)
        assert store.outbox.counts()[DeliveryState.PENDING] == 2
    assert policywatch("deliveries", "replay", folder=tmp_path).returncode == 2
