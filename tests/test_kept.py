"""What is kept between starts: it is found again, told apart by every file it came from, and never relied upon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service import kept
from service.config import load_lexicon, load_rulebook, read_rules

TEXT = "Kazakhstan bans unlicensed crypto exchanges"
RULE = """
rules:
  - id: kz-ban
    match: Kazakhstan + ban
    tests:
      - text: Kazakhstan bans unlicensed crypto exchanges
        expect: {fire: true, jurisdictions: [WISH]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "policywatch"


def test_a_lexicon_that_was_kept_is_the_one_that_was_read_and_a_spoilt_one_is_read_anew(folder: Path) -> None:
    read, recalled = load_lexicon(), load_lexicon()
    (path,) = folder.glob("lexicon-*.json")
    assert (recalled.version, recalled.names) == (read.version, read.names)
    assert recalled.annotate(TEXT, "en") == read.annotate(TEXT, "en") != ()
    path.write_text('[[["topic", "ban"], "en", "no such role", [["a", "a"]]]]', encoding="utf-8")
    assert load_lexicon().version == read.version
    assert len(json.loads(path.read_text(encoding="utf-8"))) > 1000


@pytest.mark.parametrize("spoilt", ["{]", "", '"text'])
def test_what_is_no_json_is_nothing(folder: Path, spoilt: str) -> None:
    kept.keep("passed", "key", True)
    (folder / "passed-key.json").write_text(spoilt, encoding="utf-8")
    assert kept.recall("passed", "key") is None


def test_a_folder_that_others_may_change_is_not_used(folder: Path) -> None:
    kept.keep("passed", "key", True)
    assert kept.recall("passed", "key") is True
    folder.chmod(0o777)
    assert kept.recall("passed", "key") is None
    kept.keep("passed", "other", True)
    assert not (folder / "passed-other.json").exists()


def test_no_folder_at_all_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept.keep("passed", "key", True)
    assert kept.recall("passed", "key") is None


def test_a_failing_test_is_told_at_every_start_and_a_mended_file_is_tested_again(folder: Path, tmp_path: Path) -> None:
    path, lexicon = tmp_path / "rules.yaml", load_lexicon()
    for wish, fails in [("UZ", True), ("UZ", True), ("KZ", False), ("KZ", False), ("UZ", True)]:
        path.write_text(RULE.replace("WISH", wish), encoding="utf-8")
        assert bool(load_rulebook(read_rules(path), lexicon).problems) is fails


def test_the_oldest_of_a_kind_goes(folder: Path) -> None:
    for number in range(40):
        kept.keep("passed", str(number), True)
    assert len(list(folder.iterdir())) == 32
