"""Our own words in each language we write: one table a language, all with the same keys. Pure; no markup."""

from __future__ import annotations

from service.delivery.languages.en import ENGLISH
from service.delivery.languages.es import SPANISH
from service.delivery.languages.ja import JAPANESE
from service.delivery.languages.ko import KOREAN
from service.delivery.languages.table import Words
from service.delivery.languages.zh import CHINESE
from service.domain.model import Language

__all__ = ["WORDS", "Words"]

WORDS: dict[Language, Words] = {
    Language.ENGLISH: ENGLISH,
    Language.CHINESE: CHINESE,
    Language.KOREAN: KOREAN,
    Language.JAPANESE: JAPANESE,
    Language.SPANISH: SPANISH,
}
