"""The shipped lexicon for tests of the reading floor, built once."""

from functools import lru_cache
from pathlib import Path

from service.documents import read_yaml
from service.domain.concepts import Lexicon

FOLDER = Path(__file__).parents[2] / "rules" / "lexicon"


@lru_cache(maxsize=1)
def shipped() -> Lexicon:
    return Lexicon.build([read_yaml(path) for path in sorted(FOLDER.glob("*.yaml"))])
