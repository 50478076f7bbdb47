"""Recipes for sources that are no feeds, checked where a person writes them: CSS selectors or JMESPath expressions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from service.domain.model import Recipe, Selectors
from service.feeds.jsonapi import fault_in_path
from service.feeds.listing import fault_in

LONGEST = 500
"""Signs in an expression; no site needs as many."""


def recipe_faults(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Each expression of the recipe that cannot be used: the name of its field, and what is wrong with it."""
    check = fault_in if isinstance(recipe, Selectors) else fault_in_path
    for field in fields(recipe):
        written = getattr(recipe, field.name)
        if len(written) > LONGEST:
            yield field.name, f"{written[:40]!r}…: an expression has at most {LONGEST} signs"
        elif written and (fault := check(written)):
            yield field.name, f"{written!r}: {fault}"
