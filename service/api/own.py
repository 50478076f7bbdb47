"""What a team's subscriptions match by themselves, as rules: shown to that team and to nobody else."""

from __future__ import annotations

from collections.abc import Mapping

from service.api.deps import Deps
from service.domain.own import is_own, owner_of, read_own, written
from service.domain.rule import Rule


def own_rules(deps: Deps, team: str, *, only: int | None = None) -> Mapping[str, Rule]:
    """By id, in the order of subscriptions; `only` those of one. What is wrong since words or groups mean something
    else is not among them, as it is not among those in force."""
    book = deps.rulebook()
    found = deps.store.subscriptions.own_of(team)
    if only is not None:
        found = {number: texts for number, texts in found.items() if number == only}
    rules = (
        rule
        for number, texts in found.items()
        for rule in read_own(number, written(texts, f"subscriptions/{number}: match"), book.lexicon, book.groups)[0]
    )
    return {rule.id: rule for rule in rules}


def find_rule(deps: Deps, team: str, rule_id: str) -> Rule | None:
    """The rule in force with this id, as far as the team may know of it."""
    if is_own(rule_id):
        return own_rules(deps, team, only=owner_of(rule_id)).get(rule_id)
    return deps.rulebook().ruleset.by_id.get(rule_id)
