"""Commands about rules: check, test, show, compare."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

import typer
from rich.progress import track

from service.cli.common import ConfigOption, JsonOption, err, out, print_problems
from service.config import RulesSettings, load, load_rulebook, read_rulebook, read_rules
from service.domain.examples import Verdict, run_tests
from service.domain.model import Invalid, Problem
from service.domain.schema import file_schema

rules = typer.Typer(help="The rules.", no_args_is_help=True)

PathsArgument = Annotated[
    list[Path] | None, typer.Argument(help="Rule files or folders; those of the configuration by default.")
]


def _settings(paths: Sequence[Path] | None, config: Path | None) -> RulesSettings:
    return read_rules(*paths) if paths else load(config).rules


@rules.command("check")
def check_rules(paths: PathsArgument = None, config: ConfigOption = None) -> None:
    """Check rule files: every problem with file and line, failing tests too."""
    rulebook = load_rulebook(_settings(paths, config))
    if rulebook.problems:
        raise Invalid(rulebook.problems)
    out.print(f"All is well: {len(rulebook.ruleset.rules)} rules.", style="green")


@rules.command("test")
def run_inline_tests(
    paths: PathsArgument = None,
    only: Annotated[str, typer.Option("--only", help="Only rules with this id or pattern.")] = "*",
    junit: Annotated[Path | None, typer.Option(help="Also write the results here as JUnit XML.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the tests that rules bring along: texts that must fire a rule, and texts that must not, and why."""
    book = read_rulebook(_settings(paths, config), only=only)
    print_problems(book.problems)
    count = sum(len(rule.tests) for rule in book.rules)
    running = run_tests(book.rules, book.lexicon)
    shown = track(running, "Testing", total=count, console=err, transient=True, disable=not err.is_terminal)
    verdicts = list(shown)
    if junit is not None:
        _write_junit(junit, verdicts)
    failed = [verdict for verdict in verdicts if verdict.fault]
    untested = [rule.id for rule in book.rules if not rule.tests]
    if as_json:
        print(json.dumps(_plain_results(verdicts, untested, book.problems), ensure_ascii=False))
    else:
        print_problems(verdict.problem for verdict in failed)
        said = f"{len(verdicts) - len(failed)} of {len(verdicts)} tests pass, {len(book.rules)} rules"
        out.print(said + (f", {len(untested)} without tests" if untested else ""), highlight=False)
    if failed or book.problems:
        raise typer.Exit(1)


@rules.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a rule file, for editors."""
    print(json.dumps(file_schema(), indent=2, ensure_ascii=False))


def _plain_results(
    verdicts: Iterable[Verdict], untested: Sequence[str], problems: Iterable[Problem]
) -> dict[str, object]:
    rows = [{"rule": v.rule_id, "where": v.example.where, "ok": not v.fault, "fault": v.fault} for v in verdicts]
    return {"tests": rows, "untested": list(untested), "problems": [str(problem) for problem in problems]}


def _write_junit(path: Path, verdicts: Sequence[Verdict]) -> None:
    """The results in the form that CI servers read: a suite, a case for each test, a failure with its reason."""
    failures = sum(bool(verdict.fault) for verdict in verdicts)
    suite = ElementTree.Element("testsuite", name="rules", tests=str(len(verdicts)), failures=str(failures))
    for verdict in verdicts:
        where = verdict.example.where
        case = ElementTree.SubElement(suite, "testcase", classname=verdict.rule_id, name=_clean(where))
        if verdict.fault:
            failure = ElementTree.SubElement(case, "failure", message=_clean(verdict.fault))
            failure.text = _clean(verdict.hint)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _clean(text: str) -> str:
    """Text that XML can hold: control characters cannot be in it."""
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")
