"""Settings: defaults, the example file, the environment, and every mistake named with its place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from service.config import RulesSettings, Settings, example, load, load_lexicon, load_rulebook, show_duration
from service.domain.model import Invalid

ROOT = Path(__file__).parent.parent


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(ROOT / "config.example.yaml").model_dump() == Settings().model_dump()


def test_the_example_file_is_up_to_date() -> None:
    assert (ROOT / "config.example.yaml").read_text(encoding="utf-8") == example()


def test_no_file_and_an_empty_file_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    empty = load(write(tmp_path, "# nothing yet\n", "empty.yaml"))
    assert load().model_dump() == empty.model_dump() == Settings().model_dump()


def test_config_yaml_is_found_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "api: {port: 9999}\n")
    assert load().api.port == 9999


def test_the_environment_is_above_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "storage: {url: sqlite:///a.db}\napi: {port: 1}\n")
    monkeypatch.setenv("POLICYWATCH_STORAGE__URL", "postgresql://db/policywatch")
    assert (load(path).storage.url, load(path).api.port) == ("postgresql://db/policywatch", 1)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("feds:\n  interval: 5m\n", 1, "did you mean 'feeds'"),
        ("api:\n  port: 80\nfeeds:\n  intervall: 5m\n", 4, "did you mean 'interval'"),
        ("feeds:\n  sources:\n    - url: https://a.example/\n      tear: wire\n", 4, "did you mean 'tier'"),
        ("feeds:\n  interval: 5 parsecs\n", 2, "a number and a unit"),
        ("feeds:\n  interval: 5\n", 2, "a number and a unit"),
        ("api:\n  port: eighty\n", 2, "api.port"),
        ("egress:\n  allow: [10.0.0.0/33]\n", 2, "egress.allow.0"),
        ("feeds:\n  sources:\n    - title: no address\n", 3, "url"),
        ("feeds:\n  sources:\n    - url: ftp://a.example/\n", 3, "http"),
        ("subscriptions:\n  - name: a\n    watch: {topics: [stablecoinz]}\n", 3, "topics"),
        ("subscriptions:\n  - name: a\n    watch: {jurisdictions: [China]}\n", 3, "jurisdictions"),
        ("subscriptions:\n  - name: a\n    when: {zone: Europe/Berlina}\n", 3, "did you mean Europe/Berlin?"),
        ("subscriptions:\n  - name: a\n    when: {quiet: all night}\n", 3, "write quiet hours as 22:00-07:00"),
        ("subscriptions:\n  - name: a\n    when: {budgets: 5}\n", 3, "did you mean 'budget'"),
        ("subscriptions:\n  - name: a\n    channels: [{to: x, scheduled: daily}]\n", 3, "did you mean 'schedule'"),
        ("api: {port: 1}\napi: {port: 2}\n", 2, "repeated"),
        ("- a list\n", 1, "must be a mapping"),
        ("api: [\n", 2, "not valid YAML"),
        ("runner: {lease: 10s}\n", 1, "must exceed the slowest step"),
        ("delivery:\n  smtp: {host: mail.example.org}\n", 1, "From address"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, where: int, what: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(Invalid) as caught:
        load(path)
    shown = str(caught.value)
    assert what in shown
    assert f"{path}:{where}: " in shown


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "feds: 1\napi:\n  port: x\nrunner:\n  tick: y\n")
    with pytest.raises(Invalid) as caught:
        load(path)
    assert len(caught.value.problems) == 3


def test_a_mistake_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLICYWATCH_API__PORT", "eighty")
    with pytest.raises(Invalid, match="POLICYWATCH_API__PORT"):
        load()


def test_norway_is_not_false(tmp_path: Path) -> None:
    path = write(tmp_path, "subscriptions:\n  - name: north\n    watch: {jurisdictions: [NO, SE]}\n")
    assert load(path).subscriptions[0].watch.jurisdictions == ("NO", "SE")


def test_secrets_do_not_print(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "delivery:\n  smtp: {host: h, sender: s, password: hunter2}\n"
        "subscriptions:\n  - {name: a, channels: [slack://hunter2/b/c]}\n",
    )
    settings = load(path)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


@pytest.mark.parametrize("seconds", [0.5, 1, 90, 60, 3600, 86400, 172800, 5400])
def test_durations_read_back(seconds: float) -> None:
    wait = timedelta(seconds=seconds)
    settings = Settings.model_validate({"feeds": {"interval": show_duration(wait)}})
    assert settings.feeds.interval == wait


class TestRulebook:
    def test_the_shipped_packs_are_sound(self) -> None:
        rulebook = load_rulebook(RulesSettings())
        assert rulebook.problems == ()
        assert len(rulebook.ruleset.rules) >= 10

    def test_a_fault_in_one_file_stops_no_other(self, tmp_path: Path) -> None:
        write(tmp_path, "rules:\n  - Kazakhstan + reserve\n", "good.yaml")
        write(tmp_path, "rules:\n  - id: x\n    matsch: China + ban\n  - India + tax\n", "typo.yaml")
        write(tmp_path, "rules: [\n", "broken.yaml")
        rulebook = load_rulebook(RulesSettings(packs=(), paths=(tmp_path,)), load_lexicon())
        assert {rule.id for rule in rulebook.ruleset.rules} == {"kazakhstan-reserve", "india-tax"}
        shown = "\n".join(str(p) for p in rulebook.problems)
        assert f"{tmp_path}/typo.yaml:3: " in shown
        assert f"{tmp_path}/broken.yaml:" in shown

    def test_an_id_in_two_files_is_a_problem_and_the_first_stays(self, tmp_path: Path) -> None:
        write(tmp_path, "rules: [China + ban]\n", "a.yaml")
        write(tmp_path, "rules: [China + ban]\n", "b.yaml")
        rulebook = load_rulebook(RulesSettings(packs=(), paths=(tmp_path,)), load_lexicon())
        assert len(rulebook.ruleset.rules) == 1
        (problem,) = rulebook.problems
        assert "b.yaml" in problem.where
        assert "a.yaml" in problem.hint

    def test_a_pack_or_path_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        rulebook = load_rulebook(RulesSettings(packs=("cripto",), paths=(tmp_path / "no.yaml",)), load_lexicon())
        assert len(rulebook.problems) == 2
