"""`policywatch`, which is also `python -m service`. What commands there are is told without loading any of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import typer

NAME = "policywatch"
PURPOSE = "Reads news and regulator feeds, recognises what governments did, sends one alert per event."

COMMANDS: Mapping[str, str] = {
    "annotate": "Read JSONL entries: their developments with evidence, and the story each belongs to.",
    "match": "Match JSONL entries against the rules under a path and no others.",
    "stories": "Place JSONL entries, with or without developments, in stories, in published order.",
    "parse": "Parse feed files: one JSON line a file, with its entries or the reason why it has none.",
    "extract": "The main text of HTML pages, without what stands below and beside the article, and of PDF documents.",
    "evaluate": "How well labelled entries are read: figures by language, confusions, errors. Exit 1 below the floor.",
    "label": (
        "Add a labelled item to the team's corpus: what a text reports, by a person; as it was read if nothing is said."
    ),
    "why-not": "Why something was not heard of: what was read in it, which rules fire, how near the others came.",
    "drill": (
        "Send a made-up entry through the whole line and show who got it, and how fast; exit 1 if somebody did not."
    ),
    "ledger": "What became of every match, for each subscription: delivered, or suppressed and why.",
    "audit": (
        "Every change of subscriptions, channels, feeds, silences, decisions and keys: who, when, from what to what."
    ),
    "serve": "Run the service: scheduler, delivery and API on one port, until Ctrl-C.",
    "worker": ("Worker processes beside `serve` on one PostgreSQL, each replaced when it ends or hangs, until Ctrl-C."),
    "demo": "The whole line on bundled example feeds, on this machine alone: no account, no network.",
    "check": "Check configuration, rules and channels: every problem with file and line.",
    "feeds": "The feeds that are polled.",
    "keys": "API keys.",
    "channels": "Where messages go.",
    "deliveries": "The outbox.",
    "silences": "What teams do not want to hear of for a while.",
    "rules": "The rules.",
}
"""Each command and what it does, as its own help begins: the tests compare the two."""


def main() -> None:
    """Entry point."""
    if sys.argv[1:] in ([], ["--help"]):
        overview()()
    # Every command needs the rules, and most the database: a second that whoever looks for a name does not wait.
    from service.cli import main as run  # noqa: PLC0415

    run()


def overview() -> typer.Typer:
    """The commands by name, which do nothing."""
    app = typer.Typer(name=NAME, help=PURPOSE, no_args_is_help=True, add_completion=False)
    for name, does in COMMANDS.items():
        app.command(name, help=does)(_nothing)
    return app


def _nothing() -> None:
    """Stands for a command that is only listed."""


if __name__ == "__main__":
    main()
