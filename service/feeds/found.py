"""A source that was found at a site: where, how, and what it brought when it was tried."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.domain.model import Recipe


class Way(StrEnum):
    """How a source was found."""

    ITSELF = "itself"
    LINKED = "linked"
    COMMON_PATH = "common_path"
    SITEMAP = "sitemap"
    LIST = "list"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A source that was tried and brought entries; `recipe` where it is no feed, `titles` of the first entries."""

    url: str
    way: Way
    title: str
    entries: int
    titles: tuple[str, ...]
    recipe: Recipe | None = None
