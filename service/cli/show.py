"""`policywatch rules show`: a rule with everything that it looks for, so that nothing is hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from service.cli.common import ConfigOption, JsonOption, add_row, out
from service.config import ReadRules, RulesSettings, load, read_rulebook, read_rules
from service.domain.expansion import Expansion, expand, sentence
from service.domain.model import ServiceError
from service.domain.rule import Rule
from service.domain.rulefile import may_be_shorthand, rule_of

RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="Id of a rule, or a shorthand in quotes.")]
RulesOption = Annotated[
    list[Path] | None, typer.Option("--rules", help="Rule files or folders; those of the configuration by default.")
]


def show_rule(
    rule: RuleArgument, rules: RulesOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show a rule and its expansion: every phrase in every language that it looks for."""
    settings: RulesSettings = read_rules(*rules) if rules else load(config).rules
    book = read_rulebook(settings)
    found = find(rule, book)
    expansions = expand(found, book.lexicon)
    if as_json:
        print(json.dumps(_plain(found, expansions), ensure_ascii=False))
        return
    out.print(f"[bold]{escape(found.title)}[/bold]  ({escape(found.id)}, {found.severity}, {found.status})")
    out.print(f"{found.where}: {sentence(found)}", markup=False, highlight=False)
    for name, value in _facts(found).items():
        out.print(f"{name}: {value}", markup=False, highlight=False)
    for expansion in expansions:
        _print(expansion)


def find(wanted: str, book: ReadRules) -> Rule:
    """The rule with this id, or the one that this shorthand makes. Invalid tells what is wrong with a shorthand."""
    for rule in book.rules:
        if rule.id == wanted:
            return rule
    if not may_be_shorthand(wanted):
        raise ServiceError(
            f"there is no rule {wanted!r} here; its id is in policywatch rules check, or write a shorthand"
        )
    return rule_of(wanted, book.lexicon, book.groups)


def _facts(rule: Rule) -> dict[str, str]:
    facts = {
        "owner": rule.owner,
        "reason": rule.reason,
        "references": ", ".join(rule.references),
        "languages": ", ".join(rule.languages),
        "confirm": str(rule.confirm or ""),
        "review by": rule.review_by.isoformat() if rule.review_by else "",
        "tests": str(len(rule.tests)),
    }
    return {name: value for name, value in facts.items() if value}


def _print(expansion: Expansion) -> None:
    sign = "-" if expansion.excluded else ""
    note = f" ({expansion.note})" if expansion.note else ""
    table = Table(title=escape(f"{sign}{expansion.term}{note}"), title_justify="left", show_header=False, box=None)
    for concept, languages in expansion.concepts.items():
        for lang, phrases in languages.items():
            add_row(table, str(concept), lang, " · ".join(phrases))
    out.print(table)


def _plain(rule: Rule, expansions: tuple[Expansion, ...]) -> dict[str, Any]:
    terms = [
        {
            "term": e.term,
            "excluded": e.excluded,
            "note": e.note,
            "concepts": {str(c): {lang: list(p) for lang, p in by.items()} for c, by in e.concepts.items()},
        }
        for e in expansions
    ]
    return {"id": rule.id, "title": rule.title, "where": rule.where, "match": sentence(rule), "terms": terms}
