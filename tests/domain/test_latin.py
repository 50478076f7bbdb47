"""The compact model of languages in Latin script: the library's answers, in less memory."""

from __future__ import annotations

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from service.domain.latin import LatinLanguages

LANGUAGES = ("en", "es", "pt", "fr", "de", "it", "tr", "vi", "id", "pl", "nl")
TEXTS = (
    "The central bank raises its policy rate",
    "LA BANQUE CENTRALE RELÈVE SON TAUX",
    "Die Aufsicht verbietet den Verkauf an Kleinanleger",
    "Merkez Bankası faizi artırdı",
    "Bank sentral menaikkan suku bunga",
    "Ngân hàng trung ương tăng lãi suất",
    "O Banco Central do Brasil regula stablecoins „já“ – 2026…",
    "Czy zażółcić gęślą jaźń? 中国 Россия €5",
    "e\u0301lan",  # not composed
    "\ud800 lone",
    "",
)


@pytest.fixture(scope="module")
def compact() -> LatinLanguages:
    return LatinLanguages(LANGUAGES)


def test_its_answers_are_those_of_the_library(compact: LatinLanguages) -> None:
    library = LanguageIdentifier.from_model_file(MODEL_FILE)
    library.set_languages(list(LANGUAGES))
    for text in TEXTS[:-1]:
        assert compact.rank(text) == library.rank(text)
    assert [name for name, _ in compact.rank("")] == [name for name, _ in library.rank("")]
