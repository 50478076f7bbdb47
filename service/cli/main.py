"""The command line: `policywatch COMMAND`. Exit codes: 0 fine, 1 problems were found, 2 wrong usage."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from service import __version__, logs
from service.cli import entries, lists
from service.cli.audit import show_audit
from service.cli.common import ConfigOption, JsonOption, err, out, plain, print_problems
from service.cli.drill import run_drill
from service.cli.evaluate import evaluate_labels
from service.cli.feeds import feeds
from service.cli.label import label_item
from service.cli.lookback import backtest_rule, diff_rules
from service.cli.rules import rules
from service.cli.show import show_rule
from service.cli.whynot import why_not
from service.config import Rulebook, Settings, example, load, load_rulebook
from service.domain.model import Invalid, Problem, ServiceError
from service.domain.rule import overdue

app = typer.Typer(
    name="policywatch",
    help="Reads news and regulator feeds, recognises what governments did, sends one alert per event.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (entries.annotate, entries.match, entries.stories, entries.parse, entries.extract):
    app.command()(command)
app.command("evaluate")(evaluate_labels)
app.command("label")(label_item)
app.command("why-not")(why_not)
app.command("drill")(run_drill)
app.command("ledger")(lists.ledger)
app.command("audit")(show_audit)
rules.command("show")(show_rule)
rules.command("backtest")(backtest_rule)
rules.command("diff")(diff_rules)
for name, group in (
    ("feeds", feeds),
    ("keys", lists.keys),
    ("channels", lists.channels),
    ("deliveries", lists.deliveries),
    ("silences", lists.silences),
    ("rules", rules),
):
    app.add_typer(group, name=name)


def main() -> None:
    """Entry point: mistakes that a person can mend are told in words, not as a traceback."""
    try:
        app()
    except Invalid as exc:
        print_problems(exc.problems)
        sys.exit(1)
    except ServiceError as exc:
        err.print(f"policywatch: {exc}", style="red", markup=False, highlight=False)
        sys.exit(1)


# --- the service --------------------------------------------------------------------------------------------------


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Run the service: scheduler, delivery and API on one port, until Ctrl-C."""
    settings = load(config)
    logs.configure(settings.logging.level, settings.logging.format)
    from service.app import serve as run  # noqa: PLC0415  (the web framework is only needed here)

    run(settings, ready=lambda address: err.print(f"policywatch {__version__} is ready: {address}/docs", style="green"))


@app.command()
def worker(
    config: ConfigOption = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Worker processes; about one for each core.")] = 1,
) -> None:
    """Worker processes beside `serve` on one PostgreSQL, each replaced when it ends or hangs, until Ctrl-C."""
    settings = load(config)
    logs.configure(settings.logging.level, settings.logging.format)
    from service.workers import work  # noqa: PLC0415  (the service is only needed here)

    def ready() -> None:
        err.print(f"policywatch {__version__}: {processes} worker process{'es' * (processes > 1)}", style="green")

    raise typer.Exit(work(settings, config, processes=processes, ready=ready))


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the API (with --world: of the sites); 0 takes a free one.")] = 8080,
    once: Annotated[bool, typer.Option("--once", help="End after the alerts instead of serving on.")] = False,
    world: Annotated[
        bool, typer.Option("--world", help="Only serve the example sites and a webhook receiver that prints alerts.")
    ] = False,
) -> None:
    """The whole line on bundled example feeds, on this machine alone: no account, no network."""
    from service.demo import show  # noqa: PLC0415  (the web framework is only needed here)

    logs.configure("error", "console")
    sys.exit(show.run_world(port=port, console=out) if world else show.run(port=port, once=once, console=out))


@app.command()
def check(
    config: ConfigOption = None,
    print_example: Annotated[bool, typer.Option("--print-example", help="Print config.example.yaml.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check configuration, rules and channels: every problem with file and line."""
    if print_example:
        print(example(), end="")
        return
    problems: list[Problem] = []
    reminders: list[Problem] = []
    count = 0
    try:
        settings = load(config)
        rulebook = load_rulebook(settings.rules)
        count = len(rulebook.ruleset.rules)
        problems.extend(rulebook.problems)
        reminders.extend(overdue(rulebook.ruleset.rules, datetime.now(UTC).date()))
        problems.extend(_declared_problems(settings, rulebook))
    except Invalid as exc:
        problems.extend(exc.problems)
    if as_json:
        rows, reminding = [plain(p) for p in problems], [plain(p) for p in reminders]
        whole = {"ok": not problems, "rules": count, "problems": rows, "reminders": reminding}
        print(json.dumps(whole, ensure_ascii=False))
        raise typer.Exit(1 if problems else 0)
    print_problems(problems)
    print_problems(reminders, style="yellow")
    if not problems:
        out.print(f"All is well: {count} rules.", style="green")
    if problems:
        raise typer.Exit(1)


def _declared_problems(settings: Settings, rulebook: Rulebook) -> Iterator[Problem]:
    from service.app import declared_feed, declared_subscription  # noqa: PLC0415

    for number in range(len(settings.feeds.sources)):
        try:
            declared_feed(settings, number)
        except Invalid as exc:
            yield from exc.problems

    for number in range(len(settings.subscriptions)):
        try:
            declared_subscription(settings, number, rulebook)
        except Invalid as exc:
            yield from exc.problems
